//! Answers that say that all is well but end too early, to each exporter that posts: what was sent is sent again, because what is missing may say that
//! records were rejected.

#[path = "support/logs.rs"]
mod logs;
#[cfg(feature = "prometheus")]
#[path = "support/points.rs"]
mod points;
#[path = "support/spans.rs"]
mod spans;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};
use throughline::Level;
use throughline_export::ledger::DropReason;
use throughline_export::log::{Elastic, Loki};
use throughline_export::otlp::{Client, ClientConfig, Protocol};
use throughline_export::profiles::ProfileClient;
use throughline_export::zipkin::Zipkin;
use throughline_export::{Deadline, ExportError, Exporter, Post};

/// An answer whose length is not reached, and one whose last chunk is missing.
const CUT_OFF: [&str; 2] =
    ["200 OK\r\nContent-Length: 100\r\n\r\n{}", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"];
const WHOLE: &str = "200 OK\r\nX-Prometheus-Remote-Write-Samples-Written: 1\r\nContent-Length: 2\r\n\r\n{}";

/// Answers the requests, each of which has a connection of its own, by their number. Gives back its URL and how many there were.
fn server(answer: impl Fn(usize) -> String + Send + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|n| n > 0) {}
            let head = head.to_lowercase();
            let Some((_, rest)) = head.split_once("content-length: ") else { continue };
            let length = rest.split("\r\n").next().unwrap().parse().unwrap();
            reader.read_exact(&mut vec![0; length]).unwrap();
            let answer = answer(counted.fetch_add(1, Ordering::Relaxed));
            let answer = answer.replacen("\r\n", "\r\nConnection: close\r\n", 1);
            reader.get_mut().write_all(format!("HTTP/1.1 {answer}").as_bytes()).unwrap();
        }
    });
    (url, requests)
}

/// Sends one record to a URL: now, and again if it has to wait. Returns what the first attempt said.
type Sends = fn(&str) -> Result<(), ExportError>;

fn deadline() -> Deadline {
    Deadline::within(Duration::from_secs(30))
}

/// Flushes and, if the record waits, finishes.
fn flushed(mut exporter: impl Exporter) -> Result<(), ExportError> {
    let first = exporter.flush(&deadline());
    if let Err(error) = &first {
        assert_eq!(error.lost, 0, "{error}");
        exporter.finish(&deadline()).unwrap();
    }
    assert_eq!(exporter.held(), 0);
    first
}

fn logged(mut exporter: impl Exporter) -> Result<(), ExportError> {
    exporter.log(&logs::log(Level::Info, "hello", &[]));
    flushed(exporter)
}

/// Retries by itself.
fn otlp(url: &str, protocol: Protocol) -> Result<(), ExportError> {
    let config = ClientConfig::new(url).unwrap().protocol(protocol).unwrap();
    let mut client = Client::new(config.first_backoff(Duration::from_millis(1)));
    let failed = std::cell::RefCell::new(None);
    let said = |why: &str| *failed.borrow_mut() = Some(why.to_owned());
    client.send_watched(throughline_export::otlp::Signal::Traces, &[], &deadline(), said).unwrap();
    failed.take().map_or(Ok(()), |why| Err(ExportError::new(DropReason::Unreachable, 0, why)))
}

fn post(url: &str) -> Post {
    Post::new("a notice", url, "").unwrap()
}

#[cfg(feature = "prometheus")]
fn begun(mut exporter: impl Exporter) -> Result<(), ExportError> {
    points::give_one(&mut exporter);
    flushed(exporter)
}

/// The families, and how each sends a record.
const FAMILIES: &[(&str, Sends)] = &[
    ("OTLP in protobuf", |url| otlp(url, Protocol::HttpProtobuf)),
    ("OTLP in JSON", |url| otlp(url, Protocol::HttpJson)),
    ("Loki", |url| logged(Loki::new(url, "shop").unwrap())),
    ("Elasticsearch", |url| logged(Elastic::new(url, "logs", "shop").unwrap())),
    ("Zipkin", |url| {
        let mut zipkin = Zipkin::new(url, "shop").unwrap();
        zipkin.span(&spans::span());
        flushed(zipkin)
    }),
    ("a webhook", |url| {
        let first = post(url).send_once("", "text/plain", &[], b"x", &deadline()).map(drop);
        // Retries by itself.
        post(url).send("", "text/plain", &[], b"x", &deadline()).unwrap();
        first
    }),
    #[cfg(feature = "prometheus")]
    ("remote write 2.0", |url| {
        use throughline_export::prometheus::{RemoteWrite, RemoteWriteVersion};
        begun(RemoteWrite::new(url).unwrap().version(RemoteWriteVersion::V2))
    }),
    #[cfg(feature = "prometheus")]
    ("a Pushgateway", |url| {
        use throughline_export::prometheus::{Pushgateway, PushgatewayOptions};
        begun(Pushgateway::new(&PushgatewayOptions::new(url).unwrap()).unwrap())
    }),
];

#[test]
fn an_answer_that_is_cut_off_is_no_success() {
    for cut_off in CUT_OFF {
        for (family, send) in FAMILIES {
            let (url, requests) = server(move |n| if n == 0 { cut_off } else { WHOLE }.to_owned());
            let error = send(&url).expect_err(family);
            assert_eq!(error.reason, DropReason::Unreachable, "{family}: {error}");
            let told = "status 200, but its answer was cut off: ";
            assert!(error.message.contains(told), "{family}: {error}");
            assert!(requests.load(Ordering::Relaxed) >= 2, "{family}: it was not sent again");
            let (url, _) = server(|_| WHOLE.to_owned());
            assert_eq!(send(&url).map_err(|error| error.to_string()), Ok(()), "{family}");
        }
    }
}

#[test]
fn a_profile_whose_answer_is_cut_off_is_sent_again() {
    for cut_off in CUT_OFF {
        let (url, requests) = server(move |n| if n == 0 { cut_off } else { WHOLE }.to_owned());
        let client = ProfileClient::pyroscope(&url, "shop", []).unwrap();
        client.send(b"profile", SystemTime::now(), Duration::from_secs(10), &deadline()).unwrap();
        assert_eq!(requests.load(Ordering::Relaxed), 2);
    }
}

#[test]
fn an_answer_that_is_too_long_is_told() {
    let (url, requests) =
        server(|_| format!("200 OK\r\nContent-Length: 100000\r\n\r\n{}", "\0".repeat(100_000)));
    let mut client = Client::new(ClientConfig::new(&url).unwrap());
    let delivered = client.send_traces(&[]).unwrap();
    assert!(delivered.message.starts_with("its answer has 64 KiB or more"), "{delivered}");
    assert_eq!((delivered.rejected, requests.load(Ordering::Relaxed)), (0, 1));
}
