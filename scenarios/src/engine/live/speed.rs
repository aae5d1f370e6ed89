//! How fast a live run's clock may run.

use std::num::NonZero;
use std::thread;
use std::time::Duration;

use crate::engine::virtual_time::{Rehearsal, rehearse};
use crate::{Scenario, Variant, World};

/// What a core can do for a live run in a second, the whole path of an attempt (client, gateway, upstream, record), and
/// still have half of itself left. `docs/performance.md` says how it was measured.
const SENDS_PER_CORE: f64 = 2_000.0;

/// How late the machine is with one send in a hundred while it keeps up.
const LATENESS: Duration = Duration::from_millis(1);

/// The share of the SLO latency that lateness may be; see [`reports::HarnessRecord`].
const LATENESS_OF_SLO: f64 = 0.1;

/// The highest speed at which this machine can be expected to keep up with every variant of a scenario under a seed, as
/// far as the virtual engine can tell, with two digits: of whichever there is less, time for the attempts of the busiest
/// second, or time to be late in.
pub fn highest_speed(scenario: &Scenario, seed: u64) -> f64 {
    let cores = thread::available_parallelism().map_or(1, NonZero::get) as f64;
    let timeline = &scenario.timeline;
    let busiest =
        scenario.variants.iter().flat_map(|variant| [variant.clone(), well(variant)]).map(|variant| {
            let Rehearsal { peak_sends_per_s, .. } = rehearse(timeline, &variant, seed);
            peak_sends_per_s
        });
    let busiest = busiest.max().unwrap_or(0).max(1);
    let by_work = cores * SENDS_PER_CORE / f64::from(busiest);
    let by_lateness = timeline.slo_latency.mul_f64(LATENESS_OF_SLO).as_secs_f64() / LATENESS.as_secs_f64();
    rounded_down(by_work.min(by_lateness).clamp(0.01, 1_000.0))
}

fn well(variant: &Variant) -> Variant {
    Variant { world: World { faults: Vec::new(), ..variant.world.clone() }, ..variant.clone() }
}

/// To two significant digits.
fn rounded_down(value: f64) -> f64 {
    let unit = libm::pow(10.0, libm::floor(libm::log10(value)) - 1.0);
    // What was a whole number of units stays one.
    libm::floor(value / unit + 1e-9) * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_are_kept() {
        for (value, expected) in [(123.4, 120.0), (9.99, 9.9), (1.0, 1.0), (0.0456, 0.045), (20.0, 20.0)] {
            assert!((rounded_down(value) - expected).abs() < 1e-9, "{value}");
        }
    }
}
