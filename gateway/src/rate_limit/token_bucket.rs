//! Token bucket: permission that refills while a client rests.
//!
//! A window says nothing about the instant: "1000 per minute" as a count lets all thousand come in one
//! millisecond, which no upstream is sized for. The bucket separates the two numbers that matter, how much at
//! once (`burst`) and how much over time (`limit / window`), and knows no boundary to wait for. What it does
//! not bound is the plain count of a given minute: the burst comes on top of the rate, so a steady client
//! gets more than `limit` in its first window.

use super::limiter::{Limiter, Verdict};
use super::settings::RateLimit;
use crate::timestamp::Timestamp;

/// Admits a request that finds a whole token. The bucket holds `burst`, starts full and refills by `limit`
/// per window, continuously.
///
/// Never more than `burst` + ⌊`limit` · t / `window`⌋ in an interval of length t.
///
/// A token is `window` equal parts, of which every nanosecond refills `limit`: whole numbers, so nothing is
/// ever rounded away.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenBucket {
    limit: u32,
    window: u64,
    /// Parts in a full bucket.
    capacity: u128,
    burst: u32,
}

/// What was in the bucket at `refilled`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens {
    whole: u32,
    /// Parts of the next token, fewer than `window`.
    parts: u64,
    refilled: Timestamp,
}

impl TokenBucket {
    pub(super) fn new(settings: &RateLimit) -> Self {
        let (burst, window) = (settings.allowance(), settings.window_nanos());
        Self { limit: settings.limit(), window, capacity: u128::from(burst) * u128::from(window), burst }
    }

    /// Parts in the bucket at `now`.
    fn level(&self, state: &Tokens, now: Timestamp) -> u128 {
        let elapsed = now.nanos_since(state.refilled);
        let refill = u128::from(elapsed) * u128::from(self.limit);
        let level = u128::from(state.whole) * u128::from(self.window) + u128::from(state.parts);
        self.capacity.min(level + refill)
    }
}

impl Limiter for TokenBucket {
    type State = Tokens;

    fn fresh(&self) -> Tokens {
        Tokens { whole: self.burst, parts: 0, refilled: Timestamp::EPOCH }
    }

    fn check(&self, state: &mut Tokens, now: Timestamp) -> Verdict {
        let level = self.level(state, now);
        let token = u128::from(self.window);
        state.refilled = state.refilled.max(now);
        if level >= token {
            let left = level - token;
            state.whole = (left / token) as u32;
            state.parts = (left % token) as u64;
            Verdict::Admitted { remaining: state.whole }
        } else {
            state.whole = 0;
            state.parts = level as u64;
            Verdict::rejected_for((self.window - state.parts).div_ceil(u64::from(self.limit)))
        }
    }

    fn admits(&self, state: &mut Tokens, now: Timestamp) -> bool {
        self.level(state, now) >= u128::from(self.window)
    }

    fn is_fresh(&self, state: &Tokens, now: Timestamp) -> bool {
        self.level(state, now) == self.capacity
    }

    fn settles_within(&self) -> u64 {
        // From empty to full.
        u64::try_from(self.capacity.div_ceil(u128::from(self.limit))).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rate_limit::Algorithm;
    use crate::rate_limit::test_vectors::{MINUTE, NINE, admitted, at, steady, window_boundary};

    fn limiter(limit: u32, burst: u32) -> TokenBucket {
        let settings = RateLimit::new(Algorithm::TokenBucket, limit, MINUTE).unwrap();
        TokenBucket::new(&settings.with_burst(burst).unwrap())
    }

    #[test]
    fn a_boundary_of_the_clock_means_nothing() {
        assert_eq!(admitted(&limiter(1000, 100), window_boundary()), 166);
        assert_eq!(admitted(&limiter(1000, 1000), window_boundary()), 1066);
    }

    #[test]
    fn a_steady_client_gets_the_burst_and_the_rate() {
        assert_eq!(admitted(&limiter(100, 100), steady(10, 1200)), 299);
    }

    #[test]
    fn the_burst_passes_at_once_and_then_one_per_refill() {
        let limiter = limiter(60, 2);
        let mut state = limiter.fresh();
        assert_eq!(limiter.check(&mut state, at(0)), Verdict::Admitted { remaining: 1 });
        assert_eq!(limiter.check(&mut state, at(0)), Verdict::Admitted { remaining: 0 });
        let retry_after = Duration::from_millis(600);
        assert_eq!(limiter.check(&mut state, at(400)), Verdict::Rejected { retry_after });
        assert_eq!(limiter.check(&mut state, at(1000)), Verdict::Admitted { remaining: 0 });
    }

    #[test]
    fn thirds_of_a_nanosecond_are_not_lost() {
        // A token every 20/3 ns: exactly three every 20 ns, however long and however often one asks.
        let settings = RateLimit::new(Algorithm::TokenBucket, 3, Duration::from_nanos(20)).unwrap();
        let limiter = TokenBucket::new(&settings.with_burst(2).unwrap());
        assert_eq!(admitted(&limiter, (0..=2_000_000).map(|nanos| NINE.plus_nanos(nanos))), 300_002);
    }

    #[test]
    fn an_earlier_time_refills_nothing() {
        let limiter = limiter(60, 1);
        let mut state = limiter.fresh();
        assert!(limiter.check(&mut state, at(5000)).is_admitted());
        assert!(!limiter.check(&mut state, at(3000)).is_admitted());
        assert!(!limiter.check(&mut state, at(5999)).is_admitted());
        assert!(limiter.check(&mut state, at(6000)).is_admitted());
    }

    #[test]
    fn it_is_fresh_when_full() {
        let limiter = limiter(60, 10);
        let mut state = limiter.fresh();
        assert!(limiter.is_fresh(&state, NINE));
        limiter.check(&mut state, at(0));
        assert!(!limiter.is_fresh(&state, at(999)));
        assert!(limiter.is_fresh(&state, at(1000)));
        assert_eq!(limiter.settles_within(), 10_000_000_000);
    }
}
