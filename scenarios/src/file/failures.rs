//! How an attempt can fail, for retry policies and breakers alike: `["5xx", 429, "timeout", "connect"]`.

use gateway::{FailureSet, StatusSet};
use serde_json::json;

use super::shape::Shape;
use super::table::{Item, Items};
use super::tree::{Node, Value};
use super::values::{FromNode, names, names_of};
use super::words::list;

/// One way to fail.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Failure {
    Class(FailureClass),
    /// An answer with this status.
    Status(u16),
}

names! {
    /// A way to fail that has a name.
    enum FailureClass {
        /// Any answer of 500 or above, the gateway's own 503 and 504 included.
        "5xx" => ServerError,
        /// The caller's own timeout.
        "timeout" => Timeout,
        /// The connection was refused, or broke.
        "connect" => Connect,
    }
    fn unknown(name: &str) -> String {
        format!("there is no failure `{name}`")
    }
}

/// The statuses that can be failures: those below answer well.
const STATUSES: std::ops::RangeInclusive<u16> = 400..=599;

impl Items<Failure> {
    /// The set of them; those that cannot be read are noted, and left out.
    pub(super) fn set(&self) -> FailureSet {
        let has = |class| self.0.contains(&Some(Failure::Class(class)));
        let statuses = self.0.iter().filter_map(|failure| match failure {
            Some(Failure::Status(status)) => Some(*status),
            _ => None,
        });
        FailureSet {
            server_errors: has(FailureClass::ServerError),
            timeout: has(FailureClass::Timeout),
            connect: has(FailureClass::Connect),
            statuses: StatusSet::of(&statuses.collect::<Vec<_>>()),
        }
    }
}

impl FromNode for Failure {
    fn from_node(node: &Node) -> Result<Self, String> {
        let status = match &node.value {
            Value::Integer(_) => Some(u32::from_node(node)?),
            Value::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        match status {
            Some(status) => match u16::try_from(status) {
                Ok(status) if STATUSES.contains(&status) => Ok(Self::Status(status)),
                _ => Err(format!("expected a status from 400 to 599, found {status}")),
            },
            None => FailureClass::from_node(node).map(Self::Class),
        }
    }

    fn help(node: &Node) -> String {
        if matches!(node.value, Value::Text(_)) { Self::way_out() } else { String::new() }
    }

    fn format() -> Shape {
        let statuses = json!({ "type": "integer", "minimum": STATUSES.start(), "maximum": STATUSES.end() });
        let written = json!({ "type": "string", "pattern": "^[45][0-9][0-9]$" });
        Shape::Either(vec![
            (FailureClass::format(), ""),
            (Shape::Value(statuses), "An answer with this status."),
            (Shape::Value(written), "The same as text."),
        ])
    }
}

impl Item for Failure {
    const OF: &'static str = "failures";

    fn way_out() -> String {
        format!("any of {}, and statuses such as 429", list(&names_of::<FailureClass>()))
    }
}
