//! What holds for all variants of a file, and the variants themselves.

use std::rc::Rc;

use gateway::Timestamp;
use serde_json::json;

use super::context::Context;
use super::objective::Report;
use super::reader::{Read, named};
use super::shape::{Choice, Shape, TableShape};
use super::table::{Described, Switch, table};
use super::tree::{Entry, Node, Value};
use super::values::{FromNode, Positive, text};
use super::variant::Variant;

table! {
    /// A scenario of Tuesday: clients, a gateway and upstreams, the configurations to compare, and what must hold of them.
    ///
    /// What is left out is off (limits, breakers, retries, timeouts) or unbounded (workers, queues).
    pub(super) struct Common<'t> (Choice::Free) {
        /// What the scenario is called: the title of its reports.
        name: Rc<str>, needed "such as `name = \"Window-boundary burst\"`";
        /// What happens, to whom, and why that matters, in a few sentences. Reports open with it.
        story: Rc<str>;
        /// The instant at which the scenario starts, with its offset, such as `2026-06-02T09:00:00Z`, which is the
        /// default: a Tuesday morning. Windows, logs and chart axes follow this clock. From 1970 to 2499.
        starts: Instant;
        /// How long clients go on sending, such as `"2m"`: above zero and at most 7 days (`"168h"`). What is under way
        /// then has five more minutes to end.
        duration: Positive, needed "for how long requests arrive, such as `duration = \"2m\"`";
        /// Where chance begins. The same file and seed give the same result, byte for byte.
        seed: u64 = 1;
        slo: Slo<'t>, needed "what counts as served well, such as `slo.latency = \"500ms\"`";
        report: Report<'t>;
        /// The configurations to compare, in order, at most 64. Each is a patch, laid table by table over the file.
        /// Without any the file as it stands is the one variant, `base`.
        variants: Patches<'t>;
        expect: Switch<Expect<'t>>;
    }

    /// What counts as served well.
    pub(super) struct Slo<'t> (Choice::Free) {
        /// A request is served well if it is answered 2xx within this time of its intended sending, such as `"500ms"`.
        latency: Positive, needed "such as `latency = \"500ms\"`";
    }

    /// What must hold.
    pub(super) struct Expect<'t> (Choice::Free) {
        /// Expectations, each a line `[variant:] measure[(arguments)] op value`; in place of the value, another measure.
        hold: Lines<'t>;
    }
}

/// The array of expectations as it stands.
pub(super) struct Lines<'t>(pub(super) &'t Node);

impl<'t> Read<'t> for Lines<'t> {
    fn read(node: &'t Node, _: &str, _: &'t Context<'t>) -> Option<Self> {
        Some(Self(node))
    }

    fn shape() -> Shape {
        Shape::Array(super::expect::line_shape)
    }
}

/// The whole file, of one variant or of none.
pub(super) fn scenario() -> TableShape {
    TableShape { name: "Scenario", ..Common::table().above(Variant::table()) }
}

/// The variants as they stand, each a table to be laid over the file.
pub(super) struct Patches<'t>(pub(super) Vec<(&'t Entry, String)>);

/// More variants are refused: nobody compares that many side by side.
const MOST_VARIANTS: usize = 64;

impl<'t> Read<'t> for Patches<'t> {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        let patches = named(node, path, MOST_VARIANTS, context);
        // What is no table has no variants.
        let nothing = || node.as_table().is_none().then(Vec::new);
        patches.or_else(nothing).map(Self)
    }

    fn shape() -> Shape {
        Shape::With(Box::new(Shape::Named(variant)), json!({ "maxProperties": MOST_VARIANTS }))
    }
}

/// A variant needs nothing, for the file is under it.
fn variant() -> Shape {
    let mut table = Variant::table();
    table.fields.iter_mut().for_each(|field| field.needed = None);
    Shape::Table(table)
}

/// A date and time with its offset.
pub(super) struct Instant(pub(super) Timestamp);

impl FromNode for Instant {
    fn from_node(node: &Node) -> Result<Self, String> {
        let Value::Datetime(datetime) = &node.value else {
            return Err(format!("expected a date and time, found {}", node.kind()));
        };
        if datetime.offset.is_none() || datetime.date.is_none() || datetime.time.is_none() {
            return Err("expected date, time and offset".to_owned());
        }
        let instant: jiff::Timestamp =
            datetime.to_string().parse().map_err(|_| "there is no such instant".to_owned())?;
        // Before the year 2500 any scenario ends within what a `Timestamp` can tell.
        match u64::try_from(instant.as_nanosecond()) {
            Ok(nanos) if instant.as_second() < 16_725_225_600 => Ok(Self(Timestamp::from_nanos(nanos))),
            _ => Err("expected a year from 1970 to 2499".to_owned()),
        }
    }

    fn help(_: &Node) -> String {
        "write an instant with its offset, such as 2026-06-02T09:00:00Z".to_owned()
    }

    /// A tool that reads TOML as JSON sees a string.
    fn format() -> Shape {
        Shape::Value(text(concat!(
            r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?",
            r"([Zz]|[+-][0-9]{2}:[0-9]{2})$"
        )))
    }
}
