//! Sliding window log: every request of the last window, by its instant.
//!
//! The only one that keeps the promise as people read it, "never more than 1000 in a minute", any minute. It
//! pays with eight bytes per counted request, and it does not smooth: a client that spends its limit at once
//! gets nothing at all until a window later, and then all of it at once again.
//!
//! Products differ in whether a *rejected* request counts. If it does (`count_rejected`), a client that stays
//! above the limit is never let in again: its rejected requests alone fill every window. Seen in the field: 0
//! of 2,500 admitted at 25/s against 16.7/s.

use super::limiter::{Limiter, Verdict};
use super::settings::RateLimit;
use super::timestamps::Timestamps;
use crate::timestamp::Timestamp;

/// Admits a request at t if fewer than `limit` count in `(t − window, t]`: one at s no longer counts at s +
/// `window`.
///
/// Never more than `limit` in an interval `[t, t + window)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlidingLog {
    limit: u32,
    window: u64,
    count_rejected: bool,
}

impl SlidingLog {
    pub(super) fn new(settings: &RateLimit) -> Self {
        Self {
            limit: settings.limit(),
            window: settings.window_nanos(),
            count_rejected: settings.count_rejected(),
        }
    }

    fn counts(&self, at: Timestamp, now: Timestamp) -> bool {
        now.nanos_since(at) < self.window
    }

    /// How long after `now` a request of that cost is admitted for which there is no room: when as many of the oldest no longer
    /// count as it lacks room for. What never passes waits for as long as what takes the whole limit.
    fn wait(&self, log: &Timestamps, now: Timestamp, cost: u32) -> u64 {
        let surplus = (log.len() + cost as usize).saturating_sub(self.limit as usize);
        let last = log.nth(surplus.clamp(1, log.len().max(1)) - 1).unwrap_or(now);
        self.window - now.nanos_since(last)
    }

    /// Counts as many as decide anything: the last `limit` at most, so that the log is bounded.
    fn push(&self, log: &mut Timestamps, now: Timestamp, cost: u32) {
        for _ in 0..cost.min(self.limit) {
            if log.len() >= self.limit as usize {
                log.pop_oldest();
            }
            log.push(now);
        }
    }

    /// Leaves in the log what counts at `now`. Returns the time that is, which keeps the log in order if the clock runs
    /// backwards.
    fn brought_up(&self, log: &mut Timestamps, now: Timestamp) -> Timestamp {
        let now = log.newest().map_or(now, |newest| newest.max(now));
        self.expire(log, now);
        now
    }

    fn expire(&self, log: &mut Timestamps, now: Timestamp) {
        while log.oldest().is_some_and(|oldest| !self.counts(oldest, now)) {
            log.pop_oldest();
        }
    }
}

impl Limiter for SlidingLog {
    type State = Timestamps;

    fn fresh(&self) -> Timestamps {
        Timestamps::new()
    }

    fn take(&self, log: &mut Timestamps, now: Timestamp, cost: u32) -> Verdict {
        let now = self.brought_up(log, now);
        let limit = self.limit as usize;
        if log.len() + cost as usize <= limit {
            (0..cost).for_each(|_| log.push(now));
            return Verdict::Admitted { remaining: (limit - log.len()) as u32 };
        }
        if self.count_rejected {
            self.push(log, now, cost);
        }
        Verdict::rejected_for(self.wait(log, now, cost))
    }

    fn admits(&self, log: &mut Timestamps, now: Timestamp, cost: u32) -> bool {
        self.brought_up(log, now);
        log.len() + cost as usize <= self.limit as usize
    }

    fn peek(&self, log: &mut Timestamps, now: Timestamp, cost: u32) -> Verdict {
        let now = self.brought_up(log, now);
        match (self.limit as usize).checked_sub(log.len()) {
            Some(room) if room >= cost as usize => Verdict::Admitted { remaining: room as u32 },
            _ => Verdict::rejected_for(self.wait(log, now, cost)),
        }
    }

    fn charge(&self, log: &mut Timestamps, now: Timestamp, cost: u32) {
        let now = self.brought_up(log, now);
        self.push(log, now, cost);
    }

    fn is_fresh(&self, log: &Timestamps, now: Timestamp) -> bool {
        log.newest().is_none_or(|newest| !self.counts(newest, now))
    }

    fn settles_within(&self) -> u64 {
        self.window
    }

