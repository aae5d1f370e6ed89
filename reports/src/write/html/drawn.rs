//! The run that a page draws of each variant.

use crate::result::experiment::{ExperimentResult, VariantResult};
use crate::result::run::RunResult;
use crate::words::text;

/// The run that is drawn of each variant that has one: that of the first seed.
pub(super) fn drawn(result: &ExperimentResult) -> impl Iterator<Item = (String, &RunResult)> {
    let first = |variant: &'_ VariantResult| text::name(&variant.name);
    result.variants.iter().filter_map(move |variant| Some((first(variant), variant.runs.first()?)))
}

/// Says which seed is drawn, where there are several.
pub(super) fn drawn_note(result: &ExperimentResult) -> String {
    match result.scenario.seeds.as_slice() {
        [first, _, ..] => format!(" Drawn is seed {first}."),
        _ => String::new(),
    }
}
