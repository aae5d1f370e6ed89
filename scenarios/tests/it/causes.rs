//! Why requests are not served well, in worlds where everybody can see it.

use reports::{Ending, RunResult};

use crate::common::run_one;

/// What every way back of a route's requests reads like, most frequent first: how they ended, how many they are, and each
/// step.
fn ways(run: &RunResult, route: &str) -> Vec<(Ending, u64, String)> {
    let of_route = run.causes.iter().filter(|cause| cause.route == route);
    let told = of_route.map(|cause| {
        let steps = cause.steps.iter().map(|step| {
            let kind = step.kind.name();
            step.of.as_ref().map_or_else(|| kind.to_owned(), |of| format!("{kind} {of}"))
        });
        (cause.ending, cause.requests, steps.collect::<Vec<_>>().join(" < "))
    });
    told.collect()
}

fn world(gateway: &str, upstreams: &str, clients: &str, faults: &str) -> RunResult {
    let run = run_one(&format!(
        r#"
        name = "Why"
        starts = 2026-06-02T09:00:00Z
        duration = "30s"
        slo.latency = "500ms"
        {faults}
        [gateway]
        {gateway}
        {upstreams}
        {clients}
        "#
    ));
    let told: u64 = run.causes.iter().map(|cause| cause.requests).sum();
    assert_eq!(told, run.overall.offered - run.overall.good, "each has a reason, and only those");
    run
}

#[test]
fn a_pool_that_others_have_taken() {
    // Ten a second hang, and two hold the gateway's workers from then on; the others find no worker. Route timeouts of
    // 20 s end the hanging ones.
    let run = world(
        "workers = 2\nqueue = 0\ntimeout = \"20s\"",
        r#"
        [upstreams]
        payments.latency = { constant = "1ms" }
        accounts.latency = { constant = "1ms" }
        [routes]
        "/checkout".upstream = "payments"
        "/account".upstream = "accounts"
        "#,
        r#"
        [clients]
        buyers = { send = "/checkout", rate = "10/s" }
        members = { send = "/account", rate = "10/s", arrivals = "poisson" }
        "#,
        r#"faults = [{ at = "5s", for = "10s", upstreams = ["payments"], hang = {} }]"#,
    );
    let account = ways(&run, "/account");
    assert_eq!(account.len(), 1, "{account:?}");
    assert_eq!(account[0].0, Ending::Failed);
    assert_eq!(account[0].2, "gateway-pool /checkout < fault hang on payments");
    let checkout = ways(&run, "/checkout");
    let kinds: Vec<&str> = checkout.iter().map(|way| way.2.as_str()).collect();
    assert_eq!(
        kinds,
        ["gateway-pool /checkout < fault hang on payments", "route-timeout < fault hang on payments"]
    );
    assert_eq!(checkout[1].1, 2, "two workers, two that hang");
}

#[test]
fn a_call_that_is_given_up_and_a_breaker_that_opens_on_it() {
    let calls = |breaker: &str| {
        format!(
            r#"
            [upstreams]
            payments.latency = {{ constant = "1ms" }}
            [upstreams.checkout]
            latency = {{ constant = "1ms" }}
            calls = [{{ upstream = "payments", timeout = "200ms"{breaker} }}]
            [routes]
            "/checkout".upstream = "checkout"
            "#
        )
    };
    let clients = "[clients]\nbuyers = { send = \"/checkout\", rate = \"10/s\" }";
    let fault = r#"faults = [{ at = "10s", for = "5s", upstreams = ["payments"], hang = {} }]"#;
    let run = world("", &calls(""), clients, fault);
    let way = "call-timeout checkout→payments < fault hang on payments".to_owned();
    assert_eq!(ways(&run, "/checkout"), [(Ending::Failed, 50, way.clone())]);
    // A breaker that opens on the first failure refuses the others until its probe at 20.2 s succeeds, or later.
    let breaker = r#", breaker = { error_threshold = "1%", min_requests = 1 }"#;
    let run = world("", &calls(breaker), clients, fault);
    let refused = format!("breaker checkout→payments < {way}");
    let ways = ways(&run, "/checkout");
    assert_eq!((ways.len(), &ways[0].2, &ways[1].2), (2, &refused, &way), "{ways:?}");
}

