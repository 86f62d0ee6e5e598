//! `throughline config`, as a person calls it.

use std::process::{Command, Output};

const GOOD: &str = "\
[service]
name = \"shop\"
[otlp]
endpoint = \"http://localhost:4318\"
headers.authorization = \"Bearer ${SHOP_TOKEN}\"
[profiling]
enabled = true
";

/// Whether the tool is built with each feature of throughline-std, as it is beside the tests of all other packages. As it is
/// installed, it lacks those that it only checks the keys of.
fn has_all_features() -> bool {
    std::env::var_os("XTASK_ALL_FEATURES").is_some()
}

/// Runs the tool in a folder with these files and no variables but the one.
fn run(args: &[&str], files: &[(&str, &str)]) -> (i32, String, String) {
    run_with(args, files, &[])
}

/// Like [`run`], with more variables.
fn run_with(args: &[&str], files: &[(&str, &str)], env: &[(&str, &str)]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
    command.arg("config").args(args).current_dir(folder.path()).env_clear().envs(env.iter().copied());
    let Output { status, stdout, stderr } = command.env("SHOP_TOKEN", "hunter2").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn check_tells_all_mistakes_at_once() {
    let bad = "[service]\nnmae = \"shop\"\n[tracing.sampling]\nprobability = 10\n";
    let (code, out, err) = run(&["check", "bad.toml"], &[("bad.toml", bad)]);
    let expected = "\
throughline: bad.toml:2: service.nmae is not a key; did you mean service.name?
throughline: bad.toml:4: tracing.sampling.probability = `10` is not a number from 0.0 to 1.0; 10 % is 0.1
throughline: 2 mistakes in bad.toml; mend what is told above
";
    assert_eq!((code, &*out, &*err), (1, "", expected));
    let (code, out, err) = run(&["check", "good.toml"], &[("good.toml", GOOD)]);
    let told = "throughline: note: good.toml:7: profiling.enabled wants a service that is built with the feature `profile` of throughline-std; this tool is built without it, so it did not check what the feature would; one that does: cargo install throughline-cli --features throughline-std/profile\n";
    let told = if has_all_features() { "" } else { told };
    assert_eq!((code, &*out, &*err), (0, "good.toml: no mistakes\n", told));
    let (code, _, err) = run(&["check", "none.yaml"], &[]);
    assert_eq!(code, 1);
    assert!(err.starts_with("throughline: none.yaml: cannot be read"), "{err}");
}

#[test]
fn check_finds_what_init_would_find() {
    let bad = "\
[otlp]
endpoint = \"https://u:hunter2@h:4318\"
protocol = \"grpc\"
certificate = \"none/ca.pem\"
[logging.file]
path = \"blocked/sub/shop.log\"
[logging.loki]
endpoint = \"http://h:3100\"
filter = \"loud=shop\"
[tracing.chrome]
path = \"new/folder/trace.json\"
[metrics.pushgateway]
endpoint = \"https://h:9091\"
";
    // `blocked` is a file, so no folder can be made below it.
    let files = [("bad.toml", bad), ("blocked", "")];
    let (code, out, err) = run(&["check", "bad.toml"], &files);
    let told: Vec<&str> = err.lines().map(|line| line.strip_prefix("throughline: ").unwrap()).collect();
    let begins = [
        "bad.toml:2: otlp.endpoint cannot be used: OTLP endpoint `https://[REDACTED]@h:4318` has a user or a password in it: ",
        "bad.toml:4: otlp.certificate cannot be used: `none/ca.pem` cannot be read: ",
        "bad.toml:6: logging.file.path cannot be used: blocked/sub/shop.log cannot be opened for writing: ",
        "bad.toml:9: logging.loki.filter cannot be used: `loud=shop` is not a log directive: ",
        "4 mistakes in bad.toml; mend what is told above",
    ];
    assert_eq!((code, &*out, told.len()), (1, "", begins.len()), "{err}");
    for (told, begin) in told.iter().zip(begins) {
        assert!(told.starts_with(begin), "{told}");
    }
    assert!(!err.contains("hunter2"));

    let zstd = "[otlp]\nendpoint = \"http://h:4318\"\ncompression = \"zstd\"\n";
    let (code, _, err) = run(&["check", "zstd.toml"], &[("zstd.toml", zstd)]);
    let note = "note: zstd.toml:3: otlp.compression wants a service that is built with the feature `zstd`";
    assert_eq!((code, err.contains(note)), (0, !has_all_features()), "{err}");

    let header = "[otlp]\nheaders.x-key = \"${SHOP_TOKEN}\\n\"\n";
    let (code, _, err) = run(&["check", "header.toml"], &[("header.toml", header)]);
    assert!(code == 1 && err.contains("otlp.headers has a line break in the value of x-key"), "{err}");
    assert!(!err.contains("hunter2"));
}

/// The features of a server are there without asking for them.
#[test]
fn check_finds_what_is_wrong_with_pages_checks_and_events() {
    let bad = "\
[admin]
token = \"${EMPTY}\"
[health]
http = { a = \"127.0.0.1:1/ok\" }
tcp = { b = \"127.0.0.1\" }
[events.webhook]
url = \"http://h\"
secret = \"${EMPTY}\"
";
    let (code, _, err) = run_with(&["check", "bad.toml"], &[("bad.toml", bad)], &[("EMPTY", "")]);
    let begins = [
        "bad.toml:2: admin.token is empty; ",
        "bad.toml:4: health.http has a = `127.0.0.1:1/ok`, which is no URL; ",
        "bad.toml:5: health.tcp has b = `127.0.0.1`, which is no host and port; ",
        "bad.toml:8: events.webhook.secret is empty; ",
        "4 mistakes in bad.toml",
    ];
    let told: Vec<&str> = err.lines().map(|line| line.strip_prefix("throughline: ").unwrap()).collect();
    assert_eq!((code, told.len()), (1, begins.len()), "{err}");
    for begin in begins {
        assert!(told.iter().any(|line| line.starts_with(begin)), "{begin}: {err}");
    }
}

#[test]
fn check_reads_the_authority_of_each_backend() {
    let sections = [
        "logging.loki",
        "logging.elasticsearch",
        "tracing.zipkin",
        "metrics.remote_write",
        "metrics.pushgateway",
    ];
    let webhooks = ["alerts.notification.webhook", "events.webhook"];
    let section = |name: &str, address: &str| {
        format!("[{name}]\n{address} = \"https://h\"\ncertificate = \"none/ca.pem\"\n")
    };
    let bad = sections.map(|name| section(name, "endpoint")).concat()
        + &webhooks.map(|name| section(name, "url")).concat();
    let (code, _, err) = run(&["check", "bad.toml"], &[("bad.toml", &bad)]);
    for name in sections.into_iter().chain(webhooks) {
        let told = format!("{name}.certificate cannot be used: `none/ca.pem` cannot be read: ");
        assert!(code == 1 && err.contains(&told), "{name}: {code} {err}");
    }
}

#[test]
fn check_finds_what_is_wrong_with_observers() {
    let bad = "\
[[observers]]
name = \"late\"
when = \"duration_ms > 500 &&\"
actions = [\"log\"]
[[observers]]
name = \"odd\"
on = [\"event\"]
when = \"level == 'error'\"
sequence = [\"message == 'a'\", \"route == '/cart'\"]
within = \"1m\"
actions = [\"profile\"]
[[observers]]
name = \"loose\"
when = \"name == 'order'\"
count = 3
actions = [\"log\"]
[[observers]]
name = \"fine\"
when = \"duration_ms > 500\"
actions = [\"profile\"]
";
    let (code, out, err) = run(&["check", "bad.toml"], &[("bad.toml", bad)]);
    let told: Vec<&str> = err.lines().map(|line| line.strip_prefix("throughline: ").unwrap()).collect();
    let begins = [
        "note: bad.toml:11: observers[1].actions wants a service that is built with the feature `profile`",
        "note: bad.toml:20: observers[3].actions wants a service that is built with the feature `profile`",
        "bad.toml:3: observers[0].when cannot be used: the observer `late`: `duration_ms > 500 &&` is no expression: ",
        "bad.toml:9: observers[1].sequence cannot be used: the observer `odd`: `route == '/cart'` has the name route, which no record has; an attribute is written attributes[\"route\"]",
        "bad.toml:15: observers[2].count cannot be used: the observer `loose`: has no time within which its records must come",
        "3 mistakes in bad.toml; mend what is told above",
    ];
    let begins = if has_all_features() { &begins[2..] } else { &begins };
    assert_eq!((code, &*out, told.len()), (1, "", begins.len()), "{err}");
    for (told, begin) in told.iter().zip(begins) {
        assert!(told.starts_with(begin), "{told}");
    }
}

#[test]
fn check_tells_what_is_wrong_in_the_environment_beside_the_file() {
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://x"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grcp")];
    let (code, out, err) = run_with(&["check", "min.toml"], &[("min.toml", "service.name = \"shop\"")], &env);
    let expected = "\
throughline: OTEL_EXPORTER_OTLP_ENDPOINT = `ftp://x` is not an http:// URL; give one such as http://localhost:4318
throughline: warning: OTEL_EXPORTER_OTLP_PROTOCOL = `grcp` is not http/protobuf, http/json or grpc; did you mean grpc?; it is not honoured
throughline: 1 mistake in the environment; mend what is told above
";
    assert_eq!((code, &*out, &*err), (1, "", expected));
    let files =
        [("bad.toml", "service.name = \"\"\nmetrics.prometheus = { host = \"not a host\", path = \"m\" }\n")];
    let (code, _, err) = run_with(&["check", "bad.toml"], &files, &env[..1]);
    assert!(
        code == 1
            && err.contains("throughline: 3 mistakes in bad.toml and 1 mistake in the environment; mend"),
        "{err}"
    );
}

#[test]
fn check_says_nothing_of_bridges_that_are_turned_on() {
    for text in ["bridges = true", "bridges = { tracing = true, log = false, metrics = true }"] {
        let (code, out, err) = run(&["check", "good.toml"], &[("good.toml", text)]);
        assert_eq!((code, &*out, &*err), (0, "good.toml: no mistakes\n", ""), "{text}");
    }
}

#[test]
fn check_leaves_no_files() {
    let text = "logging.file.path = \"new/folder/shop.log\"\ntracing.chrome.path = \"old/trace.json\"\n";
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("shop.toml"), text).unwrap();
    std::fs::create_dir(path("old")).unwrap();
    std::fs::write(path("old/trace.json"), "kept").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
    let output = command.args(["config", "check", "shop.toml"]).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!path("new").exists());
    assert_eq!(std::fs::read_to_string(path("old/trace.json")).unwrap(), "kept");
}

#[test]
fn print_says_where_each_value_comes_from_and_masks_secrets() {
    let (code, out, err) = run(&["print", "good.toml"], &[("good.toml", GOOD)]);
    assert_eq!(code, 0, "{err}");
    for line in [
        "service.name = \"shop\"  # good.toml:2",
        "otlp.headers = { \"authorization\" = \"[REDACTED]\" }  # good.toml:5",
        "otlp.timeout = \"10s\"  # default",
    ] {
        assert!(out.lines().any(|it| it == line), "{line} in\n{out}");
    }
    assert!(!out.contains("hunter2") && !err.contains("hunter2"));
    let (_, out, _) = run(&["print", "--json"], &[]);
    for line in out.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            object["key"].is_string() && object["value"].is_string() && object["origin"] == "default",
            "{line}"
        );
    }
}

#[test]
fn the_reference_file_is_right_and_the_schema_is_json() {
    let (_, reference, _) = run(&["reference"], &[]);
    let (code, _, err) = run(&["check", "all.toml"], &[("all.toml", &reference)]);
    assert_eq!((code, &*err), (0, ""));
    let (_, schema, _) = run(&["schema"], &[]);
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(
        schema["properties"]["tracing"]["properties"]["sampling"]["properties"]["probability"]["default"],
        1.0
    );
}
