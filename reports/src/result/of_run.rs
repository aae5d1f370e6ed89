//! How the record of a run becomes its result.

use std::time::Duration;

use crate::record::breaker::BreakerChange;
use crate::record::harm::{Awaited, GoodCount, Harm, HarmTally};
use crate::record::hosts::{HostChange, HostRecord};
use crate::record::layout::{FaultLayout, Layout, LimitLayout, Selector, StationLayout};
use crate::record::recorder::{LimitRecord, Recorder, StationRecord, outcome_counts};
use crate::record::recording::{Recording, Selection, fullest, greatest_lateness, micros, ratio};
use crate::record::saturation::BucketName;
use crate::result::harm::{HarmResult, PopulationHarm, RouteHarm, UnpairedHarm};
use crate::result::run::{
    AttemptsResult, BreakerChangeResult, BreakerResult, Bucket, CacheResult, FaultResult, HostChangeResult,
    HostResult, LimitResult, NamedSummary, Peak, PeakLateness, PopulationResult, RunResult, StationResult,
    Summary,
};

impl Recording {
    /// The result of the run under `seed`. `bucket_name` tells the name of a bucket, and whose it is, from the place of
    /// its limit in the layout and the bucket's number.
    pub fn into_result(self, seed: u64, bucket_name: impl Fn(usize, u64) -> BucketName) -> RunResult {
        let layout = &self.recorder.layout;
        let summary = |selector| self.summary(&self.select(selector));
        let named = |name: &String, selector| NamedSummary { name: name.clone(), summary: summary(selector) };
        let overall = summary(Selector::Everybody);
        let routes = layout.routes.iter().enumerate();
        let routes = routes.map(|(place, route)| named(&route.path, Selector::Route(place))).collect();
        let upstreams = layout.upstreams.iter().enumerate();
        let upstreams =
            upstreams.map(|(place, upstream)| named(&upstream.name, Selector::Upstream(place))).collect();
        let populations: Vec<_> =
            (0..layout.populations.len()).map(|place| summary(Selector::Population(place))).collect();
        let attempts = self.attempts(None);
        let amplification = ratio(attempts, self.requests(None)).unwrap_or(0.0);

        let control = self.control_requests;
        let harm = self.harm_of(Selector::Everybody).map(|harm| harm_result(layout, harm, control));
        let breakers = breaker_results(layout, &self.recorder.breakers);
        let (slo_latency, ran) = (layout.slo_latency, self.ran());
        let harness = self.harness.as_ref().map(|harness| harness.result(slo_latency));

        let reached = (0..layout.upstreams.len()).map(|upstream| self.requests(Some(upstream)));
        let reached: Vec<u64> = reached.collect();
        let Recorder {
            layout,
            populations: series,
            limits,
            stations,
            queue_timeouts,
            attempts: by_upstream,
            hosts,
            host_changes,
            causes,
            cause_counts,
            heatmap,
            ..
        } = self.recorder;
        let upstream_attempts = layout.upstreams.iter().zip(reached).zip(by_upstream);
        let upstream_attempts = upstream_attempts.map(|((layout, requests), attempts)| AttemptsResult {
            upstream: layout.name.clone(),
            attempts: attempts.total,
            amplification: ratio(attempts.total, requests).unwrap_or(0.0),
            key_fetches: Some(attempts.key_fetches).filter(|fetches| *fetches > 0),
            health_checks: Some(attempts.health_checks).filter(|checks| *checks > 0),
            unauthorized: layout.asks_for_identity.then_some(attempts.unauthorized),
            cache: layout.has_cache.then_some(CacheResult {
                hits: attempts.cache.hits,
                stale: attempts.cache.stale,
                collapsed: attempts.cache.collapsed,
                misses: attempts.cache.misses,
            }),
            per_s: attempts.per_s.into_points(),
        });
        let populations = layout.populations.iter().zip(populations).zip(series);
        let populations = populations.map(|((population, summary), series)| PopulationResult {
            name: population.name.clone(),
            hostile: population.hostile,
            summary,
            offered_per_s: series.offered.into_points(),
            admitted_per_s: if layout.external.is_none() {
                series.admitted.into_points()
            } else {
                Vec::new()
            },
            served_per_s: series.served.into_points(),
            good_per_s: series.good.into_points(),
        });
        let late = greatest_lateness(self.harness.as_ref());
        let limits = layout.limits.iter().zip(limits).enumerate();
        let limits = limits.map(|(place, (layout, limit))| {
            limit_result(layout, limit, late, |bucket| bucket_name(place, bucket))
        });
        let places = std::iter::once(&layout.gateway).chain(&layout.upstreams).zip(stations).enumerate();
        let mut hosts = hosts;
        let stations = places.map(|(place, (layout, station))| {
            let hosts = place.checked_sub(1).and_then(|upstream| hosts.get_mut(upstream)).map(std::mem::take);
            let timed_out_in_queue = (place == 0).then_some(queue_timeouts);
            let station = station_result(layout, station, timed_out_in_queue, ran);
            let hosts = host_results(layout, place, hosts.unwrap_or_default(), &host_changes, ran);
            StationResult { hosts, ..station }
        });
        let stations = stations.skip(usize::from(layout.external.is_some()));
        RunResult {
            seed,
            overall,
            populations: populations.collect(),
            routes,
            upstreams,
            limits: limits.collect(),
            stations: stations.collect(),
            attempts,
            amplification,
            upstream_attempts: upstream_attempts.collect(),
            harm,
            strictness: None,
            breakers,
            causes: cause_counts.into_results(&causes, &layout),
            harness,
            external: layout.external.clone(),
            faults: fault_results(&layout),
            latency_over_time: heatmap.into_result(),
        }
    }

