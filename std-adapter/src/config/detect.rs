//! Detects attributes of the resource, named by OpenTelemetry's semantic conventions. None of them costs more
//! than reading a few small files.

use super::variables::Variables;
use std::hash::{BuildHasher, RandomState};
use throughline_export::Resource;

/// The detectors that are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Detectors {
    pub(crate) host: bool,
    pub(crate) os: bool,
    pub(crate) process: bool,
    pub(crate) container: bool,
    pub(crate) kubernetes: bool,
    pub(crate) instance_id: bool,
}

impl Default for Detectors {
    fn default() -> Detectors {
        Detectors {
            host: true,
            os: true,
            process: true,
            container: true,
            kubernetes: true,
            instance_id: true,
        }
    }
}

/// Variables that a pod's specification sets with the downward API, under the names that are commonly used.
const KUBERNETES: [(&str, &[&str]); 7] = [
    ("k8s.pod.name", &["K8S_POD_NAME", "POD_NAME"]),
    ("k8s.pod.uid", &["K8S_POD_UID", "POD_UID"]),
    ("k8s.namespace.name", &["K8S_NAMESPACE", "K8S_NAMESPACE_NAME", "POD_NAMESPACE", "NAMESPACE"]),
    ("k8s.node.name", &["K8S_NODE_NAME", "NODE_NAME"]),
    ("k8s.container.name", &["K8S_CONTAINER_NAME", "CONTAINER_NAME"]),
    ("k8s.deployment.name", &["K8S_DEPLOYMENT_NAME", "DEPLOYMENT_NAME"]),
    ("k8s.cluster.name", &["K8S_CLUSTER_NAME", "CLUSTER_NAME"]),
];

/// Adds the detected attributes to the resource. Existing attributes are not changed.
pub(crate) fn detect(mut resource: Resource, detectors: Detectors, variables: &Variables) -> Resource {
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty())
            && resource.get(name).is_none()
        {
            resource = resource.clone().with(name, value);
        }
    };
    if detectors.instance_id {
        add("service.instance.id", Some(random_uuid()));
    }
    if detectors.host {
        add("host.name", host_name());
        add("host.arch", Some(arch(std::env::consts::ARCH).to_owned()));
    }
    if detectors.os {
        add("os.type", Some(os_type(std::env::consts::OS).to_owned()));
        add("os.description", os_description());
    }
    if detectors.process {
        let path = std::env::current_exe().ok();
        let name =
            path.as_ref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
        add("process.pid", Some(std::process::id().to_string()));
        add("process.executable.name", name);
        add("process.executable.path", path.map(|path| path.display().to_string()));
    }
    if detectors.container {
        add("container.id", container_id());
    }
    // Other programs may use names such as NAMESPACE too, so read them only in a pod.
    if detectors.kubernetes && variables.set("KUBERNETES_SERVICE_HOST").is_some() {
        for (name, sources) in KUBERNETES {
            add(name, sources.iter().find_map(|source| variables.set(source)).map(str::to_owned));
        }
        // A pod's host name is the pod's name, unless its specification sets another one.
        add("k8s.pod.name", host_name());
    }
    resource
}

/// A random UUID, version 4.
fn random_uuid() -> String {
    let random = || RandomState::new().hash_one(std::time::SystemTime::now());
    let (high, low) = (random() & !0xf000 | 0x4000, random() & !(0b11 << 62) | 0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// The name of the architecture in the semantic conventions.
fn arch(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

/// The name of the operating system in the semantic conventions.
fn os_type(rust: &str) -> &str {
    match rust {
        "macos" => "darwin",
        "dragonfly" => "dragonflybsd",
        other => other,
    }
}

#[cfg(unix)]
fn host_name() -> Option<String> {
    let mut name = [0_u8; 256];
    // SAFETY: the buffer is initialised and has the length that is passed.
    let failed = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len()) };
    let end = name.iter().position(|byte| *byte == 0)?;
    (failed == 0).then(|| String::from_utf8_lossy(&name[..end]).into_owned())
}

#[cfg(not(unix))]
fn host_name() -> Option<String> {
    std::env::var("COMPUTERNAME").ok()
}

fn os_description() -> Option<String> {
    let release = std::fs::read_to_string("/etc/os-release").ok()?;
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches(['"', '\'']).to_owned())
}

fn container_id() -> Option<String> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    // With version 2 of control groups a container does not see its own path, but the source paths of the
    // files that are mounted into it contain the id.
    let groups = read("/proc/self/cgroup");
    let mounts = read("/proc/self/mountinfo");
    let mounts = mounts.lines().filter(|line| line.contains("/etc/hostname") || line.contains("/etc/hosts"));
    groups.lines().chain(mounts).find_map(id_in)
}

/// Finds a container's id in a line: 64 hexadecimal digits.
fn id_in(line: &str) -> Option<String> {
    let mut parts = line.split(|c: char| !c.is_ascii_alphanumeric());
    let id = parts.find(|part| part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit()))?;
    Some(id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: Detectors = Detectors {
        host: false,
        os: false,
        process: false,
        container: false,
        kubernetes: false,
        instance_id: false,
    };

    #[test]
    fn each_detector_is_switched_by_itself() {
        let variables = Variables::of([
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
            ("POD_NAME", "shop-0"),
            ("NAMESPACE", "x"),
        ]);
        let bare = Resource::new("svc");
        assert_eq!(detect(bare.clone(), OFF, &variables), bare);
        for (detectors, name) in [
            (Detectors { host: true, ..OFF }, "host.arch"),
            (Detectors { os: true, ..OFF }, "os.type"),
            (Detectors { process: true, ..OFF }, "process.pid"),
            (Detectors { kubernetes: true, ..OFF }, "k8s.pod.name"),
            (Detectors { instance_id: true, ..OFF }, "service.instance.id"),
        ] {
            let resource = detect(bare.clone(), detectors, &variables);
            assert!(resource.get(name).is_some(), "{name}");
            let given = detect(bare.clone().with(name, "mine"), detectors, &variables);
            assert_eq!(given.get(name), Some("mine"));
        }
        let resource = detect(bare.clone(), Detectors { kubernetes: true, ..OFF }, &variables);
        assert_eq!(
            (resource.get("k8s.pod.name"), resource.get("k8s.namespace.name")),
            (Some("shop-0"), Some("x"))
        );
        let elsewhere = Variables::of([("NAMESPACE", "x")]);
        assert_eq!(detect(bare.clone(), Detectors { kubernetes: true, ..OFF }, &elsewhere), bare);
    }

    #[test]
    fn ids_of_containers_and_instances() {
        let id = "3f4e0c7d9a1b2c3d4e5f60718293a4b5c6d7e8f90123456789abcdef01234567";
        for line in [
            format!("0::/system.slice/docker-{id}.scope"),
            format!("12:cpu:/kubepods/burstable/pod1/{id}"),
            format!("1 2 0:3 /var/lib/docker/containers/{id}/hostname /etc/hostname rw"),
        ] {
            assert_eq!(id_in(&line).as_deref(), Some(id));
        }
        assert_eq!(id_in("0::/user.slice"), None);
        let uuid = random_uuid();
        assert_eq!((uuid.len(), uuid.as_bytes()[14]), (36, b'4'), "{uuid}");
        assert!(matches!(uuid.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{uuid}");
        assert_ne!(uuid, random_uuid());
    }
}
