//! The numbers on the page are those of the result: read off the page again, and held against `result.json`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use reports::{ExperimentResult, PopulationResult, RunResult, from_json, html_report};
use roxmltree::{Document, Node, ParsingOptions};

/// A saved result of everything that the format can hold, under one seed.
fn saved() -> ExperimentResult {
    let mut result = from_json(include_str!("results/v1.json")).unwrap();
    result.scenario.seeds.truncate(1);
    result.variants.iter_mut().for_each(|variant| variant.runs.truncate(1));
    result
}

fn page(result: &ExperimentResult) -> String {
    html_report(result, "tuesday run short").unwrap()
}

fn parsed(page: &str) -> Document<'_> {
    Document::parse_with_options(page, ParsingOptions { allow_dtd: true, ..Default::default() }).unwrap()
}

fn is(node: &Node, class: &str) -> bool {
    node.attribute("class").is_some_and(|classes| classes.split(' ').any(|one| one == class))
}

fn words(node: Node) -> String {
    let text: String = node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The section under the heading of this id.
fn section<'d>(document: &'d Document, id: &str) -> Node<'d, 'd> {
    let sections = document.descendants().filter(|node| node.has_tag_name("section"));
    sections.into_iter().find(|section| section.attribute("aria-labelledby") == Some(id)).unwrap()
}

fn rows<'d>(part: Node<'d, 'd>) -> Vec<Vec<String>> {
    let rows = part.descendants().filter(|node| node.has_tag_name("tr"));
    let cells = |row: Node<'d, 'd>| row.children().filter(Node::is_element).map(words).collect();
    rows.map(cells).collect()
}

/// The first number of a cell: `1,676 of 8,905` is 1676, `18.8%` is 0.188.
fn number(cell: &str) -> f64 {
    let end = cell.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ',')).unwrap_or(cell.len());
    let (digits, rest) = cell.split_at(end);
    let number: f64 = digits.replace(',', "").parse().unwrap_or_else(|_| panic!("no number in `{cell}`"));
    if rest.starts_with('%') { number / 100.0 } else { number }
}

/// Whether what is shown is what was measured, but for its last digit.
#[track_caller]
fn assert_shows(cell: &str, measured: f64) {
    let shown = number(cell);
    assert!((shown - measured).abs() <= 0.006 * measured.abs() + 0.0005, "`{cell}` for {measured}");
}

#[test]
fn the_table_side_by_side_holds_the_measures_of_each_variant() {
    let result = saved();
    let page = page(&result);
    let document = parsed(&page);
    let rows = rows(section(&document, "comparison"));
    let column = |heading: &str| {
        rows[0]
            .iter()
            .position(|cell| cell == heading)
            .unwrap_or_else(|| panic!("no {heading} in {:?}", rows[0]))
    };
    for (variant, row) in result.variants.iter().zip(&rows[1..]) {
        assert_eq!(row[0], variant.name);
        let run = &variant.runs[0];
        assert_shows(&row[column("goodput/s")], run.overall.goodput_per_s);
        assert_shows(&row[column("success")], run.overall.success_rate().unwrap());
        let harm = run.harm.as_ref().unwrap();
        assert_shows(&row[column("blastradius")], harm.collateral.share().unwrap());
        assert_shows(&row[column("directdamage")], harm.direct.share().unwrap());
    }
}

#[test]
fn the_matrix_counts_who_was_hurt() {
    let result = saved();
    let page = page(&result);
    let document = parsed(&page);
    let rows = rows(section(&document, "blast-radius"));
    let mut seen = 0;
    for (place, variant) in result.variants.iter().enumerate() {
        for route in &variant.runs[0].harm.as_ref().unwrap().routes {
            let row = rows.iter().find(|row| row[0].starts_with(&route.name)).unwrap();
            let with_separators = |count: u64| {
                let digits = count.to_string();
                let (head, tail) = digits.split_at(digits.len().saturating_sub(3));
                if head.is_empty() { tail.to_owned() } else { format!("{head},{tail}") }
            };
            let told = format!(
                "{} of {}",
                with_separators(route.requests.hurt),
                with_separators(route.requests.total)
            );
            assert!(row[place + 1].ends_with(&told), "{told} in {row:?}");
            seen += 1;
        }
    }
    assert!(seen >= 4);
}

