//! The settings of a circuit breaker.

use std::num::NonZeroU32;
use std::time::Duration;

use thiserror::Error;

use crate::failure_set::FailureSet;

/// When a breaker opens and how it closes again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerConfig {
    pub(super) window: BreakerWindow,
    pub(super) error_threshold: f64,
    pub(super) min_requests: u32,
    pub(super) failures: FailureSet,
    pub(super) slow_call: Option<Duration>,
    pub(super) slow_share: Option<f64>,
    pub(super) probe_interval: Duration,
    pub(super) growth: Option<OpenGrowth>,
    pub(super) half_open: HalfOpen,
}

/// What a closed breaker looks back at, and so what opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerWindow {
    /// The share of failures among all that settled within this time. Night and day ask for the same share; the minimum of requests
    /// keeps three failures at night from opening the breaker.
    Time(Duration),
    /// The share of failures among the last so many that settled (Resilience4j's `COUNT_BASED`, its default). The ring forgets
    /// nothing by itself: at night it reaches back for hours.
    Calls(NonZeroU32),
    /// So many failures in a row, with no success between them (Envoy's `consecutive_5xx`). Under load with few errors a single
    /// success starts the count again, so a half-broken upstream may never open the breaker.
    Consecutive(NonZeroU32),
    /// So many failures within a time, however many requests succeed meanwhile (Caddy's `max_fails` within `fail_duration`; nginx
    /// and HAProxy count alike). The busier an upstream, the smaller the share that opens its breaker.
    Failures {
        /// Failures that open it.
        failures: NonZeroU32,
        /// The time that they fall within, above zero.
        within: Duration,
    },
}

/// How the time without a probe grows while an upstream stays broken.
///
/// Let n be the number of recoveries that failed since the breaker was last closed: probes that failed, and openings after
/// half-open. The first interval after closing is [`BreakerConfig::probe_interval`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenGrowth {
    /// The rule of growth.
    pub by: GrowthRule,
    /// No interval is longer.
    pub max: Duration,
}

/// By what an interval grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrowthRule {
    /// Interval × (n + 1), as Envoy's ejections.
    Linear,
    /// Interval × 2ⁿ, as the breaker of APISIX.
    Doubling,
}

/// Whom a breaker lets through after it was open for the probe interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HalfOpen {
    /// One request at a time, one per interval; so many consecutive successes close it, a failure starts the count again,
    /// and it stays half-open.
    SingleProbe {
        /// Consecutive probes that close it: those that would not count as failures while it is closed, a 404 among them.
        successes_to_close: NonZeroU32,
    },
    /// So many requests at once, as Resilience4j does (`permittedNumberOfCallsInHalfOpenState`); when all of them have
    /// settled, the error threshold decides whether it closes or opens again; with a window of failures, one that failed opens it
    /// again.
    Trickle {
        /// Requests let through.
        calls: NonZeroU32,
    },
    /// Everybody at once. So many consecutive successes close it; the first failure opens it again.
    ReopenToAll {
        /// Consecutive requests without a failure that close it.
        successes_to_close: NonZeroU32,
    },
    /// A share of the requests that grows from nothing, as Traefik does. What settles meanwhile is counted as by a closed breaker,
    /// and opens the breaker again as it would open a closed one; a breaker that is not opened again until `over` has passed
    /// is closed.
    ///
    /// The share is that of all requests since the ramp began: one is let through if it keeps the share below `to` × time passed ÷
    /// `over` (`ratioController` of vulcand's oxy, Traefik's library). No draw decides. Under a steady load, a ramp to 0.5 lets
    /// a tenth of the requests through after a tenth of the time, and nearly all at the end.
    Ramp {
        /// How long the share grows, above zero. Traefik's default: 10 s.
        over: Duration,
        /// The share at the end, above 0 and at most 1. Traefik: 0.5.
        to: f64,
    },
}