#[test]
fn the_gateways_breaker_names_what_opened_it() {
    let run = world(
        "timeout = \"400ms\"\nbreaker = { error_threshold = \"1%\", min_requests = 1 }",
        "[upstreams]\napi.latency = { constant = \"1ms\" }\n[routes]\n\"/\".upstream = \"api\"",
        "[clients]\neverybody = { send = \"/\", rate = \"10/s\" }",
        r#"faults = [{ at = "10s", for = "5s", upstreams = ["api"], slow = { latency = "2s" } }]"#,
    );
    let ways = ways(&run, "/");
    let kinds: Vec<&str> = ways.iter().map(|way| way.2.as_str()).collect();
    assert_eq!(
        kinds,
        ["breaker api < route-timeout < fault slow on api", "route-timeout < fault slow on api"],
        "{ways:?}"
    );
}

#[test]
fn late_because_of_a_queue_or_because_of_attempts_before() {
    // Twenty at once at a service that does ten a second: the first five are done within half a second.
    let queue = world(
        "",
        r#"
        [upstreams.api]
        workers = 1
        latency = { constant = "100ms" }
        [routes]
        "/".upstream = "api"
        "#,
        "[clients]\neverybody = { send = \"/\", bursts = [{ from = \"1s\", to = \"1.001s\", count = 20 }] }",
        "",
    );
    // What leaves the queue last is late for the queue too.
    assert_eq!(ways(&queue, "/"), [(Ending::Late, 15, "upstream-queue api < work api".to_owned())]);
    // Errors for a second, and one more attempt two seconds after each.
    let retried = world(
        "",
        "[upstreams]\napi.latency = { constant = \"1ms\" }\n[routes]\n\"/\".upstream = \"api\"",
        r#"
        [clients.everybody]
        send = "/"
        rate = "10/s"
        retry = { retries = 1, on = ["5xx"], backoff = "fixed", base = "2s", jitter = "none" }
        "#,
        r#"faults = [{ at = "10s", for = "1s", upstreams = ["api"], error = { status = 503 } }]"#,
    );
    assert_eq!(ways(&retried, "/"), [(Ending::Late, 10, "earlier-attempts < fault error on api".to_owned())]);
}

#[test]
fn work_for_callers_that_have_left() {
    // One worker, 100 ms each, twenty a second, and clients that wait 300 ms: the queue fills with what nobody waits for,
    // and the service never does anything else again.
    let run = world(
        "",
        r#"
        [upstreams.api]
        workers = 1
        latency = { constant = "100ms" }
        [routes]
        "/".upstream = "api"
        "#,
        "[clients]\neverybody = { send = \"/\", rate = \"20/s\", timeout = \"300ms\" }",
        "",
    );
    let ways = ways(&run, "/");
    assert_eq!(ways[0].2, "client-timeout < upstream-queue api < abandoned-work api", "{ways:?}");
    assert!(ways[0].1 > run.overall.offered * 9 / 10, "{ways:?}");
}

#[test]
fn a_limit_by_its_name() {
    let run = world(
        "rate_limit.per_key = { algorithm = \"fixed-window\", limit = 10, window = \"30s\" }",
        "[upstreams]\napi.latency = { constant = \"1ms\" }\n[routes]\n\"/\".upstream = \"api\"",
        "[clients]\neverybody = { send = \"/\", rate = \"10/s\" }",
        "",
    );
    assert_eq!(ways(&run, "/"), [(Ending::Failed, 290, "rate-limit per_key".to_owned())]);
}

#[test]
fn what_strikes_the_answer_of_a_service_that_asks_others() {
    // 100 ms of its own, 200 ms of the other: with a trickle of 400 ms the answer is late by itself, with work of 400 ms
    // instead of 100 the fault is what took longest, and a reset comes after both.
    for (fault, ending) in [
        (r#"drip = { body = "400ms" }"#, Ending::Late),
        (r#"slow = { latency = "400ms" }"#, Ending::Late),
        ("reset = {}", Ending::Failed),
    ] {
        let run = world(
            "",
            r#"
            [upstreams]
            a = { latency = { constant = "100ms" }, calls = [{ upstream = "b" }] }
            b.latency = { constant = "200ms" }
            [routes]
            "/".upstream = "a"
            "#,
            "[clients]\nall = { send = \"/\", rate = \"1/s\" }",
            &format!(r#"faults = [{{ at = "0s", for = "30s", upstreams = ["a"], {fault} }}]"#),
        );
        let kind = fault.split(' ').next().unwrap();
        assert_eq!(ways(&run, "/"), [(ending, 30, format!("fault {kind} on a"))]);
    }
}
