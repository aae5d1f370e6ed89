//! When to try again: one policy for clients, services and the gateway.
//!
//! A retry turns a failure into load at the very moment in which load is the trouble. What decides between a blip and an
//! outage that feeds itself is which failures are tried again, how far apart, and how many in all.

mod backoff;
mod budget;

use std::time::Duration;

pub use self::backoff::{Backoff, BackoffError, Jitter};
pub use self::budget::{RetryBudget, RetryBudgetConfig, RetryBudgetError};
use crate::attempt::AttemptFailure;
use crate::failure_set::FailureSet;
use crate::invariant::Invariants;
use crate::timestamp::Timestamp;

/// Whether, when and how often a failed attempt is made again.
///
/// The default never tries again.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RetryPolicy {
    /// Further attempts after the first.
    pub retries: u32,
    /// After which failures.
    pub on: FailureSet,
    /// How long to wait before each.
    pub backoff: Backoff,
    /// Waits at least as long as an answer's `Retry-After` asks for.
    pub honor_retry_after: bool,
    /// How many retries in all, beside the requests; `None` for any number.
    pub budget: Option<RetryBudgetConfig>,
}

/// How far one request has come with its retries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryState {
    done: u32,
    previous: Duration,
    deadline: Option<Timestamp>,
}

impl RetryPolicy {
    /// Decides over a failed attempt: the wait before the next one, or `None` to leave it at that. A wait that would outlast
    /// the request's deadline is not begun, and takes nothing from the budget.
    ///
    /// `retry_after` is what the answer asked for, `budget` the account of [`RetryPolicy::budget`], and `unit` a uniform
    /// draw from [0, 1) of this attempt's own.
    pub fn on_failure(
        &self,
        state: &mut RetryState,
        now: Timestamp,
        failure: AttemptFailure,
        retry_after: Option<Duration>,
        budget: Option<&mut RetryBudget>,
        unit: f64,
    ) -> Option<Duration> {
        if state.done >= self.retries || !self.on.includes(failure) {
            return None;
        }
        let drawn = self.backoff.wait(state.done + 1, state.previous, unit);
        let wait = drawn.max(retry_after.filter(|_| self.honor_retry_after).unwrap_or_default());
        if state.deadline.is_some_and(|deadline| now + wait >= deadline) {
            return None;
        }
        // Last, so that only what is made is paid for.
        if let Some(budget) = budget
            && !budget.try_retry(now)
        {
            return None;
        }
        (state.done, state.previous) = (state.done + 1, drawn);
        Some(wait)
    }
}

/// A caller's policy with the account of its budget: one for all requests of a population, a route or a service's call.
#[derive(Debug)]
pub struct Retrier {
    policy: RetryPolicy,
    budget: Option<RetryBudget>,
    invariants: Invariants,
}

impl Retrier {
    /// With nothing on the account yet. Panics where the sums of the account are wrong.
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy, budget: policy.budget.map(RetryBudget::new), invariants: Invariants::Panic }
    }

    /// Does this instead where the sums of the account are wrong.
    #[must_use]
    pub fn with_invariants(self, invariants: Invariants) -> Self {
        let budget = self.budget.map(|budget| budget.with_invariants(invariants.clone()));
        Self { budget, invariants, ..self }
    }

    /// The policy.
    pub(crate) const fn policy(&self) -> &RetryPolicy {
        &self.policy
    }

    /// Goes by this policy from now on. An equal one leaves the account as it is; another begins with nothing on it.
    pub fn reconfigure(&mut self, policy: RetryPolicy) {
        if policy != self.policy {
            *self = Self::new(policy).with_invariants(self.invariants.clone());
        }
    }

    /// A request is made; its retries are not told.
    #[inline]
    pub fn on_request(&mut self, now: Timestamp) {
        if let Some(budget) = &mut self.budget {
            budget.on_request(now);
        }
    }

    /// As [`RetryPolicy::on_failure`].
    pub fn on_failure(
        &mut self,
        state: &mut RetryState,
        now: Timestamp,
        failure: AttemptFailure,
        retry_after: Option<Duration>,
        unit: f64,
    ) -> Option<Duration> {
        self.policy.on_failure(state, now, failure, retry_after, self.budget.as_mut(), unit)
    }
}

impl RetryState {
    /// Of a request that has come nowhere yet and must be answered by `deadline`, over all its attempts; `None` for one
    /// that may take as long as it takes.
    #[inline]
    pub fn until(deadline: Option<Timestamp>) -> Self {
        Self { deadline, ..Self::default() }
    }

