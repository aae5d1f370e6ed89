//! The reading of one file: where its problems are gathered, and how to come by the files it names.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use simulator::Latency;

use super::diagnostic::{Problem, Severity, char_end, char_start};
use super::presets::{Filled, note};
use super::tree::Span;

/// How to come by the text of a file that a scenario names.
///
/// # Errors
///
/// What stands in the way, for the author of the scenario.
pub type Companion<'f> = &'f dyn Fn(&str) -> Result<String, String>;

/// The reading of one file: where its problems are gathered, and how to come by the files it names.
pub(super) struct Context<'f> {
    errors: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
    /// The gravest problem that was not kept because there are too many.
    dropped: Cell<Option<Severity>>,
    companion: Companion<'f>,
    /// What came of the files that the scenario names; each is read once, however many upstreams and variants
    /// name it.
    measured: RefCell<HashMap<String, Result<Latency, String>>>,
    /// The bytes of all of them.
    companion_bytes: Cell<usize>,
    /// What the presets of the file set, in each of its variants.
    filled: RefCell<Vec<Filled>>,
}

impl<'f> Context<'f> {
    pub(super) fn new(companion: Companion<'f>) -> Self {
        Self {
            errors: RefCell::default(),
            warnings: RefCell::default(),
            dropped: Cell::new(None),
            companion,
            measured: RefCell::default(),
            companion_bytes: Cell::new(0),
            filled: RefCell::default(),
        }
    }

    /// Takes note of what presets set, to be told where a problem has to do with it.
    pub(super) fn has_presets(&self, filled: Vec<Filled>) {
        self.filled.borrow_mut().extend(filled);
    }

    /// Notes a problem, once: what stands in the file is read again for every variant.
    pub(super) fn push(&self, problem: Problem) {
        self.note(problem, |problem| problem);
    }

    /// Notes a problem with a way out that takes time to find, which is looked for only if it will be read.
    pub(super) fn push_with_help(&self, problem: Problem, help: impl FnOnce() -> String) {
        self.note(problem, |problem| problem.help(help()));
    }

    fn note(&self, problem: Problem, complete: impl FnOnce(Problem) -> Problem) {
        // Apart from one another, so that warnings leave room for the errors that make the file unusable.
        let noted = match problem.severity {
            Severity::Error => &self.errors,
            Severity::Warning => &self.warnings,
        };
        let again = |known: &Problem| known.span == problem.span && known.message == problem.message;
        if noted.borrow().iter().any(again) {
            return;
        }
        if noted.borrow().len() < MOST_PROBLEMS {
            let problem = complete(problem);
            noted.borrow_mut().push(problem);
        } else if self.dropped.get() != Some(Severity::Error) {
            self.dropped.set(Some(problem.severity));
        }
    }

    /// Has `read` note its problems apart, and takes over the errors among them that no variant can make good: those of what
    /// stands in the file, and not of what is missing from it.
    pub(super) fn take_over_what_stands(&self, read: impl FnOnce(&Self)) {
        let apart = Self::new(self.companion);
        // Files are read once, here as there.
        apart.measured.swap(&self.measured);
        apart.companion_bytes.swap(&self.companion_bytes);
        read(&apart);
        apart.measured.swap(&self.measured);
        apart.companion_bytes.swap(&self.companion_bytes);
        let errors = apart.errors.into_inner().into_iter();
        errors.filter(|error| !error.is_of_absence).for_each(|error| self.push(error));
    }

    /// Takes a problem back that another one explains.
    pub(super) fn retract(&self, span: &Span, message: &str) {
        self.errors.borrow_mut().retain(|known| known.span != *span || known.message != message);
    }

    /// The latencies in a file that the scenario names, as `read` makes them of its text.
    pub(super) fn measured(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<Latency, String>,
    ) -> Result<Latency, String> {
        if let Some(known) = self.measured.borrow().get(name) {
            return known.clone();
        }
        let found = (self.companion)(name).and_then(|text| {
            let bytes = self.companion_bytes.get().saturating_add(text.len());
            self.companion_bytes.set(bytes);
            if bytes > MOST_COMPANION_BYTES {
                let most = MOST_COMPANION_BYTES >> 20;
                return Err(format!("the files that a scenario names are at most {most} MiB together"));
            }
            read(&text)
        });
        self.measured.borrow_mut().insert(name.to_owned(), found.clone());
        found
    }

    /// Whether the file is refused.
    pub(super) fn is_fatal(&self) -> bool {
        !self.errors.borrow().is_empty()
    }

    /// In the order of the file, errors and warnings together, each at whole characters of the text.
    pub(super) fn into_sorted(self, text: &str) -> Vec<Problem> {
        let mut problems = self.errors.into_inner();
        problems.append(&mut self.warnings.into_inner());
        let filled = self.filled.into_inner();
        for problem in &mut problems {
            if let Some(note) = note(&filled, problem) {
                let help = if problem.help.is_empty() { note } else { format!("{}; {note}", problem.help) };
                *problem = problem.clone().help(help);
            }
            problem.span = char_start(text, problem.span.start)..char_end(text, problem.span.end);
        }
        problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        if let Some(severity) = self.dropped.get() {
            let message = format!("there are more problems than the {} above", problems.len());
            problems.push(Problem { severity, ..Problem::error(0..0, message) });
        }
        problems
    }
}

/// More errors than this, or more warnings, are not worth reading, and looking for repetitions among them takes
/// time.
const MOST_PROBLEMS: usize = 100;

/// Four files as large as a scenario may be.
const MOST_COMPANION_BYTES: usize = 16 << 20;
