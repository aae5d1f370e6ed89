//! A table of the format, described once: [`table!`] declares its keys as the fields of a struct.
//!
//! The reader fills that struct. The JSON Schema, the merge of variants and the values in force of a sweep come from its
//! [`TableShape`]. A new key is a new field, and whatever uses its value.

use serde_json::{Value as Json, json};

use super::context::Context;
use super::diagnostic::Problem;
use super::reader::{Fields, MOST_NAMES, named};
use super::tree::{Entry, Node, Span, Table, Value};

/// What can stand behind a key.
pub(super) trait Read<'t>: Sized {
    /// The value of a node; what is wrong with the node is noted under the name `path`.
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self>;

    /// The same without a file.
    fn shape() -> Shape;
}

/// A table that [`table!`] declares.
pub(super) trait Described<'t>: Sized {
    fn of(fields: &mut Fields<'t>) -> Self;

    fn table() -> TableShape;
}

/// A key of a table with its value: an `Option`, or the plain value where there is a default.
pub(super) struct Field<'t, V> {
    pub(super) key: &'static str,
    pub(super) entry: Option<&'t Entry>,
    pub(super) value: V,
}

/// A table, or `false` for none.
pub(super) struct Switch<T>(Option<T>);

/// Tables or values by name, in the order of the file.
pub(super) struct Named<'t, T>(pub(super) Vec<One<'t, T>>);

/// One of several things that have names.
pub(super) struct One<'t, T> {
    pub(super) entry: &'t Entry,
    /// `None` if it cannot be read, which is noted.
    pub(super) value: Option<T>,
}

/// An array. `None` is an item that cannot be read, which is noted.
pub(super) struct Items<T>(pub(super) Vec<Option<T>>);

/// What can stand in an array.
pub(super) trait Item {
    /// What the array is of.
    const OF: &'static str = "tables";
    const EMPTY: Empty = Empty::Allowed;

    /// The way out of what is no array.
    fn way_out() -> String {
        String::new()
    }
}

/// Whether an array may be empty.
#[derive(PartialEq)]
pub(super) enum Empty {
    Allowed,
    Refused,
    /// By whoever uses the array.
    RefusedLater,
}

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
    /// With which choices it has a meaning; `None` with any.
    pub(super) belongs: Option<fn(&str) -> bool>,
    /// Whether absent is without a bound.
    pub(super) is_unbounded: bool,
    /// Whether it is one of the keys of which the table has one.
    pub(super) is_kind: bool,
    /// Whether it is how the gateway or its clients are configured, and not what befalls them.
    pub(super) is_policy: bool,
}

impl<V> Field<'_, V> {
    /// The place of the value, or of the table where the key is absent.
    pub(super) fn span_in(&self, table: &Fields<'_>) -> Span {
        self.entry.map_or_else(|| table.span(), |entry| entry.node.span.clone())
    }
}

impl<T> Field<'_, Option<Switch<T>>> {
    /// The table; `None` where it is absent or switched off.
    pub(super) fn on(self) -> Option<T> {
        self.value?.0
    }
}

impl<T> Items<T> {
    /// What is made of each; `None` if there is one of which nothing can be made.
    pub(super) fn all<U>(self, make: impl Fn(T) -> Option<U>) -> Option<Vec<U>> {
        // Each of them is looked at, whatever is wrong with those before it.
        let made: Vec<Option<U>> = self.0.into_iter().map(|item| item.and_then(&make)).collect();
        made.into_iter().collect()
    }
}

impl<'t, T> Field<'t, Option<Named<'t, T>>> {
    /// Those that there are; absent is none.
    pub(super) fn all(self) -> Vec<One<'t, T>> {
        self.value.map_or_else(Vec::new, |named| named.0)
    }
}

/// The keyword for what a table needs beyond its required fields, which [`json_schema`](super::json_schema) puts where the
/// table is whole.
pub(super) const WHOLE: &str = "x-whole";

