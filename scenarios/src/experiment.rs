use gateway::Scope;
use rayon::prelude::*;
use reports::{
    Engine, ExpectationCheck, ExpectationResult, ExperimentResult, RunResult, ScenarioSummary, VERSION,
    Value, VariantResult,
};

use crate::{Scenario, Variant, engine};

/// Runs every variant of a scenario under every seed, in parallel on the threads of the current rayon pool, and
/// holds the expectations against what was measured.
///
/// The result depends on the scenario and the seeds alone, not on the number of threads. `on_run` is called at the
/// end of each run, from whichever thread it ran on.
pub fn run_experiment(scenario: &Scenario, seeds: &[u64], on_run: impl Fn() + Sync) -> ExperimentResult {
    let runs: Vec<(&Variant, u64)> =
        scenario.variants.iter().flat_map(|variant| seeds.iter().map(move |seed| (variant, *seed))).collect();
    let observed: Vec<Observed> = runs
        .into_par_iter()
        .map(|(variant, seed)| {
            let observed = observe(scenario, variant, seed);
            on_run();
            observed
        })
        .collect();

    let mut expectations: Vec<_> = scenario.expectations.iter().map(|text| unchecked(text)).collect();
    let mut variants = Vec::new();
    let mut observed = observed.into_iter();
    for variant in &scenario.variants {
        let mut runs = Vec::new();
        for (seed, Observed { result, checks }) in seeds.iter().zip(observed.by_ref()) {
            runs.push(result);
            for (line, measured, held) in checks {
                let check = ExpectationCheck { variant: variant.name.clone(), seed: *seed, measured, held };
                expectations[line].held &= held;
                expectations[line].checks.push(check);
            }
        }
        variants.push(VariantResult { name: variant.name.clone(), settings: variant.settings.clone(), runs });
    }
    // Lines of variants that were not run.
    expectations.retain(|expectation| !expectation.checks.is_empty());
    ExperimentResult {
        version: VERSION,
        tuesday: env!("CARGO_PKG_VERSION").to_owned(),
        engine: Engine::Virtual,
        scenario: summary(scenario, seeds),
        variants,
        expectations,
    }
}

/// What came of one run.
struct Observed {
    result: RunResult,
    /// Line, measured value, and whether it is as expected.
    checks: Vec<(usize, Value, bool)>,
}

fn observe(scenario: &Scenario, variant: &Variant, seed: u64) -> Observed {
    let recording = engine::run_with_control(&scenario.timeline, variant, seed);
    let check = |(line, expectation): &(usize, reports::Expectation)| {
        let (measured, held) = expectation.check(&recording);
        (*line, measured, held)
    };
    let checks = variant.expectations.iter().map(check).collect();
    let enabled: Vec<_> =
        Scope::ALL.into_iter().filter(|scope| variant.world.gateway.limits.get(*scope).is_some()).collect();
    let result = recording
        .into_result(seed, |limit, bucket| engine::bucket_name(&variant.world, enabled[limit], bucket));
    Observed { result, checks }
}

/// A line before it was held against anything.
fn unchecked(text: &str) -> ExpectationResult {
    ExpectationResult { text: text.to_owned(), held: true, checks: Vec::new() }
}

fn summary(scenario: &Scenario, seeds: &[u64]) -> ScenarioSummary {
    let starts = scenario.timeline.starts.as_nanos();
    ScenarioSummary {
        name: scenario.name.clone(),
        story: scenario.story.clone(),
        starts_unix_s: (starts / 1_000_000_000) as i64,
        starts_nanos: (starts % 1_000_000_000) as u32,
        duration_s: scenario.timeline.duration.as_secs_f64(),
        seeds: seeds.to_vec(),
        slo_latency_us: scenario.timeline.slo_latency.as_micros() as u64,
        source: scenario.source.to_string(),
    }
}
