//! The rules that all threads of a gateway share, and the guard of each request that goes through them.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use hashbrown::HashMap;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::config::ReloadError;
use super::exchange::Exchange;
use super::exhaustion::is_exhaustion;
use super::keys::KeyKeeper;
use super::observer::{Observer, ObserverTag, Seen};
use super::policies::{Policies, host_counts};
use super::request_body::Source;
use super::scenario_clock::ScenarioClock;
use super::state::ServerState;
use crate::admission::{Checks, Owed, Request};
use crate::attempt::{AttemptEnd, RequestEnd};
use crate::auth::jwt::Bearer;
use crate::auth::{AuthConfig, Claims};
use crate::breaker::{Condition, Settlement};
use crate::config::GatewayConfig;
use crate::dispatcher::{Dispatch, Dispatcher, Forward, Pass, Upload};
use crate::ended::{Ended, Facts, ShownClaims};
use crate::entrance::{Admitted, Stop};
use crate::hosts::{HostCheck, HostId};
use crate::identity::KeySecret;
use crate::invariant::Invariants;
use crate::pipeline::Decision;
use crate::rejection::Rejection;
use crate::route::{RouteId, Routes, UpstreamId};
use crate::split_mix::split_mix_64;
use crate::timestamp::Timestamp;
use crate::trace::Span;

/// The rules of a gateway, between the threads that serve it.
pub(super) struct Rules {
    pub(super) clock: ScenarioClock,
    pub(super) observer: Arc<dyn Observer>,
    policies: ArcSwap<Policies>,
    /// `None` for a gateway that judges no tokens.
    keys: Option<KeyKeeper>,
    auth: Option<AuthConfig>,
    key_secret: KeySecret,
    behind: Mutex<Behind>,
    /// Of the dispatcher and of the keys.
    invariants: Invariants,
    seed: u64,
    draws: AtomicU64,
    host_draws: AtomicU64,
}

/// Sets the draws for hosts apart from those for jitter, which nobody counts so far.
const HOST_DRAWS: u64 = u64::MAX;

/// What stands behind the limits, under one short lock.
struct Behind {
    dispatcher: Dispatcher<u64>,
    /// Those who wait for a worker, by their ticket.
    waiting: HashMap<u64, oneshot::Sender<Started>>,
    /// Tickets so far.
    issued: u64,
    /// What was last told of the pool.
    load: (u32, u32),
}

/// A worker became free for a request that waited.
#[derive(Debug)]
struct Started {
    at: Timestamp,
    forward: Forward,
}

impl Rules {
    pub(super) fn new(
        config: GatewayConfig,
        key_secret: KeySecret,
        clock: ScenarioClock,
        observer: Arc<dyn Observer>,
        seed: u64,
    ) -> Self {
        // Requests that have nothing to do with a mistake of ours are served all the same.
        let invariants = Invariants::counting();
        Self {
            clock,
            observer,
            policies: ArcSwap::from_pointee(Policies::new(&config, key_secret)),
            keys: config.auth.clone().map(|auth| KeyKeeper::new(auth, invariants.clone())),
            auth: config.auth.clone(),
            key_secret,
            behind: Mutex::new(Behind {
                dispatcher: Dispatcher::with_invariants(config, invariants.clone()),
                waiting: HashMap::new(),
                issued: 0,
                load: (0, 0),
            }),
            invariants,
            seed,
            draws: AtomicU64::new(0),
            host_draws: AtomicU64::new(0),
        }
    }

    /// What a request that comes now is judged by.
    pub(super) fn policies(&self) -> Arc<Policies> {
        self.policies.load_full()
    }

    /// Whether the gateway can go by this configuration without an end.
    pub(super) fn accepts(&self, config: &GatewayConfig) -> Result<(), ReloadError> {
        let policies = self.policies();
        let leads = |routes: &Routes| {
            let all = routes.iter().map(|route| (route.path.clone(), route.upstream));
            (routes.paths(), all.collect::<Vec<_>>())
        };
        if leads(policies.entrance.routes()) != leads(&config.routes) {
            return Err(ReloadError::Routes);
        }
        if self.auth != config.auth {
            return Err(ReloadError::Tokens);
        }
        if policies.host_counts != host_counts(config) {
            return Err(ReloadError::Hosts);
        }
        Ok(())
    }

