//! The live engine: the same machines on real sockets and in real time.
//!
//! Gateway and upstreams are the servers of their crates, the clients are goose's users. Nothing is decided here: what
//! happens comes from the servers' observers and the clients, in scenario time, and goes into one record.

mod attempt;
mod client_log;
mod connection;
mod external;
mod http_clients;
mod journal;
mod machine;
mod observers;
mod own_gateway;
mod schedule;
mod speed;
mod stop;
mod tokens;
mod users;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gateway::Timestamp;
use gateway::server::{ScenarioClock, Server};
use gateway::telemetry::{RequestLog, with_lines};
use http::Uri;
use reports::{HarnessRecord, Recorder, Recording};
use simulator::server::{KeyDocument, ServiceConfig, Upstreams, UpstreamsConfig};
use simulator::{FaultTimeline, Load, Population, PopulationStreams};
use slab::Slab;
use thiserror::Error;
use tokio::runtime::Runtime;
use url::Url;

use self::client_log::ClientLog;
pub use self::external::{ExternalError, kill_external_gateway};
use self::journal::{Entry, Journal, Scribe};
use self::observers::{Exhaustion, GatewayObserver, UpstreamObserver};
pub(super) use self::own_gateway::Part;
use self::own_gateway::RunTelemetry;
use self::schedule::Schedule;
pub use self::speed::{HighestSpeed, highest_speed};
pub use self::stop::Stop;
use self::tokens::Mint;
pub use self::tokens::MintError;
pub(crate) use self::tokens::key_document;
use self::users::{Surroundings, UserPool, UsersError};
use super::bearers::Bearers;
use super::directory::{Directory, addresses};
use super::layout::{layout, recorded_limits};
use super::run_events::stations;
use super::virtual_time::{DRAIN, Rehearsal, rehearse};
use crate::watch::{RequestCounts, RunOutline, Watch};
use crate::{LogBook, Timeline, Variant};

/// How a live run is driven.
#[derive(Clone, Debug)]
pub struct Drive {
    /// How many times as fast as real time the scenario's clock runs, above zero.
    pub speed: f64,
    /// Ends the run early.
    pub stop: Stop,
    /// Every request is logged here.
    pub log: Option<Arc<LogBook>>,
    /// Whoever watches sees it here.
    pub watch: Option<Arc<Watch>>,
    /// The folder of the scenario file, in which an external gateway is started; empty for the current one.
    pub folder: PathBuf,
}

