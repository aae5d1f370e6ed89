//! The simulated services as a client on a real socket sees them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway::auth::AuthConfig;
use gateway::server::ScenarioClock;
use gateway::{
    BreakerConfig, Condition, FailureSet, HostsConfig, PoolConfig, RetryPolicy, Timestamp, Transition,
    UpstreamId, Violation,
};
use simulator::server::{Observer, ServiceConfig, StartError, Upstreams, UpstreamsConfig};
use simulator::{
    CacheConfig, CacheContents, CacheUse, CachedObjects, Call, Fault, FaultKind, FaultTimeline, Latency,
    Popularity, PopulationStreams, RequestTag, ServiceEvent, UpstreamConfig, headers, upstream_number,
};

/// Longer than anything here takes: what runs into it hangs.
const GUARD: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(86_400);
const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
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
    Broken(usize, Violation),
    Cache(usize, CacheUse),
}

struct Channel(Mutex<Sender<Seen>>);

impl Channel {
    fn send(&self, seen: Seen) {
        // The test may be over and still be told of what it dropped.
        let _ = self.0.lock().unwrap().send(seen);
    }
}

impl Observer for Channel {
    fn on_event(&self, _: Timestamp, upstream: usize, event: ServiceEvent<'_, Option<RequestTag>>) {
        match event {
            ServiceEvent::Attempt(tag) => self.send(Seen::Attempt(upstream, *tag)),
            ServiceEvent::Waited(_) => self.send(Seen::Wait(upstream)),
            ServiceEvent::Load { in_flight, queued } => self.send(Seen::Load(upstream, in_flight, queued)),
            ServiceEvent::Rejected => self.send(Seen::Rejected(upstream)),
            ServiceEvent::Cache(cache_use) => self.send(Seen::Cache(upstream, cache_use)),
            ServiceEvent::Accepted(_) | ServiceEvent::LeftQueue(_) | ServiceEvent::Gone(_) => {}
        }
    }

    fn on_exhausted(&self, _: Timestamp, _: usize) {}

    fn on_broken(&self, _: Timestamp, upstream: usize, violation: Violation) {
        self.send(Seen::Broken(upstream, violation));
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
    fn new(services: Vec<ServiceConfig>) -> Self {
        Self::with(UpstreamsConfig::new(services, SEED))
    }

    fn with(config: UpstreamsConfig) -> Self {
        let (sender, seen) = channel();
        let clock = ScenarioClock::starting_now(STARTS, 1.0);
        let upstreams = Upstreams::start(config, clock, Arc::new(Channel(Mutex::new(sender)))).unwrap();
        Self { upstreams, seen }
    }

    /// A client of the first service.
    fn connect(&self) -> Client {
        Client::connect(self.upstreams.addresses()[0]).unwrap()
    }

    /// Waits until this is seen.
    fn wait_for(&self, expected: Seen) {
        while self.seen.recv_timeout(GUARD).unwrap() != expected {}
    }

    /// Ends it after the requests under way, and says what was seen up to then.
    fn end(self) -> Vec<Seen> {
        self.upstreams.shutdown(GUARD);
        let seen: Vec<_> = self.seen.try_iter().collect();
        assert!(!seen.iter().any(|seen| matches!(seen, Seen::Broken(..))), "{seen:?}");
        seen
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
        self.send(GET);
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
fn service(name: &str, latency: Duration) -> ServiceConfig {
    let latency = Latency::constant(latency).unwrap();
    let config = UpstreamConfig {
        pool: PoolConfig::default(),
        latency,
        latency_factor: 1.0,
        load_latency: Duration::ZERO,
        cancel_on_disconnect: false,
        calls: Vec::new(),
        parallel: false,
        cache: None,
        auth: None,
    };
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    ServiceConfig { name: name.to_owned(), config, faults: FaultTimeline::default(), listen, keys: None }
}

fn quick() -> ServiceConfig {
    service("payments", Duration::ZERO)
}

fn faulty(kind: FaultKind, fraction: f64) -> ServiceConfig {
    let fault = Fault::new(Duration::ZERO, LONG, fraction, kind, "fault".to_owned()).unwrap();
    ServiceConfig { faults: FaultTimeline::new(SEED, &[fault]), ..quick() }
}

fn calling(
    upstream: usize,
    retry: RetryPolicy,
    timeout: Option<Duration>,
    service: ServiceConfig,
) -> ServiceConfig {
    let calls =
        vec![Call { upstream, share: 1.0, timeout, retry, breaker: None, hosts: HostsConfig::default() }];
    ServiceConfig { config: UpstreamConfig { calls, ..service.config }, ..service }
}

fn cancelling(service: ServiceConfig) -> ServiceConfig {
    ServiceConfig { config: UpstreamConfig { cancel_on_disconnect: true, ..service.config }, ..service }
}

fn workers(workers: u32, queue: u32, service: ServiceConfig) -> ServiceConfig {
    let pool = PoolConfig { workers: NonZeroU32::new(workers), queue: Some(queue), queue_timeout: None };
    ServiceConfig { config: UpstreamConfig { pool, ..service.config }, ..service }
}

#[test]
fn an_answer_says_who_gives_it_and_to_what() {
    let world = World::new(vec![quick()]);
    let mut client = world.connect();
    let tag = PopulationStreams::new(SEED, "buyers").tag(3, 17, 0);
    let head = format!("POST /any/path?x HTTP/1.1\r\nhost: a\r\n{}: {tag}\r\n", headers::REQUEST);
    client.send(&format!("{head}content-length: 5\r\n\r\nhello"));
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.headers[headers::UPSTREAM].as_str()), (200, "payments"));
    let expected = serde_json::json!({
        "upstream": "payments", "request": tag.to_string(), "service_time_ns": 0, "body_bytes": 5,
    });
    assert_eq!(answer.json(), expected);
    // The connection is used again, and a HEAD has no body.
    client.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.head().unwrap().status, 200);
    // What is no tag is as good as none.
    client.send(&format!("GET / HTTP/1.1\r\nhost: a\r\n{}: 1-2-3-4\r\n\r\n", headers::REQUEST));
    assert_eq!(client.answer().unwrap().json()["request"], serde_json::Value::Null);
    let attempts = [Some(tag), None, None].map(|tag| Seen::Attempt(0, tag));
    let seen = world.end();
    let seen: Vec<_> = seen.into_iter().filter(|seen| matches!(seen, Seen::Attempt(..))).collect();
    assert_eq!(seen, attempts);
}

