//! Notes at the lines of a file, as a CI system shows them beside the code.
//!
//! GitHub's runner takes a line that begins with `::error` or `::warning`, on either output, for a note ("workflow commands" in its
//! documentation). GitLab knows no such lines; there, `--format junit` does this.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use clap::ValueEnum;
use reports::{ExperimentResult, Standing, Unheld};

use super::sources::Source;
use super::visible;
use crate::file::{Problem, Severity, place_of};

/// A value of `--annotations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum AnnotationsChoice {
    /// As GitHub's runner takes them, on standard error
    Github,
    /// None
    None,
}

/// Writes notes, or nothing where nobody takes them.
pub(super) struct Annotations {
    is_on: bool,
    /// The folder to which the paths of files are relative.
    workspace: Option<PathBuf>,
}

/// What a note is.
#[derive(Clone, Copy)]
enum Level {
    Error,
    Warning,
}

/// Where a note stands.
struct Place {
    /// Relative to the workspace.
    file: String,
    line: usize,
    /// In characters, from 1.
    column: Option<usize>,
}

impl Annotations {
    /// Nothing is noted.
    pub(super) const NONE: Self = Self { is_on: false, workspace: None };

    /// As they are asked for, and else for GitHub on its runners, which say so of themselves.
    pub(super) fn of(asked: Option<AnnotationsChoice>) -> Self {
        let is_runner = || std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
        Self {
            is_on: asked.map_or_else(is_runner, |asked| asked == AnnotationsChoice::Github),
            workspace: std::env::var_os("GITHUB_WORKSPACE").map(PathBuf::from),
        }
    }

    /// A line for each problem of a file.
    pub(super) fn of_problems(&self, argument: &str, text: &str, problems: &[Problem]) -> String {
        let mut notes = String::new();
        for problem in problems.iter().filter(|_| self.is_on) {
            let level = match problem.severity {
                Severity::Error => Level::Error,
                Severity::Warning => Level::Warning,
            };
            let place = self.file(argument).map(|file| {
                // What is wrong with the file as a whole stands at its first line.
                let (line, column) =
                    place_of(problem, text).map_or((1, None), |(line, column)| (line, Some(column)));
                Place { file, line, column }
            });
            let help =
                if problem.help.is_empty() { String::new() } else { format!("\nhelp: {}", problem.help) };
            note(&mut notes, level, place, argument, &format!("{}{help}", problem.message));
        }
        notes
    }

    /// A line for a file that cannot be read.
    pub(super) fn of_unread(&self, argument: &str, reason: &str) -> String {
        let mut notes = String::new();
        if self.is_on {
            note(&mut notes, Level::Error, None, argument, reason);
        }
        notes
    }

    /// A line for each expectation that does not hold, with what was measured.
    pub(super) fn of_expectations(&self, source: &Source, result: &ExperimentResult) -> String {
        let mut notes = String::new();
        if !self.is_on {
            return notes;
        }
        // The result has the lines of the file in its order, less those of variants that were not run.
        let mut of_file = source.scenario.expectations.iter();
        let lines: Vec<Option<usize>> = result
            .expectations
            .iter()
            .map(|expectation| of_file.find(|line| line.text == expectation.text)?.line)
            .collect();
        for Unheld { place, text, standing, told } in result.unheld() {
            let line = lines.get(place).copied().flatten();
            let place = self.file(&source.argument).zip(line);
            let place = place.map(|(file, line)| Place { file, line, column: None });
            let (level, word) = match standing {
                Standing::NotJudged => (Level::Warning, "not judged"),
                _ => (Level::Error, "failed"),
            };
            let title = format!("{}: expectation {word}", source.stem);
            note(&mut notes, level, place, &title, &format!("{text}\n{told}"));
        }
        notes
    }

    /// The path of a scenario's file as the CI system knows it; `None` of a shipped scenario.
    fn file(&self, argument: &str) -> Option<String> {
        let path = Path::new(argument);
        if !path.is_file() {
            return None;
        }
        let inside = self.workspace.as_deref().and_then(|workspace| {
            let path = std::path::absolute(path).ok()?;
            Some(straight(&path).strip_prefix(straight(workspace)).ok()?.to_owned())
        });
        let path = inside.unwrap_or_else(|| straight(path));
        let names = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
        // A root is a slash by itself, and needs no other.
        Some(names.collect::<Vec<_>>().join("/").replacen("//", "/", 1))
    }
}

/// The path without `.` and, where that leads back from a folder, without `..`.
fn straight(path: &Path) -> PathBuf {
    let mut straight = PathBuf::new();
    for part in path.components() {
        let is_back = part == Component::ParentDir
            && matches!(straight.components().next_back(), Some(Component::Normal(_)));
        match part {
            _ if is_back => _ = straight.pop(),
            Component::CurDir => {}
            part => straight.push(part),
        }
    }
    straight
}

/// Adds `::error file=…,line=…,col=…,title=…::message`, on a line of its own.
fn note(notes: &mut String, level: Level, place: Option<Place>, title: &str, message: &str) {
    let level = match level {
        Level::Error => "error",
        Level::Warning => "warning",
    };
    // Writing to a string does not fail.
    let _ = write!(notes, "::{level} ");
    if let Some(Place { file, line, column }) = place {
        let _ = write!(notes, "file={},line={line},", property(&file));
        if let Some(column) = column {
            let _ = write!(notes, "col={column},");
        }
    }
    let message = message.split('\n').map(visible).collect::<Vec<_>>().join("\n");
    let _ = writeln!(notes, "title={}::{}", property(&visible(title)), data(&message));
}

/// A message as a workflow command has it: on one line.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property, which ends at a comma or a colon.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_note_is_escaped() {
        let mut notes = String::new();
        let place = Place { file: "a, b:c%.toml".to_owned(), line: 12, column: Some(3) };
        note(&mut notes, Level::Error, Some(place), "50%: x, y", "is 100%\r\nof ::all, here");
        note(&mut notes, Level::Warning, None, "t", "m");
        assert_eq!(
            notes,
            "::error file=a%2C b%3Ac%25.toml,line=12,col=3,title=50%25%3A x%2C y::is 100%25\\r%0Aof ::all, here\n\
             ::warning title=t::m\n"
        );
    }

    #[test]
    fn a_path_is_straightened() {
        for (path, straightened) in [
            ("./a/b.toml", "a/b.toml"),
            ("a/../b.toml", "b.toml"),
            ("../b.toml", "../b.toml"),
            ("/w/./x/../b.toml", "/w/b.toml"),
        ] {
            assert_eq!(straight(Path::new(path)), Path::new(straightened), "{path}");
        }
    }
}