    /// Goes by this configuration from now on, which has the routes, upstreams and tokens of the one before.
    pub(super) fn reconfigure(&self, config: GatewayConfig) {
        self.policies.store(Arc::new(self.policies().reconfigured(&config, self.key_secret)));
        let mut behind = self.behind();
        let at = self.clock.now();
        let started: Vec<_> = behind
            .dispatcher
            .reconfigure(at, config)
            .into_iter()
            .map(|(ticket, forward)| (behind.waiting.remove(&ticket), forward))
            .collect();
        self.report(&mut behind, at);
        drop(behind);
        for (sender, forward) in started {
            if let Some(unheard) = start(sender, Started { at, forward }) {
                self.on_finished(unheard.forward.pass, |_| None);
            }
        }
    }

    /// What keeps the keys, if tokens are judged.
    pub(super) fn keys(&self) -> Option<&KeyKeeper> {
        self.keys.as_ref()
    }

    /// Decides over a request, whose body comes from `source` if it has one. Dropped before that, the client has left, which is
    /// told too.
    pub(super) async fn on_request(
        self: &Arc<Self>,
        policies: &Arc<Policies>,
        request: &Request,
        seen: &Seen<'_>,
        bearer: Bearer<'_>,
        source: Option<&Source>,
    ) -> Decided {
        let arrived = self.clock.now();
        let mut checks = Checks::default();
        let entered = self.enter(policies, arrived, request, seen, &mut checks, bearer).await;
        // Nothing passes in between but what a token takes.
        let entered_at = if self.keys.is_some() { self.clock.now() } else { arrived };
        let delayed = match &entered {
            Ok(admitted) => self.delay(policies, (arrived, entered_at), admitted, seen, &checks).await,
            Err(_) => None,
        };
        let (mut breaker, mut debt) = (None, None);
        let (at, client, claims, dispatched, waiting) = match entered {
            Ok(Admitted { route, client, claims, owed }) => {
                debt = (!owed.is_empty()).then(|| Debt { policies: Arc::clone(policies), owed });
                let (decision, mark, checks) = (BREAKER_REFUSES, delayed, &checks);
                let waits = Undecided { rules: self, policies, decision, mark, arrived, seen, checks };
                let upload = self.upload(waits, route, source).await;
                let mut behind = self.behind();
                let at = self.clock.now();
                behind.issued += 1;
                let ticket = behind.issued;
                let dispatched = behind.dispatcher.on_admitted(at, ticket, route, request, upload);
                breaker = behind.dispatcher.condition(behind.dispatcher.upstream_of(route));
                let waiting = matches!(dispatched, Ok(Dispatch::Queue { .. })).then(|| {
                    let (sender, receiver) = oneshot::channel();
                    behind.waiting.insert(ticket, sender);
                    GuardState::Waiting { ticket, since: at, receiver }
                });
                self.report(&mut behind, at);
                (at, client, claims, dispatched, waiting)
            }
            Err(rejection) => (entered_at, request.client, None, Err(rejection), None),
        };
        let seen = Seen { claims: claims.as_ref(), client, ..*seen };
        let decision = dispatched.into();
        let mark = match delayed {
            Some(mark) => {
                self.observer.on_turn(at, mark, &decision);
                mark
            }
            None => self.observer.on_decided(at, &seen, &checks, &decision),
        };
        let facts = Arc::new(self.facts(policies, &seen, checks, breaker));
        let mut guard = RequestGuard {
            rules: Arc::clone(self),
            mark,
            facts,
            arrived,
            attempts: 0,
            exchange: None,
            sent: None,
            stage: waiting.unwrap_or(GuardState::Over),
            debt,
        };
        let next = match dispatched {
            Ok(Dispatch::Forward(forward)) => {
                guard.stage = GuardState::Working(forward.pass);
                self.observer.on_worker(at, mark, Duration::ZERO);
                Next::Forward(guard, forward)
            }
            Ok(Dispatch::Queue { deadline }) => Next::Wait(guard, deadline),
            Err(rejection) => {
                guard.tell(at, RequestEnd::Rejected(rejection), None);
                Next::Reject(rejection)
            }
        };
        Decided { checks, claims, next }
    }

