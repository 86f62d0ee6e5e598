//! The page over real sockets: formats, errors, and clients that are slow, silent or hostile.
#![cfg(feature = "prometheus")]

#[path = "support/exposition.rs"]
mod exposition;
#[path = "support/points.rs"]
mod points;
#[path = "support/scrape.rs"]
mod scrape;

use points::point;
use scrape::{Answer, ask, connect, get};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use throughline_export::prometheus::{PageOptions, Prometheus, PrometheusOptions};
use throughline_export::view::PointData;
use throughline_export::{Deadline, Exporter, Host, ReadMetrics, Resource};

fn spawn(name: &str, run: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.into()).spawn(run).map(drop)
}

fn options() -> PrometheusOptions {
    PrometheusOptions::default().port(0)
}

/// Serves what `read` gives.
fn serving(options: PrometheusOptions, read: ReadMetrics) -> Prometheus {
    let mut prometheus = Prometheus::bind(&options).unwrap();
    prometheus.begin(&Host::new(&Resource::new("shop"), &spawn).with_metrics(&read)).unwrap();
    prometheus
}

/// Counts scrapes.
fn scrapes() -> ReadMetrics {
    let scrapes = Arc::new(AtomicU64::new(0));
    ReadMetrics::new(move |look| {
        let n = scrapes.fetch_add(1, Ordering::Relaxed) + 1;
        look(&[point("scrapes", "", &[], PointData::Counter(n))]);
    })
}

fn value(answer: &Answer, name: &str) -> f64 {
    assert_eq!(answer.status, 200, "{answer:?}");
    let open_metrics = answer.header("content-type").starts_with("application/openmetrics-text");
    exposition::parse(answer.text(), open_metrics)[name].samples[0].value
}

