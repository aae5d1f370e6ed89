//! The report: one HTML file that opens offline, prints, and can be passed on.
//!
//! It is drawn from a result alone, so that a saved one can be drawn again. It holds no script and fetches nothing; its
//! content security policy forbids both, whatever a scenario's author writes into a name. It is well-formed as XML too,
//! which is the cheapest way to check that nothing in it was torn apart.

use askama::Template;

use crate::{
    AFTERMATH, AgreementLine, Distribution, ExperimentResult, RunResult, VariantResult,
    breakdown::{Breakdown, breakdowns},
    breaker_changes::{BreakerGroup, breaker_changes},
    cause_ranking::{CauseGroup, cause_ranking},
    chart::{ChartError, LatencyChart, LoadChart, latency_chart, load_chart, seconds_per_step},
    differences::{Difference, differences},
    facts::facts,
    format::{self, Clock},
    matrix::{Matrix, matrices},
    side_by_side::{Mark, SideBySide, notes, runs},
    terminal::{engine, seeds, seeds_note},
    text,
    validity::reservations,
    verdict::Verdict,
};

/// Steps of a chart over time: more than a screen shows, few enough for twelve variants in a file of a megabyte.
const COLUMNS: usize = 600;

/// Why a report could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum HtmlError {
    /// A chart could not be drawn.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// The page could not be filled in.
    #[error("cannot fill in the report's page")]
    Page(#[from] askama::Error),
}

/// The report as the text of an HTML file. `command` is what a reader types to run the experiment again.
///
/// # Errors
///
/// Drawing and filling in write to memory and fail in their types alone.
pub fn html_report(result: &ExperimentResult, command: &str) -> Result<String, HtmlError> {
    let scenario = &result.scenario;
    let page = Page {
        title: text::line(&scenario.name),
        when: format!("{} from {}", format::span(scenario.duration_s * 1e6), Clock::of(scenario).start()),
        seeds: seeds(&scenario.seeds),
        engine: engine(result),
        reservations: reservations(result),
        agreement: engines(result),
        live_reservations: live_reservations(result),
        tuesday: text::line(&result.tuesday),
        format_version: result.version,
        story: text::paragraphs(&scenario.story),
        verdict: Verdict::of(result),
        facts: facts(result),
        seeds_note: seeds_note(result),
        notes: notes(result),
        comparison: SideBySide::of(result),
        differences: differences(result),
        matrices: matrices(result),
        causes: cause_ranking(result),
        breakers: breaker_changes(result),
        drawn_note: drawn_note(result),
        aftermath: format::span(AFTERMATH.as_micros() as f64),
        has_faults: drawn(result).any(|(_, run)| faults(run).is_some()),
        load_note: load_note(result),
        load: load_figures(result)?,
        latency_note: latency_note(result),
        latency: latency_figures(result)?,
        breakdowns: breakdowns(result),
        command: text::block(command),
        source: text::block(&scenario.source),
    };
    Ok(page.render()?)
}

/// What the template is filled with; everything but the charts is text and escaped by it.
#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    title: String,
    when: String,
    seeds: String,
    engine: String,
    reservations: Vec<String>,
    agreement: Vec<EnginesGroup>,
    live_reservations: Vec<String>,
    tuesday: String,
    format_version: u32,
    story: Vec<String>,
    verdict: Verdict,
    facts: Vec<String>,
    seeds_note: Option<String>,
    notes: Vec<String>,
    comparison: SideBySide,
    differences: Vec<Difference>,
    matrices: Vec<Matrix>,
    causes: Vec<CauseGroup>,
    breakers: Vec<BreakerGroup>,
    drawn_note: String,
    aftermath: String,
    has_faults: bool,
    load_note: String,
    load: Vec<Figure>,
    latency_note: String,
    latency: Vec<Figure>,
    breakdowns: Vec<Breakdown>,
    command: String,
    source: String,
}

/// How far the engines agree on a variant.
struct EnginesGroup {
    variant: String,
    rows: Vec<EnginesRow>,
}

/// A measure of both engines.
struct EnginesRow {
    what: String,
    simulated: String,
    live: String,
    apart: String,
    agrees: bool,
}

/// What is to be said of the live run, where both engines ran.
fn live_reservations(result: &ExperimentResult) -> Vec<String> {
    let told = result.agreement.iter().flat_map(|agreement| &agreement.reservations);
    told.map(|reservation| text::line(reservation)).collect()
}

/// The agreement table, where both engines ran.
fn engines(result: &ExperimentResult) -> Vec<EnginesGroup> {
    let row = |line: &AgreementLine| {
        let [simulated, live, apart] = line.told();
        EnginesRow { what: text::line(&line.what), simulated, live, apart, agrees: line.agrees }
    };
    let variants = result.agreement.iter().flat_map(|agreement| &agreement.variants);
    let groups = variants.map(|variant| EnginesGroup {
        variant: text::name(&variant.variant),
        rows: variant.lines.iter().map(row).collect(),
    });
    groups.filter(|group| !group.rows.is_empty()).collect()
}

