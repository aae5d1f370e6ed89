//! What is not TOML, in the words of a scenario's author.
//!
//! The parser's messages name what its grammar expected. Where that is not what the author lacks, they are put
//! differently; all others are told as they are.

use toml::de::Error;

use super::diagnostic::Problem;

/// An error of the TOML parser, at its place in the text.
pub(super) fn problem(text: &str, error: &Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let found = text.get(span.clone()).unwrap_or_default().trim();
    let (message, help) = match error.message() {
        told if is_of_bare_value(told) && found.is_empty() => ("expected a value".to_owned(), ""),
        told if is_of_bare_value(told) => {
            (format!("expected a value, found `{found}`"), "text is written in quotes, such as \"500ms\"")
        }
        told if told.starts_with("duplicate key") => {
            (format!("`{found}` is in the file already"), "each key and each table is written once")
        }
        told if told.starts_with("invalid basic string") && found.is_empty() => {
            ("the string has no end in its line, expected `\"`".to_owned(), "")
        }
        told if told.starts_with("missing escaped value") => (
            "expected an escape after `\\`".to_owned(),
            "between single quotes a `\\` is a `\\`, as in 'C:\\latency.txt'",
        ),
        told if told.contains("recurs") => {
            (told.to_owned(), "no scenario needs brackets in brackets that deep")
        }
        told if told.contains("inline table") => (told.to_owned(), "a table in braces ends with `}`"),
        told if told.contains("array") => (told.to_owned(), "an array ends with `]`"),
        told if told.starts_with("invalid key-value pair") || told.starts_with("key with no value") => {
            (told.to_owned(), "a scenario is TOML: a line reads `key = value` or `[table]`")
        }
        told => (told.to_owned(), ""),
    };
    // At the end of a line there is nothing to underline but the end.
    let end = span.end.max(span.start + 1);
    Problem::error(span.start..end, format!("not TOML: {message}")).help(help)
}

/// The errors that are not the consequence of another one, in the order of the text.
pub(super) fn first_causes(text: &str, mut errors: Vec<Error>) -> Vec<Error> {
    let start = |error: &Error| error.span().map_or(0, |span| span.start);
    errors.sort_by_key(start);
    // Once a line is out of step, the parser stumbles over the rest of it.
    errors.dedup_by(|later, earlier| {
        text.get(start(earlier)..start(later)).is_some_and(|between| !between.contains('\n'))
    });
    // What follows an open bracket is taken for what is in it, and does not fit.
    if let Some(first) = errors.iter().position(is_about_brackets) {
        errors.truncate(first + 1);
    }
    errors
}

fn is_about_brackets(error: &Error) -> bool {
    let told = error.message();
    ["inline table", "array", "between key-value pairs", "recurs"].iter().any(|what| told.contains(what))
}

/// Whether the parser took a word without quotes for a value that begins like it, or found none.
fn is_of_bare_value(told: &str) -> bool {
    ["string values must be quoted", "invalid boolean", "invalid value"]
        .iter()
        .any(|what| told.starts_with(what))
}
