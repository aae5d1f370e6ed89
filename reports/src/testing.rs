//! Results to draw in tests: shaped like those of a run, made by hand.

use std::collections::BTreeMap;

use crate::record::breaker::FailureCounts;
use crate::record::cause::{CauseKind, CauseResult, CauseStep, Ending};
use crate::record::distribution::{Distribution, Percentile};
use crate::record::harm::{GoodCount, HarmCount};
use crate::record::heatmap::HeatmapResult;
use crate::record::outcome::Outcome;
use crate::record::saturation::{BucketSaturation, SaturationResult};
use crate::result::expectation::{ExpectationCheck, ExpectationResult};
use crate::result::experiment::{Engine, ExperimentResult, ScenarioSummary, Setting, VERSION, VariantResult};
use crate::result::harm::{HarmResult, PopulationHarm, RouteHarm};
use crate::result::run::{
    AttemptsResult, BreakerChangeResult, BreakerResult, Bucket, FaultResult, LimitResult, NamedSummary, Peak,
    PopulationResult, RunResult, StationResult, Summary,
};
use crate::words::value::Value;

/// The scenario that opens the documentation: a partner sends 2,000 requests in four seconds around a minute's end.
pub(crate) fn window_boundary() -> ExperimentResult {
    let variants = vec![
        variant("fixed-window", [2000, 2000], (610_000, 4_210_000), 318),
        variant("token-bucket", [166, 166], (12_300, 61_200), 0),
        variant("sliding-window-log", [1000, 1000], (13_100, 1_160_000), 0),
        variant("sliding-window-counter", [1034, 1034], (13_200, 1_240_000), 0),
    ];
    ExperimentResult {
        version: VERSION,
        tuesday: "0.1.0".to_owned(),
        engine: Engine::Virtual,
        scenario: ScenarioSummary {
            name: "Window-boundary burst".to_owned(),
            story: "A partner may send 1,000 requests a minute. It sends 1,000 in the last two seconds of one minute and\n\
                    1,000 in the first two of the next: 2,000 in four seconds, and a fixed window lets all of it through.\n"
                .to_owned(),
            starts_unix_s: 1_780_390_800,
            starts_nanos: 0,
            duration_s: 120.0,
            seeds: vec![902],
            slo_latency_us: 500_000,
            source: "name     = \"Window-boundary burst\"\nduration = \"2m\"\nseed     = 902\n".to_owned(),
            objective: Vec::new(),
            weights: Vec::new(),
        },
        variants,
        expectations: vec![
            expectation("fixed-window", "peak_admitted(per_key, 4s) >= 2000", Value::Count(2000)),
            expectation("token-bucket", "peak_admitted(per_key, 4s) <= 167", Value::Count(166)),
            expectation("sliding-window-log", "peak_admitted(per_key, 1m) <= 1000", Value::Count(1000)),
            expectation("fixed-window", "latency(p99, clients.everyone-else) > 1s", Value::DurationUs(4_210_687)),
            expectation("token-bucket", "latency(p99, clients.everyone-else) < 100ms", Value::DurationUs(61_247)),
        ],
        agreement: None,
    }
}

/// Two upstreams fail and a third answers late, from 30 to 60 s; the account pages use none of them. No limit is near.
pub(crate) fn incident() -> ExperimentResult {
    let mut result = window_boundary();
    result.scenario.name = "9:02 AM Tuesday".to_owned();
    result.scenario.duration_s = 180.0;
    result.expectations = vec![
        expectation("quickstart", "blast_radius > 10%", Value::Share(0.1882)),
        expectation("recommended", "recovery_time < 60s", Value::DurationUs(39_000_000)),
    ];
    let measured = [
        ("quickstart", [1676, 10_372], [Some(36), None], 1.182, vec![]),
        ("timeout", [0, 7892], [Some(0), Some(22)], 1.313, vec![]),
        (
            "breaker",
            [1705, 14_283],
            [Some(37), Some(33)],
            1.035,
            vec![
                breaker("catalog", &[(36_061_232, "open", 5929, 2965), (76_604_993, "closed", 3, 0)]),
                breaker(
                    "checkout",
                    &[
                        (47_500_000, "open", 128, 64),
                        (57_500_000, "half-open", 0, 0),
                        (58_100_000, "open", 1, 1),
                        (68_100_000, "half-open", 0, 0),
                        (93_073_746, "closed", 5, 2),
                    ],
                ),
            ],
        ),
        (
            "recommended",
            [0, 12_840],
            [Some(0), Some(39)],
            1.052,
            vec![breaker("checkout→payments", &[(39_444_998, "open", 1620, 810)])],
        ),
    ];
    for (variant, (name, hurt, [containment_s, recovery_s], amplification, breakers)) in
        result.variants.iter_mut().zip(measured)
    {
        name.clone_into(&mut variant.name);
        let run = &mut variant.runs[0];
        (run.amplification, run.breakers) = (amplification, breakers);
        run.harm = Some(harm(hurt, containment_s, recovery_s));
        run.causes = causes(hurt[0]);
        run.faults = faults();
        let limit = &mut run.limits[0];
        limit.rejected = 0;
        limit.peaks.iter_mut().zip([20, 68]).for_each(|(peak, count)| peak.count = count);
    }
    result
}

