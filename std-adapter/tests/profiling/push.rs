//! Profiles that are sent to Pyroscope as its documentation describes the protocol: a strict receiver of ours stands in for it.

use crate::{Folder, price};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;
use throughline_std::profiling::{CpuOptions, ProfileClient, ProfilingOptions, Report};
use throughline_std::{Config, init};

/// Answers requests with these statuses, one connection each, and returns their heads and bodies.
fn receive(listener: TcpListener, statuses: &[u16]) -> Vec<(String, Vec<u8>)> {
    let mut got = Vec::new();
    for status in statuses {
        let mut stream = listener.accept().unwrap().0;
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        let end = loop {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "the request is cut off");
            bytes.extend_from_slice(&buffer[..read]);
            if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        let mut body = bytes.split_off(end);
        let missing = length.expect("a length").parse::<usize>().unwrap() - body.len();
        let start = body.len();
        body.resize(start + missing, 0);
        stream.read_exact(&mut body[start..]).unwrap();
        let answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nretry-after: 0\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).unwrap();
        got.push((head, body));
    }
    got
}

#[test]
fn documented_pyroscope_gets_each_window_and_is_asked_again_when_it_is_busy() {
    let name = "push::documented_pyroscope_gets_each_window_and_is_asked_again_when_it_is_busy";
    crate::support::in_own_process(name, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || receive(listener, &[503, 200]));
        let folder = Folder::new("pyroscope");
        let labels = [("environment", "test, first"), ("version", "1.2")];
        let client =
            ProfileClient::pyroscope(&endpoint, "shop", labels).unwrap().header("x-scope-orgid", "7");
        let options =
            ProfilingOptions::new(&folder.0).cpu(CpuOptions::default().frequency(499)).exporter(client);
        let config = Config::new("shop").without_otlp().terminal(false).profiling(options);
        let guard = init(&config).unwrap();
        price(Duration::from_millis(500));
        let ledger = guard.shutdown(Duration::from_secs(60)).ledger;
        let hop = ledger.exporter("profiles.pyroscope");
        assert_eq!((hop.input, hop.output, hop.dropped_total()), (1, 1, 0), "{ledger}");
        let got = server.join().unwrap();
        assert_eq!(got[0].1, got[1].1, "the second attempt has another body");
        let (head, body) = &got[1];
        let (line, headers) = head.split_once("\r\n").unwrap();
        let query =
            line.strip_prefix("POST /ingest?").and_then(|it| it.strip_suffix(" HTTP/1.1")).expect(line);
        let values: Vec<_> = query.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
        let [
            ("name", app),
            ("from", from),
            ("until", until),
            ("format", "pprof"),
            ("spyName", "throughline"),
        ] = values[..]
        else {
            panic!("{query}")
        };
        assert_eq!(app, "shop%7Benvironment%3Dtest_%20first%2Cversion%3D1.2%7D");
        let [from, until] = [from, until].map(|text| text.parse::<u64>().unwrap());
        assert!(from > 1_600_000_000 && until > from, "{from} {until}");
        let headers = headers.to_lowercase();
        assert!(headers.contains("x-scope-orgid: 7\r\n"), "{headers}");
        let boundary = headers
            .split("content-type: multipart/form-data; boundary=")
            .nth(1)
            .unwrap()
            .lines()
            .next()
            .unwrap();
        let start = body.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
        let form = std::str::from_utf8(&body[..start]).unwrap();
        assert!(
            form.starts_with(&format!("--{boundary}\r\nContent-Disposition: form-data; name=\"profile\"")),
            "{form}"
        );
        let end = format!("\r\n--{boundary}--\r\n");
        let profile = body[start + 4..].strip_suffix(end.as_bytes()).expect("the form ends");
        let report = Report::read_pprof(profile).unwrap();
        assert!(report.folded().contains("profiling::price"), "{}", report.folded());
    });
}

#[test]
fn a_profile_that_nobody_takes_is_counted_and_its_file_stays() {
    let name = "push::a_profile_that_nobody_takes_is_counted_and_its_file_stays";
    crate::support::in_own_process(name, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || receive(listener, &[404]));
        let folder = Folder::new("nobody");
        let client = ProfileClient::otlp(&endpoint).unwrap();
        let options = ProfilingOptions::new(&folder.0).exporter(client);
        let config =
            Config::new("shop").without_otlp().terminal(false).report_errors(false).profiling(options);
        let guard = init(&config).unwrap();
        let ledger = guard.shutdown(Duration::from_secs(60)).ledger;
        let hop = ledger.exporter("profiles.otlp");
        assert_eq!(hop.dropped, [(throughline_std::DropReason::Refused, 1)], "{ledger}");
        assert_eq!(folder.names().len(), 2);
        let head = &server.join().unwrap()[0].0;
        assert!(head.starts_with("POST /v1development/profiles HTTP/1.1\r\n"), "{head}");
        assert!(head.to_lowercase().contains("otlp-profiles-development-version: 1\r\n"), "{head}");
    });
    for wrong in ["localhost:4040", "ftp://h", "http://"] {
        let error = ProfileClient::pyroscope(wrong, "shop", []).unwrap_err().to_string();
        assert!(error.contains("give one such as http://localhost:4040"), "{error}");
    }
}
