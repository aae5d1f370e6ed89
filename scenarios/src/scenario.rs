//! A scenario as engines take it: the timeline that all variants share, and the variants.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use gateway::auth::AuthConfig;
use gateway::{GatewayConfig, PoolConfig, Timestamp};
use reports::{Comparison, Expectation, Measure, Setting};
use simulator::{CacheConfig, Fault, KeySchedule, Population, UpstreamConfig};
use url::Url;

/// A line of `expect.hold`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectationLine {
    /// As it is written.
    pub text: String,
    /// In which line of the file, from 1; `None` of one that stands in no file.
    pub line: Option<usize>,
}

/// A scenario that has been read and found runnable.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its title.
    pub name: String,
    /// Its story; may be empty.
    pub story: String,
    /// When, how long, and what counts as good.
    pub timeline: Timeline,
    /// The seed unless another is asked for.
    pub seed: u64,
    /// The names of the measures that the verdict ranks variants by, most important first; empty for the usual ones.
    pub objective: Vec<String>,
    /// The configurations to compare, in the order of the file; at least one.
    pub variants: Vec<Variant>,
    /// The lines of `expect.hold`.
    pub expectations: Vec<ExpectationLine>,
    /// The whole file.
    pub source: Arc<str>,
}

/// What all variants of a scenario share.
#[derive(Clone, Copy, Debug)]
pub struct Timeline {
    /// The start of scenario time.
    pub starts: Timestamp,
    /// For how long requests arrive.
    pub duration: Duration,
    /// Served within this is good.
    pub slo_latency: Duration,
    /// When anything fails under any variant; harm is measured over the same time in all of them.
    pub incident: Option<Incident>,
}

/// From the first fault of all variants to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incident {
    /// When the first begins, from the scenario's start.
    pub from: Duration,
    /// When the last ends.
    pub to: Duration,
}

impl Incident {
    /// Of all faults in these worlds; `None` where nothing fails.
    pub fn over<'w>(worlds: impl IntoIterator<Item = &'w World>) -> Option<Self> {
        let faults = worlds.into_iter().flat_map(|world| &world.faults);
        let spans = faults.map(|fault| Self { from: fault.fault.from(), to: fault.fault.to() });
        spans.reduce(|all, fault| Self { from: all.from.min(fault.from), to: all.to.max(fault.to) })
    }
}

/// One configuration.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Its name; `base` where the file names none.
    pub name: String,
    /// What is run.
    pub world: World,
    /// What must hold of it.
    pub expected: Expected,
    /// What to say of it beside the others.
    pub settings: Vec<Setting>,
}

/// What must hold of a variant, each with the place of its line in [`Scenario::expectations`].
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Lines that hold one of its measures against a value.
    pub bounds: Vec<(usize, Expectation)>,
    /// Lines that hold one of its measures against another one.
    pub contrasts: Vec<(usize, Contrast)>,
    /// What stands on the other side of such lines, and is measured in this variant.
    pub standards: Vec<(usize, Measure)>,
    /// What a sweep makes as large or as small as it goes.
    pub goal: Option<Measure>,
}

impl Expected {
    /// Everything that is asked of the variant; a measure as often as it is.
    pub fn measures(&self) -> impl Iterator<Item = &Measure> {
        let bounds = self.bounds.iter().map(|(_, expectation)| &expectation.measure);
        let contrasts = self.contrasts.iter().map(|(_, contrast)| &contrast.measure);
        let standards = self.standards.iter().map(|(_, measure)| measure);
        bounds.chain(contrasts).chain(standards).chain(&self.goal)
    }
}

/// What must hold of a variant beside another, or of two of its own measures, under the same seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Contrast {
    /// What is measured.
    pub measure: Measure,
    /// How it compares with the one among [`Expected::standards`] that has the same line.
    pub comparison: Comparison,
    /// The name of the variant whose standard that is; it may be this one's own.
    pub other: String,
}

/// Clients, gateway and upstreams.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The gateway. Routes name upstreams by their place here.
    pub gateway: GatewayConfig,
    /// The gateway that takes the place of ours, of which then only the routes are left.
    pub external: Option<ExternalGateway>,
    /// The upstreams.
    pub upstreams: Vec<NamedUpstream>,
    /// The clients. Targets name routes by their place in the gateway.
    pub populations: Vec<Population>,
    /// By route: statuses beyond 2xx that it is expected to answer.
    pub expect_status: Vec<Vec<u16>>,
    /// By route: how many times a request counts in the verdict, above zero.
    pub weights: Vec<f64>,
    /// What goes wrong with the upstreams, in the order of the file.
    pub faults: Vec<UpstreamFault>,
}

/// A gateway that is not ours: it is asked over its socket, and nothing else is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalGateway {
    /// Where it is: `http`, host and port.
    pub url: Url,
    /// The program that starts it and its arguments, run in the folder of the scenario; empty where it runs already.
    pub command: Vec<String>,
    /// The path that it answers below 500 once it is ready; `None` where it is ready as soon as it takes connections.
    pub ready: Option<String>,
    /// How long it may take until it is, in real time.
    pub ready_within: Duration,
}

impl ExternalGateway {
    /// Where it is, as a message has it: without a slash at its end.
    pub fn place(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }
}

/// A fault and whom it strikes.
#[derive(Clone, Debug)]
pub struct UpstreamFault {
    /// The upstreams, by their place in [`World::upstreams`].
    pub upstreams: Vec<usize>,
    /// Which hosts of each; `None` for all.
    pub hosts: Option<Vec<u32>>,
    /// What goes wrong, and when.
    pub fault: Fault,
}

