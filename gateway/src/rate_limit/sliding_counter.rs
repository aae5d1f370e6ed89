//! Sliding window counter: two counts that stand for a log.
//!
//! The log is exact but grows with the traffic it is there to stop. Two counts, this window's and the last
//! one's, say nearly as much if one supposes that the last window's requests came evenly: then the share of
//! them still in view is the share of the last window still in view. That guess is what it fails by. Requests
//! that all came at the end of the last window fade as if they had come evenly, so up to 2 × limit can pass
//! within one window; the more evenly they come, the nearer the guess is to the log.
//!
//! HAProxy's stick tables begin a key's windows with its first request (`src/freq_ctr.c`, `update_freq_ctr_period_slow`): a burst around
//! a full minute then lies in one window, and no previous one fades meanwhile.
//!
//! Source: Cloudflare, "How we built rate limiting capable of scaling to millions of domains" (2017),
//! <https://blog.cloudflare.com/counting-things-a-lot-of-different-things/>.

use super::limiter::{Limiter, Verdict};
use super::settings::{RateLimit, WindowFrom};
use crate::timestamp::Timestamp;

/// Admits a request if *current count* + *previous count* × *share of the previous window still in view* is
/// less than `limit`, the windows aligned to the Unix epoch, or to the first counted request of a bucket after two windows without any. In
/// whole numbers:
/// current · window + previous · (window − elapsed) < limit · window.
///
/// Never more than 2 × `limit` in an interval as long as the window, since no window admits more than
/// `limit`.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlidingCounter {
    limit: u32,
    window: u64,
    from: WindowFrom,
    count_rejected: bool,
}

/// The requests counted in the window that starts at `start` and in the one before. Counting stops at
/// [`u32::MAX`], which takes `count_rejected` and four billion requests in one window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    start: Timestamp,
    current: u32,
    previous: u32,
}

impl SlidingCounter {
    pub(super) fn new(settings: &RateLimit) -> Self {
        Self {
            limit: settings.limit(),
            window: settings.window_nanos(),
            from: settings.window_from(),
            count_rejected: settings.count_rejected(),
        }
    }

    /// The counts as of the window that `now` is in; the latest window if that is earlier.
    fn roll(&self, state: Counts, now: Timestamp) -> Counts {
        let elapsed = now.nanos_since(state.start);
        if self.from == WindowFrom::FirstRequest && state.current == 0 && state.previous == 0 {
            // Nothing was counted yet, whatever the time.
            Counts { start: now, ..state }
        } else if elapsed < self.window {
            state
        } else if elapsed - self.window < self.window {
            Counts { start: state.start.plus_nanos(self.window), current: 0, previous: state.current }
        } else {
            let start = match self.from {
                WindowFrom::Clock => Timestamp::from_nanos(now.as_nanos() - now.as_nanos() % self.window),
                WindowFrom::FirstRequest => now,
            };
            Counts { start, current: 0, previous: 0 }
        }
    }

    /// The whole part of previous count × share in view. Current count and limit are whole, so the fraction
    /// decides nothing.
    fn carried(&self, state: &Counts, now: Timestamp) -> u32 {
        let in_view = self.window - now.nanos_since(state.start);
        (u128::from(state.previous) * u128::from(in_view) / u128::from(self.window)) as u32
    }

    /// How many more fit in.
    fn room(&self, state: &Counts, now: Timestamp) -> u32 {
        self.limit.saturating_sub(state.current).saturating_sub(self.carried(state, now))
    }

    /// Nanoseconds until a request of that cost is admitted, if none is at `now`. It is where its last part is, with the others
    /// counted before.
    fn wait(&self, state: &Counts, now: Timestamp, cost: u32) -> u64 {
        let elapsed = now.nanos_since(state.start);
        // What never passes waits for as long as what takes the whole limit.
        let limit = self.limit - (cost - 1).min(self.limit - 1);
        match limit.checked_sub(state.current) {
            // The previous count has yet to fade to the room that the current one leaves.
            Some(room @ 1..) => self.fades_to(room, state.previous).saturating_sub(elapsed).max(1),
            // There is no room before the current count is itself the previous one, and has faded.
            _ => self.window - elapsed + self.fades_to(limit, state.current),
        }
    }

