//! Google Cloud Profiler: the cycle of its API, version 2, by which agents are asked for profiles.
//!
//! `profiles.create` waits until the service wants a profile of this deployment, once a minute over all its processes. It answers
//! with the kind and a name, and `profiles.patch` gives the bytes to that name. Source:
//! <https://docs.cloud.google.com/profiler/docs/reference/v2/rest/v2/projects.profiles>, and `profiler.proto` of
//! <https://github.com/googleapis/googleapis/tree/master/google/devtools/cloudprofiler/v2>.

use crate::http::{client_with, read_body};
use crate::json::Object;
use crate::ledger::DropReason;
use crate::otlp::token::Token;
use crate::otlp::{ConfigError, Tls, TokenSource, json};
use crate::post::checked_url;
use crate::push::PushUrlError;
use crate::text::{escaped, masked_url, said};
use crate::{Deadline, ExportError};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::http::{Method, Request};

/// Where the service is.
pub const CLOUD_PROFILER: &str = "https://cloudprofiler.googleapis.com";
/// How long the service may think about what it wants. It answers within about a minute.
const CREATE_PATIENCE: Duration = Duration::from_secs(120);
/// Longest time that a profile may take to be sent.
const UPDATE_PATIENCE: Duration = Duration::from_secs(30);
/// Longest time for which the service may ask to be left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Most bytes of an answer that are read.
const ANSWER_LIMIT: u64 = 64 * 1024;
/// Most bytes of the names and the values of a deployment's labels together.
const LABEL_BYTES: usize = 1024;

/// What a deployment is called is not possible.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloudProfilerError {
    /// The id of the project.
    #[error(
        "`{0}` is no id of a Google Cloud project; give one such as my-project-1, as `gcloud projects list` shows it"
    )]
    Project(String),
    /// The name of the service.
    #[error(
        "`{0}` is no name that Cloud Profiler takes for a service; give one of small letters, digits, `-`, `_` and `.` that begins with a letter, such as checkout"
    )]
    Service(String),
    /// The labels together.
    #[error("the labels of the deployment have more than {LABEL_BYTES} bytes; shorten {0}")]
    Labels(String),
    /// Where the service is.
    #[error(transparent)]
    Url(#[from] PushUrlError),
}

crate::__debug_as_display!(CloudProfilerError);

/// A kind of profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudProfileKind {
    /// CPU time.
    Cpu,
    /// Memory in use.
    Heap,
}

impl CloudProfileKind {
    const ALL: [CloudProfileKind; 2] = [CloudProfileKind::Cpu, CloudProfileKind::Heap];

    fn as_str(self) -> &'static str {
        match self {
            CloudProfileKind::Cpu => "CPU",
            CloudProfileKind::Heap => "HEAP",
        }
    }
}

/// A profile that the service wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedProfile {
    /// `projects/PROJECT/profiles/ID`.
    name: String,
    kind: CloudProfileKind,
    /// As the service has written it, such as `10s`.
    duration: String,
}

impl WantedProfile {
    /// The kind that is wanted.
    pub fn kind(&self) -> CloudProfileKind {
        self.kind
    }
}

/// Why there is no profile to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotWanted {
    /// The service has no need of one, and wants to be asked again after this time.
    Later(Duration),
    /// There is no token, so nobody was asked. The text says what to do.
    NoToken(String),
    /// The request failed. The text says what to do.
    Failed(String),
}

/// Google Cloud Profiler for one deployment. `Debug` shows no token.
#[derive(Clone, Debug)]
pub struct CloudProfiler {
    agent: ureq::Agent,
    endpoint: String,
    project: String,
    service: String,
    /// Of the deployment.
    labels: BTreeMap<String, String>,
    token: Option<Arc<Token>>,
}

impl CloudProfiler {
    /// For a project and a service. The processes of a service together are asked for one profile a minute, so all of them must have the
    /// same name.
    ///
    /// # Errors
    ///
    /// [`CloudProfilerError`] says which name is not possible, or that this was built without the feature `tls`, which Google's servers want.
    pub fn new(project: &str, service: &str) -> Result<CloudProfiler, CloudProfilerError> {
        if !is_project(project) {
            return Err(CloudProfilerError::Project(project.to_owned()));
        }
        if !is_service(service) {
            return Err(CloudProfilerError::Service(service.to_owned()));
        }
        let profiler = CloudProfiler {
            agent: client_with(&Tls::default()).build().new_agent(),
            endpoint: String::new(),
            project: project.to_owned(),
            service: service.to_owned(),
            labels: BTreeMap::from([("language".to_owned(), "rust".to_owned())]),
            token: None,
        };
        profiler.endpoint(CLOUD_PROFILER)
    }

