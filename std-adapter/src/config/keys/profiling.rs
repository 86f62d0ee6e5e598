//! Keys of profiles.

use crate::config::key::{Key, State};
use crate::config::value::Kind::{
    self, Amount, Bool, Duration, Int, List, OneOf, Path, SecretMap, Size, Text, Url,
};

const FREQUENCY: Kind = Int { least: 19, most: 999 };
const COUNT: Kind = Int { least: 1, most: 1 << 32 };

const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    let mut key = Key::of_exporter(path, kind, default, doc);
    if cfg!(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))) {
        key.state = State::NotYet("profiling of this system's processes");
    }
    key.of_feature("profile", cfg!(feature = "profile"))
}

const fn pages(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    key(path, kind, default, doc).of_feature("admin", cfg!(feature = "admin"))
}

pub(super) const KEYS: &[Key] = &[
    key(
        "profiling.enabled",
        Bool,
        "",
        "Whether the process is profiled: CPU time, unless that is turned off below.",
    )
    .example("true"),
    key(
        "profiling.cpu.enabled",
        Bool,
        "",
        "Whether CPU time is sampled. Unless given: as profiling.enabled says.",
    )
    .example("true"),
    key(
        "profiling.cpu.frequency",
        FREQUENCY,
        "99",
        "Samples per second of CPU time. The kernel's ticks (100 to 1000 per second) are the most that a thread gets.",
    ),
    key(
        "profiling.cpu.source",
        OneOf(&["timer", "perf"]),
        "timer",
        "What interrupts threads: timers on their CPU clocks, or perf_event_open where the kernel permits it, which is not bound to the kernel's ticks.",
    ),
    key(
        "profiling.cpu.continuous",
        Bool,
        "true",
        "Whether one profile follows the other. With false, the first one is the only one.",
    ),
    key("profiling.cpu.duration", Duration, "30s", "How long a profile takes.").more_than_zero(),
    key(
        "profiling.labels",
        List(&[]),
        "agent.name, invocation_id",
        "Fields of spans that become labels of their samples, and of those of the spans inside them.",
    ),
    key(
        "profiling.memory.enabled",
        Bool,
        "false",
        "Whether memory is sampled. The program's global allocator must be profiling::Allocator.",
    ),
    key(
        "profiling.memory.interval",
        Size,
        "512KiB",
        "Bytes that are allocated from one sample to the next, on average.",
    ),
    key(
        "profiling.memory.metrics",
        Bool,
        "false",
        "Whether the process's memory, its allocations and its leaks are metrics. Allocations and leaks need the allocator too, and samples.",
    ),
    key(
        "profiling.memory.component",
        Text,
        "process",
        "The label `component` of these metrics.",
    ),
    key(
        "profiling.resources.enabled",
        Bool,
        "false",
        "Whether each span gets the CPU time that it has used and the memory that it has allocated, without the spans inside it, and the process gets gauges of both.",
    ),
    key(
        "profiling.resources.source",
        OneOf(&["auto", "samples"]),
        "auto",
        "How CPU time is found: with auto from the kernel's records of context switches where it permits them, else from samples.",
    ),
    key(
        "profiling.resources.by",
        List(&[]),
        "",
        "Fields of spans by whose values this is summed up as metrics. Spans count for the nearest one above that has the field.",
    )
    .example("agent.name, session_id"),
    key("profiling.resources.cpu_second", Amount, "0", "What a second of CPU time costs, for the metric resource.cost."),
    key("profiling.resources.gb_second", Amount, "0", "What a gigabyte of memory costs for a second."),
    pages(
        "profiling.pages.enabled",
        Bool,
        "false",
        "Whether profiles are served at the place of admin.host and admin.port, under /debug/pprof/, as go tool pprof asks for them.",
    ),
    key(
        "profiling.exporter.type",
        OneOf(&["file", "pyroscope", "otlp", "gcp"]),
        "",
        "Where profiles go beside files, which are written in any case. Unless given: pyroscope if there is an endpoint, else only files. gcp is Google Cloud Profiler.",
    )
    .example("pyroscope"),
    key(
        "profiling.exporter.endpoint",
        Url,
        "",
        "Where profiles are taken. Unless given: http://localhost:4040 for pyroscope, http://localhost:4318 for otlp and port 4317 over gRPC, https://cloudprofiler.googleapis.com for gcp.",
    )
    .example("http://localhost:4040"),
    key(
        "profiling.exporter.protocol",
        OneOf(&["http/protobuf", "grpc"]),
        "http/protobuf",
        "How otlp sends profiles.",
    ),
    key(
        "profiling.exporter.certificate",
        Path,
        "",
        "A PEM file with the authority that signed the certificate of an https:// endpoint, in place of Mozilla's list.",
    )
    .example("/etc/shop/ca.pem"),
    key(
        "profiling.exporter.gcp_project_id",
        Text,
        "",
        "The project of Google Cloud in which Cloud Profiler keeps the profiles.",
    )
    .example("my-project-1"),
    key(
        "profiling.exporter.gcp_service_name",
        Text,
        "",
        "What Cloud Profiler calls the service. Unless given: service.name. All processes of the service must have the same one.",
    )
    .example("checkout"),
    key(
        "profiling.exporter.gcp_zone",
        Text,
        "",
        "The zone in which the process runs, the label zone of its profiles.",
    )
    .example("us-central1-a"),
    key(
        "profiling.exporter.token.command",
        List(&[]),
        "",
        "A program and its arguments whose output is the access token for gcp. No shell is involved. It is run again after 50 minutes. Unless given: gcloud auth print-access-token.",
    )
    .example("gcloud,auth,print-access-token"),
    key(
        "profiling.exporter.token.file",
        Path,
        "",
        "A file with the access token for gcp, instead of the command. It is read for every request.",
    )
    .example("/var/run/secrets/token"),
    key(
        "profiling.exporter.application_name",
        Text,
        "",
        "What Pyroscope calls the service. Unless given: service.name. Its labels environment and version are those of the service.",
    )
    .example("checkout"),
    key("profiling.exporter.headers", SecretMap, "", "Headers of every request. Never shown.")
        .example("authorization=Bearer%20${PROFILES_TOKEN:-none}"),
    key(
        "profiling.exporter.file_output_dir",
        Path,
        "profiles",
        "The folder for profiles: of each one a file for pprof and a flame graph.",
    ),
    key(
        "profiling.exporter.keep",
        COUNT,
        "20",
        "How many profiles of each kind are kept; older ones are removed.",
    ),
    key(
        "profiling.exporter.max_age",
        Duration,
        "",
        "Profiles that were written longer ago than this are removed when another one is written.",
    )
    .example("7d")
    .more_than_zero(),
    key(
        "profiling.exporter.max_bytes",
        Size,
        "",
        "Bytes that profiles of both kinds may take together; the oldest go first.",
    )
    .example("256MiB")
    .more_than_zero(),
];
