//! Hosts behind an upstream, in worlds small enough to work out by hand.

use crate::common::{run, run_one};
use reports::{CauseKind, Outcome};

fn world(upstream: &str, gateway: &str, more: &str) -> String {
    format!(
        r#"
        name = "Hosts"
        starts = 2026-06-02T09:00:00Z
        duration = "10s"
        slo.latency = "1s"
        [upstreams.api]
        {upstream}
        [routes]
        "/" = {{ upstream = "api" }}
        [clients.one]
        send = "/"
        rate = "12/s"
        [gateway]
        {gateway}
        {more}
        "#
    )
}

#[test]
fn a_request_meets_the_same_service_time_on_whichever_host() {
    let latency = "latency = { exponential = { mean = '100ms' } }";
    let one = run_one(&world(latency, "", ""));
    for balance in ["round-robin", "random", "p2c"] {
        let many = format!("{latency}\nhosts = 7");
        let many = run_one(&world(&many, &format!("upstreams.api.balance = '{balance}'"), ""));
        assert_eq!(many.overall, one.overall, "{balance}");
    }
}

#[test]
fn the_measures_of_an_upstream_are_the_sums_of_its_hosts() {
    // Each of three hosts has 4 requests a second: one is busy for 0.1 s with each, one three times as long. Of the third, which
    // has one worker and no queue for work of 0.49 s, each second request is turned away: 4 a second are 0.25 s apart.
    let hosts = "latency = '100ms'\nhosts = [{ workers = 2 }, { workers = 2, latency_factor = 3 }, \
                 { workers = 1, queue = 0, latency_factor = 4.9 }]";
    let run = run_one(&world(hosts, "", ""));
    let station = &run.stations[1];
    let told: Vec<_> =
        station.hosts.iter().map(|host| (host.attempts, host.rejected, host.peak_in_flight)).collect();
    // 0.3 s of work each 0.25 s are two at once for a while.
    assert_eq!(told, [(40, 0, 1), (40, 0, 2), (40, 20, 1)]);
    assert_eq!(
        (station.workers, station.rejected, run.upstream_attempts[0].attempts),
        (Some(5), Some(20), 120)
    );
    let used: f64 =
        station.hosts.iter().map(|host| host.utilization.unwrap() * f64::from(host.workers.unwrap())).sum();
    assert!((station.utilization.unwrap() * 5.0 - used).abs() < 1e-9);
    assert_eq!(run.overall.count(Outcome::UpstreamError), 20);
}

#[test]
fn a_fault_strikes_the_hosts_that_it_names() {
    let fault =
        "[[faults]]\nat = '0s'\nfor = '10s'\nupstreams = ['api']\nhosts = [1]\nerror = { status = 500 }";
    let run = run_one(&world("latency = '100ms'\nhosts = 3", "", fault));
    assert_eq!(run.overall.count(Outcome::UpstreamError), 40);
    assert_eq!(run.faults[0].hosts, Some(vec![1]));
}

#[test]
fn without_a_host_the_gateway_sheds_and_says_why() {
    // Both hosts fail: the second failure of each is the last attempt for 20 s.
    let fault = "[[faults]]\nat = '0s'\nfor = '10s'\nupstreams = ['api']\nerror = { status = 500 }";
    let eject = "upstreams.api.eject = { consecutive = 2, ejection = '20s', max_share = '100%' }";
    let run = run_one(&world("latency = '100ms'\nhosts = 2", eject, fault));
    assert_eq!((run.overall.count(Outcome::UpstreamError), run.overall.count(Outcome::Shed)), (4, 116));
    let shed = run.causes.iter().find(|cause| cause.steps[0].kind == CauseKind::NoHost).unwrap();
    assert_eq!((shed.requests, shed.steps.last().unwrap().kind), (116, CauseKind::Fault));
    let changes: Vec<_> = run.stations[1].hosts.iter().map(|host| host.changes.len()).collect();
    assert_eq!(changes, [1, 1]);
    // Requests that wait for a worker of the gateway meanwhile find none either, however many they are.
    let queue = format!("workers = 1\n{eject}");
    let slow = fault.replace("error = { status = 500 }", "slow = { latency = '3s' }");
    let text = world("latency = '100ms'\nhosts = 2", &format!("timeout = '1s'\n{queue}"), &slow);
    let run = run_one(&text);
    assert_eq!(run.overall.count(Outcome::TimedOut), 4);
    assert_eq!(run.overall.count(Outcome::Shed), 116);
}

#[test]
fn a_service_chooses_among_the_hosts_of_another() {
    let text = |balance: &str| {
        let other = format!("calls = [{{ upstream = 'stock', balance = '{balance}' }}]\nlatency = '1ms'");
        world(&other, "", "[upstreams.stock]\nlatency = '1ms'\nhosts = 4")
    };
    let attempts = |balance: &str| {
        let run = run_one(&text(balance));
        run.stations[2].hosts.iter().map(|host| host.attempts).collect::<Vec<_>>()
    };
    assert_eq!(attempts("round-robin"), [30; 4]);
    let random = attempts("random");
    assert_eq!(random.iter().sum::<u64>(), 120);
    assert_ne!(random, [30; 4]);
}

#[test]
fn variants_with_other_choices_meet_the_same_world() {
    let result = run(&world(
        "latency = { exponential = { mean = '50ms' } }\nhosts = 5",
        "",
        "[variants.in-turn]\n[variants.key.gateway.upstreams.api]\nbalance = { hash = 'key' }",
    ));
    let [in_turn, key] = &result.variants[..] else { panic!("two variants") };
    assert_eq!(in_turn.runs[0].overall, key.runs[0].overall);
    // One client has one host.
    let attempts: Vec<_> =
        key.runs[0].stations[1].hosts.iter().map(|host| host.attempts).filter(|a| *a > 0).collect();
    assert_eq!(attempts, [120]);
}

#[test]
fn checks_find_a_host_that_no_request_would_and_are_no_attempts() {
    // Two hosts, checked each second from 0 s and 0.5 s on. The second refuses everything from 2 s to 6 s: the checks at 2.5, 3.5 and
    // 4.5 s fail, and those at 6.5 and 7.5 s are answered.
    let fault = "[[faults]]\nat = '2s'\nfor = '4s'\nupstreams = ['api']\nhosts = [1]\nrefuse = true";
    let health = "upstreams.api.health = { path = '/up', interval = '1s', timeout = '500ms' }";
    let run = run_one(&world("latency = '10ms'\nhosts = 2", health, fault));
    let station = &run.stations[1];
    let changes: Vec<_> =
        station.hosts[1].changes.iter().map(|change| (change.at_us, change.to.as_str())).collect();
    assert_eq!(changes, [(4_500_000, "unhealthy"), (7_510_000, "in")]);
    assert_eq!(station.hosts[0].changes, []);
    // Six requests a second for each host: those from 2 s until 4.5 s fail. 12 a second in turn are at k/12 s, of which the second
    // host has the odd ones: 25/12 s to 53/12 s are 15.
    assert_eq!(run.overall.count(Outcome::UpstreamError), 15);
    let attempts = &run.upstream_attempts[0];
    // Ten seconds of one check a second for each of two hosts.
    assert_eq!((attempts.attempts, attempts.health_checks), (120, Some(20)));
}