/// Why requests were not served well, where the pool was exhausted and where it was not.
fn causes(collateral: u64) -> Vec<CauseResult> {
    let step = |kind, of: Option<&str>| CauseStep { kind, of: of.map(str::to_owned) };
    let slow = step(CauseKind::Fault, Some("slow on payments"));
    let pool = step(CauseKind::GatewayPool, Some("/checkout"));
    let cause = |route: &str, ending, requests, steps| {
        let route = route.to_owned();
        CauseResult { route, ending, requests, steps }
    };
    let timeout = step(CauseKind::ClientTimeout, None);
    let checkout = cause("/checkout", Ending::Failed, 2000, vec![timeout.clone(), slow.clone()]);
    if collateral == 0 {
        return vec![checkout];
    }
    let half = collateral / 2;
    let other = if collateral > 1700 { collateral * 7 / 18 } else { collateral / 9 };
    let work = step(CauseKind::Work, Some("accounts"));
    vec![
        checkout,
        cause("/account", Ending::Failed, half, vec![pool.clone(), slow.clone()]),
        cause("/account", Ending::Late, half, vec![timeout, pool, slow]),
        cause("/account", Ending::Late, other, vec![work]),
    ]
}

fn faults() -> Vec<FaultResult> {
    let fault = |kind: &str, upstreams: &[&str], [from_s, to_s]: [u64; 2]| FaultResult {
        kind: kind.to_owned(),
        upstreams: upstreams.iter().map(|name| (*name).to_owned()).collect(),
        hosts: None,
        from_us: from_s * 1_000_000,
        to_us: to_s * 1_000_000,
        fraction: 1.0,
    };
    vec![fault("slow", &["payments"], [30, 60]), fault("hang", &["catalog", "search"], [36, 50])]
}

/// From 30 to 60 s, by who was hurt without and with depending on what failed.
fn harm([collateral, direct]: [u64; 2], containment_s: Option<u64>, recovery_s: Option<u64>) -> HarmResult {
    let us = |seconds: u64| seconds * 1_000_000;
    let [none, collateral, direct] =
        [(0, 0), (collateral, 8905), (direct, 30_193)].map(|(hurt, total)| HarmCount { hurt, total });
    let hurt_within = |hurt: u64| {
        (0..180).map(|second| if (30..66).contains(&second) { hurt as u32 / 36 } else { 0 }).collect()
    };
    let population = |name: &str, collateral: HarmCount, direct: HarmCount, senders: u64| PopulationHarm {
        name: name.to_owned(),
        collateral,
        direct,
        unpaired: None,
        identities: HarmCount { hurt: senders.min(collateral.hurt.max(direct.hurt)) * 7 / 8, total: senders },
    };
    let route = |name: &str, direct: bool, requests: HarmCount| RouteHarm {
        name: name.to_owned(),
        direct,
        requests,
        unpaired: None,
    };
    HarmResult {
        first_fault_us: us(30),
        last_fault_end_us: us(60),
        collateral,
        direct,
        unpaired: None,
        control: Some(GoodCount { offered: 39_098, good: 38_707 }),
        containment_us: containment_s.map(us),
        containment_observed: true,
        recovery_us: recovery_s.map(us),
        recovery_observed: true,
        routes: vec![route("/checkout", true, direct), route("/account", false, collateral)],
        populations: vec![
            population("shoppers", none, direct, 2400),
            population("members", collateral, none, 800),
        ],
        collateral_hurt_per_s: hurt_within(collateral.hurt),
        direct_hurt_per_s: hurt_within(direct.hurt),
    }
}

