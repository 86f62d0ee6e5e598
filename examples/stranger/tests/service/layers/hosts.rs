//! The layers around other hosts than axum: hyper by itself, and tonic's own server.

use super::{CLIENT, SERVER, assert_has, find, number, recorded, text};
use crate::parent;
use crate::support::look::status;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Code;
use std::convert::Infallible;
use stranger_example::warehouse::rpc::warehouse_client::WarehouseClient;
use stranger_example::warehouse::rpc::warehouse_server::WarehouseServer;
use stranger_example::warehouse::{Reservation, Shelf, Warehouse};
use throughline_std::tower::{ClientLayer, ServerLayer};
use tokio::net::TcpListener;
use tonic::transport::server::{TcpConnectInfo, TcpIncoming};
use tower::{ServiceExt as _, service_fn};
use tower_layer::Layer;

#[test]
fn hyper_by_itself_takes_the_layers_on_both_sides() {
    let work = async {
        let answer = |request: Request<Incoming>| async move {
            tracing::info!("asked");
            let body =
                request.into_body().collect().await.map(|body| body.to_bytes().len()).unwrap_or_default();
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(format!("{body} bytes")))))
        };
        let service = ServerLayer::new().layer(service_fn(answer));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async move {
            let (stream, _) = listener.accept().await.unwrap();
            let connection = hyper::server::conn::http1::Builder::new();
            let _ =
                connection.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).await;
        };
        tokio::spawn(serve);
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let client = ClientLayer::new().layer(client);
        let request = Request::put(format!("http://{address}/shelves/7")).body(Empty::new()).unwrap();
        let response = client.oneshot(request).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "0 bytes");
    };
    recorded("layers::hosts::hyper_by_itself_takes_the_layers_on_both_sides", work, |got| {
        let (server, client) = (find(&got.spans, "PUT", SERVER), find(&got.spans, "PUT", CLIENT));
        assert_eq!(parent(&got.spans, server).unwrap().span_id, client.span_id);
        assert_has(server, [("url.path", text("/shelves/7")), ("http.response.body.size", number(7))]);
        assert_has(
            client,
            [("http.response.status_code", number(200)), ("http.response.body.size", number(7))],
        );
        assert_eq!(got.logs.len(), 1);
        assert_eq!(got.logs[0].span_id, server.span_id);
    });
}

#[test]
fn tonics_own_server_takes_the_layer() {
    let work = async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let layer = ServerLayer::new()
            .client(|extensions| extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr));
        let mut server = tonic::transport::Server::builder().layer(layer);
        let server = server.add_service(WarehouseServer::new(Warehouse));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = ClientLayer::new().layer(channel.connect().await.unwrap());
        let lamp = Reservation { item: "lamp".into() };
        let shelf = WarehouseClient::new(channel.clone()).reserve(lamp.clone()).await.unwrap();
        assert_eq!(shelf.into_inner().number, 4);
        // A method that the service does not have.
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<Reservation, Shelf>::default();
        let path = "/shop.Warehouse/Steal".parse().unwrap();
        let refused = client.unary(tonic::Request::new(lamp), path, codec).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unimplemented);
    };
    recorded("layers::hosts::tonics_own_server_takes_the_layer", work, |got| {
        let name = "shop.Warehouse/Reserve";
        let (server, client) = (find(&got.spans, name, SERVER), find(&got.spans, name, CLIENT));
        assert_eq!(parent(&got.spans, server).unwrap().span_id, client.span_id);
        assert_eq!((status(server), status(client)), (Code::Unset, Code::Unset));
        assert_has(server, [("rpc.response.status_code", text("OK")), ("client.address", text("127.0.0.1"))]);
        let handler = find(&got.spans, "reserve", 1);
        assert_eq!(handler.parent_span_id, server.span_id);
        // Nobody can make up names of methods on the server; the client knows what it asked for.
        let (server, client) =
            (find(&got.spans, "grpc", SERVER), find(&got.spans, "shop.Warehouse/Steal", CLIENT));
        assert_eq!((status(server), status(client)), (Code::Error, Code::Error));
        assert_has(
            server,
            [
                ("rpc.method", text("_OTHER")),
                ("rpc.method_original", text("shop.Warehouse/Steal")),
                ("rpc.response.status_code", text("UNIMPLEMENTED")),
            ],
        );
    });
}
