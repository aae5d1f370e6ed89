//! Comparisons of whole runs: how often they are wrong where nothing differs, that pairs find what differs, and the command.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs;

use reports::{
    Compared, ComparisonResult, DifferenceVerdict, ExperimentResult, MeasureComparison, Method, Side, compare,
};
use tempfile::TempDir;
use tuesday::{run_comparison, run_experiment};

use crate::common::{command, scenario};

/// A busy upstream whose waiting times differ from seed to seed; the second variant answers 3% more slowly.
const BUSY: &str = r#"
name = "Busy"
duration = "10s"
slo.latency = "150ms"
upstreams.api = { workers = 4, latency = { exponential = { mean = "40ms" } } }
routes."/".upstream = "api"
clients.all = { send = "/", rate = "60/s", arrivals = "poisson" }
[variants.a]
[variants.slower]
upstreams.api.latency = { exponential = { mean = "41.2ms" } }
"#;

fn compared(a: &ExperimentResult, b: &ExperimentResult, variants: [&str; 2]) -> ComparisonResult {
    let [of_a, of_b] = variants.map(str::to_owned);
    let pair = Compared { a: of_a, b: of_b, requests: None, worlds: Some(Vec::new()) };
    compare(Side { label: "a", result: a }, Side { label: "b", result: b }, vec![pair], 0.95)
}

fn measure<'c>(result: &'c ComparisonResult, name: &str) -> &'c MeasureComparison {
    result.pairs[0].measures.iter().find(|measure| measure.name() == name).unwrap()
}

/// Some of the runs, under seeds counted from one.
fn some(result: &ExperimentResult, from: usize, count: usize) -> ExperimentResult {
    let mut some = result.clone();
    some.scenario.seeds = (1..=count as u64).collect();
    for variant in &mut some.variants {
        variant.runs = variant.runs[from..from + count].to_vec();
        for (seed, run) in (1..).zip(&mut variant.runs) {
            run.seed = seed;
        }
    }
    some
}

/// 60 comparisons of one configuration with itself, four seeds against four others: an interval misses three times, give or
/// take 1.7.
#[test]
fn a_configuration_compared_with_itself_differs_as_often_as_the_confidence_says() {
    let scenario = scenario(BUSY);
    let seeds: Vec<u64> = (1..=480).collect();
    let mut alone = scenario.clone();
    alone.variants.truncate(1);
    let result = run_experiment(&alone, &seeds, || {});
    let (mut missed, mut wrong) = ([0; 3], 0);
    for comparison in 0..60 {
        let (a, b) = (some(&result, comparison * 8, 4), some(&result, comparison * 8 + 4, 4));
        let compared = compared(&a, &b, ["a", "a"]);
        for (missed, name) in missed.iter_mut().zip(["goodput", "latency.p50", "latency.p99"]) {
            let [low, high] = measure(&compared, name).interval.unwrap();
            *missed += u32::from(low > 0.0 || high < 0.0);
        }
        let decided = |verdict| !matches!(verdict, DifferenceVerdict::Undecided | DifferenceVerdict::Same);
        wrong += u32::from(compared.pairs[0].measures.iter().any(|measure| decided(measure.verdict)));
    }
    assert!(missed.iter().all(|missed| *missed <= 8), "{missed:?}");
    assert!(missed.iter().sum::<u32>() > 0, "a 95% interval that never misses is too wide");
    assert!(wrong <= 8, "{wrong}");
}

#[test]
fn few_seeds_find_a_small_difference_because_they_are_paired() {
    let scenario = scenario(BUSY);
    let result = run_experiment(&scenario, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], || {});
    let (here, there) = (some(&result, 0, 6), some(&result, 6, 6));
    let paired = compared(&here, &here, ["a", "slower"]);
    let p50 = measure(&paired, "latency.p50");
    assert_eq!(p50.verdict, DifferenceVerdict::Worse, "{p50:?}");
    // The same number of runs of each, under seeds of their own.
    let mut there = there;
    for run in there.variants.iter_mut().flat_map(|variant| &mut variant.runs) {
        run.seed += 100;
    }
    let unpaired = compared(&here, &there, ["a", "slower"]);
    assert_eq!(unpaired.pairs[0].method, Method::Welch);
    assert_eq!(measure(&unpaired, "latency.p50").verdict, DifferenceVerdict::Undecided);
    // With itself, under the same seeds, there is nothing to tell.
    let same = compared(&here, &here, ["a", "a"]);
    assert!(same.pairs[0].measures.iter().all(|measure| measure.verdict == DifferenceVerdict::Same));
}