/// Why a live run failed.
#[derive(Debug, Error)]
pub enum LiveError {
    /// The gateway did not start.
    #[error("cannot start the gateway")]
    Gateway(#[from] gateway::server::StartError),
    /// The gateway is external and cannot be used.
    #[error(transparent)]
    External(#[from] ExternalError),
    /// The upstreams did not start.
    #[error("cannot start the upstreams")]
    Upstreams(#[from] simulator::server::StartError),
    /// The clients could not do their work.
    #[error("the clients failed: {0}")]
    Clients(String),
    /// The tokens that clients bear cannot be made.
    #[error("cannot make the clients' tokens")]
    Tokens(#[from] MintError),
    /// The system has no threads left.
    #[error("cannot start a thread")]
    Thread(#[from] io::Error),
    /// More requests would be under way than the process may have descriptors for.
    #[error(
        "about {needed} descriptors are needed ({requests} requests under way at once, and the connections that rest \
         meanwhile), and the limit is {limit}; raise it with `ulimit -n`, or run the scenario with less load"
    )]
    Descriptors {
        /// As many as the requests take.
        needed: u64,
        /// The most requests under way at once, as the virtual engine has it.
        requests: u64,
        /// As many as there may be.
        limit: u64,
    },
}

impl From<UsersError> for LiveError {
    fn from(error: UsersError) -> Self {
        let mut text = error.to_string();
        if let Some(source) = std::error::Error::source(&error) {
            text = format!("{text}: {source}");
        }
        Self::Clients(text)
    }
}

/// Client and gateway and upstream each have an end of a request's two connections.
const DESCRIPTORS_PER_REQUEST: u64 = 2 * DESCRIPTORS_PER_CONNECTION;

/// Both ends are of this process.
const DESCRIPTORS_PER_CONNECTION: u64 = 2;

/// What a process has open besides.
const DESCRIPTORS_BESIDES: u64 = 200;

/// The servers have this long to start before the scenario does.
pub(crate) const LEAD: Duration = Duration::from_millis(300);

/// More for each of goose's users.
const LEAD_PER_USER: Duration = Duration::from_micros(100);

/// Runs a variant under a seed over real sockets, from the first arrival until the last request has ended, [`DRAIN`] is
/// over or the run is stopped. One at a time in a process: goose's users share what is global to it.
pub(crate) fn run(
    timeline: &Timeline,
    variant: &Variant,
    seed: u64,
    drive: &Drive,
    part: Part,
) -> Result<Recording, LiveError> {
    run_and_see(timeline, variant, seed, drive, part, |_| {})
}

/// As [`run`], and shows the clients' runtime when they are done, before it goes.
fn run_and_see(
    timeline: &Timeline,
    variant: &Variant,
    seed: u64,
    drive: &Drive,
    part: Part,
    done: impl FnOnce(&Runtime),
) -> Result<Recording, LiveError> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);

    let limit = machine::descriptor_limit();
    let users = users_within(limit, timeline, variant, seed)?;
    let external = start_external(timeline, variant, seed, drive)?;
    let mint = Mint::new(&variant.world, timeline.starts)?.map(Arc::new);
    if let Some(mint) = &mint {
        mint.sign_ahead();
    }
    let populations = populations(variant, seed);
    let clock = clock(timeline, drive, users, &populations);

    let (sender, entries) = mpsc::channel();
    let log = client_log(variant, seed, drive, part)?;
    let logs_attempts = log.is_some();
    let keeper = keep_record(scribe(timeline, variant, log, drive), entries, drive.speed)?;
    let exhaustion = Exhaustion::default();
    let ground = Ground { variant, clock, populations, journal: Journal::new(sender), exhaustion };
    let upstreams = start_upstreams(variant, seed, clock, mint.as_ref(), ground.upstream_observer())?;
    let gateway = if variant.world.external.is_some() {
        None
    } else {
        let telemetry = RunTelemetry::new(timeline, variant, seed, drive, part)?;
        let observer = ground.gateway_observer();
        Some(telemetry.start(variant, seed, clock, upstreams.addresses(), observer)?)
    };
    let urls = urls(variant, gateway.as_ref().map(|(server, _)| server));
    let own_addresses = have_own_addresses(&urls);
    let uris = urls.iter().map(|urls| urls.iter().map(uri).collect()).collect();
    let servers = Servers { gateway, external, upstreams };

    let over = Arc::new(AtomicBool::new(false));
    let watcher = watch_machine(Arc::clone(&over))?;
    let harness = HarnessRecord::new(drive.speed, users as u32, limit);
    // The journal goes to the clients: the record is whole when nobody can write any more.
    let Ground { populations, journal, exhaustion, .. } = ground;
    let schedule = Arc::new(schedule(timeline, clock, &populations));
    let make = |stop| {
        let (duration, schedule) = (timeline.duration, Arc::clone(&schedule));
        let expect_status = variant.world.expect_status.clone();
        let surroundings = Surroundings {
            clock,
            duration,
            schedule,
            journal,
            logs_attempts,
            stop,
            own_addresses,
            mint,
            expect_status,
        };
        UserPool::new(surroundings, &populations, uris, harness)
    };
    let sent = send(timeline, clock, users, &schedule, &drive.stop, make, done);
    // Load and queues count until the end, when everybody was answered before, too.
    if sent.is_ok() && !drive.stop.is_asked() {
        thread::sleep(clock.real((timeline.starts + timeline.duration).saturating_since(clock.now())));
    }
    over.store(true, Ordering::Relaxed);
    let alive = servers.end(drive);
    let seen = watcher.join().unwrap_or_default();
    let recorder = keeper.join().map_err(|_| io::Error::other("the record was lost"));
    // All requests are counted now.
    drive.watch.iter().for_each(|watch| watch.end());
    let recorder = recorder?;

    alive?;
    let mut harness = sent?;
    harness.peak_descriptors = seen.peak_descriptors;
    (harness.busy_cores, harness.own_cores) = (seen.busy_cores, seen.own_cores);
    harness.busiest_server = seen.busiest_server;
    harness.exhausted += exhaustion.count();
    harness.interrupted = drive.stop.is_asked();
    let mut recording = recorder.finish();
    recording.add_harness(harness);
    Ok(recording)
}

/// What observers of a run look at, and where they write.
struct Ground<'a> {
    variant: &'a Variant,
    clock: ScenarioClock,
    populations: Vec<(Population, PopulationStreams)>,
    journal: Journal,
    exhaustion: Exhaustion,
}