    /// The first instant of a window, in nanoseconds from its start, at which `previous` × share in view <
    /// `room`. At most the window.
    fn fades_to(&self, room: u32, previous: u32) -> u64 {
        let in_view = (u128::from(room) * u128::from(self.window)).div_ceil(u128::from(previous.max(1))) - 1;
        self.window - (in_view as u64).min(self.window)
    }
}

impl Limiter for SlidingCounter {
    type State = Counts;

    fn fresh(&self) -> Counts {
        Counts::default()
    }

    fn take(&self, state: &mut Counts, now: Timestamp, cost: u32) -> Verdict {
        let mut counts = self.roll(*state, now);
        let room = self.room(&counts, now);
        // Whoever is not counted moves no window: the first request that is counted begins one.
        if room >= cost || self.count_rejected {
            counts.current = counts.current.saturating_add(cost);
            *state = counts;
        }
        if room >= cost {
            Verdict::Admitted { remaining: room - cost }
        } else {
            Verdict::rejected_for(self.wait(&counts, now, cost))
        }
    }

    fn admits(&self, state: &mut Counts, now: Timestamp, cost: u32) -> bool {
        let state = self.roll(*state, now);
        self.room(&state, now) >= cost
    }

    fn peek(&self, state: &mut Counts, now: Timestamp, cost: u32) -> Verdict {
        let state = self.roll(*state, now);
        match self.room(&state, now) {
            room if room >= cost => Verdict::Admitted { remaining: room },
            _ => Verdict::rejected_for(self.wait(&state, now, cost)),
        }
    }

    fn charge(&self, state: &mut Counts, now: Timestamp, cost: u32) {
        *state = self.roll(*state, now);
        state.current = state.current.saturating_add(cost);
    }

    fn is_fresh(&self, state: &Counts, now: Timestamp) -> bool {
        let state = self.roll(*state, now);
        let carried = match self.from {
            // What has faded below one request decides nothing any more, although its window is not over.
            WindowFrom::Clock => self.carried(&state, now),
            // When the next window begins is known by the one before.
            WindowFrom::FirstRequest => state.previous,
        };
        state.current == 0 && carried == 0
    }

