//! Spans and metrics as a collector gets them: a receiver that speaks the protocol, and one that is not there.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::gateway::GatewayConfig;
use ::gateway::server::{ScenarioClock, Server, ServerConfig, TraceConfig};
use ::gateway::telemetry::{Metrics, Names, OtlpConfig, OtlpExport, Telemetry};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::client::Client;
use crate::gateway::{START, routes};
use crate::upstream::{Reply, Upstream, Vacant, ok};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Has this many requests served by a gateway that exports to a collector, and says how many were dropped.
fn serve(requests: usize, collector: SocketAddr) -> u64 {
    let upstream = Upstream::answering(|_| Reply::Send(ok("")));
    let config = GatewayConfig { routes: routes(1), ..GatewayConfig::default() };
    let names = Names::new(&config, ["orders"]);
    let metrics = Arc::new(Metrics::new(&config, &names, START));
    let to = OtlpConfig {
        metrics_every: Duration::from_millis(100),
        ..OtlpConfig::new(format!("http://{collector}"))
    };
    let export = OtlpExport::start(&to, names, None, &metrics).unwrap();
    let sender = export.sender();
    let observer = Telemetry::new((), Arc::clone(&metrics), None).with_otlp(sender.clone());
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut server = ServerConfig::new(listen, config, vec![upstream.address]);
    server.traces = Some(TraceConfig::new(902));
    let server = Server::start(server, ScenarioClock::starting_now(START, 1.0), Arc::new(observer)).unwrap();
    metrics.observe(server.monitor());
    let mut client = Client::connect(server.address());
    for _ in 0..requests {
        let fields = format!("host: a\r\nx-api-key: sk-secret\r\ntraceparent: {PARENT}\r\n");
        assert_eq!(client.send(format!("GET /?q=hidden HTTP/1.1\r\n{fields}\r\n")).answer(false).status, 200);
    }
    server.shutdown(Duration::from_secs(10));
    drop(export);
    sender.dropped()
}

#[test]
fn a_collector_gets_spans_and_metrics() {
    let collector = Upstream::answering(|_| Reply::Send(ok("")));
    assert_eq!(serve(3, collector.address), 0);

    let (mut spans, mut metrics): (Vec<Span>, BTreeMap<String, Data>) = Default::default();
    let mut bytes = Vec::new();
    while let Ok(request) = collector.received.try_recv() {
        assert_eq!(request.values("content-type"), ["application/x-protobuf"]);
        bytes.extend_from_slice(&request.body);
        if request.target() == "/v1/traces" {
            let exported = ExportTraceServiceRequest::decode(&*request.body).unwrap();
            for resource in exported.resource_spans {
                let attributes = resource.resource.unwrap().attributes;
                let service = attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
                let name = service.value.as_ref().unwrap().value.clone().unwrap();
                assert_eq!(name, Value::StringValue("tuesday-gateway".to_owned()));
                spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
        } else {
            assert_eq!(request.target(), "/v1/metrics");
            let exported = ExportMetricsServiceRequest::decode(&*request.body).unwrap();
            let scopes = exported.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
            for metric in scopes.flat_map(|scope| scope.metrics) {
                metrics.insert(metric.name, metric.data.unwrap());
            }
        }
    }
    // Of each request the gateway's own span, below the one that came in, and below that the attempt.
    assert_eq!(spans.len(), 6);
    let (own, attempts): (Vec<_>, Vec<_>) = spans.iter().partition(|span| span.name == "/");
    for span in &own {
        assert_eq!(span.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes());
        assert_eq!(span.parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
        let attempt = attempts.iter().find(|attempt| attempt.parent_span_id == span.span_id).unwrap();
        assert_eq!((attempt.trace_id.as_slice(), &*attempt.name), (&*span.trace_id, "orders"));
        assert!(span.start_time_unix_nano <= attempt.start_time_unix_nano);
        assert!(
            attempt.start_time_unix_nano >= START.as_nanos()
                && attempt.end_time_unix_nano <= span.end_time_unix_nano
        );
        let outcome = span.attributes.iter().find(|attribute| attribute.key == "gateway.outcome").unwrap();
        let served = Value::StringValue("served".to_owned());
        assert_eq!(outcome.value.as_ref().unwrap().value, Some(served));
    }
    let Some(Data::Sum(requests)) = metrics.get("gateway_requests") else { panic!("{:?}", metrics.keys()) };
    assert!(requests.is_monotonic && !requests.data_points.is_empty());
    let Some(Data::Histogram(latency)) = metrics.get("gateway_request_duration") else {
        panic!("{metrics:?}")
    };
    assert_eq!(latency.data_points[0].count, 3);
    assert!(matches!(metrics.get("gateway_pool_workers_in_use"), Some(Data::Gauge(_))));
    let told = String::from_utf8_lossy(&bytes);
    assert!(!told.contains("secret") && !told.contains("hidden"));
}

#[test]
fn a_collector_that_is_away_costs_drops_and_nothing_else() {
    let away = Vacant::new();
    assert_eq!(serve(50, away.address), 50);
}
