//! The resource: what is observed, as attributes that hold for every record of a batch.

use crate::text::percent_decode;

/// Attributes of the process or device whose records are sent. It starts with `service.name` and the name of
/// this SDK.
///
/// ```
/// use throughline_export::Resource;
/// let resource = Resource::new("shop").with("deployment.environment.name", "test");
/// assert_eq!(resource.get("service.name"), Some("shop"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource(Vec<(String, String)>);

impl Resource {
    /// A resource with this service name.
    pub fn new(service_name: &str) -> Resource {
        Resource(Vec::new())
            .with("service.name", service_name)
            .with("telemetry.sdk.name", "throughline")
            .with("telemetry.sdk.language", "rust")
            .with("telemetry.sdk.version", env!("CARGO_PKG_VERSION"))
    }

    /// The resource with `key` set to `value`, which replaces an earlier value.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Resource {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(k, _)| *k == key) {
            Some(pair) => pair.1 = value,
            None => self.0.push((key, value)),
        }
        self
    }

    /// The resource changed by `OTEL_RESOURCE_ATTRIBUTES` (`key=value,…`, percent-encoded) and then by
    /// `OTEL_SERVICE_NAME`. Malformed pairs are left out.
    #[must_use]
    pub fn with_env(self) -> Resource {
        self.with_lookup(&|name| std::env::var(name).ok())
    }

    pub(crate) fn with_lookup(mut self, env: &dyn Fn(&str) -> Option<String>) -> Resource {
        for (key, value) in pairs(&env("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default()) {
            self = self.with(key, value);
        }
        match env("OTEL_SERVICE_NAME").filter(|name| !name.is_empty()) {
            Some(name) => self.with("service.name", name),
            None => self,
        }
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// All attributes, in order.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }
}

/// The pairs of `key=value,key=value`, percent-decoded. W3C Baggage and OpenTelemetry's environment variables
/// use this format.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    text.split(',').filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let key = percent_decode(key.trim())?;
        (!key.is_empty()).then_some((key, percent_decode(value.trim())?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_amends() {
        let env = |name: &str| match name {
            "OTEL_RESOURCE_ATTRIBUTES" => Some("service.name=a,zone= eu%2D1 ,bad,=x,worse=%zz".into()),
            "OTEL_SERVICE_NAME" => Some("b".into()),
            _ => None,
        };
        let resource = Resource::new("c").with_lookup(&env);
        assert_eq!(resource.get("service.name"), Some("b"));
        assert_eq!(resource.get("zone"), Some("eu-1"));
        assert_eq!(resource.get("worse"), None);
        assert_eq!(Resource::new("c").with_lookup(&|_| None), Resource::new("c"));
    }
}
