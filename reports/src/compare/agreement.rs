//! How far two engines agree on the same experiment.
//!
//! The rules are the same, so a difference beyond the machine's own delays is a bug in one of the engines, or an effect
//! that only one of them has and that ought to be known.

use std::collections::BTreeMap;

use crate::measure::catalogue::Engines;
use crate::measure::gauge::{Gauge, everybody};
use crate::record::harness::HarnessResult;
use crate::record::outcome::Outcome;
use crate::result::agreement::{
    AgreementKind, AgreementLine, AgreementResult, AgreementUnit, VariantAgreement,
};
use crate::result::experiment::{ExperimentResult, VariantResult};
use crate::result::run::RunResult;
use crate::result::validity::reservations;

/// Shares of requests may differ by two points.
const SHARES: f64 = 0.02;

/// Breakers may change half a second apart, in scenario time.
const TRANSITIONS_US: f64 = 500_000.0;

/// Compares the first runs under the same seed of each variant; latency at the machine's own pace only, since at a faster
/// clock it carries that many times the machine's overhead.
pub fn agreement(simulated: &ExperimentResult, live: &ExperimentResult) -> AgreementResult {
    let first = live.variants.iter().find_map(|variant| variant.runs.first());
    let speed = first.and_then(|run| run.harness.as_ref()).map_or(1.0, |harness| harness.speed);
    let duration_s = live.scenario.duration_s;
    let pairs = live.variants.iter().filter_map(|variant| {
        let live = variant.runs.first()?;
        let twin: &VariantResult = simulated.variants.iter().find(|twin| twin.name == variant.name)?;
        let simulated = twin.runs.iter().find(|run| run.seed == live.seed)?;
        let valid = live.harness.as_ref().is_none_or(HarnessResult::is_valid);
        Some(VariantAgreement {
            variant: variant.name.clone(),
            valid,
            lines: lines(simulated, live, [speed, duration_s]),
        })
    });
    AgreementResult {
        seed: first.map_or(0, |run| run.seed),
        speed,
        reservations: reservations(live),
        expectations: Vec::new(),
        variants: pairs.collect(),
    }
}

impl AgreementResult {
    /// The same for the result of one engine, with what the expectations came to in the `other`.
    #[must_use]
    pub fn beside(&self, other: &ExperimentResult) -> Self {
        Self { expectations: other.expectations.clone(), ..self.clone() }
    }
}

fn lines(simulated: &RunResult, live: &RunResult, [speed, duration_s]: [f64; 2]) -> Vec<AgreementLine> {
    let runs = [simulated, live];
    let mut lines = Vec::new();
    for (place, population) in simulated.populations.iter().enumerate() {
        for (outcome, what) in [(Outcome::Served, "served"), (Outcome::RateLimited, "429")] {
            let share = runs.map(|run| {
                let summary = &run.populations.get(place)?.summary;
                (summary.offered > 0).then(|| summary.count(outcome) as f64 / summary.offered as f64)
            });
            let never = share.iter().all(|share| share.is_none_or(|share| share == 0.0));
            if outcome == Outcome::Served || !never {
                let what = format!("{}: {what}", population.name);
                lines.push(AgreementLine::new(
                    AgreementKind::Share,
                    what,
                    AgreementUnit::Share,
                    share,
                    Some(SHARES),
                ));
            }
        }
    }
    let gauges = everybody(duration_s);
    let line = |gauge: &Gauge, kind, unit, tolerance| {
        let readings = runs.map(|run| gauge.read(run));
        let what = gauge.measure.replace(['_', '.'], " ");
        let values = readings.map(|reading| Some(reading?.or_never()));
        let shares =
            readings.map(|reading| reading.and_then(|reading| reading.lower_bound_share).unwrap_or(0.0));
        let lower_bound_shares = shares.iter().any(|share| *share > 0.0).then_some(shares);
        AgreementLine { lower_bound_shares, ..AgreementLine::new(kind, what, unit, values, tolerance) }
    };
    if runs.iter().any(|run| run.harm.is_some()) {
        lines.extend(gauges.iter().filter_map(|gauge| match gauge.form().engines {
            Engines::Within(tolerance) => {
                Some(line(gauge, AgreementKind::Harm, AgreementUnit::Share, Some(tolerance)))
            }
            Engines::NotCompared | Engines::Shown => None,
        }));
    }
    let mut breakers: Vec<&str> = Vec::new();
    for breaker in runs.iter().flat_map(|run| &run.breakers) {
        if !breakers.contains(&breaker.name.as_str()) {
            breakers.push(&breaker.name);
        }
    }
    lines.extend(breakers.into_iter().flat_map(|name| transitions(runs, name)));
    if speed.total_cmp(&1.0).is_eq() {
        let shown = gauges.iter().filter(|gauge| gauge.form().engines == Engines::Shown);
        lines.extend(shown.map(|gauge| line(gauge, AgreementKind::Latency, AgreementUnit::Us, None)));
    }
    lines
}

