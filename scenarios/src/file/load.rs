//! The load of a population: exactly one of `rate`, `ramp`, `bursts` and `users`, with what belongs to it.

use std::rc::Rc;
use std::time::Duration;

use simulator::{Burst, ClosedLoad, Load, LoadError, OpenLoad, RampPoint, Rate, Spacing, Start, UsersPoint};

use super::context::Context;
use super::diagnostic::Problem;
use super::latency::read_time;
use super::patch::{LOAD_KINDS, load_has};
use super::reader::{Fields, list, warn_of_clock, way_out};
use super::retry::named_or;
use super::tree::{Entry, Value};

pub(super) fn read_load(fields: &mut Fields<'_>, context: &Context<'_>) -> Option<Load> {
    let entries = LOAD_KINDS.map(|kind| fields.entry(kind));
    let kinds: Vec<_> =
        LOAD_KINDS.into_iter().zip(entries).filter_map(|(kind, entry)| Some((kind, entry?))).collect();
    let spacing = read_spacing(fields, context);
    let think = fields.entry("think");
    let start = read_start(fields);
    let &[(kind, entry)] = &kinds[..] else {
        let path = fields.path();
        let problem = match kinds.get(1) {
            None => Problem::error(fields.span(), format!("`{path}` needs a load")).of_absence(),
            Some((_, second)) => Problem::error(
                second.key_span.clone(),
                format!("`{path}` has two loads, `{}` and `{}`", kinds[0].0, kinds[1].0),
            ),
        };
        context.push(problem.help(format!("a population has one of {}", list(&LOAD_KINDS))));
        return None;
    };
    for key in ["arrivals", "think", "start"] {
        if let Some(surplus) = fields.entry(key).filter(|_| !load_has(kind, key)) {
            let message = format!("`{}` has no meaning with `{kind}`", fields.path_of(key));
            context.push(Problem::error(surplus.key_span.clone(), message));
        }
    }
    let path = fields.path_of(kind);
    match kind {
        "rate" => {
            let rate: Rate = super::reader::read(&entry.node, &path, context)?;
            Some(Load::Open(OpenLoad::rate(rate, spacing?)))
        }
        "ramp" => {
            let points = read_items(entry, &path, context, |fields| {
                let (at, rate) = (fields.required::<Duration>("at"), fields.required("rate"));
                warn_of_clock(fields.entry("at"), &fields.path_of("at"), context);
                Some(RampPoint { at: at?, rate: rate? })
            })?;
            open(entry, &path, OpenLoad::ramp(&points, spacing?), context)
        }
        "bursts" => {
            let bursts = read_items(entry, &path, context, |fields| {
                let (from, to) = (fields.required::<Duration>("from"), fields.required::<Duration>("to"));
                for key in ["from", "to"] {
                    warn_of_clock(fields.entry(key), &fields.path_of(key), context);
                }
                let count = fields.required("count");
                Some(Burst { from: from?, to: to?, count: count? })
            })?;
            open(entry, &path, OpenLoad::bursts(&bursts), context)
        }
        _ => {
            let points = read_users(entry, &path, context);
            let Some(think) = think else {
                let message = format!("`{}` needs `think`", fields.path());
                let problem = Problem::error(fields.span(), message).of_absence();
                context.push(problem.help("the time a user thinks before each request, such as \"2s\""));
                return None;
            };
            let think = read_time(&think.node, &fields.path_of("think"), context)?;
            let load = ClosedLoad::new(&points?, think, start?);
            load.map(Load::Closed).map_err(|error| refuse(entry, &path, error, context)).ok()
        }
    }
}

fn open(entry: &Entry, path: &str, load: Result<OpenLoad, LoadError>, context: &Context<'_>) -> Option<Load> {
    load.map(Load::Open).map_err(|error| refuse(entry, path, error, context)).ok()
}

/// What is wrong with one point or burst is noted at it.
fn refuse(entry: &Entry, path: &str, error: LoadError, context: &Context<'_>) {
    let item = match error {
        LoadError::RampOutOfOrder { point } => Some(point),
        LoadError::BurstEndsBeforeItBegins { burst } => Some(burst),
        LoadError::EmptyRamp | LoadError::RampTooFine | LoadError::NoUsers => None,
    };
    let items = if let Value::Array(items) = &entry.node.value { &**items } else { &[] };
    let node = item.and_then(|item| items.get(item)).unwrap_or(&entry.node);
    context.push(Problem::error(node.span.clone(), format!("`{path}`: {error}")));
}

/// How many users there are: all the time, or at each point of a ramp.
fn read_users(entry: &Entry, path: &str, context: &Context<'_>) -> Option<Vec<UsersPoint>> {
    if !matches!(entry.node.value, Value::Array(_)) {
        let users: std::num::NonZeroU32 = super::reader::read(&entry.node, path, context)?;
        return Some(vec![UsersPoint { at: Duration::ZERO, users: users.get() }]);
    }
    read_items(entry, path, context, |fields| {
        let (at, users) = (fields.required::<Duration>("at"), fields.required("users"));
        Some(UsersPoint { at: at?, users: users? })
    })
}

pub(super) const STARTS: [(&str, Start); 2] = [("spread", Start::Spread), ("together", Start::Together)];

pub(super) const SPACINGS: [(&str, Spacing); 3] =
    [("uniform", Spacing::Uniform), ("poisson", Spacing::Poisson), ("on-the-minute", Spacing::OnTheMinute)];

/// `uniform` where nothing is said.
fn read_spacing(fields: &mut Fields<'_>, context: &Context<'_>) -> Option<Spacing> {
    let Some(entry) = fields.entry("arrivals") else { return Some(Spacing::Uniform) };
    let path = fields.path_of("arrivals");
    let name: Rc<str> = super::reader::read(&entry.node, &path, context)?;
    let spacing = SPACINGS.into_iter().find(|(known, _)| *known == &*name).map(|(_, spacing)| spacing);
    if spacing.is_none() {
        let names = SPACINGS.map(|(name, _)| name);
        let problem =
            Problem::error(entry.node.span.clone(), format!("`{path}`: there are no `{name}` arrivals"));
        context
            .push_with_help(problem, || way_out(&name, &names, || format!("arrivals are {}", list(&names))));
    }
    spacing
}

/// `spread` where nothing is said.
fn read_start(fields: &mut Fields<'_>) -> Option<Start> {
    let name = named_or(fields, "start", &STARTS.map(|(name, _)| name), STARTS[0].0)?;
    STARTS.into_iter().find(|(known, _)| *known == name).map(|(_, start)| start)
}

/// An array of tables, each read by `read_item`.
fn read_items<T>(
    entry: &Entry,
    path: &str,
    context: &Context<'_>,
    read_item: impl Fn(&mut Fields<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let Value::Array(items) = &entry.node.value else {
        let message = format!("`{path}`: expected an array of tables, found {}", entry.node.kind());
        context.push(Problem::error(entry.node.span.clone(), message));
        return None;
    };
    if items.is_empty() {
        context.push(Problem::error(
            entry.node.span.clone(),
            format!("`{path}`: expected at least one, found none"),
        ));
    }
    let items: Vec<_> = items
        .iter()
        .map(|item| {
            let mut fields = Fields::of(item, path, context)?;
            let read = read_item(&mut fields);
            fields.finish();
            read
        })
        .collect();
    items.into_iter().collect()
}