#[test]
fn requests_are_paired_one_by_one() {
    let scenario = scenario(BUSY);
    let [a, slower] = [&scenario.variants[0], &scenario.variants[1]];
    let (result, requests) = run_comparison(&scenario, [a, slower], &[1, 2, 3], || {});
    let offered =
        |variant: usize| -> u64 { result.variants[variant].runs.iter().map(|run| run.overall.offered).sum() };
    let good =
        |variant: usize| -> u64 { result.variants[variant].runs.iter().map(|run| run.overall.good).sum() };
    assert_eq!((requests.all.total, offered(0)), (offered(0), offered(1)));
    // Who is good in one and not in the other is what they differ by.
    let pairs = requests.all;
    assert_eq!(good(0) + pairs.only_in_b, good(1) + pairs.only_in_a);
    assert!(pairs.only_in_a > pairs.only_in_b, "{pairs:?}");
    assert_eq!(requests.seeds.len(), 3);
    assert_eq!(run_comparison(&scenario, [a, a], &[1], || {}).1.all.only_in_a, 0);
    // Runs as an experiment has them, to the last bit.
    assert_eq!(result.variants, run_experiment(&scenario, &[1, 2, 3], || {}).variants);
}

#[test]
fn users_and_other_loads_are_not_paired() {
    let text = BUSY.replace(
        "[variants.a]",
        "clients.users = { send = '/', users = 2, think = { constant = '1s' } }\nclients.more = { send = '/', rate = '1/s' }\n\
         clients.bots = { send = '/', rate = '1/s', hostile = true }\n[variants.a]\nclients.more.rate = '2/s'",
    );
    let scenario = scenario(&text);
    let [a, b] = [&scenario.variants[0], &scenario.variants[1]];
    let (_, requests) = run_comparison(&scenario, [a, b], &[1], || {});
    assert_eq!(requests.unpaired, ["users", "more"]);
    let paired: Vec<&str> = requests.populations.iter().map(|named| &*named.name).collect();
    assert_eq!(paired, ["all"]);
}

/// What the command said, whole, and how it exited.
fn tuesday(folder: &TempDir, args: &[&str]) -> (Option<i32>, String, String) {
    let output = command(folder.path()).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn desk() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("busy.toml"), BUSY).unwrap();
    folder
}

#[test]
fn two_variants_of_a_scenario_are_run_and_compared() {
    let folder = desk();
    let (code, out, err) =
        tuesday(&folder, &["compare", "busy.toml", "--seeds", "5", "--format", "html,json,md"]);
    assert_eq!((code, &*err), (Some(0), ""));
    for said in [
        "a (A) → slower (B): 5 seeds, 1 to 5, paired by seed",
        "latency.p50",
        "▼ worse",
        "Request by request: of ",
        "comparison: tuesday-results/busy/comparison.html",
    ] {
        assert!(out.contains(said), "{said}: {out}");
    }
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    for file in ["comparison.html", "comparison.json", "comparison.md"] {
        assert!(folder.path().join("tuesday-results/busy").join(file).is_file(), "{file}");
    }
    let json = fs::read_to_string(folder.path().join("tuesday-results/busy/comparison.json")).unwrap();
    let args = ["compare", "busy.toml", "--seeds", "5", "--threads", "1", "--json"];
    assert_eq!(tuesday(&folder, &args), (Some(0), json, String::new()), "threads change nothing");
}

#[test]
fn the_page_says_how_to_compare_again_in_words_that_a_shell_takes() {
    let folder = desk();
    fs::rename(folder.path().join("busy.toml"), folder.path().join("it's busy.toml")).unwrap();
    let reproduced = |more: &[&str]| {
        let args = [&["compare", "it's busy.toml", "--seeds", "2", "--quiet"], more].concat();
        assert_eq!(tuesday(&folder, &args).0, Some(0));
        let page = folder.path().join("tuesday-results/it's busy/comparison.html");
        let page = fs::read_to_string(page).unwrap();
        let command =
            page.split("aria-label=\"Command\"><code>").nth(1).unwrap().split("</code>").next().unwrap();
        command.replace("&#39;", "'")
    };
    let again = r"tuesday compare 'it'\''s busy.toml'";
    assert_eq!(reproduced(&[]), format!("{again} --seeds 2"));
    assert_eq!(
        reproduced(&["--variant", "slower,a", "--seed", "7", "--confidence", "99.9%"]),
        format!("{again} --variant slower,a --seed 7 --seeds 2 --confidence 99.9%")
    );
}