    /// The request may take so much longer.
    pub(crate) fn postpone(&mut self, by: Duration) {
        self.deadline = self.deadline.map(|deadline| deadline + by);
    }

    /// Retries made so far.
    pub const fn retries(&self) -> u32 {
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure_set::StatusSet;

    const ALL: FailureSet = FailureSet { statuses: StatusSet::of(&[429]), ..FailureSet::USUAL };
    const NOW: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);

    #[test]
    fn three_retries_are_four_attempts() {
        let policy = RetryPolicy { retries: 3, on: ALL, ..RetryPolicy::default() };
        let mut state = RetryState::default();
        let mut attempts = 1;
        while policy.on_failure(&mut state, NOW, AttemptFailure::Timeout, None, None, 0.5).is_some() {
            attempts += 1;
        }
        assert_eq!((attempts, state.retries()), (4, 3));
    }

    #[test]
    fn only_the_named_failures_are_tried_again() {
        use AttemptFailure::{Connect, Status, Timeout};
        let none = FailureSet::default();
        for (on, yes, no) in [
            (none, vec![], vec![Status(500), Status(429), Timeout, Connect]),
            (
                FailureSet { server_errors: true, ..none },
                vec![Status(500), Status(503), Status(504)],
                vec![Status(429), Status(404), Timeout],
            ),
            (
                FailureSet { statuses: StatusSet::of(&[429]), ..none },
                vec![Status(429)],
                vec![Status(503), Status(401)],
            ),
            (FailureSet { timeout: true, ..none }, vec![Timeout], vec![Status(504), Connect]),
            (FailureSet { connect: true, ..none }, vec![Connect], vec![Status(502), Timeout]),
        ] {
            let policy = RetryPolicy { retries: 9, on, ..RetryPolicy::default() };
            let tried = |failure| {
                policy.on_failure(&mut RetryState::default(), NOW, failure, None, None, 0.0).is_some()
            };
            assert!(yes.into_iter().all(tried), "{on:?}");
            assert!(!no.into_iter().any(tried), "{on:?}");
        }
    }

    #[test]
    fn an_answer_can_ask_for_a_longer_wait() {
        let backoff = Backoff::fixed(Duration::from_secs(2), Jitter::None).unwrap();
        let policy = RetryPolicy { retries: 9, on: ALL, backoff, honor_retry_after: true, budget: None };
        let wait = |policy: RetryPolicy, seconds| {
            let asked = Some(Duration::from_secs(seconds));
            policy.on_failure(&mut RetryState::default(), NOW, AttemptFailure::Status(429), asked, None, 0.0)
        };
        assert_eq!(wait(policy, 30), Some(Duration::from_secs(30)));
        assert_eq!(wait(policy, 1), Some(Duration::from_secs(2)));
        assert_eq!(
            wait(RetryPolicy { honor_retry_after: false, ..policy }, 30),
            Some(Duration::from_secs(2))
        );
    }

    #[test]
    fn what_the_deadline_forbids_costs_nothing() {
        let config = RetryBudgetConfig::new(0.5, 0.0).unwrap();
        let mut budget = RetryBudget::new(config);
        let backoff = Backoff::fixed(Duration::from_secs(2), Jitter::None).unwrap();
        let policy = RetryPolicy { retries: 9, on: ALL, backoff, budget: Some(config), ..Default::default() };
        // Enough for one retry.
        budget.on_request(NOW);
        budget.on_request(NOW);
        let mut tries = |left: Duration| {
            let mut state = RetryState::until(Some(NOW + left));
            policy.on_failure(&mut state, NOW, AttemptFailure::Connect, None, Some(&mut budget), 0.0)
        };
        let wait = Duration::from_secs(2);
        assert_eq!(tries(wait), None);
        assert_eq!(tries(wait + Duration::from_nanos(1)), Some(wait));
        assert_eq!(tries(wait * 2), None, "the budget is spent");
    }

    #[test]
    fn an_empty_budget_ends_it() {
        let config = RetryBudgetConfig::new(0.5, 0.0).unwrap();
        let mut budget = RetryBudget::new(config);
        let policy = RetryPolicy { retries: 9, on: ALL, budget: Some(config), ..RetryPolicy::default() };
        budget.on_request(NOW);
        budget.on_request(NOW);
        let mut tries = || {
            policy.on_failure(
                &mut RetryState::default(),
                NOW,
                AttemptFailure::Connect,
                None,
                Some(&mut budget),
                0.0,
            )
        };
        assert_eq!((tries(), tries()), (Some(Duration::ZERO), None));
    }
}
