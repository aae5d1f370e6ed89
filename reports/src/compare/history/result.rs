//! A measure over stored results, as `history.json` holds it.
//!
//! As of a result, changes within one [`HISTORY_VERSION`] are additive.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compare::sides::result::DifferenceVerdict;
use crate::compare::sweep::result::{PointValue, SweepMeasure};
use crate::result::experiment::Engine;

/// The version of the format that this crate writes.
pub const HISTORY_VERSION: u32 = 1;

/// Of more stored results than this, the newest are read.
pub const HISTORY_MOST: usize = 1_000;

/// A measure over the stored results of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryResult {
    /// The version of this format.
    pub version: u32,
    /// The version of Tuesday that read the results.
    pub tuesday: String,
    /// The scenario's title.
    pub name: String,
    /// The SHA-256 of the scenario's file, in hexadecimal digits: the newest result's, and of all that are joined.
    pub digest: String,
    /// The engine of the newest result, and of all that are joined.
    pub engine: Engine,
    /// What was measured.
    pub measure: SweepMeasure,
    /// The results that are joined, the oldest first; at least one.
    pub results: Vec<HistoryEntry>,
    /// Each variant, in the order of the newest result.
    pub variants: Vec<VariantHistory>,
    /// What is not joined.
    pub left_out: LeftOut,
}

/// A stored result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryEntry {
    /// When the result was stored, seconds since the Unix epoch, UTC.
    pub at_unix_s: i64,
    /// The first hexadecimal digits of the SHA-256 of its `result.json`.
    pub hash: String,
    /// The version of Tuesday that ran the scenario.
    pub tuesday: String,
    /// The number of its seeds.
    pub seeds: usize,
}

/// A variant over the results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VariantHistory {
    /// The variant's name.
    pub name: String,
    /// By result: the measure over its seeds; none where there was nothing to measure, or the run is left out.
    pub points: Vec<Option<PointValue>>,
    /// Where the level of the medians changed, the oldest first.
    pub changes: Vec<HistoryChange>,
}

/// A change of level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryChange {
    /// The first result on the new level, by its place in `results`.
    pub at: usize,
    /// The mean of the medians since the change before, or the first result.
    pub before: f64,
    /// Their mean up to the next change, or the last result.
    pub after: f64,
    /// How the level after the change (B) stands to the one before (A).
    pub verdict: DifferenceVerdict,
}

/// How many results and runs are not joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// Results of another scenario file: the digest differs.
    pub other_scenario: usize,
    /// Results of the other engine.
    pub other_engine: usize,
    /// Variants of results with an invalid live run.
    pub invalid: usize,
    /// Variants of results with a live run that was interrupted.
    pub interrupted: usize,
    /// Results that were not read, because there are [`HISTORY_MOST`] newer ones.
    pub older: usize,
}
