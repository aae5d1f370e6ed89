//! Reads the tree field by field, notes every problem and goes on.
//!
//! A value that cannot be read is noted and stands as absent from then on: what the caller builds from it is never
//! used, since a file with an error is refused.

use super::context::Context;
use super::diagnostic::Problem;
use super::shape::{Choice, Shape, TableShape};
use super::tree::{Entry, Node, Span, Table, Value};
use super::units;
use super::words::{LONGEST_NAME, checked_name, display_key, list, nearest};

/// What can stand behind a key.
pub(super) trait Read<'t>: Sized {
    /// The value of a node; what is wrong with the node is noted under the name `path`.
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self>;

    /// The same without a file.
    fn shape() -> Shape;
}

/// A key of a table with its value: an `Option`, or the plain value where there is a default.
pub(super) struct Field<'t, V> {
    pub(super) key: &'static str,
    pub(super) entry: Option<&'t Entry>,
    pub(super) value: V,
}

impl<V> Field<'_, V> {
    /// The place of the value, or of the table where the key is absent.
    pub(super) fn span_in(&self, table: &Fields<'_>) -> Span {
        self.entry.map_or_else(|| table.span(), |entry| entry.node.span.clone())
    }
}

/// A table that is being read; [`Fields::finish`] closes it.
#[derive(Clone)]
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
            let message = format!("`{path}`: expected a table, found {}", node.kind());
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

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The path of one of its fields.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// An entry that may be absent, as it stands.
    pub(super) fn entry(&mut self, key: &'static str) -> Option<&'t Entry> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table.get(key)
    }

    /// A field that may be absent.
    pub(super) fn field<T: Read<'t>>(&mut self, key: &'static str) -> Field<'t, Option<T>> {
        let entry = self.entry(key);
        let value = entry.and_then(|entry| T::read(&entry.node, &self.path_of(key), self.context));
        Field { key, entry, value }
    }

    /// A field with its default.
    pub(super) fn or<T: Read<'t>>(&mut self, key: &'static str, default: T) -> Field<'t, T> {
        let Field { key, entry, value } = self.field(key);
        Field { key, entry, value: value.unwrap_or(default) }
    }

    /// A field that may not be absent, and how it is written.
    pub(super) fn needed<T: Read<'t>>(&mut self, key: &'static str, example: &str) -> Field<'t, Option<T>> {
        if self.table.get(key).is_none() {
            self.lacks(key, example);
        }
        self.field(key)
    }

    fn lacks(&self, key: &str, example: &str) {
        let problem = Problem::error(self.span.clone(), self.missing(key)).of_absence();
        self.context.push(problem.help(example));
    }

    /// Notes the fields that have no meaning with what the table chooses, and those that the choice needs. Of a choice that
    /// cannot be read, nothing can be said.
    pub(super) fn judge(&self, shape: &TableShape) {
        for entry in self.table.entries() {
            if let Some((other, kind)) = shape.at_odds(self.table, &entry.key) {
                let path = self.path_of(&entry.key);
                let message = format!("`{path}` has no meaning with `{kind}` as `{other}`");
                self.context.push(Problem::error(entry.key_span.clone(), message));
            }
        }
        let is_needed = |key: &str, stand_ins: &[&str]| {
            stand_ins.iter().chain([&key]).all(|key| self.table.get(key).is_none())
        };
        for field in
            shape.fields.iter().filter(|field| field.belongs.is_none() && !field.stand_ins.is_empty())
        {
            if let Some(example) = field.needed.filter(|_| is_needed(field.key, field.stand_ins)) {
                self.lacks(field.key, example);
            }
        }
        let chosen = match shape.choice {
            Choice::ByName(key, Some(_)) if self.table.get(key).is_none() => shape.chosen_by_default(),
            Choice::ByName(_, Some(_)) => shape.chosen(self.table),
            Choice::ByKind => {
                let mut kinds = shape.choices().into_iter().filter(|kind| self.table.get(kind).is_some());
                kinds.next().filter(|_| kinds.next().is_none())
            }
            Choice::ByName(_, None) | Choice::Free | Choice::OneKind | Choice::Whole | Choice::OfParent => {
                None
            }
        };
        let Some(chosen) = chosen else { return };
        let introduced = if let Choice::ByName(_, Some(text)) = shape.choice { text } else { "" };
        for field in shape.fields.iter().filter(|field| field.belongs.is_some()) {
            match (self.table.get(field.key), field.needed) {
                (Some(surplus), _) if !field.belongs_to(chosen) => {
                    let path = self.path_of(field.key);
                    let message = format!("`{path}` has no meaning with {introduced}`{chosen}`");
                    self.context.push(Problem::error(surplus.key_span.clone(), message));
                }
                (None, Some(example))
                    if field.belongs_to(chosen) && is_needed(field.key, field.stand_ins) =>
                {
                    self.lacks(field.key, example);
                }
                _ => {}
            }
        }
    }

    /// Notes every field that nobody asked for.
    pub(super) fn finish(&self) {
        let is_known = |key: &str| self.known.contains(&key);
        for entry in self.table.entries().iter().filter(|entry| !is_known(&entry.key)) {
            let message = format!("{} has no field `{}`", self.place(), entry.key);
            self.context.push_with_help(Problem::error(entry.key_span.clone(), message), || {
                let Some(near) = nearest(&entry.key, self.known.iter().copied()) else {
                    return format!("it has {}", list(&self.known));
                };
                if self.table.get(near).is_none() {
                    // It is not missing, it is misspelt.
                    self.context.retract(&self.span, &self.missing(near));
                }
                format!("did you mean `{near}`?")
            });
        }
    }

    fn missing(&self, key: &str) -> String {
        format!("{} needs `{key}`", self.place())
    }

    /// The table, as the subject of a message.
    fn place(&self) -> String {
        if self.path.is_empty() { "the scenario".to_owned() } else { format!("`{}`", self.path) }
    }
}

