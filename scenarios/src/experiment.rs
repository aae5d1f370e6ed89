//! An experiment: every variant under every seed, each with its control, and the expectations held against the runs.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use gateway::RateLimit;
use rayon::prelude::*;
use reports::{
    Bound, Comparison, Engine, Expectation, ExpectationCheck, ExpectationResult, ExperimentResult, Measure,
    Measurement, NotJudged, Recording, RouteWeight, RunResult, ScenarioSummary, Selector, VERSION, Value,
    VariantResult,
};

use crate::engine::{GoodOfRun, strictness};
use crate::{Drive, LiveError, LogBook, Scenario, Variant, engine};

/// Runs every variant of a scenario under every seed, in parallel on the threads of the current rayon pool, and
/// holds the expectations against what was measured.
///
/// The result depends on the scenario and the seeds alone, not on the number of threads. `on_run` is called at the
/// end of each run, from whichever thread it ran on.
///
/// # Panics
///
/// Never: without a log, nothing is written.
pub fn run_experiment(scenario: &Scenario, seeds: &[u64], on_run: impl Fn() + Sync) -> ExperimentResult {
    run_experiment_logged(scenario, seeds, None, on_run).expect("without a log nothing is written")
}

/// As [`run_experiment`], and logs every request to `log` if there is one; its lines depend on the scenario and the seeds
/// alone, too.
///
/// # Errors
///
/// If the log cannot be written.
pub fn run_experiment_logged(
    scenario: &Scenario,
    seeds: &[u64],
    log: Option<&LogBook>,
    on_run: impl Fn() + Sync,
) -> io::Result<ExperimentResult> {
    let observed = observe(scenario, seeds, log, on_run)?;
    Ok(gather(scenario, seeds, Engine::Virtual, observed))
}

/// As [`run_experiment`], and says what the goal of each run came to, by variant and seed.
pub(crate) fn run_experiment_for_goal(
    scenario: &Scenario,
    seeds: &[u64],
    on_run: impl Fn() + Sync,
) -> (ExperimentResult, Vec<Value>) {
    let observed = observe(scenario, seeds, None, on_run).expect("without a log nothing is written");
    let goal = observed.iter().filter_map(|observed| observed.goal).collect();
    (gather(scenario, seeds, Engine::Virtual, observed), goal)
}

/// Runs every variant under every seed in virtual time.
fn observe(
    scenario: &Scenario,
    seeds: &[u64],
    log: Option<&LogBook>,
    on_run: impl Fn() + Sync,
) -> io::Result<Vec<Observed>> {
    begin(scenario, log);
    let compares = scenario.variants.len() > 1;
    let run = |variant: &Variant, seed: u64| -> io::Result<(Observed, GoodOfRun)> {
        let recording = engine::run_with_control(&scenario.timeline, variant, seed, log, compares)?;
        let judged = judge(variant, seed, recording);
        on_run();
        Ok(judged)
    };
    // Seed by seed, so that which requests were good is not kept of all seeds at once.
    let by_seed: io::Result<Vec<Vec<Observed>>> = seeds
        .par_iter()
        .map(|seed| {
            let runs = scenario.variants.par_iter().map(|variant| run(variant, *seed));
            let (mut observed, good): (Vec<Observed>, Vec<GoodOfRun>) =
                runs.collect::<io::Result<Vec<_>>>()?.into_iter().unzip();
            let mut of_seed: Vec<&mut Observed> = observed.iter_mut().collect();
            compare_controls(scenario, &good.iter().collect::<Vec<_>>(), *seed, &mut of_seed);
            Ok(observed)
        })
        .collect();
    let mut by_seed: Vec<_> = by_seed?.into_iter().map(Vec::into_iter).collect();
    let observed = scenario
        .variants
        .iter()
        .flat_map(|_| by_seed.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>());
    Ok(observed.collect())
}

/// Tells of each run under a seed how strict its variant is beside the others; the runs are those of the first variants.
fn compare_controls(scenario: &Scenario, good: &[&GoodOfRun], seed: u64, observed: &mut [&mut Observed]) {
    let runs: Vec<_> = scenario.variants.iter().zip(good.iter().copied()).collect();
    for (observed, strictness) in observed.iter_mut().zip(strictness(&scenario.timeline, &runs, seed)) {
        observed.result.strictness = strictness;
    }
}

/// Tells the log whose runs come next.
fn begin(scenario: &Scenario, log: Option<&LogBook>) {
    if let Some(log) = log {
        log.begin(&scenario.name, scenario.variants.iter().map(|variant| &*variant.name));
    }
}

