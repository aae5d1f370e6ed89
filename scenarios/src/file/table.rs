//! A table of the format, described once: [`table!`] declares its keys as the fields of a struct.
//!
//! The reader fills that struct. The JSON Schema, the merge of variants and the values in force of a sweep come from its
//! [`TableShape`]. A new key is a new field, and whatever uses its value.

use serde_json::json;

use super::context::Context;
use super::diagnostic::Problem;
use super::reader::{Field, Fields, MOST_NAMES, Read, named};
use super::shape::{Shape, TableShape, or_false};
use super::tree::{Entry, Node, Value};

/// A table that [`table!`] declares.
pub(super) trait Described<'t>: Sized {
    fn of(fields: &mut Fields<'t>) -> Self;

    fn table() -> TableShape;
}

/// A table, or `false` for none.
pub(super) struct Switch<T>(Option<T>);

/// A table, an array of several, or `false` for none, each with its place in the file. `None` is one that cannot be read, which
/// is noted.
pub(super) struct Several<'t, T>(pub(super) Vec<(&'t Node, Option<T>)>);

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

impl<'t, T: Read<'t>> Read<'t> for Several<'t, T> {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        let refuse = |expected: &str, help: &str| {
            let problem = Problem::error(node.span.clone(), format!("`{path}`: expected {expected}"));
            context.push(problem.help(help));
            None
        };
        match &node.value {
            Value::Boolean(false) => Some(Self(Vec::new())),
            Value::Array(items) if items.is_empty() => {
                refuse("at least one table, found none", "`false` is for none")
            }
            Value::Array(items) => {
                let read = |(place, item)| (item, T::read(item, &format!("{path}[{place}]"), context));
                Some(Self(items.iter().enumerate().map(read).collect()))
            }
            Value::Table(_) => Some(Self(vec![(node, T::read(node, path, context))])),
            Value::Boolean(true) => refuse("a table, an array of tables or false, found true", ""),
            _ => refuse(&format!("a table or an array of tables, found {}", node.kind()), ""),
        }
    }

    fn shape() -> Shape {
        Shape::Several(Box::new(T::shape()), T::shape)
    }
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
///     KEY ["as in the file"]: TYPE = DEFAULT, needed "how it is written" unless ["KEY", …], with |choice| …, of "KEY" ["KIND", …],
///     else unbounded, is kind;
/// }
/// ```
///
/// `unless` names other keys that stand in for one that is needed; `of` names another key that the field has a meaning with, and the kinds of values: names, or keys of a table; `""` is any other
/// value. `is kind` marks the keys that exclude one another, `is policy` configuration. The base, another table whose keys this one has too, and everything after the type may be left out. Without a default
/// the value is an `Option`: what holds where the key is absent is decided where the table is built, and a default that stands
/// there is named in the key's doc comment. A key that is needed and belongs to some choices is needed with those.
macro_rules! table {
    ($(
        $(#[doc = $doc:literal])*
        $vis:vis struct $Name:ident<$t:lifetime> ($choice:expr) {
            $(..$base:ident: $Base:ty;)?
            $(
                $(#[doc = $about:literal])*
                $field:ident $([$key:literal])?: $T:ty $(= $default:expr)?
                $(, needed $example:literal $(unless $others:expr)?)? $(, with $belongs:expr)? $(, of $other:literal $kinds:expr)? $(, else $unbounded:ident)? $(, is $mark:ident)?;
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
                    $crate::file::reader::Field<$t, $crate::file::table::table!(@value $T; $($default)?)>,
            )*
        }

        const _: () = {
            use $crate::file::reader::{Fields, Read};
            use $crate::file::shape::{Shape, TableShape};
            use $crate::file::{context::Context, table::Described, tree::Node};

            impl<$t> Described<$t> for $Name<$t> {
                fn of(fields: &mut Fields<$t>) -> Self {
                    $(let $base = <$Base as Described<$t>>::of(fields);)?
                    $(let $field = $crate::file::table::table!(
                        @read fields, $T, $crate::file::table::table!(@key $field $($key)?); $($default)?; $($example)?; $($belongs)?; $($($others)?)?
                    );)*
                    Self { table: fields.clone(), $($base,)? $($field,)* }
                }

                fn table() -> TableShape {
                    let shape = TableShape {
                        name: stringify!($Name),
                        about: concat!($($doc, "\n"),*),
                        choice: $choice,
                        bases: Vec::new(),
                        fields: vec![$($crate::file::shape::FieldShape {
                            $(default: Some(|| {
                                let default: $T = $default;
                                $crate::file::values::Written::written(&default)
                            }),)?
                            $(needed: Some($example), $(stand_ins: &$others,)?)?
                            $(belongs: Some($belongs),)?
                            $(rests: Some($crate::file::shape::Rests { key: $other, kinds: &$kinds }),)?
                            $(is_unbounded: stringify!($unbounded) == "unbounded",)?
                            $(is_kind: stringify!($mark) == "kind", is_policy: stringify!($mark) == "policy",)?
                            ..$crate::file::shape::FieldShape::new(
                                $crate::file::table::table!(@key $field $($key)?),
                                concat!($($about, "\n"),*),
                                <$T as Read<'_>>::shape,
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
    (@read $fields:ident, $T:ty, $key:expr; $default:expr; ; $($belongs:expr)?;) => { $fields.or::<$T>($key, $default) };
    (@read $fields:ident, $T:ty, $key:expr; ; $example:literal; ;) => { $fields.needed::<$T>($key, $example) };
    // What is needed only with some choices, or without some other keys, is judged when all keys are known.
    (@read $fields:ident, $T:ty, $key:expr; ; $($example:literal)?; $($belongs:expr)?; $($others:expr)?) => { $fields.field::<$T>($key) };
}
pub(super) use table;
