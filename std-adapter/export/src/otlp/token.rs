//! A header whose value comes from a file or a command and is renewed, such as a token that expires.

use super::config::{ClientConfig, Target};
use super::json::base64;
use crate::text::without;
use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// Most bytes of a token.
const MOST: u64 = 64 * 1024;
/// How often a running command is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Where the value of a header comes from, and how often it is read again.
///
/// A file is read for every request, so whoever replaces it is followed at once. A command is run on the
/// exporter's own thread; its output, without white space at both ends, is the value. When it is time to renew a
/// value and the command fails, the old value is used for another fifth of that time. If the collector answers that
/// it does not accept the credentials, the command is run again at once.
///
/// ```
/// use std::time::Duration;
/// use throughline_export::otlp::{ClientConfig, TokenSource};
/// let token = TokenSource::command(["gcloud", "auth", "print-access-token"]).prefix("Bearer ").every(Duration::from_secs(50 * 60));
/// let client = ClientConfig::new("http://localhost:4318")?.header_from("authorization", token);
/// # Ok::<(), throughline_export::otlp::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TokenSource {
    from: From,
    prefix: String,
    every: Duration,
}

#[derive(Clone, Debug)]
enum From {
    File(PathBuf),
    Command(Vec<String>),
}

impl TokenSource {
    /// The content of a file.
    pub fn file(path: impl Into<PathBuf>) -> TokenSource {
        TokenSource::of(From::File(path.into()))
    }

    /// The output of a program with these arguments. No shell is involved.
    pub fn command(program_and_arguments: impl IntoIterator<Item = impl Into<String>>) -> TokenSource {
        TokenSource::of(From::Command(program_and_arguments.into_iter().map(Into::into).collect()))
    }

    fn of(from: From) -> TokenSource {
        TokenSource { from, prefix: String::new(), every: Duration::from_secs(50 * 60) }
    }

    /// Puts this before the value, such as `Bearer `.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> TokenSource {
        self.prefix = prefix.into();
        self
    }

    /// How long the output of a command is used. Choose less than the token's validity. The default is 50 minutes.
    #[must_use]
    pub fn every(mut self, time: Duration) -> TokenSource {
        self.every = time;
        self
    }

    /// Reads the value. The error names the source and says what to do, without the value.
    fn read(&self, timeout: Duration) -> Result<String, String> {
        let (bytes, source) = match &self.from {
            From::File(path) => {
                let source = format!("the token file {}", path.display());
                let mut bytes = Vec::new();
                let read = File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut bytes));
                read.map_err(|error| {
                    format!("{source} cannot be read: {error}; check its path and who may read it")
                })?;
                (bytes, source)
            }
            From::Command(words) => {
                let source = format!("the token command `{}`", words.first().map_or("", String::as_str));
                let bytes = output(words, timeout).map_err(|why| format!("{source} {why}"))?;
                (bytes, source)
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim();
        if text.is_empty() || text.contains(|c: char| c.is_control() || !c.is_ascii()) {
            return Err(format!("{source} gives no token; it must give one line of ASCII characters"));
        }
        Ok(format!("{}{text}", self.prefix))
    }
}

/// Runs a command and returns what it writes to standard output. What it says of a failure may hold the secret, so it is not shown.
fn output(words: &[String], timeout: Duration) -> Result<Vec<u8>, String> {
    let (program, arguments) = words.split_first().ok_or("is empty; name a program")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("cannot be started: {error}; check its path"))?;
    let (send, receive) = mpsc::channel();
    let pipe = child.stdout.take();
    // The thread ends when the command and all that it started have closed the pipe.
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        _ = pipe.map(|pipe| pipe.take(MOST).read_to_end(&mut bytes));
        _ = send.send(bytes);
    });
    let give_up = Instant::now() + timeout;
    let status = wait(&mut child, give_up)?;
    let left = || give_up.saturating_duration_since(Instant::now()).max(LOOK);
    if !status.success() {
        return Err(format!("failed with {status}; run it by hand as this service's user to see why"));
    }
    receive.recv_timeout(left()).map_err(|_| "left its output open; let it end all that it starts".into())
}

