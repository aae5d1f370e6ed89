//! One request as the log has it.

use std::cell::Cell;
use std::fmt::Write as _;
use std::net::IpAddr;

use arrayvec::ArrayString;
use jiff::Timestamp as CivilTime;
use serde::{Serialize, Serializer};

use super::{Ended, Facts, RequestName, ShownClaims, SpanId, TraceId};
use crate::admission::Checks;
use crate::breaker::Condition;
use crate::config::GatewayConfig;
use crate::identity::Client;
use crate::limits::LimitFacts;
use crate::rate_limit::Verdict;
use crate::route::UpstreamId;
use crate::timestamp::Timestamp;
use crate::trace::hex_digits;

/// One request in the log: the same fields whether it was served over a socket or in virtual time. Where the gateway is not this
/// one, its client writes the record, and leaves out what only the gateway knows.
///
/// Nothing here is a secret, by construction: of an API key there is the digest that limits count by, of a token the claims
/// that were asked for, and of the target the route alone, since a query may carry either. What does not apply is left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RequestRecord<'a> {
    /// When it ended, in scenario time.
    #[serde(serialize_with = "rfc_3339")]
    pub timestamp: Timestamp,
    /// Of a comparison, the run it belongs to.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub run: Option<&'a RunName>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a RequestName>,
    /// The trace that it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
    /// The gateway's own span in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_id: Option<SpanId>,
    /// The span that asked the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<SpanId>,
    /// The digest for which limits count it, in 16 hexadecimal digits.
    #[serde(serialize_with = "serialize_digest")]
    pub client: Client,
    /// Who sent it; always known to a gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// The path of the route that serves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<&'a str>,
    /// The upstream of that route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<&'a str>,
    /// The HTTP status of the answer; none for a client that left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How it ended: the name of an [`Outcome`](crate::Outcome).
    pub outcome: &'static str,
    /// Why it was not the upstream that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Attempts at the upstream; zero for a request that never got there. Always known to a gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// From when the last attempt was sent until it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_latency_us: Option<u64>,
    /// From its arrival until it ended.
    pub total_latency_us: u64,
    /// Its upstream's breaker, after it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<&'static str>,
    /// What the rate limits said, each by its scope.
    #[serde(skip_serializing_if = "BucketRecords::is_empty")]
    pub rate_limits: BucketRecords<'a>,
    /// Claims of its identity that may be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<&'a ShownClaims>,
}

/// The run of a comparison that a request belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunName {
    /// The scenario.
    pub scenario: String,
    /// The engine: `virtual` or `live`.
    pub engine: &'static str,
    /// The variant.
    pub variant: String,
    /// The seed.
    pub seed: u64,
    /// Whether it is the control run, which has no faults.
    pub control: bool,
}

/// What each rate limit said of a request, by what the limit is called; nothing of one that is off or was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BucketRecords<'a>(Option<(&'a LimitFacts, &'a Checks)>);

/// One bucket as a request left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BucketRecord {
    /// As many requests as it lets through at one instant after a rest.
    pub allowance: u32,
    /// How many more it would have let through at this same instant; zero where it let this one not through.
    pub remaining: u32,
    /// Whether it let this one through.
    pub admitted: bool,
    /// How long it had this one wait for its turn; `None` where it did not, or another limit had it wait longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_us: Option<u64>,
}

impl<'a> BucketRecords<'a> {
    /// What these limits said.
    pub const fn new(limits: &'a LimitFacts, checks: &'a Checks) -> Self {
        Self(Some((limits, checks)))
    }

    /// Each with what the limit is called, in the order in which they were asked.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, BucketRecord)> {
        self.0.into_iter().flat_map(|(limits, checks)| {
            limits.iter().filter_map(|limit| {
                let verdict = checks.get(limit.id)?;
                let wait_us = match verdict {
                    Verdict::Delayed { wait, .. } => {
                        Some(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX))
                    }
                    Verdict::Admitted { .. } | Verdict::Rejected { .. } => None,
                };
                let (remaining, admitted) = (verdict.remaining(), verdict.is_admitted());
                let allowance = limit.allowance_of(checks.tier(limit.id));
                let record = BucketRecord { allowance, remaining, admitted, wait_us };
                Some((&*limit.label, record))
            })
        })
    }

    /// Whether no limit said anything.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl Serialize for BucketRecords<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// What a gateway's numbers mean: the names of its routes and upstreams.
