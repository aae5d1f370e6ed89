//! What counts as what in the record, for both engines: the gateway's decisions and the events at a service.

use std::time::Duration;

use gateway::{Checks, Decision, HostChange, Rejection, Timestamp, UpstreamId, Verdict};
use reports::{HostPlace, RunEvent, StationId, Witness};
use simulator::{CacheUse, ServiceEvent};

use super::directory::Buckets;
use super::layout::{Recorded, RecordedLimit};
use crate::World;

/// Tells what the gateway decided over an attempt of a population, once all that it had to decide is decided. `limits` are the
/// limits, each at its place in the record, and `bucket` the number of the bucket in which a limit counts the attempt.
#[inline]
pub(super) fn tell_decision(
    witness: &mut impl Witness,
    at: Duration,
    population: usize,
    limits: &[RecordedLimit],
    bucket: impl Fn(Buckets) -> u64,
    (checks, decision): (&Checks, &Decision),
) {
    for (limit, recorded) in limits.iter().enumerate() {
        let verdict = match recorded.what {
            Recorded::One(limit) => checks.get(limit),
            Recorded::All(scope) => checks.of_scope(scope),
        };
        let Some(verdict) = verdict else { continue };
        let bucket = bucket(recorded.buckets);
        match verdict {
            Verdict::Admitted { remaining } | Verdict::Delayed { remaining, .. } => {
                let remaining = recorded.remaining(checks, remaining);
                witness.hear(at, RunEvent::LimitAdmitted { limit, bucket, remaining });
            }
            Verdict::Rejected { .. } => witness.hear(at, RunEvent::LimitRejected { limit, bucket }),
        }
    }
    if decision.passed_limits() {
        witness.hear(at, RunEvent::Admitted { population });
    }
    if let Decision::Delay { limit, wait, .. } = *decision
        && let Some(limit) = limits.iter().position(|recorded| recorded.what == Recorded::One(limit))
    {
        witness.hear(at, RunEvent::LimitDelayed { limit, wait });
    }
    tell_dispatched(witness, at, decision);
}

/// Tells what the gateway decided over an attempt that no limit stops, behind its limits.
#[inline]
pub(super) fn tell_dispatched(witness: &mut impl Witness, at: Duration, decision: &Decision) {
    if let Decision::Reject(Rejection::QueueFull { .. }) = decision {
        witness.hear(at, RunEvent::Rejected { station: StationId::Gateway });
    }
}

/// The places of all services in the record, in the order of [`World::hosts`](crate::World::hosts): upstreams, and the hosts of
/// those that have several.
pub(super) fn stations(world: &World) -> Vec<StationId> {
    let station = |(upstream, host): (usize, usize)| match world.upstreams[upstream].hosts.len() {
        1 => StationId::Upstream(upstream),
        _ => StationId::Host(HostPlace { upstream: upstream as u32, host: host as u32 }),
    };
    world.hosts().map(station).collect()
}

/// A change of whether the gateway passes a host over, in the words of the record.
pub(super) fn host_change(upstream: UpstreamId, change: &HostChange, starts: Timestamp) -> RunEvent {
    RunEvent::Host(reports::HostChange {
        host: HostPlace { upstream: upstream.0, host: change.host.0 },
        at: change.at - starts,
        to: change.to.name(),
    })
}

/// On whose behalf a request comes to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A client's.
    Client,
    /// That of somebody who judges tokens, for the keys to do so by.
    Keys,
    /// The gateway's, to learn how the host is.
    Health,
}

/// What the record hears of an event at a service, if anything. `asks` says on whose behalf a request comes; `may_reach` whether it bears a valid identity, where the application asks for one.
#[expect(
    clippy::inline_always,
    reason = "the machine names the event where it happens, so that nothing is told apart"
)]
#[inline(always)]
pub(super) fn of_service<N>(
    station: StationId,
    event: &ServiceEvent<'_, N>,
    asks: impl FnOnce(&N) -> Asked,
    may_reach: impl FnOnce(&N) -> bool,
) -> Option<RunEvent> {
    let upstream = station.upstream()?;
    Some(match *event {
        ServiceEvent::Attempt(request) => match asks(request) {
            Asked::Client => RunEvent::Attempt { station },
            Asked::Keys => RunEvent::KeyFetch { upstream },
            Asked::Health => RunEvent::HealthCheck { upstream },
        },
        ServiceEvent::Accepted(request) if may_reach(request) => return None,
        ServiceEvent::Accepted(_) => RunEvent::Unauthorized { upstream },
        ServiceEvent::Cache(cache_use) => RunEvent::Cache {
            upstream,
            cache_use: match cache_use {
                CacheUse::Hit => reports::CacheUse::Hit,
                CacheUse::Stale => reports::CacheUse::Stale,
                CacheUse::Collapsed => reports::CacheUse::Collapsed,
                CacheUse::Miss => reports::CacheUse::Miss,
            },
        },
        ServiceEvent::Rejected => RunEvent::Rejected { station },
        ServiceEvent::Waited(waited) => RunEvent::Waited { station, waited },
        ServiceEvent::LeftQueue(waited) => RunEvent::LeftQueue { station, waited },
        ServiceEvent::Load { in_flight, queued } => RunEvent::Load { station, in_flight, queued },
        ServiceEvent::Gone(_) => return None,
    })
}
