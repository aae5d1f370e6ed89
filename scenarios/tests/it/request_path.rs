//! The path of a request, in worlds small enough to work out by hand.

use crate::common::{assert_held, run, run_one};
use reports::Outcome;

fn world(upstream: &str, gateway: &str, client: &str) -> String {
    format!(
        r#"
        name = "By hand"
        starts = 2026-06-02T09:00:00Z
        duration = "10s"
        slo.latency = "1s"
        [upstreams.api]
        {upstream}
        [routes]
        "/" = {{ upstream = "api" }}
        [clients.one]
        send = "/"
        {client}
        [gateway]
        {gateway}
        "#
    )
}

#[test]
fn an_upstream_does_not_notice_that_its_caller_left() {
    // A request each second, 3.5 s of work for one worker, clients that give up after 0.9 s. The work of a caller who
    // left goes on: the worker is busy from 0 to 3.5, from 4 to 7.5 and from 8 to 11.5.
    let upstream = "workers = 1\nqueue = 0\nlatency = { constant = '3.5s' }";
    let run = run_one(&world(upstream, "", "rate = '1/s'\ntimeout = '900ms'"));
    assert_eq!(run.overall.offered, 10);
    assert_eq!(run.overall.count(Outcome::GaveUp), 3);
    assert_eq!(run.overall.count(Outcome::UpstreamError), 7);
    assert_eq!(run.attempts, 10);
    // 3.5 + 3.5 + 2 of 10 seconds.
    assert!((run.stations[1].utilization.unwrap() - 0.9).abs() < 1e-9);
    // The gateway's worker is free as soon as the client leaves.
    assert!((run.stations[0].peak_in_flight, run.stations[0].peak_queued) == (1, 0));
}

#[test]
fn the_route_timeout_answers_and_frees_the_worker() {
    let gateway = "workers = 1\nqueue = 0\ntimeout = '500ms'";
    let run = run_one(&world("latency = { constant = '3s' }", gateway, "rate = '1/s'\ntimeout = '10s'"));
    assert_eq!(run.overall.count(Outcome::TimedOut), 10);
    // To three significant digits.
    for time in [run.overall.latency.at(0.0).unwrap(), run.overall.latency.max_us] {
        assert!(time.abs_diff(500_000) < 500, "{time}");
    }
    assert!((run.stations[0].utilization.unwrap() - 0.5).abs() < 1e-9);
}

#[test]
fn a_full_gateway_sheds_and_a_long_wait_in_its_queue_too() {
    // One worker, work of 2 s, a request each 500 ms, one place to wait for 1 s at most. What falls on one instant
    // happens in the order in which it was scheduled: a completion before an arrival, a queue timeout too.
    //   0.0 starts; 0.5 waits; 1.0 finds the queue full; at 1.5 the wait of 0.5 is over and 1.5 takes its place.
    //   At 2.0 the worker is free for 1.5, which waited 0.5 s; 2.0 waits, 2.5 is shed, at 3.0 the wait of 2.0 is over,
    //   3.0 waits, 3.5 is shed, and at 4.0 the worker is free for 3.0, which waited 1 s. From there on it repeats:
    //   5.0 starts at 6.0, 7.0 at 8.0 and 9.0 at 10.0.
    let gateway = "workers = 1\nqueue = 1\nqueue_timeout = '1s'";
    let client = "bursts = [{ from = '0s', to = '10s', count = 20 }]";
    let run = run_one(&world("latency = { constant = '2s' }", gateway, client));
    assert_eq!(run.overall.offered, 20);
    assert_eq!(run.overall.count(Outcome::Served), 6);
    assert_eq!(run.overall.count(Outcome::Shed), 14);
    // Those shed reached no upstream: they have no latency.
    assert_eq!(run.overall.latency.count, 6);
    // Of the six, one did not wait, one did for 0.5 s and four for 1 s.
    assert_eq!(run.stations[0].wait.count, 6);
    assert!((run.stations[0].wait.mean_us - 750_000.0).abs() < 750.0, "{}", run.stations[0].wait.mean_us);
}