#[derive(Clone, Debug)]
pub struct Names {
    /// By route.
    pub(super) routes: Vec<RouteName>,
    /// By upstream.
    pub(super) upstreams: Vec<Box<str>>,
}

#[derive(Clone, Debug)]
pub(super) struct RouteName {
    pub(super) path: Box<str>,
    pub(super) upstream: UpstreamId,
}

impl Names {
    /// The names in a configuration; `upstreams` are those of the upstreams by their numbers. One without a name is called
    /// by its number.
    pub fn new<'n>(config: &GatewayConfig, upstreams: impl IntoIterator<Item = &'n str>) -> Self {
        let mut names: Vec<Box<str>> = upstreams.into_iter().map(Into::into).collect();
        let routes: Vec<RouteName> = config
            .routes
            .iter()
            .map(|route| RouteName { path: (*route.path).into(), upstream: route.upstream })
            .collect();
        let most = routes.iter().map(|route| route.upstream.0 as usize + 1).max().unwrap_or(0);
        names.extend((names.len()..most).map(|number| number.to_string().into()));
        Self { routes, upstreams: names }
    }

    /// The name of an upstream; empty for one that there is not.
    pub fn upstream(&self, upstream: UpstreamId) -> &str {
        self.upstreams.get(upstream.0 as usize).map_or("", |name| name)
    }
}

impl<'a> RequestRecord<'a> {
    /// The record of a request that ended at `at`.
    pub fn new(
        names: &'a Names,
        run: Option<&'a RunName>,
        at: Timestamp,
        facts: &'a Facts,
        ended: &Ended,
    ) -> Self {
        let route = facts.route.and_then(|route| names.routes.get(route.0 as usize));
        let span = facts.traced.as_ref().map(|traced| traced.span);
        let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self {
            timestamp: at,
            run,
            request_id: facts.traced.as_ref().map(|traced| &traced.request),
            trace_id: span.map(|span| span.trace),
            span_id: span.map(|span| span.id),
            parent_span_id: span.and_then(|span| span.parent),
            client: facts.client,
            peer: Some(facts.peer.to_canonical()),
            route: route.map(|route| &*route.path),
            upstream: route
                .and_then(|route| names.upstreams.get(route.upstream.0 as usize))
                .map(|name| &**name),
            status: ended.end.status(),
            outcome: ended.end.outcome().name(),
            reason: ended.end.reason(),
            attempts: Some(ended.attempts),
            upstream_latency_us: ended.upstream_time.map(micros),
            total_latency_us: micros(ended.total_time),
            breaker: facts.breaker.map(Condition::name),
            rate_limits: BucketRecords::new(&facts.limits, &facts.checks),
            auth: facts.auth.as_deref(),
        }
    }
}

/// As `2026-06-02T09:02:00.000000Z`: to the microsecond, so that lines sort by their text.
pub(super) fn civil(at: Timestamp) -> ArrayString<27> {
    thread_local! {
        /// The second of this thread's last line, and its text: hundreds of lines in a row are of one second.
        static SECOND: Cell<(u64, ArrayString<27>)> = const { Cell::new((u64::MAX, ArrayString::new_const())) };
    }
    let (second, nanos) = (at.as_nanos() / 1_000_000_000, at.as_nanos() % 1_000_000_000);
    let (mut known, mut text) = SECOND.get();
    if known != second {
        // The last instant that can be told is in 2554, well within.
        let time = CivilTime::new(second as i64, 0).unwrap_or(CivilTime::MAX);
        known = second;
        text.clear();
        // As long as any until the year 10,000.
        let _ = write!(text, "{time:.0}");
        text.pop();
        SECOND.set((known, text));
    }
    let mut digits = itoa::Buffer::new();
    let micros = digits.format(nanos / 1_000);
    for piece in [".", &"000000"[micros.len()..], micros, "Z"] {
        text.push_str(piece);
    }
    text
}

