//! The traces that requests come with and go on in: `traceparent` and `tracestate` (W3C Trace Context).

use http::{HeaderMap, HeaderName, HeaderValue};

use super::config::TraceConfig;
use crate::trace::{RequestName, Span, TraceContext, TraceIds, Traced, is_trace_state};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Beyond, a name of a request is none.
const LONGEST_NAME: usize = 128;

/// Names the requests of a server.
#[derive(Debug)]
pub(super) struct Traces {
    ids: TraceIds,
    request_header: Option<HeaderName>,
}

impl Traces {
    pub(super) fn new(config: &TraceConfig) -> Self {
        Self { ids: TraceIds::new(config.seed), request_header: config.request_header.clone() }
    }

    /// Names a request by what it came with.
    pub(super) fn begin(&self, headers: &HeaderMap) -> Traced {
        let mut parents = headers.get_all(TRACEPARENT).iter();
        // Two of them are none: who could say which?
        let context = match (parents.next(), parents.next()) {
            (Some(parent), None) => TraceContext::parse(parent.as_bytes()).ok(),
            _ => None,
        };
        let mut traced = self.ids.next(context);
        let given = self.request_header.as_ref().and_then(|name| headers.get(name)?.to_str().ok());
        if let Some(name) = given.filter(|name| (1..=LONGEST_NAME).contains(&name.len())) {
            traced.request = RequestName::Given(name.into());
        }
        traced
    }

    /// Tells the upstream of its first attempt. What a trace carries of others goes on with it or not at all.
    pub(super) fn apply(span: &Span, headers: &mut HeaderMap) {
        let begins_here = span.parent.is_none();
        if begins_here || !is_trace_state(headers.get_all(TRACESTATE).iter().map(HeaderValue::as_bytes)) {
            headers.remove(TRACESTATE);
        }
        Self::apply_attempt(span, 1, headers);
    }

    /// Tells the upstream which attempt this is, the first being 1.
    pub(super) fn apply_attempt(span: &Span, attempt: u32, headers: &mut HeaderMap) {
        if let Ok(parent) = HeaderValue::from_bytes(&span.context(attempt).to_field()) {
            headers.insert(TRACEPARENT, parent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let fields = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        fields.collect()
    }

    fn sent(received: &[(&'static str, &'static str)]) -> (Traced, HeaderMap) {
        let mut headers = headers(received);
        let traced = Traces::new(&TraceConfig::new(902)).begin(&headers);
        Traces::apply(&traced.span, &mut headers);
        (traced, headers)
    }

    #[test]
    fn a_valid_trace_goes_on_with_its_state_and_an_invalid_one_ends_here() {
        let (traced, headers) =
            sent(&[("traceparent", PARENT), ("tracestate", "rojo=1"), ("tracestate", "b=2")]);
        assert_eq!(traced.span.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let parent = headers["traceparent"].to_str().unwrap();
        assert!(parent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && parent.ends_with("-01"));
        assert!(!parent.contains("00f067aa0ba902b7"), "the gateway is a span of its own");
        assert_eq!(headers.get_all("tracestate").iter().count(), 2);

        for received in [
            &[("traceparent", "00-junk"), ("tracestate", "rojo=1")][..],
            &[("traceparent", PARENT), ("traceparent", PARENT), ("tracestate", "rojo=1")],
            &[("tracestate", "rojo=1")],
        ] {
            let (traced, headers) = sent(received);
            assert_eq!(traced.span.parent, None);
            assert_eq!(headers.get_all("traceparent").iter().count(), 1);
            assert!(!headers.contains_key("tracestate"), "{received:?}");
        }
        let (traced, headers) = sent(&[("traceparent", PARENT), ("tracestate", "rojo")]);
        assert!(traced.span.parent.is_some() && !headers.contains_key("tracestate"));
    }

    #[test]
    fn a_name_is_taken_over_only_from_where_it_is_expected() {
        let expected = TraceConfig { request_header: Some(HeaderName::from_static("x-name")), seed: 902 };
        let name = |config: &TraceConfig, value| {
            Traces::new(config).begin(&headers(&[("x-name", value)])).request.to_string()
        };
        assert_eq!(name(&expected, "0-17"), "0-17");
        let own = name(&TraceConfig::new(902), "0-17");
        assert_eq!(own.len(), 16);
        assert_eq!(name(&expected, ""), own);
    }
}
