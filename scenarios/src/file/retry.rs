//! Retry policies, of clients, of the gateway and of services alike: the table `retry`.

use std::num::NonZeroU32;
use std::time::Duration;

use gateway::{BackoffError, FailureSet, Jitter, RetryBudgetConfig, RetryPolicy};
use serde_json::json;
use simulator::Rate;

use super::diagnostic::Problem;
use super::failures::Failure;
use super::reader::Field;
use super::shape::{Choice, Shape};
use super::table::{Item, Items, Switch, table};
use super::tree::Node;
use super::values::{FromNode, Percentage, Positive, names};

table! {
    /// Whether, when and how often a failed attempt is made again.
    pub(super) struct Retry<'t> (Choice::ByName("backoff", Some("a back-off of "))) {
        /// Further attempts after the first, 1 to 1,000: three retries are four attempts.
        retries: Retries, needed "attempts after the first, such as `retries = 3`";
        /// The failures after which to try again. Default: `["5xx", "timeout", "connect"]`.
        on: Items<Failure>;
        /// How the wait before each retry grows.
        backoff: Backoff = Backoff::None;
        /// What is drawn out of a wait, so that those who failed together do not come back together. Belongs to `fixed`
        /// and `exponential`.
        jitter: Jitter = Jitter::None, with |backoff| backoff != "none";
        /// The first wait, such as `"100ms"`. Needed by `fixed` and `exponential`, belongs to them.
        base: Positive, needed "the first wait, such as `base = \"100ms\"`", with |backoff| backoff != "none";
        /// No wait is longer; not below `base`. Belongs to `exponential`. Default: `"20s"`, or `base` if that is longer.
        max: Positive, with |backoff| backoff == "exponential";
        /// Whether to wait at least as long as the `Retry-After` of the gateway's 429 and 503 asks for. Services send none.
        honor_retry_after: bool = false;
        /// How many retries in all, beside the requests; `false` or left out for any number.
        budget: Switch<RetryBudget<'t>>;
    }

    /// When the gateway tries again by itself, on behalf of a client that waits. Worker and bulkhead place stay held, and
    /// all attempts share one timeout.
    pub(super) struct GatewayRetry<'t> (Choice::Free) {
        ..policy: Retry<'t>;
        /// Whether POST and PATCH are tried again too, although they may have been carried out.
        non_idempotent: bool = false;
    }

    /// Retries in any ten seconds are at most `ratio` of the requests and `floor` per second.
    pub(super) struct RetryBudget<'t> (Choice::Free) {
        /// How many retries to the requests, such as `"20%"`; above `"100%"` there may be more retries than requests.
        ratio: Percentage, needed "";
        /// A rate that is allowed in any case, such as `"1/s"`: callers of few requests could not try again otherwise.
        floor: Rate = Rate::ZERO;
    }
}

impl Retry<'_> {
    /// The policy of clients.
    pub(super) fn build(self) -> RetryPolicy {
        RetryPolicy {
            retries: self.retries.value.as_ref().map_or(0, |retries| retries.0),
            backoff: self.build_backoff().unwrap_or(gateway::Backoff::NONE),
            on: self.build_on(),
            honor_retry_after: self.honor_retry_after.value,
            budget: self.budget.on().and_then(RetryBudget::build),
        }
    }

    /// The policy of whoever asks an upstream.
    pub(super) fn build_towards_upstreams(self) -> RetryPolicy {
        if self.honor_retry_after.value {
            let message = format!("`{}` has no effect", self.table.path_of(self.honor_retry_after.key));
            let problem = Problem::warning(self.honor_retry_after.span_in(&self.table), message);
            let help = "upstreams send no `Retry-After`; the gateway does, to its clients";
            self.table.context().push(problem.help(help));
        }
        self.build()
    }

    fn build_on(&self) -> FailureSet {
        let Some(failures) = &self.on.value else { return FailureSet::USUAL };
        if failures.0.is_empty() {
            let message = format!("`{}`: nothing is ever tried again", self.table.path_of(self.on.key));
            let problem = Problem::warning(self.on.span_in(&self.table), message);
            self.table.context().push(problem.help(<Failure as Item>::way_out()));
        }
        failures.set()
    }

    fn build_backoff(&self) -> Option<gateway::Backoff> {
        let (base, jitter) = (self.base.value.as_ref().map(|Positive(base)| *base), self.jitter.value);
        let max = self.max.value.as_ref().map(|Positive(max)| *max);
        let backoff = match self.backoff.value {
            Backoff::None => return None,
            Backoff::Fixed => gateway::Backoff::fixed(base?, jitter),
            Backoff::Exponential => gateway::Backoff::exponential(
                base?,
                max.unwrap_or_else(|| MAX.max(base.unwrap_or(MAX))),
                jitter,
            ),
        };
        let refuse = |error: BackoffError| {
            let place = match error {
                BackoffError::BaseZero => &self.base,
                BackoffError::MaxBelowBase => &self.max,
            };
            let message = format!("`{}`: {error}", self.table.path());
            self.table.context().push(Problem::error(place.span_in(&self.table), message));
        };
        backoff.map_err(refuse).ok()
    }
}

