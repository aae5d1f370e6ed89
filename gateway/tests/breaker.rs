//! The circuit breaker from outside: the worked examples, the table of transitions, and what must hold whatever
//! happens to the requests it permits.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::time::Duration;

use gateway::{
    Breaker, BreakerConfig, BreakerConfigError, BreakerWindow, Condition, FailureSet, GrowthRule, HalfOpen,
    Invariants, OpenGrowth, Permit, Settlement, StatusSet, Timestamp,
};
use proptest::prelude::*;

const START: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);

fn at(millis: u64) -> Timestamp {
    START + Duration::from_millis(millis)
}

const THREE: NonZeroU32 = NonZeroU32::new(3).unwrap();
const OK: Settlement = Settlement::Answered { status: 200, took: Duration::ZERO };
const NOT_FOUND: Settlement = Settlement::Answered { status: 404, took: Duration::ZERO };
const ERROR: Settlement = Settlement::Answered { status: 503, took: Duration::ZERO };

/// Sends and settles at once; whether it was let through.
fn send(breaker: &mut Breaker, now: Timestamp, settlement: Settlement) -> bool {
    let Ok(permit) = breaker.on_request(now) else { return false };
    breaker.on_sent(now, permit);
    breaker.on_settled(now, permit, settlement);
    true
}

#[test]
fn an_upstream_hangs_from_a_minute_on_for_ninety_seconds() {
    // 50 requests a second, answered at once or timed out after 5 s.
    let (hangs_from, until, timeout) = (60_000, 150_000, 5_000);
    let mut breaker = Breaker::new(BreakerConfig::RECOMMENDED);
    let mut settling: BTreeMap<(u64, u32), (Permit, Settlement)> = BTreeMap::new();
    let (mut probes, mut number) = (Vec::new(), 0);
    for now in 0..300_000 {
        while let Some(due) = settling.first_entry().filter(|due| due.key().0 <= now) {
            let (permit, settlement) = due.remove();
            breaker.on_settled(at(now), permit, settlement);
        }
        if now % 20 == 0
            && let Ok(permit) = breaker.on_request(at(now))
        {
            breaker.on_sent(at(now), permit);
            if breaker.condition() == Condition::HalfOpen {
                probes.push(now - hangs_from);
            }
            number += 1;
            let hangs = (hangs_from..until).contains(&now);
            let settles = if hangs { (now + timeout, Settlement::TimedOut) } else { (now, OK) };
            settling.insert((settles.0, number), (permit, settles.1));
        }
    }
    let transitions: Vec<_> = std::iter::from_fn(|| breaker.poll_transition()).collect();
    let told: Vec<_> = transitions
        .iter()
        .map(|change| (change.to, (change.at.saturating_since(at(hangs_from))).as_millis()))
        .collect();
    // Failures settle from 5 s on: at x seconds there are x − 5 seconds of them against 30 − x of successes, which is
    // half at 17.5. A slot of the window is 30 ms, and a request comes each 20 ms.
    let [(Condition::Open, opened), (Condition::HalfOpen, half_open), (Condition::Closed, closed)] = told[..]
    else {
        panic!("{told:?}");
    };
    assert!(opened.abs_diff(17_500) <= 50, "{opened}");
    assert!(half_open.abs_diff(27_500) <= 70, "{half_open}");
    assert!(closed.abs_diff(117_500) <= 300, "{closed}");
    // A probe each 10 s; those that time out do so within the interval. The last three succeed.
    assert_eq!(probes.len(), 10);
    for (probe, expected) in probes.iter().zip((0..).map(|probe| 27_500 + 10_000 * probe)) {
        assert!(probe.abs_diff(expected) <= 300, "{probes:?}");
    }
}

#[test]
fn it_takes_a_minimum_of_requests_and_a_share_of_failures() {
    let config = BreakerConfig::new(Duration::from_secs(30), 0.5, 20).unwrap();
    let mut breaker = Breaker::new(config);
    for request in 0..19 {
        assert!(send(&mut breaker, at(request), ERROR));
    }
    // The twentieth is a success, yet it makes them twenty.
    assert!(send(&mut breaker, at(19), OK));
    assert_eq!(breaker.condition(), Condition::Open);

    let mut breaker = Breaker::new(config);
    for request in 0..1_000 {
        // 4xx settle and are no failures: a third of the whole fails.
        let settlement = [ERROR, OK, NOT_FOUND][request as usize % 3];
        assert!(send(&mut breaker, at(request), settlement));
    }
    assert_eq!(breaker.condition(), Condition::Closed);
}

