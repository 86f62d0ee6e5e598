//! A strict server of ours that stands in for Google Cloud Profiler, as its documentation describes the cycle.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A request and where its answer goes.
pub struct Call {
    pub line: String,
    pub authorization: String,
    pub body: Value,
    pub answer: Sender<(u16, Value)>,
}

/// Listens over HTTP. Returns the endpoint and the requests.
pub fn listen() -> (String, Receiver<Call>) {
    let (port, calls) = listen_as(|stream| stream);
    (format!("http://127.0.0.1:{port}"), calls)
}

/// Listens over https as `localhost`, with the certificate `server.pem` and its key of this folder.
#[cfg(feature = "tls")]
pub fn listen_securely(folder: &std::path::Path) -> (String, Receiver<Call>) {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    use std::sync::Arc;
    let chain = vec![CertificateDer::from_pem_file(folder.join("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(chain, key).unwrap());
    let (port, calls) = listen_as(move |stream| {
        rustls::StreamOwned::new(rustls::ServerConnection::new(Arc::clone(&config)).unwrap(), stream)
    });
    (format!("https://localhost:{port}"), calls)
}

fn listen_as<S: Read + Write + Send + 'static>(
    accept: impl Fn(std::net::TcpStream) -> S + Send + 'static,
) -> (u16, Receiver<Call>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, calls) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, send) = (accept(stream.unwrap()), send.clone());
            std::thread::spawn(move || serve(stream, &send));
        }
    });
    (port, calls)
}

/// Reads one request of a connection, and closes it after the answer.
fn serve(mut stream: impl Read + Write, calls: &Sender<Call>) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 65_536]);
    let head_end = loop {
        // A client that does not trust the certificate ends the handshake.
        let Ok(read @ 1..) = stream.read(&mut buffer) else { return };
        bytes.extend_from_slice(&buffer[..read]);
        if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let header = |name: &str| {
        let value = |line: &str| {
            Some(line.split_once(": ").filter(|(it, _)| it.eq_ignore_ascii_case(name))?.1.to_owned())
        };
        head.lines().find_map(value).unwrap_or_else(|| panic!("no {name} in {head}"))
    };
    assert_eq!(header("content-type"), "application/json");
    let missing = header("content-length").parse::<usize>().unwrap() - (bytes.len() - head_end);
    let start = bytes.len();
    bytes.resize(start + missing, 0);
    stream.read_exact(&mut bytes[start..]).unwrap();
    let body = serde_json::from_slice(&bytes[head_end..]).unwrap();
    let (answer, wait) = channel();
    let line = head.lines().next().unwrap().to_owned();
    let _ = calls.send(Call { line, authorization: header("authorization"), body, answer });
    // Without an answer the request waits until the test ends.
    let Ok((status, body)) = wait.recv() else { return };
    let body = body.to_string();
    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let _ = stream.flush();
}

/// The name of a profile of the project `my-project-1`.
pub fn name(id: &str) -> String {
    format!("projects/my-project-1/profiles/{id}")
}

/// The answer that asks for a profile of this kind.
pub fn wanted(id: &str, kind: &str, deployment: &Value) -> (u16, Value) {
    (200, json!({"name": name(id), "profileType": kind, "deployment": deployment, "duration": "10s"}))
}

/// The answer that asks for nothing now.
pub fn later(pause: &str) -> (u16, Value) {
    let details = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": pause}]);
    (409, json!({"error": {"code": 409, "status": "ABORTED", "message": "backoff", "details": details}}))
}

/// The answer to a token that is not good.
pub fn unauthenticated() -> (u16, Value) {
    (401, json!({"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "invalid credentials"}}))
}
