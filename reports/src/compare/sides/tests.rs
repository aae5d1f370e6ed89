//! Comparisons of results made by hand.

use unicode_width::UnicodeWidthStr;

use super::compare::{Compared, Side, compare, compare_with_first};
use super::json::{comparison_json, comparison_schema};
use super::regression::{Allowed, Margin, RegressionError, Threshold};
use super::requests::{PairCount, PairedRequests};
use super::result::{ComparisonResult, DifferenceVerdict, MeasureComparison, Method, side_letter};
use crate::result::experiment::ExperimentResult;
use crate::result::schema::tests as schema;
use crate::testing;
use crate::testing::plain;
use crate::write::html::comparison::comparison_html;
use crate::write::html::script::SCRIPT;
use crate::write::markdown::comparison::comparison_markdown;
use crate::write::terminal::comparison::comparison_summary;

/// The window-boundary scenario under so many seeds; `effect` is what the second variant adds to goodput, and `luck` what a
/// seed adds to both.
fn seeds(count: u64, first: u64, luck: impl Fn(u64) -> f64, effect: f64) -> ExperimentResult {
    let mut result = testing::window_boundary();
    result.variants.truncate(2);
    result.scenario.seeds = (first..first + count).collect();
    for (place, variant) in result.variants.iter_mut().enumerate() {
        let run = variant.runs[0].clone();
        variant.runs = result
            .scenario
            .seeds
            .iter()
            .map(|seed| {
                let mut run = run.clone();
                run.seed = *seed;
                run.overall.goodput_per_s = 100.0 + luck(*seed) + effect * place as f64;
                // Some of it is each variant's own.
                run.overall.goodput_per_s += ((seed * 7 + place as u64 * 3) % 5) as f64 * 0.1;
                run
            })
            .collect();
    }
    result
}

fn luck(seed: u64) -> f64 {
    ((seed * 2_654_435_761) % 97) as f64
}

fn pair(a: &str, b: &str) -> Vec<Compared> {
    vec![Compared { a: a.to_owned(), b: b.to_owned(), requests: None, worlds: Some(Vec::new()) }]
}

fn within(result: &ExperimentResult, a: &str, b: &str) -> ComparisonResult {
    let side = Side { label: "window-boundary", result };
    compare(side, side, pair(a, b), 0.95)
}

fn measure<'c>(result: &'c ComparisonResult, name: &str) -> &'c MeasureComparison {
    result.pairs[0].measures.iter().find(|measure| measure.name() == name).unwrap()
}

#[test]
fn a_configuration_is_the_same_as_itself() {
    let result = seeds(5, 1, luck, 0.0);
    let compared = within(&result, "fixed-window", "fixed-window");
    for measure in &compared.pairs[0].measures {
        assert_eq!(measure.verdict, DifferenceVerdict::Same, "{}", measure.name());
        assert_eq!(measure.interval.map(|[low, high]| low <= 0.0 && high >= 0.0), Some(true));
    }
    assert_eq!(compared.regressions(&Allowed::Nothing), Ok(Vec::new()));
    assert!(compared.pairs[0].settings.is_empty());
}

#[test]
fn few_seeds_find_a_difference_because_they_are_paired() {
    // Two a second, where luck moves it by up to 97.
    let result = seeds(6, 1, luck, -2.0);
    let compared = within(&result, "fixed-window", "token-bucket");
    let goodput = measure(&compared, "goodput");
    assert_eq!(compared.pairs[0].method, Method::PairedT);
    assert_eq!(goodput.verdict, DifferenceVerdict::Worse);
    let [low, high] = goodput.interval.unwrap();
    assert!(low < -2.0 && -2.0 < high + 0.2 && high < 0.0, "{low} {high}");

    // The same numbers under seeds of their own.
    let mut elsewhere = result.clone();
    for run in elsewhere.variants.iter_mut().flat_map(|variant| &mut variant.runs) {
        run.seed += 1_000;
    }
    let (a, b) = (Side { label: "a", result: &result }, Side { label: "b", result: &elsewhere });
    let unpaired = compare(a, b, pair("fixed-window", "token-bucket"), 0.95);
    assert_eq!(unpaired.pairs[0].method, Method::Welch);
    assert_eq!(measure(&unpaired, "goodput").verdict, DifferenceVerdict::Undecided);
    assert!(
        unpaired.reservations.iter().any(|told| told.contains("share no seeds")),
        "{:?}",
        unpaired.reservations
    );
}

