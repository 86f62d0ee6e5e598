//! Opens an HTTP/2 connection, in the clear or over TLS.

use super::{Failure, Sender};
use crate::otlp::config::Target;
use std::io::Cursor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use ureq::http::Uri;

/// Connects to the target's host. The connection makes progress only while the runtime runs.
pub(super) async fn connect(target: &Target) -> Result<Sender, Failure> {
    let uri: Uri = target.url.parse().map_err(|error| Failure::Request(format!("{error}")))?;
    let is_https = uri.scheme_str() == Some("https");
    // In a URL, an IPv6 address has brackets, which the name lookup does not accept.
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
    let failed = |error: std::io::Error| Failure::Connection(error.to_string());
    let stream = TcpStream::connect((host, port)).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    if !is_https {
        return open(stream).await;
    }
    #[cfg(feature = "grpc-tls")]
    {
        let config = target.tls.of_rustls(Some(b"h2")).map_err(Failure::Request)?;
        let name = tokio_rustls::rustls::pki_types::ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| Failure::Request(error.to_string()))?;
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        open(connector.connect(name, stream).await.map_err(failed)?).await
    }
    // `ClientConfig` does not allow this without the feature.
    #[cfg(not(feature = "grpc-tls"))]
    Err(Failure::Request("https is not built in: build with the feature `grpc-tls`".into()))
}

async fn open(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Sender, Failure> {
    let mut builder = h2::client::Builder::new();
    let (sender, connection) = builder.enable_push(false).handshake::<_, Cursor<Vec<u8>>>(stream).await?;
    // The requests on the connection report how it ended.
    drop(tokio::spawn(async { drop(connection.await) }));
    Ok(sender)
}
