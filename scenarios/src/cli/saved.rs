//! Results that an earlier run wrote.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use reports::{ExperimentResult, from_json};

use super::stored;

/// The file of a folder of results.
const RESULT: &str = "result.json";

/// A saved result and how it was asked for.
pub(super) struct Saved {
    /// As named on the command line.
    pub(super) argument: String,
    /// The folder in which it lies.
    pub(super) folder: PathBuf,
    /// The name of its folder, which is that of the scenario's file.
    pub(super) stem: String,
    pub(super) result: ExperimentResult,
}

/// Whether that is a folder of results, names a file of one, or is the folder of a scenario whose newest result is kept in it.
pub(super) fn is_saved(argument: &str) -> bool {
    let path = Path::new(argument);
    path.extension().is_some_and(|ending| ending == "json") || file_in(path).is_file()
}

/// The result of a folder: the newest that is kept in it, or its own. An earlier version kept none, and left its own behind.
fn file_in(folder: &Path) -> PathBuf {
    let [own, newest] = [folder.join(RESULT), folder.join(stored::LATEST).join(RESULT)];
    if newest.exists() { newest } else { own }
}

/// Reads a folder's result, or a file.
///
/// # Errors
///
/// What stands in the way, and where.
pub(super) fn read(path: &Path) -> Result<Saved, String> {
    let file = if path.is_dir() { file_in(path) } else { path.to_owned() };
    let told = |problem: &dyn fmt::Display| format!("{}: {problem}", file.display());
    let unreadable = |error: &io::Error| told(&format_args!("cannot be read: {error}"));
    // Nobody waits at the other end of a pipe for a result to be read.
    if !file.metadata().map_err(|error| unreadable(&error))?.is_file() {
        return Err(told(&"it is no file"));
    }
    let text = fs::read_to_string(&file).map_err(|error| unreadable(&error))?;
    let result = from_json(&text).map_err(|error| told(&error))?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    // What lies in the working directory has its name from there.
    let named = folder.canonicalize().unwrap_or_else(|_| folder.clone());
    // A result that is kept has the name of the scenario's folder, in which its own is.
    let is_kept = named.file_name().and_then(|name| stored::read(name.to_str()?)).is_some();
    let named = if is_kept { named.parent().unwrap_or(&named) } else { &named };
    let stem =
        named.file_name().map_or_else(|| "results".to_owned(), |name| name.to_string_lossy().into_owned());
    Ok(Saved { argument: path.display().to_string(), folder, stem, result })
}