/// Why settings are no [`BreakerConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BreakerConfigError {
    /// Nothing settles in no time.
    #[error("window must be longer than zero")]
    WindowZero,
    /// It would keep too much.
    #[error("a window has at most 1,000,000 calls")]
    CallsTooMany,
    /// It would never close.
    #[error("probe_interval must be longer than zero")]
    ProbeIntervalZero,
    /// It would open without a failure, or never.
    #[error("error_threshold must be above 0% and at most 100%")]
    ErrorThreshold,
    /// Every answer takes longer.
    #[error("slow_call must be longer than zero")]
    SlowCallZero,
    /// It would open without a slow answer, or never.
    #[error("slow_share must be above 0% and at most 100%")]
    SlowShare,
    /// Nothing says which answers are slow.
    #[error("slow_share needs slow_call, the time from which an answer is slow")]
    SlowShareAlone,
    /// A number of failures has no share.
    #[error("slow_share has no meaning with a window of failures")]
    SlowShareOfNumber,
    /// Nothing would ever open it.
    #[error("failures must not be empty")]
    NoFailures,
    /// The first interval is longer than the longest.
    #[error("open_max must not be below probe_interval")]
    OpenMaxBelowInterval,
    /// The share never grows, or nobody is let through.
    #[error("a ramp must last longer than zero, and end at more than 0% and at most 100%")]
    Ramp,
}

impl BreakerConfig {
    /// The advice that gateways' vendors give: over 30 s, at least 20 requests and half of them failed; one probe each
    /// 10 s, three successes in a row to close.
    pub const RECOMMENDED: Self = Self {
        window: BreakerWindow::Time(Duration::from_secs(30)),
        error_threshold: 0.5,
        min_requests: 20,
        failures: FailureSet::USUAL,
        slow_call: None,
        slow_share: None,
        probe_interval: Duration::from_secs(10),
        growth: None,
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
        if !is_share(error_threshold) {
            return Err(BreakerConfigError::ErrorThreshold);
        }
        Self { error_threshold, min_requests, ..Self::RECOMMENDED }.with_window(BreakerWindow::Time(window))
    }

    /// Looks back at this instead. [`BreakerWindow::Consecutive`] and [`BreakerWindow::Failures`] ask for no share and no minimum
    /// of requests.
    ///
    /// # Errors
    ///
    /// For a time of zero, more calls than [`BreakerWindow::MOST_CALLS`], and for a number of failures where [`with_slow_share`](Self::with_slow_share) was called before.
    pub fn with_window(self, window: BreakerWindow) -> Result<Self, BreakerConfigError> {
        match window {
            BreakerWindow::Time(time) | BreakerWindow::Failures { within: time, .. } if time.is_zero() => {
                Err(BreakerConfigError::WindowZero)
            }
            BreakerWindow::Calls(calls) if calls.get() > BreakerWindow::MOST_CALLS => {
                Err(BreakerConfigError::CallsTooMany)
            }
            _ if self.slow_share.is_some() && !window.has_share() => {
                Err(BreakerConfigError::SlowShareOfNumber)
            }
            _ => Ok(Self { window, ..self }),
        }
    }

    /// Counts these as failures, instead of [`FailureSet::USUAL`].
    ///
    /// # Errors
    ///
    /// For an empty set.
    pub const fn with_failures(self, failures: FailureSet) -> Result<Self, BreakerConfigError> {
        if failures.is_empty() {
            return Err(BreakerConfigError::NoFailures);
        }
        Ok(Self { failures, ..self })
    }

    /// Counts an answer that took at least `slow_call` as a failure, or where [`with_slow_share`](Self::with_slow_share) gives slow
    /// answers a share of their own, towards that.
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

    /// Opens too when at least this share of what settled was slow, 0 to 1 (Resilience4j's `slowCallRateThreshold`). A slow answer
    /// is then no failure, but counts as slow, even if it failed as well.
    ///
    /// # Errors
    ///
    /// Without [`with_slow_call`](Self::with_slow_call) before, for a share that is not above 0 and at most 1, and with a window
    /// of failures.
    pub fn with_slow_share(self, slow_share: f64) -> Result<Self, BreakerConfigError> {
        if !is_share(slow_share) {
            return Err(BreakerConfigError::SlowShare);
        }
        if self.slow_call.is_none() {
            return Err(BreakerConfigError::SlowShareAlone);
        }
        if !self.window.has_share() {
            return Err(BreakerConfigError::SlowShareOfNumber);
        }
        Ok(Self { slow_share: Some(slow_share), ..self })
    }

