//! Tests OTLP over https and syslog over TLS, with real handshakes and a collector whose certificate is signed by an authority
//! that the test creates.

#![cfg(feature = "tls")]

#[path = "support/logs.rs"]
mod logs;
#[cfg(feature = "admin")]
#[path = "https/pages.rs"]
mod pages;
#[cfg(feature = "prometheus")]
#[path = "support/points.rs"]
mod points;
#[path = "support/spans.rs"]
mod spans;
#[path = "https/syslog.rs"]
mod syslog;

use logs::log;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime};
use throughline::Level;
use throughline_export::ledger::DropReason;
use throughline_export::log::{Elastic, Loki};
use throughline_export::otlp::{Client, ClientConfig, ConfigError, SendError, Signal};
use throughline_export::profiles::ProfileClient;
#[cfg(feature = "prometheus")]
use throughline_export::prometheus::{Pushgateway, PushgatewayOptions, RemoteWrite};
use throughline_export::zipkin::Zipkin;
use throughline_export::{Deadline, ExportError, Exporter, Post};

/// A temporary file, removed at the end of the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, content: &str) -> File {
        let path = std::env::temp_dir().join(format!("throughline-https-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        File(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap()
}

/// Listens for https as `name`. Returns the port, the authority's certificate as PEM, and the received
/// bodies.
fn collector(name: &str) -> (u16, String, Receiver<Vec<u8>>) {
    let authority = authority();
    let (port, received) = listen(name, &authority, None);
    (port, authority.pem(), received)
}

/// Listens for https as `name`. If `clients` is given, only clients with a certificate of that authority are
/// accepted. Returns the port and the received bodies.
fn listen(
    name: &str,
    authority: &CertifiedIssuer<'static, KeyPair>,
    clients: Option<&CertifiedIssuer<'static, KeyPair>>,
) -> (u16, Receiver<Vec<u8>>) {
    let config = server_config(name, authority, clients);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (bodies, received) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            // A client that does not trust the certificate ends the handshake, so there is no body.
            if let Some(body) = answer(BufReader::new(rustls::StreamOwned::new(connection, stream))) {
                let _ = bodies.send(body);
            }
        }
    });
    (port, received)
}

/// The configuration of a server as `name`.
fn server_config(
    name: &str,
    authority: &CertifiedIssuer<'static, KeyPair>,
    clients: Option<&CertifiedIssuer<'static, KeyPair>>,
) -> Arc<rustls::ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(clients) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from(clients.der().to_vec())).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    Arc::new(config.with_single_cert(chain, key).unwrap())
}

/// Reads one request and answers it.
fn answer<S: Read + Write>(mut stream: BufReader<S>) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let line = line.trim_end().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok()?;
    Some(body)
}

fn config(port: u16) -> ClientConfig {
    // The time allows retries, so that the tests can check that errors about certificates are not retried.
    ClientConfig::new(&format!("https://localhost:{port}")).unwrap().retry_for(Duration::from_secs(30))
}

#[test]
fn delivers_to_a_collector_of_an_authority_that_was_named() {
    let (port, authority, received) = collector("localhost");
    let file = File::new("named.pem", &authority);
    let mut client = Client::new(config(port).ca_certificate(&file.0).unwrap());
    assert_eq!(client.send(Signal::Traces, b"spans").unwrap().rejected, 0);
    assert_eq!(received.recv().unwrap(), b"spans");
}

#[test]
fn a_profile_goes_to_a_pyroscope_of_an_authority_that_was_named() {
    let (port, authority, received) = collector("localhost");
    let file = File::new("pyroscope.pem", &authority);
    let untrusting = ProfileClient::pyroscope(&format!("https://localhost:{port}"), "shop", []).unwrap();
    let send = |client: &ProfileClient, seconds: u64| {
        let deadline = Deadline::within(Duration::from_secs(seconds));
        client.send(b"pprof", SystemTime::now(), Duration::from_secs(1), &deadline)
    };
    let error = send(&untrusting, 1).unwrap_err().message;
    assert!(error.contains("UnknownIssuer") && error.contains("the authority that signed it"), "{error}");
    send(&untrusting.ca_certificate(&file.0).unwrap(), 30).unwrap();
    assert!(received.recv().unwrap().windows(5).any(|it| it == b"pprof"));
}

