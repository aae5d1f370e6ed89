//! The paths that the gateway serves: the tables `routes.PATH`.

use std::num::NonZeroU32;
use std::rc::Rc;

use gateway::{ConcurrencyCap, PathFault, Paths, RouteError, Routes, UpstreamId};
use url::Url;

use super::concurrency::Cap;
use super::context::Context;
use super::diagnostic::Problem;
use super::retry::GatewayRetry;
use super::shape::Choice;
use super::table::{One, Switch, table};
use super::upstream_names::Known;
use super::values::{Positive, Statuses, Weight};
use super::words::checked_name;

table! {
    /// Where requests for a path go.
    pub(super) struct Route<'t> (Choice::Free) {
        /// The name of the upstream that answers.
        upstream: Rc<str>, needed "the name of one of the `upstreams`";
        /// How long an answer may take, from the moment the request has a worker of the gateway; then the client gets
        /// 504. Default: the gateway's `timeout`.
        timeout: Positive, else unbounded, is policy;
        /// How long each attempt of the gateway's may go without the beginning of an answer; then the attempt is over, and `retry`
        /// may make another within `timeout`. Default: the `try_timeout` of the upstream's policy, or else the gateway's.
        try_timeout: Positive, else unbounded, is policy;
        /// When the gateway tries again by itself; `false` for never. Default: the gateway's `retry`.
        retry: Switch<GatewayRetry<'t>>, is policy;
        /// Requests on this route that may hold or wait for a worker of the gateway, at least 1; the next is answered 503, or waits
        /// (`max_pending`). Default: unbounded.
        max_in_flight: NonZeroU32, else unbounded, is policy;
        /// Requests beyond `max_in_flight` that may wait until one of those ends, first in, first out, and no longer than the
        /// gateway's `queue_timeout`; the next is answered 503. Who waits holds no worker.
        max_pending: u32 = 0, is policy;
        /// Requests on this route that may wait for the gateway's next attempt or make it; a failed attempt beyond is answered as
        /// it is. Default: unbounded.
        max_retries: u32, else unbounded, is policy;
        /// Whether the gateway asks for a token, if it has `auth`.
        auth: bool = true, is policy;
        /// Statuses that it is expected to answer beside 2xx, each from 100 to 599, such as `[304]`: then they count as
        /// served. Without it 3xx counts as redirected, and 4xx and 5xx as errors of the upstream.
        expect_status: Statuses;
        /// How many times a request on this route counts in the verdict of a report, where goodput, blast radius and direct
        /// damage are weighed: above zero, at most a million. The same in all variants.
        weight: Weight = Weight(1.0), is policy;
    }
}

/// The routes of a gateway, and what else is said of each, in their order.
pub(super) struct BuiltRoutes {
    pub(super) routes: Routes,
    /// The statuses beyond 2xx that it is expected to answer.
    pub(super) expect_status: Vec<Vec<u16>>,
    /// How many times a request counts.
    pub(super) weights: Vec<f64>,
}

/// The routes; `None` if they cannot be used.
pub(super) fn build_routes(
    tables: Vec<One<'_, Route<'_>>>,
    upstreams: Known<'_>,
    paths: Paths,
    context: &Context<'_>,
) -> Option<BuiltRoutes> {
    let (mut routes, mut places) = (Vec::new(), Vec::new());
    let (mut expect_status, mut weights) = (Vec::new(), Vec::new());
    for One { entry, value } in tables {
        let mut route = plain_route(&entry.key);
        let (mut expected, mut weight) = (Vec::new(), 1.0);
        if let Some(table) = value {
            route.upstream =
                UpstreamId(upstreams.find_named(&table.upstream, &table.table).unwrap_or(0) as u32);
            route.timeout = table.timeout.value.map(|Positive(timeout)| timeout);
            route.try_timeout = table.try_timeout.value.map(|Positive(timeout)| timeout);
            route.retry = GatewayRetry::said(table.retry);
            let cap = Cap {
                in_flight: &table.max_in_flight,
                pending: &table.max_pending,
                retries: &table.max_retries,
            };
            let cap = cap.build(&table.table);
            route.concurrency = (cap != ConcurrencyCap::default()).then_some(cap);
            route.auth = table.auth.value;
            weight = table.weight.value.0;
            expected = table.expect_status.value.map_or_else(Vec::new, |Statuses(statuses)| statuses);
        }
        expect_status.push(expected);
        weights.push(weight);
        routes.push(route);
        places.push(entry.key_span.clone());
    }
    if routes.is_empty() {
        return None;
    }
    // The table names what is wrong with one route at a time; that one is taken out to hear of the next.
    let mut usable = true;
    loop {
        let error = match Routes::reading(paths, routes.clone()) {
            Ok(routes) => return usable.then_some(BuiltRoutes { routes, expect_status, weights }),
            Err(error) => error,
        };
        usable = false;
        // Of two, the later one.
        let place = routes.iter().rposition(|route| route.path == error.path())?;
        let span = places.get(place).cloned().unwrap_or_default();
        let problem = Problem::error(span, format!("`routes`: {error}"));
        context.push(match (&error, paths) {
            (RouteError::Duplicate(_), Paths::Normal) => {
                problem.help("a `/` at the end, repeated slashes and the way of encoding make no other path")
            }
            (RouteError::Duplicate(_), Paths::Verbatim) => {
                problem.help("a path and the same with a `/` at its end are one")
            }
            (
                RouteError::Refused { fault: PathFault::EncodedSeparator | PathFault::Backslash, .. },
                Paths::Normal,
            ) => problem.help("`gateway.paths = \"verbatim\"` passes such paths on as they come"),
            (RouteError::Refused { .. } | RouteError::Path(_), _) => problem,
        });
        routes.remove(place);
        places.remove(place);
    }
}

/// A route to the first upstream, without any policy.
fn plain_route(path: &str) -> gateway::Route {
    gateway::Route {
        path: path.to_owned(),
        upstream: UpstreamId(0),
        timeout: None,
        try_timeout: None,
        retry: None,
        concurrency: None,
        auth: true,
    }
}

/// Whether a gateway that reads paths in one form can have this path for a route, and clients can ask for it.
///
/// # Errors
///
/// Why not.
pub(crate) fn is_route(path: &str) -> Result<(), String> {
    checked_name(path)?;
    let routes = Routes::new(vec![plain_route(path)]).map_err(|error| error.to_string())?;
    routes.judge(path).map_err(|fault| fault.detail().to_owned())?;
    if is_sent_as_written(path) { Ok(()) } else { Err("a URL cannot have it as it is written".to_owned()) }
}

/// Whether clients over sockets, which send URLs, send the path as it is.
pub(super) fn is_sent_as_written(path: &str) -> bool {
    let url = Url::parse("http://gateway/");
    url.is_ok_and(|mut url| {
        url.set_path(path);
        url.path() == path
    })
}
