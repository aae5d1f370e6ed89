//! What rate limits let through, through whole scenarios. The sends are not drawn, so that each count is exact.

use std::fmt::Write as _;

use reports::RunResult;

use super::{Check, Claim};

const MINUTE_MS: u64 = 60_000;
const BURST: u64 = 100;

pub(super) fn checks() -> Vec<Check> {
    vec![across_the_boundary(), above_the_limit()]
}

/// A burst of requests in the last two seconds of a minute, and another in the first two of the next.
fn across_the_boundary() -> Check {
    const LIMIT: u64 = 1000;
    const EACH: u64 = 1000;
    // The last send of a burst that is spread over two seconds, from the minute on and from the first send on.
    let into_the_minute_ms = 2000 - 2000 / EACH;
    let span_ms = 2000 + into_the_minute_ms;
    let load = format!(
        "bursts = [{{ from = \"58s\", to = \"60s\", count = {EACH} }}, {{ from = \"60s\", to = \"62s\", count = {EACH} }}]"
    );
    let expected = Expected {
        fixed_window: 2 * EACH.min(LIMIT),
        // All sends lie within a minute.
        sliding_log: LIMIT,
        // At s seconds into the minute, 1 − s/60 of the previous one's full count is in view, which leaves room for
        // s/60 of the limit: a request is let through while fewer than that are in the count, up to the last send.
        sliding_counter: LIMIT + (LIMIT * into_the_minute_ms).div_ceil(MINUTE_MS),
        small_bucket: bucket(LIMIT, BURST, span_ms),
        full_bucket: bucket(LIMIT, LIMIT, span_ms),
    };
    check("1,000 a minute, 2,000 sends in 4 s across the minute", &load, LIMIT, &expected)
}

/// Ten requests a second, where 100 a minute are allowed, for two minutes.
fn above_the_limit() -> Check {
    const LIMIT: u64 = 100;
    let last_send_ms = 2 * MINUTE_MS - 100;
    let expected = Expected {
        fixed_window: 2 * LIMIT,
        // What was let through in the first ten seconds leaves the log as the second minute begins.
        sliding_log: 2 * LIMIT,
        sliding_counter: counter_of_steady_sends(LIMIT, 100, last_send_ms),
        small_bucket: bucket(LIMIT, BURST, last_send_ms),
        full_bucket: bucket(LIMIT, LIMIT, last_send_ms),
    };
    check("100 a minute, 10 sends a second for 2 minutes", "rate = \"10/s\"", LIMIT, &expected)
}

/// Requests let through, by algorithm.
struct Expected {
    fixed_window: u64,
    sliding_log: u64,
    sliding_counter: u64,
    /// Of [`BURST`].
    small_bucket: u64,
    /// Of as much as the limit.
    full_bucket: u64,
}

/// A bucket that never is full again after the first send lets its burst through, and what is refilled until the last
/// one: burst + ⌊limit · t / window⌋.
const fn bucket(limit: u64, burst: u64, span_ms: u64) -> u64 {
    burst + limit * span_ms / MINUTE_MS
}

/// The counter by its definition: a send is let through while this minute's count and the share of the previous one's that
/// is in view are below the limit together.
fn counter_of_steady_sends(limit: u64, every_ms: u64, last_send_ms: u64) -> u64 {
    let (mut minute, mut previous, mut current, mut admitted) = (0, 0, 0, 0);
    for at_ms in (0..=last_send_ms).step_by(every_ms as usize) {
        if at_ms / MINUTE_MS > minute {
            (minute, previous, current) = (at_ms / MINUTE_MS, current, 0);
        }
        let in_view_ms = MINUTE_MS - at_ms % MINUTE_MS;
        if current * MINUTE_MS + previous * in_view_ms < limit * MINUTE_MS {
            current += 1;
            admitted += 1;
        }
    }
    admitted
}

fn check(system: &str, load: &str, limit: u64, expected: &Expected) -> Check {
    let limits = [
        ("fixed window", "fixed-window", None, expected.fixed_window),
        ("sliding-window log", "sliding-window-log", None, expected.sliding_log),
        ("sliding-window counter", "sliding-window-counter", None, expected.sliding_counter),
        ("token bucket, burst 100", "token-bucket", Some(BURST), expected.small_bucket),
        ("token bucket, burst = limit", "token-bucket", None, expected.full_bucket),
        ("GCRA, burst 100", "gcra", Some(BURST), expected.small_bucket),
        ("GCRA, burst = limit", "gcra", None, expected.full_bucket),
    ];
    let mut scenario = format!(
        r#"
        name = "Selftest"
        starts = 2026-06-02T09:00:00Z
        duration = "2m"
        slo.latency = "1s"
        upstreams.server.latency = {{ constant = "1ms" }}
        routes."/".upstream = "server"
        [clients.partner]
        send = "/"
        {load}
        "#
    );
    let mut claims = Vec::new();
    // One of the limits is as much as the burst: once is enough.
    let distinct = limits.into_iter().filter(|(_, _, burst, _)| *burst != Some(limit));
    for (variant, (what, algorithm, burst, admitted)) in distinct.enumerate() {
        let burst = burst.map(|burst| format!("burst = {burst}")).unwrap_or_default();
        let _ = writeln!(
            scenario,
            "[variants.{variant}.gateway.rate_limit.per_key]\n\
             algorithm = \"{algorithm}\"\nlimit = {limit}\nwindow = \"1m\"\n{burst}"
        );
        claims.push(Claim::exactly(what, admitted, variant, let_through));
    }
    Check { system: system.to_owned(), scenario, claims }
}

/// Requests that the only limit let through.
fn let_through(run: &RunResult) -> Option<f64> {
    run.limits.first().map(|limit| limit.admitted as f64)
}
