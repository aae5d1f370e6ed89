//! The simulated services as a client on a real socket sees them.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway::server::ScenarioClock;
use gateway::{PoolConfig, RetryOn, RetryPolicy, Timestamp, Transition};
use simulator::server::{Observer, Service, Upstreams, UpstreamsConfig};
use simulator::{
    Call, Fault, FaultKind, FaultTimeline, Latency, PopulationStreams, RequestTag, UpstreamConfig, headers,
    upstream_number,
};

/// Longer than anything here takes: what runs into it hangs.
const GUARD: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(86_400);
const SEED: u64 = 902;
const STARTS: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);

/// What happened in services.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    Attempt(usize, Option<RequestTag>),
    Wait(usize),
    Load(usize, u32, u32),
    Rejected(usize),
    Transition(usize, usize, Transition),
}

struct Channel(Mutex<Sender<Seen>>);

impl Channel {
    fn send(&self, seen: Seen) {
        // The test may be over and still be told of what it dropped.
        let _ = self.0.lock().unwrap().send(seen);
    }
}

impl Observer for Channel {
    fn on_attempt(&self, _: Timestamp, upstream: usize, tag: Option<RequestTag>) {
        self.send(Seen::Attempt(upstream, tag));
    }

    fn on_wait(&self, _: Timestamp, upstream: usize, _: Duration) {
        self.send(Seen::Wait(upstream));
    }

    fn on_load(&self, _: Timestamp, upstream: usize, in_flight: u32, queued: u32) {
        self.send(Seen::Load(upstream, in_flight, queued));
    }

    fn on_rejected(&self, _: Timestamp, upstream: usize) {
        self.send(Seen::Rejected(upstream));
    }

    fn on_transition(&self, service: usize, upstream: usize, transition: Transition) {
        self.send(Seen::Transition(service, upstream, transition));
    }
}

/// Services under test, and what is seen of them.
struct World {
    upstreams: Upstreams,
    seen: Receiver<Seen>,
}

impl World {
    fn new(services: Vec<Service>) -> Self {
        Self::at_speed(services, 1.0)
    }

    fn at_speed(services: Vec<Service>, speed: f64) -> Self {
        let (sender, seen) = channel();
        let clock = ScenarioClock::starting_now(STARTS, speed);
        let config = UpstreamsConfig::new(services, SEED);
        let upstreams = Upstreams::start(config, clock, Arc::new(Channel(Mutex::new(sender)))).unwrap();
        Self { upstreams, seen }
    }

    fn connect(&self) -> Client {
        self.connect_to(0)
    }

    fn connect_to(&self, upstream: usize) -> Client {
        Client::connect(self.upstreams.addresses()[upstream]).unwrap()
    }

    /// Waits until this is seen.
    fn wait_for(&self, expected: Seen) {
        while self.seen.recv_timeout(GUARD).unwrap() != expected {}
    }

    /// Ends it, and says what was seen up to then.
    fn end(self) -> Vec<Seen> {
        self.upstreams.shutdown(GUARD);
        self.seen.try_iter().collect()
    }
}

struct Client(BufReader<TcpStream>);

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(GUARD))?;
        Ok(Self(BufReader::new(stream)))
    }

    fn send(&mut self, request: &str) {
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
    }

    fn get(&mut self) -> io::Result<Answer> {
        self.send("GET /orders HTTP/1.1\r\nhost: a\r\n\r\n");
        self.answer()
    }

    fn get_tagged(&mut self, tag: RequestTag, gateway_attempt: u32) -> io::Result<Answer> {
        let (request, attempt) = (headers::REQUEST, headers::GATEWAY_ATTEMPT);
        self.send(&format!(
            "GET / HTTP/1.1\r\nhost: a\r\n{request}: {tag}\r\n{attempt}: {gateway_attempt}\r\n\r\n"
        ));
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let mut answer = self.head()?;
        let length = answer.headers["content-length"].parse().unwrap();
        answer.body.resize(length, 0);
        self.0.read_exact(&mut answer.body)?;
        Ok(answer)
    }

    fn head(&mut self) -> io::Result<Answer> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let status = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &String| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_lowercase(), value.trim().to_owned())
        };
        Ok(Answer { status, headers: lines[1..].iter().map(header).collect(), body: Vec::new() })
    }
}

impl Answer {
    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A service that answers after `latency`.
fn service(name: &str, latency: Duration) -> Service {
    let latency = Latency::constant(latency).unwrap();
    let config = UpstreamConfig {
        pool: PoolConfig::default(),
        latency,
        load_latency: Duration::ZERO,
        cancel_on_disconnect: false,
        calls: Vec::new(),
    };
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Service { name: name.to_owned(), config, faults: FaultTimeline::default(), listen }
}

fn quick() -> Service {
    service("payments", Duration::ZERO)
}

fn faulty(kind: FaultKind, fraction: f64) -> Service {
    let fault = Fault::new(Duration::ZERO, LONG, fraction, kind, "fault".to_owned()).unwrap();
    Service { faults: FaultTimeline::new(SEED, &[fault]), ..quick() }
}

fn workers(workers: u32, queue: u32, service: Service) -> Service {
    let pool = PoolConfig { workers: NonZeroU32::new(workers), queue: Some(queue), queue_timeout: None };
    Service { config: UpstreamConfig { pool, ..service.config }, ..service }
}

#[test]
fn an_answer_says_who_gives_it_and_to_what() {
    let world = World::new(vec![quick()]);
    let mut client = world.connect();
    let tag = PopulationStreams::new(SEED, "buyers").tag(3, 17, 0);
    let request = headers::REQUEST;
    client.send(&format!(
        "POST /any/path?x HTTP/1.1\r\nhost: a\r\n{request}: {tag}\r\ncontent-length: 5\r\n\r\nhello"
    ));
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.headers[headers::UPSTREAM].as_str()), (200, "payments"));
    let expected = serde_json::json!({
        "upstream": "payments", "request": tag.to_string(), "service_time_ns": 0, "body_bytes": 5,
    });
    assert_eq!(answer.json(), expected);
    // The connection is used again, and a HEAD has no body.
    client.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.head().unwrap().status, 200);
    let answer = client.get().unwrap();
    assert_eq!(answer.json()["request"], serde_json::Value::Null);
    world.wait_for(Seen::Attempt(0, Some(tag)));
    world.wait_for(Seen::Attempt(0, None));
}
