//! The pages: the book in `docs/` and the READMEs, with their blocks of code.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The pages of the book, in the order of their paths.
pub(crate) fn book() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

/// The pages of the book and the READMEs, each with its text.
pub(crate) fn pages() -> Vec<(PathBuf, String)> {
    let readmes = ["README.md", "bench/README.md"].map(|path| root().join(path));
    let pages = book().into_iter().chain(readmes);
    pages.map(|path| (path.clone(), read(&path))).collect()
}

/// A page without its blocks of code.
pub(crate) fn prose(page: &str) -> String {
    page.split("```").step_by(2).collect()
}

/// A fenced block of code.
pub(crate) struct Fence<'a> {
    /// The words behind the fence, such as `toml` and `file=shop.toml`.
    pub(crate) info: Vec<&'a str>,
    /// The place of the text between the fences, in bytes of the page.
    pub(crate) body: Range<usize>,
}

impl<'a> Fence<'a> {
    pub(crate) fn language(&self) -> &'a str {
        self.info[0]
    }

    pub(crate) fn is(&self, word: &str) -> bool {
        self.info.contains(&word)
    }

    /// The name of the file that the block is the text of.
    pub(crate) fn file(&self) -> Option<&'a str> {
        self.info.iter().find_map(|word| word.strip_prefix("file="))
    }
}

/// The blocks of code of a page, in order, but for those in lists.
pub(crate) fn fences(page: &str) -> Vec<Fence<'_>> {
    let mut fences = Vec::new();
    let mut open: Option<(Vec<&str>, usize)> = None;
    let mut place = 0;
    for line in page.split_inclusive('\n') {
        if let Some(info) = line.strip_prefix("```") {
            open = match open {
                Some((info, start)) => {
                    fences.push(Fence { info, body: start..place });
                    None
                }
                None => Some((info.trim().split(',').collect(), place + line.len())),
            };
        }
        assert!(!line.contains("  ```console"), "in a list, no block is run: {line}");
        place += line.len();
    }
    assert!(open.is_none(), "a block of code has no end: {open:?}");
    fences
}
