//! Sends profiles to backends over HTTP: to Pyroscope in pprof's format, and to what takes OTLP profiles.

use crate::post::Post;
use crate::push::PushUrlError;
use crate::{Deadline, ExportError};
use std::hash::{BuildHasher, RandomState};
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
pub struct ProfileClient {
    post: Post,
    /// For Pyroscope: the application with its labels, as `name{key=value}`.
    application: Option<String>,
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
        let application = Some(format!("{}{{{}}}", plain(application), labels.join(",")));
        Ok(ProfileClient { post: post(endpoint, "http://localhost:4040")?, application })
    }

    /// OTLP over HTTP, `POST /v1development/profiles`; a Collector needs the gate `service.profilesSupport`. `endpoint` is such as
    /// `http://localhost:4318`.
    ///
    /// # Errors
    ///
    /// As for [`ProfileClient::pyroscope`].
    pub fn otlp(endpoint: &str) -> Result<ProfileClient, PushUrlError> {
        let post = post(endpoint, "http://localhost:4318")?;
        Ok(ProfileClient { post: post.header("otlp-profiles-development-version", "1"), application: None })
    }

    /// Adds a header to each request, such as `authorization`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> ProfileClient {
        self.post = self.post.header(name, value);
        self
    }

    /// Its name in the ledger.
    pub fn name(&self) -> &'static str {
        if self.application.is_some() { "profiles.pyroscope" } else { "profiles.otlp" }
    }

    /// The body that it wants.
    pub fn format(&self) -> ProfileFormat {
        if self.application.is_some() { ProfileFormat::Pprof } else { ProfileFormat::Otlp }
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
        let (more, content_type, body) = match &self.application {
            Some(application) => {
                let seconds =
                    |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                let (from, until) = (seconds(started), seconds(started + duration).max(seconds(started) + 1));
                let name = crate::text::percent_encode(application);
                let more =
                    format!("/ingest?name={name}&from={from}&until={until}&format=pprof&spyName=throughline");
                let boundary = format!("throughline-{:016x}", RandomState::new().hash_one(from));
                (more, format!("multipart/form-data; boundary={boundary}"), multipart(&boundary, body))
            }
            None => {
                ("/v1development/profiles".to_owned(), "application/x-protobuf".to_owned(), body.to_vec())
            }
        };
        self.post.send(&more, &content_type, &[], &body, deadline).map(drop)
    }
}

/// Posts profiles to this backend.
fn post(endpoint: &str, example: &'static str) -> Result<Post, PushUrlError> {
    Ok(Post::new("a profile", endpoint, example)?.hint(|status| {
        let hint = "check the port and the path; a Collector needs the gate service.profilesSupport";
        matches!(status, 404 | 405).then_some(hint)
    }))
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
