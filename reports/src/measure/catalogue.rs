//! The measures, each described once.
//!
//! A row says of a measure how it is written, in what unit it is told, which end of it is the good one, what has to be there
//! to measure it, what it means, and how it is read: from the record of a run for the lines of a scenario, and from a saved
//! run for comparisons, sweeps, tables and the agreement of two engines. All of those, and `docs/reference/measures.md`, are made from
//! the rows. A further measure of what is recorded already is a further row, and its place in [`MEASURES`] or [`COMPARED`].

use std::fmt;
use std::time::Duration;

use crate::measure::measurement::Measurement;
use crate::measure::reading::Reading;
use crate::measure::unit::{Good, Unit};
use crate::record::breaker::BreakerChange;
use crate::record::durations::{Durations, Statistic};
use crate::record::harm::{Awaited, Harm, HarmTally};
use crate::record::layout::{BreakerId, HostPlace, Selector, StationId};
use crate::record::outcome::Outcome;
use crate::record::recording::{Recording, fullest, micros, ratio};
use crate::result::harm::HarmResult;
use crate::result::run::{RunResult, Summary};
use crate::words::value::Value;

/// A measure that a line of a scenario asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// Which one.
    pub kind: &'static MeasureKind,
    /// What it is asked of.
    pub arguments: Arguments,
}

/// What a measure is asked of. A measure reads those that its [`MeasureKind::parameters`] name; the others keep their
/// defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Arguments {
    /// Whose requests. Default: everybody's.
    pub selector: Selector,
    /// An upstream, by number. Default: any.
    pub upstream: Option<usize>,
    /// One host of that upstream, by its number. Default: all.
    pub host: Option<u32>,
    /// How the requests ended. Default: served.
    pub outcome: Outcome,
    /// A statistic of a distribution. Default: the mean.
    pub statistic: Statistic,
    /// A place with workers and a queue. Default: the gateway.
    pub station: StationId,
    /// A circuit breaker. Default: the gateway's before the first upstream.
    pub breaker: BreakerId,
    /// A rate limit, by its scope. Default: empty, which is none.
    pub limit: String,
    /// A length of time. Default: zero.
    pub window: Duration,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            selector: Selector::Everybody,
            upstream: None,
            host: None,
            outcome: Outcome::Served,
            statistic: Statistic::Mean,
            station: StationId::Gateway,
            breaker: BreakerId { service: None, upstream: 0 },
            limit: String::new(),
            window: Duration::ZERO,
        }
    }
}

/// One of the [`Arguments`], as a line of a scenario names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// Whose requests; may be left out.
    Selector,
    /// An upstream; may be left out.
    Upstream,
    /// How requests ended.
    Outcome,
    /// A statistic.
    Statistic,
    /// The gateway or an upstream.
    Station,
    /// The upstream that a breaker stands before.
    Breaker,
    /// A rate limit.
    Limit,
    /// A length of time.
    Window,
}

impl Parameter {
    const fn word(self) -> &'static str {
        match self {
            Self::Selector => "selector",
            Self::Upstream | Self::Breaker => "upstream",
            Self::Outcome => "outcome",
            Self::Statistic => "statistic",
            Self::Station => "station",
            Self::Limit => "limit",
            Self::Window => "window",
        }
    }

    const fn is_optional(self) -> bool {
        matches!(self, Self::Selector | Self::Upstream)
    }
}

/// What has to be there for a measure to have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: what did not happen counts as none or as never.
    Nothing,
    /// Requests.
    Requests,
    /// Requests that reach an upstream or go unanswered.
    Answers,
    /// Attempts that come to the station.
    Arrivals,
    /// A bound on the station's workers.
    BoundedWorkers,
    /// The rate limit.
    Limit,
    /// An upstream that says what identity it requires.
    Requirement,
    /// Requests that come to a cache.
    Cache,
    /// A run without faults to compare with.
    Control,
    /// Faults.
    Faults,
    /// Faults, and requests that do not depend on what fails.
    Collateral,
    /// Faults, and such requests that can be compared one by one.
    PairedCollateral,
    /// Faults, and requests that depend on what fails.
    Direct,
    /// Faults, and ten seconds after the last one.
    Aftermath,
}

impl Needs {
    /// Whether the measure tells what faults did, against the same run without them.
    pub const fn faults(self) -> bool {
        matches!(
            self,
            Self::Faults | Self::Collateral | Self::PairedCollateral | Self::Direct | Self::Aftermath
        )
    }
}