fn wait(child: &mut Child, give_up: Instant) -> Result<std::process::ExitStatus, String> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < give_up => std::thread::sleep(LOOK),
            Ok(None) => {
                _ = child.kill();
                _ = child.wait();
                return Err("did not end in time; run it by hand as this service's user".into());
            }
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    }
}

/// A source and its present value, which all signals share.
#[derive(Debug)]
pub(crate) struct Token {
    source: TokenSource,
    value: Mutex<Option<Known>>,
}

struct Known {
    value: String,
    read: Instant,
}

/// Leaves out the value.
impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("read", &self.read).finish_non_exhaustive()
    }
}

impl Token {
    pub(crate) fn new(source: TokenSource) -> Token {
        Token { source, value: Mutex::new(None) }
    }

    /// The value; the error says why it cannot be had. A command may take so long.
    pub(crate) fn value(&self, timeout: Duration) -> Result<String, String> {
        let mut known = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        let every = self.source.every;
        let is_file = matches!(self.source.from, From::File(_));
        if let Some(known) = known.as_ref().filter(|known| !is_file && known.read.elapsed() < every) {
            return Ok(known.value.clone());
        }
        match (self.source.read(timeout), &mut *known) {
            (Ok(value), known) => {
                *known = Some(Known { value: value.clone(), read: Instant::now() });
                Ok(value)
            }
            (Err(_), Some(known)) if !is_file && known.read.elapsed() < every + every / 5 => {
                Ok(known.value.clone())
            }
            (Err(why), _) => Err(why),
        }
    }

    /// The value that was read last.
    fn known(&self) -> Option<String> {
        let known = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().map(|known| known.value.clone())
    }

    /// Forgets a value that was read before `since`. Returns whether there was one.
    pub(crate) fn forget(&self, since: Instant) -> bool {
        let mut known = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        known.take_if(|known| known.read < since).is_some()
    }
}

impl Target {
    /// The headers of a request, with the present values of tokens. The error says which token cannot be had.
    pub(super) fn headers(&self, timeout: Duration) -> Result<Cow<'_, [(String, String)]>, String> {
        if self.tokens.is_empty() {
            return Ok(Cow::Borrowed(&self.headers));
        }
        let mut headers = self.headers.clone();
        for (name, token) in &self.tokens {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name.clone(), token.value(timeout)?));
        }
        Ok(Cow::Owned(headers))
    }

    /// The text, which a collector has sent, without the values of our headers and tokens.
    pub(super) fn without_own(&self, text: &str) -> String {
        let known = self.tokens.iter().filter_map(|(_, token)| token.known());
        let own: Vec<String> = self.headers.iter().map(|(_, value)| value.clone()).chain(known).collect();
        without(text, own.iter().map(String::as_str))
    }

    /// Has the tokens read again that an attempt begun at `begun` did not read itself. Returns whether there are
    /// any, so that another attempt may succeed.
    pub(super) fn renew_tokens(&self, begun: Instant) -> bool {
        self.tokens.iter().fold(false, |any, (_, token)| token.forget(begun) | any)
    }
}

impl ClientConfig {
    /// Adds a header to every request whose value is read from `source`, in place of an earlier header of this name.
    #[must_use]
    pub fn header_from(mut self, name: impl Into<String>, source: TokenSource) -> Self {
        let token = (name.into(), Arc::new(Token::new(source)));
        self.each(|target| target.tokens.push(token.clone()));
        self
    }

    /// Adds the header `authorization` with this user and password (Basic authentication).
    #[must_use]
    pub fn basic_auth(self, user: &str, password: &str) -> Self {
        let mut value = String::from("Basic ");
        base64(&mut value, format!("{user}:{password}").as_bytes());
        self.header("authorization", value)
    }
}
