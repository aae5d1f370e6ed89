//! The log of a run in virtual time: the same records as the server's, with the same names.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway::auth::{AuthConfig, Claims};
use gateway::telemetry::{
    Ended, Facts, JsonLines, Names, RequestName, RequestRecord, RunName, ShownClaims, TraceIds,
    emit_host_change, emit_transition,
};
use gateway::{
    Checks, Client, Condition, HostChange, LimitFacts, RequestEnd, RouteId, Timestamp, Transition, UpstreamId,
};

use crate::{Variant, World};

/// What of requests is to be logged once they have ended.
pub(super) struct VirtualLog {
    lines: JsonLines,
    names: Names,
    run: RunName,
    ids: TraceIds,
    auth: Option<AuthConfig>,
    limits: Arc<LimitFacts>,
    /// By slot of the request.
    present: Vec<Option<(Timestamp, Facts)>>,
}

/// Who sends what, as far as the log is concerned.
pub(super) struct Sent<'a> {
    pub(super) name: String,
    pub(super) peer: IpAddr,
    pub(super) client: Client,
    pub(super) route: RouteId,
    pub(super) checks: &'a Checks,
    pub(super) breaker: Option<Condition>,
    /// What its token says, where it was verified.
    pub(super) claims: Option<Claims>,
}

impl VirtualLog {
    pub(super) fn new(variant: &Variant, seed: u64, lines: JsonLines, run: RunName) -> Self {
        let names = names(&variant.world);
        let gateway = &variant.world.gateway;
        let (auth, limits) = (gateway.auth.clone(), gateway.limits.facts());
        Self { lines, names, run, ids: TraceIds::new(seed), auth, limits, present: Vec::new() }
    }

    /// Has everything that is logged meanwhile written to the lines of this run.
    pub(super) fn around<T>(lines: &JsonLines, what: impl FnOnce() -> T) -> T {
        gateway::telemetry::with_lines(lines, what)
    }

    pub(super) fn lines(&self) -> &JsonLines {
        &self.lines
    }

    /// The gateway decided over an attempt.
    pub(super) fn on_decided(&mut self, slot: u32, at: Timestamp, sent: Sent<'_>) {
        let Sent { name, peer, client, route, checks, breaker, claims } = sent;
        let shown = self.auth.as_ref().zip(claims).and_then(|(auth, claims)| ShownClaims::of(auth, &claims));
        let mut traced = self.ids.next(None);
        traced.request = RequestName::Given(name.into());
        let (route, checks, limits) = (Some(route), *checks, Arc::clone(&self.limits));
        let facts = Facts {
            peer,
            client,
            route,
            checks,
            limits,
            breaker,
            traced: Some(traced),
            auth: shown.map(Box::new),
        };
        let slot = slot as usize;
        if self.present.len() <= slot {
            self.present.resize_with(slot + 1, || None);
        }
        // One that waited for keys has been here since it came.
        let at = self.present[slot].as_ref().map_or(at, |(came, _)| *came);
        self.present[slot] = Some((at, facts));
    }

    /// An attempt that had waited for its turn came to its upstream's breaker.
    pub(super) fn on_dispatched(&mut self, slot: u32, breaker: Option<Condition>) {
        if let Some((_, facts)) = self.present.get_mut(slot as usize).and_then(Option::as_mut) {
            facts.breaker = breaker;
        }
    }

    /// An attempt ended for the gateway; of no effect on one that has. `upstream` is how many attempts it made at the
    /// upstream, and when the last one was sent.
    pub(super) fn on_ended(
        &mut self,
        slot: u32,
        at: Timestamp,
        end: RequestEnd,
        upstream: Option<(u32, Timestamp)>,
    ) {
        let present = self.present.get_mut(slot as usize).and_then(Option::take);
        let Some((arrived, facts)) = present else { return };
        let (attempts, upstream_time): (u32, Option<Duration>) = match upstream {
            Some((attempts, sent)) => (attempts, Some(at - sent)),
            None => (0, None),
        };
        let ended = Ended { end, attempts, upstream_time, total_time: at - arrived };
        RequestRecord::new(&self.names, Some(&self.run), at, &facts, &ended).emit();
    }

    /// A breaker of the gateway's changed.
    pub(super) fn on_transition(&self, upstream: UpstreamId, transition: &Transition) {
        emit_transition(Some(&self.run), self.names.upstream(upstream), transition);
    }

    /// The gateway passes a host over from now on, or no longer does.
    pub(super) fn on_host_change(&self, upstream: UpstreamId, change: &HostChange) {
        emit_host_change(Some(&self.run), self.names.upstream(upstream), change);
    }
}

/// What the gateway of a world calls things.
pub(crate) fn names(world: &World) -> Names {
    Names::new(&world.gateway, world.upstreams.iter().map(|upstream| &*upstream.name))
}
