//! The pages: one HTML file each, which opens offline.

pub(crate) mod comparison;
pub(crate) mod drawn;
pub(crate) mod history;
#[cfg(test)]
pub(crate) mod palette;
pub(crate) mod report;
pub(crate) mod script;
pub(crate) mod sweep;
pub(crate) mod timelines;
pub(crate) mod variants;
