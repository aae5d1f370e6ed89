//! When to try again: one policy for clients, services and the gateway.
//!
//! A retry turns a failure into load at the very moment in which load is the trouble. What decides between a blip and an
//! outage that feeds itself is which failures are tried again, how far apart, and how many in all.

mod backoff;
mod budget;

use std::time::Duration;

pub use self::backoff::{Backoff, BackoffError, Jitter};
use self::budget::{Held, RetryBudget};
pub use self::budget::{
    InFlightBudget, InFlightBudgetError, RetryBudgetConfig, ShareBudget, ShareBudgetError, TokenAccounts,
    TokenBudget, TokenBudgetError, TokenCharge,
};
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
    /// The last wait that was drawn, in nanoseconds.
    previous: u64,
    deadline: Option<Timestamp>,
    held: Held,
}

/// A caller's policy with the account of its budget: one for all requests of a population, a route or a service's call.
///
/// The calling contract, for each request with a [`RetryState`] of its own: [`Retrier::on_request`] when the first attempt is
/// sent; [`Retrier::on_failure`] for each attempt that failed and, if that says to make another, [`Retrier::on_retry`] when the
/// next one is sent. Whatever ends the request, [`Retrier::on_finished`] follows once: an account would otherwise count the
/// request for ever.
#[derive(Debug)]
pub struct Retrier {
    policy: RetryPolicy,
    budget: Option<RetryBudget>,
    epoch: u32,
    invariants: Invariants,
}

impl Retrier {
    /// With nothing on the account yet. Panics where the sums of the account are wrong.
    pub fn new(policy: RetryPolicy) -> Self {
        Self::started_in(0, policy, Invariants::Panic)
    }

    /// As [`Retrier::new`], in a configuration of that number: requests of others hold nothing of this account. Does this where
    /// the sums of the account are wrong.
    pub(crate) fn started_in(epoch: u32, policy: RetryPolicy, invariants: Invariants) -> Self {
        let budget = policy.budget.map(|budget| RetryBudget::new(budget, epoch, invariants.clone()));
        Self { policy, budget, epoch, invariants }
    }

    /// Does this instead where the sums of the account are wrong.
    #[must_use]
    pub fn with_invariants(self, invariants: Invariants) -> Self {
        Self::started_in(self.epoch, self.policy, invariants)
    }

    /// The policy.
    pub(crate) const fn policy(&self) -> &RetryPolicy {
        &self.policy
    }

    /// Goes by this policy from now on, that of the configuration `epoch`. An equal one leaves the account as it is; another
    /// begins with nothing on it.
    pub(crate) fn reconfigure(&mut self, epoch: u32, policy: RetryPolicy) {
        if policy != self.policy {
            *self = Self::started_in(epoch, policy, self.invariants.clone());
        }
    }

    /// A request waits until its first attempt can be sent.
    pub(crate) fn on_waiting(&mut self) {
        if let Some(budget) = &mut self.budget {
            budget.on_waiting();
        }
    }

    /// A request that waited does so no longer.
    pub(crate) fn on_waited(&mut self) {
        if let Some(budget) = &mut self.budget {
            budget.on_waited();
        }
    }

    /// The first attempt of a request is sent.
    #[inline]
    pub fn on_request(&mut self, now: Timestamp, state: &mut RetryState) {
        if let Some(budget) = &mut self.budget {
            budget.on_request(now, &mut state.held);
        }
    }

    /// An attempt failed that is not made again, whatever the policy says. The budget learns of it. Whether the policy is for such a
    /// failure.
    pub(crate) fn on_last_failure(&mut self, state: &RetryState, failure: AttemptFailure) -> bool {
        let is_meant = self.policy.on.includes(failure);
        if let (true, Some(budget)) = (is_meant, &mut self.budget) {
            budget.on_failure(&state.held, failure);
        }
        is_meant
    }

    /// Decides over a failed attempt: the wait before the next one, or `None` to leave it at that. A wait that would outlast
    /// the request's deadline is not begun, and takes nothing from the budget.
    ///
    /// `retry_after` is what the answer asked for, and `unit` a uniform draw from [0, 1) of this attempt's own.
    pub fn on_failure(
        &mut self,
        state: &mut RetryState,
        now: Timestamp,
        failure: AttemptFailure,
        retry_after: Option<Duration>,
        unit: f64,
    ) -> Option<Duration> {
        if !self.on_last_failure(state, failure) {
            return None;
        }
        let policy = &self.policy;
        if state.done >= policy.retries {
            return None;
        }
        let drawn = policy.backoff.wait(state.done + 1, Duration::from_nanos(state.previous), unit);
        let wait = drawn.max(retry_after.filter(|_| policy.honor_retry_after).unwrap_or_default());
        if state.deadline.is_some_and(|deadline| now + wait >= deadline) {
            return None;
        }
        // Last, so that only what is made is paid for.
        if let Some(budget) = &mut self.budget
            && !budget.try_retry(now, &mut state.held, failure)
        {
            return None;
        }
        (state.done, state.previous) = (state.done + 1, u64::try_from(drawn.as_nanos()).unwrap_or(u64::MAX));
        Some(wait)
    }

    /// The wait is over: the next attempt is sent.
    #[inline]
    pub fn on_retry(&mut self, state: &mut RetryState) {
        if let Some(budget) = &mut self.budget {
            budget.on_retry(&mut state.held);
        }
    }

