//! What reaches a terminal: our words and colours, and of the user's text what can be seen.
//!
//! Names of files, arguments and what an error quotes are whatever somebody wrote. A control character in them could move
//! the cursor, recolour what follows or hide it, and a bidirectional override could turn the line around. Text that is put
//! into a message goes through [`visible`]; and whatever is written goes through [`guarded`], where a colour is the only
//! command that is left.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write as _};

use clap::error::{ContextKind, ContextValue};
use reports::acts_when_shown;

use super::Failure;
pub(super) use crate::file::visible;

/// Prints to standard output; whoever closed it has read enough.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout();
    match out.write_all(guarded(text).as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::run(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Says something on standard error. Whether anybody reads it does not change the run.
pub(super) fn say(text: &str) {
    let _ = anstream::stderr().write_all(guarded(text).as_bytes());
}

/// Prints a JSON document. What would act on a terminal is in its strings alone, where an escape means the same.
pub(super) fn print_json_text(text: &str) -> Result<(), Failure> {
    print(&escaped_json(text))
}

fn escaped_json(text: &str) -> Cow<'_, str> {
    // Line breaks are those between the parts of the document.
    let acts = |character: char| character != '\n' && acts_when_shown(character);
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if acts(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// Says what clap has to say of the command line, of whose words it quotes some.
pub(super) fn print_usage(error: &mut clap::Error) -> io::Result<()> {
    let visible_value = |value: &ContextValue| match value {
        ContextValue::String(text) => Some(ContextValue::String(visible(text).into_owned())),
        ContextValue::Strings(texts) => {
            Some(ContextValue::Strings(texts.iter().map(|text| visible(text).into_owned()).collect()))
        }
        // A hint is styled already, and may quote too.
        ContextValue::StyledStrs(hints) => hints
            .iter()
            .any(|hint| {
                hint.to_string().contains(|character| character != '\n' && acts_when_shown(character))
            })
            .then_some(ContextValue::None),
        _ => None,
    };
    let context = error.context().filter_map(|(kind, value)| Some((kind, visible_value(value)?)));
    let context: Vec<(ContextKind, ContextValue)> = context.collect();
    for (kind, value) in context {
        error.insert(kind, value);
    }
    error.print()
}

/// The text with nothing in it that acts but line breaks and colours (Select Graphic Rendition, ECMA-48, 8.3.117).
fn guarded(text: &str) -> Cow<'_, str> {
    let acts = |character: char| character != '\n' && acts_when_shown(character);
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let colour = colour(rest);
        let length = if colour > 0 { colour } else { character.len_utf8() };
        let (taken, after) = rest.split_at(length);
        kept += if colour == 0 && acts(character) { "\u{fffd}" } else { taken };
        rest = after;
    }
    Cow::Owned(kept)
}

/// How long the colour is that the text begins with; 0 if it begins with none.
fn colour(text: &str) -> usize {
    let Some(parameters) = text.strip_prefix("\u{1b}[") else { return 0 };
    let end = parameters.find(|character: char| !character.is_ascii_digit() && character != ';');
    end.filter(|end| parameters[*end..].starts_with('m')).map_or(0, |end| end + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_the_only_commands_that_are_left() {
        let coloured = "\u{1b}[1m\u{1b}[38;5;9merror\u{1b}[0m: a\n\tb\n";
        assert_eq!(guarded(coloured), coloured);
        for (text, expected) in [
            ("\u{1b}[2Ja", "\u{fffd}[2Ja"),
            ("\u{1b}]0;title\u{7}", "\u{fffd}]0;title\u{fffd}"),
            ("\u{9b}31ma\u{9d}0;b\u{9c}", "\u{fffd}31ma\u{fffd}0;b\u{fffd}"),
            ("a\rb\u{8}\u{7f}", "a\u{fffd}b\u{fffd}\u{fffd}"),
            ("\u{202e}a\u{2028}é", "\u{fffd}a\u{fffd}é"),
            ("\u{1b}[1", "\u{fffd}[1"),
            ("\u{1b}", "\u{fffd}"),
        ] {
            assert_eq!(guarded(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_document_says_the_same() {
        let value = serde_json::json!({ "a\u{9b}": "\u{1b}[2J\u{7f}\u{202e}\n\té" });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let escaped = escaped_json(&text);
        assert!(
            !escaped.chars().any(|character| character != '\n' && acts_when_shown(character)),
            "{escaped}"
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
    }
}