/// Sends what the exporter has taken, once.
fn flushed(mut exporter: impl Exporter) -> Result<(), ExportError> {
    exporter.flush(&Deadline::within(Duration::from_secs(30)))
}

fn logged(mut exporter: impl Exporter) -> Result<(), ExportError> {
    exporter.log(&log(Level::Info, "hello", &[]));
    flushed(exporter)
}

#[cfg(feature = "prometheus")]
fn counted(mut exporter: impl Exporter) -> Result<(), ExportError> {
    points::give_one(&mut exporter);
    flushed(exporter)
}

/// Sends a record to a URL, with this file of authorities if there is one.
type Sends = fn(&str, Option<&Path>) -> Result<(), ExportError>;

macro_rules! sends {
    ($url:ident, $name:ident: $exporter:expr, $send:expr) => {
        |$url, authority| {
            let $name = $exporter;
            $send(match authority {
                Some(path) => $name.ca_certificate(path).unwrap(),
                None => $name,
            })
        }
    };
}

const BACKENDS: &[(&str, Sends)] = &[
    ("Loki", sends!(url, loki: Loki::new(url, "shop").unwrap(), logged)),
    ("Elasticsearch", sends!(url, elastic: Elastic::new(url, "logs", "shop").unwrap(), logged)),
    (
        "Zipkin",
        sends!(url, zipkin: Zipkin::new(url, "shop").unwrap(), |mut zipkin: Zipkin| {
            zipkin.span(&spans::span());
            flushed(zipkin)
        }),
    ),
    (
        "a webhook",
        sends!(url, post: Post::secret("a notice", url, "").unwrap(), |post: Post| {
            post.send_once("", "text/plain", &[], b"x", &Deadline::within(Duration::from_secs(30))).map(drop)
        }),
    ),
    #[cfg(feature = "prometheus")]
    ("remote write", sends!(url, writer: RemoteWrite::new(url).unwrap(), counted)),
    #[cfg(feature = "prometheus")]
    (
        "a Pushgateway",
        sends!(url, gateway: {
        Pushgateway::new(&PushgatewayOptions::new(url).unwrap()).unwrap()
    }, counted),
    ),
];

#[test]
fn each_backend_may_have_a_certificate_of_an_authority_that_was_named() {
    for (name, send) in BACKENDS {
        let (port, authority, received) = collector("localhost");
        let file = File::new("backend.pem", &authority);
        let url = format!("https://localhost:{port}");
        let error = send(&url, None).unwrap_err().message;
        assert!(
            error.contains("UnknownIssuer") && error.contains("authority that signed it"),
            "{name}: {error}"
        );
        send(&url, Some(&file.0)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!received.recv().unwrap().is_empty(), "{name}");
    }
}

/// An authority of one's own is trusted with names, not with addresses.
#[test]
fn an_authority_of_ones_own_opens_no_private_address() {
    let (port, authority, received) = collector("localhost");
    let file = File::new("private.pem", &authority);
    let post = || Post::new("a notice", &format!("https://localhost:{port}"), "").unwrap();
    let deadline = Deadline::within(Duration::from_secs(30));
    let send = |post: Post| post.send_once("", "text/plain", &[], b"x", &deadline);
    for refusing in [
        post().public_only().ca_certificate(&file.0).unwrap(),
        post().ca_certificate(&file.0).unwrap().public_only(),
    ] {
        let error = send(refusing).unwrap_err();
        assert_eq!(error.reason, DropReason::Refused);
        assert!(error.message.contains("is no public address"), "{error}");
    }
    assert!(received.try_recv().is_err());
    send(post().public_only().ca_certificate(&file.0).unwrap().any_address()).unwrap();
}

