//! The log of an experiment: the lines of all its runs in one file, run after run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use gateway::telemetry::{JsonLines, RunName};
use tempfile::{Builder, NamedTempFile};

/// A file that the requests of several runs are logged to.
///
/// Runs go on side by side, and in virtual time the same seed has to give the same bytes: so each run writes to a file of
/// its own beside the log, and [`LogBook::finish`] puts them together in the order of variants and seeds, each control
/// after its incident.
#[derive(Debug)]
pub struct LogBook {
    path: PathBuf,
    out: File,
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    /// Experiments so far.
    chapter: usize,
    scenario: String,
    variants: Vec<String>,
    written: BTreeMap<Place, NamedTempFile>,
}

/// Where the lines of a run belong: experiment, engine (virtual, live), variant, seed, and incident or control.
type Place = (usize, bool, usize, u64, bool);

impl LogBook {
    /// Makes the file, or empties it.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn create(path: &Path) -> io::Result<Self> {
        let out = File::create(path)?;
        Ok(Self { path: path.to_owned(), out, pages: Mutex::default() })
    }

    /// What comes next are the runs of this scenario.
    pub(crate) fn begin<'v>(&self, scenario: &str, variants: impl Iterator<Item = &'v str>) {
        let mut pages = self.pages();
        pages.chapter += 1;
        scenario.clone_into(&mut pages.scenario);
        pages.variants = variants.map(str::to_owned).collect();
    }

    /// Where a run writes its lines, and what they call it.
    pub(crate) fn page(
        &self,
        live: bool,
        variant: &str,
        seed: u64,
        control: bool,
    ) -> io::Result<(JsonLines, RunName)> {
        let mut pages = self.pages();
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // A log that goes to a device, such as a terminal, has its pages where all temporary files are.
        let folder = folder.filter(|_| self.path.is_file()).map_or_else(std::env::temp_dir, Path::to_owned);
        let file = Builder::new().prefix(".tuesday-log-").tempfile_in(folder)?;
        let lines = JsonLines::buffered(1 << 16, file.reopen()?);
        let place = pages.variants.iter().position(|known| known == variant).unwrap_or(usize::MAX);
        let place = (pages.chapter, live, place, seed, control);
        pages.written.insert(place, file);
        let engine = if live { "live" } else { "virtual" };
        let scenario = pages.scenario.clone();
        Ok((lines, RunName { scenario, engine, variant: variant.to_owned(), seed, control }))
    }

    /// Puts the lines of all runs together.
    ///
    /// # Errors
    ///
    /// If they cannot be read or written.
    pub fn finish(&self) -> io::Result<()> {
        let written = std::mem::take(&mut self.pages().written);
        for page in written.into_values() {
            io::copy(&mut page.reopen()?, &mut &self.out)?;
        }
        Ok(())
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
