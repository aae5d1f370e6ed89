//! The text of a scenario file: from bytes to text, and from text to a tree.

use std::path::Path;

use toml::de::DeTable;

use super::context::Context;
use super::syntax;
use super::tree::Table;

/// Larger files are refused unread: no scenario that anybody wrote comes near it.
pub const LARGEST_FILE: u64 = 4 << 20;

/// The bytes of a scenario file as text.
///
/// # Errors
///
/// What stands in the way: it cannot be opened or read, is a directory, is larger than [`LARGEST_FILE`], or is not
/// UTF-8.
///
/// A byte-order mark is left out, and each line ends with a line feed, whatever the editor had it end with.
pub fn load(path: &Path) -> Result<String, String> {
    load_up_to(path, LARGEST_FILE)
}

/// As [`load`], of a file that has at most `largest` bytes, whole MiB.
///
/// # Errors
///
/// As there.
pub(crate) fn load_up_to(path: &Path, largest: u64) -> Result<String, String> {
    use std::io::Read as _;
    let cannot = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| format!("it cannot be {what}: {error}")
    };
    let file = std::fs::File::open(path).map_err(cannot("opened"))?;
    if file.metadata().map_err(cannot("read"))?.is_dir() {
        return Err("it is a directory, expected a file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(largest + 1).read_to_end(&mut bytes).map_err(cannot("read"))?;
    if bytes.len() as u64 > largest {
        return Err(format!("it is larger than {} MiB, the most that is read", largest >> 20));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err("it is UTF-16 and not UTF-8 text, from its first byte in line 1 on".to_owned());
    }
    String::from_utf8(bytes).map(|text| plain_lines(&text)).map_err(|error| {
        let text = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = text.split(|byte| *byte == b'\n').count();
        let byte = text.len() + 1;
        format!("it is not UTF-8 text: the first stray byte is number {byte} of the file, in line {line}")
    })
}

/// The text without a byte-order mark at its head. A carriage return alone, with which old editors end a line, is a line feed
/// as well; before a line feed it stays, as TOML has it.
fn plain_lines(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let is_alone = character == '\r' && characters.peek() != Some(&'\n');
        plain.push(if is_alone { '\n' } else { character });
    }
    plain
}

/// The tree of a text; `None` where the text is no TOML, which is noted.
pub(super) fn parse(text: &str, context: &Context<'_>) -> Option<Table> {
    match DeTable::parse(text) {
        Ok(document) => return Some(Table::from_document(document.get_ref())),
        // A small file was written by hand, and may be mistyped at several places.
        Err(_) if text.len() <= LARGEST_RECOVERY => {
            let (_, errors) = DeTable::parse_recoverable(text);
            for error in syntax::first_causes(text, errors) {
                context.push(syntax::problem(text, &error));
            }
        }
        Err(error) => context.push(syntax::problem(text, &error)),
    }
    None
}

/// In bytes. The TOML parser that goes on after an error takes time in the square of their number.
const LARGEST_RECOVERY: usize = 64 << 10;
