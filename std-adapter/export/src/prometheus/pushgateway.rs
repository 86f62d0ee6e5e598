//! Pushes metrics to a Pushgateway, for jobs that end before anything scrapes them.
//!
//! Source: the Pushgateway's README, "API".

use super::negotiate::Shape;
use super::page::Renderer;
use super::process::Process;
use super::{Format, PrometheusError, PushgatewayOptions};
use crate::http::{LONGEST_TIMEOUT, client, hint_of_failure, read_body, trusting};
use crate::ledger::DropReason;
use crate::otlp::ConfigError;
use crate::text::masked_url;
use crate::view::PointView;
use crate::{Deadline, ExportError, Exporter, Host, Wants};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Attempts for the last push, which no later push can replace.
const LAST_ATTEMPTS: u32 = 4;
/// Pause before the second attempt; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Most bytes of an answer that are read.
const ANSWER_LIMIT: u64 = 4096;

/// Pushes all metrics to a Pushgateway: each snapshot that is due after [`PushgatewayOptions::interval`], and
/// the last one.
///
/// A push replaces the one before, so the next push makes up for a failed one. The last one is tried four
/// times, within the deadline of the shutdown.
pub struct Pushgateway {
    options: PushgatewayOptions,
    agent: ureq::Agent,
    /// The URL of the group, which is known when the resource is known.
    url: String,
    renderer: Option<Renderer>,
    /// The newest page, until it is pushed.
    page: Option<Vec<u8>>,
    pushed: Option<Instant>,
}

/// Leaves out the URL, which may hold a password.
impl std::fmt::Debug for Pushgateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pushgateway").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Pushgateway {
    /// A pusher. It connects at its first push.
    ///
    /// # Errors
    ///
    /// When the address is none, or a grouping label has no valid name.
    pub fn new(options: &PushgatewayOptions) -> Result<Pushgateway, PrometheusError> {
        options.check()?;
        let agent = client().build().new_agent();
        let options = options.clone();
        Ok(Pushgateway { options, agent, url: String::new(), renderer: None, page: None, pushed: None })
    }

    /// Trusts a Pushgateway whose certificate is signed by an authority in this PEM file, instead of by one in Mozilla's list.
    ///
    /// # Errors
    ///
    /// The file cannot be read or has no certificate, or TLS is not built in.
    pub fn ca_certificate(mut self, path: impl AsRef<Path>) -> Result<Pushgateway, ConfigError> {
        self.agent = trusting(path.as_ref())?;
        Ok(self)
    }

    /// Sends the newest page.
    fn push(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        let Some(page) = &self.page else { return Ok(()) };
        let request =
            if self.options.replace { self.agent.put(&self.url) } else { self.agent.post(&self.url) };
        let mut request = request.content_type(Format::Text.content_type());
        for (name, value) in &self.options.headers {
            request = request.header(name, value);
        }
        let timeout = self.timeout(deadline)?;
        self.answered(request.config().timeout_global(Some(timeout)).build().send(&page[..]))?;
        self.page = None;
        self.pushed = Some(Instant::now());
        Ok(())
    }

    fn delete(&self, deadline: &Deadline) -> Result<(), ExportError> {
        let mut request = self.agent.delete(&self.url);
        for (name, value) in &self.options.headers {
            request = request.header(name, value);
        }
        let timeout = self.timeout(deadline)?;
        self.answered(request.config().timeout_global(Some(timeout)).build().call())
    }

    fn timeout(&self, deadline: &Deadline) -> Result<Duration, ExportError> {
        let wanted = self.options.timeout.min(LONGEST_TIMEOUT);
        deadline.left_of(wanted).ok_or_else(|| {
            ExportError::new(
                DropReason::Shutdown,
                0,
                format!("there was no time left to push to {}", masked_url(&self.url)),
            )
        })
    }

    fn answered(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<(), ExportError> {
        let url = masked_url(&self.url);
        let mut answer = answer.map_err(|error| {
            let error = error.to_string().replace(&self.url, &url);
            let hint = hint_of_failure(&error, "a Pushgateway");
            let text = format!("{url} did not take the metrics: {error}; {hint}");
            ExportError::new(DropReason::Unreachable, 0, text)
        })?;
        let status = answer.status().as_u16();
        let (said, whole) = read_body(&mut answer, ANSWER_LIMIT);
        if (200..300).contains(&status) {
            return whole.map_err(|why| {
                let text =
                    format!("it is not known whether {url} took the metrics: status {status}, but {why}");
                ExportError::new(DropReason::Unreachable, 0, text)
            });
        }
        let said = String::from_utf8_lossy(&said);
        let (said, hint) = (said.trim(), hint(status));
        let said = if said.is_empty() { String::new() } else { format!(" ({said})") };
        Err(ExportError::new(DropReason::Refused, 0, format!("{url} answered {status}{said}: {hint}")))
    }

    fn is_due(&self) -> bool {
        self.pushed.is_none_or(|pushed| pushed.elapsed() >= self.options.interval)
    }
}

