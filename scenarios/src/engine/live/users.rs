//! The clients: goose's users, who send what the schedule or their own thinking says.
//!
//! goose supplies the users and their lifecycle. It is a closed model without a schedule, so for open-loop populations its
//! users are a pool that takes each due arrival from the schedule; of a closed-loop population each user is one of goose's.
//! They send through hyper and not through goose's request call, which makes up metrics that nobody asks for here and, with
//! reqwest below it, costs as much again. Keys, retries and timeouts are the population's, connections come from each
//! identity's own address, and latency runs from the intended time until the whole body was read.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use gateway::server::ScenarioClock;
use gateway::{AttemptEnd, GatewayConfig, Timestamp};
use goose::client::GooseClientBuilder;
use goose::goose::Scenario;
use goose::goose::{GooseUser, Transaction, TransactionFunction};
use goose::{GooseAttack, GooseError};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HOST};
use http::{HeaderName, HeaderValue, Method, Uri};
use http_body_util::Full;
use reports::{HarnessRecord, RunEvent, Witness as _};
use simulator::{ClientRequest, Clients, Population, PopulationStreams, api_key, headers};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::attempt::{read_answer, unreachable};
use super::client_log::Tried;
use super::http_clients::{HttpClients, Sent};
use super::journal::{Ended, Journal, Note, Part, RequestId};
use super::schedule::{Arrival, Schedule};
use super::stop::Stop;
use super::tokens::Mint;
use crate::engine::client_end::ClientEnd;
use crate::engine::directory::{Directory, addresses};

/// What the users have to do with the rest of a run.
pub(super) struct Surroundings {
    pub(super) clock: ScenarioClock,
    /// For how long anybody sends.
    pub(super) duration: Duration,
    /// Requests as they are due.
    pub(super) schedule: Arc<Schedule>,
    pub(super) journal: Journal,
    /// Whether each attempt is noted down for the log.
    pub(super) logs_attempts: bool,
    pub(super) stop: Stop,
    /// Whether each identity sends from its own address of loopback.
    pub(super) own_addresses: bool,
    /// Makes the tokens that clients bear, if any do.
    pub(super) mint: Option<Arc<Mint>>,
    /// By route: statuses beyond 2xx that it is expected to answer.
    pub(super) expect_status: Vec<Vec<u16>>,
}

/// Everything that the users share.
pub(super) struct UserPool {
    clock: ScenarioClock,
    journal: Journal,
    logs_attempts: bool,
    stop: Stop,
    schedule: Arc<Schedule>,
    mint: Option<Arc<Mint>>,
    expect_status: Vec<Vec<u16>>,
    populations: Vec<ActivePopulation>,
    directory: Directory,
    /// By population and target, and what all of them say in `Host`.
    uris: Vec<Vec<Uri>>,
    host: HeaderValue,
    http: HttpClients,
    /// Closed-loop users: population and number there. goose's users take these first.
    closed: Vec<(usize, u32)>,
    /// All of goose's users, those that have begun, and those that are done.
    users: AtomicUsize,
    started: AtomicUsize,
    done: AtomicUsize,
    busy: AtomicU32,
    peak_busy: AtomicU32,
    exhausted: AtomicU64,
    resent: AtomicU64,
    harness: Mutex<HarnessRecord>,
    panicked: Mutex<Option<String>>,
}

/// A population at work.
struct ActivePopulation {
    population: Population,
    streams: PopulationStreams,
    clients: Mutex<Clients>,
    is_paired: bool,
    /// The longest that any request has: what stands in it is looked at by nobody.
    body: Bytes,
}

/// What a user has to do.
#[derive(Clone, Copy)]
struct Task {
    population: usize,
    request: ClientRequest,
    /// When it was to be sent.
    due: Timestamp,
    /// From when on its latency counts.
    intended: Timestamp,
    paired: bool,
}

