//! Single values of the file: what each may be, for the reader and for the schema, and how it is written.

use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use simulator::Rate;

use super::context::Context;
use super::diagnostic::Problem;
use super::reader::Read;
use super::shape::Shape;
use super::tree::{Node, Value};
use super::units;
use super::words::{list, way_out};

/// What a single value of the file can be read as.
pub(super) trait FromNode: Sized {
    /// # Errors
    ///
    /// What was expected, and what was found where that helps.
    fn from_node(node: &Node) -> Result<Self, String>;

    /// The way out of what is wrong with a node; may be empty.
    fn help(_: &Node) -> String {
        String::new()
    }

    /// The same without a file.
    fn format() -> Shape;
}

impl<'t, T: FromNode> Read<'t> for T {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        read(node, path, context)
    }

    fn shape() -> Shape {
        T::format()
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

/// How a value stands in a file, for a default.
pub(super) trait Written {
    fn written(&self) -> Json;
}

/// One of several names.
pub(super) trait Name: Copy {
    /// All of them, each with what it stands for and what that means; no meaning is told where the name says it.
    fn all() -> Vec<(&'static str, Self, &'static str)>;

    fn unknown(name: &str) -> String {
        format!("there is no `{name}`")
    }

    /// The way out of an unknown name.
    fn help(wrong: &str, names: &[&str]) -> String {
        let is_only = if names.len() == 1 { "is only" } else { "are" };
        way_out(wrong, names, || format!("there {is_only} {}", list(names)))
    }
}

/// Declares an enum of names, or for an enum that there is, its names: each with its meaning before it.
macro_rules! names {
    ($(#[$about:meta])* enum $Name:ident {
        $($(#[doc = $doc:literal])* $name:literal => $variant:ident,)*
    } $($of_its_own:tt)*) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq)]
        pub(super) enum $Name {
            $($(#[doc = $doc])* $variant,)*
        }

        $crate::file::values::names! {
            $Name { $($(#[doc = $doc])* $name => $variant,)* } $($of_its_own)*
        }
    };
    ($Name:ident { $($(#[doc = $doc:literal])* $name:literal => $variant:ident,)* } $($of_its_own:tt)*) => {
        impl $crate::file::values::Name for $Name {
            fn all() -> Vec<(&'static str, Self, &'static str)> {
                vec![$(($name, Self::$variant, concat!($($doc),*).trim_start())),*]
            }

            $($of_its_own)*
        }
    };
}
pub(super) use names;

pub(super) fn names_of<T: Name>() -> Vec<&'static str> {
    T::all().into_iter().map(|(name, ..)| name).collect()
}

impl<T: Name> FromNode for T {
    fn from_node(node: &Node) -> Result<Self, String> {
        let text = <Rc<str>>::from_node(node)?;
        let found = Self::all().into_iter().find(|(name, ..)| *name == &*text);
        found.map(|(_, value, _)| value).ok_or_else(|| Self::unknown(&text))
    }

    fn help(node: &Node) -> String {
        let Value::Text(text) = &node.value else { return String::new() };
        <Self as Name>::help(text, &names_of::<Self>())
    }

    fn format() -> Shape {
        Shape::Name(Self::all().into_iter().map(|(name, _, about)| (name, about)).collect())
    }
}

impl<T: Name + PartialEq> Written for T {
    fn written(&self) -> Json {
        let found = Self::all().into_iter().find(|(_, value, _)| value == self);
        found.map_or(Json::Null, |(name, ..)| name.into())
    }
}

impl FromNode for Rc<str> {
    fn from_node(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::Text(text) => Ok(text.clone()),
            _ => Err(format!("expected a string, found {}", node.kind())),
        }
    }

    fn format() -> Shape {
        Shape::Value(json!({ "type": "string" }))
    }
}

impl FromNode for bool {
    fn from_node(node: &Node) -> Result<Self, String> {
        match node.value {
            Value::Boolean(value) => Ok(value),
            _ => Err(format!("expected true or false, found {}", node.kind())),
        }
    }

    fn format() -> Shape {
        Shape::Value(json!({ "type": "boolean" }))
    }
}

impl FromNode for u64 {
    fn from_node(node: &Node) -> Result<Self, String> {
        whole_number(node, Self::MAX)
    }

    fn format() -> Shape {
        Shape::Value(json!({ "type": "integer", "minimum": 0 }))
    }
}

impl FromNode for u32 {
    fn from_node(node: &Node) -> Result<Self, String> {
        whole_number(node, Self::MAX.into()).map(|number| number as Self)
    }

    fn format() -> Shape {
        Shape::Value(json!({ "type": "integer", "minimum": 0, "maximum": Self::MAX }))
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

    fn format() -> Shape {
        Shape::Value(json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX }))
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

    fn format() -> Shape {
        Shape::Value(text(DURATION))
    }
}

/// A duration above zero.
#[derive(Clone, Copy)]
pub(super) struct Positive(pub(super) Duration);

impl FromNode for Positive {
    fn from_node(node: &Node) -> Result<Self, String> {
        let duration = Duration::from_node(node)?;
        if duration.is_zero() { Err("expected more than zero".to_owned()) } else { Ok(Self(duration)) }
    }

    fn format() -> Shape {
        above_zero(Duration::format())
    }
}

/// Reads and describes a quantity that is a text in the file.
macro_rules! quantity {
    ($Quantity:ty, $expected:literal, $pattern:expr, $read:expr) => {
        impl FromNode for $Quantity {
            fn from_node(node: &Node) -> Result<Self, String> {
                match &node.value {
                    Value::Text(text) => $read(text),
                    _ => Err(format!(concat!("expected ", $expected, ", found {}"), node.kind())),
                }
            }

            fn format() -> Shape {
                Shape::Value(text($pattern))
            }
        }
    };
}

quantity!(Rate, "a rate such as \"200/s\"", RATE, units::rate);
quantity!(Share, "a percentage such as \"50%\"", SHARE, |text: &str| units::share(text).map(Self));
quantity!(Percentage, "a percentage such as \"50%\"", PERCENTAGE, |text: &str| units::percentage(text)
    .map(Self));
quantity!(Size, "a size such as \"2KB\"", SIZE, |text: &str| units::size(text).map(Self));

/// A share, 0 to 1.
#[derive(Clone, Copy)]
pub(super) struct Share(pub(super) f64);

/// How much of something, 0 for none and 1 for as much; it may be more.
#[derive(Clone, Copy)]
pub(super) struct Percentage(pub(super) f64);

/// A number of bytes.
#[derive(Clone, Copy)]
pub(super) struct Size(pub(super) u64);

/// Something above zero. Whoever uses it refuses zero, and says of what.
#[derive(Clone, Copy)]
pub(super) struct AboveZero<T>(pub(super) T);

impl<T: FromNode> FromNode for AboveZero<T> {
    fn from_node(node: &Node) -> Result<Self, String> {
        T::from_node(node).map(Self)
    }

    fn format() -> Shape {
        above_zero(T::format())
    }
}

impl<T: Written> Written for AboveZero<T> {
    fn written(&self) -> Json {
        self.0.written()
    }
}

/// A share above zero and below the whole. Whoever uses it refuses the ends.
#[derive(Clone, Copy)]
pub(super) struct PartialShare(pub(super) f64);

impl FromNode for PartialShare {
    fn from_node(node: &Node) -> Result<Self, String> {
        Share::from_node(node).map(|share| Self(share.0))
    }

    fn format() -> Shape {
        above_zero(Shape::Value(text(PARTIAL_SHARE)))
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

    fn format() -> Shape {
        Shape::Value(
            json!({ "type": "array", "items": { "type": "integer", "minimum": 100, "maximum": 599 } }),
        )
    }
}

/// How many times something counts: above zero.
#[derive(Clone, Copy)]
pub(super) struct Weight(pub(super) f64);

impl FromNode for Weight {
    fn from_node(node: &Node) -> Result<Self, String> {
        let number = match &node.value {
            Value::Integer(digits) if !digits.starts_with('-') => whole_number(node, u64::MAX)? as f64,
            Value::Integer(digits) | Value::Float(digits) => digits.parse().unwrap_or(f64::NAN),
            _ => return Err(format!("expected a number such as 10, found {}", node.kind())),
        };
        // What is no number is in no range.
        if number > 0.0 && number <= MOST_WEIGHT {
            Ok(Self(number))
        } else {
            Err(format!("expected a number above zero and at most {MOST_WEIGHT}"))
        }
    }

    fn help(_: &Node) -> String {
        "a route that is left out counts 1; one that should hardly count may have 0.001".to_owned()
    }

    fn format() -> Shape {
        Shape::Value(json!({ "type": "number", "exclusiveMinimum": 0, "maximum": MOST_WEIGHT as u64 }))
    }
}

/// Larger weights leave nothing of the other routes.
const MOST_WEIGHT: f64 = 1e6;

/// Longer than any scenario, and short enough that no sum of a few overflows.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Texts that fit a pattern.
pub(super) fn text(pattern: &str) -> Json {
    json!({ "type": "string", "pattern": pattern })
}

/// A quantity with a digit that is no zero.
pub(super) fn above_zero(shape: Shape) -> Shape {
    Shape::With(Box::new(shape), json!({ "not": { "pattern": ZERO } }))
}

/// Says how values stand in a file.
macro_rules! written {
    ($($Value:ty: |$value:ident| $written:expr;)*) => {$(
        impl $crate::file::values::Written for $Value {
            fn written(&self) -> serde_json::Value {
                let $value = self;
                serde_json::Value::from($written)
            }
        }
    )*};
}
pub(super) use written;

written! {
    bool: |value| *value;
    u64: |value| *value;
    u32: |value| *value;
    NonZeroU32: |value| value.get();
    // A minute is written in seconds, as the times beside it are.
    Duration: |value| if *value == Self::from_secs(60) { "60s".to_owned() } else { units::write_duration(*value) };
    Positive: |value| value.0.written();
    Share: |value| format!("{}%", value.0 * 100.0);
    Weight: |value| if value.0.fract() == 0.0 { Json::from(value.0 as u64) } else { Json::from(value.0) };
    Rate: |value| format!("{}/s", value.per_second());
}

/// Takes what [`units::duration`](super::units::duration) takes: amounts with their units, or hours, minutes
/// and seconds as on a clock. That units are in order, each named once, and that only the last amount has decimals,
/// is more than an expression says that anybody reads in an error message.
pub(super) const DURATION: &str = concat!(
    r"^\s*\+?([0-9]+:[0-9]+:[0-9]+(\.[0-9]+)?|([0-9]+(\.[0-9]+)?\s*",
    r"(h|h(ou)?rs?|m|min(ute)?s?|s|sec(ond)?s?|(m|milli|[uµ]|micro|n|nano)s(ec(ond)?s?)?|(milli|micro|nano)s?)",
    r"\s*)+)\s*$"
);

/// Takes what [`units::rate`](super::units::rate) takes.
pub(super) const RATE: &str = r"^\s*0*[0-9]{1,9}(\.[0-9]{1,6})?\s*/\s*(ms|s|m|min|h)\s*$";

/// Takes what [`units::share`](super::units::share) takes.
pub(super) const SHARE: &str = r"^\s*0*(100(\.0{1,12})?|[0-9]{1,2}(\.[0-9]{1,12})?)\s*%\s*$";

/// Takes what [`units::percentage`](super::units::percentage) takes, and larger numbers.
pub(super) const PERCENTAGE: &str = r"^\s*[0-9]+(\.[0-9]{1,12})?\s*%\s*$";

/// Takes what [`units::size`](super::units::size) takes, and larger numbers.
pub(super) const SIZE: &str = r"^\s*[0-9]+\s*(B|KB|kB|KiB|MB|MiB)\s*$";

/// As [`SHARE`], below the whole.
pub(super) const PARTIAL_SHARE: &str = r"^\s*0*[0-9]{1,2}(\.[0-9]{1,12})?\s*%\s*$";

/// No digit but zeros.
pub(super) const ZERO: &str = "^[^1-9]*$";
