//! The settings of a rate limit.

use std::time::Duration;

use thiserror::Error;

use super::Algorithm;
use super::calendar::LONGEST_MONTH;

/// A rate limit's settings, valid by construction: `limit` requests per `window`, counted by an
/// [`Algorithm`].
///
/// ```
/// use std::time::Duration;
/// use gateway::{Algorithm, RateLimit};
///
/// let per_key = RateLimit::new(Algorithm::TokenBucket, 1000, Duration::from_secs(60))?.with_burst(100)?;
/// assert_eq!(per_key.allowance(), 100);
/// # Ok::<(), gateway::RateLimitError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateLimit {
    algorithm: Algorithm,
    limit: u32,
    /// Nanoseconds, in `1..=MAX_WINDOW`; of a calendar month those of the longest.
    window: u64,
    is_month: bool,
    /// Unless set, the limit, or 0 for an algorithm with a delay; of no meaning to an algorithm without a burst.
    burst: u32,
    /// Of no meaning to an algorithm without.
    delay: u32,
    /// Nanoseconds, at most the window; 0 for a refill that is continuous.
    refill_every: u64,
    /// Of no meaning to an algorithm without windows that begin.
    window_from: WindowFrom,
    count_rejected: bool,
}

/// When a window begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WindowFrom {
    /// With the clock: a minute's at each full minute, for all buckets at once.
    #[default]
    Clock,
    /// With the first request that a bucket counts: each has its own, and the next begins with the first one after its end.
    FirstRequest,
}

/// Why settings are no [`RateLimit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RateLimitError {
    /// A limit of zero would be a closed door, which is not a rate.
    #[error("limit must be at least 1")]
    LimitZero,
    /// A window without length has no rate.
    #[error("window must be longer than zero")]
    WindowZero,
    /// Longer than [`RateLimit::MAX_WINDOW`].
    #[error("window must be at most 366 days")]
    WindowTooLong,
    /// A bucket that holds no token never admits.
    #[error("burst must be at least 1")]
    BurstZero,
    /// Only `leaky-bucket` has a delay.
    #[error("{algorithm} lets nobody wait")]
    DelayNotApplicable {
        /// The algorithm without one.
        algorithm: Algorithm,
    },
    /// Only `token-bucket`, `gcra` and `leaky-bucket` have a burst.
    #[error("{algorithm} has no burst")]
    BurstNotApplicable {
        /// The algorithm without one.
        algorithm: Algorithm,
    },
    /// Only `fixed-window` has windows that begin.
    #[error("{algorithm} has no windows that begin")]
    WindowFromNotApplicable {
        /// The algorithm without.
        algorithm: Algorithm,
    },
    /// Only `fixed-window` can have the calendar's months.
    #[error("{algorithm} has no months")]
    MonthNotApplicable {
        /// The algorithm without.
        algorithm: Algorithm,
    },
    /// A month is one of the calendar, and begins for nobody else.
    #[error("a month begins with the calendar")]
    MonthFromFirstRequest,
    /// Only `token-bucket` can refill in steps.
    #[error("{algorithm} has no refill in steps")]
    RefillNotApplicable {
        /// The algorithm without.
        algorithm: Algorithm,
    },
    /// Steps that are no time apart are no steps.
    #[error("the steps of a refill are further apart than no time")]
    RefillZero,
    /// A step brings what its time is worth, and the window is what the limit is for.
    #[error("the steps of a refill are no further apart than the window")]
    RefillBeyondWindow,
    /// Only the sliding windows can count rejected requests.
    #[error("{algorithm} cannot count rejected requests")]
    CountRejectedNotApplicable {
        /// The algorithm that cannot.
        algorithm: Algorithm,
    },
}

impl RateLimit {
    /// The longest window: a leap year, longer than any quota we have met. The bound keeps every product of a
    /// count and a window below 2⁸⁷.
    pub const MAX_WINDOW: Duration = Duration::from_secs(366 * 24 * 60 * 60);

    /// `limit` requests per `window`. Burst, where there is one, is `limit`, and 0 where there is a delay too, which is 0;
    /// rejected requests do not count.
    ///
    /// # Errors
    ///
    /// If `limit` is zero, or `window` is zero or longer than [`Self::MAX_WINDOW`].
    pub const fn new(algorithm: Algorithm, limit: u32, window: Duration) -> Result<Self, RateLimitError> {
        if limit == 0 {
            return Err(RateLimitError::LimitZero);
        }
        if window.is_zero() {
            return Err(RateLimitError::WindowZero);
        }
        if window.as_nanos() > Self::MAX_WINDOW.as_nanos() {
            return Err(RateLimitError::WindowTooLong);
        }
        let window = window.as_nanos() as u64;
        let burst = if algorithm.has_delay() { 0 } else { limit };
        Ok(Self {
            algorithm,
            limit,
            window,
            is_month: false,
            burst,
            delay: 0,
            refill_every: 0,
            window_from: WindowFrom::Clock,
            count_rejected: false,
        })
    }