impl Ground<'_> {
    fn upstream_observer(&self) -> UpstreamObserver {
        let world = &self.variant.world;
        UpstreamObserver {
            journal: self.journal.clone(),
            starts: self.clock.starts(),
            populations: self.populations.clone(),
            stations: stations(world),
            serves_keys: world.upstreams_for_keys(),
            bearers: Mutex::new(Bearers::new(world, self.clock.starts())),
            exhaustion: self.exhaustion.clone(),
        }
    }

    fn gateway_observer(&self) -> GatewayObserver {
        let world = &self.variant.world;
        GatewayObserver {
            journal: self.journal.clone(),
            starts: self.clock.starts(),
            directory: Directory::new(&world.populations, &world.gateway),
            judges_tokens: world.judges_tokens(),
            populations: self.populations.clone(),
            limits: recorded_limits(&world.gateway.limits),
            present: Mutex::new(Slab::new()),
            exhaustion: self.exhaustion.clone(),
        }
    }
}

/// The servers of a run.
struct Servers {
    /// Ours, with its log.
    gateway: Option<(Server, Option<RequestLog>)>,
    /// The one in the place of ours.
    external: Option<external::Running>,
    upstreams: Upstreams,
}

impl Servers {
    /// Ends them all, the upstreams last. An error if an external gateway had ended by itself before.
    fn end(mut self, drive: &Drive) -> Result<(), ExternalError> {
        let alive = self.external.as_mut().map_or(Ok(()), external::Running::check);
        if let Some((server, log)) = self.gateway {
            server.shutdown(Duration::from_secs(1));
            // What is left is written now.
            drop(log);
        }
        if let Some(watch) = &drive.watch {
            watch.end();
        }
        drop(self.external);
        self.upstreams.shutdown(Duration::ZERO);
        alive
    }
}

/// The clock of a run, which starts when the servers and so many users have had their time to start.
fn clock(
    timeline: &Timeline,
    drive: &Drive,
    users: usize,
    populations: &[(Population, PopulationStreams)],
) -> ScenarioClock {
    let lead = LEAD + LEAD_PER_USER * (users as u32).saturating_add(thinking_users(timeline, populations));
    let start = ScenarioClock::starting_now(Timestamp::EPOCH, 1.0).moment(Timestamp::EPOCH + lead);
    ScenarioClock::new(timeline.starts, start, drive.speed)
}

/// Has a thread of its own write the record, until everybody who tells it something is gone.
fn keep_record(scribe: Scribe, entries: Receiver<Entry>, speed: f64) -> io::Result<JoinHandle<Recorder>> {
    thread::Builder::new().name("record".to_owned()).spawn(move || match scribe.lines().cloned() {
        Some(lines) => with_lines(&lines, || journal::keep(&entries, scribe, speed)),
        None => journal::keep(&entries, scribe, speed),
    })
}

/// Has a thread of its own see how busy the machine is, until the run is over.
fn watch_machine(over: Arc<AtomicBool>) -> io::Result<JoinHandle<machine::Seen>> {
    thread::Builder::new().name("machine".to_owned()).spawn(move || machine::watch(&over))
}

fn populations(variant: &Variant, seed: u64) -> Vec<(Population, PopulationStreams)> {
    let populations = variant.world.populations.iter();
    populations
        .map(|population| (population.clone(), PopulationStreams::new(seed, &population.name)))
        .collect()
}

/// The log of the clients' side, where one is asked for: what our own gateway does, it logs itself.
fn client_log(variant: &Variant, seed: u64, drive: &Drive, part: Part) -> io::Result<Option<ClientLog>> {
    let (Some(log), Some(_)) = (&drive.log, &variant.world.external) else { return Ok(None) };
    let own_addresses = have_own_addresses(&urls(variant, None));
    ClientLog::new(log, variant, seed, part == Part::Control, own_addresses).map(Some)
}

