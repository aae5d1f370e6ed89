//! Fixed window: a count that starts at zero with every window of the clock.
//!
//! The cheapest limit to build, and therefore the most common. It fails at the boundary: a client that spends
//! one window's limit at its end and the next one's at its start gets twice the limit through in an instant,
//! and cron jobs and retries that wait for "the next minute" do exactly that. An upstream sized for the limit
//! meets double the load.
//!
//! Some products begin a bucket's window with its first request instead (HAProxy's stick tables, `mod_qos`): nobody can aim at a
//! boundary of the clock then, and a client that sends its limit late in its own window still gets twice as much through.

use super::limiter::{Limiter, Verdict};
use super::settings::{RateLimit, WindowFrom};
use crate::timestamp::Timestamp;

/// Admits `limit` requests in each window `[k · window, (k + 1) · window)` since the Unix epoch, or since a bucket's first
/// request.
///
/// Never more than 2 × `limit` in an interval as long as the window, since it meets at most two windows.
#[derive(Clone, Copy, Debug)]
pub(super) struct FixedWindow {
    limit: u32,
    window: u64,
    from: WindowFrom,
}

/// The requests admitted in the window that starts at `start`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    start: Timestamp,
    admitted: u32,
}

impl FixedWindow {
    pub(super) fn new(settings: &RateLimit) -> Self {
        let (limit, window, from) = (settings.limit(), settings.window_nanos(), settings.window_from());
        Self { limit, window, from }
    }
}

impl Limiter for FixedWindow {
    type State = Window;

    fn fresh(&self) -> Window {
        Window::default()
    }

    fn check(&self, state: &mut Window, now: Timestamp) -> Verdict {
        // Only a new window costs a division. A fresh state has no window of its own yet.
        let is_over = now.nanos_since(state.start) >= self.window;
        match self.from {
            WindowFrom::Clock if is_over => {
                let start = now.as_nanos() - now.as_nanos() % self.window;
                *state = Window { start: Timestamp::from_nanos(start), admitted: 0 };
            }
            WindowFrom::FirstRequest if is_over || state.admitted == 0 => {
                *state = Window { start: now, admitted: 0 };
            }
            WindowFrom::Clock | WindowFrom::FirstRequest => {}
        }
        if state.admitted < self.limit {
            state.admitted += 1;
            Verdict::Admitted { remaining: self.limit - state.admitted }
        } else {
            Verdict::rejected_for(self.window - now.nanos_since(state.start))
        }
    }

    fn admits(&self, state: &mut Window, now: Timestamp) -> bool {
        state.admitted < self.limit || now.nanos_since(state.start) >= self.window
    }

    fn is_fresh(&self, state: &Window, now: Timestamp) -> bool {
        state.admitted == 0 || now.nanos_since(state.start) >= self.window
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
