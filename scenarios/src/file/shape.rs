//! The format as a value, told without a file: what can stand behind each key, and which keys have a meaning when.

use std::borrow::Cow;

use serde_json::{Value as Json, json};

use super::tree::{Table, Value};

/// A part of the format.
pub(super) enum Shape {
    /// A value in which no key has a meaning, as keywords of JSON Schema.
    Value(Json),
    /// One of these names, each with what it means.
    Name(Vec<(&'static str, &'static str)>),
    Table(TableShape),
    /// Things by name.
    Named(fn() -> Shape),
    Array(fn() -> Shape),
    /// A table, an array of several of them, or `false` for none; a variant replaces an array whole.
    Several(Box<Shape>, fn() -> Shape),
    /// One of these, each with what it is; a variant replaces the whole.
    Either(Vec<(Shape, &'static str)>),
    /// A shape with further keywords of JSON Schema.
    With(Box<Shape>, Json),
}

/// A table of keys.
pub(super) struct TableShape {
    /// As the schema calls it.
    pub(super) name: &'static str,
    /// As it stands in the source.
    pub(super) about: &'static str,
    pub(super) choice: Choice,
    pub(super) fields: Vec<FieldShape>,
    /// The names of the tables whose keys it has besides its own.
    pub(super) bases: Vec<&'static str>,
}

/// What decides which keys of a table have a meaning.
#[derive(Clone, Copy)]
pub(super) enum Choice {
    /// Each has one.
    Free,
    /// The value of a key. The text stands before that value in the message on a key that has no meaning with the value;
    /// without a text, whoever uses the table judges that.
    ByName(&'static str, Option<&'static str>),
    /// Which one of the keys that are a kind is there.
    ByKind,
    /// As [`ByKind`](Self::ByKind), where `false` is as good as absent. Stands in arrays, which are never merged.
    OneKind,
    /// One key is all there is, and a variant replaces the table whole.
    Whole,
    /// What the table chooses that this one stands in, by name. Whoever uses the table judges that.
    OfParent,
}

/// A key of a table.
pub(super) struct FieldShape {
    pub(super) key: &'static str,
    /// As it stands in the source; empty where the type says it.
    pub(super) about: &'static str,
    pub(super) shape: fn() -> Shape,
    pub(super) default: Option<fn() -> Json>,
    /// How it is written, where it may not be absent.
    pub(super) needed: Option<&'static str>,
    /// Keys one of which may stand in its place where it is needed.
    pub(super) stand_ins: &'static [&'static str],
    /// With which choices it has a meaning; `None` with any.
    pub(super) belongs: Option<fn(&str) -> bool>,
    /// Another key of the table, beside that of the choice, with which values it has a meaning; `None` with any.
    pub(super) rests: Option<Rests>,
    /// Whether absent is without a bound.
    pub(super) is_unbounded: bool,
    /// Whether it is one of the keys of which the table has one.
    pub(super) is_kind: bool,
    /// Whether it is how the gateway, a service or the clients are configured or weighed, and not what befalls them.
    pub(super) is_policy: bool,
}

/// A key with which another has a meaning or not.
#[derive(Clone, Copy)]
pub(super) struct Rests {
    pub(super) key: &'static str,
    /// Of its values, by their [`kind`].
    pub(super) kinds: &'static [&'static str],
}

/// What kind a value is, where several can stand behind a key: of a table the first key, of a name that name, and of anything
/// else nothing.
fn kind<'v>(value: &'v Value, shape: &Shape) -> &'v str {
    match value {
        Value::Table(table) => table.entries().first().map_or("", |entry| &entry.key),
        Value::Text(name) if matches!(shape, Shape::Name(_)) => name,
        _ => "",
    }
}

/// The keyword for what a table needs beyond its required fields, which [`json_schema`](super::json_schema) puts where the
/// table is whole.
pub(super) const WHOLE: &str = "x-whole";

impl Shape {
    /// What stands behind a key of a table.
    pub(super) fn below(&self, key: &str) -> Option<Self> {
        match self {
            Self::With(shape, _) | Self::Several(shape, _) => shape.below(key),
            Self::Table(table) => table.field(key).map(|field| (field.shape)()),
            Self::Named(each) => Some(each()),
            Self::Value(_) | Self::Name(_) | Self::Array(_) | Self::Either(_) => None,
        }
    }

    /// What each item of an array is.
    pub(super) fn item(&self) -> Option<Self> {
        match self {
            Self::With(shape, _) => shape.item(),
            Self::Array(each) | Self::Several(_, each) => Some(each()),
            _ => None,
        }
    }

