//! One variant of a scenario over a grid of settings: what each does, where it tips over, and the least that has to be
//! changed.

pub(crate) mod gather;
pub(crate) mod goal;
pub(crate) mod json;
pub(crate) mod result;
pub(crate) mod show;
pub(crate) mod smallest;
#[cfg(test)]
mod tests;
pub(crate) mod tipping;