fn breaker(name: &str, changes: &[(u64, &str, u64, u64)]) -> BreakerResult {
    let change = |&(at_us, to, settled, failures): &(u64, &str, u64, u64)| BreakerChangeResult {
        at_us,
        to: to.to_owned(),
        settled,
        failures,
        failed: (failures > 0).then(|| FailureCounts {
            timed_out: failures - failures / 5,
            server_errors: failures / 5,
            ..FailureCounts::default()
        }),
    };
    BreakerResult { name: name.to_owned(), changes: changes.iter().map(change).collect() }
}

/// The text without its style codes.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut in_code = false;
    for character in text.chars() {
        match (in_code, character) {
            (false, '\u{1b}') => in_code = true,
            (false, shown) => plain.push(shown),
            (true, end) => in_code = end != 'm',
        }
    }
    plain
}

/// The same as [`window_boundary`] under three seeds, for one of which the first expectation failed.
pub(crate) fn three_seeds() -> ExperimentResult {
    let mut result = window_boundary();
    result.scenario.seeds = vec![902, 903, 904];
    for variant in &mut result.variants {
        let first = variant.runs[0].clone();
        variant.runs.extend([903, 904].map(|seed| RunResult { seed, ..first.clone() }));
    }
    result.variants[0].runs[1].limits[0].peaks[0].count = 1990;
    for expectation in &mut result.expectations {
        let first = expectation.checks[0].clone();
        expectation.checks.extend([903, 904].map(|seed| ExpectationCheck { seed, ..first.clone() }));
    }
    let failing = &mut result.expectations[0];
    failing.held = false;
    failing.checks[1].held = false;
    failing.checks[1].measured = Value::Count(1990);
    result
}

/// Twelve variants, every outcome, and text that its author did not mean well with.
pub(crate) fn hostile() -> ExperimentResult {
    let mut result = window_boundary();
    let names = [
        "</script><script>alert(1)</script>",
        "a-name-of-sixty-characters-that-goes-on-and-on-until-the-end",
        "שלום\u{202e}עולם",
        "\u{1b}[2J\u{1b}[31mred",
        "日本語の名前はここまで続いてさらに続くのであった",
        "",
    ];
    let pattern = result.variants.clone();
    result.variants = (0..12).map(|i| pattern[i % 4].clone()).collect();
    for (i, variant) in result.variants.iter_mut().enumerate() {
        variant.name = names.get(i).map_or_else(|| format!("variant-{i}"), |name| (*name).to_owned());
        let run = &mut variant.runs[0];
        run.overall.outcomes = Outcome::ALL.into_iter().map(|outcome| (outcome, 1 + i as u64)).collect();
        run.overall.offered = run.overall.outcomes.values().sum();
        run.populations[0].name = "<b onclick=\"x\">'&partner</b>\u{0}".to_owned();
        run.populations[1].summary.outcomes.insert(Outcome::Unfinished, 3);
        run.populations[1].summary.outcomes.insert(Outcome::Shed, 7);
        run.limits[0].scope = "per_<i>".to_owned();
        run.stations[1].name = "]]>".to_owned();
        let mut harm = harm([i as u64 * 700, 9], Some(1), None);
        harm.routes[1].name = "/<script>|".to_owned();
        harm.populations[1].name = "<i>\u{1b}[2J".to_owned();
        run.harm = Some(harm);
        run.breakers = vec![breaker("<a href=x>→|", &[(1, "<half-open>", 0, 0), (2, "open", 1 << 40, 1)])];
        variant.settings.push(Setting { key: format!("<u>{i}"), value: "\"><img src=http://x/>".to_owned() });
    }
    result.scenario.name = "<title>&amp;\u{1b}[0m".repeat(9);
    result.scenario.story = "<script src=\"http://example.com/x.js\"></script>\n\nsecond".to_owned();
    result.scenario.source = "</pre><script>alert(1)</script>\n\u{7}".to_owned();
    result.expectations[0].text = "<s>".repeat(60);
    result.expectations[0].held = false;
    result.expectations[0].checks[0].held = false;
    result
}

