//! Sweeps of results made by hand.

use unicode_width::UnicodeWidthStr;

use super::gather::{Observation, sweep};
use super::json::{sweep_json, sweep_schema};
use super::result::{AxisScale, AxisValue, SweepAxis, SweepResult};
use crate::record::harm::HarmCount;
use crate::result::experiment::ExperimentResult;
use crate::result::schema::tests as schema;
use crate::testing;
use crate::testing::plain;
use crate::words::value::Value;
use crate::write::csv::sweep::sweep_csv;
use crate::write::html::script::SCRIPT;
use crate::write::html::sweep::sweep_html;
use crate::write::markdown::sweep::sweep_markdown;
use crate::write::terminal::sweep::sweep_summary;

/// An experiment of one variant of which so much was hurt; recovered if less than half was.
fn experiment(blast: f64, held: bool) -> ExperimentResult {
    let mut result = testing::incident();
    result.variants.truncate(1);
    result.expectations.truncate(1);
    result.expectations[0].held = held;
    result.expectations[0].checks[0].held = held;
    result.expectations[0].checks[0].measured = Value::Share(blast);
    let harm = result.variants[0].runs[0].harm.as_mut().unwrap();
    harm.collateral = HarmCount { hurt: (blast * 10_000.0).round() as u64, total: 10_000 };
    harm.recovery_us = (blast < 0.5).then_some(12_000_000);
    // Another seed in which the same came about: one tells nothing of luck.
    let first = result.variants[0].runs[0].clone();
    result.variants[0].runs.push(first);
    result
}

fn scenario() -> crate::result::experiment::ScenarioSummary {
    crate::result::experiment::ScenarioSummary { seeds: vec![902, 903], ..testing::incident().scenario }
}

fn axis(key: &str, numbers: &[f64], of_file: usize, scale: AxisScale) -> SweepAxis {
    let value = |(place, number): (usize, &f64)| AxisValue {
        text: format!("{number}s"),
        number: Some(*number),
        is_of_file: place == of_file,
        in_force: None,
    };
    SweepAxis { key: key.to_owned(), values: numbers.iter().enumerate().map(value).collect(), scale }
}

/// A sweep of these axes; `blast` and `held` by place on each.
fn swept(axes: Vec<SweepAxis>, of: impl Fn(&[usize]) -> (f64, bool)) -> SweepResult {
    let mut places = vec![vec![]];
    for axis in &axes {
        places = places
            .into_iter()
            .flat_map(|before: Vec<usize>| {
                (0..axis.values.len()).map(move |place| before.iter().copied().chain([place]).collect())
            })
            .collect();
    }
    let observed = places.iter().map(|places| {
        let (blast, held) = of(places);
        Observation::of(&experiment(blast, held), &[], 0)
    });
    sweep(scenario(), "quickstart", axes, observed.collect(), None)
}

fn timeout(of_file: usize) -> SweepAxis {
    axis("gateway.timeout", &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0], of_file, AxisScale::Log)
}

#[test]
fn a_cliff_is_a_tipping_point_and_a_slope_is_none() {
    let cliff = swept(vec![timeout(5)], |places| {
        (if places[0] < 3 { 0.0 } else { 0.41 + 0.01 * places[0] as f64 }, true)
    });
    let told: Vec<(&str, usize, usize)> = cliff
        .tipping
        .iter()
        .map(|tipping| (&*cliff.measures[tipping.measure].name, tipping.before, tipping.after))
        .collect();
    assert_eq!(told, [("blast_radius", 2, 3)]);
    let slope = swept(vec![timeout(5)], |places| (0.09 * places[0] as f64, true));
    assert_eq!(slope.tipping, []);
    // Each step of the slope is more than ten points now, and none of them a cliff but where it starts; beyond half it never
    // recovers.
    let steep = swept(vec![timeout(5)], |places| (0.15 * places[0] as f64, true));
    let told: Vec<(&str, usize)> = steep
        .tipping
        .iter()
        .map(|tipping| (&*steep.measures[tipping.measure].name, tipping.before))
        .collect();
    assert_eq!(told, [("blast_radius", 0), ("recovery_time", 3)]);
    assert!(sweep_summary(&steep, 80).contains("recovery_time goes from"), "{}", sweep_summary(&steep, 80));
}

#[test]
fn along_each_line_of_a_grid() {
    let workers = axis("gateway.workers", &[64.0, 128.0], 0, AxisScale::Log);
    // Twice the workers, twice the timeout.
    let grid =
        swept(vec![timeout(5), workers], |places| (if places[0] < 2 + places[1] { 0.0 } else { 0.4 }, true));
    let told: Vec<(usize, usize, usize)> =
        grid.tipping.iter().map(|tipping| (tipping.axis, tipping.before, tipping.after)).collect();
    // 12 points, two in each row: the timeouts between 2 s and 4 s, and 4 s and 8 s; at 4 s, the workers.
    assert_eq!(told, [(0, 2, 4), (0, 5, 7), (1, 4, 5)]);
}

#[test]
fn the_smallest_change_is_of_the_fewest_settings_and_then_the_nearest() {
    let workers = || axis("gateway.workers", &[64.0, 128.0, 256.0], 1, AxisScale::Linear);
    let held_at = |held: &'static [[usize; 2]]| {
        swept(vec![timeout(5), workers()], move |places| (0.1, held.iter().any(|held| held == places)))
    };
    let smallest = |held| held_at(held).smallest.map(|smallest| (smallest.point, smallest.changed));
    assert_eq!(smallest(&[[5, 1], [4, 1]]), Some((16, vec![])));
    // Far away on one axis is less than near on both.
    assert_eq!(smallest(&[[0, 1], [4, 0], [4, 2]]), Some((1, vec![0])));
    assert_eq!(smallest(&[[0, 1], [3, 1], [1, 1]]), Some((10, vec![0])));
    // On a linear axis, 64 is nearer to 128 than 256 is.
    assert_eq!(smallest(&[[5, 2], [5, 0]]), Some((15, vec![1])));
    assert_eq!(smallest(&[]), None);
    let none = held_at(&[]);
    let told = sweep_markdown(&none);
    assert!(told.contains("At no point do all expectations hold."), "{told}");
    assert!(told.contains("fails at every point."), "{told}");
}

