//! Reads the tree field by field, notes every problem and goes on.
//!
//! A value that cannot be read is noted and stands as absent from then on: what the caller builds from it is never
//! used, since a file with an error is refused.

use super::context::Context;
use super::diagnostic::Problem;
use super::table::{Choice, Field, Read, TableShape};
use super::tree::{Entry, Node, Span, Table, Value};
use super::units;
use super::values::FromNode;

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
        let chosen = match shape.choice {
            Choice::ByName(key, Some(_)) if self.table.get(key).is_none() => shape.chosen_by_default(),
            Choice::ByName(_, Some(_)) => shape.chosen(self.table),
            Choice::ByKind => {
                let mut kinds = shape.choices().into_iter().filter(|kind| self.table.get(kind).is_some());
                kinds.next().filter(|_| kinds.next().is_none())
            }
            Choice::ByName(_, None) | Choice::Free | Choice::OneKind | Choice::Whole => None,
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
                (None, Some(example)) if field.belongs_to(chosen) => self.lacks(field.key, example),
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

/// The value of a node; what is wrong with it is noted under the name `path`.
pub(super) fn read<T: FromNode>(node: &Node, path: &str, context: &Context<'_>) -> Option<T> {
    match T::from_node(node) {
        Ok(value) => Some(value),
        Err(reason) => {
            let problem = Problem::error(node.span.clone(), format!("`{path}`: {reason}"));
            context.push_with_help(problem, || T::help(node));
            None
        }
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

/// The name that a misspelt one most likely stands for, if any is near.
pub(crate) fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // The distance takes time in the square of the length, and nobody misspells that much.
    if wrong.len() > 64 {
        return None;
    }
    let wrong = wrong.to_lowercase();
    let scored = names.into_iter().filter(|name| name.len() <= 64).map(|name| {
        let known = name.to_lowercase();
        // Two letters that changed places are one slip, and much of a short word.
        let slips = strsim::osa_distance(&wrong, &known);
        let is_one_slip = slips == 1 && wrong.chars().count() >= 3;
        let likeness = strsim::jaro_winkler(&wrong, &known);
        (if is_one_slip { likeness.max(ONE_SLIP) } else { likeness }, name)
    });
    let (likeness, name) = scored.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (likeness > 0.8).then_some(name)
}

/// How alike a word and a misspelt one are at least.
const ONE_SLIP: f64 = 0.81;

/// The way out for a misspelt name: the nearest one, else what there is.
pub(super) fn way_out(wrong: &str, names: &[&str], otherwise: impl FnOnce() -> String) -> String {
    match nearest(wrong, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => otherwise(),
    }
}

/// All names that a wrong one could be, for a way out.
pub(super) fn all(what: &str, names: &[&str]) -> String {
    match names {
        [] => format!("there is no {what}"),
        [only] => format!("the only {what} is `{only}`"),
        _ => format!("the {what}s are {}", list(names)),
    }
}

/// `a`, `b` and `c`, each quoted as code; of many, the first ones.
pub(super) fn list<'n>(names: impl IntoIterator<Item = &'n &'n str>) -> String {
    let mut names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if names.len() > MOST_LISTED {
        let more = names.len() - MOST_LISTED;
        names.truncate(MOST_LISTED);
        names.push(format!("{more} more"));
    }
    match names.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// More names than the measures, the longest list of the format, are not read.
const MOST_LISTED: usize = 22;

/// More upstreams, routes or populations are refused: reading them takes time in their square.
pub(super) const MOST_NAMES: usize = 500;

/// A name as tables and charts can show it.
pub(super) fn checked_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        Err("a name cannot be empty".to_owned())
    } else if name.len() > LONGEST_NAME {
        Err(format!("a name has at most {LONGEST_NAME} bytes, found {}", name.len()))
    } else if name.contains(char::is_control) {
        Err("a name has no control characters".to_owned())
    } else {
        Ok(())
    }
}

/// In bytes; room for a long path of a route.
const LONGEST_NAME: usize = 250;

/// A key as it stands in a path: quoted where TOML needs quotes.
pub(crate) fn display_key(key: &str) -> String {
    let bare =
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if bare { key.to_owned() } else { format!("{key:?}") }
}
