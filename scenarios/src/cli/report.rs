//! `tuesday report`: a saved result, drawn again.

use std::fmt::Write as _;

use reports::{Engine, ExperimentResult, Legend};

use super::formats::StepSummary;
use super::run::{SummaryLength, files, summary};
use super::saved::{self, Saved};
use super::shell::shell_word;
use super::{ExitCode, Failure, ReportArgs, detail, formats, print};
use crate::{file, library};

/// Draws a saved result again. Whether its expectations held is what it says, not how the command exits: nothing was run.
pub(super) fn report(args: &ReportArgs) -> Result<ExitCode, Failure> {
    let Saved { result, folder, .. } = saved::read(&args.result).map_err(Failure::usage)?;
    let folder = args.out.clone().unwrap_or(folder);
    formats::prepare(&folder)
        .map_err(|error| Failure::usage(format!("cannot write to {}: {error}", folder.display())))?;
    let mut step_summary = StepSummary::open(args.summary.as_deref())?;
    let written = formats::write(&folder, &args.format, &result, &reproduce(&result), detail(args.full))?;
    step_summary.append(&result)?;
    match () {
        () if args.quiet => {}
        () if args.length.explain => print(&summary(&result, &written, SummaryLength::Whole(Legend::All)))?,
        () if args.length.verbose => print(&summary(&result, &written, SummaryLength::Whole(Legend::None)))?,
        // The run has told the verdict already: what is new is where the files are.
        () => print(&files(&written))?,
    }
    Ok(ExitCode::Held)
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
            let _ = write!(command, " --variant {}", shell_word(&variant.name));
        }
    }
    if shipped.is_none() {
        command += "\n# scenario.toml is the scenario as it stands below";
    }
    command
}
