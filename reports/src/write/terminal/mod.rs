//! What the terminal shows.

pub(crate) mod agreement;
pub(crate) mod comparison;
pub(crate) mod history;
pub(crate) mod report;
pub(crate) mod screen;
pub(crate) mod sweep;
