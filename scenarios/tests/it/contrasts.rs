//! Lines of `expect.hold` that compare two measures.

use reports::Value;
use tuesday::run_experiment;

use crate::common::{run, scenario};

/// Three pools for the same load, each request holding a worker for a second, and these lines about them.
fn pools(lines: &[&str]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("{line:?}")).collect();
    format!(
        r#"
        name = "Pools"
        starts = 2026-06-02T09:00:00Z
        duration = "20s"
        slo.latency = "2s"
        [upstreams]
        orders.latency = {{ constant = "1s" }}
        [routes]
        "/orders".upstream = "orders"
        [clients]
        shoppers = {{ send = "/orders", rate = "10/s", arrivals = "poisson" }}
        partners = {{ send = "/orders", rate = "1/s" }}
        [gateway]
        queue = 0
        [variants]
        small.gateway.workers = 1
        medium.gateway.workers = 4
        large.gateway.workers = 100
        [expect]
        hold = [{}]
        "#,
        lines.join(", ")
    )
}

#[test]
fn a_line_compares_variants_under_the_same_seed() {
    let text = pools(&["large: offered == small: offered", "large: served < small: served"]);
    let scenario = scenario(&text);
    let result = run_experiment(&scenario, &[1, 2, 3], || {});
    let [holds, fails] = &*result.expectations else { panic!("two lines") };
    assert!(holds.held && !fails.held);
    let offered = |variant: usize, seed: usize| {
        let run = &result.variants[variant].runs[seed];
        Value::Count(run.overall.offered)
    };
    for (seed, check) in holds.checks.iter().enumerate() {
        assert_eq!((&*check.variant, check.seed), ("large", seed as u64 + 1));
        assert_eq!(check.measured, offered(2, seed));
        assert_eq!(check.standard, Some(offered(0, seed)));
    }
    assert_eq!(holds.checks.len(), 3);
    assert_ne!(holds.checks[0].standard, holds.checks[1].standard, "each seed has its own");
}

#[test]
fn a_line_that_names_only_the_right_side_speaks_of_all_others() {
    let result = run(&pools(&["served <= large: served"]));
    let checked: Vec<_> = result.expectations[0].checks.iter().map(|check| &*check.variant).collect();
    assert_eq!(checked, ["small", "medium"]);
    assert!(result.expectations[0].held);
}

#[test]
fn two_measures_of_one_variant() {
    let result = run(&pools(&["offered(clients.partners) < offered(clients.shoppers)"]));
    let line = &result.expectations[0];
    assert!(line.held);
    assert_eq!(line.checks.len(), 3, "a line without a name speaks of every variant");
    assert!(line.checks.iter().all(|check| check.measured == Value::Count(20)));
}

#[test]
fn a_line_whose_other_variant_is_not_run_is_not_judged() {
    let mut scenario = scenario(&pools(&["large: served > small: served", "large: served > 0"]));
    scenario.variants.retain(|variant| variant.name == "large");
    let result = run_experiment(&scenario, &[1], || {});
    let lines: Vec<_> = result.expectations.iter().map(|line| &*line.text).collect();
    assert_eq!(lines, ["large: served > 0"]);
}
