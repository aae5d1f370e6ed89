//! Scenario time on the machine's clock.

use std::time::{Duration, Instant};

use crate::timestamp::Timestamp;

/// Scenario time, told from the machine's clock.
///
/// Rules, models and records see scenario time only; what waits on a socket or a timer asks here how long that is.
/// A clock at `speed` N runs N times as fast as real time: a timeout of 5 s passes in 5 s / N.
#[derive(Clone, Copy, Debug)]
pub struct ScenarioClock {
    starts: Timestamp,
    started: Instant,
    speed: f64,
}

impl ScenarioClock {
    /// A clock that shows `starts` at `started`, which may lie ahead, and runs at `speed`.
    ///
    /// # Panics
    ///
    /// If `speed` is not a number above zero.
    pub fn new(starts: Timestamp, started: Instant, speed: f64) -> Self {
        assert!(speed > 0.0 && speed.is_finite(), "a clock goes forward");
        Self { starts, started, speed }
    }

    /// A clock that shows `starts` now.
    pub fn starting_now(starts: Timestamp, speed: f64) -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let now = Instant::now();
        Self::new(starts, now, speed)
    }

    /// The scenario time of this moment; the start, before it.
    pub fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        self.at(Instant::now())
    }

    /// The scenario time of a moment; the start, before it.
    pub fn at(&self, moment: Instant) -> Timestamp {
        self.starts + self.scenario(moment.saturating_duration_since(self.started))
    }

    /// The moment of a scenario time.
    pub fn moment(&self, at: Timestamp) -> Instant {
        self.started + self.real(at - self.starts)
    }

    /// How long it is until a scenario time, in real time; zero once it is there. A clock that is yet to start has all of that
    /// before it.
    pub fn until(&self, at: Timestamp) -> Duration {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        self.moment(at).saturating_duration_since(Instant::now())
    }

    /// How long a while of scenario time takes.
    pub fn real(&self, scenario: Duration) -> Duration {
        if self.is_real() { scenario } else { scenario.div_f64(self.speed) }
    }

    /// How much scenario time passes in a while.
    pub fn scenario(&self, real: Duration) -> Duration {
        if self.is_real() { real } else { real.mul_f64(self.speed) }
    }

    /// Whether scenario time is real time, as it is for a gateway in front of real services: it asks for the time at every turn
    /// of a request, and need not calculate.
    #[expect(clippy::float_cmp, reason = "the speed that is asked for, and nothing that was calculated")]
    fn is_real(&self) -> bool {
        self.speed == 1.0
    }

    /// How many times as fast as real time.
    pub const fn speed(&self) -> f64 {
        self.speed
    }

    /// The start of scenario time.
    pub const fn starts(&self) -> Timestamp {
        self.starts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_shows_more_time_and_waits_less() {
        let starts = Timestamp::from_nanos(1_780_390_800_000_000_000);
        let clock = ScenarioClock::starting_now(starts, 20.0);
        let later = clock.moment(starts + Duration::from_secs(60));
        assert_eq!(later - clock.moment(starts), Duration::from_secs(3));
        assert_eq!(clock.at(later), starts + Duration::from_secs(60));
        assert_eq!(clock.real(Duration::from_secs(5)), Duration::from_millis(250));
        assert_eq!(clock.scenario(Duration::from_millis(250)), Duration::from_secs(5));
    }

    #[test]
    fn nothing_happens_before_the_start() {
        let starts = Timestamp::from_nanos(1_780_390_800_000_000_000);
        let now = ScenarioClock::starting_now(starts, 1.0);
        let ahead = ScenarioClock::new(starts, now.moment(starts + Duration::from_secs(3_600)), 1.0);
        assert_eq!(ahead.now(), starts);
        assert!(ahead.until(starts) > Duration::from_secs(3_500), "the start itself is yet to come");
        assert_eq!(now.until(starts), Duration::ZERO);
    }
}
