//! The client's own connection: kept open, opened anew when the collector closed it, and an early answer is heard.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use throughline_std::otlp::{Client, ClientConfig, SendError};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Serves the connections that come, one after the other.
fn collector(serve: impl FnMut(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || listener.incoming().flatten().for_each(serve));
    endpoint
}

/// The length of a request's body, whose head has been read.
fn head(reader: &mut impl BufRead) -> usize {
    let lines = reader.lines().map(Result::unwrap).take_while(|line| !line.is_empty());
    let length = lines.filter_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).last();
    length.expect("a length")
}

/// Reads a request, body and all.
fn request(reader: &mut impl BufRead) -> Vec<u8> {
    let mut body = vec![0; head(reader)];
    reader.read_exact(&mut body).unwrap();
    body
}

fn client(endpoint: &str) -> Client {
    Client::new(ClientConfig::new(endpoint).unwrap().first_backoff(Duration::from_millis(1)))
}

/// Answers one request after the other on a connection, as many as it is told for each; then says that it has hung up.
fn hanging_up_after(counts: Vec<usize>) -> (String, Receiver<Vec<Vec<u8>>>) {
    let (hung_up, wait): (Sender<_>, _) = channel();
    let mut counts = counts.into_iter();
    let endpoint = collector(move |stream| {
        let mut reader = BufReader::new(&stream);
        let mut bodies = Vec::new();
        for _ in 0..counts.next().expect("no more connections than that") {
            bodies.push(request(&mut reader));
            (&stream).write_all(OK.as_bytes()).unwrap();
        }
        drop(stream);
        hung_up.send(bodies).unwrap();
    });
    (endpoint, wait)
}

#[test]
fn a_connection_serves_many_requests_and_is_replaced_when_it_was_closed() {
    let (endpoint, hung_up) = hanging_up_after(vec![3, 2]);
    let mut client = client(&endpoint);
    // Less than goes out at once, more than that, and more than a socket holds.
    let bodies = [vec![], vec![1; 100], vec![2; 100_000], vec![3; 8 << 20], vec![4; 16 * 1024]];
    for body in &bodies[..3] {
        client.send_logs(body).unwrap();
    }
    assert_eq!(hung_up.recv().unwrap(), bodies[..3]);
    for body in &bodies[3..] {
        client.send_traces(body).unwrap();
    }
    assert_eq!(hung_up.recv().unwrap(), bodies[3..]);
    assert_eq!(client.stats().attempts, 5, "none of them in vain");
}

#[test]
fn a_refusal_before_all_was_sent_is_heard() {
    let endpoint = collector(|mut stream| {
        head(&mut BufReader::with_capacity(1, &stream));
        stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig").unwrap();
    });
    let error = client(&endpoint).send_traces(&vec![7; 32 << 20]).unwrap_err();
    let SendError::Refused { status: 413, ref reason, .. } = error else { panic!("{error}") };
    assert_eq!(reason, "big");
}

#[test]
fn chunked_answers_and_closed_connections_are_understood() {
    let answers = [
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n\x0a\x00\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n\x0a\x02\x08\x07",
    ];
    let endpoint = collector(move |stream| {
        let mut reader = BufReader::new(&stream);
        for answer in answers {
            request(&mut reader);
            (&stream).write_all(answer.as_bytes()).unwrap();
        }
    });
    let mut client = client(&endpoint);
    for rejected in [0, 7, 0] {
        assert_eq!(client.send_logs(b"body").unwrap().rejected, rejected);
    }
}

#[test]
fn a_collector_that_stops_reading_is_left_in_time() {
    let (held, hold) = channel();
    let endpoint = collector(move |stream| held.send(stream).unwrap());
    let config =
        ClientConfig::new(&endpoint).unwrap().timeout(Duration::from_millis(50)).retry_for(Duration::ZERO);
    let error = Client::new(config).send_traces(&vec![7; 32 << 20]).unwrap_err();
    let SendError::Deadline { attempts: 1, ref last, .. } = error else { panic!("{error}") };
    assert_eq!(last, "timeout");
    let mut sent = Vec::new();
    // What had been sent is there; the connection is not used again.
    hold.recv().unwrap().read_to_end(&mut sent).unwrap();
    assert!(sent.len() < 32 << 20);
}
