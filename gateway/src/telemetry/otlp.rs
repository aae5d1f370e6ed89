//! Spans and metrics to a collector that speaks OTLP (HTTP with protobuf), off the path of requests.
//!
//! A request puts what it was into a bounded queue and never waits. An exporter on a thread of its own makes spans of it
//! and sends them in batches; while the collector is away, the queue fills and what comes then is dropped and counted.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fmt, io};

use opentelemetry::metrics::{AsyncInstrument, Histogram, Meter, MeterProvider as _};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use thiserror::Error;

use super::{Ended, Facts, Metrics, Names, RequestRecord, RunName, Span};
use crate::timestamp::Timestamp;

/// Requests that may wait to be sent.
const CAPACITY: usize = 1 << 14;

/// Spans sent at once, at most; a request is two.
const BATCH: usize = 512;

/// How long the exporter rests between two looks at its queue.
const REST: Duration = Duration::from_millis(200);

/// How long the collector may take to say that it has something.
const PATIENCE: Duration = Duration::from_secs(2);

/// Upper bounds of the histograms, in seconds.
const LATENCIES: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Where spans and metrics go, and how often.
#[derive(Clone, Debug)]
pub struct OtlpConfig {
    /// The collector, such as `http://127.0.0.1:4318`; signals have their usual paths below it. Nobody else is asked: no proxy
    /// that the environment names, and nobody to whom the collector redirects.
    pub endpoint: String,
    /// How often metrics are sent (10 s).
    pub metrics_every: Duration,
}

impl OtlpConfig {
    /// To this collector, with the defaults for the rest.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into(), metrics_every: Duration::from_secs(10) }
    }
}

