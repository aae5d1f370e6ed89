//! From what the user names to scenarios.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::annotations::Annotations;
use super::error::{Failure, sentence};
use super::say;
use crate::{Scenario, file, library};

/// A scenario and how it was asked for.
pub(super) struct Source {
    /// As named on the command line.
    pub(super) argument: String,
    /// The name of its folder of results: the file's without its ending, or the shipped name.
    pub(super) stem: String,
    /// The folder of its file; empty for the current one.
    pub(super) folder: PathBuf,
    pub(super) scenario: Scenario,
}

/// The text behind a name on the command line, and what was read from it.
pub(super) struct Read {
    stem: String,
    folder: PathBuf,
    pub(super) text: String,
    pub(super) reading: file::Reading,
}

/// Reads all scenarios; warnings are printed, and errors of all of them are told together.
pub(super) fn read_all(arguments: &[String]) -> Result<Vec<Source>, Failure> {
    read_all_noting(arguments, &Annotations::NONE)
}

/// As [`read_all`], with a note for each problem.
pub(super) fn read_all_noting(
    arguments: &[String],
    annotations: &Annotations,
) -> Result<Vec<Source>, Failure> {
    let (mut sources, mut errors, mut warnings) = (Vec::new(), String::new(), String::new());
    let mut notes = String::new();
    for argument in arguments {
        match read(argument) {
            Ok(Read { stem, folder, text, reading: file::Reading { scenario, problems } }) => {
                notes += &annotations.of_problems(argument, &text, &problems);
                let rendered = file::render(&problems, argument, &text, true);
                match scenario {
                    Some(scenario) => {
                        warnings += &rendered;
                        sources.push(Source { argument: argument.clone(), stem, folder, scenario });
                    }
                    None => errors += &rendered,
                }
            }
            Err(reason) => {
                notes += &annotations.of_unread(argument, &reason);
                errors += &sentence(format!("{argument}: {reason}"));
            }
        }
    }
    if errors.is_empty() {
        say(&(warnings + &notes));
        Ok(sources)
    } else {
        Err(Failure::scenarios(warnings + &errors + &notes))
    }
}

/// Reads what is named on the command line.
///
/// # Errors
///
/// Why there is no text to be read.
pub(super) fn read(argument: &str) -> Result<Read, String> {
    let (stem, text, folder) = text_of(argument)?;
    let reading = file::read(&text, &|name| companion(&folder, name));
    Ok(Read { stem, folder, text, reading })
}

/// Stem, text and folder of a scenario. A file goes before a shipped scenario of the same name.
fn text_of(argument: &str) -> Result<(String, String, PathBuf), String> {
    let path = Path::new(argument);
    if !path.is_file()
        && let Some(shipped) = library::find(argument)
    {
        return Ok((shipped.name.to_owned(), shipped.text.to_owned(), PathBuf::new()));
    }
    find(argument)?;
    let text = file::load(path)?;
    let stem =
        path.file_stem().map_or_else(|| "scenario".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok((stem, text, folder))
}

/// Refuses what is neither a file nor the name of a shipped scenario. What cannot be looked at may be there; opening it says
/// why.
pub(super) fn find(argument: &str) -> Result<(), String> {
    if Path::new(argument).try_exists().unwrap_or(true) || library::find(argument).is_some() {
        return Ok(());
    }
    let names: Vec<_> = library::all().iter().map(|shipped| shipped.name).collect();
    Err(match file::nearest(argument, names.iter().copied()) {
        Some(near) => {
            format!("there is no such file, and no shipped scenario of that name; did you mean `{near}`?")
        }
        None => "there is no such file, and no shipped scenario of that name (`tuesday list` shows them)"
            .to_owned(),
    })
}

/// A file that a scenario names stands relative to it.
pub(super) fn companion(folder: &Path, name: &str) -> Result<String, String> {
    let path = folder.join(name);
    // Nobody waits at the other end of a pipe for a scenario to be read.
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() => Err("it is no file".to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err("there is no such file in the folder of the scenario".to_owned())
        }
        _ => file::load(&path),
    }
}
