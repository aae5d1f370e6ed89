//! Traces that requests come with, and what their upstream is told.

use std::num::NonZeroU32;

use ::gateway::server::TraceConfig;
use ::gateway::{Backoff, FailureSet, GatewayConfig, GatewayRetry, RetryPolicy};

use crate::client::Client;
use crate::gateway::Gateway;
use crate::upstream::{Reply, Upstream, ok};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: gateway.test\r\n{fields}\r\n")
}

#[test]
fn a_gateway_that_was_not_told_to_trace_passes_the_fields_on() {
    let upstream = Upstream::answering(|_| Reply::Send(ok("")));
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    client.send(get(&format!("traceparent: {PARENT}\r\ntracestate: a=1\r\n"))).answer(false);
    let received = upstream.next();
    assert_eq!((received.values("traceparent"), received.values("tracestate")), (vec![PARENT], vec!["a=1"]));
    client.get("/");
    assert!(upstream.next().values("traceparent").is_empty());
}

#[test]
fn each_attempt_is_a_span_of_its_own_in_the_trace_of_the_request() {
    let upstream = Upstream::answering(|request| {
        let retry = request.values("x-gateway-attempt");
        let answer =
            if retry == ["2"] { ok("") } else { b"HTTP/1.1 503 -\r\ncontent-length: 0\r\n\r\n".to_vec() };
        Reply::Send(answer)
    });
    let on = FailureSet { server_errors: true, ..FailureSet::default() };
    let policy = RetryPolicy { retries: 2, on, backoff: Backoff::default(), ..RetryPolicy::default() };
    let retry = Some(GatewayRetry { policy, non_idempotent: false });
    let config = GatewayConfig { retry, ..GatewayConfig::default() };
    let gateway = Gateway::with(config, &[upstream.address], |config| {
        config.traces = Some(TraceConfig::new(902));
    });
    let mut client = Client::connect(gateway.address());
    for (fields, continues) in
        [(format!("traceparent: {PARENT}\r\ntracestate: a=1\r\n"), true), (String::new(), false)]
    {
        assert_eq!(client.send(get(&fields)).answer(false).status, 200);
        let mut seen = Vec::new();
        for _ in 0..3 {
            let received = upstream.next();
            let [parent] = received.values("traceparent")[..] else { panic!("{}", received.head) };
            let parts: Vec<String> = parent.split('-').map(str::to_owned).collect();
            assert_eq!(parts[1] == PARENT[3..35], continues, "{parent}");
            assert_eq!((parts[0].as_str(), parts[3].as_str()), ("00", "01"));
            assert_eq!(received.values("tracestate").len(), usize::from(continues));
            seen.push(parts);
        }
        assert!(seen.iter().all(|parts| parts[1] == seen[0][1]), "one trace: {seen:?}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 3, "three attempts: {seen:?}");
    }
    let told = gateway.log.settled(2);
    assert_eq!(
        told.finished.iter().map(|(_, ended)| NonZeroU32::new(ended.attempts)).collect::<Vec<_>>(),
        vec![NonZeroU32::new(3); 2]
    );
}