#[test]
fn each_scrape_reads_the_metrics_in_the_format_that_it_accepts() {
    let prometheus = serving(options(), scrapes());
    let address = prometheus.address();
    assert!(address.ip().is_loopback());
    let plain = get(address, "/metrics", "");
    assert_eq!(plain.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(plain.header("content-length"), plain.body.len().to_string());
    assert_eq!(value(&plain, "scrapes_total"), 1.0);
    let open = get(address, "/metrics?x=1", "Accept: application/openmetrics-text; version=1.0.0\r\n");
    assert_eq!(open.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(value(&open, "scrapes"), 2.0);
    assert_eq!(value(&get(address, "/metrics", ""), "scrapes_total"), 3.0);
}

#[test]
fn names_in_utf8_are_for_a_scraper_that_allows_them_if_they_are_wanted() {
    let read =
        || ReadMetrics::new(|look| look(&[point("a.b", "", &[("c.d", "e f")], PointData::GaugeInt(1))]));
    let bare = PageOptions::default().process_metrics(false).target_info(false).scope_labels(false);
    // What Prometheus 3 sends, with text alone and with OpenMetrics.
    let text =
        "Accept: text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5\r\n";
    let open = "Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,*/*;q=0.2\r\n";
    let last = |address, headers| {
        let answer = get(address, "/metrics", headers);
        let line = answer.text().lines().rfind(|line| !line.starts_with('#')).unwrap().to_owned();
        (answer.header("content-type").to_owned(), line)
    };
    let expected = |kind: &str, line: &str| (kind.to_owned(), line.to_owned());
    let plain = expected("text/plain; version=0.0.4; charset=utf-8", "a_b{c_d=\"e f\"} 1");
    let prometheus = serving(options().page(bare.clone().utf8_names(true)), read());
    let quoted = "{\"a.b\",\"c.d\"=\"e f\"} 1";
    let kind = "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
    assert_eq!(last(prometheus.address(), text), expected(kind, quoted));
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
    assert_eq!(last(prometheus.address(), open), expected(kind, quoted));
    assert_eq!(last(prometheus.address(), ""), plain);
    let prometheus = serving(options().page(bare), read());
    assert_eq!(last(prometheus.address(), text), plain);
}

#[cfg(feature = "gzip")]
#[test]
fn a_page_is_compressed_for_who_takes_it() {
    let prometheus = serving(options(), scrapes());
    let mut answer = get(prometheus.address(), "/metrics", "Accept-Encoding: gzip\r\n");
    assert_eq!(answer.header("content-encoding"), "gzip");
    let mut page = Vec::new();
    flate2::read::GzDecoder::new(&*answer.body).read_to_end(&mut page).unwrap();
    answer.body = page;
    assert_eq!(value(&answer, "scrapes_total"), 1.0);
    assert_eq!(get(prometheus.address(), "/metrics", "").header("content-encoding"), "");
}

#[test]
fn without_a_reader_the_newest_snapshot_is_served() {
    let mut prometheus =
        Prometheus::bind(&options().path("/m").page(PageOptions::default().process_metrics(false))).unwrap();
    prometheus.begin(&Host::new(&Resource::new("shop"), &spawn)).unwrap();
    assert!(prometheus.wants().points);
    let address = prometheus.address();
    let families = |answer: Answer| exposition::parse(answer.text(), false);
    assert_eq!(families(get(address, "/m", "")).into_keys().collect::<Vec<_>>(), ["target_info"]);
    for n in [7, 8] {
        prometheus.points(&[point("n", "", &[], PointData::Counter(n))]);
        assert_eq!(value(&get(address, "/m", ""), "n_total"), n as f64);
    }
}

#[test]
fn other_requests_are_told_what_is_wrong() {
    let prometheus = serving(options(), scrapes());
    let address = prometheus.address();
    let wrong = get(address, "/", "");
    assert_eq!((wrong.status, wrong.text()), (404, "there is nothing here; there are /metrics\n"));
    let post = ask(address, b"POST /metrics HTTP/1.1\r\nContent-Length: 100000\r\n\r\nabc");
    assert_eq!((post.status, post.header("allow")), (405, "GET, HEAD"));
    assert_eq!(ask(address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").status, 400);
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    assert_eq!(ask(address, long.as_bytes()).status, 431);
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1000));
    assert_eq!(ask(address, many.as_bytes()).status, 431);
    let head = ask(address, b"HEAD /metrics HTTP/1.1\r\n\r\n");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert!(head.header("content-length").parse::<u32>().unwrap() > 0);
}

/// A page of 17 MB, more than the system's buffers take.
fn large() -> ReadMetrics {
    ReadMetrics::new(|look| {
        let values: Vec<String> = (0..4_000).map(|n| format!("{n:04200}")).collect();
        let labels: Vec<[(&str, &str); 1]> = values.iter().map(|v| [("v", &**v)]).collect();
        let points: Vec<_> = labels.iter().map(|l| point("large", "", l, PointData::GaugeInt(1))).collect();
        look(&points);
    })
}

/// Whether the server has neither answered nor closed this connection.
fn is_open(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let read = stream.read(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn silent_slow_and_greedy_clients_are_still_open_when_another_has_its_page() {
    // With these deadlines the test would not end if anybody waited for them.
    let hours = Duration::from_secs(9 * 3600);
    let page = PageOptions::default().target_info(false).process_metrics(false);
    let prometheus = serving(options().connections(8).timeouts(hours, hours).page(page), large());
    let address = prometheus.address();
    let silent = [connect(address), connect(address), connect(address)];
    let halves = [connect(address), connect(address)];
    halves.iter().for_each(|mut half| half.write_all(b"GET /metrics HT").unwrap());
    let greedy = [connect(address), connect(address)];
    greedy.iter().for_each(|mut greedy| greedy.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap());
    let answer = get(address, "/metrics", "");
    assert_eq!((answer.status, answer.text().lines().count()), (200, 4_002));
    assert!(silent.iter().chain(&halves).all(is_open));
    // Those who wait are served when they go on.
    for mut half in halves {
        half.write_all(b"TP/1.1\r\n\r\n").unwrap();
        assert_eq!(scrape::answer(half).text().lines().count(), 4_002);
    }
    for greedy in greedy {
        assert_eq!(scrape::answer(greedy).text().lines().count(), 4_002);
    }
}

#[test]
fn when_all_connections_are_taken_the_idlest_makes_room() {
    let hours = Duration::from_secs(9 * 3600);
    let prometheus = serving(options().connections(3).timeouts(hours, hours), large());
    let address = prometheus.address();
    let mut greedy = connect(address);
    greedy.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    let mut first = [0; 15];
    greedy.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    // 20 silent clients take the other two places one after the other, and never that of a client with a request.
    let silent: Vec<TcpStream> = (0..20).map(|_| connect(address)).collect();
    assert_eq!(get(address, "/metrics", "").status, 200);
    assert_eq!(silent.iter().filter(|stream| is_open(stream)).count(), 1, "the last one");
    assert!(is_open(&silent[19]));
    let mut rest = Vec::new();
    greedy.read_to_end(&mut rest).unwrap();
    assert!(rest.len() > 16_000_000);
    // If all of them take their page slowly, the one that took nothing for the longest makes room.
    let greedy: Vec<TcpStream> = (0..3)
        .map(|_| {
            let mut greedy = connect(address);
            greedy.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
            greedy.read_exact(&mut first).unwrap();
            greedy
        })
        .collect();
    assert_eq!(get(address, "/metrics", "").status, 200);
    let mut taken = greedy.into_iter().map(|mut greedy| {
        let mut rest = Vec::new();
        greedy.read_to_end(&mut rest).is_ok() && rest.len() > 16_000_000
    });
    assert!(!taken.next().unwrap() && taken.all(|whole| whole));
}

#[test]
fn clients_that_send_or_take_nothing_are_cut_off() {
    let short = Duration::from_millis(300);
    let prometheus = serving(options().timeouts(short, short), large());
    let address = prometheus.address();
    let mut greedy = connect(address);
    greedy.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    greedy.read_exact(&mut [0]).unwrap();
    let silent = connect(address);
    // A byte now and then does not move the deadline.
    let mut slow = connect(address);
    let mut refused = Vec::new();
    for byte in b"GET /metrics HTTP/1.1\r\n".iter().chain(b"A: b\r\n".iter().cycle()) {
        if slow.write_all(&[*byte]).is_err() {
            break;
        }
        slow.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut answer = [0; 1024];
        match slow.read(&mut answer) {
            Ok(0) => break,
            Ok(n) => refused.extend_from_slice(&answer[..n]),
            Err(_) => {}
        }
    }
    assert!(refused.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&refused));
    assert_eq!(scrape::answer(silent).status, 408);
    // The page's deadline was before that one, so the rest of it never comes.
    let mut taken = Vec::new();
    let _ = greedy.read_to_end(&mut taken);
    assert!(taken.len() < 16_000_000);
}

#[test]
fn a_panic_while_metrics_are_read_costs_one_scrape() {
    let calls = AtomicU64::new(0);
    let read = ReadMetrics::new(move |look| {
        assert!(calls.fetch_add(1, Ordering::Relaxed) > 0, "as the test wants it");
        look(&[]);
    });
    let prometheus = serving(options().connections(1), read);
    assert_eq!(get(prometheus.address(), "/metrics", "").status, 500);
    assert_eq!(get(prometheus.address(), "/metrics", "").status, 200);
}

#[test]
fn the_port_is_free_when_it_has_finished() {
    let mut prometheus = serving(options().host("0.0.0.0").connections(3), scrapes());
    let address = SocketAddr::from(([127, 0, 0, 1], prometheus.address().port()));
    assert_eq!(get(address, "/metrics", "").status, 200);
    prometheus.finish(&Deadline::never()).unwrap();
    drop(prometheus);
    // Its thread lets go of the listener when it is woken.
    let bound = std::iter::repeat_with(|| TcpListener::bind(address)).take(100_000).find(Result::is_ok);
    assert!(bound.is_some());
}

#[test]
fn what_cannot_be_served_is_told_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = |options: PrometheusOptions| Prometheus::bind(&options).unwrap_err().to_string();
    let text = error(options().port(port));
    let begin = format!("the metrics' page cannot be served on 127.0.0.1:{port}: ");
    assert!(text.starts_with(&begin), "{text}");
    assert!(text.ends_with("; another program listens there: end it, or give another port"), "{text}");
    assert!(error(options().host("192.0.2.1")).contains("this machine has no such address"));
    assert!(
        error(options().host("no.such.host.invalid"))
            .starts_with("the metrics' page cannot be served on no.such")
    );
    assert_eq!(
        error(options().path("metrics")),
        "`metrics` is no path for the metrics' page; give one that begins with a slash, such as /metrics"
    );
}
