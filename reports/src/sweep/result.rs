//! What a sweep came to, as `sweep.json` holds it.
//!
//! As of a result, changes within one [`SWEEP_VERSION`] are additive.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{GaugeUnit, Good, ScenarioSummary};

/// The version of the format that this crate writes.
pub const SWEEP_VERSION: u32 = 1;

/// One variant of a scenario, run at every point of a grid of settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepResult {
    /// The version of this format.
    pub version: u32,
    /// The version of Tuesday that ran it.
    pub tuesday: String,
    /// What was run; `source` is the file as it stands, without the settings of the grid.
    pub scenario: ScenarioSummary,
    /// The variant that the settings were laid over.
    pub variant: String,
    /// What was varied; at least one.
    pub axes: Vec<SweepAxis>,
    /// What was measured at each point.
    pub measures: Vec<SweepMeasure>,
    /// Every combination of the axes' values, the last axis changing fastest.
    pub points: Vec<SweepPoint>,
    /// Where a small step has a large effect.
    pub tipping: Vec<TippingPoint>,
    /// The least that has to be changed in the file for all expectations to hold; missing where nothing on the grid does
    /// it, or the scenario states none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smallest: Option<SmallestChange>,
}

/// A setting that was varied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepAxis {
    /// Its path in the file.
    pub key: String,
    /// Its values in the order of the axis.
    pub values: Vec<AxisValue>,
    /// How far two of them are apart.
    pub scale: AxisScale,
}

/// How distances on an axis are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AxisScale {
    /// By their ratio.
    Log,
    /// By their difference.
    Linear,
    /// They are words, and no nearer to one another than to others.
    Words,
}

/// A value of a setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AxisValue {
    /// As a file has it, without quotes; `not set` where the file does not set it.
    pub text: String,
    /// Its size: of durations in seconds, of rates per second, of shares from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<f64>,
    /// Whether the file has it so.
    pub is_of_file: bool,
}

/// A measure of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepMeasure {
    /// Its name, such as `latency.p99`.
    pub name: String,
    /// What it is, in a phrase.
    pub meaning: String,
    /// In what it is told.
    pub unit: GaugeUnit,
    /// Which end of it is the good one.
    pub good: Good,
}

/// A point of the grid and what was measured there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepPoint {
    /// Its place on each axis.
    pub places: Vec<usize>,
    /// Each measure; none where there was nothing to measure.
    pub measured: Vec<Option<PointValue>>,
    /// The expectations that speak of this variant.
    pub expectations: Vec<PointExpectation>,
}

/// A measure over the seeds of a point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PointValue {
    /// The median.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
    /// Whether it is a time that never came, under half of the seeds or more; the median is then how long there was to wait.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never: bool,
    /// Of a latency that is a lower bound under any seed, because requests were never answered: the largest share of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower_bound_share: Option<f64>,
}

/// An expectation held against a point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PointExpectation {
    /// The line as written.
    pub text: String,
    /// Whether it held under every seed.
    pub held: bool,
    /// What was measured, over the seeds.
    pub measured: String,
}

/// Two neighbours on an axis between which a measure jumps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TippingPoint {
    /// The axis, by its place.
    pub axis: usize,
    /// The measure, by its place.
    pub measure: usize,
    /// The point before, by its place in `points`.
    pub before: usize,
    /// The point after.
    pub after: usize,
}

/// What has to be changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SmallestChange {
    /// The point, by its place in `points`.
    pub point: usize,
    /// The axes on which it is not what the file has; none where the file holds as it stands.
    pub changed: Vec<usize>,
}

impl SweepPoint {
    /// Whether all expectations held; of none, they did.
    pub fn holds(&self) -> bool {
        self.expectations.iter().all(|expectation| expectation.held)
    }
}

impl SweepResult {
    /// Whether any expectation speaks of the variant.
    pub fn is_judged(&self) -> bool {
        self.points.iter().any(|point| !point.expectations.is_empty())
    }

    /// The value of an axis at a point.
    pub fn value(&self, point: &SweepPoint, axis: usize) -> &AxisValue {
        &self.axes[axis].values[point.places[axis]]
    }

    /// The place of a measure.
    pub(super) fn measure(&self, name: &str) -> Option<usize> {
        self.measures.iter().position(|measure| measure.name == name)
    }
}
