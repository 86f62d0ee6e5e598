//! The client against a strict receiver: delivery, retries, partial success, refusals, deadlines.

mod support;

use std::time::Duration;
use support::receiver::{Answer, Receiver};
use throughline_export::otlp::{Client, ClientConfig, Options, SendError, Signal, TokenSource, TraceEncoder};
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
fn a_pause_of_no_length_is_the_ordinary_growing_one() {
    for header in ["retry-after: 0\r\n", "retry-after: Wed, 21 Oct 2015 07:28:00 GMT\r\n"] {
        let receiver = Receiver::start(std::iter::repeat_n(Answer::Status(503, header, vec![]), 100_000));
        let config = ClientConfig::new(&receiver.endpoint).unwrap().first_backoff(Duration::from_millis(100));
        let mut client = Client::new(config.retry_for(Duration::from_millis(900)));
        let error = client.send_traces(&body()).unwrap_err();
        assert!(matches!(error, SendError::Deadline { retry_after: None, .. }), "{error:?}");
        assert!(client.stats().attempts < 20, "{:?}", client.stats());
    }
}

#[test]
fn what_a_collector_says_is_told_without_our_credentials_and_other_secrets() {
    let said =
        "you sent {'x-team': 'hunter-key', 'authorization': 'Bearer hunter-token'}, db?password=hunter2";
    // The message of a `google.rpc.Status`.
    let status = [&[0x12, said.len() as u8], said.as_bytes()].concat();
    let receiver = Receiver::start([
        Answer::Status(403, "", status),
        Answer::Partial(1, "of Bearer hunter-token with x-team hunter-key and token=hunter2"),
    ]);
    let config = ClientConfig::new(&receiver.endpoint).unwrap().header("x-team", "hunter-key");
    let mut client = Client::new(config.header("authorization", "Bearer hunter-token"));
    let refused = client.send_traces(&body()).unwrap_err().to_string();
    let partial = client.send_traces(&body()).unwrap().to_string();
    for told in [&refused, &partial] {
        assert!(!told.contains("hunter") && told.contains("[REDACTED]"), "{told}");
    }
    assert!(refused.contains("you sent") && partial.contains("with x-team"), "{refused} {partial}");
}

#[test]
fn a_page_for_people_is_no_answer_of_a_collector() {
    let page = b"<!doctype html><title>Log in</title>".to_vec();
    let receiver = Receiver::start(std::iter::repeat_n(Answer::Status(200, "", page), 100));
    let config = ClientConfig::new(&receiver.endpoint).unwrap().first_backoff(Duration::from_millis(1));
    let error = Client::new(config.retry_for(Duration::from_millis(20))).send_traces(&body()).unwrap_err();
    assert!(error.to_string().contains("a page of HTML, so it takes no records; check the host"), "{error}");
}

#[test]
fn an_answer_whose_header_is_too_large_is_no_fault_of_the_request() {
    let header: &'static str = format!("x-long: {}\r\n", "a".repeat(200_000)).leak();
    let long = || Answer::Status(200, header, vec![]);
    let receiver = Receiver::start([long(), long()]);
    let mut tried_again = client(&receiver.endpoint);
    tried_again.send_traces(&body()).unwrap();
    assert!(tried_again.stats().attempts >= 3);
    let receiver = Receiver::start([long()]);
    let config = ClientConfig::new(&receiver.endpoint).unwrap().retry_for(Duration::ZERO);
    let error = Client::new(config).send_traces(&body()).unwrap_err();
    let SendError::Deadline { last, .. } = &error else { panic!("{error}") };
    assert!(last.starts_with("the header of the answer has "), "{last}");
}