    /// Lets requests through again, in this way, after it was open for `probe_interval`.
    ///
    /// # Errors
    ///
    /// For an interval of zero, and a ramp that lasts no time or ends at no share.
    pub fn with_half_open(
        self,
        probe_interval: Duration,
        half_open: HalfOpen,
    ) -> Result<Self, BreakerConfigError> {
        if probe_interval.is_zero() {
            return Err(BreakerConfigError::ProbeIntervalZero);
        }
        if let HalfOpen::Ramp { over, to } = half_open
            && (over.is_zero() || !is_share(to))
        {
            return Err(BreakerConfigError::Ramp);
        }
        Ok(Self { probe_interval, half_open, ..self })
    }

    /// Lets the interval grow with each recovery that fails.
    ///
    /// # Errors
    ///
    /// If the longest interval is shorter than the first.
    pub fn with_growth(self, growth: OpenGrowth) -> Result<Self, BreakerConfigError> {
        if growth.max < self.probe_interval {
            return Err(BreakerConfigError::OpenMaxBelowInterval);
        }
        Ok(Self { growth: Some(growth), ..self })
    }

    /// What it looks back at.
    pub const fn window(&self) -> BreakerWindow {
        self.window
    }

    /// The share of failures that opens it, 0 to 1. Of no meaning with a window of failures.
    pub const fn error_threshold(&self) -> f64 {
        self.error_threshold
    }

    /// How many must have settled before anything is concluded: at most as many as the window can hold. Of no meaning with a
    /// window of failures.
    pub fn min_requests(&self) -> u32 {
        match self.window {
            // As in Resilience4j: the ring never holds more.
            BreakerWindow::Calls(calls) => self.min_requests.min(calls.get()),
            _ => self.min_requests,
        }
    }

    /// What counts as a failure.
    pub const fn failures(&self) -> &FailureSet {
        &self.failures
    }

    /// The time from which an answer is slow.
    pub const fn slow_call(&self) -> Option<Duration> {
        self.slow_call
    }

    /// The share of slow answers that opens it, 0 to 1; `None` where a slow answer is a failure.
    pub const fn slow_share(&self) -> Option<f64> {
        self.slow_share
    }

    /// How long it is open, and how far apart single probes are, before anything grows.
    pub const fn probe_interval(&self) -> Duration {
        self.probe_interval
    }

    /// How that grows; `None` for never.
    pub const fn growth(&self) -> Option<OpenGrowth> {
        self.growth
    }

    /// Whom it lets through half-open.
    pub const fn half_open(&self) -> HalfOpen {
        self.half_open
    }

    /// The interval after so many recoveries failed.
    pub(super) fn interval_after(&self, failed_recoveries: u32) -> Duration {
        let Some(OpenGrowth { by, max }) = self.growth else { return self.probe_interval };
        self.probe_interval
            .checked_mul(by.factor(failed_recoveries))
            .map_or(max, |interval| interval.min(max))
    }
}

impl GrowthRule {
    /// How many times as long an interval is as the first one, after that many before it.
    pub(crate) fn factor(self, before: u32) -> u32 {
        match self {
            Self::Linear => before.saturating_add(1),
            Self::Doubling => 1_u32.checked_shl(before).unwrap_or(u32::MAX),
        }
    }
}

impl BreakerWindow {
    /// Most calls that a window of calls has: what is kept of each is two bytes.
    pub const MOST_CALLS: u32 = 1_000_000;

    /// Whether a share opens the breaker, and not a number of failures.
    pub const fn has_share(self) -> bool {
        matches!(self, Self::Time(_) | Self::Calls(_))
    }
}

fn is_share(share: f64) -> bool {
    share > 0.0 && share <= 1.0
}
