//! The path of a request, in worlds small enough to work out by hand.

use crate::common::{assert_held, run, run_in_spite_of_warnings, run_one};
use reports::{CauseKind, Legend, LowerBounds, Outcome, RunResult, terminal_summary};

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
    assert_eq!((run.overall.latency.at(0.0), run.overall.latency.max_us), (Some(500_000), 500_000));
    assert!((run.stations[0].utilization.unwrap() - 0.5).abs() < 1e-9);
}

#[test]
fn an_answer_exactly_at_a_timeout_is_in_time() {
    // 100 ms of its own and 200 ms of the other come to 300 ms, which is the timeout of the call, of the route and of the
    // client at once; and each of them a nanosecond less is too short.
    let served = |call: &str, route: &str, client: &str| {
        let run = run_one(&format!(
            r#"
            name = "At the timeout"
            starts = 2026-06-02T09:00:00Z
            duration = "10s"
            slo.latency = "300ms"
            upstreams.front = {{ latency = {{ constant = "100ms" }}, calls = [{{ upstream = "back", timeout = "{call}" }}] }}
            upstreams.back.latency = {{ constant = "200ms" }}
            routes."/" = {{ upstream = "front", timeout = "{route}" }}
            clients.all = {{ send = "/", rate = "10/s", timeout = "{client}" }}
            "#
        ));
        (run.overall.good, run.overall.count(Outcome::TimedOut), run.overall.count(Outcome::GaveUp))
    };
    assert_eq!(served("200ms", "300ms", "300ms"), (100, 0, 0));
    assert_eq!(served("199999999ns", "300ms", "300ms"), (0, 0, 0));
    assert_eq!(served("200ms", "299999999ns", "300ms"), (0, 100, 0));
    assert_eq!(served("200ms", "300ms", "299999999ns"), (0, 0, 100));
}

#[test]
fn keys_that_come_exactly_at_the_deadline_of_their_fetch_are_in_time() {
    // A fetch has 5 s, and the identity provider takes them all: whoever came before waits until then and is served, though
    // late; whoever comes later is served at once. A nanosecond more, and no fetch ever succeeds.
    let served = |latency: &str| {
        let run = run_one(&format!(
            r#"
            name = "Keys"
            starts = 2026-06-02T09:00:00Z
            duration = "10s"
            slo.latency = "1s"
            upstreams.idp = {{ serves = "jwks", latency = {{ constant = "{latency}" }} }}
            upstreams.api.latency = {{ constant = "1ms" }}
            routes."/".upstream = "api"
            gateway.auth.jwks = "idp"
            clients.all = {{ send = "/", rate = "10/s", token = {{}} }}
            "#
        ));
        (run.overall.count(Outcome::Served), run.overall.good)
    };
    // Those of 4.0 s and later are within the SLO, but for the millisecond of the upstream: those of 4.1 s.
    assert_eq!(served("5s"), (100, 59));
    assert_eq!(served("5000000001ns"), (0, 0));
}

#[test]
fn fetches_of_keys_are_counted_apart_and_keep_no_run_from_its_end() {
    // Keys are asked for at the start and each minute from then on: at 0, 1, … and 9 minutes, ten times. One attempt in all is
    // made for a client. It is answered at once, and nothing is left to do at the end of ten minutes.
    let world = |clients: &str| {
        format!(
            r#"
            name = "Keys"
            starts = 2026-06-02T09:00:00Z
            duration = "10m"
            slo.latency = "1s"
            upstreams.idp = {{ serves = "jwks", latency = {{ constant = "0s" }} }}
            upstreams.api.latency = {{ constant = "{clients}" }}
            routes."/".upstream = "api"
            gateway.auth = {{ jwks = "idp", refresh = "1m" }}
            clients.one = {{ send = "/", bursts = [{{ from = "5m", to = "5m", count = 1 }}], token = {{}} }}
            [expect]
            hold = ["attempts == 1", "attempts(idp) == 0", "amplification == 1", "key_fetches(api) == 0"]
            "#
        )
    };
    let fetches = |latency: &str| {
        let result = run(&world(latency));
        assert_held(&result);
        result.variants[0].runs[0].upstream_attempts[0].key_fetches
    };
    assert_eq!(fetches("1ms"), Some(10));
    // With an answer at 12 min, the run goes on until then, and so do the fetches: two more, and a third at its very end.
    assert_eq!(fetches("7m"), Some(13));
}

