//! `result.json`: the experiment as a file that can be kept, compared and drawn again.
//!
//! The bytes depend on the result alone, so that two runs of the same experiment can be compared with `cmp`. One value
//! stands on each line, except that what holds no further braces stays on one: a time series of 75,000 seconds is one
//! line of the file, and a difference between two files names the second measure and not a column of digits.
//!
//! # What a version promises
//!
//! Whoever keeps results keeps them for longer than a release. So within one [`VERSION`] changes only add:
//!
//! - A field that is added is `#[serde(default)]`, and an `Option` wherever its absence does not mean zero: files that
//!   were written before it must still be read. What was there keeps its name, unit and meaning.
//! - A field that a reader does not know is ignored, so an older Tuesday reads what a newer one of the same version
//!   wrote, without what was added.
//! - A word that is added to an enum (an outcome, an engine, a unit) is understood from then on; an older Tuesday
//!   refuses the file and says which one wrote it, because a result that counts something it cannot name would be
//!   shown wrong.
//!
//! Anything else is a new version. A file of a newer version is refused by [`JsonError::Newer`], whatever else it
//! holds. `tests/results` keeps a file of every version, and of every kind of file within one, that a test reads and
//! draws; what they promise to anybody else is [`result_schema`](crate::result_schema).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use crate::result::experiment::{ExperimentResult, VERSION};
use crate::words::text;

/// The version of Tuesday that this crate belongs to.
const TUESDAY: &str = env!("CARGO_PKG_VERSION");

/// Why a saved result cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// A later Tuesday wrote it.
    #[error("format version {found} is newer than this Tuesday ({TUESDAY}), which reads up to {VERSION}: use {}",
        wanted(tuesday.as_deref()))]
    Newer {
        /// The version it states.
        found: u64,
        /// The Tuesday that wrote it, where it says so.
        tuesday: Option<String>,
    },
    /// It is no JSON, or is cut short.
    #[error("line {line}, column {column}: {problem}")]
    Syntax {
        /// Where, from 1.
        line: usize,
        /// Where in the line, in bytes from 1.
        column: usize,
        /// What is wrong there.
        problem: String,
    },
    /// It is JSON, but not a result.
    #[error("line {line}, column {column}: not a result of Tuesday: {problem}")]
    Malformed {
        /// Where the value that is wrong ends, from 1; of something missing, where what misses it ends.
        line: usize,
        /// Where in the line, in bytes from 1.
        column: usize,
        /// What is wrong there, and who wrote the file, where that was another version of Tuesday.
        problem: String,
    },
}

/// The result as `result.json` holds it, ending with a line feed.
#[expect(clippy::missing_panics_doc, reason = "only a map whose keys are no strings could fail")]
pub fn to_json(result: &ExperimentResult) -> String {
    laid_out(&serde_json::to_string(result).expect("names are strings and numbers are numbers"))
}

/// The result that [`to_json`] wrote, to the last bit.
///
/// # Errors
///
/// If the file is no result, or one of a later [`VERSION`].
pub fn from_json(json: &str) -> Result<ExperimentResult, JsonError> {
    // Before everything else: what a later version holds may be anything.
    #[derive(serde::Deserialize)]
    #[serde(rename = "result")]
    struct Head {
        version: u64,
        #[serde(default)]
        tuesday: serde_json::Value,
    }
    // Some editors put a byte order mark at the head of what they save.
    let json = json.strip_prefix('\u{feff}').unwrap_or(json);
    let Head { version: found, tuesday } =
        serde_json::from_str(json).map_err(|error| JsonError::of(&error, json, None))?;
    let tuesday = tuesday.as_str().map(|version| text::cut(&text::line(version), 40).into_owned());
    if found > VERSION.into() {
        return Err(JsonError::Newer { found, tuesday });
    }
    let malformed = |error: &serde_json::Error| JsonError::of(error, json, tuesday.as_deref());
    let Bounded = serde_json::from_str(json).map_err(|error| malformed(&error))?;
    serde_json::from_str(json).map_err(|error| malformed(&error))
}

/// A document without numbers that no run comes to. A file is whatever somebody wrote, and numbers are added up all over a
/// report: what is larger than this would not fit any more.
struct Bounded;

