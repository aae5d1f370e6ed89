//! Settings of a file that are varied: what a sweep's `KEY=VALUES` says, laid over the tree as a variant is.
//!
//! Values are those of the file, in its units, and read by the same reader; so what is wrong with one is told as in a file,
//! at its place in the line that would set it.

use std::ops::Range;

use gateway::Algorithm;
use reports::{AxisScale, InForce};
use serde_json::Value as Json;
use toml::de::DeTable;

use super::common::Common;
use super::context::{Companion, Context};
use super::diagnostic::Problem;
use super::patch;
use super::presets;
use super::quantity::{Kind, Quantity, scale_of, spread};
use super::reader::Read;
use super::reading::{Laid, read_scenario};
use super::shape::{FieldShape, Shape};
use super::table::Described;
use super::text::parse;
use super::tree::{Node, Table, Value};
use super::variant::Variant;
use super::words::display_key;
use crate::Scenario;

/// A setting and the values it is to have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Vary {
    /// The key as it was written.
    pub(crate) key: String,
    /// Its parts.
    path: Vec<String>,
    /// In the order of the axis.
    pub(crate) values: Vec<Varied>,
    /// How far values are apart.
    pub(crate) scale: AxisScale,
}

/// A value of a setting that is varied.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Varied {
    /// As a file has it, without quotes.
    pub(crate) text: String,
    /// Its size in the base unit of its kind.
    pub(crate) number: Option<f64>,
    /// Whether the file has it so, and nothing is laid over it.
    pub(crate) is_of_file: bool,
    /// What holds where the file does not set it.
    pub(crate) in_force: Option<InForce>,
}

/// What came of reading a file with settings laid over it.
pub(crate) struct LaidOver {
    /// The scenario; `None` if any problem is an error.
    pub(crate) scenario: Option<Scenario>,
    /// What is wrong in the file.
    pub(crate) in_file: Vec<Problem>,
    /// What is wrong in the settings, at its place in [`LaidOver::settings`].
    pub(crate) in_settings: Vec<Problem>,
    /// The settings as lines of a file.
    pub(crate) settings: String,
}

/// Reads `KEY=VALUES`: a list `10,100,1000`, or a range `1s..30s` of `points` values, each as many times the one before
/// (`:log`, unless the range begins at zero) or as far from it (`:linear`, or `:STEP`).
///
/// # Errors
///
/// What is wrong with it, and what would not be.
pub(crate) fn parse_vary(text: &str, points: usize) -> Result<Vary, String> {
    let (key, values) = split_outside_quotes(text, '=')
        .ok_or_else(|| format!("`{text}` names no values; such as `gateway.timeout=1s..30s`"))?;
    let (key, values) = (key.trim(), values.trim());
    let path = path_of(key)?;
    if let Some(first) = path.first().filter(|first| Common::table().field(first).is_some()) {
        return Err(format!(
            "`{first}` is the same for all variants and points: they are compared over the same time and by the same measure"
        ));
    }
    if values.is_empty() {
        return Err(format!("`{text}` names no values; such as `{key}=1s..30s` or `{key}=10,100,1000`"));
    }
    let (values, scale) = if let Some(range) = range_of(values) {
        spread(range, points).map_err(|problem| format!("`{text}`: {problem}"))?
    } else {
        let mut listed: Vec<Quantity> = Vec::new();
        for value in list_of(values) {
            let value = Quantity::of(value.trim());
            if value.text.is_empty() {
                return Err(format!("`{text}`: a value is missing beside a comma"));
            }
            if let Some(range) = meant_range(&value) {
                return Err(format!("`{text}`: {} is no value; a range is written `{range}`", value.text));
            }
            if !listed.iter().any(|known| known.text == value.text) {
                listed.push(value);
            }
        }
        let scale = scale_of(&listed);
        (listed, scale)
    };
    let varied = |value: Quantity| Varied {
        number: value.number(),
        text: value.text,
        is_of_file: false,
        in_force: None,
    };
    let values = values.into_iter().map(varied).collect();
    Ok(Vary { key: key.to_owned(), path, values, scale })
}

