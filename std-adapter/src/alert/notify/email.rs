//! Mail, by the crate `lettre`.

use super::{Notifier, title, told_labels, told_lines};
use crate::alert::page::rfc3339;
use crate::alert::{AlertState, Notice};
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Address, Message, SmtpTransport, Transport};
use std::fmt::{self, Write};
use std::path::PathBuf;
use std::time::Duration;
use throughline_export::ledger::DropReason;
use throughline_export::text::escaped;
use throughline_export::{Deadline, ExportError};

/// Longest time that an attempt may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause before the second attempt; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// How mail is encrypted on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmailTls {
    /// The connection begins without, and must become encrypted before anything is sent.
    StartTls,
    /// The connection is encrypted from its beginning, as on port 465.
    Wrapped,
    /// It is not. A password is sent to this machine alone then.
    None,
}

/// Sends notices by mail.
#[derive(Clone)]
pub struct Email {
    host: String,
    port: u16,
    tls: EmailTls,
    certificate: Option<PathBuf>,
    login: Option<(String, String)>,
    sender: Option<String>,
    recipients: Vec<String>,
    service: String,
}

/// Leaves out the password.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Email").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Email {
    /// Sends by this server, such as `mail.example:587`. Without a port it is 587. `service` is who speaks.
    pub fn new(server: &str, service: impl Into<String>) -> Email {
        let (host, port) = match server.rsplit_once(':') {
            Some((host, port)) => (host.trim_matches(['[', ']']), port.parse().unwrap_or(0)),
            None => (server, 587),
        };
        let tls = if port == 465 { EmailTls::Wrapped } else { EmailTls::StartTls };
        Email {
            host: host.into(),
            port,
            tls,
            certificate: None,
            login: None,
            sender: None,
            recipients: Vec::new(),
            service: service.into(),
        }
    }

    /// How mail is encrypted. The default is [`EmailTls::Wrapped`] for port 465, and [`EmailTls::StartTls`] for others.
    #[must_use]
    pub fn tls(self, tls: EmailTls) -> Email {
        Email { tls, ..self }
    }

    /// Trusts the authority in this PEM file too. It is read for each mail.
    #[must_use]
    pub fn certificate(self, path: impl Into<PathBuf>) -> Email {
        Email { certificate: Some(path.into()), ..self }
    }

    /// Logs in with this name and password.
    #[must_use]
    pub fn login(self, name: impl Into<String>, password: impl Into<String>) -> Email {
        Email { login: Some((name.into(), password.into())), ..self }
    }

    /// Who sends it. The default is `alerts@` and the domain of the first recipient.
    #[must_use]
    pub fn sender(self, sender: impl Into<String>) -> Email {
        Email { sender: Some(sender.into()), ..self }
    }

    /// Sends to this address too.
    #[must_use]
    pub fn recipient(mut self, recipient: impl Into<String>) -> Email {
        self.recipients.push(recipient.into());
        self
    }

    /// Whether mail can be sent like this.
    ///
    /// # Errors
    ///
    /// What is wrong, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        if self.host.is_empty() || self.port == 0 {
            return Err("the mail server is no host and port; write such as mail.example:587".into());
        }
        let is_here = matches!(&*self.host, "localhost" | "127.0.0.1" | "::1");
        if self.tls == EmailTls::None && self.login.is_some() && !is_here {
            return Err(
                "without encryption no password is sent to another machine; set tls to starttls or tls"
                    .into(),
            );
        }
        self.addresses().map(drop)
    }

    /// The sender and the recipients.
    fn addresses(&self) -> Result<(Mailbox, Vec<Mailbox>), String> {
        let mailbox = |text: &str| {
            let text = text.trim();
            text.parse::<Mailbox>()
                .map_err(|error| format!("`{}` is no mail address: {error}", escaped(text)))
        };
        let recipients: Vec<Mailbox> =
            self.recipients.iter().map(|it| mailbox(it)).collect::<Result<_, _>>()?;
        let Some(first) = recipients.first() else {
            return Err("nobody gets mail; name recipients".into());
        };
        let sender = match &self.sender {
            Some(sender) => mailbox(sender)?,
            None => {
                let address = Address::new("alerts", first.email.domain());
                let address =
                    address.map_err(|error| format!("the sender cannot be made: {error}; name a sender"))?;
                Mailbox::new(Some(self.service.clone()), address)
            }
        };
        Ok((sender, recipients))
    }

    fn message(&self, notice: &Notice) -> Result<Message, String> {
        let (sender, recipients) = self.addresses()?;
        let state = if notice.state() == AlertState::Firing { "FIRING" } else { "RESOLVED" };
        let subject = format!("[{state}] {}: {}", self.service, title(notice));
        let subject: String = escaped(&subject).chars().take(200).collect();
        let message =
            recipients.into_iter().fold(Message::builder().from(sender), |message, to| message.to(to));
        let message = message.subject(subject).header(ContentType::TEXT_PLAIN).message_id(None).date_now();
        message
            .body(text(notice, &self.service))
            .map_err(|error| format!("the mail cannot be written: {error}"))
    }

    fn transport(&self, timeout: Duration) -> Result<SmtpTransport, String> {
        let mut builder = SmtpTransport::builder_dangerous(&self.host).port(self.port).timeout(Some(timeout));
        if self.tls != EmailTls::None {
            let mut parameters = TlsParameters::builder(self.host.clone());
            if let Some(path) = &self.certificate {
                let read = std::fs::read(path).map_err(|error| error.to_string());
                let certificate =
                    read.and_then(|pem| Certificate::from_pem(&pem).map_err(|error| error.to_string()));
                let wrong = |why: String| format!("the certificate {} cannot be used: {why}", path.display());
                parameters = parameters.add_root_certificate(certificate.map_err(wrong)?);
            }
            let parameters = parameters.build().map_err(|error| format!("TLS cannot begin: {error}"))?;
            builder = builder.tls(match self.tls {
                EmailTls::Wrapped => Tls::Wrapper(parameters),
                _ => Tls::Required(parameters),
            });
        }
        if let Some((name, password)) = &self.login {
            builder = builder.credentials(Credentials::new(name.clone(), password.clone()));
        }
        Ok(builder.build())
    }
}