/// A million million: more microseconds than a scenario of eleven days, and more requests than anybody counts.
const GREATEST: u64 = 1 << 40;

/// Named by their values, which may be anything.
const NAMED: [&str; 2] = ["seed", "seeds"];

impl<'de> Deserialize<'de> for Bounded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Bounded {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self, E> {
        self.visit_u64(number.unsigned_abs())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self, E> {
        if number > GREATEST {
            return Err(E::custom(format_args!(
                "{number} is more than any run comes to, which is {GREATEST} at most"
            )));
        }
        Ok(self)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self, E> {
        if number.abs() > GREATEST as f64 {
            return Err(E::custom(format_args!(
                "{number:e} is more than any run comes to, which is {GREATEST} at most"
            )));
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self, A::Error> {
        while let Some(Self) = sequence.next_element()? {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if NAMED.contains(&&*name) {
                let IgnoredAny = members.next_value()?;
            } else {
                let Self = members.next_value()?;
            }
        }
        Ok(self)
    }
}

impl JsonError {
    fn of(error: &serde_json::Error, json: &str, tuesday: Option<&str>) -> Self {
        let (line, column) = (error.line(), error.column());
        let position = format!(" at line {line} column {column}");
        let said = error.to_string();
        // What is quoted from the file is the file's author's.
        let said = text::line(said.strip_suffix(&position).unwrap_or(&said));
        let said = text::cut(&said, 200);
        match error.classify() {
            Category::Eof if json.trim().is_empty() => {
                Self::Syntax { line, column, problem: "the file is empty".to_owned() }
            }
            Category::Eof => {
                let problem = format!("the file ends within the result, it was cut short ({said})");
                Self::Syntax { line, column, problem }
            }
            Category::Syntax | Category::Io => {
                let hint =
                    if json.trim_start().starts_with('{') { "" } else { ", of which a result is one object" };
                Self::Syntax { line, column, problem: format!("not JSON{hint} ({said})") }
            }
            Category::Data => {
                let other = tuesday.filter(|version| *version != TUESDAY);
                let wrote =
                    other.map(|version| format!("; Tuesday {version} wrote the file, this is {TUESDAY}"));
                Self::Malformed { line, column, problem: format!("{said}{}", wrote.unwrap_or_default()) }
            }
        }
    }
}

/// What to use in place of this Tuesday.
fn wanted(tuesday: Option<&str>) -> String {
    tuesday.map_or_else(
        || "the Tuesday that wrote it, or a later one".to_owned(),
        |version| format!("Tuesday {version}, which wrote it, or a later one"),
    )
}

/// Compact JSON with a line for each value, and one for each innermost array or object.
pub(crate) fn laid_out(compact: &str) -> String {
    let flat = flat_containers(compact);
    let mut out = String::with_capacity(compact.len() * 5 / 4);
    let mut depth = 0;
    let mut in_flat = None;
    let mut flat = flat.into_iter();
    let break_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    for (character, quoted) in tokens(compact) {
        match character {
            _ if quoted => out.push(character),
            '{' | '[' => {
                out.push(character);
                if flat.next().unwrap_or(false) {
                    in_flat = Some(character);
                } else {
                    depth += 1;
                    break_line(&mut out, depth);
                }
            }
            '}' | ']' if in_flat.take().is_some() => out.push(character),
            '}' | ']' => {
                depth -= 1;
                break_line(&mut out, depth);
                out.push(character);
            }
            ',' if in_flat.is_none() => {
                out.push(character);
                break_line(&mut out, depth);
            }
            ',' if in_flat == Some('{') => out.push_str(", "),
            ':' => out.push_str(": "),
            _ => out.push(character),
        }
    }
    out.push('\n');
    out
}

/// For each array and object in the order in which they open, whether it holds no other.
fn flat_containers(compact: &str) -> Vec<bool> {
    let mut flat = Vec::new();
    let mut open = Vec::new();
    for (character, quoted) in tokens(compact) {
        match character {
            '{' | '[' if !quoted => {
                if let Some(outer) = open.last() {
                    flat[*outer] = false;
                }
                open.push(flat.len());
                flat.push(true);
            }
            '}' | ']' if !quoted => {
                open.pop();
            }
            _ => {}
        }
    }
    flat
}

/// Each character, and whether it belongs to a string.
fn tokens(json: &str) -> impl Iterator<Item = (char, bool)> {
    let (mut quoted, mut escaped) = (false, false);
    json.chars().map(move |character| match (quoted, character) {
        (false, '"') => {
            quoted = true;
            (character, true)
        }
        (true, '"') if !escaped => {
            quoted = false;
            (character, true)
        }
        (true, _) => {
            escaped = character == '\\' && !escaped;
            (character, true)
        }
        (false, _) => (character, false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn what_is_read_back_is_what_was_written() {
        for mut result in [testing::window_boundary(), testing::three_seeds(), testing::hostile()] {
            result.variants[0].runs[0].amplification = 0.1 + 0.2;
            let json = to_json(&result);
            assert_eq!(from_json(&json).unwrap(), result);
            assert_eq!(to_json(&from_json(&json).unwrap()), json);
        }
    }

    #[test]
    fn a_series_is_one_line_and_the_version_the_first() {
        let json = to_json(&testing::window_boundary());
        let lines: Vec<&str> = json.lines().collect();
        assert_eq!(lines[1], "  \"version\": 1,");
        assert!(lines.iter().any(|line| line.contains("\"offered_per_s\": [0,0,0")));
        assert!(
            lines.iter().any(|line| line.trim() == "{\"key\": \"gateway.workers\", \"value\": \"256\"},")
        );
    }

    #[test]
    fn text_is_left_alone_whatever_it_holds() {
        let laid_out = laid_out(r#"{"a":"[,\"{:\\","b":[[],{}]}"#);
        assert_eq!(laid_out, "{\n  \"a\": \"[,\\\"{:\\\\\",\n  \"b\": [\n    [],\n    {}\n  ]\n}\n");
    }

    #[test]
    fn a_later_version_is_refused_whatever_else_it_holds() {
        let error = from_json("{\"version\": 2, \"tuesday\": \"0.9.1\", \"worlds\": []}").unwrap_err();
        assert!(matches!(error, JsonError::Newer { found: 2, .. }));
        assert_eq!(
            error.to_string(),
            format!(
                "format version 2 is newer than this Tuesday ({TUESDAY}), which reads up to 1: use Tuesday 0.9.1, \
                 which wrote it, or a later one"
            )
        );
        let error = from_json("{\"version\": 18446744073709551615, \"tuesday\": {}}").unwrap_err();
        assert!(error.to_string().ends_with("use the Tuesday that wrote it, or a later one"), "{error}");
    }

    #[test]
    fn what_is_no_result_is_refused_with_its_place() {
        let good = to_json(&testing::window_boundary());
        let unknown = good.replacen("\"virtual\"", "\"imagined\"", 1).replacen("\"0.1.0\"", "\"0.7.0\"", 1);
        let told = |json: &str| from_json(json).unwrap_err().to_string();
        for (json, expected) in [
            ("", "line 1, column 0: the file is empty"),
            ("name = \"x\"", "line 1, column 2: not JSON, of which a result is one object (expected ident)"),
            (
                "<!DOCTYPE html>",
                "line 1, column 1: not JSON, of which a result is one object (expected value)",
            ),
            ("{\"version\": 1,}", "line 1, column 15: not JSON (trailing comma)"),
            ("{}", "line 1, column 2: not a result of Tuesday: missing field `version`"),
            ("{\n  \"version\": 1\n}", "line 3, column 1: not a result of Tuesday: missing field `tuesday`"),
            (
                "[1]",
                "line 1, column 3: not a result of Tuesday: invalid length 1, expected struct ExperimentResult with 7 elements",
            ),
            (
                &good[..200],
                "line 7, column 84: the file ends within the result, it was cut short (EOF while parsing a string)",
            ),
            (
                &unknown,
                "line 4, column 22: not a result of Tuesday: unknown variant `imagined`, expected `virtual` or `live`; Tuesday 0.7.0 \
                 wrote the file, this is 0.1.0",
            ),
        ] {
            assert_eq!(told(json), expected);
        }
        assert!(!told("{\"version\": \"\u{1b}[31m\"}").contains('\u{1b}'));
        assert_eq!(from_json(&format!("\u{feff}{good}")).unwrap(), testing::window_boundary());
    }
}
