//! Tests with collectors that fail in different ways. Every record is delivered or counted as dropped with a
//! reason, the collector has exactly the records that the ledger counts as delivered, and the shutdown ends
//! within its deadline.
//!
//! `docs/faults.md` lists all faults and their tests.

mod support;

use opentelemetry_proto::tonic::trace::v1::Span;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
use support::receiver::{Answer, Receiver};
use support::{assert_balanced, in_own_process, ours, stderr_of, until};
use throughline::span;
use throughline_std::otlp::{ClientConfig, Signal};
use throughline_std::{Config, DropReason, Hop};

/// Number of spans that each test records.
const SPANS: u64 = 50;
/// The deadline of a shutdown. `COUNTING` is generous extra time, in which it counts the rest.
const DEADLINE: Duration = Duration::from_millis(500);
const COUNTING: Duration = Duration::from_secs(5);

/// Records spans for a collector at this endpoint, each in a batch of its own, and shuts down.
fn run(endpoint: &str) -> Hop {
    run_with(ClientConfig::new(endpoint).unwrap().retry_for(Duration::from_millis(50)))
}

fn run_with(client: ClientConfig) -> Hop {
    let client = client.first_backoff(Duration::from_millis(1));
    let config = Config::new("svc").otlp_client(client).report_errors(false).batch(1, Duration::ZERO);
    let guard = throughline_std::init(&config.queue(8)).unwrap();
    for n in 0..SPANS {
        drop(span!("work", n));
    }
    let begun = Instant::now();
    let ledger = guard.shutdown(DEADLINE).ledger;
    assert!(begun.elapsed() < DEADLINE + COUNTING, "the shutdown took {:?}", begun.elapsed());
    for (name, hop) in ledger.hops() {
        assert_eq!(hop.pending, 0, "{name}: {ledger}");
        assert_eq!(hop.input, hop.output + hop.absorbed + hop.dropped_total(), "{name}: {ledger}");
    }
    let traces = ledger.exporter("otlp.traces");
    assert_eq!(traces.input + ledger.pump.dropped_total() + ledger.ring.dropped_total(), SPANS, "{ledger}");
    traces
}

/// Checks that the collector has as many spans as the ledger counts as delivered.
fn assert_has(receiver: &Receiver, traces: &Hop) {
    receiver.with(|r| assert_eq!(r.spans.len() as u64, traces.output, "{traces:?}"));
}

fn status(status: u16, header: &'static str, times: usize) -> impl Iterator<Item = Answer> {
    std::iter::repeat_n(Answer::Status(status, header, vec![]), times)
}

#[test]
fn down_at_the_start() {
    in_own_process("down_at_the_start", || {
        let traces = run("http://127.0.0.1:1");
        assert_eq!((traces.output, traces.dropped_total()), (0, SPANS), "{traces:?}");
    });
}

#[test]
fn no_such_host() {
    in_own_process("no_such_host", || {
        let traces = run("http://no.such.host.invalid:4318");
        assert_eq!((traces.output, traces.dropped_total()), (0, SPANS), "{traces:?}");
    });
}

#[test]
fn not_a_collector() {
    in_own_process("not_a_collector", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.write_all(b"220 mail.example ESMTP\r\n");
            }
        });
        let traces = run(&endpoint);
        assert_eq!((traces.output, traces.dropped_total()), (0, SPANS), "{traces:?}");
    });
}

#[test]
fn hanging() {
    in_own_process("hanging", || {
        let receiver = Receiver::hanging_at("/v1/traces", []);
        let client = ClientConfig::new(&receiver.endpoint).unwrap().timeout(Duration::from_secs(3600));
        let traces = run_with(client);
        assert_eq!((traces.output, traces.dropped_total()), (0, SPANS), "{traces:?}");
        assert!(traces.dropped_for(DropReason::Shutdown) > 0, "{traces:?}");
    });
}

#[test]
fn hanging_is_told_at_the_end() {
    let told = stderr_of("hanging_is_told_at_the_end", || {
        let receiver = Receiver::hanging_at("/v1/traces", []);
        let client = ClientConfig::new(&receiver.endpoint).unwrap().timeout(Duration::from_secs(3600));
        let config = Config::new("svc").otlp_client(client).batch(1, Duration::ZERO).drop_deadline(DEADLINE);
        let guard = throughline_std::init(&config).unwrap();
        for n in 0..SPANS {
            drop(span!("work", n));
        }
        drop(guard);
        let traces = throughline_std::ledger().exporter("otlp.traces");
        let lost: Vec<_> =
            traces.dropped.iter().map(|(reason, n)| format!("{n} {}", reason.as_str())).collect();
        eprintln!("otlp.traces lost {SPANS} of {SPANS} records ({})", lost.join(", "));
    });
    let Some(told) = told else { return };
    let lines = ours(&told);
    let of_ledger = told.lines().find(|line| line.starts_with("otlp.traces lost")).unwrap();
    assert!(of_ledger.contains("shutdown"), "{told}");
    let last = lines.last().unwrap();
    assert!(last.contains("not everything was delivered") && last.contains(of_ledger), "{told}");
    assert!(last.ends_with("; give the shutdown more time, or a spool to otlp.traces"), "{told}");
}

