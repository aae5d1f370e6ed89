//! Whether the gateway's workers, which all routes share, were enough: why an outage reached the routes that have nothing
//! to do with it, and why it did not.

use crate::record::cause::CauseKind;
use crate::result::experiment::{ExperimentResult, VariantResult};
use crate::result::run::{RunResult, StationResult};
use crate::result::spread::Spread;
use crate::tell::facts::{Group, descending, per_variant, short};
use crate::tell::side_by_side::runs;
use crate::words::format::Dimension;
use crate::words::text;

/// When something failed, somebody sent on routes that do not depend on it, and the gateway's workers are bounded: each
/// variant under which they were never all in use, so that nobody waited for one, and since when they were under the others.
pub(super) fn who_waited_for_a_worker(result: &ExperimentResult) -> Option<String> {
    runs(result).filter_map(|run| run.harm.as_ref()).find(|harm| harm.collateral_tally().total() > 0)?;
    let praised = result.variants.iter().filter(|variant| variant.strict().is_none());
    let spared: Vec<String> = praised.filter_map(spared).collect();
    let mut taken: Vec<Group> = descending(&per_variant(result, first_taken_s));
    taken.reverse();
    let clock = result.scenario.clock();
    let taken: Vec<String> = taken
        .iter()
        .map(|group| {
            let names: Vec<String> = group.variants.iter().map(|variant| short(&variant.name)).collect();
            format!("from {} on under {}", clock.at_s(group.value), text::list(&names))
        })
        .collect();
    let spared = (!spared.is_empty())
        .then(|| format!("nobody waited for a worker of the gateway under {}", text::list(&spared)));
    let taken = (!taken.is_empty()).then(|| format!("all were in use {}", text::list(&taken)));
    match (spared, taken) {
        (Some(spared), Some(taken)) => Some(format!("N{}; {taken}.", &spared[1..])),
        (Some(spared), None) => Some(format!("N{}.", &spared[1..])),
        (None, Some(taken)) => Some(format!("The gateway's workers: {taken}.")),
        (None, None) => None,
    }
}

/// `timeout (at most 183 of 256 in use)`, where that was fewer than there are.
fn spared(variant: &VariantResult) -> Option<String> {
    let workers = variant.runs.iter().find_map(|run| gateway(run)?.workers)?;
    let most = Spread::over(variant, |run| Some(f64::from(gateway(run)?.peak_in_flight)))?.most;
    if most >= f64::from(workers) {
        return None;
    }
    let mut why = vec![format!(
        "at most {} of {} in use",
        Dimension::Count.show(most),
        Dimension::Count.show(workers.into())
    )];
    let shed = Spread::over(variant, |run| Some(shed_by_bulkheads(run) as f64))?.median;
    if shed > 0.0 {
        why.push(format!("its bulkhead turned {} away", Dimension::Count.show(shed)));
    }
    Some(format!("{} ({})", short(&variant.name), why.join("; ")))
}

/// The first second in which all workers of the gateway were in use.
fn first_taken_s(run: &RunResult) -> Option<f64> {
    let gateway = gateway(run)?;
    let workers = gateway.workers?;
    let first = gateway.in_flight_per_s.iter().position(|in_flight| *in_flight >= workers)?;
    Some(first as f64)
}

/// Requests that ended with a full bulkhead.
fn shed_by_bulkheads(run: &RunResult) -> u64 {
    let by_bulkhead = run
        .causes
        .iter()
        .filter(|cause| cause.steps.first().is_some_and(|step| step.kind == CauseKind::Bulkhead));
    by_bulkhead.map(|cause| cause.requests).fold(0, u64::saturating_add)
}

fn gateway(run: &RunResult) -> Option<&StationResult> {
    run.stations.iter().find(|station| station.is_gateway)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::cause::{CauseResult, CauseStep, Ending};
    use crate::testing;

    #[test]
    fn each_variant_is_told_with_its_workers() {
        let mut result = testing::incident();
        let in_use = [(256, Some(39)), (183, None), (256, Some(39)), (74, None)];
        for (variant, (most, full_from)) in result.variants.iter_mut().zip(in_use) {
            let gateway = &mut variant.runs[0].stations[0];
            (gateway.workers, gateway.peak_in_flight) = (Some(256), most);
            let in_flight =
                |second| if full_from.is_some_and(|from| second >= from) { 256 } else { most.min(255) };
            gateway.in_flight_per_s = (0..180).map(in_flight).collect();
        }
        let step = CauseStep { kind: CauseKind::Bulkhead, of: Some("checkout".to_owned()) };
        result.variants[3].runs[0].causes.push(CauseResult {
            route: "/checkout".to_owned(),
            ending: Ending::Failed,
            requests: 2345,
            steps: vec![step],
        });
        assert_eq!(
            who_waited_for_a_worker(&result).unwrap(),
            "Nobody waited for a worker of the gateway under timeout (at most 183 of 256 in use) and recommended (at most 74 \
             of 256 in use; its bulkhead turned 2,345 away); all were in use from 09:00:39 on under quickstart and breaker."
        );
        for variant in &mut result.variants {
            variant.runs[0].stations[0].workers = None;
        }
        assert_eq!(who_waited_for_a_worker(&result), None, "nobody waits for one of so many");
        assert_eq!(who_waited_for_a_worker(&testing::window_boundary()), None, "nothing failed");
    }
}