/// What opens a closed breaker at the first request is a failed probe half-open, and nothing else is.
#[test]
fn one_classification_holds_in_all_conditions() {
    let interval = Duration::from_secs(10);
    let answered = |status, millis| Settlement::Answered { status, took: Duration::from_millis(millis) };
    let settlements = [200, 204, 301, 304, 400, 404, 429, 499, 500, 503, 599]
        .into_iter()
        .flat_map(|status| [answered(status, 1_999), answered(status, 2_000)])
        .chain([Settlement::TimedOut, Settlement::ConnectionFailed]);
    let one = NonZeroU32::MIN;
    for half_open in [
        HalfOpen::SingleProbe { successes_to_close: one },
        HalfOpen::ReopenToAll { successes_to_close: one },
        HalfOpen::Trickle { calls: one },
    ] {
        let config = BreakerConfig::new(Duration::from_secs(30), 1.0, 1).unwrap();
        let config = config.with_half_open(interval, half_open).unwrap();
        let config = config.with_slow_call(Duration::from_secs(2)).unwrap();
        for settlement in settlements.clone() {
            let mut closed = Breaker::new(config);
            send(&mut closed, at(0), settlement);
            let is_failure = closed.condition() == Condition::Open;
            let mut probed = Breaker::new(config);
            send(&mut probed, at(0), ERROR);
            send(&mut probed, at(10_000), settlement);
            let has_failed = probed.condition() != Condition::Closed;
            assert_eq!(has_failed, is_failure, "{half_open:?} {settlement:?}");
        }
    }
}

/// An upstream that answers 404 to everything is well: its breaker closes with the third probe, 20 s after the first.
#[test]
fn probes_that_are_answered_404_close_it() {
    let mut breaker = Breaker::new(BreakerConfig::new(Duration::from_secs(30), 0.5, 1).unwrap());
    send(&mut breaker, at(0), ERROR);
    for (second, condition) in [(10, Condition::HalfOpen), (20, Condition::HalfOpen), (30, Condition::Closed)]
    {
        assert!(send(&mut breaker, at(second * 1_000), NOT_FOUND));
        assert_eq!(breaker.condition(), condition, "{second} s");
    }
}

#[test]
fn a_slow_answer_can_count_as_a_failure() {
    let config = BreakerConfig::new(Duration::from_secs(30), 0.5, 1).unwrap();
    let slow = Settlement::Answered { status: 200, took: Duration::from_secs(2) };
    let mut breaker = Breaker::new(config);
    send(&mut breaker, at(0), slow);
    assert_eq!(breaker.condition(), Condition::Closed);
    let mut breaker = Breaker::new(config.with_slow_call(Duration::from_secs(2)).unwrap());
    send(&mut breaker, at(0), slow);
    assert_eq!(breaker.condition(), Condition::Open);
}

#[test]
fn what_was_sent_before_a_transition_is_ignored_after_it() {
    let config = BreakerConfig::new(Duration::from_secs(30), 0.5, 1).unwrap();
    let mut breaker = Breaker::new(config);
    let early = breaker.on_request(at(0)).unwrap();
    let late = breaker.on_request(at(0)).unwrap();
    breaker.on_settled(at(1), early, ERROR);
    assert_eq!(breaker.on_request(at(2)).unwrap_err().retry_after, Duration::from_millis(9_999));
    let probe = breaker.on_request(at(10_001)).unwrap();
    // Neither the success of before nor its release frees the place of the probe.
    breaker.on_settled(at(10_002), late, OK);
    breaker.on_released(late);
    assert!(breaker.on_request(at(30_000)).is_err());
    breaker.on_settled(at(30_000), probe, OK);
    assert_eq!(breaker.condition(), Condition::HalfOpen);
}

#[test]
fn a_probe_that_never_reached_the_upstream_changes_no_count() {
    let config = BreakerConfig::new(Duration::from_secs(30), 0.5, 1).unwrap();
    let mut breaker = Breaker::new(config);
    send(&mut breaker, at(0), ERROR);
    for probe in 1..=2 {
        assert!(send(&mut breaker, at(probe * 10_000), OK));
    }
    // Shed by the pool: another may go at once, and the two successes stand.
    let shed = breaker.on_request(at(30_000)).unwrap();
    breaker.on_released(shed);
    assert!(send(&mut breaker, at(30_001), OK));
    assert_eq!(breaker.condition(), Condition::Closed);
}