/// A number that runs have, with all that is to be known of it.
pub struct MeasureKind {
    /// The name, such as `latency`.
    pub name: &'static str,
    /// What it is asked of, in the order in which that is written.
    pub parameters: &'static [Parameter],
    /// In what it is told.
    pub unit: Unit,
    /// What has to be there to measure it.
    pub needs: Needs,
    /// What it is, in a phrase.
    pub meaning: &'static str,
    /// Which end of it is the good one; `None` where neither is: to turn away is what a limit is for, and what a breaker or a
    /// worker does is no aim by itself. Of a measure with an outcome, the outcome says.
    pub(crate) good: Option<Good>,
    /// Whether it is told of a single host too, where it is asked of an upstream.
    pub of_hosts: bool,
    /// How it is read from the record of a run.
    pub(crate) read: fn(&Recording, &Arguments) -> Measurement,
    /// How it is read from a saved run; `None` where nothing is compared by it.
    pub(crate) saved: Option<Saved>,
}

/// How a measure is compared, in saved runs.
pub(crate) struct Saved {
    /// The forms in which it is.
    pub(crate) forms: &'static [Form],
    /// How a form is read; `None` where there was nothing to measure.
    pub(crate) read: fn(&RunResult, &Asked) -> Option<Reading>,
    /// What the forms mean, where that is not [`MeasureKind::meaning`]: `{}` stands for the suffix.
    pub(crate) meaning: Option<&'static str>,
    /// Whether a change can be called better or worse.
    pub(crate) is_judged: bool,
    /// Whether a value says anything: an outcome that did not occur does not, nor does that every request was one attempt.
    pub(crate) matters: fn(f64) -> bool,
}

/// A measure with the arguments that comparisons give it.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    /// What follows the name behind a point: `p99` of `latency.p99`. Empty for nothing.
    pub(crate) suffix: &'static str,
    pub(crate) statistic: Statistic,
    pub(crate) outcome: Outcome,
    /// Whether it is compared for all populations together.
    pub(crate) of_everybody: bool,
    /// Whether it is compared for each population and each route.
    pub(crate) of_parts: bool,
    /// The heading of its column in the table of variants, and its unit or condition; `None` where it has no column.
    pub(crate) heading: Option<[&'static str; 2]>,
    /// What becomes of it where the two engines are compared.
    pub(crate) engines: Engines,
}

/// What becomes of a measure where two engines are compared.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Engines {
    /// Nothing.
    NotCompared,
    /// It may differ by so much.
    Within(f64),
    /// It is shown where the live run had the machine's own pace, and not judged.
    Shown,
}

/// What is read off a saved run.
pub(crate) struct Asked {
    pub(crate) part: Part,
    pub(crate) form: Form,
    /// For how long requests arrived, seconds.
    pub(crate) duration_s: f64,
}

/// Whose requests are meant in a saved run, which knows names instead of numbers.
#[derive(Clone)]
pub(crate) enum Part {
    Everybody,
    Population(String),
    Route(String),
}

impl Asked {
    fn summary<'r>(&self, run: &'r RunResult) -> Option<&'r Summary> {
        match &self.part {
            Part::Everybody => Some(&run.overall),
            Part::Population(name) => {
                Some(&run.populations.iter().find(|population| population.name == *name)?.summary)
            }
            Part::Route(name) => Some(&run.routes.iter().find(|route| route.name == *name)?.summary),
        }
    }

    /// What the faults did, whether or not requests depend on what failed.
    fn harm(&self, harm: &HarmResult) -> Option<HarmTally> {
        let (mut all, direct) = match &self.part {
            Part::Everybody => (harm.collateral_tally(), harm.direct_tally()),
            Part::Population(name) => {
                let population = harm.populations.iter().find(|population| population.name == *name)?;
                (population.collateral_tally(), population.direct_tally())
            }
            Part::Route(name) => {
                let route = harm.routes.iter().find(|route| route.name == *name)?;
                (route.tally(), HarmTally::default())
            }
        };
        all.add(direct);
        Some(all)
    }

    /// A time since that instant, which is judged by whole seconds. One that never came counts as the time that there was to
    /// see it.
    fn until(&self, since_us: u64, time_us: Option<f64>) -> Option<Reading> {
        let longest = (self.duration_s * 1e6 - since_us as f64).max(0.0);
        let time = time_us?;
        Some(Reading { is_never: time.is_infinite(), ..Reading::new(time.min(longest), 1e6) })
    }
}

