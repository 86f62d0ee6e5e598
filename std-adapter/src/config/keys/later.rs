//! Keys of features that are not in this build. They are read and checked, so that a file can be written for a later
//! version, and a warning says that they have no effect.

use crate::config::key::Key;
use crate::config::value::Kind::{Bool, List, Path, Secret, Text};

macro_rules! later {
    ($what:literal: $($path:literal, $kind:expr, $example:literal, $doc:literal;)*) => {
        &[$(Key::not_yet($path, $kind, "", $doc, $what).example($example)),*]
    };
}

pub(super) const ALERTS: &[Key] = later! { "alerting":
    "alerts.enabled", Bool, "true", "Whether rules are looked at.";
    "alerts.rules_file", Path, "/etc/shop/alerts.yaml", "The file of rules.";
    "alerts.notification.slack.webhook_url", Secret, "${SLACK_WEBHOOK:-none}", "Where Slack takes messages. Never shown.";
    "alerts.notification.email.smtp_server", Text, "mail.example:587", "The mail server.";
    "alerts.notification.email.recipients", List(&[]), "ops@example.org", "Who gets mail.";
};