    /// Asks there instead of at [`CLOUD_PROFILER`].
    ///
    /// # Errors
    ///
    /// It is no URL, or wants TLS that is not built in.
    pub fn endpoint(mut self, url: &str) -> Result<CloudProfiler, CloudProfilerError> {
        self.endpoint = checked_url(url, CLOUD_PROFILER)?;
        Ok(self)
    }

    /// Adds a label of the deployment, such as `zone` or `version`.
    ///
    /// # Errors
    ///
    /// The labels are too long together.
    pub fn label(mut self, name: &str, value: &str) -> Result<CloudProfiler, CloudProfilerError> {
        self.labels.insert(name.to_owned(), value.to_owned());
        let bytes: usize = self.labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > LABEL_BYTES { Err(CloudProfilerError::Labels(name.to_owned())) } else { Ok(self) }
    }

    /// The source of access tokens (OAuth 2.0, with the scope `monitoring.write` or `cloud-platform`), such as
    /// `gcloud auth print-access-token`. It is sent as `authorization: Bearer TOKEN`, whatever prefix the source has.
    #[must_use]
    pub fn token(mut self, source: TokenSource) -> CloudProfiler {
        self.token = Some(Arc::new(Token::new(source.prefix("Bearer "))));
        self
    }

    /// Trusts a server whose certificate is signed by an authority in this PEM file, instead of by one in Mozilla's list: that of a proxy on the way, say.
    ///
    /// # Errors
    ///
    /// The file cannot be read or has no certificate, or TLS is not built in.
    pub fn ca_certificate(mut self, path: impl AsRef<Path>) -> Result<CloudProfiler, ConfigError> {
        let mut tls = Tls::default();
        tls.trust_file(path.as_ref())?;
        self.agent = client_with(&tls).build().new_agent();
        Ok(self)
    }

    /// Waits until the service wants a profile of one of these kinds, up to two minutes.
    ///
    /// # Errors
    ///
    /// [`NotWanted`] says when to ask again.
    pub fn create(&self, kinds: &[CloudProfileKind]) -> Result<WantedProfile, NotWanted> {
        let mut body = String::new();
        let mut request = Object::new(&mut body);
        self.deployment(&mut request);
        let kinds: Vec<_> = kinds.iter().map(|kind| format!("\"{}\"", kind.as_str())).collect();
        request.key("profileType").push_str(&format!("[{}]", kinds.join(",")));
        request.end();
        let path = format!("projects/{}/profiles", self.project);
        let sent = self.send(&Method::POST, &path, &body, CREATE_PATIENCE);
        let (status, answer) = sent.map_err(|failed| match failed {
            Failed::NoToken(why) => NotWanted::NoToken(why),
            Failed::NoAnswer(why) => NotWanted::Failed(why),
        })?;
        match status {
            200 => self.wanted(&answer).map_err(NotWanted::Failed),
            // ABORTED: nothing is wanted for about a minute.
            409 => match json::find_text(&answer, "retryDelay").and_then(|text| duration(&text)) {
                Some(pause) => Err(NotWanted::Later(pause.min(LONGEST_PAUSE))),
                None => Err(NotWanted::Failed(self.said(status, &answer))),
            },
            _ => Err(NotWanted::Failed(self.said(status, &answer))),
        }
    }

    /// Gives the service the profile that it wanted, in pprof's format, compressed by gzip. `labels` are of this profile alone, such as
    /// `instance`.
    ///
    /// # Errors
    ///
    /// Why the profile is lost, and what can be done.
    pub fn update(
        &self,
        wanted: &WantedProfile,
        pprof: &[u8],
        labels: &[(&str, &str)],
        deadline: &Deadline,
    ) -> Result<(), ExportError> {
        let mut body = String::new();
        let mut profile = Object::new(&mut body);
        profile.text("name", &wanted.name);
        profile.text("profileType", wanted.kind.as_str());
        self.deployment(&mut profile);
        profile.text("duration", &wanted.duration);
        let mut own = profile.object("labels");
        labels.iter().for_each(|(name, value)| own.text(name, value));
        own.end();
        let bytes = profile.key("profileBytes");
        bytes.push('"');
        json::base64(bytes, pprof);
        bytes.push('"');
        profile.end();
        let late = || Failed::NoAnswer("the deadline had passed".to_owned());
        let sent = deadline
            .left_of(UPDATE_PATIENCE)
            .ok_or_else(late)
            .and_then(|patience| self.send(&Method::PATCH, &wanted.name, &body, patience));
        match sent {
            Ok((200, _)) => Ok(()),
            Ok((status, answer)) => Err(ExportError::new(DropReason::Refused, 1, self.said(status, &answer))),
            Err(Failed::NoToken(why) | Failed::NoAnswer(why)) => {
                Err(ExportError::new(DropReason::Unreachable, 1, why))
            }
        }
    }

