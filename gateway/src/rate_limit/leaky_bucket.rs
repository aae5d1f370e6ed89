//! Leaky bucket: a queue that requests leave one by one, at the rate.
//!
//! A limit that rejects makes clients try again; one that lets the request wait for its turn needs no second attempt, and the
//! upstream sees evenly spaced requests instead of bursts. The price is latency that no client asked for: with room for a
//! hundred at 1,000 a minute, the hundredth waits six seconds. This is what nginx's `limit_req` does unless it is told
//! `nodelay`, and many who configure it expect a rejection.
//!
//! Source: `ngx_http_limit_req_module.c` of nginx 1.22 (`ngx_http_limit_req_lookup`, `ngx_http_limit_req_account`): a key's
//! first request has an excess of 0, each later one max(0, excess − rate · Δ + 1). Above `burst` it is rejected and changes
//! nothing, above `delay` it waits for (excess − delay) / rate. nginx counts in thousandths of a request and in milliseconds,
//! and rounds the rate down; here nothing is rounded.
//!
//! The excess is how far the schedule of [`Gcra`] is ahead of now, less one interval: so this limiter admits what that one admits
//! with a burst of one more, and says besides how long to wait.

use std::time::Duration;

use super::gcra::{Due, Gcra};
use super::limiter::{Limiter, Verdict};
use super::settings::RateLimit;
use crate::timestamp::Timestamp;

/// Admits up to `burst` requests beyond the one that is due, of which those beyond `delay` wait for their turn.
///
/// Never admits more than 1 + `burst` + ⌊`limit` · t / `window`⌋ in an interval of length t. With a `delay` of 0, no two that were
/// admitted have their turn within less than `window / limit`.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeakyBucket {
    schedule: Gcra,
    delay: u32,
}

impl LeakyBucket {
    pub(super) fn new(settings: &RateLimit) -> Self {
        Self { schedule: Gcra::new(settings), delay: settings.delay().unwrap_or(0) }
    }
}

impl Limiter for LeakyBucket {
    type State = Due;

    fn fresh(&self) -> Due {
        self.schedule.fresh()
    }

    fn take(&self, state: &mut Due, now: Timestamp, cost: u32) -> Verdict {
        // Of a cost the last part's turn is the request's.
        let verdict = self.schedule.take(state, now, cost);
        let Verdict::Admitted { remaining } = verdict else { return verdict };
        // Its own interval is no excess.
        match self.schedule.ahead_by_more_than(state, now, u64::from(self.delay) + 1) {
            0 => verdict,
            nanos => Verdict::Delayed { remaining, wait: Duration::from_nanos(nanos) },
        }
    }

    fn admits(&self, state: &mut Due, now: Timestamp, cost: u32) -> bool {
        self.schedule.admits(state, now, cost)
    }

    fn peek(&self, state: &mut Due, now: Timestamp, cost: u32) -> Verdict {
        self.take(&mut { *state }, now, cost).uncounted(cost)
    }

    fn charge(&self, state: &mut Due, now: Timestamp, cost: u32) {
        self.schedule.charge(state, now, cost);
    }

    fn is_fresh(&self, state: &Due, now: Timestamp) -> bool {
        self.schedule.is_fresh(state, now)
    }

