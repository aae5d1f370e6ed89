//! The path of a request, brought to one form before anything is decided by it.
//!
//! A gateway that chooses a route by the bytes that came, and an upstream that reads them otherwise, are two locks with one
//! key: `/assets/..%2faccount` is below `/assets` for the first, and the account for the second. So a path is first brought to
//! the form that every reader agrees on (RFC 3986, 6.2.2); what no form makes unambiguous is refused; the route is chosen by
//! that form, and that form is what the upstream is asked for.

use std::borrow::Cow;

use thiserror::Error;

/// How a gateway reads paths: those of requests and those of its routes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paths {
    /// In one form. Unreserved characters are decoded, what else is encoded is written in capitals, and what no path may have
    /// is encoded; then repeated slashes are merged and dot segments removed. What is refused says [`PathFault`].
    #[default]
    Normal,
    /// Byte for byte as they were written, for upstreams that mean something by `%2F` or `//`. Only dot segments are refused.
    Verbatim,
}

/// Why a path is refused: one server would read it as another path than the next one does.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{}", self.detail())]
pub enum PathFault {
    /// `*`, which only asks what a server can do, and whatever else has no `/` in front.
    Relative,
    /// `%` without two hexadecimal digits behind it.
    Encoding,
    /// `%2F` or `%5C`, which one server takes for a separator and the next one for a character.
    EncodedSeparator,
    /// `\`, which Windows and what imitates it take for a slash.
    Backslash,
    /// A byte of 0, where many a server believes the path to end.
    Nul,
    /// Such as `/..;/` or `/;x/`, which some servers take for `/../` or for `//`.
    DotParameter,
    /// More `..` than there are segments before them.
    AboveRoot,
    /// A dot segment in a path that is not brought to another form.
    Dots,
    /// A space or a control character in a path that is not brought to another form.
    Character,
    /// `;` begins a parameter for some servers, and is a character for others; without the parameter, the path is another
    /// route's.
    Parameter,
}

impl PathFault {
    /// What is wrong, as a client is told.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Relative => "the path does not begin with a slash",
            Self::Encoding => "the path has a % that encodes nothing",
            Self::EncodedSeparator => "the path has an encoded slash or backslash",
            Self::Backslash => "the path has a backslash",
            Self::Nul => "the path has a null byte",
            Self::DotParameter => "the path has a parameter of a dot segment or of none",
            Self::AboveRoot => "the path climbs above its root",
            Self::Dots => "the path has a dot segment",
            Self::Character => "the path has a space or a control character",
            Self::Parameter => "the path has a parameter that decides over its route",
        }
    }
}

impl Paths {
    /// The form of a path, without its query.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn form(self, path: &str) -> Result<Cow<'_, str>, PathFault> {
        if !path.starts_with('/') {
            return Err(PathFault::Relative);
        }
        match self {
            Self::Verbatim if path.split('/').any(is_dots) => Err(PathFault::Dots),
            Self::Verbatim if path.bytes().any(|byte| byte <= b' ' || byte == 0x7f) => {
                Err(PathFault::Character)
            }
            Self::Verbatim => Ok(Cow::Borrowed(path)),
            Self::Normal if is_normal(path.as_bytes()) => Ok(Cow::Borrowed(path)),
            Self::Normal => normalize(path),
        }
    }

    /// The bytes that a form stands for: what two paths are compared by, however they encode what may stand as it is too.
    pub(crate) fn bytes(self, form: &str) -> Cow<'_, [u8]> {
        if self == Self::Verbatim || !form.contains('%') {
            return Cow::Borrowed(form.as_bytes());
        }
        let mut bytes = Vec::with_capacity(form.len());
        let mut rest = form.as_bytes();
        while let [byte, after @ ..] = rest {
            // Every `%` of a form encodes something.
            let encoded = if *byte == b'%' { encoded(after) } else { None };
            bytes.push(encoded.unwrap_or(*byte));
            rest = if encoded.is_some() { &after[2..] } else { after };
        }
        Cow::Owned(bytes)
    }
}

