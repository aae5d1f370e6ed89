//! The simulated services on real sockets and in real time.
//!
//! The machines are those of the virtual engine and decide everything; what stands here carries their decisions to
//! connections, and lets a fault look on the wire as it really does.

mod answer;
mod client;
mod connection;
mod http1;
mod listener;
mod port;
mod service;
mod timers;
mod token_check;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gateway::auth::AuthConfig;
use gateway::server::ScenarioClock;
use gateway::{Invariants, Timestamp, Transition, Violation};
use http::HeaderValue;
use thiserror::Error;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

use self::client::Client;
use self::http1::Limits;
use self::listener::Listener;
use self::port::Port;
use self::service::{Common, Parts, ServedService};
use self::timers::Timers;
pub use self::token_check::KeyDocument;
use self::token_check::TokenCheck;
use crate::chance::Stream;
use crate::fault::FaultTimeline;
use crate::service::{Service, ServiceEvent};
use crate::tag::RequestTag;
use crate::upstream::UpstreamConfig;

/// What [`Upstreams`] serve, and how.
#[derive(Clone)]
pub struct UpstreamsConfig {
    /// Each service; one with several hosts stands here once for each, one after the other.
    pub upstreams: Vec<ServiceConfig>,
    /// How many hosts each upstream has, above zero; their sum is how many services there are. Calls name upstreams by their place
    /// here.
    pub hosts: Vec<usize>,
    /// Of the waits before services' retries, and of the service times of requests without a tag.
    pub seed: u64,
    /// By population of the clients: where it is drawn what its requests ask for. Of other requests, each asks for something of its own.
    pub contents: Vec<Stream>,
    /// Threads that serve; each service has one of them. One is right unless the machine has cores to spare.
    pub threads: NonZeroUsize,
    /// Connections of a service at once; further ones wait in the kernel until one ends.
    pub connections: u32,
    /// Bytes of a request's body; one that is longer ends its connection.
    pub body_limit: u64,
}

impl UpstreamsConfig {
    /// With one thread, 16,384 connections for each service, 16 MiB for a body, one host for each upstream, and no populations.
    pub fn new(upstreams: Vec<ServiceConfig>, seed: u64) -> Self {
        let (threads, hosts) = (NonZeroUsize::MIN, vec![1; upstreams.len()]);
        let contents = Vec::new();
        Self { upstreams, hosts, seed, contents, threads, connections: 16_384, body_limit: 16 << 20 }
    }
}

/// One service.
#[derive(Clone)]
pub struct ServiceConfig {
    /// Its name: part of the keys of its service times, and in its answers.
    pub name: String,
    /// What it is made of.
    pub config: UpstreamConfig,
    /// What goes wrong with it.
    pub faults: FaultTimeline,
    /// Where it listens; port 0 stands for any that is free.
    pub listen: SocketAddr,
    /// What it answers with, if it is the identity provider.
    pub keys: Option<Arc<dyn KeyDocument>>,
}

impl ServiceConfig {
    /// Its name as the value of a header, if it can be served among `all` services.
    fn header(&self, all: usize) -> Result<HeaderValue, StartError> {
        let name = || self.name.clone();
        if let Some(call) = self.config.calls.iter().find(|call| call.upstream >= all) {
            return Err(StartError::Call { name: name(), called: call.upstream });
        }
        HeaderValue::from_bytes(self.name.as_bytes()).map_err(|_| StartError::Name { name: name() })
    }
}

