//! Lines of `expect.hold`: `"[variant:] measure[(arguments)] op value"`, where another measure, of the same variant or of
//! another one, can take the place of the value.
//!
//! A line is parsed once into what it says and then resolved against each variant it speaks of, since the same
//! name may stand at another place there, or not at all.

mod line;
mod measure;
mod warnings;

use std::fmt::Write as _;
use std::rc::Rc;

use reports::{Expectation, MEASURES, Measure};
use serde_json::json;

use self::line::{Help, Line, LineError, Part, Right, Term};
use self::measure::{LimitNames, Names};
use super::context::Context;
use super::diagnostic::{Problem, line_number};
use super::shape::Shape;
use super::tree::{Node, Span, Value};
use super::values::read;
use crate::{Contrast, ExpectationLine, Expected, World};

/// More lines of `expect.hold` are refused: each is held against every variant.
const MOST_LINES: usize = 1_000;

/// A line of `expect.hold` and where it stands.
pub(super) struct ExpectLine {
    pub(super) text: Rc<str>,
    span: Span,
    line: Option<Line>,
}

/// The lines of the file; what is wrong with one is told, and it is kept without what it says.
pub(super) fn expect_lines(text: &str, hold: &Node, context: &Context<'_>) -> Vec<ExpectLine> {
    let mut lines = Vec::new();
    let refuse = |span: &Span, what: String| {
        context.push(Problem::error(span.clone(), format!("`expect.hold`: {what}")));
    };
    let Value::Array(items) = &hold.value else {
        refuse(&hold.span, format!("expected an array of strings, found {}", hold.kind()));
        return lines;
    };
    if let Some(surplus) = items.get(MOST_LINES) {
        refuse(&surplus.span, format!("a scenario has at most {MOST_LINES} lines, found {}", items.len()));
        return lines;
    }
    for item in &**items {
        let Some(line) = read::<Rc<str>>(item, "expect.hold", context) else { continue };
        let parsed = line::parse(&line);
        let mut read = ExpectLine { text: line, span: item.span.clone(), line: None };
        match parsed {
            Ok(line) => read.line = Some(line),
            Err(error) => read.note(text, error, context),
        }
        lines.push(read);
    }
    lines
}

/// A line of `expect.hold` as the schema has it: a line names a measure that there is.
pub(super) fn line_shape() -> Shape {
    let mut about = "One line of `[variant:] measure[(arguments)] op value`, for the variant named or for all, \
                           such as `token-bucket: latency(p99, clients.partner) < 100ms`; `op` is one of `<`, `<=`, \
                           `>`, `>=` and `==`. In place of the value can stand another measure, of the \
                           same variant or of another one, as in `breaker: blast_radius > timeout: \
                           blast_radius`. A selector is a path into the file: `clients.NAME`, \
                           `routes.\"/PATH\"` or `upstreams.NAME`. The measures:\n"
        .to_owned();
    let mut names = Vec::new();
    for kind in MEASURES {
        let _ = write!(about, "\n- `{}`", kind.signature());
        names.push(kind.name);
    }
    let pattern = format!(r"^\s*([^:(]+:\s*)?({})\s*(\(.*\))?\s*(<=?|>=?|==)\s*\S", names.join("|"));
    Shape::Value(json!({ "type": "string", "pattern": pattern, "description": about }))
}

impl ExpectLine {
    /// The line and its place in the text of the file.
    pub(super) fn placed_in(&self, file: &str) -> ExpectationLine {
        ExpectationLine { text: self.text.to_string(), line: Some(line_number(file, self.span.start)) }
    }

    fn note(&self, file: &str, error: LineError<'_>, context: &Context<'_>) {
        let LineError { message, help, span } = error;
        let problem = Problem::error(self.place(file, &span), format!("`expect.hold`: {message}"));
        context.push_with_help(problem, || help.tell());
    }

    /// The place in the file of a place in the line: inside the string, where the string is written as it reads,
    /// else the string as a whole.
    fn place(&self, file: &str, place: &Span) -> Span {
        let written = file.get(self.span.clone()).unwrap_or_default();
        let quote =
            ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| written.starts_with(quote)).unwrap_or("");
        let inner = written.get(quote.len()..written.len().saturating_sub(quote.len())).unwrap_or_default();
        if inner == &*self.text {
            let start = self.span.start + quote.len();
            // A place at the end of the line is the closing quote.
            start + place.start..start + place.start + place.len().max(1)
        } else {
            self.span.clone()
        }
    }

    /// Whether the variants that are named exist; says so if not.
    fn check_variants(&self, file: &str, variants: &[&str], line: &Line, context: &Context<'_>) -> bool {
        let note = |message, help, span| self.note(file, LineError { message, help, span }, context);
        let named = [Some(&line.left), line.right.term()].into_iter().flatten();
        let mut unknown = named
            .filter_map(|term| term.variant.as_ref())
            .filter(|variant| !variants.contains(&&*variant.value))
            .peekable();
        let exist = unknown.peek().is_none();
        for Part { value, span } in unknown {
            let help = Help::Names { wrong: value.clone(), what: "variant", names: variants };
            note(format!("there is no variant `{value}`"), help, span.clone());
        }
        exist
    }
}

