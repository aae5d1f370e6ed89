//! Values of a file on one line of TOML, for texts that quote them.

use serde_json::Value as Json;

use super::diagnostic::visible;
use super::tree::{Entry, Value};
use super::words::display_key;

/// A value on one line of TOML.
pub(super) fn toml(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Integer(number) | Value::Float(number) => number.to_string(),
        Value::Boolean(boolean) => boolean.to_string(),
        Value::Datetime(datetime) => datetime.to_string(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| toml(&item.value)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(table) if table.entries().is_empty() => "{}".to_owned(),
        Value::Table(table) => {
            let entry = |entry: &Entry| format!("{} = {}", display_key(&entry.key), toml(&entry.node.value));
            let entries: Vec<_> = table.entries().iter().map(entry).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// A text between quotes. The escapes of JSON are those of TOML, which has one for DEL too.
fn quoted(text: &str) -> String {
    let quoted = Json::String(text.to_owned()).to_string().replace('\u{7f}', "\\u007f");
    visible(&quoted).into_owned()
}

/// A default on one line of TOML.
pub(super) fn toml_of(json: &Json) -> String {
    match json {
        Json::String(text) => quoted(text),
        Json::Array(items) => format!("[{}]", items.iter().map(toml_of).collect::<Vec<_>>().join(", ")),
        Json::Object(fields) => {
            let fields =
                fields.iter().map(|(key, value)| format!("{} = {}", display_key(key), toml_of(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
