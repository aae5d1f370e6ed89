//! What the recorder has to know of a variant before a run.

use std::num::NonZero;
use std::time::Duration;

use gateway::{RateLimit, RateLimits, Scope};
use reports::{FaultLayout, Layout, LimitLayout, PopulationLayout, RouteLayout, StationLayout, harm_span};

use super::directory;
use crate::{Timeline, UpstreamFault, Variant};

/// The gateway's limits that are on, each with its place in the record.
pub(super) fn enabled_limits(limits: &RateLimits) -> Vec<(Scope, usize)> {
    Scope::ALL.into_iter().filter(|scope| limits.get(*scope).is_some()).zip(0..).collect()
}

/// What the recorder has to know of a variant.
pub(super) fn layout(timeline: &Timeline, variant: &Variant) -> Layout {
    let world = &variant.world;
    let populations = world
        .populations
        .iter()
        .map(|population| PopulationLayout { name: population.name.clone(), hostile: population.hostile });
    let routes = world.gateway.routes.iter().map(|route| {
        let reached = world.upstreams_of_route(route).into_iter().enumerate();
        let reaches = reached.filter_map(|(upstream, reached)| reached.then_some(upstream)).collect();
        RouteLayout { path: route.path.clone(), upstream: route.upstream.0 as usize, reaches }
    });
    let upstreams = world.upstreams.iter().map(|upstream| StationLayout {
        asks_for_identity: upstream.requires.is_some(),
        hosts: match &upstream.hosts[..] {
            [] | [_] => Vec::new(),
            hosts => hosts.iter().map(|host| host.pool.workers.map(NonZero::get)).collect(),
        },
        ..station(upstream.name.clone(), upstream.pool())
    });
    let limits = enabled_limits(&world.gateway.limits).into_iter().filter_map(|(scope, _)| {
        let limit = world.gateway.limits.get(scope)?;
        let buckets = directory::buckets(world, scope);
        Some(limit_layout(scope, limit, buckets, peak_windows(variant, scope, limit)))
    });
    Layout {
        duration: timeline.duration,
        last: None,
        slo_latency: timeline.slo_latency,
        populations: populations.collect(),
        routes: routes.collect(),
        gateway: station("gateway".to_owned(), world.gateway.pool),
        upstreams: upstreams.collect(),
        limits: limits.collect(),
        faults: world.faults.iter().map(fault_layout).collect(),
        external: world.external.as_ref().map(|external| external.place().to_owned()),
        harm_span: timeline.incident.map(|incident| harm_span(incident.from, incident.to)),
        lateness_margins: Vec::new(),
        keeps_pairs: false,
    }
}

fn fault_layout(UpstreamFault { upstreams, hosts, fault }: &UpstreamFault) -> FaultLayout {
    FaultLayout {
        kind: fault.kind().name().to_owned(),
        upstreams: upstreams.clone(),
        hosts: hosts.clone(),
        from: fault.from(),
        to: fault.to(),
        fraction: fault.fraction(),
    }
}

fn station(name: String, pool: gateway::PoolConfig) -> StationLayout {
    StationLayout {
        name,
        workers: pool.workers.map(NonZero::get),
        queue: pool.queue,
        ..StationLayout::default()
    }
}

fn limit_layout(scope: Scope, limit: &RateLimit, buckets: u32, peak_windows: Vec<Duration>) -> LimitLayout {
    LimitLayout {
        scope: scope.name().to_owned(),
        algorithm: limit.algorithm().name().to_owned(),
        limit: limit.limit(),
        window: limit.window(),
        burst: limit.burst(),
        allowance: limit.allowance(),
        buckets,
        peak_windows,
    }
}

/// The limit's own window, the four seconds of a burst across its boundary, and what is expected of others.
fn peak_windows(variant: &Variant, scope: Scope, limit: &RateLimit) -> Vec<Duration> {
    let mut windows = vec![limit.window(), Duration::from_secs(4)];
    windows.extend(variant.expected.measures().filter_map(|measure| measure.window_of(scope.name())));
    windows.sort_unstable();
    windows.dedup();
    windows
}