/// What the lines ask of each variant.
pub(super) fn resolve(
    file: &str,
    lines: &[ExpectLine],
    variants: &[&str],
    worlds: &[World],
    context: &Context<'_>,
) -> Vec<Expected> {
    let names: Vec<_> = worlds.iter().map(names_of).collect();
    let mut resolving = Resolving { file, variants, worlds, names: &names, context, expected: Vec::new() };
    resolving.expected.resize_with(variants.len(), Expected::default);
    for (place, read) in lines.iter().enumerate() {
        if let Some(line) = &read.line
            && read.check_variants(file, variants, line, context)
        {
            resolving.line(place, read, line);
        }
    }
    resolving.expected
}

/// The variants, by their places, and what was asked of them so far.
struct Resolving<'r> {
    file: &'r str,
    variants: &'r [&'r str],
    worlds: &'r [World],
    names: &'r [Names<'r>],
    context: &'r Context<'r>,
    expected: Vec<Expected>,
}

impl<'r> Resolving<'r> {
    fn line(&mut self, place: usize, read: &ExpectLine, line: &Line) {
        let place_of = |term: &Term| {
            let named = term.variant.as_ref()?;
            self.variants.iter().position(|variant| *variant == named.value)
        };
        let (named, other) = (place_of(&line.left), line.right.term().and_then(place_of));
        // A line that names only the variant to compare with speaks of all others.
        let spoken_of: Vec<usize> = match named {
            Some(variant) => vec![variant],
            None => (0..self.variants.len()).filter(|variant| Some(*variant) != other).collect(),
        };
        if let ([], Some(term)) = (&*spoken_of, line.right.term()) {
            let span = term.measure.span.clone();
            let message = "there is no other variant to compare with".to_owned();
            let help = Help::Text("a bound is a value, such as `50%` or `100ms`".to_owned());
            read.note(self.file, LineError { message, help, span }, self.context);
        }
        let (mut errors, mut resolved) = (Vec::new(), None);
        for variant in spoken_of {
            match self.variant(place, read, line, variant, other.unwrap_or(variant)) {
                Ok(()) => resolved = Some(self.variants[variant]),
                Err(error) => errors.push((variant, error)),
            }
        }
        for (variant, error) in errors {
            // A name that only some variants lack is no misspelt one.
            let error = match resolved {
                None => error,
                Some(other) => LineError {
                    message: format!("{} in the variant `{}`", error.message, self.variants[variant]),
                    help: Help::Text(format!("a line for one variant begins with its name: `{other}: …`")),
                    ..error
                },
            };
            read.note(self.file, error, self.context);
        }
    }

    /// What a line asks of a variant; where it compares, with the `other`.
    fn variant(
        &mut self,
        place: usize,
        read: &ExpectLine,
        line: &Line,
        variant: usize,
        other: usize,
    ) -> Result<(), LineError<'r>> {
        let comparison = line.comparison;
        let measure = line.left.measure(&self.names[variant])?;
        match &line.right {
            Right::Value(value) => {
                let bound = line.left.bound(&measure, value)?;
                let expectation = Expectation { measure: measure.clone(), comparison, bound };
                if let Some(never) = warnings::never(&expectation) {
                    self.warn_of_never(never, read, &value.span);
                }
                self.expected[variant].bounds.push((place, expectation));
            }
            Right::Term(term) => {
                let standard = term.measure(&self.names[other])?;
                if let Some(mismatch) = line.mismatch(&measure, &standard) {
                    return Err(mismatch);
                }
                if variant == other && measure == standard {
                    self.warn_of_never(warnings::never_of_itself(comparison), read, &term.measure.span);
                }
                self.warn_of_measure(term, &standard, other, read);
                let standards = &mut self.expected[other].standards;
                if standards.iter().all(|(known, _)| *known != place) {
                    standards.push((place, standard));
                }
                let contrast =
                    Contrast { measure: measure.clone(), comparison, other: self.variants[other].to_owned() };
                self.expected[variant].contrasts.push((place, contrast));
            }
        }
        self.warn_of_measure(&line.left, &measure, variant, read);
        Ok(())
    }

    fn warn_of_never(&self, never: &str, read: &ExpectLine, span: &Span) {
        let message = format!("`expect.hold`: this can never {never}");
        self.context.push(Problem::warning(read.place(self.file, span), message));
    }

    fn warn_of_measure(&self, term: &Term, measure: &Measure, variant: usize, read: &ExpectLine) {
        let place = read.place(self.file, &term.measure.span);
        if let Some(problem) =
            warnings::of_measure(measure, &self.worlds[variant], self.variants[variant], place)
        {
            self.context.push(problem);
        }
    }
}

