use std::cell::RefCell;

use super::Companion;
use super::diagnostic::{Problem, Severity};

/// The reading of one file: where its problems are gathered, and how to come by the files it names.
pub(super) struct Context<'f> {
    problems: RefCell<Vec<Problem>>,
    companion: Companion<'f>,
    /// The paths of all keys that the reader knows a meaning of, for the test that holds the schema to them.
    #[cfg(test)]
    pub(super) known: RefCell<std::collections::BTreeSet<String>>,
}

impl<'f> Context<'f> {
    pub(super) const fn new(companion: Companion<'f>) -> Self {
        Self {
            problems: RefCell::new(Vec::new()),
            companion,
            #[cfg(test)]
            known: RefCell::new(std::collections::BTreeSet::new()),
        }
    }

    /// Notes a problem, once: what stands in the file is read again for every variant.
    pub(super) fn push(&self, problem: Problem) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < MOST_PROBLEMS && !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    /// The text of a file that the scenario names.
    pub(super) fn companion(&self, name: &str) -> Result<String, String> {
        (self.companion)(name)
    }

    /// Whether the file is refused.
    pub(super) fn is_fatal(&self) -> bool {
        self.problems.borrow().iter().any(|problem| problem.severity == Severity::Error)
    }

    /// In the order of the file, errors and warnings together.
    pub(super) fn into_sorted(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        problems
    }
}

/// More are not worth reading, and looking for repetitions among them takes time.
const MOST_PROBLEMS: usize = 200;
