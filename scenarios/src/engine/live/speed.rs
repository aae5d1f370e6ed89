//! How fast a live run's clock may run.

use std::num::NonZero;
use std::thread;
use std::time::Duration;

use reports::LATENESS_OF_SLO;
use simulator::Load;

use crate::Scenario;
use crate::engine::virtual_time::rehearse;

/// What a core does for a live run in a second without making itself felt: the path of an attempt from a client through the
/// gateway to an upstream and back, where each attempt of a client and each at an upstream is half of one. At 1,500, one of
/// the 49 variants that ship could not be kept up with.
const PATHS_PER_CORE: f64 = 1_250.0;

/// How late a machine that does that is with one send in a hundred, with some to spare.
const LATENESS: Duration = Duration::from_millis(2);

/// The same of users who think: they wait on tokio's timer, whose wheel turns by milliseconds.
const LATENESS_OF_USERS: Duration = Duration::from_millis(4);

/// The highest speed at which this machine can be expected to keep up with every variant of a scenario under a seed, as
/// far as the virtual engine can tell, with two digits: of whichever there is less, time for the attempts of the busiest
/// second, or time to be late in.
pub fn highest_speed(scenario: &Scenario, seed: u64) -> f64 {
    let cores = thread::available_parallelism().map_or(1, NonZero::get) as f64;
    let timeline = &scenario.timeline;
    let variants = scenario.variants.iter().flat_map(|variant| [variant.clone(), variant.without_faults()]);
    let busiest = variants.map(|variant| rehearse(timeline, &variant, seed).halves_per_s).max();
    let by_work = cores * PATHS_PER_CORE * 2.0 / f64::from(busiest.unwrap_or(0).max(1));
    let mut populations = scenario.variants.iter().flat_map(|variant| &variant.world.populations);
    let thinks = populations.any(|population| matches!(population.load, Load::Closed { .. }));
    let lateness = if thinks { LATENESS_OF_USERS } else { LATENESS };
    let by_lateness = timeline.slo_latency.mul_f64(LATENESS_OF_SLO).as_secs_f64() / lateness.as_secs_f64();
    rounded_down(by_work.min(by_lateness).clamp(0.01, 1_000.0))
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
