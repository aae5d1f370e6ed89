//! Distributions of times, picked by key.

use std::rc::Rc;
use std::time::Duration;

use simulator::{Latency, LatencyError};

use super::context::Context;
use super::diagnostic::Problem;
use super::reader::{Fields, Share, all, read, way_out};
use super::tree::{Entry, Node, Value};
use super::units;

/// A table with one key, the kind: `{ constant = "5ms" }`.
fn read_latency(node: &Node, path: &str, context: &Context<'_>) -> Option<Latency> {
    let Some(table) = node.as_table() else {
        let message = format!("`{path}`: expected a duration or a distribution, found {}", node.kind());
        context.push(Problem::error(node.span.clone(), message).help(EXAMPLE));
        return None;
    };
    let [entry] = table.entries() else {
        let message = format!("`{path}`: expected one distribution, found {}", table.entries().len());
        context.push(Problem::error(node.span.clone(), message).help(EXAMPLE));
        return None;
    };
    #[cfg(test)]
    context.known.borrow_mut().extend(KINDS.map(|kind| format!("{path}.{kind}")));
    let (whole, path) = (path, format!("{path}.{}", entry.key));
    match &*entry.key {
        "constant" => {
            checked(&entry.node, &path, Latency::constant(read(&entry.node, &path, context)?), context)
        }
        "exponential" => {
            let [mean] = durations(entry, &path, ["mean"], context)?;
            checked(&entry.node, &path, Latency::exponential(mean), context)
        }
        "log-normal" => {
            let [median, p99] = durations(entry, &path, ["median", "p99"], context)?;
            checked(&entry.node, &path, Latency::log_normal(median, p99), context)
        }
        "uniform" => {
            let [min, max] = durations(entry, &path, ["min", "max"], context)?;
            checked(&entry.node, &path, Latency::uniform(min, max), context)
        }
        "mixture" => mixture(entry, &path, context),
        "empirical" => empirical(entry, &path, context),
        unknown => {
            let message = format!("`{whole}`: there is no distribution `{unknown}`");
            let problem = Problem::error(entry.key_span.clone(), message);
            context.push_with_help(problem, || way_out(unknown, &KINDS, || all("distribution", &KINDS)));
            None
        }
    }
}

/// A duration, or a distribution.
pub(super) fn read_time(node: &Node, path: &str, context: &Context<'_>) -> Option<Latency> {
    match &node.value {
        Value::Text(_) => {
            let constant = Latency::constant(read::<Duration>(node, path, context)?);
            checked(node, path, constant, context)
        }
        _ => read_latency(node, path, context),
    }
}

const EXAMPLE: &str = "such as \"5ms\" or { log-normal = { median = \"12ms\", p99 = \"60ms\" } }";

const KINDS: [&str; 6] = ["constant", "exponential", "log-normal", "uniform", "mixture", "empirical"];

fn durations<const N: usize>(
    entry: &Entry,
    path: &str,
    keys: [&'static str; N],
    context: &Context<'_>,
) -> Option<[Duration; N]> {
    let mut fields = Fields::of(&entry.node, path, context)?;
    let times = keys.map(|key| fields.required(key));
    fields.finish();
    let times: Vec<Duration> = times.into_iter().collect::<Option<_>>()?;
    times.try_into().ok()
}

/// `[{ share = "95%", latency = … }, …]`
fn mixture(entry: &Entry, path: &str, context: &Context<'_>) -> Option<Latency> {
    let Value::Array(items) = &entry.node.value else {
        let message = format!("`{path}`: expected an array of shares, found {}", entry.node.kind());
        let problem = Problem::error(entry.node.span.clone(), message);
        context.push(problem.help("such as [{ share = \"95%\", latency = { constant = \"5ms\" } }, …]"));
        return None;
    };
    let parts: Vec<_> = items
        .iter()
        .map(|item| {
            let mut fields = Fields::of(item, path, context)?;
            let share = fields.required::<Share>("share");
            let latency = fields.required_entry("latency");
            let latency =
                latency.and_then(|entry| read_time(&entry.node, &fields.path_of("latency"), context));
            fields.finish();
            Some((share?.0, latency?))
        })
        .collect();
    checked(&entry.node, path, Latency::mixture(parts.into_iter().collect::<Option<_>>()?), context)
}

/// `{ file = "latencies.txt" }`: a duration on each line; empty lines and those that begin with `#` do not count.
fn empirical(entry: &Entry, path: &str, context: &Context<'_>) -> Option<Latency> {
    let mut fields = Fields::of(&entry.node, path, context)?;
    let file = fields.required_entry("file");
    fields.finish();
    let file = file?;
    let name: Rc<str> = read(&file.node, &format!("{path}.file"), context)?;
    let refuse = |reason: String| {
        let message = format!("`{path}.file`: cannot use {name:?}: {reason}");
        context.push(Problem::error(file.node.span.clone(), message));
    };
    // A file that is named again is not read again.
    context.measured(&name, measured).map_err(refuse).ok()
}

fn measured(text: &str) -> Result<Latency, String> {
    let lines = (1..).zip(text.lines()).map(|(number, line)| (number, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let samples = lines
        .map(|(number, line)| units::duration(line).map_err(|reason| format!("line {number}: {reason}")));
    Latency::empirical(samples.collect::<Result<_, _>>()?).map_err(|error| error.to_string())
}

fn checked(
    node: &Node,
    path: &str,
    latency: Result<Latency, LatencyError>,
    context: &Context<'_>,
) -> Option<Latency> {
    let refuse = |error| {
        let reason = match error {
            LatencyError::SharesMissOne { sum } => {
                format!("the shares add up to {}%, expected 100%", (sum * 1e8).round() / 1e6)
            }
            other => other.to_string(),
        };
        context.push(Problem::error(node.span.clone(), format!("`{path}`: {reason}")));
    };
    latency.map_err(refuse).ok()
}
