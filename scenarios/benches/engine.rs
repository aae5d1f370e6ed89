//! The virtual engine with all measures on, on one thread.
//!
//! One world is a plain queue. The other is `window-boundary` for as many minutes as give 10⁷ requests: a burst of 2,000
//! across the boundary of every minute, and 100/s of everybody else.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mimalloc::MiMalloc;
use tuesday::{Scenario, file, library};

/// As `tuesday` has it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const MINUTES: u64 = 1_250;

/// About; the share that is Poisson scatters by a few thousand.
const REQUESTS: u64 = (MINUTES - 1) * 2_000 + MINUTES * 6_000;

fn burst_every_minute() -> Scenario {
    let shipped = library::find("window-boundary").expect("it ships");
    let (before, rest) = shipped.text.split_once("bursts     = [").expect("its load is bursts");
    let (_, after) = rest.split_once("\n]").expect("bursts are an array");
    let burst = |minute: u64| {
        let (from, at, to) = (minute * 60 - 2, minute * 60, minute * 60 + 2);
        format!(
            "{{ from = '{from}s', to = '{at}s', count = 1000 }}, {{ from = '{at}s', to = '{to}s', count = 1000 }}"
        )
    };
    let bursts: Vec<_> = (1..MINUTES).map(burst).collect();
    let text = format!("{before}bursts = [{}]{after}", bursts.join(", "));
    let text = text.replace("duration = \"2m\"", &format!("duration = \"{MINUTES}m\""));
    let reading = file::read(&text, &|_| Err("no files here".to_owned()));
    let problems = file::render(&reading.problems, "burst-every-minute.toml", &text, false);
    reading.scenario.unwrap_or_else(|| panic!("{problems}"))
}

fn window_boundary(criterion: &mut Criterion) {
    let scenario = burst_every_minute();
    let mut group = criterion.benchmark_group("engine/window-boundary");
    group.sample_size(10).throughput(Throughput::Elements(REQUESTS));
    for variant in &scenario.variants {
        group.bench_function(&variant.name, |bencher| {
            bencher.iter(|| tuesday::run(&scenario.timeline, black_box(variant), 902));
        });
    }
    group.finish();
}

/// Requests of [`event_loop`], about.
const QUEUE_REQUESTS: u64 = 1_000_000;

/// M/M/10 behind a gateway that only passes on: what is left when there are no rules is the event loop, chance and the
/// recorder.
fn event_loop(criterion: &mut Criterion) {
    let text = format!(
        r#"
        name = "M/M/10"
        duration = "{}s"
        slo.latency = "100ms"
        upstreams.orders = {{ workers = 10, latency = {{ exponential = {{ mean = "10ms" }} }} }}
        routes."/orders".upstream = "orders"
        clients.everyone = {{ send = "/orders", rate = "800/s", arrivals = "poisson" }}
        "#,
        QUEUE_REQUESTS / 800
    );
    let reading = file::read(&text, &|_| Err("no files here".to_owned()));
    let problems = file::render(&reading.problems, "mm10.toml", &text, false);
    let scenario = reading.scenario.unwrap_or_else(|| panic!("{problems}"));
    let mut group = criterion.benchmark_group("engine");
    group.sample_size(10).throughput(Throughput::Elements(QUEUE_REQUESTS));
    group.bench_function("event-loop", |bencher| {
        bencher.iter(|| tuesday::run(&scenario.timeline, black_box(&scenario.variants[0]), 902));
    });
    group.finish();
}

criterion_group!(benches, window_boundary, event_loop);
criterion_main!(benches);
