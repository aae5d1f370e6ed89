//! What breaks and what contains it, in worlds whose answers are known beforehand.

use crate::common::{assert_held, run, run_in_spite_of_warnings, run_one, scenario};
use reports::{
    Compared, DifferenceVerdict, GoodCount, HarmCount, Legend, Outcome, RunResult, Side, Value, compare,
    facts, terminal_summary,
};
use tuesday::run_comparison;

#[test]
fn a_breaker_opens_and_closes_when_arithmetic_says() {
    // Uniform arrivals, answers in no time, a timeout of 5 s. An upstream that hangs from 2 m on: at x seconds there are
    // x − 5 seconds of failures against 30 − x of successes in the window, which is half at 17.5. Probes go out each 10 s
    // from 27.5 on; the fault ends at 90, those at 97.5, 107.5 and 117.5 succeed. A request comes each 20 ms and the
    // window moves in slots of 30 ms: a tenth of a second is allowed for the opening, three for the last probe.
    let text = r#"
        name = "Breaker arithmetic"
        starts = 2026-06-02T09:00:00Z
        duration = "6m"
        slo.latency = "1s"
        upstreams.api.latency = { constant = "0s" }
        routes."/".upstream = "api"
        clients.everybody = { send = "/", rate = "50/s" }
        faults = [{ at = "2m", for = "90s", upstreams = ["api"], hang = {} }]
        [gateway]
        timeout = "5s"
        [gateway.breaker]
        [expect]
        hold = [
          "breaker_opened_at(api) >= 2m 17.4s",
          "breaker_opened_at(api) <= 2m 17.6s",
          "breaker_closed_at(api) >= 3m 57.4s",
          "breaker_closed_at(api) <= 3m 57.8s",
        ]
    "#;
    let result = run(text);
    assert_held(&result);
    let breakers = &result.variants[0].runs[0].breakers;
    let told: Vec<_> = breakers[0].changes.iter().map(|change| change.to.as_str()).collect();
    assert_eq!((breakers.len(), told), (1, vec!["open", "half-open", "closed"]));
    let run = &result.variants[0].runs[0];
    assert_eq!(run.attempts, run.overall.offered - run.overall.count(Outcome::ShortCircuited));
    // Between opening and closing ten probes reach the upstream, a second of its own for each; in that of the last one it
    // closes and all others follow.
    let attempts = &run.upstream_attempts[0].per_s;
    let asked: Vec<_> = (138..238).filter(|second| attempts[*second] > 0).collect();
    assert_eq!(asked, (0..10).map(|probe| 147 + 10 * probe).collect::<Vec<_>>());
    assert!((138..237).all(|second| attempts[second] <= 1), "{attempts:?}");
}

/// Three services in a row, each trying three times again what the one below it fails.
const LAYERS: &str = r#"
    name = "Layers"
    starts = 2026-06-02T09:00:00Z
    duration = "10s"
    slo.latency = "1s"
    [upstreams.front]
    latency = { constant = "1ms" }
    calls = [{ upstream = "middle", retry = { retries = 3, on = ["5xx"] } }]
    [upstreams.middle]
    latency = { constant = "1ms" }
    calls = [{ upstream = "back", retry = { retries = 3, on = ["5xx"] } }]
    [upstreams.back]
    latency = { constant = "1ms" }
    [routes]
    "/" = { upstream = "front" }
    [clients.one]
    send = "/"
    bursts = [{ from = "1s", to = "1s", count = 1 }]
    retry = { retries = 3, on = ["5xx"] }
    [[faults]]
    at = "0s"
    for = "10s"
    upstreams = ["back"]
    error = { status = 503 }
"#;

#[test]
fn retries_multiply_by_layers() {
    let run = run_one(LAYERS);
    // (retries + 1) to the power of the layers: 4 by the client, 16 by front, 64 by middle.
    let served: Vec<_> =
        run.stations.iter().map(|station| (station.name.as_str(), station.wait.count)).collect();
    assert_eq!(served, [("gateway", 4), ("front", 4), ("middle", 16), ("back", 0)]);
    assert_eq!(run.attempts, 4 + 16 + 64);
    assert_eq!(run.overall.count(Outcome::UpstreamError), 1);
    assert_eq!(run.overall.offered, 1);
}