/// Every transition of a breaker: the first to open beside the first, the second beside the second, and so with each
/// condition, in order of time. One that came about in a single engine stands alone.
fn transitions(runs: [&RunResult; 2], name: &str) -> Vec<AgreementLine> {
    let mut pairs: Vec<(&str, usize, [Option<f64>; 2])> = Vec::new();
    for (engine, run) in runs.into_iter().enumerate() {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let changes = run.breakers.iter().filter(|breaker| breaker.name == name).flat_map(|one| &one.changes);
        for change in changes {
            let count = counts.entry(&change.to).or_default();
            *count += 1;
            let at = Some(change.at_us as f64);
            match pairs.iter_mut().find(|(to, number, _)| *to == change.to && number == count) {
                Some((_, _, pair)) => pair[engine] = at,
                None => pairs.push((&change.to, *count, if engine == 0 { [at, None] } else { [None, at] })),
            }
        }
    }
    pairs.sort_by(|(_, _, a), (_, _, b)| {
        let first = |pair: &[Option<f64>; 2]| pair[0].or(pair[1]).unwrap_or_default();
        first(a).total_cmp(&first(b))
    });
    let line = |(to, number, at): (&str, usize, _)| {
        let which = if number == 1 { String::new() } else { format!(", number {number}") };
        let what = format!("breaker of {name}: {to}{which}");
        AgreementLine::new(AgreementKind::Transition, what, AgreementUnit::Us, at, Some(TRANSITIONS_US))
    };
    pairs.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_run_agrees_with_itself() {
        let result = testing::incident();
        let agreement = agreement(&result, &result);
        assert!(agreement.agrees());
        let breaker = &agreement.variants[2].lines;
        let told: Vec<&str> = breaker.iter().map(|line| line.what.as_str()).collect();
        assert_eq!(
            told,
            [
                "partner: served",
                "partner: 429",
                "everyone-else: served",
                "blast radius",
                "direct damage",
                "breaker of catalog: open",
                "breaker of catalog: closed",
                "breaker of checkout: open",
                "breaker of checkout: half-open",
                "breaker of checkout: open, number 2",
                "breaker of checkout: half-open, number 2",
                "breaker of checkout: closed",
                "latency p50",
                "latency p99",
            ]
        );
    }

    #[test]
    fn a_live_run_that_the_harness_spoilt_says_so_beside_the_comparison() {
        let simulated = testing::incident();
        let mut live = simulated.clone();
        let mut record = crate::record::harness::HarnessRecord::new(20.0, 100, 20_000);
        record.exhausted = 7;
        live.variants[1].runs[0].harness = Some(record.result(std::time::Duration::from_secs(1)));
        let agreement = agreement(&simulated, &live);
        assert_eq!(agreement.reservations.len(), 1);
        let both = ExperimentResult { agreement: Some(agreement), ..simulated };
        let said = "INVALID under timeout";
        assert!(
            crate::write::terminal::report::terminal_summary(
                &both,
                80,
                crate::write::terminal::report::Legend::None
            )
            .contains(said)
        );
        assert!(crate::write::html::report::html_report(&both, "tuesday run").unwrap().contains(said));
    }

    #[test]
    fn what_is_further_apart_than_it_may_be_is_told() {
        let simulated = testing::incident();
        let mut live = simulated.clone();
        let run = &mut live.variants[2].runs[0];
        run.breakers[0].changes[0].at_us += 499_999;
        run.breakers[1].changes[0].at_us += 500_001;
        run.harm.as_mut().unwrap().collateral.hurt += 300;
        run.breakers[1].changes.truncate(1);
        let agreement = agreement(&simulated, &live);
        let off: Vec<_> = agreement.variants[2]
            .lines
            .iter()
            .filter(|line| !line.agrees)
            .map(|line| line.what.as_str())
            .collect();
        assert_eq!(
            off,
            [
                "blast radius",
                "breaker of checkout: open",
                "breaker of checkout: half-open",
                "breaker of checkout: open, number 2",
                "breaker of checkout: half-open, number 2",
                "breaker of checkout: closed",
            ]
        );
        let missing = agreement.variants[2].lines.iter().find(|line| line.live.is_none()).unwrap().told();
        assert_eq!(missing[1..], ["–", "only one"]);
        let told = agreement.variants[2].lines.iter().find(|line| !line.agrees).unwrap().told();
        assert_eq!(told, ["19.1%", "22.5%", "3.4 points"]);
    }
}
