//! The numbers of a run that comparisons and sweeps speak of, by one name each.
//!
//! A gauge is read from a saved result, so it needs nothing but what `result.json` holds. With its value comes the step in
//! which it is told: a count moves by one, a percentile by the width of the histogram's buckets. What is smaller is noise
//! of the measuring and no difference.

use crate::measure::reading::Reading;
use crate::measure::unit::{GaugeUnit, Good};

use crate::record::harm::HarmTally;
use crate::record::outcome::Outcome;
use crate::result::harm::HarmResult;
use crate::result::run::{RunResult, Summary};
use crate::words::text;

/// One number that runs have.
pub(crate) struct Gauge {
    /// Its name, such as `goodput` or `latency.p99`.
    pub(crate) measure: String,
    /// Whose it is, as a path into the file (`clients.partner`); `None` for all populations but hostile ones.
    pub(crate) of: Option<String>,
    /// What it is, in a phrase.
    pub(crate) meaning: String,
    /// In what it is told.
    pub(crate) unit: GaugeUnit,
    /// Which end is the good one.
    pub(crate) good: Good,
    /// Whether a change can be called better or worse: how a request was turned away is neither, that it was is worse.
    pub(crate) is_judged: bool,
    read: Box<Read>,
}

/// How a gauge is read off a run.
type Read = dyn Fn(&RunResult) -> Option<Reading>;

impl Gauge {
    /// What it reads off a run; `None` where there was nothing to measure.
    pub(crate) fn read(&self, run: &RunResult) -> Option<Reading> {
        (self.read)(run)
    }

    /// The measure, and whose it is: `goodput(clients.partner)`.
    pub(crate) fn name(&self) -> String {
        gauge_name(&self.measure, self.of.as_deref())
    }

    fn new(
        measure: impl Into<String>,
        meaning: impl Into<String>,
        (unit, good): (GaugeUnit, Good),
        read: impl Fn(&RunResult) -> Option<Reading> + 'static,
    ) -> Self {
        let read = Box::new(read);
        let (measure, meaning) = (measure.into(), meaning.into());
        Self { measure, of: None, meaning, unit, good, is_judged: true, read }
    }

    /// Whether it tells of what faults took away from the run without them, which says nothing of a gateway that served few
    /// even there.
    pub(crate) fn is_of_harm(&self) -> bool {
        matches!(
            &*self.measure,
            "blast_radius" | "direct_damage" | "recovery_time" | "containment_time" | "hurt"
        )
    }

    pub(crate) fn unjudged(self) -> Self {
        Self { is_judged: false, ..self }
    }

    fn of(self, of: &str) -> Self {
        Self { of: Some(of.to_owned()), ..self }
    }
}

/// `goodput`, `goodput(clients.partner)`.
pub(crate) fn gauge_name(measure: &str, of: Option<&str>) -> String {
    of.map_or_else(|| measure.to_owned(), |of| format!("{measure}({of})"))
}

/// The gauges of all populations together that matter in any of these runs. `duration_s` is for how long requests arrived.
pub(crate) fn headline(runs: &[&RunResult], duration_s: f64) -> Vec<Gauge> {
    let gauges = everybody(duration_s).into_iter();
    let gauges = gauges.filter(|gauge| {
        let mut readings = runs.iter().filter_map(|run| gauge.read(run));
        readings.any(|reading| matters(&gauge.measure, reading.value))
    });
    gauges.collect()
}

/// Whether a value says anything: an outcome that did not occur does not, nor does that every request was one attempt.
pub(crate) fn matters(measure: &str, value: f64) -> bool {
    match measure {
        "amplification" => value >= 1.005,
        _ if measure.starts_with("rejected.") => value > 0.0,
        _ => true,
    }
}

/// All gauges of all populations together.
pub(crate) fn everybody(duration_s: f64) -> Vec<Gauge> {
    let success = Gauge::new(
        "success_rate",
        "share of the offered requests that was served at all",
        (GaugeUnit::Share, Good::High),
        |run| Reading::share(run.overall.count(Outcome::Served), run.overall.offered),
    );
    let mut gauges = vec![goodput(|run| Some(&run.overall), duration_s), success];
    gauges.extend(PERCENTILES.map(|(name, p)| latency(name, p, |run| Some(&run.overall))));
    gauges.extend(harm(duration_s));
    let amplification = Gauge::new(
        "amplification",
        "attempts that reached an upstream ÷ requests, over all populations",
        (GaugeUnit::Ratio, Good::Low),
        |run| Some(Reading::new(run.amplification, 1.0 / run.overall.offered.max(1) as f64)),
    );
    // Whoever turns every attempt away has the lowest, which is no merit.
    gauges.push(amplification.unjudged());
    gauges.push(Gauge::new(
        "unauthorized_reached",
        "attempts without a valid identity that came to an application that asks for one",
        (GaugeUnit::Count, Good::Low),
        |run| run.unauthorized().map(|count| Reading::new(count as f64, 1.0)),
    ));
    let rejections = Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Served);
    gauges.extend(rejections.map(|outcome| {
        let share = Gauge::new(
            format!("rejected.{}", outcome.name()),
            format!("share of the offered requests that ended as {}", outcome.name()),
            (GaugeUnit::Share, Good::Low),
            move |run| Reading::share(run.overall.count(outcome), run.overall.offered),
        );
        share.unjudged()
    }));
    gauges
}

