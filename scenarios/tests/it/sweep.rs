//! Sweeps of whole scenarios, through the real command.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs;

use reports::SweepResult;
use tempfile::TempDir;
use tuesday::run_experiment;

use crate::common::{command, scenario};

/// 30 requests a second hang until the gateway's timeout: 30/s × T of 60 workers are held, all of them from T = 2 s on. The
/// others need a worker for a millisecond each.
const POOL: &str = r#"
name = "Pool"
duration = "2m"
slo.latency = "100ms"
upstreams.slow = { latency = { constant = "1ms" } }
upstreams.well = { latency = { constant = "1ms" } }
routes = { "/slow" = { upstream = "slow" }, "/well" = { upstream = "well" } }
clients.patient = { send = "/slow", rate = "30/s", arrivals = "uniform" }
clients.others = { send = "/well", rate = "10/s", arrivals = "poisson" }
faults = [{ at = "10s", for = "100s", upstreams = ["slow"], hang = {} }]
gateway = { workers = 60, queue = 0, timeout = "10s" }
expect.hold = ["blast_radius < 1%"]
"#;

fn desk(text: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("pool.toml"), text).unwrap();
    folder
}

fn tuesday(folder: &TempDir, args: &[&str]) -> (Option<i32>, String, String) {
    let output = command(folder.path()).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn swept(folder: &TempDir, args: &[&str]) -> SweepResult {
    let (code, out, err) = tuesday(folder, &[&["sweep", "pool.toml", "--json"], args].concat());
    assert_eq!((code, &*err), (Some(0), ""), "{out}");
    serde_json::from_str(&out).unwrap()
}

fn texts(result: &SweepResult, axis: usize) -> Vec<&str> {
    result.axes[axis].values.iter().map(|value| &*value.text).collect()
}

#[test]
fn a_pool_tips_over_where_rate_times_timeout_is_its_size() {
    let folder = desk(POOL);
    let result = swept(&folder, &["--vary", "gateway.timeout=1s,1500ms,1900ms,2500ms,3s,5s"]);
    assert_eq!(texts(&result, 0), ["1s", "1500ms", "1900ms", "2500ms", "3s", "5s", "10s"]);
    let blast = result.measures.iter().position(|measure| measure.name == "blast_radius").unwrap();
    let medians: Vec<f64> = result.points.iter().map(|point| point.measured[blast].unwrap().median).collect();
    // 30/s × 1.9 s = 57 of 60.
    assert!(medians[..3].iter().all(|share| *share <= 0.0), "{medians:?}");
    assert!(medians[3..].iter().all(|share| *share > 0.1), "{medians:?}");
    let tips: Vec<(usize, usize)> = result
        .tipping
        .iter()
        .filter(|tipping| tipping.measure == blast)
        .map(|tipping| (tipping.before, tipping.after))
        .collect();
    assert_eq!(tips[0], (2, 3));
    // Of what holds, 1.9 s is the nearest to the file's 10 s.
    assert_eq!(result.smallest.map(|smallest| (smallest.point, smallest.changed)), Some((2, vec![0])));
}

#[test]
fn one_setting_changed_is_less_than_two() {
    let folder = desk(POOL);
    let grid = ["--vary", "gateway.workers=120,350", "--vary", "gateway.timeout=3s,9s"];
    let result = swept(&folder, &grid);
    assert_eq!(texts(&result, 0), ["60", "120", "350"]);
    assert_eq!(texts(&result, 1), ["3s", "9s", "10s"]);
    // 30/s × 3 s = 90 of 120, and 30/s × 10 s = 300 of 350.
    let holds: Vec<bool> = result.points.iter().map(reports::SweepPoint::holds).collect();
    assert_eq!(holds, [false, false, false, true, false, false, true, true, true]);
    assert_eq!(
        result.smallest.as_ref().map(|smallest| (smallest.point, &*smallest.changed)),
        Some((8, &[0][..]))
    );
    let (code, out, _) = tuesday(&folder, &[&["sweep", "pool.toml"], &grid[..]].concat());
    assert_eq!(code, Some(0));
    for said in [
        "down: gateway.workers; across: gateway.timeout",
        "The smallest change for all expectations to hold: gateway.workers = 350.",
        "10s •",
        "sweep: tuesday-results/pool/sweep.html",
    ] {
        assert!(out.contains(said), "{said}: {out}");
    }
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
}

#[test]
fn a_point_is_what_the_edited_file_gives() {
    let pool = POOL.replace("[\"blast", "[\"a: blast");
    let text = format!("{pool}\n[variants.a]\ngateway.queue = 5\n[variants.b]\nfaults = []\n");
    let folder = desk(&text);
    let result = swept(
        &folder,
        &[
            "--variant",
            "a",
            "--vary",
            "gateway.timeout=3s",
            "--vary",
            "clients.others.rate=20/s",
            "--seeds",
            "2",
        ],
    );
    assert_eq!(result.variant, "a");
    assert_eq!(result.points.len(), 4);
    let edited = text.replace("timeout = \"10s\"", "timeout = \"3s\"").replace("10/s", "20/s");
    for (point, text) in [(2, &text), (1, &edited)] {
        let mut scenario = scenario(text);
        scenario.variants.retain(|variant| variant.name == "a");
        let by_hand = run_experiment(&scenario, &[1, 2], || {});
        let goodput: Vec<f64> =
            by_hand.variants[0].runs.iter().map(|run| run.overall.goodput_per_s).collect();
        let blast: Vec<f64> = by_hand.variants[0]
            .runs
            .iter()
            .map(|run| run.harm.as_ref().and_then(|harm| harm.collateral.share()).unwrap())
            .collect();
        for (name, values) in [("goodput", goodput), ("blast_radius", blast)] {
            let place = result.measures.iter().position(|measure| measure.name == name).unwrap();
            let value = result.points[point].measured[place].unwrap();
            assert!(
                (value.median - f64::midpoint(values[0], values[1])).abs() < 1e-12,
                "{name} {value:?} {values:?}"
            );
        }
        assert_eq!(result.points[point].holds(), by_hand.all_held());
    }
}

#[test]
fn threads_change_nothing_and_all_formats_are_written() {
    let folder = desk(POOL);
    let args = |threads| {
        [
            "sweep",
            "pool.toml",
            "--vary",
            "gateway.workers=20..80",
            "--points",
            "3",
            "--quiet",
            "--threads",
            threads,
        ]
    };
    let written =
        |name: &str| fs::read_to_string(folder.path().join("tuesday-results/pool").join(name)).unwrap();
    let formats = ["--format", "html,json,csv,md"];
    assert_eq!(
        tuesday(&folder, &[&args("1")[..], &formats].concat()),
        (Some(0), String::new(), String::new())
    );
    let names = ["sweep.html", "sweep.json", "sweep.csv", "sweep.md"];
    let first = names.map(written);
    assert_eq!(tuesday(&folder, &[&args("4")[..], &formats].concat()).0, Some(0));
    assert_eq!(first, names.map(written));
    assert!(
        first[2]
            .starts_with("gateway.workers,measure,median,least,most,never,expectations_held\n20,goodput,")
    );
}

#[test]
fn the_page_says_how_to_sweep_again_in_words_that_a_shell_takes() {
    let folder = desk(POOL);
    let args = [
        "sweep",
        "pool.toml",
        "--vary",
        "gateway.timeout=1s",
        "--vary",
        "routes.\"/well\".timeout=1s,2s",
        "--max-runs",
        "3000",
        "--quiet",
    ];
    assert_eq!(tuesday(&folder, &args).0, Some(0));
    let page = fs::read_to_string(folder.path().join("tuesday-results/pool/sweep.html")).unwrap();
    let again = "tuesday sweep pool.toml --vary gateway.timeout=1s --vary &#39;routes.&#34;/well&#34;.timeout=1s,2s&#39; --points 8 \
                 --max-runs 3000</code>";
    assert!(page.contains(again), "{page}");
}

#[test]
fn what_cannot_be_swept_says_what_can() {
    let folder = desk(POOL);
    fs::write(folder.path().join("two.toml"), format!("{POOL}[variants.a]\n[variants.b]\n")).unwrap();
    for (args, said) in [
        (&["pool.toml"][..], "--vary <KEY=VALUES>"),
        (&["pool.toml", "--vary", "gateway.timeout"], "--vary: `gateway.timeout` names no values"),
        (&["pool.toml", "--vary", "slo.latency=1s..2s"], "`slo` is the same for all variants and points"),
        (&["two.toml", "--vary", "gateway.workers=1,2"], "`--variant NAME`, of a, b"),
        (&["two.toml", "--variant", "c", "--vary", "gateway.workers=1,2"], "two.toml has no variant `c`"),
        (
            &["pool.toml", "--vary", "gateway.workers=1,2", "--vary", "gateway . workers=3"],
            "`gateway . workers` is varied twice",
        ),
        (
            &[
                "pool.toml",
                "--vary",
                "gateway.workers=1..90:1",
                "--vary",
                "gateway.timeout=1s..9s",
                "--seeds",
                "5",
            ],
            "the grid has 90 × 9 = 810 points, each under 5 seeds: 4050 runs, of at most 2000",
        ),
    ] {
        let (code, out, err) = tuesday(&folder, &[&["sweep"], args].concat());
        assert_eq!((code, &*out), (Some(2), ""), "{args:?}: {err}");
        assert!(err.contains(said), "{args:?}: {err}");
    }
    assert!(!folder.path().join("tuesday-results").exists(), "nothing was written");
}

#[test]
fn a_wrong_setting_is_told_as_in_a_file() {
    let folder = desk(POOL);
    let told = |vary: &str| {
        let (code, out, err) = tuesday(&folder, &["sweep", "pool.toml", "--vary", vary]);
        assert_eq!((code, &*out), (Some(2), ""), "{err}");
        err
    };
    insta::assert_snapshot!(told("gateway.timeout=1s,10,fast"));
    insta::assert_snapshot!(told("gateway.tmeout=1s..2s"));
    insta::assert_snapshot!(told("gateway.rate_limit.per_key.burst=10,100"));
}

#[test]
fn what_is_not_set_is_as_near_as_what_holds_instead() {
    // The gateway's timeout of 3 s holds on the route: of 500 ms, 1 s and 1.9 s, at all of which everybody else is well, 1.9 s
    // is the nearest.
    let text = POOL.replace("timeout = \"10s\"", "timeout = \"3s\"");
    let folder = desk(&text);
    let route = "routes.\"/slow\".timeout=500ms,1s,1900ms,5s";
    let result = swept(&folder, &["--vary", route]);
    assert_eq!(texts(&result, 0), ["not set", "500ms", "1s", "1900ms", "5s"]);
    let holds: Vec<bool> = result.points.iter().map(reports::SweepPoint::holds).collect();
    assert_eq!(holds, [false, true, true, true, false]);
    assert_eq!(result.smallest.as_ref().map(|smallest| smallest.point), Some(3));
    let (_, out, _) = tuesday(&folder, &["sweep", "pool.toml", "--vary", route]);
    assert!(out.contains("not set (3s) •"), "{out}");
    // Without any bound, the largest is the nearest.
    let folder = desk(&POOL.replace(", timeout = \"10s\"", ""));
    let result = swept(&folder, &["--vary", "gateway.timeout=500ms,1s,1900ms"]);
    assert_eq!(result.smallest.map(|smallest| smallest.point), Some(3));
}

#[test]
fn one_seed_tells_no_tipping_point() {
    let folder = desk(POOL);
    let vary = ["--vary", "gateway.timeout=1s,1900ms,2500ms"];
    assert!(!swept(&folder, &vary).tipping.is_empty());
    let one = swept(&folder, &[&vary[..], &["--seeds", "1"]].concat());
    assert!(one.tipping.is_empty());
    let (_, out, _) = tuesday(&folder, &[&["sweep", "pool.toml", "--seeds", "1"], &vary[..]].concat());
    assert!(out.replace('\n', " ").contains("One seed does not tell a tipping point from luck"), "{out}");
}

#[test]
fn a_claim_that_something_is_bad_calls_no_point_right() {
    // The story of this file is that others are hurt: that is no setting to look for.
    let folder = desk(&POOL.replace("blast_radius < 1%", "blast_radius > 10%"));
    let result = swept(&folder, &["--vary", "gateway.timeout=1s,5s"]);
    assert!(!result.is_judged());
    assert_eq!(result.smallest, None);
    let (_, out, _) = tuesday(&folder, &["sweep", "pool.toml", "--vary", "gateway.timeout=1s,5s"]);
    assert!(!out.contains('✓') && out.contains("claims that something is bad"), "{out}");
}

#[test]
fn a_goal_recommends_one_point_and_shows_those_beside_it() {
    // 60 workers hold 30/s × T, and the others are served well only while a worker is free: all of them are up to 1.9 s, and of
    // those three 1.9 s is nearest to the 10 s of the file.
    let folder = desk(POOL);
    let vary = ["--vary", "gateway.timeout=500ms,1s,1900ms,2500ms,5s"];
    let goal = ["--maximize", "success_rate(clients.others)", "--subject-to", "blast_radius <= 1%"];
    let result = swept(&folder, &[&vary[..], &goal].concat());
    let reached = result.goal.as_ref().unwrap();
    assert_eq!((reached.recommended, &*reached.neighbours), (Some(2), &[1, 3][..]));
    assert_eq!(reached.subject_to, ["blast_radius <= 1%"]);
    // 1 to 1.9 s, told as no expectation of the file.
    assert!(result.points.iter().all(|point| point.requirements().count() == 1));
    let (_, out, _) = tuesday(&folder, &[&["sweep", "pool.toml"], &vary[..], &goal].concat());
    let out = out.replace("\n  ", " ");
    assert!(
        out.contains("Recommended: gateway.timeout = 1900ms, with success_rate(clients.others) 100%."),
        "{out}"
    );
    assert!(out.contains("Beside it: gateway.timeout = 1s: 100%."), "{out}");
    assert!(out.contains(", which does not fulfil the conditions."), "{out}");
    // The smaller the timeout, the fewer workers are held.
    let least = ["--minimize", "peak_in_flight(gateway)"];
    let result = swept(&folder, &[&vary[..], &least].concat());
    assert_eq!(result.goal.and_then(|goal| goal.recommended), Some(0));
    for (args, said) in [
        (&["--maximize", "goodputt"][..], "--maximize: "),
        (&["--maximize", "goodput", "--subject-to", "latency(p99) < 5"], "--subject-to: "),
        (&["--subject-to", "latency(p99) < 5s"], "name that too, such as `--maximize goodput`"),
        (&["--maximize", "goodput", "--minimize", "latency(p99)"], "cannot be used with"),
    ] {
        let (code, _, err) = tuesday(&folder, &[&["sweep", "pool.toml"], &vary[..], args].concat());
        assert_eq!(code, Some(2), "{args:?}: {err}");
        assert!(err.contains(said), "{args:?}: {err}");
    }
}

#[test]
fn a_point_that_turns_everybody_away_is_not_recommended() {
    // A limit of one a minute hurts nobody by the fault, since nobody is left.
    let limit =
        "[gateway.rate_limit.global]\nalgorithm = \"fixed-window\"\nlimit = 1000000\nwindow = \"1m\"\n";
    let folder = desk(&format!("{POOL}{limit}").replace("gateway = { workers = 60, queue = 0, timeout = \"10s\" }\nexpect.hold = [\"blast_radius < 1%\"]", "gateway.workers = 60\ngateway.queue = 0\ngateway.timeout = \"10s\"\nexpect.hold = [\"blast_radius < 1%\"]"));
    let result = swept(&folder, &["--vary", "gateway.rate_limit.global.limit=1,10,1000000"]);
    let strict: Vec<bool> = result.points.iter().map(|point| point.strict.is_some()).collect();
    assert_eq!(strict, [true, true, false]);
    assert!(result.points.iter().all(|point| !point.holds()));
    assert_eq!(result.smallest, None);
}

#[test]
fn one_of_several_limits_is_varied_by_its_place() {
    // Five a second for ten seconds against ten a second and so many a minute.
    let text = r#"
name = "List"
starts = 2026-06-02T09:00:00Z
duration = "10s"
slo.latency = "1s"
upstreams.a.latency = "1ms"
routes."/".upstream = "a"
clients.all = { send = "/", rate = "5/s", arrivals = "uniform" }
expect.hold = ["offered == 50"]
[[gateway.rate_limit.per_key]]
algorithm = "token-bucket"
limit = 10
window = "1s"
[[gateway.rate_limit.per_key]]
algorithm = "fixed-window"
limit = 20
window = "1m"
"#;
    let folder = desk(text);
    let result = swept(&folder, &["--vary", "gateway.rate_limit.per_key[1].limit=5,20,40", "--seeds", "1"]);
    assert_eq!(texts(&result, 0), ["5", "20", "40"]);
    let rate = result.measures.iter().position(|measure| measure.name == "success_rate").unwrap();
    let medians: Vec<f64> = result.points.iter().map(|point| point.measured[rate].unwrap().median).collect();
    assert!(
        medians.iter().zip([0.1, 0.4, 0.8]).all(|(share, expected)| (share - expected).abs() < 1e-9),
        "{medians:?}"
    );
    // What a limit inherits is its own.
    let result = swept(&folder, &["--vary", "gateway.rate_limit.per_key[0].burst=2,4", "--seeds", "1"]);
    assert_eq!(texts(&result, 0), ["not set", "2", "4"]);

    let (code, _, err) =
        tuesday(&folder, &["sweep", "pool.toml", "--vary", "gateway.rate_limit.per_key[2].limit=5,20"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("there is no `per_key[2]`") && err.contains("`per_key` has 2 of them"), "{err}");
}
