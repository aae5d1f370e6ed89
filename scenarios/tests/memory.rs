//! The memory of a run does not grow with its requests: only with its seconds, by a fixed cost for each.

use peak_alloc::PeakAlloc;
use tuesday::file;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Bytes that a run of the window-boundary world for so many minutes needs beyond the scenario itself.
fn peak_of(minutes: usize) -> usize {
    let burst = |minute| {
        let (from, to) = (minute * 60 - 2, minute * 60 + 2);
        format!("{{ from = '{from}s', to = '{to}s', count = 2000 }}")
    };
    let bursts: Vec<_> = (1..minutes).map(burst).collect();
    let text = format!(
        r#"
        name = "A burst every minute"
        starts = 2026-06-02T09:00:00Z
        duration = "{minutes}m"
        slo.latency = "500ms"
        upstreams.orders = {{ workers = 4, queue = 1024, latency = {{ log-normal = {{ median = "12ms", p99 = "60ms" }} }} }}
        routes."/orders".upstream = "orders"
        clients.partner = {{ send = "/orders", timeout = "10s", bursts = [{}] }}
        clients.everyone = {{ send = "/orders", timeout = "10s", identities = 200, rate = "100/s", arrivals = "poisson" }}
        [gateway]
        workers = 256
        queue = 1024
        timeout = "5s"
        rate_limit.per_key = {{ algorithm = "sliding-window-log", limit = 1000, window = "1m" }}
        "#,
        bursts.join(", ")
    );
    let reading = file::read(&text, &|_| Err(String::new()));
    let scenario =
        reading.scenario.unwrap_or_else(|| panic!("{}", file::render(&reading.problems, "x", &text, false)));
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let recording = tuesday::run(&scenario.timeline, &scenario.variants[0], 902);
    let peak = MEMORY.peak_usage() - before;
    drop(recording);
    peak
}

#[test]
fn memory_is_flat_in_requests_but_for_a_fixed_cost_per_second() {
    let (short, long) = (peak_of(10), peak_of(100));
    // Ninety minutes and 720,000 requests more. Of each second there are four counts of each of two populations, two
    // of the limit, two of the gateway, two of the upstream and one of the attempts at it, of four bytes: 60 bytes.
    // The rest is the ninety bursts, each a stream of its own in the schedule.
    let per_second = (long.saturating_sub(short)) as f64 / (90.0 * 60.0);
    assert!(per_second <= 64.0, "{per_second} bytes per second, {short} to {long} bytes");
}