    /// What is kept of a request for whoever is told of its end. `breaker` is what that of its upstream was after the decision.
    fn facts(
        &self,
        policies: &Policies,
        seen: &Seen<'_>,
        checks: Checks,
        breaker: Option<Condition>,
    ) -> Facts {
        let auth = self.auth.as_ref().zip(seen.claims);
        Facts {
            peer: seen.peer,
            client: seen.client,
            route: seen.route,
            checks,
            limits: Arc::clone(&policies.shown),
            breaker,
            traced: seen.traced.cloned(),
            auth: auth.and_then(|(auth, claims)| ShownClaims::of(auth, claims)).map(Box::new),
        }
    }

    /// Takes a request to the dispatcher, and has it wait for keys meanwhile where there are none to judge its token by.
    async fn enter(
        &self,
        policies: &Policies,
        arrived: Timestamp,
        request: &Request,
        seen: &Seen<'_>,
        checks: &mut Checks,
        bearer: Bearer<'_>,
    ) -> Result<Admitted, Rejection> {
        let (entrance, mut limits) = (&policies.entrance, &policies.limits);
        let keys = self.keys.as_ref();
        let judge = || keys.map(|keys| |has_waited| keys.on_bearer(self.clock.now(), bearer, has_waited));
        let mut entered = entrance.on_request(arrived, request, &mut limits, judge(), checks);
        loop {
            let wait = match entered {
                Ok(admitted) => return Ok(admitted),
                Err(Stop::Rejected(rejection)) => return Err(rejection),
                Err(Stop::AwaitKeys(wait)) => wait,
            };
            let decision = Decision::AwaitKeys { deadline: wait.deadline };
            let waiting = Undecided { rules: self, policies, decision, mark: None, arrived, seen, checks };
            if let Some(keys) = keys {
                keys.wait(wait).await;
            }
            // It is still here.
            std::mem::forget(waiting);
            entered = entrance.on_resumed(self.clock.now(), request, &mut limits, judge(), checks);
        }
    }

    /// Has a request wait for its turn at a rate limit, if one lets it wait, and tells of it. `arrived` is when it came, and when
    /// its limits had let it through.
    async fn delay(
        &self,
        policies: &Policies,
        (arrived, entered): (Timestamp, Timestamp),
        admitted: &Admitted,
        seen: &Seen<'_>,
        checks: &Checks,
    ) -> Option<ObserverTag> {
        let (limit, until) = checks.turn().filter(|(_, turn)| *turn > entered)?;
        let decision = Decision::Delay { until, limit, wait: until - entered };
        let seen = &Seen { claims: admitted.claims.as_ref(), client: admitted.client, ..*seen };
        let mark = self.observer.on_decided(entered, seen, checks, &decision);
        let waiting = Undecided { rules: self, policies, decision, mark: Some(mark), arrived, seen, checks };
        sleep_until(Instant::from_std(self.clock.moment(until))).await;
        // It is still here.
        std::mem::forget(waiting);
        Some(mark)
    }

    /// How much of a request's body has come: all of it, if it is to be a probe, and the client sends it. `waiting` tells of a
    /// client that leaves before.
    async fn upload(&self, waiting: Undecided<'_>, route: RouteId, source: Option<&Source>) -> Upload {
        let upload = match source {
            None => Upload::Whole,
            Some(source) if self.behind().dispatcher.asks_for_whole_body(self.clock.now(), route) => {
                source.gather().await
            }
            Some(source) => source.upload(),
        };
        // It is still here.
        std::mem::forget(waiting);
        upload
    }

    /// Tells of it, if the machine is what failed, and says whether it is.
    pub(super) fn note_exhaustion(&self, error: &io::Error) -> bool {
        let is_exhaustion = is_exhaustion(error);
        if is_exhaustion {
            self.observer.on_exhausted(self.clock.now());
        }
        is_exhaustion
    }

