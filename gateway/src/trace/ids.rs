//! The ids of traces, spans and requests.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::context::{SpanId, TraceContext, TraceFlags, TraceId, hex_digits};
use crate::split_mix::split_mix_64;

/// Hands out ids: a counter, mixed under a seed, so that a run under one seed names its requests as the run before it did.
///
/// Whoever serves the open internet takes a seed that nobody else has; two gateways under one seed would give two traces
/// one id.
#[derive(Debug)]
pub struct TraceIds {
    seed: u64,
    issued: AtomicU64,
}

/// A request as its log line and its trace know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// The request's name in the log.
    pub request: RequestName,
    /// The gateway's own work on it.
    pub span: Span,
}

/// What a request is called in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestName {
    /// A number of ours, written in 16 hexadecimal digits.
    Number(u64),
    /// What whoever sent it calls it, if the gateway was told to take that over.
    Given(Box<str>),
}

/// A piece of work within a trace, and whose part it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The trace.
    pub trace: TraceId,
    /// This piece.
    pub id: SpanId,
    /// The piece that this one is part of; `None` where the trace begins here.
    pub parent: Option<SpanId>,
    /// What upstreams are told of the trace.
    pub flags: TraceFlags,
}

impl TraceIds {
    /// The ids under a seed, from the first.
    pub const fn new(seed: u64) -> Self {
        Self { seed, issued: AtomicU64::new(0) }
    }

    /// Names the next request: within the trace that it came with, or at the beginning of one.
    pub fn next(&self, context: Option<TraceContext>) -> Traced {
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        // One to one: no two ids under one seed are the same.
        let draw = |place: u64| split_mix_64(self.seed, 4 * number + place);
        let id = SpanId::of_draw(draw(0));
        let span = if let Some(TraceContext { trace, parent, flags }) = context {
            Span { trace, id, parent: Some(parent), flags }
        } else {
            let trace = TraceId::of_draw(u128::from(draw(1)) << 64 | u128::from(draw(2)));
            Span { trace, id, parent: None, flags: TraceFlags::SAMPLED }
        };
        Traced { request: RequestName::Number(draw(3)), span }
    }
}

impl Span {
    /// The span of one attempt at the upstream, the first being 1.
    pub fn attempt(&self, number: u32) -> SpanId {
        SpanId::of_draw(split_mix_64(self.id.get(), u64::from(number).wrapping_sub(1)))
    }

    /// What the upstream is told in that attempt.
    pub fn context(&self, attempt: u32) -> TraceContext {
        TraceContext { trace: self.trace, parent: self.attempt(attempt), flags: self.flags }
    }
}

impl RequestName {
    /// As it stands in the log.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Number(number) => Cow::Owned(hex_digits::<16>(&number.to_be_bytes()).as_str().to_owned()),
            Self::Given(name) => Cow::Borrowed(name),
        }
    }
}

impl fmt::Display for RequestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_names_the_same_requests_the_same_way() {
        let names = |seed| {
            let ids = TraceIds::new(seed);
            (0..1_000).map(|_| ids.next(None)).collect::<Vec<_>>()
        };
        assert_eq!(names(902), names(902));
        let traces = |seed| names(seed).iter().map(|traced| traced.span.trace.to_string()).collect();
        let (one, other): (BTreeSet<_>, BTreeSet<_>) = (traces(902), traces(903));
        assert_eq!((one.len(), other.len(), one.intersection(&other).count()), (1_000, 1_000, 0));
    }

    #[test]
    fn a_request_goes_on_in_its_trace_with_spans_of_its_own() {
        let ids = TraceIds::new(902);
        let text = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02";
        let context = TraceContext::parse(text).unwrap();
        let Traced { span, .. } = ids.next(Some(context));
        assert_eq!((span.trace, span.parent), (context.trace, Some(context.parent)));
        let [first, second] = [1, 2].map(|attempt| span.context(attempt));
        // Not sampled where it was not: that is for whoever began it to say.
        assert_eq!((first.trace, first.flags), (context.trace, TraceFlags::RANDOM));
        let spans = BTreeSet::from([context.parent, span.id, first.parent, second.parent].map(SpanId::get));
        assert_eq!(spans.len(), 4, "each piece of work has its own");
        assert!(ids.next(None).span.parent.is_none());
    }
}