#[test]
fn an_attempt_that_takes_too_long_is_made_again_within_the_whole() {
    // The upstream hangs for the first 2 s and takes 10 ms from then on; attempts have 600 ms, the whole 5 s, the next attempt
    // comes 200 ms after the last one's end. The request of 0.0 s is tried at 0.0, 0.8, 1.6 and 2.4 s, and is served then, at
    // 2.41 s; that of 1.0 s at 1.0, 1.8 and 2.6 s: after 1.61 s. Those of 2 s and later take 10 ms.
    let world = |gateway: &str| {
        format!(
            r#"
            name = "Tries"
            starts = 2026-06-02T09:00:00Z
            duration = "10s"
            slo.latency = "5s"
            upstreams.api.latency = {{ constant = "10ms" }}
            routes."/".upstream = "api"
            clients.all = {{ send = "/", rate = "1/s" }}
            gateway = {{ timeout = "5s", {gateway} }}
            faults = [{{ at = "0s", for = "2s", upstreams = ["api"], hang = true }}]
            "#
        )
    };
    let retry = "retry = { retries = 9, on = ['timeout'], backoff = 'fixed', base = '200ms' }";
    let run = run_one(&world(&format!("try_timeout = '600ms', {retry}")));
    assert_eq!((run.overall.good, run.attempts), (10, 8 + 4 + 3));
    assert_eq!((run.overall.latency.max_us, run.overall.latency.min_us), (2_410_000, 10_000));
    // Without retries, the client is told of the timeout as soon as the attempt is over.
    let run = run_one(&world("try_timeout = '600ms'"));
    assert_eq!((run.overall.good, run.overall.count(Outcome::TimedOut), run.attempts), (8, 2, 10));
    assert_eq!(run.overall.latency.max_us, 600_000);
    let steps = &run.causes[0].steps;
    assert_eq!(
        steps.iter().map(|step| step.kind).collect::<Vec<_>>(),
        [CauseKind::TryTimeout, CauseKind::Fault]
    );
    // An attempt cannot take longer than the whole.
    let run = run_one(&world(&format!("try_timeout = '6s', {retry}")));
    assert_eq!((run.overall.count(Outcome::TimedOut), run.attempts), (2, 10));
}

#[test]
fn an_answer_that_has_begun_is_no_longer_tried_again() {
    // The head of the answer comes after 10 ms, its body 3 s later: as in Envoy, the timeout of an attempt ends with the head.
    let run = run_one(
        r#"
        name = "Drips"
        starts = 2026-06-02T09:00:00Z
        duration = "10s"
        slo.latency = "5s"
        upstreams.api.latency = { constant = "10ms" }
        routes."/".upstream = "api"
        clients.all = { send = "/", rate = "1/s" }
        gateway = { timeout = "5s", try_timeout = "600ms", retry = { retries = 2, on = ["timeout"] } }
        faults = [{ at = "0s", for = "10s", upstreams = ["api"], drip = { body = "3s" } }]
        "#,
    );
    assert_eq!((run.overall.good, run.attempts, run.overall.latency.max_us), (10, 10, 3_010_000));
}

#[test]
fn an_answer_that_asks_for_time_is_given_it_by_gateways_services_and_clients() {
    // Each fails once, at 0.0 s, with an answer that asks for 3 s; the fault is over by then. Whoever honours the wish is back at
    // 3.0 s: a client 5 ms, a service 1 ms later only where the wait is shorter than that.
    let world = |gateway: &str, calls: &str, client: &str, struck: &str| {
        format!(
            r#"
            name = "Patience"
            starts = 2026-06-02T09:00:00Z
            duration = "10s"
            slo.latency = "5s"
            upstreams.api = {{ latency = {{ constant = "0s" }}, {calls} }}
            upstreams.stock.latency = {{ constant = "0s" }}
            routes."/".upstream = "api"
            clients.all = {{ send = "/", bursts = [{{ from = "0s", to = "0s", count = 1 }}], {client} }}
            gateway = {{ {gateway} }}
            faults = [{{ at = "0s", for = "1s", upstreams = ["{struck}"], error = {{ status = 503, retry_after = "3s" }} }}]
            "#
        )
    };
    let retry = "retry = { retries = 1, honor_retry_after = true }";
    let calls = |retry: &str| {
        let comma = if retry.is_empty() { "" } else { ", " };
        format!("calls = [{{ upstream = 'stock'{comma}{retry} }}]")
    };
    for (gateway, asking, client, struck) in
        [(retry, "", "", "api"), ("", "", retry, "api"), ("", retry, "", "stock")]
    {
        let run = run_one(&world(gateway, &calls(asking), client, struck));
        let latency = run.overall.latency.max_us;
        assert_eq!((run.overall.good, latency), (1, 3_000_000), "at {struck}: {gateway} {asking} {client}");
    }
    // Who does not honour it is back too soon.
    let hasty = "retry = { retries = 1 }";
    assert_eq!(run_one(&world(hasty, &calls(""), "", "api")).overall.good, 0);
}

