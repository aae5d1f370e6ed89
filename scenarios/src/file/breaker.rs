//! Circuit breakers, of the gateway and of services alike: the table `breaker`.

use std::num::NonZeroU32;
use std::time::Duration;

use gateway::{BreakerConfig, BreakerConfigError, BreakerWindow, GrowthRule, HalfOpen, OpenGrowth};
use serde_json::{Value as Json, json};

use super::context::Context;
use super::diagnostic::Problem;
use super::failures::Failure;
use super::reader::Read;
use super::shape::{Choice, Shape};
use super::table::{Described, Item, Items, table};
use super::tree::{Node, Value};
use super::units;
use super::values::{AboveZero, DURATION, Positive, Share, Written, names, read};
use super::words::{list, way_out};

const RECOMMENDED: BreakerConfig = BreakerConfig::RECOMMENDED;

/// The windows that a share is of.
const SHARES: [&str; 3] = ["", "time", "calls"];

table! {
    /// When a circuit breaker opens, and how it closes again. Keys that are left out have the values that vendors of gateways
    /// recommend.
    pub(super) struct Breaker<'t> (Choice::ByName("half_open", Some(""))) {
        /// The results by which the breaker decides: those of a time such as `"30s"`, which is `{ time = "30s" }`; the last
        /// results, `{ calls = 100 }`; failures in a row, `{ consecutive = 5 }`; or failures within a time, `{ failures = 5,
        /// within = "10s" }`.
        window: Window = Window::RECOMMENDED;
        /// The breaker opens when at least this share of the settled requests failed. Above zero. Belongs to windows of a time
        /// and of calls.
        error_threshold: AboveZero<Share> = AboveZero(Share(RECOMMENDED.error_threshold())), of "window" SHARES;
        /// The number of requests that must have settled in the window before the breaker opens. Belongs to windows of a time
        /// and of calls; at most the number of calls.
        min_requests: u32 = RECOMMENDED.min_requests(), of "window" SHARES;
        /// The answers that count as failures, in the words of `retry.on`. Default: `["5xx", "timeout", "connect"]`.
        failures: Items<Failure>;
        /// An answer that takes this long is slow. Slow answers are failures, unless `slow_share` gives them a share of their own.
        /// Above zero. Default: an answer may take its time.
        slow_call: Positive;
        /// The breaker also opens when at least this share of the settled requests was slow; slow answers are no failures then.
        /// Above zero. Needs `slow_call`, belongs to windows of a time and of calls.
        slow_share: AboveZero<Share>, of "window" SHARES;
        /// How long the breaker stays open, and the time between single probes. Above zero.
        probe_interval: Positive = Positive(RECOMMENDED.probe_interval());
        /// How `probe_interval` grows with each recovery that fails, until the breaker closes.
        open_growth: Growth = Growth::None;
        /// The longest that the interval grows. Belongs to `linear` and `doubling`; not below `probe_interval`. Default:
        /// `"5m"`, or `probe_interval` if that is longer.
        open_max: Positive, of "open_growth" ["linear", "doubling"];
        /// The requests that the breaker lets through after `probe_interval`.
        half_open: Style = Style::SingleProbe;
        /// The number of requests in a row without a failure that closes the breaker, at least 1. A failure is the same as in a
        /// closed breaker: an answer of 404 is none. Belongs to `single-probe` and `reopen-to-all`.
        successes_to_close: NonZeroU32 = const { NonZeroU32::new(3).unwrap() }, with |style| matches!(style, "single-probe" | "reopen-to-all");
        /// Requests let through half-open, at least 1. Belongs to `trickle`.
        calls: NonZeroU32 = const { NonZeroU32::new(10).unwrap() }, with |style| style == "trickle";
        /// How long the share of requests that are let through grows. Above zero. Belongs to `ramp`.
        over: Positive = Positive(Duration::from_secs(10)), with |style| style == "ramp";
        /// The share of all requests since the start of the ramp that was let through at the end of the ramp; then the breaker
        /// closes. `"50%"` is Traefik's: under a steady load nearly all requests are let through in the end. Above zero.
        /// Belongs to `ramp`.
        to: AboveZero<Share> = AboveZero(Share(0.5)), with |style| style == "ramp";
    }

    /// What a breaker looks back at.
    struct Windows<'t> (Choice::ByKind) {
        /// The results of the last so much time. Above zero.
        time: Positive, is kind;
        /// The number of last results, at least 1.
        calls: NonZeroU32, is kind;
        /// The number of failures in a row, at least 1.
        consecutive: NonZeroU32, is kind;
        /// The number of failures within a time, at least 1, whatever the number of successes between them.
        failures: NonZeroU32, is kind;
        /// The time within which the failures fall. Above zero.
        within: Positive, needed "the time that they fall within, such as `within = \"10s\"`", with |kind| kind == "failures";
    }
}