#[test]
fn the_same_tag_takes_the_time_that_the_virtual_engine_draws() {
    let latency = Latency::exponential(Duration::from_micros(100)).unwrap();
    let service = quick();
    let config = UpstreamConfig { latency: latency.clone(), ..service.config };
    let world = World::new(vec![ServiceConfig { config, ..service }]);
    let mut client = world.connect();
    let streams = PopulationStreams::new(SEED, "buyers");
    for (request, client_attempt, gateway_attempt) in [(0, 0, 0), (17, 0, 0), (17, 2, 0), (17, 2, 3)] {
        let tag = streams.tag(0, request, client_attempt);
        let answer = client.get_tagged(tag, gateway_attempt).unwrap();
        let drawn = streams.attempt(request, client_attempt, gateway_attempt);
        let time = latency.sample(drawn.at(upstream_number("payments")));
        assert_eq!(answer.json()["service_time_ns"], time.as_nanos() as u64);
    }
}

#[test]
fn requests_without_a_tag_take_the_same_times_in_each_run() {
    let run = || {
        let service = quick();
        let latency = Latency::exponential(Duration::from_micros(100)).unwrap();
        let config = UpstreamConfig { latency, ..service.config };
        let world = World::new(vec![ServiceConfig { config, ..service }]);
        let mut client = world.connect();
        [(); 3].map(|()| client.get().unwrap().json()["service_time_ns"].as_u64().unwrap())
    };
    let times = run();
    assert_eq!(times, run());
    assert!(times[0] != times[1] && times[1] != times[2], "{times:?}");
}

#[test]
fn a_full_queue_is_a_503_of_the_upstream() {
    let world = World::new(vec![workers(1, 1, service("payments", LONG))]);
    let mut clients = [world.connect(), world.connect(), world.connect()];
    for (client, (busy, waiting)) in clients.iter_mut().zip([(1, 0), (1, 1)]) {
        client.send(GET);
        world.wait_for(Seen::Load(0, busy, waiting));
    }
    let answer = clients[2].get().unwrap();
    assert_eq!((answer.status, answer.headers[headers::UPSTREAM].as_str()), (503, "payments"));
    world.wait_for(Seen::Rejected(0));
}

/// When jobs started, and how long each had waited.
#[derive(Default)]
struct Starts(Mutex<Vec<(Timestamp, Duration)>>);