impl Vary {
    /// Marks the value that the variant of the file has, or adds it: a point that changes fewer settings has to be on the
    /// grid to be found.
    pub(crate) fn add_value_of_file(&mut self, text: &str, variant: &str) {
        let of_file = self.value_of_file(text, variant);
        let alike = |value: &Varied| {
            let Some(of_file) = &of_file else { return false };
            let value = Quantity::of(&value.text);
            match (of_file.number(), value.number()) {
                (Some(known), Some(number)) if of_file.is_like(&value) => {
                    (known - number).abs() <= 1e-12 * known.abs()
                }
                _ => of_file.text == value.text,
            }
        };
        if let Some(known) = self.values.iter_mut().find(|value| alike(value)) {
            known.is_of_file = true;
            return;
        }
        let added = Varied {
            text: of_file.as_ref().map_or_else(|| "not set".to_owned(), |value| value.text.clone()),
            number: of_file.as_ref().and_then(Quantity::number),
            is_of_file: true,
            in_force: if of_file.is_some() { None } else { self.in_force(text, variant) },
        };
        let numbers: Option<Vec<f64>> = self.values.iter().map(|value| value.number).collect();
        let place = match (added.number, numbers) {
            (Some(number), Some(numbers)) if numbers.is_sorted() => {
                numbers.partition_point(|known| *known < number)
            }
            _ => 0,
        };
        self.values.insert(place, added);
    }

    /// Whether both are of one key, however it is written.
    pub(crate) fn is_of_the_key_of(&self, other: &Self) -> bool {
        self.path == other.path
    }

    fn value_of_file(&self, text: &str, variant: &str) -> Option<Quantity> {
        value_at(&merged(text, variant)?, &self.path)
    }

    /// What holds where the file does not set it: a value that it inherits, its default, or no bound; `None` where that is not a
    /// single value.
    fn in_force(&self, text: &str, variant: &str) -> Option<InForce> {
        let tree = merged(text, variant)?;
        for inherited in self.inherited_from(&tree) {
            if let Some(value) = value_at(&tree, &inherited) {
                let from = inherited.iter().map(|key| displayed(key)).collect::<Vec<_>>().join(".");
                return Some(InForce::Value { number: value.number(), text: value.text, from: Some(from) });
            }
        }
        let field = described(&self.path)?;
        let default = match field.default.map(|default| default()) {
            Some(Json::String(text)) => text,
            Some(Json::Number(number)) => number.to_string(),
            _ => return field.is_unbounded.then_some(InForce::Unbounded),
        };
        let value = Quantity::of(&default);
        Some(InForce::Value { number: value.number(), text: value.text, from: None })
    }

    /// The keys whose values hold where this one is not set, the nearest first.
    fn inherited_from(&self, tree: &Table) -> Vec<Vec<String>> {
        let keys: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let of = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        match keys[..] {
            ["routes", route, key @ ("timeout" | "try_timeout")] => {
                let upstream =
                    tree.find(&["routes", route, "upstream"]).and_then(|entry| written(&entry.node));
                let of_upstream = upstream.map(|upstream| of(&["gateway", "upstreams", &upstream, key]));
                of_upstream.into_iter().chain([of(&["gateway", key])]).collect()
            }
            ["gateway", "upstreams", _, key @ ("timeout" | "try_timeout")] => vec![of(&["gateway", key])],
            ["gateway", "upstreams", _, "breaker", ref rest @ ..] => {
                vec![of(&[&["gateway", "breaker"], rest].concat())]
            }
            ["routes", _, "retry", ref rest @ ..] => vec![of(&[&["gateway", "retry"], rest].concat())],
            // Of one of several limits too.
            ["gateway", "rate_limit", limit, "burst"] => {
                let of_limit = |key| of(&["gateway", "rate_limit", limit, key]);
                let algorithm = value_at(tree, &of_limit("algorithm"));
                let algorithm = algorithm.and_then(|name| Algorithm::from_name(&name.text));
                if algorithm.is_some_and(Algorithm::has_delay) { Vec::new() } else { vec![of_limit("limit")] }
            }
            _ => Vec::new(),
        }
    }

    /// The line of a file that sets it so; none where nothing is to be laid over the file.
    fn line(&self, value: &Varied) -> Option<String> {
        (!value.is_of_file).then(|| format!("{} = {}", self.key, literal(&value.text)))
    }
}

