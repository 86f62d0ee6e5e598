//! Compresses bodies. Each method uses a library that is behind a feature.

use super::ConfigError;
use std::str::FromStr;

/// How bodies are compressed. The method is named in `Content-Encoding` over HTTP and in `grpc-encoding` over
/// gRPC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// No compression.
    #[default]
    None,
    /// gzip at its fastest level; needs the feature `gzip`.
    Gzip,
    /// zstd at level 1, which is faster than gzip and makes smaller bodies; needs the feature `zstd`.
    Zstd,
}

impl Compression {
    /// The name in headers and in configuration: `none`, `gzip`, `zstd`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }

    pub(super) fn check(self) -> Result<Compression, ConfigError> {
        let feature = match self {
            Compression::Gzip if !cfg!(feature = "gzip") => "gzip",
            Compression::Zstd if !cfg!(feature = "zstd") => "zstd",
            _ => return Ok(self),
        };
        Err(ConfigError::NotBuilt { what: format!("compression `{feature}`"), feature })
    }

    /// Compresses the body into `out`; without compression, returns `body` itself.
    pub(super) fn apply<'b>(self, body: &'b [u8], out: &'b mut Vec<u8>) -> &'b [u8] {
        match self {
            #[cfg(feature = "gzip")]
            Compression::Gzip => {
                use std::io::Write;
                out.clear();
                let mut encoder = flate2::write::GzEncoder::new(&mut *out, flate2::Compression::fast());
                // Writing to a Vec cannot fail.
                let _ = encoder.write_all(body).and_then(|()| encoder.finish().map(drop));
                out
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd => {
                out.clear();
                // Writing to a Vec cannot fail.
                let _ = zstd::stream::copy_encode(body, &mut *out, 1);
                out
            }
            _ => {
                let _ = out;
                body
            }
        }
    }
}

impl FromStr for Compression {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Compression, ConfigError> {
        let all = [Compression::None, Compression::Gzip, Compression::Zstd];
        all.into_iter().find(|one| one.as_str() == text).ok_or_else(|| ConfigError::Value {
            what: "compression",
            value: text.into(),
            expected: "none, gzip or zstd",
        })
    }
}
