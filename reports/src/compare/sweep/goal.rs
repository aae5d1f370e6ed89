//! The one point that a goal asks for.

use crate::compare::sweep::result::{PointValue, SweepGoal, SweepPoint, SweepResult};
use crate::compare::sweep::smallest::change;
use crate::measure::unit::{GaugeUnit, Good};

/// Values that differ by less than this share of the better one are as good as each other.
const MARGIN: f64 = 0.01;

/// The point with the best value of those that fulfil the conditions. Of points that are as good as far as the seeds tell
/// (their ranges overlap, or the medians differ by at most one percent), the one nearest to what is in force.
pub(super) fn reach(result: &SweepResult, goal: Goal, measured: Vec<Option<PointValue>>) -> SweepGoal {
    let Goal { measure, wanted, unit, subject_to } = goal;
    let eligible = || {
        let points = result.points.iter().enumerate().filter(|(_, point)| point.is_eligible());
        points.filter_map(|(place, point)| Some((place, point, measured[place]?)))
    };
    let is_better = |one: f64, other: f64| match wanted {
        Good::High => one > other,
        Good::Low => one < other,
    };
    let best = eligible()
        .map(|(_, _, value)| value)
        .reduce(|best, value| if is_better(value.median, best.median) { value } else { best });
    let as_good = |value: &PointValue| {
        best.is_some_and(|best| {
            let overlap = value.least <= best.most && best.least <= value.most;
            overlap || (value.median - best.median).abs() <= MARGIN * best.median.abs()
        })
    };
    let mut candidates: Vec<(usize, (usize, f64))> = eligible()
        .filter(|(_, _, value)| as_good(value))
        .map(|(place, point, _)| {
            let (changed, distance) = change(result, point);
            (place, (changed.len(), distance))
        })
        .collect();
    // Of equals the first.
    candidates.sort_by(|(_, (one, one_off)), (_, (other, other_off))| {
        one.cmp(other).then(one_off.total_cmp(other_off))
    });
    let recommended = candidates.first().map(|(place, _)| *place);
    let neighbours = recommended.map_or_else(Vec::new, |place| beside(result, &result.points[place]));
    SweepGoal { measure, wanted, unit, subject_to, measured, recommended, neighbours }
}

/// The points that are a step on one axis away.
fn beside(result: &SweepResult, point: &SweepPoint) -> Vec<usize> {
    let is_beside = |other: &SweepPoint| {
        let steps = point.places.iter().zip(&other.places).map(|(one, other)| one.abs_diff(*other));
        steps.sum::<usize>() == 1
    };
    result.points.iter().enumerate().filter(|(_, other)| is_beside(other)).map(|(place, _)| place).collect()
}

/// What a sweep is to make as large or as small as it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// The measure as it was written.
    pub measure: String,
    /// Which end of it is wanted.
    pub wanted: Good,
    /// In what it is told.
    pub unit: GaugeUnit,
    /// Lines that have to hold; of none, the expectations of the file have to.
    pub subject_to: Vec<String>,
}