/// Where an interval stops growing, if nothing is said: Envoy's `max_ejection_time`, and the default of APISIX's breaker.
const OPEN_MAX: Duration = Duration::from_secs(300);

/// What a breaker looks back at, as a time or as a table.
pub(super) struct Window(BreakerWindow);

impl Window {
    const RECOMMENDED: Self = Self(RECOMMENDED.window());
}

impl Written for Window {
    fn written(&self) -> Json {
        match self.0 {
            BreakerWindow::Time(time) => units::write_duration(time).into(),
            BreakerWindow::Calls(calls) => json!({ "calls": calls }),
            BreakerWindow::Consecutive(failures) => json!({ "consecutive": failures }),
            BreakerWindow::Failures { failures, within } => {
                json!({ "failures": failures, "within": units::write_duration(within) })
            }
        }
    }
}

impl<'t> Read<'t> for Window {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        let refuse = |what: String| {
            let problem = Problem::error(node.span.clone(), format!("`{path}`: expected {what}"));
            context.push(problem.help("such as \"30s\", { calls = 100 } or { consecutive = 5 }"));
            None
        };
        let Some(table) = node.as_table() else {
            return match node.value {
                Value::Text(_) => {
                    read(node, path, context).map(|Positive(time)| Self(BreakerWindow::Time(time)))
                }
                _ => refuse(format!("a duration or a table, found {}", node.kind())),
            };
        };
        let kinds = Windows::table().choices();
        let there = table.entries().iter().filter(|entry| kinds.contains(&&*entry.key)).count();
        match (there, table.entries()) {
            (0, [entry, ..]) if &*entry.key != "within" => {
                let message = format!("`{path}`: there is no window of `{}`", entry.key);
                let problem = Problem::error(entry.key_span.clone(), message);
                context.push_with_help(problem, || {
                    way_out(&entry.key, &kinds, || format!("there are {}", list(&kinds)))
                });
                None
            }
            (1, _) => Windows::read(node, path, context)?.build().map(Self),
            (there, _) => refuse(format!("one of {}, found {there}", list(&kinds))),
        }
    }

    fn shape() -> Shape {
        let keywords = json!({ "type": ["object", "string"], "pattern": DURATION });
        Shape::With(Box::new(Shape::Table(Windows::table())), keywords)
    }
}

impl Windows<'_> {
    fn build(self) -> Option<BreakerWindow> {
        if let Some(Positive(time)) = self.time.value {
            Some(BreakerWindow::Time(time))
        } else if let Some(calls) = self.calls.value {
            Some(BreakerWindow::Calls(calls))
        } else if let Some(failures) = self.consecutive.value {
            Some(BreakerWindow::Consecutive(failures))
        } else {
            let (failures, Positive(within)) = (self.failures.value?, self.within.value?);
            Some(BreakerWindow::Failures { failures, within })
        }
    }
}