#[test]
fn what_is_worse_is_told_once_for_each_measure() {
    // Of 2,000 offered requests served, token-bucket serves 13% fewer: 97.7% and 86.9%.
    let result = seeds(6, 1, luck, -2.0);
    let compared = within(&result, "fixed-window", "token-bucket");
    assert_eq!(measure(&compared, "success_rate").verdict, DifferenceVerdict::Worse);
    let regressions = compared.regressions(&Allowed::Nothing).unwrap();
    let told: Vec<_> = regressions
        .iter()
        .map(|regression| {
            let name = regression.sentence.split_once(" is worse").unwrap().0;
            (name.to_owned(), regression.parts.clone())
        })
        .collect();
    let pair = "token-bucket against fixed-window: ";
    assert_eq!(
        told,
        [
            (format!("{pair}goodput"), Some("clients.partner by 10.9/s".to_owned())),
            (format!("{pair}success_rate"), None),
        ]
    );
}

#[test]
fn what_never_came_counts_as_the_time_there_was() {
    let mut result = testing::incident();
    let runs = |run: &crate::result::run::RunResult| {
        (1..=4)
            .map(|seed| {
                let mut run = run.clone();
                run.seed = seed;
                if let Some(us) = run.harm.as_mut().and_then(|harm| harm.recovery_us.as_mut()) {
                    *us += seed * 1_000_000;
                }
                run
            })
            .collect()
    };
    for variant in &mut result.variants {
        variant.runs = runs(&variant.runs[0]);
    }
    let compared = within(&result, "quickstart", "recommended");
    let recovery = measure(&compared, "recovery_time");
    // 120 s were left after the fault; recommended is back after 39 s and 1 to 4 more.
    assert_eq!((recovery.a.never, recovery.b.never), (4, 0));
    assert!((recovery.difference + (120.0 - 41.5) * 1e6).abs() < 1.0, "{}", recovery.difference);
    assert_eq!(recovery.verdict, DifferenceVerdict::Better);
    let told = comparison_summary(&compared, 80, true);
    assert!(told.contains("never") && told.contains("at least what is told"), "{told}");
}

#[test]
fn one_seed_decides_nothing_but_by_its_requests() {
    let result = testing::window_boundary();
    let compared = within(&result, "fixed-window", "token-bucket");
    assert_eq!(compared.pairs[0].method, Method::Single);
    assert!(compared.pairs[0].measures.iter().all(|measure| measure.interval.is_none()));
    assert_eq!(compared.regressions(&Allowed::Nothing), Err(RegressionError::OneSeed));
    let decided = |verdict| !matches!(verdict, DifferenceVerdict::Undecided | DifferenceVerdict::Same);
    assert!(!compared.pairs[0].measures.iter().any(|measure| decided(measure.verdict)));
    assert!(compared.reservations[0].starts_with("One seed has no interval"), "{:?}", compared.reservations);

    let mut requests = PairedRequests::new(&["partner"], &["/"], Vec::new());
    requests.add_seed(902, &[vec![PairCount { total: 1000, only_in_a: 5, only_in_b: 60 }]]);
    let mut asked = pair("fixed-window", "token-bucket");
    asked[0].requests = Some(requests);
    let mut apart = result.clone();
    apart.variants[1].runs[0].overall.goodput_per_s = apart.variants[0].runs[0].overall.goodput_per_s + 0.5;
    let side = Side { label: "window-boundary", result: &apart };
    let compared = compare(side, side, asked, 0.95);
    let goodput = measure(&compared, "goodput");
    assert!(goodput.by_requests && goodput.interval.is_none());
    assert_eq!(goodput.verdict, DifferenceVerdict::Better);
}