#[test]
fn a_probe_of_which_nothing_is_heard_keeps_its_place_until_it_is_given_back() {
    let mut breaker = Breaker::new(BreakerConfig::new(Duration::from_secs(30), 0.5, 1).unwrap());
    send(&mut breaker, at(0), ERROR);
    let lost = breaker.on_request(at(10_000)).unwrap();
    breaker.on_sent(at(10_000), lost);
    // An hour later still: how long an attempt may take is for whoever makes it to say.
    assert!(breaker.on_request(at(3_600_000)).is_err());
    breaker.on_released(lost);
    for probe in 0..3 {
        assert!(send(&mut breaker, at(3_600_000 + probe * 10_000), OK));
    }
    assert_eq!(breaker.condition(), Condition::Closed);
}

#[test]
#[should_panic(expected = "a breaker's probe ends that was never let through")]
fn a_probe_that_is_given_back_twice_panics() {
    let mut breaker = Breaker::new(BreakerConfig::new(Duration::from_secs(30), 0.5, 1).unwrap());
    send(&mut breaker, at(0), ERROR);
    let probe = breaker.on_request(at(10_000)).unwrap();
    breaker.on_released(probe);
    breaker.on_released(probe);
}

#[test]
fn a_breaker_that_counts_goes_on_after_a_probe_that_is_given_back_twice() {
    let invariants = Invariants::counting();
    let config = BreakerConfig::new(Duration::from_secs(30), 0.5, 1).unwrap();
    let mut breaker = Breaker::new(config).with_invariants(invariants.clone());
    send(&mut breaker, at(0), ERROR);
    let probe = breaker.on_request(at(10_000)).unwrap();
    breaker.on_released(probe);
    breaker.on_released(probe);
    assert_eq!(invariants.broken(), 1);
    assert!((1..=3).all(|probe| send(&mut breaker, at(10_000 * (1 + probe)), OK)));
    assert_eq!(breaker.condition(), Condition::Closed);
}

/// Every condition and half-open style by everything that can happen, as a table to be read.
#[test]
fn the_table_of_transitions() {
    let styles = [
        ("single-probe", HalfOpen::SingleProbe { successes_to_close: THREE }),
        ("trickle", HalfOpen::Trickle { calls: THREE }),
        ("reopen-to-all", HalfOpen::ReopenToAll { successes_to_close: THREE }),
    ];
    let events = [
        ("2xx", Some(OK)),
        ("4xx", Some(NOT_FOUND)),
        ("5xx", Some(ERROR)),
        ("timeout", Some(Settlement::TimedOut)),
        ("released", None),
    ];
    let mut table = String::new();
    for (name, half_open) in styles {
        let config = BreakerConfig::new(Duration::from_secs(30), 0.5, 1)
            .unwrap()
            .with_half_open(Duration::from_secs(10), half_open)
            .unwrap();
        let _ = writeln!(table, "{name}");
        let asked = |after: u64| {
            let mut breaker = Breaker::new(config);
            send(&mut breaker, at(0), ERROR);
            let permitted = breaker.on_request(at(after)).is_ok();
            format!("{} ({})", breaker.condition(), if permitted { "let through" } else { "rejected" })
        };
        let _ = writeln!(
            table,
            "  asked     open → {} until the interval is over, {} from then on",
            asked(9_999),
            asked(10_000)
        );
        for (event, settlement) in events {
            let mut breaker = Breaker::new(config);
            let from_closed = {
                let permit = breaker.on_request(at(0)).unwrap();
                settle(&mut breaker, at(0), permit, settlement);
                breaker.condition()
            };
            // Open, with what was sent before it opened still out.
            let mut breaker = Breaker::new(config);
            let late = breaker.on_request(at(0)).unwrap();
            send(&mut breaker, at(0), ERROR);
            settle(&mut breaker, at(1), late, settlement);
            let from_open = breaker.condition();
            let mut conditions = Vec::new();
            for earlier in 0..3 {
                // Half-open with so many successes before.
                let mut breaker = Breaker::new(config);
                send(&mut breaker, at(0), ERROR);
                for probe in 1..=earlier {
                    send(&mut breaker, at(probe * 10_000), OK);
                }
                let permit = breaker.on_request(at(50_000)).unwrap();
                settle(&mut breaker, at(50_000), permit, settlement);
                conditions.push(breaker.condition().to_string());
            }
            let _ = writeln!(
                table,
                "  {event:9} closed → {:9} open → {from_open}  half-open after 0, 1, 2 successes → {}",
                from_closed.to_string(),
                conditions.join(", ")
            );
        }
    }
    insta::assert_snapshot!(table);
}