impl Breaker<'_> {
    pub(super) fn build(self) -> Option<BreakerConfig> {
        let place = |error| match error {
            BreakerConfigError::ErrorThreshold => self.error_threshold.span_in(&self.table),
            BreakerConfigError::WindowZero | BreakerConfigError::CallsTooMany => {
                self.window.span_in(&self.table)
            }
            BreakerConfigError::NoFailures => self.failures.span_in(&self.table),
            BreakerConfigError::SlowShare
            | BreakerConfigError::SlowShareAlone
            | BreakerConfigError::SlowShareOfNumber => self.slow_share.span_in(&self.table),
            BreakerConfigError::OpenMaxBelowInterval => self.open_max.span_in(&self.table),
            BreakerConfigError::SlowCallZero
            | BreakerConfigError::ProbeIntervalZero
            | BreakerConfigError::Ramp => self.table.span(),
        };
        let refuse = |error: BreakerConfigError| {
            let message = format!("`{}`: {error}", self.table.path());
            let problem = Problem::error(place(error), message);
            self.table.context().push(match error {
                BreakerConfigError::NoFailures => problem.help(<Failure as Item>::way_out()),
                _ => problem,
            });
        };
        self.config().map_err(refuse).ok()
    }

    fn config(&self) -> Result<BreakerConfig, BreakerConfigError> {
        let Window(window) = &self.window.value;
        let (Positive(interval), AboveZero(Share(threshold))) =
            (&self.probe_interval.value, &self.error_threshold.value);
        let time = Duration::from_secs(1);
        let mut config = BreakerConfig::new(time, *threshold, self.min_requests.value)?
            .with_window(*window)?
            .with_half_open(*interval, self.half_open())?;
        // One that cannot be read is noted already.
        if let Some(failures) = self.failures.value.as_ref().filter(|failures| !failures.0.contains(&None)) {
            config = config.with_failures(failures.set())?;
        }
        if let Some(Positive(slow_call)) = &self.slow_call.value {
            config = config.with_slow_call(*slow_call)?;
        }
        if let Some(AboveZero(Share(share))) = &self.slow_share.value {
            config = config.with_slow_share(*share)?;
        }
        let by = match self.open_growth.value {
            Growth::None => return Ok(config),
            Growth::Linear => GrowthRule::Linear,
            Growth::Doubling => GrowthRule::Doubling,
        };
        let max = self.open_max.value.as_ref().map_or_else(|| OPEN_MAX.max(*interval), |Positive(max)| *max);
        config.with_growth(OpenGrowth { by, max })
    }

    fn half_open(&self) -> HalfOpen {
        let successes_to_close = self.successes_to_close.value;
        match self.half_open.value {
            Style::SingleProbe => HalfOpen::SingleProbe { successes_to_close },
            Style::Trickle => HalfOpen::Trickle { calls: self.calls.value },
            Style::ReopenToAll => HalfOpen::ReopenToAll { successes_to_close },
            Style::Ramp => {
                let (Positive(over), AboveZero(Share(to))) = (&self.over.value, &self.to.value);
                HalfOpen::Ramp { over: *over, to: *to }
            }
        }
    }
}

names! {
    /// Whom a breaker lets through half-open.
    enum Style {
        /// One request at a time, one per `probe_interval`; a failure starts the count again.
        "single-probe" => SingleProbe,
        /// As many requests as `calls`; when these have settled, `error_threshold` decides whether the breaker closes or opens
        /// again. With a window of failures, one failure opens the breaker again.
        "trickle" => Trickle,
        /// All requests at once; the first failure opens the breaker again.
        "reopen-to-all" => ReopenToAll,
        /// A share of the requests that grows over a time; failures meanwhile open the breaker as they open a closed one.
        "ramp" => Ramp,
    }
}

names! {
    /// How the interval grows.
    enum Growth {
        /// The interval does not grow.
        "none" => None,
        /// Once, twice, three times the interval, and so on, as Envoy's ejections.
        "linear" => Linear,
        /// Once, twice, four times the interval, and so on, as the breaker of APISIX.
        "doubling" => Doubling,
    }
}

#[cfg(test)]
mod tests {
    use gateway::{FailureSet, StatusSet};

    use super::super::testing::{first_problem, world_with};
    use super::*;

