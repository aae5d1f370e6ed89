//! Invariants of machines, and what becomes of one that is broken.
//!
//! A counter that goes below zero, or two counters that contradict each other, are mistakes of ours: no file, request or client
//! may cause them. A machine that hides such a mistake (by stopping at zero, say) reports wrong loads from then on, and a
//! bulkhead of such a machine slowly opens. So each machine checks its counters at each transition. What happens then is
//! decided by whoever makes the machine:
//!
//! - [`Invariants::Panic`], the default, ends the caller at once. Tests and the virtual engine do so: a result that was computed
//!   from a wrong counter is worth nothing.
//! - [`Invariants::Count`] counts the violation, and the machine goes on with the counter as it was. Servers do so: requests that
//!   have nothing to do with the mistake are still served. The shell around the machine asks [`Invariants::poll`] and tells
//!   whoever watches.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a machine does when an invariant of the machine is broken.
#[derive(Clone, Debug, Default)]
pub enum Invariants {
    /// Panics, with the broken invariant as the message.
    #[default]
    Panic,
    /// Counts here, and goes on. Machines may share one count.
    Count(Arc<Violations>),
}

/// The broken invariants of one server so far.
#[derive(Debug, Default)]
pub struct Violations {
    total: AtomicU64,
    /// Whether [`Invariants::poll`] may find something: all that a transition without a violation reads.
    has_news: AtomicBool,
    /// Each invariant that was broken, in the order in which they first were. As many as there are checks in the code, at most.
    kinds: Mutex<Vec<Kind>>,
}

/// One broken invariant.
#[derive(Debug)]
struct Kind {
    what: &'static str,
    times: u64,
    /// Violations that were told of so far.
    told: u64,
}

/// A broken invariant that is to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What happened, as a sentence without an end.
    pub what: &'static str,
    /// How often this has happened so far, at least 1.
    pub times: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, times } = self;
        write!(f, "a counter is wrong: {what} ({times} so far)")
    }
}

impl Invariants {
    /// Counts from zero.
    pub fn counting() -> Self {
        Self::Count(Arc::default())
    }

    /// Takes one from `counter`. At zero, `what` is broken, and the counter stays at zero.
    ///
    /// # Panics
    ///
    /// At zero, for [`Invariants::Panic`].
    #[inline]
    pub fn decrement(&self, counter: &mut u32, what: &'static str) {
        match counter.checked_sub(1) {
            Some(left) => *counter = left,
            None => self.on_broken(what),
        }
    }

    /// Takes `part` from `sum`. Where the sum is smaller, `what` is broken, and the sum stays as it is.
    ///
    /// # Panics
    ///
    /// Where the sum is smaller, for [`Invariants::Panic`].
    #[inline]
    pub fn subtract(&self, sum: &mut u64, part: u64, what: &'static str) {
        match sum.checked_sub(part) {
            Some(left) => *sum = left,
            None => self.on_broken(what),
        }
    }

    /// Says whether `holds` is true; where not, `what` is broken.
    ///
    /// # Panics
    ///
    /// Where it is not, for [`Invariants::Panic`].
    #[inline]
    pub fn hold(&self, holds: bool, what: &'static str) -> bool {
        if !holds {
            self.on_broken(what);
        }
        holds
    }

    /// The next violation to tell of. Each invariant is told of when it is broken for the first time, and again whenever its
    /// violations are at least twice as many as were told: a counter that breaks with every request must not fill a log.
    #[inline]
    pub fn poll(&self) -> Option<Violation> {
        match self {
            Self::Count(violations) if violations.has_news.load(Ordering::Relaxed) => violations.poll(),
            _ => None,
        }
    }

    /// Violations so far, of all invariants together; zero for [`Invariants::Panic`].
    pub fn broken(&self) -> u64 {
        match self {
            Self::Panic => 0,
            Self::Count(violations) => violations.total.load(Ordering::Relaxed),
        }
    }

    #[cold]
    fn on_broken(&self, what: &'static str) {
        match self {
            Self::Panic => panic!("{what}"),
            Self::Count(violations) => violations.note(what),
        }
    }
}

impl Violations {
    fn note(&self, what: &'static str) {
        self.total.fetch_add(1, Ordering::Relaxed);
        let mut kinds = self.kinds();
        match kinds.iter_mut().find(|kind| kind.what == what) {
            Some(kind) => kind.times += 1,
            None => kinds.push(Kind { what, times: 1, told: 0 }),
        }
        self.has_news.store(true, Ordering::Relaxed);
    }

    #[cold]
    fn poll(&self) -> Option<Violation> {
        let mut kinds = self.kinds();
        let news = kinds.iter_mut().find(|kind| kind.times >= (2 * kind.told).max(1));
        if news.is_none() {
            self.has_news.store(false, Ordering::Relaxed);
        }
        news.map(|kind| {
            kind.told = kind.times;
            Violation { what: kind.what, times: kind.times }
        })
    }

    fn kinds(&self) -> MutexGuard<'_, Vec<Kind>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "a worker is released that was never taken")]
    fn a_broken_counter_panics_unless_somebody_counts() {
        Invariants::default().decrement(&mut 0, "a worker is released that was never taken");
    }

    #[test]
    fn a_counter_that_holds_is_decremented_and_nothing_is_told() {
        for invariants in [Invariants::Panic, Invariants::counting()] {
            let mut counter = 2;
            invariants.decrement(&mut counter, "below zero");
            let mut sum = 7;
            invariants.subtract(&mut sum, 7, "below zero");
            assert_eq!(sum, 0);
            assert!(invariants.hold(counter == 1, "not one"));
            assert_eq!((counter, invariants.broken(), invariants.poll()), (1, 0, None));
        }
    }

    #[test]
    fn violations_are_counted_and_told_once_and_then_at_each_doubling() {
        let invariants = Invariants::counting();
        let machine = invariants.clone();
        let mut counter = 0;
        let told: Vec<_> = (1..=9)
            .filter_map(|_| {
                machine.decrement(&mut counter, "below zero");
                Some(invariants.poll()?.times)
            })
            .collect();
        assert_eq!((told, counter, invariants.broken()), (vec![1, 2, 4, 8], 0, 9));

        let mut sum = 1;
        machine.subtract(&mut sum, 2, "another");
        assert_eq!(sum, 1);
        assert_eq!(invariants.poll(), Some(Violation { what: "another", times: 1 }));
        assert_eq!((invariants.poll(), invariants.broken()), (None, 10));
        assert!(!machine.hold(false, "another"));
        assert_eq!(invariants.poll(), Some(Violation { what: "another", times: 2 }));
    }
}