fn settle(breaker: &mut Breaker, now: Timestamp, permit: Permit, settlement: Option<Settlement>) {
    match settlement {
        Some(settlement) => breaker.on_settled(now, permit, settlement),
        None => breaker.on_released(permit),
    }
}

const fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn windowed(window: BreakerWindow) -> BreakerConfig {
    BreakerConfig::RECOMMENDED.with_window(window).unwrap()
}

/// After which of the settlements, one a second, the breaker opened, counted from 1.
fn opens_after(config: BreakerConfig, settlements: &[Settlement]) -> Option<usize> {
    let mut breaker = Breaker::new(config);
    settlements.iter().zip(1..).find_map(|(settlement, count)| {
        assert!(send(&mut breaker, at(count as u64 * 1_000), *settlement));
        (breaker.condition() == Condition::Open).then_some(count)
    })
}

/// Resilience4j, `COUNT_BASED`: a ring of the last `slidingWindowSize` results. Below `minimumNumberOfCalls` no rate is computed;
/// where that is larger than the ring, the ring's size is the minimum.
#[test]
fn a_window_of_calls_looks_at_the_last_so_many() {
    let (f, s) = (ERROR, OK);
    let config = BreakerConfig::new(Duration::from_secs(30), 0.5, 5).unwrap();
    let of = |calls| config.with_window(BreakerWindow::Calls(number(calls))).unwrap();
    // Four failures are too few, the fifth makes five.
    assert_eq!(opens_after(of(10), &[f; 9]), Some(5));
    assert_eq!(opens_after(of(10), &[s, s, s, s, f, f, f, f]), Some(8), "four of eight");
    // Six successes are pushed out one by one: among the last ten, five have failed with the eleventh.
    assert_eq!(opens_after(of(10), &[s, s, s, s, s, s, f, f, f, f, f]), Some(11));
    // Nothing is forgotten by time: the window of a time would have seen three alone.
    assert_eq!(of(3).min_requests(), 3);
    assert_eq!(opens_after(of(3), &[s, f, f]), Some(3));
    assert_eq!(opens_after(of(2), &[f, s]), Some(2));
}

/// Envoy's `consecutive_5xx`: 5 in a row; one success starts the count again.
#[test]
fn consecutive_failures_are_counted_in_a_row() {
    let (f, s) = (ERROR, OK);
    let config = windowed(BreakerWindow::Consecutive(number(5)));
    assert_eq!(opens_after(config, &[f, f, f, f, s, f, f, f, f, Settlement::TimedOut]), Some(10));
    assert_eq!(opens_after(config, &[f, f, f, f, NOT_FOUND].repeat(20)), None);
    assert_eq!(opens_after(windowed(BreakerWindow::Consecutive(number(1))), &[s, f]), Some(2));
}

/// Caddy: `max_fails 3` within `fail_duration 10s`: each failure is remembered for that time, whatever succeeds meanwhile.
#[test]
fn failures_within_a_time_are_counted_beside_any_number_of_successes() {
    let within = Duration::from_secs(10);
    let config = windowed(BreakerWindow::Failures { failures: number(3), within });
    let opened = |failures: &[u64]| {
        let mut breaker = Breaker::new(config);
        for now in (0..60_000).step_by(100) {
            let settlement = if failures.contains(&now) { ERROR } else { OK };
            send(&mut breaker, at(now), settlement);
            if breaker.condition() == Condition::Open {
                return Some(now);
            }
        }
        None
    };
    assert_eq!(opened(&[1_000, 5_000, 10_900]), Some(10_900));
    // The first is forgotten when the third comes, the second when the fourth comes.
    assert_eq!(opened(&[1_000, 5_000, 11_100, 15_100]), None);
    assert_eq!(opened(&[1_000, 5_000, 11_100, 14_900]), Some(14_900));
}

