//! Webhooks: any program that takes JSON over HTTP.

use super::{Notifier, WHAT, retried};
use crate::alert::engine::unix_ms;
use crate::alert::page::{labels, rfc3339};
use crate::alert::{Alert, AlertState, Labels, Notice};
use std::fmt;
use throughline_export::text::json;
use throughline_export::{Deadline, ExportError, Post, PushUrlError};

/// Posts notices as JSON in the format of Alertmanager's [webhook](https://prometheus.io/docs/alerting/latest/configuration/#webhook_config), version 4, so
/// that what takes those takes these too. Beside its keys an alert has `value`. Addresses that are not public are refused unless they are
/// [allowed](Webhook::allow_private).
///
/// The URL is taken for a secret: messages show no more than its host.
///
/// With a [secret](Webhook::secret) each request has the headers `X-Throughline-Timestamp`, in seconds since 1970, and `X-Throughline-Signature`:
/// `sha256=` and the hexadecimal HMAC-SHA256 of the timestamp, a dot, and the body. A receiver should refuse old timestamps.
#[derive(Clone)]
pub struct Webhook {
    post: Post,
    secret: Option<ring::hmac::Key>,
    service: String,
}

/// Leaves out the secret.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("post", &self.post).finish_non_exhaustive()
    }
}

impl Webhook {
    /// Posts to this URL.
    ///
    /// # Errors
    ///
    /// It is no URL.
    pub fn new(url: &str, service: impl Into<String>) -> Result<Webhook, PushUrlError> {
        let post = Post::secret(WHAT, url, "https://example.org/alerts")?.retry(retried).public_only();
        Ok(Webhook { post, secret: None, service: service.into() })
    }

    /// Signs each request with this secret.
    #[must_use]
    pub fn secret(self, secret: impl AsRef<[u8]>) -> Webhook {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_ref());
        Webhook { secret: Some(key), ..self }
    }

    /// Adds a header, such as `authorization`.
    #[must_use]
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Webhook {
        Webhook { post: self.post.header(name, value), ..self }
    }

    /// Takes addresses that are not public too, such as those of a cluster.
    #[must_use]
    pub fn allow_private(self) -> Webhook {
        Webhook { post: self.post.any_address(), ..self }
    }
}

impl Notifier for Webhook {
    fn notify(&mut self, notice: &Notice, deadline: &Deadline) -> Result<(), ExportError> {
        let body = body(notice, &self.service);
        let timestamp = (unix_ms(notice.time) / 1000).to_string();
        let signature = self.secret.as_ref().map(|key| {
            let tag = ring::hmac::sign(key, format!("{timestamp}.{body}").as_bytes());
            let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            format!("sha256={digits}")
        });
        let mut headers = Vec::new();
        if let Some(signature) = &signature {
            headers.push(("x-throughline-timestamp", &*timestamp));
            headers.push(("x-throughline-signature", &**signature));
        }
        self.post.send("", "application/json", &headers, body.as_bytes(), deadline).map(drop)
    }
}

/// A notice as JSON.
pub(super) fn body(notice: &Notice, service: &str) -> String {
    let alerts: Vec<String> = notice.alerts.iter().map(alert).collect();
    let common = |pairs: fn(&Alert) -> Vec<(String, String)>| {
        let mut shared = notice.alerts.first().map(pairs).unwrap_or_default();
        shared.retain(|pair| notice.alerts.iter().all(|alert| pairs(alert).contains(pair)));
        labels(&Labels::new(shared))
    };
    format!(
        "{{\"version\":\"4\",\"groupKey\":{},\"truncatedAlerts\":0,\"status\":\"{}\",\"receiver\":{},\"service\":{},\"groupLabels\":{},\
         \"commonLabels\":{},\"commonAnnotations\":{},\"externalURL\":\"\",\"alerts\":[{}]}}",
        json(&format!("{}:{}", notice.receiver, notice.group)),
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
         \"fingerprint\":\"{:016x}\"}}",
        alert.state.as_str(),
        labels(&alert.labels),
        labels(&annotations),
        super::super::page::number(alert.value),
        json(&rfc3339(alert.fired_at.unwrap_or(alert.active_at))),
        // The zero time of Go, as from Alertmanager.
        json(&ends_at.unwrap_or_else(|| "0001-01-01T00:00:00Z".into())),
        alert.labels.fingerprint()
    )
}
