//! `tuesday history`, and the results that `tuesday run` keeps for it.

use std::fs;

use reports::sha256;
use serde_json::Value;
use tuesday::cli::ExitCode;

use super::{Desk, scenario};

#[test]
fn each_result_is_kept_and_latest_leads_to_the_newest() {
    let desk = Desk::new();
    desk.write("a.toml", &scenario("A", ""));
    desk.run(["run", "-q", "a.toml"]).exits(ExitCode::Held, &[]);
    let first = desk.kept("a");
    let text = desk.read("tuesday-results/a/latest/result.json");
    assert!(first.ends_with(&format!("-{}", &sha256(&text)[..8])), "{first}");
    desk.run(["run", "-q", "a.toml", "--seed", "7"]).exits(ExitCode::Held, &[]);
    let newest = desk.read("tuesday-results/a/latest/result.json");
    assert_ne!(text, newest);
    assert_eq!(desk.read(&format!("tuesday-results/a/{first}/result.json")), text, "the first is kept");
    // A scenario's folder stands for its newest result, and lends it its name.
    let compare = ["compare", &*format!("tuesday-results/a/{first}"), "tuesday-results/a", "--json"];
    let compared = desk.run(compare).exits(ExitCode::Held, &[]).json();
    assert_eq!(compared["b"]["seeds"], serde_json::json!([7]), "{compared}");
    assert!(desk.path("tuesday-results/a/comparison.html").is_file());
    // Where a place is named, the result goes there.
    desk.run(["run", "-q", "a.toml", "--out", "out"]).exits(ExitCode::Held, &[]);
    assert_eq!(fs::read_dir(desk.path("out/a")).unwrap().count(), 2);
}

/// Six results of one goodput and six of half of it, a day apart.
fn twelve_days() -> Desk {
    let desk = Desk::new();
    desk.write("a.toml", &scenario("A", ""));
    desk.run(["run", "-q", "a.toml", "--out", "out", "--format", "json"]).exits(ExitCode::Held, &[]);
    let mut result: Value = serde_json::from_str(&desk.read("out/a/result.json")).unwrap();
    for day in 1..=12 {
        let goodput = if day <= 6 { 1.0 } else { 0.5 };
        result["variants"][0]["runs"][0]["overall"]["goodput_per_s"] = goodput.into();
        let name = format!("tuesday-results/a/2026-01-{day:02}T0900-{day:08}/result.json");
        desk.write(&name, &result.to_string());
    }
    desk
}

#[test]
fn a_history_tells_where_a_level_changed() {
    let desk = twelve_days();
    let told = ["12 results of the virtual engine", "2026-01-07 09:00  1/s → 0.5/s  worse", "history.html"];
    let said = desk.run(["history", "a"]).exits(ExitCode::Held, &told);
    assert_eq!(said.err, "");
    assert!(desk.read("tuesday-results/a/history.html").contains("1/s → 0.5/s"));
    let json = desk.run(["history", "a", "--json", "--variant", "base"]).exits(ExitCode::Held, &[]).json();
    assert_eq!(json["variants"][0]["changes"][0]["at"], 6);
    // A result of another file is not joined.
    let name = "tuesday-results/a/2026-01-03T0900-00000003/result.json";
    let other = desk.read(name).replace("mean = ", "mean  = ");
    desk.write(name, &other);
    let told = ["11 results", "1 result is left out: the file of the scenario is another one."];
    desk.run(["history", "a"]).exits(ExitCode::Held, &told);
}

#[test]
fn what_has_no_history_is_exit_code_2_with_a_way_out() {
    let desk = twelve_days();
    for (args, said) in [
        (&["b"][..], "`tuesday run b` without `--out` keeps one"),
        (&["../a"], "is no name of a folder"),
        (&["a", "--measure", "godput"], "did you mean `goodput`?"),
        (&["a", "--variant", "bass"], "did you mean `base`?"),
    ] {
        desk.run(["history"].iter().chain(args)).exits(ExitCode::Usage, &[said]);
    }
    desk.write("tuesday-results/a/2026-01-02T0900-00000002/result.json", "{");
    desk.run(["history", "a"])
        .exits(ExitCode::Usage, &["2026-01-02T0900-00000002/result.json: ", "remove its folder"]);
}
