//! Retry policies, of clients and of services alike.

use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use gateway::{Backoff, BackoffError, GatewayRetry, Jitter, RetryBudgetConfig, RetryOn, RetryPolicy};
use simulator::Rate;

use super::diagnostic::Problem;
use super::reader::{Fields, FromNode, Percentage, Positive, list, nearest, read};
use super::tree::{Entry, Node, Value};

/// The table `retry` among the fields of a population; absent or `false` is never.
pub(super) fn read_retry(fields: &mut Fields<'_>) -> RetryPolicy {
    let Some(mut retry) = fields.optional_table("retry") else { return RetryPolicy::default() };
    let policy = read_policy(&mut retry);
    retry.finish();
    policy
}

/// The same of whoever asks an upstream.
pub(super) fn read_call_retry(fields: &mut Fields<'_>) -> RetryPolicy {
    let Some(mut retry) = fields.optional_table("retry") else { return RetryPolicy::default() };
    let policy = read_policy(&mut retry);
    warn_of_retry_after(&retry, policy);
    retry.finish();
    policy
}

/// The same of the gateway or one of its routes: `Some` if anything is said, be it that it never tries again.
pub(super) fn read_gateway_retry(fields: &mut Fields<'_>) -> Option<GatewayRetry> {
    fields.entry("retry")?;
    let Some(mut retry) = fields.optional_table("retry") else { return Some(GatewayRetry::default()) };
    let policy = read_policy(&mut retry);
    warn_of_retry_after(&retry, policy);
    let non_idempotent = retry.optional("non_idempotent").unwrap_or(false);
    retry.finish();
    Some(GatewayRetry { policy, non_idempotent })
}

/// The gateway sends `Retry-After`, and the upstreams do not.
fn warn_of_retry_after(retry: &Fields<'_>, policy: RetryPolicy) {
    if policy.honor_retry_after {
        let message = format!("`{}` has no effect", retry.path_of("honor_retry_after"));
        let problem = Problem::warning(retry.span_of("honor_retry_after"), message);
        retry
            .context()
            .push(problem.help("upstreams send no `Retry-After`; the gateway does, to its clients"));
    }
}

fn read_policy(retry: &mut Fields<'_>) -> RetryPolicy {
    let Retries(retries) = retry.required("retries").unwrap_or(Retries(0));
    let on = read_on(retry);
    let backoff = read_backoff(retry);
    let honor_retry_after = retry.optional("honor_retry_after").unwrap_or(false);
    let budget = read_budget(retry);
    RetryPolicy { retries, on, backoff: backoff.unwrap_or(Backoff::NONE), honor_retry_after, budget }
}

/// More retries are refused: without a wait between them they come to as many attempts at one instant.
pub(super) const MOST_RETRIES: u32 = 1_000;

/// A number of retries, 1 to [`MOST_RETRIES`].
struct Retries(u32);

impl FromNode for Retries {
    fn from_node(node: &Node) -> Result<Self, String> {
        let retries = NonZeroU32::from_node(node)?.get();
        if retries > MOST_RETRIES {
            return Err(format!("expected at most {MOST_RETRIES} retries, found {retries}"));
        }
        Ok(Self(retries))
    }
}

pub(super) const CLASSES: [&str; 4] = ["5xx", "429", "timeout", "connect"];

/// Any of the classes; `5xx`, `timeout` and `connect` where nothing is said.
fn read_on(retry: &mut Fields<'_>) -> RetryOn {
    let mut on = RetryOn { server_errors: true, rate_limited: false, timeout: true, connect: true };
    let (path, context) = (retry.path_of("on"), retry.context());
    let Some(entry) = retry.entry("on") else { return on };
    on = RetryOn::default();
    let Value::Array(items) = &entry.node.value else {
        let message = format!("`{path}`: expected an array of failures, found {}", entry.node.kind());
        context.push(
            Problem::error(entry.node.span.clone(), message).help(format!("any of {}", list(&CLASSES))),
        );
        return on;
    };
    if items.is_empty() {
        let problem =
            Problem::warning(entry.node.span.clone(), format!("`{path}`: nothing is ever tried again"));
        context.push(problem.help(format!("any of {}", list(&CLASSES))));
    }
    for item in &**items {
        let Some(class) = read::<Rc<str>>(item, &path, context) else { continue };
        match &*class {
            "5xx" => on.server_errors = true,
            "429" => on.rate_limited = true,
            "timeout" => on.timeout = true,
            "connect" => on.connect = true,
            unknown => {
                let message = format!("`{path}`: there is no failure `{unknown}` to try again on");
                context.push(
                    Problem::error(item.span.clone(), message).help(format!("any of {}", list(&CLASSES))),
                );
            }
        }
    }
    on
}

pub(super) const BACKOFFS: [&str; 3] = ["none", "fixed", "exponential"];
pub(super) const JITTERS: [(&str, Jitter); 4] = [
    ("none", Jitter::None),
    ("full", Jitter::Full),
    ("equal", Jitter::Equal),
    ("decorrelated", Jitter::Decorrelated),
];

