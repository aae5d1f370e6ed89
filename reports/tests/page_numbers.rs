//! The numbers on the pages are those of the results: read off the page again, and held against `result.json`,
//! `comparison.json` and `sweep.json`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use reports::{
    AxisScale, AxisValue, Compared, DifferenceVerdict, ExperimentResult, GaugeUnit, Observation, Outcome,
    PopulationResult, RunResult, Side, Summary, SweepAxis, compare, comparison_html, comparison_json,
    from_json, html_report, sweep, sweep_html, sweep_json,
};
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

/// A length of time as it is written, in microseconds: `1 min 12 s` is 72,000,000. Marks behind it are no part of it.
fn microseconds(cell: &str) -> f64 {
    let words: Vec<&str> = cell.split(['▲', '▼']).next().unwrap().split_whitespace().collect();
    let parts = words.chunks(2).map(|part| {
        let unit = match part[1] {
            "µs" => 1.0,
            "ms" => 1e3,
            "s" => 1e6,
            "min" => 6e7,
            "h" => 3.6e9,
            other => panic!("no unit of time is called {other}, in `{cell}`"),
        };
        number(part[0]) * unit
    });
    parts.sum()
}

/// Whether what is shown is what was measured; `–` where there was nothing to measure.
#[track_caller]
fn assert_shows_any(cell: &str, unit: GaugeUnit, measured: Option<f64>) {
    let Some(measured) = measured else { return assert_eq!(cell, "–") };
    if cell.starts_with("never") {
        return assert!(measured.is_infinite(), "`{cell}` for {measured}");
    }
    match unit {
        GaugeUnit::Us => {
            let shown = microseconds(cell);
            // Three digits, and from a minute on to the second.
            let close = (shown - measured).abs() <= (0.006 * measured).clamp(0.5, 500_000.0);
            assert!(close, "`{cell}` for {measured} µs");
        }
        GaugeUnit::Share if cell.starts_with('<') => {
            assert!(measured > 0.0 && measured < 0.001, "`{cell}` for {measured}");
        }
        _ => assert_shows(cell, measured),
    }
}

/// Of so many, where there are any.
fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

/// A percentile of it.
fn percentile(summary: &Summary, p: f64) -> Option<f64> {
    let point = summary.latency.percentiles.iter().find(|point| (point.p - p).abs() < 1e-9);
    point.filter(|_| summary.latency.count > 0).map(|point| point.us as f64)
}

#[test]
fn the_table_side_by_side_holds_the_measures_of_each_variant() {
    let mut result = saved();
    // As many attempts as to be told.
    result.variants[0].runs[0].amplification = 1.318;
    result.variants[1].runs[0].harm.as_mut().unwrap().recovery_us = None;
    let page = page(&result);
    let document = parsed(&page);
    let rows = rows(section(&document, "comparison"));
    assert_eq!(rows.len(), 1 + result.variants.len());
    let headings = &rows[0][1..];
    for expected in [
        "goodput/s",
        "success",
        "latencyp50",
        "latencyp99",
        "recovery",
        "amplification",
        "most per keyin 10 s",
    ] {
        assert!(headings.iter().any(|heading| heading == expected), "no {expected} in {headings:?}");
    }
    for (variant, row) in result.variants.iter().zip(&rows[1..]) {
        assert_eq!(row[0], variant.name);
        let run = &variant.runs[0];
        let (overall, harm) = (&run.overall, run.harm.as_ref().unwrap());
        for (heading, cell) in headings.iter().zip(&row[1..]) {
            let (unit, measured) = match heading.as_str() {
                "goodput/s" => (GaugeUnit::PerS, Some(overall.goodput_per_s)),
                "success" => (GaugeUnit::Share, share(overall.outcomes[&Outcome::Served], overall.offered)),
                "latencyp50" => (GaugeUnit::Us, percentile(overall, 50.0)),
                "latencyp99" => (GaugeUnit::Us, percentile(overall, 99.0)),
                "blastradius" => (GaugeUnit::Share, share(harm.collateral.hurt, harm.collateral.total)),
                "directdamage" => (GaugeUnit::Share, share(harm.direct.hurt, harm.direct.total)),
                "recovery" => (GaugeUnit::Us, Some(harm.recovery_us.map_or(f64::INFINITY, |us| us as f64))),
                "amplification" => (GaugeUnit::Ratio, Some(run.amplification)),
                other => {
                    if let Some(outcome) = Outcome::from_name(other) {
                        (GaugeUnit::Share, share(overall.count(outcome), overall.offered))
                    } else {
                        let peaks = run.limits.iter().flat_map(|limit| &limit.peaks);
                        let named = |window_us: u64| format!("most per keyin {} s", window_us / 1_000_000);
                        let peak = peaks.into_iter().find(|peak| named(peak.window_us) == other);
                        let peak = peak.unwrap_or_else(|| panic!("what is {other}?"));
                        (GaugeUnit::Count, Some(peak.count as f64))
                    }
                }
            };
            assert_shows_any(cell, unit, measured);
        }
    }
}