impl Notifier for Email {
    fn notify(&mut self, notice: &Notice, deadline: &Deadline) -> Result<(), ExportError> {
        let refused = |why: String| ExportError::new(DropReason::Refused, 1, why);
        self.check().map_err(refused)?;
        let message = self.message(notice).map_err(refused)?;
        let server = format!("{}:{}", self.host, self.port);
        let mut pause = FIRST_PAUSE;
        loop {
            let Some(timeout) = deadline.left_of(PATIENCE) else {
                let why = format!("{server} did not take mail: the deadline had passed");
                return Err(ExportError::new(DropReason::Unreachable, 1, why));
            };
            let Err(error) = self.transport(timeout).map_err(refused)?.send(&message) else { return Ok(()) };
            // The library names its own parts; the cause says what happened.
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            let text = escaped(&format!("{error}{cause}")).into_owned();
            // The library takes a certificate that is not trusted for a failure of the network.
            let is_untrusted = text.contains("certificate");
            if error.is_permanent() || error.is_client() || error.is_tls() || is_untrusted {
                let hint = "check the addresses, the login, its certificate, and whether it takes STARTTLS";
                return Err(refused(format!("{server} refused mail: {text}; {hint}")));
            }
            if !deadline.pause(pause) {
                let why =
                    format!("{server} did not take mail: {text}; check that a mail server listens there");
                return Err(ExportError::new(DropReason::Unreachable, 1, why));
            }
            pause *= 2;
        }
    }
}

/// The text of a mail.
fn text(notice: &Notice, service: &str) -> String {
    let mut out = format!("{} in {service}.\r\n", title(notice));
    let why = notice.explanation();
    if !why.is_empty() {
        let _ = write!(out, "{why}\r\n");
    }
    for alert in &notice.alerts {
        // Writing into a string cannot fail.
        let _ = write!(out, "\r\n{} is {}", alert.name, alert.state.as_str());
        if !alert.severity().is_empty() {
            let _ = write!(out, ", {}", alert.severity());
        }
        out.push_str("\r\n");
        for (name, text) in &alert.annotations {
            let _ = write!(out, "  {name}: {text}\r\n");
        }
        for line in told_lines(alert) {
            let _ = write!(out, "  {line}\r\n");
        }
        for (name, value) in told_labels(alert) {
            let _ = write!(out, "  {name} = {value}\r\n");
        }
        let _ = write!(out, "  value: {}\r\n  since {}\r\n", alert.value, rfc3339(alert.active_at));
        if let Some(at) = alert.resolved_at.filter(|_| alert.state == AlertState::Resolved) {
            let _ = write!(out, "  resolved {}\r\n", rfc3339(at));
        }
    }
    out
}