    /// `limit` requests in each calendar month of UTC, which is the clock of scenarios too.
    ///
    /// # Errors
    ///
    /// If `limit` is zero, or the algorithm [has no months](Algorithm::has_months).
    pub const fn per_month(algorithm: Algorithm, limit: u32) -> Result<Self, RateLimitError> {
        if !algorithm.has_months() {
            return Err(RateLimitError::MonthNotApplicable { algorithm });
        }
        match Self::new(algorithm, limit, Duration::from_secs(LONGEST_MONTH * 24 * 60 * 60)) {
            Ok(settings) => Ok(Self { is_month: true, ..settings }),
            Err(error) => Err(error),
        }
    }

    /// Refills the bucket in steps that far apart, at the multiples of that time since the Unix epoch, each with what
    /// `limit / window` is worth in it. Default: continuously.
    ///
    /// # Errors
    ///
    /// If the algorithm [has no such refill](Algorithm::has_refill), or `every` is zero or longer than the window.
    pub const fn with_refill_every(self, every: Duration) -> Result<Self, RateLimitError> {
        if !self.algorithm.has_refill() {
            return Err(RateLimitError::RefillNotApplicable { algorithm: self.algorithm });
        }
        if every.is_zero() {
            return Err(RateLimitError::RefillZero);
        }
        if every.as_nanos() > self.window as u128 {
            return Err(RateLimitError::RefillBeyondWindow);
        }
        Ok(Self { refill_every: every.as_nanos() as u64, ..self })
    }

    /// Lets `burst` requests through at one instant after a rest, instead of `limit`; with a delay, so many beyond the one that
    /// is due, instead of none.
    ///
    /// # Errors
    ///
    /// If `burst` is zero and there is no delay, or the algorithm [has none](Algorithm::has_burst).
    pub const fn with_burst(self, burst: u32) -> Result<Self, RateLimitError> {
        if !self.algorithm.has_burst() {
            return Err(RateLimitError::BurstNotApplicable { algorithm: self.algorithm });
        }
        if burst == 0 && !self.algorithm.has_delay() {
            return Err(RateLimitError::BurstZero);
        }
        Ok(Self { burst, ..self })
    }

    /// Lets so many requests of the burst pass at once; those beyond wait for their turn. As many as the burst, and nobody waits.
    ///
    /// # Errors
    ///
    /// If the algorithm [has none](Algorithm::has_delay).
    pub const fn with_delay(self, delay: u32) -> Result<Self, RateLimitError> {
        if !self.algorithm.has_delay() {
            return Err(RateLimitError::DelayNotApplicable { algorithm: self.algorithm });
        }
        Ok(Self { delay, ..self })
    }

    /// When a window begins (default: with the clock).
    ///
    /// # Errors
    ///
    /// If windows are to begin with a request, and the algorithm [has none that begin](Algorithm::has_windows) or the window is
    /// a month.
    pub const fn with_window_from(self, window_from: WindowFrom) -> Result<Self, RateLimitError> {
        if matches!(window_from, WindowFrom::FirstRequest) && !self.algorithm.has_windows() {
            return Err(RateLimitError::WindowFromNotApplicable { algorithm: self.algorithm });
        }
        if matches!(window_from, WindowFrom::FirstRequest) && self.is_month {
            return Err(RateLimitError::MonthFromFirstRequest);
        }
        Ok(Self { window_from, ..self })
    }

    /// Whether rejected requests count too (default: no). A client that stays above such a limit is locked
    /// out for as long as it keeps trying.
    ///
    /// # Errors
    ///
    /// If `count_rejected` is set and the algorithm is not [sliding](Algorithm::is_sliding).
    pub const fn with_count_rejected(self, count_rejected: bool) -> Result<Self, RateLimitError> {
        if count_rejected && !self.algorithm.is_sliding() {
            return Err(RateLimitError::CountRejectedNotApplicable { algorithm: self.algorithm });
        }
        Ok(Self { count_rejected, ..self })
    }

    /// How requests are counted.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Requests per window, at least 1.
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// The window, longer than zero and at most [`Self::MAX_WINDOW`]; of a [month](Self::is_month) the longest.
    pub const fn window(&self) -> Duration {
        Duration::from_nanos(self.window)
    }

    /// Whether the window is the calendar month of UTC.
    pub const fn is_month(&self) -> bool {
        self.is_month
    }

    /// How far the steps of the refill are apart; `None` for one that is continuous.
    pub const fn refill_every(&self) -> Option<Duration> {
        match self.refill_every {
            0 => None,
            every => Some(Duration::from_nanos(every)),
        }
    }

    /// The bucket's capacity, at least 1, or with a delay the requests beyond the one that is due; `None` for an algorithm
    /// [without](Algorithm::has_burst).
    pub const fn burst(&self) -> Option<u32> {
        if self.algorithm.has_burst() { Some(self.burst) } else { None }
    }

