//! Results that were saved by earlier versions are read and drawn by this one.
//!
//! `tests/results` keeps them: `vN.json` holds everything that format version N can hold, `vN-….json` is how a file of
//! that version was written before something was added to it. They are not made anew when the format grows: what was
//! written then is what lies on somebody's disk. `json.rs` states the rules that keep this so.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::{fs, path::PathBuf};

use reports::{
    ExperimentResult, Legend, Outcome, TERMINAL_WIDTH, VERSION, breakers_csv, causes_csv, expectations_csv,
    facts, from_json, html_report, junit_xml, markdown_summary, result_schema, series_csv, summary_csv,
    terminal_summary, to_json,
};
use serde_json::Value as Json;

/// Name and text of every kept file.
fn kept() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/results");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<(String, String)> = paths
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn read(name: &str) -> ExperimentResult {
    let (_, json) = kept().into_iter().find(|(known, _)| known == name).unwrap();
    from_json(&json).unwrap()
}

/// Where `old` holds something that `new` does not hold alike; fields that `new` adds are none.
fn lost(old: &Json, new: &Json, path: &str) -> Vec<String> {
    match (old, new) {
        (Json::Object(old), Json::Object(new)) => old
            .iter()
            .flat_map(|(key, value)| {
                lost(value, new.get(key).unwrap_or(&Json::Null), &format!("{path}/{key}"))
            })
            .collect(),
        (Json::Array(old), Json::Array(new)) if old.len() == new.len() => {
            let pairs = old.iter().zip(new).enumerate();
            pairs.flat_map(|(place, (old, new))| lost(old, new, &format!("{path}/{place}"))).collect()
        }
        _ if old == new => Vec::new(),
        _ => vec![format!("{path}: {old} became {new}")],
    }
}

#[test]
fn there_is_one_for_every_version() {
    let names: Vec<String> = kept().into_iter().map(|(name, _)| name).collect();
    for version in 1..=VERSION {
        assert!(names.contains(&format!("v{version}.json")), "{names:?}");
    }
}

#[test]
fn written_again_nothing_is_lost() {
    for (name, json) in kept() {
        let result = from_json(&json).unwrap();
        let again = to_json(&result);
        let [old, new] = [&json, &again].map(|json| serde_json::from_str::<Json>(json).unwrap());
        assert_eq!(lost(&old, &new, ""), [""; 0], "{name}");
        assert_eq!(from_json(&again).unwrap(), result, "{name}");
    }
}

