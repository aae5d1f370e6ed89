//! Generic cell rate algorithm: the token bucket, turned into the question "are you too early?".
//!
//! A bucket's level and the instant it was computed are two values that must be read and written together,
//! which a shared store (and a lock-free one) does badly: two gateways that refill the same bucket at once
//! lose a token. GCRA keeps one value, the instant at which the next request is due if all come evenly. It is
//! how ATM switches policed cells, and what limiters on top of Redis mostly do.
//!
//! Source: ITU-T I.371 (2004), annex A.1, and ATM Forum Traffic Management 4.1 (virtual scheduling algorithm),
//! with the emission interval T = `window / limit` and the tolerance τ = (`burst` − 1) · T.

use super::limiter::{Limiter, Verdict};
use super::settings::RateLimit;
use crate::timestamp::Timestamp;

/// Admits a request that comes no more than τ before it is due. The admissions, `remaining` and `retry_after`
/// are those of the [`TokenBucket`](super::token_bucket::TokenBucket) with the same settings, bit for bit.
///
/// T is rarely a whole number of nanoseconds, and rounded it drifts. So time is told in `limit`ths of a
/// nanosecond here: T is `window` of them, and epoch nanoseconds × `limit` need up to 96 bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gcra {
    /// Units in a nanosecond.
    limit: u32,
    /// T.
    interval: u64,
    /// τ + T: how far ahead of `now` the schedule may reach.
    horizon: u128,
}

/// When the next request is due, in `limit`ths of a nanosecond since the epoch (the standard's *theoretical
/// arrival time*).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Due(u128);

impl Gcra {
    pub(super) fn new(settings: &RateLimit) -> Self {
        let (burst, window) = (settings.allowance(), settings.window_nanos());
        Self { limit: settings.limit(), interval: window, horizon: u128::from(burst) * u128::from(window) }
    }

    /// By how many nanoseconds the schedule is further ahead of `now` than so many intervals, rounded up; 0 where it is not.
    pub(super) fn ahead_by_more_than(&self, state: &Due, now: Timestamp, intervals: u64) -> u64 {
        let near = self.units(now) + u128::from(intervals) * u128::from(self.interval);
        let beyond = state.0.saturating_sub(near).div_ceil(u128::from(self.limit));
        u64::try_from(beyond).unwrap_or(u64::MAX)
    }

    fn interval_of(&self, cost: u32) -> u128 {
        u128::from(self.interval) * u128::from(cost)
    }

    fn units(&self, now: Timestamp) -> u128 {
        u128::from(now.as_nanos()) * u128::from(self.limit)
    }
}

impl Limiter for Gcra {
    type State = Due;

    fn fresh(&self) -> Due {
        Due::default()
    }

    fn take(&self, state: &mut Due, now: Timestamp, cost: u32) -> Verdict {
        let now = self.units(now);
        let next = state.0.max(now) + self.interval_of(cost);
        let ahead = next - now;
        if ahead <= self.horizon {
            state.0 = next;
            Verdict::Admitted { remaining: ((self.horizon - ahead) / u128::from(self.interval)) as u32 }
        } else {
            let wait = (ahead - self.horizon).div_ceil(u128::from(self.limit));
            // More than the intervals of the cost only if the clock ran backwards.
            Verdict::rejected_for(u64::try_from(wait).unwrap_or(u64::MAX))
        }
    }

    fn admits(&self, state: &mut Due, now: Timestamp, cost: u32) -> bool {
        let now = self.units(now);
        state.0.max(now) + self.interval_of(cost) - now <= self.horizon
    }

    fn peek(&self, state: &mut Due, now: Timestamp, cost: u32) -> Verdict {
        self.take(&mut { *state }, now, cost).uncounted(cost)
    }

    fn charge(&self, state: &mut Due, now: Timestamp, cost: u32) {
        let now = self.units(now);
        let next = state.0.max(now) + self.interval_of(cost);
        // An empty bucket is a schedule that reaches the horizon. One that is beyond was told a later time.
        state.0 = next.min(state.0.max(now + self.horizon));
    }

    fn is_fresh(&self, state: &Due, now: Timestamp) -> bool {
        state.0 <= self.units(now)
    }