impl GatewayRetry<'_> {
    /// What the gateway or one of its routes says of retries, be it that it never tries again; `None` if nothing.
    pub(super) fn said(field: Field<'_, Option<Switch<Self>>>) -> Option<gateway::GatewayRetry> {
        field.entry?;
        Some(field.on().map(Self::build).unwrap_or_default())
    }

    fn build(self) -> gateway::GatewayRetry {
        let non_idempotent = self.non_idempotent.value;
        gateway::GatewayRetry { policy: self.policy.build_towards_upstreams(), non_idempotent }
    }
}

impl RetryBudget<'_> {
    fn build(self) -> Option<RetryBudgetConfig> {
        let (context, path) = (self.table.context(), self.table.path());
        let config = RetryBudgetConfig::new(self.ratio.value?.0, self.floor.value.per_second());
        let refuse = |error| context.push(Problem::error(self.table.span(), format!("`{path}`: {error}")));
        let config = config.map_err(refuse).ok()?;
        if config.is_nothing() {
            let problem = Problem::warning(self.table.span(), format!("`{path}` allows no retry at all"));
            context.push(problem.help("`floor` allows some to callers of few requests, such as \"1/s\""));
        }
        Some(config)
    }
}

/// The cap of an exponential back-off where none is said: the default of AWS's SDKs.
const MAX: Duration = Duration::from_secs(20);

/// More retries are refused: without a wait between them they come to as many attempts at one instant.
const MOST_RETRIES: u32 = 1_000;

/// A number of retries, 1 to [`MOST_RETRIES`].
pub(super) struct Retries(u32);

impl FromNode for Retries {
    fn from_node(node: &Node) -> Result<Self, String> {
        let retries = NonZeroU32::from_node(node)?.get();
        if retries > MOST_RETRIES {
            return Err(format!("expected at most {MOST_RETRIES} retries, found {retries}"));
        }
        Ok(Self(retries))
    }

    fn format() -> Shape {
        Shape::Value(json!({ "type": "integer", "minimum": 1, "maximum": MOST_RETRIES }))
    }
}

names! {
    /// How the wait before each retry grows.
    enum Backoff {
        /// No wait at all: again after a round trip, 5ms for a client.
        "none" => None,
        /// `base` each time.
        "fixed" => Fixed,
        /// `base`, twice that, four times that, … up to `max`.
        "exponential" => Exponential,
    }
}

names! {
    Jitter {
        /// The whole wait.
        "none" => None,
        /// From nothing to the whole wait.
        "full" => Full,
        /// From half of the wait to the whole.
        "equal" => Equal,
        /// From `base` to three times the previous wait, up to `max`.
        "decorrelated" => Decorrelated,
    }
}

#[cfg(test)]
mod tests {
    use gateway::{Backoff, GatewayRetry, StatusSet};

    use super::super::testing::{first_problem, world_with};
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn what_is_left_out_is_off() {
        let policy =
            |retry: &str| world_with(&format!("clients.shoppers.retry = {retry}")).populations[0].retry;
        assert_eq!(policy("false"), RetryPolicy::default());
        let on = FailureSet::USUAL;
        let thrice = RetryPolicy { retries: 3, on, ..RetryPolicy::default() };
        assert_eq!(policy("{ retries = 3 }"), thrice);
        assert_eq!(policy("{ retries = 3, budget = false, backoff = 'none' }"), thrice);
        let rate_limited = FailureSet { statuses: StatusSet::of(&[429]), ..FailureSet::default() };
        let asked = RetryPolicy { on: rate_limited, honor_retry_after: true, ..thrice };
        for on in ["['429']", "[429]", "[429, '429']"] {
            assert_eq!(policy(&format!("{{ retries = 3, on = {on}, honor_retry_after = true }}")), asked);
        }
        let budget = RetryBudgetConfig::new(0.2, 1.0).ok();
        let bounded = RetryPolicy { budget, ..thrice };
        assert_eq!(policy("{ retries = 3, budget = { ratio = '20%', floor = '60/m' } }"), bounded);
        // Three retries of every second request.
        let budget = RetryBudgetConfig::new(1.5, 0.0).ok();
        let ample = RetryPolicy { budget, ..thrice };
        assert_eq!(policy("{ retries = 3, budget = { ratio = '150%' } }"), ample);
    }

