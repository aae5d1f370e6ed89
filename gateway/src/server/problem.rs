//! The gateway's own answers: problem documents (RFC 9457), `Retry-After` and the fields of rate limits.

use std::fmt::Write as _;
use std::sync::Arc;

use arrayvec::ArrayString;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::admission::Checks;
use crate::attempt::{AttemptEnd, RequestEnd};
use crate::auth::TokenFault;
use crate::concurrency::CapScope;
use crate::limits::{LimitFacts, LimitId, LimitName, LimitRule, RateLimits};
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
                Rejection::TooManyInFlight { scope, .. } => match scope {
                    CapScope::PerIp => "too many requests of this address are under way",
                    CapScope::PerKey => "too many requests of this client are under way",
                    CapScope::PerRoute => "too many requests of this route are under way",
                    CapScope::PerUpstream => "too many requests are on their way to the upstream",
                },
                Rejection::NoHost => "no host of the upstream takes part",
                Rejection::QueueFull { .. } => "every worker is taken and the queue is full",
                Rejection::QueueTimeout => "no worker, or no place at the upstream, became free in time",
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

    /// The answer of a gateway of which these limits are shown.
    pub(super) fn answer(self, limits: &LimitFacts) -> Response<Bytes> {
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
        if let Self::Rejected(Rejection::RateLimited { limit, .. }) = self {
            let (scope, name) = (limit.scope().name(), limits.label(limit));
            // Writing to a string does not fail.
            let _ = write!(body, r#","scope":"{scope}","violated-policies":["{name}"]"#);
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
///
/// The policy names all limits, with the numbers that hold for whoever asks. What is left is told of one limit a scope, the one
/// that rejects or else the nearest to its end: of which the least share is left. More would be as long as the answer.
#[derive(Clone, Debug, Default)]
pub(super) struct RateLimitFields {
    /// Of whoever is in no tier; `None` for a gateway without limits.
    policy: Option<HeaderValue>,
    /// What the policy says of each limit: of its own numbers, and of those of its tiers. Empty where there are no tiers.
    tiered: Vec<(LimitId, Vec<String>)>,
    limits: Arc<LimitFacts>,
}

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// All scopes with the longest name and the largest numbers: it is written where it stands, for every answer has it.
const LONGEST_LIMIT: usize =
    Scope::ALL.len() * (r#", "per_route.";r=4294967295;t=18446744073709551615"#.len() + LimitName::LONGEST);

impl RateLimitFields {
    pub(super) fn new(limits: &RateLimits) -> Self {
        let told = |(id, rule): (LimitId, &LimitRule)| {
            let of_tier = |tier| {
                let (name, numbers) = (limits.label(id), rule.of_tier(tier));
                let (limit, window) = (numbers.limit(), whole_seconds(numbers.window()));
                format!(r#""{name}";q={limit};w={window}"#)
            };
            (id, (0..=rule.tiers.len()).map(of_tier).collect::<Vec<_>>())
        };
        let told: Vec<_> = limits.iter().map(told).collect();
        let own: Vec<&str> = told.iter().filter_map(|(_, tiers)| tiers.first()).map(String::as_str).collect();
        let policy = HeaderValue::try_from(own.join(", ")).ok().filter(|policy| !policy.is_empty());
        let has_tiers = told.iter().any(|(_, tiers)| tiers.len() > 1);
        Self { policy, tiered: if has_tiers { told } else { Vec::new() }, limits: limits.facts() }
    }

    /// The policy for whoever was judged so.
    fn policy(&self, checks: &Checks) -> Option<HeaderValue> {
        if !checks.has_tiers() {
            return self.policy.clone();
        }
        let told = self.tiered.iter().filter_map(|(id, tiers)| tiers.get(checks.tier(*id)));
        let told: Vec<&str> = told.map(String::as_str).collect();
        HeaderValue::try_from(told.join(", ")).ok()
    }

    /// Adds what the limits said of a request to its answer.
    pub(super) fn apply(&self, checks: &Checks, headers: &mut HeaderMap) {
        if self.policy.is_none() {
            return;
        }
        let (mut limit, mut digits) = (ArrayString::<LONGEST_LIMIT>::new(), itoa::Buffer::new());
        // Piece by piece, without the machinery of `write!`.
        let nearest = |scope| nearest_its_end(checks, &self.limits, scope);
        for (id, remaining, wait) in Scope::ALL.into_iter().filter_map(nearest) {
            let separator = if limit.is_empty() { "\"" } else { ", \"" };
            for piece in [separator, self.limits.label(id), "\";r=", digits.format(remaining)] {
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
        if let Some(policy) = self.policy(checks) {
            headers.insert(POLICY, policy);
        }
        if let Ok(limit) = HeaderValue::from_str(&limit) {
            headers.insert(LIMIT, limit);
        }
    }
}

/// The limit of a scope that rejects, or else of which the least share is left, the first of equals, with what is left; of one
/// that rejects, how many seconds to wait. `None` where none of the scope said anything.
fn nearest_its_end(
    checks: &Checks,
    limits: &LimitFacts,
    scope: Scope,
) -> Option<(LimitId, u32, Option<u64>)> {
    let of_scope = checks.iter().filter(|(limit, _)| limit.scope() == scope);
    let left = of_scope.map(|(limit, verdict)| {
        let wait = match verdict {
            Verdict::Rejected { retry_after } => Some(whole_seconds(retry_after)),
            Verdict::Admitted { .. } | Verdict::Delayed { .. } => None,
        };
        (limit, verdict.remaining(), wait)
    });
    let allowance = |limit| u64::from(limits.allowance(limit, checks.tier(limit)).max(1));
    left.min_by(|(one, left_of_one, wait), (other, left_of_other, other_wait)| {
        // One that rejects is the only one that does, and nearer than one that is used up.
        let rejects = wait.is_none().cmp(&other_wait.is_none());
        let shares = u64::from(*left_of_one) * allowance(*other);
        rejects.then_with(|| shares.cmp(&(u64::from(*left_of_other) * allowance(*one))))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::{LimitList, Tier, TierMembers};
    use crate::rate_limit::{Algorithm, RateLimit};
    use crate::timestamp::Timestamp;

    #[test]
    fn there_is_room_for_what_the_limits_say_at_the_longest() {
        assert!(Scope::ALL.iter().all(|scope| scope.name().len() <= "per_route".len()));
        let name = LimitName::new(&"a".repeat(LimitName::LONGEST)).unwrap();
        let limit = RateLimit::new(Algorithm::FixedWindow, u32::MAX, RateLimit::MAX_WINDOW).unwrap();
        let named = || LimitRule { name: Some(name.clone()), ..limit.into() };
        let list = || LimitList::new(vec![named(), limit.into()]).unwrap();
        let limits = RateLimits {
            per_ip: list(),
            per_key: list(),
            per_route: list(),
            global: list(),
            ..RateLimits::default()
        };
        let mut checks = Checks::default();
        for (id, _) in limits.iter().filter(|(id, _)| id.place() == 0) {
            checks.note(Timestamp::EPOCH, id, Verdict::Admitted { remaining: u32::MAX });
        }
        let mut headers = HeaderMap::new();
        RateLimitFields::new(&limits).apply(&checks, &mut headers);
        assert_eq!(headers["ratelimit"].to_str().unwrap().matches(";r=4294967295").count(), 4);
    }

    #[test]
    fn of_each_scope_the_limit_is_told_that_is_nearest_to_its_end() {
        let limit = |most| RateLimit::new(Algorithm::FixedWindow, most, Duration::from_secs(60)).unwrap();
        let rule = |name, most| LimitRule { name: LimitName::new(name).ok(), ..limit(most).into() };
        let per_key = vec![rule("second", 10), rule("minute", 100), rule("hour", 1_000)];
        let limits = RateLimits {
            per_ip: limit(9).into(),
            per_key: LimitList::new(per_key).unwrap(),
            ..RateLimits::default()
        };
        let (fields, of_key) =
            (RateLimitFields::new(&limits), |place| LimitId::new(Scope::PerKey, place).unwrap());
        let mut checks = Checks::default();
        let told = |checks: &Checks| {
            let mut headers = HeaderMap::new();
            fields.apply(checks, &mut headers);
            headers.get("ratelimit").map(|told| told.to_str().unwrap().to_owned())
        };
        assert_eq!(told(&checks), None);
        let mut note = |limit, verdict| checks.note(Timestamp::EPOCH, limit, verdict);
        note(LimitId::first(Scope::PerIp), Verdict::Admitted { remaining: 3 });
        // Of ten seven are left, and of a hundred sixty-nine: more of them, and a smaller share.
        note(of_key(0), Verdict::Admitted { remaining: 7 });
        note(of_key(1), Verdict::Admitted { remaining: 69 });
        assert_eq!(told(&checks).unwrap(), r#""per_ip";r=3, "per_key.minute";r=69"#);
        // Of equal shares the first.
        let mut equal = checks;
        equal.note(Timestamp::EPOCH, of_key(1), Verdict::Admitted { remaining: 70 });
        assert_eq!(told(&equal).unwrap(), r#""per_ip";r=3, "per_key.second";r=7"#);
        checks.note(Timestamp::EPOCH, of_key(0), Verdict::Admitted { remaining: 0 });
        assert_eq!(told(&checks).unwrap(), r#""per_ip";r=3, "per_key.second";r=0"#);
        // One that rejects is nearer than one that is used up.
        checks.note(Timestamp::EPOCH, of_key(2), Verdict::Rejected { retry_after: Duration::from_secs(5) });
        assert_eq!(told(&checks).unwrap(), r#""per_ip";r=3, "per_key.hour";r=0;t=5"#);
    }

    #[test]
    fn whoever_is_in_a_tier_is_told_its_numbers() {
        let limit = |most| RateLimit::new(Algorithm::FixedWindow, most, Duration::from_secs(60)).unwrap();
        let gold =
            Tier { name: LimitName::new("gold").unwrap(), members: TierMembers::default(), limit: limit(50) };
        let limits = RateLimits {
            per_ip: limit(9).into(),
            per_key: LimitRule { tiers: vec![gold], ..limit(5).into() }.into(),
            ..RateLimits::default()
        };
        let fields = RateLimitFields::new(&limits);
        for (tier, policy) in [
            (0, r#""per_ip";q=9;w=60, "per_key";q=5;w=60"#),
            (1, r#""per_ip";q=9;w=60, "per_key";q=50;w=60"#),
        ] {
            let (mut checks, mut headers) = (Checks::default(), HeaderMap::new());
            let of_key = LimitId::first(Scope::PerKey);
            checks.note_of(Timestamp::EPOCH, of_key, tier, Verdict::Admitted { remaining: 4 });
            fields.apply(&checks, &mut headers);
            assert_eq!(headers[POLICY], policy);
            assert_eq!(headers[LIMIT], r#""per_key";r=4"#);
        }
    }
}
