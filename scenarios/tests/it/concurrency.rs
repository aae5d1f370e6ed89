//! Caps on concurrency, in worlds small enough to work out by hand.

use reports::{CauseKind, Outcome, RunResult};

use crate::common::run_one;

/// Forty requests a second for ten seconds, each of 90 ms: more than three at a time.
fn capped(caps: &str) -> RunResult {
    run_one(&format!(
        r#"
        name = "Caps"
        starts = 2026-06-02T09:00:00Z
        duration = "10s"
        slo.latency = "1s"
        [upstreams.api]
        latency = "90ms"
        [routes]
        "/" = {{ upstream = "api" }}
        [clients.one]
        send = "/"
        rate = "40/s"
        [gateway]
        {caps}
        "#
    ))
}

fn ended(run: &RunResult) -> [u64; 2] {
    [Outcome::Served, Outcome::Shed].map(|outcome| run.overall.count(outcome))
}

/// Two of four that come within 100 ms find a place: those at 0 and 25 ms are gone at 90 and 115, before those at 100 and 125.
#[test]
fn who_finds_no_place_is_turned_away() {
    for (caps, kind, of) in [
        ("upstreams.api.max_in_flight = 2", CauseKind::Bulkhead, "api"),
        ("concurrency.per_key.max_in_flight = 2", CauseKind::ConcurrencyCap, "per_key"),
        ("concurrency.per_ip = { max_in_flight = 2, status = 429 }", CauseKind::ConcurrencyCap, "per_ip"),
    ] {
        let run = capped(caps);
        assert_eq!(ended(&run), [200, 200], "{caps}");
        let step = run.causes[0].steps.first().unwrap();
        assert_eq!((step.kind, step.of.as_deref(), run.causes[0].requests), (kind, Some(of), 200), "{caps}");
        assert_eq!(run.stations[1].peak_in_flight, 2);
    }
    let route = "\n[routes.'/more']\nupstream = 'api'\nmax_in_flight = 1";
    assert_eq!(ended(&capped(route)), [400, 0], "the cap of another route");
}

/// With one that may wait, both places are always taken: 2 each 90 ms are 222 in ten seconds, and those that the end finds there.
#[test]
fn who_waits_takes_the_place_of_who_has_ended() {
    for caps in [
        "upstreams.api = { max_in_flight = 2, max_pending = 1 }",
        "concurrency.per_key = { max_in_flight = 2, max_pending = 1 }",
    ] {
        let [served, shed] = ended(&capped(caps));
        assert!((222..=225).contains(&served), "{served} under {caps}");
        assert_eq!(served + shed, 400);
    }
    // However many may wait: whoever has waited for 50 ms is turned away, and so nobody waits for longer.
    let run = capped("queue_timeout = '50ms'\nupstreams.api = { max_in_flight = 2, max_pending = 1000 }");
    let [served, shed] = ended(&run);
    assert!((222..=225).contains(&served) && served + shed == 400, "{served}");
    assert!(run.overall.latency.max_us <= 140_000);
}

/// Three at a time are tried again, each 950 ms later: those of 0.0, 0.1 and 0.2 s are done at 0.95, 1.05 and 1.15, in time for those
/// of 1.0, 1.1 and 1.2. The first attempts are ten a second.
#[test]
fn only_so_many_are_tried_again_at_once() {
    let world = |caps: &str, route: &str| {
        run_one(&format!(
            r#"
            name = "Retries"
            starts = 2026-06-02T09:00:00Z
            duration = "10s"
            slo.latency = "1s"
            [upstreams.api]
            latency = "5ms"
            [routes]
            "/" = {{ upstream = "api"{route} }}
            [clients.one]
            send = "/"
            rate = "10/s"
            [gateway]
            retry = {{ retries = 1, on = ["5xx"], backoff = "fixed", base = "950ms", jitter = "none" }}
            {caps}
            [[faults]]
            at = "0s"
            for = "10s"
            upstreams = ["api"]
            error = {{ status = 503 }}
            "#
        ))
    };
    let attempts = |run: &RunResult| run.upstream_attempts[0].attempts;
    assert_eq!(attempts(&world("", "")), 200);
    assert_eq!(attempts(&world("upstreams.api.max_retries = 3", "")), 130);
    assert_eq!(attempts(&world("", ", max_retries = 3")), 130);
    let per_key = "concurrency.per_key = { max_in_flight = 100, max_retries = 3 }";
    assert_eq!(attempts(&world(per_key, "")), 130);
    assert_eq!(attempts(&world("upstreams.api.max_retries = 0", "")), 100);
}
