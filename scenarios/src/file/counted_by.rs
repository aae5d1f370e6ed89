//! What a rate limit tells requests apart by: the key `by`.

use std::marker::PhantomData;

use gateway::{KeyPart, KeyedBy, Prefixes};
use serde_json::{Value as Json, json};

use super::context::Context;
use super::diagnostic::Problem;
use super::reader::Read;
use super::shape::Shape;
use super::tree::{Node, Value};
use super::values::{Written, text};

/// What is known of a request where the limits of a scope are asked.
pub(super) trait Known {
    /// The scope, as the file calls it.
    const SCOPE: &'static str;
    /// How many of [`KINDS`] are known there, the first ones.
    const KINDS: usize;
    /// What the scope is named for.
    const OWN: &'static str;
}

/// In front of the token.
pub(super) struct KnownAtAddress;
/// After the token was judged.
pub(super) struct KnownAtKey;
/// After the route was found.
pub(super) struct KnownAtRoute;

impl Known for KnownAtAddress {
    const SCOPE: &'static str = "per_ip";
    const KINDS: usize = 1;
    const OWN: &'static str = "ip";
}

impl Known for KnownAtKey {
    const SCOPE: &'static str = "per_key";
    const KINDS: usize = 3;
    const OWN: &'static str = "key";
}

impl Known for KnownAtRoute {
    const SCOPE: &'static str = "per_route";
    const KINDS: usize = 4;
    const OWN: &'static str = "route";
}

/// The kinds of what requests are told apart by, in the order in which a request meets the scopes that know them: each with how it
/// is written, and the first scope that knows it.
const KINDS: [(&str, &str); 4] =
    [("ip(/[0-9]{1,2}){0,2}", "per_ip"), ("key", "per_key"), ("claim:.+", "per_key"), ("route", "per_route")];

/// What a limit tells requests apart by.
pub(super) struct By<S>(Vec<KeyPart>, PhantomData<S>);

/// What the scope is named for.
impl<S> Default for By<S> {
    fn default() -> Self {
        Self(Vec::new(), PhantomData)
    }
}

impl<S: Known> By<S> {
    pub(super) fn build(&self) -> KeyedBy {
        match &self.0[..] {
            // However that is said.
            [one] if written_part(one) == S::OWN => KeyedBy::default(),
            parts => KeyedBy::all(parts.to_vec()),
        }
    }
}

impl<S: Known> Written for By<S> {
    fn written(&self) -> Json {
        let parts: Vec<String> = self.0.iter().map(written_part).collect();
        match &parts[..] {
            [] => S::OWN.into(),
            [one] => one.as_str().into(),
            _ => json!(parts),
        }
    }
}

/// As it stands in a file.
pub(super) fn written_part(part: &KeyPart) -> String {
    match part {
        KeyPart::Ip(Prefixes::WHOLE) => "ip".to_owned(),
        KeyPart::Ip(prefixes) if prefixes.v6() == Prefixes::LONGEST_V6 => format!("ip/{}", prefixes.v4()),
        KeyPart::Ip(prefixes) if prefixes.v4() == Prefixes::LONGEST_V4 && prefixes.v6() > prefixes.v4() => {
            format!("ip/{}", prefixes.v6())
        }
        KeyPart::Ip(prefixes) => format!("ip/{}/{}", prefixes.v4(), prefixes.v6()),
        KeyPart::ApiKey => "key".to_owned(),
        KeyPart::Claim(name) => format!("claim:{name}"),
        KeyPart::Route => "route".to_owned(),
    }
}

impl<'t, S: Known> Read<'t> for By<S> {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        let refuse = |node: &Node, message: String, help: String| {
            let problem = Problem::error(node.span.clone(), format!("`{path}`: {message}"));
            context.push(problem.help(help));
        };
        let items = match &node.value {
            Value::Array(items) => &**items,
            _ => std::slice::from_ref(node),
        };
        if items.is_empty() || items.len() > KeyedBy::MOST {
            let message = format!("expected 1 to {} of them, found {}", KeyedBy::MOST, items.len());
            refuse(node, message, way_out::<S>());
            return None;
        }
        let mut parts: Vec<KeyPart> = Vec::new();
        let mut is_usable = true;
        for item in items {
            let part = match &item.value {
                Value::Text(text) => part::<S>(text),
                _ => Err((format!("expected a string, found {}", item.kind()), way_out::<S>())),
            };
            match part {
                Ok(part) if parts.contains(&part) => {
                    is_usable = false;
                    refuse(item, format!("`{}` stands there twice", written_part(&part)), String::new());
                }
                Ok(part) => parts.push(part),
                Err((message, help)) => {
                    is_usable = false;
                    refuse(item, message, help);
                }
            }
        }
        is_usable.then_some(Self(parts, PhantomData))
    }

    fn shape() -> Shape {
        let known: Vec<&str> = KINDS.iter().take(S::KINDS).map(|(pattern, _)| *pattern).collect();
        let one = text(&format!("^({})$", known.join("|")));
        let several = json!({
            "type": "array", "items": one, "minItems": 1, "maxItems": KeyedBy::MOST, "uniqueItems": true
        });
        Shape::Either(vec![
            (Shape::Value(one), ""),
            (Shape::Value(several), "All of these together: a bucket for each combination."),
        ])
    }
}

