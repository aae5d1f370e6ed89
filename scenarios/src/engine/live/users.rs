//! The clients: goose's users, who send what the schedule or their own thinking says.
//!
//! goose supplies the users, their lifecycle and the request call. It is a closed model without a schedule, so for
//! open-loop populations its users are a pool that takes each due arrival from the schedule; of a closed-loop population each
//! user is one of goose's. Keys, retries and timeouts are the population's, connections come from each identity's own
//! address, and latency runs from the intended time until the whole body was read.

use std::any::Any;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use gateway::server::ScenarioClock;
use gateway::{KeyedBy, Retrier, RetryState, Timestamp};
use goose::client::GooseClientBuilder;
use goose::goose::Scenario;
use goose::goose::{GooseRequest, GooseUser, Transaction, TransactionFunction};
use goose::{GooseAttack, GooseError};
use http::HeaderName;
use reports::HarnessRecord;
use reqwest::{Client, Method, Url};
use simulator::{
    Load, Population, PopulationStreams, api_key, client_is_back_after, headers, loopback_address,
};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::attempt::AttemptEnd;
use super::journal::{Ended, Journal, RequestId, What};
use super::schedule::{Arrival, Schedule};
use super::stop::Stop;
use super::tokens::Mint;
use crate::engine::directory::{Directory, addresses};

/// What the users have to do with the rest of a run.
pub(super) struct Surroundings {
    pub(super) clock: ScenarioClock,
    /// When arrivals stop.
    pub(super) ends: Timestamp,
    /// Requests as they are due.
    pub(super) schedule: Arc<Schedule>,
    pub(super) journal: Journal,
    pub(super) stop: Stop,
    /// Whether each identity sends from its own address of loopback.
    pub(super) own_addresses: bool,
    /// Makes the tokens that clients bear, if any do.
    pub(super) mint: Option<Arc<Mint>>,
}

/// Everything that the users share.
pub(super) struct Clients {
    clock: ScenarioClock,
    ends: Timestamp,
    journal: Journal,
    stop: Stop,
    schedule: Arc<Schedule>,
    mint: Option<Arc<Mint>>,
    populations: Vec<Senders>,
    directory: Directory,
    /// By route.
    urls: Vec<Url>,
    connectors: Connectors,
    /// Closed-loop users: population and number there. goose's users take these first.
    closed: Vec<(usize, u32)>,
    /// All of goose's users, those that have begun, and those that are done.
    users: AtomicUsize,
    started: AtomicUsize,
    done: AtomicUsize,
    busy: AtomicU32,
    peak_busy: AtomicU32,
    exhausted: AtomicU64,
    harness: Mutex<HarnessRecord>,
    panicked: Mutex<Option<String>>,
}

/// A population at work.
struct Senders {
    population: Population,
    streams: PopulationStreams,
    method: Method,
    /// Of every request: what stands in it is looked at by nobody.
    body: Bytes,
    retrier: Mutex<Retrier>,
}

/// What a user has to do.
#[derive(Clone, Copy)]
struct Request {
    population: usize,
    index: u64,
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

impl Clients {
    pub(super) fn new(
        surroundings: Surroundings,
        populations: &[(Population, PopulationStreams)],
        urls: Vec<Url>,
        harness: HarnessRecord,
    ) -> Self {
        let Surroundings { clock, ends, schedule, journal, stop, own_addresses, mint } = surroundings;
        let all: Vec<Population> = populations.iter().map(|(population, _)| population.clone()).collect();
        let closed = all.iter().enumerate().flat_map(|(number, population)| {
            let users = match population.load {
                Load::Open(_) => 0,
                Load::Closed { users, .. } => users,
            };
            (0..users).map(move |user| (number, user))
        });
        let senders = populations.iter().map(|(population, streams)| Senders {
            method: method_of(population),
            body: Bytes::from(vec![b'.'; population.body as usize]),
            retrier: Mutex::new(Retrier::new(population.retry)),
            population: population.clone(),
            streams: *streams,
        });
        Self {
            clock,
            ends,
            journal,
            stop,
            schedule,
            mint,
            populations: senders.collect(),
            directory: Directory::new(&all, &KeyedBy::ApiKey),
            urls,
            connectors: Connectors::new(addresses(&all), own_addresses),
            closed: closed.collect(),
            users: AtomicUsize::new(0),
            started: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            busy: AtomicU32::new(0),
            peak_busy: AtomicU32::new(0),
            exhausted: AtomicU64::new(0),
            harness: Mutex::new(harness),
            panicked: Mutex::default(),
        }
    }

