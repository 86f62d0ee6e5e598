//! How many requests a second the pages of health answer while a check hangs, next to the same without it.
//!
//! `cargo bench -p throughline-benches --features health --bench health` prints a table in Markdown; without `--bench` among its arguments (as under
//! `cargo test`) each case is run with a few requests, and what is answered is checked.
//!
//! The service has a check that ends at once and runs every 10 ms, and in half of the runs one that never returns. Clients on loopback ask for `/health` and
//! `/readyz` in turn, each a request after the other and each on a connection of its own, because the server closes a connection after its answer. Latency is the
//! time from the start of the connection until the server has closed it. CPU time is that of the process without its clients: of the pages, the checks and the pump.

#[allow(dead_code, reason = "the other bench uses the rest")]
#[path = "compare/system.rs"]
mod system;

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use throughline_benches::Machine;
use throughline_std::Config;
use throughline_std::admin::AdminOptions;
use throughline_std::health::{Check, Finding, HealthOptions};

/// What the pages must answer per second, whatever hangs.
const LIMIT: f64 = 1000.0;
const CLIENTS: [usize; 3] = [1, 4, 16];
const PATHS: [&str; 2] = ["/health", "/readyz"];
/// How long each case takes.
const WINDOW: Duration = Duration::from_secs(3);
/// How long a client waits for an answer, which is longer than the server lets a request wait.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the page says of the check that hangs.
const HANGS: &str = "it has not come back for ";

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let measured = std::env::args().any(|arg| arg == "--bench");
    match std::env::args().find_map(|arg| SERVICES.iter().find(|service| service.name == arg)) {
        Some(service) => service.run(measured),
        None => {
            if measured {
                let machine = Machine::this();
                println!("# Pages of health, {}\n\n{}, {}\n", machine.date, machine.cpu, machine.rustc);
                println!("| checks | clients | requests/s | median | 99 % | longest | CPU per request |");
                println!("|---|--:|--:|--:|--:|--:|--:|");
            }
            // Each in a process of its own, because `init` is called once per process.
            for service in SERVICES {
                let mut own = Command::new(std::env::current_exe()?);
                let status = own.arg(service.name).args(measured.then_some("--bench")).status()?;
                assert!(status.success(), "{}: {status}", service.name);
            }
            Ok(())
        }
    }
}

/// A service and its checks.
struct Service {
    name: &'static str,
    /// What its checks are called in the table.
    checks: &'static str,
    hangs: bool,
}

const SERVICES: &[Service] = &[
    Service { name: "quick", checks: "one that is quick", hangs: false },
    Service { name: "hung", checks: "one that is quick, **one that never returns**", hangs: true },
];

impl Service {
    fn run(&self, measured: bool) -> Done {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        // Nothing is ever sent.
        let (_never, ends) = channel::<()>();
        let hung = Check::new("hung", move || {
            let _ = ends.recv();
            Finding::healthy("")
        });
        let quick = Check::new("quick", || Finding::healthy("well")).interval(Duration::from_millis(10));
        let mut options = HealthOptions::default()
            .listen(AdminOptions::default().port(address.port()))
            .telemetry(false)
            .check(quick);
        if self.hangs {
            options = options.check(hung.timeout(Duration::from_millis(10)));
        }
        let config = Config::new("bench").without_otlp().terminal(false);
        let _guard = throughline_std::init(&config.health(options))?;
        while !self.is_told(&ask(address, PATHS[0])?) {
            thread::yield_now();
        }
        for clients in if measured { &CLIENTS[..] } else { &[2] } {
            let run = self.load(address, *clients, measured)?;
            if measured {
                println!("| {} | {clients} | {run} |", self.checks);
            }
        }
        Ok(())
    }

    /// Whether an answer says what the checks are now.
    fn is_told(&self, answer: &str) -> bool {
        let (status, message) = if self.hangs { ("503", HANGS) } else { ("200", "\"well\"") };
        answer.get(9..12) == Some(status) && answer.contains(message)
    }

    /// Has this many clients ask all the time.
    fn load(&self, address: SocketAddr, clients: usize, measured: bool) -> io::Result<Run> {
        let window = if measured { WINDOW } else { Duration::ZERO };
        let (cpu, begun) = (system::cpu_ns(), Instant::now());
        let client = || -> io::Result<(Vec<Duration>, u64)> {
            let (clock, mut took) = (system::CpuClock::of_this_thread(), Vec::new());
            while took.len() < 10 || begun.elapsed() < window {
                let asked = Instant::now();
                let answer = ask(address, PATHS[took.len() % PATHS.len()])?;
                took.push(asked.elapsed());
                assert!(self.is_told(&answer), "{answer}");
            }
            Ok((took, clock.ns()))
        };
        let asked = thread::scope(|scope| -> io::Result<Vec<_>> {
            let threads: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
            threads.into_iter().map(|thread| thread.join().expect("a client panicked")).collect()
        })?;
        let (window, mut cpu) = (begun.elapsed(), system::cpu_ns() - cpu);
        let mut latencies = Vec::new();
        for (took, of_client) in asked {
            latencies.extend(took);
            cpu = cpu.saturating_sub(of_client);
        }
        latencies.sort();
        Ok(Run { latencies, window, cpu })
    }
}

/// Sends a request and reads the answer, until the server closes the connection.
fn ask(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// What the clients saw.
struct Run {
    /// Of all requests, the shortest first.
    latencies: Vec<Duration>,
    window: Duration,
    /// Nanoseconds of CPU time without the clients'.
    cpu: u64,
}

impl Run {
    /// Answers per second.
    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.window.as_secs_f64()
    }
}

/// The row of the table.
impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |per_cent: usize| {
            let at = (self.latencies.len() - 1) * per_cent / 100;
            self.latencies[at].as_secs_f64() * 1e3
        };
        let cpu = self.cpu as f64 / 1e3 / self.latencies.len() as f64;
        let rate = self.rate();
        let judged = if rate < LIMIT { ", **below 1000**" } else { "" };
        write!(f, "{rate:.0}{judged} | {:.2} ms | {:.2} ms | {:.2} ms | {cpu:.0} µs", ms(50), ms(99), ms(100))
    }
}
