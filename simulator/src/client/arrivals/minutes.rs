//! Loads that come on the minute.

use super::progression::Progression;
use super::ramp::Ramp;
use crate::rate::Rate;

/// What cron jobs do to a gateway: all of a minute's requests within its first second.
///
/// Minutes are those of the clock, not of the scenario, and only those that begin within the scenario fire. A
/// minute's share is what the rate comes to in it; fractions are carried over to the next, from zero at the
/// first minute that fires.
#[derive(Clone, Debug)]
pub(super) struct Minutes {
    load: MinuteLoad,
    /// When the first minute begins, in nanoseconds since the scenario's start.
    first: u64,
    /// How many minutes have fired.
    fired: u64,
    /// How many requests they had.
    sent: u64,
    /// The requests of the minute that fires.
    times: Progression,
    /// How many of them are still to come.
    left: u64,
}

/// The load of which minutes have shares.
#[derive(Clone, Debug)]
pub(super) enum MinuteLoad {
    Constant(Rate),
    Ramp(Ramp),
}

const MINUTE: u64 = 60_000_000_000;
const SECOND: u64 = 1_000_000_000;

impl Minutes {
    /// The schedule of a scenario that starts `start` nanoseconds after the Unix epoch.
    pub(super) fn new(load: MinuteLoad, start: u64) -> Self {
        let first = (MINUTE - start % MINUTE) % MINUTE;
        Self { load, first, fired: 0, sent: 0, times: Progression::new(0, 0, 1), left: 0 }
    }

    /// The next time before `end`, both in nanoseconds since the scenario's start.
    pub(super) fn next(&mut self, end: u64) -> Option<u64> {
        while self.left == 0 {
            let begin = self.begin(self.fired);
            if begin >= end {
                return None;
            }
            self.fired += 1;
            let due = self.due();
            self.left = due - self.sent;
            self.sent = due;
            self.times = Progression::new(begin, SECOND, self.left.max(1));
        }
        let at = self.times.at();
        if at >= end {
            return None;
        }
        self.left -= 1;
        self.times.advance();
        Some(at)
    }

    /// When a minute begins, counted from the first; at the end of time if it is later.
    fn begin(&self, minute: u64) -> u64 {
        minute.saturating_mul(MINUTE).saturating_add(self.first)
    }

    /// Requests due in all minutes that have fired, the present one to its end.
    fn due(&self) -> u64 {
        match &self.load {
            MinuteLoad::Constant(rate) => {
                let time = u128::from(self.fired.saturating_mul(MINUTE));
                (time * u128::from(rate.events()) / u128::from(rate.period_nanos())) as u64
            }
            MinuteLoad::Ramp(ramp) => {
                let units = ramp.due(self.begin(self.fired)) - ramp.due(self.first);
                (units / u128::from(ramp.units_per_event())) as u64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::arrivals::RampPoint;

    fn per_minute(events: u64) -> Rate {
        Rate::new(events, MINUTE).unwrap()
    }

    fn times(load: MinuteLoad, start: u64, end: u64) -> Vec<u64> {
        let mut minutes = Minutes::new(load, start);
        std::iter::from_fn(|| minutes.next(end)).collect()
    }

    #[test]
    fn minutes_are_those_of_the_clock() {
        // From hh:mm:30 for two minutes: hh:mm+1:00 and hh:mm+2:00, four in the second after each.
        let start = 1_000_000 * MINUTE + 30 * SECOND;
        let sent = times(MinuteLoad::Constant(per_minute(4)), start, 2 * MINUTE);
        let quarter = SECOND / 4;
        let minute = |begin| (0..4).map(move |k| begin + k * quarter);
        assert_eq!(sent, minute(30 * SECOND).chain(minute(90 * SECOND)).collect::<Vec<_>>());
    }

    #[test]
    fn a_minute_fires_if_it_begins_within_the_scenario() {
        let sent = |start, end| times(MinuteLoad::Constant(per_minute(2)), start, end).len();
        assert_eq!(sent(0, MINUTE), 2);
        assert_eq!(sent(0, MINUTE + 1), 3);
        assert_eq!(sent(0, MINUTE + SECOND), 4);
        assert_eq!(sent(1, MINUTE - 1), 0);
        assert_eq!(sent(1, MINUTE), 1);
        assert_eq!(sent(0, 0), 0);
    }

    #[test]
    fn fractions_are_carried_over() {
        // 1.5 a minute.
        let rate = Rate::new(3, 2 * MINUTE).unwrap();
        let sent = times(MinuteLoad::Constant(rate), 0, 4 * MINUTE);
        assert_eq!(sent, [0, MINUTE, MINUTE + SECOND / 2, 2 * MINUTE, 3 * MINUTE, 3 * MINUTE + SECOND / 2]);
        // Every third minute, for a day, and not one too few.
        let rate = Rate::new(1, 3 * MINUTE).unwrap();
        assert_eq!(times(MinuteLoad::Constant(rate), 0, 24 * 60 * MINUTE).len(), 480);
    }

    #[test]
    fn a_ramped_minute_has_its_part_of_the_integral() {
        let point =
            |seconds, events| RampPoint { at: Duration::from_secs(seconds), rate: per_minute(events) };
        // From 0 to 60 a minute within three minutes, then a hold: 10, 30, 50 and 60.
        let ramp = Ramp::new(&[point(0, 0), point(180, 60)]).unwrap();
        let sent = times(MinuteLoad::Ramp(ramp.clone()), 0, 5 * MINUTE);
        let by_minute = |sent: &[u64], from: u64| {
            (0..5_u64)
                .map(|m| sent.iter().filter(|&&at| at >= from && (at - from) / MINUTE == m).count())
                .collect::<Vec<_>>()
        };
        assert_eq!(by_minute(&sent, 0), [10, 30, 50, 60, 60]);
        assert!(sent.iter().all(|at| at % MINUTE < SECOND));
        // Half a minute later in the clock's minute: the same integral from second 30 on, 20, 40, 57.5, 60,
        // 60.
        let sent = times(MinuteLoad::Ramp(ramp), 30 * SECOND, 5 * MINUTE);
        assert_eq!(by_minute(&sent, 30 * SECOND), [20, 40, 57, 60, 60]);
    }
}