impl Exporter for Pushgateway {
    fn begin(&mut self, host: &Host<'_>) -> io::Result<()> {
        let service = host.resource.get("service.name").unwrap_or_default();
        self.url = self.options.url_for(service);
        self.renderer = Some(Renderer::new(host.resource.clone(), self.options.page.clone()));
        Ok(())
    }

    fn wants(&self) -> Wants {
        Wants { points: true, ..Wants::NOTHING }
    }

    fn points(&mut self, points: &[PointView<'_>]) {
        let Some(renderer) = &mut self.renderer else { return };
        let mut page = self.page.take().unwrap_or_default();
        page.clear();
        let process = self.options.page.process_metrics.then(Process::read);
        let shape = Shape { format: Format::Text, utf8: false };
        renderer.render_as(points, shape, process.as_ref(), &mut page);
        self.page = Some(page);
    }

    fn flush(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        if self.is_due() { self.push(deadline) } else { Ok(()) }
    }

    fn finish(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..LAST_ATTEMPTS {
            let done = if self.options.delete_on_exit { self.delete(deadline) } else { self.push(deadline) };
            // A refused push would be refused again.
            if done.as_ref().err().is_none_or(|error| error.reason != DropReason::Unreachable) {
                return done;
            }
            if !deadline.pause(pause) {
                return done;
            }
            pause *= 2;
        }
        if self.options.delete_on_exit { self.delete(deadline) } else { self.push(deadline) }
    }
}

const fn hint(status: u16) -> &'static str {
    match status {
        400 => {
            "it does not take these metrics beside those it has; see its log, and delete the group if another program pushed it"
        }
        401 | 403 => "give it the credentials it wants with a header",
        404 | 405 => "no Pushgateway is served there; check the port (usually 9091) and the path",
        300..=399 => "it redirects, which is not followed; give the final address",
        _ => "see the Pushgateway's log",
    }
}

/// A part of a path: name and value of a grouping label. A value with characters that have a meaning in a URL
/// is encoded in base64.
pub(super) fn segment(name: &str, value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'~' | b'.');
    if value.is_empty() {
        format!("/{name}@base64/=")
    } else if value.bytes().all(plain) && !value.bytes().all(|b| b == b'.') {
        format!("/{name}/{value}")
    } else {
        format!("/{name}@base64/{}", URL_SAFE_NO_PAD.encode(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_values_are_in_base64() {
        let cases = [
            ("web-1.example", "/l/web-1.example"),
            ("", "/l@base64/="),
            ("/var/tmp", "/l@base64/L3Zhci90bXA"),
            ("..", "/l@base64/Li4"),
            ("a b", "/l@base64/YSBi"),
            ("größe", "/l@base64/Z3LDtsOfZQ"),
        ];
        for (value, path) in cases {
            assert_eq!(segment("l", value), path);
        }
    }
}
