//! The service `grpc.health.v1.Health`: health for those who ask over gRPC, such as Kubernetes and load balancers.
//!
//! Source: <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.

use super::{AdminError, AdminOptions};
use crate::Spawn;
use crate::otlp::protobuf::{Fields, Wire};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use std::fmt;
use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use ureq::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};

/// Most requests of a connection at the same time.
const STREAMS: u32 = 16;
/// Most bytes of the headers of a request, and of its message.
const HEADERS: u32 = 16 * 1024;
const MESSAGE: usize = 4096;
/// Length of the prefix of a message: a flag for compression, and the length.
const PREFIX: usize = 5;
/// How long a connection stays open after its last request.
const IDLE: Duration = Duration::from_secs(60);
/// Time between two looks at a status that is watched.
const LOOK: Duration = Duration::from_millis(200);
/// Pause after a connection could not be accepted, for example because file descriptors are exhausted.
const PAUSE: Duration = Duration::from_millis(100);

/// Codes of gRPC.
const INVALID_ARGUMENT: u8 = 3;
const NOT_FOUND: u8 = 5;
const UNIMPLEMENTED: u8 = 12;
const UNAUTHENTICATED: u8 = 16;

type Status = dyn Fn(&str) -> Option<bool> + Send + Sync;
type Respond = SendResponse<Cursor<Vec<u8>>>;

/// Serves the methods `Check` and `Watch` of `grpc.health.v1.Health` until it is dropped, over HTTP/2 with prior knowledge, or over TLS.
///
/// Requests have a deadline and few bytes, and the number of connections is bounded: further clients wait. A connection is closed when its first request does
/// not come in time, and a minute after its last one. Who watches keeps a connection. One thread serves all.
///
/// ```
/// use throughline_export::admin::{AdminOptions, GrpcHealth};
/// // The whole service is well, and nothing is known of others.
/// let health = GrpcHealth::bind(&AdminOptions::default().port(0), |service| service.is_empty().then_some(true))?;
/// health.start(&|name, run| std::thread::Builder::new().name(name.into()).spawn(run).map(drop))?;
/// println!("grpc_health_probe -addr={}", health.address());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct GrpcHealth {
    address: SocketAddr,
    /// Until it begins.
    bound: Mutex<Option<(std::net::TcpListener, Service)>>,
    stop: Arc<Notify>,
}

#[derive(Clone)]
struct Service {
    options: AdminOptions,
    #[cfg(feature = "grpc-tls")]
    tls: Option<tokio_rustls::TlsAcceptor>,
    status: Arc<Status>,
}

