//! The resource: what is observed, as attributes that hold for every record of a batch.

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

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// All attributes, in order.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }
}
