//! Services that ask others: the array `calls` of an upstream.

use std::num::NonZeroU32;
use std::rc::Rc;

use gateway::{HostsConfig, RetryPolicy};
use simulator::Population;

use super::balance::Balance;
use super::breaker::Breaker;
use super::context::Context;
use super::diagnostic::Problem;
use super::presets::CallerPreset;
use super::retry::Retry;
use super::shape::Choice;
use super::table::{Item, Switch, table};
use super::tree::{Span, Table, Value};
use super::upstream_names::Known;
use super::values::{AboveZero, Positive, Share};
use super::words::display_key;
use crate::World;
use crate::scenario::NamedUpstream;

table! {
    /// A call from a service to another service.
    pub(super) struct Call<'t> (Choice::Free) {
        /// The name of the upstream that is called.
        upstream: Rc<str>, needed "the name of one of the `upstreams`";
        /// The library whose defaults hold where the file says nothing: the retries that it makes by itself, and for a `retry` or
        /// `breaker` of the file the values that are left out. Default: what is left out is off.
        preset: CallerPreset, is policy;
        /// For what share of the requests the call is made, drawn for each request of a client. Above zero.
        share: AboveZero<Share> = AboveZero(Share(1.0));
        /// How long the service waits for the answer to each attempt. Default: for as long as it takes.
        timeout: Positive, else unbounded, is policy;
        /// When the service tries again; `false` or left out for never.
        retry: Switch<Retry<'t>>, is policy;
        /// The service's own circuit breaker in front of the upstream; `false` or left out for none. Calls that the breaker
        /// rejects fail at once.
        breaker: Switch<Breaker<'t>>, is policy;
        /// By what rule each attempt is given its host, where the other has several. `{ hash = … }` is for gateways alone.
        balance: Balance = Balance(gateway::Balance::RoundRobin), is policy;
    }
}

impl Item for Call<'_> {}

impl Call<'_> {
    /// The call, and the place of the name it asks.
    pub(super) fn build(self, upstreams: Known<'_>) -> Option<(simulator::Call, Span)> {
        // The tree that is read has the preset below it.
        let _: Option<CallerPreset> = self.preset.value;
        let retry = self.retry.on().map(Retry::build_of_server).unwrap_or_default();
        let breaker = self.breaker.on().and_then(Breaker::build);
        let upstream = upstreams.find_named(&self.upstream, &self.table)?;
        let timeout = self.timeout.value.map(|Positive(timeout)| timeout);
        let Balance(balance) = self.balance.value;
        if let gateway::Balance::Hash(_) = balance {
            let message =
                format!("`{}`: a service does not know its clients", self.table.path_of(self.balance.key));
            let problem = Problem::error(self.balance.span_in(&self.table), message);
            self.table.context().push(problem.help("`hash` is for `gateway.upstreams.NAME.balance`"));
        }
        let AboveZero(Share(share)) = self.share.value;
        if share <= 0.0 {
            let message = format!("`{}`: expected more than zero", self.table.path_of(self.share.key));
            let problem = Problem::error(self.share.span_in(&self.table), message);
            self.table.context().push(problem.help("a call that is never made is left out"));
        }
        let hosts = HostsConfig::new(NonZeroU32::MIN, balance);
        let call = simulator::Call { upstream, share, timeout, retry, breaker, hosts };
        Some((call, self.upstream.span_in(&self.table)))
    }
}

/// Notes every call that closes a circle: a service cannot wait for itself.
pub(super) fn refuse_circles(
    calls: &[Vec<(simulator::Call, Span)>],
    names: &[&str],
    context: &Context<'_>,
) -> bool {
    /// Neither seen, on the way from where the search began, nor done with.
    #[derive(Clone, Copy, PartialEq)]
    enum Visit {
        New,
        OnTheWay,
        Done,
    }
    let mut marks = vec![Visit::New; calls.len()];
    let mut circles = false;
    for first in 0..calls.len() {
        // Upstream and how many of its calls have been followed.
        let mut way = if marks[first] == Visit::New { vec![(first, 0)] } else { Vec::new() };
        while let Some((upstream, followed)) = way.last_mut() {
            marks[*upstream] = Visit::OnTheWay;
            let Some((call, span)) = calls[*upstream].get(*followed) else {
                marks[*upstream] = Visit::Done;
                way.pop();
                continue;
            };
            *followed += 1;
            match marks[call.upstream] {
                Visit::New => way.push((call.upstream, 0)),
                Visit::OnTheWay => {
                    let from = way.iter().position(|(upstream, _)| *upstream == call.upstream).unwrap_or(0);
                    let circle: Vec<_> = way[from..].iter().map(|(upstream, _)| names[*upstream]).collect();
                    let (circle, first) = (circle.join(" → "), names[call.upstream]);
                    let message = format!("`upstreams`: calls go in a circle: {circle} → {first}");
                    context.push(Problem::error(span.clone(), message));
                    circles = true;
                }
                Visit::Done => {}
            }
        }
    }
    circles
}

