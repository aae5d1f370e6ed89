//! A retry budget of tokens, as in the SDKs of AWS and in gRPC.

use hashbrown::HashMap;
use thiserror::Error;

use crate::attempt::AttemptFailure;

/// Retries as long as there are tokens: failures take tokens, successes bring them.
///
/// Two products keep such an account, and differ in who pays:
///
/// - The SDKs of AWS ("standard" retry mode): each *retry* costs, and goes by the kind of the failure. A retry that succeeds
///   brings its cost back; a request that succeeds at once brings one token. Values since 10 November 2026: 500 tokens, 14 for a
///   retry, 5 where the service asked for fewer requests.
/// - gRPC ([`retryThrottling`](https://github.com/grpc/proposal/blob/master/A6-client-retries.md#throttling-retry-attempts-and-hedged-rpcs)):
///   each *failure* costs one token, whether it is tried again or not, each success brings `tokenRatio`, and there are retries
///   only while more than half of `maxTokens` are there.
///
/// An account starts full, is never fuller, and never below zero. Tokens count in thousandths, as in gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBudget {
    /// Thousandths, as all below.
    full: u32,
    cost: u32,
    throttled: u32,
    timed_out: u32,
    success: u32,
    charge: TokenCharge,
    refunds: bool,
    accounts: TokenAccounts,
}

/// What costs tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenCharge {
    /// Each retry, which is made only if the account can pay for it.
    #[default]
    Retry,
    /// Each failure; retries are made while more than half of the tokens are left.
    Failure,
}

/// Who keeps an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenAccounts {
    /// Each identity has an account of its own, as each process with an SDK has.
    #[default]
    Identity,
    /// All callers share one.
    Shared,
}

/// Why settings are no [`TokenBudget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenBudgetError {
    /// An account without tokens, or with more than can be counted.
    #[error("tokens must be above 0 and at most 1000000")]
    Tokens,
    /// What costs nothing bounds nothing; what costs more than all tokens is never made.
    #[error("a cost must be at least 0.001 and at most all tokens")]
    Cost,
    /// More than the account holds.
    #[error("success must be at least 0 and at most all tokens")]
    Success,
}

impl TokenBudget {
    /// The most tokens of an account.
    pub const MAX_TOKENS: f64 = 1_000_000.0;

    /// `tokens` in a full account, of which a retry costs `cost`, whatever failed; a success brings nothing, but the cost of
    /// the retry that succeeded. Each identity has its account.
    ///
    /// # Errors
    ///
    /// [`TokenBudgetError::Tokens`] and [`TokenBudgetError::Cost`] for what is out of range.
    pub fn new(tokens: f64, cost: f64) -> Result<Self, TokenBudgetError> {
        if !(0.001..=Self::MAX_TOKENS).contains(&tokens) {
            return Err(TokenBudgetError::Tokens);
        }
        let full = thousandths(tokens);
        let cost = within(cost, full).filter(|cost| *cost > 0).ok_or(TokenBudgetError::Cost)?;
        Ok(Self {
            full,
            cost,
            throttled: cost,
            timed_out: cost,
            success: 0,
            charge: TokenCharge::Retry,
            refunds: true,
            accounts: TokenAccounts::Identity,
        })
    }

    /// With other costs where the service asked for fewer requests (429), and after a timeout.
    ///
    /// # Errors
    ///
    /// [`TokenBudgetError::Cost`] for what is out of range.
    pub fn with_costs(self, throttled: f64, timed_out: f64) -> Result<Self, TokenBudgetError> {
        let cost = |cost| within(cost, self.full).filter(|cost| *cost > 0).ok_or(TokenBudgetError::Cost);
        Ok(Self { throttled: cost(throttled)?, timed_out: cost(timed_out)?, ..self })
    }

    /// With so many tokens for a request that succeeds and has no retry's cost to bring back.
    ///
    /// # Errors
    ///
    /// [`TokenBudgetError::Success`] for what is out of range.
    pub fn with_success(self, success: f64) -> Result<Self, TokenBudgetError> {
        Ok(Self { success: within(success, self.full).ok_or(TokenBudgetError::Success)?, ..self })
    }

