//! Pages over real sockets: routes, handlers that hang or panic, and who is answered.
#![cfg(feature = "admin")]

#[path = "support/scrape.rs"]
mod scrape;

use scrape::{Answer, ask, get};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;
use throughline_export::admin::{AdminError, AdminOptions, AdminServer, Response, Route};

fn spawn(name: &str, run: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.into()).spawn(run).map(drop)
}

fn options() -> AdminOptions {
    AdminOptions::default().port(0)
}

fn serving(options: &AdminOptions, routes: impl IntoIterator<Item = Route>) -> AdminServer {
    let server = AdminServer::bind(options).unwrap();
    routes.into_iter().for_each(|route| server.route(route));
    server.start(&spawn).unwrap();
    server
}

/// Answers with the path and the parameter `n`.
fn echo(path: &str) -> Route {
    Route::new(path, |request| {
        Response::text(200, format!("{} {}", request.path(), request.query("n").unwrap_or("-")))
    })
}

/// A route whose handler tells that it was called, and waits for a word to go on.
fn held(path: &str, deadline: Duration) -> (Route, Receiver<()>, Sender<()>) {
    let ((called, calls), (go_on, going)) = (channel(), channel());
    let (called, going) = (Mutex::new(called), Mutex::new(going));
    let route = Route::new(path, move |_| {
        called.lock().unwrap().send(()).unwrap();
        let _ = going.lock().unwrap().recv();
        Response::text(200, "at last")
    });
    (route.deadline(deadline), calls, go_on)
}

fn asking(address: SocketAddr, path: &'static str) -> std::thread::JoinHandle<Answer> {
    std::thread::spawn(move || get(address, path, ""))
}

#[test]
fn the_route_with_the_longest_path_that_fits_answers() {
    let below = Route::new("/debug/", |_| Response::text(200, "below"));
    let server = serving(&options(), [below, echo("/debug/a").also("/b")]);
    let at = server.address();
    assert!(at.ip().is_loopback());
    assert_eq!(get(at, "/debug/a?x&n=5", "").text(), "/debug/a 5");
    assert_eq!(get(at, "/b", "").text(), "/b -");
    for path in ["/debug/", "/debug/aa", "/debug/a/b"] {
        assert_eq!(get(at, path, "").text(), "below", "{path}");
    }
    let nothing = get(at, "/debug", "");
    assert_eq!(
        (nothing.status, nothing.text()),
        (404, "there is nothing here; there are /debug/, /debug/a, /b\n")
    );
    assert_eq!(get(at, "/b", "").header("connection"), "close");
    assert_eq!(ask(at, b"DELETE /b HTTP/1.1\r\n\r\n").status, 405);
    let head = ask(at, b"HEAD /b HTTP/1.1\r\n\r\n");
    assert_eq!((head.header("content-length"), head.body.len()), ("4", 0));
}

#[test]
fn a_handler_that_hangs_costs_its_own_route_alone() {
    let (hung, calls, go_on) = held("/hung", Duration::from_millis(100));
    let server = serving(&options(), [hung, echo("/other")]);
    let at = server.address();
    let first = asking(at, "/hung");
    calls.recv().unwrap();
    assert_eq!(get(at, "/other", "").status, 200);
    let first = first.join().unwrap();
    assert_eq!(
        (first.status, first.text()),
        (503, "there is no answer within 100ms: its handler still works\n")
    );
    // The handler is not called again, whether the request waits first or is refused at once.
    let second = get(at, "/hung", "");
    let text = "there is no answer within 100ms: an earlier request is still being worked on\n";
    assert_eq!((second.status, second.text()), (503, text));
    assert_eq!(get(at, "/other", "").status, 200);
    assert!(calls.try_recv().is_err());
    // When it has come back it is as before.
    go_on.send(()).unwrap();
    let answer = loop {
        let answer = asking(at, "/hung");
        if calls.recv_timeout(Duration::from_millis(20)).is_ok() {
            go_on.send(()).unwrap();
            break answer.join().unwrap();
        }
        answer.join().unwrap();
    };
    assert_eq!((answer.status, answer.text()), (200, "at last"));
}