#[test]
fn the_verdict_says_what_was_measured() {
    let result = saved();
    let page = page(&result);
    let document = parsed(&page);
    let verdict = words(section(&document, "verdict"));
    let held = result.expectations.iter().filter(|expectation| expectation.held).count();
    assert!(verdict.contains(&format!("{held} of {} expectations", result.expectations.len())), "{verdict}");
    for expectation in &result.expectations {
        let word = if expectation.held { "✓ held" } else { "✗ FAILED" };
        assert!(verdict.contains(&format!("{word} {}", expectation.text)), "{}", expectation.text);
    }
}

/// What a reading says second by second.
fn unpacked(reading: Node) -> Vec<u64> {
    let value = reading.descendants().find(|node| is(node, "value")).unwrap();
    let mut last = "";
    let values = value.attribute("data-values").unwrap().split('|').map(|value| {
        last = if value.is_empty() { last } else { value };
        last.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap()
    });
    values.collect()
}

/// The lanes of the group with this heading: the variant, and its readings by label.
fn lanes<'d>(document: &'d Document, id: &str) -> Vec<(String, Vec<(String, Node<'d, 'd>)>)> {
    let heading = document.descendants().find(|node| node.attribute("id") == Some(id)).unwrap();
    let group = heading.ancestors().find(|node| is(node, "lanes")).unwrap();
    let rows = group.descendants().filter(|node| is(node, "row"));
    let row = |row: Node<'d, 'd>| {
        let of = |class: &'static str| row.descendants().filter(move |node| is(node, class));
        let label = |reading: Node<'d, 'd>| {
            let label = reading.descendants().find(|node| is(node, "label")).map(words);
            (label.unwrap_or_default(), reading)
        };
        (words(of("who").next().unwrap()), of("reading").map(label).collect())
    };
    rows.map(row).collect()
}

/// By second, over all populations or over those that are not hostile.
fn sum(run: &RunResult, hostile_too: bool, series: impl Fn(&PopulationResult) -> &Vec<u32>) -> Vec<u64> {
    let populations = || run.populations.iter().filter(|population| hostile_too || !population.hostile);
    let seconds = populations().map(|population| series(population).len()).max().unwrap_or(0);
    let of_second = |second: usize| {
        populations().map(|population| u64::from(series(population).get(second).copied().unwrap_or(0))).sum()
    };
    (0..seconds).map(of_second).collect()
}

#[test]
fn every_second_of_the_timelines_is_that_of_the_result() {
    let result = saved();
    let page = page(&result);
    let document = parsed(&page);
    let load = lanes(&document, "load");
    let (admitted, workers) = (lanes(&document, "admitted"), lanes(&document, "workers-0"));
    assert_eq!(load.len(), result.variants.len());
    let lanes = load.into_iter().zip(admitted).zip(workers);
    for (variant, (((name, mut readings), (_, admitted)), (_, in_flight))) in
        result.variants.iter().zip(lanes)
    {
        assert_eq!(name, variant.name);
        readings.extend(admitted);
        let run = &variant.runs[0];
        let reading = |label: &str| {
            let (_, reading) = readings.iter().find(|(known, _)| known == label).unwrap();
            unpacked(*reading)
        };
        assert_eq!(reading("offered"), sum(run, true, |population| &population.offered_per_s));
        assert_eq!(reading("goodput"), sum(run, false, |population| &population.good_per_s));
        assert_eq!(reading("admitted"), sum(run, true, |population| &population.admitted_per_s));
        let gateway = &run.stations[0];
        assert_eq!(
            unpacked(in_flight[0].1),
            gateway.in_flight_per_s.iter().copied().map(u64::from).collect::<Vec<_>>()
        );
        assert_eq!(
            unpacked(in_flight[1].1),
            gateway.queued_per_s.iter().copied().map(u64::from).collect::<Vec<_>>()
        );
    }
}

#[test]
fn buckets_are_as_full_as_the_result_says() {
    let result = saved();
    let page = page(&result);
    let document = parsed(&page);
    let rows = lanes(&document, "saturation");
    let told = result.variants.iter().flat_map(|variant| {
        let saturation = variant.runs[0].limits.iter().filter_map(|limit| limit.saturation.as_ref());
        saturation.flat_map(|saturation| {
            let others = saturation.others.iter().map(|others| &others.mean_percent);
            saturation.buckets.iter().map(|bucket| &bucket.percent).chain(others)
        })
    });
    let told: Vec<Vec<u64>> = told.map(|percent| percent.iter().copied().map(u64::from).collect()).collect();
    let shown: Vec<Vec<u64>> = rows.into_iter().map(|(_, readings)| unpacked(readings[0].1)).collect();
    assert!(!told.is_empty());
    assert_eq!(shown, told);
}
