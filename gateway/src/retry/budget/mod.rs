//! The retry budget: a bound on the retries of a caller, over all its requests.
//!
//! A limit per request multiplies: three retries at each of three layers are 64 calls. A budget bounds the retries of all
//! requests together, which is what an upstream in trouble has to live with. Products keep one of three accounts:
//!
//! | account | as in | what bounds the retries |
//! |---|---|---|
//! | [`ShareBudget`] | Finagle, Linkerd | the requests of the last ten seconds |
//! | [`InFlightBudget`] | Envoy | the attempts under way at this moment |
//! | [`TokenBudget`] | AWS SDKs, gRPC | tokens that retries or failures cost, and that successes bring |

mod in_flight;
mod share;
mod tokens;

pub use self::in_flight::{InFlightBudget, InFlightBudgetError};
pub use self::share::{ShareBudget, ShareBudgetError};
pub use self::tokens::{TokenAccounts, TokenBudget, TokenBudgetError, TokenCharge};

use self::in_flight::InFlightAccount;
use self::share::ShareAccount;
use self::tokens::TokenAccount;
use crate::attempt::AttemptFailure;
use crate::invariant::Invariants;
use crate::timestamp::Timestamp;

/// How many retries a caller may make over all its requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RetryBudgetConfig {
    /// A share of the requests.
    Share(ShareBudget),
    /// A share of the attempts under way.
    InFlight(InFlightBudget),
    /// As many as there are tokens for.
    Tokens(TokenBudget),
}

impl RetryBudgetConfig {
    /// Whether no retry is ever allowed.
    pub fn is_nothing(&self) -> bool {
        match self {
            Self::Share(share) => share.is_nothing(),
            Self::InFlight(in_flight) => in_flight.is_nothing(),
            Self::Tokens(tokens) => tokens.is_nothing(),
        }
    }
}

/// The account of a [`RetryBudgetConfig`].
///
/// The calling contract, for each request with a [`Held`] of its own: [`RetryBudget::on_request`] when the first attempt is
/// sent; for each attempt that failed in a way that may be tried again, [`RetryBudget::on_failure`] and, if there is to be
/// another, [`RetryBudget::try_retry`]; then [`RetryBudget::on_retry`] when that is sent. Whatever ends the request,
/// [`RetryBudget::on_finished`] follows once.
#[derive(Debug)]
pub(super) struct RetryBudget {
    account: Account,
    /// Told apart from the accounts before, of which requests may still hold something.
    epoch: u32,
    invariants: Invariants,
}

#[derive(Debug)]
enum Account {
    Share(ShareAccount),
    InFlight(InFlightAccount),
    Tokens(TokenAccount),
}

/// What one request holds of a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Number of the account, where callers have several.
    account: u32,
    epoch: u32,
    /// What the last retry cost, in thousandths of a token.
    paid: u32,
    /// An attempt is under way.
    trying: bool,
    /// A retry is waited for or under way.
    retrying: bool,
}

impl Held {
    /// Nothing, of the account of that number.
    pub(super) const fn nothing_of(account: u32) -> Self {
        Self { account, epoch: 0, paid: 0, trying: false, retrying: false }
    }
}

impl RetryBudget {
    /// An account without requests. Panics where its sums are wrong, unless told otherwise.
    pub(super) fn new(config: RetryBudgetConfig, epoch: u32, invariants: Invariants) -> Self {
        let account = match config {
            RetryBudgetConfig::Share(config) => Account::Share(ShareAccount::new(config)),
            RetryBudgetConfig::InFlight(config) => Account::InFlight(InFlightAccount::new(config)),
            RetryBudgetConfig::Tokens(config) => Account::Tokens(TokenAccount::new(config)),
        };
        Self { account, epoch, invariants }
    }

    /// A request waits for its first attempt to be sent.
    pub(super) fn on_waiting(&mut self) {
        if let Account::InFlight(account) = &mut self.account {
            account.pending += 1;
        }
    }

    /// A request that waited does so no longer.
    pub(super) fn on_waited(&mut self) {
        if let Account::InFlight(account) = &mut self.account {
            let what = "a request ceases to wait in a retry budget that did not wait";
            self.invariants.decrement(&mut account.pending, what);
        }
    }

    /// The first attempt of a request is sent.
    pub(super) fn on_request(&mut self, now: Timestamp, held: &mut Held) {
        held.epoch = self.epoch;
        match &mut self.account {
            Account::Share(account) => account.on_request(now, &self.invariants),
            Account::InFlight(account) => {
                account.active += 1;
                held.trying = true;
            }
            Account::Tokens(_) => {}
        }
    }

    /// An attempt failed in a way that may be tried again, whether it is or not.
    pub(super) fn on_failure(&mut self, held: &Held, failure: AttemptFailure) {
        if let Account::Tokens(account) = &mut self.account {
            account.on_failure(held.account, failure);
        }
    }

    /// Asks for a retry after a failure; the retry is counted if it is allowed.
    pub(super) fn try_retry(&mut self, now: Timestamp, held: &mut Held, failure: AttemptFailure) -> bool {
        match &mut self.account {
            Account::Share(account) => account.try_retry(now, &self.invariants),
            Account::InFlight(account) => {
                if held.epoch != self.epoch {
                    // The request is none of this account's.
                    return account.has_room();
                }
                // The permit of the retry that failed is free for the next one.
                account.release_retry(held.retrying, &self.invariants);
                let granted = account.has_room();
                account.retries += u32::from(granted);
                held.retrying = granted;
                if granted {
                    account.release_attempt(std::mem::take(&mut held.trying), &self.invariants);
                }
                granted
            }
            Account::Tokens(account) => match account.try_retry(held.account, failure) {
                Some(paid) => {
                    held.paid = paid;
                    true
                }
                None => false,
            },
        }
    }

    /// The retry that was allowed is sent.
    pub(super) fn on_retry(&mut self, held: &mut Held) {
        if let Account::InFlight(account) = &mut self.account
            && held.epoch == self.epoch
        {
            account.active += 1;
            held.trying = true;
        }
    }

    /// The request is over, by an attempt that was answered well or otherwise.
    pub(super) fn on_finished(&mut self, held: &mut Held, is_answered_well: bool) {
        if held.epoch != self.epoch {
            return;
        }
        match &mut self.account {
            Account::Share(_) => {}
            Account::InFlight(account) => {
                account.release_attempt(std::mem::take(&mut held.trying), &self.invariants);
                account.release_retry(std::mem::take(&mut held.retrying), &self.invariants);
            }
            Account::Tokens(account) => {
                if is_answered_well {
                    account.on_success(held.account, std::mem::take(&mut held.paid));
                }
            }
        }
    }
}
