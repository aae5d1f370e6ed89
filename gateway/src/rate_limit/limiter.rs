//! The trait that each algorithm implements, and the verdict on a request.

use std::time::Duration;

use crate::timestamp::Timestamp;

/// A limiter's answer to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request may pass.
    Admitted {
        /// How many more requests of this bucket, each of which counts as one, would be admitted at this same instant.
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
        /// The least wait after which the same request would be admitted if no other of this bucket came before, to
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

    /// The same of a request that was only asked about: what it would have taken is left.
    pub(super) const fn uncounted(self, cost: u32) -> Self {
        match self {
            Self::Admitted { remaining } => Self::Admitted { remaining: remaining.saturating_add(cost) },
            Self::Delayed { remaining, wait } => {
                Self::Delayed { remaining: remaining.saturating_add(cost), wait }
            }
            rejected @ Self::Rejected { .. } => rejected,
        }
    }

    pub(super) const fn rejected_for(nanos: u64) -> Self {
        Self::Rejected { retry_after: Duration::from_nanos(nanos) }
    }
}

/// A rate-limit algorithm: the rule that all buckets of a limit share. What it remembers of one bucket is a
/// `State`, kept by the caller.
///
/// A request has a `cost`, at least 1: it counts as so many requests that come at once, of which all pass or none does. A cost
/// above [`RateLimit::allowance`](super::RateLimit::allowance) never passes.
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
    fn take(&self, state: &mut Self::State, now: Timestamp, cost: u32) -> Verdict;

    /// As [`take`](Self::take), of a request that counts as one.
    #[cfg(test)]
    fn check(&self, state: &mut Self::State, now: Timestamp) -> Verdict {
        self.take(state, now, 1)
    }

    /// Whether a request of the bucket at `now` would be admitted. Counts nothing, and changes no later verdict.
    fn admits(&self, state: &mut Self::State, now: Timestamp, cost: u32) -> bool;

    /// What [`take`](Self::take) would say. Counts nothing, not even what is rejected: what remains, remains with the request
    /// that is asked about.
    fn peek(&self, state: &mut Self::State, now: Timestamp, cost: u32) -> Verdict;

    /// Counts a request of the bucket at `now`, whether there is room for it or not. A bucket that refills is empty at the
    /// least, and owes nothing.
    fn charge(&self, state: &mut Self::State, now: Timestamp, cost: u32);

    /// Whether from `now` on the bucket cannot be told from a [fresh](Self::fresh) one, so that it may be
    /// forgotten.
    fn is_fresh(&self, state: &Self::State, now: Timestamp) -> bool;

    /// Nanoseconds after its last request from which on a bucket is fresh, whatever it did before. Saturates.
    fn settles_within(&self) -> u64;

    /// Gives back what memory the state no longer needs. Called now and then for buckets that are not fresh.
    fn compact(&self, _state: &mut Self::State, _now: Timestamp) {}
}