/// The gauges of each population and each route; none of the only one, which is everybody.
pub(crate) fn details(runs: &[&RunResult], duration_s: f64) -> Vec<Gauge> {
    let mut gauges = Vec::new();
    let populations = names(runs, |run| {
        run.populations.iter().filter(|population| !population.hostile).map(|population| &*population.name)
    });
    for name in several(populations) {
        let of = format!("clients.{}", key(&name));
        let (for_goodput, for_latency, for_harm) = (name.clone(), name.clone(), name);
        gauges.push(goodput(move |run| population(run, &for_goodput), duration_s).of(&of));
        gauges.push(latency("p99", 99.0, move |run| population(run, &for_latency)).of(&of));
        if runs.iter().any(|run| run.harm.is_some()) {
            let hurt = hurt(move |harm| {
                let population = harm.populations.iter().find(|population| population.name == for_harm)?;
                let mut all = population.collateral_tally();
                all.add(population.direct_tally());
                Some(all)
            });
            gauges.push(hurt.of(&of));
        }
    }
    let routes = names(runs, |run| run.routes.iter().map(|route| &*route.name));
    for name in several(routes) {
        let of = format!("routes.{}", key(&name));
        let (for_goodput, for_latency, for_harm) = (name.clone(), name.clone(), name);
        gauges.push(goodput(move |run| route(run, &for_goodput), duration_s).of(&of));
        gauges.push(latency("p99", 99.0, move |run| route(run, &for_latency)).of(&of));
        if runs.iter().any(|run| run.harm.is_some()) {
            let hurt =
                hurt(move |harm| Some(harm.routes.iter().find(|route| route.name == for_harm)?.tally()));
            gauges.push(hurt.of(&of));
        }
    }
    gauges
}

/// The percentiles of the latency of everybody.
const PERCENTILES: [(&str, f64); 3] = [("p50", 50.0), ("p99", 99.0), ("p99.9", 99.9)];

fn goodput(whose: impl Fn(&RunResult) -> Option<&Summary> + 'static, duration_s: f64) -> Gauge {
    Gauge::new(
        "goodput",
        "requests served within the SLO latency, per second",
        (GaugeUnit::PerS, Good::High),
        move |run| Some(Reading::new(whose(run)?.goodput_per_s, 1.0 / duration_s.max(1.0))),
    )
}

fn latency(name: &str, p: f64, whose: impl Fn(&RunResult) -> Option<&Summary> + 'static) -> Gauge {
    Gauge::new(
        format!("latency.{name}"),
        format!(
            "{name} from the intended send to the final answer, of requests that reached an upstream or were never answered"
        ),
        (GaugeUnit::Us, Good::Low),
        move |run| Reading::latency(&whose(run)?.latency, p),
    )
}

/// How good the control was.
pub(crate) const GOOD_WITHOUT_FAULTS: &str = "good_without_faults";

/// What the faults did to everybody.
fn harm(duration_s: f64) -> [Gauge; 5] {
    let share = |name: &str, meaning: &str, count: fn(&HarmResult) -> HarmTally| {
        Gauge::new(name, meaning, (GaugeUnit::Share, Good::Low), move |run| {
            Reading::harm(count(run.harm.as_ref()?))
        })
    };
    let until =
        |name: &str, meaning: &str, since: fn(&HarmResult) -> u64, time: fn(&HarmResult) -> Option<f64>| {
            Gauge::new(name, meaning, (GaugeUnit::Us, Good::Low), move |run| {
                let harm = run.harm.as_ref()?;
                let longest = (duration_s * 1e6 - since(harm) as f64).max(0.0);
                let value = time(harm)?;
                // Judged by whole seconds.
                let is_never = value.is_infinite();
                Some(Reading { is_never, ..Reading::new(value.min(longest), 1e6) })
            })
        };
    [
        Gauge::new(
            GOOD_WITHOUT_FAULTS,
            "share of the requests served within the SLO latency in the run without faults",
            (GaugeUnit::Share, Good::High),
            |run| {
                let control = run.harm.as_ref()?.control?;
                Reading::share(control.good, control.offered)
            },
        ),
        share(
            "blast_radius",
            "share hurt by the faults of the requests that do not depend on what failed",
            HarmResult::collateral_tally,
        ),
        share(
            "direct_damage",
            "share hurt by the faults of the requests that depend on what failed",
            HarmResult::direct_tally,
        ),
        until(
            "recovery_time",
            "time from the last fault's end until goodput is back at 99% of that without faults",
            |harm| harm.last_fault_end_us,
            HarmResult::recovered_after_us,
        ),
        until(
            "containment_time",
            "time from the first fault until no more than 1% of what does not depend on what failed is hurt",
            |harm| harm.first_fault_us,
            HarmResult::contained_after_us,
        ),
    ]
}

