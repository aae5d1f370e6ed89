//! The folders that results go to: one below `--out` for each scenario, named after its file, and never anywhere else.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::error::Failure;
use super::formats;

/// Makes the folder `name` below `out` and tries whether files can be made in it. `argument` is what the user called that
/// which has the name.
pub(super) fn prepare(out: &Path, name: &str, argument: &str) -> Result<PathBuf, Failure> {
    let folder = below(out, name, argument)?;
    formats::prepare(&folder)
        .map_err(|error| Failure::usage(format!("cannot write to {}: {error}", folder.display())))?;
    Ok(folder)
}

/// As [`prepare`], of several, each a name and what it is of. No two results go to one folder, however it is named: a link,
/// or two names that the file system takes for the same.
pub(super) fn prepare_each(out: &Path, names: &[(&str, &str)]) -> Result<Vec<PathBuf>, Failure> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for (name, argument) in names {
        let folder = below(out, name, argument)?;
        refuse_shared(&folders, &folder, &folder)?;
        folders.push(folder);
    }
    let mut places = Vec::new();
    for (name, argument) in names {
        let folder = prepare(out, name, argument)?;
        let place = fs::canonicalize(&folder).unwrap_or_else(|_| folder.clone());
        refuse_shared(&places, &place, &folder)?;
        places.push(place);
    }
    Ok(folders)
}

fn refuse_shared(earlier: &[PathBuf], place: &PathBuf, folder: &Path) -> Result<(), Failure> {
    if !earlier.contains(place) {
        return Ok(());
    }
    let folder = folder.display();
    Err(Failure::usage(format!(
        "two scenarios would write to {folder}; run them one by one, each with its `--out`"
    )))
}

/// The folder of that name, which is a name and leads nowhere else: the stem of a file called `...toml` is `..`.
pub(super) fn below(out: &Path, name: &str, argument: &str) -> Result<PathBuf, Failure> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(only)), None) if only == name => Ok(out.join(only)),
        _ => Err(Failure::usage(format!(
            "{argument}: the results would go to a folder of that name without its ending, and `{name}` is no name of a \
             folder; give the file another name"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_below_the_one_that_is_asked_for() {
        let out = Path::new("out");
        for name in ["orders", "a b", "...", ".hidden", "..a", "a..", "-", "日本"] {
            assert_eq!(below(out, name, "file").unwrap(), out.join(name), "{name}");
        }
        for name in ["", ".", "..", "../a", "a/..", "a/b", "a/", "/", "/etc", "./a"] {
            assert!(below(out, name, "file").is_err(), "{name}");
        }
    }
}
