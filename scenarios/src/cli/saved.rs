//! Results that an earlier run wrote.

use std::fs;
use std::path::{Path, PathBuf};

use reports::{ExperimentResult, from_json};

/// The file of a folder of results.
const RESULT: &str = "result.json";

/// A saved result and how it was asked for.
pub(super) struct Saved {
    /// As named on the command line.
    pub(super) argument: String,
    /// The name of its folder, which is that of the scenario's file.
    pub(super) stem: String,
    pub(super) result: ExperimentResult,
}

/// Whether that is a folder of results, or names a file of one.
pub(super) fn is_saved(argument: &str) -> bool {
    let path = Path::new(argument);
    path.extension().is_some_and(|ending| ending == "json") || path.join(RESULT).is_file()
}

/// Reads a folder's result, or a file.
///
/// # Errors
///
/// What stands in the way, and where.
pub(super) fn read(argument: &str) -> Result<Saved, String> {
    let path = Path::new(argument);
    let file = if path.is_dir() { path.join(RESULT) } else { path.to_owned() };
    let text =
        fs::read_to_string(&file).map_err(|error| format!("{}: cannot be read: {error}", file.display()))?;
    let result = from_json(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    // What lies in the working directory has its name from there.
    let folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
    let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
    let folder = folder.canonicalize().unwrap_or(folder);
    let stem =
        folder.file_name().map_or_else(|| "results".to_owned(), |name| name.to_string_lossy().into_owned());
    Ok(Saved { argument: argument.to_owned(), stem, result })
}