impl MeasureKind {
    /// The measure of that name, as lines of scenarios have it.
    pub fn named(name: &str) -> Option<&'static Self> {
        MEASURES.into_iter().find(|kind| kind.name == name)
    }

    /// How it is written: `latency(statistic[, selector])`.
    pub fn signature(&self) -> String {
        let parameter = |(place, parameter): (usize, &Parameter)| {
            let comma = if place > 0 { ", " } else { "" };
            let word = parameter.word();
            if parameter.is_optional() { format!("[{comma}{word}]") } else { format!("{comma}{word}") }
        };
        let parameters: String = self.parameters.iter().enumerate().map(parameter).collect();
        format!("{}({parameters})", self.name)
    }

    /// Whether it is asked of that.
    pub fn takes(&self, parameter: Parameter) -> bool {
        self.parameters.contains(&parameter)
    }

    /// The measure of these.
    pub const fn of(&'static self, arguments: Arguments) -> Measure {
        Measure { kind: self, arguments }
    }
}

impl PartialEq for MeasureKind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for MeasureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Measure {
    /// Whether only our own gateway can tell it: of an external one nothing but its answers is observed.
    pub fn is_of_our_gateway(&self) -> bool {
        let Arguments { station, breaker, .. } = &self.arguments;
        if *self.kind == EJECTIONS {
            return true;
        }
        self.kind.parameters.iter().any(|parameter| match parameter {
            Parameter::Station => *station == StationId::Gateway,
            Parameter::Breaker => breaker.service.is_none(),
            Parameter::Limit => true,
            _ => false,
        })
    }

    /// Which end of it is the good one; `None` where neither is.
    pub fn good(&self) -> Option<Good> {
        if self.kind.takes(Parameter::Outcome) {
            self.arguments.outcome.is_failure().then_some(Good::Low)
        } else {
            self.kind.good
        }
    }

    /// In what it is told.
    pub const fn unit(&self) -> Unit {
        self.kind.unit
    }

    /// The window that it asks a limit of that scope for.
    pub fn window_of(&self, limit: &str) -> Option<Duration> {
        let Arguments { limit: asked, window, .. } = &self.arguments;
        (self.kind.takes(Parameter::Window) && asked == limit).then_some(*window)
    }

    /// Whose harm it asks for, if it tells what faults did.
    pub fn harmed(&self) -> Option<Selector> {
        self.kind.needs.faults().then_some(self.arguments.selector)
    }

    /// Whose requests it tells of as they are, and not of what faults did to them.
    pub fn served(&self) -> Option<Selector> {
        let is_of_requests = self.kind.takes(Parameter::Selector) && !self.kind.needs.faults();
        is_of_requests.then_some(self.arguments.selector)
    }
}

impl Recording {
    /// What was measured.
    pub fn measure(&self, measure: &Measure) -> Measurement {
        if self.layout().external.is_some() && measure.is_of_our_gateway() {
            return Measurement::NOT_OBSERVED;
        }
        (measure.kind.read)(self, &measure.arguments)
    }

    /// A measure that counts requests as a share of those offered; others as [`Recording::measure`] has them.
    pub fn measure_as_share(&self, measure: &Measure) -> Value {
        match (measure.unit(), self.measure(measure).value) {
            (Unit::Requests, Value::Count(count)) => {
                let offered = self.select(measure.arguments.selector).requests.offered;
                ratio(count, offered).map_or(Value::NotObserved, Value::Share)
            }
            (_, value) => value,
        }
    }

    /// Why a measure has no value in this run, as a clause; of one that has, it says nothing of interest.
    pub fn why_not_observed(&self, measure: &Measure) -> &'static str {
        let Arguments { selector, upstream, .. } = &measure.arguments;
        let needs = measure.kind.needs;
        match needs {
            _ if self.layout().external.is_some() && measure.is_of_our_gateway() => {
                "the gateway is external, and tells nothing of it"
            }
            _ if needs.faults() && self.layout().faults.is_empty() => "nothing failed",
            _ if needs.faults() && self.harm_of(*selector).is_none() => {
                "there was no run without the faults to compare with"
            }
            Needs::Requests if upstream.is_some() => "nobody sent anything that leads there",
            Needs::Answers if self.select(*selector).requests.offered > 0 => {
                "no request reached an upstream, and none went unanswered"
            }
            Needs::Requests | Needs::Answers => "nobody sent anything",
            Needs::Arrivals => "nothing came there",
            Needs::BoundedWorkers => "its workers are unbounded",
            Needs::Limit => "there is no such limit",
            Needs::Requirement => "no such upstream says what it requires",
            Needs::Cache if self.cache(*upstream).is_none() => "no cache stands before it",
            Needs::Cache => "nothing came to the cache",
            Needs::Collateral => "nobody sent anything that does not depend on what failed",
            Needs::PairedCollateral => {
                "nobody sent anything that does not depend on what failed and can be compared one by one, which the requests of \
                 closed-loop users and of journeys cannot"
            }
            Needs::Direct => "nobody sent anything that depends on what failed",
            Needs::Aftermath => {
                "no ten seconds were left after the last fault, or nothing was good in them without it"
            }
            Needs::Nothing | Needs::Control | Needs::Faults => "",
        }
    }
}