    fn settles_within(&self) -> u64 {
        u64::try_from(self.horizon.div_ceil(u128::from(self.limit))).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rate_limit::Algorithm;
    use crate::rate_limit::test_vectors::{MINUTE, NINE, admitted, at, steady, window_boundary};

    fn limiter(limit: u32, burst: u32) -> Gcra {
        let settings = RateLimit::new(Algorithm::Gcra, limit, MINUTE).unwrap();
        Gcra::new(&settings.with_burst(burst).unwrap())
    }

    #[test]
    fn it_admits_what_the_token_bucket_admits() {
        assert_eq!(admitted(&limiter(1000, 100), window_boundary()), 166);
        assert_eq!(admitted(&limiter(1000, 1000), window_boundary()), 1066);
        assert_eq!(admitted(&limiter(100, 100), steady(10, 1200)), 299);
    }

    #[test]
    fn a_request_may_be_early_by_the_tolerance() {
        let limiter = limiter(60, 3);
        let mut state = limiter.fresh();
        assert_eq!(limiter.check(&mut state, at(0)), Verdict::Admitted { remaining: 2 });
        assert_eq!(limiter.check(&mut state, at(0)), Verdict::Admitted { remaining: 1 });
        assert_eq!(limiter.check(&mut state, at(0)), Verdict::Admitted { remaining: 0 });
        let retry_after = Duration::from_millis(999);
        assert_eq!(limiter.check(&mut state, at(1)), Verdict::Rejected { retry_after });
        assert_eq!(limiter.check(&mut state, at(1000)), Verdict::Admitted { remaining: 0 });
        assert_eq!(limiter.check(&mut state, at(4500)), Verdict::Admitted { remaining: 2 });
    }

    #[test]
    fn a_cost_is_as_many_intervals() {
        // One a second, five at once.
        let limiter = limiter(60, 5);
        let mut state = limiter.fresh();
        assert_eq!(limiter.take(&mut state, at(0), 3), Verdict::Admitted { remaining: 2 });
        assert_eq!(limiter.take(&mut state, at(0), 3), Verdict::rejected_for(1_000_000_000));
        assert_eq!(limiter.take(&mut state, at(999), 3), Verdict::rejected_for(1_000_000));
        assert_eq!(limiter.take(&mut state, at(1_000), 3), Verdict::Admitted { remaining: 0 });
        assert!(!limiter.take(&mut state, at(600_000), 6).is_admitted(), "never");
        // Of an empty bucket nothing more can be taken.
        limiter.charge(&mut state, at(600_000), 4);
        assert_eq!(limiter.peek(&mut state, at(600_000), 1), Verdict::Admitted { remaining: 1 });
        limiter.charge(&mut state, at(600_000), 4);
        assert_eq!(limiter.peek(&mut state, at(600_000), 1), Verdict::rejected_for(1_000_000_000));
    }

    #[test]
    fn epoch_nanoseconds_times_the_limit_do_not_overflow() {
        let settings = RateLimit::new(Algorithm::Gcra, u32::MAX, RateLimit::MAX_WINDOW).unwrap();
        let limiter = Gcra::new(&settings);
        let mut state = limiter.fresh();
        assert_eq!(limiter.check(&mut state, Timestamp::MAX), Verdict::Admitted { remaining: u32::MAX - 1 });
    }

    #[test]
    fn an_earlier_time_is_only_earlier() {
        let limiter = limiter(60, 1);
        let mut state = limiter.fresh();
        assert!(limiter.check(&mut state, at(5000)).is_admitted());
        let retry_after = Duration::from_secs(3);
        assert_eq!(limiter.check(&mut state, at(3000)), Verdict::Rejected { retry_after });
    }

    #[test]
    fn it_is_fresh_when_the_next_request_is_due() {
        let limiter = limiter(60, 10);
        let mut state = limiter.fresh();
        assert!(limiter.is_fresh(&state, NINE));
        limiter.check(&mut state, at(0));
        assert!(!limiter.is_fresh(&state, at(999)));
        assert!(limiter.is_fresh(&state, at(1000)));
        assert_eq!(limiter.settles_within(), 10_000_000_000);
    }
}
