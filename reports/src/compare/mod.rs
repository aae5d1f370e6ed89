//! Results set against one another: two sides, the points of a sweep, two engines.

pub(crate) mod agreement;
pub(crate) mod sides;
pub(crate) mod sweep;
