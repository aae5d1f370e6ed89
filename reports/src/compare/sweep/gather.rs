//! What was observed at each point of a sweep, put together to its result.

use crate::compare::sweep::goal::{Goal, reach};
use crate::compare::sweep::result::{
    AxisScale, InForce, PointExpectation, PointValue, SWEEP_VERSION, SweepAxis, SweepMeasure, SweepPoint,
    SweepResult,
};
use crate::compare::sweep::smallest::smallest_change;
use crate::compare::sweep::tipping::tipping_points;
use crate::measure::catalogue::GOOD_WITHOUT_FAULTS;
use crate::measure::gauge::{Gauge, everybody};
use crate::measure::reading::Reading;
use crate::result::experiment::{ExperimentResult, ScenarioSummary};
use crate::result::praise::STRICT;
use crate::result::spread::Spread;
use crate::tell::verdict::Verdict;
use crate::words::text;
use crate::words::value::Value;

/// What is kept of the runs at one point: the runs themselves, with all their series, would fill the memory.
#[derive(Clone, Debug)]
pub struct Observation {
    /// By gauge.
    readings: Vec<Option<PointValue>>,
    expectations: Vec<PointExpectation>,
    /// What the sweep's goal asks for.
    goal: Option<PointValue>,
}

impl Observation {
    /// Of an experiment with one variant, in which the goal's measure came to these values, by seed; the last `conditions` of
    /// its expectations are those of the goal.
    pub fn of(result: &ExperimentResult, goal: &[Value], conditions: usize) -> Self {
        let runs: Vec<_> = result.variants.iter().flat_map(|variant| &variant.runs).collect();
        let readings = everybody(result.scenario.duration_s).into_iter().map(|gauge| {
            let readings: Vec<Reading> = runs.iter().filter_map(|run| gauge.read(run)).collect();
            point_value(&readings)
        });
        let first_condition = result.expectations.len().saturating_sub(conditions);
        let lines = Verdict::of(result).lines.into_iter().zip(&result.expectations).enumerate();
        let expectations = lines.map(|(place, (line, expectation))| PointExpectation {
            measured: text::list(
                &line.measured.iter().map(crate::tell::verdict::Measured::phrase).collect::<Vec<_>>(),
            ),
            text: line.text,
            held: line.standing.is_held(),
            asserts_harm: expectation.asserts_harm,
            is_condition: place >= first_condition,
        });
        // A time that never came is worse than any.
        let goal: Vec<Reading> = goal.iter().filter_map(|value| Reading::of(*value)).collect();
        Self { readings: readings.collect(), expectations: expectations.collect(), goal: point_value(&goal) }
    }
}

/// The readings of all seeds; `None` where there is none.
pub(in crate::compare) fn point_value(readings: &[Reading]) -> Option<PointValue> {
    let Spread { least, median, most } = Spread::of(readings.iter().map(|reading| reading.value).collect())?;
    // A result may hold any number; what is none cannot be written.
    if ![least, median, most].iter().all(|value| value.is_finite()) {
        return None;
    }
    let never = readings.iter().filter(|reading| reading.is_never).count();
    let shares = readings.iter().filter_map(|reading| reading.lower_bound_share);
    Some(PointValue {
        median,
        least,
        most,
        never: never > 0 && 2 * never >= readings.len(),
        lower_bound_share: shares.max_by(f64::total_cmp),
    })
}

