//! Tests that a service behaves as its configuration file says.
#![cfg(feature = "toml")]

mod collectors;
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::time::Duration;
use support::receiver::{Receiver, text};
use support::{free_address, in_own_process, in_own_process_with, stderr_of, stderr_of_with};
use throughline::{counter, debug, info, span, warn};
use throughline_std::{Config, InitError};

const LONG: Duration = Duration::from_secs(30);

/// Writes a file with this text, in a folder of this process.
fn file(name: &str, text: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("throughline-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_file_configures_a_service() {
    in_own_process_with("a_file_configures_a_service", &[("SHOP_TOKEN", "hunter2")], || {
        let receiver = Receiver::start([]);
        let toml = format!(
            "[service]\nname = \"shop\"\nattributes.team = \"checkout\"\n\
             [otlp]\nendpoint = \"{}\"\nheaders.authorization = \"Bearer ${{SHOP_TOKEN}}\"\n\
             [logging]\nfilter = \"warn,config=info\"\n",
            receiver.endpoint,
        );
        let config = Config::load(file("shop.toml", &toml)).unwrap();
        let guard = throughline_std::init(&config).unwrap();
        {
            let _span = span!("checkout");
            info!("placed");
            debug!("too much");
        }
        assert!(guard.shutdown(LONG).complete);
        receiver.with(|r| {
            assert_eq!(r.spans.iter().map(|span| &*span.name).collect::<Vec<_>>(), ["checkout"]);
            for (key, value) in [("service.name", "shop"), ("team", "checkout"), ("host.arch", "")] {
                let found = text(&r.resource, key);
                assert!(
                    found.is_some_and(|text| value.is_empty() || text == value),
                    "{key}: {:?}",
                    r.resource
                );
            }
            assert!(
                r.headers.iter().any(|header| header == "authorization: bearer hunter2"),
                "{:?}",
                r.headers
            );
            assert_eq!(r.logs.len(), 1, "the debug event is filtered out");
        });
    });
}

#[test]
fn each_signal_goes_where_its_section_says() {
    in_own_process("each_signal_goes_where_its_section_says", || {
        let (traces, others) = (Receiver::start([]), Receiver::start([]));
        let text = format!(
            "[otlp]\nendpoint = \"{}\"\nheaders.x-for = \"others\"\n\
             [tracing.otlp]\nendpoint = \"{}\"\nheaders.x-for = \"traces\"\n\
             [metrics]\nenabled = false\n",
            others.endpoint, traces.endpoint,
        );
        let guard = throughline_std::init(&Config::load(file("signals.toml", &text)).unwrap()).unwrap();
        drop(span!("checkout"));
        info!("placed");
        counter!("orders").add(1);
        assert!(guard.shutdown(LONG).complete);
        traces.with(|r| {
            assert_eq!((r.spans.len(), r.logs.len(), r.metrics.len()), (1, 0, 0));
            assert!(r.headers.iter().any(|header| header == "x-for: traces"), "{:?}", r.headers);
        });
        others.with(|r| {
            assert_eq!((r.spans.len(), r.logs.len(), r.metrics.len()), (0, 1, 0));
            assert!(r.headers.iter().any(|header| header == "x-for: others"), "{:?}", r.headers);
        });
    });
}

#[test]
fn logs_and_traces_go_to_files() {
    let told = stderr_of("logs_and_traces_go_to_files", || {
        let (log, trace) = (file("shop.log", ""), file("trace.json", ""));
        let text = format!(
            "[logging]\nformat = \"json\"\nfile = {{ path = {log:?}, format = \"text\", filter = \"warn\" }}\n\
             [tracing]\nchrome.path = {trace:?}\n"
        );
        let guard = throughline_std::init(&Config::load(file("files.toml", &text)).unwrap()).unwrap();
        {
            let _span = span!("checkout");
            info!("placed", password = "hunter2");
            warn!("dear");
        }
        assert!(guard.shutdown(LONG).complete);
        let lines = std::fs::read_to_string(&log).unwrap();
        assert!(
            lines.lines().count() == 1 && lines.contains("WARN config") && lines.ends_with(" dear\n"),
            "{lines}"
        );
        assert!(std::fs::read_to_string(&trace).unwrap().contains("\"checkout\""));
    });
    if let Some(told) = told {
        let lines: Vec<&str> = told.lines().filter(|line| line.starts_with('{')).collect();
        assert!(
            lines.len() == 2 && lines[0].contains("\"placed\"") && lines[0].contains("[REDACTED]"),
            "{told}"
        );
        assert!(!told.contains("hunter2") && !told.contains("├─"), "the terminal is off: {told}");
    }
}

#[cfg(feature = "prometheus")]
#[test]
fn a_page_is_served_where_the_file_says() {
    use std::io::{Read, Write};
    in_own_process("a_page_is_served_where_the_file_says", || {
        let port = free_address().port();
        let text = format!(
            "[metrics]\nport = {port}\npath = \"/m\"\nnamespace = \"shop\"\n[terminal]\nenabled = false\n"
        );
        let guard = throughline_std::init(&Config::load(file("page.toml", &text)).unwrap()).unwrap();
        counter!("orders").add(3);
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        write!(stream, "GET /m HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        assert!(page.contains("shop_orders_total") && page.contains(" 3\n"), "{page}");
        drop(guard);
    });
}

/// Whether a span and an event are recorded at present.
fn recorded() -> (bool, bool) {
    (span!("probe").is_recorded(), throughline::enabled!(Info))
}

#[test]
fn a_file_that_is_read_again_changes_levels_and_sampling() {
    in_own_process("a_file_that_is_read_again_changes_levels_and_sampling", || {
        let text = |rest: &str| format!("terminal.enabled = false\n{rest}");
        let path = file("live.toml", &text(""));
        let guard = throughline_std::init(&Config::load(&path).unwrap()).unwrap();
        assert_eq!(recorded(), (true, true));
        std::fs::write(&path, text("logging.level = \"warn\"\ntracing.sampling.probability = 0.0\n"))
            .unwrap();
        guard.reload().unwrap();
        assert_eq!(recorded(), (false, false));
        std::fs::write(&path, text("logging.level = \"loud\"\n")).unwrap();
        let error = guard.reload().unwrap_err().to_string();
        assert!(error.contains("live.toml:2: logging.level = `loud` is not"), "{error}");
        assert_eq!(recorded(), (false, false), "the settings before stay");
        std::fs::write(&path, text("")).unwrap();
        guard.reload().unwrap();
        assert_eq!(recorded(), (true, true));
    });
}

#[test]
fn a_file_that_is_watched_is_read_again() {
    let told = stderr_of("a_file_that_is_watched_is_read_again", || {
        let text = |level: &str| {
            format!("terminal.enabled = false\nreload.interval = \"5ms\"\nlogging.level = \"{level}\"\n")
        };
        let path = file("watched.toml", &text("info"));
        let _guard = throughline_std::init(&Config::load(&path).unwrap()).unwrap();
        let wait_for = |wanted: bool| {
            let begun = std::time::Instant::now();
            while throughline::enabled!(Info) != wanted {
                assert!(begun.elapsed() < LONG);
                std::thread::yield_now();
            }
        };
        // Write another file and rename it, so that the watch never reads a partly written file.
        let put = |level: &str| {
            std::fs::write(path.with_extension("new"), text(level)).unwrap();
            std::fs::rename(path.with_extension("new"), &path).unwrap();
        };
        put("error");
        wait_for(false);
        put("debug");
        wait_for(true);
    });
    if let Some(told) = told {
        assert_eq!(
            told.matches("watched.toml was read again; its levels and sampling hold now").count(),
            2,
            "{told}"
        );
    }
}

#[test]
fn a_reload_names_the_keys_that_need_a_restart() {
    let told = stderr_of("a_reload_names_the_keys_that_need_a_restart", || {
        let text =
            |name: &str, rest: &str| format!("terminal.enabled = false\nservice.name = \"{name}\"\n{rest}");
        let path =
            file("restart.toml", &text("shop", "reload.interval = \"5ms\"\nlogging.level = \"info\"\n"));
        let guard = throughline_std::init(&Config::load(&path).unwrap()).unwrap();
        let until =
            |wanted: bool| support::until("the level changes", || throughline::enabled!(Info) == wanted);
        let put = |text: &str| {
            std::fs::write(path.with_extension("new"), text).unwrap();
            std::fs::rename(path.with_extension("new"), &path).unwrap();
        };
        let page = "[logging]\nlevel = \"error\"\nfile.path = \"/tmp/throughline-restart.log\"\n[otlp]\nheaders.x-key = \"hunter2\"\n";
        put(&text(
            "other",
            &format!("{page}[[otlp.also]]\nname = \"archive\"\nendpoint = \"http://127.0.0.1:1\"\n"),
        ));
        until(false);
        guard.reload().unwrap();
        put(&text("shop", "reload.interval = \"5ms\"\nlogging.level = \"debug\"\n"));
        until(true);
        std::fs::remove_file(&path).unwrap();
        let error = guard.reload().unwrap_err().to_string();
        assert!(error.contains("restart.toml: cannot be read: No such file"), "{error}");
        put(&text("shop", "reload.interval = \"5ms\"\nlogging.level = \"error\"\n"));
        until(false);
    });
    let Some(told) = told else { return };
    let keys = "these changed keys need a restart: service.name, otlp.headers, logging.file.path, reload.interval, otlp.also.archive";
    for line in [
        format!("restart.toml was read again; its levels and sampling hold now; {keys}"),
        format!("restart.toml was read again; {keys}"),
        "restart.toml was read again; its levels and sampling hold now\n".into(),
    ] {
        assert!(told.contains(&line), "{line} in\n{told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn what_is_made_before_init_is_neither_recorded_nor_counted() {
    in_own_process("what_is_made_before_init_is_neither_recorded_nor_counted", || {
        assert!(!span!("early").is_recorded());
        info!("early");
        let guard = throughline_std::init(&Config::new("shop").terminal(false).without_otlp()).unwrap();
        info!("late");
        let report = guard.shutdown(LONG);
        assert_eq!(
            (report.ledger.ring.input, report.ledger.ring.dropped_total()),
            (1, 0),
            "{}",
            report.ledger
        );
    });
}

#[test]
fn init_from_env_reads_the_file_that_is_named() {
    let path = file("broken.toml", "[tracing]\nsampling.probabilty = 1\n[loging]\nlevel = \"info\"\n");
    let env = [("THROUGHLINE_CONFIG", path.to_str().unwrap())];
    in_own_process_with("init_from_env_reads_the_file_that_is_named", &env, || {
        // The child process writes to the file that the parent named.
        let path = std::env::var("THROUGHLINE_CONFIG").unwrap();
        std::fs::write(&path, "[tracing]\nsampling.probabilty = 1\n[loging]\nlevel = \"info\"\n").unwrap();
        let error = throughline_std::init_from_env().unwrap_err();
        assert!(matches!(error, InitError::Load(_)));
        let expected = format!(
            "{path}:2: tracing.sampling.probabilty is not a key; did you mean tracing.sampling.probability?\n\
             {path}:3: loging is not a key; did you mean logging?"
        );
        assert!(error.to_string().starts_with(&expected), "{error}");
        std::fs::write(&path, "enabled = false").unwrap();
        drop(throughline_std::init_from_env().unwrap());
    });
}

#[test]
fn an_error_that_main_returns_is_told_as_a_sentence() {
    use std::error::Error;
    use std::process::Termination;
    let told = stderr_of("an_error_that_main_returns_is_told_as_a_sentence", || {
        // What the standard library does with the result of `main`.
        let end = |result: Result<(), Box<dyn Error>>| _ = result.report();
        let wrong = file("main.toml", "logging.level = \"loud\"\nlogging.format = \"\\u001B[2J\"\n");
        end(Config::load(wrong).map(drop).map_err(Into::into));
        end(Config::new("shop").otlp("collector").map(drop).map_err(Into::into));
        let config = Config::new("shop").terminal(false);
        #[cfg(feature = "prometheus")]
        {
            let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = taken.local_addr().unwrap().port();
            let page = throughline_std::prometheus::PrometheusOptions::default().port(port);
            end(throughline_std::init(&config.clone().prometheus(page)).map(drop).map_err(Into::into));
        }
        let _guard = throughline_std::init(&config).unwrap();
        end(throughline_std::init(&config).map(drop).map_err(Into::into));
    });
    let Some(told) = told else { return };
    for sentence in [
        "main.toml:1: logging.level = `loud` is not trace, debug, ",
        "main.toml:2: logging.format = `\\u{1b}[2J` is not pretty, ",
        "Error: OTLP endpoint `collector` ",
        #[cfg(feature = "prometheus")]
        "Error: the metrics' page cannot be served on 127.0.0.1:",
        "Error: throughline_std::init was called before; call it once, in main, ",
    ] {
        assert!(told.contains(sentence), "{sentence} in\n{told}");
    }
    assert!(!told.contains(" { ") && !told.contains("Some("), "{told}");
}

#[test]
fn a_wrong_directive_leaves_the_others_of_the_variable() {
    let test = "a_wrong_directive_leaves_the_others_of_the_variable";
    let env = [("RUST_LOG", "config=warn,hyper=loud"), ("THROUGHLINE_TERMINAL_ENABLED", "false")];
    let told = stderr_of_with(test, &env, || {
        let _guard = throughline_std::init_from_env().unwrap();
        assert!(throughline::enabled!(Warn) && !throughline::enabled!(Info));
    });
    if let Some(told) = told {
        let wrong = "RUST_LOG has a wrong part: `hyper=loud` is not a log directive: ";
        assert!(told.matches("RUST_LOG").count() == 1 && told.contains(wrong), "{told}");
    }
}

#[test]
fn what_is_not_honoured_is_told_once() {
    let told = stderr_of("what_is_not_honoured_is_told_once", || {
        let path = file(
            "shop.toml",
            "terminal.enabled = false\nprofiling = { enabled = false, memory.heap_profiling = true }\n",
        );
        let guard = throughline_std::init(&Config::load(&path).unwrap()).unwrap();
        info!("hello");
        drop(guard);
    });
    if let Some(told) = told {
        let lines: Vec<&str> = told.lines().filter(|line| line.contains("heap_profiling")).collect();
        assert_eq!(lines.len(), 1, "{told}");
        assert!(
            lines[0].contains(
                "shop.toml:2: profiling.memory.heap_profiling is not needed: use profiling.memory.enabled"
            ),
            "{told}"
        );
    }
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let message = |path: &std::path::Path| Config::load(path).unwrap_err().to_string();
    assert!(message("/none/shop.toml".as_ref()).starts_with("/none/shop.toml: cannot be read: No such file"));
    assert!(message("/none/shop.conf".as_ref()).contains("give a file that ends in .toml, .yaml or .yml"));
    let path = file("bytes.toml", "");
    std::fs::write(&path, [b'a', 0xff]).unwrap();
    assert!(message(&path).contains("is not UTF-8"));
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(message(&path).contains("larger than 1024 KiB"));
    assert!(message(&std::env::temp_dir().join("..")).contains("neither TOML nor YAML"));
    if !cfg!(feature = "yaml") {
        assert!(message(&file("shop.yaml", "a: b")).contains("with the feature `yaml`"));
    }
    in_own_process("files_that_cannot_be_read_say_why", || ());
}
