//! A scenario file as a tree in which everything knows where it stands.
//!
//! Variants are merged on this tree, before anything is made of its values, so that a value carries its place
//! with it and a problem found in a variant points at the line that caused it.
//!
//! No library's tree does this: `toml-span` knows no date and stops at the first error of syntax, and the tables of
//! `toml_edit` forget their places once they can be merged. The tables of `toml` would be copied whole for each variant.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

/// Byte range in the text of the file.
pub(super) type Span = Range<usize>;

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

/// Subtrees are shared between the file and its variants.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(Rc<str>),
    /// Digits with sign and base as they stand in the file; judged by whoever reads the number.
    Integer(Rc<str>),
    Float(Rc<str>),
    Boolean(bool),
    Datetime(Datetime),
    Array(Rc<[Node]>),
    Table(Rc<Table>),
}

/// Entries in the order of the file, no two with the same key.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    entries: Vec<Entry>,
    /// Places by key, for a table too long to be searched from its beginning each time.
    places: Option<HashMap<Rc<str>, usize>>,
}

/// A key, where it stands, and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Rc<str>,
    pub(super) key_span: Span,
    pub(super) node: Node,
    /// The preset that sets it, where the file does not. The entry has the place of the preset's name in the file then.
    pub(super) preset: Option<&'static str>,
}

impl Table {
    /// A table of these entries, whose keys differ.
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        let places = (entries.len() > LONGEST_SEARCH)
            .then(|| entries.iter().enumerate().map(|(place, entry)| (entry.key.clone(), place)).collect());
        Self { entries, places }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(self.place(key)?)
    }

    /// The entry at the end of a path of tables.
    pub(super) fn find(&self, path: &[&str]) -> Option<&Entry> {
        let (last, tables) = path.split_last()?;
        let mut table = self;
        for key in tables {
            table = table.get(key)?.node.as_table()?;
        }
        table.get(last)
    }

    /// The place of a key among the entries.
    pub(super) fn place(&self, key: &str) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(key).copied(),
            None => self.entries.iter().position(|entry| &*entry.key == key),
        }
    }

    /// How many values there are in the table, tables and arrays with all that is in them.
    pub(super) fn values(&self) -> usize {
        self.entries.iter().map(|entry| entry.node.values()).sum()
    }

    /// The tree of a parsed document.
    pub(super) fn from_document(document: &DeTable<'_>) -> Self {
        let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| Entry {
            key: AsRef::<str>::as_ref(key.get_ref() as &std::borrow::Cow<'_, str>).into(),
            key_span: key.span(),
            node: Node::from_value(value),
            preset: None,
        };
        Self::new(document.iter().map(entry).collect())
    }
}

/// In so many entries a key is found faster by looking at each.
const LONGEST_SEARCH: usize = 16;

impl Node {
    fn from_value(value: &Spanned<DeValue<'_>>) -> Self {
        let span = value.span();
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.as_ref().into()),
            DeValue::Integer(integer) => Value::Integer(integer.to_string().into()),
            DeValue::Float(float) => Value::Float(float.as_str().into()),
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Datetime(datetime) => Value::Datetime(*datetime),
            DeValue::Array(array) => Value::Array(array.iter().map(Self::from_value).collect()),
            DeValue::Table(table) => Value::Table(Rc::new(Table::from_document(table))),
        };
        Self { span, value }
    }

    /// How many values this is, itself and all that is in it.
    pub(super) fn values(&self) -> usize {
        1 + match &self.value {
            Value::Array(items) => items.iter().map(Self::values).sum(),
            Value::Table(table) => table.values(),
            _ => 0,
        }
    }

    pub(super) fn as_table(&self) -> Option<&Rc<Table>> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// What kind of value this is, for «found …».
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Boolean(_) => "a boolean",
            Value::Datetime(_) => "a date and time",
            Value::Array(_) => "an array",
            Value::Table(_) => "a table",
        }
    }
}

impl Value {
    /// Whether both say the same, wherever they stand.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other))
            | (Self::Integer(one), Self::Integer(other))
            | (Self::Float(one), Self::Float(other)) => one == other,
            (Self::Boolean(one), Self::Boolean(other)) => one == other,
            (Self::Datetime(one), Self::Datetime(other)) => one == other,
            (Self::Array(one), Self::Array(other)) => {
                one.len() == other.len()
                    && one.iter().zip(&**other).all(|(one, other)| one.value.same(&other.value))
            }
            (Self::Table(one), Self::Table(other)) => {
                one.entries.len() == other.entries.len()
                    && one.entries.iter().all(|entry| {
                        other.get(&entry.key).is_some_and(|other| entry.node.value.same(&other.node.value))
                    })
            }
            _ => false,
        }
    }
}
