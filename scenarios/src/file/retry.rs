//! Retry policies, of clients, of the gateway and of services alike: the table `retry`.

use std::num::NonZeroU32;
use std::time::Duration;

use gateway::{
    BackoffError, FailureSet, InFlightBudget, Jitter, RetryBudgetConfig, RetryPolicy, ShareBudget,
    TokenAccounts, TokenBudget, TokenBudgetError, TokenCharge,
};
use serde_json::{Value as Json, json};
use simulator::Rate;

use super::diagnostic::Problem;
use super::failures::Failure;
use super::reader::Field;
use super::shape::{Choice, Shape};
use super::table::{Described as _, Item, Items, Switch, table};
use super::tree::{Node, Value};
use super::values::{FromNode, Percentage, Positive, Share, Written, names};
use super::words::list;

table! {
    /// Whether, when and how often a failed attempt is made again.
    pub(super) struct Retry<'t> (Choice::ByName("backoff", Some("a back-off of "))) {
        /// Further attempts after the first, 1 to 1,000: three retries are four attempts.
        retries: Retries, needed "attempts after the first, such as `retries = 3`";
        /// The failures after which to try again. Default: `["5xx", "timeout", "connect"]`.
        on: Items<Failure>;
        /// How the wait before each retry grows.
        backoff: Backoff = Backoff::None;
        /// The random part of a wait, so that requests that failed together are not repeated together. Belongs to `fixed` and
        /// `exponential`.
        jitter: Jitter = Jitter::None, with |backoff| backoff != "none";
        /// The first wait, such as `"100ms"`. Needed by `fixed` and `exponential`, belongs to them.
        base: Positive, needed "the first wait, such as `base = \"100ms\"`", with |backoff| backoff != "none";
        /// The longest wait; not below `base`. Belongs to `exponential`. Default: `"20s"`, or `base` if that is longer.
        max: Positive, with |backoff| backoff == "exponential";
        /// Whether to wait at least as long as the `Retry-After` of an answer asks for. The gateway's 429 and 503 have such a
        /// field, and answers by a fault `error = { status, retry_after }`.
        honor_retry_after: bool = false;
        /// The most retries of all requests together; `false` or left out for any number.
        budget: Switch<RetryBudget<'t>>;
    }

    /// When the gateway tries again by itself, on behalf of a client that waits. Worker and bulkhead place stay held, and
    /// all attempts share one timeout.
    pub(super) struct GatewayRetry<'t> (Choice::Free) {
        ..policy: Retry<'t>;
        /// Whether POST and PATCH are tried again too, although the first attempt may have been carried out.
        non_idempotent: bool = false;
    }

    /// How many retries in all, by one of three accounts: `ratio` of the requests, `in_flight` of the attempts under way, or
    /// `tokens` that retries cost.
    pub(super) struct RetryBudget<'t> (Choice::ByKind) {
        /// How many retries to the requests of the last ten seconds, such as `"20%"`; above `"100%"` there may be more retries than
        /// requests. As in Finagle and Linkerd.
        ratio: Percentage, is kind;
        /// A rate that is allowed in any case, such as `"1/s"`: callers of few requests could not try again otherwise. Belongs to
        /// `ratio`.
        floor: Rate = Rate::ZERO, with |kind| kind == "ratio";
        /// Retries under way, each from the beginning of the wait before it, are at most this share of the attempts under way and
        /// of the requests that wait for a worker, such as `"20%"`. As in Envoy.
        in_flight: Share, is kind;
        /// So many retries may be under way in any case. Belongs to `in_flight`.
        least: u32 = 3, with |kind| kind == "in_flight";
        /// A full account, such as `500`: retries and failures cost tokens, successes bring them. Above zero, at most a million. As
        /// in the SDKs of AWS and in gRPC.
        tokens: Tokens, is kind;
        /// Tokens that a retry costs: at least 0.001, at most `tokens`. Needed by `tokens`, belongs to it.
        cost: Tokens, needed "the tokens that a retry costs, such as `cost = 5`", with |kind| kind == "tokens";
        /// Tokens that a retry costs after an answer of 429. Belongs to `tokens`. Default: `cost`.
        throttled: Tokens, with |kind| kind == "tokens";
        /// Tokens that a retry costs after a timeout. Belongs to `tokens`. Default: `cost`.
        timed_out: Tokens, with |kind| kind == "tokens";
        /// Tokens that a request brings that is answered well: 0 or more, at most `tokens`. Belongs to `tokens`.
        success: Tokens = Tokens(1.0), with |kind| kind == "tokens";
        /// What a retry that is answered well brings back. Belongs to `tokens`.
        refund: Refund = Refund::Cost, with |kind| kind == "tokens";
        /// What costs tokens. Belongs to `tokens`.
        charge: TokenCharge = TokenCharge::Retry, with |kind| kind == "tokens";
        /// Who has an account. Belongs to `tokens`, and to clients: a gateway has one account for each route, a service one for each
        /// call.
        per: TokenAccounts = TokenAccounts::Identity, with |kind| kind == "tokens";
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

    /// The policy of a gateway or a service, whose requests share one account.
    pub(super) fn build_of_server(self) -> RetryPolicy {
        let policy = self.build();
        let budget = policy.budget.map(|budget| match budget {
            RetryBudgetConfig::Tokens(tokens) => {
                RetryBudgetConfig::Tokens(tokens.with_accounts(TokenAccounts::Shared))
            }
            other => other,
        });
        RetryPolicy { budget, ..policy }
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
        gateway::GatewayRetry { policy: self.policy.build_of_server(), non_idempotent }
    }
}

