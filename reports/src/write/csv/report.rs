//! The numbers as CSV, for spreadsheets, data frames and plotting scripts.
//!
//! Tables, all long ("tidy"): one number per row and the columns that say what it is. A new measure is then a new
//! row and breaks nobody's column numbers, and any tool that can filter and pivot has whatever table it wants.
//!
//! Numbers are plain, with a point and without separators, in the unit that ends the measure's name: `_us` for
//! microseconds, `_per_s` for events per second, shares from 0 to 1. What was not measured has no row. Names stand as
//! they do in the scenario, except that each is one line without control characters, and that one which begins with `=`, `+`,
//! `-` or `@`, as a formula does, is led by an apostrophe: whoever opens a report need not be who wrote the scenario.

use csv::Writer;

use crate::record::distribution::Distribution;
use crate::record::harm::HarmTally;
use crate::record::outcome::Outcome;
use crate::result::expectation::NotJudged;
use crate::result::experiment::ExperimentResult;
use crate::result::run::{RunResult, Summary};
use crate::tell::bucket::owned;
use crate::words::text;
use crate::words::value::Value;

/// `variant,seed,kind,name,measure,value`: every number of every run but those over time.
///
/// `kind` is what `name` is a name of: `population`, `route`, `upstream`, `limit` or `station`; `overall` (all
/// populations but hostile ones), `run` (all populations) and `harm` (what the faults did, against the run without them)
/// have no name; a `breaker` is named by its upstream.
///
/// What was hurt and how many were compared are the measures `…_hurt` and `…_total` of `harm`, of each route and of each
/// population; `recovered` and `contained` are 1 or 0, and their times have a row where they are 1.
pub fn summary_csv(result: &ExperimentResult) -> String {
    let mut table = Table::new(&["variant", "seed", "kind", "name", "measure", "value"]);
    for (variant, run) in runs(result) {
        let mut rows =
            Rows { table: &mut table, variant: &variant, seed: &run.seed.to_string(), kind: "", name: "" };
        let mut of = rows.of("run", "");
        of.number("attempts", run.attempts);
        of.number("amplification", run.amplification);
        rows.of("overall", "").summary(&run.overall);
        for population in &run.populations {
            rows.of("population", &population.name).summary(&population.summary);
        }
        for route in &run.routes {
            rows.of("route", &route.name).summary(&route.summary);
        }
        for upstream in &run.upstreams {
            rows.of("upstream", &upstream.name).summary(&upstream.summary);
        }
        limits_and_stations(&mut rows, run);
        harm_and_breakers(&mut rows, run);
    }
    table.finish()
}

/// `variant,seed,kind,name,series,second,value`: every time series of every run, one row per second, the first of which
/// is 0 and begins with the scenario.
///
/// Series of `harm` are `collateral_hurt` and `direct_hurt`, by the second in which a request was meant to be sent.
/// Series of a `population` are `offered`, `served` and `good`, by the second in which a request was meant to be sent,
/// and `admitted`, by the second in which it came; of a `limit`, `admitted` and `rejected`; of a `station`, `in_flight`
/// and `queued`, each the most within the second; of an `upstream`, `attempts` by the second in which they were sent.
pub fn series_csv(result: &ExperimentResult) -> String {
    series_of(result, |_| true)
}

/// As [`series_csv`], with as many kinds of series as fit a table of a hundred megabytes, the most telling first; and what was
/// left out, if anything.
pub fn series_csv_fitted(result: &ExperimentResult) -> (String, Option<String>) {
    let mut rows = [0_usize; SERIES.len()];
    for (_, run) in runs(result) {
        each_series(run, |kind, _, _, points| rows[kind] += points.len());
    }
    let (mut kept, mut sum) = ([false; SERIES.len()], 0);
    for (kind, rows) in rows.iter().enumerate() {
        kept[kind] = sum + rows <= MOST_SERIES_ROWS;
        sum += if kept[kind] { *rows } else { 0 };
    }
    let left = || kept.iter().enumerate().filter(|(_, kept)| !**kept).map(|(kind, _)| kind);
    let names: Vec<String> = left().map(|kind| SERIES[kind].to_owned()).collect();
    let left_out: usize = left().map(|kind| rows[kind]).sum();
    let told = (!names.is_empty())
        .then(|| format!("{}, {} rows", text::list(&names), crate::words::format::count(left_out as u64)));
    (series_of(result, |kind| kept[kind]), told)
}