impl Shape {
    /// What stands behind a key of a table.
    pub(super) fn below(&self, key: &str) -> Option<Self> {
        match self {
            Self::With(shape, _) => shape.below(key),
            Self::Table(table) => table.field(key).map(|field| (field.shape)()),
            Self::Named(each) => Some(each()),
            Self::Value(_) | Self::Name(_) | Self::Array(_) | Self::Either(_) => None,
        }
    }

    pub(super) fn as_table(&self) -> Option<&TableShape> {
        match self {
            Self::With(shape, _) => shape.as_table(),
            Self::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The keys of a table; none of anything else.
    pub(super) fn into_fields(self) -> Vec<FieldShape> {
        match self {
            Self::With(shape, _) => shape.into_fields(),
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
        self
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
            Choice::Free => Vec::new(),
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

    /// Whether a key has a meaning with that choice.
    pub(super) fn has(&self, chosen: &str, key: &str) -> bool {
        self.field(key).is_none_or(|field| field.belongs_to(chosen))
    }
}

impl FieldShape {
    pub(super) fn of<'t, T: Read<'t>>(key: &'static str, about: &'static str) -> Self {
        Self {
            key,
            about,
            shape: T::shape,
            default: None,
            needed: None,
            belongs: None,
            is_unbounded: false,
            is_kind: false,
            is_policy: false,
        }
    }

    pub(super) fn belongs_to(&self, chosen: &str) -> bool {
        if self.is_kind { self.key == chosen } else { self.belongs.is_none_or(|belongs| belongs(chosen)) }
    }
}

impl<'t, T: Read<'t>> Read<'t> for Switch<T> {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        match node.value {
            Value::Boolean(false) => Some(Self(None)),
            Value::Boolean(true) => {
                let message = format!("`{path}`: expected a table or false, found true");
                context.push(Problem::error(node.span.clone(), message));
                None
            }
            _ => T::read(node, path, context).map(|table| Self(Some(table))),
        }
    }

    fn shape() -> Shape {
        or_false(T::shape())
    }
}

/// A table or `false`, said so that what is wrong in the table is still told by its place.
pub(super) fn or_false(table: Shape) -> Shape {
    let keywords = json!({ "type": ["object", "boolean"], "not": { "const": true } });
    Shape::With(Box::new(table), keywords)
}

impl<'t, T: Read<'t>> Read<'t> for Named<'t, T> {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        let named = named(node, path, MOST_NAMES, context)?.into_iter();
        let one = |(entry, path): (&'t Entry, String)| {
            let value = T::read(&entry.node, &path, context);
            One { entry, value }
        };
        Some(Self(named.map(one).collect()))
    }

    fn shape() -> Shape {
        Shape::Named(T::shape)
    }
}

impl<'t, T: Read<'t> + Item> Read<'t> for Items<T> {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        let problem =
            |expected: &str| Problem::error(node.span.clone(), format!("`{path}`: expected {expected}"));
        let Value::Array(items) = &node.value else {
            context
                .push(problem(&format!("an array of {}, found {}", T::OF, node.kind())).help(T::way_out()));
            return None;
        };
        if items.is_empty() && T::EMPTY == Empty::Refused {
            context.push(problem("at least one, found none"));
        }
        Some(Self(items.iter().map(|item| T::read(item, path, context)).collect()))
    }

    fn shape() -> Shape {
        match T::EMPTY {
            Empty::Allowed => Shape::Array(T::shape),
            _ => Shape::With(Box::new(Shape::Array(T::shape)), json!({ "minItems": 1 })),
        }
    }
}

