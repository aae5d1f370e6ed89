//! `tuesday report`: a saved result drawn again.

use std::fs;

use tuesday::cli::ExitCode;

use super::{Desk, scenario};

/// Results that earlier versions wrote.
const EARLIER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../reports/tests/results");

#[test]
fn a_saved_result_gives_the_report_that_its_run_gave() {
    let desk = Desk::new();
    desk.run([
        "run",
        "window-boundary",
        "--variant",
        "fixed-window,token-bucket",
        "--format",
        "html,json,md,junit,csv",
    ])
    .exits(ExitCode::Held, &[]);
    let folder = "tuesday-results/window-boundary/latest";
    let said = desk
        .run(["report", folder, "--format", "html,json,md,junit,csv", "--out", "again"])
        .exits(ExitCode::Held, &["report: again/report.html\n", "result: again/summary.md\n"]);
    assert!(said.err.is_empty() && said.out.lines().count() == 10, "{said:?}");
    for name in desk.files().iter().filter_map(|name| name.strip_prefix("again/")) {
        assert_eq!(desk.read(&format!("again/{name}")), desk.read(&format!("{folder}/{name}")), "{name}");
    }
    assert_eq!(desk.files().iter().filter(|name| name.starts_with("again/")).count(), 10);
    // Beside the result unless told otherwise, and by the file's own name too.
    fs::remove_file(desk.path(&format!("{folder}/report.html"))).unwrap();
    desk.run(["report", "-q", &format!("{folder}/result.json")]).exits(ExitCode::Held, &[]);
    assert_eq!(desk.read(&format!("{folder}/report.html")), desk.read("again/report.html"));
}

#[test]
fn a_scenario_that_does_not_ship_is_run_again_from_its_text() {
    let desk = Desk::new();
    desk.write("mine.toml", &scenario("Mine", r#""served == 11""#));
    desk.run(["run", "mine.toml", "--seeds", "2"]).exits(ExitCode::ExpectationFailed, &[]);
    // Nothing is run, so nothing fails.
    let told = desk.run(["report", "tuesday-results/mine"]).exits(ExitCode::Held, &[]);
    assert_eq!(told.out, "report: tuesday-results/mine/latest/report.html\n");
    desk.run(["report", "tuesday-results/mine", "-v"]).exits(ExitCode::Held, &["FAILED", "report: "]);
    desk.run(["report", "tuesday-results/mine", "--explain"]).exits(ExitCode::Held, &["FAILED", "report: "]);
    let page = desk.read("tuesday-results/mine/latest/report.html");
    assert!(page.contains("tuesday run scenario.toml --seed 1 --seeds 2\n# scenario.toml is"), "{page}");
}

#[test]
fn what_earlier_versions_wrote_is_drawn() {
    let desk = Desk::new();
    let mut drawn = 0;
    for entry in fs::read_dir(EARLIER).unwrap() {
        let path = entry.unwrap().path();
        let out = path.file_stem().unwrap().to_str().unwrap();
        desk.run(["report", path.to_str().unwrap(), "--out", out, "--format", "html,md"])
            .exits(ExitCode::Held, &[]);
        assert!(desk.read(&format!("{out}/report.html")).contains("</html>"));
        drawn += 1;
    }
    assert!(drawn >= 4);
}

#[test]
fn what_is_no_result_is_exit_code_2_with_its_place() {
    let desk = Desk::new();
    desk.write("broken.json", "{\"version\": 1,")
        .write("later.json", "{\"version\": 7, \"tuesday\": \"0.9.0\"}")
        .write("other.json", "{\"version\": 1, \"tuesday\": \"0.1.0\"}");
    for (name, said) in [
        ("broken.json", "broken.json: line 1, column 14: the file ends within the result"),
        ("later.json", "later.json: format version 7 is newer than this Tuesday"),
        ("other.json", "other.json: line 1, column 34: not a result of Tuesday: missing field"),
        ("nowhere.json", "nowhere.json: cannot be read: No such file"),
        ("nowhere", "nowhere: cannot be read: No such file"),
        ("/dev/null", "/dev/null: it is no file"),
    ] {
        desk.run(["report", name]).exits(ExitCode::Usage, &[said]);
    }
    // A folder without one.
    desk.run(["report", "."]).exits(ExitCode::Usage, &["result.json: cannot be read: No such file"]);
    assert_eq!(desk.files(), ["broken.json", "later.json", "other.json"]);
}

#[test]
fn summaries_are_appended_for_a_step_of_a_ci_job() {
    let desk = Desk::new();
    desk.write("a.toml", &scenario("Alpha", "")).write("b.toml", &scenario("Beta", ""));
    desk.write("summary.md", "An earlier step.\n");
    desk.run(["run", "-q", "a.toml", "b.toml", "--summary", "summary.md"]).exits(ExitCode::Held, &[]);
    desk.run(["report", "-q", "tuesday-results/a", "--summary", "summary.md"]).exits(ExitCode::Held, &[]);
    let summary = desk.read("summary.md");
    assert!(summary.starts_with("An earlier step.\n\n"), "{summary}");
    let at = |what: &str| summary.find(what).unwrap();
    assert!(at("Alpha") < at("Beta"));
    assert_eq!(summary.matches("Alpha").count(), 2 * summary.matches("Beta").count());
    // Known before anything is run.
    desk.run(["run", "a.toml", "--summary", "no/such/folder.md"])
        .exits(ExitCode::Usage, &["--summary: cannot write to no/such/folder.md"]);
}