/// A simulated service and its name.
#[derive(Clone, Debug)]
pub struct NamedUpstream {
    /// Its name.
    pub name: String,
    /// What each of its hosts is made of, apart from what `hosts` says.
    pub config: UpstreamConfig,
    /// Its hosts; at least one.
    pub hosts: Vec<Host>,
    /// Whether it is the identity provider, whose answers are its keys. At most one is.
    pub serves_keys: bool,
    /// What a request must bear to come to the application behind it with right; `None` for anything. It is counted who
    /// does not, and nobody is turned away.
    pub requires: Option<AuthConfig>,
}

/// What a host of a simulated service has of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// Its workers and queue.
    pub pool: PoolConfig,
    /// How much longer a request takes for each other one that the host serves when it starts.
    pub load_latency: Duration,
    /// How many times as long its work takes.
    pub latency_factor: f64,
    /// Where it listens in a live run; `None` for any free port of loopback.
    pub listen: Option<SocketAddr>,
}

impl Default for Host {
    fn default() -> Self {
        let (pool, load_latency) = (PoolConfig::default(), Duration::ZERO);
        Self { pool, load_latency, latency_factor: 1.0, listen: None }
    }
}

impl NamedUpstream {
    /// What a host is made of; what all have in common for one that there is not.
    pub fn config_of(&self, host: usize) -> UpstreamConfig {
        let Some(Host { pool, load_latency, latency_factor, .. }) = self.hosts.get(host) else {
            return self.config.clone();
        };
        UpstreamConfig {
            pool: *pool,
            load_latency: *load_latency,
            latency_factor: *latency_factor,
            cache: self.config.cache.clone().map(|cache| CacheConfig { host: host as u32, ..cache }),
            ..self.config.clone()
        }
    }

    /// Its hosts and the number of each.
    pub fn host_count(&self) -> NonZeroU32 {
        u32::try_from(self.hosts.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
    }

    /// The workers and the queue of all hosts together; unbounded where one of them is.
    pub fn pool(&self) -> PoolConfig {
        let workers = self.hosts.iter().map(|host| host.pool.workers.map(NonZeroU32::get));
        let workers = workers.sum::<Option<u32>>().and_then(NonZeroU32::new);
        PoolConfig { workers, queue: self.hosts.iter().map(|host| host.pool.queue).sum(), ..self.config.pool }
    }
}

impl UpstreamFault {
    /// Whether it strikes a host of an upstream.
    pub fn strikes(&self, upstream: usize, host: usize) -> bool {
        self.upstreams.contains(&upstream)
            && self.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|struck| *struck as usize == host))
    }
}

impl Variant {
    /// The same with nothing that fails: its control.
    pub fn without_faults(&self) -> Self {
        Self { world: World { faults: Vec::new(), ..self.world.clone() }, ..self.clone() }
    }
}

impl World {
    /// By upstream: whether a request on that route may come to it, directly or through calls.
    pub fn upstreams_of_route(&self, route: &gateway::Route) -> Vec<bool> {
        self.upstreams_reached_from(vec![route.upstream.0 as usize])
    }

    /// By upstream: whether it is the identity provider, or is called by that.
    pub(crate) fn upstreams_for_keys(&self) -> Vec<bool> {
        let places = self.upstreams.iter().enumerate();
        self.upstreams_reached_from(
            places.filter_map(|(place, named)| named.serves_keys.then_some(place)).collect(),
        )
    }

    fn upstreams_reached_from(&self, mut next: Vec<usize>) -> Vec<bool> {
        let mut reached = vec![false; self.upstreams.len()];
        while let Some(upstream) = next.pop() {
            if let Some(seen) = reached.get_mut(upstream)
                && !std::mem::replace(seen, true)
            {
                next.extend(self.upstreams[upstream].config.calls.iter().map(|call| call.upstream));
            }
        }
        reached
    }

    /// Every host of every upstream, those of one upstream after those of the one before: the upstream, and the number of the host
    /// there.
    pub fn hosts(&self) -> impl Iterator<Item = (usize, usize)> {
        let upstreams = self.upstreams.iter().enumerate();
        upstreams.flat_map(|(upstream, named)| (0..named.hosts.len()).map(move |host| (upstream, host)))
    }

    /// Whether what becomes of a request at an upstream depends on what the request asks for.
    pub fn draws_content(&self) -> bool {
        let mut configs = self.upstreams.iter().map(|named| &named.config);
        configs.any(|config| config.cache.is_some() || config.calls.iter().any(|call| call.share < 1.0))
    }

    /// By route: whether the gateway asks for tokens on it.
    pub fn judges_tokens(&self) -> Vec<bool> {
        let judges = self.gateway.auth.is_some();
        self.gateway.routes.iter().map(|route| judges && route.auth).collect()
    }

    /// The keys of the identity provider over time.
    pub fn key_schedule(&self) -> KeySchedule {
        KeySchedule::new(self.faults.iter().map(|fault| &fault.fault))
    }

    /// By upstream: whether any route leads to it, directly or through calls, or anybody judges tokens by its keys.
    pub fn reached_upstreams(&self) -> Vec<bool> {
        let of_services = self.upstreams.iter().filter_map(|upstream| upstream.config.auth.as_ref());
        let mut reached = vec![false; self.upstreams.len()];
        for auth in self.gateway.auth.iter().chain(of_services) {
            if let Some(provider) = reached.get_mut(auth.jwks.0 as usize) {
                *provider = true;
            }
        }
        for route in self.gateway.routes.iter() {
            for (reached, by_route) in reached.iter_mut().zip(self.upstreams_of_route(route)) {
                *reached |= by_route;
            }
        }
        reached
    }
}
