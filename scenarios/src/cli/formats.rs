//! What `tuesday run` and `tuesday report` write beside what they print.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use clap::{ValueEnum, builder::PossibleValue};
use reports::{
    Detail, ExperimentResult, breakers_csv, causes_csv, expectations_csv, html_report_of, junit_xml,
    markdown_summary, saturation_csv, series_csv, series_csv_fitted, summary_csv, to_json,
};
use tempfile::NamedTempFile;

use super::run::{shown_path, warn};
use super::{Failure, print, print_json_text};

/// A value of `--format`: some files made of a result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    name: &'static str,
    help: &'static str,
    /// Names within the scenario's folder, and how the files are made.
    files: &'static [(&'static str, Render)],
}

/// The text of a file, from a result and the command that runs it again.
type Render = fn(&ExperimentResult, &str, Detail) -> Result<String, Failure>;

/// All there are: whatever stands here can be asked for.
static FORMATS: [Format; 5] = [
    Format {
        name: "html",
        help: "report.html: the whole report in one file that opens offline",
        files: &[("report.html", |result, command, detail| {
            html_report_of(result, command, detail)
                .map_err(|error| Failure::run(format!("cannot draw the report: {error}")))
        })],
    },
    Format {
        name: "json",
        help: "result.json: every number, the same bytes for the same version, scenario and seed",
        files: &[("result.json", |result, _, _| Ok(to_json(result)))],
    },
    Format {
        name: "junit",
        help: "junit.xml: a test case for each expectation, variant and seed, for CI systems",
        files: &[("junit.xml", |result, _, _| Ok(junit_xml(result)))],
    },
    Format {
        name: "md",
        help: "summary.md: verdict, variants side by side and what happened, as a CI system's step summary",
        files: &[("summary.md", |result, _, _| Ok(markdown_summary(result)))],
    },
    Format {
        name: "csv",
        help: "summary.csv, series.csv, expectations.csv, breakers.csv, saturation.csv and causes.csv: the numbers in long form, for a spreadsheet or a notebook",
        files: &[
            ("summary.csv", |result, _, _| Ok(summary_csv(result))),
            ("series.csv", |result, _, detail| Ok(series(result, detail))),
            ("expectations.csv", |result, _, _| Ok(expectations_csv(result))),
            ("breakers.csv", |result, _, _| Ok(breakers_csv(result))),
            ("saturation.csv", |result, _, _| Ok(saturation_csv(result))),
            ("causes.csv", |result, _, _| Ok(causes_csv(result))),
        ],
    },
];

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &FORMATS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name).help(self.help))
    }
}

/// The series of a result; what a large world's leave out is said.
fn series(result: &ExperimentResult, detail: Detail) -> String {
    if detail == Detail::Full {
        return series_csv(result);
    }
    let (text, left_out) = series_csv_fitted(result);
    if let Some(left_out) = left_out {
        warn(&format!("series.csv is without {left_out}; `--full` writes all"));
    }
    text
}

/// Makes the folder that results go to, and tries whether files can be made in it.
pub(super) fn prepare(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    temporary_in(folder)?;
    Ok(())
}

/// Writes the result to `folder` in these formats, and returns the paths of the files, in the order of the formats
/// above.
///
/// Nobody ever sees half a file, or a report beside the numbers of an earlier run: all files are written whole under
/// temporary names, and renamed when the last one is done. So nothing has to be cleaned up when Ctrl-C ends the process
/// in the middle, as its default action does: what may be left is a temporary file, whose name starts with a dot, so that
/// neither `ls` nor a glob such as `*.json` shows it.
pub(super) fn write(
    folder: &Path,
    formats: &[Format],
    result: &ExperimentResult,
    command: &str,
    detail: Detail,
) -> Result<Vec<PathBuf>, Failure> {
    // Named twice, a format is written once.
    let asked = |format: &&Format| formats.iter().any(|asked| asked.name == format.name);
    let files = FORMATS.iter().filter(asked).flat_map(|format| format.files);
    write_files(folder, files.map(|(name, render)| Ok((*name, render(result, command, detail)?))))
}

