//! Scenarios from text, run to their results.

use std::path::Path;

use assert_cmd::Command;
use reports::{ExperimentResult, RunResult};
use tuesday::{Scenario, file, run_experiment};

/// The scenario of a text that must be in order.
pub(crate) fn scenario(text: &str) -> Scenario {
    let reading = file::read(text, &|name| Err(format!("no file {name} here")));
    let problems = file::render(&reading.problems, "scenario.toml", text, false);
    assert!(reading.problems.is_empty(), "{problems}");
    reading.scenario.expect("a file without problems is a scenario")
}

/// Every variant, under its own seed, of a scenario of which it is known that not all of it is meant.
pub(crate) fn run_in_spite_of_warnings(text: &str) -> ExperimentResult {
    let reading = file::read(text, &|name| Err(format!("no file {name} here")));
    assert!(!reading.problems.is_empty(), "there is no warning");
    let scenario = reading.scenario.expect("a file with warnings alone is a scenario");
    run_experiment(&scenario, &[scenario.seed], || {})
}

/// Every variant of the scenario under its own seed.
pub(crate) fn run(text: &str) -> ExperimentResult {
    let scenario = scenario(text);
    run_experiment(&scenario, &[scenario.seed], || {})
}

/// The only run of a scenario without variants.
pub(crate) fn run_one(text: &str) -> RunResult {
    let mut result = run(text);
    assert_eq!(result.variants.len(), 1);
    result.variants.remove(0).runs.remove(0)
}

/// Panics with every expectation that does not hold, and what was measured.
pub(crate) fn assert_held(result: &ExperimentResult) {
    let failed: Vec<_> = result.expectations.iter().filter(|expectation| !expectation.held).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(!result.expectations.is_empty(), "nothing was expected");
}

/// The real command, in that folder and without colours.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("tuesday"));
    command.current_dir(folder).env("NO_COLOR", "1").env_remove("GITHUB_ACTIONS");
    command
}
