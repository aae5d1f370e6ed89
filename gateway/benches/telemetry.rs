//! What telemetry costs the gateway: requests per second without it and with all of it (log, metrics, traces), over real
//! sockets, in turn within one run so that whatever else the machine does falls on both.
//!
//! Closed loop: so many connections send as fast as they are answered, to an upstream that answers at once. Client, gateway,
//! upstream and log share the machine, so that what the log's thread takes is taken from the gateway, as in production.

#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use gateway::server::{Observer, ScenarioClock, Server, ServerConfig, TraceConfig};
use gateway::telemetry::{JsonLines, Metrics, Names, RequestLog, Telemetry};
use gateway::{
    Algorithm, BreakerConfig, GatewayConfig, RateLimit, RateLimits, Route, Routes, Timestamp, UpstreamId,
    UpstreamPolicy,
};
use mimalloc::MiMalloc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// As `tuesday gateway` has it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// 2026-06-02T09:00:00Z, a Tuesday.
const START: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);

const LOOPBACK: &str = "127.0.0.1:0";
const CONNECTIONS: usize = 32;
const ROUND: Duration = Duration::from_millis(400);
const ROUNDS: usize = 150;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

fn main() -> io::Result<()> {
    let upstream = upstream()?;
    let config = config();
    let names = Names::new(&config, ["orders"]);
    let metrics = Arc::new(Metrics::new(&config, &names, START));
    let place = std::env::temp_dir().join(format!("tuesday-bench-{}.jsonl", std::process::id()));
    let lines = JsonLines::buffered(1 << 16, File::create(&place)?);
    let log = RequestLog::start(lines, names, None)?;
    let telemetry = Telemetry::new((), Arc::clone(&metrics), Some(log.sender()));
    let off = start(&config, upstream, Arc::new(()), None);
    let on = start(&config, upstream, Arc::new(telemetry), Some(TraceConfig::new(902)));
    metrics.observe(on.monitor());

    let client = runtime()?;
    for server in [&off, &on] {
        client.block_on(load(server.address()));
    }
    let (mut without, mut with) = (Side::default(), Side::default());
    for round in 0..ROUNDS {
        let measure = |server: &Server, side: &mut Side| {
            let before = busy();
            let answered = client.block_on(load(server.address())) as f64;
            side.per_second.push(answered / ROUND.as_secs_f64());
            let busy = busy().zip(before).map(|(after, before)| after - before);
            side.busy_us.extend(busy.map(|busy| busy as f64 / 1e3 / answered));
        };
        if round % 2 == 0 {
            measure(&off, &mut without);
            measure(&on, &mut with);
        } else {
            measure(&on, &mut with);
            measure(&off, &mut without);
        }
    }
    let dropped = log.sender().dropped();
    drop((off, on, log));
    let logged = std::fs::metadata(&place)?.len();
    std::fs::remove_file(&place)?;
    println!(
        "medians of {ROUNDS} rounds of {ROUND:?} each, in turn, {CONNECTIONS} connections; the budget is 10%"
    );
    println!("                     requests per second   processor of gateway and log, a request");
    for (name, side) in [("without telemetry", &without), ("with telemetry", &with)] {
        let (rate, busy) = (quartiles(&side.per_second)[1], quartiles(&side.busy_us)[1]);
        println!("  {name:<17}  {rate:>19.0}   {busy:>37.1} us");
    }
    // Round against round: what the machine does meanwhile is much the same for both of a pair.
    let ratios = |with: &[f64], without: &[f64]| {
        let ratios: Vec<f64> = with.iter().zip(without).map(|(with, without)| with / without).collect();
        quartiles(&ratios).map(|ratio| (ratio - 1.0) * 100.0)
    };
    let [low, rate, high] = ratios(&with.per_second, &without.per_second);
    let [least, busy, most] = ratios(&with.busy_us, &without.busy_us);
    println!("  of a pair          {rate:>+18.1}%   {busy:>+37.1}%");
    println!("  half of the pairs  {low:>+9.1} to {high:>+4.1}%   {least:>+27.1} to {most:>+5.1}%");
    println!("  log: {:.0} MB written, {dropped} lines dropped", logged as f64 / 1e6);
    Ok(())
}

