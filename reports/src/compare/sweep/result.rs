//! What a sweep came to, as `sweep.json` holds it.
//!
//! As of a result, changes within one [`SWEEP_VERSION`] are additive.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measure::unit::{GaugeUnit, Good};
use crate::result::experiment::ScenarioSummary;

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
    /// What was to be made as large or as small as it goes, and the point that does so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<SweepGoal>,
}

/// A measure that was to be made as large or as small as it goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepGoal {
    /// The measure as it was written, such as `goodput` or `latency(p99)`.
    pub measure: String,
    /// Which end of it was asked for.
    pub wanted: Good,
    /// In what it is told.
    pub unit: GaugeUnit,
    /// The lines that had to hold; where there are none, the expectations of the file had to.
    pub subject_to: Vec<String>,
    /// By point: the measure; none where there was nothing to measure.
    pub measured: Vec<Option<PointValue>>,
    /// The recommended point, by its place in `points`; missing where none fulfils the conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommended: Option<usize>,
    /// The points beside it, a step on one axis away.
    pub neighbours: Vec<usize>,
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
    /// Of a value that the file does not set: what holds instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_force: Option<InForce>,
}

/// What holds where a file does not set a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InForce {
    /// It is inherited or the default.
    Value {
        /// As a file has it.
        text: String,
        /// Its size, as that of a value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<f64>,
        /// Where it comes from: a key of the file; none of a default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
    },
    /// There is no bound.
    Unbounded,
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
    /// Where clearly fewer requests are served well without faults than at the best point: how many fewer, as a share of those.
    /// Such a point turns requests away, and is recommended for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<f64>,
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
    /// Whether it claims that something is bad: then no point is called right or wrong by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asserts_harm: bool,
    /// Whether it is a condition of the sweep's goal, and not of the file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_condition: bool,
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
    /// The expectations of the file that a good setting has to meet: those that do not claim that something is bad.
    pub fn requirements(&self) -> impl Iterator<Item = &PointExpectation> {
        self.expectations.iter().filter(|expectation| !expectation.asserts_harm && !expectation.is_condition)
    }

    /// Whether all requirements are met, and not by turning requests away; of none, they are.
    pub fn holds(&self) -> bool {
        self.strict.is_none() && self.requirements().all(|expectation| expectation.held)
    }

    /// Whether it fulfils the conditions of the sweep's goal: those that were named, or else the requirements of the file.
    pub(super) fn is_eligible(&self) -> bool {
        let mut conditions =
            self.expectations.iter().filter(|expectation| expectation.is_condition).peekable();
        if conditions.peek().is_none() {
            return self.holds();
        }
        self.strict.is_none() && conditions.all(|condition| condition.held)
    }
}

impl SweepResult {
    /// Whether the file requires anything of the variant.
    pub fn is_judged(&self) -> bool {
        self.points.iter().any(|point| point.requirements().next().is_some())
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
