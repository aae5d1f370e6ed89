//! The machine of hosts against vectors worked out by hand, and beside obvious models.

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::attempt::AttemptEnd;
use crate::breaker::GrowthRule;
use crate::split_mix::below;

/// A multiple of ten seconds since the epoch.
const START: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);

fn at(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

fn count(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn hosts(config: HostsConfig) -> Hosts {
    Hosts::new(&config, &Invariants::Panic).unwrap()
}

fn of(hosts: u32, balance: Balance) -> HostsConfig {
    HostsConfig::new(count(hosts), balance)
}

fn settled(status: u16) -> Settlement {
    AttemptEnd::Answered(status).settlement(Duration::ZERO).unwrap()
}

/// An attempt that ends at once. Which host it went to.
fn attempt(hosts: &mut Hosts, now: Timestamp, end: impl Fn(HostId) -> u16) -> Option<u32> {
    let mut pass = HostPass::drawn(7);
    let host = hosts.choose(now, &mut pass)?;
    hosts.on_settled(now, &mut pass, settled(end(host)));
    hosts.on_left(&mut pass);
    Some(host.0)
}

/// Attempts, round after round over all of twelve hosts, of which one fails each time. The changes.
fn rounds(hosts: &mut Hosts, now: Timestamp, rounds: u32, bad: u32) -> Vec<HostChange> {
    for _ in 0..rounds * 12 {
        attempt(hosts, now, |host| if host.0 == bad { 503 } else { 200 });
    }
    std::iter::from_fn(|| hosts.poll_change()).collect()
}

fn change(seconds: u64, host: u32, to: HostCondition) -> HostChange {
    HostChange { at: at(seconds), host: HostId(host), to }
}

#[test]
fn each_host_has_its_turn() {
    let mut hosts = hosts(of(3, Balance::RoundRobin));
    let turns: Vec<_> = (0..5).filter_map(|_| attempt(&mut hosts, START, |_| 200)).collect();
    assert_eq!(turns, [0, 1, 2, 0, 1]);
}

#[test]
fn a_retry_goes_to_another_host_if_there_is_one() {
    for balance in [
        Balance::RoundRobin,
        Balance::Random,
        Balance::LeastInFlight,
        Balance::P2c,
        Balance::PeakEwma,
        Balance::Hash(HashBy::Key),
    ] {
        for draw in 0..200 {
            let mut hosts = hosts(of(3, balance));
            let mut pass = HostPass::drawn(draw);
            let mut last = hosts.choose(START, &mut pass).unwrap();
            for _ in 0..5 {
                hosts.on_settled(START, &mut pass, Settlement::ConnectionFailed);
                hosts.on_left(&mut pass);
                let next = hosts.choose(START, &mut pass).unwrap();
                assert_ne!(next, last, "{balance:?}");
                last = next;
            }
        }
    }
    let alone = of(1, Balance::P2c).with_ejection(Ejection::ENVOY);
    let (mut hosts, mut pass) = (hosts(alone), HostPass::drawn(1));
    for _ in 0..3 {
        assert_eq!(hosts.choose(START, &mut pass), Some(HostId(0)));
        hosts.on_left(&mut pass);
    }
}

#[test]
fn one_host_of_which_nothing_is_learned_is_no_choice() {
    assert!(Hosts::new(&HostsConfig::default(), &Invariants::Panic).is_none());
}

/// Envoy's documentation of outlier detection, with its defaults: five failures in a row; 30 s, then 60 s where no sweep found the
/// host in its place meanwhile; back at the first sweep after that.
#[test]
fn ejections_are_as_long_as_envoys() {
    use HostCondition::{Ejected, In};
    let mut hosts = hosts(of(12, Balance::RoundRobin).with_ejection(Ejection::ENVOY));
    // Four failures in a row are not enough, and a success between them starts the count again.
    assert_eq!(rounds(&mut hosts, at(1), 4, 3), []);
    assert_eq!(rounds(&mut hosts, at(1), 1, 12), []);
    assert_eq!(rounds(&mut hosts, at(1), 5, 3), [change(1, 3, Ejected)]);
    // The first of twelve is 8.3%, a second would be 16.7%.
    assert_eq!(rounds(&mut hosts, at(2), 9, 4), []);
    // The time is over at 31 s, and the next sweep is at 40 s.
    assert_eq!(rounds(&mut hosts, at(39), 1, 3), []);
    assert_eq!(rounds(&mut hosts, at(41), 4, 3), [change(40, 3, In)]);
    assert_eq!(rounds(&mut hosts, at(41), 1, 3), [change(41, 3, Ejected)]);
    // Twice 30 s: over at 101 s. The sweeps at 120 s and at 130 s take one ejection back each.
    assert_eq!(rounds(&mut hosts, at(109), 1, 3), []);
    assert_eq!(rounds(&mut hosts, at(131), 5, 3), [change(110, 3, In), change(131, 3, Ejected)]);
    // So that the next is the first again: over at 161 s.
    assert_eq!(rounds(&mut hosts, at(169), 1, 3), []);
    assert_eq!(rounds(&mut hosts, at(170), 1, 12), [change(170, 3, In)]);
}

#[test]
fn ejections_grow_by_their_rule_up_to_the_longest() {
    let second = Duration::from_secs(1);
    // At a sweep each second and a host that fails at once whenever it is back, no sweep takes anything back.
    for (growth, lengths) in [
        (None, [2, 2, 2, 2]),
        (Some(GrowthRule::Linear), [2, 4, 6, 7]),
        (Some(GrowthRule::Doubling), [2, 4, 7, 7]),
    ] {
        let ejection = Ejection::ENVOY.with_consecutive(count(1)).with_sweep(second).unwrap();
        let ejection = ejection.with_time(2 * second, growth, 7 * second).unwrap();
        let ejection = ejection.with_max_share(0.5, false).unwrap();
        let mut hosts = hosts(of(2, Balance::RoundRobin).with_ejection(ejection));
        let mut changes = Vec::new();
        for now in 0..40 {
            for _ in 0..4 {
                attempt(&mut hosts, at(now), |host| if host.0 == 1 { 500 } else { 200 });
            }
            changes.extend(std::iter::from_fn(|| hosts.poll_change()));
        }
        let ejected = changes.iter().filter(|change| change.to == HostCondition::Ejected);
        let back = changes.iter().filter(|change| change.to == HostCondition::In);
        let told: Vec<u64> = ejected.zip(back).map(|(out, back)| (back.at - out.at).as_secs()).collect();
        assert_eq!(told[..4], lengths, "{growth:?}");
    }
}

#[test]
fn no_more_hosts_are_ejected_than_may_be() {
    let eject = |hosts_count: u32, max_share: f64, always_one: bool| {
        let ejection = Ejection::ENVOY.with_max_share(max_share, always_one).unwrap();
        let mut hosts = hosts(of(hosts_count, Balance::RoundRobin).with_ejection(ejection));
        // Nobody answers well.
        for _ in 0..hosts_count * 50 {
            attempt(&mut hosts, at(1), |_| 500);
        }
        hosts.states().filter(|(_, condition)| *condition == HostCondition::Ejected).count()
    };
    // At 10%, none of fewer than ten, one of ten to nineteen.
    assert_eq!([1, 9, 10, 19, 20].map(|hosts| eject(hosts, 0.1, false)), [0, 0, 1, 1, 2]);
    assert_eq!([1, 9, 10, 20].map(|hosts| eject(hosts, 0.1, true)), [1, 1, 1, 2]);
    assert_eq!(eject(3, 1.0, false), 3);
}

#[test]
fn without_a_host_there_is_none_and_in_a_panic_there_are_all() {
    let ejection = Ejection::ENVOY.with_max_share(1.0, false).unwrap();
    let config = of(4, Balance::RoundRobin).with_ejection(ejection);
    let mut none = hosts(config);
    for _ in 0..20 {
        attempt(&mut none, at(1), |_| 500);
    }
    assert!(!none.has_any(at(2)));
    assert_eq!(attempt(&mut none, at(2), |_| 200), None);
    assert!(none.has_any(at(40)), "their time was over at 31 s");

    // Half of four is not less than half, and one is.
    let mut panicking = hosts(config.with_panic_below(0.5).unwrap());
    for _ in 0..20 {
        attempt(&mut panicking, at(1), |host| if host.0 < 2 { 500 } else { 200 });
    }
    let seen = |hosts: &mut Hosts| {
        let mut seen: Vec<_> = (0..8).filter_map(|_| attempt(hosts, at(2), |_| 200)).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    };
    assert_eq!(seen(&mut panicking), [2, 3]);
    for _ in 0..20 {
        attempt(&mut panicking, at(2), |host| if host.0 < 3 { 500 } else { 200 });
    }
    assert_eq!(seen(&mut panicking), [0, 1, 2, 3]);
}

#[test]
fn a_host_that_comes_back_gets_a_share_that_grows() {
    let ejection = Ejection::ENVOY.with_consecutive(count(1)).with_max_share(0.5, false).unwrap();
    let config = of(2, Balance::Random).with_ejection(ejection);
    let mut hosts = hosts(config.with_slow_start(Duration::from_secs(100)).unwrap());
    for draw in 0..20 {
        let mut pass = HostPass::drawn(draw);
        if hosts.choose(at(1), &mut pass) == Some(HostId(0)) {
            hosts.on_settled(at(1), &mut pass, settled(500));
        }
        hosts.on_left(&mut pass);
    }
    assert_eq!(hosts.poll_change(), Some(change(1, 0, HostCondition::Ejected)));
    // Back at 40 s. Of 10,000 attempts half would go there: 5,000 with a standard deviation of 50.
    let mut share = |now| {
        let draws = (0..10_000).map(|draw| HostPass::drawn(split_mix_64(now, draw)));
        let mut there = 0;
        for mut pass in draws {
            there += u32::from(hosts.choose(at(now), &mut pass) == Some(HostId(0)));
            hosts.on_left(&mut pass);
        }
        there
    };
    for (now, expected) in [(40, 500), (45, 500), (90, 2_500), (140, 5_000)] {
        let there = share(now);
        assert!(there.abs_diff(expected) < 250, "{there} at {now} s");
    }
}

#[test]
fn a_client_keeps_its_host_until_that_is_passed_over() {
    let ejection = Ejection::ENVOY.with_consecutive(count(1)).with_max_share(0.5, false).unwrap();
    let mut hosts = hosts(of(5, Balance::Hash(HashBy::Key)).with_ejection(ejection));
    let host_of = |hosts: &mut Hosts, client: u64, now: Timestamp, status| {
        let mut pass = HostPass::drawn(client);
        let host = hosts.choose(now, &mut pass).unwrap();
        hosts.on_settled(now, &mut pass, settled(status));
        hosts.on_left(&mut pass);
        host.0
    };
    let before: Vec<_> = (0..500).map(|client| host_of(&mut hosts, client, at(1), 200)).collect();
    for host in 0..5 {
        // A fifth each: 100 with a standard deviation of 9.
        let clients = before.iter().filter(|of| **of == host).count();
        assert!(clients.abs_diff(100) < 45, "{clients}");
    }
    let again: Vec<_> = (0..500).map(|client| host_of(&mut hosts, client, at(1), 200)).collect();
    assert_eq!(before, again);
    host_of(&mut hosts, 0, at(1), 500);
    let after = (0..500).map(|client| host_of(&mut hosts, client, at(2), 200));
    for (was, is) in before.iter().zip(after) {
        assert_eq!(*was != is, *was == before[0], "only its own clients move");
    }
}

/// HAProxy's `fall 3` and `rise 2`, of two hosts that are checked each 2 s, the second 1 s after the first.
#[test]
fn checks_take_a_host_out_and_in_again() {
    use HostCondition::{In, Unhealthy};
    let mut hosts = hosts(of(2, Balance::RoundRobin).with_health(HealthCheck::HAPROXY));
    let mut begun = Vec::new();
    // The second host answers no check from 2 s to 8 s, and the others at once.
    let mut changes = Vec::new();
    for now in 0..16 {
        while let Some(check) = hosts.poll_check(at(now)) {
            assert_eq!(check.deadline, at(now + 1));
            begun.push((now, check.host.0));
            assert_ne!(hosts.next_check(), Some(at(now)));
            hosts.on_checked(at(now), check, check.host.0 == 0 || !(2..=8).contains(&now));
            // An end that comes again is none.
            hosts.on_checked(at(now), check, false);
        }
        changes.extend(std::iter::from_fn(|| hosts.poll_change()));
        let turn = attempt(&mut hosts, at(now), |_| 200);
        assert!(turn != Some(1) || !(7..11).contains(&now), "{now}");
    }
    assert_eq!(begun[..6], [(0, 0), (1, 1), (2, 0), (3, 1), (4, 0), (5, 1)]);
    // It fails at 3, 5 and 7 s, and is well at 9 and 11 s.
    assert_eq!(changes, [change(7, 1, Unhealthy), change(11, 1, In)]);
}

#[test]
fn requests_that_are_answered_well_take_no_host_in_that_checks_took_out() {
    let checks = HealthCheck::HAPROXY.with_thresholds(count(1), count(1));
    let mut hosts = hosts(of(1, Balance::RoundRobin).with_health(checks));
    let mut pass = HostPass::drawn(1);
    hosts.choose(at(0), &mut pass).unwrap();
    let check = hosts.poll_check(at(0)).unwrap();
    assert_eq!((hosts.poll_check(at(0)), hosts.next_check()), (None, None));
    hosts.on_checked(at(1), check, false);
    hosts.on_settled(at(1), &mut pass, settled(200));
    assert!(!hosts.has_any(at(1)));
    assert_eq!(hosts.next_check(), Some(at(2)));
}

/// An attempt at the only host, where that takes part: `Some` of whether it was sent.
fn one(hosts: &mut Hosts, now: Timestamp, status: u16) -> bool {
    attempt(hosts, now, |_| status).is_some()
}

/// Attempts that were sent while the only host took part, to end later.
fn on_their_way(hosts: &mut Hosts, number: usize) -> Vec<HostPass> {
    let mut send = |draw| {
        let mut pass = HostPass::drawn(draw);
        hosts.choose(at(1), &mut pass).map(|_| pass)
    };
    (0..number as u64).filter_map(&mut send).collect()
}

fn ends(hosts: &mut Hosts, now: Timestamp, mut pass: HostPass, status: u16) {
    hosts.on_settled(now, &mut pass, settled(status));
    hosts.on_left(&mut pass);
}

fn until(until: EjectedUntil, consecutive: u32) -> HostsConfig {
    let (second, ten) = (Duration::from_secs(1), Duration::from_secs(10));
    let ejection = Ejection::ENVOY.with_consecutive(count(consecutive)).with_until(until);
    let ejection = ejection.with_time(ten, None, ten).unwrap().with_max_share(1.0, false).unwrap();
    of(1, Balance::RoundRobin).with_ejection(ejection.with_sweep(second).unwrap())
}

/// Caddy's documentation: `max_fails` failures within `fail_duration`, each of which is forgotten after that time.
#[test]
fn until_quiet_a_host_is_out_while_enough_failures_are_remembered() {
    use HostCondition::{Ejected, In};
    let mut hosts = hosts(until(EjectedUntil::Quiet, 3));
    let late = on_their_way(&mut hosts, 2);
    // A success between them changes nothing, and the failure at 1 s is forgotten at 11 s.
    for (seconds, status) in [(1, 500), (2, 200), (8, 500), (11, 500)] {
        assert!(one(&mut hosts, at(seconds), status));
    }
    assert!(one(&mut hosts, at(12), 500));
    assert!(!hosts.has_any(at(17)));
    // Two that were on their way: the third last failure is that at 12 s from then on.
    for (pass, seconds) in late.into_iter().zip([13, 14]) {
        ends(&mut hosts, at(seconds), pass, 500);
    }
    assert!(!hosts.has_any(at(21)));
    assert!(one(&mut hosts, at(22), 200));
    // Those at 13 and 14 s are still remembered: one more is enough.
    assert!(one(&mut hosts, at(22), 500));
    assert!(!hosts.has_any(at(22)) && hosts.has_any(at(23)));
    let changes: Vec<_> = std::iter::from_fn(|| hosts.poll_change()).collect();
    let told = [(12, Ejected), (22, In), (22, Ejected), (23, In)];
    assert_eq!(changes, told.map(|(seconds, to)| change(seconds, 0, to)));
}

/// nginx's `ngx_http_upstream_get_peer` and `ngx_http_upstream_free_round_robin_peer`, `max_fails=2 fail_timeout=10s`.
#[test]
fn until_a_probe_is_answered_well_one_attempt_is_sent_at_a_time() {
    use HostCondition::{Ejected, In};
    let mut hosts = hosts(until(EjectedUntil::Probe, 2));
    let mut late = on_their_way(&mut hosts, 2);
    // Failures need not be in a row.
    for (seconds, status) in [(2, 500), (3, 200), (9, 500)] {
        assert!(one(&mut hosts, at(seconds), status));
    }
    // A success that was on its way takes no host in, and a failure begins the time anew.
    ends(&mut hosts, at(10), late.pop().unwrap(), 200);
    ends(&mut hosts, at(14), late.pop().unwrap(), 500);
    // At 24 s it is ten seconds later, and not more than ten.
    assert!(!hosts.has_any(at(24)));
    let mut probe = HostPass::drawn(1);
    assert_eq!(hosts.choose(at(25), &mut probe), Some(HostId(0)));
    assert!(!hosts.has_any(at(26)), "one is under way");
    ends(&mut hosts, at(30), probe, 500);
    assert!(!hosts.has_any(at(40)));
    // A probe that nobody hears of is followed by another.
    let mut probe = HostPass::drawn(2);
    assert!(hosts.choose(at(41), &mut probe).is_some());
    hosts.on_left(&mut probe);
    assert!(!hosts.has_any(at(51)));
    assert_eq!(hosts.states().next(), Some((0, Ejected)));
    assert!(one(&mut hosts, at(52), 200));
    let changes: Vec<_> = std::iter::from_fn(|| hosts.poll_change()).collect();
    assert_eq!(changes, [change(9, 0, Ejected), change(52, 0, In)]);
    // The count has begun anew.
    assert!(one(&mut hosts, at(53), 500) && one(&mut hosts, at(54), 500) && !hosts.has_any(at(54)));
}

/// `HAProxy`: `check inter 2s fall 3 rise 2 observe layer7 error-limit 2 on-error mark-down`.
#[test]
fn until_checks_are_answered_well_requests_take_a_host_out_as_checks_would() {
    use HostCondition::{Ejected, In, Unhealthy};
    let config = until(EjectedUntil::Check, 2);
    let mut alone = hosts(config);
    assert!((0..9).all(|_| one(&mut alone, at(1), 500)), "nobody would take it in again");
    let mut hosts = hosts(config.with_health(HealthCheck::HAPROXY));
    let check = |hosts: &mut Hosts, seconds, well| {
        let check = hosts.poll_check(at(seconds)).unwrap();
        hosts.on_checked(at(seconds), check, well);
    };
    check(&mut hosts, 0, true);
    let late = on_their_way(&mut hosts, 2);
    assert!(one(&mut hosts, at(1), 500) && one(&mut hosts, at(1), 200) && one(&mut hosts, at(1), 500));
    check(&mut hosts, 2, true);
    assert!(one(&mut hosts, at(3), 500) && !hosts.has_any(at(3)));
    assert_eq!(hosts.states().next(), Some((2, Ejected)));
    check(&mut hosts, 4, true);
    // Two more failures: the check at 4 s counts no more.
    for pass in late {
        ends(&mut hosts, at(5), pass, 500);
    }
    check(&mut hosts, 6, true);
    assert!(!hosts.has_any(at(7)));
    check(&mut hosts, 8, true);
    assert!(one(&mut hosts, at(8), 200));
    for seconds in [10, 12, 14] {
        check(&mut hosts, seconds, false);
    }
    let changes: Vec<_> = std::iter::from_fn(|| hosts.poll_change()).collect();
    let told = [(3, Ejected), (8, In), (14, Unhealthy)];
    assert_eq!(changes, told.map(|(seconds, to)| change(seconds, 0, to)));
}

#[test]
fn another_rule_takes_all_hosts_in() {
    let checked = |until_this| until(until_this, 1).with_health(HealthCheck::HAPROXY);
    for from in [EjectedUntil::Time, EjectedUntil::Quiet, EjectedUntil::Probe, EjectedUntil::Check] {
        for to in [checked(EjectedUntil::Quiet), until(from, 2), until(EjectedUntil::Check, 1)] {
            let mut hosts = hosts(checked(from));
            assert!(one(&mut hosts, at(1), 500) && !hosts.has_any(at(2)), "{from:?}");
            hosts.reconfigure(at(3), &to);
            // Those that are equal and have a rule that does not ask checks stay as they are.
            let is_same = to.ejection() == checked(from).ejection();
            assert_eq!(hosts.has_any(at(3)), !is_same || from == EjectedUntil::Check, "{from:?} {to:?}");
            let has_any = hosts.has_any(at(3));
            assert_eq!(hosts.ejected, u32::from(!has_any));
        }
    }
}

#[test]
fn a_slow_host_is_avoided_by_its_latency() {
    let mut hosts = hosts(of(2, Balance::PeakEwma));
    let took = |millis| Settlement::Answered { status: 200, took: Duration::from_millis(millis) };
    let mut to_slow = 0;
    for draw in 0..100 {
        let mut pass = HostPass::drawn(draw);
        let host = hosts.choose(START, &mut pass).unwrap();
        to_slow += u32::from(host.0 == 1);
        hosts.on_settled(START, &mut pass, took(if host.0 == 1 { 200 } else { 5 }));
        hosts.on_left(&mut pass);
    }
    // Each is tried as long as nothing is known of it; then there is nothing to choose.
    assert!(to_slow <= 1, "{to_slow}");
}

/// As a list of what is under way, looked at anew for each choice.
fn modelled(
    balance: Balance,
    under_way: &[u32],
    part: &[u32],
    last: Option<u32>,
    spread: u64,
) -> Option<u32> {
    let busy = |host: &u32| under_way.iter().filter(|other| *other == host).count();
    let all = part.len() as u64;
    let behind = part.iter().filter(|host| last.is_none_or(|last| **host > last));
    let before = part.iter().filter(|host| last.is_some_and(|last| **host <= last));
    let mut in_turn = behind.chain(before);
    match balance {
        Balance::RoundRobin => in_turn.next().copied(),
        Balance::LeastInFlight => {
            let least = part.iter().map(busy).min()?;
            in_turn.find(|host| busy(host) == least).copied()
        }
        Balance::Random => part.get(below(split_mix_64(spread, 0), all) as usize).copied(),
        _ if part.len() < 2 => part.first().copied(),
        _ => {
            let first = below(split_mix_64(spread, 0), all) as usize;
            let rest: Vec<u32> = part.iter().cycle().skip(first + 1).take(part.len() - 1).copied().collect();
            let second = rest[below(split_mix_64(spread, 1), all - 1) as usize];
            let first = part[first];
            Some(if busy(&second) < busy(&first) { second } else { first })
        }
    }
}

proptest! {
    /// Beside the obvious model: which host is chosen, and what is under way where. Whatever becomes of attempts, each slot comes
    /// back once.
    #[test]
    fn agrees_with_a_list_of_what_is_under_way(
        number in 2_u32..6,
        balance in prop::sample::select(
            &[Balance::RoundRobin, Balance::Random, Balance::LeastInFlight, Balance::P2c][..]
        ),
        ejects in any::<bool>(),
        steps in prop::collection::vec((0_u8..5, any::<prop::sample::Index>(), any::<u64>()), 0..300),
    ) {
        let mut config = of(number, balance);
        if ejects {
            let ejection = Ejection::ENVOY.with_consecutive(count(2)).with_max_share(1.0, false).unwrap();
            config = config.with_ejection(ejection);
        }
        let mut hosts = hosts(config);
        let (mut present, mut last, mut now) = (Vec::<(HostPass, u32)>::new(), None, 0);
        for (step, pick, draw) in steps {
            match step {
                0 | 1 => {
                    hosts.has_any(at(now));
                    let states: Vec<_> = hosts.states().collect();
                    let part: Vec<u32> =
                        (0..number).filter(|host| states[*host as usize].1 == HostCondition::In).collect();
                    let under_way: Vec<u32> = present.iter().map(|(_, host)| *host).collect();
                    let expected = modelled(balance, &under_way, &part, last, draw);
                    let mut pass = HostPass::drawn(draw);
                    let chosen = hosts.choose(at(now), &mut pass).map(|host| host.0);
                    prop_assert_eq!(chosen, expected);
                    if let Some(host) = chosen {
                        present.push((pass, host));
                        last = Some(host);
                    }
                }
                2 | 3 if !present.is_empty() => {
                    let (mut pass, _) = present.remove(pick.index(present.len()));
                    if step == 2 {
                        let status = if draw % 3 == 0 { 200 } else { 500 };
                        hosts.on_settled(at(now), &mut pass, settled(status));
                        // A second word changes nothing.
                        hosts.on_settled(at(now), &mut pass, settled(status));
                    }
                    hosts.on_left(&mut pass);
                    hosts.on_left(&mut pass);
                }
                4 => now += draw % 30,
                _ => {}
            }
            for (host, (in_flight, _)) in (0..).zip(hosts.states()) {
                let there = present.iter().filter(|(_, at)| *at == host).count();
                prop_assert_eq!(in_flight as usize, there);
            }
        }
    }
}

/// The rules by which a host comes back, written down as their products have them, over all that ever happened to it.
struct Recalled {
    until: EjectedUntil,
    consecutive: usize,
    /// Whole seconds of failures, and all else that matters, in order.
    failures: Vec<u64>,
    is_out: bool,
    /// nginx.
    fails: usize,
    checked: u64,
    accessed: u64,
    /// `HAProxy`.
    in_a_row: usize,
    risen: u32,
}

/// `ejection` of all of them, in seconds.
const TIME: u64 = 10;

impl Recalled {
    /// Whether an attempt may go there.
    fn takes_part(&self, now: u64) -> bool {
        match self.until {
            EjectedUntil::Quiet => {
                self.failures.iter().filter(|at| **at + TIME > now).count() < self.consecutive
            }
            EjectedUntil::Probe => self.fails < self.consecutive || now - self.checked > TIME,
            _ => !self.is_out,
        }
    }

    fn chosen(&mut self, now: u64) {
        if now - self.checked > TIME {
            self.checked = now;
        }
    }

    fn ended(&mut self, now: u64, failed: bool) {
        if failed {
            self.failures.push(now);
            self.fails += 1;
            (self.checked, self.accessed) = (now, now);
            self.in_a_row += 1;
            if self.in_a_row >= self.consecutive {
                (self.in_a_row, self.risen, self.is_out) = (0, 0, true);
            }
        } else {
            if self.accessed < self.checked {
                self.fails = 0;
            }
            self.in_a_row = 0;
        }
    }

    /// `fall` is more than there ever are.
    fn hears_of_check(&mut self, well: bool) {
        self.risen = if well && self.is_out { self.risen + 1 } else { 0 };
        if self.risen == 2 {
            (self.is_out, self.risen) = (false, 0);
        }
    }
}

proptest! {
    /// Beside the rules as their products have them, of two hosts, for attempts that end in any order.
    #[test]
    fn a_host_comes_back_as_in_the_products(
        until_this in prop::sample::select(&[EjectedUntil::Quiet, EjectedUntil::Probe, EjectedUntil::Check][..]),
        consecutive in 1_u32..4,
        steps in prop::collection::vec((0_u8..8, any::<prop::sample::Index>(), 0_u64..7), 0..200),
    ) {
        let health = HealthCheck::HAPROXY.with_thresholds(count(u32::MAX), count(2));
        let config = HostsConfig { count: count(2), ..until(until_this, consecutive) }.with_health(health);
        let mut hosts = hosts(config);
        let model = || Recalled {
            until: until_this, consecutive: consecutive as usize, failures: Vec::new(), is_out: false,
            fails: 0, checked: 0, accessed: 0, in_a_row: 0, risen: 0,
        };
        let mut models = [model(), model()];
        let (mut present, mut last, mut now) = (Vec::<(HostPass, usize)>::new(), 1, 1_000);
        for (step, pick, length) in steps {
            let time = at(now);
            match step {
                0..=2 => {
                    let mut pass = HostPass::drawn(0);
                    let chosen = hosts.choose(time, &mut pass).map(|host| host.0 as usize);
                    let turn = [1 - last, last];
                    prop_assert_eq!(chosen, turn.into_iter().find(|host| models[*host].takes_part(now)));
                    if let Some(host) = chosen {
                        models[host].chosen(now);
                        present.push((pass, host));
                        last = host;
                    }
                }
                3..=5 if !present.is_empty() => {
                    let (pass, host) = present.remove(pick.index(present.len()));
                    let failed = step < 5;
                    ends(&mut hosts, time, pass, if failed { 500 } else { 200 });
                    models[host].ended(now, failed);
                }
                6 => while let Some(check) = hosts.poll_check(time) {
                    let well = length > 1;
                    hosts.on_checked(time, check, well);
                    models[check.host.0 as usize].hears_of_check(well);
                },
                _ => now += length,
            }
            let takes_part = models.iter().any(|model| model.takes_part(now));
            prop_assert_eq!(hosts.has_any(at(now)), takes_part);
            let out = hosts.states().filter(|(_, condition)| *condition == HostCondition::Ejected).count();
            prop_assert_eq!(hosts.ejected as usize, out);
        }
    }
}
