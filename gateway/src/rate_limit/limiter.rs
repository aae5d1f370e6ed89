//! The trait that each algorithm implements, and the verdict on a request.

use std::time::Duration;

use crate::timestamp::Timestamp;

/// A limiter's answer to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request may pass.
    Admitted {
        /// How many more requests of this bucket would be admitted at this same instant.
        remaining: u32,
    },
    /// The request may pass when it has its turn.
    Delayed {
        /// How many more requests of this bucket would be admitted at this same instant.
        remaining: u32,
        /// How long until its turn, longer than zero.
        wait: Duration,
    },
    /// The request may not pass.
    Rejected {
        /// The least wait after which a request of this bucket would be admitted if no other came before, to
        /// the nanosecond and longer than zero. With `count_rejected` this request has itself been counted:
        /// whoever comes back earlier is counted again and puts the instant off.
        retry_after: Duration,
    },
}

impl Verdict {
    /// Whether the request may pass, at once or when it has its turn.
    pub const fn is_admitted(self) -> bool {
        !matches!(self, Self::Rejected { .. })
    }

    /// How many more requests would be admitted at the same instant.
    pub const fn remaining(self) -> u32 {
        match self {
            Self::Admitted { remaining } | Self::Delayed { remaining, .. } => remaining,
            Self::Rejected { .. } => 0,
        }
    }

    /// How long a request that may pass waits for its turn.
    pub const fn wait(self) -> Duration {
        match self {
            Self::Delayed { wait, .. } => wait,
            Self::Admitted { .. } | Self::Rejected { .. } => Duration::ZERO,
        }
    }

    pub(super) const fn rejected_for(nanos: u64) -> Self {
        Self::Rejected { retry_after: Duration::from_nanos(nanos) }
    }
}

/// A rate-limit algorithm: the rule that all buckets of a limit share. What it remembers of one bucket is a
/// `State`, kept by the caller.
///
/// `now` should not run backwards between calls with the same state ([`Keyed`](super::keyed::Keyed) sees to
/// that). A limiter told an earlier time than before does not panic, and admits no more than it would have at
/// the later one.
pub(super) trait Limiter {
    /// What is remembered of one bucket. Small: there may be a million.
    type State;

    /// A bucket of which nothing is remembered.
    fn fresh(&self) -> Self::State;

    /// Judges a request of the bucket at `now` and counts it.
    fn check(&self, state: &mut Self::State, now: Timestamp) -> Verdict;

    /// Whether a request of the bucket at `now` would be admitted. Counts nothing, and changes no later verdict.
    fn admits(&self, state: &mut Self::State, now: Timestamp) -> bool;

    /// Whether from `now` on the bucket cannot be told from a [fresh](Self::fresh) one, so that it may be
    /// forgotten.
    fn is_fresh(&self, state: &Self::State, now: Timestamp) -> bool;

    /// Nanoseconds after its last request from which on a bucket is fresh, whatever it did before. Saturates.
    fn settles_within(&self) -> u64;

    /// Gives back what memory the state no longer needs. Called now and then for buckets that are not fresh.
    fn compact(&self, _state: &mut Self::State, _now: Timestamp) {}
}