/// A condition that is not of the file: a line about a value, of the only variant.
///
/// # Errors
///
/// What is wrong with it, and the way out.
pub(crate) fn read_condition(world: &World, text: &str) -> Result<Expectation, String> {
    let line = line::parse(text).map_err(told)?;
    if let Some(variant) = &line.left.variant {
        return Err(format!(
            "`{}` names a variant, and there is only one; leave its name out",
            variant.value
        ));
    }
    let names = names_of(world);
    let measure = line.left.measure(&names).map_err(told)?;
    match &line.right {
        Right::Value(value) => {
            let bound = line.left.bound(&measure, value).map_err(told)?;
            Ok(Expectation { measure, comparison: line.comparison, bound })
        }
        Right::Term(_) => Err("it compares two measures; a condition has a value on its right".to_owned()),
    }
}

/// A measure by itself, as it stands on the left of a line.
///
/// # Errors
///
/// What is wrong with it, and the way out.
pub(crate) fn read_measure(world: &World, text: &str) -> Result<Measure, String> {
    let line = line::parse(&format!("{text} >= 0")).map_err(|_| {
        format!("`{text}` is no measure; such as `goodput`, `latency(p99)` or `success_rate(clients.NAME)`")
    })?;
    line.left.measure(&names_of(world)).map_err(told)
}

fn told(error: LineError<'_>) -> String {
    let help = error.help.tell();
    if help.is_empty() { error.message } else { format!("{}; {help}", error.message) }
}