/// What there are series of, the most telling first.
const SERIES: [&str; 6] = [
    "harm",
    "the gateway as a station",
    "limits",
    "populations",
    "attempts by upstream",
    "upstreams as stations",
];

/// Rows of a table of about a hundred megabytes.
const MOST_SERIES_ROWS: usize = 3_000_000;

/// Hands over each series of a run: the place of its kind in [`SERIES`], kind and name as the table has them, and its points.
fn each_series<'r>(run: &'r RunResult, mut found: impl FnMut(usize, [&'static str; 2], &'r str, &'r [u32])) {
    for population in &run.populations {
        let name = &*population.name;
        found(3, ["population", "offered"], name, &population.offered_per_s);
        found(3, ["population", "admitted"], name, &population.admitted_per_s);
        found(3, ["population", "served"], name, &population.served_per_s);
        found(3, ["population", "good"], name, &population.good_per_s);
    }
    if let Some(harm) = &run.harm {
        found(0, ["harm", "collateral_hurt"], "", &harm.collateral_hurt_per_s);
        found(0, ["harm", "direct_hurt"], "", &harm.direct_hurt_per_s);
    }
    for upstream in &run.upstream_attempts {
        found(4, ["upstream", "attempts"], &upstream.upstream, &upstream.per_s);
    }
    for limit in &run.limits {
        found(2, ["limit", "admitted"], &limit.scope, &limit.admitted_per_s);
        found(2, ["limit", "rejected"], &limit.scope, &limit.rejected_per_s);
    }
    for station in &run.stations {
        let kind = if station.is_gateway { 1 } else { 5 };
        found(kind, ["station", "in_flight"], &station.name, &station.in_flight_per_s);
        found(kind, ["station", "queued"], &station.name, &station.queued_per_s);
    }
}

fn series_of(result: &ExperimentResult, is_kept: impl Fn(usize) -> bool) -> String {
    of_runs(result, &["kind", "name", "series", "second", "value"], |run, row| {
        each_series(run, |place, [kind, series], name, points| {
            if !is_kept(place) {
                return;
            }
            let name = plain(name);
            for (second, value) in points.iter().enumerate() {
                row(&[kind, &name, series, &second.to_string(), &value.to_string()]);
            }
        });
    })
}

/// A table whose rows begin with the variant and the seed of a run; `rows` hands over what follows in each row of a run.
fn of_runs(
    result: &ExperimentResult,
    columns: &[&str],
    mut rows: impl FnMut(&RunResult, &mut dyn FnMut(&[&str])),
) -> String {
    let mut table = Table::new(&[&["variant", "seed"], columns].concat());
    for (variant, run) in runs(result) {
        let seed = run.seed.to_string();
        rows(run, &mut |fields| table.row_behind(&[&variant, &seed], fields));
    }
    table.finish()
}

/// `variant,seed,breaker,change,at_us,to,settled,failures,timed_out,server_errors,slow,connection_failed`: every change of
/// every circuit breaker.
///
/// `change` counts those of a breaker from 0; `to` is `closed`, `open` or `half-open`, from `at_us` on. The last four are the
/// failures by what made them one; they are empty in results of a version that did not tell them apart.
pub fn breakers_csv(result: &ExperimentResult) -> String {
    let columns = [
        "breaker",
        "change",
        "at_us",
        "to",
        "settled",
        "failures",
        "timed_out",
        "server_errors",
        "slow",
        "connection_failed",
    ];
    of_runs(result, &columns, |run, row| {
        for breaker in &run.breakers {
            for (number, change) in breaker.changes.iter().enumerate() {
                let numbers =
                    [number as u64, change.at_us, change.settled, change.failures].map(|n| n.to_string());
                let [number, at_us, settled, failures] = &numbers;
                let (name, to) = (plain(&breaker.name), plain(&change.to));
                let kinds = change.failed.map(|failed| {
                    [failed.timed_out, failed.server_errors, failed.slow, failed.connection_failed]
                        .map(|n| n.to_string())
                });
                let [timed_out, server_errors, slow, broken] = kinds.unwrap_or_default();
                row(&[
                    &name,
                    number,
                    at_us,
                    &to,
                    settled,
                    failures,
                    &timed_out,
                    &server_errors,
                    &slow,
                    &broken,
                ]);
            }
        }
    })
}

/// `variant,seed,limit,bucket,rejected,second,percent`: how much of its limit each bucket had in use, of the ten of each
/// limit that rejected most, and without a name of a bucket the mean of the rest that rejected anything.
///
/// A bucket of an address is named by its population and a number among the population's addresses.
///
/// `second` is that in which a column begins that lasts until the next; `percent` is the most within it.
pub fn saturation_csv(result: &ExperimentResult) -> String {
    of_runs(result, &["limit", "bucket", "rejected", "second", "percent"], |run, row| {
        for limit in &run.limits {
            let Some(saturation) = &limit.saturation else { continue };
            let told = saturation.buckets.iter().map(|bucket| {
                let name = owned(bucket).unwrap_or_else(|| bucket.name.clone());
                (name, bucket.rejected, &bucket.percent)
            });
            let others = saturation.others.iter();
            let others = others.map(|others| (String::new(), others.rejected, &others.mean_percent));
            for (bucket, rejected, percent) in told.chain(others) {
                let (bucket, rejected) = (plain(&bucket), rejected.to_string());
                for (second, percent) in (0..).step_by(saturation.column_s as usize).zip(percent) {
                    let (second, percent): (u64, _) = (second, percent.to_string());
                    let second = second.to_string();
                    row(&[&plain(&limit.scope), &bucket, &rejected, &second, &percent]);
                }
            }
        }
    })
}

/// `variant,seed,rank,route,ending,requests,steps`: why requests of non-hostile populations were not served well.
///
/// `rank` counts from 0, the most frequent reason; `ending` is `failed` or `late`; `steps` leads from what the client saw
/// back to what made it so, such as `client-timeout < gateway-pool /checkout < fault hang on payments`.
pub fn causes_csv(result: &ExperimentResult) -> String {
    of_runs(result, &["rank", "route", "ending", "requests", "steps"], |run, row| {
        for (rank, cause) in run.causes.iter().enumerate() {
            let [rank, requests] = [rank as u64, cause.requests].map(|n| n.to_string());
            let steps = cause.steps.iter().map(|step| match &step.of {
                Some(of) => format!("{} {}", step.kind.name(), plain(of)),
                None => step.kind.name().to_owned(),
            });
            let steps = steps.collect::<Vec<_>>().join(" < ");
            row(&[&rank, &plain(&cause.route), cause.ending.name(), &requests, &steps]);
        }
    })
}

/// `variant,seed,expectation,held,measured,unit,standard,standard_unit,not_judged`: every expectation against every run that
/// it was held against, or was to be.
///
/// `held` is `true` or `false`. Where the last column says `invalid`, `interrupted` or `not-run`, the line was not judged, and
/// `held` is false; it is empty everywhere else. `unit` is `count`, `number`, `share`, `us` or `per_s`. What never happened or was not
/// observed has no measured value, and `never` or `not-observed` in place of its unit. The last two columns are those of
/// what was measured elsewhere and compared with; they are empty where the line names its bound.
pub fn expectations_csv(result: &ExperimentResult) -> String {
    let mut table = Table::new(&[
        "variant",
        "seed",
        "expectation",
        "held",
        "measured",
        "unit",
        "standard",
        "standard_unit",
        "not_judged",
    ]);
    for expectation in &result.expectations {
        for check in &expectation.checks {
            let (measured, unit) = value_and_unit(check.measured);
            let (standard, standard_unit) = check.standard.map(value_and_unit).unwrap_or_default();
            let (variant, seed) = (plain(&check.variant), check.seed.to_string());
            let not_judged = result.why_not_judged(check);
            let held = if check.held && not_judged.is_none() { "true" } else { "false" };
            table.row(&[
                &variant,
                &seed,
                &plain(&expectation.text),
                held,
                &measured,
                unit,
                &standard,
                standard_unit,
                not_judged.map(NotJudged::name).unwrap_or_default(),
            ]);
        }
    }
    table.finish()
}

fn value_and_unit(value: Value) -> (String, &'static str) {
    match value {
        Value::Count(n) => (n.to_string(), "count"),
        Value::Number(x) => (x.to_string(), "number"),
        Value::Share(x) => (x.to_string(), "share"),
        Value::DurationUs(us) => (us.to_string(), "us"),
        Value::RatePerS(x) => (x.to_string(), "per_s"),
        Value::Never => (String::new(), "never"),
        Value::NotObserved => (String::new(), "not-observed"),
    }
}

/// Each run with its variant's name.
fn runs(result: &ExperimentResult) -> impl Iterator<Item = (String, &RunResult)> {
    result.variants.iter().flat_map(|variant| variant.runs.iter().map(|run| (plain(&variant.name), run)))
}

fn limits_and_stations(rows: &mut Rows, run: &RunResult) {
    for limit in &run.limits {
        let mut of = rows.of("limit", &limit.scope);
        of.number("limit", limit.limit);
        of.number("window_us", limit.window_us);
        of.some("burst", limit.burst);
        of.number("admitted", limit.admitted);
        of.number("rejected", limit.rejected);
        of.number("buckets", limit.buckets);
        of.some("fullest_bucket_admitted", limit.fullest.as_ref().map(|bucket| bucket.count));
        for peak in &limit.peaks {
            of.number(&format!("peak_admitted_in_{}s", peak.window_us as f64 / 1e6), peak.count);
        }
    }
    for station in &run.stations {
        let mut of = rows.of("station", &station.name);
        of.some("workers", station.workers);
        of.some("queue", station.queue);
        of.some("utilization", station.utilization);
        of.number("peak_in_flight", station.peak_in_flight);
        of.number("peak_queued", station.peak_queued);
        of.some("rejected", station.rejected);
        of.some("timed_out_in_queue", station.timed_out_in_queue);
        of.distribution("wait", &station.wait);
    }
}

fn harm_and_breakers(rows: &mut Rows, run: &RunResult) {
    for upstream in &run.upstream_attempts {
        let mut of = rows.of("upstream", &upstream.upstream);
        of.number("attempts", upstream.attempts);
        of.number("amplification", upstream.amplification);
        of.some("key_fetches", upstream.key_fetches);
        of.some("unauthorized", upstream.unauthorized);
        of.some("cache_hits", upstream.cache.map(|cache| cache.hits));
        of.some("cache_stale", upstream.cache.map(|cache| cache.stale));
        of.some("cache_collapsed", upstream.cache.map(|cache| cache.collapsed));
        of.some("cache_misses", upstream.cache.map(|cache| cache.misses));
    }
    if let Some(harm) = &run.harm {
        let mut of = rows.of("harm", "");
        of.number("first_fault_us", harm.first_fault_us);
        of.number("last_fault_end_us", harm.last_fault_end_us);
        of.some("control_offered", harm.control.map(|control| control.offered));
        of.some("control_good", harm.control.map(|control| control.good));
        of.hurt("collateral", harm.collateral_tally());
        of.some("blast_radius", harm.collateral_tally().share());
        of.hurt("direct", harm.direct_tally());
        of.some("direct_damage", harm.direct_tally().share());
        of.some("contained", harm.containment_observed.then_some(u8::from(harm.containment_us.is_some())));
        of.some("containment_us", harm.containment_us);
        of.some("recovered", harm.recovery_observed.then_some(u8::from(harm.recovery_us.is_some())));
        of.some("recovery_us", harm.recovery_us);
        for route in &harm.routes {
            rows.of("route", &route.name)
                .hurt(if route.direct { "direct" } else { "collateral" }, route.tally());
        }
        for population in &harm.populations {
            let mut of = rows.of("population", &population.name);
            of.hurt("collateral", population.collateral_tally());
            of.hurt("direct", population.direct_tally());
            of.hurt("identities", HarmTally { paired: population.identities, ..HarmTally::default() });
        }
    }
    for breaker in &run.breakers {
        let times = |to: &'static str| breaker.changes.iter().filter(move |change| change.to == to);
        let mut of = rows.of("breaker", &breaker.name);
        of.number("opened", times("open").count());
        of.some("first_opened_us", times("open").next().map(|change| change.at_us));
        of.some("last_closed_us", times("closed").next_back().map(|change| change.at_us));
    }
}

/// The rows about one thing in one run.
struct Rows<'a> {
    table: &'a mut Table,
    variant: &'a str,
    seed: &'a str,
    kind: &'a str,
    name: &'a str,
}