    /// What the rules hold now.
    pub(super) fn state(&self) -> ServerState {
        let at = self.clock.now();
        let buckets = self.policies.load().limits.buckets(at);
        let behind = self.behind();
        let dispatcher = &behind.dispatcher;
        ServerState {
            at,
            in_flight: dispatcher.in_flight(),
            queued: dispatcher.queued(),
            upstreams: dispatcher.upstreams().collect(),
            buckets,
            broken_invariants: self.invariants.broken(),
        }
    }

    fn behind(&self) -> MutexGuard<'_, Behind> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what changed, in order of time because under the lock.
    fn report(&self, behind: &mut Behind, at: Timestamp) {
        let load = (behind.dispatcher.in_flight(), behind.dispatcher.queued());
        if load != behind.load {
            behind.load = load;
            self.observer.on_load(at, load.0, load.1);
        }
        while let Some((upstream, transition)) = behind.dispatcher.poll_transition() {
            self.observer.on_transition(upstream, transition);
        }
        while let Some((upstream, change)) = behind.dispatcher.poll_host_change() {
            self.observer.on_host_change(upstream, change);
        }
        while let Some(violation) = self.invariants.poll() {
            self.observer.on_broken(at, violation);
        }
    }

    /// Gives back what a request held, to whoever waits for it.
    fn on_finished(&self, pass: Pass, settlement: impl FnOnce(Timestamp) -> Option<Settlement>) -> Timestamp {
        let mut behind = self.behind();
        let finished = self.clock.now();
        let next = behind.dispatcher.on_finished(finished, pass, settlement(finished));
        self.start_all(behind, finished, next);
        finished
    }

    /// Starts those who need not wait any longer: `next`, who takes a worker over, and whoever has a place now.
    fn start_all<'a>(
        &'a self,
        mut behind: MutexGuard<'a, Behind>,
        mut at: Timestamp,
        mut next: Option<(u64, Forward)>,
    ) {
        // Those who were started, and had left.
        let mut unheard = Vec::new();
        loop {
            let started = next.take().or_else(|| behind.dispatcher.poll_started(at));
            let first = started.map(|(ticket, forward)| (behind.waiting.remove(&ticket), forward));
            let mut others = Vec::new();
            while first.is_some()
                && let Some((ticket, forward)) = behind.dispatcher.poll_started(at)
            {
                others.push((behind.waiting.remove(&ticket), forward));
            }
            self.report(&mut behind, at);
            // Waking somebody on another thread takes a system call: not under the lock.
            drop(behind);
            for (sender, forward) in first.into_iter().chain(others) {
                unheard.extend(start(sender, Started { at, forward }).map(|started| started.forward.pass));
            }
            let Some(pass) = unheard.pop() else { return };
            behind = self.behind();
            at = self.clock.now();
            next = behind.dispatcher.on_finished(at, pass, None);
        }
    }

    /// A uniform draw from [0, 1), for the jitter before a retry of the gateway's own. Draws are taken in turn, because the gateway
    /// does not know which client's request it serves.
    fn unit(&self) -> f64 {
        let draw = self.draws.fetch_add(1, Ordering::Relaxed);
        (split_mix_64(self.seed, draw) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The checks of hosts that are to begin now, and when the next one is.
    pub(super) fn poll_checks(&self) -> (Vec<(UpstreamId, HostCheck)>, Option<Timestamp>) {
        let mut behind = self.behind();
        let at = self.clock.now();
        let due = std::iter::from_fn(|| behind.dispatcher.poll_check(at)).collect();
        (due, behind.dispatcher.next_check())
    }

    /// A check of a host ended.
    pub(super) fn on_checked(&self, upstream: UpstreamId, check: HostCheck, well: bool) {
        let mut behind = self.behind();
        let at = self.clock.now();
        behind.dispatcher.on_checked(at, upstream, check, well);
        self.report(&mut behind, at);
    }

    /// 64 random bits for the choice of a request's hosts, taken in turn too.
    pub(super) fn host_draw(&self) -> u64 {
        let draw = self.host_draws.fetch_add(1, Ordering::Relaxed);
        split_mix_64(split_mix_64(self.seed, HOST_DRAWS), draw)
    }
}

/// Tells a request that waited that it has a worker. Who left between being started and hearing of it hands that back, to be
/// passed on.
fn start(waiting: Option<oneshot::Sender<Started>>, started: Started) -> Option<Started> {
    match waiting {
        Some(waiting) => waiting.send(started).err(),
        None => Some(started),
    }
}

/// What a client that leaves before its body has come whole would have been told.
const BREAKER_REFUSES: Decision = Decision::Reject(Rejection::ShortCircuited { retry_after: Duration::ZERO });

/// A request that waits before it is decided over. Dropped, its client has left.
struct Undecided<'a> {
    rules: &'a Rules,
    policies: &'a Policies,
    /// What is told of it then, if nothing was before.
    decision: Decision,
    /// What was given for what was told of it before.
    mark: Option<ObserverTag>,
    arrived: Timestamp,
    seen: &'a Seen<'a>,
    checks: &'a Checks,
}

