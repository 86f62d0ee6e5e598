//! A service that is configured by one file: what the file says is what happens.
#![cfg(all(feature = "toml", not(feature = "tls")))]

mod support;

use std::path::PathBuf;
use std::time::Duration;
use support::receiver::{Receiver, text};
use support::{in_own_process, in_own_process_with, stderr_of};
use throughline::{debug, info, span};
use throughline_std::{Config, InitError};

const LONG: Duration = Duration::from_secs(30);

/// A file of this process's own with this text.
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
fn init_from_env_reads_the_file_that_is_named() {
    let path = file("broken.toml", "[tracing]\nsampling.probabilty = 1\n[loging]\nlevel = \"info\"\n");
    let env = [("THROUGHLINE_CONFIG", path.to_str().unwrap())];
    in_own_process_with("init_from_env_reads_the_file_that_is_named", &env, || {
        // In the process of its own the file is the one above, written anew.
        let path = std::env::var("THROUGHLINE_CONFIG").unwrap();
        std::fs::write(&path, "[tracing]\nsampling.probabilty = 1\n[loging]\nlevel = \"info\"\n").unwrap();
        let error = throughline_std::init_from_env().unwrap_err();
        assert!(matches!(error, InitError::Load(_)));
        let expected = format!(
            "{path}:2: tracing.sampling.probabilty is not a key; did you mean tracing.sampling.probability?\n\
             {path}:3: loging is not a key; did you mean logging?"
        );
        assert_eq!(error.to_string(), expected);
        std::fs::write(&path, "enabled = false").unwrap();
        drop(throughline_std::init_from_env().unwrap());
    });
}

#[test]
fn what_is_not_honoured_is_told_once() {
    let told = stderr_of("what_is_not_honoured_is_told_once", || {
        let path = file("shop.toml", "terminal.enabled = false\nhealth.enabled = true\n");
        let guard = throughline_std::init(&Config::load(&path).unwrap()).unwrap();
        info!("hello");
        drop(guard);
    });
    if let Some(told) = told {
        let lines: Vec<&str> = told.lines().filter(|line| line.contains("health")).collect();
        assert_eq!(lines.len(), 1, "{told}");
        assert!(
            lines[0].ends_with(
                "shop.toml:2: health is not read: health is not built yet, so nothing comes of it"
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
