//! What it costs to record a request with all measures on: all that the engine tells of one that is admitted and served.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use reports::{
    CauseId, Finished, Layout, LimitLayout, Outcome, PopulationLayout, Recorder, RouteLayout, RunEvent,
    StationId, StationLayout, Witness as _,
};

const MINUTE: Duration = Duration::from_secs(60);
const BUCKETS: u32 = 1_000;
/// A thousand a second over the duration, and then over it again: a run's seconds are what its memory is for.
const PAUSE: Duration = Duration::from_millis(1);
const DURATION: Duration = Duration::from_secs(3_600);

fn layout() -> Layout {
    let station = |name: &str, workers| StationLayout {
        name: name.to_owned(),
        workers: Some(workers),
        queue: Some(1_024),
        ..StationLayout::default()
    };
    Layout {
        duration: DURATION,
        slo_latency: Duration::from_millis(500),
        populations: vec![PopulationLayout { name: "everyone".to_owned(), hostile: false }],
        routes: vec![RouteLayout { path: "/orders".to_owned(), upstream: 0, reaches: vec![0] }],
        gateway: station("gateway", 256),
        upstreams: vec![station("orders", 4)],
        limits: vec![LimitLayout {
            scope: "per_key".to_owned(),
            algorithm: "fixed-window".to_owned(),
            limit: 1_000,
            window: MINUTE,
            burst: None,
            allowance: 1_000,
            is_sparse: false,
            buckets: BUCKETS,
            peak_windows: vec![Duration::from_secs(4), MINUTE],
            status: 429,
            lets_wait: false,
            joins: Vec::new(),
        }],
        keeps_pairs: true,
        ..Layout::default()
    }
}

fn record(recorder: &mut Recorder, number: u64, at: Duration) {
    let ended = at + Duration::from_micros(10_000 + number % 5_000);
    let (gateway, orders) = (StationId::Gateway, StationId::Upstream(0));
    recorder.hear(at, RunEvent::Offered { population: 0, route: 0, intended: at });
    let bucket = number as u32 % BUCKETS;
    recorder.hear(at, RunEvent::LimitAdmitted { limit: 0, bucket: bucket.into(), remaining: 500 });
    recorder.hear(at, RunEvent::Admitted { population: 0 });
    recorder.hear(at, RunEvent::Waited { station: gateway, waited: Duration::ZERO });
    recorder.hear(at, RunEvent::Load { station: gateway, in_flight: 1, queued: 0 });
    recorder.hear(at, RunEvent::Attempt { station: orders });
    let waited = Duration::from_micros(number % 1_000);
    recorder.hear(at, RunEvent::Waited { station: orders, waited });
    for (station, in_flight) in [(orders, 1), (orders, 0), (gateway, 0)] {
        recorder.hear(at, RunEvent::Load { station, in_flight, queued: 0 });
    }
    let finished = Finished {
        population: 0,
        route: 0,
        intended: at,
        outcome: Outcome::Served,
        reached_upstream: true,
        index: Some(number),
        cause: CauseId::UNKNOWN,
    };
    recorder.hear(ended, RunEvent::Finished(finished));
}

fn recorder(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recorder");
    group.throughput(Throughput::Elements(1));
    let (mut recorder, mut number, mut at) = (Recorder::new(layout()), 0_u64, Duration::ZERO);
    group.bench_function("admitted and served", |bencher| {
        bencher.iter(|| {
            if at >= DURATION {
                // Times do not decrease within a run.
                (recorder, number, at) = (Recorder::new(layout()), 0, Duration::ZERO);
            }
            record(&mut recorder, black_box(number), at);
            (number, at) = (number + 1, at + PAUSE);
        });
    });
    group.finish();
}

criterion_group!(benches, recorder);
criterion_main!(benches);
