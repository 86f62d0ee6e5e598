//! Options for pushing metrics: where to and how.

use super::pushgateway::segment;
use super::{PageOptions, PrometheusError};
use crate::text::masked_url;
use std::fmt;
use std::time::Duration;

/// Options for pushing metrics to a Pushgateway.
///
/// ```
/// use throughline_export::prometheus::PushgatewayOptions;
/// let options = PushgatewayOptions::new("http://localhost:9091")?.job("backup").grouping("instance", "db-1").delete_on_exit(true);
/// assert!(PushgatewayOptions::new("localhost:9091").is_err(), "no scheme");
/// # Ok::<(), throughline_export::prometheus::PrometheusError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PushgatewayOptions {
    base: String,
    job: String,
    grouping: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) replace: bool,
    pub(super) delete_on_exit: bool,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) page: PageOptions,
}

/// Headers may contain credentials, so only their names are shown.
impl fmt::Debug for PushgatewayOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("PushgatewayOptions")
            .field("base", &masked_url(&self.base))
            .field("job", &self.job)
            .field("grouping", &self.grouping)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

impl PushgatewayOptions {
    /// Pushes to the Pushgateway at this address, such as `http://localhost:9091`; `/metrics/job/…` is
    /// appended.
    ///
    /// # Errors
    ///
    /// When it is no `http://` or `https://` URL, or an `https://` one without the feature `tls`.
    pub fn new(base: &str) -> Result<PushgatewayOptions, PrometheusError> {
        let url = || masked_url(base);
        let rest = match (base.strip_prefix("http://"), base.strip_prefix("https://")) {
            (Some(rest), _) => rest,
            (_, Some(rest)) if cfg!(feature = "tls") => rest,
            (_, Some(_)) => return Err(PrometheusError::NoTls { url: url() }),
            _ => return Err(PrometheusError::Url { url: url() }),
        };
        if rest.is_empty()
            || rest.starts_with(['/', ':'])
            || rest.contains(|c: char| c.is_whitespace() || "?#".contains(c))
        {
            return Err(PrometheusError::Url { url: url() });
        }
        Ok(PushgatewayOptions {
            base: base.trim_end_matches('/').into(),
            job: String::new(),
            grouping: Vec::new(),
            headers: Vec::new(),
            replace: true,
            delete_on_exit: false,
            interval: Duration::ZERO,
            timeout: Duration::from_secs(10),
            page: PageOptions::default(),
        })
    }

    /// The label `job` of the pushed group. The default is the service's name.
    #[must_use]
    pub fn job(self, job: impl Into<String>) -> PushgatewayOptions {
        PushgatewayOptions { job: job.into(), ..self }
    }

    /// Another label of the group, such as `instance`. Programs that push to the same group overwrite each
    /// other, so each needs its own. The name consists of letters, digits and underscores; the value may be
    /// anything.
    #[must_use]
    pub fn grouping(mut self, label: impl Into<String>, value: impl Into<String>) -> PushgatewayOptions {
        let label = label.into();
        self.grouping.retain(|(there, _)| *there != label);
        self.grouping.push((label, value.into()));
        self
    }

    /// Sends this header with each request, for example `Authorization`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> PushgatewayOptions {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Whether a push replaces all metrics of the group (PUT, the default), or only those of the same names (POST).
    #[must_use]
    pub fn replace(self, on: bool) -> PushgatewayOptions {
        PushgatewayOptions { replace: on, ..self }
    }

    /// Whether the group is deleted at the end. The default is false: the Pushgateway keeps the last push,
    /// which is intended for jobs.
    #[must_use]
    pub fn delete_on_exit(self, on: bool) -> PushgatewayOptions {
        PushgatewayOptions { delete_on_exit: on, ..self }
    }

    /// Shortest time between two pushes. By default every snapshot of the metrics is pushed, so the interval
    /// of the metrics decides.
    #[must_use]
    pub fn interval(self, interval: Duration) -> PushgatewayOptions {
        PushgatewayOptions { interval, ..self }
    }

    /// Longest time for a request. The default is 10 s.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> PushgatewayOptions {
        PushgatewayOptions { timeout: timeout.max(Duration::from_millis(1)), ..self }
    }

    /// Contents of the page that is pushed.
    #[must_use]
    pub fn page(self, page: PageOptions) -> PushgatewayOptions {
        PushgatewayOptions { page, ..self }
    }

    /// Whether all grouping labels have names that a Pushgateway takes.
    pub(super) fn check(&self) -> Result<(), PrometheusError> {
        let good = |label: &str| {
            let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            let begins = label.bytes().next().is_some_and(|b| !b.is_ascii_digit());
            begins && label.bytes().all(valid) && !label.starts_with("__") && label != "job"
        };
        match self.grouping.iter().find(|(label, _)| !good(label)) {
            Some((label, _)) => Err(PrometheusError::Grouping { label: label.clone() }),
            None => Ok(()),
        }
    }

    /// The URL of the group.
    pub(super) fn url_for(&self, service: &str) -> String {
        let job = [&*self.job, service, "unknown_service"].into_iter().find(|job| !job.is_empty());
        let mut url = format!("{}/metrics{}", self.base, segment("job", job.unwrap_or_default()));
        self.grouping.iter().for_each(|(label, value)| url += &segment(label, value));
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_in_the_url() {
        let options =
            PushgatewayOptions::new("http://h:9091/").unwrap().grouping("a", "x").grouping("b", "1/2");
        assert_eq!(options.url_for("shop"), "http://h:9091/metrics/job/shop/a/x/b@base64/MS8y");
        let options = options.job("a b").grouping("a", "y");
        assert_eq!(options.url_for("shop"), "http://h:9091/metrics/job@base64/YSBi/b@base64/MS8y/a/y");
        assert!(PushgatewayOptions::new("http://h").unwrap().url_for("").ends_with("/job/unknown_service"));
    }

    #[test]
    fn what_cannot_be_pushed_to_is_told() {
        for url in [
            "",
            "localhost:9091",
            "http://",
            "http:///x",
            "http://a b",
            "ftp://h",
            "http://h?x",
            "http://:80",
        ] {
            let error = PushgatewayOptions::new(url).unwrap_err().to_string();
            assert!(error.ends_with("is no http:// URL; give one such as http://localhost:9091"), "{error}");
        }
        for label in ["job", "", "9", "a-b", "__x"] {
            let options = PushgatewayOptions::new("http://h").unwrap().grouping(label, "x");
            assert!(options.check().is_err(), "{label}");
        }
        let secret = PushgatewayOptions::new("http://h").unwrap().header("Authorization", "Basic c2VjcmV0");
        assert!(!format!("{secret:?}").contains("c2VjcmV0"));
    }
}