#[test]
fn a_quota_pays_for_so_many_retries_and_each_identity_has_its_own() {
    // Everything fails with 503 for good. Of 500 tokens a retry takes 14: 35 retries; of one identity, or of two with 35 each.
    let attempts = |identities: u32, per: &str| {
        let run = run_one(&format!(
            r#"
            name = "Quota"
            starts = 2026-06-02T09:00:00Z
            duration = "1m"
            slo.latency = "1s"
            upstreams.api.latency = {{ constant = "1ms" }}
            routes."/".upstream = "api"
            faults = [{{ at = "0s", for = "1m", upstreams = ["api"], error = {{ status = 503 }} }}]
            [clients.all]
            send = "/"
            rate = "10/s"
            identities = {identities}
            retry = {{ retries = 2, budget = {{ tokens = 500, cost = 14, throttled = 5, per = "{per}" }} }}
            "#
        ));
        (run.overall.offered, run.attempts)
    };
    assert_eq!(attempts(1, "identity"), (600, 635));
    assert_eq!(attempts(2, "identity"), (600, 670));
    assert_eq!(attempts(2, "population"), (600, 635));
}

#[test]
fn a_budget_of_the_gateway_bounds_what_is_under_way() {
    // A hundred requests at once, each of which fails at once with 503 and would be tried again a second later. With 20% of what
    // is under way: each is answered before the next but one comes, so that two are under way at most, a fifth of which is none.
    // Those that wait for a second are retries under way: three, the least. With 10 as the least: ten.
    let attempts = |budget: &str| {
        let run = run_one(&format!(
            r#"
            name = "Under way"
            starts = 2026-06-02T09:00:00Z
            duration = "10s"
            slo.latency = "1s"
            upstreams.api.latency = {{ constant = "1ms" }}
            routes."/".upstream = "api"
            faults = [{{ at = "0s", for = "10s", upstreams = ["api"], error = {{ status = 503 }} }}]
            clients.all = {{ send = "/", bursts = [{{ from = "0s", to = "0s", count = 100 }}] }}
            [gateway.retry]
            retries = 1
            backoff = "fixed"
            base = "1s"
            {budget}
            "#
        ));
        run.attempts
    };
    assert_eq!(attempts("budget = { in_flight = '20%' }"), 103);
    assert_eq!(attempts("budget = { in_flight = '20%', least = 10 }"), 110);
    assert_eq!(attempts(""), 200);
}

#[test]
fn a_full_gateway_sheds_and_a_long_wait_in_its_queue_too() {
    // One worker, work of 1.5 s, a request each 500 ms, one place to wait for 1 s at most. What falls on one instant
    // happens in the order in which it was scheduled, a completion before an arrival; timeouts come last.
    //   0.0 starts; 0.5 waits; 1.0 finds the queue full; at 1.5 the worker is free for 0.5, which waited 1 s, just in time.
    //   1.5 waits, 2.0 is shed, and at 2.5 so is 2.5, before the wait of 1.5 is over. At 3.0 the worker is free and nobody
    //   waits: 3.0 starts. From there on it repeats each 3 s: 3.5 starts at 4.5, 6.0 at once, 6.5 at 7.5, 9.0 at once and
    //   9.5 at 10.5.
    let gateway = "workers = 1\nqueue = 1\nqueue_timeout = '1s'";
    let client = "bursts = [{ from = '0s', to = '10s', count = 20 }]";
    let run = run_one(&world("latency = { constant = '1.5s' }", gateway, client));
    assert_eq!(run.overall.offered, 20);
    assert_eq!(run.overall.count(Outcome::Served), 8);
    assert_eq!(run.overall.count(Outcome::Shed), 12);
    // Those shed reached no upstream: they have no latency.
    assert_eq!(run.overall.latency.count, 8);
    // Of the eight, four did not wait and four did for 1 s. Those of 1.5, 4.5 and 7.5 s waited for 1 s too, in vain: 7 s by 11.
    // The nine that found the queue full did not wait.
    let wait = &run.stations[0].wait;
    assert_eq!(wait.count, 11);
    assert!((wait.mean_us - 7_000_000.0 / 11.0).abs() < 1e-6, "{}", wait.mean_us);
    assert_eq!(wait.lower_bounds, Some(LowerBounds { count: 3, from_us: 1_000_000 }));
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
    assert_eq!(run.stations[0].peak_queued, 2);
    // The two waited for 3 s, in the queue, and nobody knows how long they would have had to.
    let lower_bounds = Some(LowerBounds { count: 2, from_us: 3_000_000 });
    assert_eq!((run.attempts, run.overall.latency.count), (1, 3));
    assert_eq!(run.overall.latency.lower_bounds, lower_bounds);
    assert_eq!((run.stations[0].wait.count, run.stations[0].wait.lower_bounds), (3, lower_bounds));
}