#[test]
fn one_request_of_a_route_is_handled_after_the_other_and_all_are_answered() {
    let (held, calls, go_on) = held("/held", Duration::from_secs(3600));
    let server = serving(&options(), [held, echo("/other")]);
    let at = server.address();
    let waiting: Vec<_> = (0..5).map(|_| asking(at, "/held")).collect();
    for _ in 0..5 {
        calls.recv().unwrap();
        assert!(calls.try_recv().is_err());
        assert_eq!(get(at, "/other", "").status, 200);
        go_on.send(()).unwrap();
    }
    assert!(waiting.into_iter().all(|answer| answer.join().unwrap().text() == "at last"));
}

#[test]
fn a_client_that_is_gone_is_not_worked_for() {
    let (held, calls, go_on) = held("/held", Duration::from_millis(200));
    let server = serving(&options(), [held]);
    let at = server.address();
    let first = asking(at, "/held");
    calls.recv().unwrap();
    // The second waits behind the first until its deadline, and is then no longer wanted.
    let second = get(at, "/held", "");
    let text = "there is no answer within 200ms: an earlier request is still being worked on\n";
    assert_eq!((second.status, second.text()), (503, text));
    assert_eq!(first.join().unwrap().status, 503);
    go_on.send(()).unwrap();
    let third = loop {
        let third = asking(at, "/held");
        if calls.recv_timeout(Duration::from_millis(20)).is_ok() {
            break third;
        }
        assert_eq!(third.join().unwrap().status, 503);
    };
    go_on.send(()).unwrap();
    assert_eq!(third.join().unwrap().status, 200);
    assert!(calls.try_recv().is_err());
}

#[test]
fn only_who_has_the_token_is_answered() {
    let server = serving(&options().token("s3cret"), [echo("/a")]);
    let at = server.address();
    let status = |header: &str| get(at, "/a", header).status;
    let refused = get(at, "/a", "");
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer"));
    assert!(!refused.text().contains("s3cret"));
    for wrong in ["Bearer s3cre", "Bearer s3crets", "Bearer s3creT", "Basic s3cret", "s3cret", "Bearer "] {
        assert_eq!(status(&format!("Authorization: {wrong}\r\n")), 401, "{wrong}");
    }
    // Nor is it told which paths there are.
    assert_eq!(get(at, "/none", "").status, 401);
    assert_eq!(status("Authorization: Bearer s3cret\r\n"), 200);
    assert_eq!(status("authorization: bearer  s3cret\r\n"), 200);
    assert!(!format!("{:?}", options().token("s3cret")).contains("s3cret"));
    for none in ["", "a b", "ä"] {
        assert!(matches!(AdminServer::bind(&options().token(none)), Err(AdminError::Token)), "{none}");
    }
}

#[test]
fn a_stopped_server_leaves_its_port_and_its_threads_end() {
    let alive = Arc::new(());
    let kept = Arc::clone(&alive);
    let route = echo("/a").also("/c");
    let holding = Route::new("/b", move |_| Response::text(200, format!("{}", Arc::strong_count(&kept))));
    let server = serving(&options(), [route, holding]);
    let at = server.address();
    assert_eq!(get(at, "/b", "").status, 200);
    drop(server);
    let rebound =
        std::iter::repeat_with(|| std::net::TcpListener::bind(at)).take(1_000_000).find(Result::is_ok);
    assert!(rebound.is_some());
    // The handlers are dropped when the last thread has ended.
    while Arc::strong_count(&alive) > 1 {
        std::thread::yield_now();
    }
}

#[test]
fn a_server_whose_threads_cannot_be_started_says_so() {
    let server = AdminServer::bind(&options()).unwrap();
    server.route(echo("/a"));
    let error = server.start(&|_, _| Err(std::io::Error::other("no more threads"))).unwrap_err();
    assert_eq!(error.to_string(), "no more threads");
}

#[test]
fn many_clients_at_once_are_all_answered() {
    let server = serving(&options().connections(64), [echo("/a"), echo("/b")]);
    let (at, barrier) = (server.address(), Arc::new(Barrier::new(8)));
    let clients: Vec<_> = (0..8)
        .map(|n| {
            let barrier = Arc::clone(&barrier);
            std::thread::spawn(move || {
                barrier.wait();
                for i in 0..50 {
                    let path = if (n + i) % 2 == 0 { "/a" } else { "/b" };
                    let answer = get(at, &format!("{path}?n={n}-{i}"), "");
                    assert_eq!(answer.text(), format!("{path} {n}-{i}"));
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
}