    fn compact(&self, log: &mut Timestamps, now: Timestamp) {
        self.expire(log, now);
        log.compact();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rate_limit::Algorithm;
    use crate::rate_limit::test_vectors::{MINUTE, NINE, admitted, at, steady, window_boundary};

    fn settings(limit: u32) -> RateLimit {
        RateLimit::new(Algorithm::SlidingWindowLog, limit, MINUTE).unwrap()
    }

    fn limiter(limit: u32) -> SlidingLog {
        SlidingLog::new(&settings(limit))
    }

    fn counting_rejected(limit: u32) -> SlidingLog {
        SlidingLog::new(&settings(limit).with_count_rejected(true).unwrap())
    }

    #[test]
    fn a_boundary_of_the_clock_means_nothing() {
        assert_eq!(admitted(&limiter(1000), window_boundary()), 1000);
    }

    #[test]
    fn a_steady_client_gets_the_limit_of_each_window() {
        assert_eq!(admitted(&limiter(100), steady(10, 1200)), 200);
    }

    #[test]
    fn a_request_counts_for_a_window_and_not_a_nanosecond_longer() {
        let limiter = limiter(2);
        let mut log = limiter.fresh();
        assert_eq!(limiter.check(&mut log, at(0)), Verdict::Admitted { remaining: 1 });
        assert_eq!(limiter.check(&mut log, at(10_000)), Verdict::Admitted { remaining: 0 });
        let retry_after = Duration::from_millis(1);
        assert_eq!(limiter.check(&mut log, at(59_999)), Verdict::Rejected { retry_after });
        assert_eq!(limiter.check(&mut log, at(60_000)), Verdict::Admitted { remaining: 0 });
        let retry_after = Duration::from_secs(10);
        assert_eq!(limiter.check(&mut log, at(60_000)), Verdict::Rejected { retry_after });
    }

    #[test]
    fn a_cost_waits_for_as_many_to_leave_as_it_lacks_room_for() {
        let limiter = limiter(5);
        let mut log = limiter.fresh();
        assert_eq!(limiter.take(&mut log, at(0), 2), Verdict::Admitted { remaining: 3 });
        assert_eq!(limiter.take(&mut log, at(10_000), 2), Verdict::Admitted { remaining: 1 });
        // Two leave at 60 s, which is room for three, and two at 70 s.
        assert_eq!(limiter.take(&mut log, at(20_000), 3), Verdict::rejected_for(40_000_000_000));
        assert_eq!(limiter.take(&mut log, at(20_000), 4), Verdict::rejected_for(50_000_000_000));
        assert_eq!(limiter.take(&mut log, at(60_000), 3), Verdict::Admitted { remaining: 0 });
        assert!(!limiter.take(&mut log, at(600_000), 6).is_admitted(), "never");
    }

    #[test]
    fn what_is_charged_counts_for_a_window_and_no_more_than_the_limit_is_kept() {
        let limiter = limiter(3);
        let mut log = limiter.fresh();
        limiter.charge(&mut log, at(0), 2);
        limiter.charge(&mut log, at(10_000), 7);
        assert_eq!(log.len(), 3);
        assert_eq!(limiter.peek(&mut log, at(20_000), 1), Verdict::rejected_for(50_000_000_000));
        assert_eq!(limiter.peek(&mut log, at(70_000), 1), Verdict::Admitted { remaining: 3 });
    }

    #[test]
    fn counting_rejected_requests_locks_a_steady_client_out() {
        // 25/s against 1000 per minute ≈ 16.7/s, for five minutes.
        assert_eq!(admitted(&counting_rejected(1000), steady(25, 7500)), 1000);
        assert_eq!(admitted(&limiter(1000), steady(25, 7500)), 5000);
    }

    #[test]
    fn whoever_comes_back_too_early_puts_it_off() {
        let limiter = counting_rejected(1);
        let mut log = limiter.fresh();
        assert!(limiter.check(&mut log, at(0)).is_admitted());
        assert_eq!(limiter.check(&mut log, at(59_999)), Verdict::Rejected { retry_after: MINUTE });
        assert!(!limiter.check(&mut log, at(60_000)).is_admitted());
        assert!(limiter.check(&mut log, at(120_000)).is_admitted());
    }

    #[test]
    fn an_earlier_time_counts_as_the_latest() {
        let limiter = limiter(2);
        let mut log = limiter.fresh();
        assert!(limiter.check(&mut log, at(60_000)).is_admitted());
        assert!(limiter.check(&mut log, at(0)).is_admitted());
        assert!(!limiter.check(&mut log, at(119_999)).is_admitted());
        assert_eq!(limiter.check(&mut log, at(120_000)), Verdict::Admitted { remaining: 1 });
    }

    #[test]
    fn it_is_fresh_when_the_last_request_no_longer_counts() {
        let limiter = limiter(1000);
        let mut log = limiter.fresh();
        assert!(limiter.is_fresh(&log, NINE));
        limiter.check(&mut log, at(0));
        limiter.check(&mut log, at(30_000));
        assert!(!limiter.is_fresh(&log, at(89_999)));
        assert!(limiter.is_fresh(&log, at(90_000)));
    }
}
