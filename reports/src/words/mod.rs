//! How numbers and names read, and how much of a large world is told.

pub(crate) mod detail;
pub(crate) mod digest;
pub(crate) mod format;
pub(crate) mod text;
pub(crate) mod value;