#[test]
fn thresholds_are_exceeded_where_the_whole_interval_is_beyond_them() {
    let result = seeds(6, 1, luck, -2.0);
    let compared = within(&result, "fixed-window", "token-bucket");
    let by = |measure: &str, by| Allowed::By(vec![Threshold { measure: measure.to_owned(), by }]);
    let found = |allowed: &Allowed| compared.regressions(allowed).unwrap().len();
    let worse = compared.regressions(&Allowed::Nothing).unwrap();
    assert!(worse[0].sentence.contains(": goodput is worse by"), "{worse:?}");
    assert!(worse[0].parts.as_ref().unwrap().starts_with("clients.partner by"), "{worse:?}");
    assert!(worse[1].sentence.contains(": success_rate is worse by"), "{worse:?}");
    assert_eq!(worse.len(), 2, "{worse:?}");
    assert_eq!(found(&by("goodput", Margin::Absolute(1.0))), 1);
    assert_eq!(found(&by("goodput", Margin::Absolute(2.0))), 0);
    assert_eq!(found(&by("goodput", Margin::Share(0.001))), 1);
    assert_eq!(found(&by("goodput", Margin::Share(0.05))), 0);
    // Faster is no regression.
    assert_eq!(found(&by("latency.p99", Margin::Share(0.0))), 0);
    let unknown = compared.regressions(&by("goodput(clients.nobody)", Margin::Share(0.0))).unwrap_err();
    assert!(
        unknown
            .to_string()
            .starts_with("nothing was measured as `goodput(clients.nobody)`; there are goodput,")
    );
    let sentence = compared.regressions(&by("goodput", Margin::Absolute(1.0))).unwrap().remove(0).sentence;
    assert!(
        sentence.starts_with("token-bucket against fixed-window: goodput is worse by 2.03/s"),
        "{sentence}"
    );
    assert!(sentence.ends_with("More than 1/s was not allowed."), "{sentence}");
}

#[test]
fn what_else_differs_is_said() {
    let (a, mut b) = (seeds(5, 1, luck, 0.0), seeds(5, 3, luck, 0.0));
    b.engine = crate::result::experiment::Engine::Live;
    b.tuesday = "0.2.0".to_owned();
    b.scenario.slo_latency_us = 7;
    let compared = compare(
        Side { label: "a", result: &a },
        Side { label: "b", result: &b },
        vec![Compared {
            worlds: Some(vec!["upstreams".to_owned(), "faults".to_owned()]),
            ..pair("fixed-window", "fixed-window").remove(0)
        }],
        0.95,
    );
    for said in [
        "The two were run in different worlds, by their upstreams and faults",
        "SLO latencies differ",
        "over real sockets",
        "0.1.0 and 0.2.0",
        "Only seeds that both have are compared, 3; 4 runs of other seeds are left out.",
    ] {
        assert!(
            compared.reservations.iter().any(|told| told.contains(said)),
            "{said}: {:?}",
            compared.reservations
        );
    }
    assert_eq!(compared.pairs[0].seeds, [3, 4, 5]);
}

#[test]
fn the_kept_schema_is_that_of_the_types_and_holds() {
    let mut all = vec![within(&testing::window_boundary(), "fixed-window", "token-bucket")];
    all.push(within(&seeds(6, 1, luck, -2.0), "fixed-window", "token-bucket"));
    all.push(within(
        &testing::hostile(),
        &testing::hostile().variants[0].name,
        &testing::hostile().variants[0].name,
    ));
    all.push(all_of(&four()));
    schema::assert_kept_and_met("comparison.schema.json", &comparison_schema(), &all, comparison_json);
}

#[test]
fn the_terminal_says_it_on_eighty_columns() {
    let compared = within(&seeds(6, 1, luck, -2.0), "fixed-window", "token-bucket");
    insta::assert_snapshot!(plain(&comparison_summary(&compared, 80, true)));
    for result in testing::odd().into_iter().chain([testing::hostile(), testing::incident()]) {
        let names: Vec<String> = result.variants.iter().map(|variant| variant.name.clone()).collect();
        for name in &names {
            let told = plain(&comparison_summary(&within(&result, &names[0], name), 80, true));
            assert!(told.lines().all(|line| line.width() <= 80), "{told}");
            assert!(!told.contains(|character: char| character.is_control() && character != '\n'), "{told}");
        }
    }
}

