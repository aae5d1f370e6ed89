//! What must hold of the events that a recorder hears, and what becomes of a record of which it does not hold.
//!
//! A counter that quietly stays at zero where it should have gone below hides the bug that brought it there, and every figure
//! made of it is wrong. So counters are checked where they change. In tests and in virtual time, where only a bug can break
//! them, the first break panics. A run on real sockets takes an hour and its events come from many threads: there a break is
//! counted, the run counts as invalid, and the result says why.

use crate::words::format;

/// A way in which a record is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A request ended that was not under way.
    EndedUnoffered,
    /// A request ended before it was meant to be sent.
    EndedTooEarly,
    /// A request was still under way when the record was closed.
    NeverEnded,
    /// A time was told after a later one.
    TimeWentBack,
    /// A worker of the gateway was given back that no request held.
    WorkerNotHeld,
    /// A counter was full.
    Overflow,
}

impl Broken {
    const ALL: [Self; 6] = [
        Self::EndedUnoffered,
        Self::EndedTooEarly,
        Self::NeverEnded,
        Self::TimeWentBack,
        Self::WorkerNotHeld,
        Self::Overflow,
    ];

    /// What is broken, before its count.
    const fn told(self) -> &'static str {
        match self {
            Self::EndedUnoffered => "ends of requests that were not under way",
            Self::EndedTooEarly => "ends of requests before they were to be sent",
            Self::NeverEnded => "requests without an end",
            Self::TimeWentBack => "events earlier than one before them",
            Self::WorkerNotHeld => "workers of the gateway that were given back and not held",
            Self::Overflow => "events beyond what a counter holds",
        }
    }
}

/// How often a record was found broken, by the way in which it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Breaks([u64; Broken::ALL.len()]);

impl Breaks {
    /// Adds those of another record.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum += more);
    }

    /// All of them.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Why the record cannot be trusted, as the end of a sentence; `None` where it can.
    pub(crate) fn told(&self) -> Option<String> {
        let found = Broken::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0);
        let told: Vec<String> =
            found.map(|(broken, count)| format!("{}: {}", broken.told(), format::count(count))).collect();
        (!told.is_empty()).then(|| format!("the record is broken, by a bug of Tuesday: {}", told.join(", ")))
    }
}

/// Takes note of what breaks a record.
#[derive(Debug)]
pub(crate) struct Checker {
    /// Whether the first break is the last.
    panics: bool,
    breaks: Breaks,
}

impl Checker {
    /// Panics at the first break.
    pub(crate) fn strict() -> Self {
        Self { panics: true, breaks: Breaks::default() }
    }

    /// Counts breaks.
    pub(crate) fn counting() -> Self {
        Self { panics: false, breaks: Breaks::default() }
    }

    /// The record is broken in `count` places.
    ///
    /// # Panics
    ///
    /// If it is a strict one.
    #[cold]
    pub(crate) fn note(&mut self, broken: Broken, count: u64) {
        assert!(!self.panics, "the record is broken: {}: {count}", broken.told());
        self.breaks.0[broken as usize] += count;
    }

    /// Takes note of what a counter says of its own change.
    #[inline]
    pub(crate) fn check(&mut self, changed: Result<(), Broken>) {
        if let Err(broken) = changed {
            self.note(broken, 1);
        }
    }

    /// Takes out what was counted.
    pub(crate) fn take(&mut self) -> Breaks {
        std::mem::take(&mut self.breaks)
    }
}