/// Why the users could not do their work.
#[derive(Debug, thiserror::Error)]
pub(super) enum UsersError {
    #[error("the clients could not be started")]
    Start(#[from] GooseError),
    #[error("a client failed: {0}")]
    Panicked(String),
}

impl UserPool {
    pub(super) fn new(
        surroundings: Surroundings,
        populations: &[(Population, PopulationStreams)],
        uris: Vec<Vec<Uri>>,
        harness: HarnessRecord,
    ) -> Self {
        let Surroundings {
            clock,
            duration,
            schedule,
            journal,
            logs_attempts,
            stop,
            own_addresses,
            mint,
            expect_status,
        } = surroundings;
        let all: Vec<Population> = populations.iter().map(|(population, _)| population.clone()).collect();
        let senders = populations.iter().map(|(population, streams)| ActivePopulation {
            is_paired: population.is_paired(),
            body: Bytes::from(vec![b'.'; longest_body(population) as usize]),
            clients: Mutex::new(Clients::new(population, *streams, clock.starts(), duration)),
            population: population.clone(),
            streams: *streams,
        });
        let senders: Vec<_> = senders.collect();
        let closed = senders.iter().enumerate().flat_map(|(population, senders)| {
            (0..lock(&senders.clients).users()).map(move |user| (population, user))
        });
        Self {
            clock,
            journal,
            logs_attempts,
            stop,
            schedule,
            mint,
            expect_status,
            directory: Directory::new(&all, &GatewayConfig::default()),
            host: uris
                .iter()
                .flatten()
                .find_map(Uri::authority)
                .map_or(NOBODY, |host| value(host.to_string())),
            uris,
            http: HttpClients::new(addresses(&all), own_addresses),
            closed: closed.collect(),
            populations: senders,
            users: AtomicUsize::new(0),
            started: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            busy: AtomicU32::new(0),
            peak_busy: AtomicU32::new(0),
            exhausted: AtomicU64::new(0),
            resent: AtomicU64::new(0),
            harness: Mutex::new(harness),
            panicked: Mutex::default(),
        }
    }

    /// Lets goose's users work until the schedule is at its end and everything is answered, or the run is stopped.
    pub(super) async fn work(self: &Arc<Self>, pool: usize) -> Result<HarnessRecord, UsersError> {
        let users = pool + self.closed.len();
        let count = users.to_string();
        let arguments = [
            // Its own client sends nothing, and is made for each user all the same: without these two and without cookies, each
            // would read the system's certificates, and there would be none where those are missing.
            "--accept-invalid-certs",
            "--host",
            "http://127.0.0.1",
            "--users",
            &count,
            "--increase-rate",
            "100000",
            "--no-telnet",
            "--no-metrics",
            "--no-print-metrics",
            "-qqq",
        ];
        let configuration = goose::config::GooseConfiguration::parse_args_default(&arguments)?;
        self.users.store(users, Ordering::Relaxed);
        let pool_of_users = Arc::clone(self);
        let function: TransactionFunction = Arc::new(move |_: &mut GooseUser| {
            let pool = Arc::clone(&pool_of_users);
            Box::pin(async move {
                pool.live().await;
                Ok(())
            })
        });
        let scenario = Scenario::new("tuesday").register_transaction(Transaction::new(function));
        let attack = GooseAttack::initialize_with_config(configuration)?
            .set_client_builder_without_cookies(GooseClientBuilder::new().without_cookies())?
            .register_scenario(scenario)
            .execute();
        // goose's future is of twenty kilobytes.
        Box::pin(attack).await?;
        if let Some(message) = lock(&self.panicked).take() {
            return Err(UsersError::Panicked(message));
        }
        let mut harness = lock(&self.harness).clone();
        (harness.users, harness.has_pool) = (users as u32, pool > 0);
        harness.peak_users = self.peak_busy.load(Ordering::Relaxed);
        harness.exhausted = self.exhausted.load(Ordering::Relaxed);
        harness.resent = self.resent.load(Ordering::Relaxed);
        Ok(harness)
    }

    /// What one of goose's users does from its start to its end. It must not panic: goose would wait for it for ever.
    ///
    /// goose calls this again and again until its attack is over, which the last user to be done ends. (Told to let each
    /// user do this once, it prints the number of users.)
    async fn live(&self) {
        let place = self.started.fetch_add(1, Ordering::Relaxed);
        let users = self.users.load(Ordering::Relaxed);
        if place >= users {
            tokio::time::sleep(AFTERWARDS).await;
            return;
        }
        let life = async {
            match self.closed.get(place) {
                Some((population, user)) => self.think_and_send(*population, *user).await,
                None => self.serve_the_schedule().await,
            }
        };
        if let Err(panic) = AssertUnwindSafe(life).catch_unwind().await {
            *lock(&self.panicked) = Some(message_of(&*panic));
            self.stop.ask();
        }
        if self.done.fetch_add(1, Ordering::Relaxed) + 1 == users {
            goose::trigger_killswitch("everything is answered");
        }
    }

