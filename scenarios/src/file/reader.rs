//! Reads the tree field by field, notes every problem and goes on.
//!
//! A value that cannot be read is noted and stands as absent from then on: what the caller builds from it is never
//! used, since a file with an error is refused.

use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use simulator::Rate;

use super::context::Context;
use super::diagnostic::Problem;
use super::tree::{Entry, Node, Span, Table, Value};
use super::units;

/// A table that is being read; [`Fields::finish`] closes it.
pub(super) struct Fields<'t> {
    table: &'t Table,
    /// Where the table stands: what is missing from it is noted here.
    span: Span,
    /// Such as `gateway.rate_limit.per_key`; empty for the file itself.
    path: String,
    known: Vec<&'static str>,
    context: &'t Context<'t>,
}

impl<'t> Fields<'t> {
    pub(super) fn new(
        table: &'t Table,
        span: Span,
        path: impl Into<String>,
        context: &'t Context<'t>,
    ) -> Self {
        Self { table, span, path: path.into(), known: Vec::new(), context }
    }

    /// The fields of a value that must be a table.
    pub(super) fn of(node: &'t Node, path: impl Into<String>, context: &'t Context<'t>) -> Option<Self> {
        let path = path.into();
        let Some(table) = node.as_table() else {
            let message = format!("`{path}` is a table, found {}", node.kind());
            context.push(Problem::error(node.span.clone(), message));
            return None;
        };
        Some(Self::new(table, node.span.clone(), path, context))
    }

    pub(super) fn context(&self) -> &'t Context<'t> {
        self.context
    }

    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// The place of the value of a field, or of the table where it is absent.
    pub(super) fn span_of(&self, key: &str) -> Span {
        self.table.get(key).map_or_else(|| self.span(), |entry| entry.node.span.clone())
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The path of one of its fields.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// An entry that may be absent, as it stands.
    pub(super) fn entry(&mut self, key: &'static str) -> Option<&'t Entry> {
        #[cfg(test)]
        self.context.known.borrow_mut().insert(self.path_of(key));
        self.known.push(key);
        self.table.get(key)
    }

    /// The value of a field that may be absent.
    pub(super) fn optional<T: FromNode>(&mut self, key: &'static str) -> Option<T> {
        let entry = self.entry(key)?;
        self.read(entry)
    }

    /// The value of a field that may not be absent.
    pub(super) fn required<T: FromNode>(&mut self, key: &'static str) -> Option<T> {
        let entry = self.required_entry(key)?;
        self.read(entry)
    }

    /// An entry that may not be absent.
    pub(super) fn required_entry(&mut self, key: &'static str) -> Option<&'t Entry> {
        let entry = self.entry(key);
        if entry.is_none() {
            let message = if self.path.is_empty() {
                format!("the scenario needs `{key}`")
            } else {
                format!("`{}` needs `{key}`", self.path)
            };
            self.context.push(Problem::error(self.span.clone(), message));
        }
        entry
    }

    /// A table that may be absent, or switched off by `false`.
    pub(super) fn optional_table(&mut self, key: &'static str) -> Option<Self> {
        let entry = self.entry(key)?;
        if matches!(entry.node.value, Value::Boolean(false)) {
            return None;
        }
        Self::of(&entry.node, self.path_of(key), self.context)
    }

    /// A table of named things: each entry, in order, with its path. Absent is empty.
    pub(super) fn named(&mut self, key: &'static str) -> Vec<(&'t Entry, String)> {
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let path = self.path_of(key);
        let Some(table) = entry.node.as_table() else {
            let message = format!("`{path}` is a table, found {}", entry.node.kind());
            self.context.push(Problem::error(entry.node.span.clone(), message));
            return Vec::new();
        };
        table.entries.iter().map(|entry| (entry, format!("{path}.{}", display_key(&entry.key)))).collect()
    }

    /// Refuses a field of the format that this version does not run yet.
    pub(super) fn not_yet(&mut self, key: &'static str) {
        self.known.push(key);
        if let Some(entry) = self.table.get(key) {
            let message = format!("`{}` cannot be run by this version yet", self.path_of(key));
            self.context.push(Problem::error(entry.key_span.clone(), message));
        }
    }

    /// Notes every field that nobody asked for.
    pub(super) fn finish(self) {
        for entry in &self.table.entries {
            if !self.known.contains(&&*entry.key) {
                let place =
                    if self.path.is_empty() { "the scenario".to_owned() } else { format!("`{}`", self.path) };
                let message = format!("{place} has no field `{}`", entry.key);
                let problem = Problem::error(entry.key_span.clone(), message);
                self.context.push(match nearest(&entry.key, self.known.iter().copied()) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem.help(format!("it has {}", list(&self.known))),
                });
            }
        }
    }

    fn read<T: FromNode>(&self, entry: &Entry) -> Option<T> {
        read(&entry.node, &self.path_of(&entry.key), self.context)
    }
}

/// The value of a node; what is wrong with it is noted under the name `path`.
pub(super) fn read<T: FromNode>(node: &Node, path: &str, context: &Context<'_>) -> Option<T> {
    match T::from_node(node) {
        Ok(value) => Some(value),
        Err(reason) => {
            context.push(Problem::error(node.span.clone(), format!("`{path}`: {reason}")));
            None
        }
    }
}

/// What a single value of the file can be read as.
pub(super) trait FromNode: Sized {
    /// # Errors
    ///
    /// What was expected, and what was found where that helps.
    fn from_node(node: &Node) -> Result<Self, String>;
}

impl FromNode for Rc<str> {
    fn from_node(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::Text(text) => Ok(text.clone()),
            _ => Err(format!("expected a string, found {}", node.kind())),
        }
    }
}

impl FromNode for bool {
    fn from_node(node: &Node) -> Result<Self, String> {
        match node.value {
            Value::Boolean(value) => Ok(value),
            _ => Err(format!("expected true or false, found {}", node.kind())),
        }
    }
}

impl FromNode for u64 {
    fn from_node(node: &Node) -> Result<Self, String> {
        let Value::Integer(digits) = &node.value else {
            return Err(format!("expected a whole number, found {}", node.kind()));
        };
        let (radix, plain) = match digits.get(..2) {
            Some("0x") => (16, &digits[2..]),
            Some("0o") => (8, &digits[2..]),
            Some("0b") => (2, &digits[2..]),
            _ => (10, &**digits),
        };
        if plain.starts_with('-') {
            return Err("expected a whole number that is not negative".to_owned());
        }
        Self::from_str_radix(plain, radix).map_err(|_| format!("expected a whole number up to {}", Self::MAX))
    }
}

impl FromNode for u32 {
    fn from_node(node: &Node) -> Result<Self, String> {
        let number = u64::from_node(node)?;
        Self::try_from(number).map_err(|_| format!("expected a whole number up to {}", Self::MAX))
    }
}

impl FromNode for NonZeroU32 {
    fn from_node(node: &Node) -> Result<Self, String> {
        Self::new(u32::from_node(node)?)
            .ok_or_else(|| "expected a whole number of at least 1, found 0".to_owned())
    }
}

impl FromNode for Duration {
    fn from_node(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::Text(text) => {
                let duration = units::duration(text)?;
                if duration > LONGEST {
                    Err("a duration is at most 366 days".to_owned())
                } else {
                    Ok(duration)
                }
            }
            Value::Integer(_) | Value::Float(_) => {
                Err("expected a duration with its unit, such as \"500ms\"".to_owned())
            }
            _ => Err(format!("expected a duration such as \"500ms\", found {}", node.kind())),
        }
    }
}