/// The digest of a client in 16 hexadecimal digits.
pub(super) fn digest(client: Client) -> ArrayString<16> {
    hex_digits(&client.bucket().to_be_bytes())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn rfc_3339<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&civil(*at))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn serialize_digest<S: Serializer>(client: &Client, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&digest(*client))
}

/// As they are displayed.
macro_rules! serialize_displayed {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

serialize_displayed!(RequestName, SpanId, TraceId);

impl Serialize for ShownClaims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::attempt::{AttemptEnd, RequestEnd};
    use crate::telemetry::testing::{START, config, facts, rejected};
    use crate::telemetry::{TraceContext, TraceIds};

    #[test]
    fn a_request_with_everything_is_told_in_full() {
        let config = config();
        let names = Names::new(&config, ["orders"]);
        let context =
            TraceContext::parse(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        let mut facts = facts(&config, "partner-0", 3);
        facts.traced = Some(TraceIds::new(902).next(Some(context)));
        facts.auth = Some(Box::new(ShownClaims(vec![("sub".to_owned(), "partner".to_owned())])));
        let ended = Ended {
            end: RequestEnd::Attempt(AttemptEnd::Answered(200)),
            attempts: 2,
            upstream_time: Some(Duration::from_micros(12_345)),
            total_time: Duration::from_millis(20),
        };
        let run = RunName {
            scenario: "Burst".to_owned(),
            engine: "virtual",
            variant: "base".to_owned(),
            seed: 902,
            control: false,
        };
        let record = RequestRecord::new(&names, Some(&run), START, &facts, &ended);
        insta::assert_snapshot!(serde_json::to_string_pretty(&record).unwrap(), @r#"
        {
          "timestamp": "2026-06-02T09:02:00.000000Z",
          "scenario": "Burst",
          "engine": "virtual",
          "variant": "base",
          "seed": 902,
          "control": false,
          "request_id": "2b3778cdc9a5148a",
          "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
          "span_id": "38d281d653751ef8",
          "parent_span_id": "00f067aa0ba902b7",
          "client": "0f9eed77a3b5be80",
          "peer": "127.1.0.1",
          "route": "/orders",
          "upstream": "orders",
          "status": 200,
          "outcome": "served",
          "attempts": 2,
          "upstream_latency_us": 12345,
          "total_latency_us": 20000,
          "breaker": "closed",
          "rate_limits": {
            "per_key": {
              "allowance": 10,
              "remaining": 7,
              "admitted": true
            }
          },
          "auth": {
            "sub": "partner"
          }
        }
        "#);
    }

    #[test]
    fn a_time_is_told_to_the_microsecond_whatever_was_told_before_it() {
        let told = |nanos| civil(Timestamp::from_nanos(nanos)).as_str().to_owned();
        for (nanos, text) in [
            (START.as_nanos(), "2026-06-02T09:02:00.000000Z"),
            (START.as_nanos() + 1_999, "2026-06-02T09:02:00.000001Z"),
            (START.as_nanos() + 999_999_999, "2026-06-02T09:02:00.999999Z"),
            (0, "1970-01-01T00:00:00.000000Z"),
            (START.as_nanos() + 1_012_345_000, "2026-06-02T09:02:01.012345Z"),
            (u64::MAX, "2554-07-21T23:34:33.709551Z"),
        ] {
            assert_eq!(told(nanos), text);
        }
    }

    #[test]
    fn what_does_not_apply_is_left_out() {
        let config = config();
        let names = Names::new(&config, []);
        let mut facts = facts(&config, "a secret key", 11);
        facts.breaker = None;
        let record = RequestRecord::new(&names, None, START, &facts, &rejected());
        let text = serde_json::to_string_pretty(&record).unwrap();
        assert!(!text.contains("secret"), "{text}");
        insta::assert_snapshot!(text, @r#"
        {
          "timestamp": "2026-06-02T09:02:00.000000Z",
          "client": "0441fe87308934fa",
          "peer": "127.1.0.1",
          "route": "/orders",
          "upstream": "0",
          "status": 429,
          "outcome": "rate-limited",
          "reason": "rate-limited",
          "attempts": 0,
          "total_latency_us": 0,
          "rate_limits": {
            "per_key": {
              "allowance": 10,
              "remaining": 0,
              "admitted": false
            }
          }
        }
        "#);
    }
}
