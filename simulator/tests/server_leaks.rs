//! What is left of the simulated services, and what they do without descriptors. In a process of their own, whose threads and
//! descriptors are counted and limited, one test at a time.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[path = "../../gateway/tests/server/limited.rs"]
mod limited;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway::server::ScenarioClock;
use gateway::{BreakerConfig, HostsConfig, PoolConfig, RetryPolicy, Timestamp, Transition, Violation};
use simulator::server::{Observer, ServiceConfig, Upstreams, UpstreamsConfig};
use simulator::{Call, Fault, FaultKind, FaultTimeline, Latency, RequestTag, ServiceEvent, UpstreamConfig};

use crate::limited::Limited;

const LONG: Duration = Duration::from_secs(86_400);

/// Taken by each test, so that it measures itself only.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Seen {
    attempts: AtomicUsize,
    transitions: AtomicUsize,
    broken: AtomicUsize,
    /// By service, of the first two.
    exhausted: [AtomicUsize; 2],
}

impl Observer for Seen {
    fn on_event(&self, _: Timestamp, _: usize, event: ServiceEvent<'_, Option<RequestTag>>) {
        if let ServiceEvent::Attempt(_) = event {
            self.attempts.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn on_exhausted(&self, _: Timestamp, upstream: usize) {
        self.exhausted[upstream].fetch_add(1, Ordering::Relaxed);
    }

    fn on_broken(&self, _: Timestamp, _: usize, _: Violation) {
        self.broken.fetch_add(1, Ordering::Relaxed);
    }

    fn on_transition(&self, _: usize, _: usize, _: Transition) {
        self.transitions.fetch_add(1, Ordering::Relaxed);
    }
}

impl Seen {
    fn exhausted(&self) -> [bool; 2] {
        self.exhausted.each_ref().map(|count| count.load(Ordering::Relaxed) > 0)
    }
}

fn start(services: Vec<ServiceConfig>) -> (Upstreams, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let clock = ScenarioClock::starting_now(Timestamp::EPOCH, 1.0);
    let mut config = UpstreamsConfig::new(services, 1);
    config.threads = NonZeroUsize::new(2).unwrap();
    (Upstreams::start(config, clock, Arc::clone(&seen) as Arc<dyn Observer>).unwrap(), seen)
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// The status of an answer without a body worth reading, on a connection of one request.
fn ask(address: SocketAddr) -> String {
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    heard(client)
}

/// What is said until the connection is closed or breaks: the first line.
fn heard(mut client: TcpStream) -> String {
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut said = Vec::new();
    let _ = client.read_to_end(&mut said);
    String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned()
}

fn count(directory: &str) -> usize {
    fs::read_dir(directory).unwrap().count()
}

fn service(name: &str, latency: Duration, calls: Vec<Call>, fault: Option<FaultKind>) -> ServiceConfig {
    let pool = PoolConfig { workers: NonZeroU32::new(1), queue: None, queue_timeout: None };
    let config = UpstreamConfig {
        pool,
        latency: Latency::constant(latency).unwrap(),
        latency_factor: 1.0,
        load_latency: Duration::ZERO,
        cancel_on_disconnect: false,
        calls,
        parallel: false,
        cache: None,
        auth: None,
    };
    let fault = fault.map(|kind| Fault::new(Duration::ZERO, LONG, 1.0, kind, String::new()).unwrap());
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    ServiceConfig { name: name.to_owned(), config, faults: FaultTimeline::new(1, &fault), listen, keys: None }
}

/// One that answers; one that works for a day; one that hangs; one that waits for the answer of that one; one that
/// refuses.
fn services() -> Vec<ServiceConfig> {
    let call = Call {
        upstream: 2,
        share: 1.0,
        timeout: Some(LONG),
        retry: RetryPolicy::default(),
        breaker: None,
        hosts: HostsConfig::default(),
    };
    vec![
        service("answers", Duration::ZERO, Vec::new(), None),
        service("works", LONG, Vec::new(), None),
        service("hangs", Duration::ZERO, Vec::new(), Some(FaultKind::Hang)),
        service("asks", Duration::ZERO, vec![call], None),
        service("refuses", Duration::ZERO, Vec::new(), Some(FaultKind::Refuse)),
    ]
}

#[test]
fn no_thread_and_no_descriptor_is_left() {
    let _alone = alone();
    let (threads, descriptors) = (count("/proc/self/task"), count("/proc/self/fd"));
    for round in 0..3 {
        let (upstreams, seen) = start(services());
        assert!(count("/proc/self/fd") > descriptors);
        let mut clients = Vec::new();
        for (address, requests) in upstreams.addresses().iter().zip([1, 2, 1, 1, 0]) {
            for _ in 0..requests {
                let mut client = TcpStream::connect(address).unwrap();
                client.write_all(GET).unwrap();
                clients.push(client);
            }
        }
        // Five of them, and the call of the one that asks.
        while seen.attempts.load(Ordering::Relaxed) < 6 {
            std::thread::yield_now();
        }
        if round == 2 {
            drop(upstreams);
        } else {
            upstreams.shutdown(Duration::from_millis(1));
        }
        // Everybody is told: by an answer, or by the end of the connection.
        for mut client in clients {
            let _ = client.read_to_end(&mut Vec::new());
        }
        assert_eq!(count("/proc/self/fd"), descriptors);
        // A thread that was joined may be listed for a moment more.
        while count("/proc/self/task") > threads {
            std::thread::yield_now();
        }
    }
}

#[test]
fn no_task_is_left_of_what_is_over() {
    let _alone = alone();
    let second = Duration::from_secs(1);
    let calling = |upstream| Call {
        upstream,
        share: 1.0,
        timeout: Some(second),
        retry: RetryPolicy::default(),
        breaker: None,
        hosts: HostsConfig::default(),
    };
    let slowly = FaultKind::Drip { body: Latency::constant(LONG).unwrap() };
    let mut services = vec![
        service("answers", Duration::ZERO, Vec::new(), None),
        service("breaks off", Duration::ZERO, Vec::new(), Some(FaultKind::Reset)),
        service("drips", Duration::ZERO, Vec::new(), Some(slowly)),
        service("asks", Duration::ZERO, vec![calling(0), calling(1)], None),
    ];
    // Each answer that drips keeps its worker for the day.
    services[2].config.pool = PoolConfig::default();
    let (upstreams, _) = start(services);
    let addresses = upstreams.addresses().to_vec();
    let round = || {
        ask(addresses[0]);
        ask(addresses[1]);
        assert_eq!(ask(addresses[3]), "HTTP/1.1 502 Bad Gateway");
        // Callers that leave: within a body, before an answer, within a header.
        let mut within = TcpStream::connect(addresses[2]).unwrap();
        within.write_all(GET).unwrap();
        within.read_exact(&mut [0; 12]).unwrap();
        let mut before = TcpStream::connect(addresses[3]).unwrap();
        before.write_all(GET).unwrap();
        TcpStream::connect(addresses[0]).unwrap().write_all(b"GET / HT").unwrap();
    };
    let settled = |most: usize| {
        for _ in 0..2_000 {
            if upstreams.alive_tasks() <= most {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{} tasks are left, where there were {most}", upstreams.alive_tasks());
    };
    // What drives each service, keeps its keys and accepts; and both ends of the connection that one keeps to another.
    let resting = 3 * addresses.len() + 2;
    round();
    settled(resting);
    for _ in 0..50 {
        round();
    }
    settled(resting);
    assert_eq!(ask(addresses[0]), "HTTP/1.1 200 OK");
}

/// Neither is a failure of the one that is asked.
#[test]
fn a_machine_without_descriptors_is_told_from_a_service_that_is_down() {
    let _alone = alone();
    // One failed call would open its breaker.
    let breaker = BreakerConfig::new(LONG, 1.0, 1).ok();
    let call = Call {
        upstream: 1,
        share: 1.0,
        timeout: None,
        retry: RetryPolicy::default(),
        breaker,
        hosts: HostsConfig::default(),
    };
    let asks = service("asks", Duration::ZERO, vec![call], None);
    let (upstreams, seen) = start(vec![asks, service("answers", Duration::ZERO, Vec::new(), None)]);
    let addresses = upstreams.addresses();
    // For the caller's end of a connection, and not for the service's: it is taken in, and answered, when there is room again.
    let limited = Limited::to(1);
    let mut client = TcpStream::connect(addresses[1]).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    while seen.exhausted() != [false, true] {
        std::thread::yield_now();
    }
    drop(limited);
    assert_eq!(heard(client), "HTTP/1.1 200 OK");
    // For both ends of that connection, and for none to the service that is asked.
    let limited = Limited::to(2);
    assert_eq!(ask(addresses[0]), "HTTP/1.1 502 Bad Gateway");
    assert_eq!(seen.exhausted(), [true, true]);
    drop(limited);
    assert_eq!(ask(addresses[0]), "HTTP/1.1 200 OK");
    assert_eq!([&seen.transitions, &seen.broken].map(|count| count.load(Ordering::Relaxed)), [0; 2]);
}