#[test]
fn the_markdown_says_it_too() {
    insta::assert_snapshot!(comparison_markdown(&within(
        &seeds(6, 1, luck, -2.0),
        "fixed-window",
        "token-bucket"
    )));
}

/// The same scenario four times: as it is, 20/s better, a little better at most, and better under some seeds only.
fn four() -> [ExperimentResult; 4] {
    let base = seeds(8, 1, luck, 0.0);
    let with = |more: &dyn Fn(u64) -> f64| {
        let mut result = base.clone();
        for run in result.variants.iter_mut().flat_map(|variant| &mut variant.runs) {
            run.overall.goodput_per_s += more(run.seed);
        }
        result
    };
    let (better, alike) = (with(&|seed| 20.0 + (seed % 3) as f64), with(&|seed| (seed % 2) as f64 - 0.5));
    let unsure = with(&|seed| if seed % 2 == 0 { 30.0 } else { -25.0 });
    [base, better, alike, unsure]
}

fn all_of(results: &[ExperimentResult]) -> ComparisonResult {
    let labels = ["base", "better", "alike", "unsure"];
    let side = |place: usize| Side { label: labels[place], result: &results[place] };
    let variants = || [pair("fixed-window", "fixed-window"), pair("token-bucket", "token-bucket")].concat();
    let further = (2..results.len()).map(|place| (side(place), variants())).collect();
    compare_with_first(side(0), (side(1), variants()), further, 0.95)
}

#[test]
fn each_of_several_is_set_against_the_first() {
    let results = four();
    let compared = all_of(&results);
    let verdicts: Vec<_> = compared
        .pairs
        .iter()
        .map(|pair| {
            let goodput = pair.measures.iter().find(|measure| measure.name() == "goodput").unwrap();
            (pair.letter(), pair.a.as_str(), goodput.verdict.word())
        })
        .collect();
    assert_eq!(
        verdicts,
        [
            ("B".to_owned(), "fixed-window", "better"),
            ("B".to_owned(), "token-bucket", "better"),
            ("C".to_owned(), "fixed-window", "same"),
            ("C".to_owned(), "token-bucket", "same"),
            ("D".to_owned(), "fixed-window", "not sure"),
            ("D".to_owned(), "token-bucket", "not sure"),
        ]
    );
    // Each pair is what it is of two alone, but for the correction over all of them.
    let alone = all_of(&results[..2]);
    assert!(alone.further.is_empty() && !comparison_json(&alone).contains("\"side\""));
    let numbers = |compared: &ComparisonResult| -> Vec<_> {
        let measures = compared.pairs[..2].iter().flat_map(|pair| &pair.measures);
        measures.map(|measure| (measure.name(), measure.difference, measure.interval, measure.p)).collect()
    };
    assert_eq!(numbers(&alone), numbers(&compared));
}

#[test]
fn one_table_has_a_column_for_each_side() {
    let compared = all_of(&four());
    let told = plain(&comparison_summary(&compared, 120, false));
    insta::assert_snapshot!(told);
    insta::assert_snapshot!(comparison_markdown(&compared).lines().take(22).collect::<Vec<_>>().join("\n"));
    let page = comparison_html(&compared, "tuesday compare").unwrap();
    assert!(page.contains("A, B, C and D compared") && page.contains("<th scope=\"col\"><bdi>D</bdi></th>"));
    assert!(page.contains("<td class=\"best\">") && page.contains("<th scope=\"col\">C − A</th>"));
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    roxmltree::Document::parse_with_options(&page, options).unwrap();
    // Where the page is too narrow, the columns stand in several tables.
    for width in [20, 40, 60, 80] {
        let narrow = plain(&comparison_summary(&compared, width, false));
        assert!(
            narrow.contains(" D") && narrow.lines().all(|line| line.width() <= width.max(40)),
            "{narrow}"
        );
    }
}

#[test]
fn sides_are_called_by_letters() {
    assert_eq!(
        [0, 1, 25, 26, 27, 51, 52, 702].map(side_letter),
        ["A", "B", "Z", "AA", "AB", "AZ", "BA", "AAA"]
    );
}