/// By how much windows are counted shorter and longer, each half of the one before. A valid run may have 1% of its requests later
/// than [`reports::LATENESS_OF_SLO`] says, and the latest of them some times as late.
fn lateness_margins(timeline: &Timeline) -> Vec<Duration> {
    let most = timeline.slo_latency.mul_f64(8.0 * reports::LATENESS_OF_SLO);
    (0..9).map(|halvings| most / (1 << halvings)).filter(|margin| !margin.is_zero()).collect()
}

/// Who writes the record of a run.
fn scribe(timeline: &Timeline, variant: &Variant, log: Option<ClientLog>, drive: &Drive) -> Scribe {
    let limits = recorded_limits(&variant.world.gateway.limits);
    let layout = reports::Layout {
        keeps_pairs: true,
        lateness_margins: lateness_margins(timeline),
        ..layout(timeline, variant)
    };
    let upstream_of = variant.world.gateway.routes.iter().map(|route| route.upstream.0 as usize).collect();
    let provider = variant.world.gateway.auth.as_ref().map(|auth| auth.jwks.0 as usize);
    let scribe = Scribe::new(Recorder::counting(layout), timeline.starts, limits, upstream_of, provider, log);
    scribe.watched(watched(timeline, variant, drive))
}

/// Tells whoever watches what the run is held against, and returns what counts its requests for them.
fn watched(timeline: &Timeline, variant: &Variant, drive: &Drive) -> Option<journal::Watched> {
    let counts = Arc::<RequestCounts>::default();
    let faults = variant.world.faults.iter().map(|fault| [fault.fault.from(), fault.fault.to()]);
    drive.watch.as_ref()?.expect(RunOutline {
        starts: timeline.starts,
        duration: timeline.duration,
        slo_latency: timeline.slo_latency,
        faults: faults.collect(),
        counts: Arc::clone(&counts),
    });
    let is_hostile = variant.world.populations.iter().map(|population| population.hostile).collect();
    Some(journal::Watched { counts, is_hostile, slo_latency: timeline.slo_latency })
}

/// How many users of closed-loop populations there ever are, each of them one of goose's.
fn thinking_users(timeline: &Timeline, populations: &[(Population, PopulationStreams)]) -> u32 {
    let users = populations.iter().filter_map(|(population, streams)| {
        let Load::Closed(load) = &population.load else { return None };
        Some(load.users(timeline.starts, timeline.duration, streams.arrival).count())
    });
    users.fold(0, u32::saturating_add)
}

/// As many of goose's users as a run takes and so many descriptors allow.
fn users_within(limit: u64, timeline: &Timeline, variant: &Variant, seed: u64) -> Result<usize, LiveError> {
    let rehearsal = rehearse(timeline, variant, seed, |_| true);
    let requests = rehearsal.requests;
    let resting = resting_connections(variant, &rehearsal) * DESCRIPTORS_PER_CONNECTION + DESCRIPTORS_BESIDES;
    let needed = requests * DESCRIPTORS_PER_REQUEST + resting;
    if needed > limit {
        return Err(LiveError::Descriptors { needed, requests, limit });
    }
    // Half as many again as the virtual engine has under way at once, and some for the machine's own delays.
    let most = (limit - resting) / DESCRIPTORS_PER_REQUEST;
    Ok((requests * 3 / 2 + 100).min(most) as usize)
}

/// Connections that may be open while nobody uses them: each client keeps one, and those to an upstream that was busy are
/// kept while others are.
fn resting_connections(variant: &Variant, rehearsal: &Rehearsal) -> u64 {
    u64::from(http_clients::resting(addresses(&variant.world.populations)))
        + rehearsal.jobs.saturating_sub(rehearsal.requests)
}

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The gateway that takes the place of ours, ready to be asked.
fn start_external(
    timeline: &Timeline,
    variant: &Variant,
    seed: u64,
    drive: &Drive,
) -> Result<Option<external::Running>, LiveError> {
    let Some(external) = &variant.world.external else { return Ok(None) };
    // What it is asked for may lead to an upstream, and the run's own stand only from its start on.
    let well = variant.without_faults();
    let clock = ScenarioClock::starting_now(timeline.starts, 1.0);
    let (unheard, _) = mpsc::channel();
    let upstreams = match external.ready {
        Some(_) => {
            let (journal, exhaustion) = (Journal::new(unheard), Exhaustion::default());
            let bearers = Mutex::new(Bearers::new(&well.world, clock.starts()));
            let (starts, populations) = (clock.starts(), Vec::new());
            let serves_keys = well.world.upstreams_for_keys();
            let stations = stations(&well.world);
            let observer =
                UpstreamObserver { journal, starts, populations, stations, serves_keys, bearers, exhaustion };
            Some(start_upstreams(&well, seed, clock, None, observer)?)
        }
        None => None,
    };
    let running = external::Running::start(external, &drive.folder, &drive.stop)?;
    if let Some(upstreams) = upstreams {
        upstreams.shutdown(Duration::ZERO);
    }
    Ok(Some(running))
}

