//! What a rejection is blamed on: the first step of the way back from it, in either engine.

use gateway::{LimitId, Rejection};
use reports::{BreakerId, Cause};

use super::layout::{Recorded, RecordedLimit};

/// Where a rejection was given.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The service that rejected; `None` for the gateway.
    pub(super) service: Option<usize>,
    /// The limits, each at its place in the record.
    pub(super) limits: &'a [RecordedLimit],
    /// The upstream that keys are fetched from, where tokens are judged.
    pub(super) provider: Option<usize>,
    /// The upstream of the route.
    pub(super) upstream: usize,
}

impl Place<'_> {
    /// What a rejection is blamed on; `None` for a limit or an identity provider that this place does not have. `behind` says which
    /// route holds most workers of the gateway.
    pub(super) fn cause(&self, rejection: Rejection, behind: impl FnOnce() -> usize) -> Option<Cause> {
        let Self { service, upstream, .. } = *self;
        Some(match rejection {
            Rejection::RateLimited { limit, .. } => {
                let is_this = |recorded: &RecordedLimit| recorded.what == Recorded::One(limit);
                Cause::RateLimit(self.limits.iter().position(is_this)?)
            }
            Rejection::Unauthenticated { reason } => Cause::Token { service, reason: reason.name() },
            Rejection::Forbidden { reason } => Cause::Token { service, reason: reason.name() },
            Rejection::KeysUnavailable { .. } => Cause::Keys(self.provider?),
            Rejection::NoRoute => Cause::NoRoute,
            Rejection::ShortCircuited { .. } => Cause::Breaker(BreakerId { service, upstream }),
            Rejection::BulkheadFull => Cause::Bulkhead(upstream),
            Rejection::TooManyInFlight { scope, .. } => Cause::ConcurrencyCap(scope.name()),
            Rejection::NoHost => Cause::NoHost(upstream),
            Rejection::QueueFull { .. } => Cause::GatewayPool { behind: behind() },
            Rejection::QueueTimeout => Cause::QueueTimeout,
        })
    }
}

/// What holds up a request that waits for its turn at a limit; `None` for a limit that is not there.
pub(super) fn turn_at(limits: &[RecordedLimit], limit: LimitId) -> Option<Cause> {
    limits.iter().position(|recorded| recorded.what == Recorded::One(limit)).map(Cause::RateLimitDelay)
}

/// The route that holds most workers of the gateway: of equals the first, and the first where nobody holds any.
pub(super) fn behind(held: &[u32]) -> usize {
    (0..held.len()).rev().max_by_key(|route| held[*route]).unwrap_or(0)
}
