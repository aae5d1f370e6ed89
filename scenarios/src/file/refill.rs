//! How a bucket of tokens refills: the key `refill` of a rate limit.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::context::Context;
use super::diagnostic::Problem;
use super::reader::Read;
use super::shape::{Choice, Shape};
use super::table::table;
use super::tree::{Node, Value};
use super::units;
use super::values::{FromNode, Positive, Written, names};

table! {
    /// A refill in steps.
    struct Steps<'t> (Choice::Whole) {
        /// How far the steps are apart. Above zero, at most the window of the limit.
        every: Positive, is kind;
    }
}

names! {
    /// A refill that has a name.
    enum NamedRefill {
        /// A token when its time has come.
        "continuous" => Continuous,
    }
    fn unknown(name: &str) -> String {
        format!("there is no refill `{name}`")
    }
    fn help(_: &str, _: &[&str]) -> String {
        WAY_OUT.to_owned()
    }
}

const WAY_OUT: &str = "\"continuous\", or in steps such as { every = \"60ms\" }";

/// How a bucket refills.
#[derive(Clone, Copy)]
pub(super) enum Refill {
    Continuous,
    Every(Duration),
}

impl Written for Refill {
    fn written(&self) -> Json {
        match self {
            Self::Continuous => NamedRefill::Continuous.written(),
            Self::Every(every) => json!({ "every": units::write_duration(*every) }),
        }
    }
}

impl<'t> Read<'t> for Refill {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        let refuse = |reason: String| {
            let problem = Problem::error(node.span.clone(), format!("`{path}`: {reason}"));
            context.push(problem.help(WAY_OUT));
            None
        };
        match &node.value {
            Value::Table(table) => {
                // What stands in its place is told where it stands.
                let has_every = table.get("every").is_some();
                match Steps::read(node, path, context)?.every.value {
                    Some(Positive(every)) => Some(Self::Every(every)),
                    None if has_every => None,
                    None => refuse("expected `every`".to_owned()),
                }
            }
            Value::Text(_) => match NamedRefill::from_node(node) {
                Ok(NamedRefill::Continuous) => Some(Self::Continuous),
                Err(reason) => refuse(reason),
            },
            _ => refuse(format!("expected \"continuous\" or a table, found {}", node.kind())),
        }
    }

    fn shape() -> Shape {
        Shape::Either(vec![
            (NamedRefill::format(), ""),
            (<Steps<'_> as Read<'_>>::shape(), "All tokens of a step at once."),
        ])
    }
}