    /// How many of the burst pass at once; `None` for an algorithm [without](Algorithm::has_delay).
    pub const fn delay(&self) -> Option<u32> {
        if self.algorithm.has_delay() { Some(self.delay) } else { None }
    }

    /// Whether any request has to wait for its turn.
    pub const fn lets_wait(&self) -> bool {
        self.algorithm.has_delay() && self.delay < self.burst
    }

    /// When a window begins.
    pub const fn window_from(&self) -> WindowFrom {
        self.window_from
    }

    /// Whether rejected requests count too.
    pub const fn count_rejected(&self) -> bool {
        self.count_rejected
    }

    /// How many requests a bucket admits at one instant after a rest: the burst where there is one (with a delay, one
    /// more), otherwise the limit. A bucket is in use by `1 − remaining / allowance`.
    pub const fn allowance(&self) -> u32 {
        match self.algorithm.has_burst() {
            // The one that is due is none of the burst.
            true if self.algorithm.has_delay() => self.burst.saturating_add(1),
            true => self.burst,
            false => self.limit,
        }
    }

    pub(super) const fn window_nanos(&self) -> u64 {
        self.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn burst_defaults_to_the_limit_where_there_is_one() {
        for algorithm in Algorithm::ALL {
            let settings = RateLimit::new(algorithm, 1000, MINUTE).unwrap();
            let (burst, allowance) = if algorithm.has_delay() { (0, 1) } else { (1000, 1000) };
            assert_eq!(settings.burst(), algorithm.has_burst().then_some(burst));
            assert_eq!(settings.allowance(), allowance);
            assert!(!settings.count_rejected());
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        use Algorithm::{FixedWindow, Gcra, SlidingWindowLog};
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(RateLimit::new(Gcra, 0, MINUTE), Err(RateLimitError::LimitZero));
        assert_eq!(RateLimit::new(Gcra, 1, Duration::ZERO), Err(RateLimitError::WindowZero));
        assert_eq!(RateLimit::new(Gcra, 1, 367 * day), Err(RateLimitError::WindowTooLong));
        assert_eq!(RateLimit::new(Gcra, 1, Duration::MAX), Err(RateLimitError::WindowTooLong));
        assert!(RateLimit::new(Gcra, u32::MAX, RateLimit::MAX_WINDOW).is_ok());

        let gcra = RateLimit::new(Gcra, 1, MINUTE).unwrap();
        assert_eq!(gcra.with_burst(0), Err(RateLimitError::BurstZero));
        let error = gcra.with_count_rejected(true).unwrap_err();
        assert_eq!(error.to_string(), "gcra cannot count rejected requests");

        assert_eq!(gcra.with_delay(1).unwrap_err().to_string(), "gcra lets nobody wait");

        let leaky = RateLimit::new(Algorithm::LeakyBucket, 1, MINUTE).unwrap();
        assert!(!leaky.lets_wait() && leaky.with_burst(0).is_ok());
        let waiting = leaky.with_burst(3).unwrap();
        assert_eq!((waiting.lets_wait(), waiting.allowance()), (true, 4));
        assert!(!waiting.with_delay(3).unwrap().lets_wait());

        let fixed = RateLimit::new(FixedWindow, 1, MINUTE).unwrap();
        assert_eq!(fixed.with_burst(5).unwrap_err().to_string(), "fixed-window has no burst");
        assert_eq!(fixed.with_count_rejected(false), Ok(fixed));

        let log = RateLimit::new(SlidingWindowLog, 1, MINUTE).unwrap();
        let error = log.with_window_from(WindowFrom::FirstRequest).unwrap_err();
        assert_eq!(error.to_string(), "sliding-window-log has no windows that begin");
        assert_eq!(log.with_window_from(WindowFrom::Clock), Ok(log));
        assert!(log.with_count_rejected(true).unwrap().count_rejected());

        let month = RateLimit::per_month(FixedWindow, 1).unwrap();
        assert_eq!((month.is_month(), month.window()), (true, 31 * day));
        assert_eq!(
            month.with_window_from(WindowFrom::FirstRequest),
            Err(RateLimitError::MonthFromFirstRequest)
        );
        assert_eq!(RateLimit::per_month(Gcra, 1).unwrap_err().to_string(), "gcra has no months");
        let bucket = RateLimit::new(Algorithm::TokenBucket, 1, MINUTE).unwrap();
        assert_eq!(bucket.refill_every(), None);
        assert_eq!(bucket.with_refill_every(MINUTE).unwrap().refill_every(), Some(MINUTE));
        assert_eq!(bucket.with_refill_every(2 * MINUTE), Err(RateLimitError::RefillBeyondWindow));
        assert_eq!(bucket.with_refill_every(Duration::ZERO), Err(RateLimitError::RefillZero));
        assert_eq!(gcra.with_refill_every(MINUTE).unwrap_err().to_string(), "gcra has no refill in steps");
    }
}
