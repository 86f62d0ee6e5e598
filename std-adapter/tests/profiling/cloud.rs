//! Profiles that Google Cloud Profiler asks for, as its documentation describes the cycle: a strict server of ours stands in for it.

#[cfg(feature = "tls")]
#[path = "../../export/tests/support/certificates.rs"]
mod certificates;
#[path = "../../export/tests/support/cloud_profiler.rs"]
mod cloud_profiler;

use crate::{Folder, price};
use cloud_profiler::{Call, later, listen, name, wanted};
use serde_json::json;
use std::sync::mpsc::Receiver;
use std::time::Duration;
#[cfg(feature = "tls")]
use throughline_std::DropReason;
use throughline_std::profiling::Report;
use throughline_std::{Config, init};

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
        let (endpoint, calls) = listen();
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
        call.answer.send(later("0.050s")).unwrap();
        for (kind, id) in [("CPU", "4a-1_b"), ("HEAP", "4a-2")] {
            let call = next(&calls);
            create(&call);
            call.answer.send(wanted(id, kind, &deployment)).unwrap();
            let call = next(&calls);
            // Before all else: a profile is sent for at most as long as a window.
            call.answer.send((200, json!({ "name": name(id) }))).unwrap();
            assert_eq!(call.line, format!("PATCH /v2/{} HTTP/1.1", name(id)));
            assert_eq!(call.authorization, "Bearer t0ken");
            let mut body = call.body.clone();
            let bytes = body["profileBytes"].take();
            let instance = body["labels"]["instance"].take();
            assert!(instance.as_str().is_some_and(|it| !it.is_empty()), "{instance}");
            let expected = json!({
                "name": name(id), "profileType": kind, "deployment": deployment, "duration": "10s",
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

#[cfg(feature = "tls")]
#[test]
fn a_token_of_a_file_is_followed_and_a_profile_without_one_is_counted_and_told() {
    let name_of_test = "cloud::a_token_of_a_file_is_followed_and_a_profile_without_one_is_counted_and_told";
    let stderr = crate::support::stderr_of(name_of_test, || {
        let folder = Folder::new("cloud-file");
        certificates::write(&folder.0, "localhost");
        let (endpoint, calls) = cloud_profiler::listen_securely(&folder.0);
        let token = folder.0.join("token");
        let file = folder.0.join("shop.toml");
        let text = format!(
            "[profiling]\nenabled = true\n\
            cpu = {{ duration = \"1s\", frequency = 499 }}\n\
            [profiling.exporter]\n\
            type = \"gcp\"\nendpoint = {endpoint:?}\ncertificate = {:?}\n\
            gcp_project_id = \"my-project-1\"\ngcp_service_name = \"checkout\"\n\
            token.file = {token:?}\nfile_output_dir = {:?}\n",
            folder.0.join("ca.pem"),
            folder.0
        );
        std::fs::write(&file, text).unwrap();
        std::fs::write(&token, "first\n").unwrap();
        let config = Config::load(&file).unwrap().without_otlp().terminal(false);
        let guard = init(&config).unwrap();
        let deployment = json!({"projectId": "my-project-1", "target": "checkout"});
        for (id, asked_with, sent_with) in [("1", "first", "second"), ("2", "second", "third")] {
            let call = next(&calls);
            assert_eq!(call.authorization, format!("Bearer {asked_with}"));
            std::fs::write(&token, sent_with).unwrap();
            call.answer.send(wanted(id, "CPU", &deployment)).unwrap();
            let call = next(&calls);
            call.answer.send((200, json!({ "name": name(id) }))).unwrap();
            assert_eq!(call.line, format!("PATCH /v2/{} HTTP/1.1", name(id)));
            assert_eq!(call.authorization, format!("Bearer {sent_with}"));
        }
        let call = next(&calls);
        std::fs::write(&token, "").unwrap();
        call.answer.send(wanted("3", "CPU", &deployment)).unwrap();
        let lost = || guard.ledger().exporter("profiles.gcp").dropped_for(DropReason::Unreachable);
        while lost() == 0 {
            price(Duration::from_millis(50));
        }
        let ledger = guard.shutdown(Duration::from_secs(60)).ledger;
        let hop = ledger.exporter("profiles.gcp");
        assert_eq!((hop.input, hop.output, hop.dropped_total()), (3, 2, 1), "{ledger}");
    });
    if let Some(stderr) = stderr {
        let lines = crate::support::ours(&stderr);
        let told = |what: &str| {
            lines.iter().any(|line| line.starts_with(what) && line.contains("/token gives no token"))
        };
        assert!(told("throughline: a profile was not sent: the token file "), "{lines:#?}");
        assert!(told("throughline: no profile goes to Google Cloud now: the token file "), "{lines:#?}");
    }
}