    fn settles_within(&self) -> u64 {
        2 * self.window
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rate_limit::Algorithm;
    use crate::rate_limit::test_vectors::{MINUTE, NINE, admitted, at, steady, window_boundary};

    fn settings(limit: u32) -> RateLimit {
        RateLimit::new(Algorithm::SlidingWindowCounter, limit, MINUTE).unwrap()
    }

    fn limiter(limit: u32) -> SlidingCounter {
        SlidingCounter::new(&settings(limit))
    }

    fn counting_rejected(limit: u32) -> SlidingCounter {
        SlidingCounter::new(&settings(limit).with_count_rejected(true).unwrap())
    }

    #[test]
    fn a_boundary_lets_little_more_through() {
        assert_eq!(admitted(&limiter(1000), window_boundary()), 1034);
    }

    #[test]
    fn windows_that_begin_with_the_first_request_know_no_full_minute() {
        let own = settings(1000).with_window_from(WindowFrom::FirstRequest).unwrap();
        assert_eq!(admitted(&SlidingCounter::new(&own), window_boundary()), 1000);
        // From 10 s on, windows are 60 s long. At 100 s half of the last one is in view, and that is one of two.
        let two = SlidingCounter::new(&settings(2).with_window_from(WindowFrom::FirstRequest).unwrap());
        let mut state = two.fresh();
        assert_eq!(
            [10, 20, 69].map(|s| two.check(&mut state, at(s * 1000)).is_admitted()),
            [true, true, false]
        );
        assert_eq!([100, 100].map(|s| two.check(&mut state, at(s * 1000)).is_admitted()), [true, false]);
        // The window from 70 s on is followed by one that has none: the next one begins at 199 s.
        assert_eq!([199, 258].map(|s| two.check(&mut state, at(s * 1000)).is_admitted()), [true, true]);
        assert!(!two.check(&mut state, at(258_999)).is_admitted());
    }

    #[test]
    fn a_burst_at_the_end_of_one_window_hides_from_the_end_of_the_next() {
        let mut sends: Vec<_> = (0..2000).map(|_| at(59_999)).collect();
        sends.extend((0..2000).map(|_| at(119_998)));
        assert_eq!(admitted(&limiter(1000), sends), 2000);
    }

    #[test]
    fn the_previous_count_fades() {
        let limiter = limiter(4);
        let mut state = limiter.fresh();
        for remaining in (0..4).rev() {
            assert_eq!(limiter.check(&mut state, at(59_000)), Verdict::Admitted { remaining });
        }
        // Not at the minute, when all four are still in view, but a nanosecond later.
        let retry_after = Duration::from_nanos(1_000_000_001);
        assert_eq!(limiter.check(&mut state, at(59_000)), Verdict::Rejected { retry_after });
        assert!(!limiter.check(&mut state, at(60_000)).is_admitted());
        let retry_at = at(59_000) + retry_after;
        assert_eq!(limiter.check(&mut state, retry_at), Verdict::Admitted { remaining: 0 });
        // One in this window leaves room for three of the last one: when a quarter is out of view.
        let retry_after = Duration::from_secs(15);
        assert_eq!(limiter.check(&mut state, retry_at), Verdict::Rejected { retry_after });
    }

    #[test]
    fn a_cost_needs_room_for_all_of_it() {
        let limiter = limiter(10);
        let mut state = limiter.fresh();
        assert_eq!(limiter.take(&mut state, at(0), 8), Verdict::Admitted { remaining: 2 });
        // Room for four is there when the eight have faded below seven: ⌊8 · share⌋ ≤ 6, when an eighth is out of view and a
        // nanosecond more. That is 7.5 s into the next minute.
        let wait = 60_000_000_000 - 30_000_000_000 + 7_500_000_000 + 1;
        assert_eq!(limiter.take(&mut state, at(30_000), 4), Verdict::rejected_for(wait));
        assert!(!limiter.admits(&mut state, at(67_500), 4));
        let next = at(67_500).plus_nanos(1);
        assert_eq!(limiter.take(&mut state, next, 4), Verdict::Admitted { remaining: 0 });
        assert!(!limiter.take(&mut state, at(600_000), 11).is_admitted(), "never");
    }

    #[test]
    fn counting_rejected_requests_locks_a_steady_client_out() {
        // 25/s against 1000 per minute ≈ 16.7/s, for five minutes.
        assert_eq!(admitted(&counting_rejected(1000), steady(25, 7500)), 1000);
        assert!(admitted(&limiter(1000), steady(25, 7500)) > 4500);
    }

    #[test]
    fn an_earlier_time_counts_in_the_latest_window() {
        let limiter = limiter(1);
        let mut state = limiter.fresh();
        assert!(limiter.check(&mut state, at(60_000)).is_admitted());
        assert!(!limiter.check(&mut state, at(0)).is_admitted());
        assert!(!limiter.check(&mut state, at(119_999)).is_admitted());
    }

    #[test]
    fn it_is_fresh_when_less_than_one_request_is_in_view() {
        let limiter = limiter(1000);
        let mut state = limiter.fresh();
        assert!(limiter.is_fresh(&state, NINE));
        (0..4).for_each(|_| assert!(limiter.check(&mut state, at(59_999)).is_admitted()));
        assert!(!limiter.is_fresh(&state, at(105_000)));
        assert!(limiter.is_fresh(&state, at(105_001)));
    }
}
