//! Histories of results made by hand.

use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use super::gather::{Stored, history, history_measures};
use super::json::{history_json, history_schema};
use super::result::{HistoryResult, LeftOut};
use super::show;
use crate::compare::sides::result::DifferenceVerdict;
use crate::record::harness::HarnessRecord;
use crate::result::experiment::{Engine, ExperimentResult};
use crate::result::schema::tests as schema;
use crate::testing;
use crate::testing::plain;
use crate::write::html::history::history_html;
use crate::write::html::script::SCRIPT;
use crate::write::terminal::history::history_summary;

/// 2026-11-01 09:00 UTC, and a day.
const START: i64 = 1_793_523_600;
const DAY: i64 = 86_400;

/// An experiment under three seeds whose first variant has a goodput of about so many.
fn experiment(goodput: f64) -> ExperimentResult {
    let mut result = testing::three_seeds();
    for (seed, run) in result.variants[0].runs.iter_mut().enumerate() {
        run.overall.goodput_per_s = goodput + seed as f64;
        run.overall.good = ((goodput + seed as f64) * result.scenario.duration_s).round() as u64;
    }
    result
}

/// Stored a day apart: twelve of goodput 100, then twelve of 80.
fn stored() -> Vec<Stored> {
    let goodput = |day: i64| if day < 12 { 100.0 } else { 80.0 };
    (0..24).map(|day| on(day, &experiment(goodput(day)))).collect()
}

fn on(day: i64, result: &ExperimentResult) -> Stored {
    Stored::of(START + day * DAY, &format!("{day:08x}"), result, "goodput")
}

#[test]
fn a_change_is_the_first_result_on_the_new_level() {
    let mut shuffled = stored();
    shuffled.reverse();
    let result = history(shuffled, 0).unwrap();
    assert_eq!(result.results.len(), 24);
    assert!(result.results.is_sorted_by_key(|entry| entry.at_unix_s), "the oldest first");
    let changed: Vec<usize> = result.variants.iter().map(|variant| variant.changes.len()).collect();
    assert_eq!(changed, [1, 0, 0, 0], "the first variant alone");
    let change = result.variants[0].changes[0];
    assert_eq!((change.at, change.verdict), (12, DifferenceVerdict::Worse));
    assert!((change.before - 101.0).abs() < 1e-9 && (change.after - 81.0).abs() < 1e-9, "{change:?}");
    let point = result.variants[0].points[0].unwrap();
    assert!((point.median - 101.0).abs() < 1e-9 && (point.least - 100.0).abs() < 1e-9, "{point:?}");
    assert_eq!(result.left_out, LeftOut::default());
    assert_eq!(
        show::what(&result),
        "24 results of the virtual engine, 2026-11-01 09:00 to 2026-11-24 09:00 UTC"
    );
}

#[test]
fn results_of_another_file_or_engine_are_not_joined_and_are_told() {
    let mut stored = stored();
    let mut other = experiment(50.0);
    other.scenario.source.push('#');
    stored.extend([on(3, &other), on(4, &other)]);
    let mut live = experiment(50.0);
    live.engine = Engine::Live;
    stored.push(on(5, &live));
    let result = history(stored, 2).unwrap();
    assert_eq!(result.results.len(), 24);
    assert_eq!(
        show::left_out(&result),
        [
            "2 results are left out: the file of the scenario is another one.",
            "1 result is left out: the engine is the other one.",
            "2 older results are left out: the newest 1,000 are read."
        ]
    );
    assert_eq!(result.variants[0].changes.len(), 1);
}

#[test]
fn invalid_and_interrupted_live_runs_are_left_out_and_told() {
    let mut live = experiment(100.0);
    live.engine = Engine::Live;
    let mut spoilt = live.clone();
    let mut record = HarnessRecord::new(1.0, 100, 20_000);
    record.exhausted = 7;
    spoilt.variants[0].runs[1].harness = Some(record.result(Duration::from_millis(500)));
    record.exhausted = 0;
    record.interrupted = true;
    spoilt.variants[1].runs[2].harness = Some(record.result(Duration::from_millis(500)));
    let result = history(vec![on(0, &live), on(1, &spoilt), on(2, &live)], 0).unwrap();
    let left_out = LeftOut { invalid: 1, interrupted: 1, ..LeftOut::default() };
    assert_eq!(result.left_out, left_out);
    for (variant, is_there) in result.variants.iter().zip([false, false, true]) {
        let there: Vec<bool> = variant.points.iter().map(Option::is_some).collect();
        assert_eq!(there, [true, is_there, true], "{}", variant.name);
    }
}

