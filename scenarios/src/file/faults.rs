//! What goes wrong, and when: the array `faults`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use simulator::{Fault, FaultError, FaultKind};

use super::context::Context;
use super::diagnostic::Problem;
use super::latency::read_time;
use super::reader::{Fields, Positive, Share, find_upstream, list, read, warn_of_clock};
use super::tree::{Entry, Node, Value};
use crate::UpstreamFault;

pub(super) const KINDS: [&str; 8] =
    ["error", "refuse", "slow", "hang", "drip", "reset", "capacity", "rotate-keys"];

/// The faults in the order of the file; `upstreams` are the names that they may strike, `provider` the one that serves keys.
pub(super) fn read_faults(
    top: &mut Fields<'_>,
    upstreams: &[&str],
    provider: Option<usize>,
    duration: Duration,
    context: &Context<'_>,
) -> Vec<UpstreamFault> {
    let Some(entry) = top.entry("faults") else { return Vec::new() };
    let Value::Array(items) = &entry.node.value else {
        let message = format!("`faults`: expected an array of tables, found {}", entry.node.kind());
        context
            .push(Problem::error(entry.node.span.clone(), message).help("each fault begins with [[faults]]"));
        return Vec::new();
    };
    let (mut faults, mut taken) = (Vec::new(), HashMap::new());
    for item in &**items {
        let Some(fields) = Fields::of(item, "faults", context) else { continue };
        faults.extend(read_fault(fields, upstreams, provider, duration, &mut taken, context));
    }
    faults
}

fn read_fault(
    mut fields: Fields<'_>,
    upstreams: &[&str],
    provider: Option<usize>,
    duration: Duration,
    taken: &mut HashMap<String, usize>,
    context: &Context<'_>,
) -> Option<UpstreamFault> {
    let at: Option<Duration> = fields.required("at");
    warn_of_clock(fields.entry("at"), "faults.at", context);
    let lasts = fields.required::<Positive>("for");
    let struck = read_upstreams(&mut fields, upstreams, context);
    let fraction = fields.optional::<Share>("fraction").map_or(1.0, |share| share.0);
    let kinds = KINDS
        .map(|kind| fields.entry(kind).filter(|entry| !matches!(entry.node.value, Value::Boolean(false))));
    let kinds: Vec<_> =
        KINDS.into_iter().zip(kinds).filter_map(|(kind, entry)| Some((kind, entry?))).collect();
    let (span, at_span, for_span) = (fields.span(), fields.span_of("at"), fields.span_of("for"));
    let (fraction_span, struck_span) = (fields.span_of("fraction"), fields.span_of("upstreams"));
    fields.finish();
    let &[(kind, entry)] = &kinds[..] else {
        let problem = match kinds.get(1) {
            None => Problem::error(span, "`faults`: a fault needs a kind"),
            Some((_, second)) => {
                Problem::error(second.key_span.clone(), "`faults`: a fault is of one kind, this is a second")
            }
        };
        context.push(problem.help(format!("one of {}", list(&KINDS))));
        return None;
    };
    let kind = read_kind(kind, entry, context);
    let (at, Positive(lasts), struck, kind) = (at?, lasts?, struck?, kind?);
    if kind == FaultKind::RotateKeys && struck.iter().any(|upstream| Some(*upstream) != provider) {
        let problem =
            Problem::error(struck_span, "`faults.upstreams`: only an identity provider has keys to rotate");
        context.push(problem.help("that is an upstream with `serves = \"jwks\"`"));
    }
    if at >= duration {
        let message = "`faults.at`: the fault begins after the last request";
        context.push(Problem::warning(at_span, message).help("`duration` is when requests stop to arrive"));
    } else if at.saturating_add(lasts) > duration {
        let message = "`faults.for`: the fault outlasts the requests, so that no recovery is observed";
        let problem = Problem::warning(for_span, message);
        context.push(problem.help("recovery is judged by ten seconds after the last fault"));
    }
    // Named by what it is, not by its place: another fault in the file shifts no draw of this one. Only what two have
    // in common is counted, lest both strike the same attempts.
    let names: Vec<_> = struck.iter().map(|upstream| upstreams[*upstream]).collect();
    let mut name = format!("{} at {at:?} for {lasts:?} of {}", kind.name(), names.join(", "));
    let alike = taken.entry(name.clone()).or_default();
    *alike += 1;
    if *alike > 1 {
        let _ = write!(name, ", number {alike}");
    }
    let fault = Fault::new(at, lasts, fraction, kind, name)
        .map_err(|error| {
            let place = match error {
                FaultError::DurationZero => span,
                FaultError::Fraction => fraction_span,
                FaultError::Status | FaultError::Factor => entry.node.span.clone(),
            };
            context.push(Problem::error(place, format!("`faults`: {error}")));
        })
        .ok()?;
    Some(UpstreamFault { upstreams: struck, fault })
}

