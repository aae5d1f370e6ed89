//! A retry budget by what is under way, as in Envoy.

use thiserror::Error;

use crate::invariant::Invariants;

/// Retries under way are at most a share of all attempts that are under way or waited for.
///
/// As in Envoy's [`retry_budget`](https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/circuit_breaker.proto):
/// its `budget_percent` of the active and pending requests (20%), and `min_retry_concurrency` (3) in any case. A retry is under
/// way from the beginning of the wait before it until it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlightBudget {
    /// In millionths: whole numbers, so that 29% of 100 are 29.
    millionths: u32,
    least: u32,
}

/// Why settings are no [`InFlightBudget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InFlightBudgetError {
    /// More retries than attempts cannot be under way.
    #[error("in_flight must be a share from 0% to 100%")]
    Share,
}

impl InFlightBudget {
    /// Retries ≤ max(`least`, ⌊`share` × attempts under way or waited for⌋) at each moment at which one is allowed. The share
    /// is taken to the millionth.
    ///
    /// # Errors
    ///
    /// For a share below 0, above 1 or not a number.
    pub fn new(share: f64, least: u32) -> Result<Self, InFlightBudgetError> {
        if !(0.0..=1.0).contains(&share) {
            return Err(InFlightBudgetError::Share);
        }
        Ok(Self { millionths: (share * f64::from(MILLION)).round() as u32, least })
    }

    /// Whether no retry is ever allowed.
    pub(super) const fn is_nothing(self) -> bool {
        self.millionths == 0 && self.least == 0
    }

    /// The most retries while so many attempts are under way or waited for.
    pub fn most(&self, attempts: u32) -> u32 {
        let share = u64::from(attempts) * u64::from(self.millionths) / u64::from(MILLION);
        (share as u32).max(self.least)
    }
}

const MILLION: u32 = 1_000_000;

/// The account of an [`InFlightBudget`].
#[derive(Debug)]
pub(super) struct InFlightAccount {
    config: InFlightBudget,
    /// Attempts under way. One that failed counts until the decision over its retry has been made, as in Envoy.
    pub(super) active: u32,
    /// Requests that wait for their first attempt.
    pub(super) pending: u32,
    /// Retries waited for or under way.
    pub(super) retries: u32,
}

impl InFlightAccount {
    pub(super) const fn new(config: InFlightBudget) -> Self {
        Self { config, active: 0, pending: 0, retries: 0 }
    }

    pub(super) fn has_room(&self) -> bool {
        self.retries < self.config.most(self.active.saturating_add(self.pending))
    }

    pub(super) fn release_attempt(&mut self, held: bool, invariants: &Invariants) {
        if held {
            invariants
                .decrement(&mut self.active, "an attempt ends in a retry budget that was not under way");
        }
    }

    pub(super) fn release_retry(&mut self, held: bool, invariants: &Invariants) {
        if held {
            invariants.decrement(&mut self.retries, "a retry ends in a retry budget that was not under way");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Account, Held, RetryBudget, RetryBudgetConfig};
    use super::*;
    use crate::attempt::AttemptFailure;
    use crate::timestamp::Timestamp;

    const NOW: Timestamp = Timestamp::EPOCH;
    const FAILED: AttemptFailure = AttemptFailure::Status(503);

    fn budget(share: f64, least: u32) -> RetryBudget {
        let config = RetryBudgetConfig::InFlight(InFlightBudget::new(share, least).unwrap());
        RetryBudget::new(config, 0, Invariants::Panic)
    }

    fn sent(budget: &mut RetryBudget) -> Held {
        let mut held = Held::default();
        budget.on_request(NOW, &mut held);
        held
    }

    #[test]
    fn a_fifth_of_what_is_under_way_and_three_in_any_case() {
        // The least: with one attempt under way, a fifth is none.
        let mut budget = budget(0.2, 3);
        let mut few: Vec<_> = (0..4).map(|_| sent(&mut budget)).collect();
        let granted: Vec<_> = few.iter_mut().map(|held| budget.try_retry(NOW, held, FAILED)).collect();
        assert_eq!(granted, [true, true, true, false]);
        // Twenty more: of 21 under way (the fourth has not left), a fifth is four. After the first grant 20 are left, a
        // fifth of which is still four, and four are there.
        let mut more: Vec<_> = (0..20).map(|_| sent(&mut budget)).collect();
        let granted = more.iter_mut().filter_map(|held| budget.try_retry(NOW, held, FAILED).then_some(()));
        assert_eq!(granted.count(), 1);
        // Those who wait for a worker count as well: 20 under way and 5 waiting are 25.
        (0..5).for_each(|_| budget.on_waiting());
        assert!(budget.try_retry(NOW, &mut more[5], FAILED));
        assert!(!budget.try_retry(NOW, &mut more[6], FAILED));
    }

    #[test]
    fn a_retry_that_fails_makes_room_for_its_successor() {
        let mut budget = budget(0.0, 1);
        let mut held = sent(&mut budget);
        for _ in 0..5 {
            assert!(budget.try_retry(NOW, &mut held, FAILED));
            budget.on_retry(&mut held);
        }
        budget.on_finished(&mut held, false);
        let Account::InFlight(account) = &budget.account else { unreachable!("as it was made") };
        assert_eq!((account.active, account.retries), (0, 0));
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        for share in [-0.1, 1.1, f64::NAN] {
            assert_eq!(InFlightBudget::new(share, 3), Err(InFlightBudgetError::Share));
        }
        assert!(InFlightBudget::new(0.0, 0).unwrap().is_nothing());
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Model {
        Trying { retry: bool },
        Resting,
    }

    proptest! {
        /// Beside a list of requests: at every grant the bound holds, and nothing is left when all are gone, however they go.
        #[test]
        fn the_bound_holds_at_every_grant_and_nothing_is_lost(
            percent in 0usize..=100,
            least in 0u32..5,
            steps in prop::collection::vec((0u8..4, any::<prop::sample::Index>()), 1..400),
        ) {
            let mut budget = budget(percent as f64 / 100.0, least);
            let mut requests: Vec<(Held, Model)> = Vec::new();
            for (step, which) in steps {
                if step == 0 || requests.is_empty() {
                    requests.push((sent(&mut budget), Model::Trying { retry: false }));
                    continue;
                }
                let place = which.index(requests.len());
                let trying = requests.iter().filter(|(_, model)| *model != Model::Resting).count();
                let of_others = requests.iter().enumerate().filter(|(other, (_, model))| {
                    *other != place && *model != Model::Trying { retry: false }
                });
                let of_others = of_others.count();
                let (held, model) = &mut requests[place];
                match (step, *model) {
                    (1, Model::Trying { .. }) => {
                        let granted = budget.try_retry(NOW, held, FAILED);
                        let bound = (trying * percent / 100).max(least as usize);
                        prop_assert_eq!(granted, of_others < bound);
                        if granted {
                            *model = Model::Resting;
                        } else {
                            budget.on_finished(held, false);
                            requests.swap_remove(place);
                        }
                    }
                    (2, Model::Resting) => {
                        budget.on_retry(held);
                        *model = Model::Trying { retry: true };
                    }
                    (3, _) => {
                        budget.on_finished(held, true);
                        requests.swap_remove(place);
                    }
                    _ => {}
                }
            }
            for (held, _) in &mut requests {
                budget.on_finished(held, false);
            }
            let Account::InFlight(account) = &budget.account else { unreachable!("as it was made") };
            prop_assert_eq!((account.active, account.pending, account.retries), (0, 0, 0));
        }
    }
}
