//! What a client makes of the status of an answer, in either engine.

use gateway::AttemptFailure;
use reports::Outcome;

/// The outcome of an answer that an upstream gave, and the failure that its client sees in it, if any.
///
/// Served is 2xx, and what the route is `expected` to answer beyond that. 3xx and 1xx are neither served nor a failure that
/// a client tries again after.
pub(super) fn judge_answer(status: u16, expected: &[u16]) -> (Outcome, Option<AttemptFailure>) {
    match status {
        200..=299 => (Outcome::Served, None),
        _ if expected.contains(&status) => (Outcome::Served, None),
        0..=399 => (Outcome::Redirected, None),
        _ => (Outcome::UpstreamError, Some(AttemptFailure::Status(status))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn served_is_2xx_and_what_the_route_is_expected_to_answer() {
        let failed = |status| (Outcome::UpstreamError, Some(AttemptFailure::Status(status)));
        for (status, expected, judged) in [
            (200, &[][..], (Outcome::Served, None)),
            (299, &[], (Outcome::Served, None)),
            (301, &[], (Outcome::Redirected, None)),
            (304, &[304], (Outcome::Served, None)),
            (302, &[304], (Outcome::Redirected, None)),
            (101, &[], (Outcome::Redirected, None)),
            (404, &[], failed(404)),
            (404, &[304, 404], (Outcome::Served, None)),
            (500, &[404], failed(500)),
        ] {
            assert_eq!(judge_answer(status, expected), judged, "{status} {expected:?}");
        }
    }
}
