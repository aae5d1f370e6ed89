//! Circuit breakers, of the gateway and of services alike: the table `breaker`.

use std::num::NonZeroU32;

use gateway::{BreakerConfig, HalfOpen};

use super::diagnostic::Problem;
use super::shape::Choice;
use super::table::table;
use super::values::{AboveZero, Positive, Share, names};

const RECOMMENDED: BreakerConfig = BreakerConfig::RECOMMENDED;

table! {
    /// When a circuit breaker opens, and how it closes again. What is left out is as gateways' vendors recommend it.
    pub(super) struct Breaker<'t> (Choice::ByName("half_open", Some(""))) {
        /// Over how long results are counted. Above zero.
        window: Positive = Positive(RECOMMENDED.window());
        /// Opens when at least this share of what settled failed: 5xx, timeout, broken connection. Above zero.
        error_threshold: AboveZero<Share> = AboveZero(Share(RECOMMENDED.error_threshold()));
        /// How many must have settled in the window before it opens.
        min_requests: u32 = RECOMMENDED.min_requests();
        /// An answer that takes this long is a failure too. Above zero. Default: an answer may take its time.
        slow_call: Positive;
        /// How long it is open, and how far apart single probes are. Above zero.
        probe_interval: Positive = Positive(RECOMMENDED.probe_interval());
        /// Whom it lets through after it was open for `probe_interval`.
        half_open: Style = Style::SingleProbe;
        /// Requests in a row that are no failures and close it, at least 1. What is a failure is the same as closed: an answer of
        /// 404 is none. Belongs to `single-probe` and `reopen-to-all`.
        successes_to_close: NonZeroU32 = const { NonZeroU32::new(3).unwrap() }, with |style| style != "trickle";
        /// Requests let through half-open, at least 1. Belongs to `trickle`.
        calls: NonZeroU32 = const { NonZeroU32::new(10).unwrap() }, with |style| style == "trickle";
    }
}

impl Breaker<'_> {
    pub(super) fn build(self) -> Option<BreakerConfig> {
        let successes_to_close = self.successes_to_close.value;
        let half_open = match self.half_open.value {
            Style::SingleProbe => HalfOpen::SingleProbe { successes_to_close },
            Style::Trickle => HalfOpen::Trickle { calls: self.calls.value },
            Style::ReopenToAll => HalfOpen::ReopenToAll { successes_to_close },
        };
        let (Positive(window), Positive(interval)) = (self.window.value, self.probe_interval.value);
        let AboveZero(Share(threshold)) = self.error_threshold.value;
        let config = BreakerConfig::new(window, threshold, self.min_requests.value)
            .and_then(|config| config.with_half_open(interval, half_open))
            .and_then(|config| match self.slow_call.value {
                Some(Positive(slow_call)) => config.with_slow_call(slow_call),
                None => Ok(config),
            });
        // The times are above zero as they are read: what can be wrong is the threshold.
        let refuse = |error| {
            let message = format!("`{}`: {error}", self.table.path());
            self.table.context().push(Problem::error(self.error_threshold.span_in(&self.table), message));
        };
        config.map_err(refuse).ok()
    }
}

names! {
    /// Whom a breaker lets through half-open.
    enum Style {
        /// One request at a time, one per `probe_interval`; a failure starts the count again.
        "single-probe" => SingleProbe,
        /// As many as `calls`; when they have settled, `error_threshold` decides whether it closes or opens again.
        "trickle" => Trickle,
        /// Everybody at once; the first failure opens it again.
        "reopen-to-all" => ReopenToAll,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
