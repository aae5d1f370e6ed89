//! Metrics and log of a server, as those who run it see them.

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ::gateway::server::{Ended, Observer, ScenarioClock, Seen, Server, ServerConfig, TraceConfig};
use ::gateway::telemetry::{Admin, Facts, JsonLines, Metrics, Names, Page, RequestLog, Site, Telemetry};
use ::gateway::{
    Algorithm, AttemptEnd, BreakerConfig, Checks, Client as Caller, ConcurrencyCap, Decision, Entrance,
    GatewayConfig, KeySecret, Method as KnownMethod, NO_KEYS, Peer, PoolConfig, RateLimit, RateLimits,
    Request as Asked, RequestEnd, RouteId, SharedAdmission, Stop, UpstreamPolicy,
};
use http::{HeaderMap, Method, Uri};
use serde_json::Value;

use crate::client::{Answer, Client};
use crate::gateway::{START, routes};
use crate::upstream::{Reply, Upstream, ok};

/// A server with everything that is told of it.
struct Told {
    server: Server,
    metrics: Arc<Metrics>,
    admin: Admin,
    log: RequestLog,
    /// What is logged comes here.
    file: tempfile::NamedTempFile,
}

fn config() -> GatewayConfig {
    let limit = |limit| RateLimit::new(Algorithm::FixedWindow, limit, Duration::from_secs(3_600)).ok();
    let breaker = BreakerConfig::new(Duration::from_secs(30), 0.5, 4).ok();
    let pool = PoolConfig { workers: NonZeroU32::new(8), queue: Some(4), queue_timeout: None };
    GatewayConfig {
        limits: RateLimits { per_key: limit(4).into(), global: limit(1_000).into(), ..RateLimits::default() },
        pool,
        routes: routes(2),
        upstreams: vec![
            UpstreamPolicy {
                breaker,
                concurrency: ConcurrencyCap {
                    max_in_flight: NonZeroU32::new(6),
                    ..ConcurrencyCap::default()
                },
                ..UpstreamPolicy::default()
            };
            2
        ],
        ..GatewayConfig::default()
    }
}

impl Told {
    fn new(upstreams: &[SocketAddr]) -> Self {
        Self::at_speed(1.0, upstreams)
    }

    fn at_speed(speed: f64, upstreams: &[SocketAddr]) -> Self {
        let config = config();
        let names = Names::new(&config, ["orders", "payments"]);
        let metrics = Arc::new(Metrics::new(&config, &names, START));
        let file = tempfile::NamedTempFile::new().unwrap();
        let log = RequestLog::start(JsonLines::new(file.reopen().unwrap()), names, None).unwrap();
        let observer = Telemetry::new((), Arc::clone(&metrics), Some(log.sender()));
        let mut server = ServerConfig::new(LOOPBACK, config, upstreams.to_vec());
        server.traces = Some(TraceConfig::new(902));
        let clock = ScenarioClock::starting_now(START, speed);
        let server = Server::start(server, clock, Arc::new(observer)).unwrap();
        metrics.observe(server.monitor());
        let admin = Admin::start(LOOPBACK, &[], Arc::clone(&metrics) as _).unwrap();
        Self { server, metrics, admin, log, file }
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let samples = self.metrics.samples(16);
        let matches = |sample: &&::gateway::telemetry::Sample| {
            sample.name == name && labels.iter().all(|(label, value)| sample.label(label) == Some(value))
        };
        samples.iter().find(matches).map(|sample| sample.value)
    }

