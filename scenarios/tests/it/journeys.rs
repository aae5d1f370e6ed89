//! Clients who take one step after the other, and users who pace themselves.

use crate::common::{assert_held, run};

/// Three services of 5 ms, each behind its route.
fn world(clients: &str, more: &str, hold: &[&str]) -> String {
    format!(
        r#"
        name = "Journeys"
        starts = 2026-06-02T09:00:00Z
        duration = "10s"
        slo.latency = "1s"
        expect.hold = {hold:?}
        upstreams.login = {{ latency = "5ms" }}
        upstreams.search = {{ latency = "5ms" }}
        upstreams.pay = {{ latency = "5ms" }}
        routes."/login".upstream = "login"
        routes."/search".upstream = "search"
        routes."/pay".upstream = "pay"
        clients.one = {{ {clients} }}
        {more}
        "#
    )
}

const STEPS: &str = "journey = [{ send = \"/login\", method = \"POST\" }, { send = \"/search\", think = \"50ms\" }, \
                     { send = \"/pay\", think = \"50ms\" }]";

#[test]
fn each_arrival_takes_all_steps_until_the_end() {
    // The last arrival, at 9.9 s, searches at 9.955 s and would pay at 10.01 s, after the end.
    let hold = [
        "offered(routes.\"/login\") == 100",
        "offered(routes.\"/search\") == 100",
        "offered(routes.\"/pay\") == 99",
        "success_rate == 100%",
        "latency(max) == 5ms",
    ];
    assert_held(&run(&world(&format!("rate = \"10/s\", {STEPS}"), "", &hold)));
}

#[test]
fn a_share_goes_on() {
    // Binomial: of 1,000, 700 with a deviation of 14.5; of those half, 350 with 15.1. Five of each.
    let steps = "journey = [{ send = \"/login\", continue = \"70%\" }, { send = \"/search\", continue = \"50%\" }, { send = \"/pay\" }]";
    let hold = [
        "offered(routes.\"/login\") == 1000",
        "offered(routes.\"/search\") > 627",
        "offered(routes.\"/search\") < 773",
        "offered(routes.\"/pay\") > 274",
        "offered(routes.\"/pay\") < 426",
    ];
    assert_held(&run(&world(&format!("rate = \"100/s\", {steps}"), "", &hold)));
}

#[test]
fn who_fails_gives_up_unless_told_otherwise() {
    // From 0 to just before 5 s nobody can log in: fifty of a hundred.
    let fault = "faults = [{ at = \"0s\", for = \"5s\", upstreams = [\"login\"], error = { status = 500 } }]";
    let stops = ["offered(routes.\"/search\") == 50", "rejected(upstream-error) == 50"];
    let result = run(&world(&format!("rate = \"10/s\", {STEPS}"), fault, &stops));
    assert_held(&result);
    // No request is compared one by one, for a step is there only if the one before came to its end. Routes are compared by the share
    // that was good of what was sent: half of the logins, and all of the fifty searches and forty-nine payments.
    let harm = result.variants[0].runs[0].harm.as_ref().unwrap();
    assert_eq!((harm.collateral.total, harm.direct.total), (0, 0));
    let unpaired = harm.unpaired.unwrap();
    assert_eq!((unpaired.direct.offered, unpaired.direct.good), (100, 50));
    assert_eq!((unpaired.collateral.offered, unpaired.collateral.good), (99, 99));
    assert!((unpaired.collateral.expected_good - 99.0).abs() < 1e-9);
    let goes_on = ["offered(routes.\"/search\") == 100", "rejected(upstream-error) == 50"];
    let text = world(&format!("rate = \"10/s\", on_failure = \"go-on\", {STEPS}"), fault, &goes_on);
    assert_held(&run(&text));
}

#[test]
fn one_client_takes_all_steps() {
    // Each of 100 keys may send three requests in all: a client that arrives twice is turned away, and none that arrives once is.
    let limit = "gateway.rate_limit.per_key = { algorithm = \"fixed-window\", limit = 3, window = \"10s\" }";
    let result = run(&world(&format!("rate = \"10/s\", identities = 100, {STEPS}"), limit, &["served > 0"]));
    let run = &result.variants[0].runs[0];
    // 100 arrivals of 100 clients: some 63 different ones, with a deviation of 3. Each has its three steps served, but for the one
    // arrival that does not come to its last.
    let served = run.overall.count(reports::Outcome::Served);
    assert!((3 * 48 - 1..=3 * 78).contains(&served) && served % 3 != 1, "{served}");
    let buckets = run.limits[0].buckets;
    assert_eq!(served.div_ceil(3), buckets, "whoever was served at all was served whole");
}

#[test]
fn a_user_starts_over_and_thinks_before_each_step() {
    // 1 s before each step, 5 ms for each: at 1 s + k · 1.005 s, of which nine are within 10 s, five of them the first of two steps.
    let steps = "journey = [{ send = \"/login\" }, { send = \"/search\" }]";
    let hold = ["offered(routes.\"/login\") == 5", "offered(routes.\"/search\") == 4"];
    let clients = format!("users = 1, think = \"1s\", start = \"together\", {steps}");
    assert_held(&run(&world(&clients, "", &hold)));
}

#[test]
fn paced_users_send_at_equal_distances() {
    // At 0, 3, 6 and 9 s, whatever an answer takes.
    for login in ["5ms", "2s"] {
        let text = world(
            "users = 2, send = \"/login\", pacing = \"3s\", start = \"together\"",
            "",
            &["offered == 8"],
        );
        assert_held(&run(
            &text.replace("login = { latency = \"5ms\" }", &format!("login = {{ latency = \"{login}\" }}"))
        ));
    }
    // With a journey, it is those that begin at these times.
    let clients = format!("users = 2, pacing = \"3s\", start = \"together\", {STEPS}");
    let hold = ["offered(routes.\"/login\") == 8", "offered(routes.\"/pay\") == 8"];
    assert_held(&run(&world(&clients, "", &hold)));
}

#[test]
fn clients_who_are_turned_away_at_once_do_not_send_for_ever_at_one_instant() {
    // One request in all is let through. Each of 50 users without any think comes back after 5 ms: at most 2,000 times in 10 s.
    let limit = "gateway.rate_limit.global = { algorithm = \"fixed-window\", limit = 1, window = \"10s\" }";
    let clients = "users = 50, journey = [{ send = \"/login\" }]";
    assert_held(&run(&world(clients, limit, &["offered <= 100000", "offered > 90000"])));
}

#[test]
fn a_user_who_does_not_think_comes_back_after_a_round_trip() {
    // Ten are served in 5 ms each. The others are rejected at once, and their user is back 5 ms later: one request each 5 ms.
    let clients = r#"send = "/login", users = 1, think = "0s""#;
    let limit = r#"gateway.rate_limit.per_key = { algorithm = "fixed-window", limit = 10, window = "10s" }"#;
    let hold = ["offered == 2000", "served == 10", "rejected(rate-limited) == 1990"];
    assert_held(&run(&world(clients, limit, &hold)));
}