/// Puts a sweep together from what was observed at every point, the last axis changing fastest.
///
/// # Panics
///
/// If there are not as many points as the axes have combinations.
pub fn sweep(
    scenario: ScenarioSummary,
    variant: &str,
    axes: Vec<SweepAxis>,
    observed: Vec<Observation>,
    goal: Option<Goal>,
) -> SweepResult {
    let combinations: usize = axes.iter().map(|axis| axis.values.len()).product();
    assert_eq!(observed.len(), combinations, "a point for each combination");
    let gauges = everybody(scenario.duration_s);
    let kept: Vec<usize> = (0..gauges.len())
        .filter(|place| {
            let values = observed.iter().filter_map(|point| point.readings[*place]);
            values.into_iter().any(|value| gauges[*place].matters(value.most))
        })
        .collect();
    let reached: Vec<Option<PointValue>> = observed.iter().map(|point| point.goal).collect();
    let strict = strict_points(&gauges, &observed);
    let points =
        observed.into_iter().zip(strict).enumerate().map(|(number, (observation, strict))| SweepPoint {
            places: places(&axes, number),
            measured: kept.iter().map(|place| observation.readings[*place]).collect(),
            expectations: observation.expectations,
            strict,
        });
    let points: Vec<SweepPoint> = points.collect();
    let measures = kept.iter().map(|place| {
        let gauge = &gauges[*place];
        SweepMeasure {
            name: gauge.name(),
            meaning: gauge.meaning.clone(),
            unit: gauge.unit,
            good: gauge.good,
        }
    });
    let mut result = SweepResult {
        version: SWEEP_VERSION,
        tuesday: env!("CARGO_PKG_VERSION").to_owned(),
        scenario,
        variant: variant.to_owned(),
        measures: measures.collect(),
        axes,
        points,
        tipping: Vec::new(),
        smallest: None,
        goal: None,
    };
    result.tipping = tipping_points(&result);
    result.smallest = smallest_change(&result);
    result.goal = goal.map(|goal| reach(&result, goal, reached));
    result
}

/// For each point at which clearly fewer requests are served well without faults than at the best: how many fewer, as a share.
fn strict_points(gauges: &[Gauge], observed: &[Observation]) -> Vec<Option<f64>> {
    let place = gauges.iter().position(|gauge| *gauge.kind == GOOD_WITHOUT_FAULTS);
    let good: Vec<Option<f64>> = observed
        .iter()
        .map(|point| place.and_then(|place| point.readings[place]).map(|value| value.median))
        .collect();
    let best = good.iter().flatten().copied().fold(0.0, f64::max);
    let lost = |good: &Option<f64>| good.map(|good| (best - good) / best).filter(|lost| *lost > STRICT);
    good.iter().map(lost).collect()
}

/// The place on each axis of a combination by its number.
fn places(axes: &[SweepAxis], number: usize) -> Vec<usize> {
    let mut left = number;
    let mut places: Vec<usize> = axes
        .iter()
        .rev()
        .map(|axis| {
            let count = axis.values.len().max(1);
            let place = left % count;
            left /= count;
            place
        })
        .collect();
    places.reverse();
    places
}

impl SweepAxis {
    /// How far two of its values are apart, as a share of the whole axis; of words, all of it. A value that the file does not set
    /// stands where what is in force does, and no bound at the largest one.
    pub(super) fn distance(&self, from: usize, to: usize) -> f64 {
        if from == to {
            return 0.0;
        }
        let place = |value: f64| match self.scale {
            AxisScale::Log if value > 0.0 => Some(libm::log(value)),
            AxisScale::Linear => Some(value),
            AxisScale::Log | AxisScale::Words => None,
        };
        let mut places: Vec<Option<f64>> = self
            .values
            .iter()
            .map(|value| match &value.in_force {
                Some(InForce::Value { number, .. }) => place((*number)?),
                Some(InForce::Unbounded) => None,
                None => place(value.number?),
            })
            .collect();
        let most = places.iter().flatten().copied().max_by(f64::total_cmp);
        for (place, value) in places.iter_mut().zip(&self.values) {
            if value.in_force == Some(InForce::Unbounded) {
                *place = most;
            }
        }
        let known = || places.iter().flatten().copied();
        let width = known().fold(f64::NEG_INFINITY, f64::max) - known().fold(f64::INFINITY, f64::min);
        match (places[from], places[to]) {
            (Some(from), Some(to)) if width > 0.0 => (from - to).abs() / width,
            _ => 1.0,
        }
    }
}
