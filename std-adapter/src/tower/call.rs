//! A request that is served or sent: what is recorded and counted of it, by the conventions for HTTP and for gRPC.

use super::grpc::{self, Code};
use super::request::{self, OTHER, method_label, version_label};
use super::{Route, active};
use crate::conventions::{Convention, Operation, Site, convention, late_fields};
use http::{Extensions, HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use std::time::Duration;
use throughline::adapter::bridge::{BusySince, FieldList};
use throughline::metrics::{InFlight, UpDownCounter};
use throughline::{Context, DetachedSpan, Status};

static HTTP_SERVER: Convention = convention!(
    Server,
    http_name,
    "throughline_std::tower",
    "http.server.request.duration",
    "Duration of HTTP server requests",
    labels: &["http.request.method", "http.route"],
    outcome: &["url.scheme", "network.protocol.version", "http.response.status_code", "error.type"],
    fields: &[
        "http.request.method",
        "http.request.method_original",
        "http.route",
        "url.scheme",
        "url.path",
        "url.query",
        "server.address",
        "server.port",
        "client.address",
        "network.protocol.version",
        "user_agent.original",
    ]
);

static HTTP_CLIENT: Convention = convention!(
    Client,
    http_name,
    "throughline_std::tower",
    "http.client.request.duration",
    "Duration of HTTP client requests",
    labels: &["http.request.method", "url.template", "server.address", "server.port"],
    outcome: &["network.protocol.version", "http.response.status_code", "error.type"],
    fields: &[
        "http.request.method",
        "http.request.method_original",
        "url.template",
        "url.full",
        "server.address",
        "server.port",
    ]
);

static RPC_SERVER: Convention = convention!(
    Server,
    rpc_name,
    "throughline_std::tower",
    "rpc.server.call.duration",
    "Duration of incoming calls of remote procedures",
    labels: &["rpc.system.name", "rpc.method"],
    outcome: &["rpc.response.status_code", "error.type"],
    fields: &[
        "rpc.system.name",
        "rpc.system",
        "rpc.service",
        "rpc.method",
        "server.address",
        "server.port",
        "client.address",
        "user_agent.original",
    ]
);

static RPC_CLIENT: Convention = convention!(
    Client,
    rpc_name,
    "throughline_std::tower",
    "rpc.client.call.duration",
    "Duration of outgoing calls of remote procedures",
    labels: &["rpc.system.name", "rpc.method", "server.address", "server.port"],
    outcome: &["rpc.response.status_code", "error.type"],
    fields: &["rpc.system.name", "rpc.system", "rpc.service", "rpc.method", "server.address", "server.port"]
);

fn http_name(labels: &[&str]) -> String {
    match labels {
        [OTHER, "", ..] => "HTTP".to_owned(),
        [OTHER, route, ..] => format!("HTTP {route}"),
        [method, "", ..] => (*method).to_owned(),
        [method, route, ..] => format!("{method} {route}"),
        _ => String::new(),
    }
}

fn rpc_name(labels: &[&str]) -> String {
    labels.get(1).copied().unwrap_or_default().to_owned()
}

/// `error.type` of a call that was given up before its end.
const CANCELLED: &str = "cancelled";
/// `error.type` of a call whose code panicked.
const PANIC: &str = "panic";

/// The parts of a request that a call reads.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) version: Version,
    pub(super) headers: &'a HeaderMap,
    pub(super) extensions: &'a Extensions,
}

impl<'a> Head<'a> {
    pub(super) fn of<B>(request: &'a Request<B>) -> Head<'a> {
        Head {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    fn user_agent(self) -> Option<&'a str> {
        self.headers.get(http::header::USER_AGENT)?.to_str().ok()
    }

    /// The method, if its label does not tell it.
    fn original_method(self) -> Option<&'a str> {
        (method_label(self.method) == OTHER).then_some(self.method.as_str())
    }

    /// Method and service, if this is a call of gRPC.
    fn rpc(self) -> Option<(&'a str, &'a str)> {
        if grpc::is_call(self.headers) { grpc::method(self.uri.path()) } else { None }
    }
}

fn scheme(uri: &Uri) -> &'static str {
    if uri.scheme() == Some(&http::uri::Scheme::HTTPS) { "https" } else { "http" }
}

/// A call that has begun. If it is dropped before its end, it was cancelled.
#[derive(Debug)]
pub(super) struct Call {
    operation: Operation,
    is_server: bool,
    /// Whether it is a call of gRPC; then the name of its method.
    rpc: Option<Box<str>>,
    method: &'static str,
    scheme: &'static str,
    version: &'static str,
    status: Option<StatusCode>,
    code: Option<Code>,
    /// `error.type`, if the call failed without an answer that says so.
    error: Option<&'static str>,
    first_byte: Option<Duration>,
    bytes: u64,
    /// The size of the response's body, if it is known.
    expected: Option<u64>,
    #[allow(dead_code, reason = "its drop counts the request as no longer active")]
    active: Option<InFlight<UpDownCounter>>,
}

