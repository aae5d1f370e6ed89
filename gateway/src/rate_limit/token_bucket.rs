//! Token bucket: permission that refills while a client rests.
//!
//! A window says nothing about the instant: "1000 per minute" as a count lets all thousand come in one
//! millisecond, which no upstream is sized for. The bucket separates the two numbers that matter, how much at
//! once (`burst`) and how much over time (`limit / window`), and knows no boundary to wait for. What it does
//! not bound is the plain count of a given minute: the burst comes on top of the rate, so a steady client
//! gets more than `limit` in its first window.
//!
//! Some products refill in steps (`fill_interval` of Envoy's local rate limit, before its release 1.40): whoever comes after a
//! step finds all tokens of the step at once, so that retries that go by the step come together.

use super::limiter::{Limiter, Verdict};
use super::settings::RateLimit;
use crate::timestamp::Timestamp;

/// Admits a request that finds a whole token. The bucket holds `burst`, starts full and refills by `limit`
/// per window, continuously, or in steps at the multiples of `every` since the Unix epoch, for all buckets at once.
///
/// Never more than `burst` + ⌊`limit` · t / `window`⌋ in an interval of length t; in steps no more than that of an interval that
/// is longer by `every`.
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
    /// Nanoseconds between two steps; 1 for none, for no time is told more exactly.
    every: u64,
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
        let capacity = u128::from(burst) * u128::from(window);
        let every = settings.refill_every().map_or(1, |every| every.as_nanos() as u64);
        Self { limit: settings.limit(), window, capacity, burst, every }
    }

    /// Nanoseconds from one time to a later one, counted in whole steps.
    fn steps(&self, from: Timestamp, to: Timestamp) -> u64 {
        match self.every {
            1 => to.nanos_since(from),
            every => (to.as_nanos() / every).saturating_sub(from.as_nanos() / every) * every,
        }
    }

    /// How long after `now` so many parts more are in the bucket.
    fn refilled_after(&self, now: Timestamp, parts: u128) -> u64 {
        let nanos = match self.every {
            1 => parts.div_ceil(u128::from(self.limit)),
            every => {
                let steps = parts.div_ceil(u128::from(self.limit) * u128::from(every));
                steps * u128::from(every) - u128::from(now.as_nanos() % every)
            }
        };
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    fn parts_of(&self, cost: u32) -> u128 {
        u128::from(cost) * u128::from(self.window)
    }

    fn leave(&self, state: &mut Tokens, level: u128) {
        // Fewer parts than a token are the common case of a rejection, and no division.
        if level < u128::from(self.window) {
            (state.whole, state.parts) = (0, level as u64);
        } else {
            state.whole = (level / u128::from(self.window)) as u32;
            state.parts = (level % u128::from(self.window)) as u64;
        }
    }

    /// Parts in the bucket at `now`.
    fn level(&self, state: &Tokens, now: Timestamp) -> u128 {
        let elapsed = self.steps(state.refilled, now);
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

    fn take(&self, state: &mut Tokens, now: Timestamp, cost: u32) -> Verdict {
        let (level, taken) = (self.level(state, now), self.parts_of(cost));
        state.refilled = state.refilled.max(now);
        if level >= taken {
            self.leave(state, level - taken);
            Verdict::Admitted { remaining: state.whole }
        } else {
            self.leave(state, level);
            Verdict::rejected_for(self.refilled_after(state.refilled, taken - level))
        }
    }

    fn admits(&self, state: &mut Tokens, now: Timestamp, cost: u32) -> bool {
        self.level(state, now) >= self.parts_of(cost)
    }

    fn peek(&self, state: &mut Tokens, now: Timestamp, cost: u32) -> Verdict {
        self.take(&mut { *state }, now, cost).uncounted(cost)
    }

    fn charge(&self, state: &mut Tokens, now: Timestamp, cost: u32) {
        let level = self.level(state, now);
        state.refilled = state.refilled.max(now);
        self.leave(state, level.saturating_sub(self.parts_of(cost)));
    }

    fn is_fresh(&self, state: &Tokens, now: Timestamp) -> bool {
        self.level(state, now) == self.capacity
    }

    fn settles_within(&self) -> u64 {
        // From empty to full.
        self.refilled_after(Timestamp::EPOCH, self.capacity)
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
    fn a_cost_takes_as_many_tokens_or_none() {
        // One a second, five at once.
        let limiter = limiter(60, 5);
        let mut state = limiter.fresh();
        assert_eq!(limiter.take(&mut state, at(0), 3), Verdict::Admitted { remaining: 2 });
        assert_eq!(limiter.take(&mut state, at(500), 3), Verdict::rejected_for(500_000_000));
        // The two are still there.
        assert_eq!(limiter.take(&mut state, at(500), 2), Verdict::Admitted { remaining: 0 });
        assert_eq!(limiter.take(&mut state, at(500), 4), Verdict::rejected_for(3_500_000_000));
        assert!(!limiter.take(&mut state, at(600_000), 6).is_admitted(), "never");
        // An empty bucket owes nothing.
        limiter.charge(&mut state, at(600_000), 4);
        assert_eq!(limiter.peek(&mut state, at(600_000), 1), Verdict::Admitted { remaining: 1 });
        limiter.charge(&mut state, at(600_000), 4);
        assert_eq!(limiter.peek(&mut state, at(600_000), 1), Verdict::rejected_for(1_000_000_000));
    }

    #[test]
    fn a_stepped_refill_brings_its_tokens_at_once() {
        // 100 a minute, ten every 6 s at :00, :06, ….
        let settings = RateLimit::new(Algorithm::TokenBucket, 100, MINUTE).unwrap();
        let limiter = TokenBucket::new(&settings.with_refill_every(Duration::from_secs(6)).unwrap());
        let mut state = limiter.fresh();
        assert_eq!(limiter.take(&mut state, at(1_000), 100), Verdict::Admitted { remaining: 0 });
        assert_eq!(limiter.check(&mut state, at(1_000)), Verdict::rejected_for(5_000_000_000));
        assert_eq!(limiter.check(&mut state, at(5_999)), Verdict::rejected_for(1_000_000));
        assert_eq!(limiter.check(&mut state, at(6_000)), Verdict::Admitted { remaining: 9 });
        assert_eq!(limiter.take(&mut state, at(7_000), 10), Verdict::rejected_for(5_000_000_000));
        assert_eq!(limiter.take(&mut state, at(7_000), 20), Verdict::rejected_for(11_000_000_000));
        // 0 to 58 s brings nothing before the first send; from then on ten of each step, up to the burst.
        assert!(!limiter.is_fresh(&state, at(65_999)) && limiter.is_fresh(&state, at(66_000)));
        // With a step of 60 ms one token each, as an Envoy that was told so has it: 100 and one for each step after the first
        // send at 58 s, until 61.998 s: 58.02 s, 58.08 s, … 61.98 s.
        let settings = RateLimit::new(Algorithm::TokenBucket, 1000, MINUTE).unwrap().with_burst(100).unwrap();
        let envoy = TokenBucket::new(&settings.with_refill_every(Duration::from_millis(60)).unwrap());
        assert_eq!(admitted(&envoy, window_boundary()), 100 + 67);
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
