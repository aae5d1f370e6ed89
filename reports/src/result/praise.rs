//! Which variants may be praised: not those that turn good requests away without any fault, nor those whose runs the harness
//! spoilt.

use crate::result::experiment::VariantResult;
use crate::result::run::RunResult;
use crate::result::spread::Spread;

/// A variant under which more than this share of what is good in the best control is not good in its own is strict.
pub(crate) const STRICT: f64 = 0.02;

/// Why a variant is praised for nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Strict {
    /// The share of the requests good in the best control that are not good in its own; of several seeds the median.
    pub(crate) lost: f64,
    /// The variant of that control.
    pub(crate) best: String,
}

impl VariantResult {
    /// Why it is praised for nothing, if it is stricter than the best.
    pub(crate) fn strict(&self) -> Option<Strict> {
        let share = |run: &RunResult| run.strictness.as_ref()?.share();
        let lost = Spread::over(self, share)?.median;
        let best = self.runs.iter().find_map(|run| Some(run.strictness.as_ref()?.best.clone()))?;
        (lost > STRICT).then_some(Strict { lost, best })
    }

    /// Whether what is good about it may be said: it is not strict, and the harness did not spoil its runs.
    pub(crate) fn may_be_praised(&self) -> bool {
        let spoilt =
            |run: &RunResult| run.harness.as_ref().is_some_and(|harness| !harness.invalid.is_empty());
        !self.runs.iter().any(spoilt) && self.strict().is_none()
    }
}