/// More attempts than this for one request are refused: each layer multiplies those below it, and nobody waits for the end
/// of thirty layers of two calls each.
const MOST_ATTEMPTS: u64 = 1_000_000;

/// Notes where one request may come to more than [`MOST_ATTEMPTS`] attempts at upstreams: by the calls of the services alone,
/// at the one of them that passes it, or else by the retries of gateway and clients before them. Budgets, breakers and
/// timeouts do not count: what they save is what the scenario is run for.
pub(super) fn refuse_avalanches(tree: &Table, world: &World, context: &Context<'_>) {
    let message = |path: &str| {
        format!("`{path}`: one request may come to more than {MOST_ATTEMPTS} attempts at upstreams")
    };
    let push = |span: Span, message: String| {
        let problem = Problem::error(span, message);
        context.push(problem.help("fewer `calls` or `retries`: each layer multiplies those below it"));
    };
    let mut known = vec![None; world.upstreams.len()];
    for upstream in 0..world.upstreams.len() {
        attempts_at(upstream, &world.upstreams, &mut known);
    }
    // A file that is refused already may have routes to upstreams that are not there.
    let attempts = |upstream: usize| known.get(upstream).copied().flatten().unwrap_or(1);
    let passes = |upstream: usize| attempts(upstream) > MOST_ATTEMPTS;
    for (place, NamedUpstream { name, config, .. }) in world.upstreams.iter().enumerate() {
        // Whoever asks one that passes it is not told too.
        if !passes(place) || config.calls.iter().any(|call| passes(call.upstream)) {
            continue;
        }
        let share = |call: &simulator::Call| times(&call.retry).saturating_mul(attempts(call.upstream));
        let most = (0..config.calls.len()).max_by_key(|place| share(&config.calls[*place]));
        let calls = tree.find(&["upstreams", name, "calls"]);
        if let (Some(most), Some(Value::Array(items))) = (most, calls.map(|entry| &entry.node.value)) {
            let span = items.get(most).map_or(0..0, |item| item.span.clone());
            push(span, message(&format!("upstreams.{}.calls", display_key(name))));
        }
    }
    if (0..world.upstreams.len()).any(passes) {
        return;
    }
    let routes: Vec<_> = world.gateway.routes.iter().collect();
    let of_route = |route: u32| {
        let Some(route) = routes.get(route as usize) else { return 1 };
        let retry = world.gateway.retry_of(route).unwrap_or_default();
        times(&retry.policy).saturating_mul(attempts(route.upstream.0 as usize))
    };
    for Population { name, targets, retry, .. } in &world.populations {
        let most = targets.iter().map(|target| of_route(target.route)).max().unwrap_or(0);
        if times(retry).saturating_mul(most) > MOST_ATTEMPTS
            && let Some(clients) = tree.find(&["clients", name])
        {
            push(clients.key_span.clone(), message(&format!("clients.{}", display_key(name))));
        }
    }
}

/// The attempts that one attempt at an upstream may come to, itself and all below it. Calls do not go in a circle.
fn attempts_at(upstream: usize, upstreams: &[NamedUpstream], known: &mut [Option<u64>]) -> u64 {
    if let Some(attempts) = known[upstream] {
        return attempts;
    }
    // As deep as calls are nested, and they are no more than the names that a file may have.
    let attempts = upstreams[upstream].config.calls.iter().fold(1, |sum: u64, call| {
        sum.saturating_add(times(&call.retry).saturating_mul(attempts_at(call.upstream, upstreams, known)))
    });
    known[upstream] = Some(attempts);
    attempts
}