/// The entries of a table of named things that can be used, in order, each with its path. `None` if there are more than
/// `most`, or if there is no table.
pub(super) fn named<'t>(
    node: &'t Node,
    path: &str,
    most: usize,
    context: &Context<'_>,
) -> Option<Vec<(&'t Entry, String)>> {
    let Some(table) = node.as_table() else {
        let message = format!("`{path}`: expected a table, found {}", node.kind());
        context.push(Problem::error(node.span.clone(), message));
        return None;
    };
    if let Some(surplus) = table.entries().get(most) {
        let message = format!("`{path}`: a scenario has at most {most}, found {}", table.entries().len());
        context.push(Problem::error(surplus.key_span.clone(), message));
        return None;
    }
    let named = table.entries().iter().filter_map(|entry| {
        let path = format!("{path}.{}", display_key(&entry.key));
        match checked_name(&entry.key) {
            Ok(()) => Some((entry, path)),
            Err(reason) => {
                context.push(Problem::error(entry.key_span.clone(), format!("`{path}`: {reason}")));
                // What is wrong with it, and what refers to it, is told all the same.
                (entry.key.len() <= LONGEST_NAME).then_some((entry, path))
            }
        }
    });
    Some(named.collect())
}

/// Says of a time that counts from the scenario's start what it means, where it is written as a time of day is.
pub(super) fn warn_of_clock<V>(field: &Field<'_, V>, table: &Fields<'_>) {
    let (Some(entry), path) = (field.entry, table.path_of(field.key)) else { return };
    if let Value::Text(text) = &entry.node.value
        && text.contains(':')
        && let Ok(time) = units::duration(text)
    {
        let told = units::write_duration(time);
        let message = format!("`{path}`: {text} is {told} after the start, and no time of day");
        let help = format!("times count from the start of the scenario; if it is meant so, write {told:?}");
        table.context().push(Problem::warning(entry.node.span.clone(), message).help(help));
    }
}

/// More upstreams, routes or populations are refused: reading them takes time in their square.
pub(super) const MOST_NAMES: usize = 500;
