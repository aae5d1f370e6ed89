//! How a history reads, the same in the terminal and on the page.

use jiff::Timestamp;

use crate::compare::history::result::{HISTORY_MOST, HistoryChange, HistoryResult, VariantHistory};
use crate::compare::sweep::result::PointValue;
use crate::compare::sweep::show::one;
use crate::result::experiment::Engine;
use crate::words::format::count;

/// What is shown: `14 results of the virtual engine, 2026-11-01 09:00 to 2026-11-29 11:30 UTC`.
pub(crate) fn what(result: &HistoryResult) -> String {
    let engine = match result.engine {
        Engine::Virtual => "virtual",
        Engine::Live => "live",
    };
    let number = match result.results.len() {
        1 => "1 result".to_owned(),
        several => format!("{} results", count(several as u64)),
    };
    let [first, last] = [result.results.first(), result.results.last()]
        .map(|entry| entry.map_or_else(String::new, |entry| date(entry.at_unix_s)));
    let span = if first == last { last } else { format!("{first} to {last}") };
    format!("{number} of the {engine} engine, {span} UTC")
}

/// The measure and what it is.
pub(crate) fn measure(result: &HistoryResult) -> String {
    format!("{}: {}", result.measure.name, result.measure.meaning)
}

/// An instant to the minute, UTC.
pub(crate) fn date(at_unix_s: i64) -> String {
    match Timestamp::from_second(at_unix_s) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => "an unknown time".to_owned(),
    }
}

/// The date of a result by its place; empty where there is none.
pub(crate) fn date_of(result: &HistoryResult, place: usize) -> String {
    result.results.get(place).map_or_else(String::new, |entry| date(entry.at_unix_s))
}

/// A value; `–` where there was nothing to measure.
pub(crate) fn value(result: &HistoryResult, point: Option<PointValue>) -> String {
    point.map_or_else(|| "–".to_owned(), |point| one(result.measure.unit, point))
}

/// The newest value that there is.
pub(crate) fn last(result: &HistoryResult, variant: &VariantHistory) -> String {
    value(result, variant.points.iter().rev().copied().find_map(|point| point))
}

/// The levels of a change: `388/s → 412/s`.
pub(crate) fn levels(result: &HistoryResult, change: &HistoryChange) -> String {
    let [before, after] = [change.before, change.after].map(|value| result.measure.unit.show(value));
    format!("{before} → {after}")
}

/// What is not shown, and why: a sentence for each kind.
pub(crate) fn left_out(result: &HistoryResult) -> Vec<String> {
    let left_out = result.left_out;
    let newest = format!("the newest {} are read", count(HISTORY_MOST as u64));
    let kinds = [
        (left_out.other_scenario, "result", "the file of the scenario is another one"),
        (left_out.other_engine, "result", "the engine is the other one"),
        (left_out.invalid, "value", "the harness was the bottleneck of a live run"),
        (left_out.interrupted, "value", "a live run was interrupted"),
        (left_out.older, "older result", &newest),
    ];
    let told = kinds.into_iter().filter(|(number, ..)| *number > 0).map(|(number, what, why)| match number {
        1 => format!("1 {what} is left out: {why}."),
        several => format!("{} {what}s are left out: {why}.", count(several as u64)),
    });
    told.collect()
}

/// What a reader has to know to read the numbers.
pub(crate) fn notes(result: &HistoryResult) -> Vec<String> {
    let mut notes = Vec::new();
    if result.results.iter().any(|entry| entry.seeds > 1) {
        notes.push("Numbers are medians over the seeds of a result.".to_owned());
    }
    notes.push(
        "A change point is the first result on a new level, found by E-divisive with Student's t-test (windows of 50 results, \
         p ≤ 0.001); beside it stand the means before and after."
            .to_owned(),
    );
    notes
}