/// A row of a table of groups: its group's name with what is noted there, its own, and the cells.
type GroupedRow = (String, String, Vec<String>);

/// The headings of a table of groups after the two names, and its rows.
fn grouped(document: &Document, id: &str) -> (Vec<String>, Vec<GroupedRow>) {
    let is_it = |node: &Node| node.attribute("data-table") == Some(id);
    let mut rows = rows(section(document, "breakdowns").descendants().find(is_it).unwrap());
    let headings = rows.remove(0);
    let row = |mut row: Vec<String>| (row.remove(0), row.remove(0), row);
    let rows = rows.into_iter().map(row).collect();
    (headings[2..].to_vec(), rows)
}

/// Holds a column of a table of summaries against one.
#[track_caller]
fn assert_summary_shows(heading: &str, cell: &str, summary: &Summary) {
    let (unit, measured) = match heading {
        "offered" => (GaugeUnit::Count, Some(summary.offered as f64)),
        "success" => (GaugeUnit::Share, share(summary.count(Outcome::Served), summary.offered)),
        "good" => (GaugeUnit::Share, share(summary.good, summary.offered)),
        "max" => (GaugeUnit::Us, (summary.latency.count > 0).then_some(summary.latency.max_us as f64)),
        other => match (Outcome::from_name(other), other.strip_prefix('p')) {
            (Some(outcome), _) => (GaugeUnit::Share, share(summary.count(outcome), summary.offered)),
            (None, Some(p)) => (GaugeUnit::Us, percentile(summary, p.parse().unwrap())),
            (None, None) => panic!("what is {other}?"),
        },
    };
    assert_shows_any(cell, unit, measured);
}

#[test]
fn breakdowns_hold_what_each_population_route_and_upstream_saw() {
    let mut result = saved();
    // One that is only called by others.
    for variant in &mut result.variants {
        let run = &mut variant.runs[0];
        run.upstreams[2].summary = Summary::default();
    }
    let page = page(&result);
    let document = parsed(&page);
    for (id, most) in [("populations", 4), ("routes", 4), ("upstreams", 4)] {
        let (headings, rows) = grouped(&document, id);
        assert_eq!(rows.len(), most * result.variants.len(), "{id}");
        for (place, (group, name, cells)) in rows.iter().enumerate() {
            let variant = &result.variants[place % result.variants.len()];
            assert_eq!(*name, variant.name);
            let (run, place) = (&variant.runs[0], place / result.variants.len());
            let (known, summary) = match id {
                "populations" => (&run.populations[place].name, &run.populations[place].summary),
                "routes" => (&run.routes[place].name, &run.routes[place].summary),
                _ => (&run.upstreams[place].name, &run.upstreams[place].summary),
            };
            assert!(group.starts_with(known.as_str()), "{group} for {known}");
            for (heading, cell) in headings.iter().zip(cells) {
                let attempts = run.upstream_attempts.iter().find(|attempts| attempts.upstream == *known);
                match heading.as_str() {
                    "attempts" => {
                        assert_shows_any(cell, GaugeUnit::Count, attempts.map(|seen| seen.attempts as f64));
                    }
                    "per request" => {
                        assert_shows_any(cell, GaugeUnit::Ratio, attempts.map(|seen| seen.amplification));
                    }
                    _ if id == "upstreams" && summary.offered == 0 => {
                        assert!(cell.starts_with("no route leads to it"), "{cell}");
                    }
                    heading => assert_summary_shows(heading, cell, summary),
                }
            }
        }
    }
}

#[test]
fn causes_are_ranked_with_their_shares_and_their_ways_back() {
    let result = saved();
    let page = page(&result);
    let document = parsed(&page);
    let mut rows = rows(section(&document, "causes")).into_iter().skip(1);
    for variant in &result.variants {
        let causes = &variant.runs[0].causes;
        let total: u64 = causes.iter().map(|cause| cause.requests).sum();
        assert!(causes.len() > 6);
        for cause in causes.iter().take(6) {
            let mut row = rows.next().unwrap();
            assert_eq!(row.remove(0), variant.name);
            assert_shows_any(&row[0], GaugeUnit::Share, share(cause.requests, total));
            assert_shows_any(&row[1], GaugeUnit::Count, Some(cause.requests as f64));
            assert_eq!((&row[2], row[3].as_str()), (&cause.route, cause.ending.name()));
            let steps: Vec<&str> = row[4].split(" ← ").collect();
            assert_eq!(steps.len(), cause.steps.len(), "{}", row[4]);
            for (told, step) in steps.iter().zip(&cause.steps) {
                assert!(told.contains(step.of.as_deref().unwrap_or_default()), "{told} for {step:?}");
            }
        }
    }
    assert_eq!(rows.next(), None);
}