    fn summary(&self, selection: &Selection) -> Summary {
        Summary {
            offered: selection.requests.offered,
            good: selection.requests.good,
            goodput_per_s: self.goodput(selection.requests.good),
            outcomes: outcome_counts(&selection.outcomes),
            latency: selection.latency.distribution(),
        }
    }
}

fn limit_result(
    layout: &LimitLayout,
    limit: LimitRecord,
    late: Option<Duration>,
    bucket_name: impl Fn(u64) -> BucketName,
) -> LimitResult {
    let seen = limit.seen.as_ref();
    let bucket_name = |place| bucket_name(seen.map_or(u64::from(place), |seen| seen.number(place)));
    let peaks = limit.peaks.iter().filter_map(|peaks| {
        let counter = &peaks.counter;
        let peak = counter.peak()?;
        let by_lateness = peaks.within(late).map(|(by, [least, most])| PeakLateness {
            by_us: micros(by),
            least: least.into(),
            most: most.into(),
        });
        Some(Peak {
            window_us: micros(counter.window()),
            count: peak.count.into(),
            from_us: micros(peak.from),
            bucket: bucket_name(peak.bucket).name,
            by_lateness,
        })
    });
    LimitResult {
        scope: layout.scope.clone(),
        algorithm: layout.algorithm.clone(),
        limit: layout.limit,
        window_us: micros(layout.window),
        burst: layout.burst,
        admitted: limit.admitted.iter().copied().map(u64::from).sum(),
        rejected: limit.rejected,
        buckets: limit.admitted.iter().filter(|admitted| **admitted > 0).count() as u64,
        fullest: fullest(&limit).map(|(bucket, count)| Bucket { name: bucket_name(bucket).name, count }),
        peaks: peaks.collect(),
        admitted_per_s: limit.admitted_per_s.into_points(),
        rejected_per_s: limit.rejected_per_s.into_points(),
        saturation: limit.saturation.and_then(|saturation| saturation.into_result(bucket_name)),
        waits: limit.waits.map(|waits| waits.distribution()),
        status: (layout.joins.is_empty() && ![0, 429].contains(&layout.status)).then_some(layout.status),
        joins: layout.joins.clone(),
    }
}

/// `timed_out_in_queue` is told of the gateway and of it alone.
fn station_result(
    layout: &StationLayout,
    station: StationRecord,
    timed_out_in_queue: Option<u64>,
    ran: Duration,
) -> StationResult {
    let (peak_in_flight, peak_queued) = (station.in_flight.peak(), station.queued.peak());
    let (mean_in_flight, in_flight_per_s) = station.in_flight.finish(ran);
    let (_, queued_per_s) = station.queued.finish(ran);
    StationResult {
        name: layout.name.clone(),
        is_gateway: timed_out_in_queue.is_some(),
        workers: layout.workers,
        queue: layout.queue,
        wait: station.wait.distribution(),
        utilization: layout.workers.map(|workers| mean_in_flight / f64::from(workers)),
        peak_in_flight,
        peak_queued,
        rejected: Some(station.rejected),
        timed_out_in_queue,
        in_flight_per_s,
        queued_per_s,
        hosts: Vec::new(),
    }
}

