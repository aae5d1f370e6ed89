//! The report: one HTML file that opens offline, prints, and can be passed on.
//!
//! It is drawn from a result alone, so that a saved one can be drawn again. It fetches nothing and holds one script, which is
//! the same in every page; its content security policy forbids every other, whatever a scenario's author writes into a name.
//! It is well-formed as XML too, which is the cheapest way to check that nothing in it was torn apart.

use askama::Template;

use crate::draw::canvas::ChartError;
use crate::draw::latency::{LatencyChart, LatencyLine, difference_chart, latency_chart};
use crate::measure::unit::Good;
use crate::record::distribution::Distribution;
use crate::record::harm::AFTERMATH;
use crate::result::agreement::AgreementLine;
use crate::result::experiment::ExperimentResult;
use crate::result::run::RunResult;
use crate::result::validity::{resent, reservations};
use crate::tell::advice::Advice;
use crate::tell::breakdown::{Breakdown, breakdowns};
use crate::tell::breaker_changes::{BreakerGroup, breaker_changes};
use crate::tell::cause_ranking::{CauseGroup, cause_ranking};
use crate::tell::differences::{Difference, differences};
use crate::tell::facts::facts;
use crate::tell::matrix::{Matrix, matrices};
use crate::tell::recommendation::Recommendation;
use crate::tell::root_causes::RootCauses;
use crate::tell::setting::{engine, seeds, seeds_note};
use crate::tell::side_by_side::{Extreme, SideBySide, external_gateways, marks, meanings, unanswered};
use crate::tell::strip::{RowStanding, Strip};
use crate::tell::verdict::Verdict;
use crate::words::detail::Detail;
use crate::words::{format, text};
use crate::write::html::drawn::{drawn, drawn_note};
use crate::write::html::script::Script;
use crate::write::html::timelines::{Timelines, timelines};
use crate::write::html::variants::{Alike, numbers};

/// A table of more columns stands closer, or that table would be wider than a page of 1,280 px.
const COLUMNS_OF_A_PAGE: usize = 14;

/// So many sentences and expectations are shown before a reader asks for more.
const TOLD_FIRST: usize = 6;

/// So many settings are shown before a reader asks for them: more would push what they did off the screen.
const SETTINGS_SHOWN: usize = 8;

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

/// The report as the text of an HTML file, as much of it as a browser opens at once. `command` is what a reader types to run
/// the experiment again.
///
/// # Errors
///
/// Drawing and filling in write to memory and fail in their types alone.
pub fn html_report(result: &ExperimentResult, command: &str) -> Result<String, HtmlError> {
    html_report_of(result, command, Detail::Fitted)
}

/// As [`html_report`], in that detail.
///
/// # Errors
///
/// As of [`html_report`].
pub fn html_report_of(result: &ExperimentResult, command: &str, detail: Detail) -> Result<String, HtmlError> {
    let scenario = &result.scenario;
    let recommendation = Recommendation::of(result);
    let comparison = SideBySide::of(result);
    let alike = Alike::all(result, &comparison);
    let page = Page {
        advice: Advice::of(result, &recommendation),
        strip: Strip::of(result, &recommendation),
        title: text::line(&scenario.name),
        when: format!("{} from {}", format::span(scenario.duration_s * 1e6), scenario.clock().start()),
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
        notes: meanings(result).into_iter().chain(marks(result)).collect(),
        unobserved: external_gateways(result).into_iter().chain(resent(result)).collect(),
        latency: latency_figures(result, &alike, detail)?,
        comparison,
        alike,
        differences: differences(result),
        matrices: matrices(result),
        root_causes: RootCauses::of(result),
        causes: cause_ranking(result),
        breakers: breaker_changes(result),
        drawn_note: drawn_note(result),
        aftermath: format::span(AFTERMATH.as_micros() as f64),
        timelines: timelines(result, detail)?,
        script: (!result.variants.is_empty()).then(Script::of_pages),
        latency_note: latency_note(result, detail),
        breakdowns: told_once(result, breakdowns(result, detail)),
        command: text::block(command),
        source: text::block(&scenario.source),
    };
    Ok(page.render()?)
}

