//! The servers: where each comes from, how it is started, and which tests use it.

use std::fs;
use std::path::Path;

use anyhow::{Result, anyhow};

use super::{Partner, Start};
use crate::process::Cmd;
use crate::scratch::Scratch;
use crate::setup::{self, Need};

pub(super) const PARTNERS: &[Partner] = &[
    Partner {
        name: "jaeger",
        version: "1.62.0",
        get: |partner, folder| {
            go_programs(partner, folder, &["github.com/jaegertracing/jaeger/cmd/all-in-one"])
        },
        files: &["jaeger"],
        start: Start::Here {
            command: jaeger,
            variables: &[
                "THROUGHLINE_JAEGER",
                "THROUGHLINE_JAEGER_OTLP_HTTP",
                "THROUGHLINE_JAEGER_OTLP_GRPC",
            ],
        },
        tests: &["--test", "interop", "--", "--include-ignored", "jaeger"],
    },
    Partner {
        name: "victoria-logs",
        version: "1.52.1",
        get: |partner, folder| {
            go_programs(partner, folder, &["github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs"])
        },
        files: &["victoria-logs"],
        start: Start::Here {
            command: |file, ports, data| {
                Cmd::new(file)
                    .arg(format!("-httpListenAddr=127.0.0.1:{}", ports[0]))
                    .arg(format!("-storageDataPath={}", data.join("data").display()))
                    // Keep records of any age, whatever times the tests give them.
                    .arg("-retentionPeriod=100y")
            },
            variables: &["THROUGHLINE_VICTORIA_LOGS"],
        },
        tests: &["--test", "interop", "--", "--include-ignored", "victoria_logs"],
    },
    Partner {
        name: "victoria-metrics",
        version: "1.151.0",
        get: |partner, folder| {
            go_programs(partner, folder, &["github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics"])
        },
        files: &["victoria-metrics"],
        start: Start::ByTests(&["THROUGHLINE_VICTORIA_METRICS"]),
        tests: &["--test", "interop", "--", "--include-ignored", "victoria_metrics"],
    },
    Partner {
        name: "zipkin",
        version: "3.6.1",
        get: get_zipkin,
        files: &["zipkin.jar"],
        start: Start::Here {
            command: |file, ports, _| {
                Cmd::new("java")
                    .env("QUERY_PORT", ports[0].to_string())
                    .env("COLLECTOR_SCRIBE_ENABLED", "false")
                    .args(["-Xmx256m", "-jar"])
                    .arg(file)
            },
            variables: &["THROUGHLINE_ZIPKIN"],
        },
        tests: &["--test", "interop", "--", "--include-ignored", "zipkin"],
    },
];

/// Ports: the query API, OTLP over HTTP, OTLP over gRPC. All that it would listen on besides gets any free port.
fn jaeger(file: &Path, ports: &[u16], _: &Path) -> Cmd {
    let at = |option: &str, port: u16| format!("--{option}=127.0.0.1:{port}");
    let unused = [
        "query.grpc-server.host-port",
        "collector.grpc-server.host-port",
        "collector.http-server.host-port",
        "admin.http.host-port",
        "http-server.host-port",
        "processor.jaeger-binary.server-host-port",
        "processor.jaeger-compact.server-host-port",
        "processor.zipkin-compact.server-host-port",
    ];
    Cmd::new(file)
        .env("SPAN_STORAGE_TYPE", "memory")
        .arg(at("query.http-server.host-port", ports[0]))
        .arg(at("collector.otlp.http.host-port", ports[1]))
        .arg(at("collector.otlp.grpc.host-port", ports[2]))
        .args(unused.map(|option| at(option, 0)))
}

fn get_zipkin(partner: &Partner, folder: &Path) -> Result<()> {
    let log = folder.join("get.log");
    Cmd::new("mvn")
        .args(["-q", "dependency:copy"])
        .arg(format!("-Dartifact=io.zipkin:zipkin-server:{}:jar:exec", partner.version))
        .arg(format!("-DoutputDirectory={}", folder.display()))
        .dir(folder)
        .run_logged(&log)
        .map_err(|error| {
            anyhow!("{error:#}What to do: install Java 17 and Maven (Debian: maven), and run it again.")
        })?;
    let jar = folder.join(format!("zipkin-server-{}-exec.jar", partner.version));
    Ok(fs::rename(jar, folder.join(partner.files[0]))?)
}

/// Builds a module's Go packages, one for each file of the partner.
fn go_programs(partner: &Partner, folder: &Path, packages: &[&str]) -> Result<()> {
    setup::ensure(&[Need::Go])?;
    let log = folder.join("get.log");
    let scratch = Scratch::new("go-program")?;
    let sources = scratch.path();
    let imports: String = packages.iter().map(|package| format!("import _ \"{package}\"\n")).collect();
    fs::write(sources.join("go.mod"), "module partner\n")?;
    fs::write(sources.join("tools.go"), format!("package main\n\n{imports}"))?;
    let go = || Cmd::new("go").dir(sources);
    let advice = |error: anyhow::Error| {
        anyhow!("{error:#}What to do: see in the log which module could not be had from $GOPROXY.")
    };
    let versions = packages.iter().map(|package| format!("{package}@v{}", partner.version));
    go().arg("get").args(versions).run_logged(&log).map_err(advice)?;
    for (package, file) in packages.iter().zip(partner.files) {
        let unfinished = folder.join("unfinished");
        let build = go().args(["build", "-mod=mod", "-ldflags=-s -w", "-o"]).arg(&unfinished).arg(*package);
        build.run_logged(&log).map_err(advice)?;
        fs::rename(unfinished, folder.join(file))?;
    }
    Ok(())
}