/// How long a live experiment takes: one run after the other, each as long as the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LivePlan {
    /// All runs: each variant under each seed, and its control where anything fails in it.
    pub runs: u32,
    /// Of those, the controls.
    pub controls: u32,
    /// How long each takes in real time, if everything is answered by its end.
    pub each: Duration,
}

impl LivePlan {
    /// Of a scenario under so many seeds, at this speed.
    pub fn of(scenario: &Scenario, seeds: usize, speed: f64) -> Self {
        let failing = scenario.variants.iter().filter(|variant| !variant.world.faults.is_empty()).count();
        let (variants, seeds) = (scenario.variants.len() as u32, seeds as u32);
        let controls = failing as u32 * seeds;
        let each = scenario.timeline.duration.div_f64(speed) + engine::LEAD;
        Self { runs: variants * seeds + controls, controls, each }
    }

    /// How long all of them take.
    pub fn total(&self) -> Duration {
        self.each * self.runs
    }
}

/// Runs every variant of a scenario under every seed over real sockets, one after the other, as [`run_experiment`] does in
/// virtual time. A run that is stopped is the last one. `on_run` is called before each run, with whether it is a control.
///
/// # Errors
///
/// If a run cannot be made.
pub fn run_live_experiment(
    scenario: &Scenario,
    seeds: &[u64],
    drive: &Drive,
    on_run: impl Fn(&Variant, u64, bool),
) -> Result<ExperimentResult, LiveError> {
    begin(scenario, drive.log.as_deref());
    let (mut observed, mut good) = (Vec::new(), Vec::new());
    'runs: for variant in &scenario.variants {
        for seed in seeds {
            let on_part = |control| on_run(variant, *seed, control);
            let recording =
                engine::run_live_with_control(&scenario.timeline, variant, *seed, drive, on_part)?;
            let (run, good_of_run) = judge(variant, *seed, recording);
            observed.push(run);
            good.push(good_of_run);
            if drive.stop.is_asked() {
                break 'runs;
            }
        }
    }
    // A run that was stopped has no whole control.
    let whole = good.len() - usize::from(drive.stop.is_asked());
    for (place, seed) in seeds.iter().enumerate() {
        let of_seed: Vec<&GoodOfRun> = good[..whole].iter().skip(place).step_by(seeds.len()).collect();
        let mut runs: Vec<&mut Observed> =
            observed[..whole].iter_mut().skip(place).step_by(seeds.len()).collect();
        compare_controls(scenario, &of_seed, *seed, &mut runs);
    }
    Ok(gather(scenario, seeds, Engine::Live, observed))
}

