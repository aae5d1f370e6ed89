//! How an attempt of a client ended, in either engine, and which outcome of the record the gateway's outcome is.

use std::time::Duration;

use gateway::{AttemptEnd, AttemptFailure, RequestEnd};
use reports::Outcome;

/// How an attempt of a client ended, as the client saw the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ClientEnd {
    pub(super) outcome: Outcome,
    /// `None` for an attempt that the end of the run cut off.
    pub(super) end: Option<AttemptEnd>,
    /// Of the answer, if its head came.
    pub(super) status: Option<u16>,
    /// What a `Retry-After` field of the answer says, in scenario time.
    pub(super) retry_after: Option<Duration>,
}

impl ClientEnd {
    /// The run ended first.
    pub(super) const UNFINISHED: Self =
        Self { outcome: Outcome::Unfinished, end: None, status: None, retry_after: None };

    /// The client had waited for as long as it waits.
    pub(super) const GAVE_UP: Self = Self::without_answer(Outcome::GaveUp, AttemptEnd::TimedOut);

    /// No whole answer came.
    pub(super) const fn without_answer(outcome: Outcome, end: AttemptEnd) -> Self {
        Self { outcome, end: Some(end), status: None, retry_after: None }
    }

    /// Of a request that ended so at the gateway. `expected` are statuses beyond 2xx that the route's upstream is expected to
    /// answer.
    pub(super) fn of_request(end: RequestEnd, expected: &[u16]) -> Self {
        let Some(status) = end.status() else { return Self::GAVE_UP };
        let retry_after = match end {
            RequestEnd::Rejected(rejection) => rejection.retry_after(),
            // The gateway passes the field on.
            RequestEnd::Attempt(end) => end.retry_after(),
            RequestEnd::Malformed { .. } | RequestEnd::ClientLeft => None,
        };
        let is_upstreams =
            matches!(end, RequestEnd::Attempt(AttemptEnd::Answered(_) | AttemptEnd::Deferred { .. }));
        let expected = if is_upstreams { expected } else { &[] };
        Self::of_answer(status, end.outcome(), expected, retry_after)
    }

    /// Of an answer with an outcome of the gateway's, which is served if its status is `expected`.
    pub(super) fn of_answer(
        status: u16,
        outcome: gateway::Outcome,
        expected: &[u16],
        retry_after: Option<Duration>,
    ) -> Self {
        let outcome = if expected.contains(&status) { Outcome::Served } else { outcome_of(outcome) };
        Self { outcome, end: Some(AttemptEnd::Answered(status)), status: Some(status), retry_after }
    }

    /// Whether the client has what it asked for, or was told where that is.
    pub(super) fn went_well(&self) -> bool {
        matches!(self.outcome, Outcome::Served | Outcome::Redirected)
    }

    /// The failure that the client's retry policy judges; `None` for an attempt that was served, redirected or cut off.
    pub(super) fn failure(&self) -> Option<AttemptFailure> {
        self.end.filter(|_| self.outcome != Outcome::Served)?.failure()
    }
}

/// The gateway's outcome of a request in the words of the record.
const fn outcome_of(outcome: gateway::Outcome) -> Outcome {
    match outcome {
        gateway::Outcome::Served => Outcome::Served,
        gateway::Outcome::Redirected => Outcome::Redirected,
        gateway::Outcome::UpstreamError | gateway::Outcome::Malformed => Outcome::UpstreamError,
        gateway::Outcome::RateLimited => Outcome::RateLimited,
        gateway::Outcome::Unauthenticated => Outcome::Unauthenticated,
        gateway::Outcome::Forbidden => Outcome::Forbidden,
        gateway::Outcome::NoRoute => Outcome::NoRoute,
        gateway::Outcome::ShortCircuited => Outcome::ShortCircuited,
        gateway::Outcome::Shed => Outcome::Shed,
        gateway::Outcome::TimedOut => Outcome::TimedOut,
        gateway::Outcome::ClientLeft => Outcome::GaveUp,
    }
}

#[cfg(test)]
mod tests {
    use gateway::Rejection;

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
            let end = ClientEnd::of_request(RequestEnd::Attempt(AttemptEnd::Answered(status)), expected);
            assert_eq!((end.outcome, end.failure()), judged, "{status} {expected:?}");
        }
    }

    #[test]
    fn the_gateways_own_answers_are_expected_of_nobody() {
        let retry_after = Duration::from_secs(3);
        let shed = RequestEnd::Rejected(Rejection::QueueFull { retry_after });
        for (end, outcome, status, retry_after) in [
            (shed, Outcome::Shed, 503, Some(retry_after)),
            (RequestEnd::Attempt(AttemptEnd::Cut), Outcome::UpstreamError, 502, None),
            (RequestEnd::Attempt(AttemptEnd::TimedOut), Outcome::TimedOut, 504, None),
        ] {
            let end = ClientEnd::of_request(end, &[502, 503, 504]);
            assert_eq!((end.outcome, end.status, end.retry_after), (outcome, Some(status), retry_after));
            assert_eq!(end.failure(), Some(AttemptFailure::Status(status)));
        }
        let left = ClientEnd::of_request(RequestEnd::ClientLeft, &[]);
        assert_eq!((left, left.failure()), (ClientEnd::GAVE_UP, Some(AttemptFailure::Timeout)));
        assert_eq!(ClientEnd::UNFINISHED.failure(), None);
    }
}