impl Call {
    /// Begins the call of a server, at the current place.
    pub(super) fn serve(head: Head<'_>, route: Option<&str>, client: Option<&str>) -> Call {
        let (host, port) = request::host(head.uri, head.headers).unzip();
        let (method, scheme) = (method_label(head.method), scheme(head.uri));
        let mut fields;
        let site = match head.rpc() {
            Some((name, service)) => {
                fields = FieldList::expecting(RPC_SERVER.fields.len());
                push_rpc(&mut fields, name, service);
                // A method that a stranger made up is not worth a series of its own.
                Site::if_known(&RPC_SERVER, &[GRPC, name])
            }
            None => {
                fields = FieldList::expecting(HTTP_SERVER.fields.len());
                fields.push(method);
                fields.push(&head.original_method());
                fields.push(&route);
                fields.push(scheme);
                fields.push(head.uri.path());
                fields.push(&head.uri.query().map(request::redacted).as_deref());
                Site::of(&HTTP_SERVER, &[method, route.unwrap_or_default()])
            }
        };
        fields.push(&host);
        fields.push(&port.flatten());
        fields.push(&client);
        if head.rpc().is_none() {
            fields.push(version_label(head.version));
        }
        fields.push(&head.user_agent());
        let operation = Operation::begin(site, Context::current(), &mut fields);
        let mut call = Call::new(operation, head, method, scheme);
        (call.is_server, call.active) = (true, active::of_server(method, scheme));
        call
    }

    /// Begins the call of a client, at the current place; `server` is that of requests that do not name theirs.
    pub(super) fn send(head: Head<'_>, server: Option<&Uri>) -> Call {
        let origin = server.filter(|_| head.uri.authority().is_none()).unwrap_or(head.uri);
        let (method, scheme) = (method_label(head.method), scheme(origin));
        let known = request::host(origin, head.headers);
        let (host, port) =
            known.map(|(host, port)| (host, port.unwrap_or(request::default_port(scheme)))).unzip();
        let port_text = port.map_or_else(String::new, |port| port.to_string());
        let [address, port_label] = [host.unwrap_or_default(), &*port_text];
        let template = head.extensions.get::<Route>().map(Route::as_str);
        let mut fields;
        let site = match head.rpc() {
            Some((name, service)) => {
                fields = FieldList::expecting(RPC_CLIENT.fields.len());
                push_rpc(&mut fields, name, service);
                Site::of(&RPC_CLIENT, &[GRPC, name, address, port_label])
            }
            None => {
                fields = FieldList::expecting(HTTP_CLIENT.fields.len());
                fields.push(method);
                fields.push(&head.original_method());
                fields.push(&template);
                fields.push(&request::full(origin, head.headers, head.uri).as_deref());
                Site::of(&HTTP_CLIENT, &[method, template.unwrap_or_default(), address, port_label])
            }
        };
        fields.push(&host);
        fields.push(&port);
        let operation = Operation::begin(site, Context::current(), &mut fields);
        let mut call = Call::new(operation, head, method, scheme);
        let labels = [method, address, port_label, scheme, template.unwrap_or_default()];
        call.active = Some(active::of_client(labels));
        call
    }

    fn new(operation: Operation, head: Head<'_>, method: &'static str, scheme: &'static str) -> Call {
        Call {
            operation,
            is_server: false,
            rpc: head.rpc().map(|(name, _)| name.into()),
            method,
            scheme,
            version: version_label(head.version),
            status: None,
            code: None,
            error: None,
            first_byte: None,
            bytes: 0,
            expected: None,
            active: None,
        }
    }

    pub(super) fn is_rpc(&self) -> bool {
        self.rpc.is_some()
    }

    pub(super) fn span(&self) -> &DetachedSpan {
        &self.operation.span
    }