/// Puts together what was observed, by variant and seed; of a run that was stopped, what there is, and that nothing is judged
/// by it, nor by those that it kept from being made.
fn gather(scenario: &Scenario, seeds: &[u64], engine: Engine, observed: Vec<Observed>) -> ExperimentResult {
    let mut expectations: Vec<_> = scenario.expectations.iter().map(|line| unchecked(&line.text)).collect();
    for variant in &scenario.variants {
        for (line, expectation) in &variant.expected.bounds {
            expectations[*line].asserts_harm |= asserts_harm(variant, expectation);
        }
    }
    let standards: HashMap<Standard<'_>, (Reading, Option<NotJudged>)> = made(scenario, seeds, &observed)
        .filter_map(|(variant, seed, observed)| Some((variant, seed, observed?)))
        .flat_map(|(variant, seed, observed)| {
            let of = move |line| Standard { line, variant: &variant.name, seed };
            let not_judged = observed.result.not_judged();
            observed.standards.iter().map(move |(line, reading)| (of(*line), (*reading, not_judged)))
        })
        .collect();
    // Where the other variant was not asked for, the line cannot be judged, and says nothing.
    let is_asked_for = |name: &str| scenario.variants.iter().any(|variant| variant.name == name);
    for (variant, seed, observed) in made(scenario, seeds, &observed) {
        let not_judged = observed.map_or(Some(NotJudged::NotRun), |observed| observed.result.not_judged());
        let bounds = variant.expected.bounds.iter().enumerate().map(|(place, (line, _))| {
            let (measured, held) = observed.map_or((Reading::NONE, false), |observed| observed.bounds[place]);
            (*line, measured, None, held, not_judged)
        });
        let contrasts = variant.expected.contrasts.iter().enumerate();
        let contrasts = contrasts.filter(|(_, (_, contrast))| is_asked_for(&contrast.other));
        let contrasts = contrasts.map(|(place, (line, contrast))| {
            let measured = observed.map_or(Reading::NONE, |observed| observed.contrasts[place]);
            let standard = standards.get(&Standard { line: *line, variant: &contrast.other, seed });
            let (standard, other) = standard
                .map_or((None, Some(NotJudged::NotRun)), |(reading, not_judged)| {
                    (Some(*reading), *not_judged)
                });
            let held = standard.is_some_and(|standard| {
                contrast.comparison.holds_between(measured.measurement.value, standard.measurement.value)
            });
            (*line, measured, standard, held, not_judged.or(other))
        });
        for (line, measured, standard, held, not_judged) in bounds.chain(contrasts) {
            let variant = variant.name.clone();
            let held = held && not_judged.is_none();
            expectations[line].held &= held;
            let why = measured.why_not.or_else(|| standard.and_then(|standard: Reading| standard.why_not));
            let Measurement { value: measured, lower_bound_share, .. } = measured.measurement;
            let check = ExpectationCheck {
                variant,
                seed,
                measured,
                standard: standard.map(|standard| standard.measurement.value),
                lower_bound_share,
                held,
                not_observed: why.map(str::to_owned),
                not_judged,
            };
            expectations[line].checks.push(check);
        }
    }
    let mut variants = Vec::new();
    let mut observed = observed.into_iter();
    for variant in &scenario.variants {
        let runs: Vec<_> = observed.by_ref().take(seeds.len()).map(|observed| observed.result).collect();
        if runs.is_empty() {
            break;
        }
        variants.push(VariantResult { name: variant.name.clone(), settings: variant.settings.clone(), runs });
    }
    // Lines of variants that were not asked for.
    expectations.retain(|expectation| !expectation.checks.is_empty());
    ExperimentResult {
        version: VERSION,
        tuesday: env!("CARGO_PKG_VERSION").to_owned(),
        engine,
        scenario: summary(scenario, seeds),
        variants,
        expectations,
        agreement: None,
    }
}

/// The runs by variant and seed, and what was observed of those that were made.
fn made<'o>(
    scenario: &'o Scenario,
    seeds: &'o [u64],
    observed: &'o [Observed],
) -> impl Iterator<Item = (&'o Variant, u64, Option<&'o Observed>)> {
    let runs = scenario.variants.iter().flat_map(|variant| seeds.iter().map(move |seed| (variant, *seed)));
    let observed = observed.iter().map(Some).chain(std::iter::repeat(None));
    runs.zip(observed).map(|((variant, seed), observed)| (variant, seed, observed))
}

/// What a line compares with: measured in a variant under a seed.
#[derive(PartialEq, Eq, Hash)]
struct Standard<'v> {
    line: usize,
    variant: &'v str,
    seed: u64,
}

/// What came of one run.
struct Observed {
    result: RunResult,
    /// Measured value, and whether it is as expected, as [`Expected::bounds`](crate::Expected::bounds) has them.
    bounds: Vec<(Reading, bool)>,
    /// As [`Expected::contrasts`](crate::Expected::contrasts) has them.
    contrasts: Vec<Reading>,
    /// Line and measured value.
    standards: Vec<(usize, Reading)>,
    /// What [`Expected::goal`](crate::Expected::goal) came to.
    goal: Option<Value>,
}

/// What was measured, and if it is nothing, why not.
#[derive(Clone, Copy)]
struct Reading {
    measurement: Measurement,
    why_not: Option<&'static str>,
}

impl Reading {
    /// Of a run that was not made.
    const NONE: Self = Self { measurement: Measurement::NOT_OBSERVED, why_not: None };

    fn of(measurement: Measurement, measure: &Measure, recording: &Recording) -> Self {
        let is_missing = matches!(measurement.value, Value::NotObserved);
        Self { measurement, why_not: is_missing.then(|| recording.why_not_observed(measure)) }
    }
}

