//! The gateway's own answers: problem documents (RFC 9457), `Retry-After` and the fields of rate limits.

use std::fmt::Write as _;

use arrayvec::ArrayString;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::admission::{Checks, RateLimits};
use crate::attempt::{AttemptEnd, RequestEnd};
use crate::auth::TokenFault;
use crate::rate_limit::Verdict;
use crate::rejection::{Rejection, whole_seconds};
use crate::scope::Scope;

/// A type that the draft of the rate limit fields registers (draft-ietf-httpapi-ratelimit-headers-10, 6).
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// Why the gateway answers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    Rejected(Rejection),
    /// The last attempt brought no answer.
    Attempt(AttemptEnd),
    /// Not a request that can be passed on; the connection is closed after it.
    BadRequest(&'static str),
    TooLarge,
    TooManyFields,
    /// The client stopped in the midst of its body.
    BodyTimeout,
    NotImplemented(&'static str),
}

impl Problem {
    /// Another server on the way may see another request, or more of them.
    pub(super) const AMBIGUOUS: Self =
        Self::BadRequest("the request may be read in more than one way: two lengths, or a line feed alone");

    /// The kebab-case name that tells one from another.
    fn reason(self) -> &'static str {
        match self {
            Self::Rejected(rejection) => rejection.reason(),
            Self::Attempt(end) => end.reason().unwrap_or_default(),
            Self::BadRequest(_) => "bad-request",
            Self::TooLarge => "body-too-large",
            Self::TooManyFields => "too-many-fields",
            Self::BodyTimeout => "body-timeout",
            Self::NotImplemented(_) => "not-implemented",
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::Rejected(rejection) => match rejection {
                Rejection::RateLimited { .. } => "a rate limit is used up",
                Rejection::Unauthenticated { reason } => reason.detail(),
                Rejection::Forbidden { reason } => reason.detail(),
                Rejection::KeysUnavailable { .. } => "the keys that tokens are judged by are not to be had",
                Rejection::NoRoute => "no route serves this path",
                Rejection::ShortCircuited { .. } => "the circuit breaker of the upstream is open",
                Rejection::BulkheadFull => "too many requests are on their way to the upstream",
                Rejection::NoHost => "no host of the upstream takes part",
                Rejection::QueueFull { .. } => "every worker is taken and the queue is full",
                Rejection::QueueTimeout => "no worker became free in time",
            },
            Self::Attempt(AttemptEnd::TimedOut) => "the upstream did not answer in time",
            Self::Attempt(_) => "the connection to the upstream was refused or broke",
            Self::BadRequest(detail) | Self::NotImplemented(detail) => detail,
            Self::TooLarge => "the body is longer than it may be",
            Self::TooManyFields => "there are more header fields than there may be",
            Self::BodyTimeout => "the body did not go on in time",
        }
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Rejected(rejection) => {
                StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
            }
            Self::Attempt(end) => StatusCode::from_u16(end.status()).unwrap_or(StatusCode::BAD_GATEWAY),
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooManyFields => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
        }
    }

    /// How a request that is answered so has ended.
    pub(super) fn end(self) -> RequestEnd {
        match self {
            Self::Rejected(rejection) => RequestEnd::Rejected(rejection),
            Self::Attempt(end) => RequestEnd::Attempt(end),
            Self::BadRequest(_)
            | Self::TooLarge
            | Self::TooManyFields
            | Self::BodyTimeout
            | Self::NotImplemented(_) => RequestEnd::Malformed { status: self.status().as_u16() },
        }
    }

    /// What a client is to bring that the gateway does not know, or that may not (RFC 6750, 3).
    fn challenge(self) -> Option<HeaderValue> {
        let error = match self {
            // Whoever brought nothing did nothing wrong (3.1).
            Self::Rejected(Rejection::Unauthenticated { reason: TokenFault::Missing }) => {
                return Some(HeaderValue::from_static(r#"Bearer realm="gateway""#));
            }
            Self::Rejected(Rejection::Unauthenticated { .. }) => "invalid_token",
            Self::Rejected(Rejection::Forbidden { .. }) => "insufficient_scope",
            _ => return None,
        };
        let description = self.detail();
        let challenge =
            format!(r#"Bearer realm="gateway", error="{error}", error_description="{description}""#);
        HeaderValue::try_from(challenge).ok()
    }

    /// Whether nothing more can be made of the connection.
    pub(super) fn closes(self) -> bool {
        matches!(
            self,
            Self::BadRequest(_)
                | Self::TooLarge
                | Self::TooManyFields
                | Self::BodyTimeout
                | Self::NotImplemented(_)
        )
    }

    /// The answer.
    pub(super) fn answer(self) -> Response<Bytes> {
        let status = self.status();
        let title = status.canonical_reason().unwrap_or_default();
        let kind = if let Self::Rejected(Rejection::RateLimited { .. }) = self {
            QUOTA_EXCEEDED
        } else {
            "about:blank"
        };
        let (reason, detail) = (self.reason(), self.detail());
        let mut body = format!(
            r#"{{"type":"{kind}","title":"{title}","status":{},"detail":"{detail}","reason":"{reason}""#,
            status.as_u16()
        );
        if let Self::Rejected(Rejection::RateLimited { scope, .. }) = self {
            let name = scope.name();
            // Writing to a string does not fail.
            let _ = write!(body, r#","scope":"{name}","violated-policies":["{name}"]"#);
        }
        body.push_str("}\n");
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Self::Rejected(rejection) = self
            && let Some(wait) = rejection.retry_after()
        {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        if let Some(challenge) = self.challenge() {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// Has the connection closed after this answer.
pub(super) fn close_after(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
}

/// The `RateLimit-Policy` and `RateLimit` fields of answers (draft-ietf-httpapi-ratelimit-headers-10).
#[derive(Clone, Debug, Default)]
pub(super) struct RateLimitFields {
    /// The same for all answers; `None` for a gateway without limits.
    policy: Option<HeaderValue>,
}

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// All scopes with the longest name and the largest numbers: it is written where it stands, for every answer has it.
const LONGEST_LIMIT: usize = Scope::ALL.len() * r#", "per-route";r=4294967295;t=18446744073709551615"#.len();

impl RateLimitFields {
    pub(super) fn new(limits: &RateLimits) -> Self {
        let mut policy = String::new();
        for scope in Scope::ALL {
            if let Some(limit) = limits.get(scope) {
                let separator = if policy.is_empty() { "" } else { ", " };
                let window = whole_seconds(limit.window());
                let _ = write!(policy, r#"{separator}"{}";q={};w={window}"#, scope.name(), limit.limit());
            }
        }
        Self { policy: HeaderValue::try_from(policy).ok().filter(|policy| !policy.is_empty()) }
    }

    /// Adds what the limits said of a request to its answer.
    pub(super) fn apply(&self, checks: &Checks, headers: &mut HeaderMap) {
        let Some(policy) = &self.policy else { return };
        let (mut limit, mut digits) = (ArrayString::<LONGEST_LIMIT>::new(), itoa::Buffer::new());
        // Piece by piece, without the machinery of `write!`.
        for (scope, verdict) in checks.iter() {
            let (remaining, wait) = match verdict {
                Verdict::Admitted { remaining } => (remaining, None),
                Verdict::Rejected { retry_after } => (0, Some(whole_seconds(retry_after))),
            };
            let separator = if limit.is_empty() { "\"" } else { ", \"" };
            for piece in [separator, scope.name(), "\";r=", digits.format(remaining)] {
                limit.push_str(piece);
            }
            if let Some(wait) = wait {
                limit.push_str(";t=");
                limit.push_str(digits.format(wait));
            }
        }
        if limit.is_empty() {
            return;
        }
        headers.insert(POLICY, policy.clone());
        if let Ok(limit) = HeaderValue::from_str(&limit) {
            headers.insert(LIMIT, limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_what_the_limits_say_at_the_longest() {
        assert!(Scope::ALL.iter().all(|scope| scope.name().len() <= "per-route".len()));
    }
}