    /// With this to be paid for, and whether a retry that succeeds brings its cost back.
    #[must_use]
    pub const fn with_charge(self, charge: TokenCharge, refunds: bool) -> Self {
        Self { charge, refunds, ..self }
    }

    /// With accounts of these.
    #[must_use]
    pub const fn with_accounts(self, accounts: TokenAccounts) -> Self {
        Self { accounts, ..self }
    }

    /// Whether no retry is ever allowed: one failure alone leaves no more than half.
    pub(super) fn is_nothing(&self) -> bool {
        self.charge == TokenCharge::Failure
            && [self.cost, self.throttled, self.timed_out]
                .iter()
                .all(|cost| self.full - cost <= self.full / 2)
    }

    const fn cost_of(&self, failure: AttemptFailure) -> u32 {
        match failure {
            AttemptFailure::Status(429) => self.throttled,
            AttemptFailure::Timeout => self.timed_out,
            AttemptFailure::Status(_) | AttemptFailure::Connect => self.cost,
        }
    }
}

fn thousandths(tokens: f64) -> u32 {
    (tokens * 1000.0).round() as u32
}

/// In thousandths; `None` for what is negative, no number or above `full`.
fn within(tokens: f64, full: u32) -> Option<u32> {
    Some(tokens)
        .filter(|tokens| (0.0..=TokenBudget::MAX_TOKENS).contains(tokens))
        .map(thousandths)
        .filter(|tokens| *tokens <= full)
}

/// The accounts of a [`TokenBudget`].
#[derive(Debug)]
pub(super) struct TokenAccount {
    config: TokenBudget,
    /// What is left, in thousandths, of accounts that are not full.
    left: HashMap<u32, u32>,
}

impl TokenAccount {
    pub(super) fn new(config: TokenBudget) -> Self {
        Self { config, left: HashMap::new() }
    }

    pub(super) fn on_failure(&mut self, account: u32, failure: AttemptFailure) {
        if self.config.charge == TokenCharge::Failure {
            let left = self.left(account).saturating_sub(self.config.cost_of(failure));
            self.set(account, left);
        }
    }

    /// What a retry was paid with, in thousandths; `None` for no retry.
    pub(super) fn try_retry(&mut self, account: u32, failure: AttemptFailure) -> Option<u32> {
        let left = self.left(account);
        match self.config.charge {
            TokenCharge::Failure => (left > self.config.full / 2).then_some(0),
            TokenCharge::Retry => {
                let cost = self.config.cost_of(failure);
                self.set(account, left.checked_sub(cost)?);
                Some(cost)
            }
        }
    }

    /// A request succeeded, whose last retry was paid with so much.
    pub(super) fn on_success(&mut self, account: u32, paid: u32) {
        let brings = if self.config.refunds && paid > 0 { paid } else { self.config.success };
        if brings > 0 {
            self.set(account, self.left(account).saturating_add(brings).min(self.config.full));
        }
    }

    fn left(&self, account: u32) -> u32 {
        self.left.get(&self.number(account)).copied().unwrap_or(self.config.full)
    }

    fn set(&mut self, account: u32, left: u32) {
        let account = self.number(account);
        // A full account is as one that was never used.
        if left == self.config.full {
            self.left.remove(&account);
        } else {
            self.left.insert(account, left);
        }
    }