    #[test]
    fn each_back_off_has_what_belongs_to_it() {
        for (fields, backoff) in [
            ("backoff = 'fixed', base = '50ms'", Backoff::fixed(ms(50), Jitter::None)),
            ("backoff = 'fixed', base = '50ms', jitter = 'equal'", Backoff::fixed(ms(50), Jitter::Equal)),
            (
                "backoff = 'exponential', base = '50ms', max = '1s', jitter = 'full'",
                Backoff::exponential(ms(50), ms(1_000), Jitter::Full),
            ),
            (
                "backoff = 'exponential', base = '50ms', jitter = 'decorrelated'",
                Backoff::exponential(ms(50), ms(20_000), Jitter::Decorrelated),
            ),
            // The cap that nobody asked for refuses nothing.
            (
                "backoff = 'exponential', base = '30s'",
                Backoff::exponential(ms(30_000), ms(30_000), Jitter::None),
            ),
        ] {
            let world = world_with(&format!("clients.shoppers.retry = {{ retries = 1, {fields} }}"));
            assert_eq!(Ok(world.populations[0].retry.backoff), backoff, "{fields}");
        }
    }

    #[test]
    fn a_route_goes_before_the_gateway_even_to_try_nothing() {
        let world = world_with(
            "gateway.retry = { retries = 2, non_idempotent = true }\nroutes.'/stock'.retry = false\n\
             routes.'/payments'.retry = { retries = 1 }",
        );
        let retries = |retry: Option<GatewayRetry>| retry.map(|it| (it.policy.retries, it.non_idempotent));
        assert_eq!(retries(world.gateway.retry), Some((2, true)));
        let of_routes: Vec<_> = world.gateway.routes.iter().map(|route| retries(route.retry)).collect();
        assert_eq!(of_routes, [None, Some((1, false)), Some((0, false))]);
    }

    #[test]
    fn whoever_asks_an_upstream_is_never_told_when_to_come_back() {
        for (retry, path) in [
            ("gateway.retry = { R }", "gateway.retry"),
            ("routes.'/orders'.retry = { R }", "routes.\"/orders\".retry"),
            (
                "upstreams.orders.calls = [{ upstream = 'stock', retry = { R } }]",
                "upstreams.orders.calls.retry",
            ),
        ] {
            let honors = |yes| retry.replace('R', &format!("retries = 1, honor_retry_after = {yes}"));
            let problem = first_problem(&honors(true));
            assert_eq!(problem, (format!("`{path}.honor_retry_after` has no effect"), "true".to_owned()));
            world_with(&honors(false));
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let path = "clients.shoppers.retry";
        for (fields, message, place) in [
            ("retrys = 3", "`P` has no field `retrys`", "retrys"),
            ("retries = 0", "`P.retries`: expected a whole number of at least 1, found 0", "0"),
            ("retries = 1001", "`P.retries`: expected at most 1000 retries, found 1001", "1001"),
            ("retries = 1, on = '5xx'", "`P.on`: expected an array of failures, found a string", "'5xx'"),
            ("retries = 1, on = [399]", "`P.on`: expected a status from 400 to 599, found 399", "399"),
            ("retries = 1, on = ['5xx', '4xx']", "`P.on`: there is no failure `4xx`", "'4xx'"),
            (
                "retries = 1, backoff = 'exponental', base = '1s', max = '5s'",
                "`P.backoff`: there is no `exponental`",
                "'exponental'",
            ),
            ("retries = 1, backoff = 'fixed'", "`P` needs `base`", "{ retries = 1, backoff = 'fixed' }"),
            ("retries = 1, base = '1s'", "`P.base` has no meaning with a back-off of `none`", "base"),
            (
                "retries = 1, backoff = 'fixed', base = '1s', max = '5s'",
                "`P.max` has no meaning with a back-off of `fixed`",
                "max",
            ),
            (
                "retries = 1, backoff = 'exponential', base = '5s', max = '1s'",
                "`P`: max must be at least base",
                "'1s'",
            ),
            (
                "retries = 1, backoff = 'fixed', base = '1s', jitter = 'half'",
                "`P.jitter`: there is no `half`",
                "'half'",
            ),
            ("retries = 1, budget = {}", "`P.budget` needs `ratio`", "{}"),
            (
                "retries = 1, budget = { ratio = '0%' }",
                "`P.budget` allows no retry at all",
                "{ ratio = '0%' }",
            ),
            ("retries = 1, on = []", "`P.on`: nothing is ever tried again", "[]"),
            ("retries = 1, non_idempotent = true", "`P` has no field `non_idempotent`", "non_idempotent"),
        ] {
            let problem = first_problem(&format!("{path} = {{ {fields} }}"));
            assert_eq!(problem, (message.replace('P', path), place.to_owned()), "{fields}");
        }
    }
}