#[test]
fn they_satisfy_the_schema() {
    let schema: Json = serde_json::from_str(&result_schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (name, json) in kept() {
        let json: Json = serde_json::from_str(&json).unwrap();
        let errors: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{name}");
    }
}

#[test]
fn everything_is_drawn_from_them() {
    for (name, json) in kept() {
        let result = from_json(&json).unwrap();
        let drawn = [
            terminal_summary(&result, TERMINAL_WIDTH, Legend::All),
            html_report(&result, "tuesday run short").unwrap(),
            markdown_summary(&result),
            junit_xml(&result),
            summary_csv(&result),
            expectations_csv(&result),
        ];
        for text in drawn {
            assert!(result.variants.iter().all(|variant| text.contains(&variant.name)), "{name}: {text}");
        }
        let seconds: usize = series_csv(&result).lines().count();
        assert!(seconds > result.scenario.duration_s as usize, "{name}");
    }
}

#[test]
fn what_was_not_compared_with_a_control_is_not_taken_for_unhurt() {
    let (before, after) = (read("v1-before-harm.json"), read("v1-before-causes.json"));
    let run = |result: &ExperimentResult| result.variants[1].runs[0].clone();
    assert_eq!((run(&before).harm, run(&before).breakers), (None, Vec::new()));
    assert!(!facts(&before).iter().any(|fact| fact.contains("hurt")));
    assert_eq!(breakers_csv(&before).lines().count(), 1);
    let harm = run(&after).harm.unwrap();
    assert_eq!((harm.first_fault_us, harm.last_fault_end_us), (10_000_000, 18_000_000));
    let direct: Vec<&str> =
        harm.routes.iter().filter(|route| route.direct).map(|route| route.name.as_str()).collect();
    assert_eq!(direct, ["/stock", "/search"]);
    assert!(harm.collateral.hurt > 0 && harm.direct.hurt > 0 && harm.recovery_us.is_some());
    assert_eq!(run(&after).breakers[0].changes[0].to, "open");
    assert!(breakers_csv(&after).lines().count() > 1);
    assert!(facts(&after)[0].contains("of the requests that do not depend on what failed"));
}

#[test]
fn what_was_not_followed_back_has_no_reasons() {
    let (before, after) = (read("v1-before-causes.json"), read("v1-before-timelines.json"));
    let of = |result: &ExperimentResult| result.variants[1].runs[0].clone();
    assert_eq!((of(&before).causes, of(&before).upstream_attempts), (Vec::new(), Vec::new()));
    assert_eq!(causes_csv(&before).lines().count(), 1);
    let run = of(&after);
    let told: u64 = run.causes.iter().map(|cause| cause.requests).sum();
    assert_eq!(told, run.overall.offered - run.overall.good);
    assert_eq!(run.upstream_attempts.iter().map(|upstream| upstream.attempts).sum::<u64>(), run.attempts);
    assert!(causes_csv(&after).lines().count() > run.causes.len());
    // Nothing else has changed for having been looked at.
    assert_eq!((of(&before).overall, of(&before).harm), (run.overall, run.harm));
}

#[test]
fn what_was_not_kept_over_time_leaves_its_lanes_out() {
    let (before, after) = (read("v1-before-timelines.json"), read("v1.json"));
    let [old, new] = [&before, &after].map(|result| html_report(result, "tuesday run short").unwrap());
    for lanes in ["timeline-faults", "latency-over-time", "saturation"] {
        let heading = format!("<h3 id=\"{lanes}\">");
        assert_eq!((old.contains(&heading), new.contains(&heading)), (false, true), "{lanes}");
    }
    // What was kept is drawn of both, the bands of the faults from the first to the last.
    for lanes in ["load", "admitted", "breaker-states", "workers-0", "amplification"] {
        let heading = format!("<h3 id=\"{lanes}\">");
        assert!(old.contains(&heading) && new.contains(&heading), "{lanes}");
    }
    assert!(old.contains("class=\"fill faults\""));
    let run = &after.variants[1].runs[0];
    assert!(!run.faults.is_empty() && run.latency_over_time.is_some());
    let causes = new.matches(" error answers").count() + new.matches(" timeouts").count();
    assert!(causes > 0, "each change of a breaker says what failed");
    assert!(!old.contains(" error answers"));
}

#[test]
fn what_was_not_counted_is_not_taken_for_none() {
    let (before, after) = (read("v1-before-rejections.json"), read("v1-before-harm.json"));
    let gateway = |result: &ExperimentResult| {
        let gateway = &result.variants[0].runs[0].stations[0];
        (gateway.rejected, gateway.timed_out_in_queue)
    };
    assert_eq!(gateway(&before), (None, None));
    assert_eq!(gateway(&after), (Some(37), Some(135)));
    let shed = |result: &ExperimentResult| {
        result.variants[0].runs[0]
            .populations
            .iter()
            .map(|population| population.summary.count(Outcome::Shed))
            .sum::<u64>()
    };
    assert_eq!((shed(&before), shed(&after)), (172, 172));
    let told = |result: &ExperimentResult| {
        facts(result).into_iter().find(|fact| fact.contains("gateway shed")).unwrap()
    };
    assert_eq!(told(&before), "The gateway shed 172 requests under fixed-window (503).");
    assert!(told(&after).contains("its queue was full, or they had waited in it"), "{}", told(&after));
}

#[test]
fn numbers_that_no_run_comes_to_are_refused_with_their_place() {
    let mut result: Json = serde_json::from_str(&kept()[0].1).unwrap();
    // A seed is a name, and may be any.
    result["scenario"]["seeds"][0] = u64::MAX.into();
    result["variants"][0]["runs"][0]["seed"] = u64::MAX.into();
    from_json(&result.to_string()).unwrap();
    for (number, told) in [
        (
            Json::from(u64::MAX),
            "18446744073709551615 is more than any run comes to, which is 1099511627776 at most",
        ),
        (Json::from(1e300), "1e300 is more than any run comes to"),
    ] {
        result["variants"][0]["runs"][0]["attempts"] = number;
        let text = serde_json::to_string_pretty(&result).unwrap();
        let line = text.lines().position(|line| line.contains("\"attempts\": 1")).unwrap() + 1;
        let error = from_json(&text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("line {line}, column ")) && error.contains(told), "{error}");
    }
}