    const fn number(&self, account: u32) -> u32 {
        match self.config.accounts {
            TokenAccounts::Identity => account,
            TokenAccounts::Shared => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ERROR: AttemptFailure = AttemptFailure::Status(503);
    const THROTTLED: AttemptFailure = AttemptFailure::Status(429);

    fn granted(account: &mut TokenAccount, number: u32, failure: AttemptFailure) -> usize {
        (0..1_000).take_while(|_| account.try_retry(number, failure).is_some()).count()
    }

    /// The SDKs of AWS: a full quota of 500 pays for 35 retries of a 5xx at 14 tokens each (490), where it paid for 100 at 5.
    #[test]
    fn a_full_quota_pays_for_so_many_retries() {
        let aws = |cost, throttled, timed_out| {
            TokenBudget::new(500.0, cost).unwrap().with_costs(throttled, timed_out).unwrap()
        };
        let of_2026 = aws(14.0, 5.0, 14.0);
        let of_2025 = aws(5.0, 5.0, 10.0);
        for (config, failure, retries) in [
            (of_2026, ERROR, 35),
            (of_2026, AttemptFailure::Timeout, 35),
            (of_2026, THROTTLED, 100),
            (of_2025, ERROR, 100),
            (of_2025, AttemptFailure::Timeout, 50),
            (of_2025, AttemptFailure::Connect, 100),
        ] {
            assert_eq!(
                granted(&mut TokenAccount::new(config), 0, failure),
                retries,
                "{config:?} {failure:?}"
            );
        }
    }

    #[test]
    fn a_retry_that_succeeds_brings_its_cost_back_and_a_first_attempt_one_token() {
        let config = TokenBudget::new(500.0, 14.0).unwrap().with_success(1.0).unwrap();
        let mut account = TokenAccount::new(config);
        assert_eq!(granted(&mut account, 7, ERROR), 35);
        // 10 are left. Three first attempts that succeed make 13, a fourth 14: one more.
        for brought in 1..=4 {
            assert_eq!(account.try_retry(7, ERROR), None, "{brought}");
            account.on_success(7, 0);
        }
        assert_eq!(account.try_retry(7, ERROR), Some(14_000));
        // The success of that retry brings all of it back, and no token besides.
        account.on_success(7, 14_000);
        assert_eq!(granted(&mut account, 7, ERROR), 1);
        // Another identity has paid nothing; all share one account if told so.
        assert_eq!(granted(&mut account, 8, ERROR), 35);
        let mut shared = TokenAccount::new(config.with_accounts(TokenAccounts::Shared));
        assert_eq!((granted(&mut shared, 7, ERROR), granted(&mut shared, 8, ERROR)), (35, 0));
    }

    /// gRPC's proposal A6: of 10 tokens a failure takes one, and there is a retry while more than 5 are left; four failures leave
    /// 6, five leave 5. A success brings 0.1.
    #[test]
    fn failures_cost_and_half_of_the_tokens_stay() {
        let config = TokenBudget::new(10.0, 1.0).unwrap().with_success(0.1).unwrap();
        let mut account = TokenAccount::new(config.with_charge(TokenCharge::Failure, false));
        for failures in 1..=6 {
            account.on_failure(0, ERROR);
            assert_eq!(account.try_retry(0, ERROR).is_some(), failures < 5, "{failures}");
        }
        // Six failures left 4; ten successes make 5, one more 5.1.
        for successes in 1..=11 {
            account.on_success(0, 0);
            assert_eq!(account.try_retry(0, ERROR).is_some(), successes > 10, "{successes}");
        }
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        for tokens in [0.0, -1.0, 1e7, f64::NAN] {
            assert_eq!(TokenBudget::new(tokens, 1.0), Err(TokenBudgetError::Tokens));
        }
        for cost in [0.0, -1.0, 501.0, f64::NAN] {
            assert_eq!(TokenBudget::new(500.0, cost), Err(TokenBudgetError::Cost));
        }
        let budget = TokenBudget::new(500.0, 5.0).unwrap();
        assert_eq!(budget.with_costs(0.0, 5.0), Err(TokenBudgetError::Cost));
        assert_eq!(budget.with_success(-1.0), Err(TokenBudgetError::Success));
        assert!(!budget.is_nothing());
        let half = TokenBudget::new(10.0, 5.0).unwrap().with_charge(TokenCharge::Failure, false);
        assert!(half.is_nothing());
    }

    proptest! {
        /// An account is never above its tokens nor below zero, and what is granted is what the tokens pay for.
        #[test]
        fn retries_are_paid_for(
            cost in 1u32..20,
            success in 0u32..3,
            steps in prop::collection::vec(any::<bool>(), 1..300),
        ) {
            let config = TokenBudget::new(50.0, f64::from(cost)).unwrap().with_success(f64::from(success)).unwrap();
            let mut account = TokenAccount::new(config);
            let mut tokens = 50;
            for is_success in steps {
                if is_success {
                    account.on_success(3, 0);
                    tokens = (tokens + success).min(50);
                } else {
                    let pays = tokens >= cost;
                    prop_assert_eq!(account.try_retry(3, ERROR).is_some(), pays);
                    tokens -= if pays { cost } else { 0 };
                }
            }
        }
    }
}