/// A chart with its caption.
struct Figure {
    caption: String,
    /// Markup.
    svg: String,
}

/// The run that is drawn of each variant that has one: that of the first seed.
fn drawn(result: &ExperimentResult) -> impl Iterator<Item = (String, &RunResult)> {
    let first = |variant: &'_ VariantResult| text::name(&variant.name);
    result.variants.iter().filter_map(move |variant| Some((first(variant), variant.runs.first()?)))
}

/// Says which seed is drawn, where there are several.
fn drawn_note(result: &ExperimentResult) -> String {
    match result.scenario.seeds.as_slice() {
        [first, _, ..] => format!(" Drawn is seed {first}."),
        _ => String::new(),
    }
}

fn load_series(run: &RunResult) -> [Vec<u64>; 2] {
    let offered = run.populations.iter().map(|population| population.offered_per_s.as_slice());
    let admitted = run.populations.iter().map(|population| population.admitted_per_s.as_slice());
    [sum(offered), sum(admitted)]
}

/// From the first fault to the end of the last, seconds from the start.
fn faults(run: &RunResult) -> Option<(f64, f64)> {
    let harm = run.harm.as_ref()?;
    Some((harm.first_fault_us as f64 / 1e6, harm.last_fault_end_us as f64 / 1e6))
}

fn seconds(result: &ExperimentResult) -> usize {
    let series = runs(result).flat_map(|run| &run.populations);
    series
        .map(|population| population.offered_per_s.len().max(population.admitted_per_s.len()))
        .max()
        .unwrap_or(0)
}

fn load_note(result: &ExperimentResult) -> String {
    let each = match seconds_per_step(seconds(result), COLUMNS) {
        1 => String::new(),
        seconds => format!(
            " Each step stands for {} and shows its highest second.",
            format::span(seconds as f64 * 1e6)
        ),
    };
    let faults = if drawn(result).any(|(_, run)| faults(run).is_some()) {
        " The band goes from the first fault's start to the last one's end."
    } else {
        ""
    };
    format!(
        "Requests per second on the scenario's clock, UTC, all populations. Offered is counted by the intended time; \
         admitted are attempts that passed every rate limit.{each}{faults}{}",
        drawn_note(result)
    )
}

fn load_figures(result: &ExperimentResult) -> Result<Vec<Figure>, ChartError> {
    let series: Vec<(String, &RunResult, [Vec<u64>; 2])> =
        drawn(result).map(|(name, run)| (name, run, load_series(run))).collect();
    let top = series.iter().flat_map(|(_, _, both)| both).flatten().copied().max().unwrap_or(0);
    let seconds = seconds(result);
    if seconds == 0 {
        return Ok(Vec::new());
    }
    let figure =
        |(place, (name, run, [offered, admitted])): (usize, &(String, &RunResult, [Vec<u64>; 2]))| {
            let svg = load_chart(&LoadChart {
                id: format!("load-{place}"),
                variant: name,
                clock: Clock::of(&result.scenario),
                offered,
                admitted,
                faults: faults(run),
                seconds,
                top,
                seconds_per_step: seconds_per_step(seconds, COLUMNS),
            })?;
            Ok(Figure { caption: name.clone(), svg })
        };
    series.iter().enumerate().map(figure).collect()
}

fn latency_note(result: &ExperimentResult) -> String {
    format!(
        "Of requests that reached an upstream, from the intended send to the final answer or the give-up. Each step to \
         the right is a tenth of what is left. Of fewer than 10,000 requests, p99.99 is the slowest one.{}",
        drawn_note(result)
    )
}

fn latency_figures(result: &ExperimentResult) -> Result<Vec<Figure>, ChartError> {
    let mut populations: Vec<(&str, bool)> = Vec::new();
    for population in drawn(result).flat_map(|(_, run)| &run.populations) {
        if !populations.iter().any(|(name, _)| *name == population.name) {
            populations.push((&population.name, population.hostile));
        }
    }
    let everyone = "all populations but hostile ones";
    let mut figures = Vec::from_iter(latency_figure(result, 0, everyone, |run| Some(&run.overall.latency))?);
    // The only population is everyone.
    if let [(_, false)] = populations.as_slice() {
        return Ok(figures);
    }
    for (place, (name, hostile)) in populations.into_iter().enumerate() {
        let caption = if hostile { format!("{} (hostile)", text::name(name)) } else { text::name(name) };
        figures.extend(latency_figure(result, place + 1, &caption, |run| {
            let population = run.populations.iter().find(|population| population.name == name)?;
            Some(&population.summary.latency)
        })?);
    }
    Ok(figures)
}

