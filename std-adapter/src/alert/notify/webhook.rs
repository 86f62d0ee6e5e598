//! Webhooks: any program that takes JSON over HTTP.

use super::{Notifier, WHAT};
use crate::alert::engine::unix_ms;
use crate::alert::page::{decision, labels, rfc3339};
use crate::alert::{Alert, AlertState, Labels, Notice};
use crate::outgoing::SignedPost;
use std::path::Path;
use throughline_export::otlp::ConfigError;
use throughline_export::text::json;
use throughline_export::{Deadline, ExportError, PushUrlError};

/// Posts notices as JSON in the format of Alertmanager's [webhook](https://prometheus.io/docs/alerting/latest/configuration/#webhook_config), version 4, so
/// that what takes those takes these too. Beside its keys an alert has `value` and what the page of alerts says about decisions, and the notice has `explanation`, `root` and `waited`. Addresses that are not public are refused unless they are
/// [allowed](Webhook::allow_private).
///
/// The URL is taken for a secret: messages show no more than its host and port.
///
/// With a [secret](Webhook::secret) each request has the headers `X-Throughline-Timestamp`, in seconds since 1970, and `X-Throughline-Signature`:
/// `sha256=` and the hexadecimal HMAC-SHA256 of the timestamp, a dot, and the body. A receiver should refuse old timestamps.
#[derive(Clone, Debug)]
pub struct Webhook {
    post: SignedPost,
    service: String,
    max_alerts: usize,
}

/// Most alerts of a notice, about half a megabyte.
const MAX_ALERTS: usize = 1000;

impl Webhook {
    /// Posts to this URL.
    ///
    /// # Errors
    ///
    /// It is no URL.
    pub fn new(url: &str, service: impl Into<String>) -> Result<Webhook, PushUrlError> {
        Webhook::post(url).map(|post| Webhook::posting(post, service))
    }

    pub(crate) fn post(url: &str) -> Result<SignedPost, PushUrlError> {
        SignedPost::new(WHAT, url, "https://example.org/alerts")
    }

    pub(crate) fn posting(post: SignedPost, service: impl Into<String>) -> Webhook {
        Webhook { post, service: service.into(), max_alerts: MAX_ALERTS }
    }

    /// Trusts a receiver whose certificate is signed by an authority in this PEM file, instead of by one in Mozilla's list. Which addresses are taken stays as
    /// it is.
    ///
    /// # Errors
    ///
    /// The file cannot be read or has no certificate.
    pub fn ca_certificate(self, path: impl AsRef<Path>) -> Result<Webhook, ConfigError> {
        Ok(Webhook { post: self.post.ca_certificate(path)?, ..self })
    }

    /// Signs each request with this secret.
    #[must_use]
    pub fn secret(self, secret: impl AsRef<[u8]>) -> Webhook {
        Webhook { post: self.post.secret(secret), ..self }
    }

    /// Adds a header, such as `authorization`.
    #[must_use]
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Webhook {
        Webhook { post: self.post.header(name, value), ..self }
    }

    /// Sends at most so many alerts of a notice, those that fire first, and in `truncatedAlerts` how many it leaves out. The default is 1000. Each has some
    /// 500 bytes.
    #[must_use]
    pub fn max_alerts(self, alerts: usize) -> Webhook {
        Webhook { max_alerts: alerts, ..self }
    }

    /// Takes addresses that are not public too, such as those of a cluster.
    #[must_use]
    pub fn allow_private(self) -> Webhook {
        Webhook { post: self.post.allow_private(), ..self }
    }
}

impl Notifier for Webhook {
    fn notify(&mut self, notice: &Notice, deadline: &Deadline) -> Result<(), ExportError> {
        let body = body(notice, &self.service, self.max_alerts);
        let seconds = u64::try_from(unix_ms(notice.time) / 1000).unwrap_or_default();
        self.post.send(&body, seconds, deadline)
    }
}

/// A notice as JSON, with at most so many alerts.
pub(super) fn body(notice: &Notice, service: &str, most: usize) -> String {
    let alerts: Vec<String> = notice.alerts.iter().take(most).map(alert).collect();
    let common = |pairs: fn(&Alert) -> Vec<(String, String)>| {
        let mut shared = notice.alerts.first().map(pairs).unwrap_or_default();
        shared.retain(|pair| notice.alerts.iter().all(|alert| pairs(alert).contains(pair)));
        labels(&Labels::new(shared))
    };
    format!(
        "{{\"version\":\"4\",\"groupKey\":{},\"truncatedAlerts\":{},\"status\":\"{}\",\"receiver\":{},\"service\":{},\"groupLabels\":{},\
         \"commonLabels\":{},\"commonAnnotations\":{},\"externalURL\":\"\",\"explanation\":{},\"root\":{},\"waited\":{},\"alerts\":[{}]}}",
        json(&format!("{}:{}", notice.receiver, notice.group)),
        notice.alerts.len() - alerts.len(),
        notice.state().as_str(),
        json(&notice.receiver),
        json(service),
        labels(&notice.group),
        common(|alert| alert.labels.iter().map(|(name, value)| (name.into(), value.into())).collect()),
        common(|alert| alert
            .annotations
            .iter()
            .map(|(name, text)| (name.to_string(), text.clone()))
            .collect()),
        json(&notice.explanation()),
        notice.root.as_ref().map_or("null".into(), labels),
        notice.waited,
        alerts.join(",")
    )
}

fn alert(alert: &Alert) -> String {
    let annotations = Labels::new(alert.annotations.iter().map(|(name, text)| (&**name, &**text)));
    let ends_at = match alert.state {
        AlertState::Resolved => alert.resolved_at.map(rfc3339),
        _ => None,
    };
    format!(
        "{{\"status\":\"{}\",\"labels\":{},\"annotations\":{},\"value\":{},\"startsAt\":{},\"endsAt\":{},\"generatorURL\":\"\",\
         \"fingerprint\":\"{:016x}\",{}}}",
        alert.state.as_str(),
        labels(&alert.labels),
        labels(&annotations),
        super::super::page::number(alert.value),
        json(&rfc3339(alert.fired_at.unwrap_or(alert.active_at))),
        // The zero time of Go, as from Alertmanager.
        json(&ends_at.unwrap_or_else(|| "0001-01-01T00:00:00Z".into())),
        alert.labels.fingerprint(),
        decision(alert)
    )
}
