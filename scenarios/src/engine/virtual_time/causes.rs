//! Why a request is not served well, as far as the gateway can tell; the services tell the rest.

use gateway::{LimitId, Rejection, RouteId, Timestamp};
use reports::{Cause, CauseId};

use super::event::{KeyHolder, Ticket};
use super::{AttemptStage, Logical, Run};
use crate::engine::causes::{Place, behind, turn_at};

impl Run<'_> {
    /// Where a request that is served now spent most of its time; `why` its upstream took as long as it did.
    pub(super) fn took_longest(&mut self, ticket: Ticket, from: Timestamp, why: CauseId) -> CauseId {
        let request = &self.requests[ticket.slot as usize];
        let before = request.since - request.intended;
        let (waited, served) = (from - request.since, self.context.now - from);
        if before >= waited && before >= served && request.sent.attempt() > 0 {
            self.context.way(Cause::EarlierAttempts, request.failure)
        } else if waited >= served {
            request.waited
        } else {
            why
        }
    }

    /// Why an attempt that runs into a timeout got no further.
    pub(super) fn timed_out(&mut self, ticket: Ticket, timeout: Cause) -> CauseId {
        let request = self.requests[ticket.slot as usize];
        let rest = self.holds(&request);
        self.context.way(timeout, rest)
    }

    /// What holds up a request.
    pub(super) fn holds(&mut self, request: &Logical) -> CauseId {
        match request.stage {
            AttemptStage::AwaitsKeys => self.no_keys(),
            AttemptStage::Delayed { limit } => self.turn_at(limit),
            AttemptStage::Waiting { .. } => self.pool_is_taken(),
            AttemptStage::Forwarded { job: Some(job), .. } => self.services.holds(&mut self.context, job),
            AttemptStage::Forwarded { job: None, .. } | AttemptStage::Resting => {
                self.context.way(Cause::Backoff, CauseId::UNKNOWN)
            }
        }
    }

    /// What holds up those who wait for their turn at a rate limit.
    pub(super) fn turn_at(&mut self, limit: LimitId) -> CauseId {
        match turn_at(&self.limits, limit) {
            Some(cause) => self.context.way(cause, CauseId::UNKNOWN),
            None => CauseId::UNKNOWN,
        }
    }

    /// What holds up those who wait for a worker of the gateway.
    pub(super) fn pool_is_taken(&mut self) -> CauseId {
        let behind = behind(&self.held);
        self.way_behind(behind)
    }

    fn way_behind(&mut self, behind: usize) -> CauseId {
        let rest = self.services.holds_up(&mut self.context, self.upstream_of[behind]);
        self.context.way(Cause::GatewayPool { behind }, rest)
    }

    /// What keeps the gateway's keys from it.
    pub(super) fn no_keys(&mut self) -> CauseId {
        let keeper = self.keepers.iter().find(|keeper| keeper.holder == KeyHolder::Gateway);
        let (failure, fetching) =
            keeper.map_or((CauseId::UNKNOWN, None), |keeper| (keeper.failure, keeper.fetching));
        let rest = match fetching {
            Some(job) => self.services.holds(&mut self.context, job),
            None => failure,
        };
        match self.provider {
            Some(provider) => self.context.way(Cause::Keys(provider), rest),
            None => CauseId::UNKNOWN,
        }
    }

    /// Why the gateway answers by itself.
    pub(super) fn rejected(&mut self, rejection: Rejection, route: RouteId) -> CauseId {
        let upstream = self.upstream_of[route.0 as usize];
        let limits = &self.limits;
        let place = Place { service: None, limits, provider: self.provider, upstream };
        let (cause, rest) = match place.cause(rejection, || behind(&self.held)) {
            None => return CauseId::UNKNOWN,
            Some(Cause::GatewayPool { behind }) => return self.way_behind(behind),
            Some(Cause::Keys(_)) => return self.no_keys(),
            Some(cause @ (Cause::Breaker(_) | Cause::NoHost(_))) => (cause, self.last_failure[upstream]),
            Some(cause @ (Cause::Bulkhead(_) | Cause::ConcurrencyCap(_))) => {
                (cause, self.services.holds_up(&mut self.context, upstream))
            }
            Some(cause @ Cause::QueueTimeout) => (cause, self.pool_is_taken()),
            Some(cause) => (cause, CauseId::UNKNOWN),
        };
        self.context.way(cause, rest)
    }
}