/// One expectation for each kind of value.
pub(crate) fn every_value() -> ExperimentResult {
    let mut result = window_boundary();
    let values = [
        Value::Count(2000),
        Value::Number(1.25),
        Value::Share(0.5),
        Value::DurationUs(4_210_000),
        Value::RatePerS(99.5),
        Value::Never,
        Value::NotObserved,
    ];
    result.expectations = values.map(|value| expectation("token-bucket", "amplification < 2", value)).into();
    result
}

/// A scenario during which nothing happened, under one variant.
pub(crate) fn nothing_happened() -> ExperimentResult {
    let mut result = window_boundary();
    result.scenario.duration_s = 0.25;
    result.scenario.story.clear();
    result.expectations.clear();
    result.variants.truncate(1);
    let run = &mut result.variants[0].runs[0];
    *run = RunResult {
        seed: 902,
        overall: Summary::default(),
        populations: vec![PopulationResult {
            name: "partner".to_owned(),
            hostile: false,
            summary: Summary::default(),
            offered_per_s: vec![0],
            admitted_per_s: vec![0],
            served_per_s: vec![0],
            good_per_s: vec![0],
        }],
        routes: Vec::new(),
        upstreams: Vec::new(),
        limits: Vec::new(),
        stations: Vec::new(),
        attempts: 0,
        amplification: 0.0,
        upstream_attempts: Vec::new(),
        harm: None,
        strictness: None,
        breakers: Vec::new(),
        causes: Vec::new(),
        harness: None,
        external: None,
        faults: Vec::new(),
        latency_over_time: None,
    };
    result
}

/// Results that no run would give, but a file may hold.
pub(crate) fn odd() -> Vec<ExperimentResult> {
    let mut no_variants = window_boundary();
    no_variants.variants.clear();
    no_variants.scenario.seeds.clear();
    let mut no_runs = window_boundary();
    no_runs.variants[0].runs.clear();
    let mut no_runs_at_all = window_boundary();
    for variant in &mut no_runs_at_all.variants {
        variant.runs.clear();
    }
    let mut beyond_reason = window_boundary();
    beyond_reason.scenario.duration_s = f64::NAN;
    beyond_reason.scenario.starts_unix_s = i64::MAX;
    beyond_reason.scenario.starts_nanos = u32::MAX;
    beyond_reason.scenario.slo_latency_us = u64::MAX;
    for variant in &mut beyond_reason.variants {
        let run = &mut variant.runs[0];
        run.overall.offered = 0;
        run.overall.goodput_per_s = f64::INFINITY;
        run.overall.outcomes.insert(Outcome::Shed, u64::MAX);
        run.populations.iter_mut().for_each(|population| {
            population.offered_per_s = vec![u32::MAX; 3];
            population.summary.outcomes.insert(Outcome::Shed, u64::MAX);
            population.summary.latency.percentiles.iter_mut().for_each(|point| point.us = u64::MAX);
        });
        run.overall.latency.percentiles =
            vec![Percentile { p: f64::NAN, us: 0 }, Percentile { p: 100.0, us: 0 }];
        run.limits[0].window_us = 0;
        run.limits[0].fullest = None;
        run.stations[1].utilization = Some(f64::NAN);
        let mut harm = harm([u64::MAX, 0], None, None);
        (harm.containment_us, harm.recovery_us) = (Some(u64::MAX), Some(u64::MAX));
        (harm.first_fault_us, harm.last_fault_end_us) = (u64::MAX, u64::MAX);
        run.harm = Some(harm);
        run.breakers = vec![breaker("", &[]), breaker("orders", &[(u64::MAX, "open", 0, 0)])];
    }
    let mut nobody_to_hurt = incident();
    for variant in &mut nobody_to_hurt.variants {
        let Some(harm) = &mut variant.runs[0].harm else { continue };
        (harm.collateral, harm.direct) = (HarmCount::default(), HarmCount::default());
        harm.routes.clear();
        harm.populations.clear();
    }
    nobody_to_hurt.variants[0].runs[0].harm = None;
    let mut endless = window_boundary();
    endless.scenario.duration_s = 1e300;
    vec![no_variants, no_runs, no_runs_at_all, beyond_reason, nobody_to_hurt, endless]
}