impl Observer for Starts {
    fn on_event(&self, at: Timestamp, _: usize, event: ServiceEvent<'_, Option<RequestTag>>) {
        if let ServiceEvent::Waited(waited) = event {
            self.0.lock().unwrap().push((at, waited));
        }
    }

    fn on_exhausted(&self, _: Timestamp, _: usize) {}

    fn on_broken(&self, _: Timestamp, _: usize, _: Violation) {}

    fn on_transition(&self, _: usize, _: usize, _: Transition) {}
}

#[test]
fn what_waits_starts_when_the_one_before_it_is_due() {
    let time = Duration::from_millis(2);
    let starts = Arc::new(Starts::default());
    let clock = ScenarioClock::starting_now(STARTS, 1.0);
    let config = UpstreamsConfig::new(vec![workers(1, 99, service("payments", time))], SEED);
    let upstreams = Upstreams::start(config, clock, Arc::clone(&starts) as Arc<dyn Observer>).unwrap();
    let mut clients: Vec<_> = (0..50).map(|_| Client::connect(upstreams.addresses()[0]).unwrap()).collect();
    for client in &mut clients {
        client.send(GET);
    }
    for client in &mut clients {
        assert_eq!(client.answer().unwrap().status, 200);
    }
    upstreams.shutdown(GUARD);
    let starts = starts.0.lock().unwrap();
    assert_eq!(starts.len(), 50);
    for (before, (at, waited)) in starts.iter().zip(&starts[1..]) {
        // To the nanosecond, however late the alarm was; or later, if it was not there yet.
        let due = before.0 + time;
        assert!(if waited.is_zero() { *at >= due } else { *at == due }, "{before:?}, then {at:?} {waited:?}");
    }
}

#[test]
fn a_caller_that_leaves_frees_no_worker() {
    let world = World::new(vec![workers(1, 9, service("payments", LONG))]);
    let mut client = world.connect();
    client.send(GET);
    world.wait_for(Seen::Load(0, 1, 0));
    drop(client);
    // The service is told, and goes on.
    world.wait_for(Seen::Load(0, 1, 0));
    let mut next = world.connect();
    next.send(GET);
    world.wait_for(Seen::Load(0, 1, 1));
}

#[test]
fn a_caller_that_leaves_frees_the_worker_of_a_service_that_notices() {
    let world = World::new(vec![workers(1, 9, cancelling(service("payments", LONG)))]);
    let [mut first, mut second, mut third] = [(); 3].map(|()| world.connect());
    for (client, waiting) in [(&mut first, 0), (&mut second, 1), (&mut third, 2)] {
        client.send(GET);
        world.wait_for(Seen::Load(0, 1, waiting));
    }
    drop(third);
    world.wait_for(Seen::Load(0, 1, 1));
    drop(first);
    world.wait_for(Seen::Load(0, 1, 0));
    drop(second);
    world.wait_for(Seen::Load(0, 0, 0));
}

