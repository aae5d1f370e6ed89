//! What goes wrong, and when: the array `faults`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use simulator::{FaultError, FaultKind};

use super::context::Context;
use super::diagnostic::Problem;
use super::latency::Time;
use super::reader::{Field, Read, warn_of_clock};
use super::shape::{Choice, Shape};
use super::table::{Described, Empty, Item, Items, table};
use super::tree::{Entry, Node, Span, Value};
use super::upstream_names::Known;
use super::values::{AboveZero, FromNode, PartialShare, Positive, Share, read};
use super::words::{display_key, list};
use crate::UpstreamFault;
use crate::scenario::NamedUpstream;

table! {
    /// Something that goes wrong for a while: one of `error = { status }`, `refuse = true`, `slow = { latency }`,
    /// `hang = true`, `drip = { body }`, `reset = true`, `capacity = { factor }`, `rotate-keys = true` and `flush = true`.
    pub(super) struct Fault<'t> (Choice::OneKind) {
        /// The start of the fault, from the start of the scenario, such as `"30s"`.
        at: Duration, needed "when it begins, counted from the scenario's start, such as `at = \"2m\"`";
        /// How long the fault lasts, such as `"20s"`; above zero. A request that the fault struck keeps its course after the
        /// end of the fault.
        lasts ["for"]: Positive, needed "how long it lasts, such as `for = \"90s\"`";
        /// The names of the upstreams that the fault strikes.
        upstreams: Items<Struck>, needed "whom it strikes, such as `upstreams = [\"payments\"]`";
        /// The hosts of each of them that it strikes, by their numbers from 0, such as `[0, 3]`. Default: all.
        hosts: Items<StruckHost>;
        /// The share of the attempts that it strikes, drawn at random. Above zero.
        fraction: AboveZero<Share> = AboveZero(Share(1.0));
        error: Kind<ErrorFault<'t>>, is kind;
        /// The connection is refused; takes no worker.
        refuse: Plain, is kind;
        slow: Kind<SlowFault<'t>>, is kind;
        /// Never answered. The worker is held until the caller leaves.
        hang: Plain, is kind;
        drip: Kind<DripFault<'t>>, is kind;
        /// The connection is reset after part of the answer, which comes after the calls if there are any.
        reset: Plain, is kind;
        capacity: Kind<CapacityFault<'t>>, is kind;
        /// The identity provider signs with a new key from the start of the fault on, and publishes the old key until the end
        /// of the fault.
        rotate_keys ["rotate-keys"]: Plain, is kind;
        /// The cache before the upstream is emptied at the start of the fault, and keeps nothing until the end of the fault. Of a
        /// cache with `keys`, `fraction` is the share of the objects.
        flush: Plain, is kind;
    }

    /// Answered with a status at once; takes no worker.
    pub(super) struct ErrorFault<'t> (Choice::Free) {
        /// The HTTP status, 300 to 599.
        status: FailureStatus, needed "";
        /// How long the answer asks its caller to wait before the next attempt (`Retry-After`), in whole seconds such as `"3s"`.
        /// Retry policies with `honor_retry_after` wait at least as long. Default: the answer asks for no wait.
        retry_after: WholeSeconds;
    }

    /// The work takes another time.
    pub(super) struct SlowFault<'t> (Choice::Free) {
        /// The time in place of the upstream's own, such as `"28s"`: a duration, or a distribution.
        latency: Time, needed "such as `latency = \"5ms\"`";
    }

    /// The answer begins in time, after the calls if there are any, and its body trickles.
    pub(super) struct DripFault<'t> (Choice::Free) {
        /// From the first byte of the body to the last, such as `"10s"`: a duration, or a distribution.
        body: Time, needed "";
    }

    /// The service has lost a part of its speed.
    pub(super) struct CapacityFault<'t> (Choice::Free) {
        /// The share of the speed that is left, above zero and below 100%: at `"25%"` the work takes four times as long.
        factor: PartialShare, needed "";
    }

    /// A kind of fault that has no settings.
    struct NoSettings<'t> (Choice::Free) {
    }
}