impl Rows<'_> {
    fn of<'b>(&'b mut self, kind: &'b str, name: &'b str) -> Rows<'b> {
        Rows { table: &mut *self.table, variant: self.variant, seed: self.seed, kind, name }
    }

    fn number(&mut self, measure: &str, value: impl ToString + Copy) {
        let (name, value) = (plain(self.name), value.to_string());
        self.table.row(&[self.variant, self.seed, self.kind, &name, measure, &value]);
    }

    fn some(&mut self, measure: &str, value: Option<impl ToString + Copy>) {
        if let Some(value) = value {
            self.number(measure, value);
        }
    }

    fn hurt(&mut self, whose: &str, HarmTally { paired, unpaired }: HarmTally) {
        self.number(&format!("{whose}_hurt"), paired.hurt);
        self.number(&format!("{whose}_total"), paired.total);
        if unpaired.offered > 0 {
            self.number(&format!("{whose}_unpaired_lost"), unpaired.lost());
            self.number(&format!("{whose}_unpaired_total"), unpaired.offered);
        }
    }

    /// Outcomes that did not occur are rows too: a zero was counted.
    fn summary(&mut self, summary: &Summary) {
        self.number("offered", summary.offered);
        self.number("good", summary.good);
        self.number("goodput_per_s", summary.goodput_per_s);
        self.some("success_rate", summary.success_rate());
        for outcome in Outcome::ALL {
            self.number(outcome.name(), summary.count(outcome));
        }
        self.distribution("latency", &summary.latency);
    }

    fn distribution(&mut self, what: &str, distribution: &Distribution) {
        self.number(&format!("{what}_count"), distribution.count);
        if distribution.count == 0 {
            return;
        }
        self.number(&format!("{what}_mean_us"), distribution.mean_us);
        for point in &distribution.percentiles {
            self.number(&format!("{what}_p{}_us", point.p), point.us);
        }
        self.number(&format!("{what}_min_us"), distribution.min_us);
        self.number(&format!("{what}_max_us"), distribution.max_us);
        let bounds = distribution.lower_bounds;
        self.number(&format!("{what}_lower_bounds"), bounds.map_or(0, |bounds| bounds.count));
        self.some(&format!("{what}_lower_bounds_from_us"), bounds.map(|bounds| bounds.from_us));
    }
}