    fn deployment(&self, object: &mut Object<'_>) {
        let mut deployment = object.object("deployment");
        deployment.text("projectId", &self.project);
        deployment.text("target", &self.service);
        let mut labels = deployment.object("labels");
        self.labels.iter().for_each(|(name, value)| labels.text(name, value));
        labels.end();
        deployment.end();
    }

    /// Reads what the service wants. Its name becomes part of a URL, so it must be as documented.
    fn wanted(&self, answer: &str) -> Result<WantedProfile, String> {
        let text = |name| json::find_text(answer, name);
        let kind = text("profileType");
        let kind = CloudProfileKind::ALL.into_iter().find(|it| Some(it.as_str()) == kind.as_deref());
        let is_id = |id: &str| {
            !id.is_empty() && id.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it))
        };
        let name = text("name").filter(|name| {
            let id = name.strip_prefix("projects/").and_then(|rest| rest.split_once("/profiles/"));
            id.is_some_and(|(project, id)| is_project_or_number(project) && is_id(id))
        });
        match (name, kind) {
            (Some(name), Some(kind)) => {
                let duration = text("duration").unwrap_or_else(|| "0s".to_owned());
                Ok(WantedProfile { name, kind, duration })
            }
            _ => Err(format!(
                "{} wants a profile that is not understood: {}; check that it is Cloud Profiler",
                self.shown(),
                said(answer)
            )),
        }
    }

    /// Makes a request, and once more if its token was not accepted and another one may be had.
    fn send(
        &self,
        method: &Method,
        path: &str,
        body: &str,
        patience: Duration,
    ) -> Result<(u16, String), Failed> {
        let begun = Instant::now();
        let answer = self.attempt(method, path, body, patience)?;
        let is_renewed = answer.0 == 401 && self.token.as_ref().is_some_and(|token| token.forget(begun));
        match patience.checked_sub(begun.elapsed()) {
            Some(left) if is_renewed => self.attempt(method, path, body, left),
            _ => Ok(answer),
        }
    }

    fn attempt(
        &self,
        method: &Method,
        path: &str,
        body: &str,
        patience: Duration,
    ) -> Result<(u16, String), Failed> {
        let begun = Instant::now();
        let token = self.token.as_ref().map(|token| token.value(patience)).transpose();
        let token = token.map_err(Failed::NoToken)?;
        let patience = patience.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
        let request = Request::builder().method(method).uri(format!("{}/v2/{path}", self.endpoint));
        let request = request.header("content-type", "application/json");
        let request = token.iter().fold(request, |it, token| it.header("authorization", token));
        let request = request.body(body).map_err(|error| {
            Failed::NoAnswer(format!("no request to {} can be made: {error}", self.shown()))
        })?;
        let request = self.agent.configure_request(request).timeout_global(Some(patience)).build();
        let mut response = self.agent.run(request).map_err(|error| {
            let error = error.to_string();
            let hint = match error.contains("certificate") {
                true => "name the authority that signed its certificate: profiling.exporter.certificate",
                false => "check that it can be reached",
            };
            Failed::NoAnswer(format!("{} did not answer: {error}; {hint}", self.shown()))
        })?;
        let status = response.status().as_u16();
        let (answer, whole) = read_body(&mut response, ANSWER_LIMIT);
        if status == 200 {
            let cut_off = |why| Failed::NoAnswer(format!("{} answered 200, but {why}", self.shown()));
            whole.map_err(cut_off)?;
        }
        Ok((status, String::from_utf8_lossy(&answer).into_owned()))
    }

    fn said(&self, status: u16, answer: &str) -> String {
        let reason = json::find_text(answer, "message").unwrap_or_else(|| answer.to_owned());
        let hint = match status {
            401 => {
                "give a token: profiling.exporter.token.command = [\"gcloud\", \"auth\", \"print-access-token\"]"
            }
            403 => "give its account the role roles/cloudprofiler.agent",
            404 => "enable the API: gcloud services enable cloudprofiler.googleapis.com",
            _ => "see status.cloud.google.com",
        };
        format!("{} answered {status} ({}): {hint}", self.shown(), said(&reason))
    }

    fn shown(&self) -> String {
        escaped(&masked_url(&self.endpoint)).into_owned()
    }
}