    /// A user of the pool takes arrivals until there are no more. After a stop it still takes them, and sends nothing.
    async fn serve_the_schedule(&self) {
        let mut stopped = pin!(self.stop.asked());
        while let Some(Arrival { population, index, intended: due }) = self.schedule.next().await {
            let active = &self.populations[population];
            let request = lock(&active.clients).draw(index);
            let arrives_with = active.population.requests_per_arrival();
            // A further step of a journey is sent when its client has thought, as a user's request is.
            let is_further_step = index % arrives_with > 0;
            let intended = if is_further_step { self.clock.now() } else { due };
            let task = Task { population, request, due, intended, paired: active.is_paired };
            let ended = self.send(task, stopped.as_mut()).await;
            if arrives_with > 1 {
                let next = lock(&active.clients).next_send(self.clock.now(), index, ended.went_well());
                self.schedule.on_step_over(population, next);
            }
        }
    }

    /// A user of a closed-loop population thinks, sends, waits, and thinks again, for as long as it sends any more.
    async fn think_and_send(&self, population: usize, user: u32) {
        let clients = &self.populations[population].clients;
        let mut next = lock(clients).first_send(user);
        let mut stopped = pin!(self.stop.asked());
        while let Some((at, index)) = next {
            tokio::select! {
                biased;
                () = &mut stopped => return,
                () = sleep_until(Instant::from_std(self.clock.moment(at))) => {}
            }
            let request = lock(clients).draw(index);
            // Latency runs from the send, for a user who thinks a little longer has not waited. But it is the harness that
            // let it think longer, and what is not sent meanwhile is load that the gateway never sees.
            let intended = self.clock.now();
            let task = Task { population, request, due: at, intended, paired: false };
            let ended = self.send(task, stopped.as_mut()).await;
            next = lock(clients).next_send(self.clock.now(), index, ended.went_well());
        }
    }

    /// Sends a request, and again as the population's policy has it, until it ends or the run is stopped.
    async fn send(&self, task: Task, stopped: Pin<&mut impl Future<Output = ()>>) -> ClientEnd {
        let Task { population, mut request, due, intended, paired } = task;
        let senders = &self.populations[population];
        let ClientRequest { index, route, .. } = request;
        let id = RequestId { population: population as u32, index };
        let starts = self.clock.starts();
        let intended = intended - starts;
        let offered = RunEvent::Offered { population, route: route as usize, intended };
        (&mut &self.journal).hear(intended, offered);
        let busy = self.busy.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak_busy.fetch_max(busy, Ordering::Relaxed);
        let ended = if self.stop.is_asked() {
            // It was late by that much at least: who was not sent in time is not missing from the lateness either.
            lock(&self.harness).on_not_sent(self.clock.now().saturating_since(due));
            ClientEnd::UNFINISHED
        } else {
            let now = self.clock.now();
            lock(&self.harness).on_sent(now.saturating_since(due));
            lock(&senders.clients).on_send(now, &mut request);
            self.attempts(senders, id, request, stopped).await
        };
        self.busy.fetch_sub(1, Ordering::Relaxed);
        let (outcome, cut) = (ended.outcome, ended.end == Some(AttemptEnd::Cut));
        let end = Ended { route, intended, outcome, cut, paired };
        self.journal.note(self.clock.now() - starts, Note::Of(id, Part::Ended(end)));
        ended
    }