/// A duration above zero.
pub(super) struct Positive(pub(super) Duration);

impl FromNode for Positive {
    fn from_node(node: &Node) -> Result<Self, String> {
        let duration = Duration::from_node(node)?;
        if duration.is_zero() { Err("expected more than zero".to_owned()) } else { Ok(Self(duration)) }
    }
}

impl FromNode for Rate {
    fn from_node(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::Text(text) => units::rate(text),
            _ => Err(format!("expected a rate such as \"200/s\", found {}", node.kind())),
        }
    }
}

/// A share, 0 to 1.
pub(super) struct Share(pub(super) f64);

impl FromNode for Share {
    fn from_node(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::Text(text) => units::share(text).map(Self),
            _ => Err(format!("expected a percentage such as \"50%\", found {}", node.kind())),
        }
    }
}

/// Longer than any scenario, and short enough that no sum of a few overflows.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// The name that a misspelt one most likely stands for, if any is near.
pub(crate) fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // The distance takes time in the square of the length, and nobody misspells that much.
    if wrong.len() > 64 {
        return None;
    }
    let scored = names.into_iter().filter(|name| name.len() <= 64);
    let scored = scored.map(|name| (strsim::jaro_winkler(&wrong.to_lowercase(), &name.to_lowercase()), name));
    let (likeness, name) = scored.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (likeness > 0.8).then_some(name)
}

/// `a`, `b` and `c`, each quoted as code.
pub(super) fn list<'n>(names: impl IntoIterator<Item = &'n &'n str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// A key as it stands in a path: quoted where TOML needs quotes.
pub(super) fn display_key(key: &str) -> String {
    let bare =
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if bare { key.to_owned() } else { format!("{key:?}") }
}