const fn count(count: u64) -> Measurement {
    Measurement::exactly(Value::Count(count))
}

fn observed(value: Option<Value>) -> Measurement {
    value.map_or(Measurement::NOT_OBSERVED, Measurement::exactly)
}

fn ended_as(run: &Recording, outcome: Outcome, selector: Selector) -> u64 {
    run.select(selector).outcomes[outcome.index()]
}

fn statistic(durations: &Durations, statistic: Statistic) -> Measurement {
    durations.statistic(statistic).map_or(Measurement::NOT_OBSERVED, |figure| {
        Measurement::duration(figure, durations.lower_bound_share())
    })
}

fn hurt(run: &Recording, selector: Selector, tally: fn(&Harm) -> HarmTally) -> Measurement {
    observed(run.harm_of(selector).and_then(|harm| tally(harm).share()).map(Value::Share))
}

fn awaited(run: &Recording, selector: Selector, time: fn(&Harm) -> Awaited) -> Measurement {
    Measurement::exactly(match run.harm_of(selector).map_or(Awaited::NotObserved, time) {
        Awaited::After(time) => Value::DurationUs(micros(time)),
        Awaited::Never => Value::Never,
        Awaited::NotObserved => Value::NotObserved,
    })
}

fn changed_at(change: Option<&BreakerChange>) -> Measurement {
    Measurement::exactly(change.map_or(Value::Never, |change| Value::DurationUs(micros(change.at))))
}

/// A row with nothing in it.
const ROW: MeasureKind = MeasureKind {
    name: "",
    parameters: &[],
    unit: Unit::Count,
    needs: Needs::Nothing,
    meaning: "",
    good: None,
    of_hosts: false,
    read: |_, _| Measurement::NOT_OBSERVED,
    saved: None,
};

/// A form with no arguments, of everybody.
const FORM: Form = Form {
    suffix: "",
    statistic: Statistic::Mean,
    outcome: Outcome::Served,
    of_everybody: true,
    of_parts: false,
    heading: None,
    engines: Engines::NotCompared,
};

/// Compared as it is, judged, and always of interest.
const SAVED: Saved =
    Saved { forms: &[FORM], read: |_, _| None, meaning: None, is_judged: true, matters: |_| true };

const OF_REQUESTS: &[Parameter] = &[Parameter::Selector];
const OF_UPSTREAM: &[Parameter] = &[Parameter::Upstream];

/// The measures of lines of scenarios, in the order in which they are listed.
pub static MEASURES: [&MeasureKind; 25] = [
    &OFFERED,
    &SERVED,
    &SUCCESS_RATE,
    &GOODPUT,
    &REJECTED,
    &LATENCY,
    &ATTEMPTS,
    &AMPLIFICATION,
    &KEY_FETCHES,
    &EJECTIONS,
    &CACHE_HIT_RATIO,
    &CACHE_MISSES,
    &WAIT,
    &UTILIZATION,
    &PEAK_IN_FLIGHT,
    &ADMITTED,
    &PEAK_ADMITTED,
    &BREAKER_OPENED_AT,
    &BREAKER_CLOSED_AT,
    &BLAST_RADIUS,
    &DIRECT_DAMAGE,
    &CONTAINMENT_TIME,
    &RECOVERY_TIME,
    &UNAUTHORIZED_REACHED,
    &LATENESS,
];

/// The measures of comparisons, sweeps and tables, in the order in which they stand there.
pub(crate) static COMPARED: [&MeasureKind; 12] = [
    &GOODPUT,
    &SUCCESS_RATE,
    &LATENCY,
    &GOOD_WITHOUT_FAULTS,
    &BLAST_RADIUS,
    &DIRECT_DAMAGE,
    &RECOVERY_TIME,
    &CONTAINMENT_TIME,
    &AMPLIFICATION,
    &UNAUTHORIZED_REACHED,
    &REJECTED,
    &HURT,
];

static OFFERED: MeasureKind = MeasureKind {
    name: "offered",
    parameters: OF_REQUESTS,
    meaning: "requests, by the time at which they were meant to be sent",
    read: |run, of| count(run.select(of.selector).requests.offered),
    ..ROW
};

static SERVED: MeasureKind = MeasureKind {
    name: "served",
    parameters: OF_REQUESTS,
    unit: Unit::Requests,
    needs: Needs::Requests,
    good: Some(Good::High),
    meaning: "requests that were answered 2xx, or as the route is expected to, in time",
    read: |run, of| count(ended_as(run, Outcome::Served, of.selector)),
    ..ROW
};

