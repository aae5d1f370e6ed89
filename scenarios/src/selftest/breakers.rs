//! When a circuit breaker opens and closes, through a whole scenario. The sends are not drawn, so that each count is exact.

use reports::Outcome;

use super::{Check, Claim, single_upstream};

pub(super) fn checks() -> Vec<Check> {
    vec![probes_answered_404()]
}

/// An upstream that fails for a while and then answers 404 to everything: to a breaker it is well again.
///
/// The first failure opens the breaker at 30 s. It is half-open at 40 s, and the probes of 40, 50 and 60 s are answered 404,
/// which is no failure: the third closes it. Of ten requests a second, all are turned away in between but those probes.
fn probes_answered_404() -> Check {
    const PER_S: u64 = 10;
    const INTERVAL_S: u64 = 10;
    const PROBES: u64 = 3;
    const SECONDS: u64 = 90;
    let turned_away = PROBES * (INTERVAL_S * PER_S - 1);
    let scenario = single_upstream(
        SECONDS,
        "latency = { constant = \"0s\" }",
        &format!(
            r#"
            rate = "{PER_S}/s"
            [[faults]]
            at = "30s"
            for = "5s"
            upstreams = ["server"]
            error = {{ status = 500 }}
            [[faults]]
            at = "35s"
            for = "55s"
            upstreams = ["server"]
            error = {{ status = 404 }}
            [gateway.breaker]
            window = "1s"
            error_threshold = "1%"
            min_requests = 1
            probe_interval = "{INTERVAL_S}s"
            successes_to_close = {PROBES}
            "#
        ),
    );
    let claims = vec![
        Claim::exactly("turned away", turned_away, 0, |run| {
            Some(run.overall.count(Outcome::ShortCircuited) as f64)
        }),
        Claim::exactly("come to the upstream", PER_S * SECONDS - turned_away, 0, |run| {
            Some(run.attempts as f64)
        }),
    ];
    Check { system: "a breaker, three probes answered 404".to_owned(), scenario, claims }
}
