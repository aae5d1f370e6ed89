//! What the rules cost a request without the sockets around them: the whole path with limits, breaker, bulkhead and pool,
//! and the breaker alone.

use std::hint::black_box;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gateway::auth::Presented;
use gateway::{
    Algorithm, Breaker, BreakerConfig, Client, ConcurrencyCap, Decision, GatewayConfig, KeySecret, Method,
    Peer, Pipeline, PoolConfig, RateLimit, RateLimits, Request, Route, RouteId, Routes, Settlement,
    Timestamp, UpstreamId, UpstreamPolicy,
};

/// 2026-06-02T09:00:00Z, a Tuesday.
const START: u64 = 1_780_390_800_000_000_000;
const CLIENTS: u64 = 1_000;
const ANSWERED: Settlement = Settlement::Answered { status: 200, took: Duration::from_millis(5) };

/// Everything on, and nothing that it turns away.
fn config() -> GatewayConfig {
    let limit = || RateLimit::new(Algorithm::TokenBucket, 1_000_000, Duration::from_secs(1)).ok();
    let route = Route {
        path: "/orders".to_owned(),
        upstream: UpstreamId(0),
        timeout: None,
        try_timeout: None,
        retry: None,
        concurrency: None,
        auth: true,
    };
    GatewayConfig {
        pool: PoolConfig { workers: NonZeroU32::new(256), queue: Some(1_024), queue_timeout: None },
        limits: RateLimits { per_ip: limit().into(), per_key: limit().into(), ..RateLimits::default() },
        routes: Routes::new(vec![route]).expect("one route"),
        upstreams: vec![UpstreamPolicy {
            concurrency: ConcurrencyCap { max_in_flight: NonZeroU32::new(128), ..ConcurrencyCap::default() },
            breaker: Some(BreakerConfig::RECOMMENDED),
            ..UpstreamPolicy::default()
        }],
        timeout: Some(Duration::from_secs(5)),
        ..GatewayConfig::default()
    }
}

/// A request every 50 µs, from a thousand clients in turn.
fn requests() -> Vec<Request> {
    let request = |number: u64| Request {
        peer: Peer::from(IpAddr::from([127, 1, (number >> 8) as u8, number as u8])),
        client: Client::from_key(KeySecret([0; 16]), format!("partner-{number}").as_bytes()),
        route: Some(RouteId(0)),
        method: Method::Get,
        idempotent: true,
        draw: number,
    };
    (0..CLIENTS).map(request).collect()
}

fn pipeline(criterion: &mut Criterion) {
    let requests = requests();
    let mut gateway = Pipeline::new(config());
    let (mut now, mut sent) = (START, 0_u64);
    let mut group = criterion.benchmark_group("pipeline");
    group.throughput(Throughput::Elements(1));
    group.bench_function("admitted and answered", |bencher| {
        bencher.iter(|| {
            now += 50_000;
            sent += 1;
            let at = Timestamp::from_nanos(now);
            let request = black_box(&requests[(sent % CLIENTS) as usize]);
            let (checks, decision) = gateway.on_request(at, sent, request, &Presented::Nothing);
            let Decision::Forward(forward) = decision else { panic!("nothing is turned away: {decision:?}") };
            let next = gateway.on_finished(at, forward.pass, Some(ANSWERED));
            (checks, next.is_some())
        });
    });
    group.finish();
}

fn breaker(criterion: &mut Criterion) {
    let mut breaker = Breaker::new(BreakerConfig::RECOMMENDED);
    let (mut now, mut sent) = (START, 0_u64);
    let mut group = criterion.benchmark_group("breaker");
    group.throughput(Throughput::Elements(1));
    group.bench_function("permit and record", |bencher| {
        bencher.iter(|| {
            now += 50_000;
            sent += 1;
            let at = Timestamp::from_nanos(now);
            let permit = breaker.on_request(at).expect("it stays closed");
            breaker.on_sent(at, permit);
            // One in ten fails: less than opens it, and both ways of counting are in the figure.
            let settlement = if sent.is_multiple_of(10) { Settlement::TimedOut } else { ANSWERED };
            breaker.on_settled(at, permit, black_box(settlement));
        });
    });
    group.finish();
}

criterion_group!(benches, pipeline, breaker);
criterion_main!(benches);
