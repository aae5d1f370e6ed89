//! Fixed window: a count that starts at zero with every window of the clock.
//!
//! The cheapest limit to build, and therefore the most common. It fails at the boundary: a client that spends
//! one window's limit at its end and the next one's at its start gets twice the limit through in an instant,
//! and cron jobs and retries that wait for "the next minute" do exactly that. An upstream sized for the limit
//! meets double the load.
//!
//! Some products begin a bucket's window with its first request instead (HAProxy's stick tables, `mod_qos`): nobody can aim at a
//! boundary of the clock then, and a client that sends its limit late in its own window still gets twice as much through.
//!
//! Quotas of usage plans are for the calendar month instead (AWS API Gateway's `MONTH`): then the windows are as long as the
//! months are.

use super::calendar::{month_after, start_of_month};
use super::limiter::{Limiter, Verdict};
use super::settings::{RateLimit, WindowFrom};
use crate::timestamp::Timestamp;

/// Admits `limit` requests in each window `[k · window, (k + 1) · window)` since the Unix epoch, since a bucket's first
/// request, or in each calendar month of UTC.
///
/// Never more than 2 × `limit` in an interval as long as the window, since it meets at most two windows.
#[derive(Clone, Copy, Debug)]
pub(super) struct FixedWindow {
    limit: u32,
    window: u64,
    begins: Begins,
}

/// When a window begins.
#[derive(Clone, Copy, Debug)]
enum Begins {
    Clock,
    FirstRequest,
    /// With the calendar month, whose length is not `window`.
    Month,
}

/// The requests admitted in the window that starts at `start`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    start: Timestamp,
    admitted: u32,
}

impl FixedWindow {
    pub(super) fn new(settings: &RateLimit) -> Self {
        let begins = match settings.window_from() {
            _ if settings.is_month() => Begins::Month,
            WindowFrom::Clock => Begins::Clock,
            WindowFrom::FirstRequest => Begins::FirstRequest,
        };
        Self { limit: settings.limit(), window: settings.window_nanos(), begins }
    }

    /// How long the window is that begins then.
    fn length(&self, start: Timestamp) -> u64 {
        match self.begins {
            Begins::Clock | Begins::FirstRequest => self.window,
            Begins::Month => month_after(start).nanos_since(start),
        }
    }

    /// Makes the state that of the window that `now` is in. Returns the time until the end of that window.
    fn roll(&self, state: &mut Window, now: Timestamp) -> u64 {
        let length = self.length(state.start);
        // Only a new window costs a division. A fresh state has no window of its own yet.
        let passed = now.nanos_since(state.start);
        let is_over = passed >= length;
        let start = match self.begins {
            Begins::Clock if is_over => Timestamp::from_nanos(now.as_nanos() - now.as_nanos() % self.window),
            Begins::FirstRequest if is_over || state.admitted == 0 => now,
            Begins::Month if is_over => start_of_month(now),
            Begins::Clock | Begins::FirstRequest | Begins::Month => return length - passed,
        };
        *state = Window { start, admitted: 0 };
        self.length(start) - now.nanos_since(start)
    }
}

impl Limiter for FixedWindow {
    type State = Window;

    fn fresh(&self) -> Window {
        Window::default()
    }

    fn take(&self, state: &mut Window, now: Timestamp, cost: u32) -> Verdict {
        let left = self.roll(state, now);
        // No more than the limit is ever counted.
        if cost <= self.limit - state.admitted {
            state.admitted += cost;
            Verdict::Admitted { remaining: self.limit - state.admitted }
        } else {
            Verdict::rejected_for(left)
        }
    }

    fn admits(&self, state: &mut Window, now: Timestamp, cost: u32) -> bool {
        cost <= self.limit - state.admitted || (cost <= self.limit && self.is_fresh(state, now))
    }

    fn peek(&self, state: &mut Window, now: Timestamp, cost: u32) -> Verdict {
        self.take(&mut { *state }, now, cost).uncounted(cost)
    }

    fn charge(&self, state: &mut Window, now: Timestamp, cost: u32) {
        self.roll(state, now);
        state.admitted = state.admitted.saturating_add(cost).min(self.limit);
    }

    fn is_fresh(&self, state: &Window, now: Timestamp) -> bool {
        state.admitted == 0 || now.nanos_since(state.start) >= self.length(state.start)
    }