/// Declares tables of the format, each as a struct with a [`Field`] for each key, and `table` for the table itself.
///
/// ```text
/// /// What the table is.
/// struct NAME<'t> (CHOICE) {
///     ..BASE: TABLE;
///     /// What the key means.
///     KEY ["as in the file"]: TYPE = DEFAULT, needed "how it is written", with |choice| …, else unbounded, is kind;
/// }
/// ```
///
/// `is kind` marks the keys that exclude one another, `is policy` configuration. The base, another table whose keys this one has too, and everything after the type may be left out. Without a default
/// the value is an `Option`. A key that is needed and belongs to some choices is needed with those.
macro_rules! table {
    ($(
        $(#[doc = $doc:literal])*
        $vis:vis struct $Name:ident<$t:lifetime> ($choice:expr) {
            $(..$base:ident: $Base:ty;)?
            $(
                $(#[doc = $about:literal])*
                $field:ident $([$key:literal])?: $T:ty $(= $default:expr)?
                $(, needed $example:literal)? $(, with $belongs:expr)? $(, else $unbounded:ident)? $(, is $mark:ident)?;
            )*
        }
    )+) => {$(
        $(#[doc = $doc])*
        $vis struct $Name<$t> {
            pub(in crate::file) table: $crate::file::reader::Fields<$t>,
            $(pub(in crate::file) $base: $Base,)?
            $(
                $(#[doc = $about])*
                pub(in crate::file) $field:
                    $crate::file::table::Field<$t, $crate::file::table::table!(@value $T; $($default)?)>,
            )*
        }

        const _: () = {
            use $crate::file::table::{Described, Read, Shape, TableShape};
            use $crate::file::{context::Context, reader::Fields, tree::Node};

            impl<$t> Described<$t> for $Name<$t> {
                fn of(fields: &mut Fields<$t>) -> Self {
                    $(let $base = <$Base as Described<$t>>::of(fields);)?
                    $(let $field = $crate::file::table::table!(
                        @read fields, $T, $crate::file::table::table!(@key $field $($key)?); $($default)?; $($example)?; $($belongs)?
                    );)*
                    Self { table: fields.clone(), $($base,)? $($field,)* }
                }

                fn table() -> TableShape {
                    let shape = TableShape {
                        name: stringify!($Name),
                        about: concat!($($doc, "\n"),*),
                        choice: $choice,
                        fields: vec![$($crate::file::table::FieldShape {
                            $(default: Some(|| {
                                let default: $T = $default;
                                $crate::file::values::Written::written(&default)
                            }),)?
                            $(needed: Some($example),)?
                            $(belongs: Some($belongs),)?
                            $(is_unbounded: stringify!($unbounded) == "unbounded",)?
                            $(is_kind: stringify!($mark) == "kind", is_policy: stringify!($mark) == "policy",)?
                            ..$crate::file::table::FieldShape::of::<$T>(
                                $crate::file::table::table!(@key $field $($key)?),
                                concat!($($about, "\n"),*),
                            )
                        }),*],
                    };
                    $(let shape = shape.above(<$Base as Described<$t>>::table());)?
                    shape
                }
            }

            impl<$t> Read<$t> for $Name<$t> {
                fn read(node: &$t Node, path: &str, context: &$t Context<$t>) -> Option<Self> {
                    let table = Self::of(&mut Fields::of(node, path, context)?);
                    table.table.judge(&Self::table());
                    table.table.finish();
                    Some(table)
                }

                fn shape() -> Shape {
                    Shape::Table(Self::table())
                }
            }
        };
    )+};
    (@value $T:ty;) => { Option<$T> };
    (@value $T:ty; $default:expr) => { $T };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@read $fields:ident, $T:ty, $key:expr; $default:expr; ; $($belongs:expr)?) => { $fields.or::<$T>($key, $default) };
    (@read $fields:ident, $T:ty, $key:expr; ; $example:literal;) => { $fields.needed::<$T>($key, $example) };
    // What is needed only with some choices is judged when the choice is known.
    (@read $fields:ident, $T:ty, $key:expr; ; $($example:literal)?; $($belongs:expr)?) => { $fields.field::<$T>($key) };
}
pub(super) use table;
