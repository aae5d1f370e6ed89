//! How an attempt and a request ended, once for all who ask: breakers, retry policies, logs, metrics and both engines.

use std::time::Duration;

use crate::breaker::Settlement;
use crate::outcome::Outcome;
use crate::rejection::Rejection;

/// How an attempt ended, as its caller saw the end: the gateway's attempt at an upstream, a service's at another service, or a
/// client's at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The whole answer came, with this HTTP status.
    Answered(u16),
    /// The same with a failure that asks its caller to wait before the next attempt (`Retry-After`).
    Deferred {
        /// The HTTP status, 400 or above.
        status: u16,
        /// For so many milliseconds.
        millis: u32,
    },
    /// The connection was refused, or broke before the head of an answer.
    Broken,
    /// No connection could be opened, because the caller's own machine has no descriptor, port or memory left. To whoever waits
    /// for the caller this is [`AttemptEnd::Broken`]; it says nothing of the callee.
    NeverSent,
    /// The connection broke after the head of the answer.
    Cut,
    /// The caller's own timeout ran out.
    TimedOut,
}

/// How an attempt failed, as retry policies see it. Breakers judge [`AttemptEnd::settlement`] instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptFailure {
    /// The answer had this HTTP status.
    Status(u16),
    /// The caller's own timeout ran out.
    Timeout,
    /// The connection was refused, or reset before the headers.
    Connect,
}

impl AttemptEnd {
    /// The whole answer came, with this HTTP status and the wait that it asks for, if it does. To a caller who is answered well, the
    /// wait says nothing.
    pub fn answered(status: u16, retry_after: Option<Duration>) -> Self {
        match retry_after.filter(|_| status >= 400) {
            Some(wait) => {
                Self::Deferred { status, millis: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX) }
            }
            None => Self::Answered(status),
        }
    }

    /// How long the answer asks its caller to wait before the next attempt; `None` where there is no such wish.
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Deferred { millis, .. } => Some(Duration::from_millis(millis as u64)),
            Self::Answered(_) | Self::Broken | Self::NeverSent | Self::Cut | Self::TimedOut => None,
        }
    }

    /// What a breaker learns of an attempt that took so long; `None` for one that says nothing of the callee.
    pub const fn settlement(self, took: Duration) -> Option<Settlement> {
        match self {
            Self::Answered(status) | Self::Deferred { status, .. } => {
                Some(Settlement::Answered { status, took })
            }
            Self::Broken | Self::Cut => Some(Settlement::ConnectionFailed),
            Self::TimedOut => Some(Settlement::TimedOut),
            Self::NeverSent => None,
        }
    }

    /// The failure that a retry policy judges; `None` for an answer below 400.
    pub const fn failure(self) -> Option<AttemptFailure> {
        match self {
            Self::Answered(status @ 400..) | Self::Deferred { status, .. } => {
                Some(AttemptFailure::Status(status))
            }
            Self::Answered(_) => None,
            Self::Broken | Self::NeverSent => Some(AttemptFailure::Connect),
            // To a caller that reads answers to their end, an answer that breaks off is what a 502 would have been.
            Self::Cut => Some(AttemptFailure::Status(BAD_GATEWAY)),
            Self::TimedOut => Some(AttemptFailure::Timeout),
        }
    }

    /// The HTTP status of the answer that a gateway gives its client then.
    pub const fn status(self) -> u16 {
        match self {
            Self::Answered(status) | Self::Deferred { status, .. } => status,
            Self::Broken | Self::NeverSent | Self::Cut => BAD_GATEWAY,
            Self::TimedOut => GATEWAY_TIMEOUT,
        }
    }

    /// The kebab-case name in the gateway's own answers and in logs; `None` for an answer of the upstream.
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Answered(_) | Self::Deferred { .. } => None,
            Self::Broken | Self::NeverSent | Self::Cut => Some("bad-gateway"),
            Self::TimedOut => Some("timed-out"),
        }
    }
}

/// RFC 9110, 15.6.3.
const BAD_GATEWAY: u16 = 502;
/// RFC 9110, 15.6.5.
const GATEWAY_TIMEOUT: u16 = 504;

/// How a request ended at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestEnd {
    /// The last attempt at the upstream decided: its answer was passed on, or the client was answered 502 or 504. Where the answer
    /// had begun, the client's connection was cut instead.
    Attempt(AttemptEnd),
    /// The gateway's rules answered by themselves.
    Rejected(Rejection),
    /// The request's body was malformed, which showed only while the body was passed on.
    Malformed {
        /// The HTTP status of the answer.
        status: u16,
    },
    /// The client left first, or kept the gateway waiting for too long.
    ClientLeft,
}

impl RequestEnd {
    /// What a breaker learns of the last attempt, which took so long; `None` for nothing.
    pub const fn settlement(self, took: Duration) -> Option<Settlement> {
        match self {
            Self::Attempt(end) => end.settlement(took),
            Self::Rejected(_) | Self::Malformed { .. } | Self::ClientLeft => None,
        }
    }

