//! What is wrong with a file, said so that its author can mend it.

use std::borrow::Cow;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use reports::acts_when_shown;

use super::tree::Span;

/// One thing that is wrong, or surely not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether the file cannot be run.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// The place, as bytes of the file; empty for the file as a whole.
    pub span: Span,
    /// The way out; may be empty.
    pub help: String,
    /// Whether something is not there that a variant could bring.
    pub(super) is_of_absence: bool,
}

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is legal, but surely something else is meant.
    Warning,
}

impl Problem {
    pub(crate) fn error(span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: printable(message.into()),
            span,
            help: String::new(),
            is_of_absence: false,
        }
    }

    pub(crate) fn warning(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// Of something that is not there, and that a variant could bring.
    pub(super) fn of_absence(self) -> Self {
        Self { is_of_absence: true, ..self }
    }

    fn is_of_whole_file(&self) -> bool {
        self.span == (0..0)
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: printable(help.into()), ..self }
    }
}

/// The problems of the file `path` with the text `source`, each with its place underlined; `styled` adds terminal
/// colours. The text ends with a line break unless there are no problems.
pub fn render(problems: &[Problem], path: &str, source: &str, styled: bool) -> String {
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(WIDTH);
    let path = &*visible(path);
    let mut lines = Lines::new(source);
    let mut text = String::new();
    for problem in problems {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(&problem.message));
        if problem.is_of_whole_file() {
            group = group.element(Origin::path(path));
        } else {
            let Excerpt { text, line, column, span } = lines.excerpt(&problem.span);
            let annotation = AnnotationKind::Primary.span(span);
            let snippet = Snippet::source(visible_in_place(text)).line_start(line).annotation(annotation);
            // The renderer counts columns in what it is shown.
            group = match column {
                None => group.element(snippet.path(path)),
                Some(column) => {
                    group.element(Origin::path(path).line(line).char_column(column)).element(snippet)
                }
            };
        }
        if !problem.help.is_empty() {
            group = group.element(Level::HELP.message(&problem.help));
        }
        text += &renderer.render(&[group]);
        text += "\n\n";
    }
    text
}

/// Line and column of a problem in the text of its file, in characters, both from 1; `None` of the file as a whole.
pub(crate) fn place_of(problem: &Problem, text: &str) -> Option<(usize, usize)> {
    let before = text.get(..problem.span.start).filter(|_| !problem.is_of_whole_file())?;
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    Some((line_number(text, problem.span.start), before[line_start..].chars().count() + 1))
}

/// The number of the line with that byte, from 1.
pub(super) fn line_number(text: &str, place: usize) -> usize {
    text.get(..char_start(text, place)).unwrap_or_default().matches('\n').count() + 1
}

/// Long source lines are cut around the place.
const WIDTH: usize = 100;

/// The text of a file by its lines, asked for places that mostly rise.
struct Lines<'s> {
    source: &'s str,
    /// The start of a line, and its number from 1.
    known: (usize, usize),
}

/// What is shown of a file for one problem.
struct Excerpt<'s> {
    /// The line of the place, or of a long line a piece.
    text: &'s str,
    /// From 1.
    line: usize,
    /// In characters, from 1, if the text does not begin where the line does.
    column: Option<usize>,
    /// The place in `text`.
    span: Span,
}

impl<'s> Lines<'s> {
    const fn new(source: &'s str) -> Self {
        Self { source, known: (0, 1) }
    }

    /// A place that reaches over several lines is shown by the first of them. Rendering takes time for all the
    /// text it is given, hence the piece.
    fn excerpt(&mut self, place: &Span) -> Excerpt<'s> {
        let source = self.source;
        let start = char_start(source, place.start);
        let (line_start, line) = self.line_of(start);
        let rest = source.get(start..).unwrap_or_default();
        let line_end = start + rest.find('\n').unwrap_or(rest.len());
        let end = char_end(source, place.end.min(line_end)).max(start);
        let from = char_start(source, line_start.max(start.saturating_sub(LONGEST_PIECE)));
        let to = char_end(source, line_end.min(start + LONGEST_PIECE));
        let before = source.get(line_start..start).unwrap_or_default();
        let column = (from > line_start).then(|| before.chars().count() + 1);
        let text = source.get(from..to).unwrap_or_default();
        let text = text.strip_suffix('\r').unwrap_or(text);
        let at = |place: usize| (place - from).min(text.len());
        Excerpt { text, line, column, span: at(start)..at(end) }
    }

    /// The start of the line with this place, and its number.
    fn line_of(&mut self, place: usize) -> (usize, usize) {
        let (mut start, mut line) = if self.known.0 <= place { self.known } else { (0, 1) };
        let between = self.source.get(start..place).unwrap_or_default();
        if let Some(last) = between.rfind('\n') {
            line += between.matches('\n').count();
            start += last + 1;
        }
        self.known = (start, line);
        self.known
    }
}

/// The start of the character that holds this byte; at most the end of the text.
pub(super) fn char_start(text: &str, place: usize) -> usize {
    (0..=place.min(text.len())).rev().find(|place| text.is_char_boundary(*place)).unwrap_or(0)
}