/// Rows with the same columns.
pub(crate) struct Table(Writer<Vec<u8>>);

impl Table {
    pub(crate) fn new(columns: &[&str]) -> Self {
        let mut table = Self(Writer::from_writer(Vec::new()));
        table.row(columns);
        table
    }

    pub(crate) fn row(&mut self, fields: &[&str]) {
        self.0.write_record(fields).expect("rows have as many fields as the first, and memory takes them");
    }

    fn row_behind(&mut self, first: &[&str], fields: &[&str]) {
        let row = first.iter().chain(fields);
        self.0.write_record(row).expect("rows have as many fields as the first, and memory takes them");
    }

    pub(crate) fn finish(self) -> String {
        let bytes = self.0.into_inner().expect("memory takes what is left");
        String::from_utf8(bytes).expect("fields are strings")
    }
}

/// Text on one line that no spreadsheet takes for a formula: one that begins as a formula does is led by an apostrophe.
pub(crate) fn plain(text: &str) -> String {
    let line = text::line(text);
    if line.starts_with(['=', '+', '-', '@']) { format!("'{line}") } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::breaker::FailureCounts;
    use crate::record::saturation::OtherBuckets;
    use crate::testing;

    fn read(table: &str) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(table.as_bytes());
        let rows = reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect());
        rows.collect()
    }

    fn value(table: &[Vec<String>], key: [&str; 5]) -> Option<String> {
        table.iter().find(|row| row[..5] == key).map(|row| row[5].clone())
    }

    #[test]
    fn the_summary_holds_the_numbers_of_the_result() {
        let result = testing::three_seeds();
        let table = read(&summary_csv(&result));
        assert_eq!(table[0].join(","), "variant,seed,kind,name,measure,value");
        let told = |seed, kind, name, measure| value(&table, ["fixed-window", seed, kind, name, measure]);
        assert_eq!(told("902", "limit", "per_key", "peak_admitted_in_4s").unwrap(), "2000");
        assert_eq!(told("903", "limit", "per_key", "peak_admitted_in_4s").unwrap(), "1990");
        assert_eq!(told("902", "population", "partner", "offered").unwrap(), "2000");
        assert_eq!(told("902", "population", "partner", "latency_p99_us").unwrap(), "4210000");
        assert_eq!(told("902", "population", "partner", "shed").unwrap(), "0");
        assert_eq!(told("902", "station", "orders", "rejected").unwrap(), "318");
        assert_eq!(told("902", "station", "orders", "utilization").unwrap(), "0.447");
        assert_eq!(told("902", "limit", "per_key", "burst"), None);
        let attempts = told("904", "run", "", "attempts").unwrap();
        assert_eq!(attempts, result.variants[0].runs[2].attempts.to_string());
    }

    #[test]
    fn an_incident_is_rows_and_never_is_no_number() {
        let result = testing::incident();
        let table = read(&summary_csv(&result));
        let told = |variant, kind, name, measure| value(&table, [variant, "902", kind, name, measure]);
        assert_eq!(told("quickstart", "harm", "", "collateral_hurt").unwrap(), "1676");
        assert!(told("quickstart", "harm", "", "blast_radius").unwrap().starts_with("0.188"));
        assert_eq!(told("quickstart", "harm", "", "recovered").unwrap(), "0");
        assert_eq!(told("quickstart", "harm", "", "recovery_us"), None);
        assert_eq!(told("timeout", "harm", "", "recovery_us").unwrap(), "22000000");
        let mut unseen = result.clone();
        let harm = unseen.variants[0].runs[0].harm.as_mut().unwrap();
        (harm.recovery_observed, harm.containment_observed) = (false, false);
        let unseen = read(&summary_csv(&unseen));
        for measure in ["recovered", "contained"] {
            assert_eq!(value(&unseen, ["quickstart", "902", "harm", "", measure]), None);
        }
        assert_eq!(told("breaker", "route", "/checkout", "direct_hurt").unwrap(), "14283");
        assert_eq!(told("breaker", "population", "members", "identities_total").unwrap(), "800");
        assert_eq!(told("breaker", "breaker", "checkout", "opened").unwrap(), "2");
        assert_eq!(told("breaker", "breaker", "checkout", "last_closed_us").unwrap(), "93073746");
        assert_eq!(told("recommended", "breaker", "checkout→payments", "last_closed_us"), None);
        assert_eq!(
            breakers_csv(&result).lines().nth(1),
            Some("breaker,902,catalog,0,36061232,open,5929,2965,2372,593,0,0")
        );
        assert!(series_csv(&result).contains("\nquickstart,902,harm,,collateral_hurt,30,46\n"));
    }

    #[test]
    fn a_key_occurs_once() {
        for result in [testing::window_boundary(), testing::three_seeds(), testing::incident()] {
            for (table, key) in [
                (summary_csv(&result), 5),
                (series_csv(&result), 6),
                (breakers_csv(&result), 4),
                (expectations_csv(&result), 3),
            ] {
                let mut keys: Vec<Vec<String>> =
                    read(&table).into_iter().map(|row| row[..key].to_vec()).collect();
                let all = keys.len();
                keys.sort_unstable();
                keys.dedup();
                assert_eq!(keys.len(), all);
            }
        }
    }

    #[test]
    fn how_full_a_bucket_was_has_a_row_for_each_column_and_failures_are_told_apart() {
        let mut result = testing::window_boundary();
        let table = read(&saturation_csv(&result));
        // The three limits that turned anybody away.
        assert_eq!(table.len(), 1 + 3 * 120);
        let second = |at: &str| table.iter().find(|row| row[0] == "token-bucket" && row[5] == at).unwrap();
        assert_eq!(second("58")[2..], ["per_key", "partner-0", "1834", "58", "100"]);
        assert_eq!(second("57")[6], "0");
        let saturation = result.variants.last_mut().unwrap().runs[0].limits[0].saturation.as_mut().unwrap();
        saturation.column_s = 5;
        saturation.others = Some(OtherBuckets { buckets: 3, rejected: 30, mean_percent: vec![0, 40] });
        let others = read(&saturation_csv(&result)).pop().unwrap();
        assert_eq!(others[3..], ["", "30", "5", "40"]);

        let mut result = testing::incident();
        let breaker = result.variants.iter_mut().find(|variant| variant.name == "breaker").unwrap();
        breaker.runs[0].breakers[0].changes[0].failed =
            Some(FailureCounts { timed_out: 2_900, server_errors: 60, slow: 5, connection_failed: 0 });
        let told = breakers_csv(&result);
        assert_eq!(told.lines().nth(1), Some("breaker,902,catalog,0,36061232,open,5929,2965,2900,60,5,0"));
    }

    #[test]
    fn series_have_a_row_for_each_second() {
        let result = testing::window_boundary();
        let table = read(&series_csv(&result));
        assert_eq!(table.len(), 1 + 4 * (2 * 4 + 1 + 2 + 2 * 2) * 120);
        let offered: Vec<u32> = table
            .iter()
            .filter(|row| row[..5] == ["token-bucket", "902", "population", "partner", "offered"])
            .map(|row| row[6].parse().unwrap())
            .collect();
        assert_eq!(offered, result.variants[1].runs[0].populations[0].offered_per_s);
        assert_eq!((table[1][5].as_str(), table[120][5].as_str()), ("0", "119"));
    }

    #[test]
    fn expectations_carry_their_unit() {
        let mut result = testing::window_boundary();
        result.expectations[1].checks[0].measured = Value::Never;
        result.expectations[1].checks[0].held = false;
        assert_eq!(
            expectations_csv(&result).lines().take(3).collect::<Vec<_>>(),
            [
                "variant,seed,expectation,held,measured,unit,standard,standard_unit,not_judged",
                "fixed-window,902,\"fixed-window: peak_admitted(per_key, 4s) >= 2000\",true,2000,count,,,",
                "token-bucket,902,\"token-bucket: peak_admitted(per_key, 4s) <= 167\",false,,never,,,",
            ]
        );
    }

    #[test]
    fn every_result_can_be_read_back_and_each_record_is_a_line() {
        let mut results = testing::odd();
        results.extend([testing::hostile(), testing::nothing_happened()]);
        for result in results {
            for table in
                [summary_csv(&result), series_csv(&result), breakers_csv(&result), expectations_csv(&result)]
            {
                assert_eq!(read(&table).len(), table.lines().count());
                assert!(!table.contains(['\0', '\r', '\u{1b}']));
            }
        }
    }

    #[test]
    fn of_a_large_world_the_series_that_tell_most_are_kept() {
        let mut result = testing::window_boundary();
        assert_eq!(series_csv_fitted(&result), (series_csv(&result), None));
        let before = series_csv(&result).lines().count();
        let of_upstreams = |line: &&str| line.contains(",station,") && !line.contains(",station,gateway,");
        let few = series_csv(&result).lines().filter(of_upstreams).count();
        // Four variants, and 120 points in flight and as many queued: 3,200 upstreams are 3,072,000 rows.
        for run in result.variants.iter_mut().flat_map(|variant| &mut variant.runs) {
            let upstream = run.stations[1].clone();
            run.stations.extend((1..3_200).map(|_| upstream.clone()));
        }
        let (table, left_out) = series_csv_fitted(&result);
        assert_eq!(left_out.as_deref(), Some("upstreams as stations, 3,072,000 rows"));
        assert_eq!(table.lines().count(), before - few);
    }

    #[test]
    fn names_are_read_back_and_formulas_are_not_run() {
        let names = ["a,b \"c\" 'd'", "+bulkhead", "-1", "日本 | `x`", "two\nlines"];
        let expected = ["a,b \"c\" 'd'", "'+bulkhead", "'-1", "日本 | `x`", "two lines"];
        assert_eq!(names.map(plain), expected);
        for formula in ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd|'x'!A0", "=\tHYPERLINK(\"x\")"] {
            assert!(plain(formula).starts_with('\''), "{formula}");
        }
        let mut result = testing::window_boundary();
        names[0].clone_into(&mut result.variants[0].name);
        assert_eq!(read(&summary_csv(&result))[1][0], names[0]);
    }
}
