//! What the verdict of a report goes by: the table `report`.

use std::rc::Rc;

use serde_json::json;

use super::context::Context;
use super::diagnostic::Problem;
use super::reader::Read;
use super::shape::{Choice, Shape};
use super::table::table;
use super::tree::{Node, Value};
use super::values::read;
use super::words::{list, nearest};

table! {
    /// What reports go by.
    pub(super) struct Report<'t> (Choice::Free) {
        /// The measures by which the verdict ranks the variants, most important first: a name such as `"goodput"`, or an array
        /// of names. Each is taken at its good end: goodput as high as can be, blast radius as low. Default:
        /// `["blast_radius", "direct_damage", "recovery_time", "goodput"]` where anything fails, and else
        /// `["goodput", "latency.p99"]`.
        objective: Objective;
    }
}

/// Names of measures, most important first; at least one, each once.
pub(super) struct Objective(pub(super) Vec<String>);

impl<'t> Read<'t> for Objective {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        let refuse =
            |node: &Node, what: String| Problem::error(node.span.clone(), format!("`{path}`: {what}"));
        let items = match &node.value {
            Value::Text(_) => std::slice::from_ref(node),
            Value::Array(items) if !items.is_empty() => &**items,
            Value::Array(_) => {
                context
                    .push(refuse(node, "expected at least one measure, found none".to_owned()).help(all()));
                return None;
            }
            _ => {
                let what =
                    format!("expected the name of a measure, or an array of names, found {}", node.kind());
                context.push(refuse(node, what).help(all()));
                return None;
            }
        };
        let known = reports::objectives();
        let mut names: Vec<String> = Vec::new();
        let mut is_usable = true;
        for item in items {
            let name = read::<Rc<str>>(item, path, context);
            let problem = match name.as_deref() {
                None => None,
                Some(name) if names.iter().any(|before| before == name) => {
                    Some(refuse(item, format!("`{name}` is named twice")).help("each measure decides once"))
                }
                Some(name) if !known.iter().any(|known| known == name) => {
                    let near = nearest(name, known.iter().map(String::as_str));
                    let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
                    let help = near + &all();
                    Some(refuse(item, format!("variants cannot be ranked by `{name}`")).help(help))
                }
                Some(name) => {
                    names.push(name.to_owned());
                    continue;
                }
            };
            is_usable = false;
            if let Some(problem) = problem {
                context.push(problem);
            }
        }
        is_usable.then_some(Self(names))
    }

    fn shape() -> Shape {
        let name = json!({ "type": "string", "enum": reports::objectives() });
        let names = json!({ "type": "array", "items": name, "minItems": 1, "uniqueItems": true });
        Shape::Either(vec![
            (Shape::Value(name), "The one measure that decides."),
            (Shape::Value(names), "Measures, most important first."),
        ])
    }
}

/// All that variants can be ranked by.
fn all() -> String {
    let known = reports::objectives();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    format!("variants can be ranked by {}", list(&known))
}
