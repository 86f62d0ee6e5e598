//! Keeps the guides of `examples/deploy` true: runs their commands, checks their configurations, and follows their links.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::deploy_folder;
use crate::net;
use crate::process::Cmd;
use crate::scratch::Scratch;
use crate::workspace;

/// The ports that the guides name, in place of which their commands get free ones.
const PORTS: [&str; 4] = ["8080", "9464", "8081", "8099"];

/// A block of code of a guide.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// What follows the fence, such as `sh run`.
    info: String,
    text: String,
    line: usize,
}

/// Runs the blocks `sh run` of each guide, in one shell, and gives those of `toml check` to `throughline config check`. The programs
/// must have been built.
///
/// # Errors
///
/// The error names the guide, and for a configuration also the line.
pub(super) fn run(collector: &Path) -> Result<()> {
    let (mut commands, mut configurations) = (0, 0);
    let programs = workspace::target_dir().join("debug");
    let folder = Scratch::new("guides")?;
    for guide in guides()? {
        let blocks = blocks(&fs::read_to_string(&guide)?);
        let name = guide.strip_prefix(workspace::root()).unwrap_or(&guide).display().to_string();
        for block in blocks.iter().filter(|it| it.info == "toml check") {
            let file = folder.path().join("guide.toml");
            fs::write(&file, &block.text)?;
            let check = Cmd::new(programs.join("throughline")).args(["config", "check"]).arg(&file);
            check.output().with_context(|| format!("the configuration at line {} of {name}", block.line))?;
            configurations += 1;
        }
        let run: Vec<_> = blocks.iter().filter(|it| it.info == "sh run").map(|it| it.text.as_str()).collect();
        if !run.is_empty() {
            println!("{name}:");
            shell(&run.concat(), &programs, collector).with_context(|| format!("the commands of {name}"))?;
            commands += run.len();
        }
    }
    println!("{commands} blocks of commands and {configurations} configurations of the guides work");
    Ok(())
}

/// Runs a script that finds our programs and the Collector by their names, and ends what it leaves running.
fn shell(script: &str, programs: &Path, collector: &Path) -> Result<()> {
    let mut script = script.to_owned();
    let free: [u16; PORTS.len()] = net::free_ports()?;
    for (port, free) in PORTS.iter().zip(free) {
        script = script.replace(port, &free.to_string());
    }
    let own = [Some(programs), collector.parent()].into_iter().flatten().map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(own.chain(std::env::split_paths(&path)))?;
    let ends = "trap 'code=$?; kill $(jobs -p) 2>/dev/null || true; wait || true; exit $code' EXIT";
    Cmd::new("bash")
        .args(["-euo", "pipefail", "-c", &format!("{ends}\n{script}")])
        .env("PATH", path)
        .env("THROUGHLINE_METRICS_PROMETHEUS_PORT", free[1].to_string())
        .env("THROUGHLINE_HEALTH_PORT", free[2].to_string())
        .run()
}

fn guides() -> Result<Vec<PathBuf>> {
    let mut found = vec![deploy_folder().join("README.md")];
    for entry in fs::read_dir(deploy_folder().join("guides"))? {
        found.push(entry?.path());
    }
    found.sort();
    if found.len() < 2 {
        bail!("there are no guides in examples/deploy/guides");
    }
    Ok(found)
}