/// Resilience4j's `slowCallRateThreshold`: a share of its own, beside that of failures.
#[test]
fn slow_answers_have_a_share_of_their_own() {
    let slow = Settlement::Answered { status: 200, took: Duration::from_secs(2) };
    let slow_failure = Settlement::Answered { status: 503, took: Duration::from_secs(2) };
    let config = BreakerConfig::new(Duration::from_secs(3_600), 0.5, 10).unwrap();
    let together = config.with_slow_call(Duration::from_secs(2)).unwrap();
    let apart = together.with_slow_share(0.8).unwrap();
    // Three slow and three failed of ten: six failures together, apart three of each.
    let mixed = [slow, slow, slow, ERROR, ERROR, ERROR, OK, OK, OK, OK];
    assert_eq!(opens_after(together, &mixed), Some(10));
    assert_eq!(opens_after(apart, &mixed), None);
    let mostly_slow = [slow, slow, slow, slow, slow, slow, slow, slow, OK, OK];
    assert_eq!(opens_after(apart, &mostly_slow), Some(10));
    // What is slow and failed counts for both: four of ten failed, eight were slow.
    let both = [slow_failure, slow_failure, slow_failure, slow_failure, slow, slow, slow, slow, OK, OK];
    assert_eq!(opens_after(apart, &both), Some(10));
    // A probe that is slow has failed: one of one is a share of 100%.
    let mut breaker = Breaker::new(apart);
    for _ in 0..10 {
        send(&mut breaker, at(0), ERROR);
    }
    for (second, settlement) in [(10, OK), (20, OK), (30, slow), (40, OK), (50, OK)] {
        send(&mut breaker, at(second * 1_000), settlement);
        assert_eq!(breaker.condition(), Condition::HalfOpen, "{second} s");
    }
    send(&mut breaker, at(60_000), OK);
    assert_eq!(breaker.condition(), Condition::Closed);
}

#[test]
fn what_fails_is_for_the_settings_to_say() {
    let answered = |status| Settlement::Answered { status, took: Duration::ZERO };
    let only = |failures: FailureSet| {
        let config = windowed(BreakerWindow::Consecutive(NonZeroU32::MIN)).with_failures(failures).unwrap();
        move |settlement| opens_after(config, &[settlement]) == Some(1)
    };
    let limited = only(FailureSet { statuses: StatusSet::of(&[404, 429]), ..FailureSet::default() });
    assert!(limited(answered(429)) && limited(answered(404)));
    assert!(!limited(answered(503)) && !limited(Settlement::TimedOut) && !limited(answered(403)));
    let timeouts = only(FailureSet { timeout: true, ..FailureSet::default() });
    assert!(
        timeouts(Settlement::TimedOut) && !timeouts(Settlement::ConnectionFailed) && !timeouts(answered(500))
    );
    let usual = only(FailureSet::USUAL);
    assert!(usual(answered(500)) && usual(Settlement::ConnectionFailed) && !usual(answered(429)));
}

/// APISIX: open for 2 s, then 4, 8, 16, … up to `max_breaker_sec`. Envoy: 30 s, 60, 90, … up to 300.
#[test]
fn the_open_time_grows_while_recovery_fails_and_starts_again_when_closed() {
    let openings = |half_open, base: u64, by, max: u64| {
        let config = windowed(BreakerWindow::Consecutive(NonZeroU32::MIN));
        let config = config.with_half_open(Duration::from_secs(base), half_open).unwrap();
        let config = config.with_growth(OpenGrowth { by, max: Duration::from_secs(max) }).unwrap();
        let mut breaker = Breaker::new(config);
        let (mut let_through, mut last) = (Vec::new(), 0);
        // Recovers at the ninth attempt, and fails once more at the next.
        for second in 0..4_000 {
            let is_well = let_through.len() == 8;
            if send(&mut breaker, at(second * 1_000), if is_well { OK } else { ERROR }) {
                let_through.push(second - last);
                last = second;
            }
            if let_through.len() == 11 {
                break;
            }
        }
        let_through
    };
    let one = NonZeroU32::MIN;
    for half_open in [
        HalfOpen::SingleProbe { successes_to_close: one },
        HalfOpen::ReopenToAll { successes_to_close: one },
        HalfOpen::Trickle { calls: one },
    ] {
        let doubling = openings(half_open, 2, GrowthRule::Doubling, 60);
        assert_eq!(doubling, [0, 2, 4, 8, 16, 32, 60, 60, 60, 1, 2], "{half_open:?}");
        let linear = openings(half_open, 30, GrowthRule::Linear, 150);
        assert_eq!(linear, [0, 30, 60, 90, 120, 150, 150, 150, 150, 1, 30], "{half_open:?}");
    }
}