#[test]
fn who_tries_again_at_once_finds_what_came_free_within_a_round_trip() {
    // Two at one instant and one place: the second is turned away, and is back 5 ms later. What takes the first 4 ms has
    // left the place to it by then, and what takes 6 ms has not.
    let served = |work: &str, retry: &str| {
        let run = run_one(&format!(
            r#"
            name = "One place"
            starts = 2026-06-02T09:00:00Z
            duration = "3s"
            slo.latency = "1s"
            upstreams.api.latency = {{ constant = "{work}" }}
            routes."/".upstream = "api"
            gateway = {{ workers = 1, queue = 0 }}
            [clients.both]
            send = "/"
            bursts = [{{ from = "1s", to = "1s", count = 2 }}]
            retry = {retry}
            "#
        ));
        (run.overall.count(Outcome::Served), (run.overall.latency.max_us as f64 / 1e3).round() as u64)
    };
    let at_once = r#"{ retries = 1, on = ["5xx"], backoff = "none" }"#;
    assert_eq!(served("4ms", at_once), (2, 9));
    assert_eq!(served("6ms", at_once).0, 1);
    // A wait that is longer is what it is.
    let waits = r#"{ retries = 1, on = ["5xx"], backoff = "fixed", base = "7ms", jitter = "none" }"#;
    assert_eq!(served("6ms", waits), (2, 13));
}