impl GrpcHealth {
    /// Listens at the address of the options, whose token and certificate count too. `status` tells whether a service of this name serves; `None` if there is
    /// no such service. The empty name is the whole program. It must not block.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on, or there is a certificate and the feature `grpc-tls` is off.
    pub fn bind(
        options: &AdminOptions,
        status: impl Fn(&str) -> Option<bool> + Send + Sync + 'static,
    ) -> Result<GrpcHealth, AdminError> {
        if options.identity.is_some() && !cfg!(feature = "grpc-tls") {
            return Err(AdminError::NoGrpcTls);
        }
        let (listener, address) = options.listen()?;
        let service = Service {
            options: options.clone(),
            #[cfg(feature = "grpc-tls")]
            tls: options.identity.as_ref().map(|identity| identity.with_protocol(b"h2").into()),
            status: Arc::new(status),
        };
        Ok(GrpcHealth { address, bound: Mutex::new(Some((listener, service))), stop: Arc::default() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to serve, on a thread. A second call does nothing.
    ///
    /// # Errors
    ///
    /// The thread cannot be started, or the operating system has no more file descriptors.
    pub fn start(&self, spawn: &Spawn) -> io::Result<()> {
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((listener, service)) = bound else { return Ok(()) };
        listener.set_nonblocking(true)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let stop = Arc::clone(&self.stop);
        spawn(
            "grpc-health",
            Box::new(move || {
                runtime.spawn(accept(listener, service));
                runtime.block_on(stop.notified());
            }),
        )
    }

    /// Stops serving, and closes all connections.
    pub fn stop(&self) {
        self.stop.notify_one();
    }
}

impl Drop for GrpcHealth {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for GrpcHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcHealth").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn accept(listener: std::net::TcpListener, service: Service) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let room = Arc::new(Semaphore::new(service.options.connections));
    // The semaphore is never closed.
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, service.clone(), permit))),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn connection(stream: TcpStream, service: Service, _permit: OwnedSemaphorePermit) {
    let _ = stream.set_nodelay(true);
    #[cfg(feature = "grpc-tls")]
    if let Some(tls) = &service.tls {
        let accepting = tls.accept(stream);
        if let Ok(Ok(stream)) = timeout(service.options.request_timeout, accepting).await {
            requests(stream, service).await;
        }
        return;
    }
    requests(stream, service).await;
}

/// Takes requests until the client goes.
async fn requests(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, service: Service) {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(STREAMS).max_header_list_size(HEADERS);
    let handshake = builder.handshake::<_, Cursor<Vec<u8>>>(stream);
    let Ok(Ok(mut connection)) = timeout(service.options.request_timeout, handshake).await else { return };
    let open = Arc::new(AtomicUsize::new(0));
    let mut idle = service.options.request_timeout;
    loop {
        let (request, respond) = match timeout(idle, connection.accept()).await {
            Ok(Some(Ok(request))) => request,
            Ok(_) => return,
            // Somebody watches.
            Err(_) if open.load(Ordering::Relaxed) > 0 => continue,
            Err(_) => {
                connection.graceful_shutdown();
                let _ = timeout(PAUSE, connection.accept()).await;
                return;
            }
        };
        idle = IDLE;
        open.fetch_add(1, Ordering::Relaxed);
        let (service, open) = (service.clone(), Arc::clone(&open));
        drop(tokio::spawn(async move {
            // An error is that of a client that has gone.
            let _ = answer(request, respond, &service).await;
            open.fetch_sub(1, Ordering::Relaxed);
        }));
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: Respond,
    service: &Service,
) -> Result<(), h2::Error> {
    let (head, body) = request.into_parts();
    let header =
        |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if head.method != "POST" || !header("content-type").starts_with("application/grpc") {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return respond.send_response(response, true).map(drop);
    }
    if !service.options.allows(header("authorization")) {
        return fail(
            &mut respond,
            UNAUTHENTICATED,
            "it needs the metadata authorization: Bearer and its token",
        );
    }
    let is_watch = match head.uri.path() {
        "/grpc.health.v1.Health/Check" => false,
        "/grpc.health.v1.Health/Watch" => true,
        _ => return fail(&mut respond, UNIMPLEMENTED, "there are Check and Watch of grpc.health.v1.Health"),
    };
    let message = match timeout(service.options.request_timeout, read(body)).await {
        Ok(Some(message)) => message,
        Ok(None) => {
            return fail(&mut respond, INVALID_ARGUMENT, "the message is malformed, compressed or long");
        }
        Err(_) => {
            respond.send_reset(Reason::CANCEL);
            return Ok(());
        }
    };
    let name = named(&message);
    if is_watch {
        return watch(respond, service, &name).await;
    }
    let Some(is_serving) = (service.status)(&name) else {
        return fail(&mut respond, NOT_FOUND, "there is no service of this name");
    };
    let mut stream = respond.send_response(accepted(), false)?;
    stream.send_data(status(Some(is_serving)), false)?;
    stream.send_trailers(ended(0, ""))
}

/// Sends the status, and again whenever it has changed, until the client goes.
async fn watch(mut respond: Respond, service: &Service, name: &str) -> Result<(), h2::Error> {
    let mut stream = respond.send_response(accepted(), false)?;
    let mut last = None;
    loop {
        let now = (service.status)(name);
        if last != Some(now) {
            stream.send_data(status(now), false)?;
            last = Some(now);
        }
        if timeout(LOOK, gone(&mut stream)).await.is_ok() {
            return Ok(());
        }
    }
}

/// Waits until the client gives the request up.
async fn gone(stream: &mut SendStream<Cursor<Vec<u8>>>) {
    let _ = std::future::poll_fn(|context| stream.poll_reset(context)).await;
}

/// The message of a request; `None` if it is not one, or too long.
async fn read(mut body: RecvStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.ok()?;
        body.flow_control().release_capacity(data.len()).ok()?;
        bytes.extend_from_slice(&data);
        if bytes.len() > PREFIX + MESSAGE {
            return None;
        }
    }
    let (prefix, message) = bytes.split_first_chunk::<PREFIX>()?;
    let [0, length @ ..] = *prefix else { return None };
    (u32::from_be_bytes(length) as usize == message.len()).then(|| message.to_vec())
}

/// The service that a `HealthCheckRequest` names; empty if it names none.
fn named(message: &[u8]) -> String {
    let name = Fields(message).filter_map(|field| match field {
        (1, Wire::Bytes(name)) => Some(String::from_utf8_lossy(name).into_owned()),
        _ => None,
    });
    name.last().unwrap_or_default()
}

/// A `HealthCheckResponse`, with the prefix of a message: SERVING, NOT_SERVING or SERVICE_UNKNOWN.
fn status(is_serving: Option<bool>) -> Cursor<Vec<u8>> {
    let status = match is_serving {
        Some(true) => 1,
        Some(false) => 2,
        None => 3,
    };
    Cursor::new(vec![0, 0, 0, 0, 2, 8, status])
}

fn accepted() -> Response<()> {
    let mut response = Response::new(());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

fn ended(code: u8, message: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-status", HeaderValue::from(u16::from(code)));
    if !message.is_empty() {
        headers.insert("grpc-message", HeaderValue::from_static(message));
    }
    headers
}

fn fail(respond: &mut Respond, code: u8, message: &'static str) -> Result<(), h2::Error> {
    let mut response = accepted();
    response.headers_mut().extend(ended(code, message));
    respond.send_response(response, true).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_name_counts_and_what_is_malformed_names_nothing() {
        assert_eq!(named(b""), "");
        assert_eq!(named(b"\x0a\x02ab\x10\x01\x0a\x01c"), "c");
        assert_eq!(named(b"\x0a\x7fab"), "");
    }
}