    /// The HTTP status of the answer, or the status that a cut answer would have had; `None` for a client that left.
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::Attempt(end) => Some(end.status()),
            Self::Rejected(rejection) => Some(rejection.status()),
            Self::Malformed { status } => Some(status),
            Self::ClientLeft => None,
        }
    }

    /// The kebab-case reason of the gateway's own answer; `None` where the upstream answered, or nobody did.
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Attempt(end) => end.reason(),
            Self::Rejected(rejection) => Some(rejection.reason()),
            Self::Malformed { .. } | Self::ClientLeft => None,
        }
    }

    /// The kind of the end.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Attempt(AttemptEnd::Answered(status) | AttemptEnd::Deferred { status, .. }) => {
                Outcome::of_status(status)
            }
            Self::Attempt(AttemptEnd::Broken | AttemptEnd::NeverSent | AttemptEnd::Cut) => {
                Outcome::UpstreamError
            }
            Self::Attempt(AttemptEnd::TimedOut) => Outcome::TimedOut,
            Self::Rejected(rejection) => rejection.outcome(),
            Self::Malformed { .. } => Outcome::Malformed,
            Self::ClientLeft => Outcome::ClientLeft,
        }
    }
}

impl Outcome {
    /// The outcome of an answer that a gateway gave by itself, as a client reads it: by the status, and by the reason where a
    /// status has several. Another gateway than this one names no reasons, and may answer well from a cache.
    pub fn of_own_answer(status: u16, reason: Option<&str>) -> Self {
        match status {
            _ if reason == Some(Rejection::RATE_LIMITED) => Self::RateLimited,
            401 => Self::Unauthenticated,
            403 => Self::Forbidden,
            404 => Self::NoRoute,
            429 => Self::RateLimited,
            503 if reason == Some(Rejection::SHORT_CIRCUITED) => Self::ShortCircuited,
            503 => Self::Shed,
            504 => Self::TimedOut,
            _ => Self::of_status(status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejection::testing::every_rejection;

    const TOOK: Duration = Duration::from_millis(7);

    #[test]
    fn each_end_tells_breakers_retry_policies_and_clients_one_thing() {
        use AttemptFailure::{Connect, Status, Timeout};
        let answered = |status| Some(Settlement::Answered { status, took: TOOK });
        let failed = Some(Settlement::ConnectionFailed);
        for (end, settlement, failure, status, outcome) in [
            (AttemptEnd::Answered(204), answered(204), None, 204, Outcome::Served),
            (AttemptEnd::Answered(101), answered(101), None, 101, Outcome::Redirected),
            (AttemptEnd::Answered(399), answered(399), None, 399, Outcome::Redirected),
            (AttemptEnd::Answered(404), answered(404), Some(Status(404)), 404, Outcome::UpstreamError),
            (AttemptEnd::Answered(503), answered(503), Some(Status(503)), 503, Outcome::UpstreamError),
            (
                AttemptEnd::Deferred { status: 429, millis: 3_000 },
                answered(429),
                Some(Status(429)),
                429,
                Outcome::UpstreamError,
            ),
            (AttemptEnd::Broken, failed, Some(Connect), 502, Outcome::UpstreamError),
            (AttemptEnd::NeverSent, None, Some(Connect), 502, Outcome::UpstreamError),
            (AttemptEnd::Cut, failed, Some(Status(502)), 502, Outcome::UpstreamError),
            (AttemptEnd::TimedOut, Some(Settlement::TimedOut), Some(Timeout), 504, Outcome::TimedOut),
        ] {
            let request = RequestEnd::Attempt(end);
            assert_eq!((end.settlement(TOOK), end.failure(), end.status()), (settlement, failure, status));
            assert_eq!((request.settlement(TOOK), request.status()), (settlement, Some(status)), "{end:?}");
            assert_eq!(request.outcome(), outcome, "{end:?}");
        }
    }

    #[test]
    fn only_a_failure_asks_for_time() {
        let wait = Some(Duration::from_millis(1_500));
        for (status, retry_after, asks) in [(503, wait, wait), (503, None, None), (202, wait, None)] {
            let end = AttemptEnd::answered(status, retry_after);
            assert_eq!((end.status(), end.retry_after()), (status, asks));
        }
        let for_ever = AttemptEnd::answered(429, Some(Duration::MAX));
        assert_eq!(for_ever.retry_after(), Some(Duration::from_millis(u64::from(u32::MAX))));
    }

    #[test]
    fn a_client_reads_from_the_gateway_s_own_answers_what_the_gateway_meant() {
        let rejected = every_rejection().map(RequestEnd::Rejected);
        let failed = [AttemptEnd::Broken, AttemptEnd::TimedOut].map(RequestEnd::Attempt);
        for end in rejected.into_iter().chain(failed) {
            let status = end.status().unwrap();
            assert_eq!(Outcome::of_own_answer(status, end.reason()), end.outcome(), "{end:?}");
        }
        for status in [200, 304, 400] {
            assert_eq!(Outcome::of_own_answer(status, None), Outcome::of_status(status));
        }
    }
}
