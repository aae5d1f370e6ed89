//! What an engine tells a recorder: each event of a run once, in the same words in both engines.
//!
//! An engine in virtual time has its recorder hear an event at once. An engine on sockets sees events on many threads, keeps
//! each as a value, and has the recorder hear them later, in order of time. A new event is a [`RunEvent`], what the recorder
//! makes of it, and the places where it happens: nothing in between names events.

use std::time::Duration;

use crate::record::breaker::BreakerChange;
use crate::record::cache::CacheUse;
use crate::record::cause::CauseId;
use crate::record::hosts::HostChange;
use crate::record::layout::StationId;
use crate::record::outcome::Outcome;

/// Hears what happens in a run.
pub trait Witness {
    /// This happened, so long after the scenario's start. Times do not decrease from call to call where a recorder hears.
    fn hear(&mut self, at: Duration, event: RunEvent);
}

/// Something that happened in a run. Whatever is numbered here has its number from the [`Layout`](crate::Layout).
#[derive(Clone, Copy, Debug)]
pub enum RunEvent {
    /// A client meant to send a request.
    Offered {
        /// Whose client.
        population: usize,
        /// Where to.
        route: usize,
        /// When the request was meant to be sent, from the scenario's start, however late it was.
        intended: Duration,
    },
    /// A rate limit let an attempt through.
    LimitAdmitted {
        /// Which limit.
        limit: usize,
        /// The bucket that counted the attempt.
        bucket: u64,
        /// How many more the bucket would admit at the same instant.
        remaining: u32,
    },
    /// A rate limit rejected an attempt.
    LimitRejected {
        /// Which limit.
        limit: usize,
        /// The bucket that had no room.
        bucket: u64,
    },
    /// An attempt that every rate limit lets through waits for its turn at this one.
    LimitDelayed {
        /// Which limit.
        limit: usize,
        /// For how long, if its client stays.
        wait: Duration,
    },
    /// An attempt passed every rate limit.
    Admitted {
        /// Whose attempt.
        population: usize,
    },
    /// An attempt came to an upstream, for a client's request.
    Attempt {
        /// The upstream, or the host of one that has several.
        station: StationId,
    },
    /// An upstream was asked for the keys that tokens are judged by. No client asked for them.
    KeyFetch {
        /// Which upstream.
        upstream: usize,
    },
    /// A host of an upstream was asked how it is. No client asked.
    HealthCheck {
        /// Which upstream.
        upstream: usize,
    },
    /// An attempt without a valid identity came to the application behind an upstream that asks for one.
    Unauthorized {
        /// Which upstream.
        upstream: usize,
    },
    /// The cache before an upstream did this with a request.
    Cache {
        /// Which upstream.
        upstream: usize,
        /// What.
        cache_use: CacheUse,
    },
    /// A worker took up a request.
    Waited {
        /// Whose worker.
        station: StationId,
        /// How long the request had waited; zero where it had not.
        waited: Duration,
    },
    /// A request left a queue without a worker: its client left, the queue's timeout ran out, or the run ended.
    LeftQueue {
        /// Whose queue.
        station: StationId,
        /// How long the request had waited.
        waited: Duration,
    },
    /// The numbers of a station's busy workers and of the requests that wait are now these.
    Load {
        /// Which station.
        station: StationId,
        /// Busy workers.
        in_flight: u32,
        /// Requests that wait.
        queued: u32,
    },
    /// A station turned an attempt away at once: every worker was busy and every place in its queue taken.
    Rejected {
        /// Which station.
        station: StationId,
    },
    /// The gateway turned an attempt away that had waited in its queue for as long as any may wait.
    QueueTimeout,
    /// A circuit breaker changed its condition.
    Breaker(BreakerChange),
    /// The gateway passes a host over from now on, or no longer does.
    Host(HostChange),
    /// A logical request ended for its client.
    Finished(Finished),
}

/// The end of a logical request.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// Who sent it.
    pub population: usize,
    /// Where to.
    pub route: usize,
    /// When it was meant to be sent.
    pub intended: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether any attempt of it reached an upstream. What the gateway turned away has no latency; who was never answered has
    /// the time that was waited, wherever that was.
    pub reached_upstream: bool,
    /// Its place among the requests of an open-loop population, which is the same in control and incident; `None` for
    /// closed-loop users, whose requests depend on the answers before them.
    pub index: Option<u64>,
    /// Why, if it was not served well; looked at only then.
    pub cause: CauseId,
}