    fn settles_within(&self) -> u64 {
        self.window
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rate_limit::Algorithm;
    use crate::rate_limit::test_vectors::{MINUTE, NINE, admitted, at, steady, window_boundary};

    fn limiter(limit: u32) -> FixedWindow {
        FixedWindow::new(&RateLimit::new(Algorithm::FixedWindow, limit, MINUTE).unwrap())
    }

    #[test]
    fn twice_the_limit_passes_around_a_boundary() {
        assert_eq!(admitted(&limiter(1000), window_boundary()), 2000);
    }

    #[test]
    fn a_window_that_begins_with_the_first_request_knows_no_full_minute() {
        // From 58 s to 118 s.
        let settings = RateLimit::new(Algorithm::FixedWindow, 1000, MINUTE).unwrap();
        let own = FixedWindow::new(&settings.with_window_from(WindowFrom::FirstRequest).unwrap());
        assert_eq!(admitted(&own, window_boundary()), 1000);
        // The next one begins with the first request after its end, and not at its end.
        let own = FixedWindow { limit: 1, ..own };
        let mut state = own.fresh();
        assert!(own.check(&mut state, at(10_000)).is_admitted());
        let retry_after = Duration::from_millis(1);
        assert_eq!(own.check(&mut state, at(69_999)), Verdict::Rejected { retry_after });
        assert!(own.check(&mut state, at(90_000)).is_admitted());
        assert!(!own.check(&mut state, at(149_999)).is_admitted());
        assert!(own.check(&mut state, at(150_000)).is_admitted());
    }

    #[test]
    fn a_cost_passes_whole_or_not_at_all() {
        let limiter = limiter(10);
        let mut state = limiter.fresh();
        assert_eq!(limiter.take(&mut state, at(0), 7), Verdict::Admitted { remaining: 3 });
        assert_eq!(limiter.take(&mut state, at(1_000), 4), Verdict::rejected_for(59_000_000_000));
        assert_eq!(limiter.take(&mut state, at(1_000), 3), Verdict::Admitted { remaining: 0 });
        assert_eq!(limiter.take(&mut state, at(60_000), 10), Verdict::Admitted { remaining: 0 });
        assert!(!limiter.take(&mut state, at(120_000), 11).is_admitted(), "never");
    }

    #[test]
    fn what_is_charged_fills_the_window_and_owes_the_next_one_nothing() {
        let limiter = limiter(3);
        let mut state = limiter.fresh();
        assert_eq!(limiter.peek(&mut state, at(0), 1), Verdict::Admitted { remaining: 3 });
        limiter.charge(&mut state, at(0), 2);
        assert_eq!(limiter.peek(&mut state, at(0), 1), Verdict::Admitted { remaining: 1 });
        limiter.charge(&mut state, at(1_000), 5);
        assert_eq!(limiter.peek(&mut state, at(2_000), 1), Verdict::rejected_for(58_000_000_000));
        assert_eq!(limiter.peek(&mut state, at(60_000), 1), Verdict::Admitted { remaining: 3 });
    }

    #[test]
    fn a_month_is_as_long_as_the_calendar_has_it() {
        let month = FixedWindow::new(&RateLimit::per_month(Algorithm::FixedWindow, 2).unwrap());
        let day = |day: u64| NINE.plus_nanos(day * 24 * 3_600 * 1_000_000_000);
        let mut state = month.fresh();
        // From 2026-06-02T09:00Z; June has 30 days, so that July begins 28 days and 15 hours later.
        assert!(month.check(&mut state, day(0)).is_admitted());
        assert!(month.check(&mut state, day(28)).is_admitted());
        let retry_after = Duration::from_secs(15 * 3_600);
        assert_eq!(month.check(&mut state, day(28)), Verdict::Rejected { retry_after });
        let july = day(28) + retry_after;
        assert!(!month.admits(&mut state, Timestamp::from_nanos(july.as_nanos() - 1), 1));
        assert!(month.admits(&mut state, july, 2) && month.is_fresh(&state, july));
        assert_eq!(month.take(&mut state, july, 2), Verdict::Admitted { remaining: 0 });
        // July has 31.
        let retry_after = Duration::from_secs(31 * 24 * 3_600);
        assert_eq!(month.check(&mut state, july), Verdict::Rejected { retry_after });
        assert!(month.settles_within() >= retry_after.as_nanos() as u64);
    }

    #[test]
    fn a_steady_client_gets_the_limit_of_each_window() {
        assert_eq!(admitted(&limiter(100), steady(10, 1200)), 200);
    }

    #[test]
    fn whoever_is_rejected_waits_for_the_next_window() {
        let limiter = limiter(1);
        let mut state = limiter.fresh();
        assert_eq!(limiter.check(&mut state, at(59_999)), Verdict::Admitted { remaining: 0 });
        let retry_after = Duration::from_millis(1);
        assert_eq!(limiter.check(&mut state, at(59_999)), Verdict::Rejected { retry_after });
        assert_eq!(limiter.check(&mut state, at(60_000)), Verdict::Admitted { remaining: 0 });
    }

    #[test]
    fn an_earlier_time_counts_in_the_latest_window() {
        let limiter = limiter(1);
        let mut state = limiter.fresh();
        assert!(limiter.check(&mut state, at(60_000)).is_admitted());
        assert_eq!(limiter.check(&mut state, at(30_000)), Verdict::Rejected { retry_after: MINUTE });
    }

    #[test]
    fn it_is_fresh_when_its_window_is_over() {
        let limiter = limiter(1000);
        let mut state = limiter.fresh();
        assert!(limiter.is_fresh(&state, NINE));
        limiter.check(&mut state, at(30_000));
        assert!(!limiter.is_fresh(&state, at(59_999)));
        assert!(limiter.is_fresh(&state, at(60_000)));
    }
}
