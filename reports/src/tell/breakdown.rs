//! The tables behind the comparison: for each population, route, upstream, limit and station a group of rows, one per
//! variant.

use std::collections::BTreeSet;

use crate::record::distribution::Distribution;
use crate::record::outcome::Outcome;
use crate::result::experiment::{ExperimentResult, VariantResult};
use crate::result::run::{AttemptsResult, LimitResult, RunResult, StationResult, Summary};
use crate::result::spread::Spread;
use crate::tell::side_by_side::{limit, peak, peaks_asked_for, runs};
use crate::words::detail::{Detail, IN_FULL};
use crate::words::format::{self, Dimension};
use crate::words::text;

/// One table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Breakdown {
    /// Unique on the page.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// What its columns mean.
    pub(crate) lead: &'static str,
    /// What is left out, of a large world.
    pub(crate) left_out: Option<String>,
    /// Headings after that of the variant.
    pub(crate) columns: Vec<String>,
    pub(crate) groups: Vec<Group>,
}

/// What one thing saw under each variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: String,
    /// What sets it apart.
    pub(crate) note: Option<&'static str>,
    pub(crate) rows: Vec<Row>,
}

/// What it saw under one variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) variant: String,
    /// One for each column, from the first on.
    pub(crate) cells: Vec<String>,
    /// What is to be said where the other columns do not apply.
    pub(crate) instead: Option<&'static str>,
}

/// The tables that have rows.
pub(crate) fn breakdowns(result: &ExperimentResult, detail: Detail) -> Vec<Breakdown> {
    let tables = [
        populations(result, detail),
        routes(result, detail),
        upstreams(result, detail),
        limits(result, detail),
        stations(result, detail),
    ];
    tables.into_iter().filter(|table| !table.groups.is_empty()).collect()
}

/// More rows of a table are not read.
const MOST_ROWS: usize = 1_600;

/// The names of those that have most to tell, where there are more rows than are read, and what is left out.
fn fitted<'n>(
    result: &ExperimentResult,
    table: &str,
    names: &[&'n str],
    detail: Detail,
) -> (Vec<&'n str>, Option<String>) {
    let most = (MOST_ROWS / result.variants.len().max(1)).max(1);
    if names.len() <= most || detail == Detail::Full {
        return (names.to_vec(), None);
    }
    let weights: Vec<f64> = names.iter().map(|name| weight(result, table, name)).collect();
    let kept: Vec<&str> = detail.keep(most, &weights).into_iter().map(|place| names[place]).collect();
    let what = match table {
        "stations" => "the longest queues and the busiest workers",
        _ => "the most requests that were not served well",
    };
    let told = format!("Shown are {} of {}, those with {what}; {IN_FULL}.", kept.len(), names.len());
    (kept, Some(told))
}

/// How much a group of a table has to tell.
fn weight(result: &ExperimentResult, table: &str, name: &str) -> f64 {
    let bad = |summary: &Summary| (summary.offered - summary.good.min(summary.offered)) as f64;
    let of_run = |run: &RunResult| -> Option<f64> {
        let named = |known: &str| known == name;
        Some(match table {
            "populations" => bad(&run.populations.iter().find(|one| named(&one.name))?.summary),
            "routes" => bad(&run.routes.iter().find(|one| named(&one.name))?.summary),
            "upstreams" => bad(&run.upstreams.iter().find(|one| named(&one.name))?.summary),
            "limits" => run.limits.iter().find(|one| named(&one.scope))?.rejected as f64,
            _ => station_weight(run.stations.iter().find(|one| named(&one.name))?),
        })
    };
    runs(result).filter_map(of_run).fold(0.0, f64::max)
}

/// How much a station has to tell: the gateway always, then whose queue was long, then whose workers were busy.
pub(crate) fn station_weight(station: &StationResult) -> f64 {
    if station.is_gateway {
        return f64::INFINITY;
    }
    f64::from(station.peak_queued) + station.utilization.unwrap_or(0.0).min(1.0)
}

const SUMMARY_LEAD: &str = "Shares are of the offered requests. Good is served within the SLO latency. Latency is of \
                            requests that reached an upstream or were never answered, from the intended send; \
                            ≥ marks a lower bound.";

