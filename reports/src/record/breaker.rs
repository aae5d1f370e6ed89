//! What a circuit breaker went through.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A circuit breaker changed its condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerChange {
    /// The service that it belongs to, by number; `None` for the gateway.
    pub service: Option<usize>,
    /// The upstream that it stands before, by number.
    pub upstream: usize,
    /// When.
    pub at: Duration,
    /// `closed`, `open` or `half-open`, from then on.
    pub to: &'static str,
    /// What had settled, of the window or of the probes.
    pub settled: u64,
    /// Failures among them.
    pub failures: u64,
    /// How those failed.
    pub failed: FailureCounts,
}

/// Failures that a circuit breaker counted, by what made them one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailureCounts {
    /// The timeout ran out.
    pub timed_out: u64,
    /// Answered with a status of 500 or more.
    pub server_errors: u64,
    /// Answered, but so late that it counts as a failure.
    pub slow: u64,
    /// The connection was refused or broke.
    pub connection_failed: u64,
}
