//! What a breaker says of its change, in the words of the record.

use gateway::{FailureKinds, Timestamp, Transition};
use reports::{BreakerChange, FailureCounts};

/// A change of the breaker before `upstream`, of the gateway or of a service.
pub(super) fn breaker_change(
    service: Option<usize>,
    upstream: usize,
    transition: &Transition,
    starts: Timestamp,
) -> BreakerChange {
    let counts = transition.counts;
    let FailureKinds { timed_out, server_errors, slow, connection_failed } = counts.kinds;
    BreakerChange {
        service,
        upstream,
        at: transition.at - starts,
        to: transition.to.name(),
        settled: counts.settled,
        failures: counts.failures,
        failed: FailureCounts { timed_out, server_errors, slow, connection_failed },
    }
}
