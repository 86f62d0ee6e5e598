//! What a check finds.

use std::fmt::Display;

/// How well something is. The order is from well to ill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// All is well.
    Healthy,
    /// It works, but not as it should.
    Degraded,
    /// It does not work.
    Unhealthy,
}

impl Status {
    /// `healthy`, `degraded` or `unhealthy`.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Healthy => "healthy",
            Status::Degraded => "degraded",
            Status::Unhealthy => "unhealthy",
        }
    }

    /// 1, 0.5 or 0, for metrics.
    pub(super) fn as_number(self) -> f64 {
        match self {
            Status::Healthy => 1.0,
            Status::Degraded => 0.5,
            Status::Unhealthy => 0.0,
        }
    }
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub(super) status: Status,
    pub(super) message: String,
    pub(super) details: Vec<(String, String)>,
}

impl Finding {
    /// All is well. The message is for people and may be empty.
    pub fn healthy(message: impl Into<String>) -> Finding {
        Finding { status: Status::Healthy, message: message.into(), details: Vec::new() }
    }

    /// It works, but not as it should. The message says what is wrong and what to do.
    pub fn degraded(message: impl Into<String>) -> Finding {
        Finding { status: Status::Degraded, ..Finding::healthy(message) }
    }

    /// It does not work. The message says what is wrong and what to do.
    pub fn unhealthy(message: impl Into<String>) -> Finding {
        Finding { status: Status::Unhealthy, ..Finding::healthy(message) }
    }

    /// Adds a detail, such as a number that the status depends on.
    #[must_use]
    pub fn detail(mut self, name: impl Into<String>, value: impl Display) -> Finding {
        self.details.push((name.into(), value.to_string()));
        self
    }
}

/// An error is unhealthy, everything else healthy.
impl<E: Display> From<Result<(), E>> for Finding {
    fn from(result: Result<(), E>) -> Finding {
        result.map_or_else(|error| Finding::unhealthy(error.to_string()), |()| Finding::healthy(""))
    }
}