#[test]
fn an_unknown_authority_is_told_with_what_to_do() {
    let (port, ..) = collector("localhost");
    let mut client = Client::new(config(port));
    let error = client.send(Signal::Traces, b"spans").unwrap_err();
    assert!(matches!(error, SendError::Certificate { .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains("UnknownIssuer") && error.contains("OTEL_EXPORTER_OTLP_CERTIFICATE"), "{error}");
    assert_eq!(client.stats().attempts, 1, "another attempt would find the same");
}

#[test]
fn a_certificate_of_another_name_is_told() {
    let (port, authority, _) = collector("collector.example");
    let file = File::new("name.pem", &authority);
    let mut client = Client::new(config(port).ca_certificate(&file.0).unwrap());
    let error = client.send(Signal::Traces, b"spans").unwrap_err();
    assert!(matches!(error, SendError::Certificate { .. }), "{error}");
    assert!(error.to_string().contains("mend the names and dates"), "{error}");
}

#[test]
fn a_file_without_a_certificate_is_refused_when_it_is_named() {
    let file = File::new("empty.pem", "nothing here");
    let error = config(1).ca_certificate(&file.0).unwrap_err();
    assert!(matches!(error, ConfigError::Certificate { .. }));
    assert!(error.to_string().contains("there is no certificate in it; give a PEM file"), "{error}");
    let error = config(1).client_certificate(&file.0, &file.0).unwrap_err().to_string();
    assert!(error.contains("that this program is to show the collector"), "{error}");
    let missing = config(1).ca_certificate("/no/such/file.pem").unwrap_err().to_string();
    assert!(missing.contains("/no/such/file.pem"), "{missing}");
}

#[test]
fn a_collector_that_wants_a_certificate_gets_the_one_that_was_given() {
    let (servers, clients) = (authority(), authority());
    let (port, received) = listen("localhost", &servers, Some(&clients));
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["shop".to_owned()]).unwrap();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &clients).unwrap();
    let roots = File::new("mutual-roots.pem", &servers.pem());
    let (shown, secret) =
        (File::new("mutual.pem", &certificate.pem()), File::new("mutual.key", &key.serialize_pem()));
    let config = config(port).ca_certificate(&roots.0).unwrap();
    let known = config.clone().client_certificate(&shown.0, &secret.0).unwrap();
    assert!(!format!("{known:?}").contains("BEGIN"), "keys are not shown");
    Client::new(known).send(Signal::Traces, b"spans").unwrap();
    assert_eq!(received.recv().unwrap(), b"spans");

    // The client sees an alert or only a closed connection, which depends on timing. Both errors must give
    // the advice.
    let unknown = config.clone().retry_for(Duration::ZERO);
    let error = Client::new(unknown).send(Signal::Traces, b"spans").unwrap_err();
    assert!(error.to_string().contains("OTEL_EXPORTER_OTLP_CLIENT_KEY"), "{error}");
    let error = config.client_certificate(&shown.0, &shown.0).unwrap_err().to_string();
    assert!(error.contains("there is no private key in it"), "{error}");
}

#[cfg(feature = "system-roots")]
#[test]
fn the_systems_authorities_are_those_of_the_file_that_the_environment_names() {
    const TEST: &str = "the_systems_authorities_are_those_of_the_file_that_the_environment_names";
    let Ok(port) = std::env::var("THROUGHLINE_TEST_PORT") else {
        let (port, authority, received) = collector("localhost");
        let file = File::new("system.pem", &authority);
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", TEST]).env("THROUGHLINE_TEST_PORT", port.to_string());
        assert!(child.env("SSL_CERT_FILE", &file.0).status().unwrap().success());
        assert_eq!(received.recv().unwrap(), b"spans");
        return;
    };
    let config = config(port.parse().unwrap()).system_roots().unwrap();
    Client::new(config).send(Signal::Traces, b"spans").unwrap();
}