#[test]
fn slow() {
    in_own_process("slow", || {
        // All requests get slow answers, so not all of them can be delivered within the deadline.
        let receiver = Receiver::start(std::iter::repeat_n(Answer::Slow(Duration::from_millis(40)), 1000));
        let traces = run(&receiver.endpoint);
        assert!(traces.output > 0 && traces.dropped_total() > 0, "{traces:?}");
        // A request under way at the deadline is counted as lost, but may still arrive.
        receiver.with(|r| {
            let extra = r.spans.len() as u64 - traces.output;
            assert!(extra <= traces.dropped_for(DropReason::Shutdown), "{extra} of {traces:?}");
        });
    });
}

#[test]
fn killed_in_mid_batch() {
    in_own_process("killed_in_mid_batch", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            // Each connection reads a part of a request and is closed.
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read_exact(&mut [0; 200]);
            }
        });
        let traces = run(&endpoint);
        assert_eq!((traces.output, traces.dropped_total()), (0, SPANS), "{traces:?}");
    });
}

#[test]
fn connections_that_are_reset() {
    in_own_process("connections_that_are_reset", || {
        let receiver = Receiver::start(std::iter::repeat_n(Answer::Close, 5));
        let client = ClientConfig::new(&receiver.endpoint).unwrap().retry_for(Duration::from_secs(30));
        let traces = run_with(client);
        assert_has(&receiver, &traces);
        assert!(traces.output > 0, "{traces:?}");
    });
}

#[test]
fn too_many_requests_and_overload_with_a_time_to_wait() {
    in_own_process("too_many_requests_and_overload_with_a_time_to_wait", || {
        let answers = status(429, "retry-after: 0\r\n", 3).chain(status(503, "retry-after: 0\r\n", 3));
        let receiver = Receiver::start(answers);
        let client = ClientConfig::new(&receiver.endpoint).unwrap().retry_for(Duration::from_secs(30));
        let traces = run_with(client);
        assert_has(&receiver, &traces);
        assert_eq!(traces.dropped_for(DropReason::Unreachable), 0, "{traces:?}");
    });
}

#[test]
fn a_time_to_wait_beyond_the_limit() {
    in_own_process("a_time_to_wait_beyond_the_limit", || {
        let receiver = Receiver::start(status(503, "retry-after: 86400\r\n", 1000));
        let traces = run(&receiver.endpoint);
        assert_eq!((traces.output, traces.dropped_total()), (0, SPANS), "{traces:?}");
        assert!(traces.dropped_for(DropReason::Unreachable) > 0, "{traces:?}");
        receiver.with(|r| assert!(r.requests <= 2, "one with spans and one with metrics: {}", r.requests));
    });
}

#[test]
fn nothing_is_sent_before_the_time_to_wait_is_over() {
    in_own_process("nothing_is_sent_before_the_time_to_wait_is_over", || {
        let receiver = Receiver::start(status(503, "retry-after: 1\r\n", 1));
        let client = ClientConfig::new(&receiver.endpoint).unwrap().retry_for(Duration::from_millis(10));
        let client = client.without_signal(Signal::Metrics);
        let config = Config::new("svc").otlp_client(client).report_errors(false).batch(1, Duration::ZERO);
        let guard = throughline_std::init(&config).unwrap();
        let begun = Instant::now();
        let mut spans = 0;
        until("the collector is asked again", || {
            drop(span!("work"));
            spans += 1;
            assert!(guard.flush(COUNTING));
            receiver.with(|r| r.requests > 1)
        });
        assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
        let ledger = guard.shutdown(COUNTING).ledger;
        assert_balanced(&ledger);
        let traces = ledger.exporter("otlp.traces");
        assert!(traces.output > 0, "{ledger}");
        assert_eq!(traces.dropped_for(DropReason::Unreachable), spans - traces.output, "{ledger}");
        assert_has(&receiver, &traces);
    });
}

#[test]
fn partial_success() {
    in_own_process("partial_success", || {
        let receiver = Receiver::start([Answer::Partial(1, "too old"), Answer::Partial(1, "too old")]);
        let traces = run(&receiver.endpoint);
        assert_eq!(traces.dropped_for(DropReason::Rejected), 2, "{traces:?}");
        // The receiver also stores the spans that it rejects.
        receiver.with(|r| assert_eq!(r.spans.len() as u64, traces.output + 2, "{traces:?}"));
    });
}

