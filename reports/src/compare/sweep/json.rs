//! `sweep.json` and its schema.

use crate::compare::sweep::result::{SWEEP_VERSION, SweepResult};
use crate::result::json::laid_out;
use crate::result::schema::schema_of;

/// The sweep as `sweep.json` holds it, ending with a line feed. It depends on the version, the scenario, the grid and the
/// seeds alone.
#[expect(clippy::missing_panics_doc, reason = "only a map whose keys are no strings could fail")]
pub fn sweep_json(result: &SweepResult) -> String {
    laid_out(&serde_json::to_string(result).expect("names are strings and numbers are numbers"))
}

/// The JSON Schema (draft 2020-12) of what [`sweep_json`] writes, ending with a line feed.
pub fn sweep_schema() -> String {
    schema_of::<SweepResult>("sweep.json", SWEEP_VERSION)
}