/// The blocks of a text in Markdown. In a list they are indented, as their fences are.
fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut indent = None;
    for (at, line) in text.lines().enumerate() {
        let plain = line.trim_start();
        match (plain.strip_prefix("```"), indent) {
            (Some(info), None) => {
                found.push(Block { info: info.trim().into(), text: String::new(), line: at + 1 });
                indent = Some(line.len() - plain.len());
            }
            (Some(_), Some(_)) => indent = None,
            (None, Some(indent)) => {
                if let Some(block) = found.last_mut() {
                    block.text += line.get(indent..).unwrap_or_default();
                    block.text.push('\n');
                }
            }
            (None, None) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboards::{alerts, rules};

    /// The names of the sections of a text, as GitHub makes them for links.
    fn sections(text: &str) -> Vec<String> {
        let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
        let name = |heading: &str| {
            let lower = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = lower.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.collect::<String>().replace(' ', "-")
        };
        headings.map(name).collect()
    }

    /// The targets of the links of a text.
    fn links(text: &str) -> impl Iterator<Item = &str> {
        text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
    }

    #[test]
    fn links_between_guides_lead_somewhere() {
        let mut followed = 0;
        for guide in guides().unwrap() {
            let text = fs::read_to_string(&guide).unwrap();
            for link in links(&text).filter(|it| !it.starts_with("http")) {
                let (file, section) = link.split_once('#').unwrap_or((link, ""));
                let target = if file.is_empty() { guide.clone() } else { guide.parent().unwrap().join(file) };
                let there = fs::read_to_string(&target);
                let there = there.unwrap_or_else(|error| panic!("{}: {link}: {error}", guide.display()));
                let is_known = section.is_empty() || sections(&there).iter().any(|it| it == section);
                assert!(is_known, "{}: no section {link}", guide.display());
                followed += 1;
            }
        }
        assert!(followed > 10, "{followed}");
    }

    #[test]
    fn each_alert_has_its_section_and_its_test() {
        let guide = fs::read_to_string(deploy_folder().join("guides/troubleshooting.md")).unwrap();
        let tests = fs::read_to_string(deploy_folder().join("prometheus/rules.test.yaml")).unwrap();
        for rule in alerts::ALL.iter().flat_map(|it| it.rules) {
            let rules::Rule::Alert(alert) = rule else { continue };
            let heading = sections(&guide).iter().any(|it| it == alert.section);
            assert!(heading && guide.contains(alert.name), "{} is not in the guide", alert.name);
            let fires = tests.contains(&format!("- alertname: {}\n", alert.name));
            assert!(fires, "{} has no test in which it fires", alert.name);
        }
    }

    #[test]
    fn each_reason_for_a_loss_is_in_the_guide() {
        let ledger = workspace::root().join("std-adapter/export/src/ledger/reason.rs");
        let ledger = fs::read_to_string(ledger).unwrap();
        let guide = fs::read_to_string(deploy_folder().join("guides/troubleshooting.md")).unwrap();
        let lines = ledger.lines().filter(|line| line.trim_start().starts_with("DropReason::"));
        let reasons: Vec<_> = lines.filter_map(|line| line.split('"').nth(1)).collect();
        assert!(reasons.len() >= 24, "{reasons:?}");
        for reason in reasons {
            assert!(guide.contains(&format!("`{reason}`")), "{reason} is not in the guide");
        }
    }

    #[test]
    fn data_sources_link_to_ones_that_exist() {
        for file in ["grafana/provisioning/datasources/datasources.yaml", "tempo/datasources.yaml"] {
            let text = fs::read_to_string(deploy_folder().join(file)).unwrap();
            let lines = || text.lines().filter(|line| !line.trim_start().starts_with('#'));
            let values =
                |key: &str| lines().filter_map(move |line| line.trim().strip_prefix(key)).collect::<Vec<_>>();
            let (known, linked) = (values("uid: "), values("datasourceUid: "));
            assert!(linked.len() >= 3, "{file}: {linked:?}");
            for link in linked {
                assert!(known.contains(&link), "{file} links to {link}, which is not there");
            }
            // Grafana takes a single `$` for a variable of the environment.
            assert!(lines().all(|line| !line.replace("$$", "").contains('$')), "{file} has a single $");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_script_sends_each_dashboard_to_grafana() {
        use std::io::{BufRead, BufReader, Read, Write};

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Cmd::new(deploy_folder().join("import.sh")).arg(url).env("GRAFANA_TOKEN", "s3cret");
        // The API is that of Grafana's documentation: POST /api/dashboards/db.
        let grafana = std::thread::spawn(move || {
            let mut titles = Vec::new();
            for stream in listener.incoming().take(crate::dashboards::boards::ALL.len()) {
                let mut stream = BufReader::new(stream.unwrap());
                let (mut head, mut length) = (String::new(), 0);
                while !head.ends_with("\r\n\r\n") {
                    let from = head.len();
                    stream.read_line(&mut head).unwrap();
                    if let Some(n) = head[from..].to_lowercase().strip_prefix("content-length:") {
                        length = n.trim().parse().unwrap();
                    }
                }
                assert!(head.starts_with("POST /api/dashboards/db HTTP/1.1\r\n"), "{head}");
                assert!(head.contains("Authorization: Bearer s3cret\r\n"), "{head}");
                if head.to_lowercase().contains("expect: 100-continue") {
                    stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(body["overwrite"], true);
                titles.push(body["dashboard"]["title"].as_str().unwrap().to_owned());
                stream
                    .get_mut()
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
                    .unwrap();
            }
            titles
        });
        script.run().unwrap();
        let mut titles = grafana.join().unwrap();
        titles.sort();
        let mut known: Vec<_> = crate::dashboards::boards::ALL.iter().map(|it| it.title).collect();
        known.sort_unstable();
        assert_eq!(titles, known);
    }

    #[test]
    fn blocks_in_lists_lose_their_indentation() {
        let text = "a\n1. b\n\n   ```toml check\n   [x]\n     y = 1\n   ```\n```sh\nls\n```\n";
        let block = |info: &str, text: &str, line| Block { info: info.into(), text: text.into(), line };
        assert_eq!(blocks(text), [block("toml check", "[x]\n  y = 1\n", 4), block("sh", "ls\n", 8)]);
    }
}