/// Reads the text of a scenario with settings laid over one of its variants, which is the only one then.
pub(crate) fn read_laid_over(
    text: &str,
    variant: &str,
    settings: &[(&Vary, &Varied)],
    companion: Companion<'_>,
) -> LaidOver {
    let lines: Vec<String> = settings.iter().filter_map(|(vary, value)| vary.line(value)).collect();
    let settings = lines.join("\n");
    // What is parsed is as long as what is shown, so that places in the one are places in the other.
    let parsed: Vec<String> = lines.iter().map(|line| without_brackets(line)).collect();
    let parsed = parsed.join("\n");
    let whole = format!("{text}\n{settings}");
    let context = Context::new(companion);
    // As far into the text as the settings stand behind the file, so that places of both are told apart.
    let blank = " ".repeat(text.len());
    let scenario = parse(text, &context).and_then(|file| {
        let laid = parse(&format!("{blank}\n{parsed}"), &context)?;
        read_scenario(&whole, &file, Some(Laid { variant, patch: &laid }), &context)
    });
    let scenario = scenario.filter(|_| !context.is_fatal()).map(|mut scenario| {
        scenario.variants.retain(|known| known.name == variant);
        scenario.source = text.into();
        scenario
    });
    let start = text.len() + 1;
    let (in_settings, in_file): (Vec<Problem>, Vec<Problem>) =
        context.into_sorted(&whole).into_iter().partition(|problem| problem.span.start >= start);
    let moved = |problem: Problem| {
        let span: Range<usize> = problem.span.start - start..problem.span.end.max(start) - start;
        Problem { span, ..problem }
    };
    LaidOver { scenario, in_file, in_settings: in_settings.into_iter().map(moved).collect(), settings }
}

/// What the format says of a key.
fn described(path: &[String]) -> Option<FieldShape> {
    let (last, tables) = path.split_last()?;
    let below = |shape: Shape, key: &String| match shape.below(key) {
        Some(below) => Some(below),
        None => shape.below(patch::split_place(key)?.0)?.item(),
    };
    let table = tables.iter().try_fold(Variant::shape(), below)?;
    table.into_fields().into_iter().find(|field| field.key == *last)
}

/// The file as that variant makes it, with its presets below it.
fn merged(text: &str, variant: &str) -> Option<Table> {
    let document = DeTable::parse(text).ok()?;
    let file = Table::from_document(document.get_ref());
    let patch = file.find(&["variants", variant]).and_then(|entry| entry.node.as_table()).cloned();
    let merged = patch.map_or_else(|| file.clone(), |patch| patch::merge(&file, &patch));
    Some(presets::lay(&merged).0)
}

fn value_at(tree: &Table, path: &[String]) -> Option<Quantity> {
    let (last, tables) = path.split_last()?;
    let mut table = tree;
    for key in tables {
        table = match (table.get(key), patch::split_place(key)) {
            (Some(entry), _) => entry.node.as_table()?,
            (None, Some((array, place))) => match &table.get(array)?.node.value {
                Value::Array(items) => items.get(place)?.as_table()?,
                _ => return None,
            },
            (None, None) => return None,
        };
    }
    written(&table.get(last)?.node).map(|text| Quantity::of(&text))
}

/// A part of a key as it is shown: `per_key[1]` for the place that is kept as `per_key-1-`.
fn displayed(key: &str) -> String {
    match patch::split_place(key) {
        Some((array, place)) => format!("{}[{place}]", display_key(array)),
        None => display_key(key),
    }
}

/// A line that sets a key, as TOML parses it: a place in an array, `per_key[1]`, is no part of a key there. A key may have dashes,
/// so that `per_key-1-`, which is as long, stands for it.
fn without_brackets(line: &str) -> String {
    let Some((key, value)) = split_outside_quotes(line, '=') else { return line.to_owned() };
    let (mut quote, mut dashed) = (None, String::with_capacity(line.len()));
    for character in key.chars() {
        match quote {
            Some(open) if character == open => quote = None,
            None if matches!(character, '"' | '\'') => quote = Some(character),
            _ => {}
        }
        dashed.push(if quote.is_none() && matches!(character, '[' | ']') { '-' } else { character });
    }
    dashed + "=" + value
}

/// The parts of a key as TOML has it: `routes."/orders".timeout`.
fn path_of(key: &str) -> Result<Vec<String>, String> {
    let refused =
        || format!("`{key}` is no key of a file; such as `gateway.timeout` or `routes.\"/orders\".timeout`");
    let line = without_brackets(&format!("{key} = 0"));
    let document = DeTable::parse(&line).map_err(|_| refused())?;
    let mut table = &Table::from_document(document.get_ref());
    let mut path = Vec::new();
    loop {
        let [entry] = table.entries() else { return Err(refused()) };
        path.push(entry.key.to_string());
        match &entry.node.value {
            Value::Table(next) => table = next,
            Value::Integer(_) => return Ok(path),
            _ => return Err(refused()),
        }
    }
}

/// A value as a file has it, without quotes; none of tables and arrays.
fn written(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) | Value::Integer(text) | Value::Float(text) => Some(text.to_string()),
        Value::Boolean(boolean) => Some(boolean.to_string()),
        Value::Datetime(datetime) => Some(datetime.to_string()),
        Value::Array(_) | Value::Table(_) => None,
    }
}

