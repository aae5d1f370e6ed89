//! A rate limit over many buckets, by whichever algorithm the settings choose.

use std::fmt;

use super::algorithm::{Algorithm, with_algorithms};
use super::keyed::Keyed;
use super::limiter::Verdict;
use super::settings::RateLimit;
use crate::timestamp::Timestamp;

/// One rate limit over many buckets: a bucket per API key, per address, per route, or just one.
///
/// # Contract
///
/// - Call [`check`](Self::check) once per request, at its arrival, or [`take`](Self::take) of one that counts as several; there is
///   nothing to be called afterwards and no timer.
/// - Where requests count by how they end, call [`peek`](Self::peek) at the arrival and [`charge`](Self::charge) at the end of
///   each that is to count. Those that are under way meanwhile have counted nothing yet, so that more may pass than the limit.
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

/// Makes [`Buckets`] of the table of algorithms.
macro_rules! make_buckets {
    ($($algorithm:ident = $name:literal, $file:ident::$limiter:ident, $setting:ident, $about:literal;)*) => {
        /// The algorithm is chosen once per limit and not per bucket, so that a state is no larger than its own
        /// algorithm needs.
        enum Buckets {
            $($algorithm(Keyed<super::$file::$limiter>),)*
        }

        impl Buckets {
            fn new(settings: &RateLimit) -> Self {
                match settings.algorithm() {
                    $(Algorithm::$algorithm => {
                        Self::$algorithm(Keyed::new(super::$file::$limiter::new(settings)))
                    })*
                }
            }

            #[inline]
            fn take(&mut self, now: Timestamp, bucket: u64, cost: u32) -> Verdict {
                match self {
                    $(Self::$algorithm(keyed) => keyed.take(now, bucket, cost),)*
                }
            }

            fn admits(&mut self, now: Timestamp, bucket: u64, cost: u32) -> bool {
                match self {
                    $(Self::$algorithm(keyed) => keyed.admits(now, bucket, cost),)*
                }
            }

            fn peek(&mut self, now: Timestamp, bucket: u64, cost: u32) -> Verdict {
                match self {
                    $(Self::$algorithm(keyed) => keyed.peek(now, bucket, cost),)*
                }
            }

            fn charge(&mut self, now: Timestamp, bucket: u64, cost: u32) {
                match self {
                    $(Self::$algorithm(keyed) => keyed.charge(now, bucket, cost),)*
                }
            }

            fn len(&self) -> usize {
                match self {
                    $(Self::$algorithm(keyed) => keyed.len(),)*
                }
            }

            fn in_use(&self, now: Timestamp) -> usize {
                match self {
                    $(Self::$algorithm(keyed) => keyed.in_use(now),)*
                }
            }
        }
    };
}

with_algorithms!(make_buckets);

impl KeyedLimiter {
    /// A limit under which no bucket has sent anything yet.
    pub fn new(settings: RateLimit) -> Self {
        Self { buckets: Buckets::new(&settings), settings }
    }

    /// Judges a request of `bucket` that arrives at `now`, and counts it.
    #[inline]
    pub fn check(&mut self, now: Timestamp, bucket: u64) -> Verdict {
        self.take(now, bucket, 1)
    }

    /// Judges a request of `bucket` that arrives at `now` and counts as `cost` requests, all of which pass or none. One that is
    /// above [`RateLimit::allowance`] never passes.
    #[inline]
    pub fn take(&mut self, now: Timestamp, bucket: u64, cost: u32) -> Verdict {
        self.buckets.take(now, bucket, cost)
    }

    /// Whether a request of `bucket` that arrives at `now` and counts as `cost` would be admitted. It is not counted: the next
    /// [`take`](Self::take) says the same.
    pub fn admits(&mut self, now: Timestamp, bucket: u64, cost: u32) -> bool {
        self.buckets.admits(now, bucket, cost)
    }

    /// What a request of `bucket` that arrives at `now` and counts as `cost` would be told. It is not counted, and what remains
    /// is what there is without it.
    pub fn peek(&mut self, now: Timestamp, bucket: u64, cost: u32) -> Verdict {
        self.buckets.peek(now, bucket, cost)
    }

    /// Counts a request of `bucket` as `cost` requests at `now`, whether there is room for them or not. A bucket of tokens is
    /// empty at the least, and owes nothing.
    pub fn charge(&mut self, now: Timestamp, bucket: u64, cost: u32) {
        self.buckets.charge(now, bucket, cost);
    }

    /// How many buckets are remembered; others are fresh.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// How many buckets are not fresh at `now`: those that are remembered for a reason. Looks at each of them.
    pub fn in_use(&self, now: Timestamp) -> usize {
        self.buckets.in_use(now)
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
