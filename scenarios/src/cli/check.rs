//! `tuesday check`: reads scenarios without running them.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::annotations::Annotations;
use super::sources::Source;
use super::{CheckArgs, ExitCode, Failure, print, print_json, progress, say, sources, visible};
use crate::file::{Problem, Reading, Severity, place_of, write_duration};
use crate::{HighestSpeed, Scenario, highest_speed};

pub(super) fn check(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let annotations = Annotations::of(args.annotations);
    if args.json {
        return check_for_programs(&args.scenarios, &annotations);
    }
    let mut text = String::new();
    for source in sources::read_all_noting(&args.scenarios, &annotations)? {
        let _ = writeln!(text, "{}: in order, {}", visible(&source.argument), counted(&source.scenario));
        if !args.quiet
            && let Some(highest) = live_speed(&source)
        {
            text += &told(highest);
        }
    }
    if !args.quiet {
        print(&text)?;
    }
    Ok(ExitCode::Held)
}

/// How much there is to a scenario.
pub(super) fn counted(scenario: &Scenario) -> String {
    let (variants, expectations) = (scenario.variants.len(), scenario.expectations.len());
    format!("{variants} variant{} and {expectations} expectation{}", plural(variants), plural(expectations))
}

/// Events of the virtual engine that a rehearsal goes through at most, in a second or two.
pub(super) const MOST_EVENTS: u64 = 10_000_000;

/// The highest sensible speed of the live engine, which `--speed max` stands for; none where another gateway's clock is real
/// time.
fn live_speed(Source { scenario, stem, .. }: &Source) -> Option<HighestSpeed> {
    let is_ours = scenario.variants.iter().all(|variant| variant.world.external.is_none());
    is_ours.then(|| {
        let bar = progress::bar(100, stem, "over real sockets", false);
        highest_speed(scenario, scenario.seed, MOST_EVENTS, |percent| bar.set_position(percent))
    })
}

fn told(HighestSpeed { speed, seen }: HighestSpeed) -> String {
    let so_far = seen.map_or_else(String::new, |seen| {
        let seconds = Duration::from_secs(seen.as_secs());
        let seen = if seconds.is_zero() { seen } else { seconds };
        format!(" in its first {}; what comes later was not tried", write_duration(seen))
    });
    format!("  over real sockets, this machine can be expected to hold `--speed {speed}`{so_far}\n")
}

const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// What there is to say of a scenario.
#[derive(Serialize)]
struct Checked<'a> {
    /// As named on the command line.
    scenario: &'a str,
    in_order: bool,
    /// Errors and warnings in the order of the file.
    problems: Vec<Placed<'a>>,
}

/// A problem and where it is.
#[derive(Serialize)]
struct Placed<'a> {
    severity: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    help: &'a str,
    /// Line and column, in characters, both from 1; of the file as a whole, none.
    #[serde(flatten)]
    place: Option<Place>,
}

#[derive(Serialize)]
struct Place {
    line: usize,
    column: usize,
}

/// Prints all problems as one JSON array, with an entry for each scenario.
fn check_for_programs(arguments: &[String], annotations: &Annotations) -> Result<ExitCode, Failure> {
    let read: Vec<_> = arguments.iter().map(|argument| (argument, sources::read(argument))).collect();
    let checked: Vec<_> = read
        .iter()
        .map(|(argument, read)| match read {
            Ok(sources::Read { text, reading: Reading { scenario, problems }, .. }) => Checked {
                scenario: argument,
                in_order: scenario.is_some(),
                problems: problems.iter().map(|problem| Placed::of(problem, text)).collect(),
            },
            Err(reason) => {
                Checked { scenario: argument, in_order: false, problems: vec![Placed::unread(reason)] }
            }
        })
        .collect();
    print_json(&checked)?;
    for (argument, read) in &read {
        say(&match read {
            Ok(read) => annotations.of_problems(argument, &read.text, &read.reading.problems),
            Err(reason) => annotations.of_unread(argument, reason),
        });
    }
    let in_order = checked.iter().all(|checked| checked.in_order);
    Ok(if in_order { ExitCode::Held } else { ExitCode::Usage })
}

impl<'a> Placed<'a> {
    fn of(problem: &'a Problem, text: &str) -> Self {
        let severity = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let place = place_of(problem, text).map(|(line, column)| Place { line, column });
        Self { severity, message: &problem.message, help: &problem.help, place }
    }

    const fn unread(reason: &'a str) -> Self {
        Self { severity: "error", message: reason, help: "", place: None }
    }
}