/// How many attempts a policy makes of one.
fn times(retry: &RetryPolicy) -> u64 {
    u64::from(retry.retries) + 1
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gateway::{BreakerConfig, HostsConfig, RetryPolicy};
    use simulator::Call;

    use super::super::testing::{first_problem, world_with};

    #[test]
    fn calls_are_made_in_the_order_of_the_file() {
        // The last two stand further down than who asks them.
        let world = world_with(
            "upstreams.orders.calls = [{ upstream = 'stock', timeout = '1s', breaker = {} }, \
             { upstream = 'payments', retry = false, share = '25%' }]\nupstreams.orders.parallel = true",
        );
        assert!(world.upstreams[0].config.parallel && !world.upstreams[1].config.parallel);
        let (retry, breaker) = (RetryPolicy::default(), Some(BreakerConfig::RECOMMENDED));
        let hosts = HostsConfig::default();
        let wanted = [
            Call { upstream: 2, share: 1.0, timeout: Some(Duration::from_secs(1)), retry, breaker, hosts },
            Call { upstream: 1, share: 0.25, timeout: None, retry, breaker: None, hosts },
        ];
        assert_eq!(world.upstreams[0].config.calls, wanted);
    }

    #[test]
    fn two_ways_to_the_same_upstream_are_no_circle() {
        let world = world_with(
            "upstreams.orders.calls = [{ upstream = 'payments' }, { upstream = 'stock' }]\n\
             upstreams.payments.calls = [{ upstream = 'stock' }, { upstream = 'stock' }]",
        );
        let calls: Vec<_> = world.upstreams.iter().map(|upstream| upstream.config.calls.len()).collect();
        assert_eq!(calls, [2, 2, 0]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (calls, message, place) in [
            ("{}", "`upstreams.orders.calls`: expected an array of tables, found a table", "{}"),
            ("[{}]", "`upstreams.orders.calls` needs `upstream`", "{}"),
            ("['stock']", "`upstreams.orders.calls`: expected a table, found a string", "'stock'"),
            (
                "[{ upstream = 'stok' }]",
                "`upstreams.orders.calls.upstream`: there is no upstream `stok`",
                "'stok'",
            ),
            (
                "[{ upstream = 'stock', timeout = '0s' }]",
                "`upstreams.orders.calls.timeout`: expected more than zero",
                "'0s'",
            ),
            ("[{ upstream = 'stock', retry = {} }]", "`upstreams.orders.calls.retry` needs `retries`", "{}"),
            (
                "[{ upstream = 'stock', share = '0%' }]",
                "`upstreams.orders.calls.share`: expected more than zero",
                "'0%'",
            ),
            (
                "[{ upstream = 'stock', workers = 3 }]",
                "`upstreams.orders.calls` has no field `workers`",
                "workers",
            ),
            ("[{ upstream = 'orders' }]", "`upstreams`: calls go in a circle: orders → orders", "'orders'"),
        ] {
            let problem = first_problem(&format!("upstreams.orders.calls = {calls}"));
            assert_eq!(problem, (message.to_owned(), place.to_owned()), "{calls}");
        }
        let (message, place) = first_problem(
            "upstreams.orders.calls = [{ upstream = 'stock' }]\n\
             upstreams.payments.calls = [{ upstream = \"orders\" }]\n\
             upstreams.stock.calls = [{ upstream = 'payments' }]",
        );
        // It is noted at the call that closes it, seen from the first upstream of the file.
        assert_eq!(message, "`upstreams`: calls go in a circle: orders → stock → payments → orders");
        assert_eq!(place, "\"orders\"");
    }

    #[test]
    fn a_million_attempts_for_a_request_are_enough() {
        let told = "one request may come to more than 1000000 attempts at upstreams";
        // 1 + 999 × 1,001 is a million to the digit; then the client's own retry doubles it.
        let below = "upstreams.orders.calls = [{ upstream = 'stock', retry = { retries = 998 } }]\n\
                     upstreams.stock.calls = [{ upstream = 'payments', retry = { retries = 999 } }]\n";
        world_with(below);
        let twice = first_problem(&format!("{below}clients.shoppers.retry.retries = 1"));
        assert_eq!(twice, (format!("`clients.shoppers`: {told}"), "shoppers".to_owned()));
        let by_gateway = first_problem(&format!("{below}gateway.retry.retries = 1"));
        assert_eq!(by_gateway, twice);
        world_with(&format!("{below}gateway.retry.retries = 1\nroutes.'/orders'.retry = false"));
        // Among services, at the call that makes most of it, and not again at who asks them.
        let (message, place) = first_problem(
            "upstreams.orders.calls = [{ upstream = 'stock' }]\n\
             upstreams.stock.calls = [{ upstream = 'payments' }, { upstream = 'payments', retry = { retries = 1000 } }]\n\
             upstreams.payments.calls = [{ upstream = 'last', retry = { retries = 1000 } }]\n\
             upstreams.last.latency.constant = '1ms'",
        );
        assert_eq!(message, format!("`upstreams.stock.calls`: {told}"));
        assert_eq!(place, "{ upstream = 'payments', retry = { retries = 1000 } }");
    }
}