/// Why nothing is exported.
#[derive(Debug, Error)]
pub enum OtlpError {
    /// The endpoint is none, or the client cannot be made.
    #[error("cannot export to {endpoint}")]
    Endpoint {
        /// Where to.
        endpoint: String,
        /// Why not.
        source: ExporterBuildError,
    },
    /// The client cannot be made.
    #[error("cannot make a client to export with")]
    Client(#[from] reqwest::Error),
    /// There is no thread to be had.
    #[error("cannot start a thread to export on")]
    Thread(#[from] io::Error),
}

/// An export under way. Dropped, it sends what is left, for a few seconds at most, and ends.
pub struct OtlpExport {
    sender: OtlpSender,
    stop: Arc<AtomicBool>,
    exporter: Option<JoinHandle<()>>,
    meters: SdkMeterProvider,
}

/// The end of an export that requests are handed to; it never waits.
#[derive(Clone, Debug)]
pub struct OtlpSender {
    queue: SyncSender<Entry>,
    /// In requests.
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Entry {
    at: Timestamp,
    facts: Arc<Facts>,
    ended: Ended,
}

impl OtlpExport {
    /// Starts sending what is handed to [`OtlpExport::sender`], and the metrics.
    ///
    /// # Errors
    ///
    /// If the endpoint is no URL, or there is no client or thread to be had. A collector that is away is no error.
    pub fn start(
        config: &OtlpConfig,
        names: Names,
        run: Option<RunName>,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, OtlpError> {
        let base = config.endpoint.trim_end_matches('/');
        let failed = |source| OtlpError::Endpoint { endpoint: config.endpoint.clone(), source };
        let client = client()?;
        let spans = SpanExporter::builder()
            .with_http()
            .with_http_client(client.clone())
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{base}/v1/traces"))
            .with_timeout(PATIENCE)
            .build()
            .map_err(failed)?;
        let meters = MetricExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{base}/v1/metrics"))
            .with_timeout(PATIENCE)
            .build()
            .map_err(failed)?;
        let reader = PeriodicReader::builder(meters).with_interval(config.metrics_every).build();
        let meters = SdkMeterProvider::builder().with_resource(resource()).with_reader(reader).build();
        let meter = meters.meter(SCOPE);
        mirror(&meter, metrics);

        let (queue, entries) = sync_channel(CAPACITY);
        let (dropped, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let sender = OtlpSender { queue, dropped: Arc::clone(&dropped) };
        let exporter = Exporter {
            names,
            run,
            entries,
            dropped,
            spans,
            latency: seconds(&meter, "gateway_request_duration"),
            upstream_latency: seconds(&meter, "gateway_upstream_duration"),
        };
        let stopped = Arc::clone(&stop);
        let exporter =
            thread::Builder::new().name("otlp".to_owned()).spawn(move || exporter.export(&stopped))?;
        Ok(Self { sender, stop, exporter: Some(exporter), meters })
    }

    /// To be handed requests by.
    pub fn sender(&self) -> OtlpSender {
        self.sender.clone()
    }
}

impl fmt::Debug for OtlpExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpExport").field("sender", &self.sender).finish_non_exhaustive()
    }
}

impl Drop for OtlpExport {
    fn drop(&mut self) {
        self.stop.store(true, Release);
        if let Some(exporter) = self.exporter.take() {
            exporter.thread().unpark();
            let _ = exporter.join();
        }
        // A collector that is away does not hear the last of it.
        let _ = self.meters.shutdown_with_timeout(PATIENCE);
    }
}

impl OtlpSender {
    pub(super) fn request(&self, at: Timestamp, facts: &Arc<Facts>, ended: &Ended) {
        let entry = Entry { at, facts: Arc::clone(facts), ended: *ended };
        if self.queue.try_send(entry).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Requests whose spans no collector has got.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

struct Exporter {
    names: Names,
    run: Option<RunName>,
    entries: Receiver<Entry>,
    dropped: Arc<AtomicU64>,
    spans: SpanExporter,
    latency: Histogram<f64>,
    upstream_latency: Histogram<f64>,
}

impl Exporter {
    fn export(mut self, stop: &AtomicBool) {
        self.spans.set_resource(&resource());
        loop {
            // Looked at first, so that what was handed over before the stop is sent after it.
            let stopped = stop.load(Acquire);
            while self.send_batch() == Sent::All {}
            if stopped {
                // A collector that is away is not waited for once for every batch that is left.
                let left = self.entries.try_iter().count();
                self.dropped.fetch_add(left as u64, Relaxed);
                return;
            }
            thread::park_timeout(REST);
        }
    }

    fn send_batch(&self) -> Sent {
        let mut batch = Vec::new();
        let mut requests = 0;
        for entry in self.entries.try_iter() {
            requests += 1;
            self.add(&mut batch, &entry);
            if batch.len() >= BATCH {
                break;
            }
        }
        if requests == 0 {
            return Sent::Nothing;
        }
        if !batch.is_empty() && futures_executor::block_on(self.spans.export(batch)).is_err() {
            self.dropped.fetch_add(requests, Relaxed);
            return Sent::Nothing;
        }
        Sent::All
    }

    /// Makes spans of a request: the gateway's own, and that of its last attempt at the upstream.
    fn add(&self, batch: &mut Vec<SpanData>, Entry { at, facts, ended }: &Entry) {
        let record = RequestRecord::new(&self.names, self.run.as_ref(), *at, facts, ended);
        let route = [KeyValue::new("route", record.route.unwrap_or("none").to_owned())];
        self.latency.record(ended.total_time.as_secs_f64(), &route);
        if let Some(time) = ended.upstream_time {
            self.upstream_latency.record(time.as_secs_f64(), &route);
        }
        let Some(Span { trace, id, parent, flags }) = facts.traced.as_ref().map(|traced| traced.span) else {
            return;
        };
        let trace = TraceId::from_bytes(trace.to_bytes());
        let context = |id: super::SpanId| {
            let id = SpanId::from_bytes(id.to_bytes());
            SpanContext::new(trace, id, TraceFlags::new(flags.bits()), false, TraceState::NONE)
        };
        let ended_at = moment(*at);
        let failed = record.status.is_none_or(|status| status >= 500);
        let span = |kind, id, parent: Option<super::SpanId>, name: &str, took: Duration| SpanData {
            span_context: context(id),
            parent_span_id: parent.map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.to_bytes())),
            parent_span_is_remote: kind == SpanKind::Server && parent.is_some(),
            span_kind: kind,
            name: name.to_owned().into(),
            start_time: ended_at.checked_sub(took).unwrap_or(UNIX_EPOCH),
            end_time: ended_at,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: if failed { Status::error(record.outcome) } else { Status::Unset },
            instrumentation_scope: InstrumentationScope::builder(SCOPE).build(),
        };
        let name = record.route.unwrap_or("no route");
        let mut own = span(SpanKind::Server, id, parent, name, ended.total_time);
        own.attributes = attributes(&record);
        batch.push(own);
        if let (Some(took), Some(upstream), Some(traced)) =
            (ended.upstream_time, record.upstream, &facts.traced)
        {
            let attempt = traced.span.attempt(ended.attempts);
            let mut last = span(SpanKind::Client, attempt, Some(id), upstream, took);
            last.attributes = vec![
                KeyValue::new("server.address", upstream.to_owned()),
                KeyValue::new("http.request.resend_count", i64::from(ended.attempts.saturating_sub(1))),
            ];
            batch.push(last);
        }
    }
}

#[derive(PartialEq, Eq)]
enum Sent {
    All,
    Nothing,
}

/// A client that asks the collector and nobody else.
fn client() -> Result<reqwest::blocking::Client, reqwest::Error> {
    let builder = reqwest::blocking::Client::builder().timeout(PATIENCE);
    builder.no_proxy().redirect(reqwest::redirect::Policy::none()).build()
}

/// The name of what makes these spans and metrics.
const SCOPE: &str = "gateway";

fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    Resource::builder().with_service_name("tuesday-gateway").with_attribute(version).build()
}

fn moment(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(at.as_nanos())
}

/// What a span says, in the words of the semantic conventions where they have any.
fn attributes(record: &RequestRecord<'_>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("gateway.client", format!("{:016x}", record.client.bucket())),
        KeyValue::new("gateway.outcome", record.outcome),
    ];
    let mut add = |name: &'static str, value: Option<String>| {
        attributes.extend(value.map(|value| KeyValue::new(name, value)));
    };
    add("client.address", record.peer.map(|peer| peer.to_string()));
    add("http.route", record.route.map(str::to_owned));
    add("gateway.upstream", record.upstream.map(str::to_owned));
    add("gateway.reason", record.reason.map(str::to_owned));
    add("gateway.breaker", record.breaker.map(str::to_owned));
    add("gateway.request_id", record.request_id.map(ToString::to_string));
    add("gateway.variant", record.run.map(|run| run.variant.clone()));
    attributes.extend(record.attempts.map(|attempts| KeyValue::new("gateway.attempts", i64::from(attempts))));
    let status = record.status.map(|status| KeyValue::new("http.response.status_code", i64::from(status)));
    attributes.extend(status);
    let claims = record.auth.into_iter().flat_map(|claims| &claims.0);
    attributes.extend(claims.map(|(name, value)| KeyValue::new(format!("enduser.{name}"), value.clone())));
    attributes
}

