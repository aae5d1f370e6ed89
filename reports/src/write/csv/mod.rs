//! CSV, for spreadsheets, data frames and plotting scripts.

pub(crate) mod report;
pub(crate) mod sweep;