    async fn attempts(
        &self,
        senders: &ActivePopulation,
        id: RequestId,
        mut request: ClientRequest,
        mut stopped: Pin<&mut impl Future<Output = ()>>,
    ) -> ClientEnd {
        loop {
            let (sent, attempt) = (self.clock.now(), request.attempt());
            let end = tokio::select! {
                end = self.attempt(senders, id, &request) => end,
                () = stopped.as_mut() => ClientEnd::UNFINISHED,
            };
            if self.logs_attempts {
                let ClientRequest { identity, route, .. } = request;
                let (request, ClientEnd { status, outcome, .. }) = (id, end);
                let took = self.clock.now().saturating_since(sent);
                let tried = Tried { request, attempt, identity, route, status, outcome, took };
                self.journal.note(sent + took - self.clock.starts(), Note::Tried(Box::new(tried)));
            }
            if end.end == Some(AttemptEnd::NeverSent) {
                self.exhausted.fetch_add(1, Ordering::Relaxed);
            }
            let Some(failure) = end.failure() else {
                lock(&senders.clients).on_ended(&mut request);
                return end;
            };
            let now = self.clock.now();
            let again = lock(&senders.clients).on_failed(now, &mut request, failure, end.retry_after);
            let Some(again) = again else { return end };
            tokio::select! {
                () = sleep_until(Instant::from_std(self.clock.moment(again))) => {}
                () = stopped.as_mut() => return ClientEnd::UNFINISHED,
            }
            lock(&senders.clients).on_retry(&mut request);
        }
    }

    async fn attempt(&self, senders: &ActivePopulation, id: RequestId, asked: &ClientRequest) -> ClientEnd {
        let population = &senders.population;
        let address = self.directory.address(id.population as usize, asked.identity);
        let request = || self.request(senders, id, asked);
        let deadline = population.timeout.map(|timeout| self.clock.real(timeout));
        let whole = async {
            let Sent { answer, resent } = self.http.send(address, request).await;
            self.resent.fetch_add(u64::from(resent), Ordering::Relaxed);
            match answer {
                Ok(response) => read_answer(response, &self.expect_status[asked.route as usize]).await,
                Err(error) => unreachable(&error),
            }
        };
        match deadline {
            None => whole.await,
            // From now on, as the client counts it: what comes before is the harness's.
            Some(timeout) => {
                let deadline = Instant::now() + timeout;
                timeout_at(deadline, whole).await.unwrap_or(ClientEnd::GAVE_UP)
            }
        }
    }

    /// What is written for an attempt.
    fn request(
        &self,
        senders: &ActivePopulation,
        id: RequestId,
        asked: &ClientRequest,
    ) -> http::Request<Full<Bytes>> {
        let (identity, attempt) = (asked.identity, asked.attempt());
        let ActivePopulation { population, streams, body, .. } = senders;
        let (method, length) = (method_of(population, id.index), population.body_of(id.index) as usize);
        let body = body.slice(..length.min(body.len()));
        let mut request = http::Request::new(Full::new(body.clone()));
        *request.method_mut() = method.clone();
        *request.uri_mut() = self.uris[id.population as usize][asked.target as usize].clone();
        let fields = request.headers_mut();
        fields.insert(HOST, self.host.clone());
        fields.insert(ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(key) = identity.key {
            fields.insert(API_KEY, value(api_key(&population.name, key)));
        }
        fields.insert(REQUEST, value(streams.tag(id.population, id.index, attempt).to_string()));
        if body.is_empty() && matches!(method, Method::POST | Method::PUT | Method::PATCH) {
            // Of these a server may want to be told (RFC 9110, 8.6); of a body that there is, hyper says it.
            fields.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let place = id.population as usize;
        let token = self.mint.as_ref().and_then(|mint| mint.token(place, identity.index, self.clock.now()));
        if let Some(token) = token {
            fields.insert(AUTHORIZATION, value(format!("Bearer {token}")));
        }
        request
    }
}

/// How long a user that is done rests before it looks whether goose has heard.
const AFTERWARDS: Duration = Duration::from_millis(200);

/// Without a route there is nobody to ask.
const NOBODY: HeaderValue = HeaderValue::from_static("");

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const REQUEST: HeaderName = HeaderName::from_static(headers::REQUEST);

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("names, hosts and tokens have no control characters")
}

fn method_of(population: &Population, index: u64) -> Method {
    // A file names each method that clients send.
    Method::from_bytes(population.method_of(index).name().as_bytes()).unwrap_or_default()
}

fn longest_body(population: &Population) -> u32 {
    let steps = population.journey.iter().flat_map(simulator::Journey::steps);
    steps.map(|step| step.body).fold(population.body, u32::max)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "for no known reason".to_owned())
}