#[test]
fn what_has_not_ended_five_minutes_after_the_last_arrival_is_unfinished() {
    let run = run_one(&world("latency = { constant = '305s' }", "", "rate = '1/s'"));
    // Sent at 0, 1, …, 9 s, answered at 305, 306, …, 314 s; the run ends at 310 s.
    assert_eq!(run.overall.count(Outcome::Served), 6);
    assert_eq!(run.overall.count(Outcome::Unfinished), 4);
    assert_eq!(run.overall.good, 0);
    // Those of 6, 7, 8 and 9 s had waited for 304, 303, 302 and 301 s then.
    assert_eq!(run.overall.latency.count, 10);
    assert_eq!(run.overall.latency.lower_bounds, Some(LowerBounds { count: 4, from_us: 301_000_000 }));
    assert_eq!((run.overall.latency.min_us, run.overall.latency.max_us), (301_000_000, 305_000_000));
}

/// A request a second, answered in 1 ms, until the upstream hangs: the last 24 of 100 are never answered.
const UNANSWERED: &str = r#"
    name = "Unanswered"
    starts = 2026-06-02T09:00:00Z
    duration = "100s"
    slo.latency = "1s"
    upstreams.api.latency = { constant = "1ms" }
    routes."/".upstream = "api"
    clients.everybody = { send = "/", rate = "1/s" }
    faults = [{ at = "76s", for = "24s", upstreams = ["api"], hang = {} }]
"#;

#[test]
fn who_was_never_answered_counts_in_latency_with_the_time_that_was_waited() {
    // The run ends 300 s after the last arrivals, at 400 s: those of 76, 77, …, 99 s have waited for 324, 323, …, 301 s. In
    // order of size, number 76 of 100 is 1 ms, 77 is 301 s, and 99 is 323 s.
    let text = format!(
        "{UNANSWERED}\n[expect]\nhold = ['latency(p50) == 1ms', 'latency(p76) == 1ms', 'latency(p77) == 301s', \
         'latency(p99) == 323s', 'latency(max) == 324s', 'latency(p99) < 500ms']"
    );
    let result = run(&text);
    let held: Vec<bool> = result.expectations.iter().map(|expectation| expectation.held).collect();
    assert_eq!(held, [true, true, true, true, true, false], "{:#?}", result.expectations);
    let shares: Vec<_> = result.expectations.iter().map(|line| line.checks[0].lower_bound_share).collect();
    // Nobody knows how long the 24 would have waited, but they are not among the fastest 76.
    assert_eq!(shares, [None, None, Some(0.24), Some(0.24), Some(0.24), Some(0.24)]);
    let run = &result.variants[0].runs[0];
    assert_eq!(run.overall.count(Outcome::Unfinished), 24);
    assert_eq!(run.overall.latency.lower_bounds, Some(LowerBounds { count: 24, from_us: 301_000_000 }));
    let seen: u32 = run.latency_over_time.iter().flat_map(|heatmap| &heatmap.counts).sum();
    assert_eq!(seen, 100, "they are on the heatmap too");
    // What everybody reads says so.
    let terminal = terminal_summary(&result, 80, Legend::None);
    assert!(terminal.contains("≥ 323 s") || terminal.contains("≥ 5 min 23 s"), "{terminal}");
    assert!(terminal.contains("24% under base"), "{terminal}");
}

