//! The names of upstreams, for what refers to them.

use std::rc::Rc;

use super::context::Context;
use super::diagnostic::Problem;
use super::reader::{Field, Fields};
use super::tree::Span;
use super::words::{all, way_out};

/// The upstreams of a file, for what refers to them by name.
#[derive(Clone, Copy)]
pub(super) struct Known<'n> {
    pub(super) names: &'n [&'n str],
    /// The place of the identity provider.
    pub(super) provider: Option<usize>,
}

impl Known<'_> {
    /// The place of an upstream by its name, which stands at `span` as a value of `path`.
    pub(super) fn find(self, span: &Span, path: &str, name: &str, context: &Context<'_>) -> Option<usize> {
        let place = self.names.iter().position(|known| *known == name);
        // Where there is none at all, that has been told.
        if place.is_none() && !self.names.is_empty() {
            let message = format!("`{path}`: there is no upstream `{name}`");
            context.push_with_help(Problem::error(span.clone(), message).of_absence(), || {
                way_out(name, self.names, || all("upstream", self.names))
            });
        }
        place
    }

    /// The place of the upstream that a field names.
    pub(super) fn find_named(self, field: &Field<'_, Option<Rc<str>>>, table: &Fields<'_>) -> Option<usize> {
        let name = field.value.as_ref()?;
        self.find(&field.span_in(table), &table.path_of(field.key), name, table.context())
    }
}