/// 75,000 s of a hundred noisy requests per second under four variants.
pub(crate) fn long() -> ExperimentResult {
    let mut result = window_boundary();
    let seconds = 75_000;
    result.scenario.duration_s = f64::from(seconds);
    for variant in &mut result.variants {
        for population in &mut variant.runs[0].populations {
            population.offered_per_s = (0..seconds).map(noise).collect();
            population.admitted_per_s = (0..seconds).map(|second| noise(second) / 2).collect();
        }
    }
    result
}

/// Sixteen variants of thirty routes to as many upstreams, all in trouble and none like another.
pub(crate) fn wide() -> ExperimentResult {
    const ROUTES: u32 = 30;
    const SECONDS: u32 = 240;
    let base = incident();
    let mut result = base.clone();
    result.scenario.duration_s = f64::from(SECONDS);
    result.variants.clear();
    let series = |seed: u32| (0..SECONDS).map(|second| noise(second * 17 + seed)).collect::<Vec<u32>>();
    for number in 0..16_u32 {
        let mut variant = base.variants[number as usize % 4].clone();
        variant.name = format!("{}-with-setting-{number}", variant.name);
        let run = &mut variant.runs[0];
        run.overall.good -= u64::from(number);
        let (route, upstream, station) =
            (run.routes[0].clone(), run.upstreams[0].clone(), run.stations[1].clone());
        let (population, attempts) = (run.populations[1].clone(), run.upstream_attempts[0].clone());
        run.populations = (0..6)
            .map(|n| PopulationResult {
                name: format!("clients-{n}"),
                offered_per_s: series(n),
                admitted_per_s: series(number + n),
                served_per_s: series(number * 3 + n),
                good_per_s: series(number * 5 + n),
                ..population.clone()
            })
            .collect();
        let name = |n: u32| format!("/service-{n}/items");
        let service = |n: u32| format!("service-{n}");
        run.routes = (0..ROUTES)
            .map(|n| NamedSummary {
                name: name(n),
                summary: Summary {
                    good: route.summary.good - u64::from(n * number),
                    ..route.summary.clone()
                },
            })
            .collect();
        run.upstreams = (0..ROUTES)
            .map(|n| NamedSummary { name: service(n), summary: upstream.summary.clone() })
            .collect();
        run.upstream_attempts = (0..ROUTES)
            .map(|n| AttemptsResult { upstream: service(n), per_s: series(n + number), ..attempts.clone() })
            .collect();
        run.stations.extend((0..ROUTES).map(|n| StationResult {
            name: service(n),
            in_flight_per_s: series(n * number),
            queued_per_s: series(n + number),
            ..station.clone()
        }));
        run.breakers = (0..ROUTES / 3)
            .map(|n| {
                let changes = (0..8_u64).map(|change| {
                    let at_us = (30 + u64::from(n) + 5 * change) * 1_000_000;
                    (at_us, ["open", "half-open"][change as usize % 2], 100, 60 + u64::from(number))
                });
                breaker(&service(n), &changes.collect::<Vec<_>>())
            })
            .collect();
        run.causes = (0..ROUTES)
            .map(|n| CauseResult {
                route: name(n),
                ending: Ending::Failed,
                requests: u64::from(200 + 10 * n + number),
                steps: vec![
                    CauseStep { kind: CauseKind::ClientTimeout, of: None },
                    CauseStep { kind: CauseKind::Fault, of: Some(format!("slow on service-{}", n % 12)) },
                ],
            })
            .collect();
        if let Some(harm) = &mut run.harm {
            let hurt = |n: u32| HarmCount { hurt: u64::from(n * 7 + number), total: 1_000 };
            harm.routes = (0..ROUTES)
                .map(|n| RouteHarm { name: name(n), direct: n < 10, requests: hurt(n), unpaired: None })
                .collect();
        }
        result.variants.push(variant);
    }
    result
}

