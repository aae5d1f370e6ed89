//! Text that comes from a file, made fit to be shown.
//!
//! Names and stories are whatever their author wrote, and a report is passed on to people who did not write it.
//! A control character could move the reader's cursor or recolour the terminal, a bidirectional override could
//! turn the rest of the line around; both are replaced by a visible mark. HTML is escaped by the template.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The text on one line, with nothing in it that acts instead of being shown.
pub(crate) fn line(text: &str) -> String {
    text.split(['\n', '\r', '\t']).map(block_of).collect::<Vec<_>>().join(" ")
}

/// A name on one line; one that would not be seen is called unnamed.
pub(crate) fn name(name: &str) -> String {
    let shown = line(name);
    if shown.trim().is_empty() { "(unnamed)".to_owned() } else { shown }
}

/// The text with its lines as they are, with nothing else in it that acts instead of being shown.
pub(crate) fn block(text: &str) -> String {
    text.lines().map(block_of).collect::<Vec<_>>().join("\n")
}

/// The text's paragraphs, each on one line; empty lines part them.
pub(crate) fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for text_line in text.lines().map(str::trim) {
        match paragraphs.last_mut() {
            Some(open) if !text_line.is_empty() => {
                if !open.is_empty() {
                    open.push(' ');
                }
                open.push_str(&line(text_line));
            }
            _ => paragraphs.push(String::new()),
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs
}

/// At most `width` columns of the text, the last an ellipsis where it was cut.
pub(crate) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut kept = String::new();
    let mut used = 0;
    for character in text.chars() {
        let wide = character.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        kept.push(character);
    }
    kept.push('…');
    Cow::Owned(kept)
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}

/// Which hosts of an upstream, put behind its name: ` host 3`, ` hosts 0 and 3`.
pub(crate) fn hosts(numbers: &[u32]) -> String {
    let names: Vec<String> = numbers.iter().map(u32::to_string).collect();
    format!(" host{} {}", if names.len() == 1 { "" } else { "s" }, list_some(&names, 5))
}

/// Like [`list`], but of more than `keep` items the first two and how many more.
pub(crate) fn list_some(items: &[String], keep: usize) -> String {
    if items.len() <= keep.max(2) {
        return list(items);
    }
    list(&[items[0].clone(), items[1].clone(), format!("{} others", items.len() - 2)])
}

fn block_of(text: &str) -> String {
    text.chars().map(|character| if acts_when_shown(character) { '\u{fffd}' } else { character }).collect()
}

/// Whether a character does something where it should be seen: control characters but the tab (those of Unicode's second range,
/// U+0080 to U+009F, too: many a terminal takes U+009B for the beginning of a command), line and paragraph separators,
/// bidirectional overrides and isolates, and what XML cannot hold.
pub fn acts_when_shown(character: char) -> bool {
    (character.is_control() && character != '\t')
        || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_act_on_a_terminal_is_shown_instead() {
        assert_eq!(line("a\u{1b}[31mb\nc\u{202e}d"), "a\u{fffd}[31mb c\u{fffd}d");
        assert_eq!(block("a\n\tb\u{0}\n"), "a\n\tb\u{fffd}");
    }

    #[test]
    fn a_name_is_seen() {
        assert_eq!([name("base"), name(""), name(" ")], ["base", "(unnamed)", "(unnamed)"]);
    }

    #[test]
    fn a_story_keeps_its_paragraphs_and_not_its_line_breaks() {
        assert_eq!(paragraphs("\none\ntwo\n\n\nthree\n"), ["one two", "three"]);
        assert!(paragraphs(" \n ").is_empty());
    }

    #[test]
    fn long_text_is_cut_to_columns_not_characters() {
        assert_eq!(cut("token-bucket", 12), "token-bucket");
        assert_eq!(cut("token-bucket", 11), "token-buck…");
        assert_eq!(cut("日本語日本語", 6), "日本…");
        assert_eq!(cut("ab", 1), "…");
    }

    #[test]
    fn lists_read_as_sentences_do() {
        let many: Vec<String> = (0..9).map(|n| n.to_string()).collect();
        assert_eq!(list_some(&many[..4], 4), "0, 1, 2 and 3");
        assert_eq!(list_some(&many, 4), "0, 1 and 7 others");
        let items = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(
            (list(&items[..1]), list(&items[..2]), list(&items)),
            ("a".into(), "a and b".into(), "a, b and c".into())
        );
    }
}