#[test]
fn breakers_change_when_and_why_the_result_says() {
    let result = saved();
    let page = page(&result);
    let document = parsed(&page);
    let mut rows = rows(section(&document, "breakers")).into_iter().skip(1);
    let clock = |us: u64| {
        let second = result.scenario.starts_unix_s.unsigned_abs() % 86_400 + us / 1_000_000;
        format!("{:02}:{:02}:{:02}", second / 3600 % 24, second / 60 % 60, second % 60)
    };
    let mut seen = 0;
    for variant in &result.variants {
        let run = &variant.runs[0];
        let first_fault_us = run.harm.as_ref().unwrap().first_fault_us;
        for breaker in &run.breakers {
            for change in &breaker.changes {
                let mut row = rows.next().unwrap();
                assert_eq!((row.remove(0), row.remove(0)), (variant.name.clone(), breaker.name.clone()));
                assert_eq!((&row[0], &row[1]), (&change.to, &clock(change.at_us)));
                let after = change.at_us.checked_sub(first_fault_us).map(|us| us as f64);
                assert_shows_any(&row[2], GaugeUnit::Us, after);
                let why = match change.to.as_str() {
                    "open" => format!("{} of {} failed", change.failures, change.settled),
                    "half-open" => "its wait was over".to_owned(),
                    _ => format!("{} probes, {} failed", change.settled, change.failures),
                };
                assert!(row[3].starts_with(&why), "{} for {why}", row[3]);
                seen += 1;
            }
        }
    }
    assert_eq!(rows.next(), None);
    assert!(seen >= 6);
}

/// The unit at the end of a difference or of an interval.
fn unit_of(shown: &str) -> &'static str {
    [" pp", " ms", " µs", " s", "/s"].into_iter().find(|unit| shown.ends_with(unit)).unwrap_or("")
}

/// A number with its sign, in that unit: `−54.1 pp`, `+612 ms`, or an end of an interval without it.
fn signed(shown: &str, unit: &str) -> f64 {
    let digits = shown.strip_suffix(unit).unwrap_or(shown).trim().replace('−', "-").replace(['±', '+'], "");
    let number: f64 = digits.parse().unwrap_or_else(|_| panic!("no number in `{shown}`"));
    number
        * match unit {
            " pp" => 0.01,
            " ms" => 1e3,
            " s" => 1e6,
            _ => 1.0,
        }
}

#[test]
fn a_comparison_shows_what_its_json_holds() {
    let result = from_json(include_str!("results/v1.json")).unwrap();
    let [a, b] = [0, 1].map(|place| result.variants[place].name.clone());
    let side = Side { label: "v1", result: &result };
    let compared =
        compare(side, side, vec![Compared { a, b, requests: None, worlds: Some(Vec::new()) }], 0.95);
    // Through its file, as somebody else reads it.
    let json: reports::ComparisonResult = serde_json::from_str(&comparison_json(&compared)).unwrap();
    let page = comparison_html(&compared, "tuesday compare").unwrap();
    let document = parsed(&page);
    let tables = document
        .descendants()
        .filter(|node| node.has_tag_name("table") && words(*node).starts_with("measure"));
    let rows: Vec<Vec<String>> = tables.flat_map(|table| rows(table).into_iter().skip(1)).collect();
    let measures = &json.pairs[0].measures;
    assert_eq!(rows.len(), measures.len());
    let mut intervals = 0;
    for row in rows {
        let measure = measures.iter().find(|measure| measure.name() == row[0]).unwrap();
        assert!(row[1].ends_with(measure.verdict.word()), "{row:?}");
        let decided = matches!(measure.verdict, DifferenceVerdict::Better | DifferenceVerdict::Worse);
        assert_eq!(row[1].starts_with(['▲', '▼']), decided, "{row:?}");
        let close = |shown: f64, value: f64| (shown - value).abs() <= 0.006 * value.abs() + 0.0006;
        assert!(
            close(signed(&row[2], unit_of(&row[2])), measure.difference),
            "{row:?} for {}",
            measure.difference
        );
        match measure.interval {
            None => assert_eq!(row[3], "–"),
            Some(interval) => {
                let unit = unit_of(&row[3]);
                let ends = row[3].strip_suffix(unit).unwrap_or(&row[3]).split(" … ");
                let shown: Vec<f64> = ends.map(|end| signed(end, unit)).collect();
                let width = interval[0].abs().max(interval[1].abs());
                for (shown, end) in shown.iter().zip(interval) {
                    assert!((shown - end).abs() <= 0.006 * width + 0.0006, "{row:?} for {interval:?}");
                }
                intervals += 1;
            }
        }
        for (cell, side) in [(&row[4], &measure.a), (&row[5], &measure.b)] {
            let mean = side.values.iter().sum::<f64>() / side.values.len() as f64;
            let measured = if cell == "never" { f64::INFINITY } else { mean };
            assert!(cell != "never" || side.never as usize == side.values.len(), "{row:?}");
            assert_shows_any(cell, measure.unit, Some(measured));
        }
    }
    assert!(intervals > 20);
}