#[test]
fn saved_results_are_compared_by_variant_and_fail_where_something_is_worse() {
    let folder = desk();
    let slower = BUSY.replace("40ms", "48ms");
    fs::create_dir(folder.path().join("after")).unwrap();
    fs::write(folder.path().join("after/busy.toml"), slower).unwrap();
    for (file, out) in [("busy.toml", "before"), ("after/busy.toml", "now")] {
        let args =
            ["run", file, "--seeds", "6", "--out", out, "--format", "json", "--variant", "a", "--quiet"];
        assert_eq!(tuesday(&folder, &args).0, Some(0));
    }
    let compared = |more: &[&str]| {
        let mut args = vec!["compare", "before/busy", "now/busy/result.json"];
        args.extend(more);
        tuesday(&folder, &args)
    };
    let (code, out, _) = compared(&[]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("! The two were run in different worlds, by their upstreams: what"), "{out}");
    assert!(out.contains("a, A → B: 6 seeds, 1 to 6, paired by seed"), "{out}");
    let (code, out, _) = compared(&["--fail-on-regression"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("REGRESSION: a: latency.p50 is worse by "), "{out}");
    let (code, out, _) = compared(&["--fail-on-regression=latency.p50=100%,goodput=50%", "--quiet"]);
    assert_eq!((code, &*out), (Some(0), ""));
    let (code, _, err) = compared(&["--fail-on-regression=latency.p50=1%", "--json"]);
    assert_eq!(code, Some(1));
    assert!(err.starts_with("error: a: latency.p50 is worse by "), "{err}");
    let (code, _, err) = compared(&["--fail-on-regression=goodput(clients.nobody)=1%"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("nothing was measured as `goodput(clients.nobody)`"), "{err}");
}

/// A quarter of the requests is never answered under `stuck`. Who was answered was as quickly as under `a`, 10 ms; of all that
/// were sent over 40 s, 1% are the 4% of the payers who came in the first 1.6 s: when the drain of 5 min is over, they have waited
/// for 5 min 38.4 s at least.
#[test]
fn who_was_never_answered_is_a_regression_of_latency() {
    let folder = TempDir::new().unwrap();
    let text = r#"
        name = "Stuck"
        duration = "40s"
        slo.latency = "150ms"
        upstreams = { api.latency = { constant = "10ms" }, pay.latency = { constant = "10ms" } }
        routes = { "/".upstream = "api", "/pay".upstream = "pay" }
        clients.readers = { send = "/", rate = "30/s", arrivals = "poisson" }
        clients.payers = { send = "/pay", rate = "10/s", arrivals = "poisson" }
        [variants.a]
        [variants.stuck]
        upstreams.pay.latency = { constant = "10m" }
    "#;
    fs::write(folder.path().join("stuck.toml"), text).unwrap();
    let compare =
        ["compare", "stuck.toml", "a", "stuck", "--seeds", "5", "--fail-on-regression=latency.p99=10%"];
    let (code, out, _) = tuesday(&folder, &compare);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("REGRESSION: stuck against a: latency.p99 is worse by "), "{out}");
    assert!(out.contains("10 ms → ≥ 5 min 38 s"), "{out}");
}

#[test]
fn what_cannot_be_compared_says_what_can() {
    let folder = desk();
    let run = ["run", "busy.toml", "--out", "saved", "--format", "json", "--quiet"];
    assert_eq!(tuesday(&folder, &run).0, Some(0));
    fs::write(folder.path().join("broken.json"), "{\n  \"version\": 1\n}").unwrap();
    for (args, said) in [
        (
            &["saved/busy", "busy.toml"][..],
            "busy.toml: there is no result.json in it; `tuesday run` writes one",
        ),
        (&["saved/busy", "nowhere"], "nowhere: there is no result.json in it"),
        (&["saved/busy", "broken.json"], "broken.json: line 3, column 1: not a result of Tuesday"),
        (&["saved/busy", "gone.json"], "gone.json: cannot be read"),
        (&["nowhere.toml"], "nowhere.toml: there is no such file"),
        (
            &["busy.toml", "--variant", "a"],
            "busy.toml: choose two variants, as in `tuesday compare busy.toml A B`; it has a, slower",
        ),
        (&["busy.toml", "a", "slowr"], "busy.toml has no variant `slowr`; did you mean `slower`?"),
        (&["busy.toml", "a", "slower", "--variant", "a,slower"], "the variants are named twice"),
        (&["busy.toml", "--variant", "a,slowr"], "busy.toml has no variant `slowr`; did you mean `slower`?"),
        (&["saved/busy", "--variant", "a,b"], "saved/busy has no variant `b`; "),
        (&["saved/busy", "saved/busy", "--seeds", "3"], "a saved result has its seeds"),
        (
            &["saved/busy", "--fail-on-regression"],
            "--fail-on-regression: one seed tells no difference from luck",
        ),
        (&["saved/busy", "goodput=2%"], "`--fail-on-regression=goodput=2%`"),
        (
            &["busy.toml", "--fail-on-regression=goodptu=2%"],
            "there is no measure `goodptu`; did you mean `goodput`?",
        ),
        (&["busy.toml", "--confidence", "95"], "a percentage from 50% to 99.99%, such as 95%"),
    ] {
        let (code, out, err) = tuesday(&folder, &[&["compare"], args].concat());
        assert_eq!((code, &*out), (Some(2), ""), "{args:?}: {err}");
        assert!(err.contains(said), "{args:?}: {err}");
    }
    assert!(!folder.path().join("tuesday-results").exists(), "nothing was written");
}

#[test]
fn one_seed_says_so() {
    let folder = desk();
    let (code, out, _) = tuesday(&folder, &["compare", "busy.toml", "--seeds", "1", "--explain"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("! One seed has no interval"), "{out}");
    assert!(out.contains("McNemar's test over pairs of requests"), "{out}");
    // How the numbers are meant is told to who asks for it.
    let (_, brief, _) = tuesday(&folder, &["compare", "busy.toml", "--seeds", "1"]);
    assert!(
        !brief.contains("McNemar") && out.starts_with(brief.split("\ncomparison:").next().unwrap()),
        "{brief}"
    );
}

#[test]
fn the_variants_of_a_scenario_or_a_result_may_stand_behind_it() {
    let folder = desk();
    let written = || fs::read_to_string(folder.path().join("tuesday-results/busy/comparison.json")).unwrap();
    for one in ["busy.toml", "saved/busy"] {
        if one != "busy.toml" {
            let run = ["run", "busy.toml", "--out", "saved", "--format", "json", "--quiet", "--seeds", "2"];
            assert_eq!(tuesday(&folder, &run).0, Some(0));
        }
        let seeds: &[&str] = if one == "busy.toml" { &["--seeds", "2"] } else { &[] };
        let (code, _, err) = tuesday(&folder, &[&["compare", one, "slower", "a"], seeds].concat());
        assert_eq!(code, Some(0), "{err}");
        let behind = written();
        assert!(behind.contains("\"a\": \"slower\""), "{behind}");
        let (code, ..) = tuesday(&folder, &[&["compare", one, "--variant", "slower,a"], seeds].concat());
        assert_eq!((code, written()), (Some(0), behind));
    }
}

#[test]
fn any_number_of_results_or_variants_is_compared_with_the_first() {
    let folder = desk();
    for (place, latency) in ["40ms", "40ms", "60ms"].into_iter().enumerate() {
        let file = format!("v{place}/busy.toml");
        fs::create_dir(folder.path().join(format!("v{place}"))).unwrap();
        fs::write(folder.path().join(&file), BUSY.replace("40ms", latency)).unwrap();
        let out = format!("out{place}");
        let args =
            ["run", &file, "--seeds", "6", "--out", &out, "--format", "json", "--variant", "a", "--quiet"];
        assert_eq!(tuesday(&folder, &args).0, Some(0));
    }
    let (code, out, err) =
        tuesday(&folder, &["compare", "out0/busy", "out1/busy", "out2/busy", "--format", "html,json,md"]);
    assert_eq!((code, &*err), (Some(0), ""), "{out}");
    for said in ["A: out0/busy", "C: out2/busy", "a, A → B: 6 seeds", "a, A → C: 6 seeds"] {
        assert!(out.contains(said), "{said}: {out}");
    }
    assert!(out.contains("! A and C: The two were run in different worlds, by their upstreams"), "{out}");
    let line = out.lines().find(|line| line.starts_with("goodput")).unwrap();
    assert!(line.contains(" same ") && line.ends_with("▼ worse"), "{line}");
    let json = fs::read_to_string(folder.path().join("tuesday-results/busy/comparison.json")).unwrap();
    let compared: ComparisonResult = serde_json::from_str(&json).unwrap();
    assert_eq!(
        compared.sides().map(|side| &*side.label).collect::<Vec<_>>(),
        ["out0/busy", "out1/busy", "out2/busy"]
    );
    let (code, out, _) =
        tuesday(&folder, &["compare", "out0/busy", "out1/busy", "out2/busy", "--fail-on-regression"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("REGRESSION: a, C against A: goodput is worse by "), "{out}");
    assert!(!out.contains("a, B against A"), "{out}");
    let (code, _, err) =
        tuesday(&folder, &["compare", "out0/busy", "out1/busy", "out2/busy", "--variant", "a,a"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("there are 3 results, and `--variant` names 2"), "{err}");
    // Variants of a scenario, and of one result.
    let run = ["run", "busy.toml", "--out", "saved", "--format", "json", "--quiet", "--seeds", "3"];
    assert_eq!(tuesday(&folder, &run).0, Some(0));
    for one in [&["busy.toml", "a", "slower", "a", "--seeds", "3"][..], &["saved/busy", "a", "slower", "a"]] {
        let (code, out, err) = tuesday(&folder, &[&["compare"], one].concat());
        assert_eq!(code, Some(0), "{err}");
        assert!(
            out.contains("a (A) → slower (B): seeds 1, 2 and 3") && out.contains("a, A → C: seeds"),
            "{out}"
        );
    }
}
