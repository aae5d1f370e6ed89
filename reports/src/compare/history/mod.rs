//! A measure of a scenario over the results that were stored of it, and where its level changed.

pub(crate) mod gather;
pub(crate) mod json;
pub(crate) mod result;
pub(crate) mod show;
#[cfg(test)]
mod tests;