/// A distribution that passes through the two percentiles, straight on the page's axes up to the second and flatter
/// beyond it, as behind a queue that is bounded.
pub(crate) fn distribution(count: u64, p50_us: u64, p99_us: u64) -> Distribution {
    let slope = libm::log(p99_us as f64 / p50_us as f64) / libm::log10(50.0);
    let at = |p: f64| {
        let nines = 2.0 - libm::log10(100.0 - p);
        let beyond = (nines - 2.0).max(0.0);
        let up_to_p99 = libm::exp(slope * (nines - beyond - libm::log10(2.0)));
        (p50_us as f64 * up_to_p99 * (1.0 + 0.1 * beyond)).round() as u64
    };
    let percentiles = Distribution::PERCENTILES.into_iter().map(|p| Percentile { p, us: at(p) }).collect();
    Distribution {
        count,
        mean_us: p50_us as f64 * 1.2,
        min_us: at(0.0),
        max_us: at(99.995),
        percentiles,
        lower_bounds: None,
    }
}

fn variant(name: &str, peaks: [u64; 2], (p50_us, p99_us): (u64, u64), queue_full: u64) -> VariantResult {
    let admitted = peaks[0];
    let partner =
        summary(2000, admitted - queue_full / 2, queue_full / 2, distribution(admitted, p50_us, p99_us));
    let everyone =
        summary(12_004, 12_004 - queue_full / 2, queue_full / 2, distribution(12_004, 11_900, p99_us));
    let served = partner.count(Outcome::Served) + everyone.count(Outcome::Served);
    let overall = summary(14_004, served, queue_full, distribution(12_004 + admitted, 12_200, p99_us));
    let burst = |second: u32| if (58..62).contains(&second) { 500 } else { 0 };
    let burst_admitted = |second: u32| match second {
        58..62 if admitted == 2000 => 500,
        58 => admitted.min(500) as u32,
        59 => admitted.saturating_sub(500).min(500) as u32,
        _ => 0,
    };
    let steady: Vec<u32> = (0..120).map(noise).collect();
    let with_burst: Vec<u32> = (0..120).map(|second| noise(second) + burst_admitted(second)).collect();
    let burst_and_steady = with_burst.clone();
    let burst_size = if name == "token-bucket" { ", burst 100" } else { "" };
    let settings = [
        ("gateway.workers", "256".to_owned()),
        ("gateway.queue", "1024".to_owned()),
        ("gateway.timeout", "5s".to_owned()),
        ("gateway.rate_limit.per_key", format!("{name}, 1000 per 1m{burst_size}")),
    ];
    VariantResult {
        name: name.to_owned(),
        settings: settings.into_iter().map(|(key, value)| Setting { key: key.to_owned(), value }).collect(),
        runs: vec![RunResult {
            seed: 902,
            overall: overall.clone(),
            populations: vec![
                PopulationResult {
                    name: "partner".to_owned(),
                    hostile: false,
                    summary: partner,
                    offered_per_s: (0..120).map(burst).collect(),
                    admitted_per_s: (0..120).map(burst_admitted).collect(),
                    served_per_s: (0..120).map(burst_admitted).collect(),
                    good_per_s: (0..120).map(burst_admitted).collect(),
                },
                PopulationResult {
                    name: "everyone-else".to_owned(),
                    hostile: false,
                    summary: everyone,
                    offered_per_s: steady.clone(),
                    admitted_per_s: steady.clone(),
                    served_per_s: steady.clone(),
                    good_per_s: steady,
                },
            ],
            routes: vec![NamedSummary { name: "/orders".to_owned(), summary: overall.clone() }],
            upstreams: vec![NamedSummary { name: "orders".to_owned(), summary: overall }],
            limits: limits(name, peaks, with_burst),
            stations: stations(admitted, p99_us, queue_full),
            attempts: 12_004 + admitted,
            amplification: (12_004 + admitted) as f64 / 14_004.0,
            upstream_attempts: vec![AttemptsResult {
                upstream: "orders".to_owned(),
                attempts: 12_004 + admitted,
                amplification: (12_004 + admitted) as f64 / 14_004.0,
                key_fetches: None,
                health_checks: None,
                unauthorized: None,
                cache: None,
                per_s: burst_and_steady,
            }],
            harm: None,
            strictness: None,
            breakers: Vec::new(),
            causes: Vec::new(),
            harness: None,
            external: None,
            faults: Vec::new(),
            latency_over_time: Some(over_time(p99_us)),
        }],
    }
}

/// A request of 12 ms and one of `slowest_us` every ten seconds.
fn over_time(slowest_us: u64) -> HeatmapResult {
    let slowest = (2.0 * libm::log2(slowest_us as f64)) as u8;
    HeatmapResult {
        column_s: 10,
        columns: (0..12).flat_map(|column| [column, column]).collect(),
        rows: [27, slowest].repeat(12),
        counts: [900, 7].repeat(12),
    }
}

