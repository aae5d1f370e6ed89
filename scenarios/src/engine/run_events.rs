//! What counts as what in the record, for both engines: the gateway's decisions and the events at a service.

use std::time::Duration;

use gateway::{Checks, Decision, Rejection, Verdict};
use reports::{RunEvent, StationId, Witness};
use simulator::ServiceEvent;

use super::directory::Buckets;
use super::layout::{Recorded, RecordedLimit};

/// Tells what the gateway decided over an attempt of a population, once all that it had to decide is decided. `limits` are the
/// limits, each at its place in the record, and `bucket` the number of the bucket in which a limit counts the attempt.
#[inline]
pub(super) fn tell_decision(
    witness: &mut impl Witness,
    at: Duration,
    population: usize,
    limits: &[RecordedLimit],
    bucket: impl Fn(Buckets) -> u32,
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

/// What the record hears of an event at a service, if anything. `for_keys` says whether a request is for the keys of somebody
/// who judges tokens, and no client's; `may_reach` whether it bears a valid identity, where the application asks for one.
#[expect(
    clippy::inline_always,
    reason = "the machine names the event where it happens, so that nothing is told apart"
)]
#[inline(always)]
pub(super) fn of_service<N>(
    upstream: usize,
    event: &ServiceEvent<'_, N>,
    for_keys: impl FnOnce(&N) -> bool,
    may_reach: impl FnOnce(&N) -> bool,
) -> Option<RunEvent> {
    let station = StationId::Upstream(upstream);
    Some(match *event {
        ServiceEvent::Attempt(request) if for_keys(request) => RunEvent::KeyFetch { upstream },
        ServiceEvent::Attempt(_) => RunEvent::Attempt { upstream },
        ServiceEvent::Accepted(request) if may_reach(request) => return None,
        ServiceEvent::Accepted(_) => RunEvent::Unauthorized { upstream },
        ServiceEvent::Rejected => RunEvent::Rejected { station },
        ServiceEvent::Waited(waited) => RunEvent::Waited { station, waited },
        ServiceEvent::LeftQueue(waited) => RunEvent::LeftQueue { station, waited },
        ServiceEvent::Load { in_flight, queued } => RunEvent::Load { station, in_flight, queued },
        ServiceEvent::Gone(_) => return None,
    })
}
