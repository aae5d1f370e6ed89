//! The same version, scenario and seed give the same bytes; and nothing that is added shifts what was there.

use crate::common::{run_one, scenario};
use proptest::prelude::*;
use rayon::ThreadPoolBuilder;
use reports::to_json;
use tuesday::{library, run_experiment};

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    for shipped in library::all() {
        let scenario = scenario(shipped.text);
        let seeds = [scenario.seed, 7];
        let on = |threads| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            to_json(&pool.install(|| run_experiment(&scenario, &seeds, || {})))
        };
        let alone = on(1);
        for threads in [2, 8] {
            assert!(on(threads) == alone, "{} differs on {threads} threads", shipped.name);
        }
    }
}

#[test]
fn another_seed_gives_another_run() {
    let scenario = scenario(library::find("window-boundary").unwrap().text);
    let with = |seed| run_experiment(&scenario, &[seed], || {}).variants[0].runs[0].clone();
    assert_ne!(with(1).populations[1].offered_per_s, with(2).populations[1].offered_per_s);
}

/// A world in which nobody waits for anybody: what a population sees is its own arrivals and service times.
fn world(populations: &str) -> String {
    format!(
        r#"
        name = "Common random numbers"
        starts = 2026-06-02T09:00:00Z
        duration = "5m"
        seed = 902
        slo.latency = "50ms"
        [upstreams]
        orders = {{ latency = {{ log-normal = {{ median = "12ms", p99 = "60ms" }} }} }}
        search = {{ latency = {{ exponential = {{ mean = "40ms" }} }} }}
        [routes]
        "/orders" = {{ upstream = "orders" }}
        "/search" = {{ upstream = "search" }}
        {populations}
        "#
    )
}

const SHOPPERS: &str = r#"
    [clients.shoppers]
    identities = 50
    send = { "/orders" = 1, "/search" = 3 }
    rate = "40/s"
    arrivals = "poisson"
"#;

const USERS: &str = r#"
    [clients.users]
    identities = 20
    send = "/search"
    users = 30
    think = { exponential = { mean = "2s" } }
"#;

const OTHERS: &str = r#"
    [clients.others]
    send = { "/search" = 1, "/orders" = 5 }
    ramp = [{ at = "0s", rate = "10/s" }, { at = "5m", rate = "90/s" }]
    arrivals = "poisson"
"#;

#[test]
fn adding_a_population_leaves_arrivals_and_service_times_of_the_others_alone() {
    for (name, itself) in [("shoppers", SHOPPERS), ("users", USERS)] {
        let alone = run_one(&world(itself));
        let before = run_one(&world(&format!("{OTHERS}{itself}")));
        let after = run_one(&world(&format!("{itself}{OTHERS}")));
        for run in [before, after] {
            assert_eq!(run.populations.len(), 2);
            let population = run.populations.iter().find(|population| population.name == name);
            // Every count, second and percentile.
            assert_eq!(population, Some(&alone.populations[0]));
        }
    }
}

#[test]
fn a_limit_shifts_no_service_time_of_what_it_lets_through() {
    // The limit rejects the odd request of a key; the others must meet the very times they met without it. Minimum
    // and maximum over thousands of requests would move with any shift of the stream.
    let limit = "[gateway.rate_limit.per_key]\nalgorithm = 'fixed-window'\nlimit = 1000000\nwindow = '1m'\n";
    let (without, with) = (run_one(&world(SHOPPERS)), run_one(&world(&format!("{SHOPPERS}{limit}"))));
    assert_eq!(without.populations, with.populations);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever the world, each request ends in exactly one way, and no place is left taken.
    #[test]
    fn every_request_ends_once(
        seed in any::<u64>(),
        rate in 1u32..400,
        gateway_workers in 1u32..8,
        gateway_queue in 0u32..20,
        workers in 1u32..6,
        queue in 0u32..10,
        timeout_ms in 20u32..2_000,
        route_timeout_ms in 20u32..2_000,
        queue_timeout_ms in 20u32..500,
    ) {
        let text = format!(
            r#"
            name = "Anything"
            starts = 2026-06-02T09:00:00Z
            duration = "20s"
            seed = {}
            slo.latency = "50ms"
            upstreams.api = {{ workers = {workers}, queue = {queue}, latency = {{ exponential = {{ mean = "30ms" }} }} }}
            routes."/" = {{ upstream = "api" }}
            [gateway]
            workers = {gateway_workers}
            queue = {gateway_queue}
            queue_timeout = "{queue_timeout_ms}ms"
            timeout = "{route_timeout_ms}ms"
            rate_limit.per_ip = {{ algorithm = "gcra", limit = 30, window = "1s" }}
            [clients]
            open = {{ identities = 5, send = "/", rate = "{rate}/s", arrivals = "poisson", timeout = "{timeout_ms}ms" }}
            closed = {{ identities = 5, send = "/", users = 20, think = "100ms", timeout = "{timeout_ms}ms" }}
            "#,
            seed >> 1,
        );
        let run = run_one(&text);
        for population in &run.populations {
            let ended: u64 = population.summary.outcomes.values().sum();
            prop_assert_eq!(ended, population.summary.offered);
        }
        let overall = &run.overall;
        prop_assert_eq!(overall.count(reports::Outcome::Unfinished), 0);
        let offered: u64 = run.populations.iter().map(|population| population.summary.offered).sum();
        prop_assert_eq!(overall.offered, offered);
        prop_assert!(run.stations[0].peak_in_flight <= gateway_workers);
        prop_assert!(run.stations[0].peak_queued <= gateway_queue);
        prop_assert!(run.stations[1].peak_in_flight <= workers);
        prop_assert!(run.stations[1].peak_queued <= queue);
        prop_assert!(overall.latency.max_us <= u64::from(timeout_ms) * 1_001);
    }
}
