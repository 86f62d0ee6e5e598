//! Health over gRPC, asked by the client of `tonic-health`.
#![cfg(all(feature = "grpc", feature = "health"))]

#[path = "support/servers.rs"]
mod servers;
mod support;

use servers::Folder;
use std::future::Future;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use support::{free_address, in_own_process};
use throughline_std::admin::AdminOptions;
use throughline_std::health::{Check, Finding, HealthOptions};
use throughline_std::{Config, Deadline, ExportError, Exporter, Guard};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Streaming};
use tonic_health::pb::health_check_response::ServingStatus::{self, NotServing, ServiceUnknown, Serving};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

type Client = HealthClient<Channel>;

fn config() -> Config {
    Config::new("shop").without_otlp().terminal(false)
}

/// Checks that are made all the time, with their pages at any port.
fn options() -> HealthOptions {
    let pages = AdminOptions::default().port(0);
    HealthOptions::default().listen(pages).interval(Duration::from_millis(2)).telemetry(false)
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

async fn connect(address: SocketAddr) -> Client {
    HealthClient::new(Endpoint::try_from(format!("http://{address}")).unwrap().connect().await.unwrap())
}

fn service(name: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: name.into() }
}

async fn check(client: &mut Client, name: &str) -> Result<ServingStatus, Code> {
    client
        .check(service(name))
        .await
        .map(|answer| answer.into_inner().status())
        .map_err(|status| status.code())
}