    pub(super) fn as_table(&self) -> Option<&TableShape> {
        match self {
            Self::With(shape, _) | Self::Several(shape, _) => shape.as_table(),
            Self::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The keys of a table; none of anything else.
    pub(super) fn into_fields(self) -> Vec<FieldShape> {
        match self {
            Self::With(shape, _) | Self::Several(shape, _) => shape.into_fields(),
            Self::Table(table) => table.fields,
            _ => Vec::new(),
        }
    }

    /// Whether a table of a variant takes the place of that of the file, and is not merged with it.
    pub(super) fn is_replaced_whole(&self) -> bool {
        match self {
            Self::Either(_) => true,
            _ => self.as_table().is_some_and(|table| matches!(table.choice, Choice::Whole)),
        }
    }
}

impl TableShape {
    pub(super) fn field(&self, key: &str) -> Option<&FieldShape> {
        self.fields.iter().find(|field| field.key == key)
    }

    /// The same with the keys of another table before its own, which that table's choice decides about.
    pub(super) fn above(mut self, base: Self) -> Self {
        self.choice = base.choice;
        self.fields.splice(0..0, base.fields);
        self.bases.push(base.name);
        self.bases.extend(base.bases);
        self
    }

    /// Whether it is the table of that name, or has all keys of that table.
    pub(super) fn is_a(&self, name: &str) -> bool {
        self.name == name || self.bases.contains(&name)
    }

    /// What can be chosen.
    pub(super) fn choices(&self) -> Vec<&'static str> {
        match self.choice {
            Choice::ByName(key, _) => match self.field(key).map(|field| (field.shape)()) {
                Some(Shape::Name(names)) => names.into_iter().map(|(name, _)| name).collect(),
                _ => Vec::new(),
            },
            Choice::ByKind | Choice::OneKind | Choice::Whole => {
                self.fields.iter().filter(|field| field.is_kind).map(|field| field.key).collect()
            }
            Choice::Free | Choice::OfParent => Vec::new(),
        }
    }

    /// What a table says that decides which of its keys have a meaning. `None` if the table says nothing of it, or nothing
    /// that is known.
    pub(super) fn chosen(&self, table: &Table) -> Option<&'static str> {
        let says = |choice: &&str| match self.choice {
            Choice::ByName(key, _) => table
                .get(key)
                .is_some_and(|entry| matches!(&entry.node.value, Value::Text(text) if **text == **choice)),
            _ => table.get(choice).is_some(),
        };
        self.choices().into_iter().find(says)
    }

    /// What holds where a table does not choose.
    pub(super) fn chosen_by_default(&self) -> Option<&'static str> {
        let Choice::ByName(key, _) = self.choice else { return None };
        let default = self.field(key)?.default?();
        self.choices().into_iter().find(|name| default == **name)
    }

    /// The value on which a key of the table rests, where the key has no meaning with that value: the other key, and the value's
    /// kind. A key that is absent has its default.
    pub(super) fn at_odds<'v>(&self, table: &'v Table, key: &str) -> Option<(&'static str, Cow<'v, str>)> {
        let rests = self.field(key)?.rests?;
        let other = self.field(rests.key)?;
        let kind = match table.get(rests.key) {
            Some(entry) => Cow::Borrowed(kind(&entry.node.value, &(other.shape)())),
            None => Cow::Owned(other.kind_by_default()),
        };
        (!rests.kinds.contains(&&*kind)).then_some((rests.key, kind))
    }

    /// Whether a key has a meaning with that choice.
    pub(super) fn has(&self, chosen: &str, key: &str) -> bool {
        self.field(key).is_none_or(|field| field.belongs_to(chosen))
    }
}

impl FieldShape {
    pub(super) fn new(key: &'static str, about: &'static str, shape: fn() -> Shape) -> Self {
        Self {
            key,
            about,
            shape,
            default: None,
            needed: None,
            stand_ins: &[],
            belongs: None,
            rests: None,
            is_unbounded: false,
            is_kind: false,
            is_policy: false,
        }
    }

    /// The [`kind`] of the default.
    pub(super) fn kind_by_default(&self) -> String {
        let name = || self.default?().as_str().map(str::to_owned);
        if matches!((self.shape)(), Shape::Name(_)) { name().unwrap_or_default() } else { String::new() }
    }

    pub(super) fn belongs_to(&self, chosen: &str) -> bool {
        if self.is_kind { self.key == chosen } else { self.belongs.is_none_or(|belongs| belongs(chosen)) }
    }
}

/// A table or `false`, said so that what is wrong in the table is still told by its place.
pub(super) fn or_false(table: Shape) -> Shape {
    let keywords = json!({ "type": ["object", "boolean"], "not": { "const": true } });
    Shape::With(Box::new(table), keywords)
}
