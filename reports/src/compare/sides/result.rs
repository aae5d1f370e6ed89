//! What a comparison came to, as `comparison.json` holds it.
//!
//! As of a result, changes within one [`COMPARISON_VERSION`] are additive.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compare::sides::requests::PairedRequests;
use crate::measure::gauge::gauge_name;
use crate::measure::unit::{GaugeUnit, Good};
use crate::result::experiment::Engine;

/// The version of the format that this crate writes.
pub const COMPARISON_VERSION: u32 = 1;

/// Sides compared variant by variant, each with the first. Differences are the other side's value without A's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparisonResult {
    /// The version of this format.
    pub version: u32,
    /// The version of Tuesday that compared.
    pub tuesday: String,
    /// The share of intervals that hold the true difference, 0 to 1.
    pub confidence: f64,
    /// The first side, from which differences are counted.
    pub a: ComparedSide,
    /// The second.
    pub b: ComparedSide,
    /// The third, which is C, and those after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<ComparedSide>,
    /// What to keep in mind: how the sides differ besides what was to be compared.
    pub reservations: Vec<String>,
    /// The variants compared; at least one.
    pub pairs: Vec<VariantComparison>,
}

/// Where the runs of one side come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedSide {
    /// As it was named: a saved result, or the scenario that was run.
    pub label: String,
    /// The scenario's title.
    pub scenario: String,
    /// The engine that ran it.
    pub engine: Engine,
    /// The version of Tuesday that ran it.
    pub tuesday: String,
    /// Its seeds.
    pub seeds: Vec<u64>,
}

/// A variant of the first side and one of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VariantComparison {
    /// The place of the other side: 1 for B, 2 for C. Within the pair, it is called `b` wherever it stands.
    #[serde(default = "second", skip_serializing_if = "is_second")]
    pub side: usize,
    /// A's variant.
    pub a: String,
    /// The other side's.
    pub b: String,
    /// How runs were set against each other.
    pub method: Method,
    /// The seeds that were paired; empty where none was.
    pub seeds: Vec<u64>,
    /// The settings that are not the same.
    pub settings: Vec<SettingDifference>,
    /// What was measured of all populations together, then of each population and route.
    pub measures: Vec<MeasureComparison>,
    /// Request by request, where both were run together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<PairedRequests>,
}

const fn second() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_second(side: &usize) -> bool {
    *side == second()
}

/// How the runs of two sides are set against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Run by run under the same seed; Student's t interval of the mean of the differences.
    PairedT,
    /// The sides share no seed, or one only: Welch's interval of the difference of the means.
    Welch,
    /// One run each: no interval.
    Single,
}

/// A setting that is not the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettingDifference {
    /// Its path in the file.
    pub key: String,
    /// Its value in A; `–` where A has none.
    pub a: String,
    /// The same of B.
    pub b: String,
}

/// A measure of both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeasureComparison {
    /// Its name, such as `latency.p99`.
    pub measure: String,
    /// Whose it is, as a path into the file; all populations but hostile ones where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// What it is, in a phrase.
    pub meaning: String,
    /// In what all its numbers are told.
    pub unit: GaugeUnit,
    /// Which end of it is the good one.
    pub good: Good,
    /// Whether a difference is called better or worse by it; where it is not, higher or lower.
    pub is_judged: bool,
    /// A's mean and its values by run.
    pub a: MeasuredSide,
    /// B's.
    pub b: MeasuredSide,
    /// B's mean without A's.
    pub difference: f64,
    /// Where the difference lies at the comparison's confidence, for this measure alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// How likely a difference at least so large is where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// The same, raised by Holm's correction for the number of measures that are asked; this decides the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_adjusted: Option<f64>,
    /// Whether `p` is that of `McNemar`'s test over pairs of requests, for want of seeds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_requests: bool,
    /// The step in which the measure is told; what is smaller is no difference.
    pub step: f64,
    /// What it comes to.
    pub verdict: DifferenceVerdict,
}

/// One side of a measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeasuredSide {
    /// The mean over the runs.
    pub mean: f64,
    /// By run, those of paired seeds in their order.
    pub values: Vec<f64>,
    /// In how many of them it never came; its value there is how long there was to wait.
    #[serde(default, skip_serializing_if = "is_none")]
    pub never: u32,
    /// Of a latency that is a lower bound in any of them, because requests were never answered: their share, the mean over the
    /// runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower_bound_share: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_none(count: &u32) -> bool {
    *count == 0
}

/// How B stands to A in a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceVerdict {
    /// B is better.
    Better,
    /// B is worse.
    Worse,
    /// B is higher, which is neither good nor bad in itself.
    Higher,
    /// B is lower, which is neither good nor bad in itself.
    Lower,
    /// The runs do not tell.
    Undecided,
    /// It is neither, and the difference is small: its interval at 90% lies within a point of a share, or 2% of A's value (two
    /// one-sided tests at 5%: Schuirmann, *Journal of Pharmacokinetics and Biopharmaceutics* 15, 1987), or both sides read the same
    /// under every seed. One seed has no interval, so that nothing is the same under it.
    Same,
}

impl DifferenceVerdict {
    /// Of a measure that rises or falls, and of which one end may be the good one.
    pub(in crate::compare) fn of_change(rises: bool, is_judged: bool, good: Good) -> Self {
        match (is_judged, rises) {
            (false, true) => Self::Higher,
            (false, false) => Self::Lower,
            (true, rises) if rises == (good == Good::High) => Self::Better,
            (true, _) => Self::Worse,
        }
    }

    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Higher => "higher",
            Self::Lower => "lower",
            Self::Undecided => "not sure",
            Self::Same => "same",
        }
    }
}

impl ComparisonResult {
    /// All sides, the first one first.
    pub fn sides(&self) -> impl Iterator<Item = &ComparedSide> {
        [&self.a, &self.b].into_iter().chain(&self.further)
    }

    /// Whether there are more than two sides.
    pub const fn has_several(&self) -> bool {
        !self.further.is_empty()
    }
}

impl VariantComparison {
    /// What the other side is called.
    pub fn letter(&self) -> String {
        side_letter(self.side)
    }
}

/// What a side is called: A is the first, Z the 26th, AA the one after that.
pub fn side_letter(mut place: usize) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(char::from(b'A' + (place % 26) as u8));
        let Some(next) = (place / 26).checked_sub(1) else { break };
        place = next;
    }
    letters.iter().rev().collect()
}

impl MeasureComparison {
    /// The measure, and whose it is: `goodput(clients.partner)`.
    pub fn name(&self) -> String {
        gauge_name(&self.measure, self.of.as_deref())
    }

    /// Whether it is of all populations together.
    pub const fn is_headline(&self) -> bool {
        self.of.is_none()
    }
}