fn hurt(count: impl Fn(&HarmResult) -> Option<HarmTally> + 'static) -> Gauge {
    Gauge::new(
        "hurt",
        "share of the requests that the faults hurt, whether or not they depend on what failed",
        (GaugeUnit::Share, Good::Low),
        move |run| Reading::harm(count(run.harm.as_ref()?)?),
    )
}

fn population<'r>(run: &'r RunResult, name: &str) -> Option<&'r Summary> {
    Some(&run.populations.iter().find(|population| population.name == name)?.summary)
}

fn route<'r>(run: &'r RunResult, name: &str) -> Option<&'r Summary> {
    Some(&run.routes.iter().find(|route| route.name == name)?.summary)
}

/// All names in the runs, in the order in which they first occur.
fn names<'r, I: Iterator<Item = &'r str>>(
    runs: &[&'r RunResult],
    of: impl Fn(&'r RunResult) -> I,
) -> Vec<String> {
    let mut names: Vec<&str> = Vec::new();
    for name in runs.iter().flat_map(|run| of(run)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.into_iter().map(str::to_owned).collect()
}

/// The names if there is more than one.
fn several(names: Vec<String>) -> Vec<String> {
    if names.len() > 1 { names } else { Vec::new() }
}

/// A name as a path of the file has it, in quotes where it is no bare key of TOML.
pub(crate) fn key(name: &str) -> String {
    let is_bare = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    if !name.is_empty() && name.chars().all(is_bare) {
        name.to_owned()
    } else {
        format!("\"{}\"", text::line(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn read(gauges: &[Gauge], name: &str, run: &RunResult) -> Option<Reading> {
        gauges.iter().find(|gauge| gauge.name() == name).unwrap_or_else(|| panic!("no {name}")).read(run)
    }

    #[test]
    fn a_time_that_never_came_counts_as_the_time_there_was_to_see_it() {
        let result = testing::incident();
        let runs: Vec<&RunResult> = result.variants.iter().map(|variant| &variant.runs[0]).collect();
        let gauges = headline(&runs, result.scenario.duration_s);
        let never = read(&gauges, "recovery_time", runs[0]).unwrap();
        assert!(never.is_never && (never.value - 120e6).abs() < 1.0, "{never:?}");
        let came = read(&gauges, "recovery_time", runs[1]).unwrap();
        assert!(!came.is_never && (came.value - 22e6).abs() < 1.0, "{came:?}");
    }

    #[test]
    fn there_is_a_gauge_for_what_occurred_and_for_everyone_of_several() {
        let result = testing::window_boundary();
        let runs: Vec<&RunResult> = result.variants.iter().map(|variant| &variant.runs[0]).collect();
        let gauges = headline(&runs, result.scenario.duration_s);
        let names: Vec<String> = gauges.iter().map(Gauge::name).collect();
        assert_eq!(
            names,
            [
                "goodput",
                "success_rate",
                "latency.p50",
                "latency.p99",
                "latency.p99.9",
                "rejected.upstream-error",
                "rejected.rate-limited"
            ]
        );
        let judged: Vec<&str> =
            gauges.iter().filter(|gauge| gauge.is_judged).map(|gauge| &*gauge.measure).collect();
        assert_eq!(judged, ["goodput", "success_rate", "latency.p50", "latency.p99", "latency.p99.9"]);
        let of: Vec<String> = details(&runs, 120.0).iter().filter_map(|gauge| gauge.of.clone()).collect();
        assert!(of.contains(&"clients.partner".to_owned()), "{of:?}");
        assert_eq!([key("a-b"), key("/orders"), key("")], ["a-b", "\"/orders\"", "\"\""]);
    }
}