    #[test]
    fn what_is_left_out_is_as_recommended() {
        let breakers = |more: &str| {
            let policies = world_with(more).gateway.upstreams;
            policies.iter().map(|policy| policy.breaker).collect::<Vec<_>>()
        };
        let recommended = Some(BreakerConfig::RECOMMENDED);
        assert_eq!(breakers("gateway.breaker = {}"), [recommended; 3]);
        assert_eq!(breakers("gateway.breaker = false"), [None; 3]);
        // One of its own replaces the general one whole.
        let own = "[gateway]\nbreaker = { window = '10s', min_requests = 5 }\n\
                   upstreams.payments.breaker = { slow_call = '2s' }\nupstreams.stock.breaker = false";
        let general = BreakerConfig::new(Duration::from_secs(10), 0.5, 5).unwrap();
        let slow = BreakerConfig::RECOMMENDED.with_slow_call(Duration::from_secs(2)).unwrap();
        assert_eq!(breakers(own), [Some(general), Some(slow), None]);
    }

    #[test]
    fn each_style_has_what_belongs_to_it() {
        let number = |number| NonZeroU32::new(number).unwrap();
        for (fields, half_open) in [
            ("successes_to_close = 5", HalfOpen::SingleProbe { successes_to_close: number(5) }),
            ("half_open = 'single-probe'", HalfOpen::SingleProbe { successes_to_close: number(3) }),
            ("half_open = 'trickle'", HalfOpen::Trickle { calls: number(10) }),
            ("half_open = 'trickle', calls = 4", HalfOpen::Trickle { calls: number(4) }),
            ("half_open = 'reopen-to-all'", HalfOpen::ReopenToAll { successes_to_close: number(3) }),
        ] {
            let world = world_with(&format!("gateway.breaker = {{ {fields} }}"));
            assert_eq!(world.gateway.upstreams[0].breaker.unwrap().half_open(), half_open, "{fields}");
        }
    }

    fn breaker(fields: &str) -> BreakerConfig {
        world_with(&format!("gateway.breaker = {{ {fields} }}")).gateway.upstreams[0].breaker.unwrap()
    }

    #[test]
    fn each_window_is_read() {
        let number = |number| NonZeroU32::new(number).unwrap();
        let seconds = Duration::from_secs;
        for (window, expected) in [
            ("'10s'", BreakerWindow::Time(seconds(10))),
            ("{ time = '10s' }", BreakerWindow::Time(seconds(10))),
            ("{ calls = 100 }", BreakerWindow::Calls(number(100))),
            ("{ consecutive = 5 }", BreakerWindow::Consecutive(number(5))),
            (
                "{ failures = 5, within = '10s' }",
                BreakerWindow::Failures { failures: number(5), within: seconds(10) },
            ),
        ] {
            assert_eq!(breaker(&format!("window = {window}")).window(), expected, "{window}");
        }
    }