/// A kind of fault, or `false` for none.
pub(super) struct Kind<T>(Option<T>);

impl<'t, T: Read<'t>> Read<'t> for Kind<T> {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        match node.value {
            Value::Boolean(false) => Some(Self(None)),
            _ => T::read(node, path, context).map(|kind| Self(Some(kind))),
        }
    }

    fn shape() -> Shape {
        super::shape::or_false(T::shape())
    }
}

/// A kind of fault that has no settings: `true` and `{}` say the same.
pub(super) struct Plain;

impl<'t> Read<'t> for Plain {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        match node.value {
            Value::Boolean(_) => Some(Self),
            _ => NoSettings::read(node, path, context).map(|_| Self),
        }
    }

    fn shape() -> Shape {
        let keywords = json!({ "type": ["object", "boolean"] });
        Shape::With(Box::new(<NoSettings<'_> as Read<'_>>::shape()), keywords)
    }
}

/// A status from 300 to 599. Whoever uses it refuses others.
pub(super) struct FailureStatus(u16);

impl FromNode for FailureStatus {
    fn from_node(node: &Node) -> Result<Self, String> {
        // What does not fit is no status of a failure either.
        u32::from_node(node).map(|status| Self(u16::try_from(status).unwrap_or(0)))
    }

    fn format() -> Shape {
        Shape::Value(json!({ "type": "integer", "minimum": 300, "maximum": 599 }))
    }
}

/// A time of whole seconds, at least one: what a `Retry-After` field can say.
pub(super) struct WholeSeconds(NonZeroU32);

impl FromNode for WholeSeconds {
    fn from_node(node: &Node) -> Result<Self, String> {
        let Positive(time) = Positive::from_node(node)?;
        let seconds = u32::try_from(time.as_secs()).ok().filter(|_| time.subsec_nanos() == 0);
        let seconds = seconds.and_then(NonZeroU32::new);
        seconds.map(Self).ok_or_else(|| format!("expected whole seconds, found {time:?}"))
    }

    fn format() -> Shape {
        Positive::format()
    }
}

/// The name of an upstream, and its place.
pub(super) struct Struck(Span, Rc<str>);

impl<'t> Read<'t> for Struck {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        Some(Self(node.span.clone(), read(node, path, context)?))
    }

    fn shape() -> Shape {
        <Rc<str> as FromNode>::format()
    }
}

impl Item for Struck {
    const OF: &'static str = "upstreams";
    const EMPTY: Empty = Empty::Refused;
}

/// The number of a host, and its place.
pub(super) struct StruckHost(Span, u32);

impl<'t> Read<'t> for StruckHost {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        Some(Self(node.span.clone(), read(node, path, context)?))
    }

    fn shape() -> Shape {
        <u32 as FromNode>::format()
    }
}

impl Item for StruckHost {
    const OF: &'static str = "numbers of hosts";
    const EMPTY: Empty = Empty::Refused;
}

impl Item for Fault<'_> {
    fn way_out() -> String {
        "each fault begins with [[faults]]".to_owned()
    }
}

/// The faults in the order of the file.
pub(super) fn build_faults(
    faults: Items<Fault<'_>>,
    upstreams: Known<'_>,
    built: &[NamedUpstream],
    duration: Duration,
) -> Vec<UpstreamFault> {
    let mut taken = HashMap::new();
    let faults = faults.0.into_iter().flatten();
    faults.filter_map(|fault| fault.build(upstreams, built, duration, &mut taken)).collect()
}