#[test]
fn a_request_that_leaves_the_queue_is_not_sent() {
    // Two clients lose patience at 4 s behind one whose answer comes at 5 s.
    let run = run_one(&world(
        "latency = { constant = '5s' }",
        "workers = 1\n[clients.impatient]\nsend = '/'\ntimeout = '3s'\nbursts = [{ from = '1s', to = '1s', count = 2 }]",
        "bursts = [{ from = '0s', to = '0s', count = 1 }]",
    ));
    assert_eq!((run.overall.count(Outcome::Served), run.overall.count(Outcome::GaveUp)), (1, 2));
    assert_eq!((run.attempts, run.overall.latency.count), (1, 1));
    assert_eq!(run.stations[0].peak_queued, 2);
}

#[test]
fn what_has_not_ended_five_minutes_after_the_last_arrival_is_unfinished() {
    let run = run_one(&world("latency = { constant = '305s' }", "", "rate = '1/s'"));
    // Sent at 0, 1, …, 9 s, answered at 305, 306, …, 314 s; the run ends at 310 s.
    assert_eq!(run.overall.count(Outcome::Served), 6);
    assert_eq!(run.overall.count(Outcome::Unfinished), 4);
    assert_eq!(run.overall.good, 0);
}

#[test]
fn a_client_honours_the_whole_seconds_that_it_is_told() {
    // One request per window of 10 s. The second comes at 2.5 s: a place is free in 7.5 s, which a `Retry-After` field tells
    // as 8. It is served at 10.5 s, without work, 8 s after it was meant to be.
    let gateway = "rate_limit.global = { algorithm = 'fixed-window', limit = 1, window = '10s' }";
    let retry = "retry = { retries = 1, on = ['429'], honor_retry_after = true }";
    let client = format!("bursts = [{{ from = '0s', to = '5s', count = 2 }}]\n{retry}");
    let run = run_one(&world("latency = { constant = '0s' }", gateway, &client));
    assert_eq!(run.overall.count(Outcome::Served), 2);
    // To three significant digits.
    assert!(run.overall.latency.max_us.abs_diff(8_000_000) < 8_000, "{}", run.overall.latency.max_us);
}

#[test]
fn users_think_send_and_wait() {
    // Two users think for 1 s and are answered after 1 s: each sends at 1, 3, 5, 7 and 9 s.
    let run = run_one(&world("latency = { constant = '1s' }", "", "users = 2\nthink = '1s'"));
    assert_eq!(run.overall.offered, 10);
    assert_eq!(run.populations[0].offered_per_s, [0, 2, 0, 2, 0, 2, 0, 2, 0, 2]);
    assert_eq!(run.overall.count(Outcome::Served), 10);
    // Within 1 s is good, to the microsecond.
    assert_eq!(run.overall.good, 10);
}

#[test]
fn requests_go_where_their_weights_send_them() {
    let text = r#"
        name = "Weights"
        starts = 2026-06-02T09:00:00Z
        duration = "100s"
        slo.latency = "1s"
        upstreams.catalog.latency = { constant = "1ms" }
        upstreams.stock.latency = { constant = "1ms" }
        routes."/catalog".upstream = "catalog"
        routes."/stock".upstream = "stock"
        [clients.shoppers]
        send = { "/catalog" = 6, "/stock" = 2 }
        rate = "1000/s"
        [clients.bots]
        hostile = true
        send = "/stock"
        rate = "10/s"
        [expect]
        hold = [
          "offered == 100000",
          "offered(clients.bots) == 1000",
          # Binomial with mean 75,000 and standard deviation 137; five of them.
          "offered(upstreams.catalog) >= 74315",
          "offered(routes.\"/catalog\") <= 75685",
          "goodput == 1000/s",
          "attempts >= 101000",
          "amplification == 1",
          "amplification(stock) == 1",
          "success_rate == 100%",
          "utilization(gateway) < 100%",
        ]
    "#;
    let mut result = run(text);
    // Unbounded workers have no utilization: nothing is as expected of what cannot be observed.
    let unbounded = result.expectations.pop().unwrap();
    assert!(!unbounded.held);
    assert_held(&result);
}
