//! The errors of a configuration with which pages cannot be served.

use std::io;

/// Pages cannot be served like this.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The address cannot be listened on.
    #[error("pages cannot be served on {address}: {source}; {}", bind_hint(source))]
    Bind {
        /// Host and port, as given.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The path is not valid.
    #[error("`{path}` is no path for a page; give one that begins with a slash, such as /health")]
    Path {
        /// As given.
        path: String,
    },
    /// The token is empty, or it cannot be sent in a header.
    #[error(
        "the token for the pages is empty, or not visible ASCII; give one such as `openssl rand -hex 32` prints"
    )]
    Token,
    /// The certificate or its key cannot be used.
    #[error(
        "the certificate `{path}` for the pages cannot be used: {reason}; give PEM files of a certificate and its key"
    )]
    Certificate {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// TLS is not compiled in.
    #[error(
        "the certificate `{path}` needs TLS; build throughline-std with the feature `tls`, or serve http"
    )]
    NoTls {
        /// The certificate's file.
        path: String,
    },
    /// TLS for gRPC is not compiled in.
    #[error(
        "pages have a certificate, which the health service over gRPC needs the feature `grpc-tls` of throughline-std for; build with it, or leave its port out"
    )]
    NoGrpcTls,
}

crate::__debug_as_display!(AdminError);

pub(crate) fn bind_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there: end it, or give another port",
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: give one above, such as 9464",
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address: give 127.0.0.1, or 0.0.0.0 for all of its networks"
        }
        _ => "give an address of this machine, such as 127.0.0.1 or 0.0.0.0, and a free port",
    }
}
