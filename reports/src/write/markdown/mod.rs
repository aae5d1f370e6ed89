//! GitHub's Markdown, for the summary of a CI job.

pub(crate) mod comparison;
pub(crate) mod report;
pub(crate) mod sweep;
