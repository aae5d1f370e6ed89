//! `comparison.json` and its schema.

use crate::compare::sides::result::{COMPARISON_VERSION, ComparisonResult};
use crate::result::json::laid_out;
use crate::result::schema::schema_of;

/// The comparison as `comparison.json` holds it, ending with a line feed.
#[expect(clippy::missing_panics_doc, reason = "only a map whose keys are no strings could fail")]
pub fn comparison_json(result: &ComparisonResult) -> String {
    laid_out(&serde_json::to_string(result).expect("names are strings and numbers are numbers"))
}

/// The JSON Schema (draft 2020-12) of what [`comparison_json`] writes, ending with a line feed.
pub fn comparison_schema() -> String {
    schema_of::<ComparisonResult>("comparison.json", COMPARISON_VERSION)
}
