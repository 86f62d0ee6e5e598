//! A Kafka broker for one test, and Kafka's own client. Both are Java programs in the folder of `THROUGHLINE_KAFKA`.
#![allow(unreachable_pub, reason = "the test is a binary")]

use crate::servers::Folder;
use crate::support::free_address;
use serde_json::Value;
use std::fs::File;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long the broker may take to start. It takes 4 seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A broker, which may run or not. It ends when this is dropped.
pub struct Broker {
    /// In the clear, and over TLS with a login.
    pub address: String,
    pub secure: String,
    folder: Folder,
    running: Option<Child>,
}

/// A record that was read.
#[derive(Debug)]
pub struct Read {
    pub partition: u32,
    /// What Kafka's own producer chooses for the key.
    pub chosen: Option<u32>,
    pub key: Option<String>,
    pub content_type: String,
    pub time_ms: u64,
    pub event: Value,
}

impl Read {
    pub fn id(&self) -> &str {
        self.event["id"].as_str().unwrap()
    }
}

impl Broker {
    /// One that does not run yet. The login is `shop` with the password `hush`. The certificate is for `localhost`: its file is returned by
    /// [`Broker::authority`].
    pub fn new(name: &str) -> Broker {
        let folder = Folder::new(&format!("kafka-{name}"));
        let path = |file: &str| folder.path().join(file);
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(path("ca.pem"), certified.cert.pem()).unwrap();
        let store = certified.signing_key.serialize_pem() + &certified.cert.pem();
        std::fs::write(path("store.pem"), store).unwrap();
        let [open, secure, controller] = [free_address(), free_address(), free_address()];
        let secure = format!("localhost:{}", secure.port());
        let logins = "org.apache.kafka.common.security";
        let config = format!(
            "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
listeners=PLAINTEXT://{open},SASL_SSL://{secure},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{open},SASL_SSL://{secure}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config={logins}.plain.PlainLoginModule required user_shop=\"hush\";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={logins}.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={logins}.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={store}
log.dirs={data}
auto.create.topics.enable=false
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=200
offsets.topic.replication.factor=1
",
            store = path("store.pem").display(),
            data = path("data").display(),
        );
        std::fs::write(path("server.properties"), config).unwrap();
        let broker = Broker { address: open.to_string(), secure, folder, running: None };
        let mut format = java("kafka.tools.StorageTool");
        format.args(["format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c"]).arg(broker.path("server.properties"));
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            format.args(["--add-scram", &format!("{mechanism}=[name=shop,password=hush]")]);
        }
        done(&mut format);
        broker
    }

    pub fn started(name: &str) -> Broker {
        let mut broker = Broker::new(name);
        broker.start();
        broker
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// The file with the authority of its certificate.
    pub fn authority(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Starts it with the data that it has.
    pub fn start(&mut self) {
        let log = File::create(self.path("log")).unwrap();
        let child = java("kafka.Kafka")
            .arg(self.path("server.properties"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let running = self.running.insert(child);
        let begun = Instant::now();
        while TcpStream::connect(&self.address).is_err() || TcpStream::connect(&self.secure).is_err() {
            let ended = running.try_wait().unwrap();
            assert!(
                ended.is_none() && begun.elapsed() < PATIENCE,
                "no broker, {ended:?}\n{}",
                std::fs::read_to_string(self.folder.path().join("log")).unwrap()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills it, as a machine that fails.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Holds it up, so that it takes bytes and answers none, or lets it go on.
    pub fn hold(&self, held: bool) {
        let pid = self.running.as_ref().unwrap().id().cast_signed();
        // SAFETY: the call takes no memory. The process is a child that was not waited for.
        assert_eq!(unsafe { libc::kill(pid, if held { libc::SIGSTOP } else { libc::SIGCONT }) }, 0);
    }

    pub fn create(&self, topic: &str, partitions: u32, settings: &[&str]) {
        self.client(&["create", topic, &partitions.to_string()], settings);
    }

    /// All records of a topic, in order within each partition.
    pub fn read(&self, topic: &str) -> Vec<Read> {
        let output = self.client(&["read", topic], &[]);
        let text = String::from_utf8(output.stdout).unwrap();
        let read = |line: &str| {
            let [partition, chosen, key, content_type, time_ms, value] =
                line.splitn(6, '\t').collect::<Vec<_>>().try_into().unwrap();
            Read {
                partition: partition.parse().unwrap(),
                chosen: chosen.parse().ok(),
                key: (key != "-").then(|| key.to_owned()),
                content_type: content_type.to_owned(),
                time_ms: time_ms.parse().unwrap(),
                event: serde_json::from_str(value).unwrap(),
            }
        };
        text.lines().map(read).collect()
    }

    fn client(&self, what: &[&str], more: &[&str]) -> Output {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/Kafka.java");
        done(java(source).arg(&self.address).args(what).args(more))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A Java program with Kafka's classes: one of them, or a file of source.
fn java(program: &str) -> Command {
    let jar = PathBuf::from(std::env::var("THROUGHLINE_KAFKA").unwrap_or_default());
    assert!(jar.is_file(), "THROUGHLINE_KAFKA is no file: run `cargo xtask interop --only kafka`");
    let mut command = Command::new("java");
    // They run for seconds, so that the better compiler would cost more than it saves.
    command
        .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"])
        .arg(jar.with_file_name("*"))
        .arg(program);
    command
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("Java 17 cannot be started: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}
