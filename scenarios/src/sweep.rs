//! One variant of a scenario over a grid of settings.

use rayon::prelude::*;
use reports::{Observation, SweepAxis, SweepResult, sweep};

use crate::experiment::summary;
use crate::{Scenario, run_experiment};

/// Runs every point of a grid under every seed, in parallel on the threads of the current rayon pool.
///
/// `points` are scenarios of one variant each, every combination of the axes' values, the last axis changing fastest. The
/// result depends on them and the seeds alone, not on the number of threads. `on_run` is called at the end of each run.
///
/// # Panics
///
/// If there is no point, or another number of them than the axes have combinations.
pub fn run_sweep(
    axes: Vec<SweepAxis>,
    points: &[Scenario],
    seeds: &[u64],
    on_run: impl Fn() + Sync,
) -> SweepResult {
    let observed: Vec<Observation> = points
        .par_iter()
        .map(|scenario| Observation::of(&run_experiment(scenario, seeds, &on_run)))
        .collect();
    let first = points.first().expect("a grid has a point");
    let variant = first.variants.first().map_or("", |variant| &variant.name);
    sweep(summary(first, seeds), variant, axes, observed)
}
