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
    /// Known, but of no use to this version.
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
        if !self.known.contains(&key) {
            self.known.push(key);
        }
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
            let problem = Problem::error(self.span.clone(), self.missing(key)).of_absence();
            self.context.push(problem.help(example(&self.path, key)));
        }
        entry
    }

    /// A table that may be absent, or switched off by `false`.
    pub(super) fn optional_table(&mut self, key: &'static str) -> Option<Self> {
        let entry = self.entry(key)?;
        match entry.node.value {
            Value::Boolean(false) => None,
            Value::Boolean(true) => {
                let message = format!("`{}`: expected a table or false, found true", self.path_of(key));
                self.context.push(Problem::error(entry.node.span.clone(), message));
                None
            }
            _ => Self::of(&entry.node, self.path_of(key), self.context),
        }
    }

    /// A table of named things: each entry that can be used, in order, with its path. Absent is empty.
    pub(super) fn named(&mut self, key: &'static str) -> Vec<(&'t Entry, String)> {
        self.named_up_to(MOST_NAMES, key).unwrap_or_default()
    }

    /// [`named`](Self::named) things, none if there are more than so many of them.
    pub(super) fn named_up_to(&mut self, most: usize, key: &'static str) -> Option<Vec<(&'t Entry, String)>> {
        let Some(entry) = self.entry(key) else { return Some(Vec::new()) };
        let path = self.path_of(key);
        let Some(table) = entry.node.as_table() else {
            let message = format!("`{path}`: expected a table, found {}", entry.node.kind());
            self.context.push(Problem::error(entry.node.span.clone(), message));
            return Some(Vec::new());
        };
        if let Some(surplus) = table.entries().get(most) {
            let message = format!("`{path}`: a scenario has at most {most}, found {}", table.entries().len());
            self.context.push(Problem::error(surplus.key_span.clone(), message));
            return None;
        }
        let named = table.entries().iter().filter_map(|entry| {
            let path = format!("{path}.{}", display_key(&entry.key));
            match checked_name(&entry.key) {
                Ok(()) => Some((entry, path)),
                Err(reason) => {
                    self.context.push(Problem::error(entry.key_span.clone(), format!("`{path}`: {reason}")));
                    // What is wrong with it, and what refers to it, is told all the same.
                    (entry.key.len() <= LONGEST_NAME).then_some((entry, path))
                }
            }
        });
        Some(named.collect())
    }

    /// Notes every field that nobody asked for.
    pub(super) fn finish(self) {
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
        whole_number(node, Self::MAX)
    }
}

impl FromNode for u32 {
    fn from_node(node: &Node) -> Result<Self, String> {
        whole_number(node, Self::MAX.into()).map(|number| number as Self)
    }
}

/// A whole number from 0 to `most`.
fn whole_number(node: &Node, most: u64) -> Result<u64, String> {
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
    let number = u64::from_str_radix(plain, radix).ok().filter(|number| *number <= most);
    number.ok_or_else(|| format!("expected a whole number up to {most}"))
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

/// How much of something, 0 for none and 1 for as much; it may be more.
pub(super) struct Percentage(pub(super) f64);

impl FromNode for Percentage {
    fn from_node(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::Text(text) => units::percentage(text).map(Self),
            _ => Err(format!("expected a percentage such as \"50%\", found {}", node.kind())),
        }
    }
}

/// A number of bytes.
pub(super) struct Size(pub(super) u64);

impl FromNode for Size {
    fn from_node(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::Text(text) => units::size(text).map(Self),
            _ => Err(format!("expected a size such as \"2KB\", found {}", node.kind())),
        }
    }
}

/// Statuses of answers, each from 100 to 599.
pub(super) struct Statuses(pub(super) Vec<u16>);

impl FromNode for Statuses {
    fn from_node(node: &Node) -> Result<Self, String> {
        let Value::Array(items) = &node.value else {
            return Err(format!("expected an array of statuses such as [304], found {}", node.kind()));
        };
        let status = |item: &Node| {
            let status = u32::from_node(item).ok().and_then(|status| u16::try_from(status).ok());
            status
                .filter(|status| (100..=599).contains(status))
                .ok_or_else(|| "expected statuses from 100 to 599, such as [304]".to_owned())
        };
        items.iter().map(status).collect::<Result<_, _>>().map(Self)
    }
}

/// Longer than any scenario, and short enough that no sum of a few overflows.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Says of a time that counts from the scenario's start what it means, where it is written as a time of day is.
pub(super) fn warn_of_clock(entry: Option<&Entry>, path: &str, context: &Context<'_>) {
    let Some(entry) = entry else { return };
    if let Value::Text(text) = &entry.node.value
        && text.contains(':')
        && let Ok(time) = units::duration(text)
    {
        let told = units::write_duration(time);
        let message = format!("`{path}`: {text} is {told} after the start, and no time of day");
        let help = format!("times count from the start of the scenario; if it is meant so, write {told:?}");
        context.push(Problem::warning(entry.node.span.clone(), message).help(help));
    }
}

/// The place of an upstream by its name, which stands at `span` as a value of `path`.
pub(super) fn find_upstream(
    span: &Span,
    path: &str,
    name: &str,
    names: &[&str],
    context: &Context<'_>,
) -> Option<usize> {
    let place = names.iter().position(|known| *known == name);
    // Where there is none at all, that has been told.
    if place.is_none() && !names.is_empty() {
        let message = format!("`{path}`: there is no upstream `{name}`");
        context.push_with_help(Problem::error(span.clone(), message).of_absence(), || {
            way_out(name, names, || all("upstream", names))
        });
    }
    place
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
const MOST_NAMES: usize = 500;

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

/// How a field that is missing is written; empty where its name says it.
fn example(path: &str, key: &str) -> &'static str {
    match key {
        "latency" if path == "slo" => "such as `latency = \"500ms\"`",
        "name" => "such as `name = \"Window-boundary burst\"`",
        "duration" => "for how long requests arrive, such as `duration = \"2m\"`",
        "slo" => "what counts as served well, such as `slo.latency = \"500ms\"`",
        "at" if path == "faults" => {
            "when it begins, counted from the scenario's start, such as `at = \"2m\"`"
        }
        "for" if path == "faults" => "how long it lasts, such as `for = \"90s\"`",
        "upstreams" if path == "faults" => "whom it strikes, such as `upstreams = [\"payments\"]`",
        "retries" => "attempts after the first, such as `retries = 3`",
        "base" => "the first wait, such as `base = \"100ms\"`",
        "upstreams" => "such as `upstreams.orders.latency = { constant = \"5ms\" }`",
        "routes" => "such as `routes.\"/orders\".upstream = \"orders\"`",
        "clients" => "such as `clients.partner = { send = \"/orders\", rate = \"100/s\" }`",
        "latency" => "such as `latency = \"5ms\"`",
        "send" => "the path of the requests, such as `send = \"/orders\"`",
        "upstream" => "the name of one of the `upstreams`",
        "algorithm" => "such as `algorithm = \"token-bucket\"`",
        "limit" => "requests in a window, such as `limit = 1000`",
        "window" => "such as `window = \"1m\"`",
        "url" => "where the gateway listens, such as `url = \"http://127.0.0.1:8080\"`",
        _ => "",
    }
}

/// A key as it stands in a path: quoted where TOML needs quotes.
pub(crate) fn display_key(key: &str) -> String {
    let bare =
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if bare { key.to_owned() } else { format!("{key:?}") }
}
