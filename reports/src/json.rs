//! `result.json`: the experiment as a file that can be kept, compared and drawn again.
//!
//! The bytes depend on the result alone, so that two runs of the same experiment can be compared with `cmp`. One value
//! stands on each line, except that what holds no further braces stays on one: a time series of 75,000 seconds is one
//! line of the file, and a difference between two files names the second measure and not a column of digits.

use serde::Deserialize;

use crate::{ExperimentResult, VERSION};

/// Why a saved result cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// A later Tuesday wrote it.
    #[error(
        "the result has format version {found}, this Tuesday reads up to {VERSION}: use the one that wrote it"
    )]
    Newer {
        /// The version it states.
        found: u32,
    },
    /// It is not a result.
    #[error("not a saved result")]
    Malformed(#[from] serde_json::Error),
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
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    let Head { version: found } = serde_json::from_str(json)?;
    if found > VERSION {
        return Err(JsonError::Newer { found });
    }
    Ok(serde_json::from_str(json)?)
}

/// Compact JSON with a line for each value, and one for each innermost array or object.
fn laid_out(compact: &str) -> String {
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
        let error = from_json("{\"version\": 2, \"worlds\": []}").unwrap_err();
        assert!(matches!(error, JsonError::Newer { found: 2 }));
        assert!(error.to_string().contains("format version 2"));
        assert!(matches!(from_json("{}").unwrap_err(), JsonError::Malformed(_)));
        assert!(matches!(from_json("{\"version\": 1}").unwrap_err(), JsonError::Malformed(_)));
    }
}
