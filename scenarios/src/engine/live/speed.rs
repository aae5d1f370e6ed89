//! How fast a live run's clock may run.

use std::num::NonZero;
use std::thread;
use std::time::Duration;

use reports::LATENESS_OF_SLO;

use crate::engine::virtual_time::rehearse;
use crate::{Scenario, Variant};

/// What a core does for a live run in a second without making itself felt: the path of an attempt from a client through the
/// gateway to an upstream and back, where each attempt of a client and each at an upstream is half of one. At 1,500, one of
/// the 49 variants that ship could not be kept up with.
const PATHS_PER_CORE: f64 = 1_250.0;

/// How late a machine that does that is with one send in a hundred, with some to spare.
const LATENESS: Duration = Duration::from_millis(2);

/// The same of users who think: they wait on tokio's timer, whose wheel turns by milliseconds.
const LATENESS_OF_USERS: Duration = Duration::from_millis(4);

/// How fast a scenario's live runs may be, and how much of the scenario says so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HighestSpeed {
    /// The speed, with two digits.
    pub speed: f64,
    /// From the scenario's start, the time that was gone through of every variant; `None` for all of it.
    pub seen: Option<Duration>,
}

/// The highest speed at which this machine can be expected to keep up with every variant of a scenario under a seed, as
/// far as the virtual engine can tell: of whichever there is less, time for the attempts of the busiest second, or time to be
/// late in.
///
/// The virtual engine goes through at most `most_events` events, shared evenly by all runs, so that the time which this takes
/// does not depend on the load and the duration of the scenario. `on_progress` hears of every percent of them or of the
/// scenario, whichever is further on.
pub fn highest_speed(
    scenario: &Scenario,
    seed: u64,
    most_events: u64,
    mut on_progress: impl FnMut(u64),
) -> HighestSpeed {
    let cores = thread::available_parallelism().map_or(1, NonZero::get) as f64;
    let timeline = &scenario.timeline;
    let fails = |variant: &&Variant| !variant.world.faults.is_empty();
    let controls = scenario.variants.iter().filter(fails).map(Variant::without_faults);
    let runs: Vec<Variant> = scenario.variants.iter().cloned().chain(controls).collect();
    let (mut busiest, mut seen, mut left) = (0, None::<Duration>, most_events);
    for (number, variant) in runs.iter().enumerate() {
        let share = left / (runs.len() - number) as u64;
        let mut rehearsing = Rehearsing { duration: timeline.duration, share, events: 0, at: Duration::ZERO };
        let mut told = 0;
        let go_on = |at| {
            let goes_on = rehearsing.on_event(at);
            let percent = (number as u64 * 100 + rehearsing.percent()) / runs.len() as u64;
            if percent > told {
                told = percent;
                on_progress(percent);
            }
            goes_on
        };
        busiest = rehearse(timeline, variant, seed, go_on).halves_per_s.max(busiest);
        left -= rehearsing.events.min(share);
        if rehearsing.events > share {
            seen = Some(seen.map_or(rehearsing.at, |seen| seen.min(rehearsing.at)));
        }
    }
    let by_work = cores * PATHS_PER_CORE * 2.0 / f64::from(busiest.max(1));
    let mut populations = scenario.variants.iter().flat_map(|variant| &variant.world.populations);
    let thinks = populations.any(|population| !population.is_paired());
    let lateness = if thinks { LATENESS_OF_USERS } else { LATENESS };
    let by_lateness = timeline.slo_latency.mul_f64(LATENESS_OF_SLO).as_secs_f64() / lateness.as_secs_f64();
    HighestSpeed { speed: rounded_down(by_work.min(by_lateness).clamp(0.01, 1_000.0)), seen }
}

/// A run that goes through some events of its scenario.
struct Rehearsing {
    duration: Duration,
    /// Events that it may go through.
    share: u64,
    /// Events that there were, with the one for which there is no room.
    events: u64,
    /// The time of the last of them, since the scenario's start.
    at: Duration,
}

impl Rehearsing {
    /// Whether the next event, at this time, is gone through.
    const fn on_event(&mut self, at: Duration) -> bool {
        self.events += 1;
        self.at = at;
        self.events <= self.share
    }

    /// How far it is.
    fn percent(&self) -> u64 {
        let of_events = self.events * 100 / self.share.max(1);
        let of_time = self.at.as_millis() as u64 * 100 / (self.duration.as_millis() as u64).max(1);
        of_events.max(of_time).min(100)
    }
}

/// To two significant digits.
fn rounded_down(value: f64) -> f64 {
    let digits = 1.0 - libm::floor(libm::log10(value));
    let scale = libm::pow(10.0, libm::fabs(digits));
    // Multiplied or divided by a whole number, so that 4.1 is 4.1. What was a whole number of units stays one.
    let round = |units: f64| libm::floor(units + 1e-9);
    if digits >= 0.0 { round(value * scale) / scale } else { round(value / scale) * scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_are_kept() {
        for (value, expected) in
            [(123.4, 120.0), (9.99, 9.9), (1.0, 1.0), (0.0456, 0.045), (20.0, 20.0), (4.1999, 4.1)]
        {
            assert!(rounded_down(value).total_cmp(&expected).is_eq(), "{value}");
        }
    }
}