    fn settles_within(&self) -> u64 {
        self.schedule.settles_within()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::Algorithm;
    use crate::rate_limit::test_vectors::{MINUTE, NINE, at, window_boundary};

    fn limiter(limit: u32, burst: u32, delay: u32) -> LeakyBucket {
        let settings = RateLimit::new(Algorithm::LeakyBucket, limit, MINUTE).unwrap();
        LeakyBucket::new(&settings.with_burst(burst).unwrap().with_delay(delay).unwrap())
    }

    /// How long each of those waits that one bucket admits, in ascending order.
    fn waits(limiter: &LeakyBucket, sends: impl IntoIterator<Item = Timestamp>) -> Vec<Duration> {
        let mut state = limiter.fresh();
        let verdicts = sends.into_iter().map(|now| limiter.check(&mut state, now));
        let mut waits: Vec<_> = verdicts.filter(|verdict| verdict.is_admitted()).map(Verdict::wait).collect();
        waits.sort_unstable();
        waits
    }

    /// That of so many percent, by the nearest rank, rounded to hundredths of a second.
    fn percentile(waits: &[Duration], percent: usize) -> u128 {
        (waits[(waits.len() * percent).div_ceil(100) - 1].as_millis() + 5) / 10
    }

    #[test]
    fn around_a_boundary_the_bucket_fills_once_and_its_requests_wait_their_turn() {
        // 1 + 100 + ⌊1000 · 3.998 s / 60 s⌋, the last send being 3.998 s after the first. The first 104 or so come within
        // 208 ms, and the excess grows to 100; from then on each that is admitted waits for 100 intervals of 60 ms, less what
        // of one has passed.
        let all = waits(&limiter(1000, 100, 0), window_boundary());
        assert_eq!((all.len(), percentile(&all, 50), percentile(&all, 99)), (167, 481, 600));
        // Twenty intervals less.
        let fewer = waits(&limiter(1000, 100, 20), window_boundary());
        assert_eq!((fewer.len(), percentile(&fewer, 50), percentile(&fewer, 99)), (167, 361, 480));
        let none = waits(&limiter(1000, 100, 100), window_boundary());
        assert_eq!((none.len(), none.last()), (167, Some(&Duration::ZERO)));
        // One every 60 ms, from the first to the last send.
        assert_eq!(waits(&limiter(1000, 0, 0), window_boundary()).len(), 67);
        // 1 + 100 + ⌊1000 · 1.998 s / 60 s⌋.
        let first = waits(&limiter(1000, 100, 0), window_boundary().take(1000));
        assert_eq!((first.len(), percentile(&first, 50), percentile(&first, 99)), (134, 383, 600));
    }

    /// The arithmetic of nginx: the rate in thousandths of a request a second, rounded down (`rate * 1000 / scale` in
    /// `ngx_http_limit_req_zone`), time in milliseconds, and the excess in thousandths of a request. Counts the admitted.
    fn nginx(per_minute: i64, burst: i64, sends: impl IntoIterator<Item = Timestamp>) -> usize {
        let rate = per_minute * 1000 / 60;
        let (mut known, mut admitted): (Option<(i64, i64)>, usize) = (None, 0);
        for now in sends {
            let now = (now.as_nanos() / 1_000_000) as i64;
            let excess = match known {
                None => 0,
                Some((excess, last)) => (excess - rate * (now - last) / 1000 + 1000).max(0),
            };
            if excess <= burst * 1000 {
                (known, admitted) = (Some((excess, now)), admitted + 1);
            }
        }
        admitted
    }

    #[test]
    fn nginx_rounds_a_little_away() {
        // 16.666 a second: after 60 ms 999 thousandths have leaked away, and the next of the sends comes after 62 ms. So one
        // passes every 62 ms: 1 + ⌊3998 / 62⌋.
        assert_eq!(nginx(1000, 0, window_boundary()), 65);
        assert_eq!(waits(&limiter(1000, 0, 0), window_boundary()).len(), 67);
    }

    #[test]
    fn the_first_waits_for_nothing_and_each_further_one_an_interval_longer() {
        // One a second.
        let limiter = limiter(60, 3, 1);
        let mut state = limiter.fresh();
        let mut send = |millis| limiter.check(&mut state, at(millis));
        let delayed = |remaining, millis| Verdict::Delayed { remaining, wait: Duration::from_millis(millis) };
        assert_eq!(send(0), Verdict::Admitted { remaining: 3 });
        assert_eq!(send(0), Verdict::Admitted { remaining: 2 });
        assert_eq!(send(0), delayed(1, 1_000));
        assert_eq!(send(250), delayed(0, 1_750));
        let retry_after = Duration::from_millis(500);
        assert_eq!(send(500), Verdict::Rejected { retry_after });
        assert_eq!(send(1_000), delayed(0, 2_000));
        // The schedule ends at 5 s: at 3 s two intervals are left of it.
        assert_eq!(send(3_000), delayed(1, 1_000));
        assert_eq!(send(60_000), Verdict::Admitted { remaining: 3 });
    }

    #[test]
    fn a_cost_waits_for_the_turn_of_its_last_part() {
        // One a second; three beyond the one that is due.
        let limiter = limiter(60, 3, 0);
        let mut state = limiter.fresh();
        let delayed = |remaining, seconds| Verdict::Delayed { remaining, wait: Duration::from_secs(seconds) };
        assert_eq!(limiter.take(&mut state, at(0), 3), delayed(1, 2));
        assert_eq!(limiter.take(&mut state, at(0), 2), Verdict::rejected_for(1_000_000_000));
        assert_eq!(limiter.take(&mut state, at(1_000), 2), delayed(0, 3));
    }

    #[test]
    fn it_is_fresh_when_a_whole_request_has_leaked_away() {
        let limiter = limiter(60, 9, 0);
        let mut state = limiter.fresh();
        assert!(limiter.is_fresh(&state, NINE));
        limiter.check(&mut state, at(0));
        assert!(!limiter.is_fresh(&state, at(999)));
        assert!(limiter.is_fresh(&state, at(1000)));
        assert_eq!(limiter.settles_within(), 10_000_000_000);
    }
}
