//! Distributions of times, picked by key.

use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use simulator::LatencyError;

use super::context::Context;
use super::diagnostic::Problem;
use super::reader::{Fields, Read};
use super::shape::{Choice, Shape};
use super::table::{Described, Empty, Item, Items, table};
use super::tree::{Node, Value};
use super::units;
use super::values::{AboveZero, DURATION, Share, read};
use super::words::{all, way_out};

/// A duration, or a time drawn from a distribution.
pub(super) struct Time(pub(super) simulator::Latency);

table! {
    /// A duration such as `"5ms"`, or a time drawn anew for each request from a distribution. One of: `constant = "5ms"`, `exponential = { mean }`,
    /// `log-normal = { median, p99 }`, `uniform = { min, max }`, `mixture = [{ share, latency }, …]`,
    /// `empirical = { file }`. No time is above 24 hours.
    struct Latency<'t> (Choice::Whole) {
        /// Always the same time.
        constant: Duration, is kind;
        exponential: Exponential<'t>, is kind;
        log_normal ["log-normal"]: LogNormal<'t>, is kind;
        uniform: Uniform<'t>, is kind;
        /// Several kinds of request in one, each with its share; the shares add up to 100%.
        mixture: Items<MixturePart<'t>>, is kind;
        empirical: Empirical<'t>, is kind;
    }

    /// Exponentially distributed times, as in the M/M/1 queue of the textbooks.
    pub(super) struct Exponential<'t> (Choice::Free) {
        /// The mean, above zero.
        mean: AboveZero<Duration>, needed "";
    }

    /// Log-normally distributed times: many short ones and a long tail, as most services have them.
    pub(super) struct LogNormal<'t> (Choice::Free) {
        /// Half of the times are shorter; above zero.
        median: AboveZero<Duration>, needed "";
        /// One time in a hundred is longer; not below the median.
        p99: AboveZero<Duration>, needed "";
    }

    /// Times between two bounds, each as likely as the other.
    pub(super) struct Uniform<'t> (Choice::Free) {
        /// The shortest.
        min: Duration, needed "";
        /// The longest; not below the shortest.
        max: Duration, needed "";
    }

    /// One kind of request within a mixture.
    pub(super) struct MixturePart<'t> (Choice::Free) {
        /// How many of the requests are of this kind, such as `"95%"`; above zero.
        share: AboveZero<Share>, needed "";
        /// How long these take: a duration, or a distribution, which may be a mixture itself.
        latency: Time, needed "such as `latency = \"5ms\"`";
    }

    /// Times as they were measured: each of the file is as likely as the others.
    pub(super) struct Empirical<'t> (Choice::Free) {
        /// A text file, named relative to the scenario, with a duration such as `12ms` on each line. Empty lines and
        /// those that begin with `#` do not count.
        file: Rc<str>, needed "";
    }
}

impl Item for MixturePart<'_> {
    const OF: &'static str = "shares";
    const EMPTY: Empty = Empty::RefusedLater;

    fn way_out() -> String {
        "such as [{ share = \"95%\", latency = { constant = \"5ms\" } }, …]".to_owned()
    }
}

impl<'t> Read<'t> for Time {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        if let Value::Text(_) = &node.value {
            let time = read(node, path, context)?;
            return checked(node, path, simulator::Latency::constant(time), context);
        }
        let refuse = |what: String| {
            let problem = Problem::error(node.span.clone(), format!("`{path}`: expected {what}"));
            context.push(
                problem.help("such as \"5ms\" or { log-normal = { median = \"12ms\", p99 = \"60ms\" } }"),
            );
            None
        };
        let Some(table) = node.as_table() else {
            return refuse(format!("a duration or a distribution, found {}", node.kind()));
        };
        let [entry] = table.entries() else {
            return refuse(format!("one distribution, found {}", table.entries().len()));
        };
        let kinds = Latency::table().choices();
        if !kinds.contains(&&*entry.key) {
            let message = format!("`{path}`: there is no distribution `{}`", entry.key);
            let problem = Problem::error(entry.key_span.clone(), message);
            context.push_with_help(problem, || way_out(&entry.key, &kinds, || all("distribution", &kinds)));
            return None;
        }
        let latency = Latency::of(&mut Fields::of(node, path, context)?).build()?;
        checked(&entry.node, &format!("{path}.{}", entry.key), latency, context)
    }

    /// A duration is allowed so that what is wrong in a distribution is still told by its place.
    fn shape() -> Shape {
        let keywords = json!({ "type": ["object", "string"], "pattern": DURATION });
        Shape::With(Box::new(<Latency<'_> as Read<'_>>::shape()), keywords)
    }
}

impl Latency<'_> {
    /// Of the one distribution that there is. `None` if it cannot be read.
    fn build(self) -> Option<Result<simulator::Latency, LatencyError>> {
        if let Some(time) = self.constant.value {
            Some(simulator::Latency::constant(time))
        } else if let Some(Exponential { mean, .. }) = self.exponential.value {
            Some(simulator::Latency::exponential(mean.value?.0))
        } else if let Some(LogNormal { median, p99, .. }) = self.log_normal.value {
            Some(simulator::Latency::log_normal(median.value?.0, p99.value?.0))
        } else if let Some(Uniform { min, max, .. }) = self.uniform.value {
            Some(simulator::Latency::uniform(min.value?, max.value?))
        } else if let Some(parts) = self.mixture.value {
            let part = |part: MixturePart<'_>| Some((part.share.value?.0.0, part.latency.value?.0));
            Some(simulator::Latency::mixture(parts.all(part)?))
        } else {
            self.empirical.value?.build().map(Ok)
        }
    }
}

impl Empirical<'_> {
    fn build(self) -> Option<simulator::Latency> {
        let name = self.file.value.as_ref()?;
        let refuse = |reason: String| {
            let message = format!("`{}`: cannot use {name:?}: {reason}", self.table.path_of(self.file.key));
            self.table.context().push(Problem::error(self.file.span_in(&self.table), message));
        };
        // A file that is named again is not read again.
        self.table.context().measured(name, measured).map_err(refuse).ok()
    }
}

fn measured(text: &str) -> Result<simulator::Latency, String> {
    let lines = (1..).zip(text.lines()).map(|(number, line)| (number, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let samples = lines
        .map(|(number, line)| units::duration(line).map_err(|reason| format!("line {number}: {reason}")));
    simulator::Latency::empirical(samples.collect::<Result<_, _>>()?).map_err(|error| error.to_string())
}

fn checked(
    node: &Node,
    path: &str,
    latency: Result<simulator::Latency, LatencyError>,
    context: &Context<'_>,
) -> Option<Time> {
    let refuse = |error| {
        let reason = match error {
            LatencyError::SharesMissOne { sum } => {
                format!("the shares add up to {}%, expected 100%", (sum * 1e8).round() / 1e6)
            }
            other => other.to_string(),
        };
        context.push(Problem::error(node.span.clone(), format!("`{path}`: {reason}")));
    };
    latency.map(Time).map_err(refuse).ok()
}
