//! The client of Google Cloud Profiler: its tokens and certificates, against a strict server of ours.
// The client is there only with TLS.
#![cfg(feature = "tls")]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/cloud_profiler.rs"]
mod cloud_profiler;

use cloud_profiler::{Call, later, listen, listen_securely, name, unauthenticated, wanted};
use serde_json::json;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use throughline_export::ledger::DropReason;
use throughline_export::otlp::TokenSource;
use throughline_export::profiles::{CloudProfileKind, CloudProfiler, NotWanted, WantedProfile};
use throughline_export::{Deadline, ExportError};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("throughline-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn profiler(endpoint: &str, token: TokenSource) -> CloudProfiler {
    CloudProfiler::new("my-project-1", "checkout").unwrap().endpoint(endpoint).unwrap().token(token)
}

fn create(profiler: &CloudProfiler) -> Result<WantedProfile, NotWanted> {
    profiler.create(&[CloudProfileKind::Cpu])
}

fn update(profiler: &CloudProfiler, wanted: &WantedProfile) -> Result<(), ExportError> {
    profiler.update(wanted, b"pprof", &[], &Deadline::within(Duration::from_secs(30)))
}

/// Makes a request on another thread, and gives each of its attempts the next answer. Returns its result and the tokens of the attempts.
fn with_answers<T: Send>(
    calls: &Receiver<Call>,
    answers: impl IntoIterator<Item = (u16, serde_json::Value)>,
    request: impl FnOnce() -> T + Send,
) -> (T, Vec<String>) {
    std::thread::scope(|scope| {
        let request = scope.spawn(request);
        let tokens = answers.into_iter().map(|answer| {
            let call = calls.recv_timeout(Duration::from_secs(30)).expect("a request");
            call.answer.send(answer).unwrap();
            call.authorization
        });
        let tokens = tokens.collect();
        (request.join().unwrap(), tokens)
    })
}

fn cpu(id: &str) -> (u16, serde_json::Value) {
    wanted(id, "CPU", &json!({}))
}

#[test]
fn a_token_file_is_read_for_every_request_and_one_without_a_token_is_told_until_it_has_one() {
    let (endpoint, calls) = listen();
    let folder = Folder::new("cloud-token");
    let file = folder.0.join("token");
    let profiler = profiler(&endpoint, TokenSource::file(&file));
    let write = |token: &str| std::fs::write(&file, token).unwrap();

    write("first\n");
    let (asked, tokens) = with_answers(&calls, [cpu("1")], || create(&profiler));
    let one = asked.unwrap();
    assert_eq!(tokens, ["Bearer first"]);
    write("second");
    let (sent, tokens) =
        with_answers(&calls, [(200, json!({"name": name("1")}))], || update(&profiler, &one));
    assert_eq!((sent, &*tokens), (Ok(()), &["Bearer second".to_owned()][..]));

    let shown = file.display().to_string();
    let no_token = |expected: &str| {
        let Err(NotWanted::NoToken(why)) = create(&profiler) else { panic!("there is no token") };
        let lost = update(&profiler, &one).unwrap_err();
        assert_eq!((lost.reason, lost.lost), (DropReason::Unreachable, 1));
        assert_eq!(lost.message, why);
        assert!(why.starts_with(&format!("the token file {shown} {expected}")), "{why}");
        why
    };
    write(" \n");
    no_token("gives no token; it must give one line");
    std::fs::remove_file(&file).unwrap();
    assert!(no_token("cannot be read: ").ends_with("check its path and who may read it"));
    assert!(calls.try_recv().is_err(), "nothing was asked without a token");

    write("third");
    let (asked, tokens) = with_answers(&calls, [later("7s")], || create(&profiler));
    assert_eq!(asked, Err(NotWanted::Later(Duration::from_secs(7))));
    assert_eq!(tokens, ["Bearer third"]);
    // Whoever holds the file for good is told what to do.
    let (asked, _) = with_answers(&calls, [unauthenticated()], || create(&profiler));
    let Err(NotWanted::Failed(why)) = asked else { panic!("{asked:?}") };
    assert!(why.contains("answered 401 (invalid credentials): give a token"), "{why}");
}

#[cfg(unix)]
#[test]
fn a_command_whose_token_is_not_accepted_is_run_again_at_once() {
    let (endpoint, calls) = listen();
    let folder = Folder::new("cloud-command");
    let file = folder.0.join("token");
    let write = |token: &str| std::fs::write(&file, token).unwrap();
    write("old");
    let profiler = profiler(&endpoint, TokenSource::command(["cat".to_owned(), file.display().to_string()]));
    let (asked, _) = with_answers(&calls, [cpu("1")], || create(&profiler));
    let one = asked.unwrap();

    write("new");
    let taken = (200, json!({"name": name("1")}));
    let (sent, tokens) = with_answers(&calls, [unauthenticated(), taken], || update(&profiler, &one));
    assert_eq!((sent, tokens), (Ok(()), vec!["Bearer old".to_owned(), "Bearer new".to_owned()]));
    // Once for a request: this one is not good either.
    let answers = [unauthenticated(), unauthenticated()];
    let (sent, tokens) = with_answers(&calls, answers, || update(&profiler, &one));
    assert_eq!((sent.unwrap_err().reason, tokens.len()), (DropReason::Refused, 2));
}

#[test]
fn https_with_an_authority_of_its_own() {
    let folder = Folder::new("cloud-https");
    certificates::write(&folder.0, "localhost");
    let (endpoint, calls) = listen_securely(&folder.0);
    std::fs::write(folder.0.join("token"), "t0ken").unwrap();
    let untrusting = profiler(&endpoint, TokenSource::file(folder.0.join("token")));
    let Err(NotWanted::Failed(why)) = create(&untrusting) else { panic!("the authority is unknown") };
    assert!(
        why.starts_with(&format!("{endpoint} did not answer: ")) && why.contains("UnknownIssuer"),
        "{why}"
    );
    assert!(why.ends_with("signed its certificate: profiling.exporter.certificate"), "{why}");
    assert!(calls.try_recv().is_err(), "the token went to nobody");

    let error = untrusting.clone().ca_certificate(folder.0.join("token")).unwrap_err().to_string();
    assert!(error.ends_with("the certificate of the authority that signed the server's"), "{error}");
    let profiler = untrusting.ca_certificate(folder.0.join("ca.pem")).unwrap();
    let (asked, tokens) = with_answers(&calls, [cpu("1")], || create(&profiler));
    let one = asked.unwrap();
    assert_eq!(tokens, ["Bearer t0ken"]);
    let taken = (200, json!({"name": name("1")}));
    assert_eq!(with_answers(&calls, [taken], || update(&profiler, &one)).0, Ok(()));

    // The certificate is that of localhost alone.
    let other = profiler.endpoint(&endpoint.replace("localhost", "127.0.0.1")).unwrap();
    let Err(NotWanted::Failed(why)) = create(&other) else { panic!("the name is another one") };
    assert!(why.contains("certificate"), "{why}");
}
