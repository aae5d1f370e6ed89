//! The grammar of a line: what is measured, how it is compared, and with what.

use std::ops::Range;

use reports::{Comparison, MeasureKind};
use winnow::combinator::{alt, delimited, opt, peek, separated, terminated};
use winnow::error::{ContextError, StrContext, StrContextValue};
use winnow::prelude::*;
use winnow::stream::LocatingSlice;
use winnow::token::{rest, take_till, take_while};

use super::super::words::{all, way_out};

/// A line as it is written, each part with its place in the line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) left: Term,
    pub(super) comparison: Comparison,
    pub(super) right: Right,
}

/// What is measured, and in which variant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Term {
    pub(super) variant: Option<Part<String>>,
    pub(super) measure: Part<String>,
    pub(super) arguments: Vec<Part<String>>,
}

/// What it is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Right {
    /// A value, to be read in the unit of the measure.
    Value(Part<String>),
    /// What is measured elsewhere; without a variant, in the same one.
    Term(Term),
}

/// A part of a line and its place there, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

impl Right {
    /// What is measured, if this is no value.
    pub(super) const fn term(&self) -> Option<&Term> {
        match self {
            Self::Value(_) => None,
            Self::Term(term) => Some(term),
        }
    }
}

/// What is wrong with a line, and where in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LineError<'n> {
    pub(super) message: String,
    pub(super) help: Help<'n>,
    pub(super) span: Range<usize>,
}

/// The way out of a [`LineError`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Help<'n> {
    /// As it is said; may be empty.
    Text(String),
    /// One of these names, which are compared with the wrong one only if the error is told: a line is resolved in
    /// every variant, and all fail alike.
    Names { wrong: String, what: &'static str, names: &'n [&'n str] },
}

impl Help<'_> {
    pub(super) const NONE: Self = Self::Text(String::new());

    pub(super) fn tell(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Names { wrong, what, names } => way_out(wrong, names, || all(what, names)),
        }
    }
}

/// Takes a line apart.
pub(super) fn parse(text: &str) -> Result<Line, LineError<'static>> {
    line.parse(LocatingSlice::new(text)).map_err(|error| {
        let start = error.offset().min(text.len());
        let end = text[start..].chars().next().map_or(start, |next| start + next.len_utf8());
        let expected: Vec<_> = error
            .inner()
            .context()
            .filter_map(|context| match context {
                StrContext::Expected(StrContextValue::Description(what)) => Some(*what),
                _ => None,
            })
            .take(1)
            .collect();
        let message = match expected.first() {
            Some(what) => format!("expected {what}"),
            None => "not an expectation".to_owned(),
        };
        LineError { message, help: Help::Text(FORM.to_owned()), span: start..end }
    })
}

const FORM: &str = "a line reads `[variant:] measure[(arguments)] op value`, such as \
                    `token-bucket: latency(p99, clients.partner) < 100ms`, or compares two measures, such as \
                    `breaker: blast_radius > timeout: blast_radius`";

type Input<'i> = LocatingSlice<&'i str>;

fn line(input: &mut Input<'_>) -> winnow::Result<Line> {
    let left = term(input)?;
    let comparison =
        comparison.context(expected("one of `<`, `<=`, `>`, `>=` and `==`")).parse_next(input)?;
    space(input)?;
    let right = if opt(peek(rest.verify(is_term))).parse_next(input)?.is_some() {
        Right::Term(term(input)?)
    } else {
        let value = part(rest.verify(|value: &str| !value.trim().is_empty()))
            .context(expected("a value to compare with"))
            .parse_next(input)?;
        Right::Value(value)
    };
    Ok(Line { left, comparison, right })
}

/// Whether this is something measured and no value: no value has a colon or a parenthesis, or is called as a measure is.
fn is_term(text: &str) -> bool {
    text.contains([':', '(']) || MeasureKind::named(text.trim()).is_some()
}

fn term(input: &mut Input<'_>) -> winnow::Result<Term> {
    // A colon behind an operator belongs to the other side.
    let variant = take_till(1.., |c: char| ":(<>\n".contains(c)).verify(|name: &str| !name.contains("=="));
    let variant = opt(terminated(part(variant), (space, ':', space))).parse_next(input)?;
    space(input)?;
    let measure = part(take_while(1.., |c: char| c.is_ascii_alphanumeric() || c == '_'))
        .context(expected("the name of a measure"))
        .parse_next(input)?;
    space(input)?;
    // Once a parenthesis is open, only arguments can follow.
    let arguments = match opt(peek('(')).parse_next(input)? {
        Some(_) => {
            delimited(('(', space), arguments, ')'.context(expected("`,` or `)`"))).parse_next(input)?
        }
        None => Vec::new(),
    };
    space(input)?;
    Ok(Term { variant, measure, arguments })
}

fn arguments(input: &mut Input<'_>) -> winnow::Result<Vec<Part<String>>> {
    let arguments: Vec<_> = separated(0.., terminated(argument, space), (',', space)).parse_next(input)?;
    // The list above ends before a comma without an argument, which is to be said of what follows the comma.
    if !arguments.is_empty() && opt((',', space)).parse_next(input)?.is_some() {
        argument.parse_next(input)?;
    }
    Ok(arguments)
}

fn argument(input: &mut Input<'_>) -> winnow::Result<Part<String>> {
    part(
        winnow::combinator::repeat::<_, _, (), _, _>(
            1..,
            alt((
                delimited('"', take_till(0.., '"'), '"').void(),
                take_while(1.., |c: char| !"\",()".contains(c)).void(),
            )),
        )
        .take(),
    )
    .context(expected("an argument"))
    .parse_next(input)
}

fn comparison(input: &mut Input<'_>) -> winnow::Result<Comparison> {
    alt((
        "<=".value(Comparison::AtMost),
        ">=".value(Comparison::AtLeast),
        "==".value(Comparison::Equal),
        '<'.value(Comparison::Less),
        '>'.value(Comparison::Greater),
    ))
    .parse_next(input)
}

fn space(input: &mut Input<'_>) -> winnow::Result<()> {
    take_while(0.., (' ', '\t')).void().parse_next(input)
}

/// The trimmed text and its place.
fn part<'i>(
    parser: impl Parser<Input<'i>, &'i str, ContextError>,
) -> impl Parser<Input<'i>, Part<String>, ContextError> {
    parser.with_span().map(|(text, span): (&str, Range<usize>)| {
        let start = span.start + (text.len() - text.trim_start().len());
        let value = text.trim();
        Part { value: value.to_owned(), span: start..start + value.len() }
    })
}

fn expected(what: &'static str) -> StrContext {
    StrContext::Expected(StrContextValue::Description(what))
}
