//! Support for the tests with the Collector: its address, everything it received from a service, and a
//! process for each test.

pub(crate) mod device;
pub(crate) mod meters;
pub(crate) mod received;
pub(crate) mod record;
pub(crate) mod service;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use received::Received;
use throughline::Level;
use throughline_export::Resource;
use throughline_export::otlp::{Client, ClientConfig, LogEncoder, Options};
use throughline_export::view::{LogView, Scope};

/// The step that sets these variables and explains them.
const STEP: &str = "cargo xtask test --only collector";
const HTTP: &str = "THROUGHLINE_COLLECTOR_HTTP";
const FILE: &str = "THROUGHLINE_COLLECTOR_FILE";
const CAPTURES: &str = "THROUGHLINE_DEVICE_CAPTURES";

const CHILD: &str = "THROUGHLINE_TEST_CHILD";

/// Far more time than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A running Collector.
pub(crate) struct Collector {
    /// `http://127.0.0.1:PORT`.
    pub(crate) http: String,
    file: PathBuf,
}

impl Collector {
    pub(crate) fn from_env() -> Collector {
        Collector { http: variable(HTTP), file: variable(FILE).into() }
    }

    /// Everything that it received from this service so far.
    ///
    /// The Collector answers a request when its records are on their way to the file, in order. So when a
    /// record sent now can be read there, everything before it can be read too.
    pub(crate) fn received_of(&self, service: &str) -> Received {
        let last = unique("last");
        let mut log = LogEncoder::new(&Resource::new(&last), Options::default());
        log.log(&LogView {
            span: None,
            time_unix_ns: 1,
            level: Level::Info,
            message: &last,
            event_name: "",
            trace_flags: 1,
            scope: Scope::OWN,
            target: "",
            file: "",
            line: 0,
            time_error_ns: None,
            fields: std::iter::empty(),
        });
        Client::new(ClientConfig::new(&self.http).unwrap()).send_logs(log.finish()).unwrap();
        let begun = Instant::now();
        loop {
            let text = std::fs::read_to_string(&self.file).unwrap();
            // Text after the last line break is still being written.
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            if whole.contains(&last) {
                return Received::of_service(whole, service);
            }
            assert!(
                begun.elapsed() < LONG,
                "the Collector took a record and didn't write it to {:?}",
                self.file
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A file of the folder of captures.
pub(crate) fn capture(name: &str) -> PathBuf {
    PathBuf::from(variable(CAPTURES)).join(name)
}

/// A name that no other test or run uses.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{}-{}", std::process::id(), unix_ns())
}

pub(crate) fn unix_ns() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// Runs `body` in a process of its own, because `init` may be called once per process: the test binary starts
/// itself again for this test only.
pub(crate) fn in_own_process(test: &str, body: impl FnOnce()) {
    if std::env::var(CHILD).as_deref() == Ok(test) {
        return body();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).env(CHILD, test);
    // The variables set here say how to send. Variables that the machine's owner set for other programs must
    // not.
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("OTEL_")) {
        command.env_remove(key);
    }
    // What is detected differs between machines; tests of the adapter cover it.
    for detector in ["HOST", "OS", "PROCESS", "CONTAINER", "KUBERNETES", "INSTANCE_ID"] {
        command.env(format!("THROUGHLINE_SERVICE_DETECT_{detector}"), "false");
    }
    let status = command.env("NO_PROXY", "127.0.0.1").status().unwrap();
    assert!(status.success(), "{test} failed in its own process, which said why above: {status}");
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: this test is run by `{STEP}`"))
}