#[test]
fn a_sweep_shows_what_its_json_holds() {
    let result = from_json(include_str!("results/v1.json")).unwrap();
    // Its two variants and two seeds as four points of a grid.
    let mut points = Vec::new();
    for variant in &result.variants {
        for run in &variant.runs {
            let mut point = result.clone();
            point.scenario.seeds = vec![run.seed];
            point.variants = vec![variant.clone()];
            point.variants[0].runs = vec![run.clone()];
            points.push(point);
        }
    }
    let axis = |key: &str| {
        let value = |number: f64| AxisValue {
            text: format!("{number}s"),
            number: Some(number),
            is_of_file: number < 2.0,
            in_force: None,
        };
        SweepAxis { key: key.to_owned(), values: vec![value(1.0), value(2.0)], scale: AxisScale::Log }
    };
    let observed = points.iter().map(|point| Observation::of(point, &[], 0)).collect();
    let swept = sweep(
        result.scenario.clone(),
        "a",
        vec![axis("gateway.timeout"), axis("gateway.queue_timeout")],
        observed,
        None,
    );
    let json: reports::SweepResult = serde_json::from_str(&sweep_json(&swept)).unwrap();
    let page = sweep_html(&swept, "tuesday sweep").unwrap();
    let document = parsed(&page);
    let table = rows(section(&document, "points"));
    let headings = &table[0];
    assert_eq!(table.len(), 1 + 4);
    let measure_of = |name: &str| json.measures.iter().position(|measure| measure.name == name);
    let shows = |cell: &str, place: usize, point: &reports::SweepPoint| {
        let value = point.measured[place];
        let measured = value.map(|value| if value.never { f64::INFINITY } else { value.median });
        assert_shows_any(cell, json.measures[place].unit, measured);
    };
    for (row, point) in table[1..].iter().zip(&json.points) {
        let mut seen = 0;
        for (heading, cell) in headings.iter().zip(row) {
            let Some(place) = measure_of(heading) else { continue };
            shows(cell, place, point);
            seen += 1;
        }
        assert!(seen >= 6, "{headings:?}");
    }
    // The same in the coloured table of each measure, a row for each value of the first setting.
    for (place, measure) in json.measures.iter().enumerate() {
        let grid =
            document.descendants().find(|node| node.attribute("id") == Some(&format!("grid-{place}-0")));
        let grid = rows(grid.unwrap());
        assert_eq!(grid.len(), 3, "{}", measure.name);
        let cells = grid[1..].iter().flat_map(|row| &row[1..]);
        for (cell, point) in cells.zip(&json.points) {
            shows(cell.trim_end_matches(" ⚠"), place, point);
        }
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
    let lines = words(section(&document, "expectations"));
    for expectation in &result.expectations {
        let word = if expectation.held { "✓ held" } else { "✗ FAILED" };
        assert!(lines.contains(&format!("{word} {}", expectation.text)), "{}", expectation.text);
    }
}

/// What a reading says second by second.
fn unpacked(reading: Node) -> Vec<u64> {
    let value = reading.descendants().find(|node| is(node, "value")).unwrap();
    let mut last = "";
    let values = value.attribute("data-values").unwrap().split('|').map(|value| {
        last = if value.is_empty() { last } else { value };
        // Nothing is known of a bucket before its first rejection, which the result has as nothing in use.
        let digits: String = last.chars().filter(char::is_ascii_digit).collect();
        if last == "–" { 0 } else { digits.parse().unwrap() }
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
    // Those who wait have lanes below those of the workers in use.
    let waiting = workers[result.variants.len()..].to_vec();
    assert_eq!(load.len(), result.variants.len());
    let lanes = load.into_iter().zip(admitted).zip(workers).zip(waiting);
    for (variant, ((((name, mut readings), (_, admitted)), (_, in_flight)), (who, queued))) in
        result.variants.iter().zip(lanes)
    {
        assert_eq!(name, variant.name);
        assert_eq!(who, format!("{name} waiting"));
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
            unpacked(queued[0].1),
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
