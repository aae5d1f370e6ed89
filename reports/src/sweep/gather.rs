use super::{
    AxisScale, PointExpectation, PointValue, SWEEP_VERSION, SweepAxis, SweepMeasure, SweepPoint, SweepResult,
    smallest::smallest_change, tipping::tipping_points,
};
use crate::{
    ExperimentResult, ScenarioSummary,
    gauge::{Reading, everybody, matters},
    spread::Spread,
    text,
    verdict::Verdict,
};

/// What is kept of the runs at one point: the runs themselves, with all their series, would fill the memory.
#[derive(Clone, Debug)]
pub struct Observation {
    /// By gauge.
    readings: Vec<Option<PointValue>>,
    expectations: Vec<PointExpectation>,
}

impl Observation {
    /// Of an experiment with one variant.
    pub fn of(result: &ExperimentResult) -> Self {
        let runs: Vec<_> = result.variants.iter().flat_map(|variant| &variant.runs).collect();
        let readings = everybody(result.scenario.duration_s).into_iter().map(|gauge| {
            let readings: Vec<Reading> = runs.iter().filter_map(|run| gauge.read(run)).collect();
            let Spread { least, median, most } =
                Spread::of(readings.iter().map(|reading| reading.value).collect())?;
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
        });
        let lines = Verdict::of(result).lines.into_iter();
        let expectations = lines.map(|line| PointExpectation {
            measured: text::list(
                &line.measured.iter().map(crate::verdict::Measured::phrase).collect::<Vec<_>>(),
            ),
            text: line.text,
            held: line.held,
        });
        Self { readings: readings.collect(), expectations: expectations.collect() }
    }
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
) -> SweepResult {
    let combinations: usize = axes.iter().map(|axis| axis.values.len()).product();
    assert_eq!(observed.len(), combinations, "a point for each combination");
    let gauges = everybody(scenario.duration_s);
    let kept: Vec<usize> = (0..gauges.len())
        .filter(|place| {
            let values = observed.iter().filter_map(|point| point.readings[*place]);
            values.into_iter().any(|value| matters(&gauges[*place].measure, value.most))
        })
        .collect();
    let points = observed.into_iter().enumerate().map(|(number, observation)| SweepPoint {
        places: places(&axes, number),
        measured: kept.iter().map(|place| observation.readings[*place]).collect(),
        expectations: observation.expectations,
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
    };
    result.tipping = tipping_points(&result);
    result.smallest = smallest_change(&result);
    result
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
    /// How far two of its values are apart, as a share of the whole axis; of words, all of it.
    pub(super) fn distance(&self, from: usize, to: usize) -> f64 {
        if from == to {
            return 0.0;
        }
        let place = |value: f64| match self.scale {
            AxisScale::Log if value > 0.0 => Some(libm::log(value)),
            AxisScale::Linear => Some(value),
            AxisScale::Log | AxisScale::Words => None,
        };
        let places: Vec<Option<f64>> = self.values.iter().map(|value| place(value.number?)).collect();
        let known = || places.iter().flatten().copied();
        let width = known().fold(f64::NEG_INFINITY, f64::max) - known().fold(f64::INFINITY, f64::min);
        match (places[from], places[to]) {
            (Some(from), Some(to)) if width > 0.0 => (from - to).abs() / width,
            _ => 1.0,
        }
    }
}
