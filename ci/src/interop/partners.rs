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
        get: |partner, folder| go_program(partner, folder, "github.com/jaegertracing/jaeger/cmd/all-in-one"),
        file: "jaeger",
        start: Start::Here {
            command: jaeger,
            variables: &[
                "THROUGHLINE_JAEGER",
                "THROUGHLINE_JAEGER_OTLP_HTTP",
                "THROUGHLINE_JAEGER_OTLP_GRPC",
            ],
        },
    },
    Partner {
        name: "kafka",
        version: "3.9.1",
        get: get_kafka,
        file: "jars/kafka_2.13-3.9.1.jar",
        // They stop it, kill it and start it again.
        start: Start::ByTests("THROUGHLINE_KAFKA"),
    },
    Partner {
        name: "prometheus",
        version: "0.315.0",
        get: |partner, folder| go_program(partner, folder, "github.com/prometheus/prometheus/cmd/prometheus"),
        file: "prometheus",
        start: Start::ByTests("THROUGHLINE_PROMETHEUS"),
    },
    Partner {
        name: "victoria-logs",
        version: "1.52.1",
        get: |partner, folder| {
            go_program(partner, folder, "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs")
        },
        file: "victoria-logs",
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
    },
    Partner {
        name: "victoria-metrics",
        version: "1.151.0",
        get: |partner, folder| {
            go_program(partner, folder, "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics")
        },
        file: "victoria-metrics",
        start: Start::ByTests("THROUGHLINE_VICTORIA_METRICS"),
    },
    Partner {
        name: "zipkin",
        version: "3.6.1",
        get: get_zipkin,
        file: "zipkin.jar",
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

/// The broker and what it depends on, all in one folder.
fn get_kafka(partner: &Partner, folder: &Path) -> Result<()> {
    let scratch = Scratch::new("kafka")?;
    let project = format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>
<groupId>partner</groupId><artifactId>partner</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{}</version></dependency></dependencies>
</project>\n",
        partner.version
    );
    fs::write(scratch.path().join("pom.xml"), project)?;
    let unfinished = folder.join("unfinished");
    Cmd::new("mvn")
        .args(["-q", "dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", unfinished.display()))
        .dir(scratch.path())
        .run_logged(&folder.join("get.log"))
        .map_err(no_maven)?;
    Ok(fs::rename(unfinished, folder.join("jars"))?)
}

fn no_maven(error: anyhow::Error) -> anyhow::Error {
    anyhow!(
        "{error:#}What to do: install Java 17 and Maven (Debian: maven, openjdk-17-jdk-headless), and run it again."
    )
}

fn get_zipkin(partner: &Partner, folder: &Path) -> Result<()> {
    let log = folder.join("get.log");
    Cmd::new("mvn")
        .args(["-q", "dependency:copy"])
        .arg(format!("-Dartifact=io.zipkin:zipkin-server:{}:jar:exec", partner.version))
        .arg(format!("-DoutputDirectory={}", folder.display()))
        .dir(folder)
        .run_logged(&log)
        .map_err(no_maven)?;
    let jar = folder.join(format!("zipkin-server-{}-exec.jar", partner.version));
    Ok(fs::rename(jar, folder.join(partner.file))?)
}

/// Builds a Go program from a package of a module.
fn go_program(partner: &Partner, folder: &Path, package: &str) -> Result<()> {
    setup::ensure(&[Need::Go])?;
    let log = folder.join("get.log");
    let scratch = Scratch::new("go-program")?;
    let sources = scratch.path();
    fs::write(sources.join("go.mod"), "module partner\n")?;
    fs::write(sources.join("tools.go"), format!("package main\n\nimport _ \"{package}\"\n"))?;
    let unfinished = folder.join("unfinished");
    let go = || Cmd::new("go").dir(sources);
    let advice = |error: anyhow::Error| {
        anyhow!("{error:#}What to do: see in the log which module could not be had from $GOPROXY.")
    };
    go().arg("get").arg(format!("{package}@v{}", partner.version)).run_logged(&log).map_err(advice)?;
    let build = go().args(["build", "-mod=mod", "-ldflags=-s -w", "-o"]).arg(&unfinished).arg(package);
    build.run_logged(&log).map_err(advice)?;
    Ok(fs::rename(unfinished, folder.join(partner.file))?)
}