fn seconds(meter: &Meter, name: &'static str) -> Histogram<f64> {
    meter.f64_histogram(name).with_unit("s").with_boundaries(LATENCIES.to_vec()).build()
}

/// Has every counter and gauge that Prometheus is shown sent to the collector too, under the name that makes the same one
/// of it again: without its unit, and without `_total`.
fn mirror(meter: &Meter, metrics: &Arc<Metrics>) {
    // Those that have no series before the first request.
    let late = ["gateway_requests_total", "gateway_telemetry_dropped_total"].map(str::to_owned);
    let mut names: Vec<String> =
        metrics.samples(SATURATION_SECONDS).into_iter().map(|sample| sample.name).collect();
    names.extend(late);
    names.retain(|name| !name.contains("_duration_seconds") && !name.contains("_wait_seconds"));
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (metrics, metric) = (Arc::clone(metrics), name.clone());
        let observe = move |observer: &dyn AsyncInstrument<f64>| {
            for sample in metrics.samples(SATURATION_SECONDS).iter().filter(|sample| sample.name == metric) {
                let labels = sample.labels.iter();
                let labels = labels.map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
                observer.observe(sample.value, &labels.collect::<Vec<_>>());
            }
        };
        if let Some(counter) = name.strip_suffix("_total") {
            meter.f64_observable_counter(counter.to_owned()).with_callback(observe).build();
            continue;
        }
        let (gauge, unit) = match (name.strip_suffix("_ratio"), name.strip_suffix("_seconds")) {
            (Some(gauge), _) => (gauge, "1"),
            (_, Some(gauge)) => (gauge, "s"),
            _ => (&*name, ""),
        };
        meter.f64_observable_gauge(gauge.to_owned()).with_unit(unit).with_callback(observe).build();
    }
}

/// As Prometheus is told.
const SATURATION_SECONDS: u64 = 16;