    /// Everything that was logged, once nobody writes any more.
    fn logged(self) -> Vec<Value> {
        self.server.shutdown(Duration::from_secs(10));
        drop(self.log);
        let text = fs::read_to_string(self.file.path()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn get(client: &mut Client, path: &str, key: &str) -> Answer {
    client
        .send(format!("GET {path} HTTP/1.1\r\nhost: gateway.test\r\nx-api-key: {key}\r\n\r\n"))
        .answer(false)
}

/// Asks an admin port.
fn look(client: &mut Client, path: &str) -> Answer {
    client.send(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:1\r\n\r\n")).answer(false)
}

/// An upstream that serves, and one that does not.
fn upstreams() -> (Upstream, Upstream) {
    let failing = b"HTTP/1.1 500 -\r\ncontent-length: 0\r\n\r\n".to_vec();
    (
        Upstream::answering(|_| Reply::Send(ok("hello"))),
        Upstream::answering(move |_| Reply::Send(failing.clone())),
    )
}

#[test]
fn what_happens_is_counted_and_logged_and_no_key_is_told() {
    let (orders, payments) = upstreams();
    let told = Told::new(&[orders.address, payments.address]);
    let mut client = Client::connect(told.server.address());
    // Five of one key, of which four are let through; four failures of the other, which open its breaker.
    let statuses: Vec<u16> =
        (0..5).map(|_| get(&mut client, "/?token=hidden-in-a-query", "sk-very-secret").status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 429]);
    for key in 0..5 {
        get(&mut client, "/1", &format!("sk-secret-{key}"));
    }

    let requests = |labels: &[(&str, &str)]| told.value("gateway_requests_total", labels);
    assert_eq!(requests(&[("route", "/"), ("outcome", "served"), ("status", "2xx")]), Some(4.0));
    assert_eq!(requests(&[("route", "/"), ("outcome", "rate-limited"), ("status", "4xx")]), Some(1.0));
    assert_eq!(requests(&[("route", "/1"), ("outcome", "upstream-error"), ("status", "5xx")]), Some(4.0));
    assert_eq!(requests(&[("route", "/1"), ("outcome", "short-circuited"), ("status", "5xx")]), Some(1.0));
    for (name, labels, value) in [
        ("gateway_request_duration_seconds_count", &[("route", "/")][..], 5.0),
        ("gateway_upstream_duration_seconds_count", &[("route", "/")], 4.0),
        ("gateway_upstream_attempts_total", &[("upstream", "payments")], 4.0),
        ("gateway_breaker_state", &[("upstream", "payments"), ("state", "open")], 1.0),
        ("gateway_breaker_state", &[("upstream", "orders"), ("state", "closed")], 1.0),
        ("gateway_breaker_transitions_total", &[("upstream", "payments"), ("to", "open")], 1.0),
        ("gateway_rate_limit_decisions_total", &[("scope", "per_key"), ("verdict", "rejected")], 1.0),
        ("gateway_rate_limit_saturation_ratio", &[("scope", "per_key")], 1.0),
        ("gateway_rate_limit_buckets", &[("scope", "per_key")], 6.0),
        ("gateway_pool_workers_limit", &[], 8.0),
        ("gateway_pool_workers_in_use", &[], 0.0),
        ("gateway_upstream_in_flight_limit", &[("upstream", "orders")], 6.0),
        ("gateway_telemetry_dropped_total", &[("sink", "log")], 0.0),
        ("gateway_broken_invariants_total", &[], 0.0),
    ] {
        assert_eq!(told.value(name, labels), Some(value), "{name} {labels:?}");
    }

    let lines = told.logged();
    let all = format!("{lines:?}");
    assert!(!all.contains("secret") && !all.contains("hidden"), "{all}");
    let requests: Vec<_> = lines.iter().filter(|line| line["target"] == "gateway::request").collect();
    assert_eq!(requests.len(), 10);
    let rejected = requests[4];
    assert_eq!(rejected["reason"], "rate-limited");
    assert_eq!(rejected["rate_limits"]["per_key"]["admitted"], false);
    assert_eq!(rejected["client"].as_str().map(str::len), Some(16));
    assert_eq!(requests[0]["client"], rejected["client"]);
    assert_eq!(requests[9]["breaker"], "open");
    assert!(requests.iter().all(|line| line["peer"] == "127.0.0.1" && line["trace_id"].is_string()));
    let opened = lines.iter().find(|line| line["target"] == "gateway::breaker").unwrap();
    assert_eq!(
        (&opened["upstream"], &opened["to"], &opened["failures"]),
        (&"payments".into(), &"open".into(), &4.into())
    );
}

/// A window of an hour is over in 36 µs of this gateway's clock: before any answer is read.
#[test]
fn the_buckets_of_an_idle_gateway_are_counted_no_more() {
    let (orders, payments) = upstreams();
    let told = Told::at_speed(1e8, &[orders.address, payments.address]);
    let mut client = Client::connect(told.server.address());
    for key in 0..20 {
        assert_eq!(get(&mut client, "/", &format!("k{key}")).status, 200);
    }
    for scope in ["per_key", "global"] {
        assert_eq!(told.value("gateway_rate_limit_buckets", &[("scope", scope)]), Some(0.0), "{scope}");
    }
}

#[test]
fn the_admin_port_answers_those_who_look_and_nobody_else() {
    let (orders, payments) = upstreams();
    let told = Told::new(&[orders.address, payments.address]);
    let mut client = Client::connect(told.admin.address());
    let answer = look(&mut client, "/metrics");
    assert_eq!(
        (answer.status, answer.value("content-type")),
        (200, Some("text/plain; version=0.0.4; charset=utf-8"))
    );
    assert!(answer.text().contains("# TYPE gateway_pool_workers_in_use gauge"), "{}", answer.text());
    assert_eq!(look(&mut client, "/healthz").text(), "ok\n");
    assert_eq!(look(&mut client, "/").status, 404);
    let posted =
        client.send("POST /metrics HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n").answer(false);
    assert_eq!((posted.status, posted.value("allow")), (405, Some("GET, HEAD")));
    let head = client.send("HEAD /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").answer(true);
    assert_eq!(head.status, 200);
    // And the port that serves has none of it.
    assert_eq!(Client::connect(told.server.address()).get("/metrics").text(), "hello");
}

#[test]
fn a_hundred_thousand_keys_are_not_one_series_more() {
    let config = config();
    let names = Names::new(&config, ["orders", "payments"]);
    let metrics = Arc::new(Metrics::new(&config, &names, START));
    let observer = Telemetry::new((), Arc::clone(&metrics), None);
    let entrance = Entrance::new(&config, KeySecret([0; 16]));
    let limits = SharedAdmission::new(&config.limits);
    let send = |number: u32| {
        let peer = IpAddr::from(std::net::Ipv4Addr::from_bits(0x7f01_0000 + number % 60_000));
        let client = Caller::from_key(KeySecret([0; 16]), format!("key-{number}").as_bytes());
        let route = Some(RouteId(0));
        let request = Asked {
            peer: Peer::from(peer),
            client,
            route,
            method: KnownMethod::Get,
            idempotent: true,
            draw: 0,
        };
        let mut checks = Checks::default();
        let end = match entrance.on_request(START, &request, &mut &limits, NO_KEYS, &mut checks) {
            Err(Stop::Rejected(rejection)) => RequestEnd::Rejected(rejection),
            _ => RequestEnd::Attempt(AttemptEnd::Answered(200)),
        };
        let decision = Decision::Queue { deadline: None };
        let seen = Seen {
            claims: None,
            peer,
            key: None,
            method: &Method::GET,
            uri: &Uri::default(),
            headers: &HeaderMap::new(),
            route,
            client,
            traced: None,
        };
        let mark = observer.on_decided(START, &seen, &checks, &decision);
        observer.on_worker(START, mark, Duration::ZERO);
        let limits = config.limits.facts();
        let facts =
            Arc::new(Facts { peer, client, route, checks, limits, breaker: None, traced: None, auth: None });
        let time = Duration::from_millis(u64::from(number % 100));
        let ended = Ended { end, attempts: 1, upstream_time: Some(time), total_time: time };
        observer.on_finished(START, mark, &facts, &ended);
    };
    (0..2_000).for_each(send);
    let series = || metrics.samples(16).len();
    let before = series();
    (2_000..100_000).for_each(send);
    assert_eq!(series(), before);
    assert!(before < 250, "{before} series");
    let text = metrics.render();
    assert!(!text.contains("key-") && !text.contains("127.1."), "{text}");
}

/// Whether a program is there; a test that needs one says so where it is not.
fn has(program: &str) -> bool {
    let found =
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        // Straight to standard error: what a test that passes prints by a macro is shown to nobody.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {program} is not installed");
    }
    found
}

#[test]
fn promtool_has_nothing_to_say_against_the_metrics() {
    if !has("promtool") {
        return;
    }
    let (orders, payments) = upstreams();
    let told = Told::new(&[orders.address, payments.address]);
    let mut client = Client::connect(told.server.address());
    (0..5).for_each(|_| _ = get(&mut client, "/", "a"));
    let text = look(&mut Client::connect(told.admin.address()), "/metrics").text();
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
        "{output:?}\n{text}"
    );
}

/// A Prometheus that is ended with its test.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn prometheus_scrapes_what_was_counted() {
    if !has("prometheus") {
        return;
    }
    let (orders, payments) = upstreams();
    let told = Told::new(&[orders.address, payments.address]);
    let mut client = Client::connect(told.server.address());
    (0..5).for_each(|_| _ = get(&mut client, "/", "a"));