impl Drop for Undecided<'_> {
    fn drop(&mut self) {
        let (at, observer) = (self.rules.clock.now(), &self.rules.observer);
        let mark =
            self.mark.unwrap_or_else(|| observer.on_decided(at, self.seen, self.checks, &self.decision));
        let total_time = at - self.arrived;
        let ended = Ended { end: RequestEnd::ClientLeft, attempts: 0, upstream_time: None, total_time };
        let facts = self.rules.facts(self.policies, self.seen, *self.checks, None);
        observer.on_finished(at, mark, &Arc::new(facts), &ended);
    }
}

/// What was decided over a request, by which limits, and what its token says.
pub(super) struct Decided {
    pub(super) checks: Checks,
    pub(super) claims: Option<Claims>,
    pub(super) next: Next,
}

pub(super) enum Next {
    Forward(RequestGuard, Forward),
    /// Until this time at most.
    Wait(RequestGuard, Option<Timestamp>),
    Reject(Rejection),
}

/// What one request holds in the gateway.
///
/// It holds the request's place in the queue or its worker, and gives it back exactly once: by [`RequestGuard::end`], or when it
/// is dropped, which means that the client left.
pub(super) struct RequestGuard {
    rules: Arc<Rules>,
    mark: ObserverTag,
    facts: Arc<Facts>,
    arrived: Timestamp,
    attempts: u32,
    /// Whose time it is; `None` for one that never had a worker.
    exchange: Option<Arc<Exchange>>,
    /// Of the upstream's time, how much had passed when the last attempt was sent.
    sent: Option<Duration>,
    stage: GuardState,
    /// What limits count of it when its end is known; `None` where none waits for that.
    debt: Option<Debt>,
}

/// What is owed to limits, and to which: those that the request was judged by.
struct Debt {
    policies: Arc<Policies>,
    owed: Owed,
}

enum GuardState {
    Waiting { ticket: u64, since: Timestamp, receiver: oneshot::Receiver<Started> },
    Working(Pass),
    Over,
}

impl RequestGuard {
    /// Waits for a worker; `None` never comes. Dropped before that, the request is where it was.
    pub(super) async fn wait(&mut self) -> Option<Forward> {
        let GuardState::Waiting { receiver, .. } = &mut self.stage else { return None };
        // A sender is dropped only after it was used.
        let started = receiver.await.ok()?;
        Some(self.start(started))
    }

    /// The queue's timeout ran out. The request goes on if a worker became free at the same moment.
    ///
    /// # Errors
    ///
    /// [`Rejection::QueueTimeout`] otherwise; then the request has ended.
    pub(super) fn on_queue_timeout(&mut self) -> Result<Forward, Rejection> {
        if let Some(started) = self.leave_queue() {
            return Ok(self.start(started));
        }
        self.stage = GuardState::Over;
        let at = self.rules.clock.now();
        self.rules.observer.on_queue_timeout(at, self.mark);
        self.tell(at, RequestEnd::Rejected(Rejection::QueueTimeout), None);
        Err(Rejection::QueueTimeout)
    }