/// Asks until this is the answer. A test that waits for ever is killed.
async fn until(client: &mut Client, name: &str, status: ServingStatus) {
    while check(client, name).await != Ok(status) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn watch(client: &mut Client, name: &str) -> Streaming<HealthCheckResponse> {
    client.watch(service(name)).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<HealthCheckResponse>) -> ServingStatus {
    stream.message().await.unwrap().unwrap().status()
}

#[test]
fn services_and_checks_tell_what_pages_tell() {
    in_own_process("services_and_checks_tell_what_pages_tell", || {
        let is_there = Arc::new(AtomicBool::new(true));
        let looked = Arc::clone(&is_there);
        let database = Check::new("database", move || match looked.load(Ordering::SeqCst) {
            true => Finding::healthy("it answers"),
            false => Finding::unhealthy("it does not answer"),
        });
        let cache = Check::new("cache", || Finding::unhealthy("it is cold"));
        let (folder, address) = (Folder::new("health-grpc"), free_address());
        let file = folder.path().join("shop.toml");
        std::fs::write(&file, format!("health.grpc_port = {}\n", address.port())).unwrap();
        let checks = options().check(database).check(cache.optional());
        let config = Config::load(&file).unwrap().without_otlp().terminal(false).health(checks);
        let _guard = throughline_std::init(&config).unwrap();
        run(async {
            let client = &mut connect(address).await;
            until(client, "", Serving).await;
            let mut ready = watch(client, "").await;
            let mut unknown = watch(client, "shop.Orders").await;
            assert_eq!((next(&mut ready).await, next(&mut unknown).await), (Serving, ServiceUnknown));
            for (name, status) in [
                ("readiness", Ok(Serving)),
                ("liveness", Ok(Serving)),
                ("startup", Ok(Serving)),
                ("database", Ok(Serving)),
                ("cache", Ok(NotServing)),
                ("shop.Orders", Err(Code::NotFound)),
            ] {
                assert_eq!(check(client, name).await, status, "{name}");
            }
            is_there.store(false, Ordering::SeqCst);
            assert_eq!(next(&mut ready).await, NotServing);
            for (name, status) in [("", NotServing), ("database", NotServing), ("liveness", Serving)] {
                assert_eq!(check(client, name).await, Ok(status), "{name}");
            }
            assert_eq!(check(client, "startup").await, Ok(Serving), "it has been well once");
            is_there.store(true, Ordering::SeqCst);
            assert_eq!(next(&mut ready).await, Serving);
        });
    });
}

/// An exporter that ends when it may.
struct Slow(Receiver<()>);

impl Exporter for Slow {
    fn flush(&mut self, _: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }

    fn finish(&mut self, _: &Deadline) -> Result<(), ExportError> {
        let _ = self.0.recv();
        Ok(())
    }
}

#[test]
fn a_service_that_ends_is_not_ready_and_then_gone() {
    in_own_process("a_service_that_ends_is_not_ready_and_then_gone", || {
        let (go, may_go) = channel();
        let address = free_address();
        let config = config().health(options().grpc_port(address.port())).exporter("slow", Slow(may_go));
        let guard = throughline_std::init(&config).unwrap();
        run(async {
            let client = &mut connect(address).await;
            let mut ready = watch(client, "readiness").await;
            let mut live = watch(client, "liveness").await;
            assert_eq!((next(&mut ready).await, next(&mut live).await), (Serving, Serving));
            let ending = std::thread::spawn(move || guard.shutdown(Duration::from_secs(30)));
            assert_eq!(next(&mut ready).await, NotServing);
            go.send(()).unwrap();
            assert!(ending.join().unwrap().complete);
            assert!(live.message().await.is_err(), "nobody is there");
        });
    });
}

fn secured(options: AdminOptions) -> (Guard, SocketAddr) {
    let address = free_address();
    let health = HealthOptions::default().telemetry(false).grpc_port(address.port());
    let config = config().admin(options.port(0)).health(health);
    (throughline_std::init(&config).unwrap(), address)
}

#[test]
fn who_has_the_token_is_answered() {
    in_own_process("who_has_the_token_is_answered", || {
        let (_guard, address) = secured(AdminOptions::default().token("hush"));
        run(async {
            let client = &mut connect(address).await;
            assert_eq!(check(client, "").await, Err(Code::Unauthenticated));
            let mut request = Request::new(service(""));
            request.metadata_mut().insert("authorization", "Bearer hush".parse().unwrap());
            assert_eq!(client.check(request).await.unwrap().into_inner().status(), Serving);
        });
    });
}

#[test]
#[cfg(feature = "grpc-tls")]
fn pages_with_a_certificate_have_it_over_grpc_too() {
    use tonic::transport::{Certificate, ClientTlsConfig};
    in_own_process("pages_with_a_certificate_have_it_over_grpc_too", || {
        let folder = Folder::new("health-grpc-tls");
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (folder.path().join("pages.pem"), folder.path().join("pages.key"));
        std::fs::write(&certificate, certified.cert.pem()).unwrap();
        std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
        let (_guard, address) = secured(AdminOptions::default().tls(&certificate, &key).unwrap());
        run(async {
            let trusted = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certified.cert.pem()));
            let url = format!("https://localhost:{}", address.port());
            let channel =
                Endpoint::try_from(url).unwrap().tls_config(trusted).unwrap().connect().await.unwrap();
            assert_eq!(check(&mut HealthClient::new(channel), "").await, Ok(Serving));
        });
    });
}

/// With room for one connection, one that says nothing has to go after its time.
#[test]
fn a_silent_client_keeps_nobody_out() {
    in_own_process("a_silent_client_keeps_nobody_out", || {
        let short = Duration::from_millis(50);
        let (_guard, address) = secured(AdminOptions::default().connections(1).timeouts(short, short));
        let _silent = TcpStream::connect(address).unwrap();
        run(async { assert_eq!(check(&mut connect(address).await, "").await, Ok(Serving)) });
    });
}

#[test]
fn other_methods_are_refused() {
    in_own_process("other_methods_are_refused", || {
        let (_guard, address) = secured(AdminOptions::default());
        run(async {
            let channel = Endpoint::try_from(format!("http://{address}")).unwrap().connect().await.unwrap();
            let mut other = tonic::client::Grpc::new(channel);
            other.ready().await.unwrap();
            let codec = tonic_prost::ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
            let path = "/grpc.health.v1.Health/List".parse().unwrap();
            let status = other.unary(Request::new(service("")), path, codec).await.unwrap_err();
            assert_eq!(status.code(), Code::Unimplemented);
        });
    });
}