fn read_upstreams(fields: &mut Fields<'_>, upstreams: &[&str], context: &Context<'_>) -> Option<Vec<usize>> {
    let entry = fields.required_entry("upstreams")?;
    let path = fields.path_of("upstreams");
    let Value::Array(items) = &entry.node.value else {
        let message = format!("`{path}`: expected an array of upstreams, found {}", entry.node.kind());
        context.push(Problem::error(entry.node.span.clone(), message));
        return None;
    };
    if items.is_empty() {
        context.push(Problem::error(
            entry.node.span.clone(),
            format!("`{path}`: expected at least one, found none"),
        ));
    }
    let place = |item: &Node| {
        let name: Rc<str> = read(item, &path, context)?;
        find_upstream(&item.span, &path, &name, upstreams, context)
    };
    let places: Vec<_> = items.iter().map(place).collect();
    places.into_iter().collect()
}

fn read_kind(kind: &'static str, entry: &Entry, context: &Context<'_>) -> Option<FaultKind> {
    let path = format!("faults.{kind}");
    // `hang = true` and `hang = {}` say the same.
    let plain = |kind: FaultKind| {
        if !matches!(entry.node.value, Value::Boolean(true)) {
            Fields::of(&entry.node, path.clone(), context)?.finish();
        }
        Some(kind)
    };
    match kind {
        "refuse" => plain(FaultKind::Refuse),
        "hang" => plain(FaultKind::Hang),
        "reset" => plain(FaultKind::Reset),
        "rotate-keys" => plain(FaultKind::RotateKeys),
        "error" => {
            let mut fields = Fields::of(&entry.node, path, context)?;
            let status = fields.required::<u32>("status");
            fields.finish();
            // What does not fit is no status of a failure either.
            Some(FaultKind::Error { status: u16::try_from(status?).unwrap_or(0) })
        }
        "capacity" => {
            let mut fields = Fields::of(&entry.node, path, context)?;
            let factor = fields.required::<Share>("factor");
            fields.finish();
            Some(FaultKind::Capacity { factor: factor?.0 })
        }
        _ => {
            let key = if kind == "slow" { "latency" } else { "body" };
            let mut fields = Fields::of(&entry.node, path, context)?;
            let time = fields.required_entry(key);
            let time = time.and_then(|time| read_time(&time.node, &fields.path_of(key), context));
            fields.finish();
            let time = time?;
            Some(if kind == "slow" {
                FaultKind::Slow { latency: time }
            } else {
                FaultKind::Drip { body: time }
            })
        }
    }
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
            ("error = { status = 503 }", FaultKind::Error { status: 503 }),
            ("refuse = true", FaultKind::Refuse),
            ("hang = {}", FaultKind::Hang),
            ("reset = true\nhang = false", FaultKind::Reset),
            ("slow = { latency = '1s' }", FaultKind::Slow { latency: time.clone() }),
            ("slow.latency.constant = '1s'", FaultKind::Slow { latency: time.clone() }),
            ("drip = { body = '1s' }", FaultKind::Drip { body: time }),
            ("capacity = { factor = '25%' }", FaultKind::Capacity { factor: 0.25 }),
        ] {
            let faults = world_with(&fault(fields)).faults;
            let [UpstreamFault { upstreams, fault }] = &faults[..] else { panic!("{faults:?}") };
            assert_eq!((fault.kind(), &upstreams[..]), (&kind, &[0][..]), "{fields}");
            assert_eq!((fault.from(), fault.to()), (60 * SECOND, 70 * SECOND));
        }
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