const UPSTREAMS_LEAD: &str = "Attempts are those of the gateway and of other services, per request on the routes that reach \
                              it, directly or through calls. The rest is of the requests on the routes to it: shares are of \
                              the offered ones, good is served within the SLO latency, latency is of those that reached an \
                              upstream or were never answered, from the intended send; ≥ marks a lower bound.";

/// The same where anybody judges tokens.
const KEYS_LEAD: &str = "Attempts are those of the gateway and of other services, per request on the routes that reach it, \
                         directly or through calls. What they ask for keys to judge tokens by is counted apart, as key \
                         fetches. The rest is of the requests on the routes to it: shares are of the offered ones, good is \
                         served within the SLO latency, latency is of those that reached an upstream, from the intended send.";

/// The same where a cache stands before an upstream.
const CACHES_LEAD: &str = "Attempts are those of the gateway and of other services, per request on the routes that reach it, \
                           directly or through calls. Where a cache stands before it, they come to the cache: hits are the share \
                           with which the service had nothing to do, misses are those for which it was asked. The rest is of the \
                           requests on the routes to it: shares are of the offered ones, good is served within the SLO latency, \
                           latency is of those that reached an upstream, from the intended send.";

fn populations(result: &ExperimentResult, detail: Detail) -> Breakdown {
    let mut table = summaries(result, detail, ["populations", "By population"], |run| {
        run.populations.iter().map(|population| (population.name.as_str(), &population.summary)).collect()
    });
    for group in &mut table.groups {
        let hostile = |run: &RunResult| {
            run.populations
                .iter()
                .any(|population| population.hostile && text::name(&population.name) == group.name)
        };
        group.note = runs(result).any(hostile).then_some("hostile, not in the totals");
    }
    table
}

fn routes(result: &ExperimentResult, detail: Detail) -> Breakdown {
    summaries(result, detail, ["routes", "By route"], |run| {
        run.routes.iter().map(|route| (route.name.as_str(), &route.summary)).collect()
    })
}

/// What came to each upstream, and what became of the requests on the routes to it. An upstream that is reached through
/// other services alone has attempts and no requests of its own.
fn upstreams(result: &ExperimentResult, detail: Detail) -> Breakdown {
    let mut table = summaries(result, detail, ["upstreams", "By upstream"], |run| {
        run.upstreams.iter().map(|upstream| (upstream.name.as_str(), &upstream.summary)).collect()
    });
    let attempts = |variant: &VariantResult, name: &str, measure: fn(&AttemptsResult) -> Option<f64>| {
        Spread::over(variant, |run| {
            let seen = run.upstream_attempts.iter().find(|upstream| text::name(&upstream.upstream) == name);
            seen.and_then(measure)
        })
    };
    if runs(result).all(|run| run.upstream_attempts.is_empty()) {
        return table;
    }
    let mut leading = vec!["attempts", "per request"];
    let seen = || runs(result).flat_map(|run| &run.upstream_attempts);
    let asked_for_keys = seen().filter(|upstream| upstream.key_fetches.is_some());
    let asked_for_keys: BTreeSet<_> = asked_for_keys.map(|upstream| text::name(&upstream.upstream)).collect();
    let has_keys = !asked_for_keys.is_empty();
    if has_keys {
        leading.push("key fetches");
    }
    let has_caches = seen().any(|upstream| upstream.cache.is_some());
    if has_caches {
        leading.extend(["cache hits", "misses"]);
    }
    table.lead = match (has_caches, has_keys) {
        (true, _) => CACHES_LEAD,
        (false, true) => KEYS_LEAD,
        (false, false) => UPSTREAMS_LEAD,
    };
    table.columns.splice(0..0, leading.into_iter().map(str::to_owned));
    for group in &mut table.groups {
        let has_a_route = runs(result)
            .flat_map(|run| &run.upstreams)
            .any(|upstream| text::name(&upstream.name) == group.name && upstream.summary.offered > 0);
        for (row, variant) in group.rows.iter_mut().zip(&result.variants) {
            let of = |measure| attempts(variant, &group.name, measure);
            let mut seen = vec![
                (Dimension::Count, of(|seen| Some(seen.attempts as f64))),
                (Dimension::Ratio, of(|seen| Some(seen.amplification))),
            ];
            if has_keys {
                seen.push((Dimension::Count, of(|seen| seen.key_fetches.map(|fetches| fetches as f64))));
            }
            if has_caches {
                seen.push((Dimension::Share, of(|seen| seen.cache?.hit_ratio())));
                seen.push((Dimension::Count, of(|seen| seen.cache.map(|cache| cache.misses as f64))));
            }
            let seen = seen
                .into_iter()
                .map(|(unit, spread)| spread.map_or_else(dash, |spread| unit.show(spread.median)));
            if !has_a_route {
                row.cells.clear();
                row.instead = Some(if asked_for_keys.contains(&group.name) {
                    "no route leads to it: it is asked for keys"
                } else {
                    "no route leads to it: other services call it"
                });
            }
            row.cells.splice(0..0, seen);
        }
    }
    table
}

