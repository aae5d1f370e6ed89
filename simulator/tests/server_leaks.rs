//! What is left of the simulated services once they are shut down. Alone in its process, whose threads and descriptors it
//! counts.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateway::server::ScenarioClock;
use gateway::{PoolConfig, RetryPolicy, Timestamp};
use simulator::server::{Observer, Service, Upstreams, UpstreamsConfig};
use simulator::{Call, Fault, FaultKind, FaultTimeline, Latency, RequestTag, UpstreamConfig};

const LONG: Duration = Duration::from_secs(86_400);

#[derive(Default)]
struct Attempts(AtomicUsize);

impl Observer for Attempts {
    fn on_attempt(&self, _: Timestamp, _: usize, _: Option<RequestTag>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn count(directory: &str) -> usize {
    fs::read_dir(directory).unwrap().count()
}

/// One that answers; one that works for a day; one that hangs; one that waits for the answer of that one; one that
/// refuses.
fn services() -> Vec<Service> {
    let service = |name: &str, latency, calls, fault: Option<FaultKind>| {
        let pool = PoolConfig { workers: NonZeroU32::new(1), queue: None, queue_timeout: None };
        let config = UpstreamConfig {
            pool,
            latency: Latency::constant(latency).unwrap(),
            load_latency: Duration::ZERO,
            cancel_on_disconnect: false,
            calls,
            auth: None,
        };
        let fault = fault.map(|kind| Fault::new(Duration::ZERO, LONG, 1.0, kind, String::new()).unwrap());
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Service { name: name.to_owned(), config, faults: FaultTimeline::new(1, &fault), listen, keys: None }
    };
    let call = Call { upstream: 2, timeout: Some(LONG), retry: RetryPolicy::default(), breaker: None };
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
    let (threads, descriptors) = (count("/proc/self/task"), count("/proc/self/fd"));
    for round in 0..3 {
        let attempts = Arc::new(Attempts::default());
        let clock = ScenarioClock::starting_now(Timestamp::EPOCH, 1.0);
        let mut config = UpstreamsConfig::new(services(), 1);
        config.threads = NonZeroUsize::new(2).unwrap();
        let upstreams = Upstreams::start(config, clock, Arc::clone(&attempts) as Arc<dyn Observer>).unwrap();
        assert!(count("/proc/self/fd") > descriptors);
        let mut clients = Vec::new();
        for (address, requests) in upstreams.addresses().iter().zip([1, 2, 1, 1, 0]) {
            for _ in 0..requests {
                let mut client = TcpStream::connect(address).unwrap();
                client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
                clients.push(client);
            }
        }
        // Five of them, and the call of the one that asks.
        while attempts.0.load(Ordering::Relaxed) < 6 {
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