    let folder = tempfile::tempdir().unwrap();
    let settings = format!(
        "scrape_configs: [{{ job_name: gateway, scrape_interval: 100ms, scrape_timeout: 100ms, static_configs: [{{ targets: ['{}'] }}] }}]\n",
        told.admin.address()
    );
    fs::write(folder.path().join("prometheus.yml"), settings).unwrap();
    // Prometheus does not say which port it took for 0. At this address it is the only one to listen, so that the port is
    // still free when it starts.
    let address = std::net::TcpListener::bind("127.0.0.3:0").unwrap().local_addr().unwrap();
    let _prometheus = Prometheus(
        Command::new("prometheus")
            .current_dir(folder.path())
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=error"])
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let query = "/api/v1/query?query=sum(gateway_requests_total)by(outcome)";
    let mut last = String::new();
    for _ in 0..400 {
        if let Ok(stream) = std::net::TcpStream::connect(address) {
            let answer = Client::over(stream).get(query);
            last = answer.text();
            let told: Value = serde_json::from_str(&last).unwrap_or_default();
            let results = told["data"]["result"].as_array().cloned().unwrap_or_default();
            let value = |outcome: &str| {
                let result = results.iter().find(|result| result["metric"]["outcome"] == outcome)?;
                result["value"][1].as_str().map(str::to_owned)
            };
            if value("served").as_deref() == Some("4") && value("rate-limited").as_deref() == Some("1") {
                return;
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("Prometheus never had it: {last}");
}

/// Tells more than anybody has room for who does not read it.
struct Chatter;

impl Site for Chatter {
    fn get(&self, path: &str) -> Option<Page> {
        match path {
            "/events" => {
                let next = Box::new(|| Some("x".repeat(1 << 20)));
                Some(Page::Events { every: Duration::from_millis(1), next })
            }
            "/healthz" => Some(Page::Document { kind: "text/plain", body: "ok\n".into() }),
            _ => None,
        }
    }
}

#[test]
fn whoever_follows_events_and_does_not_read_silences_nobody_else() {
    let admin = Admin::start(LOOPBACK, &[], Arc::new(Chatter)).unwrap();
    let follow = || {
        let mut client = Client::connect(admin.address());
        client.send("GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let head = client.try_head().unwrap();
        (client, head)
    };
    let mut followers = Vec::new();
    for number in 0..64 {
        let (client, head) = follow();
        assert_eq!(head.status, if number < 32 { 200 } else { 503 }, "{number}");
        assert_eq!(head.value("retry-after").is_some(), number >= 32);
        followers.push(client);
    }
    // Nor do those who say nothing, however many they are.
    let silent: Vec<_> = (0..100).map(|_| Client::connect(admin.address())).collect();
    for _ in 0..100 {
        assert_eq!(look(&mut Client::connect(admin.address()), "/healthz").text(), "ok\n");
    }
    drop((followers, silent));
}

#[test]
fn an_admin_port_is_asked_by_its_address_and_by_no_other_name() {
    let admin = Admin::start(LOOPBACK, &[], Arc::new(Chatter)).unwrap();
    let ask = |line: &str, fields: &str| {
        let mut client = Client::connect(admin.address());
        client.send(format!("{line}\r\n{fields}connection: close\r\n\r\n")).answer(false).status
    };
    for host in ["localhost", "LOCALHOST:9090", "127.0.0.1:9090", "[::1]:9090", "192.0.2.1"] {
        assert_eq!(ask("GET /healthz HTTP/1.1", &format!("host: {host}\r\n")), 200, "{host}");
    }
    for fields in [
        "host: evil.test:9090\r\n",
        "host: localhost.evil.test\r\n",
        "host: 127.0.0.1.evil.test\r\n",
        "host: \r\n",
        "host: localhost\r\nhost: evil.test\r\n",
        "",
    ] {
        assert_eq!(ask("GET /healthz HTTP/1.1", fields), 421, "{fields}");
    }
    assert_eq!(ask("GET http://evil.test/healthz HTTP/1.1", "host: localhost\r\n"), 421);
    // Browsers name a host always, and do not speak this version.
    assert_eq!(ask("GET /healthz HTTP/1.0", ""), 200);
}

#[test]
fn an_admin_port_is_asked_by_the_names_it_was_given() {
    let hosts = ["gateway.example".to_owned(), "ops.example".to_owned()];
    let admin = Admin::start(LOOPBACK, &hosts, Arc::new(Chatter)).unwrap();
    let ask = |line: &str, host: &str| {
        let mut client = Client::connect(admin.address());
        client.send(format!("{line}\r\nhost: {host}\r\nconnection: close\r\n\r\n")).answer(false).status
    };
    for host in ["gateway.example", "GATEWAY.example:9090", "ops.example:80", "localhost", "127.0.0.1"] {
        assert_eq!(ask("GET /healthz HTTP/1.1", host), 200, "{host}");
    }
    for host in ["example", "evil.gateway.example", "gateway.example.evil.test", "evil.test"] {
        assert_eq!(ask("GET /healthz HTTP/1.1", host), 421, "{host}");
    }
    assert_eq!(ask("GET http://ops.example/healthz HTTP/1.1", "gateway.example"), 200);
    assert_eq!(ask("GET http://evil.test/healthz HTTP/1.1", "gateway.example"), 421);
}
