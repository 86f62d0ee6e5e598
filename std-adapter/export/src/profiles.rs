//! Sends profiles to backends: to Pyroscope in pprof's format, to what takes OTLP profiles, and to Google Cloud Profiler.

mod gcp;

pub use gcp::{
    CLOUD_PROFILER, CloudProfileKind, CloudProfiler, CloudProfilerError, NotWanted, WantedProfile,
};

use crate::ledger::DropReason;
use crate::otlp::{Client, ClientConfig, ConfigError, SendError, Signal};
use crate::post::Post;
use crate::push::PushUrlError;
use crate::{Deadline, ExportError};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The body that a backend wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileFormat {
    /// pprof, compressed by gzip.
    Pprof,
    /// `ExportProfilesServiceRequest` of OTLP, `v1development`.
    Otlp,
}

/// A backend for profiles. It is asked again until the deadline if it is not there or too busy.
#[derive(Clone, Debug)]
pub struct ProfileClient(Backend);

#[derive(Clone, Debug)]
enum Backend {
    Pyroscope {
        post: Post,
        /// With its labels, as `name{key=value}`.
        application: String,
    },
    Otlp {
        config: ClientConfig,
        /// Made with the first profile; clones share its connection.
        client: Arc<Mutex<Option<Client>>>,
    },
}

impl ProfileClient {
    /// Pyroscope's HTTP ingest, `POST /ingest`: <https://grafana.com/docs/pyroscope/latest/reference-server-api/>. `endpoint` is such as
    /// `http://localhost:4040`. Labels are for the whole application, such as `environment` and `version`.
    ///
    /// # Errors
    ///
    /// The endpoint is no URL, or wants TLS that is not built in.
    pub fn pyroscope<'a>(
        endpoint: &str,
        application: &str,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<ProfileClient, PushUrlError> {
        // What has a meaning in the format is replaced.
        let plain = |text: &str| text.replace(['{', '}', ',', '=', '"'], "_");
        let labels: Vec<_> = labels
            .into_iter()
            .map(|(name, value)| format!("{}={}", plain(&name.replace(['.', '-'], "_")), plain(value)))
            .collect();
        let application = format!("{}{{{}}}", plain(application), labels.join(","));
        let post = Post::new("a profile", endpoint, "http://localhost:4040")?;
        Ok(ProfileClient(Backend::Pyroscope { post, application }))
    }

    /// OTLP over HTTP. `endpoint` is such as `http://localhost:4318`; a Collector needs the gate `service.profilesSupport`.
    ///
    /// # Errors
    ///
    /// The endpoint is no URL, or wants TLS that is not built in.
    pub fn otlp(endpoint: &str) -> Result<ProfileClient, ConfigError> {
        ProfileClient::otlp_with(ClientConfig::new(endpoint)?)
    }

    /// OTLP, by a configuration with endpoint, protocol, headers, certificates and compression: over HTTP `POST /v1development/profiles`, or over gRPC.
    /// A Collector needs the gate `service.profilesSupport`.
    ///
    /// ```no_run
    /// use throughline_export::otlp::{ClientConfig, Protocol};
    /// use throughline_export::profiles::ProfileClient;
    /// let client = ProfileClient::otlp_with(ClientConfig::new("http://localhost:4317")?.protocol(Protocol::Grpc)?)?;
    /// # Ok::<(), throughline_export::otlp::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The protocol is JSON, in which profiles are not written.
    pub fn otlp_with(config: ClientConfig) -> Result<ProfileClient, ConfigError> {
        Ok(ProfileClient(Backend::Otlp { config: config.of_profiles()?, client: Arc::default() }))
    }

    /// Adds a header to each request, such as `authorization`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> ProfileClient {
        self.0 = match self.0 {
            Backend::Pyroscope { post, application } => {
                Backend::Pyroscope { post: post.header(name, value), application }
            }
            // A client that is connected already would go on without the header.
            Backend::Otlp { config, .. } => {
                Backend::Otlp { config: config.header(name, value), client: Arc::default() }
            }
        };
        self
    }

    /// Trusts a backend whose certificate is signed by an authority in this PEM file, instead of by one in Mozilla's list.
    ///
    /// # Errors
    ///
    /// The file cannot be read or has no certificate, or TLS is not built in.
    pub fn ca_certificate(self, path: impl AsRef<Path>) -> Result<ProfileClient, ConfigError> {
        Ok(ProfileClient(match self.0 {
            Backend::Pyroscope { post, application } => {
                Backend::Pyroscope { post: post.ca_certificate(path)?, application }
            }
            // As for headers.
            Backend::Otlp { config, .. } => {
                Backend::Otlp { config: config.ca_certificate(path)?, client: Arc::default() }
            }
        }))
    }

    /// Its name in the ledger.
    pub fn name(&self) -> &'static str {
        match self.0 {
            Backend::Pyroscope { .. } => "profiles.pyroscope",
            Backend::Otlp { .. } => "profiles.otlp",
        }
    }

    /// The body that it wants.
    pub fn format(&self) -> ProfileFormat {
        match self.0 {
            Backend::Pyroscope { .. } => ProfileFormat::Pprof,
            Backend::Otlp { .. } => ProfileFormat::Otlp,
        }
    }

    /// Sends a profile that began at `started`, and tries again until the deadline. It waits on the calling thread.
    ///
    /// # Errors
    ///
    /// Why the profile is lost, and what can be done.
    pub fn send(
        &self,
        body: &[u8],
        started: SystemTime,
        duration: Duration,
        deadline: &Deadline,
    ) -> Result<(), ExportError> {
        match &self.0 {
            Backend::Pyroscope { post, application } => {
                let seconds =
                    |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                let (from, until) = (seconds(started), seconds(started + duration).max(seconds(started) + 1));
                let name = crate::text::percent_encode(application);
                let more =
                    format!("/ingest?name={name}&from={from}&until={until}&format=pprof&spyName=throughline");
                let boundary = format!("throughline-{:016x}", RandomState::new().hash_one(from));
                let content_type = format!("multipart/form-data; boundary={boundary}");
                post.send(&more, &content_type, &[], &multipart(&boundary, body), deadline).map(drop)
            }
            Backend::Otlp { config, client } => {
                let mut client = client.lock().unwrap_or_else(PoisonError::into_inner);
                let client = client.get_or_insert_with(|| Client::new(config.clone()));
                // All signals of this configuration go to the place of profiles.
                match client.send_until(Signal::Traces, body, deadline) {
                    Ok(delivered) if delivered.rejected > 0 => {
                        Err(ExportError::new(DropReason::Rejected, 1, delivered.to_string()))
                    }
                    Ok(_) => Ok(()),
                    Err(error) => Err(refused(&error)),
                }
            }
        }
    }
}

fn refused(error: &SendError) -> ExportError {
    match error {
        SendError::Deadline { .. } => ExportError::new(DropReason::Unreachable, 1, error.to_string()),
        _ => {
            let hint = "a Collector needs the gate service.profilesSupport";
            ExportError::new(DropReason::Refused, 1, format!("{error}; {hint}"))
        }
    }
}

/// A form with one file, `profile`.
fn multipart(boundary: &str, profile: &[u8]) -> Vec<u8> {
    let mut body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"profile\"; filename=\"profile.pprof\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(profile);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    body
}