fn start_upstreams(
    variant: &Variant,
    seed: u64,
    clock: ScenarioClock,
    mint: Option<&Arc<Mint>>,
    observer: UpstreamObserver,
) -> Result<Upstreams, LiveError> {
    let services = variant.world.hosts().map(|(upstream, host)| {
        let named = &variant.world.upstreams[upstream];
        let faults = variant.world.faults.iter().filter(|fault| fault.strikes(upstream, host));
        ServiceConfig {
            name: named.name.clone(),
            config: named.config_of(host),
            faults: FaultTimeline::new(seed, faults.map(|fault| &fault.fault)),
            listen: named.hosts[host].listen.unwrap_or(LOOPBACK),
            keys: match mint {
                Some(mint) if named.serves_keys => Some(Arc::clone(mint) as Arc<dyn KeyDocument>),
                _ => None,
            },
        }
    });
    let hosts = variant.world.upstreams.iter().map(|named| named.hosts.len()).collect();
    let populations = variant.world.populations.iter();
    let contents = populations.map(|population| PopulationStreams::new(seed, &population.name).content);
    let contents = contents.collect();
    let config = UpstreamsConfig { hosts, contents, ..UpstreamsConfig::new(services.collect(), seed) };
    Ok(Upstreams::start(config, clock, Arc::new(observer))?)
}

/// When the open-loop populations send.
fn schedule(
    timeline: &Timeline,
    clock: ScenarioClock,
    populations: &[(Population, PopulationStreams)],
) -> Schedule {
    let arrivals = populations.iter().enumerate().filter_map(|(number, (population, streams))| {
        let Load::Open(load) = &population.load else { return None };
        let arrivals = load.arrivals(timeline.starts, timeline.duration, streams.arrival);
        Some((number, population.requests_per_arrival(), arrivals))
    });
    Schedule::new(clock, arrivals)
}

/// Has the clients that `make` makes send everything, and waits for the last answer.
fn send(
    timeline: &Timeline,
    clock: ScenarioClock,
    users: usize,
    schedule: &Arc<Schedule>,
    asked: &Stop,
    make: impl FnOnce(Stop) -> UserPool,
    done: impl FnOnce(&Runtime),
) -> Result<HarnessRecord, LiveError> {
    let ends = timeline.starts + timeline.duration;
    let stop = Stop::default();
    let clients = Arc::new(make(stop.clone()));
    let users = if schedule.is_empty() { 0 } else { users };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(thread::available_parallelism().map_or(2, usize::from))
        .thread_name("clients")
        .enable_all()
        .build()?;
    let (pacers, schedule) = (stop.clone(), Arc::clone(schedule));
    let pacer = thread::Builder::new().name("pacer".to_owned()).spawn(move || schedule.pace(&pacers))?;
    let (asking, given_up) = (asked.clone(), stop.clone());
    let sent = runtime.block_on(async {
        // Whoever asks for the end, and the end of the drain, come to the same: what is under way is given up.
        let last = tokio::time::Instant::from_std(clock.moment(ends + DRAIN));
        let warden = tokio::spawn(async move {
            tokio::select! {
                () = asking.asked() => {}
                () = tokio::time::sleep_until(last) => {}
            }
            given_up.ask();
        });
        let sent = Box::pin(clients.work(users)).await;
        warden.abort();
        sent
    });
    // Whoever was told to stop has stopped.
    let ran = asked.is_asked().then(|| clock.now().saturating_since(timeline.starts));
    stop.ask();
    drop(clients);
    done(&runtime);
    runtime.shutdown_timeout(Duration::from_secs(1));
    let _ = pacer.join();
    let mut harness = sent?;
    harness.ran = ran.filter(|ran| *ran < timeline.duration);
    Ok(harness)
}