#[test]
fn refused_by_all_means_that_nobody_listens() {
    let world = World::new(vec![faulty(FaultKind::Refuse, 1.0)]);
    let refused = Client::connect(world.upstreams.addresses()[0]).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn refused_by_some_means_a_reset_before_the_answer() {
    let world = World::new(vec![faulty(FaultKind::Refuse, 0.999_999)]);
    assert_eq!(world.connect().get().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(!world.end().contains(&Seen::Wait(0)));
}

/// Refuses after `lead` for as long again. `None` if the test itself was too slow to see it.
fn refuse_and_come_back(lead: Duration) -> Option<()> {
    let refusal = Fault::new(lead, lead, 1.0, FaultKind::Refuse, "refusal".to_owned()).unwrap();
    let world = World::new(vec![ServiceConfig { faults: FaultTimeline::new(SEED, &[refusal]), ..quick() }]);
    let address = world.upstreams.addresses()[0];
    let mut idle = Client::connect(address).ok()?;
    idle.get().ok()?;
    // It is closed when the refusal begins.
    assert_eq!(idle.head().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    let refused = Client::connect(address).err()?;
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    loop {
        match Client::connect(address) {
            Ok(mut client) => break assert_eq!(client.get().unwrap().status, 200),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
        }
        std::thread::yield_now();
    }
    Some(())
}

#[test]
fn a_refusal_closes_what_is_idle_and_the_listener_comes_back() {
    let mut leads = [250, 2_000, 16_000].map(Duration::from_millis).into_iter();
    assert!(leads.find_map(refuse_and_come_back).is_some());
}

#[test]
fn a_reset_comes_after_part_of_the_answer() {
    let world = World::new(vec![workers(1, 0, faulty(FaultKind::Reset, 1.0))]);
    let mut client = world.connect();
    client.send(GET);
    let mut answer = client.head().unwrap();
    assert_eq!((answer.status, answer.headers[headers::UPSTREAM].as_str()), (200, "payments"));
    assert_eq!(client.0.read_to_end(&mut answer.body).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let length: usize = answer.headers["content-length"].parse().unwrap();
    assert!((1..length).contains(&answer.body.len()), "{} of {length}", answer.body.len());
    // The worker is free, and it is the same again.
    let mut client = world.connect();
    client.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n");
    client.head().unwrap();
    assert_eq!(client.head().unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn what_hangs_holds_its_worker_until_the_caller_leaves() {
    let world = World::new(vec![workers(1, 9, faulty(FaultKind::Hang, 1.0))]);
    let [mut first, mut second] = [(); 2].map(|()| world.connect());
    for (client, waiting) in [(&mut first, 0), (&mut second, 1)] {
        client.send(GET);
        world.wait_for(Seen::Load(0, 1, waiting));
    }
    drop(first);
    world.wait_for(Seen::Load(0, 1, 0));
    drop(second);
    world.wait_for(Seen::Load(0, 0, 0));
}

#[test]
fn what_would_hang_for_nobody_holds_no_worker() {
    let world = World::new(vec![workers(1, 9, faulty(FaultKind::Hang, 1.0))]);
    let [mut first, mut second] = [(); 2].map(|()| world.connect());
    for (client, waiting) in [(&mut first, 0), (&mut second, 1)] {
        client.send(GET);
        world.wait_for(Seen::Load(0, 1, waiting));
    }
    // Unnoticed, as it waits; its turn comes with nobody left to end it.
    drop(second);
    world.wait_for(Seen::Load(0, 1, 1));
    drop(first);
    world.wait_for(Seen::Load(0, 0, 0));
}

#[test]
fn a_body_drips() {
    let drip = |body| FaultKind::Drip { body: Latency::constant(body).unwrap() };
    let world = World::new(vec![cancelling(faulty(drip(LONG), 1.0))]);
    let mut client = world.connect();
    client.send(GET);
    let length: usize = client.head().unwrap().headers["content-length"].parse().unwrap();
    // The first piece comes with the head, the second in hours.
    let piece = client.0.fill_buf().unwrap().len();
    assert!((1..length).contains(&piece), "{piece} of {length}");
    drop(client);
    world.wait_for(Seen::Load(0, 0, 0));

    let world = World::new(vec![faulty(drip(Duration::from_millis(20)), 1.0)]);
    let answer = world.connect().get().unwrap();
    assert_eq!(answer.json()["service_time_ns"], 20_000_000);
}

/// The answer comes after the calls, and so does what a fault does to it: the other service is asked each time.
#[test]
fn an_answer_breaks_or_trickles_after_the_calls() {
    let asks = |kind| calling(1, RetryPolicy::default(), None, faulty(kind, 1.0));
    let drip = |body| FaultKind::Drip { body: Latency::constant(body).unwrap() };
    let asked = |world: World| world.end().iter().filter(|seen| matches!(seen, Seen::Attempt(1, _))).count();
    // Whether the call was answered well or not.
    for (called, status) in
        [(quick(), 200), (faulty(FaultKind::Error { status: 500, retry_after: None }, 1.0), 502)]
    {
        let world = World::new(vec![asks(FaultKind::Reset), called.clone()]);
        let mut client = world.connect();
        client.send(GET);
        let mut answer = client.head().unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(client.0.read_to_end(&mut answer.body).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(asked(world), 1);

        let world = World::new(vec![asks(drip(Duration::from_millis(20))), called]);
        let answer = world.connect().get().unwrap();
        assert_eq!((answer.status, &answer.json()["service_time_ns"]), (status, &20_000_000.into()));
        assert_eq!(asked(world), 1);
    }
    // It begins when the calls are done, and holds its worker until it is whole.
    let world = World::new(vec![workers(1, 0, asks(drip(LONG))), quick()]);
    let mut client = world.connect();
    client.send(GET);
    let length: usize = client.head().unwrap().headers["content-length"].parse().unwrap();
    let piece = client.0.fill_buf().unwrap().len();
    assert!((1..length).contains(&piece), "{piece} of {length}");
    assert_eq!(world.connect().get().unwrap().status, 503);
    // Who notices that its caller has left, notices it then too.
    let world = World::new(vec![cancelling(asks(drip(LONG))), quick()]);
    let mut client = world.connect();
    client.send(GET);
    client.head().unwrap();
    drop(client);
    world.wait_for(Seen::Load(0, 0, 0));
}

/// A request without a token is either struck by the fault or turned away for want of one. Were the fault drawn again behind
/// the door, a quarter of the requests would be struck at the door and not behind it, and be served.
#[test]
fn a_request_without_a_tag_meets_one_draw_of_a_fault() {
    let mut judging = faulty(FaultKind::Error { status: 500, retry_after: None }, 0.5);
    judging.config.auth = Some(AuthConfig::new(UpstreamId(0)));
    let world = World::new(vec![judging]);
    let mut client = world.connect();
    let statuses: Vec<u16> = (0..100).map(|_| client.get().unwrap().status).collect();
    let count = |status| statuses.iter().filter(|one| **one == status).count();
    assert_eq!(count(500) + count(401), 100, "{statuses:?}");
    assert!(count(500) > 0 && count(401) > 0, "{statuses:?}");
}

#[test]
fn errors_come_at_once_and_other_faults_take_their_time() {
    let millis = |millis| Duration::from_millis(millis);
    let world = World::new(vec![faulty(FaultKind::Error { status: 599, retry_after: None }, 1.0)]);
    let answer = world.connect().get().unwrap();
    assert_eq!((answer.status, answer.headers[headers::UPSTREAM].as_str()), (599, "payments"));
    assert_eq!(answer.json()["service_time_ns"], serde_json::Value::Null);
    assert!(!world.end().contains(&Seen::Wait(0)));

    let slow = FaultKind::Slow { latency: Latency::constant(millis(7)).unwrap() };
    let capacity = ServiceConfig {
        config: service("", millis(2)).config,
        ..faulty(FaultKind::Capacity { factor: 0.25 }, 1.0)
    };
    for (service, nanos) in [(faulty(slow, 1.0), 7_000_000), (capacity, 8_000_000)] {
        let answer = World::new(vec![service]).connect().get().unwrap();
        assert_eq!((answer.status, &answer.json()["service_time_ns"]), (200, &nanos.into()));
    }
}

fn three_retries() -> RetryPolicy {
    let on = FailureSet { timeout: false, ..FailureSet::USUAL };
    RetryPolicy { retries: 3, on, ..RetryPolicy::default() }
}

#[test]
fn three_retries_in_three_layers_are_64_attempts() {
    let names = ["edge", "orders", "stock", "database"];
    let mut services: Vec<_> = names.iter().map(|name| service(name, Duration::ZERO)).collect();
    services[3].faults = faulty(FaultKind::Error { status: 500, retry_after: None }, 1.0).faults;
    let services = services.into_iter().enumerate().map(|(number, service)| match number {
        3 => service,
        _ => calling(number + 1, three_retries(), None, service),
    });
    let world = World::new(services.collect());
    let tag = PopulationStreams::new(SEED, "buyers").tag(2, 17, 1);
    let answer = world.connect().get_tagged(tag, 3).unwrap();
    assert_eq!((answer.status, answer.headers[headers::UPSTREAM].as_str()), (502, "edge"));

    let seen = world.end();
    let attempts = |upstream| {
        let tag = |seen: &Seen| match seen {
            Seen::Attempt(at, tag) if *at == upstream => *tag,
            _ => None,
        };
        seen.iter().filter_map(tag).collect::<Vec<_>>()
    };
    // The keys are those of the virtual engine: the attempt below the job, the service below the attempt.
    let mut jobs = vec![tag.service(3).at(upstream_number("edge"))];
    for (upstream, name) in names.iter().enumerate().skip(1) {
        let tags = jobs.iter().flat_map(|key| {
            (0..4).map(|attempt| RequestTag { population: 2, request: 17, key: *key, attempt })
        });
        let tags: Vec<_> = tags.collect();
        assert_eq!(attempts(upstream), tags, "{name}");
        jobs = tags.iter().map(|tag| tag.service(0).at(upstream_number(name))).collect();
    }
    assert_eq!(jobs.len(), 64);
}

#[test]
fn a_refused_call_is_tried_again_as_such_and_a_broken_answer_as_a_502() {
    let none = FailureSet::default();
    let (connect, server_errors) =
        (FailureSet { connect: true, ..none }, FailureSet { server_errors: true, ..none });
    for (kind, on, attempts) in [
        (FaultKind::Refuse, connect, 4),
        (FaultKind::Refuse, server_errors, 1),
        (FaultKind::Reset, connect, 1),
        (FaultKind::Reset, server_errors, 4),
    ] {
        let retry = RetryPolicy { retries: 3, on, ..RetryPolicy::default() };
        // Refused to all but one in a million, and so by a listener that counts.
        let world = World::new(vec![calling(1, retry, None, quick()), faulty(kind.clone(), 0.999_999)]);
        assert_eq!(world.connect().get().unwrap().status, 502);
        let came = world.end().iter().filter(|seen| matches!(seen, Seen::Attempt(1, _))).count();
        assert_eq!(came, attempts, "{kind:?} on {on:?}");
    }
}

#[test]
fn a_call_that_breaks_is_tried_again() {
    for kind in [FaultKind::Refuse, FaultKind::Reset] {
        for fraction in [1.0, 0.999_999] {
            let services = vec![calling(1, three_retries(), None, quick()), faulty(kind.clone(), fraction)];
            let world = World::new(services);
            assert_eq!(world.connect().get().unwrap().status, 502);
            let came = world.end().iter().filter(|seen| matches!(seen, Seen::Attempt(1, _))).count();
            // What the kernel refuses comes to nobody.
            assert_eq!(came, if kind == FaultKind::Refuse && fraction >= 1.0 { 0 } else { 4 });
        }
    }
}

#[test]
fn a_call_that_takes_too_long_is_given_up_with_its_connection() {
    let timeout = Some(Duration::from_millis(10));
    let services = vec![
        calling(1, RetryPolicy::default(), timeout, quick()),
        workers(1, 0, faulty(FaultKind::Hang, 1.0)),
    ];
    let world = World::new(services);
    assert_eq!(world.connect().get().unwrap().status, 504);
    world.wait_for(Seen::Load(1, 1, 0));
    world.wait_for(Seen::Load(1, 0, 0));
}

#[test]
fn who_notices_that_its_caller_left_gives_up_its_calls() {
    let asks = cancelling(calling(1, RetryPolicy::default(), None, quick()));
    let world = World::new(vec![asks, workers(1, 0, faulty(FaultKind::Hang, 1.0))]);
    let mut client = world.connect();
    client.send(GET);
    world.wait_for(Seen::Load(1, 1, 0));
    drop(client);
    world.wait_for(Seen::Load(0, 0, 0));
    world.wait_for(Seen::Load(1, 0, 0));
}

#[test]
fn a_services_own_breaker_opens() {
    let mut asks = calling(1, RetryPolicy::default(), None, quick());
    asks.config.calls[0].breaker = Some(BreakerConfig::new(LONG, 0.5, 2).unwrap());
    let world = World::new(vec![asks, faulty(FaultKind::Error { status: 500, retry_after: None }, 1.0)]);
    let mut client = world.connect();
    for _ in 0..3 {
        assert_eq!(client.get().unwrap().status, 502);
    }
    let seen = world.end();
    assert_eq!(seen.iter().filter(|seen| matches!(seen, Seen::Attempt(1, _))).count(), 2);
    let opened =
        |seen: &&Seen| matches!(seen, Seen::Transition(0, 1, change) if change.to == Condition::Open);
    assert_eq!(seen.iter().filter(opened).count(), 1);
}

#[test]
fn a_failed_answer_that_breaks_off_is_to_a_service_what_its_head_says() {
    let mut asks = calling(1, RetryPolicy::default(), None, quick());
    asks.config.calls[0].breaker = Some(BreakerConfig::new(LONG, 0.5, 2).unwrap());
    let breaks = calling(2, RetryPolicy::default(), None, faulty(FaultKind::Reset, 1.0));
    let world =
        World::new(vec![asks, breaks, faulty(FaultKind::Error { status: 500, retry_after: None }, 1.0)]);
    let mut client = world.connect();
    for _ in 0..2 {
        assert_eq!(client.get().unwrap().status, 502);
    }
    let opened = world.end().into_iter().find_map(|seen| match seen {
        Seen::Transition(0, 1, change) => Some(change.counts.kinds),
        _ => None,
    });
    let kinds = opened.unwrap();
    assert_eq!((kinds.server_errors, kinds.connection_failed), (2, 0));
}

#[test]
fn who_waits_for_keys_has_come() {
    let minute = Duration::from_secs(60);
    let mut auth = AuthConfig::new(UpstreamId(1));
    auth.cache = auth.cache.with_fetch_timeout(minute).unwrap();
    let judges = ServiceConfig { config: UpstreamConfig { auth: Some(auth), ..quick().config }, ..quick() };
    // Without keys, nothing is said of a token.
    let world = World::new(vec![judges, faulty(FaultKind::Hang, 1.0)]);
    let mut client = world.connect();
    // {"alg":"ES256","kid":"a"} and {}.
    client.send("GET / HTTP/1.1\r\nhost: a\r\nauthorization: Bearer eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ.e30.AA\r\n\r\n");
    world.wait_for(Seen::Attempt(0, None));
}

#[test]
fn a_connection_too_many_waits_until_one_ends() {
    let world = World::with(UpstreamsConfig { connections: 1, ..UpstreamsConfig::new(vec![quick()], SEED) });
    let [mut first, mut second] = [(); 2].map(|()| world.connect());
    second.send(GET);
    first.get().unwrap();
    first.get().unwrap();
    drop(first);
    assert_eq!(second.answer().unwrap().status, 200);
}

#[test]
fn a_body_too_long_ends_its_connection() {
    let world = World::with(UpstreamsConfig { body_limit: 4, ..UpstreamsConfig::new(vec![quick()], SEED) });
    let mut client = world.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nfour");
    assert_eq!(client.answer().unwrap().status, 200);
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nsix is");
    assert_eq!(client.answer().unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_shutdown_lets_requests_under_way_end() {
    let world = World::new(vec![service("payments", Duration::from_millis(50))]);
    let mut client = world.connect();
    client.send(GET);
    world.wait_for(Seen::Load(0, 1, 0));
    let address = world.upstreams.addresses()[0];
    assert_eq!(world.end().last(), Some(&Seen::Load(0, 0, 0)));
    assert_eq!(client.answer().unwrap().status, 200);
    assert_eq!(Client::connect(address).err().unwrap().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn what_cannot_be_served_is_refused_at_the_start() {
    let start = |services| {
        let clock = ScenarioClock::starting_now(STARTS, 1.0);
        Upstreams::start(UpstreamsConfig::new(services, SEED), clock, Arc::new(())).err().unwrap()
    };
    let name = service("a\nb", Duration::ZERO);
    assert!(matches!(start(vec![name]), StartError::Name { .. }));
    let call = calling(1, RetryPolicy::default(), None, quick());
    assert!(matches!(start(vec![call]), StartError::Call { called: 1, .. }));
    let world = World::new(vec![quick()]);
    let taken = ServiceConfig { listen: world.upstreams.addresses()[0], ..quick() };
    assert!(matches!(start(vec![taken]), StartError::Listen { .. }));
}

/// With a cache before it, for an object that everybody asks for.
fn cached(collapse_timeout: Duration, service: ServiceConfig) -> ServiceConfig {
    let objects = CachedObjects {
        popularity: Popularity::new(NonZeroU32::MIN, 0.0).unwrap(),
        ttl: Latency::constant(LONG).unwrap(),
        stale: Duration::ZERO,
        warm: false,
        collapse: true,
        collapse_timeout: Some(collapse_timeout),
    };
    with_cache(CacheContents::Objects(objects), service)
}

fn with_cache(contents: CacheContents, service: ServiceConfig) -> ServiceConfig {
    let cache = Some(CacheConfig { contents, hit_latency: Latency::ZERO, host: 0 });
    ServiceConfig { config: UpstreamConfig { cache, ..service.config }, ..service }
}

#[test]
fn one_request_fetches_and_the_others_wait_for_its_answer() {
    let world = World::new(vec![cached(LONG, service("payments", Duration::from_millis(300)))]);
    let mut clients = [world.connect(), world.connect(), world.connect()];
    clients[0].send(GET);
    world.wait_for(Seen::Load(0, 1, 0));
    clients[1].send(GET);
    clients[2].send(GET);
    for client in &mut clients {
        assert_eq!(client.answer().unwrap().status, 200);
    }
    assert_eq!(clients[0].get().unwrap().status, 200);
    // What is no GET or HEAD goes past it.
    clients[0].send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(clients[0].answer().unwrap().status, 200);
    let seen = world.end();
    let of = |wanted: fn(&CacheUse) -> bool| {
        seen.iter().filter(|seen| matches!(seen, Seen::Cache(0, cache_use) if wanted(cache_use))).count()
    };
    // A machine that stands still may let the others come when the answer is there.
    assert_eq!(of(|cache_use| matches!(cache_use, CacheUse::Hit | CacheUse::Collapsed)), 3);
    assert!(of(|cache_use| *cache_use == CacheUse::Miss) <= 1, "one was seen before");
    assert_eq!(seen.iter().filter(|seen| matches!(seen, Seen::Attempt(..))).count(), 4);
}

#[test]
fn whoever_waits_for_too_long_or_for_one_that_left_asks_by_itself() {
    let world = World::new(vec![cached(Duration::from_millis(50), service("payments", LONG))]);
    let (mut first, mut second) = (world.connect(), world.connect());
    first.send(GET);
    world.wait_for(Seen::Load(0, 1, 0));
    second.send(GET);
    world.wait_for(Seen::Load(0, 2, 0));

    let world = World::new(vec![cancelling(cached(LONG, service("payments", LONG)))]);
    let (mut first, mut second) = (world.connect(), world.connect());
    first.send(GET);
    world.wait_for(Seen::Load(0, 1, 0));
    second.send(GET);
    world.wait_for(Seen::Attempt(0, None));
    drop(first);
    world.wait_for(Seen::Load(0, 0, 0));
    world.wait_for(Seen::Load(0, 1, 0));
}

#[test]
fn a_cache_answers_for_a_service_that_refuses() {
    let world = World::new(vec![with_cache(CacheContents::Share(1.0), faulty(FaultKind::Refuse, 1.0))]);
    assert_eq!(world.connect().get().unwrap().status, 200);
    let world = World::new(vec![cached(LONG, faulty(FaultKind::Refuse, 1.0))]);
    assert!(world.connect().get().is_err(), "what is not kept is refused");
}

#[test]
fn whoever_waits_is_turned_away_as_the_one_before_was() {
    // The first hangs until its client leaves; the second then finds that the service fails.
    let second = Duration::from_secs(1);
    let hangs = Fault::new(Duration::ZERO, second, 1.0, FaultKind::Hang, "hangs".to_owned()).unwrap();
    let kind = FaultKind::Error { status: 500, retry_after: NonZeroU32::new(3) };
    let fails = Fault::new(second, LONG, 1.0, kind, "fails".to_owned()).unwrap();
    let faults = FaultTimeline::new(SEED, &[hangs, fails]);
    let world = World::new(vec![cached(LONG, ServiceConfig { faults, ..quick() })]);
    let (mut first, mut waiting) = (world.connect(), world.connect());
    first.send(GET);
    world.wait_for(Seen::Load(0, 1, 0));
    waiting.send(GET);
    world.wait_for(Seen::Attempt(0, None));
    std::thread::sleep(second);
    drop(first);
    let answer = waiting.answer().unwrap();
    assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (500, "3"));
}

#[test]
fn calls_at_once_are_all_made_and_the_first_failure_leaves_the_others() {
    let call = |upstream| Call {
        upstream,
        share: 1.0,
        timeout: None,
        retry: RetryPolicy::default(),
        breaker: None,
        hosts: HostsConfig::default(),
    };
    let asks = |calls| {
        let service = quick();
        ServiceConfig { config: UpstreamConfig { calls, parallel: true, ..service.config }, ..service }
    };
    let all = World::new(vec![
        asks(vec![call(1), call(2)]),
        service("a", Duration::ZERO),
        service("b", Duration::ZERO),
    ]);
    assert_eq!(all.connect().get().unwrap().status, 200);
    let attempts = all.end().iter().filter(|seen| matches!(seen, Seen::Attempt(1 | 2, _))).count();
    assert_eq!(attempts, 2);

    let fails = faulty(FaultKind::Error { status: 500, retry_after: None }, 1.0);
    let one = World::new(vec![asks(vec![call(1), call(2)]), cancelling(service("works", LONG)), fails]);
    let mut client = one.connect();
    client.send(GET);
    // Not before the other has taken its request.
    one.wait_for(Seen::Load(1, 1, 0));
    assert_eq!(client.answer().unwrap().status, 502);
    one.wait_for(Seen::Load(1, 0, 0));
}
