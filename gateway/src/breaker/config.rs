//! The settings of a circuit breaker.

use std::num::NonZeroU32;
use std::time::Duration;

use thiserror::Error;

/// When a breaker opens and how it closes again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerConfig {
    pub(super) window: Duration,
    pub(super) error_threshold: f64,
    pub(super) min_requests: u32,
    pub(super) slow_call: Option<Duration>,
    pub(super) probe_interval: Duration,
    pub(super) half_open: HalfOpen,
}

/// Whom a breaker lets through after it was open for the probe interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfOpen {
    /// One request at a time, one per interval; so many consecutive successes close it, a failure starts the count again,
    /// and it stays half-open.
    SingleProbe {
        /// Consecutive probes that close it: those that would not count as failures while it is closed, a 404 among them.
        successes_to_close: NonZeroU32,
    },
    /// So many requests at once, as Resilience4j does (`permittedNumberOfCallsInHalfOpenState`); when all of them have
    /// settled, the error threshold decides whether it closes or opens again.
    Trickle {
        /// Requests let through.
        calls: NonZeroU32,
    },
    /// Everybody at once. So many consecutive successes close it; the first failure opens it again.
    ReopenToAll {
        /// Consecutive requests without a failure that close it.
        successes_to_close: NonZeroU32,
    },
}

/// Why settings are no [`BreakerConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BreakerConfigError {
    /// Nothing settles in no time.
    #[error("window must be longer than zero")]
    WindowZero,
    /// It would never close.
    #[error("probe_interval must be longer than zero")]
    ProbeIntervalZero,
    /// It would open without a failure, or never.
    #[error("error_threshold must be above 0% and at most 100%")]
    ErrorThreshold,
    /// Every answer takes longer.
    #[error("slow_call must be longer than zero")]
    SlowCallZero,
}

impl BreakerConfig {
    /// The advice that gateways' vendors give: over 30 s, at least 20 requests and half of them failed; one probe each
    /// 10 s, three successes in a row to close.
    pub const RECOMMENDED: Self = Self {
        window: Duration::from_secs(30),
        error_threshold: 0.5,
        min_requests: 20,
        slow_call: None,
        probe_interval: Duration::from_secs(10),
        half_open: HalfOpen::SingleProbe { successes_to_close: NonZeroU32::new(3).unwrap() },
    };

    /// Opens when, over the last `window`, at least `min_requests` settled and at least the share `error_threshold` of
    /// them failed, 0 to 1.
    ///
    /// # Errors
    ///
    /// For a window of zero, and a threshold that is not above 0 and at most 1.
    pub fn new(
        window: Duration,
        error_threshold: f64,
        min_requests: u32,
    ) -> Result<Self, BreakerConfigError> {
        if window.is_zero() {
            return Err(BreakerConfigError::WindowZero);
        }
        if !(error_threshold > 0.0 && error_threshold <= 1.0) {
            return Err(BreakerConfigError::ErrorThreshold);
        }
        Ok(Self { window, error_threshold, min_requests, ..Self::RECOMMENDED })
    }

    /// Counts an answer that took at least `slow_call` as a failure.
    ///
    /// # Errors
    ///
    /// For zero.
    pub fn with_slow_call(self, slow_call: Duration) -> Result<Self, BreakerConfigError> {
        if slow_call.is_zero() {
            return Err(BreakerConfigError::SlowCallZero);
        }
        Ok(Self { slow_call: Some(slow_call), ..self })
    }

    /// Lets requests through again, in this way, after it was open for `probe_interval`.
    ///
    /// # Errors
    ///
    /// For an interval of zero.
    pub fn with_half_open(
        self,
        probe_interval: Duration,
        half_open: HalfOpen,
    ) -> Result<Self, BreakerConfigError> {
        if probe_interval.is_zero() {
            return Err(BreakerConfigError::ProbeIntervalZero);
        }
        Ok(Self { probe_interval, half_open, ..self })
    }

    /// Over how long outcomes are counted.
    pub const fn window(&self) -> Duration {
        self.window
    }

    /// The share of failures that opens it, 0 to 1.
    pub const fn error_threshold(&self) -> f64 {
        self.error_threshold
    }

    /// How many must have settled before anything is concluded.
    pub const fn min_requests(&self) -> u32 {
        self.min_requests
    }

    /// What an answer may not take if it is to be a success.
    pub const fn slow_call(&self) -> Option<Duration> {
        self.slow_call
    }

    /// How long it is open, and how far apart single probes are.
    pub const fn probe_interval(&self) -> Duration {
        self.probe_interval
    }

    /// Whom it lets through half-open.
    pub const fn half_open(&self) -> HalfOpen {
        self.half_open
    }
}