/// What was measured on one side, round by round.
#[derive(Default)]
struct Side {
    per_second: Vec<f64>,
    /// Of the processor, by the threads of the gateway and of its log, for a request.
    busy_us: Vec<f64>,
}

/// The values below which a quarter, half and three quarters of them are.
fn quartiles(values: &[f64]) -> [f64; 3] {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values.get(values.len() * quarter / 4).copied().unwrap_or(f64::NAN))
}

/// For how many nanoseconds the gateway's threads and the log's have been on a processor: unlike the rate, that does not
/// depend on who else wants one. Linux tells it; elsewhere nobody does.
fn busy() -> Option<u64> {
    let mut busy = 0;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let task = task.ok()?.path();
        let name = std::fs::read_to_string(task.join("comm")).ok()?;
        if name.starts_with("gateway-") || name.trim() == "log" {
            let told = std::fs::read_to_string(task.join("schedstat")).ok()?;
            busy += told.split(' ').next()?.parse::<u64>().ok()?;
        }
    }
    Some(busy)
}

/// Limits and a breaker that let everything through, so that all of their series are in use.
fn config() -> GatewayConfig {
    let limit = || RateLimit::new(Algorithm::TokenBucket, 1_000_000_000, Duration::from_secs(1)).ok();
    let route = Route {
        path: "/".to_owned(),
        upstream: UpstreamId(0),
        timeout: None,
        try_timeout: None,
        retry: None,
        concurrency: None,
        auth: true,
    };
    let breaker = Some(BreakerConfig::RECOMMENDED);
    GatewayConfig {
        limits: RateLimits { per_ip: limit().into(), per_key: limit().into(), ..RateLimits::default() },
        routes: Routes::new(vec![route]).expect("one route"),
        upstreams: vec![UpstreamPolicy { breaker, ..UpstreamPolicy::default() }],
        timeout: Some(Duration::from_secs(5)),
        ..GatewayConfig::default()
    }
}

fn start(
    config: &GatewayConfig,
    upstream: SocketAddr,
    observer: Arc<dyn Observer>,
    traces: Option<TraceConfig>,
) -> Server {
    let listen = LOOPBACK.parse().expect("an address");
    let mut server = ServerConfig::new(listen, config.clone(), vec![upstream]);
    server.traces = traces;
    Server::start(server, ScenarioClock::starting_now(START, 1.0), observer).expect("a server")
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Answers every request at once, without looking at it: none has a body.
fn upstream() -> io::Result<SocketAddr> {
    let runtime = runtime()?;
    let listener = runtime.block_on(TcpListener::bind(LOOPBACK))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        runtime.block_on(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    stream.set_nodelay(true)?;
                    while stream.read(&mut buffer).await? > 0 {
                        stream.write_all(ANSWER).await?;
                    }
                    io::Result::Ok(())
                });
            }
        });
    });
    Ok(address)
}

/// Sends for a round, and says how many requests were answered.
async fn load(gateway: SocketAddr) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
    let end = Instant::now() + ROUND;
    let clients = (0..CONNECTIONS).map(|number| tokio::spawn(client(gateway, number, end)));
    let mut answered = 0;
    for client in clients.collect::<Vec<_>>() {
        answered += client.await.expect("a client that goes on").expect("an answer");
    }
    answered
}

async fn client(gateway: SocketAddr, number: usize, end: Instant) -> io::Result<u64> {
    let mut stream = TcpStream::connect(gateway).await?;
    stream.set_nodelay(true)?;
    let request =
        format!("GET /orders/{number} HTTP/1.1\r\nhost: gateway.test\r\nx-api-key: partner-{number}\r\n\r\n");
    let (mut buffer, mut answered) = ([0; 4096], 0);
    loop {
        #[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
        if Instant::now() >= end {
            return Ok(answered);
        }
        stream.write_all(request.as_bytes()).await?;
        let mut read = 0;
        while !buffer[..read].ends_with(b"hello") {
            match stream.read(&mut buffer[read..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                some => read += some,
            }
        }
        answered += 1;
    }
}