#[test]
fn a_clock_that_is_set_while_the_collector_is_away() {
    static AHEAD: AtomicBool = AtomicBool::new(false);
    const STEP: Duration = Duration::from_secs(7200);
    fn clock() -> SystemTime {
        SystemTime::now() + if AHEAD.load(Ordering::Relaxed) { STEP } else { Duration::ZERO }
    }
    in_own_process("a_clock_that_is_set_while_the_collector_is_away", || {
        let receiver = Receiver::start(status(503, "", 3));
        let client = ClientConfig::new(&receiver.endpoint).unwrap().first_backoff(Duration::from_millis(1));
        let config = Config::new("svc").otlp_client(client).report_errors(false).wall_clock(clock);
        let guard = throughline_std::init(&config.batch(1, Duration::ZERO).queue(100)).unwrap();
        let open = span!("open");
        for n in 0..SPANS / 2 {
            drop(span!("work", n));
        }
        AHEAD.store(true, Ordering::Relaxed);
        until("the step is found", || {
            drop(span!("work"));
            assert!(guard.flush(COUNTING));
            receiver
                .with(|r| r.metrics.iter().flatten().any(|metric| metric.name == "throughline.clock.steps"))
        });
        drop(open);
        drop(span!("after"));
        let report = guard.shutdown(COUNTING);
        assert!(report.complete, "{report:?}");
        assert_balanced(&report.ledger);
        let traces = report.ledger.exporter("otlp.traces");
        assert_eq!(traces.dropped_total(), 0, "{traces:?}");
        assert_has(&receiver, &traces);
        receiver.with(|r| {
            let long = |span: &Span| span.end_time_unix_nano.wrapping_sub(span.start_time_unix_nano);
            let step = STEP.as_nanos() as u64;
            assert!(r.spans.iter().all(|span| long(span) < step / 2), "no span is stretched or turned round");
            let start =
                |name: &str| r.spans.iter().find(|span| span.name == name).unwrap().start_time_unix_nano;
            assert!(start("after") - start("open") >= step, "what begins later follows the clock");
        });
    });
}

#[cfg(feature = "tls")]
#[test]
fn no_tls_where_it_is_expected() {
    in_own_process("no_tls_where_it_is_expected", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("https://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 100]);
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
            }
        });
        let traces = run(&endpoint);
        assert_eq!((traces.output, traces.dropped_total()), (0, SPANS), "{traces:?}");
    });
}

/// A collector over TLS whose certificate is for this name. Returns its port, and the authority's certificate as PEM. With
/// `knows_clients`, it takes clients alone that have a certificate of its authority.
#[cfg(feature = "tls")]
fn tls_collector(name: &str, knows_clients: bool) -> (u16, String) {
    use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::server::WebPkiClientVerifier;
    use std::sync::Arc;
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = if knows_clients {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from(authority.der().to_vec())).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        config.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        config.with_no_client_auth()
    };
    let config = Arc::new(config.with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let _ = rustls::StreamOwned::new(connection, stream).read(&mut [0; 100]);
        }
    });
    (port, authority.pem())
}

#[cfg(feature = "tls")]
#[test]
fn a_certificate_of_an_unknown_authority() {
    in_own_process("a_certificate_of_an_unknown_authority", || {
        let (port, _) = tls_collector("localhost", false);
        let traces = run(&format!("https://localhost:{port}"));
        assert_eq!((traces.output, traces.dropped_total()), (0, SPANS), "{traces:?}");
        assert!(traces.dropped_for(DropReason::Unreachable) > 0, "{traces:?}");
    });
}

#[cfg(feature = "tls")]
#[test]
fn a_certificate_of_another_name() {
    in_own_process("a_certificate_of_another_name", || {
        let (port, authority) = tls_collector("collector.example", false);
        let traces = run_with(trusting(port, &authority));
        assert_eq!((traces.output, traces.dropped_total()), (0, SPANS), "{traces:?}");
        assert!(traces.dropped_for(DropReason::Unreachable) > 0, "{traces:?}");
    });
}

#[cfg(feature = "tls")]
#[test]
fn a_collector_that_wants_a_certificate_of_its_clients() {
    in_own_process("a_collector_that_wants_a_certificate_of_its_clients", || {
        let (port, authority) = tls_collector("localhost", true);
        let traces = run_with(trusting(port, &authority));
        assert_eq!((traces.output, traces.dropped_total()), (0, SPANS), "{traces:?}");
        assert!(traces.dropped_for(DropReason::Unreachable) > 0, "{traces:?}");
    });
}

/// A client that trusts the authority with this certificate.
#[cfg(feature = "tls")]
fn trusting(port: u16, authority: &str) -> ClientConfig {
    let file = std::env::temp_dir().join(format!("throughline-faults-{}.pem", std::process::id()));
    std::fs::write(&file, authority).unwrap();
    let client = ClientConfig::new(&format!("https://localhost:{port}")).unwrap();
    let client = client.retry_for(Duration::from_millis(50)).ca_certificate(&file);
    std::fs::remove_file(file).unwrap();
    client.unwrap()
}

#[test]
fn a_refusal() {
    in_own_process("a_refusal", || {
        // One of the refusals may hit the metrics of the shutdown instead.
        let receiver = Receiver::start(status(400, "", 3));
        let traces = run(&receiver.endpoint);
        assert_has(&receiver, &traces);
        assert!((2..=3).contains(&traces.dropped_for(DropReason::Refused)), "{traces:?}");
    });
}
