//! Two variants of a scenario, run under the same seeds so that their requests can be compared one by one.

use rayon::prelude::*;
use reports::{Engine, ExperimentResult, PairCount, PairedRequests, RunResult, VERSION, VariantResult};

use crate::engine::GoodOfRun;
use crate::experiment::{close, summary};
use crate::{Scenario, Variant, engine};

/// Runs two variants of a scenario under every seed, in parallel on the threads of the current rayon pool, and counts for
/// each request that both share whether it was good in the one and not in the other.
///
/// Returns the runs as an experiment of the two variants that was held against no expectations. It depends on scenario and
/// seeds alone. `on_run` is called once for each seed and variant.
pub fn run_comparison(
    scenario: &Scenario,
    variants: [&Variant; 2],
    seeds: &[u64],
    on_run: impl Fn() + Sync,
) -> (ExperimentResult, PairedRequests) {
    let shared = engine::SharedLoad::of(variants[0], variants[1]);
    let observed: Vec<([RunResult; 2], Vec<Vec<PairCount>>)> = seeds
        .par_iter()
        .map(|seed| {
            let ([mut a, mut b], cells) = engine::run_both(&scenario.timeline, variants, &shared, *seed);
            let good = [&mut a, &mut b].map(GoodOfRun::of);
            let mut results = [close(variants[0], *seed, a), close(variants[1], *seed, b)];
            let runs = [(variants[0], &good[0]), (variants[1], &good[1])];
            let strictness = engine::strictness(&scenario.timeline, &runs, *seed);
            results.iter_mut().zip(strictness).for_each(|(run, strictness)| run.strictness = strictness);
            on_run();
            on_run();
            (results, cells)
        })
        .collect();
    let mut requests =
        PairedRequests::new(&shared.populations(), shared.routes(), shared.unpaired().to_vec());
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    for (seed, ([a, b], cells)) in seeds.iter().zip(observed) {
        requests.add_seed(*seed, &cells);
        of_a.push(a);
        of_b.push(b);
    }
    let variant = |variant: &Variant, runs| VariantResult {
        name: variant.name.clone(),
        settings: variant.settings.clone(),
        runs,
    };
    let result = ExperimentResult {
        version: VERSION,
        tuesday: env!("CARGO_PKG_VERSION").to_owned(),
        engine: Engine::Virtual,
        scenario: summary(scenario, seeds),
        variants: vec![variant(variants[0], of_a), variant(variants[1], of_b)],
        expectations: Vec::new(),
        agreement: None,
    };
    (result, requests)
}
