//! A gRPC server on HTTP/2, by `h2`, that keeps calls and answers as told.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::Cursor;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use ureq::http::{HeaderMap, Response};

/// How to answer a call.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Success, with this message.
    Message(Vec<u8>),
    /// Success, and the connection ends.
    MessageAndClose,
    /// This status at once, with `grpc-status-details-bin` unless it is empty.
    Status(u32, &'static str, String),
    /// An HTTP status without one of gRPC.
    Http(u16),
    /// Ends the connection without a word.
    Close,
    /// Never answers.
    Hang,
}

/// A call that came.
#[derive(Debug)]
pub struct Call {
    pub path: String,
    pub headers: HeaderMap,
    pub is_compressed: bool,
    pub body: Vec<u8>,
}

/// The server, listening on a free port of the loopback interface.
pub struct Server {
    pub endpoint: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Server {
    /// Answers the first calls as told and all others with success.
    pub fn start(replies: impl IntoIterator<Item = Reply>) -> Server {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(Vec::new()));
        let replies = Arc::new(Mutex::new(replies.into_iter().collect::<VecDeque<_>>()));
        let kept = Arc::clone(&calls);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    drop(tokio::spawn(serve(stream, Arc::clone(&kept), Arc::clone(&replies))));
                }
            });
        });
        Server { endpoint, calls }
    }

    /// What came so far.
    pub fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap()
    }
}

async fn serve(
    stream: tokio::net::TcpStream,
    calls: Arc<Mutex<Vec<Call>>>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
) {
    let handshake = h2::server::Builder::new().handshake::<_, Cursor<Vec<u8>>>(stream);
    let Ok(mut connection) = handshake.await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let reply = replies.lock().unwrap().pop_front();
        let closes = matches!(reply, Some(Reply::Close | Reply::MessageAndClose));
        let mut work = tokio::spawn(answer(request, respond, reply, Arc::clone(&calls)));
        if closes {
            // The call is read and answered while the connection is worked on.
            poll_fn(|cx| {
                let _ = connection.poll_closed(cx);
                Pin::new(&mut work).poll(cx)
            })
            .await
            .unwrap();
            connection.graceful_shutdown();
            let ended = poll_fn(|cx| connection.poll_closed(cx));
            let _ = tokio::time::timeout(Duration::from_millis(50), ended).await;
            return;
        }
    }
}

async fn answer(
    request: ureq::http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Cursor<Vec<u8>>>,
    reply: Option<Reply>,
    calls: Arc<Mutex<Vec<Call>>>,
) {
    let (parts, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(Ok(data)) = stream.data().await {
        stream.flow_control().release_capacity(data.len()).unwrap();
        body.extend_from_slice(&data);
    }
    let message = body.split_off(5);
    assert_eq!(u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize, message.len());
    let (path, headers) = (parts.uri.path().to_owned(), parts.headers);
    calls.lock().unwrap().push(Call { path, headers, is_compressed: body[0] == 1, body: message });
    let response = Response::builder().header("content-type", "application/grpc");
    let message = match reply {
        None | Some(Reply::MessageAndClose) => Vec::new(),
        Some(Reply::Message(message)) => message,
        Some(Reply::Status(code, text, details)) => {
            let mut response = response.header("grpc-status", code).header("grpc-message", text);
            if !details.is_empty() {
                response = response.header("grpc-status-details-bin", details);
            }
            respond.send_response(response.body(()).unwrap(), true).unwrap();
            return;
        }
        Some(Reply::Http(status)) => {
            let response = Response::builder().status(status).body(()).unwrap();
            respond.send_response(response, true).unwrap();
            return;
        }
        Some(Reply::Close) => return respond.send_reset(h2::Reason::INTERNAL_ERROR),
        Some(Reply::Hang) => return std::future::pending().await,
    };
    let mut stream = respond.send_response(response.body(()).unwrap(), false).unwrap();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    stream.send_data(Cursor::new([&[0], &length[..], &message].concat()), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    stream.send_trailers(trailers).unwrap();
}