impl RetryBudget<'_> {
    fn build(self) -> Option<RetryBudgetConfig> {
        let (context, path) = (self.table.context(), self.table.path());
        let refuse = |span, error: &dyn std::fmt::Display| {
            context.push(Problem::error(span, format!("`{path}`: {error}")));
        };
        let kinds = Self::table().choices();
        let entries = [self.ratio.entry, self.in_flight.entry, self.tokens.entry];
        let there: Vec<_> = entries.into_iter().flatten().collect();
        let config = match there[..] {
            [only] if &*only.key == self.ratio.key => {
                let share = ShareBudget::new(self.ratio.value?.0, self.floor.value.per_second());
                let share = share.map_err(|error| refuse(self.table.span(), &error)).ok()?;
                RetryBudgetConfig::Share(share)
            }
            [only] if &*only.key == self.in_flight.key => {
                let in_flight = InFlightBudget::new(self.in_flight.value?.0, self.least.value);
                let span = self.in_flight.span_in(&self.table);
                RetryBudgetConfig::InFlight(in_flight.map_err(|error| refuse(span, &error)).ok()?)
            }
            [_] => RetryBudgetConfig::Tokens(self.tokens()?),
            [] => {
                let problem = Problem::error(self.table.span(), format!("`{path}` needs an account"));
                context.push(problem.of_absence().help(format!("one of {}", list(&kinds))));
                return None;
            }
            [_, second, ..] => {
                let message = format!("`{path}` has one account, this is a second");
                let problem = Problem::error(second.key_span.clone(), message);
                context.push(problem.help(format!("one of {}", list(&kinds))));
                return None;
            }
        };
        if config.is_nothing() {
            let problem = Problem::warning(self.table.span(), format!("`{path}` allows no retry at all"));
            context.push(problem.help(match config {
                RetryBudgetConfig::Share(_) => {
                    "`floor` allows some to callers of few requests, such as \"1/s\""
                }
                RetryBudgetConfig::InFlight(_) => "`least` allows some in any case",
                RetryBudgetConfig::Tokens(_) => "a failure costs at least half of all tokens",
            }));
        }
        Some(config)
    }

    fn tokens(&self) -> Option<TokenBudget> {
        let refuse = |error: TokenBudgetError| {
            let place = match error {
                TokenBudgetError::Tokens => &self.tokens,
                TokenBudgetError::Cost => {
                    let dearer = |field: &&Field<'_, Option<Tokens>>| {
                        let full = self.tokens.value.as_ref().map_or(0.0, |Tokens(tokens)| *tokens);
                        field.value.as_ref().is_some_and(|Tokens(cost)| !(0.001..=full).contains(cost))
                    };
                    [&self.cost, &self.throttled, &self.timed_out]
                        .into_iter()
                        .find(dearer)
                        .unwrap_or(&self.cost)
                }
                TokenBudgetError::Success => {
                    let message = format!("`{}`: {error}", self.table.path());
                    let span = self.success.span_in(&self.table);
                    return self.table.context().push(Problem::error(span, message));
                }
            };
            let message = format!("`{}`: {error}", self.table.path());
            self.table.context().push(Problem::error(place.span_in(&self.table), message));
        };
        let amount = |field: &Field<'_, Option<Tokens>>| field.value.as_ref().map(|Tokens(tokens)| *tokens);
        let (tokens, cost) = (amount(&self.tokens)?, amount(&self.cost)?);
        let (throttled, timed_out) = (amount(&self.throttled), amount(&self.timed_out));
        let budget = TokenBudget::new(tokens, cost)
            .and_then(|budget| budget.with_costs(throttled.unwrap_or(cost), timed_out.unwrap_or(cost)))
            .and_then(|budget| budget.with_success(self.success.value.0));
        let budget = budget.map_err(refuse).ok()?;
        let refunds = self.refund.value == Refund::Cost;
        Some(budget.with_charge(self.charge.value, refunds).with_accounts(self.per.value))
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