pub(crate) static SUCCESS_RATE: MeasureKind = MeasureKind {
    name: "success_rate",
    of_hosts: false,
    parameters: OF_REQUESTS,
    unit: Unit::Share,
    needs: Needs::Requests,
    good: Some(Good::High),
    meaning: "share of the offered requests that was served at all",
    read: |run, of| {
        let served = ended_as(run, Outcome::Served, of.selector);
        observed(ratio(served, run.select(of.selector).requests.offered).map(Value::Share))
    },
    saved: Some(Saved {
        forms: &[Form { heading: Some(["success", ""]), ..FORM }],
        read: |run, of| of.summary(run).and_then(|of| Reading::share(of.count(Outcome::Served), of.offered)),
        ..SAVED
    }),
};

pub(crate) static GOODPUT: MeasureKind = MeasureKind {
    name: "goodput",
    parameters: OF_REQUESTS,
    unit: Unit::Rate,
    good: Some(Good::High),
    meaning: "requests served within the SLO latency, per second",
    read: |run, of| Measurement::exactly(Value::RatePerS(run.goodput(run.select(of.selector).requests.good))),
    saved: Some(Saved {
        forms: &[Form { of_parts: true, heading: Some(["goodput", "/s"]), ..FORM }],
        read: |run, of| Some(Reading::new(of.summary(run)?.goodput_per_s, 1.0 / of.duration_s.max(1.0))),
        ..SAVED
    }),
    ..ROW
};

static REJECTED: MeasureKind = MeasureKind {
    name: "rejected",
    parameters: &[Parameter::Outcome, Parameter::Selector],
    unit: Unit::Requests,
    needs: Needs::Requests,
    meaning: "requests that ended so",
    read: |run, of| count(ended_as(run, of.outcome, of.selector)),
    saved: Some(Saved {
        forms: &REJECTIONS,
        read: |run, of| Reading::share(run.overall.count(of.form.outcome), run.overall.offered),
        meaning: Some("share of the offered requests that ended as {}"),
        // How a request was turned away is neither better nor worse; that it was is told by others.
        is_judged: false,
        matters: |share| share > 0.0,
    }),
    ..ROW
};

/// One for each outcome but the first, which is `served`.
const REJECTIONS: [Form; Outcome::ALL.len() - 1] = {
    let mut forms = [FORM; Outcome::ALL.len() - 1];
    let mut place = 0;
    while place < forms.len() {
        let outcome = Outcome::ALL[place + 1];
        forms[place] = Form { suffix: outcome.name(), outcome, ..FORM };
        place += 1;
    }
    forms
};

pub(crate) static LATENCY: MeasureKind = MeasureKind {
    name: "latency",
    of_hosts: false,
    parameters: &[Parameter::Statistic, Parameter::Selector],
    unit: Unit::Duration,
    needs: Needs::Answers,
    good: Some(Good::Low),
    meaning: "from the intended send to the final answer, of requests that reached an upstream or were never answered",
    read: |run, of| statistic(&run.select(of.selector).latency, of.statistic),
    saved: Some(Saved {
        forms: &[
            Form { heading: Some(["latency", "p50"]), engines: Engines::Shown, ..percentile("p50", 50.0) },
            Form {
                of_parts: true,
                heading: Some(["latency", "p99"]),
                engines: Engines::Shown,
                ..percentile(P99, 99.0)
            },
            percentile("p99.9", 99.9),
        ],
        read: |run, of| Reading::statistic(&of.summary(run)?.latency, of.form.statistic),
        meaning: Some(
            "{} from the intended send to the final answer, of requests that reached an upstream or were never answered",
        ),
        ..SAVED
    }),
};

/// The form of [`LATENCY`] that variants are compared by first.
pub(crate) const P99: &str = "p99";

const fn percentile(suffix: &'static str, p: f64) -> Form {
    Form { suffix, statistic: Statistic::Percentile(p), ..FORM }
}

static ATTEMPTS: MeasureKind = MeasureKind {
    name: "attempts",
    parameters: OF_UPSTREAM,
    meaning: "attempts that reached the upstream, or any, for requests of clients",
    of_hosts: true,
    read: |run, of| {
        let host = of.upstream.zip(of.host);
        count(match host {
            Some((upstream, host)) => run.host_attempts(HostPlace { upstream: upstream as u32, host }),
            None => run.attempts(of.upstream),
        })
    },
    ..ROW
};