impl<'t> Fault<'t> {
    fn build(
        mut self,
        upstreams: Known<'_>,
        built: &[NamedUpstream],
        duration: Duration,
        taken: &mut HashMap<String, usize>,
    ) -> Option<UpstreamFault> {
        let context = self.table.context();
        warn_of_clock(&self.at, &self.table);
        let [at_span, for_span] = [self.at.span_in(&self.table), self.lasts.span_in(&self.table)];
        let struck_span = self.upstreams.span_in(&self.table);
        let fraction_span = self.fraction.span_in(&self.table);
        let (span, path) = (self.table.span(), self.table.path_of(self.upstreams.key));
        let (at, lasts, fraction) = (self.at.value, self.lasts.value, self.fraction.value.0.0);
        let place = |Struck(span, name)| upstreams.find(&span, &path, &name, context);
        let struck = self.upstreams.value.take().and_then(|struck| struck.all(place));
        let hosts = self.hosts.value.take().map(|hosts| hosts.0.into_iter().flatten().collect::<Vec<_>>());
        let hosts_path = self.table.path_of(self.hosts.key);
        let (entry, kind) = self.kind()?;
        let (at, Positive(lasts), struck, kind) = (at?, lasts?, struck?, kind?);
        if kind == FaultKind::RotateKeys && struck.iter().any(|place| Some(*place) != upstreams.provider) {
            let message = format!("`{path}`: only an identity provider has keys to rotate");
            let problem = Problem::error(struck_span.clone(), message);
            context.push(problem.help("that is an upstream with `serves = \"jwks\"`"));
        }
        let has_cache = |place: &&usize| built.get(**place).is_some_and(|named| named.config.cache.is_some());
        if kind == FaultKind::Flush
            && let Some(place) = struck.iter().find(|place| !has_cache(place))
        {
            let message = format!("`{path}`: `{}` has no cache to flush", upstreams.names[*place]);
            let problem = Problem::warning(struck_span.clone(), message);
            context.push(problem.help("`upstreams.NAME.cache` puts one before it"));
        }
        for StruckHost(span, number) in hosts.iter().flatten() {
            let lacks =
                |place: &&usize| built.get(**place).is_none_or(|named| named.hosts.len() <= *number as usize);
            if let Some(place) = struck.iter().find(lacks) {
                let (name, count) =
                    (upstreams.names[*place], built.get(*place).map_or(0, |named| named.hosts.len()));
                let message = format!("`{hosts_path}`: `{name}` has no host {number}");
                let problem = Problem::error(span.clone(), message);
                context.push(problem.help(match count {
                    0 | 1 => format!(
                        "it has one host; `upstreams.{}.hosts` says how many there are",
                        display_key(name)
                    ),
                    count => format!("its hosts are 0 to {}", count - 1),
                }));
            }
        }
        let hosts = hosts.map(|hosts| hosts.iter().map(|StruckHost(_, number)| *number).collect::<Vec<_>>());
        if at >= duration {
            let message = "`faults.at`: the fault begins after the last request";
            context
                .push(Problem::warning(at_span, message).help("`duration` is when requests stop to arrive"));
        } else if at.saturating_add(lasts) > duration {
            let message = "`faults.for`: the fault outlasts the requests, so that no recovery is observed";
            let problem = Problem::warning(for_span, message);
            context.push(problem.help("recovery is judged by ten seconds after the last fault"));
        }
        // Named by what it is, not by its place: another fault in the file shifts no draw of this one. Only what two have
        // in common is counted, lest both strike the same attempts.
        let names: Vec<_> = struck.iter().map(|upstream| upstreams.names[*upstream]).collect();
        let mut name = format!("{} at {at:?} for {lasts:?} of {}", kind.name(), names.join(", "));
        if let Some(hosts) = &hosts {
            let numbers: Vec<_> = hosts.iter().map(u32::to_string).collect();
            let _ = write!(name, ", hosts {}", numbers.join(", "));
        }
        let alike = taken.entry(name.clone()).or_default();
        *alike += 1;
        if *alike > 1 {
            let _ = write!(name, ", number {alike}");
        }
        let fault = simulator::Fault::new(at, lasts, fraction, kind, name)
            .map_err(|error| {
                let place = match error {
                    FaultError::DurationZero => span,
                    FaultError::Fraction => fraction_span,
                    FaultError::Status | FaultError::Factor => entry.node.span.clone(),
                };
                context.push(Problem::error(place, format!("`faults`: {error}")));
            })
            .ok()?;
        Some(UpstreamFault { upstreams: struck, hosts, fault })
    }

