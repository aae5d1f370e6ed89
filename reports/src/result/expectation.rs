//! What the lines of `expect.hold` came to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::value::Value;

/// One line of `expect.hold` and whether it held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExpectationResult {
    /// The line as written.
    pub text: String,
    /// Whether it held for every variant it names and every seed; false too where it was not judged for some of them and
    /// failed for none.
    pub held: bool,
    /// Whether it claims that something is bad, as a story does of the configuration that it warns of: no requirement that
    /// another configuration ought to meet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asserts_harm: bool,
    /// Each variant and seed it was held against, or was to be.
    pub checks: Vec<ExpectationCheck>,
}

/// An expectation held against one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExpectationCheck {
    /// The variant.
    pub variant: String,
    /// The seed.
    pub seed: u64,
    /// What was measured: of a percentile the edge of its bucket that the line is judged by, of a count over a window what
    /// remains of it when the harness was late.
    pub measured: Value,
    /// What it was compared with, where the line compares two measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard: Option<Value>,
    /// Of a duration that is a lower bound, because some requests were never answered: the share of those, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower_bound_share: Option<f64>,
    /// Whether the line holds for it; false where it was not judged.
    pub held: bool,
    /// Why there was nothing to measure, where one of the two was not observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_observed: Option<String>,
    /// Why it was not judged; left out where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_judged: Option<NotJudged>,
}

/// Why a line was not judged: what was measured, if anything was, says nothing of the gateway, or not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NotJudged {
    /// The harness spoilt the run, or the one it is compared with.
    Invalid,
    /// The run, or the one it is compared with, was ended before the scenario was over.
    Interrupted,
    /// The run, or the one it is compared with, was not made: one before it was interrupted.
    NotRun,
}

impl NotJudged {
    /// The word for it in files: `invalid`, `interrupted`, `not-run`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Interrupted => "interrupted",
            Self::NotRun => "not-run",
        }
    }
}