/// Holds the expectations of a variant against a recording, and keeps which of its requests were good.
fn judge(variant: &Variant, seed: u64, mut recording: Recording) -> (Observed, GoodOfRun) {
    let bounds = variant.expected.bounds.iter();
    let bounds = bounds.map(|(_, expectation)| {
        let (value, held) = expectation.check(&recording);
        (Reading::of(value, &expectation.measure, &recording), held)
    });
    let measured = |measure: &Measure| Reading::of(recording.measure(measure), measure, &recording);
    let bounds = bounds.collect();
    let contrasts = &variant.expected.contrasts;
    let contrasts = contrasts.iter().map(|(_, contrast)| measured(&contrast.measure)).collect();
    let standards = &variant.expected.standards;
    let standards = standards.iter().map(|(line, measure)| (*line, measured(measure))).collect();
    let goal = variant.expected.goal.as_ref().map(|measure| recording.measure(measure).value);
    let good = GoodOfRun::of(&mut recording);
    let observed = Observed { result: close(variant, seed, recording), bounds, contrasts, standards, goal };
    (observed, good)
}

/// Whether a line claims that something is bad, and is no requirement: a measure at its bad end, or a limit that lets more
/// through than it says. What is bad for hostile clients is good.
fn asserts_harm(variant: &Variant, expectation: &Expectation) -> bool {
    let measure = &expectation.measure;
    let is_of_hostile = match measure.served() {
        Some(Selector::Population(number)) => variant.world.populations[number].hostile,
        _ => false,
    };
    // What all limits of a scope let through is more than one of them says, or not, by that one.
    let limits = &variant.world.gateway.limits;
    let asked: Vec<(&RateLimit, Duration)> = limits
        .iter()
        .filter_map(|(id, rule)| {
            let window =
                measure.window_of(&limits.label(id)).or_else(|| measure.window_of(id.scope().name()));
            Some((&rule.limit, window?))
        })
        .collect();
    match &*asked {
        _ if is_of_hostile => false,
        [] => expectation.asserts_harm(),
        asked => {
            let is_more = matches!(expectation.comparison, Comparison::Greater | Comparison::AtLeast);
            let exceeds = |(limit, window): &(&RateLimit, Duration)| match expectation.bound {
                Bound::Number(bound) => *window <= limit.window() && bound > f64::from(limit.limit()),
                _ => false,
            };
            is_more && asked.iter().any(exceeds)
        }
    }
}

/// What is kept of a recording.
pub(crate) fn close(variant: &Variant, seed: u64, recording: Recording) -> RunResult {
    let recorded = engine::recorded_limits(&variant.world.gateway.limits);
    recording.into_result(seed, |limit, bucket| {
        engine::bucket_name(&variant.world, recorded[limit].buckets, bucket)
    })
}

/// A line before it was held against anything.
fn unchecked(text: &str) -> ExpectationResult {
    ExpectationResult { text: text.to_owned(), held: true, asserts_harm: false, checks: Vec::new() }
}

pub(crate) fn summary(scenario: &Scenario, seeds: &[u64]) -> ScenarioSummary {
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
        objective: scenario.objective.clone(),
        weights: weights(scenario),
    }
}