static AMPLIFICATION: MeasureKind = MeasureKind {
    name: "amplification",
    parameters: OF_UPSTREAM,
    unit: Unit::Number,
    needs: Needs::Requests,
    meaning: "attempts that reached an upstream ÷ requests, over all populations",
    read: |run, of| observed(ratio(run.attempts(of.upstream), run.requests(of.upstream)).map(Value::Number)),
    saved: Some(Saved {
        forms: &[Form { heading: Some(["amplification", ""]), ..FORM }],
        read: |run, _| Some(Reading::new(run.amplification, 1.0 / run.overall.offered.max(1) as f64)),
        // A variant that turns every attempt away has the lowest, which is no merit.
        is_judged: false,
        // As far as two decimals show it.
        matters: |ratio| ratio >= 1.005,
        ..SAVED
    }),
    ..ROW
};

static KEY_FETCHES: MeasureKind = MeasureKind {
    name: "key_fetches",
    parameters: OF_UPSTREAM,
    meaning: "how often the upstream, or any, was asked for keys to judge tokens by; no client asked, so these are no attempts",
    read: |run, of| count(run.key_fetches(of.upstream)),
    ..ROW
};

static EJECTIONS: MeasureKind = MeasureKind {
    name: "ejections",
    parameters: OF_UPSTREAM,
    meaning: "how often the gateway began to pass over a host of the upstream, or of any",
    read: |run, of| count(run.ejections(of.upstream)),
    ..ROW
};

static CACHE_HIT_RATIO: MeasureKind = MeasureKind {
    name: "cache_hit_ratio",
    parameters: OF_UPSTREAM,
    unit: Unit::Share,
    needs: Needs::Cache,
    meaning: "share of the requests at the cache before the upstream, or at any, with which the service had nothing to do: answered \
              from the cache, fresh or stale, or by the answer to another request",
    read: |run, of| {
        let counts = run.cache(of.upstream);
        observed(counts.and_then(|counts| ratio(counts.kept_off(), counts.requests())).map(Value::Share))
    },
    ..ROW
};

static CACHE_MISSES: MeasureKind = MeasureKind {
    name: "cache_misses",
    parameters: OF_UPSTREAM,
    needs: Needs::Cache,
    meaning: "requests that the cache before the upstream, or any, did not answer, so that the service was asked",
    read: |run, of| observed(run.cache(of.upstream).map(|counts| Value::Count(counts.misses))),
    ..ROW
};

static WAIT: MeasureKind = MeasureKind {
    name: "wait",
    parameters: &[Parameter::Statistic, Parameter::Station],
    unit: Unit::Duration,
    needs: Needs::Arrivals,
    good: Some(Good::Low),
    meaning: "time in the station's queue, zero where a worker was free at once",
    read: |run, of| statistic(&run.station(of.station).wait, of.statistic),
    ..ROW
};

static UTILIZATION: MeasureKind = MeasureKind {
    name: "utilization",
    parameters: &[Parameter::Station],
    unit: Unit::Share,
    needs: Needs::BoundedWorkers,
    meaning: "share of the station's worker time that was in use",
    of_hosts: true,
    read: |run, of| observed(run.utilization(of.station).map(Value::Share)),
    ..ROW
};

static PEAK_IN_FLIGHT: MeasureKind = MeasureKind {
    name: "peak_in_flight",
    parameters: &[Parameter::Station],
    meaning: "most of the station's workers in use at once",
    of_hosts: true,
    read: |run, of| count(run.peak_in_flight(of.station).into()),
    ..ROW
};

static ADMITTED: MeasureKind = MeasureKind {
    name: "admitted",
    parameters: &[Parameter::Limit],
    needs: Needs::Limit,
    meaning: "attempts that the limit let through, in the bucket that it let most through",
    read: |run, of| {
        let limit = run.limit(&of.limit);
        observed(limit.map(|(_, limit)| Value::Count(fullest(limit).map_or(0, |(_, most)| most))))
    },
    ..ROW
};

static PEAK_ADMITTED: MeasureKind = MeasureKind {
    name: "peak_admitted",
    parameters: &[Parameter::Limit, Parameter::Window],
    needs: Needs::Limit,
    meaning: "most that the limit let through in any window of that length, in the bucket that it let most through",
    read: |run, of| {
        let count = |count: u32| Value::Count(count.into());
        run.peak_admitted(&of.limit, of.window).map_or(Measurement::NOT_OBSERVED, |[least, value, most]| {
            Measurement {
                value: count(value),
                least: count(least),
                most: count(most),
                lower_bound_share: None,
            }
        })
    },
    ..ROW
};

static BREAKER_OPENED_AT: MeasureKind = MeasureKind {
    name: "breaker_opened_at",
    parameters: &[Parameter::Breaker],
    unit: Unit::DurationOrNever,
    meaning: "when the breaker first opened, from the scenario's start",
    read: |run, of| changed_at(run.breaker_changes(of.breaker, "open").next()),
    ..ROW
};

