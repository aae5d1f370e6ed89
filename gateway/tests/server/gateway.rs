//! A gateway under test, and what it tells.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use gateway::server::{Ended, Observer, ObserverTag, ScenarioClock, Seen, Server, ServerConfig};
use gateway::telemetry::Facts;
use gateway::{
    AttemptEnd, Checks, Decision, GatewayConfig, GatewayRetry, HostChange, Rejection, RequestEnd, Route,
    Routes, Timestamp, Transition, UpstreamId, Violation,
};

pub(crate) const START: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);

/// One route for everything, to upstream 0.
pub(crate) fn routes(upstreams: u32) -> Routes {
    let route = |number: u32| Route {
        path: if number == 0 { "/".to_owned() } else { format!("/{number}") },
        upstream: UpstreamId(number),
        timeout: None,
        try_timeout: None,
        retry: None::<GatewayRetry>,
        concurrency: None,
        auth: true,
    };
    Routes::new((0..upstreams).map(route).collect()).unwrap()
}

pub(crate) struct Gateway {
    pub(crate) server: Server,
    pub(crate) log: Arc<Log>,
}

impl Gateway {
    /// A plain proxy.
    pub(crate) fn proxy(upstream: SocketAddr) -> Self {
        Self::with(GatewayConfig::default(), &[upstream], |_| {})
    }

    pub(crate) fn with(
        gateway: GatewayConfig,
        upstreams: &[SocketAddr],
        adjust: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        Self::at_speed(1.0, gateway, upstreams, adjust)
    }

    pub(crate) fn at_speed(
        speed: f64,
        mut gateway: GatewayConfig,
        upstreams: &[SocketAddr],
        adjust: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        if gateway.routes.iter().len() == 0 {
            gateway.routes = routes(upstreams.len() as u32);
        }
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = ServerConfig::new(listen, gateway, upstreams.to_vec());
        adjust(&mut config);
        let log = Arc::new(Log::default());
        let clock = ScenarioClock::starting_now(START, speed);
        let server = Server::start(config, clock, Arc::clone(&log) as Arc<dyn Observer>).unwrap();
        Self { server, log }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

#[derive(Default)]
pub(crate) struct Log {
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) decided: Vec<(Option<Vec<u8>>, Decision)>,
    /// What was decided when requests had their turn at a limit.
    pub(crate) turned: Vec<(ObserverTag, Decision)>,
    pub(crate) workers: Vec<Duration>,
    pub(crate) load: (u32, u32),
    pub(crate) loads: Vec<(Timestamp, u32, u32)>,
    pub(crate) queue_timeouts: usize,
    /// How long those waited that left the queue without a worker.
    pub(crate) left_queue: Vec<Duration>,
    pub(crate) transitions: Vec<Transition>,
    pub(crate) host_changes: Vec<HostChange>,
    broken: Vec<Violation>,
    pub(crate) finished: Vec<(ObserverTag, Ended)>,
    pub(crate) exhausted: usize,
}

impl Told {
    pub(crate) fn ends(&self) -> Vec<RequestEnd> {
        self.finished.iter().map(|(_, ended)| ended.end).collect()
    }

    pub(crate) fn served(&self) -> usize {
        self.ends().iter().filter(|end| matches!(end, RequestEnd::Attempt(AttemptEnd::Answered(200)))).count()
    }

    pub(crate) fn rejected(&self, which: impl Fn(&Rejection) -> bool) -> usize {
        self.ends()
            .iter()
            .filter(|end| matches!(end, RequestEnd::Rejected(rejection) if which(rejection)))
            .count()
    }
}

impl Log {
    fn tell(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told.lock().unwrap());
        self.changed.notify_all();
    }

    /// Waits until what was told fulfils a condition.
    pub(crate) fn until(&self, what: &str, condition: impl Fn(&Told) -> bool) -> Told {
        let told = self.told.lock().unwrap();
        let patience = Duration::from_secs(20);
        let (told, late) = self.changed.wait_timeout_while(told, patience, |told| !condition(told)).unwrap();
        assert!(!late.timed_out(), "{what} never came: {told:#?}");
        told.clone()
    }

    /// Waits until everything that was decided over has ended, and says how.
    pub(crate) fn settled(&self, decided: usize) -> Told {
        let told = self.until("the end", |told| {
            told.decided.len() == decided && told.finished.len() == decided && told.load == (0, 0)
        });
        assert_eq!(told.broken, []);
        let mut marks: Vec<_> = told.finished.iter().map(|(mark, _)| mark.0).collect();
        marks.sort_unstable();
        assert!(marks.into_iter().eq(0..decided as u64), "each ends once");
        assert!(told.loads.is_sorted_by_key(|(at, ..)| *at), "loads come in order of time");
        told
    }
}

impl Observer for Log {
    fn on_decided(&self, _: Timestamp, request: &Seen<'_>, _: &Checks, decision: &Decision) -> ObserverTag {
        let mut mark = ObserverTag::default();
        self.tell(|told| {
            mark = ObserverTag(told.decided.len() as u64);
            told.decided.push((request.key.map(<[u8]>::to_vec), *decision));
        });
        mark
    }

    fn on_turn(&self, _: Timestamp, mark: ObserverTag, decision: &Decision) {
        self.tell(|told| told.turned.push((mark, *decision)));
    }

    fn on_worker(&self, _: Timestamp, _: ObserverTag, waited: Duration) {
        self.tell(|told| told.workers.push(waited));
    }

    fn on_load(&self, at: Timestamp, in_flight: u32, queued: u32) {
        self.tell(|told| {
            told.load = (in_flight, queued);
            told.loads.push((at, in_flight, queued));
        });
    }

    fn on_queue_timeout(&self, _: Timestamp, _: ObserverTag) {
        self.tell(|told| told.queue_timeouts += 1);
    }

    fn on_left_queue(&self, _: Timestamp, _: ObserverTag, waited: Duration) {
        self.tell(|told| told.left_queue.push(waited));
    }

    fn on_transition(&self, _: UpstreamId, transition: Transition) {
        self.tell(|told| told.transitions.push(transition));
    }

    fn on_host_change(&self, _: UpstreamId, change: HostChange) {
        self.tell(|told| told.host_changes.push(change));
    }

    fn on_broken(&self, _: Timestamp, violation: Violation) {
        self.tell(|told| told.broken.push(violation));
    }

    fn on_exhausted(&self, _: Timestamp) {
        self.tell(|told| told.exhausted += 1);
    }

    fn on_finished(&self, _: Timestamp, mark: ObserverTag, _: &Arc<Facts>, ended: &Ended) {
        self.tell(|told| told.finished.push((mark, *ended)));
    }
}
