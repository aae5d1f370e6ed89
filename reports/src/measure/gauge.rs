//! The numbers of saved runs that comparisons and sweeps speak of, by one name each.
//!
//! A gauge is a measure of the catalogue in one of its forms, of everybody or of one population or route. It is read from a
//! saved result, so it needs nothing but what `result.json` holds. With its value comes the step in which it is told: a count
//! moves by one, a percentile by the width of the histogram's buckets. What is smaller is noise of the measuring and no
//! difference.

use crate::measure::catalogue::{Asked, COMPARED, Form, MeasureKind, Part, Saved};
use crate::measure::reading::Reading;
use crate::measure::unit::{GaugeUnit, Good};
use crate::result::run::RunResult;
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
    /// Whether a change can be called better or worse.
    pub(crate) is_judged: bool,
    pub(crate) kind: &'static MeasureKind,
    saved: &'static Saved,
    asked: Asked,
}

impl Gauge {
    fn new(kind: &'static MeasureKind, saved: &'static Saved, asked: Asked) -> Self {
        let suffix = asked.form.suffix;
        Self {
            measure: measure_name(kind, suffix),
            of: match &asked.part {
                Part::Everybody => None,
                Part::Population(name) => Some(format!("clients.{}", key(name))),
                Part::Route(name) => Some(format!("routes.{}", key(name))),
            },
            meaning: saved.meaning.map_or_else(|| kind.meaning.to_owned(), |form| form.replace("{}", suffix)),
            unit: kind.unit.compared_in(),
            good: kind.good.unwrap_or(Good::Low),
            is_judged: saved.is_judged,
            kind,
            saved,
            asked,
        }
    }

    /// What it reads off a run; `None` where there was nothing to measure.
    pub(crate) fn read(&self, run: &RunResult) -> Option<Reading> {
        (self.saved.read)(run, &self.asked)
    }

    /// The measure, and whose it is: `goodput(clients.partner)`.
    pub(crate) fn name(&self) -> String {
        gauge_name(&self.measure, self.of.as_deref())
    }

    /// Which of the forms of its measure it is.
    pub(crate) const fn form(&self) -> &Form {
        &self.asked.form
    }

    /// Whether a value says anything.
    pub(crate) fn matters(&self, value: f64) -> bool {
        (self.saved.matters)(value)
    }

    /// Whether a value of any of the runs says anything.
    pub(crate) fn matters_in<'r>(&self, runs: impl IntoIterator<Item = &'r RunResult>) -> bool {
        runs.into_iter().filter_map(|run| self.read(run)).any(|reading| self.matters(reading.value))
    }

    /// Whether it is this measure, in any of its forms.
    pub(crate) fn is(&self, kind: &MeasureKind) -> bool {
        *self.kind == *kind
    }

    pub(crate) fn unjudged(self) -> Self {
        Self { is_judged: false, ..self }
    }
}

/// `goodput`, and of a form of a measure `latency.p99`.
pub(crate) fn measure_name(kind: &MeasureKind, suffix: &str) -> String {
    if suffix.is_empty() { kind.name.to_owned() } else { format!("{}.{suffix}", kind.name) }
}

/// `goodput`, `goodput(clients.partner)`.
pub(crate) fn gauge_name(measure: &str, of: Option<&str>) -> String {
    of.map_or_else(|| measure.to_owned(), |of| format!("{measure}({of})"))
}

/// The names of the measures of everybody that are compared, and in what a difference of each is told.
pub fn compared_measures() -> impl Iterator<Item = (&'static str, GaugeUnit)> {
    everybody(0.0).into_iter().map(|gauge| (gauge.kind.name, gauge.unit))
}

/// All gauges of all populations together. `duration_s` is for how long requests arrived.
pub(crate) fn everybody(duration_s: f64) -> Vec<Gauge> {
    gauges(&Part::Everybody, duration_s, |form| form.of_everybody)
}

/// The gauges of all populations together that matter in any of these runs.
pub(crate) fn headline(runs: &[&RunResult], duration_s: f64) -> Vec<Gauge> {
    let gauges = everybody(duration_s).into_iter();
    gauges.filter(|gauge| gauge.matters_in(runs.iter().copied())).collect()
}

/// The gauges of each population and each route; none of the only one, which is everybody.
pub(crate) fn details(runs: &[&RunResult], duration_s: f64) -> Vec<Gauge> {
    let populations = names(runs, |run| {
        run.populations.iter().filter(|population| !population.hostile).map(|population| &*population.name)
    });
    let routes = names(runs, |run| run.routes.iter().map(|route| &*route.name));
    let parts = several(populations).into_iter().map(Part::Population);
    let parts = parts.chain(several(routes).into_iter().map(Part::Route));
    parts.flat_map(|part| gauges(&part, duration_s, |form| form.of_parts)).collect()
}

/// The gauges of a part, in the order of the tables.
fn gauges(part: &Part, duration_s: f64, is_meant: impl Fn(&Form) -> bool) -> Vec<Gauge> {
    let mut gauges = Vec::new();
    for kind in COMPARED {
        let Some(saved) = &kind.saved else { continue };
        for form in saved.forms.iter().filter(|form| is_meant(form)) {
            gauges.push(Gauge::new(kind, saved, Asked { part: part.clone(), form: *form, duration_s }));
        }
    }
    gauges
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