/// The end of the character that holds the byte before this one; at most the end of the text.
pub(super) fn char_end(text: &str, place: usize) -> usize {
    (place..text.len()).find(|place| text.is_char_boundary(*place)).unwrap_or(text.len())
}

/// Of a source line, in bytes before the place and from it on: more than is shown of it, and little enough to be
/// rendered in no time.
const LONGEST_PIECE: usize = 400;

/// The text on one line, and no longer than anybody reads: names and values come from the file, and may be
/// anything.
fn printable(text: String) -> String {
    if text.len() <= LONGEST_MESSAGE && !text.contains(acts) {
        return text;
    }
    let cut = |text: &str| visible(text).into_owned();
    if text.len() <= LONGEST_MESSAGE {
        return cut(&text);
    }
    // The beginning says what it is about, the end what is wrong with it.
    let beginning = text.get(..char_start(&text, LONGEST_MESSAGE / 2)).unwrap_or_default();
    let end = text.get(char_end(&text, text.len() - LONGEST_MESSAGE / 2)..).unwrap_or_default();
    format!("{} … {}", cut(beginning), cut(end))
}

/// The text on one line, where whatever would act on a terminal is written as an escape: `\u{9b}`, `\n`.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let escaped = |char: char| acts(char).then(|| char.escape_default()).into_iter().flatten();
    let plain = |char: char| (!acts(char)).then_some(char);
    Cow::Owned(text.chars().flat_map(|char| escaped(char).chain(plain(char))).collect())
}

/// The text with something to see for each character that would act on a terminal, as many bytes long, for places in it are
/// bytes. What is one byte long, the renderer replaces itself.
fn visible_in_place(text: &str) -> Cow<'_, str> {
    let is_seen = |char: char| char.is_ascii() || !acts(char);
    if text.chars().all(is_seen) {
        return Cow::Borrowed(text);
    }
    let seen = |char: char| match char.len_utf8() {
        _ if is_seen(char) => char,
        2 => '\u{a4}',
        _ => '\u{fffd}',
    };
    Cow::Owned(text.chars().map(seen).collect())
}

/// Whether a character does something on a terminal, or ends the line.
fn acts(char: char) -> bool {
    char.is_control() || acts_when_shown(char)
}

/// In bytes.
const LONGEST_MESSAGE: usize = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_an_excerpt_is_that_of_the_file() {
        let long = format!("é = \"{}\"", "ü".repeat(10_000));
        let source = format!("a = 1\r\n{long}\nlast");
        let mut lines = Lines::new(&source);
        let mut shown = |place: &str, start: usize| {
            let at = source.match_indices(place).nth(start).unwrap().0;
            let Excerpt { text, line, column, span } = lines.excerpt(&(at..at + place.len()));
            assert_eq!(&text[span], place);
            assert!(text.len() <= 2 * LONGEST_PIECE + 8);
            (line, column)
        };
        assert_eq!(shown("1", 0), (1, None));
        assert_eq!(shown("ü", 9_999), (2, Some(10_005)));
        assert_eq!(shown("last", 0), (3, None));
        // Back again.
        assert_eq!(shown("é", 0), (2, None));
    }

    #[test]
    fn any_place_can_be_shown() {
        let source = "a\r\nü\n";
        for start in 0..9 {
            for end in 0..9 {
                let problem = Problem::error(start..end, "wrong").help("help");
                assert!(render(&[problem], "scenario.toml", source, false).ends_with("\n\n"));
            }
        }
    }

    #[test]
    fn nothing_acts_that_is_shown_of_a_file() {
        // Of each length in bytes, and one that stays.
        let source = "\u{1b}[2J \u{7f} \u{9b}2J \u{85} \u{202e}x\u{2069} \u{2028} \u{fffe} é = here\n";
        let at = source.find("here").unwrap();
        let problem = Problem::error(at..at + 4, "wrong").help("help");
        let told = render(&[problem], "a\u{9b}31m\u{1b}[31m\n.toml", source, false);
        assert!(!told.chars().any(|char| char != '\n' && acts(char)), "{told:?}");
        assert!(
            told.contains("--> a\\u{9b}31m\\u{1b}[31m\\n.toml:1:") && told.contains(" é = here"),
            "{told}"
        );
        let line = |with: &str| told.lines().find(|line| line.contains(with)).unwrap().to_owned();
        let column = |line: &str, what: &str| line[..line.find(what).unwrap()].chars().count();
        assert_eq!(column(&line("= here"), "here"), column(&line("^^^^"), "^^^^"), "{told}");
    }

    #[test]
    fn what_comes_from_the_file_is_shown_on_one_line_and_not_for_ever() {
        assert_eq!(printable("a\u{1b}[2J\nb".to_owned()), "a\\u{1b}[2J\\nb");
        assert_eq!(printable("a\u{9b}2J\u{202e}b".to_owned()), "a\\u{9b}2J\\u{202e}b");
        let long = printable(format!("no `{}`: gone", "ü".repeat(1_000_000)));
        assert!(long.len() < 700 && long.starts_with("no `ü") && long.ends_with("ü`: gone"), "{long}");
    }
}