/// Why a request has no answer.
enum Failed {
    /// It was not made.
    NoToken(String),
    NoAnswer(String),
}

/// `^[a-z][-a-z0-9:.]{4,61}[a-z0-9]$`
fn is_project(text: &str) -> bool {
    (6..=63).contains(&text.len()) && is_word(text, b"-:.")
}

/// The service may have a number in place of the id.
fn is_project_or_number(text: &str) -> bool {
    is_project(text) || !text.is_empty() && text.len() < 64 && text.bytes().all(|it| it.is_ascii_digit())
}

/// `^[a-z]([-a-z0-9_.]{0,253}[a-z0-9])?$`
fn is_service(text: &str) -> bool {
    text.len() <= 255 && is_word(text, b"-_.")
}

/// Whether a text begins with a small letter, ends with one or a digit, and has these characters between.
fn is_word(text: &str, between: &[u8]) -> bool {
    let is_plain = |it: &u8| it.is_ascii_lowercase() || it.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.last().is_some_and(is_plain)
        && bytes.iter().all(|it| is_plain(it) || between.contains(it))
}

/// Reads a duration as protobuf's JSON has it: `10s`, `3.5s`.
fn duration(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.strip_suffix('s')?.parse().ok()?).ok()
}

// Without TLS there is no way to Google's servers.
#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_documentation() {
        for project in ["my-project-1", "example.com:my-project"] {
            assert!(CloudProfiler::new(project, "shop").is_ok(), "{project}");
        }
        for project in ["", "short", "1-project", "My-project", "my-project-", "my project"] {
            let error = CloudProfiler::new(project, "shop").unwrap_err().to_string();
            assert!(error.contains("gcloud projects list"), "{error}");
        }
        for service in ["s", "check-out_2.x"] {
            assert!(CloudProfiler::new("my-project-1", service).is_ok(), "{service}");
        }
        for service in ["", "Shop", "shop-", "2shop", "a b", &"s".repeat(256)] {
            let error = CloudProfiler::new("my-project-1", service).unwrap_err().to_string();
            assert!(error.contains("such as checkout"), "{error}");
        }
        let error = CloudProfiler::new("my-project-1", "shop").unwrap().label("version", &"v".repeat(1024));
        assert!(error.unwrap_err().to_string().ends_with("shorten version"));
        let error = CloudProfiler::new("my-project-1", "shop").unwrap().endpoint("localhost:80").unwrap_err();
        assert!(
            error.to_string().contains("give one such as https://cloudprofiler.googleapis.com"),
            "{error}"
        );
    }

    #[test]
    fn an_answer_that_is_not_as_documented_is_refused() {
        let profiler = CloudProfiler::new("my-project-1", "shop").unwrap();
        let answer = |name: &str, kind: &str| {
            format!(r#"{{"name":"{name}","profileType":"{kind}","duration":"10s"}}"#)
        };
        let wanted = profiler.wanted(&answer("projects/my-project-1/profiles/af-1_2", "HEAP")).unwrap();
        assert_eq!((wanted.kind(), &*wanted.duration), (CloudProfileKind::Heap, "10s"));
        for (name, kind) in [
            ("projects/my-project-1/profiles/../../x", "CPU"),
            ("projects/my-project-1/profiles/", "CPU"),
            ("https://elsewhere/projects/p/profiles/1", "CPU"),
            ("projects/my-project-1/profiles/1", "WALL"),
        ] {
            let error = profiler.wanted(&answer(name, kind)).unwrap_err();
            assert!(error.contains("is not understood"), "{error}");
        }
        assert_eq!(duration("3.5s"), Some(Duration::from_millis(3500)));
        assert_eq!((duration("-1s"), duration("1e400s"), duration("5")), (None, None, None));
    }
}
