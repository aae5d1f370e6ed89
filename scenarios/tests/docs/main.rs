//! The book in `docs/` and the READMEs: what they name is there, what they show is printed, and what is made from the source is
//! that of the source.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod console;
mod generated;
mod links;
mod pages;