static BREAKER_CLOSED_AT: MeasureKind = MeasureKind {
    name: "breaker_closed_at",
    parameters: &[Parameter::Breaker],
    unit: Unit::DurationOrNever,
    meaning: "when the breaker last closed, from the scenario's start",
    read: |run, of| changed_at(run.breaker_changes(of.breaker, "closed").next_back()),
    ..ROW
};

pub(crate) static GOOD_WITHOUT_FAULTS: MeasureKind = MeasureKind {
    name: "good_without_faults",
    unit: Unit::Share,
    needs: Needs::Control,
    good: Some(Good::High),
    meaning: "share of the requests served within the SLO latency in the run without faults",
    saved: Some(Saved {
        forms: &[Form { heading: Some(["good without", "faults"]), ..FORM }],
        read: |run, _| {
            let control = run.harm.as_ref()?.control?;
            Reading::share(control.good, control.offered)
        },
        ..SAVED
    }),
    ..ROW
};

pub(crate) static BLAST_RADIUS: MeasureKind = MeasureKind {
    name: "blast_radius",
    of_hosts: false,
    parameters: OF_REQUESTS,
    unit: Unit::Share,
    needs: Needs::Collateral,
    good: Some(Good::Low),
    meaning: "share hurt by the faults of the requests that do not depend on what failed",
    read: |run, of| hurt(run, of.selector, |harm| harm.collateral),
    saved: Some(Saved {
        forms: &[Form {
            heading: Some(["blast", "radius"]),
            engines: Engines::Within(HARM_BETWEEN_ENGINES),
            ..FORM
        }],
        read: |run, _| Reading::harm(run.harm.as_ref()?.collateral_tally()),
        ..SAVED
    }),
};

/// What the faults did may differ by three points between the engines.
const HARM_BETWEEN_ENGINES: f64 = 0.03;

pub(crate) static DIRECT_DAMAGE: MeasureKind = MeasureKind {
    name: "direct_damage",
    of_hosts: false,
    parameters: OF_REQUESTS,
    unit: Unit::Share,
    needs: Needs::Direct,
    good: Some(Good::Low),
    meaning: "share hurt by the faults of the requests that depend on what failed",
    read: |run, of| hurt(run, of.selector, |harm| harm.direct),
    saved: Some(Saved {
        forms: &[Form {
            heading: Some(["direct", "damage"]),
            engines: Engines::Within(HARM_BETWEEN_ENGINES),
            ..FORM
        }],
        read: |run, _| Reading::harm(run.harm.as_ref()?.direct_tally()),
        ..SAVED
    }),
};

pub(crate) static RECOVERY_TIME: MeasureKind = MeasureKind {
    name: "recovery_time",
    of_hosts: false,
    parameters: OF_REQUESTS,
    unit: Unit::DurationOrNever,
    needs: Needs::Aftermath,
    good: Some(Good::Low),
    meaning: "time from the last fault's end until goodput is back at 99% of that without faults",
    read: |run, of| awaited(run, of.selector, |harm| harm.recovery),
    saved: Some(Saved {
        forms: &[Form { heading: Some(["recovery", ""]), ..FORM }],
        read: |run, of| {
            let harm = run.harm.as_ref()?;
            of.until(harm.last_fault_end_us, harm.recovered_after_us())
        },
        ..SAVED
    }),
};

pub(crate) static CONTAINMENT_TIME: MeasureKind = MeasureKind {
    name: "containment_time",
    of_hosts: false,
    parameters: OF_REQUESTS,
    unit: Unit::DurationOrNever,
    needs: Needs::PairedCollateral,
    good: Some(Good::Low),
    meaning: "time from the first fault until no more than 1% of what does not depend on what failed is hurt",
    read: |run, of| awaited(run, of.selector, |harm| harm.containment),
    saved: Some(Saved {
        read: |run, of| {
            let harm = run.harm.as_ref()?;
            of.until(harm.first_fault_us, harm.contained_after_us())
        },
        ..SAVED
    }),
};

static HURT: MeasureKind = MeasureKind {
    name: "hurt",
    unit: Unit::Share,
    needs: Needs::Faults,
    good: Some(Good::Low),
    meaning: "share of the requests that the faults hurt, whether or not they depend on what failed",
    saved: Some(Saved {
        forms: &[Form { of_everybody: false, of_parts: true, ..FORM }],
        read: |run, of| Reading::harm(of.harm(run.harm.as_ref()?)?),
        ..SAVED
    }),
    ..ROW
};

