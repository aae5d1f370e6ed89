//! The scenarios that ship with the command.

use include_dir::{Dir, include_dir};

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/library");

/// A scenario that ships with the command.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// The name it is run by: its file's, without `.toml`.
    pub name: &'static str,
    /// The text of its file.
    pub text: &'static str,
}

/// All of them, by name.
pub fn all() -> Vec<Shipped> {
    let mut shipped: Vec<_> = FILES
        .files()
        .filter_map(|file| {
            let name = file.path().to_str()?.strip_suffix(".toml")?;
            Some(Shipped { name, text: file.contents_utf8()? })
        })
        .collect();
    shipped.sort_by_key(|shipped| shipped.name);
    shipped
}

/// The one of that name.
pub fn find(name: &str) -> Option<Shipped> {
    all().into_iter().find(|shipped| shipped.name == name)
}
