//! What services ask of others: for a share of the requests, and all at once.

use crate::common::{assert_held, run};

fn world(api: &str, more: &str, hold: &[&str]) -> String {
    format!(
        r#"
        name = "Calls"
        starts = 2026-06-02T09:00:00Z
        duration = "10s"
        slo.latency = "1s"
        expect.hold = {hold:?}
        {more}
        upstreams.api = {{ latency = "5ms", {api} }}
        upstreams.stock = {{ latency = "100ms" }}
        upstreams.prices = {{ latency = "300ms", workers = 40, queue = 0, cancel_on_disconnect = true }}
        routes."/".upstream = "api"
        routes."/prices".upstream = "prices"
        routes."/stock".upstream = "stock"
        clients.one = {{ send = "/", rate = "100/s" }}
        "#
    )
}

#[test]
fn a_call_is_made_for_its_share_of_the_requests() {
    // Binomial: mean 250, deviation 13.7; five of them. A request without the call takes 5 ms.
    let hold = [
        "attempts(api) == 1000",
        "attempts(stock) > 181",
        "attempts(stock) < 319",
        "latency(p50) == 5ms",
        "latency(p99) == 105ms",
    ];
    assert_held(&run(&world("calls = [{ upstream = 'stock', share = '25%' }]", "", &hold)));
}

#[test]
fn a_retry_takes_the_calls_of_the_first_attempt() {
    // Each of those that call the stock, which fails, fails three times, and none of the others does.
    let fault = "faults = [{ at = '0s', for = '10s', upstreams = ['stock'], error = { status = 500 } }]";
    let hold = [
        "success_rate > 68%",
        "success_rate < 82%",
        "amplification(api) > 1.36",
        "amplification(api) < 1.64",
    ];
    let text = world("calls = [{ upstream = 'stock', share = '25%' }]", fault, &hold);
    let retrying = "clients.one = { send = \"/\", retry = { retries = 2 }, ";
    assert_held(&run(&text.replace("clients.one = { send = \"/\", ", retrying)));
}

#[test]
fn calls_at_once_take_as_long_as_the_longest() {
    let both = "calls = [{ upstream = 'stock' }, { upstream = 'prices' }]";
    // 100 a second, 0.3 s each: 30 of 40 workers.
    let hold = ["latency(p50) == 405ms", "latency(max) == 405ms", "success_rate == 100%"];
    assert_held(&run(&world(both, "", &hold)));
    let hold =
        ["latency(p50) == 305ms", "latency(max) == 305ms", "attempts(stock) == 1000", "success_rate == 100%"];
    assert_held(&run(&world(&format!("{both}, parallel = true"), "", &hold)));
    // With a share each, a request may take both, one or none.
    let some = "calls = [{ upstream = 'stock', share = '50%' }, { upstream = 'prices', share = '50%' }], parallel = true";
    let hold =
        ["attempts(stock) > 420", "attempts(prices) < 580", "success_rate == 100%", "latency(p99) == 305ms"];
    assert_held(&run(&world(some, "", &hold)));
}

#[test]
fn the_first_failure_of_calls_at_once_is_the_answer_and_the_others_are_left() {
    let fault = "faults = [{ at = '0s', for = '10s', upstreams = ['stock'], slow = { latency = '50ms' } }]";
    let both = "calls = [{ upstream = 'stock', timeout = '20ms' }, { upstream = 'prices' }], parallel = true";
    // 504 after 5 + 20 ms. The prices notice that nobody waits for them: 100/s for 20 ms are 2 workers, and not 30.
    let hold = [
        "success_rate == 0%",
        "latency(max) == 25ms",
        "attempts(prices) == 1000",
        "peak_in_flight(prices) <= 3",
    ];
    assert_held(&run(&world(both, fault, &hold)));
    // A breaker that is open lets the whole request fail at once, whatever stands before it in the list.
    let behind = "calls = [{ upstream = 'prices' }, { upstream = 'stock', timeout = '20ms', breaker = { min_requests = 5 } }], \
                  parallel = true";
    let hold = [
        "success_rate == 0%",
        "attempts(prices) == 1000",
        "peak_in_flight(prices) <= 3",
        "latency(p50) == 5ms",
    ];
    assert_held(&run(&world(behind, fault, &hold)));
}
