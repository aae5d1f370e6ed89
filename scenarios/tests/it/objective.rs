//! What a file says of the verdict: its objective, and how much requests count.

use reports::{RouteWeight, terminal_screen};

use crate::common::run;

/// Two routes of which each variant holds one back: `/many` has five times the requests, `/few` is the one that somebody pays for.
const TWO: &str = "
name = 'Two routes'
duration = '30s'
slo.latency = '1s'
upstreams.many.latency = '50ms'
upstreams.few.latency = '50ms'
routes.'/many'.upstream = 'many'
routes.'/few'.upstream = 'few'
clients.many = { send = '/many', rate = '100/s', arrivals = 'poisson' }
clients.few = { send = '/few', rate = '20/s', arrivals = 'poisson' }
[variants.many-held-back.gateway.upstreams.many]
max_in_flight = 1
[variants.few-held-back.gateway.upstreams.few]
max_in_flight = 1
";

#[test]
fn weights_of_routes_change_what_is_picked() {
    let result = run(TWO);
    assert!(result.scenario.weights.is_empty() && result.scenario.objective.is_empty());
    let screen = terminal_screen(&result, 200);
    assert!(screen.contains("Take few-held-back: "), "{screen}");

    let weighted = run(&TWO.replace("upstream = 'few'\n", "upstream = 'few'\nroutes.'/few'.weight = 100\n"));
    let few = RouteWeight { route: "/few".to_owned(), weight: 100.0 };
    assert_eq!(weighted.scenario.weights, [few]);
    let screen = terminal_screen(&weighted, 200);
    assert!(screen.contains("Keep many-held-back: the weighted goodput was "), "{screen}");
    // What was measured is the same.
    assert_eq!(weighted.variants, result.variants);
}

#[test]
fn a_weight_of_one_is_that_of_a_route_of_which_nothing_is_said() {
    let result = run(&TWO.replace("upstream = 'few'\n", "upstream = 'few'\nroutes.'/few'.weight = 1.0\n"));
    assert!(result.scenario.weights.is_empty());
}

/// One worker that is busy nine tenths of the time. A long queue serves more requests, and a short one faster.
const QUEUE: &str = "
name = 'Queue'
duration = '60s'
slo.latency = '2s'
upstreams.a.latency.exponential.mean = '90ms'
routes.'/a'.upstream = 'a'
clients.all = { send = '/a', rate = '10/s', arrivals = 'poisson' }
gateway.workers = 1
[variants.long.gateway]
queue = 1000
[variants.short.gateway]
queue = 1
";

#[test]
fn an_objective_changes_what_is_picked() {
    let usual = run(QUEUE);
    let screen = terminal_screen(&usual, 200);
    assert!(screen.contains("Keep long: "), "{screen}");
    for objective in ["'latency.p99'", "['latency.p99', 'goodput']"] {
        let result = run(&format!("{QUEUE}[report]\nobjective = {objective}\n"));
        assert_eq!(result.scenario.objective[0], "latency.p99");
        let screen = terminal_screen(&result, 200);
        assert!(screen.contains("Take short: the latency p99 was "), "{screen}");
        assert_eq!(result.variants, usual.variants);
    }
}