    /// Counts the time until the guard is dropped as busy, and notes a panic in it.
    pub(super) fn busy(&mut self) -> Busy<'_> {
        Busy { since: self.operation.span.busy_since(), was_panicking: std::thread::panicking(), call: self }
    }

    /// The response has come, with a body of this size.
    pub(super) fn respond<B>(&mut self, response: &Response<B>, expected: Option<u64>) {
        let has_body = !matches!(response.status().as_u16(), 101 | 204 | 304) && self.method != "HEAD";
        self.expected = if has_body { expected } else { Some(0) };
        self.status = Some(response.status());
        self.code = if self.rpc.is_some() { Code::of(response.headers()) } else { None };
        if !self.is_server {
            self.version = version_label(response.version());
        } else if let Some(route) = response.extensions().get::<Route>()
            && self.rpc.is_none()
        {
            self.set_route(route.as_str());
        }
    }

    fn set_route(&mut self, route: &str) {
        let labels = [self.method, route];
        self.operation.span.record("http.route", route);
        self.operation.span.set_name(&http_name(&labels));
        self.operation.move_to(Site::of(&HTTP_SERVER, &labels));
    }

    /// A part of the body has come.
    pub(super) fn data(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        if self.first_byte.is_none() {
            self.first_byte = Some(self.operation.elapsed());
        }
    }

    /// The trailers have come.
    pub(super) fn trailers(&mut self, trailers: &HeaderMap) {
        if self.rpc.is_some() {
            self.code = Code::of(trailers).or(self.code);
        }
    }

    /// The response ended as it should.
    pub(super) fn complete(mut self) {
        self.end(Status::Unset);
    }

    /// The call ended without a response or within it.
    pub(super) fn fail(mut self, error: &'static str) {
        self.error = Some(error);
        self.end(Status::Error);
    }

    fn end(&mut self, status: Status) {
        match self.rpc.take() {
            Some(method) => self.end_rpc(&method, status),
            None => self.end_http(status),
        }
    }

    fn end_http(&mut self, mut status: Status) {
        let least = if self.is_server { 500 } else { 400 };
        if status == Status::Unset && self.status.is_some_and(|status| status.as_u16() >= least) {
            status = Status::Error;
        }
        let answered = self.status.as_ref().map_or("", StatusCode::as_str);
        let error = self.error.unwrap_or(if status == Status::Error { answered } else { "" });
        if let Some(callsite) = late_fields!(
            "throughline_std::tower",
            &["http.response.status_code", "http.response.body.size", FIRST_BYTE, "error.type", VERSION]
        ) {
            let mut fields = FieldList::expecting(5);
            fields.push(&self.status.map(|status| status.as_u16()));
            fields.push(&self.status.map(|_| self.bytes));
            fields.push(&self.first_byte.map(|first| first.as_nanos() as u64));
            fields.push(&Some(error).filter(|error| !error.is_empty()));
            fields.push(&Some(self.version).filter(|_| !self.is_server));
            self.operation.span.add_list(callsite, &mut fields);
        }
        let outcome = [self.scheme, self.version, answered, error];
        self.operation.end(status, &outcome[usize::from(!self.is_server)..]);
    }

    fn end_rpc(&mut self, method: &str, mut status: Status) {
        let code = self.code.unwrap_or(match (self.error, self.status) {
            (Some(CANCELLED), _) => Code::CANCELLED,
            (Some(PANIC), _) => Code::INTERNAL,
            (None, Some(answered)) => Code::of_http(answered),
            _ => Code::UNKNOWN,
        });
        if status == Status::Unset {
            status = if self.is_server { code.of_server() } else { code.of_client() };
        }
        let error = self.error.unwrap_or(if status == Status::Error { code.name() } else { "" });
        if self.is_server {
            if code == Code::UNIMPLEMENTED {
                self.operation.span.set_name(GRPC);
                self.operation.span.record("rpc.method", OTHER);
                self.operation.span.record("rpc.method_original", method);
                self.operation.move_to(Site::of(&RPC_SERVER, &[GRPC, OTHER]));
            } else {
                self.operation.move_to(Site::of(&RPC_SERVER, &[GRPC, method]));
            }
        }
        if let Some(callsite) = late_fields!(
            "throughline_std::tower",
            &["rpc.response.status_code", "rpc.grpc.status_code", FIRST_BYTE, "error.type"]
        ) {
            let mut fields = FieldList::expecting(4);
            fields.push(code.name());
            fields.push(&code.number());
            fields.push(&self.first_byte.map(|first| first.as_nanos() as u64));
            fields.push(&Some(error).filter(|error| !error.is_empty()));
            self.operation.span.add_list(callsite, &mut fields);
        }
        self.operation.end(status, &[code.name(), error]);
    }
}

const GRPC: &str = "grpc";
const VERSION: &str = "network.protocol.version";
/// The time from the beginning of the request to the first byte of the response's body.
const FIRST_BYTE: &str = "throughline.first_byte_ns";

/// Pushes what the conventions for RPC say now, and what they said before, which backends still look for.
fn push_rpc(fields: &mut FieldList, name: &str, service: &str) {
    for text in [GRPC, GRPC, service, name] {
        fields.push(text);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.operation.is_over() {
            return;
        }
        let is_whole = self.status.is_some() && self.expected.is_some_and(|size| self.bytes >= size);
        // A client may leave what it does not want of a response; that is no failure.
        if self.error.is_none()
            && (is_whole || !self.is_server && self.status.is_some())
            && self.rpc.is_none()
        {
            return self.end(Status::Unset);
        }
        let status = if self.error.is_some() { Status::Error } else { Status::Cancelled };
        self.error.get_or_insert(CANCELLED);
        self.end(status);
    }
}

/// See [`Call::busy`].
pub(super) struct Busy<'a> {
    call: &'a mut Call,
    since: BusySince,
    was_panicking: bool,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.was_panicking {
            self.call.error = Some(PANIC);
        }
        self.call.operation.span.count_busy(self.since);
    }
}
