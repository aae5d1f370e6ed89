//! A rate limit over many buckets, by whichever algorithm the settings choose.

use std::fmt;

use super::fixed_window::FixedWindow;
use super::gcra::Gcra;
use super::keyed::Keyed;
use super::sliding_counter::SlidingCounter;
use super::sliding_log::SlidingLog;
use super::token_bucket::TokenBucket;
use super::{Algorithm, RateLimit, Verdict};
use crate::Timestamp;

/// One rate limit over many buckets: a bucket per API key, per address, per route, or just one.
///
/// # Contract
///
/// - Call [`check`](Self::check) once per request, at its arrival; there is nothing to be called afterwards
///   and no timer.
/// - A bucket is an opaque number. The caller makes it of a key, an address or a route, with a keyed hash
///   where a client can choose what is hashed. A bucket that was never seen is fresh.
/// - Time is the same for all buckets. A `now` before the latest one told counts as the latest: a clock set
///   back neither opens a limit again nor panics, and `retry_after` then includes the time until the clock
///   has caught up.
///
/// Buckets that equal a fresh one are forgotten, in amortised constant time per check, and no verdict shows
/// it. A million buckets that are not take at most 70 MB, and eight bytes for each further request counted by
/// `sliding-window-log`.
///
/// ```
/// use std::time::Duration;
/// use gateway::{Algorithm, KeyedLimiter, RateLimit, Timestamp, Verdict};
///
/// let settings = RateLimit::new(Algorithm::FixedWindow, 2, Duration::from_secs(60))?;
/// let mut per_key = KeyedLimiter::new(settings);
/// let noon = Timestamp::from_nanos(1_780_401_600_000_000_000);
/// assert_eq!(per_key.check(noon, 7), Verdict::Admitted { remaining: 1 });
/// assert_eq!(per_key.check(noon, 7), Verdict::Admitted { remaining: 0 });
/// assert_eq!(per_key.check(noon, 7), Verdict::Rejected { retry_after: Duration::from_secs(60) });
/// assert_eq!(per_key.check(noon, 8), Verdict::Admitted { remaining: 1 });
/// # Ok::<(), gateway::RateLimitError>(())
/// ```
pub struct KeyedLimiter {
    settings: RateLimit,
    buckets: Buckets,
}

/// The algorithm is chosen once per limit and not per bucket, so that a state is no larger than its own
/// algorithm needs.
enum Buckets {
    FixedWindow(Keyed<FixedWindow>),
    TokenBucket(Keyed<TokenBucket>),
    Gcra(Keyed<Gcra>),
    SlidingLog(Keyed<SlidingLog>),
    SlidingCounter(Keyed<SlidingCounter>),
}

impl KeyedLimiter {
    /// A limit under which no bucket has sent anything yet.
    pub fn new(settings: RateLimit) -> Self {
        let buckets = match settings.algorithm() {
            Algorithm::FixedWindow => Buckets::FixedWindow(Keyed::new(FixedWindow::new(&settings))),
            Algorithm::TokenBucket => Buckets::TokenBucket(Keyed::new(TokenBucket::new(&settings))),
            Algorithm::Gcra => Buckets::Gcra(Keyed::new(Gcra::new(&settings))),
            Algorithm::SlidingWindowLog => Buckets::SlidingLog(Keyed::new(SlidingLog::new(&settings))),
            Algorithm::SlidingWindowCounter => {
                Buckets::SlidingCounter(Keyed::new(SlidingCounter::new(&settings)))
            }
        };
        Self { settings, buckets }
    }

    /// Judges a request of `bucket` that arrives at `now`, and counts it.
    #[inline]
    pub fn check(&mut self, now: Timestamp, bucket: u64) -> Verdict {
        match &mut self.buckets {
            Buckets::FixedWindow(keyed) => keyed.check(now, bucket),
            Buckets::TokenBucket(keyed) => keyed.check(now, bucket),
            Buckets::Gcra(keyed) => keyed.check(now, bucket),
            Buckets::SlidingLog(keyed) => keyed.check(now, bucket),
            Buckets::SlidingCounter(keyed) => keyed.check(now, bucket),
        }
    }

    /// How many buckets are remembered; others are fresh.
    pub fn len(&self) -> usize {
        match &self.buckets {
            Buckets::FixedWindow(keyed) => keyed.len(),
            Buckets::TokenBucket(keyed) => keyed.len(),
            Buckets::Gcra(keyed) => keyed.len(),
            Buckets::SlidingLog(keyed) => keyed.len(),
            Buckets::SlidingCounter(keyed) => keyed.len(),
        }
    }

    /// How many buckets are not fresh at `now`: those that are remembered for a reason. Looks at each of them.
    pub fn in_use(&self, now: Timestamp) -> usize {
        match &self.buckets {
            Buckets::FixedWindow(keyed) => keyed.in_use(now),
            Buckets::TokenBucket(keyed) => keyed.in_use(now),
            Buckets::Gcra(keyed) => keyed.in_use(now),
            Buckets::SlidingLog(keyed) => keyed.in_use(now),
            Buckets::SlidingCounter(keyed) => keyed.in_use(now),
        }
    }

    /// Whether no bucket is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the limit was made of.
    pub const fn settings(&self) -> &RateLimit {
        &self.settings
    }
}

/// The settings and the number of buckets; a million states would help nobody.
impl fmt::Debug for KeyedLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedLimiter")
            .field("settings", &self.settings)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