/// A form without the parameters of its segments, as servers read it that take `;` for the beginning of one; `None` where
/// there is no `;`, not even an encoded one.
pub(crate) fn without_parameters(form: &str) -> Option<String> {
    if !form.contains(';') && !form.contains("%3B") {
        return None;
    }
    let mut path = String::with_capacity(form.len());
    for segment in form.split('/').skip(1) {
        let end = segment.find(';').into_iter().chain(segment.find("%3B")).min().unwrap_or(segment.len());
        path.push('/');
        path.push_str(&segment[..end]);
    }
    Some(path)
}

/// Whether a path is in its form as it stands, as nearly all are. Some that are, are not seen to be.
fn is_normal(path: &[u8]) -> bool {
    let mut before = 0;
    path.iter().all(|byte| {
        let starts_segment = before == b'/';
        before = *byte;
        match byte {
            b'/' | b'.' | b';' => !starts_segment,
            _ => stands_as_it_is(*byte),
        }
    })
}

fn normalize(path: &str) -> Result<Cow<'_, str>, PathFault> {
    let mut form = String::with_capacity(path.len());
    let mut is_folder = false;
    for segment in path.split('/').skip(1) {
        let start = form.len();
        form.push('/');
        push_segment(&mut form, segment)?;
        is_folder = true;
        match &form[start + 1..] {
            "" | "." => form.truncate(start),
            ".." => {
                let parent = form[..start].rfind('/').ok_or(PathFault::AboveRoot)?;
                form.truncate(parent);
            }
            segment if has_dot_parameter(segment) => return Err(PathFault::DotParameter),
            _ => is_folder = false,
        }
    }
    // What ended in a slash or a dot segment names what is below.
    if is_folder {
        form.push('/');
    }
    Ok(if form == path { Cow::Borrowed(path) } else { Cow::Owned(form) })
}

/// Adds a segment in its form.
fn push_segment(form: &mut String, segment: &str) -> Result<(), PathFault> {
    let mut rest = segment.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'%' => {
                let byte = encoded(after).ok_or(PathFault::Encoding)?;
                rest = &after[2..];
                match byte {
                    b'/' | b'\\' => return Err(PathFault::EncodedSeparator),
                    0 => return Err(PathFault::Nul),
                    _ if is_unreserved(byte) => form.push(char::from(byte)),
                    _ => push_encoded(form, byte),
                }
            }
            b'\\' => return Err(PathFault::Backslash),
            0 => return Err(PathFault::Nul),
            _ if stands_as_it_is(*byte) => form.push(char::from(*byte)),
            _ => push_encoded(form, *byte),
        }
    }
    Ok(())
}