/// A value in TOML: numbers and booleans as they are, as is what comes in quotes or brackets; everything else is text.
fn literal(text: &str) -> String {
    let is_plain = matches!(text, "true" | "false") || Quantity::of(text).kind == Some(Kind::Number);
    if is_plain || text.starts_with(['"', '\'', '[', '{']) {
        text.to_owned()
    } else {
        toml::Value::String(text.to_owned()).to_string()
    }
}

/// `a..b`, with what follows a colon.
fn range_of(values: &str) -> Option<(&str, &str, Option<&str>)> {
    if values.starts_with(['"', '\'', '[', '{']) {
        return None;
    }
    let (from, rest) = values.split_once("..")?;
    let (to, how) = rest.split_once(':').map_or((rest, None), |(to, how)| (to, Some(how.trim())));
    Some((from.trim(), to.trim(), how))
}

/// The range that was meant by two amounts of one kind with a dash between them.
fn meant_range(value: &Quantity) -> Option<String> {
    let (from, to) = value.text.split_once(['-', '–'])?;
    let (from, to) = (from.trim(), to.trim());
    let (low, high) = (Quantity::of(from), Quantity::of(to));
    (value.kind.is_none() && low.is_like(&high)).then(|| format!("{from}..{to}"))
}

/// Text before and after the first such character outside of quotes.
fn split_outside_quotes(text: &str, at: char) -> Option<(&str, &str)> {
    let mut quote = None;
    for (place, character) in text.char_indices() {
        match quote {
            Some(open) if character == open => quote = None,
            None if matches!(character, '"' | '\'') => quote = Some(character),
            None if character == at => return Some((&text[..place], &text[place + at.len_utf8()..])),
            _ => {}
        }
    }
    None
}