    /// The request is over: its last attempt was answered well, or failed, or nobody waits for it any more.
    #[inline]
    pub fn on_finished(&mut self, state: &mut RetryState, is_answered_well: bool) {
        if let Some(budget) = &mut self.budget {
            budget.on_finished(&mut state.held, is_answered_well);
        }
    }
}

impl RetryState {
    /// Of a request that has come nowhere yet and must be answered by `deadline`, over all its attempts; `None` for one
    /// that may take as long as it takes.
    #[inline]
    pub fn until(deadline: Option<Timestamp>) -> Self {
        Self { deadline, ..Self::default() }
    }

    /// Of a request of the caller with this number, which has come nowhere yet.
    #[inline]
    pub const fn of_account(number: u32) -> Self {
        Self { done: 0, previous: 0, deadline: None, held: Held::nothing_of(number) }
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
        let mut retrier = Retrier::new(policy);
        let mut state = RetryState::default();
        let mut attempts = 1;
        while retrier.on_failure(&mut state, NOW, AttemptFailure::Timeout, None, 0.5).is_some() {
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
                let mut retrier = Retrier::new(policy);
                retrier.on_failure(&mut RetryState::default(), NOW, failure, None, 0.0).is_some()
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
            let mut retrier = Retrier::new(policy);
            retrier.on_failure(&mut RetryState::default(), NOW, AttemptFailure::Status(429), asked, 0.0)
        };
        assert_eq!(wait(policy, 30), Some(Duration::from_secs(30)));
        assert_eq!(wait(policy, 1), Some(Duration::from_secs(2)));
        assert_eq!(
            wait(RetryPolicy { honor_retry_after: false, ..policy }, 30),
            Some(Duration::from_secs(2))
        );
    }

    /// A policy whose budget, a retry for every two requests, has room for one.
    fn room_for_one(backoff: Backoff) -> Retrier {
        let budget = ShareBudget::new(0.5, 0.0).ok().map(RetryBudgetConfig::Share);
        let mut retrier =
            Retrier::new(RetryPolicy { retries: 9, on: ALL, backoff, budget, ..Default::default() });
        for _ in 0..2 {
            retrier.on_request(NOW, &mut RetryState::default());
        }
        retrier
    }

    #[test]
    fn what_the_deadline_forbids_costs_nothing() {
        let mut retrier = room_for_one(Backoff::fixed(Duration::from_secs(2), Jitter::None).unwrap());
        let mut tries = |left: Duration| {
            let mut state = RetryState::until(Some(NOW + left));
            retrier.on_failure(&mut state, NOW, AttemptFailure::Connect, None, 0.0)
        };
        let wait = Duration::from_secs(2);
        assert_eq!(tries(wait), None);
        assert_eq!(tries(wait + Duration::from_nanos(1)), Some(wait));
        assert_eq!(tries(wait * 2), None, "the budget is spent");
    }

    #[test]
    fn an_empty_budget_ends_it() {
        let mut retrier = room_for_one(Backoff::NONE);
        let mut tries =
            || retrier.on_failure(&mut RetryState::default(), NOW, AttemptFailure::Connect, None, 0.0);
        assert_eq!((tries(), tries()), (Some(Duration::ZERO), None));
    }

    /// As many retries as the policy allows cost nothing where failures do not; where they do, each counts.
    #[test]
    fn a_failure_costs_also_where_no_retry_is_left() {
        let tokens = |charge| TokenBudget::new(4.0, 1.0).unwrap().with_charge(charge, false);
        let budget = |charge| Some(RetryBudgetConfig::Tokens(tokens(charge)));
        for (charge, left) in [(TokenCharge::Failure, None), (TokenCharge::Retry, Some(Duration::ZERO))] {
            let policy = RetryPolicy { retries: 1, on: ALL, budget: budget(charge), ..Default::default() };
            let mut retrier = Retrier::new(policy);
            let mut fails = |state: &mut RetryState| {
                retrier.on_failure(state, NOW, AttemptFailure::Status(500), None, 0.0)
            };
            let mut state = RetryState::default();
            assert_eq!((fails(&mut state), fails(&mut state)), (Some(Duration::ZERO), None));
            // Two failures leave two of four tokens, which is no more than half; one retry leaves three.
            assert_eq!(fails(&mut RetryState::default()), left, "{charge:?}");
        }
    }

    /// Whoever holds something of an account that is no more gives nothing back to the next one.
    #[test]
    fn another_policy_has_another_account() {
        let in_flight = |least| InFlightBudget::new(0.0, least).ok().map(RetryBudgetConfig::InFlight);
        let policy =
            |least| RetryPolicy { retries: 9, on: ALL, budget: in_flight(least), ..Default::default() };
        let mut retrier = Retrier::new(policy(1));
        let fails = |retrier: &mut Retrier, state: &mut RetryState| {
            retrier.on_failure(state, NOW, AttemptFailure::Connect, None, 0.0).is_some()
        };
        let (mut old, mut new) = (RetryState::default(), RetryState::default());
        retrier.on_request(NOW, &mut old);
        assert!(fails(&mut retrier, &mut old));
        retrier.reconfigure(1, policy(2));
        retrier.on_request(NOW, &mut new);
        retrier.on_retry(&mut old);
        retrier.on_finished(&mut old, true);
        assert!(fails(&mut retrier, &mut new));
        retrier.on_finished(&mut new, true);
    }
}
