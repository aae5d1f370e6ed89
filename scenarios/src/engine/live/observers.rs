//! Gateway and upstreams as they are seen in a live run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway::server::{Ended, ObserverTag, Seen};
use gateway::telemetry::Facts;
use gateway::{
    AttemptEnd, Checks, Decision, HostChange, Rejection, RequestEnd, RouteId, Timestamp, Transition,
    UpstreamId, Violation,
};
use reports::{RunEvent, StationId, Witness as _};
use simulator::{Population, PopulationStreams, RequestTag, ServiceEvent, headers};
use slab::Slab;

use super::journal::{Journal, Note, Part, RequestId};
use crate::defect::say_defect;
use crate::engine::bearers::{Bearer, Bearers};
use crate::engine::breakers::breaker_change;
use crate::engine::directory::Directory;
use crate::engine::layout::RecordedLimit;
use crate::engine::run_events::{Asked, host_change, of_service, tell_decision, tell_dispatched};

/// Notes down what the gateway decides. Requests that bear no tag of this run are nobody's.
pub(super) struct GatewayObserver {
    pub(super) journal: Journal,
    pub(super) starts: Timestamp,
    pub(super) directory: Directory,
    /// By route: whether the gateway judges the tokens of its requests.
    pub(super) judges_tokens: Vec<bool>,
    pub(super) populations: Vec<(Population, PopulationStreams)>,
    /// Each at its place in the record.
    pub(super) limits: Vec<RecordedLimit>,
    /// Requests of this run that the gateway has not ended; a mark is a place here, from 1.
    pub(super) present: Mutex<Slab<Present>>,
    pub(super) exhaustion: Exhaustion,
}

/// A request that the gateway has not ended.
pub(super) struct Present {
    request: RequestId,
    route: RouteId,
    /// Whether it took a worker.
    has_worker: bool,
}

/// How often the servers could not make a connection or take one in, for want of what the machine has. All copies are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Exhaustion(Arc<AtomicU64>);

impl Exhaustion {
    fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl GatewayObserver {
    fn tell(&self, at: Timestamp, event: RunEvent) {
        (&mut &self.journal).hear(at - self.starts, event);
    }

    fn present(&self) -> MutexGuard<'_, Slab<Present>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn marked<R>(&self, ObserverTag(mark): ObserverTag, act: impl FnOnce(&mut Present) -> R) -> Option<R> {
        self.present().get_mut((mark as usize).checked_sub(1)?).map(act)
    }

    fn request(&self, seen: &Seen<'_>) -> Option<RequestId> {
        let tag = seen.headers.get(headers::REQUEST)?.to_str().ok()?.parse::<RequestTag>().ok()?;
        let known = (tag.population as usize) < self.populations.len();
        known.then_some(RequestId { population: tag.population, index: tag.request })
    }
}

impl gateway::server::Observer for GatewayObserver {
    fn on_decided(
        &self,
        at: Timestamp,
        seen: &Seen<'_>,
        checks: &Checks,
        decision: &Decision,
    ) -> ObserverTag {
        let Some(request) = self.request(seen) else { return ObserverTag::default() };
        let (population, streams) = &self.populations[request.population as usize];
        let identity = population.identity_of(streams, request.index);
        let caller = self.directory.caller(request.population as usize, identity);
        let route = seen.route.unwrap_or(RouteId(0));
        let verified = self.judges_tokens.get(route.0 as usize).copied().unwrap_or(false);
        let bucket = |buckets| self.directory.bucket(&caller, buckets, route.0, verified);
        let (at, place) = (at - self.starts, request.population as usize);
        tell_decision(&mut &self.journal, at, place, &self.limits, bucket, (checks, decision));
        if let Decision::Reject(rejection) = *decision {
            self.journal.note(at, Note::Of(request, Part::Rejected { route: route.0, rejection }));
        }
        let present = Present { request, route, has_worker: false };
        ObserverTag(self.present().insert(present) as u64 + 1)
    }

    fn on_turn(&self, at: Timestamp, mark: ObserverTag, decision: &Decision) {
        let Some((request, route)) = self.marked(mark, |present| (present.request, present.route.0)) else {
            return;
        };
        let at = at - self.starts;
        tell_dispatched(&mut &self.journal, at, decision);
        if let Decision::Reject(rejection) = *decision {
            self.journal.note(at, Note::Of(request, Part::Rejected { route, rejection }));
        }
    }

    fn on_worker(&self, at: Timestamp, mark: ObserverTag, waited: Duration) {
        self.tell(at, RunEvent::Waited { station: StationId::Gateway, waited });
        let taken = self.marked(mark, |present| {
            present.has_worker = true;
            present.route.0
        });
        if let Some(route) = taken {
            self.journal.note(at - self.starts, Note::Worker { route });
        }
    }

    fn on_load(&self, at: Timestamp, in_flight: u32, queued: u32) {
        self.tell(at, RunEvent::Load { station: StationId::Gateway, in_flight, queued });
    }

