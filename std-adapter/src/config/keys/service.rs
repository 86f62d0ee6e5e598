//! Keys of the service that is observed.

use crate::config::key::{Key, Standard};
use crate::config::value::Kind::{Bool, Map, Text};

pub(super) const KEYS: &[Key] = &[
    Key::new("enabled", Bool, "true", "Whether anything is recorded at all.", |config, value| {
        config.disabled = !value.bool();
        Ok(())
    })
    .standard(&[Standard { name: "OTEL_SDK_DISABLED", translate: disabled }]),
    // Keep this key before `service.name` and the other keys below, because they override attributes of the
    // same name.
    Key::new("service.attributes", Map, "", "Further attributes of the resource.", |config, value| {
        for (name, text) in value.pairs() {
            config.resource = config.resource.clone().with(name, text);
        }
        Ok(())
    })
    .example("team=checkout")
    .standard(&[Standard::same("OTEL_RESOURCE_ATTRIBUTES")]),
    Key::new("service.name", Text, "", "The service's name.", |config, value| {
        if value.text().trim().is_empty() {
            return Err(
                "is empty, so no backend could tell the service from others; give a name such as shop".into(),
            );
        }
        config.resource = config.resource.clone().with("service.name", value.text());
        Ok(())
    })
    .example("shop")
    .standard(&[Standard::same("OTEL_SERVICE_NAME")]),
    Key::new(
        "service.namespace",
        Text,
        "",
        "The group of services that it belongs to.",
        attribute!("service.namespace"),
    )
    .example("store"),
    Key::new("service.version", Text, "", "The service's version.", attribute!("service.version"))
        .example("1.4.2"),
    Key::new(
        "service.environment",
        Text,
        "",
        "Where it is deployed: the attribute deployment.environment.name.",
        attribute!("deployment.environment.name"),
    )
    .example("production"),
    Key::new(
        "service.instance_id",
        Text,
        "",
        "What tells this process from others of the service; a random UUID unless it is given.",
        attribute!("service.instance.id"),
    )
    .example("shop-0"),
    Key::new("service.detect.host", Bool, "true", "host.name and host.arch.", set!(detectors.host, bool)),
    Key::new("service.detect.os", Bool, "true", "os.type and os.description.", set!(detectors.os, bool)),
    Key::new(
        "service.detect.process",
        Bool,
        "true",
        "process.pid, process.executable.name, process.executable.path; not the arguments, which may hold secrets.",
        set!(detectors.process, bool),
    ),
    Key::new(
        "service.detect.container",
        Bool,
        "true",
        "container.id, from the control group or the mounts.",
        set!(detectors.container, bool),
    ),
    Key::new(
        "service.detect.kubernetes",
        Bool,
        "true",
        "k8s.pod.name and so on, from variables that the downward API sets: POD_NAME, POD_UID, NAMESPACE, NODE_NAME, CONTAINER_NAME, \
         DEPLOYMENT_NAME, CLUSTER_NAME, each with or without K8S_ in front.",
        set!(detectors.kubernetes, bool),
    ),
    Key::new(
        "service.detect.instance_id",
        Bool,
        "true",
        "service.instance.id, a random UUID, unless one is given.",
        set!(detectors.instance_id, bool),
    ),
];

fn disabled(text: &str) -> Result<String, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok("false".into()),
        "false" => Ok("true".into()),
        _ => Err("is not true or false".into()),
    }
}
