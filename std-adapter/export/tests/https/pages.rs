//! Pages of the process over https.

use super::{File, authority};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use throughline_export::admin::{AdminError, AdminOptions, AdminServer, Response, Route};

#[test]
fn pages_are_served_over_https() {
    let authority = authority();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(["localhost".into()]).unwrap().signed_by(&key, &authority).unwrap();
    let (chain, key) =
        (File::new("page.pem", &certificate.pem()), File::new("page.key", &key.serialize_pem()));
    let options = AdminOptions::default().port(0).connections(2).tls(&chain.0, &key.0).unwrap();
    let server = AdminServer::bind(&options).unwrap();
    // More than the buffers of TLS and of the system take.
    let page = "0123456789abcdef".repeat(1 << 20);
    let expected = page.clone();
    server.route(Route::new("/page", move |_| Response::text(200, page.clone())));
    let spawn = |_: &str, run: Box<dyn FnOnce() + Send>| {
        std::thread::spawn(run);
        Ok(())
    };
    server.start(&spawn).unwrap();

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(authority.der().to_vec())).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = Arc::new(config.unwrap().with_root_certificates(roots).with_no_client_auth());
    let connect = || TcpStream::connect(server.address()).unwrap();
    let get = |path: &str| {
        let session = rustls::ClientConnection::new(Arc::clone(&config), "localhost".try_into().unwrap());
        let mut stream = rustls::StreamOwned::new(session.unwrap(), connect());
        // Sent in two parts, which the server reads as they come.
        stream.write_all(format!("GET {path} HTTP/1.1\r\n").as_bytes()).unwrap();
        stream.flush().unwrap();
        stream.write_all(b"Host: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        // It ends as TLS wants it: otherwise this is an error.
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    // Clients that do not begin a handshake, or send something else, delay nobody.
    let (_silent, mut plain) = (connect(), connect());
    plain.write_all(b"GET /page HTTP/1.1\r\n\r\n").unwrap();
    let answer = get("/page");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(answer.ends_with(&expected), "{}", answer.len());
    assert!(get("/other").starts_with("HTTP/1.1 404 "));
    let mut refused = Vec::new();
    let _ = plain.read_to_end(&mut refused);
    assert!(!refused.starts_with(b"HTTP"));

    let wrong = |chain: &File, key: &File| match AdminOptions::default().tls(&chain.0, &key.0) {
        Err(AdminError::Certificate { path, .. }) => path,
        other => panic!("{other:?}"),
    };
    assert_eq!(wrong(&key, &key), key.0.display().to_string());
    assert_eq!(wrong(&chain, &chain), chain.0.display().to_string());
}

#[test]
fn a_client_that_does_not_end_its_handshake_is_cut_off() {
    let authority = authority();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(["localhost".into()]).unwrap().signed_by(&key, &authority).unwrap();
    let (chain, key) =
        (File::new("slow.pem", &certificate.pem()), File::new("slow.key", &key.serialize_pem()));
    let short = Duration::from_millis(300);
    let options = AdminOptions::default().port(0).timeouts(short, short).tls(&chain.0, &key.0).unwrap();
    let server = AdminServer::bind(&options).unwrap();
    let spawn = |_: &str, run: Box<dyn FnOnce() + Send>| {
        std::thread::spawn(run);
        Ok(())
    };
    server.start(&spawn).unwrap();

    let connect = || {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    };
    // One says nothing. The other begins a handshake of 16 KiB, and sends a byte of it now and then.
    let (mut silent, mut slow) = (connect(), connect());
    slow.write_all(&[0x16, 0x03, 0x01, 0x3f, 0xff]).unwrap();
    slow.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let is_waiting = |error: &std::io::Error| {
        matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
    };
    let sent = (0..5_000).take_while(|_| {
        slow.write_all(&[0]).is_ok() && slow.read(&mut [0; 64]).is_err_and(|error| is_waiting(&error))
    });
    assert!(sent.count() < 5_000, "it was never cut off");
    let ended = silent.read_to_end(&mut Vec::new());
    assert!(!ended.is_err_and(|error| is_waiting(&error)), "it was never cut off");
}
