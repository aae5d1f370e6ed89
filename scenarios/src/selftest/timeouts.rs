//! Answers that come exactly at a timeout, which is in time. The sends are not drawn, so that each count is exact.

use std::fmt::Write as _;

use reports::{Outcome, RunResult};

use super::{Check, Claim};

/// As many requests, each answered after 200 ms: all of them in time at a timeout of as much, and none at one that is a
/// microsecond shorter.
const REQUESTS: u64 = 100;

pub(super) fn checks() -> Vec<Check> {
    let timeouts = [
        ("a client's", "clients.all.timeout = \"{}\""),
        ("a route's", "routes.\"/\".timeout = \"{}\""),
        ("an upstream's", "gateway.upstreams.front.timeout = \"{}\""),
        ("a call's", "upstreams.front.calls = [{ upstream = \"back\", timeout = \"{}\" }]"),
    ];
    let mut scenario = format!(
        r#"
        name = "Selftest"
        duration = "{}s"
        slo.latency = "200ms"
        routes."/".upstream = "front"
        clients.all = {{ send = "/", rate = "10/s" }}
        [upstreams]
        front = {{ latency = {{ constant = "0s" }}, calls = [{{ upstream = "back" }}] }}
        back.latency = {{ constant = "200ms" }}
        "#,
        REQUESTS / 10
    );
    let mut claims = Vec::new();
    for (number, (whose, setting)) in timeouts.into_iter().enumerate() {
        for (nth, timeout) in ["200ms", "199999us"].into_iter().enumerate() {
            let variant = 2 * number + nth;
            let _ = writeln!(scenario, "[variants.{variant}]\n{}", setting.replace("{}", timeout));
            // Within the SLO: an answer exactly at that is good as well.
            let (what, measure): (_, fn(&RunResult) -> Option<f64>) = if nth == 0 {
                ("served", |run| Some(run.overall.good as f64))
            } else {
                ("1 µs late", |run| Some((run.overall.offered - run.overall.count(Outcome::Served)) as f64))
            };
            claims.push(Claim::exactly(&format!("{whose}, {what}"), REQUESTS, variant, measure));
        }
    }
    vec![Check { system: "answers exactly at a timeout".to_owned(), scenario, claims }]
}