#[test]
fn a_measure_is_one_that_results_have() {
    let result = experiment(100.0);
    let known = history_measures(&result);
    for name in ["goodput", "latency.p99", "goodput(clients.partner)"] {
        assert!(known.contains(&name.to_owned()), "{known:?}");
    }
    let of = |measure: &str| history(vec![Stored::of(START, "0a", &result, measure)], 0);
    assert_eq!(of("goodput(clients.partner)").unwrap().measure.name, "goodput(clients.partner)");
    assert!(of("speed").is_none() && history(Vec::new(), 0).is_none());
    // Turning more away is neither good nor bad, so that its level is higher and not worse.
    let mut more = result.clone();
    for run in more.variants.iter_mut().flat_map(|variant| &mut variant.runs) {
        *run.overall.outcomes.entry(crate::record::outcome::Outcome::RateLimited).or_default() += 500;
    }
    let of = |day: i64| {
        let result = if day < 6 { &result } else { &more };
        Stored::of(START + day * DAY, "", result, "rejected.rate-limited")
    };
    let rejected = history((0..12).map(of).collect(), 0).unwrap();
    assert_eq!(rejected.variants[0].changes[0].verdict, DifferenceVerdict::Higher);
}

#[test]
fn one_variant_can_be_kept() {
    let mut result = history(stored(), 0).unwrap();
    let name = result.variants[1].name.clone();
    assert!(result.keep_variant(&name));
    assert_eq!(result.variants.len(), 1);
    assert!(!result.keep_variant("nobody"));
}

/// Histories that may occur, hostile ones among them.
fn all() -> Vec<HistoryResult> {
    let mut odd = experiment(f64::MAX);
    odd.scenario.name = "</title>\u{1b}[31m\u{202e}".repeat(20);
    odd.variants[0].name = "</td><script>alert(1)</script>".repeat(9);
    odd.variants[2].runs.clear();
    let odd = (-2..3).map(|day| Stored::of(day * i64::from(i32::MAX), "<&\u{1b}>", &odd, "goodput"));
    let many = (0..150).map(|day| on(day, &experiment(f64::from((day / 30 % 2 * 20 + 100) as u32))));
    [stored(), stored()[..1].to_vec(), odd.collect(), many.collect()]
        .into_iter()
        .map(|stored| history(stored, 0).unwrap())
        .collect()
}

#[test]
fn the_kept_schema_is_that_of_the_types_and_holds() {
    schema::assert_kept_and_met("history.schema.json", &history_schema(), &all(), history_json);
}

#[test]
fn the_terminal_says_it_on_eighty_columns() {
    let told: Vec<String> = all().iter().map(|result| plain(&history_summary(result, 80))).collect();
    for told in &told {
        assert!(told.lines().all(|line| line.width() <= 80), "{told}");
        assert!(!told.contains(|character: char| character.is_control() && character != '\n'), "{told}");
    }
    insta::assert_snapshot!(format!("{}\n----\n{}", told[0], told[3]));
}

#[test]
fn pages_are_well_formed_and_fetch_nothing_and_mark_change_points() {
    for result in all() {
        let page = history_html(&result, "tuesday history").unwrap();
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let document = roxmltree::Document::parse_with_options(&page, options).unwrap();
        let mut ids: Vec<&str> = document.descendants().filter_map(|node| node.attribute("id")).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "an id occurs twice");
        assert!(!page.contains("url(") && !page.contains("#FE"));
        // The script that sorts tables, and no other, whatever somebody wrote into a name.
        assert!(page.contains(&format!("<script>{SCRIPT}</script>")) && page.matches("<script").count() == 1);
        let of_class = |class: &str| {
            document.descendants().filter(|node| node.attribute("class") == Some(class)).count()
        };
        let changes: usize = result.variants.iter().map(|variant| variant.changes.len()).sum();
        assert_eq!(of_class("change"), changes, "cells of the table");
        let drawn_from = result.results.len().saturating_sub(100);
        let drawn = result.variants.iter().flat_map(|variant| &variant.changes);
        assert_eq!(of_class("fill tipping"), drawn.filter(|change| change.at >= drawn_from).count());
        assert_eq!(
            page.contains("Drawn are the newest 100 results; 50 older ones"),
            result.results.len() == 150
        );
    }
}
