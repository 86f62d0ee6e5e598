//! Slack: incoming webhooks, with blocks.

use super::{Notifier, WHAT, retried};
use crate::alert::{Alert, AlertState, Notice};
use std::fmt::Write;
use throughline_export::ledger::DropReason;
use throughline_export::text::{escaped, json};
use throughline_export::{Deadline, ExportError, Post, PushUrlError};

/// Most alerts that are shown one by one; Slack takes 50 blocks.
const MOST: usize = 20;
/// Most characters of a heading, and of the text of an alert.
const HEADING: usize = 150;
const TEXT: usize = 2900;

/// Posts notices to a channel of Slack by an [incoming webhook](https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks): a heading, a
/// block for each alert with its texts and labels, and a red or green line beside them. The address is a secret: messages show no more than its host and port.
#[derive(Clone, Debug)]
pub struct Slack {
    post: Post,
    service: String,
}

impl Slack {
    /// Posts to this address, such as `https://hooks.slack.com/services/…`. `service` is who speaks.
    ///
    /// # Errors
    ///
    /// It is no URL.
    pub fn new(webhook_url: &str, service: impl Into<String>) -> Result<Slack, PushUrlError> {
        let post = Post::secret(WHAT, webhook_url, "https://hooks.slack.com/services/T…/B…/…")?;
        let post = post.retry(retried).hint(|status| match status {
            403 | 404 | 410 => Some("the webhook is gone, or its channel is; make another one in Slack"),
            _ => None,
        });
        Ok(Slack { post, service: service.into() })
    }
}

impl Notifier for Slack {
    fn notify(&mut self, notice: &Notice, deadline: &Deadline) -> Result<(), ExportError> {
        let body = body(notice, &self.service);
        let answer = self.post.send("", "application/json", &[], body.as_bytes(), deadline)?;
        match String::from_utf8_lossy(&answer).trim() {
            "ok" | "" => Ok(()),
            other => {
                let why =
                    format!("{} answered {}, not ok; check the address", self.post.shown(), escaped(other));
                Err(ExportError::new(DropReason::Rejected, 1, why))
            }
        }
    }
}

fn body(notice: &Notice, service: &str) -> String {
    let firing = notice.in_state(AlertState::Firing).count();
    let (sign, color) = if firing > 0 { ("🔥", "#c0392b") } else { ("✅", "#27ae60") };
    let title = cut(&format!("{sign} {} in {service}", super::title(notice)), HEADING);
    let mut blocks = vec![format!(
        "{{\"type\":\"header\",\"text\":{{\"type\":\"plain_text\",\"text\":{},\"emoji\":true}}}}",
        json(&title)
    )];
    let section = |text: &str| {
        format!(
            "{{\"type\":\"section\",\"text\":{{\"type\":\"mrkdwn\",\"text\":{}}}}}",
            json(&cut(text, TEXT))
        )
    };
    let why = notice.explanation();
    if !why.is_empty() {
        blocks.push(section(&marked(&why)));
    }
    blocks.extend(notice.alerts.iter().take(MOST).map(|alert| section(&shown(alert))));
    if notice.alerts.len() > MOST {
        blocks.push(section(&format!("… and {} more", notice.alerts.len() - MOST)));
    }
    format!(
        "{{\"text\":{},\"attachments\":[{{\"color\":\"{color}\",\"blocks\":[{}]}}]}}",
        json(&marked(&title)),
        blocks.join(",")
    )
}

/// An alert as a text in Slack's notation.
fn shown(alert: &Alert) -> String {
    let mut out = format!("*{}*", marked(&alert.name));
    if !alert.severity().is_empty() {
        let _ = write!(out, " · {}", marked(alert.severity()));
    }
    let _ = write!(out, " · {}", alert.state.as_str());
    for (name, text) in &alert.annotations {
        match &**name {
            "summary" | "description" => _ = write!(out, "\n{}", marked(text)),
            name => _ = write!(out, "\n{}: {}", marked(name), marked(text)),
        }
    }
    let labels: Vec<String> =
        super::told_labels(alert).map(|(name, value)| format!("{name}={value}")).collect();
    if !labels.is_empty() {
        let _ = write!(out, "\n`{}`", marked(&labels.join(" ")).replace('`', "'"));
    }
    for line in super::told_lines(alert) {
        let _ = write!(out, "\n{}", marked(&line));
    }
    out
}

/// Text without a meaning in Slack's notation. Source: Slack, "Formatting text for app surfaces".
fn marked(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// At most so many characters.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => {
            let end = text[..at].char_indices().next_back().map_or(0, |(last, _)| last);
            format!("{}…", &text[..end])
        }
        None => text.to_owned(),
    }
}
