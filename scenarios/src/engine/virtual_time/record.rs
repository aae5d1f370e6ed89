//! What is told of requests, limits and breakers: to the record, and to the log where there is one.

use gateway::auth::Claims;
use gateway::{Checks, Decision, Rejection, RequestEnd, RouteId, UpstreamId};
use reports::{CauseId, Finished, Outcome, RunEvent, StationId};

use super::context::Context;
use super::event::Ticket;
use super::{AttemptStage, Logical, Run};
use crate::engine::breakers::breaker_change;
use crate::engine::directory;
use crate::engine::run_events::{host_change, tell_decision};
use crate::engine::virtual_log::Sent;

impl Context {
    /// A request has ended for its client, now. `is_paired` says whether the request is the same in other runs.
    pub(super) fn tell_finished(
        &mut self,
        request: &Logical,
        outcome: Outcome,
        cause: CauseId,
        is_paired: bool,
    ) {
        self.tell(RunEvent::Finished(Finished {
            population: request.population,
            route: request.route.0 as usize,
            intended: request.intended - self.starts,
            outcome,
            reached_upstream: request.reached_upstream,
            index: is_paired.then_some(request.sent.index),
            cause,
        }));
    }
}

impl Run<'_> {
    pub(super) fn log_decided(&mut self, slot: u32, checks: &Checks, decision: &Decision) {
        if self.log.is_none() {
            return;
        }
        let Logical { population, route, client, sent, .. } = self.requests[slot as usize];
        // What a limit turned away never came to the breaker, and what waits for its turn has not yet.
        let admitted = decision.passed_limits()
            && !matches!(decision, Decision::Reject(Rejection::NoRoute) | Decision::Delay { .. });
        let claims = self.verified_claims(slot, decision);
        let Some(log) = &mut self.log else { return };
        let upstream = UpstreamId(self.upstream_of[route.0 as usize] as u32);
        let streams = &self.populations[population].streams;
        log.on_decided(
            slot,
            self.context.now,
            Sent {
                name: streams.tag(population as u32, sent.index, sent.attempt()).to_string(),
                peer: client.ip().into(),
                client: client.client,
                route,
                checks,
                breaker: admitted.then(|| self.gateway.condition(upstream)).flatten(),
                claims,
            },
        );
    }

    /// The gateway decided over an attempt that had waited for its turn.
    pub(super) fn log_dispatched(&mut self, slot: u32, decision: &Decision) {
        let route = self.requests[slot as usize].route;
        if let Some(log) = &mut self.log
            && decision.passed_limits()
        {
            log.on_dispatched(
                slot,
                self.gateway.condition(UpstreamId(self.upstream_of[route.0 as usize] as u32)),
            );
        }
    }

    /// What the token of an attempt says, if it was verified.
    pub(super) fn verified_claims(&mut self, slot: u32, decision: &Decision) -> Option<Claims> {
        let route = self.requests[slot as usize].route;
        let bearer =
            self.bearer(slot).filter(|_| decision.passed_auth() && self.judges_tokens[route.0 as usize])?;
        Some(self.context.bearers.token(bearer)?.claims().clone())
    }

    pub(super) fn log_ended_of(&mut self, ticket: Ticket, end: RequestEnd) {
        if self.log.is_some() {
            let request = self.requests[ticket.slot as usize];
            self.log_ended(&request, end);
        }
    }

    /// The present attempt of a request has ended for the gateway.
    pub(super) fn log_ended(&mut self, request: &Logical, end: RequestEnd) {
        let Some(log) = &mut self.log else { return };
        let upstream = match request.stage {
            AttemptStage::Forwarded { since, attempt, .. } => Some((attempt + 1, since)),
            AttemptStage::Resting
            | AttemptStage::AwaitsKeys
            | AttemptStage::Delayed { .. }
            | AttemptStage::Waiting { .. } => None,
        };
        log.on_ended(request.ticket.slot, self.context.now, end, upstream);
    }

    pub(super) fn record_decision(
        &mut self,
        population: usize,
        client: &directory::NumberedClient,
        route: RouteId,
        checks: &Checks,
        decision: &Decision,
    ) {
        let at = self.context.since_start;
        let verified = self.judges_tokens[route.0 as usize];
        let directory = &self.directory;
        let bucket = |buckets| directory.bucket(client, buckets, route.0, verified);
        let recorder = &mut self.context.recorder;
        tell_decision(recorder, at, population, &self.limits, bucket, (checks, decision));
    }

    pub(super) fn record_breakers(&mut self) {
        let (context, gateway, services) = (&mut self.context, &mut self.gateway, &mut self.services);
        let log = &self.log;
        let gateways = std::iter::from_fn(|| {
            let (upstream, change) = gateway.poll_transition()?;
            if let Some(log) = log {
                log.on_transition(upstream, &change);
            }
            Some((None, upstream.0 as usize, change))
        });
        let of_services = std::iter::from_fn(|| {
            services.poll_transition().map(|(service, upstream, change)| (Some(service), upstream, change))
        });
        for (service, upstream, change) in gateways.chain(of_services) {
            context.tell(RunEvent::Breaker(breaker_change(service, upstream, &change, context.starts)));
        }
    }

    pub(super) fn record_hosts(&mut self) {
        while let Some((upstream, change)) = self.gateway.poll_host_change() {
            if let Some(log) = &self.log {
                log.on_host_change(upstream, &change);
            }
            let event = host_change(upstream, &change, self.context.starts);
            self.context.tell(event);
        }
    }

    pub(super) fn record_gateway(&mut self) {
        let (in_flight, queued) = (self.gateway.in_flight(), self.gateway.queued());
        self.context.tell(RunEvent::Load { station: StationId::Gateway, in_flight, queued });
    }
}