fn latency_figure(
    result: &ExperimentResult,
    place: usize,
    caption: &str,
    latency: impl Fn(&RunResult) -> Option<&Distribution>,
) -> Result<Option<Figure>, ChartError> {
    let names: Vec<String> = result.variants.iter().map(|variant| text::name(&variant.name)).collect();
    let distributions = result.variants.iter().map(|variant| variant.runs.first().and_then(&latency));
    let chart = LatencyChart {
        id: format!("latency-{place}"),
        whose: caption,
        variants: names.iter().map(String::as_str).zip(distributions).collect(),
        slo_us: result.scenario.slo_latency_us,
    };
    Ok(latency_chart(&chart)?.map(|svg| Figure { caption: caption.to_owned(), svg }))
}

/// The series added up second by second.
fn sum<'a>(series: impl Iterator<Item = &'a [u32]>) -> Vec<u64> {
    let mut sums: Vec<u64> = Vec::new();
    for one in series {
        sums.resize(sums.len().max(one.len()), 0);
        for (sum, value) in sums.iter_mut().zip(one) {
            *sum += u64::from(*value);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn report(result: &ExperimentResult) -> String {
        html_report(result, "tuesday run window-boundary").unwrap()
    }

    fn assert_well_formed(page: &str) {
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let document = roxmltree::Document::parse_with_options(page, options).unwrap();
        let mut ids: Vec<&str> = document.descendants().filter_map(|node| node.attribute("id")).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "an id occurs twice");
        for node in document.descendants().filter(roxmltree::Node::is_element) {
            let name = node.tag_name().name();
            assert!(
                !["script", "img", "iframe", "object", "embed", "base", "form", "a"].contains(&name)
                    || local(node)
            );
            for attribute in node.attributes() {
                assert!(!attribute.name().starts_with("on"), "{attribute:?}");
                assert!(
                    !["src", "srcset", "action", "xlink:href"].contains(&attribute.name()),
                    "{attribute:?}"
                );
            }
            if name == "th" {
                assert!(node.has_attribute("scope"));
            }
        }
    }

    /// A link within the page.
    fn local(node: roxmltree::Node) -> bool {
        node.tag_name().name() == "a" && node.attribute("href").is_some_and(|href| href.starts_with('#'))
    }

    #[test]
    fn every_result_gives_a_well_formed_page_that_fetches_nothing() {
        let mut results = testing::odd();
        results.extend([
            testing::window_boundary(),
            testing::three_seeds(),
            testing::hostile(),
            testing::nothing_happened(),
            testing::incident(),
        ]);
        for result in results {
            let page = report(&result);
            assert_well_formed(&page);
            assert!(!page.contains("url("), "a style sheet fetches something");
            assert!(!page.contains("#FE"), "a sentinel colour was left");
        }
    }

    #[test]
    fn text_from_the_file_is_shown_and_not_obeyed() {
        let page = report(&testing::hostile());
        assert!(!page.contains("<script"));
        assert!(!page.contains("<b onclick"));
        assert!(page.contains("&#60;script&#62;alert(1)"));
        assert!(!page.contains(['\u{202e}', '\u{1b}', '\u{0}']));
    }

    #[test]
    fn the_page_says_what_the_terminal_says() {
        let result = testing::window_boundary();
        let page = report(&result);
        for fact in facts(&result) {
            assert!(page.contains(&fact), "{fact}");
        }
        assert!(page.contains("5 of 5 expectations held."));
        assert!(page.contains("tuesday run window-boundary"));
        assert!(page.contains("duration = &#34;2m&#34;"));
        assert_eq!(page.matches("<svg").count(), 4 + 3);
    }

    #[test]
    fn an_incident_is_shown_by_whom_it_hurt_and_by_the_breakers() {
        let page = report(&testing::incident());
        for shown in [
            "<td class=\"hurt-3\">18.8%<span class=\"note\">1,676 of 8,905</span></td>",
            "<td class=\"hurt-0\">0%<span class=\"note\">0 of 8,905</span></td>",
            "direct: depends on what failed",
            "checkout→payments",
            "<td>09:00:47</td><td>17.5 s</td>",
            "class=\"fill faults\"",
            "The band goes from",
        ] {
            assert!(page.contains(shown), "{shown}");
        }
        let without = report(&testing::window_boundary());
        for absent in ["id=\"blast-radius\"", "id=\"breakers\"", "The band goes from"] {
            assert!(!without.contains(absent), "{absent}");
        }
    }

    #[test]
    fn a_day_long_scenario_stays_a_small_file() {
        let page = report(&testing::long());
        assert!(page.len() < 1_000_000, "{} bytes", page.len());
        assert!(page.contains("Each step stands for 2 min 5 s and shows its highest second."));
        assert_well_formed(&page);
    }

    #[test]
    fn several_seeds_say_which_is_drawn() {
        let page = report(&testing::three_seeds());
        assert!(page.contains("Numbers are medians over 3 seeds."));
        assert!(page.contains("Drawn is seed 902."));
        assert!(page.contains("failed for seed 903"));
    }
}