/// A number of tokens, not negative.
#[derive(Clone, Copy)]
pub(super) struct Tokens(f64);

impl FromNode for Tokens {
    fn from_node(node: &Node) -> Result<Self, String> {
        let number: f64 = match &node.value {
            Value::Integer(digits) | Value::Float(digits) => digits.parse().unwrap_or(f64::NAN),
            _ => return Err(format!("expected a number of tokens such as 5, found {}", node.kind())),
        };
        // What is no number is in no range.
        if (0.0..=TokenBudget::MAX_TOKENS).contains(&number) {
            Ok(Self(number))
        } else {
            Err(format!("expected a number of tokens from 0 to {}", TokenBudget::MAX_TOKENS))
        }
    }

    fn format() -> Shape {
        Shape::Value(json!({ "type": "number", "minimum": 0, "maximum": TokenBudget::MAX_TOKENS as u64 }))
    }
}

impl Written for Tokens {
    fn written(&self) -> Json {
        // As a whole number where it is one, as in a file.
        if self.0.fract() == 0.0 { json!(self.0 as u64) } else { json!(self.0) }
    }
}

names! {
    /// What a retry that is answered well brings back.
    enum Refund {
        /// The tokens that the retry cost, in place of those for a success.
        "cost" => Cost,
        /// Nothing but the tokens for a success.
        "none" => Nothing,
    }
}

names! {
    TokenCharge {
        /// Each retry, which is made only if the account can pay. As in the SDKs of AWS.
        "retries" => Retry,
        /// Each failure that may be tried again, whether it is or not; retries are made while more than half of the tokens are left.
        /// As in gRPC.
        "failures" => Failure,
    }
}

