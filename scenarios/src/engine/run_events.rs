//! What counts as what in the record, for both engines: the gateway's decisions and the events at a service.

use std::time::Duration;

use gateway::{Checks, Decision, Rejection, Scope, Verdict};
use reports::{RunEvent, StationId, Witness};
use simulator::ServiceEvent;

/// Tells what the gateway decided over an attempt of a population, once all that it had to decide is decided. `limits` are the
/// enabled limits, each with its place in the record, and `bucket` the number of the bucket in which a limit counts the attempt.
#[inline]
pub(super) fn tell_decision(
    witness: &mut impl Witness,
    at: Duration,
    population: usize,
    limits: &[(Scope, usize)],
    bucket: impl Fn(Scope) -> u32,
    (checks, decision): (&Checks, &Decision),
) {
    for (scope, limit) in limits {
        let Some(verdict) = checks.get(*scope) else { continue };
        let (limit, bucket) = (*limit, bucket(*scope));
        match verdict {
            Verdict::Admitted { remaining } => {
                witness.hear(at, RunEvent::LimitAdmitted { limit, bucket, remaining });
            }
            Verdict::Rejected { .. } => witness.hear(at, RunEvent::LimitRejected { limit, bucket }),
        }
    }
    if decision.passed_limits() {
        witness.hear(at, RunEvent::Admitted { population });
    }
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
