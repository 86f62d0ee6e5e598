//! Keys of alert rules and of who is told.

use crate::config::key::Key;
use crate::config::places;
use crate::config::value::Kind::{
    self, Bool, Duration, Int, List, Map, OneOf, Path, Secret, SecretMap, Text,
};

const STARTS: Kind = Int { least: 0, most: 1000 };
const ALERTS: Kind = Int { least: 1, most: 1_000_000 };
const NOTICES: Kind = Int { least: 1, most: 100_000 };

const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::of_exporter(path, kind, default, doc).of_feature("alerts", cfg!(feature = "alerts"))
}

const fn of_mail(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::of_exporter(path, kind, default, doc).of_feature("alerts-email", cfg!(feature = "alerts-email"))
}

pub(super) const KEYS: &[Key] = &[
    key("alerts.enabled", Bool, "", "Whether rules are looked at, if anything is said here.").example("true"),
    key("alerts.rules_file", Path, "", "The file of rules: YAML, or TOML. `throughline rules check` checks one.")
        .example("/etc/shop/alerts.yaml"),
    key("alerts.interval", Duration, "15s", "How often rules are looked at. A range such as [5m] must be at least twice as long.").more_than_zero(),
    key("alerts.path", Text, "/alerts", "The path of the page of alerts, at admin.host and admin.port.").checked(places::path),
    key(
        "alerts.state_file",
        Path,
        "",
        "The file that keeps what is pending, fires and is silenced from one run to the next. Its folder is created. One process per file: a second one says so, goes on without, and takes it over when the first one has ended. Unless given, a restart forgets it.",
    )
    .example("/var/lib/shop/alerts.state"),
    key(
        "alerts.group_by",
        List(&[]),
        "alertname",
        "Alerts with the same values of these labels are told together; ... stands for all labels.",
    ),
    key("alerts.group_wait", Duration, "30s", "How long a new group waits for others before it is told."),
    key("alerts.group_interval", Duration, "5m", "How long to wait before news of a group that was told are told.").more_than_zero(),
    key("alerts.repeat_interval", Duration, "4h", "How long to wait before a group is told again in which nothing is new.").more_than_zero(),
    key(
        "alerts.timeout",
        Duration,
        "60s",
        "For how long a notice is tried. Then it is dropped and counted, and made again after the interval of its group.",
    )
    .more_than_zero(),
    key("alerts.restart_grace", Duration, "0s", "For how long after the process began nobody is told of alerts that begin."),
    key(
        "alerts.deploy_grace",
        Duration,
        "0s",
        "The same after the first run with another service.version. It needs alerts.state_file, which knows the one before.",
    ),
    key(
        "alerts.flapping",
        STARTS,
        "4",
        "An alert that begins to fire so often within an hour flaps: nobody is told of its changes until it is calm. With 0 none does.",
    ),
    key("alerts.rate_limit", NOTICES, "", "Most notices to a receiver within an hour. Others wait and are counted. Unless given, there is no limit.")
        .example("30"),
    key(
        "alerts.escalate_after",
        Map,
        "",
        "Receivers that are told only of alerts which have fired for so long and which nobody has acknowledged: slack, webhook, command or email, and the time.",
    )
    .example("email=30m"),
    key(
        "alerts.notification.slack.webhook_url",
        Secret,
        "",
        "The address of an incoming webhook of Slack. Never shown.",
    )
    .example("${SLACK_WEBHOOK:-none}"),
    key("alerts.notification.slack.webhook_url_file", Path, "", "A file that holds this address.")
        .example("/run/secrets/slack"),
    key(
        "alerts.notification.webhook.url",
        Secret,
        "",
        "Where notices are posted as JSON, in the format of Alertmanager's webhook. Never shown.",
    )
    .example("https://example.org/alerts"),
    key("alerts.notification.webhook.url_file", Path, "", "A file that holds this URL.").example("/run/secrets/webhook"),
    key(
        "alerts.notification.webhook.secret",
        Secret,
        "",
        "What notices are signed with: the header X-Throughline-Signature is sha256= and, in hexadecimal, the HMAC-SHA256 of the header X-Throughline-Timestamp, a dot and the body. Never shown.",
    )
    .example("${WEBHOOK_SECRET:-none}"),
    key("alerts.notification.webhook.secret_file", Path, "", "A file that holds this secret.")
        .example("/run/secrets/webhook-secret"),
    key("alerts.notification.webhook.headers", SecretMap, "", "More headers. Their values are never shown.")
        .example("authorization=Bearer ${WEBHOOK_TOKEN:-none}"),
    key(
        "alerts.notification.webhook.certificate",
        Path,
        "",
        "A PEM file with the authority that signed the receiver's certificate, in place of Mozilla's list.",
    )
    .example("/etc/shop/alerts-ca.pem"),
    key(
        "alerts.notification.webhook.allow_private",
        Bool,
        "false",
        "Whether addresses are taken that are not public, such as those of a cluster.",
    ),
    key(
        "alerts.notification.webhook.max_alerts",
        ALERTS,
        "1000",
        "Most alerts of a notice, those that fire first. How many are left out is in its truncatedAlerts.",
    ),
    key("alerts.notification.alertmanager.url", Text, "", "The address of an Alertmanager, which groups and tells by itself.")
        .example("http://localhost:9093"),
    key("alerts.notification.alertmanager.headers", SecretMap, "", "More headers. Their values are never shown.")
        .example("authorization=Bearer ${ALERTMANAGER_TOKEN:-none}"),
    key(
        "alerts.notification.command.run",
        List(&[]),
        "",
        "A program and its arguments, run for each notice, which is JSON on its standard input.",
    )
    .example("/usr/local/bin/page, --team, shop"),
    of_mail("alerts.notification.email.smtp_server", Text, "", "The mail server and its port; without one, 587.")
        .example("mail.example:587"),
    of_mail("alerts.notification.email.recipients", List(&[]), "", "Who gets mail.").example("ops@example.org"),
    of_mail(
        "alerts.notification.email.sender",
        Text,
        "",
        "Who sends it. Unless given: alerts@ and the domain of the first recipient.",
    )
    .example("shop@example.org"),
    of_mail("alerts.notification.email.username", Text, "", "The name to log in with, if the server wants one.").example("shop"),
    of_mail("alerts.notification.email.password", Secret, "", "The password. Never shown.").example("${SMTP_PASSWORD:-none}"),
    of_mail("alerts.notification.email.password_file", Path, "", "A file that holds the password.")
        .example("/run/secrets/smtp"),
    of_mail(
        "alerts.notification.email.tls",
        OneOf(&["starttls", "tls", "none"]),
        "",
        "How mail is encrypted on its way. Unless given: tls for port 465, and starttls for others. Without it no password is sent but to this machine.",
    )
    .example("starttls"),
    of_mail(
        "alerts.notification.email.certificate",
        Path,
        "",
        "A PEM file with the authority of the server's certificate, if it is none of the usual ones.",
    )
    .example("/etc/shop/mail-ca.pem"),
];