fn summaries(
    result: &ExperimentResult,
    detail: Detail,
    [id, title]: [&'static str; 2],
    named: impl Fn(&RunResult) -> Vec<(&str, &Summary)>,
) -> Breakdown {
    const LATENCIES: [(&str, f64); 4] = [("p50", 50.0), ("p95", 95.0), ("p99", 99.0), ("p99.9", 99.9)];
    let occurred = |outcome: &Outcome| {
        *outcome != Outcome::Served
            && runs(result).any(|run| named(run).iter().any(|(_, summary)| summary.count(*outcome) > 0))
    };
    let outcomes: Vec<Outcome> = Outcome::ALL.into_iter().filter(occurred).collect();
    let mut columns: Vec<String> = ["offered", "success", "good"].map(str::to_owned).into();
    columns.extend(outcomes.iter().map(|outcome| outcome.name().to_owned()));
    columns.extend(LATENCIES.map(|(name, _)| name.to_owned()));
    columns.push("max".to_owned());

    let groups = names(result, |run| named(run).into_iter().map(|(name, _)| name).collect());
    let (groups, left_out) = fitted(result, id, &groups, detail);
    let row = |name: &str, variant: &VariantResult| {
        let of = |dimension: Dimension, measure: &dyn Fn(&Summary) -> Option<f64>| {
            let find = |run: &RunResult| {
                named(run)
                    .into_iter()
                    .find(|(known, _)| *known == name)
                    .and_then(|(_, summary)| measure(summary))
            };
            median(variant, dimension, find)
        };
        let share = |measure: &dyn Fn(&Summary) -> u64| {
            of(Dimension::Share, &|summary| {
                (summary.offered > 0).then(|| measure(summary) as f64 / summary.offered as f64)
            })
        };
        let mut cells = vec![
            of(Dimension::Count, &|summary| Some(summary.offered as f64)),
            share(&|summary| summary.count(Outcome::Served)),
            share(&|summary| summary.good),
        ];
        cells.extend(outcomes.iter().map(|outcome| share(&|summary| summary.count(*outcome))));
        let latency = |value: &dyn Fn(&Distribution) -> Option<u64>| {
            let shown = of(Dimension::DurationUs, &|summary| value(&summary.latency).map(|us| us as f64));
            let is_lower_bound = variant.runs.iter().any(|run| {
                named(run).iter().any(|(known, summary)| {
                    *known == name
                        && value(&summary.latency).is_some_and(|us| summary.latency.is_lower_bound(us))
                })
            });
            format::at_least(is_lower_bound, shown)
        };
        cells.extend(LATENCIES.map(|(_, p)| latency(&|latency| latency.at(p))));
        cells.push(latency(&|latency| (latency.count > 0).then_some(latency.max_us)));
        cells
    };
    Breakdown { id, title, lead: SUMMARY_LEAD, left_out, columns, groups: grouped(result, &groups, row) }
}

fn limits(result: &ExperimentResult, detail: Detail) -> Breakdown {
    let scopes = names(result, |run| run.limits.iter().map(|limit| limit.scope.as_str()).collect());
    let (scopes, left_out) = fitted(result, "limits", &scopes, detail);
    let mut windows: Vec<u64> = peaks_asked_for(result).into_iter().map(|(_, window_us)| window_us).collect();
    windows.sort_unstable();
    windows.dedup();
    let mut columns: Vec<String> =
        ["algorithm", "limit", "admitted", "rejected", "buckets", "fullest bucket"].map(str::to_owned).into();
    // The spaces do not break: a number is not parted from its unit.
    let most_in =
        |window_us: &u64| format!("most in\u{a0}{}", format::span(*window_us as f64).replace(' ', "\u{a0}"));
    columns.extend(windows.iter().map(most_in));
    // Only where a limit lets requests wait.
    let waits = runs(result).flat_map(|run| &run.limits).any(|limit| limit.waits.is_some());
    if waits {
        columns.extend(["waited", "wait p50", "wait p99"].map(str::to_owned));
    }
    let row = |scope: &str, variant: &VariantResult| {
        let of = |measure: &dyn Fn(&LimitResult) -> Option<f64>| {
            median(variant, Dimension::Count, |run| limit(run, scope).and_then(measure))
        };
        let first = variant.runs.iter().find_map(|run| limit(run, scope));
        let mut cells = vec![
            first.map_or_else(dash, |limit| text::line(&limit.algorithm)),
            first.map_or_else(dash, rule),
            of(&|limit| Some(limit.admitted as f64)),
            of(&|limit| Some(limit.rejected as f64)),
            of(&|limit| Some(limit.buckets as f64)),
            of(&|limit| limit.fullest.as_ref().map(|bucket| bucket.count as f64)),
        ];
        cells.extend(windows.iter().map(|window_us| {
            median(variant, Dimension::Count, |run| peak(run, scope, *window_us).map(|count| count as f64))
        }));
        if waits {
            cells.push(of(&|limit| limit.waits.as_ref().map(|waits| waits.count as f64)));
            cells.extend([50.0, 99.0].map(|p| {
                median(variant, Dimension::DurationUs, |run| {
                    Some(limit(run, scope)?.waits.as_ref()?.at(p)? as f64)
                })
            }));
        }
        cells
    };
    Breakdown {
        id: "limits",
        title: "By rate limit",
        lead: "Attempts that each limit let through or rejected. A bucket is what the limit counts by: a key, an address, \
               a route. The most in a time is that of any one bucket.",
        left_out,
        columns,
        groups: grouped(result, &scopes, row),
    }
}

fn stations(result: &ExperimentResult, detail: Detail) -> Breakdown {
    let stations = names(result, |run| run.stations.iter().map(|station| station.name.as_str()).collect());
    let (stations, left_out) = fitted(result, "stations", &stations, detail);
    let columns = [
        "workers",
        "queue",
        "utilization",
        "peak in flight",
        "peak queued",
        "rejected, queue full",
        "rejected, waited too long",
        "wait p50",
        "wait p99",
        "wait max",
    ];
    let row = |name: &str, variant: &VariantResult| {
        let find = |run: &RunResult| run.stations.iter().position(|station| station.name == name);
        let of = |dimension: Dimension, measure: &dyn Fn(&StationResult) -> Option<f64>| {
            median(variant, dimension, |run| measure(&run.stations[find(run)?]))
        };
        let wait = |p: f64| of(Dimension::DurationUs, &|station| station.wait.at(p).map(|us| us as f64));
        let first = variant.runs.iter().find_map(|run| find(run).map(|place| &run.stations[place]));
        let places = |places: &dyn Fn(&StationResult) -> Option<u32>| {
            first.map_or_else(dash, |station| {
                places(station).map_or_else(|| "unbounded".to_owned(), |n| format::count(n.into()))
            })
        };
        vec![
            places(&|station| station.workers),
            places(&|station| station.queue),
            of(Dimension::Share, &|station| station.utilization),
            of(Dimension::Count, &|station| Some(station.peak_in_flight.into())),
            of(Dimension::Count, &|station| Some(station.peak_queued.into())),
            of(Dimension::Count, &|station| station.rejected.map(|count| count as f64)),
            of(Dimension::Count, &|station| station.timed_out_in_queue.map(|count| count as f64)),
            wait(50.0),
            wait(99.0),
            of(Dimension::DurationUs, &|station| {
                (station.wait.count > 0).then_some(station.wait.max_us as f64)
            }),
        ]
    };
    Breakdown {
        id: "stations",
        title: "Gateway and upstreams as stations",
        lead: "Utilization is the share of worker time in use over the scenario's duration. The wait is the time in the \
               queue of those that got a worker, zero where there was none.",
        left_out,
        columns: columns.map(str::to_owned).into(),
        groups: grouped(result, &stations, row),
    }
}

/// `1,000 per minute, burst 100`.
fn rule(limit: &LimitResult) -> String {
    if !limit.joins.is_empty() {
        let joined: Vec<String> = limit.joins.iter().map(|limit| text::line(limit)).collect();
        return format!("all of {}", text::list(&joined));
    }
    let rate = format!("{} per {}", format::count(limit.limit.into()), format::per_window(limit.window_us));
    limit.burst.map_or(rate.clone(), |burst| format!("{rate}, burst {}", format::count(burst.into())))
}

/// What occurs in any run, in the order of first occurrence.
fn names<'a>(result: &'a ExperimentResult, named: impl Fn(&'a RunResult) -> Vec<&'a str>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for name in runs(result).flat_map(named) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn grouped(
    result: &ExperimentResult,
    names: &[&str],
    cells: impl Fn(&str, &VariantResult) -> Vec<String>,
) -> Vec<Group> {
    let group = |name: &&str| {
        let row = |variant: &VariantResult| Row {
            variant: text::name(&variant.name),
            cells: cells(name, variant),
            instead: None,
        };
        Group { name: text::name(name), note: None, rows: result.variants.iter().map(row).collect() }
    };
    names.iter().map(group).collect()
}

fn median(
    variant: &VariantResult,
    dimension: Dimension,
    measure: impl Fn(&RunResult) -> Option<f64>,
) -> String {
    Spread::over(variant, measure).map_or_else(dash, |spread| dimension.show(spread.median))
}

/// What stands where there was nothing to measure.
fn dash() -> String {
    "–".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::run::{CacheResult, NamedSummary};
    use crate::testing;

    #[test]
    fn each_thing_has_a_row_for_each_variant_and_a_cell_for_each_column() {
        let mut results = testing::odd();
        results.extend([testing::window_boundary(), testing::hostile(), testing::nothing_happened()]);
        for result in results {
            for table in breakdowns(&result, Detail::Full) {
                for group in &table.groups {
                    assert_eq!(group.rows.len(), result.variants.len());
                    let whole = |row: &Row| match row.instead {
                        Some(_) => row.cells.len() < table.columns.len(),
                        None => row.cells.len() == table.columns.len(),
                    };
                    assert!(group.rows.iter().all(whole), "{table:?}");
                }
            }
        }
    }

    #[test]
    fn a_population_reads_across() {
        let table = populations(&testing::window_boundary(), Detail::Full);
        assert_eq!(
            table.columns.join(" "),
            "offered success good upstream-error rate-limited p50 p95 p99 p99.9 max"
        );
        let row = &table.groups[0].rows[1];
        assert_eq!(row.variant, "token-bucket");
        assert_eq!(row.cells[..5].join(" "), "2,000 8.3% 8.3% 0% 91.7%");
    }

    #[test]
    fn limits_and_stations_state_their_size() {
        let result = testing::window_boundary();
        assert_eq!(
            limits(&result, Detail::Full).groups[0].rows[1].cells[..2].join(", "),
            "token-bucket, 1,000 per minute, burst 100"
        );
        assert_eq!(
            stations(&result, Detail::Full).groups[1].rows[0].cells[..5].join(" "),
            "4 1,024 44.7% 4 1,024"
        );
    }

    #[test]
    fn an_upstream_that_only_services_call_has_attempts_and_no_requests() {
        let mut result = testing::window_boundary();
        for variant in &mut result.variants {
            let run = &mut variant.runs[0];
            run.upstreams.push(NamedSummary { name: "payments".to_owned(), summary: Summary::default() });
            let calls = AttemptsResult {
                upstream: "payments".to_owned(),
                attempts: 6277,
                amplification: 0.857,
                ..run.upstream_attempts[0].clone()
            };
            run.upstream_attempts.push(calls);
        }
        let table = upstreams(&result, Detail::Full);
        assert_eq!(table.columns[..3].join(", "), "attempts, per request, offered");
        let [orders, payments] = [0, 1].map(|group| &table.groups[group].rows[0]);
        assert_eq!(orders.cells[..3].join(", "), "14,004, 1.00, 14,004");
        assert_eq!(orders.instead, None);
        assert_eq!(payments.cells.join(", "), "6,277, 0.86");
        assert!(payments.instead.is_some());
        // Keys are counted apart, where anybody asks for them.
        for variant in &mut result.variants {
            variant.runs[0].upstream_attempts[1].key_fetches = Some(48);
        }
        let table = upstreams(&result, Detail::Full);
        assert_eq!(table.columns[..4].join(", "), "attempts, per request, key fetches, offered");
        let [orders, payments] = [0, 1].map(|group| &table.groups[group].rows[0]);
        assert_eq!(orders.cells[..4].join(", "), "14,004, 1.00, –, 14,004");
        assert_eq!(payments.cells.join(", "), "6,277, 0.86, 48");
        assert_eq!(payments.instead, Some("no route leads to it: it is asked for keys"));
        // What a cache keeps off stands beside them.
        for variant in &mut result.variants {
            let cache = CacheResult { hits: 60, stale: 10, collapsed: 20, misses: 30 };
            variant.runs[0].upstream_attempts[1].cache = Some(cache);
        }
        let table = upstreams(&result, Detail::Full);
        assert_eq!(table.columns[2..5].join(", "), "key fetches, cache hits, misses");
        assert_eq!(table.groups[1].rows[0].cells.join(", "), "6,277, 0.86, 48, 75%, 30");
        assert_eq!(table.groups[0].rows[0].cells[2..5].join(", "), "–, –, –");
        // An earlier version did not count attempts.
        for variant in &mut result.variants {
            variant.runs[0].upstream_attempts.clear();
        }
        assert_eq!(upstreams(&result, Detail::Full).columns[0], "offered");
    }

    #[test]
    fn of_a_large_world_the_groups_with_most_to_tell_are_shown() {
        let mut result = testing::window_boundary();
        for run in result.variants.iter_mut().flat_map(|variant| &mut variant.runs) {
            let (route, upstream) = (run.routes[0].clone(), run.stations[1].clone());
            // Route 399 was served worst, upstream 7 was the busiest.
            run.routes = (0..400).map(|n| NamedSummary { name: format!("/{n}"), ..route.clone() }).collect();
            run.routes[399].summary.good = 0;
            run.stations.extend((0..400).map(|n| StationResult {
                name: format!("s{n}"),
                peak_queued: u32::from(n == 7) * 9_000,
                ..upstream.clone()
            }));
        }
        let of =
            |detail, id: &str| breakdowns(&result, detail).into_iter().find(|table| table.id == id).unwrap();
        // Four variants: 1,600 rows are 400 groups.
        assert_eq!(of(Detail::Fitted, "routes").left_out, None);
        let stations = of(Detail::Fitted, "stations");
        assert_eq!(stations.groups.len(), 400);
        assert!(["gateway", "s7"].iter().all(|name| stations.groups.iter().any(|group| group.name == *name)));
        let told = "Shown are 400 of 402, those with the longest queues and the busiest workers; `--full` has all of them.";
        assert_eq!(stations.left_out.as_deref(), Some(told));
        assert_eq!(of(Detail::Full, "stations").groups.len(), 402);
        let variants = result.variants.clone();
        result.variants.extend(variants);
        let routes =
            breakdowns(&result, Detail::Fitted).into_iter().find(|table| table.id == "routes").unwrap();
        assert_eq!((routes.groups.len(), &*routes.groups[199].name), (200, "/399"));
    }

    #[test]
    fn hostile_populations_are_marked() {
        let mut result = testing::window_boundary();
        result.variants[0].runs[0].populations[0].hostile = true;
        let table = populations(&result, Detail::Full);
        assert_eq!(table.groups[0].note, Some("hostile, not in the totals"));
        assert_eq!(table.groups[1].note, None);
    }
}
