//! The exit codes of the command, and its one type of failure.

use std::fmt;
use std::fmt::Write as _;
use std::process::{ExitCode as ProcessExitCode, Termination};

use anstyle::AnsiColor;

use super::visible;

/// How the command exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// 0: every expectation held, or what was asked for was done.
    Held,
    /// 1: an expectation failed, or a line of the selftest, or a comparison found a regression that it was to fail on.
    ExpectationFailed,
    /// 2: the command line or a scenario cannot be used.
    Usage,
    /// 3: the run itself failed.
    RunFailed,
    /// 130: interrupted, as by Ctrl-C. In virtual time the command never returns it: the signal ends the process, and the
    /// shell says 128 and the signal's number. A live run ends and is reported first.
    Interrupted,
}

impl ExitCode {
    /// All of them, by number.
    pub const ALL: [Self; 5] =
        [Self::Held, Self::ExpectationFailed, Self::Usage, Self::RunFailed, Self::Interrupted];

    /// What the process exits with.
    pub const fn number(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::ExpectationFailed => 1,
            Self::Usage => 2,
            Self::RunFailed => 3,
            Self::Interrupted => 130,
        }
    }

    /// What that means, as help and manual say it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Held => "every expectation held, or what was asked for was done",
            Self::ExpectationFailed => {
                "an expectation failed, a line of the selftest, or a comparison regressed"
            }
            Self::Usage => "the command line or a scenario cannot be used; nothing was run",
            Self::RunFailed => "the run failed or is invalid, or what came of it could not be written",
            Self::Interrupted => "interrupted",
        }
    }
}

impl Termination for ExitCode {
    fn report(self) -> ProcessExitCode {
        ProcessExitCode::from(self.number())
    }
}

/// The exit codes as the help has them.
pub(super) fn exit_codes() -> String {
    let mut text = "Exit codes:".to_owned();
    for code in ExitCode::ALL {
        let _ = write!(text, "\n  {:<4} {}", code.number(), code.meaning());
    }
    text
}

/// Why a command could not do what it was asked for.
#[derive(Debug)]
pub struct Failure {
    code: ExitCode,
    text: String,
}

impl Failure {
    /// Bad usage: a sentence and, where there is one, the way out.
    pub(super) fn usage(message: impl fmt::Display) -> Self {
        Self { code: ExitCode::Usage, text: sentence(message) }
    }

    /// The run failed.
    pub(super) fn run(message: impl fmt::Display) -> Self {
        Self { code: ExitCode::RunFailed, text: sentence(message) }
    }

    /// Scenarios that cannot be used, each problem already rendered with its place.
    pub(super) const fn scenarios(rendered: String) -> Self {
        Self { code: ExitCode::Usage, text: rendered }
    }

    pub(super) const fn exit_code(&self) -> ExitCode {
        self.code
    }
}

/// The whole message, with its line break.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A message with nothing in it that acts on a terminal but its line breaks.
pub(super) fn visible_lines(message: &str) -> String {
    message.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// A message as the problems of a file have it.
pub(super) fn sentence(message: impl fmt::Display) -> String {
    let style = AnsiColor::Red.on_default().bold();
    format!("{style}error{style:#}: {}\n", visible_lines(&message.to_string()))
}