/// What the template is filled with; everything but the charts is text and escaped by it.
#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    advice: Advice,
    strip: Strip,
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
    unobserved: Vec<String>,
    comparison: SideBySide,
    alike: Vec<Alike>,
    differences: Vec<Difference>,
    matrices: Vec<Matrix>,
    root_causes: Option<RootCauses>,
    causes: Vec<CauseGroup>,
    breakers: Vec<BreakerGroup>,
    drawn_note: String,
    aftermath: String,
    timelines: Option<Timelines>,
    /// `None` where there are no variants, and nothing to sort or to fold away.
    script: Option<Script>,
    latency_note: String,
    latency: Vec<Figure>,
    breakdowns: Vec<Breakdown>,
    command: String,
    source: String,
}

impl Page {
    /// As [`numbers`].
    #[expect(clippy::unused_self, reason = "templates call methods")]
    fn numbers(&self, places: &[usize]) -> String {
        numbers(places)
    }

    /// Whether a table has a lead of its own, and not that of the one before.
    fn has_own_lead(&self, table: &Breakdown) -> bool {
        let place = self.breakdowns.iter().position(|known| known.id == table.id);
        let before = place.and_then(|place| self.breakdowns.get(place.checked_sub(1)?));
        before.is_none_or(|before| before.lead != table.lead)
    }

    /// The place of a variant in the file, as an element has it; empty of a name that none has.
    fn number_of(&self, name: &str) -> String {
        let place = self.comparison.variants.iter().position(|known| known == name);
        place.map_or_else(String::new, |place| numbers(&[place]))
    }
}