/// Writes files with these names and texts to `folder`, all or none, as [`write`] does.
pub(super) fn write_files<'n>(
    folder: &Path,
    files: impl Iterator<Item = Result<(&'n str, String), Failure>>,
) -> Result<Vec<PathBuf>, Failure> {
    let mut written = Vec::new();
    for file in files {
        let (name, text) = file?;
        let path = folder.join(name);
        let file = write_temporary(folder, &text).map_err(|error| failed(&path, &error))?;
        written.push((file, path));
    }
    let in_place = written.into_iter().map(|(file, path)| match file.persist(&path) {
        Ok(_) => Ok(path),
        Err(error) => Err(failed(&path, &error.error)),
    });
    in_place.collect()
}

/// Writes the files of these formats to `folder`, all or none, each once and in the order in which the formats are declared.
pub(super) fn write_each<F: Copy + Ord>(
    folder: &Path,
    formats: &[F],
    file: impl Fn(F) -> Result<(&'static str, String), Failure>,
) -> Result<Vec<PathBuf>, Failure> {
    let mut formats = formats.to_vec();
    formats.sort_unstable();
    formats.dedup();
    write_files(folder, formats.into_iter().map(file))
}

/// Prints what a command made: its document for programs, or else, unless nothing is to be printed, its summary and which files
/// hold it, each called `what`.
pub(super) fn print_made(
    is_json: bool,
    is_quiet: bool,
    document: impl FnOnce() -> String,
    summary: impl FnOnce() -> String,
    what: &str,
    written: &[PathBuf],
) -> Result<(), Failure> {
    match (is_json, is_quiet) {
        (true, _) => print_json_text(&document()),
        (false, true) => Ok(()),
        (false, false) => print(&(summary() + "\n" + &listed(what, written))),
    }
}

/// A line for each file.
pub(super) fn listed(what: &str, written: &[PathBuf]) -> String {
    let mut lines = String::new();
    for path in written {
        lines.extend([what, ": ", &shown_path(path), "\n"]);
    }
    lines
}

/// Writes a file of that name to `folder`, whole or not at all, and over one that is there if it is forced to.
pub(super) fn write_new(folder: &Path, name: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let path = folder.join(name);
    let file = write_temporary(folder, text).map_err(|error| failed(&path, &error))?;
    let written = if force { file.persist(&path) } else { file.persist_noclobber(&path) };
    written.map(|_| ()).map_err(|error| match error.error.kind() {
        ErrorKind::AlreadyExists => is_there(&path),
        _ => failed(&path, &error.error),
    })
}

/// That a file is not overwritten.
pub(super) fn is_there(path: &Path) -> Failure {
    let path = path.display();
    Failure::usage(format!("{path} is there already; name another file, or overwrite it with `--force`"))
}

/// A file to which summaries are appended, if that was asked for: the steps of a CI job share one.
pub(super) struct StepSummary(Option<(PathBuf, File)>);

impl StepSummary {
    /// What cannot be appended to is known before anything runs.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self(None)) };
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
            Failure::usage(format!("--summary: cannot write to {}: {error}", path.display()))
        })?;
        Ok(Self(Some((path.to_owned(), file))))
    }

    /// Adds a result, a blank line before and after it, so that it runs into no other step's words.
    pub(super) fn append(&mut self, result: &ExperimentResult) -> Result<(), Failure> {
        let Some((path, file)) = &mut self.0 else { return Ok(()) };
        let text = format!("\n{}\n", markdown_summary(result));
        file.write_all(text.as_bytes()).map_err(|error| failed(path, &error))
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::run(format!("cannot write {}: {error}", path.display()))
}

fn write_temporary(folder: &Path, text: &str) -> io::Result<NamedTempFile> {
    let mut file = temporary_in(folder)?;
    file.write_all(text.as_bytes())?;
    // A temporary file is its owner's alone; a report is to be passed around.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644))?;
    }
    Ok(file)
}

fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".tuesday-").tempfile_in(folder)
}