    #[test]
    fn what_real_gateways_are_configured_with_can_be_said() {
        let slow =
            breaker("window = { calls = 100 }, min_requests = 100, slow_call = '2s', slow_share = '80%'");
        assert_eq!((slow.min_requests(), slow.slow_share()), (100, Some(0.8)));
        let failures = breaker("failures = ['5xx', 429, 'timeout']");
        let set = FailureSet { connect: false, statuses: StatusSet::of(&[429]), ..FailureSet::USUAL };
        assert_eq!(*failures.failures(), set);
        let grown = breaker("probe_interval = '2s', open_growth = 'doubling', open_max = '1m'");
        assert_eq!(
            grown.growth(),
            Some(OpenGrowth { by: GrowthRule::Doubling, max: Duration::from_secs(60) })
        );
        // The bound that nobody asked for refuses nothing.
        let long = breaker("probe_interval = '10m', open_growth = 'linear'");
        assert_eq!(long.growth().unwrap().max, Duration::from_secs(600));
        let ramp = breaker("half_open = 'ramp', over = '20s', to = '40%'");
        assert_eq!(ramp.half_open(), HalfOpen::Ramp { over: Duration::from_secs(20), to: 0.4 });
        let traefik = breaker("half_open = 'ramp'");
        assert_eq!(traefik.half_open(), HalfOpen::Ramp { over: Duration::from_secs(10), to: 0.5 });
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (fields, message, place) in [
            ("windw = '1s'", "`gateway.breaker` has no field `windw`", "windw"),
            ("window = '0s'", "`gateway.breaker.window`: expected more than zero", "'0s'"),
            (
                "error_threshold = '0%'",
                "`gateway.breaker`: error_threshold must be above 0% and at most 100%",
                "'0%'",
            ),
            (
                "error_threshold = 0.5",
                "`gateway.breaker.error_threshold`: expected a percentage such as \"50%\", found a float",
                "0.5",
            ),
            (
                "half_open = 'tricle', calls = 3",
                "`gateway.breaker.half_open`: there is no `tricle`",
                "'tricle'",
            ),
            ("calls = 3", "`gateway.breaker.calls` has no meaning with `single-probe`", "calls"),
            (
                "half_open = 'trickle', successes_to_close = 3",
                "`gateway.breaker.successes_to_close` has no meaning with `trickle`",
                "successes_to_close",
            ),
            (
                "window = { consecutive = 5 }, error_threshold = '50%'",
                "`gateway.breaker.error_threshold` has no meaning with `consecutive` as `window`",
                "error_threshold",
            ),
            (
                "window = { failures = 5, within = '10s' }, min_requests = 9",
                "`gateway.breaker.min_requests` has no meaning with `failures` as `window`",
                "min_requests",
            ),
            ("window = { failures = 5 }", "`gateway.breaker.window` needs `within`", "{ failures = 5 }"),
            (
                "window = { calls = 5, within = '1s' }",
                "`gateway.breaker.window.within` has no meaning with `calls`",
                "within",
            ),
            (
                "window = { calls = 5, time = '1s' }",
                "`gateway.breaker.window`: expected one of `time`, `calls`, `consecutive` and `failures`, found 2",
                "{ calls = 5, time = '1s' }",
            ),
            (
                "window = {}",
                "`gateway.breaker.window`: expected one of `time`, `calls`, `consecutive` and `failures`, found 0",
                "{}",
            ),
            ("window = { count = 5 }", "`gateway.breaker.window`: there is no window of `count`", "count"),
            (
                "window = 30",
                "`gateway.breaker.window`: expected a duration or a table, found an integer",
                "30",
            ),
            (
                "window = { calls = 1000001 }",
                "`gateway.breaker`: a window has at most 1,000,000 calls",
                "{ calls = 1000001 }",
            ),
            ("failures = []", "`gateway.breaker`: failures must not be empty", "[]"),
            (
                "failures = [200]",
                "`gateway.breaker.failures`: expected a status from 400 to 599, found 200",
                "200",
            ),
            (
                "slow_share = '50%'",
                "`gateway.breaker`: slow_share needs slow_call, the time from which an answer is slow",
                "'50%'",
            ),
            (
                "open_max = '1m'",
                "`gateway.breaker.open_max` has no meaning with `none` as `open_growth`",
                "open_max",
            ),
            (
                "open_growth = 'linear', open_max = '1s'",
                "`gateway.breaker`: open_max must not be below probe_interval",
                "'1s'",
            ),
            ("over = '1s'", "`gateway.breaker.over` has no meaning with `single-probe`", "over"),
            (
                "successes_to_close = 0",
                "`gateway.breaker.successes_to_close`: expected a whole number of at least 1, found 0",
                "0",
            ),
        ] {
            let problem = first_problem(&format!("gateway.breaker = {{ {fields} }}"));
            assert_eq!(problem, (message.to_owned(), place.to_owned()), "{fields}");
        }
        let (message, _) = first_problem("gateway.upstreams.paymnts.breaker = false");
        assert_eq!(message, "`gateway.upstreams`: there is no upstream `paymnts`");
    }
}
