//! Our own gateway in a live run, and what is told of its requests to whoever asked for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use gateway::server::{Observer, ScenarioClock, Server, ServerConfig, TraceConfig};
use gateway::telemetry::{Metrics, RequestLog, Telemetry};
use http::HeaderName;
use simulator::headers;

use super::observers::GatewayObserver;
use super::{Drive, LOOPBACK, LiveError};
use crate::engine::names;
use crate::watch::Watch;
use crate::{Timeline, Variant};

/// What a run is in its experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// One without a control: nothing fails in it.
    Alone,
    /// One that is compared with its control.
    Incident,
    /// The control.
    Control,
}

/// Log and metrics of a run, where anybody asked for them.
pub(super) struct RunTelemetry<'d> {
    metrics: Option<Arc<Metrics>>,
    log: Option<RequestLog>,
    watch: Option<&'d Watch>,
    title: String,
}

impl<'d> RunTelemetry<'d> {
    pub(super) fn new(
        timeline: &Timeline,
        variant: &Variant,
        seed: u64,
        drive: &'d Drive,
        part: Part,
    ) -> Result<Self, LiveError> {
        let control = part == Part::Control;
        let log = match &drive.log {
            Some(log) => {
                let (lines, run) = log.page(true, &variant.name, seed, control)?;
                Some(RequestLog::start(lines, names(&variant.world), Some(run))?)
            }
            None => None,
        };
        let watch = drive.watch.as_deref();
        let asked = log.is_some() || watch.is_some();
        let metrics =
            || Arc::new(Metrics::new(&variant.world.gateway, &names(&variant.world), timeline.starts));
        let what = if control { ", control run without faults" } else { "" };
        let title = format!("{}{what}, seed {seed}", variant.name);
        Ok(Self { metrics: asked.then(metrics), log, watch, title })
    }

    /// Starts the gateway, with a thread for every second core. The log is to be dropped after it.
    pub(super) fn start(
        self,
        variant: &Variant,
        seed: u64,
        clock: ScenarioClock,
        upstreams: &[SocketAddr],
        observer: GatewayObserver,
    ) -> Result<(Server, Option<RequestLog>), LiveError> {
        let mut config = ServerConfig::new(LOOPBACK, variant.world.gateway.clone(), upstreams.to_vec());
        (config.seed, config.threads) =
            (seed, thread::available_parallelism().map_or(1, usize::from).div_ceil(2));
        let observer: Arc<dyn Observer> = match &self.metrics {
            Some(metrics) => {
                let request_header = Some(HeaderName::from_static(headers::REQUEST));
                config.traces = Some(TraceConfig { seed, request_header });
                let log = self.log.as_ref().map(RequestLog::sender);
                Arc::new(Telemetry::new(observer, Arc::clone(metrics), log))
            }
            None => Arc::new(observer),
        };
        let server = Server::start(config, clock, observer)?;
        if let Some(metrics) = &self.metrics {
            metrics.observe(server.monitor());
            if let Some(watch) = self.watch {
                watch.show(&self.title, Arc::clone(metrics), server.monitor());
            }
        }
        Ok((server, self.log))
    }
}