/// The hosts of the upstream whose station has this place.
fn host_results(
    layout: &StationLayout,
    place: usize,
    hosts: Vec<HostRecord>,
    changes: &[HostChange],
    ran: Duration,
) -> Vec<HostResult> {
    let hosts = (0..).zip(&layout.hosts).zip(hosts);
    let results = hosts.map(|((number, workers), host)| {
        let is_its =
            |change: &&HostChange| change.host.upstream as usize + 1 == place && change.host.host == number;
        let told =
            |change: &HostChange| HostChangeResult { at_us: micros(change.at), to: change.to.to_owned() };
        let (peak_in_flight, peak_queued) = (host.in_flight.peak(), host.queued.peak());
        let (mean_in_flight, _) = host.in_flight.finish(ran);
        HostResult {
            attempts: host.attempts,
            rejected: host.rejected,
            workers: *workers,
            utilization: workers.map(|workers| mean_in_flight / f64::from(workers)),
            peak_in_flight,
            peak_queued,
            changes: changes.iter().filter(is_its).map(told).collect(),
        }
    });
    results.collect()
}

fn harm_result(layout: &Layout, harm: &Harm, control: Option<GoodCount>) -> HarmResult {
    let routes = layout.routes.len();
    let sum = |cells: &mut dyn Iterator<Item = &HarmTally>| {
        let mut sum = HarmTally::default();
        cells.for_each(|cell| sum.add(*cell));
        sum
    };
    let by_route = layout.routes.iter().zip(&harm.depends).enumerate().map(|(route, (layout, direct))| {
        let tally = sum(&mut harm.cells.iter().skip(route).step_by(routes));
        RouteHarm {
            name: layout.path.clone(),
            direct: *direct,
            requests: tally.paired,
            unpaired: tally.has_unpaired().then_some(tally.unpaired),
        }
    });
    let populations = layout.populations.iter().zip(harm.cells.chunks(routes.max(1))).zip(&harm.identities);
    let by_population = populations.map(|((layout, cells), identities)| {
        let of = |direct: bool| {
            let cells = cells.iter().zip(&harm.depends).filter(|(_, depends)| **depends == direct);
            sum(&mut cells.map(|(cell, _)| cell))
        };
        let (collateral, direct) = (of(false), of(true));
        PopulationHarm {
            name: layout.name.clone(),
            collateral: collateral.paired,
            direct: direct.paired,
            unpaired: unpaired(collateral, direct),
            identities: *identities,
        }
    });
    let after = |awaited| match awaited {
        Awaited::After(time) => Some(micros(time)),
        Awaited::Never | Awaited::NotObserved => None,
    };
    HarmResult {
        first_fault_us: micros(harm.first_fault),
        last_fault_end_us: micros(harm.last_fault_end),
        collateral: harm.collateral.paired,
        direct: harm.direct.paired,
        unpaired: unpaired(harm.collateral, harm.direct),
        control,
        containment_us: after(harm.containment),
        containment_observed: harm.containment != Awaited::NotObserved,
        recovery_us: after(harm.recovery),
        recovery_observed: harm.recovery != Awaited::NotObserved,
        routes: by_route.filter(|route| route.tally().total() > 0).collect(),
        populations: by_population
            .filter(|population| population.identities.total > 0 || population.unpaired.is_some())
            .collect(),
        collateral_hurt_per_s: harm.collateral_hurt_per_s.clone(),
        direct_hurt_per_s: harm.direct_hurt_per_s.clone(),
    }
}

/// What was done to closed-loop users, if any sent.
fn unpaired(collateral: HarmTally, direct: HarmTally) -> Option<UnpairedHarm> {
    let is_any = collateral.has_unpaired() || direct.has_unpaired();
    is_any.then_some(UnpairedHarm { collateral: collateral.unpaired, direct: direct.unpaired })
}

fn fault_results(layout: &Layout) -> Vec<FaultResult> {
    let fault = |fault: &FaultLayout| FaultResult {
        kind: fault.kind.clone(),
        upstreams: fault.upstreams.iter().map(|place| layout.upstreams[*place].name.clone()).collect(),
        hosts: fault.hosts.clone(),
        from_us: micros(fault.from),
        to_us: micros(fault.to),
        fraction: fault.fraction,
    };
    layout.faults.iter().map(fault).collect()
}

fn breaker_results(layout: &Layout, changes: &[BreakerChange]) -> Vec<BreakerResult> {
    let mut results: Vec<BreakerResult> = Vec::new();
    for change in changes {
        let upstream = &layout.upstreams[change.upstream].name;
        let name = match change.service {
            None => upstream.clone(),
            Some(service) => format!("{}→{upstream}", layout.upstreams[service].name),
        };
        let told = BreakerChangeResult {
            at_us: micros(change.at),
            to: change.to.to_owned(),
            settled: change.settled,
            failures: change.failures,
            failed: Some(change.failed),
        };
        match results.iter_mut().find(|result| result.name == name) {
            Some(result) => result.changes.push(told),
            None => results.push(BreakerResult { name, changes: vec![told] }),
        }
    }
    results
}
