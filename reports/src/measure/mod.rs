//! What a run can be asked for, by name: for the expectations of a scenario, for comparisons and for sweeps.

pub(crate) mod bound;
pub(crate) mod catalogue;
pub(crate) mod expectation;
pub(crate) mod gauge;
pub(crate) mod measurement;
pub(crate) mod reading;
pub(crate) mod unit;
