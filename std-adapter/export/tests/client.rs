//! The client against a strict receiver: delivery, retries, partial success, refusals, deadlines.

mod support;

use std::time::Duration;
use support::receiver::{Answer, Receiver};
use throughline_export::otlp::{Client, ClientConfig, Options, SendError, Signal, TraceEncoder};
use throughline_export::{Deadline, Resource};

fn client(endpoint: &str) -> Client {
    Client::new(
        ClientConfig::new(endpoint).unwrap().first_backoff(Duration::from_millis(1)).header("x-key", "k1"),
    )
}

fn body() -> Vec<u8> {
    TraceEncoder::new(&Resource::new("svc"), Options::default()).finish().to_vec()
}

#[test]
fn tries_again_until_it_is_taken() {
    let receiver = Receiver::start([
        Answer::Status(503, "retry-after: 0\r\n", vec![]),
        Answer::Status(429, "", vec![]),
        Answer::Close,
        Answer::Status(502, "", b"bad gateway".to_vec()),
        Answer::Status(504, "", vec![]),
    ]);
    let mut client = client(&receiver.endpoint);
    let delivered = client.send_traces(&body()).unwrap();
    assert_eq!((delivered.rejected, &*delivered.message), (0, ""));
    let stats = client.stats();
    assert_eq!((stats.delivered, stats.failed), (1, 0));
    // The HTTP library itself may retry once when an idle connection was closed.
    assert!(stats.attempts >= 5, "{stats:?}");
    receiver.with(|r| {
        assert!(r.requests >= 6);
        assert!(r.headers.contains(&"x-key: k1".to_owned()), "{:?}", r.headers);
    });
}

#[test]
fn each_signal_has_its_path() {
    let receiver = Receiver::start([]);
    let mut client = client(&receiver.endpoint);
    client.send_traces(&[]).unwrap();
    client.send_logs(&[]).unwrap();
    client.send_metrics(&[]).unwrap();
    receiver.with(|r| assert_eq!((r.requests, r.metrics.len()), (3, 1)));
}

#[test]
fn partial_success_is_counted() {
    let receiver = Receiver::start([Answer::Partial(3, "too old")]);
    let delivered = client(&receiver.endpoint).send_traces(&body()).unwrap();
    assert_eq!((delivered.rejected, &*delivered.message), (3, "too old"));
}

#[test]
fn a_refusal_is_final_and_says_why() {
    let status = [0x08, 3, 0x12, 3, b'b', b'a', b'd'];
    let receiver =
        Receiver::start([Answer::Status(400, "", status.to_vec()), Answer::Status(404, "", vec![])]);
    let mut client = client(&receiver.endpoint);
    let error = client.send_traces(&body()).unwrap_err().to_string();
    assert!(error.contains("answered 400 (bad): it holds the body for malformed"), "{error}");
    let error = client.send_traces(&body()).unwrap_err().to_string();
    assert!(error.contains("answered 404: OTLP over HTTP is not served there; check the port"), "{error}");
    assert_eq!(client.stats().attempts, 2);
}

#[test]
fn gives_up_when_the_retries_have_taken_their_time() {
    let config = ClientConfig::new("http://127.0.0.1:1").unwrap().retry_for(Duration::ZERO);
    let error = Client::new(config).send(Signal::Logs, &[]).unwrap_err();
    let SendError::Deadline { attempts: 1, .. } = error else { panic!("{error}") };
    assert!(error.to_string().contains("check that a collector listens there"), "{error}");
}

#[test]
fn a_time_the_collector_asks_for_beyond_the_limit_is_not_waited_for() {
    let receiver = Receiver::start([Answer::Status(503, "retry-after: 86400\r\n", vec![])]);
    let error = client(&receiver.endpoint).send_traces(&body()).unwrap_err();
    assert!(matches!(error, SendError::Deadline { attempts: 1, .. }), "{error}");
}

#[test]
fn a_hanging_collector_is_left_at_the_deadline() {
    let receiver = Receiver::start([Answer::Hang]);
    let config = ClientConfig::new(&receiver.endpoint).unwrap().timeout(Duration::from_secs(3600));
    let error = Client::new(config)
        .send_until(Signal::Traces, &body(), &Deadline::within(Duration::from_millis(50)))
        .unwrap_err();
    let SendError::Deadline { ref last, .. } = error else { panic!("{error}") };
    assert!(last.contains("timeout"), "{last}");
}

#[test]
fn nothing_is_sent_after_the_deadline() {
    let receiver = Receiver::start([]);
    let mut client = client(&receiver.endpoint);
    let error = client.send_until(Signal::Traces, &body(), &Deadline::within(Duration::ZERO)).unwrap_err();
    assert!(matches!(error, SendError::Deadline { attempts: 0, .. }), "{error}");
    receiver.with(|r| assert_eq!(r.requests, 0));
}

#[test]
fn each_signal_may_go_its_own_way() {
    let (traces, logs) = (Receiver::start([]), Receiver::start([]));
    let of_logs = ClientConfig::new(&logs.endpoint).unwrap().header("x-tenant", "shop");
    let config = ClientConfig::new(&traces.endpoint).unwrap().with_signal(Signal::Logs, &of_logs);
    let mut client = Client::new(config);
    client.send_traces(&body()).unwrap();
    client.send_logs(&[]).unwrap();
    logs.with(|r| {
        assert!(r.headers.contains(&"x-tenant: shop".to_owned()), "{:?}", r.headers);
        assert_eq!(r.requests, 1);
    });
    traces.with(|r| {
        assert!(!r.headers.iter().any(|header| header.starts_with("x-tenant")), "{:?}", r.headers);
        assert_eq!(r.requests, 1);
    });
}

/// The body that arrives, after one that is larger was sent by the same client.
#[cfg(any(feature = "gzip", feature = "zstd"))]
fn compressed_by(compression: throughline_export::otlp::Compression, body: &[u8]) -> Vec<u8> {
    let receiver = Receiver::start([Answer::Status(200, "", vec![]), Answer::Status(200, "", vec![])]);
    let config = ClientConfig::new(&receiver.endpoint).unwrap().compression(compression).unwrap();
    let mut client = Client::new(config);
    client.send_traces(&[7; 100_000]).unwrap();
    client.send_traces(body).unwrap();
    receiver.with(|r| {
        let encoding = format!("content-encoding: {}", compression.as_str());
        assert!(r.headers.contains(&encoding), "{:?}", r.headers);
        r.last_body.clone()
    })
}

#[cfg(feature = "gzip")]
#[test]
fn bodies_are_compressed_by_gzip() {
    use std::io::Read;
    let sent = compressed_by(throughline_export::otlp::Compression::Gzip, &body());
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&*sent).read_to_end(&mut plain).unwrap();
    assert_eq!(plain, body());
}

#[cfg(feature = "zstd")]
#[test]
fn bodies_are_compressed_by_zstd() {
    let sent = compressed_by(throughline_export::otlp::Compression::Zstd, &body());
    assert_eq!(zstd::decode_all(&*sent).unwrap(), body());
}

#[cfg(not(feature = "zstd"))]
#[test]
fn what_is_not_built_in_is_an_error_that_names_the_feature() {
    let config = ClientConfig::new("http://a").unwrap();
    let error = config.compression(throughline_export::otlp::Compression::Zstd).unwrap_err().to_string();
    assert!(error.contains("with the feature `zstd`"), "{error}");
}
