//! Results set against one another: two sides, the points of a sweep, two engines, a history.

pub(crate) mod agreement;
pub(crate) mod history;
pub(crate) mod sides;
pub(crate) mod sweep;
