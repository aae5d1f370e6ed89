//! A history as JSON, and its schema.

use crate::compare::history::result::{HISTORY_VERSION, HistoryResult};
use crate::result::json::laid_out;
use crate::result::schema::schema_of;

/// The history as `history.json` holds it, ending with a line feed. It depends on the version, the stored results and their times
/// alone.
#[expect(clippy::missing_panics_doc, reason = "only a map whose keys are no strings could fail")]
pub fn history_json(result: &HistoryResult) -> String {
    laid_out(&serde_json::to_string(result).expect("names are strings and numbers are numbers"))
}

/// The JSON Schema (draft 2020-12) of what [`history_json`] writes, ending with a line feed.
pub fn history_schema() -> String {
    schema_of::<HistoryResult>("history.json", HISTORY_VERSION)
}