/// Traefik: over 10 s, half of all that came since the ramp began has been let through at its end, and a growing share on the way.
#[test]
fn a_ramp_lets_a_growing_share_through_and_then_closes() {
    let half_open = HalfOpen::Ramp { over: Duration::from_secs(10), to: 0.5 };
    let config = BreakerConfig::new(Duration::from_secs(30), 0.5, 1).unwrap();
    let config = config.with_half_open(Duration::from_secs(10), half_open).unwrap();
    let mut breaker = Breaker::new(config);
    send(&mut breaker, at(0), ERROR);
    assert!(!send(&mut breaker, at(9_999), OK));
    // 100 requests a second, well answered: second by second a share of t/10 of them, within one request of the share of all.
    let mut in_all = 0;
    for second in 0..10 {
        let asked = (0..100).map(|request| 10_000 + second * 1_000 + request * 10);
        let through = asked.filter(|now| send(&mut breaker, at(*now), OK)).count() as u64;
        assert_eq!(breaker.condition(), Condition::HalfOpen);
        assert!(through.abs_diff(second * 10 + 5) <= 2, "{through} in second {second}");
        in_all += through;
        assert!(in_all.abs_diff((second + 1) * (second + 1) * 5) <= 2, "{in_all} up to second {second}");
    }
    assert!(send(&mut breaker, at(20_000), OK));
    assert_eq!(breaker.condition(), Condition::Closed);

    // Failures open it again, by the rule that opens a closed breaker.
    let mut breaker = Breaker::new(config);
    send(&mut breaker, at(0), ERROR);
    let first = (10_000..20_000).step_by(10).find(|now| send(&mut breaker, at(*now), ERROR)).unwrap();
    assert_eq!(breaker.condition(), Condition::Open);
    assert!(!send(&mut breaker, at(first + 9_999), OK));
    let told: Vec<_> = std::iter::from_fn(|| breaker.poll_transition()).map(|told| told.to).collect();
    assert_eq!(told, [Condition::Open, Condition::HalfOpen, Condition::Open]);
}

