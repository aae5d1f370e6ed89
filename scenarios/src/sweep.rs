//! One variant of a scenario over a grid of settings.

use rayon::prelude::*;
use reports::{Expectation, Goal, Measure, Observation, SweepAxis, SweepResult, sweep};

use crate::experiment::{run_experiment_for_goal, summary};
use crate::{ExpectationLine, Scenario};

/// What a sweep recommends a point for.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepAim {
    /// As the result tells it.
    pub goal: Goal,
    /// The measure that is made as large or as small as it goes.
    pub measure: Measure,
    /// What has to hold, in the order of [`Goal::subject_to`].
    pub conditions: Vec<Expectation>,
}

/// Runs every point of a grid under every seed, in parallel on the threads of the current rayon pool.
///
/// `points` are scenarios of one variant each, every combination of the axes' values, the last axis changing fastest. The
/// result depends on them, the aim and the seeds alone, not on the number of threads. `on_run` is called at the end of each
/// run.
///
/// # Panics
///
/// If there is no point, or another number of them than the axes have combinations.
pub fn run_sweep(
    axes: Vec<SweepAxis>,
    points: &[Scenario],
    seeds: &[u64],
    aim: Option<&SweepAim>,
    on_run: impl Fn() + Sync,
) -> SweepResult {
    let observed: Vec<Observation> = points
        .par_iter()
        .map(|scenario| {
            let Some(aim) = aim else {
                let (result, _) = run_experiment_for_goal(scenario, seeds, &on_run);
                return Observation::of(&result, &[], 0);
            };
            let (result, goal) = run_experiment_for_goal(&aimed(scenario, aim), seeds, &on_run);
            Observation::of(&result, &goal, aim.conditions.len())
        })
        .collect();
    let first = points.first().expect("a grid has a point");
    let variant = first.variants.first().map_or("", |variant| &variant.name);
    sweep(summary(first, seeds), variant, axes, observed, aim.map(|aim| aim.goal.clone()))
}

/// The scenario with the conditions of the aim behind its own expectations.
fn aimed(scenario: &Scenario, aim: &SweepAim) -> Scenario {
    let mut scenario = scenario.clone();
    let first = scenario.expectations.len();
    let conditions = aim.goal.subject_to.iter();
    let conditions = conditions.map(|text| ExpectationLine { text: text.clone(), line: None });
    scenario.expectations.extend(conditions);
    for variant in &mut scenario.variants {
        variant.expected.bounds.extend((first..).zip(aim.conditions.iter().cloned()));
        variant.expected.goal = Some(aim.measure.clone());
    }
    scenario
}