    /// The one kind that the fault has, and where it stands; `None` where it is not one, which is noted.
    fn kind(self) -> Option<(&'t Entry, Option<FaultKind>)> {
        let plain = |field: Field<'t, Option<Plain>>, kind| made(field, |_| Some(kind));
        let kinds = [
            made(self.error, |kind| {
                let ErrorFault { status, retry_after, .. } = kind.0?;
                let retry_after = retry_after.value.map(|WholeSeconds(seconds)| seconds);
                Some(FaultKind::Error { status: status.value?.0, retry_after })
            }),
            plain(self.refuse, FaultKind::Refuse),
            made(self.slow, |kind| Some(FaultKind::Slow { latency: kind.0?.latency.value?.0 })),
            plain(self.hang, FaultKind::Hang),
            made(self.drip, |kind| Some(FaultKind::Drip { body: kind.0?.body.value?.0 })),
            plain(self.reset, FaultKind::Reset),
            made(self.capacity, |kind| Some(FaultKind::Capacity { factor: kind.0?.factor.value?.0 })),
            plain(self.rotate_keys, FaultKind::RotateKeys),
            plain(self.flush, FaultKind::Flush),
        ];
        let mut kinds = kinds.into_iter().flatten();
        let problem = match (kinds.next(), kinds.next()) {
            (Some(only), None) => return Some(only),
            (None, _) => Problem::error(self.table.span(), "`faults`: a fault needs a kind"),
            (_, Some((second, _))) => {
                let message = "`faults`: a fault is of one kind, this is a second";
                Problem::error(second.key_span.clone(), message)
            }
        };
        self.table.context().push(problem.help(format!("one of {}", list(&Self::table().choices()))));
        None
    }
}

/// Where a kind of fault stands, and what it is; `None` where it is absent or `false`.
fn made<T>(
    field: Field<'_, Option<T>>,
    kind: impl FnOnce(T) -> Option<FaultKind>,
) -> Option<(&Entry, Option<FaultKind>)> {
    let entry = field.entry.filter(|entry| !matches!(entry.node.value, Value::Boolean(false)))?;
    Some((entry, field.value.and_then(kind)))
}

#[cfg(test)]
mod tests {
    use simulator::Latency;

    use super::super::testing::{first_problem, world_with};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn fault(fields: &str) -> String {
        format!("[[faults]]\nat = '1m'\nfor = '10s'\nupstreams = ['orders']\n{fields}\n")
    }

    #[test]
    fn each_kind_is_read() {
        let time = Latency::constant(SECOND).unwrap();
        for (fields, kind) in [
            ("error = { status = 503 }", FaultKind::Error { status: 503, retry_after: None }),
            (
                "error = { status = 503, retry_after = '3s' }",
                FaultKind::Error { status: 503, retry_after: NonZeroU32::new(3) },
            ),
            ("refuse = true", FaultKind::Refuse),
            ("hang = {}", FaultKind::Hang),
            ("reset = true\nhang = false", FaultKind::Reset),
            ("slow = { latency = '1s' }", FaultKind::Slow { latency: time.clone() }),
            ("slow.latency.constant = '1s'", FaultKind::Slow { latency: time.clone() }),
            ("drip = { body = '1s' }", FaultKind::Drip { body: time }),
            ("capacity = { factor = '25%' }", FaultKind::Capacity { factor: 0.25 }),
        ] {
            let faults = world_with(&fault(fields)).faults;
            let [UpstreamFault { upstreams, hosts: None, fault }] = &faults[..] else { panic!("{faults:?}") };
            assert_eq!((fault.kind(), &upstreams[..]), (&kind, &[0][..]), "{fields}");
            assert_eq!((fault.from(), fault.to()), (60 * SECOND, 70 * SECOND));
        }
    }

