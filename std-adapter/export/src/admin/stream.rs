//! The bytes of a connection, with or without TLS.

use super::AdminError;
use mio::net::TcpStream;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::path::Path;

/// A connection that does not block.
pub(super) enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<rustls::StreamOwned<rustls::ServerConnection, TcpStream>>),
}

/// The server's certificate and key.
#[derive(Clone)]
pub(super) struct Identity {
    #[cfg(feature = "tls")]
    config: std::sync::Arc<rustls::ServerConfig>,
}

impl Stream {
    /// The bytes of a connection, which are encrypted if there is an identity.
    pub(super) fn new(stream: TcpStream, identity: Option<&Identity>) -> io::Result<Stream> {
        match identity {
            None => Ok(Stream::Plain(stream)),
            Some(identity) => identity.accept(stream),
        }
    }

    /// Tells the client that nothing more comes; it may still send.
    pub(super) fn end(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.shutdown(Shutdown::Write),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => {
                stream.conn.send_close_notify();
                stream.flush()?;
                stream.sock.shutdown(Shutdown::Write)
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(bytes),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.write(bytes),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.flush(),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

#[cfg(feature = "tls")]
impl Identity {
    pub(super) fn of_files(certificate: &Path, key: &Path) -> Result<Identity, AdminError> {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};

        let unusable = |path: &Path, reason: &dyn std::fmt::Display| AdminError::Certificate {
            path: path.display().to_string(),
            reason: reason.to_string(),
        };
        let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(|error| unusable(certificate, &error))?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
            .map_err(|error| unusable(certificate, &error))?;
        Ok(Identity { config: std::sync::Arc::new(config) })
    }

    /// The settings for rustls, for this protocol on top of TLS.
    #[cfg(feature = "grpc-tls")]
    pub(super) fn with_protocol(&self, protocol: &[u8]) -> std::sync::Arc<rustls::ServerConfig> {
        let mut config = (*self.config).clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        std::sync::Arc::new(config)
    }

    fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        let connection = rustls::ServerConnection::new(std::sync::Arc::clone(&self.config));
        let connection = connection.map_err(io::Error::other)?;
        Ok(Stream::Tls(Box::new(rustls::StreamOwned::new(connection, stream))))
    }
}

#[cfg(not(feature = "tls"))]
impl Identity {
    pub(super) fn of_files(certificate: &Path, _key: &Path) -> Result<Identity, AdminError> {
        Err(AdminError::NoTls { path: certificate.display().to_string() })
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        Ok(Stream::Plain(stream))
    }
}

/// Two identities are the same if they were read together.
impl PartialEq for Identity {
    fn eq(&self, other: &Identity) -> bool {
        #[cfg(feature = "tls")]
        return std::sync::Arc::ptr_eq(&self.config, &other.config);
        #[cfg(not(feature = "tls"))]
        {
            let _ = other;
            true
        }
    }
}

impl Eq for Identity {}