#[test]
fn settings_that_contradict_one_another_are_refused() {
    let config = BreakerConfig::RECOMMENDED;
    let (second, in_a_row) = (Duration::from_secs(1), BreakerWindow::Consecutive(number(5)));
    let none = BreakerWindow::Failures { failures: number(5), within: Duration::ZERO };
    let slow = config.with_slow_call(second).unwrap();
    let growth = OpenGrowth { by: GrowthRule::Linear, max: second };
    let ramp = |over, to| config.with_half_open(second, HalfOpen::Ramp { over, to });
    let many = BreakerWindow::Calls(number(BreakerWindow::MOST_CALLS + 1));
    for (refused, error) in [
        (config.with_window(none), BreakerConfigError::WindowZero),
        (config.with_window(many), BreakerConfigError::CallsTooMany),
        (config.with_failures(FailureSet::default()), BreakerConfigError::NoFailures),
        (config.with_slow_share(0.5), BreakerConfigError::SlowShareAlone),
        (slow.with_slow_share(0.0), BreakerConfigError::SlowShare),
        (slow.with_slow_share(1.1), BreakerConfigError::SlowShare),
        (slow.with_slow_share(0.5).unwrap().with_window(in_a_row), BreakerConfigError::SlowShareOfNumber),
        (slow.with_window(in_a_row).unwrap().with_slow_share(0.5), BreakerConfigError::SlowShareOfNumber),
        (config.with_growth(growth), BreakerConfigError::OpenMaxBelowInterval),
        (ramp(Duration::ZERO, 1.0), BreakerConfigError::Ramp),
        (ramp(second, f64::NAN), BreakerConfigError::Ramp),
    ] {
        assert_eq!(refused, Err(error));
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask,
    Send(prop::sample::Index),
    Settle(prop::sample::Index, u8),
    Release(prop::sample::Index),
    /// Nothing is heard of it again until the very end.
    Lose(prop::sample::Index),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Ask),
        3 => any::<prop::sample::Index>().prop_map(Step::Send),
        3 => (any::<prop::sample::Index>(), 0u8..4).prop_map(|(which, how)| Step::Settle(which, how)),
        1 => any::<prop::sample::Index>().prop_map(Step::Release),
        1 => any::<prop::sample::Index>().prop_map(Step::Lose),
        2 => (1u64..15_000).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever is lost, shed or abandoned: a half-open breaker has no more probes out than its style allows, a single
    /// probe is never sent sooner than an interval after the last, and once what was lost is given back and the upstream
    /// answers again, it closes.
    #[test]
    fn half_open_holds_its_promises_and_is_never_wedged(
        style in prop::sample::select(vec![
            (HalfOpen::SingleProbe { successes_to_close: THREE }, 1),
            (HalfOpen::Trickle { calls: THREE }, 3),
            (HalfOpen::ReopenToAll { successes_to_close: THREE }, usize::MAX),
            (HalfOpen::Ramp { over: Duration::from_secs(20), to: 0.5 }, usize::MAX),
        ]),
        window in prop::sample::select(vec![
            BreakerWindow::Time(Duration::from_secs(30)),
            BreakerWindow::Calls(number(4)),
            BreakerWindow::Consecutive(number(2)),
            BreakerWindow::Failures { failures: number(2), within: Duration::from_secs(30) },
        ]),
        steps in prop::collection::vec(step(), 0..300),
    ) {
        let (half_open, most_out) = style;
        let interval = Duration::from_secs(10);
        let config = BreakerConfig::new(Duration::from_secs(30), 0.5, 2).unwrap().with_window(window).unwrap();
        let mut breaker = Breaker::new(config.with_half_open(interval, half_open).unwrap());
        let mut now = 0;
        let mut lost: Vec<(Permit, usize)> = Vec::new();
        // Permit, whether it was sent, and the number of transitions when it was given.
        let mut out: Vec<(Permit, bool, usize)> = Vec::new();
        let (mut changes, mut sent): (usize, Vec<(u64, usize)>) = (0, Vec::new());
        for step in steps {
            match step {
                Step::Ask => {
                    if let Ok(permit) = breaker.on_request(at(now)) {
                        while breaker.poll_transition().is_some() {
                            changes += 1;
                        }
                        out.push((permit, false, changes));
                    }
                }
                Step::Send(which) if !out.is_empty() => {
                    let place = which.index(out.len());
                    let (permit, was_sent, epoch) = &mut out[place];
                    if !*was_sent {
                        *was_sent = true;
                        breaker.on_sent(at(now), *permit);
                        if breaker.condition() == Condition::HalfOpen && *epoch == changes {
                            sent.push((now, changes));
                        }
                    }
                }
                Step::Settle(which, how) if !out.is_empty() => {
                    let place = which.index(out.len());
                    if out[place].1 {
                        let (permit, _, _) = out.remove(place);
                        let how = [OK, NOT_FOUND, ERROR, Settlement::TimedOut][usize::from(how)];
                        breaker.on_settled(at(now), permit, how);
                    }
                }
                Step::Release(which) if !out.is_empty() => {
                    let (permit, _, _) = out.remove(which.index(out.len()));
                    breaker.on_released(permit);
                }
                Step::Lose(which) if !out.is_empty() => {
                    let (permit, _, epoch) = out.remove(which.index(out.len()));
                    lost.push((permit, epoch));
                }
                Step::Wait(millis) => now += millis,
                _ => {}
            }
            while breaker.poll_transition().is_some() {
                changes += 1;
            }
            if breaker.condition() == Condition::HalfOpen {
                let out = out.iter().map(|(_, _, epoch)| epoch).chain(lost.iter().map(|(_, epoch)| epoch));
                prop_assert!(out.filter(|epoch| **epoch == changes).count() <= most_out);
            }
        }
        if most_out == 1 {
            for pair in sent.windows(2).filter(|pair| pair[0].1 == pair[1].1) {
                prop_assert!(pair[1].0 - pair[0].0 >= 10_000, "{:?}", pair);
            }
        }
        // What is still out ends one way or another; then the upstream is well.
        for permit in out.into_iter().map(|(permit, _, _)| permit).chain(lost.into_iter().map(|(permit, _)| permit)) {
            breaker.on_released(permit);
        }
        for _ in 0..400 {
            now += 1_000;
            send(&mut breaker, at(now), OK);
        }
        prop_assert_eq!(breaker.condition(), Condition::Closed);
    }
}
