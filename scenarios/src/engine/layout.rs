//! What the recorder has to know of a variant before a run.

use std::num::NonZero;
use std::time::Duration;

use gateway::{Checks, LimitId, LimitRule, RateLimit, RateLimits, Scope};
use reports::{FaultLayout, Layout, LimitLayout, PopulationLayout, RouteLayout, StationLayout, harm_span};

use super::directory::{self, Buckets};
use crate::{Timeline, UpstreamFault, Variant};

/// Something of the gateway that lets requests through or rejects them, and that the record tells of. Its place in the record is
/// its place among [`recorded_limits`].
#[derive(Clone, Debug)]
pub(crate) struct RecordedLimit {
    pub(super) what: Recorded,
    /// What it counts by.
    pub(crate) buckets: Buckets,
    /// What a bucket admits at one instant after a rest, of a limit's own and then of each tier.
    allowances: Vec<u32>,
}

impl RecordedLimit {
    /// What a bucket that judged so has left, as a part of what the limit's own buckets admit: the record knows one size of
    /// bucket for each limit.
    pub(super) fn remaining(&self, checks: &Checks, remaining: u32) -> u32 {
        let Recorded::One(limit) = self.what else { return remaining };
        match (checks.tier(limit), &self.allowances[..]) {
            (0, _) | (_, []) => remaining,
            (tier, [own, ..]) => {
                let of_tier = self.allowances.get(tier).copied().unwrap_or(*own).max(1);
                (u64::from(remaining) * u64::from(*own) / u64::from(of_tier)) as u32
            }
        }
    }
}

/// What the record tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    /// A limit.
    One(LimitId),
    /// All limits of a scope that has several, as one: it lets through what all of them let through.
    All(Scope),
}

/// What the record tells of the gateway's limits, in the order in which a request meets them: each, and before those of a scope
/// that has several, all of them as one. Together they count by what the first of them counts by.
pub(crate) fn recorded_limits(limits: &RateLimits) -> Vec<RecordedLimit> {
    let mut recorded = Vec::new();
    for (id, rule) in limits.iter() {
        let buckets = Buckets::of(limits, id.scope(), rule);
        if id.place() == 0 && limits.list(id.scope()).rules().len() > 1 {
            recorded.push(RecordedLimit { what: Recorded::All(id.scope()), buckets, allowances: Vec::new() });
        }
        let allowances = (0..=rule.tiers.len()).map(|tier| rule.of_tier(tier).allowance()).collect();
        recorded.push(RecordedLimit { what: Recorded::One(id), buckets, allowances });
    }
    recorded
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
        has_cache: upstream.config.cache.is_some(),
        hosts: match &upstream.hosts[..] {
            [] | [_] => Vec::new(),
            hosts => hosts.iter().map(|host| host.pool.workers.map(NonZero::get)).collect(),
        },
        ..station(upstream.name.clone(), upstream.pool())
    });
    let limits = &world.gateway.limits;
    let recorded = recorded_limits(limits).into_iter().filter_map(|recorded| {
        let room = directory::room(world, recorded.buckets);
        let layout = match recorded.what {
            Recorded::One(limit) => limit_layout(variant, limit, limits.get(limit)?, room),
            Recorded::All(scope) => list_layout(variant, scope, room),
        };
        Some(LimitLayout { is_sparse: recorded.buckets.are_sparse(), ..layout })
    });
    Layout {
        duration: timeline.duration,
        last: None,
        slo_latency: timeline.slo_latency,
        populations: populations.collect(),
        routes: routes.collect(),
        gateway: station("gateway".to_owned(), world.gateway.pool),
        upstreams: upstreams.collect(),
        limits: recorded.collect(),
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

fn limit_layout(variant: &Variant, id: LimitId, rule: &LimitRule, buckets: u32) -> LimitLayout {
    let (limits, limit) = (&variant.world.gateway.limits, &rule.limit);
    let scope = limits.label(id);
    let mut windows = vec![limit.window()];
    if limits.list(id.scope()).rules().len() == 1 {
        windows.push(ACROSS_A_BOUNDARY);
    }
    LimitLayout {
        peak_windows: with_expected(windows, variant, &scope),
        scope,
        algorithm: limit.algorithm().name().to_owned(),
        limit: limit.limit(),
        window: limit.window(),
        burst: limit.burst(),
        allowance: limit.allowance(),
        buckets,
        is_sparse: false,
        lets_wait: (0..=rule.tiers.len()).any(|tier| rule.of_tier(tier).lets_wait()),
        status: rule.status,
        joins: Vec::new(),
    }
}

/// Of all limits of a scope as one, which rejects whatever one of them rejects; what it allows is what the limit with the longest
/// window allows.
fn list_layout(variant: &Variant, scope: Scope, buckets: u32) -> LimitLayout {
    let limits = &variant.world.gateway.limits;
    let of_scope = || limits.iter().filter(|(id, _)| id.scope() == scope);
    let mut windows: Vec<Duration> = of_scope().map(|(_, rule)| rule.limit.window()).collect();
    windows.push(ACROSS_A_BOUNDARY);
    let longest = of_scope().map(|(_, rule)| rule.limit).max_by_key(RateLimit::window);
    LimitLayout {
        peak_windows: with_expected(windows, variant, scope.name()),
        scope: scope.name().to_owned(),
        algorithm: "list".to_owned(),
        limit: longest.map_or(0, |limit| limit.limit()),
        window: longest.map_or(Duration::ZERO, |limit| limit.window()),
        burst: None,
        allowance: longest.map_or(0, |limit| limit.limit()),
        buckets,
        is_sparse: false,
        lets_wait: false,
        status: LimitRule::TOO_MANY_REQUESTS,
        joins: of_scope().map(|(id, _)| limits.label(id)).collect(),
    }
}

/// The four seconds of a burst across the boundary of a window.
const ACROSS_A_BOUNDARY: Duration = Duration::from_secs(4);

/// These windows, and what is expected of others.
fn with_expected(mut windows: Vec<Duration>, variant: &Variant, limit: &str) -> Vec<Duration> {
    windows.extend(variant.expected.measures().filter_map(|measure| measure.window_of(limit)));
    windows.sort_unstable();
    windows.dedup();
    windows
}
