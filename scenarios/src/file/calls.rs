//! Services that ask others: the array `calls` of an upstream.

use std::rc::Rc;

use simulator::Call;

use super::breaker::read_breaker;
use super::context::Context;
use super::diagnostic::Problem;
use super::reader::{Fields, Positive, find_upstream, read};
use super::retry::read_retry;
use super::tree::{Span, Value};

/// The calls of an upstream in order, each with the place of the name it asks; `upstreams` are the names there are.
pub(super) fn read_calls(
    fields: &mut Fields<'_>,
    upstreams: &[&str],
    context: &Context<'_>,
) -> Vec<(Call, Span)> {
    let Some(entry) = fields.entry("calls") else { return Vec::new() };
    let path = fields.path_of("calls");
    let Value::Array(items) = &entry.node.value else {
        let message = format!("`{path}`: expected an array of tables, found {}", entry.node.kind());
        context.push(Problem::error(entry.node.span.clone(), message));
        return Vec::new();
    };
    let mut calls = Vec::new();
    for item in &**items {
        let Some(mut fields) = Fields::of(item, path.clone(), context) else { continue };
        let named = fields.required_entry("upstream");
        let timeout = fields.optional::<Positive>("timeout").map(|Positive(timeout)| timeout);
        let retry = read_retry(&mut fields);
        let breaker = read_breaker(&mut fields);
        fields.finish();
        let Some(named) = named else { continue };
        let (path, span) = (format!("{path}.upstream"), &named.node.span);
        let Some(name) = read::<Rc<str>>(&named.node, &path, context) else { continue };
        if let Some(upstream) = find_upstream(span, &path, &name, upstreams, context) {
            calls.push((Call { upstream, timeout, retry, breaker }, span.clone()));
        }
    }
    calls
}

/// Notes every call that closes a circle: a service cannot wait for itself.
pub(super) fn refuse_circles(calls: &[Vec<(Call, Span)>], names: &[&str], context: &Context<'_>) -> bool {
    /// Neither seen, on the way from where the search began, nor done with.
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnTheWay,
        Done,
    }
    let mut marks = vec![Mark::New; calls.len()];
    let mut circles = false;
    for first in 0..calls.len() {
        // Upstream and how many of its calls have been followed.
        let mut way = if marks[first] == Mark::New { vec![(first, 0)] } else { Vec::new() };
        while let Some((upstream, followed)) = way.last_mut() {
            marks[*upstream] = Mark::OnTheWay;
            let Some((call, span)) = calls[*upstream].get(*followed) else {
                marks[*upstream] = Mark::Done;
                way.pop();
                continue;
            };
            *followed += 1;
            match marks[call.upstream] {
                Mark::New => way.push((call.upstream, 0)),
                Mark::OnTheWay => {
                    let from = way.iter().position(|(upstream, _)| *upstream == call.upstream).unwrap_or(0);
                    let circle: Vec<_> = way[from..].iter().map(|(upstream, _)| names[*upstream]).collect();
                    let (circle, first) = (circle.join(" → "), names[call.upstream]);
                    let message = format!("`upstreams`: calls go in a circle: {circle} → {first}");
                    context.push(Problem::error(span.clone(), message));
                    circles = true;
                }
                Mark::Done => {}
            }
        }
    }
    circles
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gateway::{BreakerConfig, RetryPolicy};

    use super::super::testing::{first_problem, world_with};
    use super::*;

    #[test]
    fn calls_are_made_in_the_order_of_the_file() {
        // The last two stand further down than who asks them.
        let world = world_with(
            "upstreams.orders.calls = [{ upstream = 'stock', timeout = '1s', breaker = {} }, \
             { upstream = 'payments', retry = false }]",
        );
        let (retry, breaker) = (RetryPolicy::default(), Some(BreakerConfig::RECOMMENDED));
        let wanted = [
            Call { upstream: 2, timeout: Some(Duration::from_secs(1)), retry, breaker },
            Call { upstream: 1, timeout: None, retry, breaker: None },
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
}