#[test]
fn whoever_leaves_an_upstreams_queue_has_waited_in_it() {
    // One worker, work of 10 s, one client at 0 s and one at 1 s, who leaves after 4 s and is noticed.
    let run = run_one(&world(
        "latency = { constant = '10s' }\nworkers = 1\ncancel_on_disconnect = true",
        "[clients.impatient]\nsend = '/'\ntimeout = '4s'\nbursts = [{ from = '1s', to = '1s', count = 1 }]",
        "bursts = [{ from = '0s', to = '0s', count = 1 }]",
    ));
    let wait = &run.stations[1].wait;
    assert_eq!((wait.count, wait.lower_bounds), (2, Some(LowerBounds { count: 1, from_us: 4_000_000 })));
    // One worker that hangs, and one who still waits for it when the run ends: from 2 s until 310 s.
    let hangs = "[[faults]]\nat = '0s'\nfor = '10s'\nupstreams = ['api']\nhang = {}";
    let client = format!("bursts = [{{ from = '0s', to = '4s', count = 2 }}]\n{hangs}");
    let run = run_one(&world("latency = { constant = '1ms' }\nworkers = 1", "", &client));
    let wait = &run.stations[1].wait;
    assert_eq!((wait.count, wait.lower_bounds), (2, Some(LowerBounds { count: 1, from_us: 308_000_000 })));
}

#[test]
fn extremes_and_means_are_exact_and_a_line_that_is_true_holds() {
    // 575 ms lies in the histogram's bucket that ends at 575.487 ms.
    let text = world("latency = { constant = '575ms' }", "", "rate = '10/s'");
    let hold = "hold = ['latency(max) <= 575ms', 'latency(max) == 575ms', 'latency(mean) == 575ms', \
                'latency(p99) <= 575ms', 'latency(p50) >= 575ms', 'latency(p50) < 575ms']";
    let result = run(&format!("{text}\n[expect]\n{hold}"));
    let held: Vec<bool> = result.expectations.iter().map(|expectation| expectation.held).collect();
    assert_eq!(held, [true, true, true, true, true, false], "{:#?}", result.expectations);
    // Beside a slower one, p50 is known by its bucket alone, from 574.976 to 575.487 ms: whatever may be true holds.
    let slower = "upstreams.slow.latency = { constant = '2s' }\n\
                  clients.other = { send = '/slow', bursts = [{ from = '0s', to = '0s', count = 1 }] }\n";
    let text = text.replace("[routes]", "[routes]\n'/slow' = { upstream = 'slow' }");
    let hold = "hold = ['latency(p50) <= 575ms', 'latency(p50) >= 575ms', 'latency(p50) == 575ms', \
                'latency(p50) < 574.9ms', 'latency(p50) > 575.5ms', 'latency(max) == 2s']";
    let result = run(&format!("{slower}{text}\n[expect]\n{hold}"));
    let held: Vec<bool> = result.expectations.iter().map(|expectation| expectation.held).collect();
    assert_eq!(held, [true, true, true, false, false, true], "{:#?}", result.expectations);
    let percentiles = &result.variants[0].runs[0].overall.latency.percentiles;
    assert!(percentiles.iter().all(|point| point.us <= 2_000_000), "{percentiles:?}");
}

#[test]
fn only_2xx_is_served_and_what_the_route_is_expected_to_answer() {
    // Ten requests in ten seconds, those from 2 to 5 s are answered with 302.
    let moved = "[[faults]]\nat = '2s'\nfor = '4s'\nupstreams = ['api']\nerror = { status = 302 }";
    let retry = "retry = { retries = 3, on = ['5xx', '429', 'connect', 'timeout'] }";
    let text = world("latency = { constant = '1ms' }", "", &format!("rate = '1/s'\n{retry}\n{moved}"));
    let redirected = run_one(&text);
    let counts = |run: &RunResult| {
        [Outcome::Served, Outcome::Redirected, Outcome::UpstreamError]
            .map(|outcome| run.overall.count(outcome))
    };
    assert_eq!(counts(&redirected), [6, 4, 0]);
    assert_eq!(
        (redirected.overall.good, redirected.attempts),
        (6, 10),
        "nobody tries again what was answered"
    );
    // Told as caused by the fault.
    assert_eq!(redirected.causes.iter().map(|cause| cause.requests).sum::<u64>(), 4);
    assert_eq!(redirected.causes[0].steps[0].kind, CauseKind::Fault);
    let expected = run_one(&text.replace("= \"api\" }", "= \"api\", expect_status = [302, 304] }"));
    assert_eq!((counts(&expected), expected.overall.good), ([10, 0, 0], 10));
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
    let users = "users = 2\nthink = '1s'\nstart = 'together'";
    let run = run_one(&world("latency = { constant = '1s' }", "", users));
    assert_eq!(run.overall.offered, 10);
    assert_eq!(run.populations[0].offered_per_s, [0, 2, 0, 2, 0, 2, 0, 2, 0, 2]);
    assert_eq!(run.overall.count(Outcome::Served), 10);
    // Within 1 s is good, to the microsecond.
    assert_eq!(run.overall.good, 10);
}