    #[test]
    fn a_cache_can_be_flushed_where_there_is_one() {
        let flush = fault("flush = true");
        let faults = world_with(&format!("upstreams.orders.cache.hits = '50%'\n{flush}")).faults;
        assert_eq!(faults[0].fault.kind(), &FaultKind::Flush);
        let (problem, place) = first_problem(&flush);
        assert_eq!(problem, "`faults.upstreams`: `orders` has no cache to flush");
        assert_eq!(place, "['orders']");
    }

    #[test]
    fn faults_that_are_alike_strike_attempts_of_their_own() {
        let half = |status| fault(&format!("fraction = '50%'\nerror = {{ status = {status} }}"));
        let faults = world_with(&format!("{}{}{}", half(500), half(502), half(500))).faults;
        let names: Vec<_> = faults.iter().map(|UpstreamFault { fault, .. }| fault.name()).collect();
        assert_eq!(
            names,
            [
                "error at 60s for 10s of orders",
                "error at 60s for 10s of orders, number 2",
                "error at 60s for 10s of orders, number 3",
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (fields, message, place) in [
            ("", "`faults`: a fault needs a kind", "[[faults]]"),
            ("hang = false", "`faults`: a fault needs a kind", "[[faults]]"),
            ("hang = true\nrefuse = true", "`faults`: a fault is of one kind, this is a second", "hang"),
            ("hnag = true", "`faults`: a fault needs a kind", "[[faults]]"),
            ("hang = 1", "`faults.hang`: expected a table, found an integer", "1"),
            ("hang = { latency = '1s' }", "`faults.hang` has no field `latency`", "latency"),
            ("error = true", "`faults.error`: expected a table, found a boolean", "true"),
            ("error = {}", "`faults.error` needs `status`", "{}"),
            (
                "error = { status = 503, retry_after = '1500ms' }",
                "`faults.error.retry_after`: expected whole seconds, found 1.5s",
                "'1500ms'",
            ),
            ("error = { status = 200 }", "`faults`: status must be from 300 to 599", "{ status = 200 }"),
            ("error = { status = 70000 }", "`faults`: status must be from 300 to 599", "{ status = 70000 }"),
            (
                "capacity = { factor = '100%' }",
                "`faults`: factor must be above 0% and below 100%",
                "{ factor = '100%' }",
            ),
            (
                "slow = { latency = 28 }",
                "`faults.slow.latency`: expected a duration or a distribution, found an integer",
                "28",
            ),
            ("drip = {}", "`faults.drip` needs `body`", "{}"),
            ("hang = true\nfraction = '0%'", "`faults`: fraction must be above 0% and at most 100%", "'0%'"),
        ] {
            assert_eq!(first_problem(&fault(fields)), (message.to_owned(), place.to_owned()), "{fields}");
        }
        for (fields, message) in [
            ("at = '1m', for = '0s', upstreams = ['orders']", "`faults.for`: expected more than zero"),
            ("for = '1s', upstreams = ['orders']", "`faults` needs `at`"),
            (
                "at = '1m', for = '1s', upstreams = []",
                "`faults.upstreams`: expected at least one, found none",
            ),
            (
                "at = '1m', for = '1s', upstreams = ['order']",
                "`faults.upstreams`: there is no upstream `order`",
            ),
            (
                "at = '1m', for = '1s', upstreams = 'orders'",
                "`faults.upstreams`: expected an array of upstreams, found a string",
            ),
            (
                "at = '2m', for = '1s', upstreams = ['orders']",
                "`faults.at`: the fault begins after the last request",
            ),
        ] {
            let (problem, _) = first_problem(&format!("faults = [{{ {fields}, hang = true }}]"));
            assert_eq!(problem, message, "{fields}");
        }
        assert_eq!(first_problem("faults = {}").0, "`faults`: expected an array of tables, found a table");
    }
}