/// What a text stands for, or what is wrong with it and the way out.
fn part<S: Known>(text: &str) -> Result<KeyPart, (String, String)> {
    let (kind, rest) = match text.split_once([':', '/']) {
        Some((kind, rest)) => (kind, Some(rest)),
        None => (text, None),
    };
    let (place, part) = match (kind, rest) {
        ("ip", None) => (0, KeyPart::Ip(Prefixes::WHOLE)),
        ("ip", Some(bits)) if text.as_bytes()[2] == b'/' => (0, KeyPart::Ip(prefixes(bits)?)),
        ("key", None) => (1, KeyPart::ApiKey),
        ("claim", Some(name)) if !name.is_empty() && text.as_bytes()[5] == b':' => {
            (2, KeyPart::Claim(name.to_owned()))
        }
        ("route", None) => (3, KeyPart::Route),
        ("header", _) => {
            let help = "clients of a scenario cannot send header fields of their own yet";
            return Err((format!("limits do not go by header fields such as {text:?}"), help.to_owned()));
        }
        _ => return Err((format!("there is nothing called {text:?} to count by"), way_out::<S>())),
    };
    if place < S::KINDS {
        return Ok(part);
    }
    let first = KINDS[place].1;
    let message = format!("{text:?} is not known yet where `{}` is asked", S::SCOPE);
    Err((message, format!("`{first}` knows it: {}", way_out::<S>())))
}

/// The networks of `24`, `64` or `24/48`.
fn prefixes(bits: &str) -> Result<Prefixes, (String, String)> {
    let number =
        |text: &str| text.parse::<u8>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let (v4, v6) = match bits.split_once('/') {
        Some((v4, v6)) => (number(v4), number(v6)),
        None => match number(bits) {
            Some(bits) if bits > Prefixes::LONGEST_V4 => (Some(Prefixes::LONGEST_V4), Some(bits)),
            bits => (bits, Some(Prefixes::LONGEST_V6)),
        },
    };
    let help = "\"ip/24\" are networks of IPv4, \"ip/48\" of IPv6, and \"ip/24/48\" of both";
    let wrong = || (format!("there are no networks \"ip/{bits}\""), help.to_owned());
    let (v4, v6) = v4.zip(v6).ok_or_else(wrong)?;
    Prefixes::new(v4, v6).map_err(|error| (error.to_string(), help.to_owned()))
}

fn way_out<S: Known>() -> String {
    let shown =
        ["\"ip\" or a network such as \"ip/24\"", "\"key\"", "a claim such as \"claim:sub\"", "\"route\""];
    match &shown[..S::KINDS] {
        [one] => format!("requests are told apart by {one} there"),
        several => {
            let (last, others) = several.split_last().map_or(("", several), |(last, others)| (*last, others));
            format!("requests are told apart by {} and {last}, and an array combines them", others.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_read_as_it_is_written() {
        for (text, canonical) in [
            ("ip", "ip"),
            ("ip/32", "ip"),
            ("ip/64", "ip"),
            ("ip/24", "ip/24"),
            ("ip/48", "ip/48"),
            ("ip/24/48", "ip/24/48"),
            ("ip/32/24", "ip/32/24"),
            ("ip/24/64", "ip/24"),
            ("key", "key"),
            ("claim:https://example.com/tenant", "claim:https://example.com/tenant"),
            ("route", "route"),
        ] {
            let read = part::<KnownAtRoute>(text).unwrap();
            assert_eq!(written_part(&read), canonical);
            assert_eq!(part::<KnownAtRoute>(canonical), Ok(read));
        }
        let prefixes = |v4, v6| KeyPart::Ip(Prefixes::new(v4, v6).unwrap());
        assert_eq!(part::<KnownAtAddress>("ip/24"), Ok(prefixes(24, 64)));
        assert_eq!(part::<KnownAtAddress>("ip/56"), Ok(prefixes(32, 56)));
        assert_eq!(part::<KnownAtAddress>("ip/16/56"), Ok(prefixes(16, 56)));
    }

    #[test]
    fn a_scope_knows_what_a_request_has_shown_by_then() {
        let message = |result: Result<KeyPart, (String, String)>| result.unwrap_err().0;
        assert!(message(part::<KnownAtAddress>("key")).contains("is not known yet where `per_ip` is asked"));
        assert!(message(part::<KnownAtAddress>("claim:sub")).contains("not known yet"));
        assert!(message(part::<KnownAtKey>("route")).contains("where `per_key` is asked"));
        assert!(message(part::<KnownAtRoute>("header:x-plan")).contains("header fields"));
        for wrong in [
            "",
            "ip/",
            "ip/0",
            "ip/65",
            "ip/33/64",
            "ip/+1",
            "ip/24/48/1",
            "ip:24",
            "keys",
            "claim:",
            "claim/a",
        ] {
            assert!(part::<KnownAtRoute>(wrong).is_err(), "{wrong}");
        }
    }
}