#[test]
fn users_who_think_for_a_constant_time_are_in_step_only_if_they_start_together() {
    // 2,000 users who think for 5 s, before eight workers with 10 ms for each request and 100 places in their queue.
    let run = |start: &str| {
        let users = format!("users = 2000\nthink = '5s'\n{start}");
        run_one(&world("workers = 8\nqueue = 100\nlatency = { constant = '10ms' }", "", &users))
    };
    // Spread, each sends at U · 5 s and 5 s after its answer: in each second Binomial(2,000, 1/5), which is 400 with a
    // deviation of 17.9; five of them are 89. The workers serve 800 a second.
    let spread = run("");
    let offered = &spread.populations[0].offered_per_s;
    assert!(offered.iter().all(|offered| (311..=489).contains(offered)), "{offered:?}");
    assert_eq!(spread.overall.count(Outcome::Served), spread.overall.offered);
    // Together, all send at 5 s, where 8 find a worker and 100 a place; and nobody before the end at 10 s.
    let together = run("start = 'together'");
    assert_eq!(together.populations[0].offered_per_s, [0, 0, 0, 0, 0, 2_000, 0, 0, 0, 0]);
    assert_eq!(together.overall.count(Outcome::Served), 108);
}

#[test]
fn users_come_one_after_the_other_on_a_ramp() {
    // From none to 100 within the 10 s: user n comes at (n + 1)/10 s, and from then on sends every second. In second s that
    // are all who came before it: 10 · s − 1.
    let users =
        "users = [{ at = '0s', users = 0 }, { at = '10s', users = 100 }]\nthink = '1s'\nstart = 'together'";
    let run = run_one(&world("latency = { constant = '0s' }", "", users));
    assert_eq!(run.populations[0].offered_per_s, [0, 9, 19, 29, 39, 49, 59, 69, 79, 89]);
}

#[test]
fn users_who_leave_finish_the_request_under_way() {
    // Three users think for 1 s and are answered after 2 s: they send at 1, 4 and 7 s. Two leave at 5 s, when all three wait
    // for the answer of 6 s.
    let users =
        "users = [{ at = '5s', users = 3 }, { at = '5s', users = 1 }]\nthink = '1s'\nstart = 'together'";
    let run = run_one(&world("latency = { constant = '2s' }", "", users));
    assert_eq!(run.populations[0].offered_per_s, [0, 3, 0, 0, 3, 0, 0, 1, 0, 0]);
    assert_eq!(run.overall.count(Outcome::Served), 7);
}

#[test]
fn a_path_goes_to_the_longest_route_above_it() {
    let run = run_one(
        r#"
        name = "Paths"
        starts = 2026-06-02T09:00:00Z
        duration = "10s"
        slo.latency = "1s"
        upstreams.pages.latency = { constant = "1ms" }
        upstreams.search.latency = { constant = "1ms" }
        routes."/".upstream = "pages"
        routes."/search".upstream = "search"
        clients.seekers = { send = "/search/42?next=/../", rate = "3/s" }
        clients.readers = { send = { "/searches" = 1, "/?page=2" = 1 }, rate = "2/s" }
        "#,
    );
    let attempts: Vec<_> = run.upstream_attempts.iter().map(|upstream| upstream.attempts).collect();
    assert_eq!(attempts, [20, 30]);
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
    let mut result = run_in_spite_of_warnings(text);
    // Unbounded workers have no utilization: nothing is as expected of what cannot be observed.
    let unbounded = result.expectations.pop().unwrap();
    assert!(!unbounded.held);
    assert_held(&result);
}
