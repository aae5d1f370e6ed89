//! The log of a run whose gateway is not ours: a line for each attempt, with what its client knows of it.

use std::sync::Arc;
use std::time::Duration;

use gateway::Timestamp;
use gateway::telemetry::{BucketRecords, JsonLines, RequestName, RequestRecord, RunName};
use reports::Outcome;
use simulator::{Identity, Population, PopulationStreams};

use super::journal::RequestId;
use crate::engine::directory::Directory;
use crate::{LogBook, Variant};

/// An attempt of a client that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tried {
    pub(super) request: RequestId,
    /// The first is 0.
    pub(super) attempt: u32,
    pub(super) identity: Identity,
    pub(super) route: u32,
    /// Of the answer, if there was one.
    pub(super) status: Option<u16>,
    pub(super) outcome: Outcome,
    /// From when it was sent until it ended.
    pub(super) took: Duration,
}

/// Makes lines of attempts.
pub(super) struct ClientLog {
    lines: JsonLines,
    run: RunName,
    populations: Vec<(Population, PopulationStreams)>,
    directory: Directory,
    /// By route, its path and its upstream.
    routes: Vec<(String, String)>,
    /// Whether each identity sends from its own address.
    own_addresses: bool,
}

impl ClientLog {
    /// That of a run, on a page of its own.
    pub(super) fn new(
        log: &Arc<LogBook>,
        variant: &Variant,
        seed: u64,
        control: bool,
        own_addresses: bool,
    ) -> std::io::Result<Self> {
        let world = &variant.world;
        let (lines, run) = log.page(true, &variant.name, seed, control)?;
        let populations = world.populations.iter();
        let routes = world.gateway.routes.iter().map(|route| {
            let upstream = world.upstreams.get(route.upstream.0 as usize);
            (route.path.clone(), upstream.map_or_else(String::new, |upstream| upstream.name.clone()))
        });
        Ok(Self {
            lines,
            run,
            populations: populations
                .map(|population| (population.clone(), PopulationStreams::new(seed, &population.name)))
                .collect(),
            directory: Directory::new(&world.populations, &world.gateway),
            routes: routes.collect(),
            own_addresses,
        })
    }

    /// Where its lines go.
    pub(super) const fn lines(&self) -> &JsonLines {
        &self.lines
    }

    /// Writes down an attempt that ended at `at`, to the lines of this thread.
    pub(super) fn write(&self, at: Timestamp, tried: &Tried) {
        let Tried { request, attempt, identity, route, status, outcome, took } = *tried;
        let RequestId { population, index } = request;
        let (_, streams) = &self.populations[population as usize];
        let caller = self.directory.caller(population as usize, identity);
        let name = RequestName::Given(streams.tag(population, index, attempt).to_string().into());
        let (path, upstream) = &self.routes[route as usize];
        let record = RequestRecord {
            timestamp: at,
            run: Some(&self.run),
            request_id: Some(&name),
            client: caller.client,
            peer: self.own_addresses.then(|| caller.ip().into()),
            route: Some(path),
            upstream: Some(upstream),
            status,
            outcome: outcome.name(),
            total_latency_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            // What only the gateway could say.
            trace_id: None,
            span_id: None,
            parent_span_id: None,
            reason: None,
            attempts: None,
            upstream_latency_us: None,
            breaker: None,
            rate_limits: BucketRecords::default(),
            auth: None,
        };
        record.emit();
    }
}
