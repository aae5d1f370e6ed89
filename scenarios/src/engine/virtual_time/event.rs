//! What is to happen in a run in virtual time, and to whom.

use simulator::{CallId, JobId, TurnedAway};

/// Names an attempt for as long as it lasts. Slots are used again, numbers are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ticket {
    pub(super) slot: u32,
    pub(super) number: u32,
}

/// Number of a request in its population, in two halves: as one number it would make every event larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestNumber([u32; 2]);

impl RequestNumber {
    pub(super) const fn of(index: u64) -> Self {
        Self([(index >> 32) as u32, index as u32])
    }

    pub(super) const fn index(self) -> u64 {
        let Self([upper, lower]) = self;
        (upper as u64) << 32 | lower as u64
    }
}

#[derive(Debug)]
pub(super) enum Event {
    /// The next open-loop request of a population.
    Arrival { population: u32 },
    /// A client is done thinking: a user of a closed load, or somebody on a journey.
    Sends { population: u32, request: RequestNumber },
    /// A client tries again.
    Retry(Ticket),
    /// The gateway tries again.
    GatewayRetry(Ticket),
    /// A request that was given a worker finds that no host of its upstream takes part.
    NoHost(Ticket),
    /// An attempt has its turn at a rate limit.
    Turn(Ticket),
    /// The client gives up on an attempt.
    ClientTimeout(Ticket),
    /// Somebody who judges tokens has to see to its keys.
    Keys { keeper: u32 },
    /// The gateway has to see to its checks of hosts.
    Checks,
    /// A check of a host has not been answered in time.
    CheckTimeout(u32),
    /// The wait in the gateway's queue has been too long.
    QueueTimeout(Ticket),
    /// The route's timeout has run out.
    RouteTimeout(Ticket),
    /// An attempt of the gateway's has gone for too long without the beginning of an answer.
    TryTimeout(TryTimeout),
    /// An upstream's work on a job is done, or the whole of the job's answer is on its way.
    Due(ServiceJob),
    /// A request has waited at the cache of an upstream for as long as any does.
    CacheWait(ServiceJob),
    /// An upstream answered without any work. Boxed, because it is four times as large as any other: events are what a run
    /// moves about most.
    AnsweredAtOnce(Box<AnswerAtOnce>),
    /// A service has waited for another for too long.
    CallTimeout(ServiceCall),
    /// A service tries again.
    CallRetry(ServiceCall),
}

/// The timeout of one attempt of the gateway's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TryTimeout {
    pub(super) ticket: Ticket,
    /// Number of the attempt, from 0.
    pub(super) attempt: u32,
}

/// A job of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServiceJob {
    /// The service, by number.
    pub(super) service: u32,
    pub(super) job: JobId,
}

/// A service's attempt at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServiceCall {
    /// The service that asks, by number.
    pub(super) service: u32,
    pub(super) call: CallId,
}

/// Who asked a service.
#[derive(Clone, Copy, Debug)]
pub(super) enum CallOrigin {
    /// The gateway, for a client's request.
    Gateway(Ticket),
    /// Another service.
    Service(ServiceCall),
    /// Whoever judges tokens, for the keys to do so by.
    Keys { holder: KeyHolder, fetch: u64 },
    /// The gateway, to learn how a host is.
    Check(u32),
}

/// Who judges tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyHolder {
    /// The gateway.
    Gateway,
    /// A service, by number.
    Service(usize),
}

/// An answer without any work.
#[derive(Debug)]
pub(super) struct AnswerAtOnce {
    pub(super) caller: CallOrigin,
    /// The service, by number.
    pub(super) service: usize,
    pub(super) by: TurnedAway,
}

impl ServiceJob {
    /// The service.
    pub(super) const fn number(self) -> usize {
        self.service as usize
    }
}

impl ServiceCall {
    /// The service.
    pub(super) const fn number(self) -> usize {
        self.service as usize
    }
}
