//! Sends profiles to backends over HTTP: to Pyroscope in pprof's format, and to what takes OTLP profiles.

use crate::http::{client, parse_retry_after};
use crate::ledger::DropReason;
use crate::push::PushUrlError;
use crate::text::{escaped, masked_url};
use crate::{Deadline, ExportError};
use std::fmt::{self, Write};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest time that an attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause before the second attempt; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Most bytes of an answer that are read.
const ANSWER_LIMIT: u64 = 4096;

/// The body that a backend wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileFormat {
    /// pprof, compressed by gzip.
    Pprof,
    /// `ExportProfilesServiceRequest` of OTLP, `v1development`.
    Otlp,
}

/// A backend for profiles. It is asked again until the deadline if it is not there or too busy.
#[derive(Clone)]
pub struct ProfileClient {
    agent: ureq::Agent,
    url: String,
    /// For Pyroscope: the application with its labels, as `name{key=value}`.
    application: Option<String>,
    headers: Vec<(String, String)>,
}

/// Leaves out the headers, which may be secret.
impl fmt::Debug for ProfileClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileClient").field("url", &shown(&self.url)).finish_non_exhaustive()
    }
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
        let url = checked(endpoint, "http://localhost:4040")?;
        Ok(ProfileClient {
            agent: client().build().new_agent(),
            url: format!("{url}/ingest"),
            application,
            headers: Vec::new(),
        })
    }

    /// OTLP over HTTP, `POST /v1development/profiles`; a Collector needs the gate `service.profilesSupport`. `endpoint` is such as
    /// `http://localhost:4318`.
    ///
    /// # Errors
    ///
    /// As for [`ProfileClient::pyroscope`].
    pub fn otlp(endpoint: &str) -> Result<ProfileClient, PushUrlError> {
        let url = checked(endpoint, "http://localhost:4318")?;
        let headers = vec![("otlp-profiles-development-version".into(), "1".into())];
        let url = format!("{url}/v1development/profiles");
        Ok(ProfileClient { agent: client().build().new_agent(), url, application: None, headers })
    }

    /// Adds a header to each request, such as `authorization`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> ProfileClient {
        self.headers.push((name.into(), value.into()));
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
        let (url, content_type, body) = match &self.application {
            Some(application) => {
                let seconds =
                    |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                let (from, until) = (seconds(started), seconds(started + duration).max(seconds(started) + 1));
                let name = percent_encoded(application);
                let url = format!(
                    "{}?name={name}&from={from}&until={until}&format=pprof&spyName=throughline",
                    self.url
                );
                let boundary = format!("throughline-{:016x}", RandomState::new().hash_one(from));
                (url, format!("multipart/form-data; boundary={boundary}"), multipart(&boundary, body))
            }
            None => (self.url.clone(), "application/x-protobuf".to_owned(), body.to_vec()),
        };
        let mut pause = FIRST_PAUSE;
        loop {
            let Err((why, after)) = self.attempt(&url, &content_type, &body, deadline)? else {
                return Ok(());
            };
            let wait = after.unwrap_or(pause);
            if !deadline.pause(wait) {
                return Err(ExportError::new(DropReason::Unreachable, 1, why));
            }
            pause *= 2;
        }
    }

    /// The outer error is for ever; the inner one may be over at the next attempt, after the pause that was asked for.
    fn attempt(
        &self,
        url: &str,
        content_type: &str,
        body: &[u8],
        deadline: &Deadline,
    ) -> Result<Result<(), (String, Option<Duration>)>, ExportError> {
        let peer = shown(&self.url);
        let Some(timeout) = deadline.left_of(PATIENCE) else {
            return Ok(Err((format!("{peer} did not take a profile: the deadline had passed"), None)));
        };
        let request = self.agent.post(url).config().timeout_global(Some(timeout)).build();
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let mut response = match request.content_type(content_type).send(body) {
            Ok(response) => response,
            Err(error) => {
                // The library may quote the URL.
                let error = error.to_string().replace(url, &peer);
                let why = format!("{peer} did not take a profile: {error}; check that it listens there");
                return Ok(Err((why, None)));
            }
        };
        let status = response.status().as_u16();
        let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let after = after.and_then(parse_retry_after);
        let answer = response.body_mut().with_config().limit(ANSWER_LIMIT).read_to_vec().unwrap_or_default();
        let said: String = String::from_utf8_lossy(&answer).trim().chars().take(200).collect();
        match status {
            200..=299 => Ok(Ok(())),
            429 | 502 | 503 | 504 => {
                Ok(Err((format!("{peer} did not take a profile: status {status} {}", escaped(&said)), after)))
            }
            _ => {
                let hint = match status {
                    401 | 403 => "set the credentials that it wants",
                    404 | 405 => {
                        "check the port and the path; a Collector needs the gate service.profilesSupport"
                    }
                    _ => "see its log",
                };
                let why = format!("{peer} answered {status} ({}): {hint}", escaped(&said));
                Err(ExportError::new(DropReason::Refused, 1, why))
            }
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

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte.into());
        } else {
            // Writing into a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// The URL without a slash at its end.
fn checked(url: &str, example: &'static str) -> Result<String, PushUrlError> {
    let parsed = url.trim().parse::<ureq::http::Uri>().ok();
    let parsed = parsed.filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    match parsed.as_ref().and_then(|uri| uri.scheme_str()) {
        Some("https") if !cfg!(feature = "tls") => Err(PushUrlError::NoTls(shown(url))),
        Some("http" | "https") => Ok(url.trim().trim_end_matches('/').to_owned()),
        _ => Err(PushUrlError::Url(shown(url), example)),
    }
}

/// The URL as it is shown in messages.
fn shown(url: &str) -> String {
    escaped(&masked_url(url)).into_owned()
}
