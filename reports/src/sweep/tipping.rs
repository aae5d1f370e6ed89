//! Where a small step has a large effect.
//!
//! A tipping point lies between two neighbours on an axis, all other settings alike, where
//!
//! - blast radius changes by at least ten points, and either it is at most one percent on one side, or the change is at least
//!   three times the middle one (the median) of all steps of that line; or
//! - recovery changes from coming to never coming, or back: the world is metastable beyond it; or it changes by at least ten
//!   seconds, from at most one or by three times the median step.
//!
//! So where the trouble starts is one, and a cliff in the midst of it, but not each step of an even climb. Only values with a
//! size have neighbours; words do not, nor does what is not set.

use super::{PointValue, SweepResult, TippingPoint};

/// The measures that are looked at; what a step must come to at least, and what is hardly any of it, in their unit.
const LOOKED_AT: [(&str, f64, f64); 2] = [("blast_radius", 0.1, 0.01), ("recovery_time", 10e6, 1e6)];

/// How many times the median step a step must be.
const CLIFF: f64 = 3.0;

/// Changes smaller than this are none: what adding up leaves.
const NOTHING: f64 = 1e-9;

pub(super) fn tipping_points(result: &SweepResult) -> Vec<TippingPoint> {
    let mut found = Vec::new();
    for (name, least, hardly) in LOOKED_AT {
        let Some(measure) = result.measure(name) else { continue };
        for axis in 0..result.axes.len() {
            for line in lines(result, axis) {
                found.extend(
                    cliffs(result, measure, &line, (least, hardly))
                        .into_iter()
                        .map(|(before, after)| TippingPoint { axis, measure, before, after }),
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
    fn size(&self) -> f64 {
        (self.values[0].median - self.values[1].median).abs()
    }
}

/// The neighbours between which the measure jumps.
fn cliffs(
    result: &SweepResult,
    measure: usize,
    line: &[usize],
    (least, hardly): (f64, f64),
) -> Vec<(usize, usize)> {
    let value = |point: usize| result.points[point].measured[measure];
    let step = |pair: &[usize]| {
        Some(Step { points: (pair[0], pair[1]), values: [value(pair[0])?, value(pair[1])?] })
    };
    let steps: Vec<Step> = line.windows(2).filter_map(step).collect();
    let mut sizes: Vec<f64> = steps.iter().map(Step::size).collect();
    sizes.sort_by(f64::total_cmp);
    // The lower one of two in the middle: of two steps, one may be a cliff.
    let median = sizes.get(sizes.len().saturating_sub(1) / 2).copied().unwrap_or(0.0);
    let tips = |step: &&Step| {
        let [before, after] = step.values;
        let starts = before.median.min(after.median) <= hardly + NOTHING;
        let is_cliff = steps.len() > 1 && step.size() >= CLIFF * median - NOTHING;
        before.never != after.never || step.size() >= least - NOTHING && (starts || is_cliff)
    };
    steps.iter().filter(tips).map(|step| step.points).collect()
}