#[test]
fn the_same_is_said_where_the_interval_at_90_percent_is_small() {
    // Of 100/s on average and more, two percent is more than 2/s.
    let verdict = |spread: f64| {
        let base = seeds(8, 1, |_| 0.0, 0.0);
        let mut other = base.clone();
        for run in other.variants.iter_mut().flat_map(|variant| &mut variant.runs) {
            run.overall.goodput_per_s += if run.seed % 2 == 0 { spread } else { -spread };
        }
        let (a, b) = (Side { label: "a", result: &base }, Side { label: "b", result: &other });
        let compared = compare(a, b, pair("fixed-window", "fixed-window"), 0.95);
        let goodput = measure(&compared, "goodput").clone();
        (goodput.verdict, goodput.interval.unwrap()[1])
    };
    // Eight differences of ±s: s · √(8/7) / √8 = 0.378 s; times 1.895, the t of 90% with seven degrees of freedom: 0.716 s. Times
    // 2.365, that of 95%, it is 0.894 s.
    let (same, interval) = verdict(2.5);
    assert_eq!(same, DifferenceVerdict::Same);
    // The interval that is told, at 95%, is wider than the 2% that the one at 90% is within.
    assert!(interval > 2.02, "{interval}");
    assert_eq!(verdict(3.0).0, DifferenceVerdict::Undecided);
    // A sure difference is better or worse, however small.
    let (a, b) = (seeds(8, 1, luck, 0.0), seeds(8, 1, |seed| luck(seed) + 1.0, 0.0));
    let compared = compare(
        Side { label: "a", result: &a },
        Side { label: "b", result: &b },
        pair("fixed-window", "fixed-window"),
        0.95,
    );
    assert_eq!(measure(&compared, "goodput").verdict, DifferenceVerdict::Better);
    // Recovery is told in whole seconds. Of eight differences of 0 and 1 s the mean is 0.5 s and the interval at 90%
    // 0.5 ± 1.895 · 0.535 / √8 = 0.14 … 0.86 s: within a step, and far beyond 2% of 5 s. Where no seed differs there is no difference.
    let recovering = |later: u64| {
        let mut result = testing::incident();
        result.variants.retain(|variant| variant.name == "recommended");
        let run = result.variants[0].runs[0].clone();
        let of_seed = |seed: u64| {
            let mut run = run.clone();
            run.seed = seed;
            run.harm.as_mut().unwrap().recovery_us = Some(5_000_000 + later * (seed % 2) * 1_000_000);
            run
        };
        result.variants[0].runs = (1..=8).map(of_seed).collect();
        result
    };
    let (a, b) = (recovering(0), recovering(1));
    for (b, verdict) in [(&b, DifferenceVerdict::Undecided), (&a, DifferenceVerdict::Same)] {
        let (a, b) = (Side { label: "a", result: &a }, Side { label: "b", result: b });
        let compared = compare(a, b, pair("recommended", "recommended"), 0.95);
        assert_eq!(measure(&compared, "recovery_time").verdict, verdict);
    }
    // Under one seed nothing is the same, be the numbers as they may.
    let single = within(&testing::window_boundary(), "fixed-window", "fixed-window");
    assert!(single.pairs[0].measures.iter().all(|measure| measure.verdict == DifferenceVerdict::Undecided));
}

#[test]
fn the_page_is_well_formed_and_fetches_nothing() {
    for result in
        testing::odd().into_iter().chain([testing::hostile(), testing::incident(), seeds(6, 1, luck, 2.0)])
    {
        let names: Vec<String> = result.variants.iter().map(|variant| variant.name.clone()).collect();
        let Some(first) = names.first() else { continue };
        for name in &names {
            let page = comparison_html(&within(&result, first, name), "tuesday compare").unwrap();
            let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
            roxmltree::Document::parse_with_options(&page, options).unwrap();
            assert!(!page.contains("url(") && !page.contains("#FE"));
            // The script that sorts tables, and no other, whatever somebody wrote into a name.
            assert!(
                page.contains(&format!("<script>{SCRIPT}</script>")) && page.matches("<script").count() == 1
            );
        }
    }
}