/// What is asked for, by population and target.
fn urls(variant: &Variant, server: Option<&Server>) -> Vec<Vec<Url>> {
    let gateway = match (server, &variant.world.external) {
        (Some(server), _) => {
            Url::parse(&format!("http://{}/", server.address())).expect("an address makes a URL")
        }
        (None, Some(external)) => external.url.clone(),
        (None, None) => return Vec::new(),
    };
    let of = |population: &Population| {
        population.targets.iter().map(|target| with_path(gateway.clone(), target.path)).collect()
    };
    variant.world.populations.iter().map(of).collect()
}

/// The URL of what a client asks for, path and query as they are written but for characters that no URL has.
fn with_path(mut url: Url, sent: &str) -> Url {
    let (path, query) = sent.split_once('?').map_or((sent, None), |(path, query)| (path, Some(query)));
    url.set_path(path);
    url.set_query(query);
    url
}

/// A URL as hyper has it. What is a path to `url` is one to `http`, and the host was tried when the file was read.
fn uri(url: &Url) -> Uri {
    url.as_str().parse().expect("a URL with a host that HTTP can ask")
}

/// Whether each identity sends from its own address: elsewhere than on IPv4 loopback nobody has one.
fn have_own_addresses(urls: &[Vec<Url>]) -> bool {
    urls.iter().flatten().all(|url| matches!(url.host_str(), Some("localhost")) || is_loopback_v4(url))
}

fn is_loopback_v4(url: &Url) -> bool {
    url.host_str().and_then(|host| host.parse::<Ipv4Addr>().ok()).is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scenario;

    fn scenario(text: &str) -> Scenario {
        let reading = crate::file::read(text, &|name| Err(format!("no file {name} here")));
        let problems = crate::file::render(&reading.problems, "scenario.toml", text, false);
        reading.scenario.unwrap_or_else(|| panic!("{problems}"))
    }

    /// A service that hangs, and clients that give up.
    const HANGING: &str = r#"
        name = "Hanging"
        starts = 2026-06-02T09:00:00Z
        duration = "2s"
        slo.latency = "1s"
        faults = [{ at = "500ms", for = "1s", upstreams = ["api"], hang = {} }]
        upstreams.api.latency = { constant = "5ms" }
        routes."/".upstream = "api"
        [clients]
        one = { send = "/", rate = "40/s", identities = 20, timeout = "300ms", retry = { retries = 1, on = ["timeout"] } }
        two = { send = "/", users = 5, think = { constant = "50ms" }, timeout = "300ms" }
        [gateway]
        timeout = "200ms"
    "#;

    #[test]
    fn no_task_of_the_clients_is_left() {
        let scenario = scenario(HANGING);
        let drive =
            Drive { speed: 1.0, stop: Stop::default(), log: None, watch: None, folder: PathBuf::new() };
        let mut seen = false;
        let done = |runtime: &Runtime| {
            // What was told to stop does so when it is next looked at.
            for _ in 0..2_000 {
                if runtime.metrics().num_alive_tasks() == 0 {
                    seen = true;
                    return;
                }
                thread::sleep(Duration::from_millis(5));
            }
            panic!("{} tasks are left", runtime.metrics().num_alive_tasks());
        };
        let (timeline, variant) = (&scenario.timeline, &scenario.variants[0]);
        run_and_see(timeline, variant, scenario.seed, &drive, Part::Alone, done).unwrap();
        assert!(seen);
    }

    #[test]
    fn what_a_service_lacked_is_the_harnesss_trouble() {
        use simulator::server::Observer as _;
        let scenario = scenario(HANGING);
        let (sender, entries) = mpsc::channel();
        let exhaustion = Exhaustion::default();
        let observer = UpstreamObserver {
            journal: Journal::new(sender),
            starts: scenario.timeline.starts,
            populations: Vec::new(),
            stations: Vec::new(),
            serves_keys: Vec::new(),
            bearers: Mutex::new(Bearers::new(&scenario.variants[0].world, scenario.timeline.starts)),
            exhaustion: exhaustion.clone(),
        };
        observer.on_exhausted(scenario.timeline.starts, 0);
        assert_eq!(exhaustion.count(), 1);
        // Nothing of it is told of a request or a service.
        drop(observer);
        assert_eq!(entries.iter().count(), 0);
    }
}