pub(crate) static UNAUTHORIZED_REACHED: MeasureKind = MeasureKind {
    name: "unauthorized_reached",
    parameters: OF_UPSTREAM,
    needs: Needs::Requirement,
    good: Some(Good::Low),
    meaning: "attempts without a valid identity that came to an application that asks for one",
    read: |run, of| observed(run.unauthorized(of.upstream).map(Value::Count)),
    saved: Some(Saved {
        forms: &[Form { heading: Some(["unauthorized", "reached"]), ..FORM }],
        read: |run, _| run.unauthorized().map(|count| Reading::new(count as f64, 1.0)),
        ..SAVED
    }),
    ..ROW
};

static LATENESS: MeasureKind = MeasureKind {
    name: "lateness",
    parameters: &[Parameter::Statistic],
    unit: Unit::Duration,
    needs: Needs::Requests,
    good: Some(Good::Low),
    meaning: "how much later than intended the requests of a live run were sent; zero in virtual time",
    read: |run, of| match run.lateness() {
        Some(lateness) => statistic(lateness, of.statistic),
        None => Measurement::exactly(Value::DurationUs(0)),
    },
    ..ROW
};

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::measure::unit::GaugeUnit;
    use crate::result::schema::tests::assert_kept;

    /// `docs/reference/measures.md`, from the rows.
    fn page() -> String {
        let unit = |unit: Unit| match unit {
            Unit::Count => "a count",
            Unit::Requests => "a count, or a share of the offered",
            Unit::Number => "a ratio",
            Unit::Share => "a share",
            Unit::Duration => "a duration",
            Unit::DurationOrNever => "a duration, or `never`",
            Unit::Rate => "a rate",
        };
        let better = |good| match good {
            Some(Good::High) => "higher",
            Some(Good::Low) => "lower",
            None => "",
        };
        let mut page = "<!-- Made from reports/src/measure/catalogue.rs: UPDATE_SCHEMA=1 cargo test -p reports catalogue -->\n\
             # Measures\n\n## In a line of `expect.hold`\n\n\
             | measure | told as | better | meaning |\n|---|---|---|---|\n"
            .to_owned();
        for kind in MEASURES {
            let row = [unit(kind.unit), better(kind.good), kind.meaning];
            writeln!(page, "| `{}` | {} |", kind.signature(), row.join(" | ")).unwrap();
        }
        page.push_str(
            "\nOf `rejected`, lower is better where the outcome says that something went wrong, and neither where a rule turned \
             the requests away.\n\n## In comparisons and sweeps\n\nMeasures of everybody stand first; those of a part are \
             written `goodput(clients.partner)` or `latency.p99(routes.\"/orders\")`.\n\n\
             | measure | of | told as | better | meaning |\n|---|---|---|---|---|\n",
        );
        for kind in COMPARED {
            let saved = kind.saved.as_ref().unwrap();
            let told = match kind.unit.compared_in() {
                GaugeUnit::Count => "a count",
                GaugeUnit::Share => "a share",
                GaugeUnit::Us => "a duration",
                GaugeUnit::PerS => "a rate",
                GaugeUnit::Ratio => "a ratio",
            };
            let better = if saved.is_judged { better(kind.good) } else { "" };
            for form in saved.forms {
                let point = if form.suffix.is_empty() { "" } else { "." };
                let of = match (form.of_everybody, form.of_parts) {
                    (true, true) => "everybody, parts",
                    (true, false) => "everybody",
                    (false, _) => "parts",
                };
                let meaning = saved.meaning.unwrap_or(kind.meaning).replace("{}", form.suffix);
                let name = format!("`{}{point}{}`", kind.name, form.suffix);
                writeln!(page, "| {name} | {of} | {told} | {better} | {meaning} |").unwrap();
            }
        }
        page
    }

    #[test]
    fn the_page_of_measures_is_that_of_the_catalogue() {
        assert_kept("../docs/reference/measures.md", &page());
    }

    #[test]
    fn every_measure_has_a_name_of_its_own_and_a_meaning() {
        let all: Vec<&MeasureKind> = MEASURES.into_iter().chain(COMPARED).collect();
        for (place, kind) in all.iter().enumerate() {
            assert!(!kind.meaning.is_empty(), "{kind:?}");
            let twin = all[..place].iter().find(|other| other.name == kind.name);
            assert!(twin.is_none_or(|twin| std::ptr::eq(*twin, *kind)), "{kind:?} stands twice");
        }
        assert!(MEASURES.iter().all(|kind| MeasureKind::named(kind.name) == Some(*kind)));
    }

    #[test]
    fn signatures_mark_what_may_be_left_out() {
        let of = |name| MeasureKind::named(name).unwrap().signature();
        assert_eq!(of("offered"), "offered([selector])");
        assert_eq!(of("rejected"), "rejected(outcome[, selector])");
        assert_eq!(of("peak_admitted"), "peak_admitted(limit, window)");
    }
}