fn names_of(world: &World) -> Names<'_> {
    Names {
        populations: world.populations.iter().map(|population| &*population.name).collect(),
        routes: world.gateway.routes.iter().map(|route| &*route.path).collect(),
        upstreams: world.upstreams.iter().map(|upstream| &*upstream.name).collect(),
        hosts: world.upstreams.iter().map(|upstream| upstream.hosts.len()).collect(),
        limits: world
            .gateway
            .limits
            .iter()
            .map(|(id, _)| LimitNames::of(&world.gateway.limits, id))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reports::{
        Arguments, Bound, BreakerId, Comparison, MeasureKind, Outcome, Selector, StationId, Statistic,
    };

    use super::*;

    fn names() -> Names<'static> {
        Names {
            populations: vec!["partner", "everyone-else"],
            routes: vec!["/orders", "/a:b(c), d"],
            upstreams: vec!["orders", "payments"],
            hosts: vec![1, 3],
            limits: Vec::new(),
        }
    }

    fn resolve(text: &str) -> Result<Expectation, LineError<'static>> {
        let owned = |error: LineError<'_>| LineError { help: Help::Text(error.help.tell()), ..error };
        let line = line::parse(text)?;
        let names = names();
        let measure = line.left.measure(&names).map_err(owned)?;
        match &line.right {
            Right::Value(value) => {
                let bound = line.left.bound(&measure, value).map_err(owned)?;
                Ok(Expectation { measure, comparison: line.comparison, bound })
            }
            Right::Term(term) => {
                let standard = term.measure(&names).map_err(owned)?;
                Err(line.mismatch(&measure, &standard).unwrap())
            }
        }
    }

    #[test]
    fn lines_say_what_they_say() {
        let ms = |ms| Bound::Duration(Duration::from_millis(ms));
        let p99 = Statistic::Percentile(99.0);
        for (text, name, arguments, comparison, bound) in [
            ("offered >= 10", "offered", Arguments::default(), Comparison::AtLeast, Bound::Number(10.0)),
            ("served() == 100%", "served", Arguments::default(), Comparison::Equal, Bound::Share(1.0)),
            (
                "v: latency( p99 , clients.everyone-else )<100ms",
                "latency",
                Arguments { statistic: p99, selector: Selector::Population(1), ..Arguments::default() },
                Comparison::Less,
                ms(100),
            ),
            (
                "rejected(rate-limited, routes.\"/a:b(c), d\") > 0",
                "rejected",
                Arguments {
                    outcome: Outcome::RateLimited,
                    selector: Selector::Route(1),
                    ..Arguments::default()
                },
                Comparison::Greater,
                Bound::Number(0.0),
            ),
            (
                "token bucket : peak_admitted(per_key, 4s) <= 167",
                "peak_admitted",
                Arguments { limit: "per_key".into(), window: Duration::from_secs(4), ..Arguments::default() },
                Comparison::AtMost,
                Bound::Number(167.0),
            ),
            (
                "wait(mean, upstreams.payments) <= 1m 30s",
                "wait",
                Arguments {
                    statistic: Statistic::Mean,
                    station: StationId::Upstream(1),
                    ..Arguments::default()
                },
                Comparison::AtMost,
                ms(90_000),
            ),
            (
                "goodput(upstreams.orders) >= 100/s",
                "goodput",
                Arguments { selector: Selector::Upstream(0), ..Arguments::default() },
                Comparison::AtLeast,
                Bound::RatePerS(100.0),
            ),
            (
                "breaker_opened_at(orders->payments) == never",
                "breaker_opened_at",
                Arguments { breaker: BreakerId { service: Some(0), upstream: 1 }, ..Arguments::default() },
                Comparison::Equal,
                Bound::Never,
            ),
        ] {
            let measure = MeasureKind::named(name).unwrap().of(arguments);
            assert_eq!(resolve(text), Ok(Expectation { measure, comparison, bound }), "{text}");
        }
        let line = line::parse("token bucket : offered > 1").unwrap();
        assert_eq!(line.left.variant.unwrap().value, "token bucket");
    }

    #[test]
    fn what_others_call_it_is_told_by_its_name_here() {
        for (text, help) in [
            ("rejected(429) > 1", "the gateway's 429 is `rate-limited`, an upstream's is `upstream-error`"),
            ("rejected(rate_limited) > 1", "did you mean `rate-limited`?"),
            ("latency(avg) < 1s", "did you mean `mean`?"),
            ("latency(median) < 1s", "did you mean `p50`?"),
            ("latency(P99) < 1s", "did you mean `p99`?"),
            ("latency(99th) < 1s", "did you mean `p99`?"),
            ("latency(99%) < 1s", "did you mean `p99`?"),
            ("latency(p999) < 1s", "did you mean `p99.9`?"),
            ("latency(p100) < 1s", "did you mean `max`?"),
            (
                "latency(p0) < 1s",
                "a statistic is `mean`, `max` or a percentile such as `p50`, `p99` or `p99.9`",
            ),
            (
                "latency(p50) < 1,500ms",
                "a number has no comma, which parts thousands for some and decimals for others: write 1500 or 1.5",
            ),
        ] {
            assert_eq!(resolve(text).unwrap_err().help.tell(), help, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, message, place) in [
            ("", "expected the name of a measure", ""),
            ("offered", "expected one of `<`, `<=`, `>`, `>=` and `==`", ""),
            ("offered = 3", "expected one of `<`, `<=`, `>`, `>=` and `==`", "="),
            ("offered <", "expected a value to compare with", ""),
            ("latency(p99", "expected `,` or `)`", ""),
            ("latncy(p99) < 1s", "there is no measure `latncy`", "latncy"),
            ("latency < 1s", "`latency` needs a statistic", "latency"),
            ("latency(p101) < 1s", "`p101` is no statistic", "p101"),
            (
                "latency(p99) < 50%",
                "`latency` is compared with a duration such as `100ms`, found `50%`",
                "50%",
            ),
            ("offered(clients.partnr) > 1", "there is no population `partnr`", "clients.partnr"),
            ("offered(partner) > 1", "`partner` selects nothing", "partner"),
            ("rejected(served) > 1", "`served` is no rejection", "served"),
            ("rejected(429) > 1", "there is no outcome `429`", "429"),
            ("latency(avg) < 1s", "`avg` is no statistic", "avg"),
            (
                "latency(p50) < 1,500ms",
                "`latency` is compared with a duration such as `100ms`, found `1,500ms`",
                "1,500ms",
            ),
            ("admitted(per_kee) > 1", "there is no limit `per_kee`", "per_kee"),
            ("peak_admitted(per_key, 0s) > 1", "a window of zero holds nothing", "0s"),
            (
                "latency(p99) < success_rate",
                "`latency` is a duration and `success_rate` a share",
                "success_rate",
            ),
            ("goodput > v: godput(routes.\"/orders\")", "there is no measure `godput`", "godput"),
            ("goodput > v: goodput(routes.\"/orders\"", "expected `,` or `)`", ""),
            ("goodput > v: ", "expected the name of a measure", ""),
            ("offered > v: offered < 3", "not an expectation", "<"),
            ("utilization(paymnts) > 1%", "there is no upstream `paymnts`", "paymnts"),
            (
                "goodput(clients.partner, clients.partner) > 1/s",
                "`goodput` takes no further argument",
                "clients.partner",
            ),
        ] {
            let error = resolve(text).unwrap_err();
            assert_eq!((error.message.as_str(), &text[error.span.clone()]), (message, place), "{text}");
        }
    }
}