fn push_encoded(form: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    form.push('%');
    form.push(char::from(DIGITS[usize::from(byte >> 4)]));
    form.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// What the two digits behind a `%` encode.
fn encoded(after: &[u8]) -> Option<u8> {
    let [high, low, ..] = after else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    Some((digit(*high)? * 16 + digit(*low)?) as u8)
}

/// Unreserved characters (RFC 3986, 2.3), which mean the same whether they are encoded or not.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Characters that a segment may have (`pchar` without what is encoded: RFC 3986, 3.3).
fn stands_as_it_is(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:@".contains(&byte)
}

/// Whether a segment in its form is a dot segment, or none at all, but for a parameter.
fn has_dot_parameter(segment: &str) -> bool {
    let rest = segment.strip_prefix("..").or(segment.strip_prefix('.')).unwrap_or(segment);
    rest.starts_with(';') || rest.starts_with("%3B")
}

/// Whether a segment as it was written stands for where it is, or for what is above it.
fn is_dots(segment: &str) -> bool {
    fn dot(segment: &str) -> Option<&str> {
        segment.strip_prefix('.').or(segment.strip_prefix("%2e")).or(segment.strip_prefix("%2E"))
    }
    dot(segment).is_some_and(|rest| rest.is_empty() || dot(rest) == Some(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_brought_to_one_form() {
        for (path, form) in [
            ("/", "/"),
            ("/orders/42", "/orders/42"),
            ("/orders/", "/orders/"),
            // Repeated slashes.
            ("//", "/"),
            ("//account", "/account"),
            ("/a///b//", "/a/b/"),
            // Encoded characters: the unreserved as they are, the others in capitals.
            ("/%61ccount", "/account"),
            ("/%7Euser%2d%5F", "/~user-_"),
            ("/a%2bb%3b%c3%a9", "/a%2Bb%3B%C3%A9"),
            ("/a+b:c@d;e=f,g!$&'()*", "/a+b:c@d;e=f,g!$&'()*"),
            // Decoded once only.
            ("/%2561", "/%2561"),
            // What no path may have.
            ("/a b", "/a%20b"),
            ("/caf\u{e9}", "/caf%C3%A9"),
            ("/{id}|\"x\"", "/%7Bid%7D%7C%22x%22"),
            // Dot segments, after decoding and merging.
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/.%2e/b", "/b"),
            ("/a/%2E%2e/b", "/b"),
            ("/a//../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/.", "/"),
            ("/a/..", "/"),
            // No dot segments.
            ("/...", "/..."),
            ("/.well-known/x", "/.well-known/x"),
            ("/a/..b/c..", "/a/..b/c.."),
        ] {
            assert_eq!(Paths::Normal.form(path).as_deref(), Ok(form), "{path}");
            assert_eq!(Paths::Normal.form(form).as_deref(), Ok(form), "{form} once more");
        }
        assert!(matches!(Paths::Normal.form("/.well-known"), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn what_two_servers_read_differently_is_refused() {
        use PathFault::{
            AboveRoot, Backslash, DotParameter, Dots, EncodedSeparator, Encoding, Nul, Relative,
        };
        for (path, fault) in [
            ("", Relative),
            ("*", Relative),
            ("account", Relative),
            ("/a%", Encoding),
            ("/a%4", Encoding),
            ("/a%4g", Encoding),
            ("/%u0061", Encoding),
            ("/a%2fb", EncodedSeparator),
            ("/a%2Fb", EncodedSeparator),
            ("/..%5ca", EncodedSeparator),
            ("/a\\b", Backslash),
            ("/a%00", Nul),
            ("/a\0", Nul),
            ("/a/..;/b", DotParameter),
            ("/a/.;x=1/b", DotParameter),
            ("/a/%2e%2e%3b/b", DotParameter),
            ("/a/;x/../b", DotParameter),
            ("/;", DotParameter),
            ("/..", AboveRoot),
            ("/a/../../b", AboveRoot),
            ("/a//../..", AboveRoot),
        ] {
            assert_eq!(Paths::Normal.form(path), Err(fault), "{path}");
        }
        for path in ["/a/../b", "/.%2E/b", "/%2e"] {
            assert_eq!(Paths::Verbatim.form(path), Err(Dots), "{path}");
        }
        for path in ["/a b", "/a\tb", "/a\u{7f}"] {
            assert_eq!(Paths::Verbatim.form(path), Err(PathFault::Character), "{path}");
        }
        for path in ["/a%2fb", "//a", "/%61", "/..;/", "/a\\b"] {
            assert_eq!(Paths::Verbatim.form(path).as_deref(), Ok(path));
        }
    }

    #[test]
    fn paths_are_compared_by_what_they_encode() {
        let bytes = |path: &str| Paths::Normal.bytes(&Paths::Normal.form(path).unwrap()).into_owned();
        assert_eq!(bytes("/a%2bb"), b"/a+b");
        assert_eq!(bytes("/%2561"), b"/%61");
        assert_eq!(bytes("/a b"), bytes("/a%20b"));
        assert_eq!(*Paths::Verbatim.bytes("/a%2bb"), *b"/a%2bb");
    }
}