/// Results to draw: of one setting, of two, of three, and of names that are anything.
fn all() -> Vec<SweepResult> {
    let workers = || axis("gateway.workers", &[64.0, 128.0], 0, AxisScale::Log);
    let mut hostile = timeout(0);
    hostile.key = "clients.\"<script>alert(1)</script>\u{202e}|`x`\".timeout".to_owned();
    hostile.values[1].text = "</td>\u{1b}[31m".repeat(200);
    hostile.values[0].number = None;
    let blast = |places: &[usize]| (0.2 * places[0] as f64, places[0] < 2);
    vec![
        swept(vec![timeout(5)], blast),
        swept(vec![timeout(5), workers()], blast),
        swept(vec![timeout(5), workers(), axis("x", &[1.0], 0, AxisScale::Words)], blast),
        swept(vec![hostile.clone()], blast),
        swept(vec![hostile.clone(), hostile], |_| (0.0, false)),
    ]
}

#[test]
fn the_kept_schema_is_that_of_the_types_and_holds() {
    schema::assert_kept_and_met("sweep.schema.json", &sweep_schema(), &all(), sweep_json);
}

#[test]
fn the_terminal_says_it_on_eighty_columns() {
    let told: Vec<String> = all().iter().map(|result| plain(&sweep_summary(result, 80))).collect();
    for told in &told {
        assert!(told.lines().all(|line| line.width() <= 80), "{told}");
        assert!(!told.contains(|character: char| character.is_control() && character != '\n'), "{told}");
    }
    insta::assert_snapshot!(format!("{}\n----\n{}", told[0], told[1]));
}

/// The text of a page's element, words one space apart.
fn words(node: roxmltree::Node) -> String {
    let text = node.descendants().filter(roxmltree::Node::is_text).filter_map(|node| node.text());
    let text: String = text.collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn tipping_points_are_seen_on_the_page_however_many_settings_there_are() {
    let parsed = |result: &SweepResult, look: &dyn Fn(&roxmltree::Document)| {
        let page = sweep_html(result, "tuesday sweep").unwrap();
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        look(&roxmltree::Document::parse_with_options(&page, options).unwrap());
    };
    let of_class = |document: &roxmltree::Document, name: &str, class: &str| -> Vec<String> {
        let all = document.descendants().filter(|node| node.has_tag_name(name));
        let with = all.filter(|node| {
            node.attribute("class").is_some_and(|classes| classes.split(' ').any(|one| one == class))
        });
        with.map(words).collect()
    };
    // One setting: a band between 2 s and 4 s, in the chart of the blast radius alone.
    let cliff = |places: &[usize]| (if places[0] < 2 { 0.0 } else { 0.4 }, true);
    parsed(&swept(vec![timeout(5)], cliff), &|document| {
        let bands = document.descendants().filter(|node| node.attribute("class") == Some("fill tipping"));
        assert_eq!(bands.count(), 1);
        let tipping = document.descendants().find(|node| node.attribute("id") == Some("tipping")).unwrap();
        let sentences = tipping.parent().map(words).unwrap();
        assert!(
            sentences.contains("Between gateway.timeout = 2s and 4s: blast_radius goes from 0% to 40%."),
            "{sentences}"
        );
    });
    // Three of which the last has eight values: those nearest to the file's are drawn. It tips where the first is 4 s, and
    // for the first queue one step later.
    let workers = axis("gateway.workers", &[64.0, 128.0], 0, AxisScale::Log);
    let queue = axis("gateway.queue", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 6, AxisScale::Linear);
    let swept = swept(vec![timeout(5), workers, queue], |places| {
        (if places[0] < 2 + usize::from(places[2] == 0) { 0.0 } else { 0.4 }, true)
    });
    parsed(&swept, &|document| {
        let titles: Vec<String> =
            document.descendants().filter(|node| node.has_tag_name("h3")).map(words).collect();
        assert!(titles.contains(&"blast_radius".to_owned()), "{titles:?}");
        let captions: Vec<String> =
            document.descendants().filter(|node| node.has_tag_name("caption")).map(words).collect();
        let drawn = ["1s", "2s", "3s", "4s", "5s", "7s"].map(|value| format!("gateway.queue = {value}"));
        assert_eq!(captions[..6], drawn);
        // Two columns of workers in each of six tables; along the queue it tips too, between the first and the second.
        let tipping = of_class(document, "td", "tipping");
        assert_eq!(tipping.iter().filter(|cell| *cell == "40% ⚠").count(), 12, "{tipping:?}");
        let page = words(document.root());
        assert!(page.contains("Drawn are 6 of the 8 combinations of the other settings"), "{page}");
        assert!(page.contains(
            "Between gateway.timeout = 4s and 8s with gateway.workers = 64s and gateway.queue = 1s"
        ));
    });
}

#[test]
fn pages_are_well_formed_and_fetch_nothing_and_tables_are_tables() {
    for result in all() {
        let page = sweep_html(&result, "tuesday sweep").unwrap();
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
        let rows = sweep_csv(&result).lines().count();
        assert_eq!(rows, 1 + result.points.len() * result.measures.len());
        assert!(sweep_markdown(&result).contains("| point |"));
    }
}
