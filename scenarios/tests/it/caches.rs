//! Caches before services, in worlds small enough to work out by hand.

use crate::common::{assert_held, run};

/// Ten requests a second, at k · 100 ms for ten seconds, of a service that takes 50 ms.
fn world(cache: &str, more: &str, hold: &[&str]) -> String {
    format!(
        r#"
        name = "Caches"
        starts = 2026-06-02T09:00:00Z
        duration = "10s"
        slo.latency = "1s"
        expect.hold = {hold:?}
        [upstreams.api]
        latency = "50ms"
        cache = {cache}
        [routes]
        "/" = {{ upstream = "api" }}
        [clients.one]
        send = "/"
        rate = "10/s"
        {more}
        "#
    )
}

fn assert_holds(cache: &str, more: &str, hold: &[&str]) {
    assert_held(&run(&world(cache, more, hold)));
}

#[test]
fn an_object_is_fetched_again_when_its_time_is_over() {
    // Fetched at 0, there at 0.05 s and fresh until 2.05: the request of 2.1 s fetches it again, and so on at 4.2, 6.3 and 8.4 s.
    let hold = [
        "cache_misses(api) == 5",
        "cache_hit_ratio(api) == 95%",
        "cache_misses == 5",
        "attempts(api) == 100",
        "peak_in_flight(api) == 1",
        "latency(p50) == 1ms",
        "latency(max) == 50ms",
    ];
    assert_holds("{ keys = 1, ttl = '2s' }", "", &hold);
}

#[test]
fn a_cache_that_is_off_keeps_nothing_and_is_empty_afterwards() {
    let fault = "[[faults]]\nat = '5s'\nfor = '1s'\nupstreams = ['api']\nflush = true";
    // At 0, 2.1 and 4.2 s; ten in the sixth second; at 6 and 8.1 s.
    assert_holds("{ keys = 1, ttl = '2s' }", fault, &["cache_misses(api) == 15"]);
    // Of a cache without objects, the second alone.
    assert_holds("{ hits = '100%' }", fault, &["cache_misses(api) == 10"]);
}

#[test]
fn a_cache_answers_whatever_fails_behind_it() {
    let failing = "faults = [{ at = '0s', for = '10s', upstreams = ['api'], error = { status = 500 } }]";
    let text = world("{ hits = '100%' }", "", &["success_rate == 100%", "cache_misses(api) == 0"]);
    assert_held(&run(&text.replace("duration", &format!("{failing}\n        duration"))));
    // What failed is not kept.
    let text = world("{ keys = 1, ttl = '2s' }", "", &["success_rate == 0%", "cache_hit_ratio(api) == 0%"]);
    assert_held(&run(&text.replace("duration", &format!("{failing}\n        duration"))));
}

#[test]
fn a_post_goes_past_the_cache() {
    let hold = ["latency(p50) == 50ms", "peak_in_flight(api) == 1"];
    assert_holds("{ hits = '100%' }", "method = 'POST'", &hold);
}

#[test]
fn a_retry_asks_for_what_the_first_attempt_asked_for() {
    // Half of the requests are in luck, and no retry of the others is. Binomial: mean 500, deviation 16; five of them.
    let text = world(
        "{ hits = '50%' }",
        "retry = { retries = 3, backoff = 'none' }",
        &["success_rate > 42%", "success_rate < 58%"],
    );
    let failing = "faults = [{ at = '0s', for = '10s', upstreams = ['api'], error = { status = 500 } }]";
    let text = text.replace("duration", &format!("{failing}\n        duration"));
    assert_held(&run(&text.replace("'10/s'", "'100/s'").replace("\"10/s\"", "\"100/s\"")));
}

#[test]
fn what_a_service_asks_others_for_may_be_cached() {
    let calls = "calls = [{ upstream = 'stock' }]\n        [upstreams.stock]\n        latency = \"200ms\"\n        \
                 cache = { keys = 1, ttl = '1m' }\n        [routes]";
    let hold = ["cache_misses(stock) == 2", "attempts(stock) == 100", "latency(p50) == 51ms"];
    let text = world("false", "method = 'POST'", &hold).replace("[routes]", calls);
    // Asked for 50 ms after each arrival: at 50 and at 150 ms the first answer is not there yet, and at 250 ms it is.
    assert_held(&run(&text));
}