fn limits(name: &str, peaks: [u64; 2], admitted_per_s: Vec<u32>) -> Vec<LimitResult> {
    let admitted = peaks[0];
    vec![LimitResult {
        scope: "per_key".to_owned(),
        algorithm: name.to_owned(),
        limit: 1000,
        window_us: 60_000_000,
        burst: (name == "token-bucket").then_some(100),
        admitted: 12_004 + admitted,
        rejected: 2000 - admitted,
        buckets: 201,
        fullest: Some(Bucket { name: "partner-0".to_owned(), count: admitted }),
        peaks: [4_000_000, 60_000_000]
            .into_iter()
            .zip(peaks)
            .map(|(window_us, count)| Peak {
                window_us,
                count,
                from_us: 58_000_000,
                bucket: "partner-0".to_owned(),
                by_lateness: None,
            })
            .collect(),
        admitted_per_s,
        rejected_per_s: vec![0; 120],
        saturation: (admitted < 2000).then(|| SaturationResult {
            column_s: 1,
            buckets: vec![BucketSaturation {
                name: "partner-0".to_owned(),
                owner: None,
                rejected: 2000 - admitted,
                percent: (0..120).map(|second| if (58..62).contains(&second) { 100 } else { 0 }).collect(),
            }],
            others: None,
        }),
        waits: None,
        status: None,
        joins: Vec::new(),
    }]
}

fn stations(admitted: u64, p99_us: u64, queue_full: u64) -> Vec<StationResult> {
    let queued = |second: u32| if (58..66).contains(&second) { 128 * (second - 57) } else { 0 };
    vec![
        StationResult {
            name: "gateway".to_owned(),
            is_gateway: true,
            workers: Some(256),
            queue: Some(1024),
            wait: distribution(12_004 + admitted, 1, 1),
            utilization: Some(0.062),
            peak_in_flight: 256,
            peak_queued: 0,
            rejected: Some(0),
            timed_out_in_queue: Some(0),
            in_flight_per_s: vec![4; 120],
            queued_per_s: vec![0; 120],
            hosts: Vec::new(),
        },
        StationResult {
            name: "orders".to_owned(),
            is_gateway: false,
            workers: Some(4),
            queue: Some(1024),
            wait: distribution(12_004 + admitted, 1, p99_us - p99_us / 10),
            utilization: Some(0.447),
            peak_in_flight: 4,
            peak_queued: if queue_full > 0 { 1024 } else { 181 },
            rejected: Some(queue_full),
            timed_out_in_queue: None,
            in_flight_per_s: vec![4; 120],
            queued_per_s: (0..120).map(queued).collect(),
            hosts: Vec::new(),
        },
    ]
}

fn summary(offered: u64, served: u64, errors: u64, latency: Distribution) -> Summary {
    let counts = [
        (Outcome::Served, served),
        (Outcome::UpstreamError, errors),
        (Outcome::RateLimited, offered - served - errors),
    ];
    let outcomes: BTreeMap<Outcome, u64> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
    let good = if errors > 0 { served * 4 / 5 } else { served };
    Summary { offered, good, goodput_per_s: good as f64 / 120.0, outcomes, latency }
}

fn expectation(variant: &str, claim: &str, measured: Value) -> ExpectationResult {
    let check = ExpectationCheck {
        variant: variant.to_owned(),
        seed: 902,
        measured,
        standard: None,
        lower_bound_share: None,
        held: true,
        not_observed: None,
        not_judged: None,
    };
    ExpectationResult {
        text: format!("{variant}: {claim}"),
        held: true,
        asserts_harm: false,
        checks: vec![check],
    }
}

/// About a hundred, different for each second.
fn noise(second: u32) -> u32 {
    82 + second.wrapping_mul(2_654_435_761) % 37
}

/// The text without its style codes.
pub(crate) fn without_styles(text: &str) -> String {
    let mut plain = String::new();
    let mut in_code = false;
    for character in text.chars() {
        match (in_code, character) {
            (false, '\u{1b}') => in_code = true,
            (false, shown) => plain.push(shown),
            (true, end) => in_code = end != 'm',
        }
    }
    plain
}