    fn start(&mut self, Started { at, forward }: Started) -> Forward {
        let since = match self.stage {
            GuardState::Waiting { since, .. } => since,
            GuardState::Working(_) | GuardState::Over => at,
        };
        self.stage = GuardState::Working(forward.pass);
        self.rules.observer.on_worker(at, self.mark, at - since);
        forward
    }

    /// Takes the request out of the queue, unless it was started meanwhile.
    fn leave_queue(&mut self) -> Option<Started> {
        let GuardState::Waiting { ticket, since, receiver } = &mut self.stage else { return None };
        let mut behind = self.rules.behind();
        if behind.waiting.remove(ticket).is_some() {
            let at = self.rules.clock.now();
            behind.dispatcher.on_left_queue(*ticket);
            self.rules.start_all(behind, at, None);
            self.rules.observer.on_left_queue(at, self.mark, at - *since);
            return None;
        }
        drop(behind);
        // Either the message is in the channel, or whoever sends it finds the channel closed and passes the worker on.
        receiver.close();
        receiver.try_recv().ok()
    }

    /// The request has a worker, and its time is told by this.
    pub(super) fn on_worker(&mut self, exchange: &Arc<Exchange>, forward: &Forward) {
        exchange.on_worker(forward.deadline);
        self.exchange = Some(Arc::clone(exchange));
    }

    /// An attempt is sent to the upstream now.
    pub(super) fn on_sent(&mut self) {
        self.attempts += 1;
        self.sent = self.exchange.as_ref().map(|exchange| exchange.upstream_time(self.rules.clock.now()));
    }

    /// How long the upstream has been at the last attempt.
    fn took(&self, now: Timestamp) -> Option<Duration> {
        Some(self.exchange.as_ref()?.upstream_time(now).saturating_sub(self.sent?))
    }

    /// The gateway's span in the request's trace, where requests are traced.
    pub(super) fn span(&self) -> Option<&Span> {
        self.facts.traced.as_ref().map(|traced| &traced.span)
    }

    /// Attempts so far.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// An attempt ended before an answer was passed on. The wait before the next one in scenario time, or `None` to leave
    /// it at that; then [`RequestGuard::end`] is due.
    pub(super) fn on_attempt_ended(&mut self, end: AttemptEnd) -> Option<Duration> {
        let took = self.took(self.rules.clock.now()).unwrap_or_default();
        let GuardState::Working(pass) = &mut self.stage else { return None };
        let mut behind = self.rules.behind();
        let now = self.rules.clock.now();
        if let Some(exchange) = &self.exchange {
            pass.on_client_time(exchange.client_time(now));
        }
        let wait = behind.dispatcher.on_attempt_ended(now, pass, end, took, || self.rules.unit());
        self.rules.report(&mut behind, now);
        wait
    }

    /// The wait is over; the next attempt goes to this host.
    ///
    /// # Errors
    ///
    /// If the breaker does not let the next attempt through, or no host takes part; then the request has ended.
    pub(super) fn on_retry(&mut self, upload: Upload) -> Result<HostId, Rejection> {
        let GuardState::Working(pass) = &mut self.stage else { return Err(Rejection::NoHost) };
        let mut behind = self.rules.behind();
        let now = self.rules.clock.now();
        let permitted = behind.dispatcher.on_retry(now, pass, upload);
        self.rules.report(&mut behind, now);
        drop(behind);
        permitted.inspect_err(|rejection| self.end(RequestEnd::Rejected(*rejection)))
    }

    /// The client takes the answer, of this status, so slowly that the upstream has nothing more to show.
    pub(super) fn on_slow_reader(&mut self, status: u16) {
        let now = self.rules.clock.now();
        let took = self.took(now).unwrap_or_default();
        let GuardState::Working(pass) = &mut self.stage else { return };
        let mut behind = self.rules.behind();
        behind.dispatcher.on_judged(now, pass, Settlement::Answered { status, took });
        self.rules.report(&mut behind, now);
    }

