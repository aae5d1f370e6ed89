//! The bearer token among the header fields of a request.

/// What the `Authorization` fields of a request bear (RFC 6750, 2.1).
///
/// A token in the query or in the body is not looked for: targets end up in logs and in `Referer` fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearer<'a> {
    /// No token: no field, or credentials of another kind.
    Nothing,
    /// More than one field, or one without a token: two readers might each take another.
    Malformed,
    /// This.
    Token(&'a [u8]),
}

impl<'a> Bearer<'a> {
    /// Reads the values of all `Authorization` fields.
    pub fn read(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut values = values.into_iter();
        let (value, more) = (values.next(), values.next());
        let Some(value) = value else { return Self::Nothing };
        if more.is_some() {
            return Self::Malformed;
        }
        let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
        let (scheme, rest) = value.split_at(end);
        // Case does not count in the name of a scheme (RFC 9110, 11.1).
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            return Self::Nothing;
        }
        let token = rest.trim_ascii();
        if token.is_empty() { Self::Malformed } else { Self::Token(token) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_field_with_one_token() {
        let read = |values: &[&'static str]| Bearer::read(values.iter().map(|value| value.as_bytes()));
        let token = Bearer::Token(b"a.b.c");
        for (values, expected) in [
            (&[][..], Bearer::Nothing),
            (&["Bearer a.b.c"], token),
            (&["bearer a.b.c"], token),
            (&["BEARER   a.b.c "], token),
            (&["Bearer"], Bearer::Malformed),
            (&["Bearer "], Bearer::Malformed),
            (&["Bearer\ta.b.c"], Bearer::Nothing),
            (&["Bearera.b.c"], Bearer::Nothing),
            (&["a.b.c"], Bearer::Nothing),
            (&[""], Bearer::Nothing),
            (&["Basic YTpi"], Bearer::Nothing),
            (&["Bearer a.b.c", "Bearer a.b.c"], Bearer::Malformed),
            (&["Basic YTpi", "Bearer a.b.c"], Bearer::Malformed),
            // No character of it is one of a token.
            (&["Bearer a.b.c, Bearer d.e.f"], Bearer::Token(b"a.b.c, Bearer d.e.f")),
        ] {
            assert_eq!(read(values), expected, "{values:?}");
        }
    }
}
