//! Whose request this is part of, as services tell one another (W3C Trace Context, level 2).
//!
//! A request that comes with a context goes on with it, so that one trace leads from a client's click through this gateway
//! to whatever its upstream asks in turn. A context that is not as the Recommendation has it is taken for none: half of it
//! would tie a request to a trace that nobody can find.

use std::fmt;

use arrayvec::ArrayString;
use thiserror::Error;

/// A trace: all that was done for one request of whoever began it. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

/// One piece of work within a trace. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

impl TraceId {
    /// `None` for zero, which is no trace.
    pub const fn new(id: u128) -> Option<Self> {
        if id == 0 { None } else { Some(Self(id)) }
    }

    /// Made of a draw: the one value that is no id, which is not to be expected, becomes another.
    pub(super) const fn of_draw(draw: u128) -> Self {
        if draw == 0 { Self(1) } else { Self(draw) }
    }

    /// As its 16 bytes go over the wire.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// In 32 hexadecimal digits.
    pub fn digits(self) -> ArrayString<32> {
        hex_digits(&self.to_bytes())
    }
}

impl SpanId {
    /// `None` for zero, which is no span.
    pub const fn new(id: u64) -> Option<Self> {
        if id == 0 { None } else { Some(Self(id)) }
    }

    /// As [`TraceId::of_draw`].
    pub(super) const fn of_draw(draw: u64) -> Self {
        if draw == 0 { Self(1) } else { Self(draw) }
    }

    /// As its 8 bytes go over the wire.
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// In 16 hexadecimal digits.
    pub fn digits(self) -> ArrayString<16> {
        hex_digits(&self.to_bytes())
    }

    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.digits())
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.digits())
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is said of a trace beside its ids. Bits that no version we know gives a meaning are never passed on (3.2.2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TraceFlags(u8);

impl TraceFlags {
    /// Whoever sent this may have recorded it.
    pub const SAMPLED: Self = Self(0x01);
    /// The last seven bytes of the trace's id are random (level 2).
    pub const RANDOM: Self = Self(0x02);

    const KNOWN: u8 = Self::SAMPLED.0 | Self::RANDOM.0;

    /// Whether the trace may have been recorded by whoever sent it.
    pub const fn is_sampled(self) -> bool {
        self.0 & Self::SAMPLED.0 != 0
    }

    /// As one byte.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// The field `traceparent`: a trace, and the span in it that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The span of whoever sent it.
    pub parent: SpanId,
    /// What else is said of it.
    pub flags: TraceFlags,
}

/// Why a `traceparent` is none.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TraceContextError {
    /// It is shorter than every version, longer than version 00, or goes on without a hyphen.
    #[error("of a length that no version has")]
    Length,
    /// Something other than lower-case hexadecimal digits between hyphens.
    #[error("not of the form version-trace-parent-flags")]
    Form,
    /// Version ff is forbidden, so that it can never mean anything.
    #[error("version ff is none")]
    Version,
    /// The id of the trace is zero.
    #[error("the trace's id is zero")]
    ZeroTrace,
    /// The id of the parent is zero.
    #[error("the parent's id is zero")]
    ZeroParent,
}

/// Of version 00, and of the part that any later version begins with.
const LENGTH: usize = 55;

impl TraceContext {
    /// Reads the value of a `traceparent` field. Of a later version, what we know is read, as it asks us to (3.3).
    ///
    /// # Errors
    ///
    /// [`TraceContextError`] for anything else; then the receiver begins a trace of its own, and `tracestate` is void.
    pub fn parse(text: &[u8]) -> Result<Self, TraceContextError> {
        let version = match text.get(..2) {
            Some(digits) => hex(digits)? as u8,
            None => return Err(TraceContextError::Length),
        };
        let fits = match version {
            0xff => return Err(TraceContextError::Version),
            0 => text.len() == LENGTH,
            _ => text.len() == LENGTH || text.get(LENGTH) == Some(&b'-'),
        };
        if !fits || text.len() < LENGTH {
            return Err(TraceContextError::Length);
        }
        if text[2] != b'-' || text[35] != b'-' || text[52] != b'-' {
            return Err(TraceContextError::Form);
        }
        let trace = TraceId::new(hex(&text[3..35])?).ok_or(TraceContextError::ZeroTrace)?;
        let parent = SpanId::new(hex(&text[36..52])? as u64).ok_or(TraceContextError::ZeroParent)?;
        let flags = TraceFlags(hex(&text[53..LENGTH])? as u8 & TraceFlags::KNOWN);
        Ok(Self { trace, parent, flags })
    }

    /// The value of a `traceparent` field of version 00.
    pub fn to_field(self) -> [u8; LENGTH] {
        let mut field = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut field[3..35], &self.trace.to_bytes());
        write_hex(&mut field[36..52], &self.parent.to_bytes());
        write_hex(&mut field[53..], &[self.flags.0]);
        field
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.parent, self.flags.0)
    }
}

/// The number that lower-case digits say; upper-case ones are not allowed (3.2.2).
fn hex(digits: &[u8]) -> Result<u128, TraceContextError> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return Err(TraceContextError::Form),
        };
        Ok(number << 4 | u128::from(digit))
    })
}

/// Bytes in so many hexadecimal digits, without the machinery of `{:x}`: a line of the log has four of these.
pub(crate) fn hex_digits<const DIGITS: usize>(bytes: &[u8]) -> ArrayString<DIGITS> {
    let mut digits = [b'0'; DIGITS];
    write_hex(&mut digits, bytes);
    // Digits are text.
    ArrayString::from_byte_string(&digits).unwrap_or_default()
}

fn write_hex(digits: &mut [u8], bytes: &[u8]) {
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&PAIRS[usize::from(*byte)]);
    }
}