/// Values between commas that stand in no quotes and brackets.
fn list_of(text: &str) -> Vec<&str> {
    let (mut depth, mut quote) = (0, None);
    text.split(move |character| {
        match quote {
            Some(open) if character == open => quote = None,
            Some(_) => {}
            None => match character {
                '"' | '\'' => quote = Some(character),
                '[' | '{' => depth += 1,
                ']' | '}' => depth -= 1,
                ',' => return depth == 0,
                _ => {}
            },
        }
        false
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_with_a_dash_is_told_how_it_is_written() {
        let told = |text: &str| parse_vary(text, 5).unwrap_err();
        assert_eq!(
            told("gateway.workers=64-512"),
            "`gateway.workers=64-512`: 64-512 is no value; a range is written `64..512`"
        );
        assert!(told("gateway.timeout=1s,2s – 5s").ends_with("a range is written `2s..5s`"));
        assert_eq!(texts("gateway.breaker.half_open=single-probe,trickle", 5), ["single-probe", "trickle"]);
    }

    fn texts(text: &str, points: usize) -> Vec<String> {
        parse_vary(text, points).unwrap().values.into_iter().map(|value| value.text).collect()
    }

    #[test]
    fn ranges_and_lists_are_in_the_units_of_the_file() {
        assert_eq!(texts("gateway.timeout=1s..16s", 5), ["1s", "2s", "4s", "8s", "16s"]);
        assert_eq!(texts("gateway.workers=64..2048", 6), ["64", "128", "256", "512", "1024", "2048"]);
        assert_eq!(texts("gateway.workers=1..3", 9), ["1", "2", "3"]);
        assert_eq!(texts("clients.a.rate=10/s..1000/s", 3), ["10/s", "100/s", "1000/s"]);
        assert_eq!(texts("x.y=0%..100%:linear", 5), ["0%", "25%", "50%", "75%", "100%"]);
        assert_eq!(texts("x.y=10..50:10", 2), ["10", "20", "30", "40", "50"]);
        assert_eq!(texts("x.y=1s..2s:400ms", 2), ["1s", "1s 400ms", "1s 800ms"]);
        assert_eq!(texts("x.y=500ms..1m", 3), ["500ms", "5s 480ms", "1m"]);
        assert_eq!(texts("x.y=10,100,10,1000", 3), ["10", "100", "1000"]);
        assert_eq!(texts("x.y=token-bucket,gcra,false", 3), ["token-bucket", "gcra", "false"]);
        assert_eq!(texts("routes.\"/a=b,c\".timeout=1s", 3), ["1s"]);
        assert_eq!(parse_vary("x.y=10,100", 3).unwrap().scale, AxisScale::Log);
        assert_eq!(parse_vary("x.y=0,100", 3).unwrap().scale, AxisScale::Linear);
        assert_eq!(parse_vary("x.y=a,100", 3).unwrap().scale, AxisScale::Words);
    }

    #[test]
    fn what_is_no_setting_says_what_is() {
        for (text, said) in [
            ("gateway.timeout", "`gateway.timeout` names no values; such as `gateway.timeout=1s..30s`"),
            ("a.b=", "`a.b=` names no values; such as `a.b=1s..30s` or `a.b=10,100,1000`"),
            ("a b=1", "`a b` is no key of a file; such as `gateway.timeout` or `routes.\"/orders\".timeout`"),
            ("=1", "`` is no key of a file; such as `gateway.timeout` or `routes.\"/orders\".timeout`"),
            ("a.b=1,,2", "`a.b=1,,2`: a value is missing beside a comma"),
            (
                "a.b=1s..30",
                "`a.b=1s..30`: both ends of a range are of one kind, such as `1s..30s` or `64..2048`",
            ),
            (
                "a.b=fast..slow",
                "`a.b=fast..slow`: both ends of a range are of one kind, such as `1s..30s` or `64..2048`",
            ),
            ("a.b=30s..1s", "`a.b=30s..1s`: a range goes up; write `1s..30s`"),
            (
                "a.b=0s..30s:log",
                "`a.b=0s..30s:log`: nothing is a multiple of zero; write `0s..30s:linear`, or begin above it",
            ),
            (
                "a.b=1..9:fast",
                "`a.b=1..9:fast`: after the colon of a range stands `log`, `linear` or a step such as `1s` or `10`",
            ),
            ("a.b=1..1000000:1", "`a.b=1..1000000:1`: a range has at most 1000 values; take a longer step"),
            (
                "slo.latency=1s..2s",
                "`slo` is the same for all variants and points: they are compared over the same time and by the same measure",
            ),
        ] {
            assert_eq!(parse_vary(text, 5).unwrap_err(), said, "{text}");
        }
    }

    #[test]
    fn what_the_file_does_not_set_has_a_value_in_force() {
        let file = "gateway.timeout = '5s'\nroutes.'/a'.upstream = 'api'\nroutes.'/b'.upstream = 'slow'\n\
                    gateway.upstreams.slow.timeout = '9s'\ngateway.rate_limit.per_key.limit = 100\ngateway.breaker = {}";
        let in_force = |text: &str| {
            let mut vary = parse_vary(text, 3).unwrap();
            vary.add_value_of_file(file, "base");
            vary.values.into_iter().find(|value| value.is_of_file).unwrap().in_force
        };
        let value = |text: &str, number, from: Option<&str>| {
            Some(InForce::Value {
                text: text.to_owned(),
                number: Some(number),
                from: from.map(str::to_owned),
            })
        };
        assert_eq!(in_force("routes.\"/a\".timeout=1s,2s"), value("5s", 5.0, Some("gateway.timeout")));
        let of_upstream = value("9s", 9.0, Some("gateway.upstreams.slow.timeout"));
        assert_eq!(in_force("routes.\"/b\".timeout=1s,2s"), of_upstream);
        let burst = value("100", 100.0, Some("gateway.rate_limit.per_key.limit"));
        assert_eq!(in_force("gateway.rate_limit.per_key.burst=10,20"), burst);
        assert_eq!(in_force("gateway.breaker.window=10s,20s"), value("30s", 30.0, None));
        assert_eq!(in_force("gateway.breaker.min_requests=1,2"), value("20", 20.0, None));
        assert_eq!(in_force("gateway.workers=1,2"), Some(InForce::Unbounded));
        assert_eq!(in_force("gateway.timeout=1s,2s"), None, "the file sets it");
    }

    const FILE: &str = "gateway.timeout = '4s'\nvariants.a.gateway.timeout = '8s'\nvariants.b = {}";

    #[test]
    fn the_value_of_the_file_is_on_the_axis() {
        let with = |text: &str, variant: &str| {
            let mut vary = parse_vary(text, 3).unwrap();
            vary.add_value_of_file(FILE, variant);
            let marked =
                |value: Varied| if value.is_of_file { format!("[{}]", value.text) } else { value.text };
            vary.values.into_iter().map(marked).collect::<Vec<_>>()
        };
        assert_eq!(with("gateway.timeout=1s,2s,8000ms", "a"), ["1s", "2s", "[8000ms]"]);
        assert_eq!(with("gateway.timeout=1s,16s", "b"), ["1s", "[4s]", "16s"]);
        assert_eq!(with("gateway.workers=1,2", "b"), ["[not set]", "1", "2"]);
        assert_eq!(with("gateway.timeout=16s,1s", "b"), ["[4s]", "16s", "1s"]);
        // A number is no duration, and is refused as in a file.
        assert_eq!(with("gateway.timeout=4,1s", "b"), ["[4s]", "4", "1s"]);
    }
}
