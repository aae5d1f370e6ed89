//! The interface through which a server tells what happens in it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, Uri};

use crate::admission::Checks;
use crate::auth::Claims;
use crate::breaker::Transition;
use crate::ended::{Ended, Facts};
use crate::hosts::HostChange;
use crate::identity::Client;
use crate::invariant::Violation;
use crate::pipeline::Decision;
use crate::route::{RouteId, UpstreamId};
use crate::timestamp::Timestamp;
use crate::trace::Traced;

/// Is told what happens in a server, in scenario time.
///
/// Calls come from the server's threads and must not block: `on_load`, `on_transition` and `on_broken` under the gateway's lock, so
/// that they come in the order of their times; the others come without one, and calls from different threads may come a
/// little out of order. A request that is malformed (400, 408, 413, 431, 501) is judged by no rule and not told.
///
/// No call has a default: an observer that hands on to another would swallow each that it leaves out, and nobody would know.
pub trait Observer: Send + Sync + 'static {
    /// The gateway decided over a request; [`Decision::AwaitKeys`] is told of those only whose client left before there was
    /// another decision. What is returned is handed back with whatever else is told of the request.
    fn on_decided(
        &self,
        at: Timestamp,
        request: &Seen<'_>,
        checks: &Checks,
        decision: &Decision,
    ) -> ObserverTag;

    /// A request had its turn at a rate limit, for which [`Decision::Delay`] had let it wait, and this was decided then. Not told
    /// of one whose client left before.
    fn on_turn(&self, at: Timestamp, mark: ObserverTag, decision: &Decision);

    /// A request took a worker, after this wait in the queue (zero for one that had not to wait).
    fn on_worker(&self, at: Timestamp, mark: ObserverTag, waited: Duration);

    /// The pool changed: requests that hold a worker, and that wait for one.
    fn on_load(&self, at: Timestamp, in_flight: u32, queued: u32);

    /// A request waited longer than the queue's timeout.
    fn on_queue_timeout(&self, at: Timestamp, mark: ObserverTag);

    /// A request left the queue without a worker, after this wait: its client left, or the queue's timeout ran out, which is
    /// told too.
    fn on_left_queue(&self, at: Timestamp, mark: ObserverTag, waited: Duration);

    /// A breaker changed its condition.
    fn on_transition(&self, upstream: UpstreamId, transition: Transition);

    /// A host takes part from now on, or is passed over. Comes under the gateway's lock.
    fn on_host_change(&self, upstream: UpstreamId, change: HostChange);

    /// A connection could not be made or taken in because the machine has no descriptor, port or buffer left. What comes of
    /// it says nothing of an upstream, though it looks like one that cannot be reached.
    fn on_exhausted(&self, at: Timestamp);

    /// A counter of the gateway is wrong, which is a defect of the gateway. The gateway goes on serving. Not each time is told:
    /// [`Invariants::poll`](crate::Invariants::poll) says which. Comes under the gateway's lock.
    fn on_broken(&self, at: Timestamp, violation: Violation);

    /// A request that was decided over has ended; exactly once for each.
    fn on_finished(&self, at: Timestamp, mark: ObserverTag, facts: &Arc<Facts>, ended: &Ended);
}

/// Observes nothing.
impl Observer for () {
    fn on_decided(&self, _: Timestamp, _: &Seen<'_>, _: &Checks, _: &Decision) -> ObserverTag {
        ObserverTag::default()
    }

    fn on_turn(&self, _: Timestamp, _: ObserverTag, _: &Decision) {}

    fn on_worker(&self, _: Timestamp, _: ObserverTag, _: Duration) {}

    fn on_load(&self, _: Timestamp, _: u32, _: u32) {}

    fn on_queue_timeout(&self, _: Timestamp, _: ObserverTag) {}

    fn on_left_queue(&self, _: Timestamp, _: ObserverTag, _: Duration) {}

    fn on_transition(&self, _: UpstreamId, _: Transition) {}

    fn on_host_change(&self, _: UpstreamId, _: HostChange) {}

    fn on_exhausted(&self, _: Timestamp) {}

    fn on_broken(&self, _: Timestamp, _: Violation) {}

    fn on_finished(&self, _: Timestamp, _: ObserverTag, _: &Arc<Facts>, _: &Ended) {}
}

/// What an observer wants to be reminded of: a number of its own for each request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ObserverTag(pub u64);

/// A request as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Who sent it.
    pub peer: IpAddr,
    /// Its API key.
    pub key: Option<&'a [u8]>,
    /// Its method.
    pub method: &'a Method,
    /// Its target.
    pub uri: &'a Uri,
    /// Its header fields, as received.
    pub headers: &'a HeaderMap,
    /// The route that serves it.
    pub route: Option<RouteId>,
    /// What its token says, where it was verified.
    pub claims: Option<&'a Claims>,
    /// For whom limits count it.
    pub client: Client,
    /// Its names, where the server was told to give it some.
    pub traced: Option<&'a Traced>,
}