/// The cap of an exponential back-off where none is said: the default of AWS's SDKs.
const MAX: Duration = Duration::from_secs(20);

/// Whether a policy with that back-off has that key.
pub(super) fn backoff_has(kind: &str, key: &str) -> bool {
    match key {
        "base" | "jitter" => kind != "none",
        "max" => kind == "exponential",
        _ => true,
    }
}

fn read_backoff(retry: &mut Fields<'_>) -> Option<Backoff> {
    let kind = named_or(retry, "backoff", &BACKOFFS, "none");
    let jitter = named(retry, "jitter", &JITTERS.map(|(name, _)| name));
    let jitter = jitter.and_then(|name| JITTERS.into_iter().find(|(known, _)| *known == name));
    let jitter = jitter.map_or(Jitter::None, |(_, jitter)| jitter);
    let context = retry.context();
    for key in ["base", "jitter", "max"] {
        if let (Some(surplus), Some(kind)) = (retry.entry(key), kind)
            && !backoff_has(kind, key)
        {
            let message = format!("`{}` has no meaning with a back-off of `{kind}`", retry.path_of(key));
            context.push(Problem::error(surplus.key_span.clone(), message));
        }
    }
    let kind = kind?;
    if kind == "none" {
        return Some(Backoff::NONE);
    }
    let base = retry.required::<Positive>("base")?.0;
    let max = retry.optional::<Positive>("max").map_or(MAX.max(base), |Positive(max)| max);
    let backoff = match kind {
        "fixed" => Backoff::fixed(base, jitter),
        _ => Backoff::exponential(base, max, jitter),
    };
    let path = retry.path().to_owned();
    backoff
        .map_err(|error: BackoffError| {
            let place = match error {
                BackoffError::BaseZero => "base",
                BackoffError::MaxBelowBase => "max",
            };
            context.push(Problem::error(retry.span_of(place), format!("`{path}`: {error}")));
        })
        .ok()
}

/// `{ ratio = "20%", floor = "1/s" }`
fn read_budget(retry: &mut Fields<'_>) -> Option<RetryBudgetConfig> {
    let mut budget = retry.optional_table("budget")?;
    let ratio = budget.required::<Percentage>("ratio");
    let floor = budget.optional("floor").unwrap_or(Rate::ZERO);
    let (context, span, path) = (budget.context(), budget.span(), budget.path().to_owned());
    budget.finish();
    let config = RetryBudgetConfig::new(ratio?.0, floor.per_second())
        .map_err(|error| context.push(Problem::error(span.clone(), format!("`{path}`: {error}"))))
        .ok()?;
    if config.is_nothing() {
        let problem = Problem::warning(span, format!("`{path}` allows no retry at all"));
        context.push(problem.help("`floor` allows some to callers of few requests, such as \"1/s\""));
    }
    Some(config)
}

/// The text of a field that must be one of some names, `absent` where there is no field. `None` is a misspelt one: of
/// what belongs to it, nothing can be said.
pub(super) fn named_or(
    fields: &mut Fields<'_>,
    key: &'static str,
    names: &[&'static str],
    absent: &'static str,
) -> Option<&'static str> {
    if fields.entry(key).is_none() { Some(absent) } else { named(fields, key, names) }
}

/// The text of a field that must be one of some names.
pub(super) fn named(
    fields: &mut Fields<'_>,
    key: &'static str,
    names: &[&'static str],
) -> Option<&'static str> {
    let entry: &Entry = fields.entry(key)?;
    let path = fields.path_of(key);
    let text: Rc<str> = read(&entry.node, &path, fields.context())?;
    let name = names.iter().copied().find(|name| *name == &*text);
    if name.is_none() {
        let problem = Problem::error(entry.node.span.clone(), format!("`{path}`: there is no `{text}`"));
        fields.context().push(match nearest(&text, names.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None if names.len() == 1 => problem.help(format!("there is only {}", list(names))),
            None => problem.help(format!("there are {}", list(names))),
        });
    }
    name
}

#[cfg(test)]
mod tests {
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
        let on = RetryOn { server_errors: true, rate_limited: false, timeout: true, connect: true };
        let thrice = RetryPolicy { retries: 3, on, ..RetryPolicy::default() };
        assert_eq!(policy("{ retries = 3 }"), thrice);
        assert_eq!(policy("{ retries = 3, budget = false, backoff = 'none' }"), thrice);
        let rate_limited = RetryOn { rate_limited: true, ..RetryOn::default() };
        let asked = RetryPolicy { on: rate_limited, honor_retry_after: true, ..thrice };
        assert_eq!(policy("{ retries = 3, on = ['429'], honor_retry_after = true }"), asked);
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
            (
                "retries = 1, on = ['5xx', '4xx']",
                "`P.on`: there is no failure `4xx` to try again on",
                "'4xx'",
            ),
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
