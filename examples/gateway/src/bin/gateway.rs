//! The gateway: takes reports from a serial port, and asks the house below the span of each.
//!
//! ```text
//! cargo run -p gateway-example --bin gateway -- --device localhost:4000 --house http://localhost:8090
//! ```

use anyhow::{Context, ensure};
use axum::body::Body;
use axum::http::{Request, Uri};
use gateway_example::{BOOK, Booked, Reading, Report, finish};
use http_body_util::BodyExt;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lexopt::prelude::{Long, Short, ValueExt};
use throughline::{Instrument, info, span, warn};
use throughline_std::Config;
use throughline_std::propagation::{Origin, Propagate, receive_bytes};
use throughline_std::tower::{Client, ClientLayer, Route};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;
use tower_layer::Layer;
use tower_service::Service;

const HELP: &str = "\
usage: gateway --device ADDRESS --house URL

Takes reports from a microcontroller's serial port until the port is closed.

  --device ADDRESS  the serial port over TCP, as ser2net and QEMU offer it
  --house URL       where the house answers, such as http://localhost:8090
";

/// What the microcontroller gets if the house has no answer.
const NO_SETPOINT: i16 = i16::MIN;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (mut device, mut house) = (None, None);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("device") => device = Some(args.value()?.string()?),
            Long("house") => house = Some(args.value()?.string()?),
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let (Some(device), Some(house)) = (device, house) else { anyhow::bail!("{HELP}") };
    let guard = throughline_std::init(&Config::new("gateway"))?;
    let link = TcpStream::connect(&device).await;
    let link = link.with_context(|| format!("no serial port at {device}: choose another with --device"))?;
    serve(link, &House::new(&house)?).await?;
    finish(guard)
}

/// Answers each report with a setpoint, until the port is closed.
async fn serve(mut link: TcpStream, house: &House) -> anyhow::Result<()> {
    let mut bytes = [0; Report::LEN];
    while link.read_exact(&mut bytes).await.is_ok() {
        let setpoint = answer(Report::new(bytes), house).await;
        link.write_all(&setpoint.to_le_bytes()).await?;
    }
    Ok(())
}

/// The answer to a report, whose span is below that of the device.
async fn answer(report: Report, house: &House) -> i16 {
    // The rules of `propagation` hold for a device as for any other sender.
    let received = match receive_bytes(report.context(), Origin::route("sensor.report").peer("device")) {
        Ok(received) => received,
        Err(required) => {
            warn!("a report of room {room} is refused: {required}", room = report.room());
            return NO_SETPOINT;
        }
    };
    let work = async {
        let celsius = f32::from(report.temperature()) / 100.0;
        let span = span!(kind: Server, "sensor.report", room = report.room(), celsius = celsius);
        received.describe(&span);
        let span = span.detach();
        match handle(report, house).instrument(span.context()).await {
            Ok(setpoint) => {
                span.record("setpoint", f32::from(setpoint) / 100.0);
                setpoint
            }
            Err(failure) => {
                span.fail(&failure);
                NO_SETPOINT
            }
        }
    };
    work.in_carried(received.carried()).await
}

/// Books a report. Returns the setpoint of its room.
async fn handle(report: Report, house: &House) -> anyhow::Result<i16> {
    let setpoint = house.setpoint(report.room()).await?;
    let readings = house.book(report).await?;
    info!("room {room} has {readings} readings", room = report.room());
    Ok(setpoint)
}

/// Clients of the house, over HTTP and over gRPC.
struct House {
    address: Uri,
    http: Client<hyper_util::client::legacy::Client<HttpConnector, Body>>,
    ledger: Client<Channel>,
}

impl House {
    fn new(address: &str) -> anyhow::Result<House> {
        let endpoint = Endpoint::from_shared(address.to_owned())?;
        let address = endpoint.uri().clone();
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
        Ok(House {
            http: ClientLayer::new().layer(http),
            ledger: ClientLayer::new().server(address.clone()).layer(endpoint.connect_lazy()),
            address,
        })
    }

    /// The setpoint of a room in hundredths of a degree Celsius, over HTTP.
    async fn setpoint(&self, room: u8) -> anyhow::Result<i16> {
        let url = format!("{}rooms/{room}/setpoint", self.address);
        // The template is the span's name, and a label of its metric.
        let request = Request::get(url).extension(Route::new("/rooms/{room}/setpoint")).body(Body::empty())?;
        let response = self.http.clone().call(request).await?;
        ensure!(response.status().is_success(), "the setpoint of room {room}: {}", response.status());
        let body = response.into_body().collect().await?.to_bytes();
        Ok(str::from_utf8(&body)?.trim().parse()?)
    }

    /// Books a report over gRPC. Returns how many the house has of this room.
    async fn book(&self, report: Report) -> anyhow::Result<u32> {
        let reading = Reading { room: report.room().into(), temperature: report.temperature().into() };
        // The three lines that `tonic-build` would generate.
        let mut ledger = tonic::client::Grpc::new(self.ledger.clone());
        ledger.ready().await?;
        let codec = ProstCodec::<Reading, Booked>::default();
        let booked = ledger.unary(tonic::Request::new(reading), BOOK.try_into()?, codec).await?;
        Ok(booked.into_inner().readings)
    }
}