#[test]
fn no_more_is_rejected_than_was_sent() {
    let receiver = Receiver::start([Answer::Partial(i64::MAX, ""), Answer::Partial(-5, "")]);
    let mut client = client(&receiver.endpoint);
    assert_eq!(client.send_traces(&body()).unwrap().rejected, body().len() as u64);
    assert!(client.send_traces(&body()).unwrap().is_whole());
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
fn a_collector_that_asks_for_a_pause_beyond_the_limit_gets_no_other_request() {
    let receiver = Receiver::start([Answer::Status(503, "retry-after: 86400\r\n", vec![])]);
    let config = ClientConfig::new(&receiver.endpoint).unwrap().retry_for(Duration::from_millis(10));
    let mut client = Client::new(config);
    for expected in [1, 0] {
        let error = client.send_traces(&body()).unwrap_err();
        let SendError::Deadline { attempts, retry_after: Some(asked), by_caller: false, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(attempts, expected);
        assert!(asked <= Duration::from_secs(300), "{asked:?}");
    }
    receiver.with(|r| assert_eq!(r.requests, 1));
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

/// A command that counts its runs in a file and gives a token with the count.
#[cfg(unix)]
fn counting(folder: &std::path::Path) -> TokenSource {
    let script = "echo x >> runs; printf 'token-%s\\n' $(wc -l < runs)";
    let shell = format!("cd '{}' && {script}", folder.display());
    TokenSource::command(["sh", "-c", &shell]).prefix("Bearer ")
}

/// A folder that is removed with all that is in it.
#[cfg(unix)]
struct Folder(std::path::PathBuf);

#[cfg(unix)]
impl Folder {
    fn new(test: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("throughline-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

#[cfg(unix)]
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(unix)]
fn authorization(receiver: &Receiver) -> Option<String> {
    receiver.with(|r| r.headers.iter().find_map(|h| h.strip_prefix("authorization: ").map(str::to_owned)))
}

#[test]
#[cfg(unix)]
fn a_token_of_a_command_is_renewed_in_time_and_when_it_is_refused() {
    let folder = Folder::new("token-command");
    let receiver = Receiver::start([]);
    let with = |source| {
        let config = ClientConfig::new(&receiver.endpoint).unwrap().header("authorization", "old");
        Client::new(config.first_backoff(Duration::from_millis(1)).header_from("authorization", source))
    };
    let mut client = with(counting(&folder.0));
    (0..2).for_each(|_| drop(client.send_traces(&body()).unwrap()));
    assert_eq!(
        authorization(&receiver).as_deref(),
        Some("bearer token-1"),
        "it is run once for two requests"
    );
    let mut client = with(counting(&folder.0).every(Duration::ZERO));
    (0..2).for_each(|_| drop(client.send_traces(&body()).unwrap()));
    assert_eq!(authorization(&receiver).as_deref(), Some("bearer token-3"));

    // A refusal has the token read again, once; a fresh token that is refused is not tried again.
    let refusing = || Answer::Status(401, "", Vec::new());
    let receiver = Receiver::start([Answer::Slow(Duration::ZERO), refusing(), refusing(), refusing()]);
    let config = ClientConfig::new(&receiver.endpoint).unwrap().first_backoff(Duration::from_millis(1));
    let mut client = Client::new(config.header_from("authorization", counting(&folder.0)));
    client.send_traces(&body()).unwrap();
    let error = client.send_traces(&body()).unwrap_err().to_string();
    assert!(error.contains("answered 401"), "{error}");
    receiver.with(|r| assert_eq!(r.requests, 3));
    assert_eq!(authorization(&receiver).as_deref(), Some("bearer token-5"));
}

#[test]
#[cfg(unix)]
fn a_token_of_a_file_is_followed_and_what_is_wrong_is_told() {
    let folder = Folder::new("token-file");
    let path = folder.0.join("token");
    let receiver = Receiver::start([]);
    let config = |source| {
        let config = ClientConfig::new(&receiver.endpoint).unwrap().retry_for(Duration::ZERO);
        config.header_from("x-key", source)
    };
    let mut client = Client::new(config(TokenSource::file(&path)));
    let error = client.send_traces(&body()).unwrap_err().to_string();
    assert!(error.contains("the token file") && error.contains("check its path"), "{error}");
    for token in ["one", "two"] {
        std::fs::write(&path, format!("{token}\n")).unwrap();
        client.send_traces(&body()).unwrap();
        receiver.with(|r| assert!(r.headers.contains(&format!("x-key: {token}")), "{:?}", r.headers));
    }
    for (words, expected) in [
        (&["sh", "-c", "echo hunter2 >&2; exit 3"][..], "failed with exit status: 3; run it by hand"),
        (&["/none/token"], "cannot be started"),
        (&["true"], "gives no token"),
        (&["sh", "-c", "printf 'a\\nhunter2'"], "gives no token; it must give one line"),
        (&["sleep", "60"], "did not end in time"),
        (&[], "is empty"),
    ] {
        let config = config(TokenSource::command(words.iter().copied())).timeout(Duration::from_millis(500));
        let error = Client::new(config).send_traces(&body()).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{words:?}: {error}");
    }
}

#[test]
fn basic_authentication_is_encoded() {
    let receiver = Receiver::start([]);
    let config = ClientConfig::new(&receiver.endpoint).unwrap().basic_auth("Aladdin", "open sesame");
    Client::new(config).send_traces(&body()).unwrap();
    let expected = "authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_lowercase();
    receiver.with(|r| assert!(r.headers.contains(&expected), "{:?}", r.headers));
}

#[cfg(not(feature = "zstd"))]
#[test]
fn what_is_not_built_in_is_an_error_that_names_the_feature() {
    let config = ClientConfig::new("http://a").unwrap();
    let error = config.compression(throughline_export::otlp::Compression::Zstd).unwrap_err().to_string();
    assert!(error.contains("with the feature `zstd`"), "{error}");
}
