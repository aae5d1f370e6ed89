//! Where a small step has a large effect.
//!
//! A tipping point lies between two neighbours on an axis, all other settings alike, where
//!
//! - blast radius changes by at least ten points, and either it is at most one percent on one side, or the change is at least
//!   three times the middle one (the median) of all steps of that line; or
//! - recovery changes from coming to never coming, or back: the world is metastable beyond it; or it changes by at least ten
//!   seconds, from at most one or by three times the median step; or
//! - p99 at least doubles or halves, by three times the median step of that line on a logarithmic scale.
//!
//! And it is more than the luck of the seeds: no value of the one side lies among those of the other. A single seed tells
//! nothing of its luck, so that under one there are no tipping points.
//!
//! So where the trouble starts is one, and a cliff in the midst of it, but not each step of an even climb. Only values with a
//! size have neighbours; words do not, nor does what is not set.

use crate::compare::sweep::result::{PointValue, SweepResult, TippingPoint};
use crate::measure::catalogue::{BLAST_RADIUS, LATENCY, MeasureKind, P99, RECOVERY_TIME};
use crate::measure::gauge::measure_name;

/// The measures that are looked at, each in one of its forms.
static LOOKED_AT: [(&MeasureKind, &str, Scale); 3] = [
    (&BLAST_RADIUS, "", Scale::Linear { least: 0.1, hardly: 0.01 }),
    (&RECOVERY_TIME, "", Scale::Linear { least: 10e6, hardly: 1e6 }),
    (&LATENCY, P99, Scale::Log { least: core::f64::consts::LN_2 }),
];

/// How steps of a measure are compared.
#[derive(Clone, Copy)]
enum Scale {
    /// By their difference: what a step must come to at least, and what is hardly any of it, in the unit of the measure.
    Linear { least: f64, hardly: f64 },
    /// By the logarithm of their ratio, and what it must come to at least.
    Log { least: f64 },
}

/// How many times the median step a step must be.
const CLIFF: f64 = 3.0;

/// Changes smaller than this are none: what adding up leaves.
const NOTHING: f64 = 1e-9;

pub(super) fn tipping_points(result: &SweepResult) -> Vec<TippingPoint> {
    let mut found = Vec::new();
    if result.scenario.seeds.len() < 2 {
        return found;
    }
    for (kind, form, scale) in &LOOKED_AT {
        let Some(measure) = result.measure(&measure_name(kind, form)) else { continue };
        for axis in 0..result.axes.len() {
            for line in lines(result, axis) {
                found.extend(
                    cliffs(result, measure, &line, *scale).into_iter().map(|(before, after)| TippingPoint {
                        axis,
                        measure,
                        before,
                        after,
                    }),
                );
            }
        }
    }
    found
}

/// The points of every line along an axis, those whose value has a size, in the order of the axis.
fn lines(result: &SweepResult, axis: usize) -> Vec<Vec<usize>> {
    let is_first = |point: &&usize| result.points[**point].places[axis] == 0;
    // How many points further the next on this axis is.
    let stride: usize = result.axes[axis + 1..].iter().map(|axis| axis.values.len()).product();
    let starts: Vec<usize> = (0..result.points.len()).collect();
    let line = |start: &usize| {
        let values = result.axes[axis].values.iter().enumerate();
        let sized = values.filter(|(_, value)| value.number.is_some());
        sized.map(|(place, _)| start + place * stride).collect()
    };
    starts.iter().filter(is_first).map(line).collect()
}

/// Two neighbours and a measure of both.
struct Step {
    points: (usize, usize),
    values: [PointValue; 2],
}

impl Step {
    fn size(&self, scale: Scale) -> f64 {
        let [before, after] = self.values.map(|value| value.median);
        match scale {
            Scale::Linear { .. } => (before - after).abs(),
            Scale::Log { .. } if before > 0.0 && after > 0.0 => libm::log(after / before).abs(),
            Scale::Log { .. } => 0.0,
        }
    }

    /// Whether no seed's value of one side lies among those of the other.
    fn is_more_than_luck(&self) -> bool {
        let [before, after] = &self.values;
        before.most < after.least || after.most < before.least
    }
}

/// The neighbours between which the measure jumps.
fn cliffs(result: &SweepResult, measure: usize, line: &[usize], scale: Scale) -> Vec<(usize, usize)> {
    let value = |point: usize| result.points[point].measured[measure];
    let step = |pair: &[usize]| {
        Some(Step { points: (pair[0], pair[1]), values: [value(pair[0])?, value(pair[1])?] })
    };
    let steps: Vec<Step> = line.windows(2).filter_map(step).collect();
    let mut sizes: Vec<f64> = steps.iter().map(|step| step.size(scale)).collect();
    sizes.sort_by(f64::total_cmp);
    // The lower one of two in the middle: of two steps, one may be a cliff.
    let median = sizes.get(sizes.len().saturating_sub(1) / 2).copied().unwrap_or(0.0);
    let tips = |step: &&Step| {
        let [before, after] = step.values;
        let size = step.size(scale);
        let is_cliff = steps.len() > 1 && size >= CLIFF * median - NOTHING;
        let is_large = match scale {
            Scale::Linear { least, hardly } => {
                let starts = before.median.min(after.median) <= hardly + NOTHING;
                size >= least - NOTHING && (starts || is_cliff)
            }
            Scale::Log { least } => size >= least - NOTHING && is_cliff,
        };
        step.is_more_than_luck() && (before.never != after.never || is_large)
    };
    steps.iter().filter(tips).map(|step| step.points).collect()
}
