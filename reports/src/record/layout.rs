//! What a run consists of, so that its events can be told by number.

use std::ops::RangeInclusive;
use std::time::Duration;

/// What a run consists of, so that its events can be told by number.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// For how long requests arrive.
    pub duration: Duration,
    /// After which nothing happens any more, from the scenario's start; `None` where that is not known.
    pub last: Option<Duration>,
    /// Served within this is good.
    pub slo_latency: Duration,
    /// The populations.
    pub populations: Vec<PopulationLayout>,
    /// The routes.
    pub routes: Vec<RouteLayout>,
    /// The gateway's workers and queue.
    pub gateway: StationLayout,
    /// The upstreams' workers and queues.
    pub upstreams: Vec<StationLayout>,
    /// The gateway's rate limits that are on, in the order a request meets them.
    pub limits: Vec<LimitLayout>,
    /// What goes wrong, in the order of the file.
    pub faults: Vec<FaultLayout>,
    /// Where the gateway is, if it is not ours: then nothing but its answers is observed of it.
    pub external: Option<String>,
    /// The intended times over which harm is counted, where anything fails under any variant.
    pub harm_span: Option<RangeInclusive<Duration>>,
    /// By how much windows are counted shorter and longer too, of a live run: its requests may be so late. Empty where nobody
    /// is late.
    pub lateness_margins: Vec<Duration>,
    /// Whether to keep a bit for each request, so that a run can be compared with its control pair by pair.
    pub keeps_pairs: bool,
}

/// A population of clients.
#[derive(Clone, Debug, Default)]
pub struct PopulationLayout {
    /// Its name.
    pub name: String,
    /// Whether it is kept out of goodput and of what holds for everybody.
    pub hostile: bool,
}

/// A route of the gateway.
#[derive(Clone, Debug, Default)]
pub struct RouteLayout {
    /// Its path.
    pub path: String,
    /// Its upstream, by number.
    pub upstream: usize,
    /// All upstreams that a request on it may come to, directly or through calls, by number.
    pub reaches: Vec<usize>,
}

/// A place with workers and a queue.
#[derive(Clone, Debug, Default)]
pub struct StationLayout {
    /// Its name.
    pub name: String,
    /// Workers; `None` for unbounded.
    pub workers: Option<u32>,
    /// Places to wait; `None` for unbounded.
    pub queue: Option<u32>,
    /// Whether only requests with a valid identity are meant to come here; of an upstream.
    pub asks_for_identity: bool,
    /// Whether a cache stands before it; of an upstream.
    pub has_cache: bool,
    /// The workers of each host of an upstream that has several, `None` for unbounded; empty of any other station.
    pub hosts: Vec<Option<u32>>,
}

/// Something that goes wrong for a while.
#[derive(Clone, Debug, Default)]
pub struct FaultLayout {
    /// The word for it: `hang`, `slow`.
    pub kind: String,
    /// Whom it strikes, by number.
    pub upstreams: Vec<usize>,
    /// Which of their hosts, by number; `None` for all.
    pub hosts: Option<Vec<u32>>,
    /// When it begins.
    pub from: Duration,
    /// When it is over.
    pub to: Duration,
    /// The share of the attempts that it strikes, 0 to 1.
    pub fraction: f64,
}

/// A rate limit of the gateway.
#[derive(Clone, Debug, Default)]
pub struct LimitLayout {
    /// What it is called: `per_ip`, `per_key`, `per_route` or `global`, and one of several of its scope `per_key.NAME` or
    /// `per_key[0]`.
    pub scope: String,
    /// The algorithm's name; `list` for all limits of a scope as one.
    pub algorithm: String,
    /// Requests per window.
    pub limit: u32,
    /// The window.
    pub window: Duration,
    /// The capacity, of an algorithm that has one.
    pub burst: Option<u32>,
    /// What a bucket admits at one instant after a rest.
    pub allowance: u32,
    /// For how many buckets room is set aside from the start; there may be more.
    pub buckets: u32,
    /// Whether the numbers of buckets are far apart, so that few of those up to the highest are used. Numbers of other limits
    /// are below 2³².
    pub is_sparse: bool,
    /// The lengths over which the most admissions of one bucket are counted, shortest first, each once.
    pub peak_windows: Vec<Duration>,
    /// The status of its rejections.
    pub status: u16,
    /// Whether it may let requests wait for their turn.
    pub lets_wait: bool,
    /// The limits that it stands for, if it is all limits of a scope as one; how full its buckets are is told of those alone.
    pub joins: Vec<String>,
}

/// A circuit breaker: whose, and in front of which upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BreakerId {
    /// A service, by number; `None` for the gateway.
    pub service: Option<usize>,
    /// The upstream, by number.
    pub upstream: usize,
}

/// Whose requests are meant. Only [`Selector::Population`] reaches those of hostile populations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selector {
    /// All non-hostile populations.
    #[default]
    Everybody,
    /// A population, by number.
    Population(usize),
    /// The requests on a route, by number.
    Route(usize),
    /// The requests on the routes of an upstream, by number.
    Upstream(usize),
}

/// A place with workers and a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StationId {
    /// The gateway.
    Gateway,
    /// An upstream, by number.
    Upstream(usize),
    /// A host of an upstream that has several: what happens there counts for the upstream too.
    Host(HostPlace),
}

/// A host of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPlace {
    /// The upstream, by number.
    pub upstream: u32,
    /// Its host, by number.
    pub host: u32,
}

impl StationId {
    /// The gateway first, then the upstreams; of a host, its upstream.
    #[inline]
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Gateway => 0,
            Self::Upstream(upstream) => upstream + 1,
            Self::Host(place) => place.upstream as usize + 1,
        }
    }

    /// The upstream, by number; `None` for the gateway.
    #[inline]
    pub const fn upstream(self) -> Option<usize> {
        match self {
            Self::Gateway => None,
            Self::Upstream(upstream) => Some(upstream),
            Self::Host(place) => Some(place.upstream as usize),
        }
    }
}
