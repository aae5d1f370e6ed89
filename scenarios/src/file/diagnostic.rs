//! What is wrong with a file, said so that its author can mend it.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

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
    pub(super) fn error(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), span, help: String::new() }
    }

    pub(super) fn warning(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: help.into(), ..self }
    }
}

/// The problems of the file `path` with the text `source`, each with its place underlined; `styled` adds terminal
/// colours. The text ends with a line break unless there are no problems.
pub fn render(problems: &[Problem], path: &str, source: &str, styled: bool) -> String {
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(WIDTH);
    let mut text = String::new();
    for problem in problems {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(&problem.message);
        let mut group = if problem.span.is_empty() && problem.span.start == 0 {
            Group::with_title(title).element(annotate_snippets::Origin::path(path))
        } else {
            let annotation = AnnotationKind::Primary.span(problem.span.clone());
            title.element(Snippet::source(source).path(path).annotation(annotation))
        };
        if !problem.help.is_empty() {
            group = group.element(Level::HELP.message(&problem.help));
        }
        text += &renderer.render(&[group]);
        text += "\n\n";
    }
    text
}

/// Long source lines are cut around the place.
const WIDTH: usize = 100;