    /// Lets goose's users work until the schedule is at its end and everything is answered, or the run is stopped.
    pub(super) async fn work(self: &Arc<Self>, pool: usize) -> Result<HarnessRecord, UsersError> {
        let users = pool + self.closed.len();
        let host = self.urls.first().map_or("http://127.0.0.1", Url::as_str);
        let count = users.to_string();
        let arguments = [
            "--host",
            host,
            "--users",
            &count,
            "--increase-rate",
            "100000",
            "--no-telnet",
            "--no-metrics",
            "--no-print-metrics",
            "--accept-invalid-certs",
            "-qqq",
        ];
        let configuration = goose::config::GooseConfiguration::parse_args_default(&arguments)?;
        self.users.store(users, Ordering::Relaxed);
        let clients = Arc::clone(self);
        let function: TransactionFunction = Arc::new(move |user: &mut GooseUser| {
            let clients = Arc::clone(&clients);
            Box::pin(async move {
                clients.live(user).await;
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
        Ok(harness)
    }

    /// What one of goose's users does from its start to its end. It must not panic: goose would wait for it for ever.
    ///
    /// goose calls this again and again until its attack is over, which the last user to be done ends. (Told to let each
    /// user do this once, it prints the number of users.)
    async fn live(&self, user: &mut GooseUser) {
        let place = self.started.fetch_add(1, Ordering::Relaxed);
        let users = self.users.load(Ordering::Relaxed);
        if place >= users {
            tokio::time::sleep(AFTERWARDS).await;
            return;
        }
        let life = async {
            match self.closed.get(place) {
                Some((population, number)) => self.think_and_send(user, *population, *number).await,
                None => self.serve_the_schedule(user).await,
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
    async fn serve_the_schedule(&self, user: &mut GooseUser) {
        let mut stopped = pin!(self.stop.asked());
        while let Some(Arrival { population, index, intended }) = self.schedule.next().await {
            let request = Request { population, index, due: intended, intended, paired: true };
            self.send(user, request, stopped.as_mut()).await;
        }
    }

    /// A user of a closed-loop population thinks, sends, waits, and thinks again; nobody sends after the end.
    async fn think_and_send(&self, user: &mut GooseUser, population: usize, number: u32) {
        let Senders { population: settings, streams, .. } = &self.populations[population];
        let Load::Closed { think, .. } = &settings.load else { return };
        let mut free = self.clock.starts();
        let mut stopped = pin!(self.stop.asked());
        for sent in 0_u32.. {
            let stream = streams.arrival.at(u64::from(number)).at(u64::from(sent));
            let at = free + think.sample(stream);
            if at >= self.ends {
                return;
            }
            tokio::select! {
                () = sleep_until(Instant::from_std(self.clock.moment(at))) => {}
                () = &mut stopped => return,
            }
            let index = u64::from(number) << 32 | u64::from(sent);
            // Latency runs from the send, for a user who thinks a little longer has not waited. But it is the harness that
            // let it think longer, and what is not sent meanwhile is load that the gateway never sees.
            let intended = self.clock.now();
            let request = Request { population, index, due: at, intended, paired: false };
            self.send(user, request, stopped.as_mut()).await;
            free = self.clock.now();
        }
    }

    /// Sends a request, and again as the population's policy has it, until it ends or the run is stopped.
    async fn send(
        &self,
        user: &mut GooseUser,
        request: Request,
        stopped: Pin<&mut impl Future<Output = ()>>,
    ) {
        let Request { population, index, due, intended, paired } = request;
        let senders = &self.populations[population];
        let route = senders.population.targets.draw(senders.streams.route.at(index));
        let id = RequestId { population: population as u32, index };
        self.journal.note(intended, What::Offered { population: id.population, route });
        let busy = self.busy.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak_busy.fetch_max(busy, Ordering::Relaxed);
        // Once it is, `stopped` may have ended, and is not to be polled again.
        let ended = if self.stop.is_asked() {
            AttemptEnd::unfinished()
        } else {
            let now = self.clock.now();
            lock(&self.harness).on_sent(now.saturating_since(due));
            lock(&senders.retrier).on_request(now);
            tokio::select! {
                ended = self.attempts(user, senders, id, route) => ended,
                () = stopped => AttemptEnd::unfinished(),
            }
        };
        self.busy.fetch_sub(1, Ordering::Relaxed);
        let AttemptEnd { outcome, cut, .. } = ended;
        let ended = Ended { request: id, route, intended, outcome, cut, paired };
        self.journal.note(self.clock.now(), What::Ended(ended));
    }

    async fn attempts(
        &self,
        user: &mut GooseUser,
        senders: &Senders,
        id: RequestId,
        route: u32,
    ) -> AttemptEnd {
        let mut retries = RetryState::default();
        for attempt in 0_u32.. {
            let end = self.attempt(user, senders, id, route, attempt).await;
            if end.exhausted {
                self.exhausted.fetch_add(1, Ordering::Relaxed);
            }
            let Some(failure) = end.failure else { return end };
            let unit = senders.streams.jitter.at(id.index).at(u64::from(attempt)).unit();
            let now = self.clock.now();
            let wait = lock(&senders.retrier).on_failure(&mut retries, now, failure, end.retry_after, unit);
            let Some(wait) = wait else { return end };
            let again = now + client_is_back_after(wait);
            sleep_until(Instant::from_std(self.clock.moment(again))).await;
        }
        AttemptEnd::unfinished()
    }

    async fn attempt(
        &self,
        user: &mut GooseUser,
        senders: &Senders,
        id: RequestId,
        route: u32,
        attempt: u32,
    ) -> AttemptEnd {
        let Senders { population, streams, method, body, .. } = senders;
        let identity = population.identities.draw(streams.identity.at(id.index));
        let address = self.directory.address(id.population as usize, identity);
        let client = match self.connectors.of(address) {
            Ok(client) => client,
            Err(error) => return AttemptEnd::unreachable(&error),
        };
        let tag = streams.tag(id.population, id.index, attempt).to_string();
        let place = id.population as usize;
        let token = self.mint.as_ref().and_then(|mint| mint.token(place, identity.index, self.clock.now()));
        let mut built = client
            .request(method.clone(), self.urls[route as usize].clone())
            .header(API_KEY, api_key(&population.name, identity.key))
            .header(REQUEST, tag);
        if !body.is_empty() {
            built = built.body(body.clone());
        }
        if let Some(token) = token {
            built = built.bearer_auth(token);
        }
        let deadline = population.timeout.map(|timeout| self.clock.real(timeout));
        let whole = async {
            match execute(user, client, built).await {
                Ok(response) => AttemptEnd::of(response).await,
                Err(error) => AttemptEnd::unreachable(&error),
            }
        };
        match deadline {
            None => whole.await,
            // From now on, as the client counts it: what comes before is the harness's.
            Some(timeout) => {
                let deadline = Instant::now() + timeout;
                timeout_at(deadline, whole).await.unwrap_or(AttemptEnd::gave_up())
            }
        }
    }
}

/// How long a user that is done rests before it looks whether goose has heard.
const AFTERWARDS: Duration = Duration::from_millis(200);

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const REQUEST: HeaderName = HeaderName::from_static(headers::REQUEST);

/// Sends a request as goose's user.
async fn execute(
    user: &mut GooseUser,
    client: Client,
    request: reqwest::RequestBuilder,
) -> Result<reqwest::Response, reqwest::Error> {
    // goose sends with the user's client, whatever client the request was made with.
    user.client = client;
    let request = GooseRequest::builder().set_request_builder(request).name("request").build();
    match user.request(request).await {
        Ok(answer) => answer.response,
        // Without throttling, goose fails on requests that cannot be built; ours can.
        Err(error) => match *error {
            goose::goose::TransactionError::Reqwest(error) => Err(error),
            other => panic!("goose could not send a request: {other}"),
        },
    }
}

/// One client for each source address, with connections of its own.
struct Connectors {
    tls: rustls::ClientConfig,
    idle: usize,
    own_addresses: bool,
    clients: Mutex<HashMap<Ipv4Addr, Client>>,
}

/// With more addresses than this, connections are not kept: there would be one for each, resting.
const MOST_RESTING: u32 = 2_000;

/// How many of so many clients, each with an address of its own, keep a connection that they do not use.
pub(super) const fn resting(addresses: u32) -> u32 {
    if addresses > MOST_RESTING { 0 } else { addresses }
}

/// How long a client keeps a connection that it does not use.
const REST: Duration = Duration::from_secs(5);

impl Connectors {
    fn new(addresses: u32, own_addresses: bool) -> Self {
        // No request goes over TLS; a configuration that is shared spares each client its own, and the system's
        // certificates (107 KB and 2.7 ms each).
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let idle = if resting(addresses) == 0 { 0 } else { usize::MAX };
        let connectors = Self { tls, idle, own_addresses, clients: Mutex::default() };
        // Those that stay are made before anybody is to send: made when they are first asked for, all of them would be at
        // once, and late.
        for address in (0..resting(addresses)).map_while(loopback_address) {
            if connectors.of(address).is_err() {
                // Whoever asks for it is told.
                break;
            }
        }
        connectors
    }

    fn of(&self, address: Ipv4Addr) -> Result<Client, reqwest::Error> {
        if let Some(client) = lock(&self.clients).get(&address) {
            return Ok(client.clone());
        }
        let client = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // Whether anything is sent again is the population's to say.
            .retry(reqwest::retry::never().max_retries_per_request(0))
            .http1_only()
            .pool_max_idle_per_host(self.idle)
            .pool_idle_timeout(REST)
            .local_address(self.own_addresses.then_some(std::net::IpAddr::from(address)))
            .build()?;
        Ok(lock(&self.clients).entry(address).or_insert(client).clone())
    }
}

fn method_of(population: &Population) -> Method {
    let name = simulator::Method::ALL.iter().find(|(_, method)| *method == population.method);
    name.and_then(|(name, _)| Method::from_bytes(name.as_bytes()).ok()).unwrap_or(Method::GET)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "for no known reason".to_owned())
}
