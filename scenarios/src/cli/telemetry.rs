//! What the gateway tells of itself while it serves alone: log, metrics, page and export.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use gateway::Timestamp;
use gateway::server::{Observer, Server, ServerConfig, TraceConfig};
use gateway::telemetry::{
    Admin, JsonLines, LogEnd, Metrics, Names, OtlpConfig, OtlpExport, RequestLog, Site, Telemetry,
};

use super::defects::Defects;
use super::run::with_causes;
use super::serving::wall_clock;
use super::{Failure, GatewayArgs};
use crate::Variant;
use crate::engine::names;
use crate::watch::Watch;

/// Standard output, as `--log` names it.
const STDOUT: &str = "-";

/// A hundred lines or so to a system call. They are written when nothing more waits to be, however many there are.
const LOG_BUFFER: usize = 1 << 16;

/// Connections to the admin port, and what serves them.
const ADMIN_DESCRIPTORS: u64 = 72;

/// Connections to a collector, and what they are made by.
const OTLP_DESCRIPTORS: u64 = 16;

fn append(path: &str) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Everything that was asked for; dropped after the server, it writes and sends what is left.
pub(super) struct Telling {
    names: Names,
    metrics: Arc<Metrics>,
    log: Option<RequestLog>,
    otlp: Option<OtlpExport>,
    admin: Option<Admin>,
    watch: Option<Watch>,
}

impl Telling {
    /// Whether anything of this was asked for.
    pub(super) fn is_asked(args: &GatewayArgs) -> bool {
        args.log.is_some() || args.admin.is_some() || args.watch || args.otlp.is_some()
    }

    /// Whether standard output is the log's.
    pub(super) fn takes_stdout(args: &GatewayArgs) -> bool {
        args.log.as_deref() == Some(STDOUT)
    }

    /// Descriptors that it takes.
    pub(super) fn descriptors(args: &GatewayArgs) -> u64 {
        let admin = if args.admin.is_some() || args.watch { ADMIN_DESCRIPTORS } else { 0 };
        let otlp = if args.otlp.is_some() { OTLP_DESCRIPTORS } else { 0 };
        admin + otlp + u64::from(args.log.is_some())
    }

    pub(super) fn start(args: &GatewayArgs, variant: &Variant, now: Timestamp) -> Result<Self, Failure> {
        let names = names(&variant.world);
        let metrics = Arc::new(Metrics::new(&variant.world.gateway, &names, now));
        let log = args.log.as_deref().map(|path| {
            let lines = match path {
                // Without the buffer of the library, which would keep to itself what was written.
                STDOUT => {
                    let stdout = io::stdout().as_fd().try_clone_to_owned()?;
                    JsonLines::buffered(LOG_BUFFER, File::from(stdout))
                }
                path => JsonLines::buffered(LOG_BUFFER, append(path)?),
            };
            RequestLog::start(lines, names.clone(), None)
        });
        let log = log.transpose().map_err(|error| {
            let path = args.log.as_deref().unwrap_or_default();
            Failure::usage(format!("--log: cannot write to {path}: {error}"))
        })?;
        let otlp = args.otlp.as_ref().map(|endpoint| {
            OtlpExport::start(&OtlpConfig::new(endpoint.as_str()), names.clone(), None, &metrics)
        });
        let otlp =
            otlp.transpose().map_err(|error| Failure::usage(format!("--otlp: {}", with_causes(&error))))?;
        let listen = args.admin.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let failed = |error| Failure::run(format!("--admin: cannot listen on {listen}: {error}"));
        let (watch, admin) = match (args.watch, args.admin) {
            // The page brings the metrics along.
            (true, _) => (Some(Watch::start(listen, &args.admin_host).map_err(failed)?), None),
            (false, Some(_)) => {
                let site: Arc<dyn Site> = Arc::clone(&metrics) as _;
                (None, Some(Admin::start(listen, &args.admin_host, site).map_err(failed)?))
            }
            (false, None) => (None, None),
        };
        Ok(Self { names, metrics, log, otlp, admin, watch })
    }

    /// Has the server trace its requests under a seed, and returns who observes it.
    pub(super) fn observe(&self, config: &mut ServerConfig, seed: u64) -> Arc<dyn Observer> {
        config.traces = Some(TraceConfig::new(seed));
        let log = self.log.as_ref().map(RequestLog::sender);
        let telemetry = Telemetry::new(Defects::default(), Arc::clone(&self.metrics), log);
        match &self.otlp {
            Some(otlp) => Arc::new(telemetry.with_otlp(otlp.sender())),
            None => Arc::new(telemetry),
        }
    }

    /// The server goes by this variant from now on.
    pub(super) fn reconfigure(&self, variant: &Variant) {
        self.metrics.reconfigure(&variant.world.gateway, &self.names, wall_clock());
    }

    /// The server goes on as before, though it was to go by another variant.
    pub(super) fn on_reload_failed(&self) {
        self.metrics.on_reload_failed();
    }

    /// Opens the log's file again, which may be another one by now; one that cannot be opened is told, and the log stays where
    /// it is.
    pub(super) fn reopen_log(&self, args: &GatewayArgs) {
        let Some(path) = args.log.clone().filter(|path| path != STDOUT) else { return };
        if let Some(log) = &self.log {
            log.reopen(move || {
                let file = append(&path);
                let told = match &file {
                    Ok(_) => format!("the log goes on in {path}"),
                    Err(error) => {
                        format!("--log: cannot write to {path}: {error}; the log stays where it is")
                    }
                };
                let _ = writeln!(anstream::stderr(), "{told}");
                file.ok().map(|file| Box::new(file) as Box<dyn Write + Send>)
            });
        }
    }

    /// Writes and sends what is left, and says what of the log is missing. A log that is blocked has so long.
    pub(super) fn end(mut self, patience: Duration) {
        let Some(log) = self.log.take() else { return };
        let LogEnd { missing, blocked } = log.finish(patience);
        if missing > 0 {
            let why = if blocked { ", which took nothing more" } else { "" };
            let _ = writeln!(anstream::stderr(), "{missing} lines are missing in the log{why}");
        }
    }

    /// The server runs; says where to look at it.
    pub(super) fn show(&self, title: &str, server: &Server) -> String {
        self.metrics.observe(server.monitor());
        let mut text = String::new();
        // Writing to a string does not fail.
        if let Some(address) = self.watch.as_ref().and_then(Watch::address) {
            let _ = writeln!(text, "watch it at http://{address}/");
        }
        if let Some(watch) = &self.watch {
            watch.show(title, Arc::clone(&self.metrics), server.monitor());
        }
        let address = self.watch.as_ref().and_then(Watch::address);
        if let Some(address) = address.or_else(|| self.admin.as_ref().map(Admin::address)) {
            let _ = writeln!(text, "metrics at http://{address}/metrics");
        }
        text
    }
}
