//! What a result says, as tables and sentences that every kind of output shares.

pub(crate) mod advice;
pub(crate) mod breakdown;
pub(crate) mod breaker_cause;
pub(crate) mod breaker_changes;
pub(crate) mod bucket;
pub(crate) mod cause_ranking;
pub(crate) mod differences;
pub(crate) mod facts;
pub(crate) mod matrix;
pub(crate) mod recommendation;
pub(crate) mod root_causes;
pub(crate) mod setting;
pub(crate) mod side_by_side;
pub(crate) mod strip;
pub(crate) mod verdict;