    /// The request has ended; what it held is free. Of no effect on a request that has ended.
    pub(super) fn end(&mut self, end: RequestEnd) {
        if let Some(started) = self.leave_queue() {
            self.stage = GuardState::Working(started.forward.pass);
        }
        match std::mem::replace(&mut self.stage, GuardState::Over) {
            GuardState::Over => {}
            GuardState::Waiting { .. } => self.tell(self.rules.clock.now(), end, None),
            GuardState::Working(pass) => {
                let mut took = None;
                let at = self.rules.on_finished(pass, |now| {
                    took = self.took(now);
                    end.settlement(took.unwrap_or_default())
                });
                self.tell(at, end, took);
            }
        }
    }

    fn tell(&mut self, at: Timestamp, end: RequestEnd, upstream_time: Option<Duration>) {
        if let Some(Debt { policies, owed }) = self.debt.take() {
            owed.settle(at, end, &mut &policies.limits);
        }
        let total_time = at - self.arrived;
        let ended = Ended { end, attempts: self.attempts, upstream_time, total_time };
        self.rules.observer.on_finished(at, self.mark, &self.facts, &ended);
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.end(RequestEnd::ClientLeft);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
    use std::thread;

    use super::*;
    use crate::identity::{Client, Peer};
    use crate::method::Method;
    use crate::server::{Server, ServerConfig};
    use crate::telemetry::testing::config;
    use crate::telemetry::{JsonLines, Metrics, Names, RequestLog, Telemetry};

    /// What can be looked at while it is written.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Answers one request with 200.
    fn upstream() -> (std::net::SocketAddr, thread::JoinHandle<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let serve = move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        };
        (address, thread::spawn(serve))
    }

    #[test]
    fn a_gateway_whose_counter_is_wrong_tells_and_counts_it_and_goes_on_serving() {
        let (config, paper, (upstream, serving)) = (config(), Paper::default(), upstream());
        let names = Names::new(&config, ["orders"]);
        let metrics = Arc::new(Metrics::new(&config, &names, Timestamp::EPOCH));
        let log = RequestLog::start(JsonLines::new(paper.clone()), names, None).unwrap();
        let observer = Arc::new(Telemetry::new((), Arc::clone(&metrics), Some(log.sender())));
        let clock = ScenarioClock::starting_now(Timestamp::EPOCH, 1.0);
        let config = ServerConfig::new((Ipv4Addr::LOCALHOST, 0).into(), config, vec![upstream]);
        let server = Server::start(config, clock, observer).unwrap();
        metrics.observe(server.monitor());

        let rules = server.rules.upgrade().unwrap();
        let peer = Peer::from(IpAddr::from([127, 0, 0, 1]));
        let client = Client::anonymous(KeySecret([0; 16]), peer);
        let request =
            Request { peer, client, route: Some(RouteId(0)), method: Method::Get, idempotent: true, draw: 0 };
        let dispatched =
            rules.behind().dispatcher.on_admitted(clock.now(), u64::MAX, RouteId(0), &request, Upload::Whole);
        let Ok(Dispatch::Forward(Forward { pass, .. })) = dispatched else { panic!("{dispatched:?}") };
        rules.on_finished(pass, |_| None);
        assert!(metrics.render().contains("gateway_broken_invariants_total 0\n"));
        rules.on_finished(pass, |_| None);
        // The place at the upstream, and the worker.
        assert!(metrics.render().contains("gateway_broken_invariants_total 2\n"));

        let mut client = TcpStream::connect(server.address()).unwrap();
        client.write_all(b"GET /orders HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        serving.join().unwrap();
        assert!(metrics.render().contains("gateway_broken_invariants_total 2\n"));

        drop(rules);
        server.shutdown(Duration::from_secs(5));
        drop(log);
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        let told = |what: &str| text.lines().filter(|line| line.contains(what)).count();
        assert_eq!(told("\"gateway::invariant\""), 2, "{text}");
        assert_eq!(told("a worker is released that was never taken"), 1, "{text}");
        assert_eq!(told("\"status\":200"), 1, "{text}");
    }
}
