//! A server for notices: it answers each request with the next of its answers, and keeps what came.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

/// What came.
#[derive(Debug)]
pub struct Posted {
    pub path: String,
    /// Names are in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Posted {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Begins to serve on loopback. An answer is what comes after `HTTP/1.1 `: a status, headers in lines of their own, and a text after an empty line. The last
/// one is given to all further requests.
pub fn serve(answers: &'static [&'static str]) -> (SocketAddr, Receiver<Posted>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, (posted, posts)) = (listener.local_addr().unwrap(), channel());
    std::thread::spawn(move || {
        let mut answers = answers.iter().copied().chain(std::iter::repeat(*answers.last().unwrap()));
        for stream in listener.incoming() {
            // The test may have ended.
            if one(stream.unwrap(), answers.next().unwrap(), &posted).is_none() {
                return;
            }
        }
    });
    (address, posts)
}

fn one(mut stream: TcpStream, answer: &str, posted: &Sender<Posted>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    let mut next = || {
        line.clear();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let first = next();
    let path = first.strip_prefix("POST ").unwrap().strip_suffix(" HTTP/1.1").unwrap().to_owned();
    let mut headers = Vec::new();
    loop {
        let line = next();
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").unwrap().1.parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let (head, text) = answer.split_once("\n\n").unwrap_or((answer, ""));
    let head = head.replace('\n', "\r\n");
    let answer =
        format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len());
    stream.write_all(answer.as_bytes()).unwrap();
    posted.send(Posted { path, headers, body: String::from_utf8(body).unwrap() }).ok()
}
