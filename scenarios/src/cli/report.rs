use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use reports::{Engine, ExperimentResult, from_json};

use super::formats::StepSummary;
use super::run::summary;
use super::{ExitCode, Failure, ReportArgs, formats, print};
use crate::{file, library};

/// The name under which `run` saves a result.
const RESULT: &str = "result.json";

/// Draws a saved result again. Whether its expectations held is what it says, not how the command exits: nothing was run.
pub(super) fn report(args: &ReportArgs) -> Result<ExitCode, Failure> {
    let path = if args.result.is_dir() { args.result.join(RESULT) } else { args.result.clone() };
    let result = read(&path)?;
    let folder = args.out.clone().unwrap_or_else(|| folder_of(&path));
    formats::prepare(&folder)
        .map_err(|error| Failure::usage(format!("cannot write to {}: {error}", folder.display())))?;
    let mut step_summary = StepSummary::open(args.summary.as_deref())?;
    let written = formats::write(&folder, &args.format, &result, &reproduce(&result))?;
    step_summary.append(&result)?;
    if !args.quiet {
        print(&summary(&result, &written))?;
    }
    Ok(ExitCode::Held)
}

/// A saved result.
fn read(path: &Path) -> Result<ExperimentResult, Failure> {
    let told = |problem: &dyn std::fmt::Display| Failure::usage(format!("{}: {problem}", path.display()));
    // Nobody waits at the other end of a pipe for a result to be read.
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() => return Err(told(&"it is no file")),
        Ok(_) => {}
        Err(error) => return Err(told(&error)),
    }
    let json = fs::read_to_string(path).map_err(|error| told(&error))?;
    from_json(&json).map_err(|error| told(&error))
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// The command that runs the experiment again, as far as a result tells: where its scenario was, it does not.
fn reproduce(result: &ExperimentResult) -> String {
    let scenario = &result.scenario;
    let shipped = library::all().into_iter().find(|shipped| shipped.text == scenario.source);
    let name = shipped.as_ref().map_or("scenario.toml", |shipped| shipped.name);
    // Writing to a string does not fail.
    let mut command = format!("tuesday run {name}");
    if let Some(seed) = scenario.seeds.first() {
        let _ = write!(command, " --seed {seed}");
    }
    if result.engine == Engine::Live {
        let mut runs = result.variants.iter().flat_map(|variant| &variant.runs);
        let speed = runs.find_map(|run| run.harness.as_ref()).map_or(1.0, |harness| harness.speed);
        let _ = write!(command, " --engine live --speed {speed}");
    }
    if scenario.seeds.len() > 1 {
        let _ = write!(command, " --seeds {}", scenario.seeds.len());
    }
    let all = file::read(&scenario.source, &|_| Err(String::new())).scenario;
    let all = all.map_or(result.variants.len(), |scenario| scenario.variants.len());
    if result.variants.len() < all {
        for variant in &result.variants {
            let _ = write!(command, " --variant {}", variant.name);
        }
    }
    if shipped.is_none() {
        command += "\n# scenario.toml is the scenario as it stands below";
    }
    command
}