/// Why [`Upstreams`] could not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address cannot be had.
    #[error("cannot listen on {address} for {name}")]
    Listen {
        /// The service.
        name: String,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A name cannot be sent as the value of a header.
    #[error("{name:?} cannot stand in a header")]
    Name {
        /// The name.
        name: String,
    },
    /// A service calls one that there is not.
    #[error("{name} calls service number {called}, which there is not")]
    Call {
        /// The service.
        name: String,
        /// The number that it calls.
        called: usize,
    },
    /// The system has no threads or descriptors left.
    #[error("cannot start a thread")]
    Thread(#[from] io::Error),
}

/// Hears what happens in services, at scenario times.
///
/// What happens is told while the service waits: an observer is quick, and calls nobody back. The times of one service
/// never go back; among those of several they may, by as much as an alarm is late. No call has a default, so that an
/// observer which hands on to another swallows none.
pub trait Observer: Send + Sync + 'static {
    /// This happened at the service `upstream`, its place in [`UpstreamsConfig::upstreams`], to a request with its tag if it had one. What the kernel refuses comes to nobody.
    fn on_event(&self, at: Timestamp, upstream: usize, event: ServiceEvent<'_, Option<RequestTag>>);

    /// A connection of the service `upstream`, from a client or to another service, could not be had because the machine has
    /// no descriptor, port or buffer left.
    fn on_exhausted(&self, at: Timestamp, upstream: usize);

    /// A counter of the service `upstream` is wrong, which is a defect of the simulator. The service goes on. Not each time is
    /// told: [`Invariants::poll`] says which.
    fn on_broken(&self, at: Timestamp, upstream: usize, violation: Violation);

    /// The breaker of `service` in front of `upstream`, its place in [`UpstreamsConfig::hosts`], changed.
    fn on_transition(&self, service: usize, upstream: usize, transition: Transition);
}

/// Hears nothing.
impl Observer for () {
    fn on_event(&self, _: Timestamp, _: usize, _: ServiceEvent<'_, Option<RequestTag>>) {}

    fn on_exhausted(&self, _: Timestamp, _: usize) {}

    fn on_broken(&self, _: Timestamp, _: usize, _: Violation) {}

    fn on_transition(&self, _: usize, _: usize, _: Transition) {}
}

/// Simulated services that listen, until they are shut down or dropped.
pub struct Upstreams {
    addresses: Vec<SocketAddr>,
    /// How long what is under way may take once it is to end.
    stop: watch::Sender<Option<Duration>>,
    threads: Vec<JoinHandle<()>>,
    /// Of the threads.
    runtimes: Vec<Handle>,
    // After the threads: whatever waits for an alarm is gone by then.
    _timers: Timers,
}

impl Upstreams {
    /// Starts the services. All have their addresses when this returns, and all listen that no fault keeps from it. Like
    /// [`Upstreams::shutdown`], it is not for asynchronous tasks.
    ///
    /// # Errors
    ///
    /// If an address cannot be had, a name cannot be sent, a call leads nowhere, or the system is out of threads.
    pub fn start(
        config: UpstreamsConfig,
        clock: ScenarioClock,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StartError> {
        let UpstreamsConfig { upstreams, hosts, seed, contents, threads, connections, body_limit } = config;
        let first_hosts: Vec<usize> =
            (0..hosts.len()).map(|upstream| hosts[..upstream].iter().sum()).collect();
        let headers = upstreams.iter().map(|service| service.header(hosts.len()));
        let headers = headers.collect::<Result<Vec<_>, _>>()?;
        let take = |service: &ServiceConfig| {
            Port::take(service.listen).map_err(|source| StartError::Listen {
                name: service.name.clone(),
                address: service.listen,
                source,
            })
        };
        let ports = upstreams.iter().map(take).collect::<Result<Vec<_>, _>>()?;
        let addresses: Vec<_> = ports.iter().map(Port::address).collect();
        let timers = Timers::start(clock)?;
        let runtimes = (0..threads.get().min(upstreams.len()))
            .map(|_| Builder::new_current_thread().enable_all().build())
            .collect::<io::Result<Vec<_>>>()?;
        let contents = contents.into();
        let common = Common { seed, contents, clock, timer: timers.timer(), observer };
        let (stop, stopping) = watch::channel(None);
        let mut listeners: Vec<Vec<Listener>> = runtimes.iter().map(|_| Vec::new()).collect();
        for (number, ((service, port), header)) in upstreams.into_iter().zip(ports).zip(headers).enumerate() {
            let thread = number % runtimes.len();
            let tasks = runtimes[thread].handle().clone();
            let limits = Limits { connections, body: body_limit };
            let (name, address) = (service.name.clone(), service.listen);
            let served = Arc::new(served(number, &service, (&addresses, &first_hosts), &common, tasks));
            // A cache answers all the same.
            let is_behind_cache = service.config.cache.is_some();
            let refusals = if is_behind_cache { Vec::new() } else { service.faults.refusals() }.into_iter();
            let refusals = refusals.map(|span| clock.starts() + span.start..clock.starts() + span.end);
            let listener = Listener::new(served, header, port, refusals.collect(), clock.now(), limits);
            listeners[thread].push(listener.map_err(|source| StartError::Listen {
                name,
                address,
                source,
            })?);
        }
        let handles = runtimes.iter().map(|runtime| runtime.handle().clone()).collect();
        let mut this = Self { addresses, stop, threads: Vec::new(), runtimes: handles, _timers: timers };
        for (number, (runtime, listeners)) in runtimes.into_iter().zip(listeners).enumerate() {
            let stopping = stopping.clone();
            let run = move || serve(runtime, listeners, stopping);
            this.threads.push(thread::Builder::new().name(format!("upstreams-{number}")).spawn(run)?);
        }
        Ok(this)
    }

    /// Where each service listens, in the order of the configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Tasks alive on all threads: some for each service, one for each of its connections and each job that asks others.
    pub fn alive_tasks(&self) -> usize {
        self.runtimes.iter().map(|runtime| runtime.metrics().num_alive_tasks()).sum()
    }

    /// Stops listening, lets requests under way end for at most `grace` of real time, and drops the rest. When it
    /// returns, no thread or socket is left. It blocks: call it from no asynchronous task.
    pub fn shutdown(mut self, grace: Duration) {
        self.end(grace);
    }

    fn end(&mut self, grace: Duration) {
        self.stop.send_replace(Some(grace));
        for thread in self.threads.drain(..) {
            // One that panicked has said so, and has stopped as well.
            let _ = thread.join();
        }
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

/// The service of that number, whose tasks run there.
fn served(
    number: usize,
    service: &ServiceConfig,
    (addresses, first_hosts): (&[SocketAddr], &[usize]),
    common: &Common,
    tasks: Handle,
) -> ServedService {
    let ServiceConfig { name, config, faults, keys, .. } = service;
    let (clock, seed) = (common.clock, common.seed);
    let client = Arc::new(Client::new(addresses, first_hosts.to_vec()));
    // A mistake of ours in one service ends no other.
    let invariants = Invariants::counting();
    let token_check =
        |auth: &AuthConfig| TokenCheck::new(auth.clone(), Arc::clone(&client), clock, invariants.clone());
    let parts = Parts {
        number,
        asks: !config.calls.is_empty(),
        token_check: config.auth.as_ref().map(token_check),
        service: Service::with_invariants(
            name,
            config.clone(),
            clock.starts(),
            faults.clone(),
            seed,
            invariants,
        ),
        name: name.clone(),
        client,
        keys: keys.clone(),
    };
    ServedService::new(parts, common, tasks)
}

/// Serves on one thread until it is stopped.
fn serve(runtime: Runtime, listeners: Vec<Listener>, mut stopping: watch::Receiver<Option<Duration>>) {
    runtime.block_on(async {
        let mut services = Vec::new();
        let mut doors = Vec::new();
        for listener in listeners {
            let service = Arc::clone(listener.service());
            tokio::spawn(Arc::clone(&service).drive());
            tokio::spawn(Arc::clone(&service).keep_keys());
            services.push(service);
            let (door, run) = listener.run(stopping.clone());
            doors.push(door);
            tokio::spawn(run);
        }
        let grace = stopping.wait_for(Option::is_some).await.ok().and_then(|grace| *grace);
        let all_left = async {
            for door in &doors {
                door.all_left().await;
            }
        };
        let _ = tokio::time::timeout(grace.unwrap_or_default(), all_left).await;
        for service in services {
            service.stop();
        }
    });
    // Drops every task, and with them their connections.
    drop(runtime);
}