/// The routes whose requests do not count once, each with its weight, in the order in which variants have them.
fn weights(scenario: &Scenario) -> Vec<RouteWeight> {
    let mut weights: Vec<RouteWeight> = Vec::new();
    for world in scenario.variants.iter().map(|variant| &variant.world) {
        for (route, weight) in world.gateway.routes.iter().zip(&world.weights) {
            // One that counts once has the weight of a route of which nothing is said.
            let is_told = weights.iter().any(|known| known.route == route.path);
            if weight.total_cmp(&1.0).is_ne() && !is_told {
                weights.push(RouteWeight { route: route.path.clone(), weight: *weight });
            }
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reports::HarnessRecord;

    use super::*;

    const THREE: &str = r#"
        name = "Three"
        duration = "4s"
        slo.latency = "1s"
        upstreams.a.latency = { constant = "1ms" }
        routes."/a".upstream = "a"
        clients.all = { send = "/a", rate = "10/s" }
        variants = { one = {}, two = {}, three = {} }
        [expect]
        hold = ["offered == 40", "goodput == 10/s", "three: offered == one: offered"]
    "#;

    /// What is gathered where the last of `runs` had a harness of this kind.
    fn gathered(runs: usize, spoil: impl Fn(&mut HarnessRecord)) -> ExperimentResult {
        let reading = crate::file::read(THREE, &|name| Err(format!("no file {name} here")));
        let scenario = reading.scenario.unwrap();
        let observed = scenario.variants.iter().take(runs).enumerate().map(|(place, variant)| {
            let mut recording =
                engine::run_with_control(&scenario.timeline, variant, 1, None, false).unwrap();
            let mut harness = HarnessRecord::new(1.0, 10, 1_000);
            if place + 1 == runs {
                spoil(&mut harness);
            }
            recording.add_harness(harness);
            judge(variant, 1, recording).0
        });
        let observed = observed.collect();
        gather(&scenario, &[1], Engine::Live, observed)
    }

    /// By line: by check what was held, or why not.
    fn told(result: &ExperimentResult) -> Vec<Vec<(bool, Option<NotJudged>)>> {
        let checks = result.expectations.iter().map(|line| line.checks.iter());
        checks.map(|checks| checks.map(|check| (check.held, check.not_judged)).collect()).collect()
    }

    #[test]
    fn nothing_is_judged_by_a_run_that_the_harness_spoilt() {
        let result = gathered(3, |harness| harness.exhausted = 1);
        let (held, invalid) = ((true, None), (false, Some(NotJudged::Invalid)));
        assert_eq!(told(&result), [vec![held, held, invalid], vec![held, held, invalid], vec![invalid]]);
        assert!(!result.expectations[0].held);
        assert_eq!(result.worst(), reports::Standing::NotJudged);
    }

    #[test]
    fn what_an_interrupt_kept_from_running_is_told_as_not_run() {
        // The second of three is stopped after two of its four seconds.
        let result = gathered(2, |harness| {
            (harness.interrupted, harness.ran) = (true, Some(Duration::from_secs(2)));
        });
        let held = (true, None);
        let [interrupted, not_run] =
            [NotJudged::Interrupted, NotJudged::NotRun].map(|reason| (false, Some(reason)));
        assert_eq!(
            told(&result),
            [vec![held, interrupted, not_run], vec![held, interrupted, not_run], vec![not_run]]
        );
        // 40 requests, 10/s for four seconds, all good. Over the two seconds that the run is said to have lasted it is 20/s.
        let goodput = result.variants.iter().map(|variant| variant.runs[0].overall.goodput_per_s);
        assert_eq!(goodput.collect::<Vec<_>>(), [10.0, 20.0]);
        assert_eq!(result.expectations[1].checks[1].measured, Value::RatePerS(20.0));
    }

    #[test]
    fn a_line_about_what_nobody_measured_does_not_hold_and_says_why() {
        // Everybody is turned away for want of a token, and the others never send.
        let text = r#"
            name = "Nothing was measured"
            duration = "10s"
            slo.latency = "500ms"
            upstreams = { a.latency = "1ms", idle.latency = "1ms", id = { serves = "jwks", latency = "1ms" } }
            routes = { "/a".upstream = "a", "/idle".upstream = "idle" }
            clients.a = { send = "/a", rate = "10/s" }
            clients.late = { send = "/idle", ramp = [{ at = "0s", rate = "0/s" }] }
            gateway.auth.jwks = "id"
            [expect]
            hold = [
                "latency(p99, clients.a) < 500ms",
                "latency(mean, clients.late) < 500ms",
                "success_rate(clients.late) <= 1%",
                "rejected(rate-limited, clients.late) < 1%",
                "amplification(idle) <= 1",
                "utilization(a) < 50%",
                "wait(p99, a) < 1ms",
                "blast_radius == 0%",
                "recovery_time < 1s",
                "unauthorized_reached == 0",
                "latency(p50, clients.a) <= latency(p50, clients.late)",
            ]
        "#;
        let reading = crate::file::read(text, &|name| Err(format!("no file {name} here")));
        let scenario = reading.scenario.unwrap_or_else(|| panic!("{:?}", reading.problems));
        let result = run_experiment(&scenario, &[1], || ());
        let told = result.expectations.iter().map(|line| {
            assert!(!line.held, "{}", line.text);
            line.checks[0].not_observed.as_deref().unwrap()
        });
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                "no request reached an upstream, and none went unanswered",
                "nobody sent anything",
                "nobody sent anything",
                "nobody sent anything",
                "nobody sent anything that leads there",
                "its workers are unbounded",
                "nothing came there",
                "nothing failed",
                "nothing failed",
                "no such upstream says what it requires",
                "no request reached an upstream, and none went unanswered",
            ]
        );
    }

    #[test]
    fn a_line_of_a_variant_that_was_not_asked_for_says_nothing() {
        let reading = crate::file::read(THREE, &|name| Err(format!("no file {name} here")));
        let mut scenario = reading.scenario.unwrap();
        scenario.variants.retain(|variant| variant.name == "three");
        let result = run_experiment(&scenario, &[1], || ());
        assert_eq!(told(&result), [vec![(true, None)], vec![(true, None)]]);
    }
}
