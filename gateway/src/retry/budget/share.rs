//! A retry budget by requests, as in Finagle: a bound on the share of the traffic that is retries.

use std::collections::VecDeque;

use thiserror::Error;

use crate::invariant::Invariants;
use crate::timestamp::Timestamp;

/// Retries are at most a share of the requests, and a rate in any case.
///
/// As in Finagle's `RetryBudget`, whose window of ten seconds this takes over too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShareBudget {
    ratio: f64,
    floor: f64,
}

/// Why settings are no [`ShareBudget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ShareBudgetError {
    /// A share of the requests.
    #[error("ratio must be a share that is not negative")]
    Ratio,
    /// Retries per second.
    #[error("floor must be a rate that is not negative")]
    Floor,
}

impl ShareBudget {
    /// Retries ≤ `ratio` × requests + `floor` per second, each over the last ten seconds. The floor lets a caller of few
    /// requests retry at all.
    ///
    /// # Errors
    ///
    /// For what is negative or not a number.
    pub fn new(ratio: f64, floor: f64) -> Result<Self, ShareBudgetError> {
        if !(ratio.is_finite() && ratio >= 0.0) {
            return Err(ShareBudgetError::Ratio);
        }
        if !(floor.is_finite() && floor >= 0.0) {
            return Err(ShareBudgetError::Floor);
        }
        Ok(Self { ratio, floor })
    }

    /// Whether it never allows a retry.
    pub(super) fn is_nothing(&self) -> bool {
        self.ratio == 0.0 && self.floor == 0.0
    }
}

/// The account of a [`ShareBudget`].
#[derive(Debug)]
pub(super) struct ShareAccount {
    config: ShareBudget,
    /// Seconds in which something was counted, oldest first.
    seconds: VecDeque<Second>,
    requests: u64,
    retries: u64,
}

#[derive(Clone, Copy, Debug)]
struct Second {
    number: u64,
    requests: u64,
    retries: u64,
}

impl ShareAccount {
    /// Over how many seconds requests and retries are set against each other.
    const WINDOW_SECONDS: u64 = 10;

    /// An account without requests.
    pub(super) const fn new(config: ShareBudget) -> Self {
        Self { config, seconds: VecDeque::new(), requests: 0, retries: 0 }
    }

    /// A request (not a retry) is made.
    pub(super) fn on_request(&mut self, now: Timestamp, invariants: &Invariants) {
        self.second(now, invariants).requests += 1;
        self.requests += 1;
    }

    /// Asks for a retry; it is counted if it is allowed.
    pub(super) fn try_retry(&mut self, now: Timestamp, invariants: &Invariants) -> bool {
        self.second(now, invariants);
        let allowed =
            self.config.ratio * self.requests as f64 + self.config.floor * Self::WINDOW_SECONDS as f64;
        let within = (self.retries + 1) as f64 <= allowed;
        if within {
            self.second(now, invariants).retries += 1;
            self.retries += 1;
        }
        within
    }

    /// The present second, after those that are too old have been dropped. A clock that went back counts into the
    /// latest.
    fn second(&mut self, now: Timestamp, invariants: &Invariants) -> &mut Second {
        let latest = self.seconds.back().map_or(0, |second| second.number);
        let number = (now.as_nanos() / 1_000_000_000).max(latest);
        while let Some(old) = self.seconds.front().filter(|old| old.number + Self::WINDOW_SECONDS <= number) {
            for (sum, part) in [(&mut self.requests, old.requests), (&mut self.retries, old.retries)] {
                invariants.subtract(sum, part, "a second of a retry budget has more than the budget");
            }
            self.seconds.pop_front();
        }
        if self.seconds.back().is_none_or(|second| second.number != number) {
            self.seconds.push_back(Second { number, requests: 0, retries: 0 });
        }
        let last = self.seconds.len() - 1;
        &mut self.seconds[last]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const P: &Invariants = &Invariants::Panic;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_fifth_of_the_requests_and_a_floor() {
        let mut budget = ShareAccount::new(ShareBudget::new(0.2, 1.0).unwrap());
        // Before any request there is the floor of one per second, for ten seconds.
        assert_eq!((0..50).filter(|_| budget.try_retry(at(0), P)).count(), 10);
        for _ in 0..100 {
            budget.on_request(at(500), P);
        }
        assert_eq!((0..50).filter(|_| budget.try_retry(at(9_999), P)).count(), 20);
        // The requests and the first ten retries are older than ten seconds now, the twenty later ones are not.
        assert_eq!((0..50).filter(|_| budget.try_retry(at(10_000), P)).count(), 0);
        assert_eq!((0..50).filter(|_| budget.try_retry(at(19_000), P)).count(), 10);
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        assert_eq!(ShareBudget::new(-0.1, 0.0), Err(ShareBudgetError::Ratio));
        assert_eq!(ShareBudget::new(0.1, f64::NAN), Err(ShareBudgetError::Floor));
        assert!(ShareBudget::new(0.0, 0.0).unwrap().is_nothing());
    }

    proptest! {
        /// The amplification that a caller can reach is bounded, whatever it does and whenever.
        #[test]
        fn retries_never_exceed_the_budget(
            ratio in 0.0f64..1.0,
            floor in 0.0f64..5.0,
            steps in prop::collection::vec((0u64..3_000, any::<bool>()), 1..300),
        ) {
            let mut budget = ShareAccount::new(ShareBudget::new(ratio, floor).unwrap());
            let (mut now, mut requests, mut retries) = (0, Vec::new(), Vec::new());
            for (gap, is_request) in steps {
                now += gap;
                if is_request {
                    budget.on_request(at(now), P);
                    requests.push(now / 1_000);
                } else if budget.try_retry(at(now), P) {
                    retries.push(now / 1_000);
                    let recent = |times: &[u64]| times.iter().filter(|second| **second + 10 > now / 1_000).count() as f64;
                    prop_assert!(recent(&retries) <= ratio * recent(&requests) + floor * 10.0);
                }
            }
        }
    }
}