/// The two digits of each byte.
static PAIRS: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Members that a `tracestate` may have (3.3.1.1).
const MOST_MEMBERS: usize = 32;

/// Whether the values of all `tracestate` fields of a message are one list that may be passed on. This gateway adds no
/// member of its own, so a valid list goes on as it came, and one that is not is dropped whole (3.3.1).
pub fn is_trace_state<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let mut keys: Vec<&[u8]> = Vec::new();
    for member in fields.into_iter().flat_map(|field| field.split(|byte| *byte == b',')) {
        let member = trim(member);
        // Empty members are allowed, for those who build lists without looking.
        if member.is_empty() {
            continue;
        }
        let Some(equals) = member.iter().position(|byte| *byte == b'=') else { return false };
        let (key, value) = (&member[..equals], &member[equals + 1..]);
        if !is_key(key) || !is_value(value) || keys.contains(&key) || keys.len() == MOST_MEMBERS {
            return false;
        }
        keys.push(key);
    }
    true
}

/// Spaces and tabs may stand around a member.
fn trim(mut member: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = member {
        member = rest;
    }
    member
}

/// A key as level 2 has it, which holds all of level 1.
fn is_key(key: &[u8]) -> bool {
    let is_first = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_rest = |byte: &u8| is_first(byte) || b"_-*/@".contains(byte);
    key.len() <= 256 && key.first().is_some_and(is_first) && key.iter().all(is_rest)
}

/// Printable, without comma and equals sign, and not ending in a space: that has been trimmed.
fn is_value(value: &[u8]) -> bool {
    (1..=256).contains(&value.len())
        && value.iter().all(|byte| matches!(byte, b' '..=b'~') && !b",=".contains(byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of the Recommendation.
    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn parse(text: &str) -> Result<TraceContext, TraceContextError> {
        TraceContext::parse(text.as_bytes())
    }

    #[test]
    fn the_example_of_the_recommendation_is_read_and_written() {
        let context = parse(EXAMPLE).unwrap();
        assert_eq!(context.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.parent.to_string(), "00f067aa0ba902b7");
        assert!(context.flags.is_sampled());
        assert_eq!(context.to_string(), EXAMPLE);
        assert_eq!(context.to_field(), EXAMPLE.as_bytes());
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        use TraceContextError::{Form, Length, Version, ZeroParent, ZeroTrace};
        for (text, error) in [
            ("", Length),
            ("0", Length),
            ("00", Length),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", Length),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1", Length),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011", Length),
            // Version 00 has nothing after its flags; a later one goes on with a hyphen.
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what", Length),
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01what", Length),
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", Length),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Version),
            ("FF-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Form),
            ("0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Form),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", Form),
            ("00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", Form),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902B7-01", Form),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0A", Form),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0.", Form),
            ("00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01", Form),
            ("00-4bf92f3577b34da6a3ce929d0e0e47360-0f067aa0ba902b7-01", Form),
            (" 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", Form),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", ZeroTrace),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", ZeroParent),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn of_a_later_version_what_is_known_is_read_and_sent_on_as_version_00() {
        for later in ["01", "cc", "fe"] {
            for more in ["", "-", "-what-the-future-will-be-like"] {
                let text = format!("{later}{}{more}", &EXAMPLE[2..]);
                assert_eq!(parse(&text).unwrap().to_string(), EXAMPLE, "{text}");
            }
        }
    }

    #[test]
    fn flags_without_a_meaning_are_not_passed_on() {
        let flags = |bits: &str| parse(&format!("{}{bits}", &EXAMPLE[..53])).unwrap().flags;
        assert_eq!(flags("00"), TraceFlags::default());
        assert_eq!(flags("ff").bits(), 0x03);
        assert_eq!(flags("02"), TraceFlags::RANDOM);
        assert!(!flags("fe").is_sampled());
    }

    #[test]
    fn a_state_is_passed_on_whole_or_not_at_all() {
        let state = |fields: &[&str]| is_trace_state(fields.iter().map(|field| field.as_bytes()));
        let long = "x".repeat(257);
        let many = |members: usize| (0..members).map(|n| format!("k{n}=1")).collect::<Vec<_>>().join(",");
        for valid in [
            &["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"][..],
            &["rojo=1", "congo=2"],
            &["", "a=1,, ,b=2 \t,\tc=3"],
            &["fw529a3039@dt=FfD=".trim_end_matches('=')],
            &["0a=1", "a_-*/@b=!\"#~"],
            &["a= leading space"],
            &[&many(32)],
            &[&format!("{}={}", &long[..256], &long[..256])],
        ] {
            assert!(state(valid), "{valid:?}");
        }
        for invalid in [
            &["rojo"][..],
            &["=1"],
            &["a="],
            &["a=1=2"],
            &["A=1"],
            &["_a=1"],
            &["a b=1"],
            &["a=1,a=2"],
            &["a=1", "a=2"],
            &["a=caf\u{e9}"],
            &["a=\u{7f}"],
            &[&many(33)],
            &[&format!("{long}=1")],
            &[&format!("a={long}")],
        ] {
            assert!(!state(invalid), "{invalid:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(trace in 1_u128.., parent in 1_u64.., bits in 0_u8..4) {
            let context = TraceContext { trace: TraceId(trace), parent: SpanId(parent), flags: TraceFlags(bits) };
            prop_assert_eq!(TraceContext::parse(&context.to_field()), Ok(context));
            prop_assert_eq!(context.to_string().into_bytes(), context.to_field());
        }

        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(context) = TraceContext::parse(&bytes) {
                prop_assert!(bytes.starts_with(&[bytes[0], bytes[1], b'-']) && context.trace.0 != 0);
            }
            is_trace_state([&*bytes]);
        }
    }
}