names! {
    TokenAccounts {
        /// Each identity, as each process with an SDK has one.
        "identity" => Identity,
        /// All clients of the population together.
        "population" => Shared,
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
        let share = |ratio, floor| ShareBudget::new(ratio, floor).ok().map(RetryBudgetConfig::Share);
        let budget = share(0.2, 1.0);
        let bounded = RetryPolicy { budget, ..thrice };
        assert_eq!(policy("{ retries = 3, budget = { ratio = '20%', floor = '60/m' } }"), bounded);
        // Three retries of every second request.
        let budget = share(1.5, 0.0);
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
    fn each_account_is_that_of_a_product() {
        let of = |budget: &str| {
            world_with(&format!("clients.shoppers.retry = {{ retries = 1, budget = {budget} }}")).populations
                [0]
            .retry
            .budget
        };
        let in_flight =
            |share, least| InFlightBudget::new(share, least).ok().map(RetryBudgetConfig::InFlight);
        assert_eq!(of("{ in_flight = '20%' }"), in_flight(0.2, 3));
        assert_eq!(of("{ in_flight = '50%', least = 0 }"), in_flight(0.5, 0));
        let tokens = |budget: TokenBudget| Some(RetryBudgetConfig::Tokens(budget));
        let aws = TokenBudget::new(500.0, 14.0).unwrap().with_costs(5.0, 14.0).unwrap();
        let aws = aws.with_success(1.0).unwrap();
        assert_eq!(of("{ tokens = 500, cost = 14, throttled = 5 }"), tokens(aws));
        let shared = aws.with_accounts(TokenAccounts::Shared);
        assert_eq!(of("{ tokens = 500, cost = 14, throttled = 5, per = 'population' }"), tokens(shared));
        let grpc = TokenBudget::new(10.0, 1.0).unwrap().with_success(0.1).unwrap();
        assert_eq!(
            of("{ tokens = 10, cost = 1, charge = 'failures', success = 0.1, refund = 'none' }"),
            tokens(grpc.with_charge(TokenCharge::Failure, false))
        );
        // A gateway and a service have one account for all that they serve.
        let budget = "retry = { retries = 1, budget = { tokens = 500, cost = 14, throttled = 5 } }";
        let world = world_with(&format!(
            "gateway.{budget}\nupstreams.orders.calls = [{{ upstream = 'stock', {budget} }}]"
        ));
        assert_eq!(world.gateway.retry.unwrap().policy.budget, tokens(shared));
        let orders = world.upstreams.iter().find(|named| named.name == "orders").unwrap();
        assert_eq!(orders.config.calls[0].retry.budget, tokens(shared));
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
            ("retries = 1, budget = {}", "`P.budget` needs an account", "{}"),
            (
                "retries = 1, budget = { ratio = '20%', tokens = 5, cost = 1 }",
                "`P.budget` has one account, this is a second",
                "tokens",
            ),
            (
                "retries = 1, budget = { in_flight = '20%', floor = '1/s' }",
                "`P.budget.floor` has no meaning with `in_flight`",
                "floor",
            ),
            ("retries = 1, budget = { tokens = 500 }", "`P.budget` needs `cost`", "{ tokens = 500 }"),
            (
                "retries = 1, budget = { tokens = 5, cost = 14 }",
                "`P.budget`: a cost must be at least 0.001 and at most all tokens",
                "14",
            ),
            (
                "retries = 1, budget = { tokens = 5, cost = 1, timed_out = 6 }",
                "`P.budget`: a cost must be at least 0.001 and at most all tokens",
                "6",
            ),
            (
                "retries = 1, budget = { tokens = 5, cost = 1, success = 6 }",
                "`P.budget`: success must be at least 0 and at most all tokens",
                "6",
            ),
            (
                "retries = 1, budget = { tokens = -5, cost = 1 }",
                "`P.budget.tokens`: expected a number of tokens from 0 to 1000000",
                "-5",
            ),
            (
                "retries = 1, budget = { tokens = 0, cost = 1 }",
                "`P.budget`: tokens must be above 0 and at most 1000000",
                "0",
            ),
            (
                "retries = 1, budget = { tokens = 4, cost = 2, charge = 'failures' }",
                "`P.budget` allows no retry at all",
                "{ tokens = 4, cost = 2, charge = 'failures' }",
            ),
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
