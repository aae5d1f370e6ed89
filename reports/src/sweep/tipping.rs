//! Where a small step has a large effect.
//!
//! A tipping point lies between two neighbours on an axis, all other settings alike, where
//!
//! - blast radius changes by at least ten points, and by at least three times what it changes by in the middle one (the
//!   median) of all steps of that line, or
//! - recovery changes from coming to never coming, or back: the world is metastable beyond it; or it changes by at least ten
//!   seconds and three times the median step.
//!
//! A line that climbs evenly has no tipping point, however far it climbs: there, no step is like a cliff to the others. Only
//! values with a size have neighbours; words do not, nor does what is not set.

use super::{PointValue, SweepResult, TippingPoint};

/// The measures that are looked at, and what a step must come to at least, in their unit.
const LOOKED_AT: [(&str, f64); 2] = [("blast_radius", 0.1), ("recovery_time", 10e6)];

/// How many times the median step a step must be.
const CLIFF: f64 = 3.0;

/// Changes smaller than this are none: what adding up leaves.
const NOTHING: f64 = 1e-9;

pub(super) fn tipping_points(result: &SweepResult) -> Vec<TippingPoint> {
    let mut found = Vec::new();
    for (name, least) in LOOKED_AT {
        let Some(measure) = result.measure(name) else { continue };
        for axis in 0..result.axes.len() {
            for line in lines(result, axis) {
                found.extend(
                    cliffs(result, measure, &line, least).into_iter().map(|(before, after)| TippingPoint {
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

/// The neighbours between which the measure jumps.
fn cliffs(result: &SweepResult, measure: usize, line: &[usize], least: f64) -> Vec<(usize, usize)> {
    let value = |point: usize| result.points[point].measured[measure];
    let steps: Vec<(usize, usize, f64, bool)> = line
        .windows(2)
        .filter_map(|pair| {
            let (before, after): (PointValue, PointValue) = (value(pair[0])?, value(pair[1])?);
            Some((pair[0], pair[1], (before.median - after.median).abs(), before.never != after.never))
        })
        .collect();
    let mut sizes: Vec<f64> = steps.iter().map(|(_, _, size, _)| *size).collect();
    sizes.sort_by(f64::total_cmp);
    // The lower one of two in the middle: of two steps, one may be a cliff.
    let median = sizes.get(sizes.len().saturating_sub(1) / 2).copied().unwrap_or(0.0);
    let is_cliff =
        |size: f64| size >= least - NOTHING && (steps.len() < 2 || size >= CLIFF * median - NOTHING);
    steps
        .iter()
        .filter(|(_, _, size, crosses)| *crosses || is_cliff(*size))
        .map(|(before, after, ..)| (*before, *after))
        .collect()
}