/// The tables without what another has said: where a single route leads to each upstream, the requests of the upstreams are
/// those of the routes, and only attempts are left to tell.
fn told_once(result: &ExperimentResult, mut tables: Vec<Breakdown>) -> Vec<Breakdown> {
    let runs = || result.variants.iter().flat_map(|variant| &variant.runs);
    let repeats = runs().all(|run| {
        let mut reached = run.upstreams.iter().filter(|upstream| upstream.summary.offered > 0);
        reached.all(|upstream| run.routes.iter().any(|route| route.summary == upstream.summary))
    });
    let Some(place) = tables.iter().position(|table| table.id == "upstreams").filter(|_| repeats) else {
        return tables;
    };
    let table = &mut tables[place];
    let Some(own) = table.columns.iter().position(|column| column == "offered") else { return tables };
    table.columns.truncate(own);
    for row in table.groups.iter_mut().flat_map(|group| &mut group.rows) {
        row.cells.truncate(own);
        row.instead = None;
    }
    table.lead = "Attempts are those of the gateway and of other services, per request on the routes that reach the upstream, \
                  directly or through calls. One route leads to each upstream: the table of routes tells what became of the \
                  requests.";
    if own == 0 {
        tables.remove(place);
    }
    tables
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

/// The latency of a population: a chart of all variants, and one of how they differ from the first.
struct Figure {
    caption: String,
    /// Markup.
    svg: String,
    /// Markup; `None` where there is nothing to differ from.
    difference: Option<String>,
}

fn latency_note(result: &ExperimentResult, detail: Detail) -> String {
    let populations = all_populations(result).len();
    let left_out = match populations.checked_sub(MOST_FIGURES).filter(|_| detail == Detail::Fitted) {
        None | Some(0) => String::new(),
        Some(_) => format!(
            " Of {populations} populations the {MOST_FIGURES} that sent most are drawn; {}.",
            crate::words::detail::IN_FULL
        ),
    };
    format!(
        "Of requests that reached an upstream or were never answered, from the intended send to the final answer, the \
         give-up or the end of the run. Each step to the right is a tenth of what is left. Of fewer than 10,000 requests, \
         p99.99 is the slowest one. A band holds the percentile with 95% confidence, were requests independent of one another: \
         the band says how few requests there were, and not how much another seed would differ. Where the band ends, there were \
         too few to say.{}{}{left_out}",
        drawn_note(result),
        unanswered(result).map_or_else(String::new, |sentence| format!(" {sentence}"))
    )
}

/// More populations have no figures of their own.
const MOST_FIGURES: usize = 40;

/// Name, whether it is hostile and the most that it sent, of each.
fn all_populations(result: &ExperimentResult) -> Vec<(&str, bool, f64)> {
    let mut populations: Vec<(&str, bool, f64)> = Vec::new();
    for population in drawn(result).flat_map(|(_, run)| &run.populations) {
        let offered = population.summary.offered as f64;
        match populations.iter_mut().find(|(name, ..)| *name == population.name) {
            Some((.., most)) => *most = most.max(offered),
            None => populations.push((&population.name, population.hostile, offered)),
        }
    }
    populations
}

fn latency_figures(
    result: &ExperimentResult,
    alike: &[Alike],
    detail: Detail,
) -> Result<Vec<Figure>, ChartError> {
    let all = all_populations(result);
    let weights: Vec<f64> = all.iter().map(|(.., offered)| *offered).collect();
    let kept = detail.keep(MOST_FIGURES, &weights);
    let populations: Vec<(&str, bool)> = kept.iter().map(|place| (all[*place].0, all[*place].1)).collect();
    let everyone = "all populations but hostile ones";
    let mut figures =
        Vec::from_iter(latency_figure(result, alike, 0, everyone, |run| Some(&run.overall.latency))?);
    // The only population is everyone.
    if let [(_, false)] = populations.as_slice() {
        return Ok(figures);
    }
    for (place, (name, hostile)) in populations.into_iter().enumerate() {
        let caption = if hostile { format!("{} (hostile)", text::name(name)) } else { text::name(name) };
        figures.extend(latency_figure(result, alike, place + 1, &caption, |run| {
            let population = run.populations.iter().find(|population| population.name == name)?;
            Some(&population.summary.latency)
        })?);
    }
    Ok(figures)
}

/// Of so many populations, the first one everybody, the difference to the first variant is drawn too.
const DIFFERENCES: usize = 8;

fn latency_figure(
    result: &ExperimentResult,
    alike: &[Alike],
    place: usize,
    caption: &str,
    latency: impl Fn(&RunResult) -> Option<&Distribution>,
) -> Result<Option<Figure>, ChartError> {
    let names: Vec<String> = alike.iter().map(|group| group.names.join(" = ")).collect();
    let lines = alike.iter().zip(&names).map(|(group, name)| LatencyLine {
        name,
        place: group.first(),
        variants: &group.numbers,
        distribution: result.variants[group.first()].runs.first().and_then(&latency),
    });
    let chart = LatencyChart {
        id: format!("latency-{place}"),
        whose: caption,
        lines: lines.collect(),
        slo_us: result.scenario.slo_latency_us,
    };
    let Some(svg) = latency_chart(&chart)? else { return Ok(None) };
    let difference = if place < DIFFERENCES { difference_chart(&chart)? } else { None };
    Ok(Some(Figure { caption: caption.to_owned(), svg, difference }))
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::testing;
    use crate::write::html::script::SCRIPT;

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
                !["img", "iframe", "object", "embed", "base", "form", "a"].contains(&name) || local(node)
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
        assert_eq!(page.matches("<script").count(), 1);
        assert!(page.contains(&format!("<script>{SCRIPT}</script>")));
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
        // The strip's picture and two bars of each variant; load, admitted, latency, saturation of three, workers of gateway and
        // upstream and who waited for the latter, amplification; and percentiles with their differences to the first.
        assert_eq!(page.matches("<svg").count(), 4 * 3 + 4 + 4 + 4 + 3 + 8 + 4 + 4 + 2 * 3);
    }

    #[test]
    fn an_incident_is_shown_by_whom_it_hurt_and_by_the_breakers() {
        let page = report(&testing::incident());
        for shown in [
            "<td class=\"hurt-3\" data-variants=\"0\">18.8%<span class=\"note\">1,676 of 8,905</span></td>",
            "<td class=\"hurt-0\" data-variants=\"1\">0%<span class=\"note\">0 of 8,905</span></td>",
            "direct: depends on what failed",
            "checkout→payments",
            "<td>09:00:47</td><td>17.5 s</td>",
            "class=\"fill faults\"",
            "Something failed where the background is shaded.",
            "<bdi>hang on catalog and search</bdi>",
            "aria-label=\"09:00:47 open: 64 of 128 failed: 52 timeouts and 12 error answers\"",
            "The breaker before checkout under breaker opened twice and was closed at the end.",
        ] {
            assert!(page.contains(shown), "{shown}");
        }
        let without = report(&testing::window_boundary());
        for absent in ["id=\"blast-radius\"", "id=\"breakers\"", "background is shaded"] {
            assert!(!without.contains(absent), "{absent}");
        }
    }

    /// Every element with the names of its attributes, and the class of those that have one.
    fn skeleton(page: &str) -> Vec<String> {
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let document = roxmltree::Document::parse_with_options(page, options).unwrap();
        let elements = document.descendants().filter(roxmltree::Node::is_element);
        let told = elements.map(|element| {
            let names: Vec<&str> = element.attributes().map(|attribute| attribute.name()).collect();
            let class = element.attribute("class").unwrap_or_default();
            format!("{} {names:?} {class}", element.tag_name().name())
        });
        told.collect()
    }

    #[test]
    fn whatever_somebody_wrote_changes_nothing_but_the_text() {
        let named = |words: &str| {
            let mut result = testing::incident();
            result.scenario.name = words.to_owned();
            result.scenario.story = words.to_owned();
            result.scenario.source = words.to_owned();
            for expectation in &mut result.expectations {
                expectation.text = words.to_owned();
            }
            for (place, variant) in result.variants.iter_mut().enumerate() {
                variant.name = format!("{words}{place}");
                let run = &mut variant.runs[0];
                run.routes[0].name = words.to_owned();
                run.upstreams[0].name = words.to_owned();
                run.stations[1].name = words.to_owned();
                run.faults[0].kind = words.to_owned();
                run.faults[1].upstreams[0] = words.to_owned();
                for limit in &mut run.limits {
                    let buckets = limit.saturation.iter_mut().flat_map(|saturation| &mut saturation.buckets);
                    buckets.for_each(|bucket| bucket.name = words.to_owned());
                }
                for breaker in &mut run.breakers {
                    breaker.name = format!("{words}{}", breaker.name);
                }
            }
            report(&result)
        };
        let plain = skeleton(&named("word"));
        let long = "x".repeat(10_000);
        for words in [
            "<script>alert(1)</script>",
            "\" onfocus=\"alert(1)\" autofocus=\"",
            "'><img src=http://example.com/x.png>",
            "]]> --> </style></svg>",
            "{{ 7 * 7 }} {% include \"x\" %}",
            "|;:,%",
            "\u{202e}שלום עולם مرحبا",
            long.as_str(),
        ] {
            let page = named(words);
            assert_well_formed(&page);
            assert!(skeleton(&page) == plain, "{} changes the page", &words[..words.len().min(40)]);
        }
    }

    #[test]
    fn the_policy_names_the_script_that_is_there_and_no_other() {
        let page = report(&testing::window_boundary());
        let script = page.split("<script>").nth(1).unwrap().split("</script>").next().unwrap();
        let digest = BASE64_STANDARD.encode(Sha256::digest(script));
        assert!(page.contains(&format!("script-src 'sha256-{digest}'\" />")), "{digest}");
        assert!(!script.contains(['<', '&']), "the script would read differently as XML");
        // Without variants there is nothing to sort or to fold away.
        let without = report(&testing::odd()[0]);
        assert!(!without.contains("script-src") && !without.contains("<script"));
    }

    #[test]
    fn variants_that_did_just_the_same_are_one_row_and_one_column() {
        let mut result = testing::incident();
        result.variants[3].runs = result.variants[1].runs.clone();
        let page = report(&result);
        let one =
            "<tr data-variants=\"1 3\"><th scope=\"row\"><bdi>timeout</bdi> = <bdi>recommended</bdi></th>";
        assert_eq!(page.matches(one).count(), 1, "the table");
        assert_eq!(
            page.matches(
                "<th scope=\"col\" data-variants=\"1 3\"><bdi>timeout</bdi> = <bdi>recommended</bdi></th>"
            )
            .count(),
            2
        );
        // Settings differ all the same.
        assert!(
            page.contains(
                "<th scope=\"col\" class=\"variant\" data-variants=\"3\"><bdi>recommended</bdi></th>"
            )
        );
        assert_well_formed(&page);
    }

    #[test]
    fn causes_are_a_picture_and_a_table() {
        let page = report(&testing::incident());
        assert!(page.contains("<li><span class=\"part root-0\" aria-hidden=\"true\">1</span> <bdi>fault: slow on payments</bdi></li>"));
        assert!(page.contains("title=\"fault: slow on payments: 2,000 requests, 100%\">1</span>"));
        assert!(page.contains("data-table=\"causes\""));
        assert!(!report(&testing::window_boundary()).contains("class=\"stacks\""));
    }

    #[test]
    fn an_upstream_repeats_nothing_that_its_route_has_told() {
        let mut result = testing::window_boundary();
        let heads = |result: &ExperimentResult| {
            let tables = told_once(result, breakdowns(result, Detail::Full));
            tables.into_iter().find(|table| table.id == "upstreams").unwrap().columns.join(", ")
        };
        assert_eq!(heads(&result), "attempts, per request");
        // Of an upstream that several routes lead to, no route tells all.
        result.variants[0].runs[0].upstreams[0].summary.offered += 1;
        assert!(heads(&result).starts_with("attempts, per request, offered, success"));
    }

    /// Every row and every cell of a variant says so, or a reader could not fold the variant away.
    #[test]
    fn what_belongs_to_a_variant_says_so() {
        let page = report(&testing::incident());
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let document = roxmltree::Document::parse_with_options(&page, options).unwrap();
        for name in ["quickstart", "timeout", "breaker", "recommended"] {
            let place =
                ["quickstart", "timeout", "breaker", "recommended"].iter().position(|known| *known == name);
            let place = place.unwrap().to_string();
            let told =
                document.descendants().filter(|node| node.has_tag_name("bdi") && node.text() == Some(name));
            for node in told {
                let of = node.ancestors().find_map(|node| node.attribute("data-variants"));
                // The chooser and the sentences name all.
                let is_free = node
                    .ancestors()
                    .any(|node| ["label", "li", "p", "figure"].contains(&node.tag_name().name()));
                assert!(
                    is_free || of.is_some_and(|of| of.split(' ').any(|one| one == place)),
                    "{name}: {of:?}"
                );
            }
        }
        let tables = document.descendants().filter(|node| node.has_tag_name("table"));
        let mut ids: Vec<&str> = tables.filter_map(|table| table.attribute("data-table")).collect();
        let all = ids.len();
        assert!(all >= 9, "{ids:?}");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }

    #[test]
    fn sixteen_variants_of_thirty_routes_stay_a_small_file() {
        let result = testing::wide();
        let page = report(&result);
        if let Some(path) = std::env::var_os("TUESDAY_WIDE_PAGE") {
            std::fs::write(path, &page).unwrap();
        }
        assert!(page.len() < 3_000_000, "{} bytes", page.len());
        assert_well_formed(&page);
        assert_eq!((result.variants.len(), result.variants[0].runs[0].routes.len()), (16, 30));
        if let Some(path) = std::env::var_os("TUESDAY_WIDE_PAGE") {
            std::fs::write(path, &page).unwrap();
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
