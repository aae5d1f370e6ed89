//! `tuesday selftest`: the simulator against known results.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::{ExitCode, Failure, SelftestArgs, print, print_json, progress};
use crate::selftest::{self, Line, SIGMAS, Unit};

/// All lines, for programs.
#[derive(Serialize)]
struct Document<'a> {
    /// The version that was tested.
    tuesday: &'static str,
    seed: u64,
    held: bool,
    lines: &'a [Line],
}

pub(super) fn selftest(args: &SelftestArgs) -> Result<ExitCode, Failure> {
    let lines = {
        let checks = selftest::checks();
        let bar = progress::bar(checks.len(), "selftest", "", args.quiet);
        selftest::run(&checks, args.seed, || bar.inc(1))
    };
    let held = lines.iter().all(|line| line.held);
    if args.json {
        let document = Document { tuesday: env!("CARGO_PKG_VERSION"), seed: args.seed, held, lines: &lines };
        print_json(&document)?;
    } else if !args.quiet {
        print(&table(lines.iter(), &lines, args.seed))?;
    } else if !held {
        print(&table(lines.iter().filter(|line| !line.held), &lines, args.seed))?;
    }
    Ok(if held { ExitCode::Held } else { ExitCode::ExpectationFailed })
}

const BOLD: Style = Style::new().bold();
const HELD: Style = AnsiColor::Green.on_default().bold();
const FAILED: Style = AnsiColor::Red.on_default().bold();

/// The lines on eighty columns, by system, and the verdict on all of them.
fn table<'a>(shown: impl Iterator<Item = &'a Line>, all: &[Line], seed: u64) -> String {
    let mut text =
        format!("{BOLD}{:39}{:>12}{:>12}{:>9}{:>8}{BOLD:#}\n", "", "expected", "measured", "off", "at most");
    let mut system = "";
    for line in shown {
        if line.system != system {
            system = &line.system;
            let _ = writeln!(text, "{BOLD}{system}{BOLD:#}");
        }
        let (mark, style) = if line.held { ("✓ ok", HELD) } else { ("✗ FAILED", FAILED) };
        let _ = writeln!(
            text,
            "  {style}{mark:8}{style:#}  {:27}{:>12}{:>12}{:>9}{:>8}",
            line.what,
            figure(line.expected, line.unit),
            line.measured.map_or_else(|| "–".to_owned(), |measured| figure(measured, line.unit)),
            line.error().map_or_else(|| "–".to_owned(), deviation),
            if line.tolerance > 0.0 { format!("{:.2}%", line.tolerance * 100.0) } else { "exact".to_owned() },
        );
    }
    let failed = all.iter().filter(|line| !line.held).count();
    let (style, verdict) = match failed {
        0 => (HELD, format!("{} of {} lines held.", all.len(), all.len())),
        _ => (FAILED, format!("{failed} of {} lines FAILED.", all.len())),
    };
    let _ = write!(
        text,
        "\nSeed {seed}. What is drawn at random may be off by {SIGMAS} standard errors of its run.\n\
         {style}{verdict}{style:#}\n"
    );
    text
}

/// How far off, without the sign of what is rounded away.
fn deviation(error: f64) -> String {
    let percent = error * 100.0;
    if percent.abs() < 0.005 { "0.00%".to_owned() } else { format!("{percent:+.2}%") }
}

/// A value as it is compared by eye: with more digits than the tolerance leaves meaning to.
fn figure(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds => format!("{:.3} ms", value * 1e3),
        Unit::PerSecond => format!("{value:.3}/s"),
        Unit::Share => format!("{:.3}%", value * 100.0),
        Unit::Requests => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_fails_is_told_on_eighty_columns() {
        let line = Line {
            system: "M/M/1".to_owned(),
            what: "p99 of the sojourn".to_owned(),
            unit: Unit::Seconds,
            expected: 0.230_258,
            measured: Some(0.330_258),
            tolerance: 0.045,
            held: false,
        };
        let nothing =
            Line { measured: None, unit: Unit::Share, what: "utilization".to_owned(), ..line.clone() };
        let lines = [line, nothing];
        let text = anstream::adapter::strip_str(&table(lines.iter(), &lines, 902)).to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text);
    }
}