    fn on_queue_timeout(&self, at: Timestamp, mark: ObserverTag) {
        self.tell(at, RunEvent::QueueTimeout);
        if let Some((request, route)) = self.marked(mark, |present| (present.request, present.route.0)) {
            let rejection = Rejection::QueueTimeout;
            self.journal.note(at - self.starts, Note::Of(request, Part::Rejected { route, rejection }));
        }
    }

    fn on_left_queue(&self, at: Timestamp, _: ObserverTag, waited: Duration) {
        self.tell(at, RunEvent::LeftQueue { station: StationId::Gateway, waited });
    }

    fn on_transition(&self, upstream: UpstreamId, transition: Transition) {
        let change = breaker_change(None, upstream.0 as usize, &transition, self.starts);
        self.tell(transition.at, RunEvent::Breaker(change));
    }

    fn on_host_change(&self, upstream: UpstreamId, change: HostChange) {
        self.tell(change.at, host_change(upstream, &change, self.starts));
    }

    fn on_exhausted(&self, _: Timestamp) {
        self.exhaustion.note();
    }

    fn on_broken(&self, _: Timestamp, violation: Violation) {
        say_defect("gateway", violation);
    }

    fn on_finished(&self, at: Timestamp, mark: ObserverTag, _: &Arc<Facts>, ended: &Ended) {
        let place = (mark.0 as usize).checked_sub(1);
        let Some(present) = place.and_then(|place| self.present().try_remove(place)) else { return };
        let Present { request, route, has_worker } = present;
        let at = at - self.starts;
        if ended.end == RequestEnd::Attempt(AttemptEnd::TimedOut) {
            self.journal.note(at, Note::Of(request, Part::CutOff));
        }
        if has_worker {
            self.journal.note(at, Note::WorkerFree { route: route.0 });
        }
    }
}

/// Notes down what comes to the upstreams.
pub(super) struct UpstreamObserver {
    pub(super) journal: Journal,
    pub(super) starts: Timestamp,
    pub(super) populations: Vec<(Population, PopulationStreams)>,
    /// By service: its place in the record.
    pub(super) stations: Vec<StationId>,
    /// By upstream: whether it may be asked for keys, or by one that is.
    pub(super) serves_keys: Vec<bool>,
    /// Who may come to which application.
    pub(super) bearers: Mutex<Bearers>,
    pub(super) exhaustion: Exhaustion,
}

impl UpstreamObserver {
    fn request(&self, tag: Option<RequestTag>) -> Option<RequestId> {
        let tag = tag.filter(|tag| (tag.population as usize) < self.populations.len())?;
        Some(RequestId { population: tag.population, index: tag.request })
    }

    /// Whether a request with that tag bears what the application behind an upstream asks for.
    fn may_reach(&self, at: Timestamp, upstream: usize, tag: Option<RequestTag>) -> bool {
        let bearer = self.request(tag).map(|request| {
            let (population, streams) = &self.populations[request.population as usize];
            let identity = population.identity_of(streams, request.index).index;
            Bearer { population: request.population, identity, at }
        });
        self.bearers.lock().unwrap_or_else(PoisonError::into_inner).may_reach(upstream, bearer, at)
    }
}

impl simulator::server::Observer for UpstreamObserver {
    fn on_event(&self, at: Timestamp, service: usize, event: ServiceEvent<'_, Option<RequestTag>>) {
        let station = self.stations[service];
        let Some(upstream) = station.upstream() else { return };
        if let ServiceEvent::Attempt(tag) = event
            && let Some(request) = self.request(*tag)
        {
            self.journal.note(at - self.starts, Note::Of(request, Part::Reached));
        }
        // Whoever asks for keys names no request.
        let is_check = |tag: &Option<RequestTag>| tag.is_some_and(|tag| tag.is_check());
        let asks = |tag: &Option<RequestTag>| match self.request(*tag) {
            None if is_check(tag) => Asked::Health,
            None if self.serves_keys[upstream] => Asked::Keys,
            Some(_) | None => Asked::Client,
        };
        let may_reach = |tag: &Option<RequestTag>| is_check(tag) || self.may_reach(at, upstream, *tag);
        if let Some(event) = of_service(station, &event, asks, may_reach) {
            (&mut &self.journal).hear(at - self.starts, event);
        }
    }

    fn on_exhausted(&self, _: Timestamp, _: usize) {
        self.exhaustion.note();
    }

    fn on_broken(&self, _: Timestamp, service: usize, violation: Violation) {
        say_defect(&format!("service {service}"), violation);
    }

    fn on_transition(&self, service: usize, upstream: usize, transition: Transition) {
        let service = self.stations[service].upstream().unwrap_or(service);
        let change = breaker_change(Some(service), upstream, &transition, self.starts);
        (&mut &self.journal).hear(transition.at - self.starts, RunEvent::Breaker(change));
    }
}
