//! A result as a file or a page: for people and for programs.

pub(crate) mod csv;
pub(crate) mod html;
pub(crate) mod junit;
pub(crate) mod markdown;
pub(crate) mod terminal;
