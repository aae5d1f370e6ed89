//! Gateway and upstreams as they are seen in a live run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway::server::{Ended, ObserverTag, Seen};
use gateway::telemetry::Facts;
use gateway::{
    AttemptEnd, Checks, Decision, Rejection, RequestEnd, RouteId, Scope, Timestamp, Transition, UpstreamId,
    Verdict, Violation,
};
use reports::StationId;
use simulator::{Population, PopulationStreams, RequestTag, headers};
use slab::Slab;

use super::journal::{Journal, RequestId, What};
use crate::defect::say_defect;
use crate::engine::bearers::{Bearer, Bearers};
use crate::engine::breakers::breaker_change;
use crate::engine::directory::Directory;

/// Notes down what the gateway decides. Requests that bear no tag of this run are nobody's.
pub(super) struct GatewayObserver {
    pub(super) journal: Journal,
    pub(super) starts: Timestamp,
    pub(super) directory: Directory,
    /// By route: whether the gateway judges the tokens of its requests.
    pub(super) judges_tokens: Vec<bool>,
    pub(super) populations: Vec<(Population, PopulationStreams)>,
    /// The enabled limits, each with its place in the record.
    pub(super) limits: Vec<(Scope, usize)>,
    /// Requests of this run that the gateway has not ended, each with its route; a mark is a place here, from 1.
    pub(super) present: Mutex<Slab<(RequestId, RouteId)>>,
    pub(super) exhaustion: Exhaustion,
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
    fn present(&self) -> MutexGuard<'_, Slab<(RequestId, RouteId)>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn marked(&self, ObserverTag(mark): ObserverTag) -> Option<(RequestId, RouteId)> {
        self.present().get((mark as usize).checked_sub(1)?).copied()
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
        for (scope, limit) in &self.limits {
            if let Some(verdict) = checks.get(*scope) {
                let remaining = match verdict {
                    Verdict::Admitted { remaining } => Some(remaining),
                    Verdict::Rejected { .. } => None,
                };
                let verified = self.judges_tokens.get(route.0 as usize).copied().unwrap_or(false);
                let bucket = caller.bucket(*scope, route.0, verified);
                self.journal.note(at, What::Judged { limit: *limit, bucket, remaining });
            }
        }
        if decision.passed_limits() {
            self.journal.note(at, What::Admitted { population: request.population });
        }
        if let Decision::Reject(rejection) = decision {
            self.journal.note(at, What::Rejected { request, route: route.0, rejection: *rejection });
            if matches!(rejection, Rejection::QueueFull { .. }) {
                self.journal.note(at, What::Full { station: StationId::Gateway });
            }
        }
        ObserverTag(self.present().insert((request, route)) as u64 + 1)
    }

    fn on_worker(&self, at: Timestamp, mark: ObserverTag, waited: Duration) {
        self.journal.note(at, What::Waited { station: StationId::Gateway, waited });
        if let Some((_, route)) = self.marked(mark) {
            self.journal.note(at, What::Worker { route: route.0 });
        }
    }

    fn on_load(&self, at: Timestamp, in_flight: u32, queued: u32) {
        self.journal.note(at, What::Load { station: StationId::Gateway, in_flight, queued });
    }

    fn on_queue_timeout(&self, at: Timestamp, mark: ObserverTag) {
        self.journal.note(at, What::QueueTimeout);
        if let Some((request, route)) = self.marked(mark) {
            let rejection = Rejection::QueueTimeout;
            self.journal.note(at, What::Rejected { request, route: route.0, rejection });
        }
    }

    fn on_left_queue(&self, at: Timestamp, _: ObserverTag, waited: Duration) {
        self.journal.note(at, What::WaitedInVain { station: StationId::Gateway, waited });
    }

    fn on_transition(&self, upstream: UpstreamId, transition: Transition) {
        let change = breaker_change(None, upstream.0 as usize, &transition, self.starts);
        self.journal.note(transition.at, What::Breaker(change));
    }

    fn on_exhausted(&self, _: Timestamp) {
        self.exhaustion.note();
    }

    fn on_broken(&self, _: Timestamp, violation: Violation) {
        say_defect("gateway", violation);
    }

    fn on_finished(&self, at: Timestamp, mark: ObserverTag, _: &Arc<Facts>, ended: &Ended) {
        let Some((request, route)) =
            (mark.0 as usize).checked_sub(1).and_then(|place| self.present().try_remove(place))
        else {
            return;
        };
        if ended.end == RequestEnd::Attempt(AttemptEnd::TimedOut) {
            self.journal.note(at, What::CutOff { request });
        }
        if ended.attempts > 0 {
            self.journal.note(at, What::WorkerFree { route: route.0 });
        }
    }
}

/// Notes down what comes to the upstreams.
pub(super) struct UpstreamObserver {
    pub(super) journal: Journal,
    pub(super) starts: Timestamp,
    pub(super) populations: Vec<(Population, PopulationStreams)>,
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
}

impl simulator::server::Observer for UpstreamObserver {
    fn on_attempt(&self, at: Timestamp, upstream: usize, tag: Option<RequestTag>) {
        // Whoever asks for keys names no request.
        let what = match self.request(tag) {
            None if self.serves_keys[upstream] => What::KeyFetch { upstream },
            request => What::Attempt { upstream, request },
        };
        self.journal.note(at, what);
    }

    fn on_accepted(&self, at: Timestamp, upstream: usize, tag: Option<RequestTag>) {
        let bearer = self.request(tag).map(|request| {
            let (population, streams) = &self.populations[request.population as usize];
            let identity = population.identity_of(streams, request.index).index;
            Bearer { population: request.population, identity, at }
        });
        let mut bearers = self.bearers.lock().unwrap_or_else(PoisonError::into_inner);
        if !bearers.may_reach(upstream, bearer, at) {
            self.journal.note(at, What::Unauthorized { upstream });
        }
    }

    fn on_wait(&self, at: Timestamp, upstream: usize, waited: Duration) {
        self.journal.note(at, What::Waited { station: StationId::Upstream(upstream), waited });
    }

    fn on_left_queue(&self, at: Timestamp, upstream: usize, waited: Duration) {
        self.journal.note(at, What::WaitedInVain { station: StationId::Upstream(upstream), waited });
    }

    fn on_load(&self, at: Timestamp, upstream: usize, in_flight: u32, queued: u32) {
        self.journal.note(at, What::Load { station: StationId::Upstream(upstream), in_flight, queued });
    }

    fn on_rejected(&self, at: Timestamp, upstream: usize) {
        self.journal.note(at, What::Full { station: StationId::Upstream(upstream) });
    }

    fn on_exhausted(&self, _: Timestamp, _: usize) {
        self.exhaustion.note();
    }

    fn on_broken(&self, _: Timestamp, upstream: usize, violation: Violation) {
        say_defect(&format!("upstream {upstream}"), violation);
    }

    fn on_transition(&self, service: usize, upstream: usize, transition: Transition) {
        let change = breaker_change(Some(service), upstream, &transition, self.starts);
        self.journal.note(transition.at, What::Breaker(change));
    }
}
