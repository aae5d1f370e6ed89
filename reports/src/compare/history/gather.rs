//! Stored results, joined to the history of a measure.

use crate::compare::history::result::{
    HISTORY_VERSION, HistoryChange, HistoryEntry, HistoryResult, LeftOut, VariantHistory,
};
use crate::compare::sides::result::DifferenceVerdict;
use crate::compare::sweep::gather::point_value;
use crate::compare::sweep::result::{PointValue, SweepMeasure};
use crate::measure::gauge::{Gauge, details, everybody};
use crate::measure::reading::Reading;
use crate::result::expectation::NotJudged;
use crate::result::experiment::{Engine, ExperimentResult, VariantResult};
use crate::result::run::RunResult;
use crate::statistics::change_points::change_points;
use crate::words::digest::sha256;

/// What is kept of a stored result for a history: the results themselves, with all their series, would fill the memory.
#[derive(Clone, Debug)]
pub struct Stored {
    entry: HistoryEntry,
    name: String,
    digest: String,
    engine: Engine,
    /// The measure, and whether a change of it is good or bad; `None` where the result does not have it.
    measure: Option<(SweepMeasure, bool)>,
    variants: Vec<(String, Result<Option<PointValue>, NotJudged>)>,
}

impl Stored {
    /// A result that was stored at so many seconds since the Unix epoch, with the first hexadecimal digits of its SHA-256.
    /// `measure` is one of [`history_measures`].
    pub fn of(at_unix_s: i64, hash: &str, result: &ExperimentResult, measure: &str) -> Self {
        let gauge = gauges(result).into_iter().find(|gauge| gauge.name() == measure);
        let variants =
            result.variants.iter().map(|variant| (variant.name.clone(), over(variant, gauge.as_ref())));
        Self {
            entry: HistoryEntry {
                at_unix_s,
                hash: hash.to_owned(),
                tuesday: result.tuesday.clone(),
                seeds: result.scenario.seeds.len(),
            },
            name: result.scenario.name.clone(),
            digest: sha256(&result.scenario.source),
            engine: result.engine,
            variants: variants.collect(),
            measure: gauge.map(|gauge| {
                let (name, Gauge { meaning, unit, good, is_judged, .. }) = (gauge.name(), gauge);
                (SweepMeasure { name, meaning, unit, good }, is_judged)
            }),
        }
    }
}

/// A variant's measure over its seeds, or why nothing can be judged by one of its runs.
fn over(variant: &VariantResult, gauge: Option<&Gauge>) -> Result<Option<PointValue>, NotJudged> {
    if let Some(reason) = variant.runs.iter().find_map(RunResult::not_judged) {
        return Err(reason);
    }
    let readings =
        |gauge: &Gauge| variant.runs.iter().filter_map(|run| gauge.read(run)).collect::<Vec<Reading>>();
    Ok(gauge.and_then(|gauge| point_value(&readings(gauge))))
}

/// The measures whose history can be told of a result, such as `goodput` or `latency.p99(clients.partner)`.
pub fn history_measures(result: &ExperimentResult) -> Vec<String> {
    gauges(result).iter().map(Gauge::name).collect()
}

fn gauges(result: &ExperimentResult) -> Vec<Gauge> {
    let runs: Vec<&RunResult> = result.variants.iter().flat_map(|variant| &variant.runs).collect();
    let mut gauges = everybody(result.scenario.duration_s);
    gauges.extend(details(&runs, result.scenario.duration_s));
    gauges
}

/// Joins the stored results of the newest one's scenario and engine; of several that were stored at one time, the order is that
/// of their hashes. `older` is the number of results that were not read. `None` where no result that is joined has the measure.
pub fn history(mut stored: Vec<Stored>, older: usize) -> Option<HistoryResult> {
    stored.sort_by(|one, other| {
        let key = |stored: &Stored| (stored.entry.at_unix_s, stored.entry.hash.clone());
        key(one).cmp(&key(other))
    });
    let newest = stored.last()?.clone();
    let mut left_out = LeftOut { older, ..LeftOut::default() };
    stored.retain(|stored| {
        let (is_same, is_same_engine) = (stored.digest == newest.digest, stored.engine == newest.engine);
        left_out.other_scenario += usize::from(!is_same);
        left_out.other_engine += usize::from(is_same && !is_same_engine);
        is_same && is_same_engine
    });
    let (measure, is_judged) = stored.iter().rev().find_map(|stored| stored.measure.clone())?;
    for (_, observed) in stored.iter().flat_map(|stored| &stored.variants) {
        match observed {
            Ok(_) => {}
            Err(NotJudged::Invalid) => left_out.invalid += 1,
            Err(NotJudged::Interrupted | NotJudged::NotRun) => left_out.interrupted += 1,
        }
    }
    let variants = names(&stored).into_iter().map(|name| {
        let points: Vec<Option<PointValue>> = stored.iter().map(|stored| stored.point(&name)).collect();
        let changes = changes(&points, &measure, is_judged);
        VariantHistory { name, points, changes }
    });
    Some(HistoryResult {
        version: HISTORY_VERSION,
        tuesday: env!("CARGO_PKG_VERSION").to_owned(),
        name: newest.name,
        digest: newest.digest,
        engine: newest.engine,
        variants: variants.collect(),
        results: stored.iter().map(|stored| stored.entry.clone()).collect(),
        measure,
        left_out,
    })
}

impl Stored {
    fn point(&self, variant: &str) -> Option<PointValue> {
        let (_, observed) = self.variants.iter().find(|(name, _)| name == variant)?;
        observed.ok().flatten()
    }
}

impl HistoryResult {
    /// Keeps only this variant; false where there is none of the name.
    pub fn keep_variant(&mut self, name: &str) -> bool {
        self.variants.retain(|variant| variant.name == name);
        !self.variants.is_empty()
    }
}

/// The variants of all results, those of the newest first.
fn names(stored: &[Stored]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in stored.iter().rev().flat_map(|stored| &stored.variants) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn changes(points: &[Option<PointValue>], measure: &SweepMeasure, is_judged: bool) -> Vec<HistoryChange> {
    let medians: Vec<f64> = points.iter().map(|point| point.map_or(f64::NAN, |point| point.median)).collect();
    // Means of numbers beyond reason are none that could be written.
    let found = change_points(&medians).into_iter().filter(|point| (point.after - point.before).is_finite());
    let change = found.map(|point| HistoryChange {
        at: point.at,
        before: point.before,
        after: point.after,
        verdict: DifferenceVerdict::of_change(point.after > point.before, is_judged, measure.good),
    });
    change.collect()
}
