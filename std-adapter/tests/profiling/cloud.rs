//! Profiles that Google Cloud Profiler asks for, as its documentation describes the cycle: a strict server of ours stands in for it.

use crate::{Folder, price};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use throughline_std::profiling::Report;
use throughline_std::{Config, init};

/// A request and where its answer goes.
struct Call {
    line: String,
    authorization: String,
    body: Value,
    answer: Sender<(u16, Value)>,
}

/// Reads one request of a connection, and closes it after the answer.
fn serve(mut stream: TcpStream, calls: &Sender<Call>) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 65_536]);
    let head_end = loop {
        let read = stream.read(&mut buffer).unwrap();
        if read == 0 {
            return;
        }
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
}

fn from_base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{other}"),
    };
    let chunk = |chunk: &[u8]| {
        let digits: Vec<u32> = chunk.iter().filter(|it| **it != b'=').map(|it| digit(*it)).collect();
        let word = digits.iter().fold(0, |word, digit| word << 6 | digit) << (6 * (4 - digits.len()));
        word.to_be_bytes()[1..digits.len()].to_vec()
    };
    assert_eq!(text.len() % 4, 0);
    text.as_bytes().chunks(4).flat_map(chunk).collect()
}

/// The next request, while this thread computes so that there are samples.
fn next(calls: &Receiver<Call>) -> Call {
    for _ in 0..600 {
        match calls.try_recv() {
            Ok(call) => return call,
            Err(_) => drop(price(Duration::from_millis(50))),
        }
    }
    panic!("no request came")
}

const NAME: &str = "cloud::documented_cloud_profiler_gets_what_it_asks_for";

#[test]
fn documented_cloud_profiler_gets_what_it_asks_for() {
    crate::support::in_own_process(NAME, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (send, calls) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let send = send.clone();
                std::thread::spawn(move || serve(stream.unwrap(), &send));
            }
        });
        let folder = Folder::new("cloud");
        let file = folder.0.join("shop.toml");
        let text = format!(
            "service.version = \"1.2\"\n\
            [profiling]\nenabled = true\n\
            cpu = {{ duration = \"3s\", frequency = 499 }}\n\
            memory = {{ enabled = true, interval = \"16KiB\" }}\n\
            [profiling.exporter]\n\
            type = \"gcp\"\nendpoint = {endpoint:?}\n\
            gcp_project_id = \"my-project-1\"\ngcp_service_name = \"checkout\"\ngcp_zone = \"us-central1-a\"\n\
            token.command = [\"echo\", \"t0ken\"]\nfile_output_dir = {:?}\n",
            folder.0
        );
        std::fs::write(&file, text).unwrap();
        let config = Config::load(&file).unwrap().without_otlp().terminal(false);
        let guard = init(&config).unwrap();
        let kept = vec![1_u8; 10_000_000];

        let deployment = json!({
            "projectId": "my-project-1",
            "target": "checkout",
            "labels": {"language": "rust", "version": "1.2", "zone": "us-central1-a"},
        });
        let create = |call: &Call| {
            assert_eq!(call.line, "POST /v2/projects/my-project-1/profiles HTTP/1.1");
            assert_eq!(call.authorization, "Bearer t0ken");
            assert_eq!(call.body, json!({"deployment": deployment, "profileType": ["CPU", "HEAP"]}));
        };
        // Nothing is wanted now.
        let call = next(&calls);
        create(&call);
        let details = json!([
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.050s"}
        ]);
        let aborted =
            json!({"error": {"code": 409, "status": "ABORTED", "message": "backoff", "details": details}});
        call.answer.send((409, aborted)).unwrap();
        for (kind, id) in [("CPU", "4a-1_b"), ("HEAP", "4a-2")] {
            let call = next(&calls);
            create(&call);
            let name = format!("projects/my-project-1/profiles/{id}");
            let wanted =
                json!({"name": name, "profileType": kind, "deployment": deployment, "duration": "10s"});
            call.answer.send((200, wanted)).unwrap();
            let call = next(&calls);
            // Before all else: a profile is sent for at most as long as a window.
            call.answer.send((200, json!({ "name": name }))).unwrap();
            assert_eq!(call.line, format!("PATCH /v2/{name} HTTP/1.1"));
            assert_eq!(call.authorization, "Bearer t0ken");
            let mut body = call.body.clone();
            let bytes = body["profileBytes"].take();
            let instance = body["labels"]["instance"].take();
            assert!(instance.as_str().is_some_and(|it| !it.is_empty()), "{instance}");
            let expected = json!({
                "name": name, "profileType": kind, "deployment": deployment, "duration": "10s",
                "labels": {"instance": null}, "profileBytes": null,
            });
            assert_eq!(body, expected);
            let report = Report::read_pprof(&from_base64(bytes.as_str().unwrap())).unwrap();
            assert_eq!(report.is_cpu(), kind == "CPU");
            let function = if kind == "CPU" { "profiling::price" } else { "profiling::cloud" };
            assert!(report.folded().contains(function), "{}", report.folded());
        }
        // The next one waits for ever, which the end of the process does not.
        create(&next(&calls));
        drop(kept);
        let ledger = guard.shutdown(Duration::from_secs(60)).ledger;
        let hop = ledger.exporter("profiles.gcp");
        assert_eq!((hop.input, hop.output, hop.dropped_total()), (2, 2, 0), "{ledger}");
    });
}