#[test]
fn an_answer_breaks_or_trickles_after_the_calls() {
    // 100 ms of its own and 200 ms of the other make 300 ms; a body of 400 ms more makes 700. The other is asked each time.
    let outcome = |fault: &str, called: &str| {
        let run = run_one(&format!(
            r#"
            name = "After the calls"
            starts = 2026-06-02T09:00:00Z
            duration = "10s"
            slo.latency = "1s"
            upstreams.a = {{ latency = {{ constant = "100ms" }}, calls = [{{ upstream = "b" }}] }}
            upstreams.b.latency = {{ constant = "200ms" }}
            routes."/".upstream = "a"
            clients.all = {{ send = "/", rate = "1/s" }}
            faults = [
              {{ at = "0s", for = "10s", upstreams = ["a"], {fault} }},
              {called}
            ]
            "#
        ));
        let attempts: Vec<_> = run.upstream_attempts.iter().map(|upstream| upstream.attempts).collect();
        assert_eq!(attempts, [10, 10], "{fault}");
        (run.overall.count(Outcome::Served), (run.overall.latency.max_us as f64 / 1e3).round() as u64)
    };
    assert_eq!(outcome("reset = {}", ""), (0, 300));
    assert_eq!(outcome(r#"drip = { body = "400ms" }"#, ""), (10, 700));
    // An answer of 502, at once instead of after 200 ms, is one whether it breaks or not, and trickles no less.
    let failed = r#"{ at = "0s", for = "10s", upstreams = ["b"], error = { status = 500 } }"#;
    assert_eq!(outcome("reset = {}", failed), (0, 100));
    assert_eq!(outcome(r#"drip = { body = "400ms" }"#, failed), (0, 500));
}

#[test]
fn a_budget_bounds_what_retries_add() {
    // 100 requests a second, all failing, at most a tenth of them again: over a minute 6,000 requests and no more than
    // 600 retries, and the budget's ten seconds are used up to the last.
    let text = r#"
        name = "Budget"
        starts = 2026-06-02T09:00:00Z
        duration = "1m"
        slo.latency = "1s"
        upstreams.api.latency = { constant = "1ms" }
        routes."/".upstream = "api"
        [clients.all]
        send = "/"
        rate = "100/s"
        retry = { retries = 3, on = ["5xx"], budget = { ratio = "10%" } }
        [[faults]]
        at = "0s"
        for = "1m"
        upstreams = ["api"]
        error = { status = 500 }
        [expect]
        hold = ["attempts <= 6600", "attempts >= 6550", "amplification <= 1.1"]
    "#;
    assert_held(&run(text));
}

#[test]
fn retries_against_independent_failure() {
    // With three retries, a request fails if four attempts do: success 1 − f⁴, attempts (1 − f⁴)/(1 − f). At 200,000
    // requests the relative standard error of both is below a tenth of a percent; within 1% a right engine never fails.
    for (percent, f) in [("10%", 0.1_f64), ("50%", 0.5), ("75%", 0.75)] {
        let text = format!(
            r#"
            name = "Independent failure"
            starts = 2026-06-02T09:00:00Z
            duration = "200s"
            slo.latency = "1s"
            upstreams.api.latency = {{ constant = "1ms" }}
            routes."/".upstream = "api"
            clients.all = {{ send = "/", rate = "1000/s", retry = {{ retries = 3, on = ["5xx"] }} }}
            faults = [{{ at = "0s", for = "200s", upstreams = ["api"], fraction = "{percent}", error = {{ status = 503 }} }}]
            "#
        );
        let run = run_one(&text);
        let failing = f * f * f * f;
        let success = run.overall.success_rate().unwrap();
        assert!((success / (1.0 - failing) - 1.0).abs() < 0.01, "success {success} at {percent}");
        let attempts = (1.0 - failing) / (1.0 - f);
        assert!(
            (run.amplification / attempts - 1.0).abs() < 0.01,
            "{} attempts at {percent}",
            run.amplification
        );
    }
}

#[test]
fn a_fault_hurts_directly_who_depends_on_it_and_by_the_pool_who_does_not() {
    // Payments hang for ten seconds. Ten a second wait for them, each holding one of the gateway's 20 workers for the
    // timeout of 5 s: after two seconds the pool is full, and the account pages with it.
    let world = |gateway: &str| {
        format!(
            r#"
            name = "Shared pool"
            starts = 2026-06-02T09:00:00Z
            duration = "3m"
            slo.latency = "1s"
            upstreams.payments.latency = {{ constant = "10ms" }}
            upstreams.accounts.latency = {{ constant = "10ms" }}
            routes."/pay".upstream = "payments"
            routes."/account".upstream = "accounts"
            clients.buyers = {{ send = "/pay", rate = "10/s", identities = 10 }}
            clients.members = {{ send = "/account", rate = "10/s", identities = 10 }}
            faults = [{{ at = "1m", for = "10s", upstreams = ["payments"], hang = {{}} }}]
            [gateway]
            workers = 20
            queue = 0
            timeout = "5s"
            {gateway}
            [expect]
            hold = []
            "#
        )
    };
    let shared = run_one(&world("")).harm.unwrap();
    // All of the buyers' requests within ten seconds that found a worker hang, the others are shed: 100 of the 701 from
    // 60 s to 130 s; those of the two seconds in which the pool fills count too. Two more find it full when the fault is
    // over: the workers of 60.0 s to 61.9 s are free after their timeout, at 65.0 s to 66.9 s, and so it is the requests of
    // 65.1 s to 67.0 s that hang in them next. The first of these is given up at 70.1 s, after 70.0 and 70.1 s were shed.
    assert_eq!((shared.direct.hurt, shared.direct.total), (102, 701));
    assert!(shared.collateral.hurt > 30 && shared.collateral.hurt < 100, "{:?}", shared.collateral);
    assert_eq!(shared.routes.iter().map(|route| route.direct).collect::<Vec<_>>(), [true, false]);
    // Five seconds after the end the last that hangs has timed out.
    assert!(shared.recovery_us.is_some_and(|time| time <= 6_000_000), "{:?}", shared.recovery_us);

    let walled = run_one(&world("upstreams.payments.max_in_flight = 15")).harm.unwrap();
    assert_eq!(walled.collateral.hurt, 0);
    assert_eq!(walled.containment_us, Some(0));
    // The places in the bulkhead come free as the workers did.
    assert_eq!(walled.direct.hurt, 102);
}

#[test]
fn a_pool_without_a_worker_to_spare_is_contained_only_where_requests_take_no_time_of_their_own() {
    // Two populations of 10/s, and 2 s for each request: 40 workers are just as many as it takes, since at each tenth of a
    // second two requests end before two arrive. From 20 to 30 s those of one hang until their timeout of 4 s. From 22 s on, two
    // seconds after the first of them, until 32 s only one worker is free where two arrive, and it is the first population's,
    // which stands first in the file: 100 of the other are turned away. An answer exactly at a timeout is in time, so a timeout
    // frees its worker after those of its instant have come: at 24.0 s none is free, as nobody's answer is due and the first
    // to hang is given up only then. Its place is empty four seconds later, so none is free at 28.1 s, and four later again
    // only one is at 32.2 s, where the 101st is turned away. From then on it is calm.
    let world = |workers: u32, latency: &str| {
        let text = format!(
            r#"
            name = "Full to the last place"
            starts = 2026-06-02T09:00:00Z
            duration = "90s"
            slo.latency = "3s"
            faults = [{{ at = "20s", for = "10s", upstreams = ["payments"], hang = {{}} }}]
            upstreams.payments.latency = {{ constant = "{latency}" }}
            upstreams.accounts.latency = {{ constant = "{latency}" }}
            routes."/checkout".upstream = "payments"
            routes."/account".upstream = "accounts"
            clients.buyers = {{ send = "/checkout", rate = "10/s" }}
            clients.members = {{ send = "/account", rate = "10/s" }}
            gateway = {{ workers = {workers}, queue = 0, timeout = "4s" }}
            "#
        );
        run_one(&text).harm.unwrap()
    };
    let full = world(40, "2s");
    assert_eq!((full.collateral.hurt, full.containment_us), (101, Some(12_000_000)));
    // Three milliseconds more, as sockets take, and 40 workers serve 40/2.003 a second, which is less than 20: some are turned
    // away without any fault too, others with it than without it, and so it goes on.
    assert_eq!(world(40, "2003ms").containment_us, None);
    // With two workers to spare, the three milliseconds change nothing: within 10 s of 32 s there is one hurt, of 100.
    for latency in ["2s", "2003ms"] {
        assert_eq!(world(42, latency).containment_us, Some(12_000_000), "{latency}");
    }
}

#[test]
fn harm_follows_calls() {
    // Nobody's route names payments, but checkout calls it: what hurts buyers is direct.
    let text = r#"
        name = "Through a call"
        starts = 2026-06-02T09:00:00Z
        duration = "3m"
        slo.latency = "1s"
        [upstreams]
        payments = { latency = { constant = "10ms" } }
        checkout = { latency = { constant = "10ms" }, calls = [{ upstream = "payments", timeout = "2s" }] }
        accounts = { latency = { constant = "10ms" } }
        [routes]
        "/checkout" = { upstream = "checkout" }
        "/account" = { upstream = "accounts" }
        [clients]
        buyers = { send = "/checkout", rate = "10/s" }
        members = { send = "/account", rate = "10/s" }
        [[faults]]
        at = "1m"
        for = "10s"
        upstreams = ["payments"]
        slow = { latency = "28s" }
        [expect]
        hold = [
          "blast_radius == 0%",
          "direct_damage(clients.buyers) > 14%",
          "direct_damage(routes.\"/checkout\") < 15%",
          "recovery_time == 0s",
          "containment_time == 0s",
        ]
    "#;
    let result = run(text);
    assert_held(&result);
    let run = &result.variants[0].runs[0];
    // A call that times out is answered 504 by the service: an error of the upstream, as the gateway sees it.
    assert_eq!(run.overall.count(Outcome::UpstreamError), 100);
    // Payments does not notice that checkout left: all ten seconds' calls are in its hands at once, and beside them the
    // one that is being served.
    let payments = run.stations.iter().find(|station| station.name == "payments").unwrap();
    assert_eq!(payments.peak_in_flight, 101);
}

#[test]
fn what_hangs_for_nobody_holds_no_worker() {
    // Two workers hang for callers who wait 10 s; behind them the queue fills with those who wait one. When a worker is free
    // again the fault still strikes, and what it would strike has nobody left to end it. Ten seconds after the fault the
    // last who waits has left. What 30 s at 6/s and those 10 s have left behind, 240 at 10 ms for two workers, is done 1.2 s
    // later: a second more for the second in which it happens.
    let result = run(r#"
        name = "Patient and hasty"
        starts = 2026-06-02T09:00:00Z
        duration = "3m"
        slo.latency = "500ms"
        upstreams.api = { latency = { constant = "10ms" }, workers = 2 }
        routes."/".upstream = "api"
        clients.patient = { send = "/", rate = "1/s", timeout = "10s" }
        clients.hasty = { send = "/", rate = "5/s", timeout = "1s" }
        faults = [{ at = "30s", for = "30s", upstreams = ["api"], hang = {} }]
        expect.hold = ["recovery_time <= 13s", "direct_damage < 60%"]
    "#);
    assert_held(&result);
    let api = result.variants[0].runs[0].stations.iter().find(|station| station.name == "api").unwrap();
    let (hung, after) = (&api.in_flight_per_s[35..60], &api.in_flight_per_s[75..]);
    assert!(hung.iter().all(|busy| *busy == 2), "{hung:?}");
    assert!(after.iter().all(|busy| *busy <= 2) && api.queued_per_s[75..].iter().all(|queued| *queued == 0));
}

#[test]
fn without_faults_there_is_no_harm_to_measure() {
    let text = LAYERS.split("[[faults]]").next().unwrap();
    let run = run_one(text);
    assert_eq!(run.harm, None);
    assert_eq!(run.attempts, 3);
}

#[test]
fn a_fault_shifts_nobodys_draws() {
    // A fault far below anybody's notice, on an upstream of its own: everybody else's run is the same to the last bit.
    let with = |fault: &str| {
        format!(
            r#"
            name = "Draws"
            starts = 2026-06-02T09:00:00Z
            duration = "1m"
            slo.latency = "1s"
            upstreams.a.latency = {{ log-normal = {{ median = "12ms", p99 = "60ms" }} }}
            upstreams.b.latency = {{ exponential = {{ mean = "20ms" }} }}
            routes."/a".upstream = "a"
            routes."/b".upstream = "b"
            clients.of-a = {{ send = "/a", rate = "50/s", arrivals = "poisson" }}
            clients.of-b = {{ send = "/b", rate = "50/s", arrivals = "poisson", retry = {{ retries = 2 }} }}
            {fault}
            "#
        )
    };
    let calm = run_one(&with(""));
    let fault = r#"faults = [{ at = "20s", for = "20s", upstreams = ["b"], fraction = "50%", error = { status = 503 } }]"#;
    let struck = run_one(&with(fault));
    assert_eq!(calm.populations[0], struck.populations[0]);
    assert_ne!(calm.populations[1].summary, struck.populations[1].summary);
    assert_eq!(calm.populations[1].offered_per_s, struck.populations[1].offered_per_s);
    // Somebody was hurt, and nobody else.
    let harm = struck.harm.unwrap();
    assert_eq!(harm.collateral.hurt, 0);
    assert!(harm.direct.hurt > 0);
}

/// Ten requests a second for a minute at one upstream of 10 ms, to which something happens from 20 to 30 s: of 600 requests
/// it strikes 100.
fn struck(more: &str, fault: &str) -> RunResult {
    run_one(&format!(
        r#"
        name = "Struck"
        starts = 2026-06-02T09:00:00Z
        duration = "1m"
        slo.latency = "500ms"
        upstreams.api.latency = {{ constant = "10ms" }}
        routes."/".upstream = "api"
        clients.all.send = "/"
        clients.all.rate = "10/s"
        faults = [{{ at = "20s", for = "10s", upstreams = ["api"], {fault} }}]
        {more}
        "#
    ))
}

fn served_by_api(run: &RunResult) -> u64 {
    run.stations.iter().find(|station| station.name == "api").map_or(0, |station| station.wait.count)
}

#[test]
fn a_body_that_trickles_is_late_and_whole() {
    let fault = r#"drip = { body = "3s" }"#;
    let run = struck("", fault);
    assert_eq!((run.overall.count(Outcome::Served), run.overall.good), (600, 500));
    // To three digits.
    assert!(run.overall.latency.max_us.abs_diff(3_010_000) < 5_000, "{:?}", run.overall.latency);
    // A timeout covers headers and body.
    let run = struck(r#"gateway.timeout = "1s""#, fault);
    assert_eq!((run.overall.count(Outcome::TimedOut), run.overall.good), (100, 500));
}

#[test]
fn a_refusal_takes_no_worker_and_is_tried_again() {
    let run = struck(r#"gateway.retry = { retries = 3, on = ["connect"] }"#, "refuse = {}");
    assert_eq!((run.overall.count(Outcome::UpstreamError), run.attempts), (100, 500 + 100 * 4));
    assert_eq!(served_by_api(&run), 500);
    // To its client, it is the gateway's 502.
    let of_clients =
        |on: &str| struck(&format!("clients.all.retry = {{ retries = 3, on = ['{on}'] }}"), "refuse = {}");
    assert_eq!([of_clients("connect").attempts, of_clients("5xx").attempts], [600, 900]);
}

#[test]
fn an_answer_that_breaks_off_is_no_failed_connection() {
    // The gateway has passed its beginning on, whatever it tries again; to its client it is as good as a 502.
    let run = struck(r#"gateway.retry = { retries = 3, on = ["connect", "5xx"] }"#, "reset = {}");
    assert_eq!((run.overall.count(Outcome::UpstreamError), run.attempts), (100, 600));
    assert_eq!(served_by_api(&run), 600);
    let of_clients =
        |on: &str| struck(&format!("clients.all.retry = {{ retries = 3, on = ['{on}'] }}"), "reset = {}");
    assert_eq!([of_clients("connect").attempts, of_clients("5xx").attempts], [600, 900]);
    // A breaker counts it: at ten a second its window holds 200 successes at 20 s and 300 at most, so that within 10 s half
    // of it fails only where it is shorter.
    let breaker = "gateway.timeout = '5s'\ngateway.breaker = { window = '10s', half_open = 'single-probe' }";
    assert!(struck(breaker, "reset = {}").overall.count(Outcome::ShortCircuited) > 40);
}

#[test]
fn a_service_tries_an_answer_that_broke_off_again_as_a_502() {
    let attempts = |on: &str, fault: &str| {
        let run = run_one(&format!(
            r#"
            name = "Below"
            starts = 2026-06-02T09:00:00Z
            duration = "1m"
            slo.latency = "500ms"
            upstreams.front.latency = {{ constant = "10ms" }}
            upstreams.front.calls = [{{ upstream = "back", retry = {{ retries = 3, on = ["{on}"] }} }}]
            upstreams.back.latency = {{ constant = "10ms" }}
            routes."/".upstream = "front"
            clients.all = {{ send = "/", rate = "10/s" }}
            faults = [{{ at = "20s", for = "10s", upstreams = ["back"], {fault} }}]
            "#
        ));
        run.upstream_attempts[1].attempts
    };
    // Of the last request before it ends, three attempts come later and are answered: there are two or three more of them.
    let near = |attempts: u64, expected: u64| attempts.abs_diff(expected) <= 3;
    for (on, fault, again) in [
        ("connect", "refuse = {}", true),
        ("5xx", "refuse = {}", false),
        ("connect", "reset = {}", false),
        ("5xx", "reset = {}", true),
    ] {
        let attempts = attempts(on, fault);
        assert!(near(attempts, if again { 900 } else { 600 }), "{attempts} for {fault} on {on}");
    }
}

#[test]
fn company_slows_a_service_down() {
    // Four at once: 10 ms for the first, and 5 ms more for each of the others that it finds at work.
    let run = run_one(
        r#"
        name = "Company"
        starts = 2026-06-02T09:00:00Z
        duration = "10s"
        slo.latency = "500ms"
        upstreams.api = { latency = { constant = "10ms" }, load_latency = "5ms" }
        routes."/".upstream = "api"
        clients.all = { send = "/", bursts = [{ from = "1s", to = "1s", count = 4 }] }
        "#,
    );
    let latency = &run.overall.latency;
    assert!((latency.mean_us - 17_500.0).abs() < 20.0, "{latency:?}");
    assert!(latency.max_us.abs_diff(25_000) < 30, "{latency:?}");
}

#[test]
fn variants_that_fail_at_other_times_are_measured_over_the_same_time() {
    let result = run(r#"
        name = "Sooner or later"
        starts = 2026-06-02T09:00:00Z
        duration = "3m"
        slo.latency = "1s"
        upstreams.a.latency = { constant = "1ms" }
        routes."/a".upstream = "a"
        clients.all = { send = "/a", rate = "10/s" }
        faults = [{ at = "10s", for = "10s", upstreams = ["a"], error = { status = 503 } }]
        [variants.sooner]
        [variants.later]
        faults = [{ at = "60s", for = "20s", upstreams = ["a"], error = { status = 503 } }]
    "#);
    // From 10 s to a minute after 80 s, the ends with it, of which 10 and 20 s fail.
    for (variant, hurt) in result.variants.iter().zip([100, 200]) {
        let harm = variant.runs[0].harm.as_ref().unwrap();
        assert_eq!((harm.first_fault_us, harm.last_fault_end_us), (10_000_000, 80_000_000));
        assert_eq!((harm.direct.hurt, harm.direct.total), (hurt, 1301));
        // What they fail of is what is compared, and stands in the report.
        let told = variant.settings.iter().any(|setting| setting.key == "faults[0].at");
        assert!(told, "{:?}", variant.settings);
    }
}

#[test]
fn where_nobody_else_can_be_hurt_there_is_nothing_to_contain() {
    let text = r#"
        name = "Alone"
        starts = 2026-06-02T09:00:00Z
        duration = "1m"
        slo.latency = "1s"
        upstreams.a.latency = { constant = "1ms" }
        routes."/a".upstream = "a"
        clients.all = { send = "/a", rate = "10/s" }
        faults = [{ at = "10s", for = "10s", upstreams = ["a"], error = { status = 503 } }]
        expect.hold = ["containment_time < 1s"]
    "#;
    let result = run_in_spite_of_warnings(text);
    let check = &result.expectations[0].checks[0];
    assert_eq!((check.held, &check.measured), (false, &Value::NotObserved));
    let harm = result.variants[0].runs[0].harm.as_ref().unwrap();
    assert_eq!((harm.containment_us, harm.containment_observed), (None, false));
}

#[test]
fn where_the_run_ends_with_the_fault_nobody_can_tell_whether_it_recovers() {
    let world = |duration: &str| {
        let text = format!(
            r#"
            name = "To the end"
            starts = 2026-06-02T09:00:00Z
            duration = "{duration}"
            slo.latency = "1s"
            upstreams.a.latency = {{ constant = "1ms" }}
            routes."/a".upstream = "a"
            clients.all = {{ send = "/a", rate = "10/s" }}
            faults = [{{ at = "10s", for = "50s", upstreams = ["a"], error = {{ status = 503 }} }}]
            expect.hold = ["recovery_time == never", "recovery_time < 1s"]
            "#
        );
        let mut result = run(&text);
        let held: Vec<_> = result.expectations.iter().map(|line| line.held).collect();
        let measured = result.expectations[0].checks[0].measured;
        (held, measured, result.variants[0].runs.remove(0).harm.unwrap())
    };
    let (held, measured, harm) = world("69s");
    assert_eq!((held, measured), (vec![false, false], Value::NotObserved));
    assert_eq!((harm.recovery_us, harm.recovery_observed), (None, false));
    let (held, measured, harm) = world("70s");
    assert_eq!((held, measured), (vec![false, true], Value::DurationUs(0)));
    assert_eq!((harm.recovery_us, harm.recovery_observed), (Some(0), true));
}

/// A shop of whose routes one depends on what fails from 10 to 20 s, under a gateway that lets everybody through and under one
/// that lets one request a minute through.
const DENY_ALL: &str = r#"
    name = "Deny all"
    starts = 2026-06-02T09:00:00Z
    duration = "60s"
    slo.latency = "1s"
    [upstreams]
    shop.latency = { constant = "1ms" }
    till.latency = { constant = "1ms" }
    [routes]
    "/shop".upstream = "shop"
    "/pay".upstream = "till"
    [clients]
    shoppers = { send = "/shop", rate = "10/s" }
    payers = { send = "/pay", rate = "10/s" }
    [[faults]]
    at = "10s"
    for = "10s"
    upstreams = ["till"]
    error = { status = 500 }
    [gateway]
    [variants.open]
    [variants.deny-all.gateway.rate_limit.global]
    algorithm = "fixed-window"
    limit = 1
    window = "1m"
"#;

#[test]
fn whoever_turns_everybody_away_is_measured_against_the_best_control() {
    let result = run(DENY_ALL);
    let strictness = |variant: usize| result.variants[variant].runs[0].strictness.clone().unwrap();
    let harm = |variant: usize| result.variants[variant].runs[0].harm.clone().unwrap();
    // Harm is counted from 10 s on: 500 requests of each population; 100 of the payers' meet the fault.
    let count = |hurt, total| HarmCount { hurt, total };
    assert_eq!((harm(0).collateral, harm(0).direct), (count(0, 500), count(100, 500)));
    assert_eq!(harm(0).control, Some(GoodCount { offered: 1200, good: 1200 }));
    // The other one lets the first request through, at 0 s, and has nothing left that could be hurt.
    assert_eq!((harm(1).collateral, harm(1).direct), (count(0, 500), count(0, 500)));
    assert_eq!(harm(1).control, Some(GoodCount { offered: 1200, good: 1 }));
    // Beside the other's control it serves 1,199 of 1,200 less, and of those while harm is counted, all.
    for variant in 0..2 {
        assert_eq!(strictness(variant).best, "open");
    }
    assert_eq!(strictness(0).control, count(0, 1200));
    assert_eq!(
        strictness(0).harm.map(|harm| (harm.collateral, harm.direct)),
        Some((count(0, 500), count(100, 500)))
    );
    assert_eq!(strictness(1).control, count(1199, 1200));
    assert_eq!(
        strictness(1).harm.map(|harm| (harm.collateral, harm.direct)),
        Some((count(500, 500), count(500, 500)))
    );
    // What everybody reads has no praise for it.
    let told = facts(&result);
    assert!(
        told[0].starts_with("deny-all turns away 99.9% of the good requests even without a fault"),
        "{told:?}"
    );
    let praise = [
        "nobody else was hurt",
        "hurt none of",
        "Direct damage was least under deny-all",
        "goodput took 0 s under deny-all",
    ];
    for fact in &told {
        assert!(!(fact.contains("deny-all") && praise.iter().any(|praise| fact.contains(praise))), "{fact}");
    }
}

#[test]
fn a_comparison_has_no_praise_for_a_gateway_that_turns_everybody_away() {
    let scenario = scenario(DENY_ALL);
    let [open, deny] = [&scenario.variants[0], &scenario.variants[1]];
    let seeds: Vec<u64> = (0..5).collect();
    let (result, requests) = run_comparison(&scenario, [open, deny], &seeds, || {});
    let side = Side { label: "deny.toml", result: &result };
    let pair = Compared {
        worlds: Some(Vec::new()),
        a: "open".to_owned(),
        b: "deny-all".to_owned(),
        requests: Some(requests),
    };
    let compared = compare(side, side, vec![pair], 0.95);
    let better: Vec<&str> = compared.pairs[0]
        .measures
        .iter()
        .filter(|measure| measure.verdict == DifferenceVerdict::Better)
        .map(|measure| &*measure.measure)
        .filter(|measure| !measure.starts_with("latency"))
        .collect();
    assert_eq!(better, [""; 0]);
    let verdict = |name: &str| {
        compared.pairs[0]
            .measures
            .iter()
            .find(|measure| measure.name() == name)
            .map(|measure| measure.verdict)
    };
    assert_eq!(verdict("direct_damage"), Some(DifferenceVerdict::Lower));
    assert_eq!(verdict("good_without_faults"), Some(DifferenceVerdict::Worse));
    assert!(
        compared
            .reservations
            .iter()
            .any(|told| told.starts_with("B turns requests away even without a fault"))
    );
}

#[test]
fn what_users_lost_is_the_difference_of_their_good_shares() {
    // Ten users a population, each a request a second: 500 of each from 10 s on, when harm is counted. From 10 to 20 s the
    // till answers 500 to everybody: 100 of the payers' 500, all of which are good in the control.
    let text = r#"
        name = "Users"
        starts = 2026-06-02T09:00:00Z
        duration = "60s"
        slo.latency = "1s"
        [upstreams]
        shop.latency = { constant = "0s" }
        till.latency = { constant = "0s" }
        [routes]
        "/shop".upstream = "shop"
        "/pay".upstream = "till"
        [clients]
        shoppers = { send = "/shop", users = 10, think = "1s" }
        payers = { send = "/pay", users = 10, think = "1s" }
        [[faults]]
        at = "10s"
        for = "10s"
        upstreams = ["till"]
        error = { status = 500 }
        [expect]
        hold = [
          "blast_radius == 0%",
          "direct_damage == 20%",
          'direct_damage(routes."/pay") == 20%',
          "direct_damage(clients.payers) == 20%",
          "recovery_time == 0s",
        ]
    "#;
    let result = run(text);
    assert_held(&result);
    let harm = result.variants[0].runs[0].harm.as_ref().unwrap();
    let unpaired = harm.unpaired.unwrap();
    assert_eq!((unpaired.direct.offered, unpaired.direct.good), (500, 400));
    assert!((unpaired.direct.expected_good - 500.0).abs() < 1e-9);
    assert_eq!(harm.direct, HarmCount::default(), "none of it was compared one by one");
    let told = terminal_summary(&result, 80, Legend::None);
    assert!(told.contains("~20%") && told.contains("~: an estimate"), "{told}");
    // Beside 500 pairs of others, of which 100 are hurt too, it is a fifth of a thousand.
    let mixed = text.replace("payers =", "buyers = { send = \"/pay\", rate = \"10/s\" }\n        payers =");
    let mixed = mixed.replace(
        "          \"direct_damage(clients.payers) == 20%\",\n",
        "          \"direct_damage(clients.buyers) == 20%\",\n",
    );
    let result = run(&mixed);
    assert_held(&result);
    let harm = result.variants[0].runs[0].harm.as_ref().unwrap();
    assert_eq!(harm.direct, HarmCount { hurt: 100, total: 500 });
    assert_eq!(harm.direct_tally().total(), 1000);
}
