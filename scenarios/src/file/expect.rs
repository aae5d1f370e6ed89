//! Lines of `expect.hold`: `"[variant:] measure[(arguments)] op value"`.
//!
//! A line is parsed once into what it says and then resolved against each variant it speaks of, since the same
//! name may stand at another place there, or not at all.

use std::ops::Range;
use std::time::Duration;

use gateway::Scope;
use reports::{
    Bound, BreakerId, Comparison, Expectation, Measure, Outcome, Selector, StationId, Statistic, Unit,
};
use winnow::combinator::{alt, delimited, opt, peek, separated, terminated};
use winnow::error::{ContextError, StrContext, StrContextValue};
use winnow::prelude::*;
use winnow::stream::LocatingSlice;
use winnow::token::{rest, take_till, take_while};

use super::reader::{all, display_key, list, nearest, way_out};
use super::units;

/// A line as it is written, each part with its place in the line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) variant: Option<Part<String>>,
    pub(super) measure: Part<String>,
    arguments: Vec<Part<String>>,
    comparison: Comparison,
    pub(super) value: Part<String>,
}

/// A part of a line and its place there, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// What is wrong with a line, and where in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LineError<'n> {
    pub(super) message: String,
    pub(super) help: Help<'n>,
    pub(super) span: Range<usize>,
}

/// The way out of a [`LineError`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Help<'n> {
    /// As it is said; may be empty.
    Text(String),
    /// One of these names, which are compared with the wrong one only if the error is told: a line is resolved in
    /// every variant, and all fail alike.
    Names { wrong: String, what: &'static str, names: &'n [&'n str] },
}

impl Help<'_> {
    const NONE: Self = Self::Text(String::new());

    pub(super) fn tell(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Names { wrong, what, names } => way_out(wrong, names, || all(what, names)),
        }
    }
}

/// What the names in a line may stand for.
pub(super) struct Names<'n> {
    pub(super) populations: Vec<&'n str>,
    pub(super) routes: Vec<&'n str>,
    pub(super) upstreams: Vec<&'n str>,
}

/// Takes a line apart.
pub(super) fn parse(text: &str) -> Result<Line, LineError<'static>> {
    line.parse(LocatingSlice::new(text)).map_err(|error| {
        let start = error.offset().min(text.len());
        let end = text[start..].chars().next().map_or(start, |next| start + next.len_utf8());
        let expected: Vec<_> = error
            .inner()
            .context()
            .filter_map(|context| match context {
                StrContext::Expected(StrContextValue::Description(what)) => Some(*what),
                _ => None,
            })
            .take(1)
            .collect();
        let message = match expected.first() {
            Some(what) => format!("expected {what}"),
            None => "not an expectation".to_owned(),
        };
        LineError { message, help: Help::Text(FORM.to_owned()), span: start..end }
    })
}

const FORM: &str = "a line reads `[variant:] measure[(arguments)] op value`, such as \
                    `token-bucket: latency(p99, clients.partner) < 100ms`";

type Input<'i> = LocatingSlice<&'i str>;

fn line(input: &mut Input<'_>) -> winnow::Result<Line> {
    let variant = opt(terminated(part(take_till(1.., |c: char| ":(\n".contains(c))), (space, ':', space)))
        .parse_next(input)?;
    space(input)?;
    let measure = part(take_while(1.., |c: char| c.is_ascii_alphanumeric() || c == '_'))
        .context(expected("the name of a measure"))
        .parse_next(input)?;
    space(input)?;
    // Once a parenthesis is open, only arguments can follow.
    let arguments = match opt(peek('(')).parse_next(input)? {
        Some(_) => {
            delimited(('(', space), arguments, ')'.context(expected("`,` or `)`"))).parse_next(input)?
        }
        None => Vec::new(),
    };
    space(input)?;
    let comparison =
        comparison.context(expected("one of `<`, `<=`, `>`, `>=` and `==`")).parse_next(input)?;
    space(input)?;
    let value = part(rest.verify(|value: &str| !value.trim().is_empty()))
        .context(expected("a value to compare with"))
        .parse_next(input)?;
    Ok(Line { variant, measure, arguments, comparison, value })
}

fn arguments(input: &mut Input<'_>) -> winnow::Result<Vec<Part<String>>> {
    let arguments: Vec<_> = separated(0.., terminated(argument, space), (',', space)).parse_next(input)?;
    // The list above ends before a comma without an argument, which is to be said of what follows the comma.
    if !arguments.is_empty() && opt((',', space)).parse_next(input)?.is_some() {
        argument.parse_next(input)?;
    }
    Ok(arguments)
}

fn argument(input: &mut Input<'_>) -> winnow::Result<Part<String>> {
    part(
        winnow::combinator::repeat::<_, _, (), _, _>(
            1..,
            alt((
                delimited('"', take_till(0.., '"'), '"').void(),
                take_while(1.., |c: char| !"\",()".contains(c)).void(),
            )),
        )
        .take(),
    )
    .context(expected("an argument"))
    .parse_next(input)
}

fn comparison(input: &mut Input<'_>) -> winnow::Result<Comparison> {
    alt((
        "<=".value(Comparison::AtMost),
        ">=".value(Comparison::AtLeast),
        "==".value(Comparison::Equal),
        '<'.value(Comparison::Less),
        '>'.value(Comparison::Greater),
    ))
    .parse_next(input)
}

fn space(input: &mut Input<'_>) -> winnow::Result<()> {
    take_while(0.., (' ', '\t')).void().parse_next(input)
}

/// The trimmed text and its place.
fn part<'i>(
    parser: impl Parser<Input<'i>, &'i str, ContextError>,
) -> impl Parser<Input<'i>, Part<String>, ContextError> {
    parser.with_span().map(|(text, span): (&str, Range<usize>)| {
        let start = span.start + (text.len() - text.trim_start().len());
        let value = text.trim();
        Part { value: value.to_owned(), span: start..start + value.len() }
    })
}

fn expected(what: &'static str) -> StrContext {
    StrContext::Expected(StrContextValue::Description(what))
}

/// Measures of this version, each as its arguments are written.
pub(super) const MEASURES: [&str; 21] = [
    "offered([selector])",
    "served([selector])",
    "success_rate([selector])",
    "goodput([selector])",
    "rejected(outcome[, selector])",
    "latency(statistic[, selector])",
    "attempts([upstream])",
    "amplification([upstream])",
    "wait(statistic, station)",
    "utilization(station)",
    "peak_in_flight(station)",
    "admitted(limit)",
    "peak_admitted(limit, window)",
    "breaker_opened_at(upstream)",
    "breaker_closed_at(upstream)",
    "blast_radius([selector])",
    "direct_damage([selector])",
    "containment_time([selector])",
    "recovery_time([selector])",
    "unauthorized_reached([upstream])",
    "lateness(statistic)",
];

impl Line {
    /// What the line asks of a variant in which the names stand for these.
    pub(super) fn resolve<'n>(&self, names: &'n Names<'n>) -> Result<Expectation, LineError<'n>> {
        let measure = self.measure(names)?;
        let bound = self.bound(measure.unit())?;
        Ok(Expectation { measure, comparison: self.comparison, bound })
    }

    fn measure<'n>(&self, names: &'n Names<'n>) -> Result<Measure, LineError<'n>> {
        let mut arguments = Arguments { line: self, next: 0, names };
        let measure = match &*self.measure.value {
            "offered" => Measure::Offered(arguments.selector()?),
            "served" => Measure::Served(arguments.selector()?),
            "success_rate" => Measure::SuccessRate(arguments.selector()?),
            "goodput" => Measure::Goodput(arguments.selector()?),
            "rejected" => Measure::Rejected(arguments.outcome()?, arguments.selector()?),
            "latency" => Measure::Latency(arguments.statistic()?, arguments.selector()?),
            "attempts" => Measure::Attempts(arguments.upstream()?),
            "amplification" => Measure::Amplification(arguments.upstream()?),
            "wait" => Measure::Wait(arguments.statistic()?, arguments.station()?),
            "utilization" => Measure::Utilization(arguments.station()?),
            "peak_in_flight" => Measure::PeakInFlight(arguments.station()?),
            "admitted" => Measure::Admitted(arguments.scope()?),
            "peak_admitted" => Measure::PeakAdmitted(arguments.scope()?, arguments.window()?),
            "breaker_opened_at" => Measure::BreakerOpenedAt(arguments.breaker()?),
            "breaker_closed_at" => Measure::BreakerClosedAt(arguments.breaker()?),
            "blast_radius" => Measure::BlastRadius(arguments.selector()?),
            "direct_damage" => Measure::DirectDamage(arguments.selector()?),
            "containment_time" => Measure::ContainmentTime(arguments.selector()?),
            "recovery_time" => Measure::RecoveryTime(arguments.selector()?),
            "unauthorized_reached" => Measure::UnauthorizedReached(arguments.upstream()?),
            "lateness" => Measure::Lateness(arguments.statistic()?),
            unknown => return Err(self.unknown_measure(unknown)),
        };
        arguments.finish()?;
        Ok(measure)
    }

    fn unknown_measure(&self, unknown: &str) -> LineError<'static> {
        let span = self.measure.span.clone();
        let names = MEASURES.iter().filter_map(|signature| signature.split('(').next());
        let help = match nearest(unknown, names) {
            Some(near) => {
                let signature = MEASURES.iter().find(|signature| signature.split('(').next() == Some(near));
                format!("did you mean `{}`?", signature.unwrap_or(&near))
            }
            None => format!("the measures are {}", list(&MEASURES)),
        };
        LineError { message: format!("there is no measure `{unknown}`"), help: Help::Text(help), span }
    }

    fn bound(&self, unit: Unit) -> Result<Bound, LineError<'static>> {
        let text = &*self.value.value;
        let number = || units::number(text).map(Bound::Number);
        let share = || units::share(text).ok().map(Bound::Share);
        let (bound, wanted) = match unit {
            Unit::Count => (number(), "a number such as `167`"),
            Unit::Number => (number(), "a number such as `1.5`"),
            Unit::Requests => {
                (number().or_else(share), "a number such as `167` or a percentage such as `50%`")
            }
            Unit::Share => (share(), "a percentage such as `50%`"),
            Unit::Duration => (units::duration(text).ok().map(Bound::Duration), "a duration such as `100ms`"),
            Unit::DurationOrNever if text == "never" => (Some(Bound::Never), ""),
            Unit::DurationOrNever => {
                (units::duration(text).ok().map(Bound::Duration), "a duration such as `60s`, or `never`")
            }
            Unit::Rate => (
                units::rate(text).ok().map(|rate| Bound::RatePerS(rate.per_second())),
                "a rate such as `100/s`",
            ),
        };
        bound.ok_or_else(|| {
            let reason = match unit {
                _ if text.starts_with('-') => "no measure is below zero".to_owned(),
                Unit::Count | Unit::Number | Unit::Requests if text.contains(',') => {
                    "digits are grouped by `_`, as in `1_000`".to_owned()
                }
                Unit::Share | Unit::Requests if text.ends_with('%') => {
                    units::share(text).err().unwrap_or_default()
                }
                _ => String::new(),
            };
            LineError {
                message: format!("`{}` is compared with {wanted}, found `{text}`", self.measure.value),
                help: Help::Text(reason),
                span: self.value.span.clone(),
            }
        })
    }
}

/// What an expectation can never do, `fail` or `hold`, whatever is measured: no measure is below zero and no share
/// above one.
pub(super) fn never(expectation: &Expectation) -> Option<&'static str> {
    use Comparison::{AtLeast, AtMost, Greater, Less};
    let (zero, full) = match expectation.bound {
        Bound::Number(number) => (number <= 0.0, false),
        Bound::Share(share) => (share <= 0.0, share >= 1.0),
        Bound::Duration(duration) => (duration.is_zero(), false),
        Bound::RatePerS(rate) => (rate <= 0.0, false),
        Bound::Never => (false, true),
    };
    match expectation.comparison {
        AtLeast if zero => Some("fail"),
        AtMost if full => Some("fail"),
        Less if zero => Some("hold"),
        Greater if full => Some("hold"),
        _ => None,
    }
}

/// The arguments of a measure, taken one after the other.
struct Arguments<'a, 'n> {
    line: &'a Line,
    next: usize,
    names: &'n Names<'n>,
}

impl<'a, 'n> Arguments<'a, 'n> {
    fn optional(&mut self) -> Option<&'a Part<String>> {
        let argument = self.line.arguments.get(self.next)?;
        self.next += 1;
        Some(argument)
    }

    fn required(&mut self, what: &str) -> Result<&'a Part<String>, LineError<'n>> {
        let measure = &self.line.measure;
        let missing = || LineError {
            message: format!("`{}` needs {what}", measure.value),
            help: Help::Text(self.signature()),
            span: measure.span.clone(),
        };
        let missing = missing();
        self.optional().ok_or(missing)
    }

    fn finish(self) -> Result<(), LineError<'n>> {
        match self.line.arguments.get(self.next) {
            None => Ok(()),
            Some(extra) => Err(LineError {
                message: format!("`{}` takes no further argument", self.line.measure.value),
                help: Help::Text(self.signature()),
                span: extra.span.clone(),
            }),
        }
    }

    fn signature(&self) -> String {
        let name = &*self.line.measure.value;
        let signature = MEASURES.into_iter().find(|signature| signature.split('(').next() == Some(name));
        signature.map(|signature| format!("it is written `{signature}`")).unwrap_or_default()
    }

    fn outcome(&mut self) -> Result<Outcome, LineError<'n>> {
        let argument = self.required("an outcome")?;
        let names: Vec<_> = Outcome::ALL
            .into_iter()
            .filter(|outcome| *outcome != Outcome::Served)
            .map(Outcome::name)
            .collect();
        match Outcome::from_name(&argument.value) {
            Some(outcome) if outcome != Outcome::Served => Ok(outcome),
            Some(_) => Err(LineError {
                message: "`served` is no rejection".to_owned(),
                help: Help::Text("how many were served is the measure `served([selector])`".to_owned()),
                span: argument.span.clone(),
            }),
            None => Err(unknown(argument, "outcome", &names)),
        }
    }

    fn statistic(&mut self) -> Result<Statistic, LineError<'n>> {
        let argument = self.required("a statistic")?;
        let percentile = |text: &str| {
            let percentile = units::number(text.strip_prefix('p')?)?;
            (percentile > 0.0 && percentile < 100.0).then_some(Statistic::Percentile(percentile))
        };
        match &*argument.value {
            "mean" => Ok(Statistic::Mean),
            "max" => Ok(Statistic::Max),
            text => percentile(text).ok_or_else(|| LineError {
                message: format!("`{text}` is no statistic"),
                help: Help::Text(
                    "a statistic is `mean`, `max` or a percentile such as `p50`, `p99` or `p99.9`".to_owned(),
                ),
                span: argument.span.clone(),
            }),
        }
    }

    fn selector(&mut self) -> Result<Selector, LineError<'n>> {
        let Some(argument) = self.optional() else { return Ok(Selector::Everybody) };
        let (table, name) = argument.value.split_once('.').unwrap_or((&argument.value, ""));
        let name = unquoted(name);
        let find = |names: &'n [&'n str], what| {
            place(names, name).ok_or_else(|| unknown_name(argument, name, what, names))
        };
        match table {
            "clients" => find(&self.names.populations, "population").map(Selector::Population),
            "routes" => find(&self.names.routes, "route").map(Selector::Route),
            "upstreams" => find(&self.names.upstreams, "upstream").map(Selector::Upstream),
            _ => Err(LineError {
                message: format!("`{}` selects nothing", argument.value),
                help: self.selector_help(&argument.value),
                span: argument.span.clone(),
            }),
        }
    }

    /// The selector that was meant by a bare name, or how one is written.
    fn selector_help(&self, written: &str) -> Help<'n> {
        let name = unquoted(written);
        let meant = [
            (place(&self.names.populations, name), "clients"),
            (place(&self.names.routes, name), "routes"),
            (place(&self.names.upstreams, name), "upstreams"),
        ];
        Help::Text(match meant.into_iter().find(|(place, _)| place.is_some()) {
            Some((_, table)) => format!("did you mean `{table}.{}`?", display_key(name)),
            None => {
                "a selector is a path into the file: `clients.NAME`, `routes.\"/PATH\"` or `upstreams.NAME`"
                    .to_owned()
            }
        })
    }

    fn upstream(&mut self) -> Result<Option<usize>, LineError<'n>> {
        self.optional().map(|argument| self.upstream_of(argument)).transpose()
    }

    fn station(&mut self) -> Result<StationId, LineError<'n>> {
        let argument = self.required("`gateway` or an upstream")?;
        match &*argument.value {
            "gateway" => Ok(StationId::Gateway),
            _ => self.upstream_of(argument).map(StationId::Upstream),
        }
    }

    /// `payments` for the gateway's, `checkout→payments` or `checkout->payments` for a service's own.
    fn breaker(&mut self) -> Result<BreakerId, LineError<'n>> {
        let argument = self.required("an upstream")?;
        let part = |text: &str| Part { value: text.trim().to_owned(), span: argument.span.clone() };
        let (service, upstream) =
            match argument.value.split_once("→").or_else(|| argument.value.split_once("->")) {
                Some((service, upstream)) => (Some(self.upstream_of(&part(service))?), part(upstream)),
                None => (None, part(&argument.value)),
            };
        Ok(BreakerId { service, upstream: self.upstream_of(&upstream)? })
    }

    fn upstream_of(&self, argument: &Part<String>) -> Result<usize, LineError<'n>> {
        let name = unquoted(argument.value.strip_prefix("upstreams.").unwrap_or(&argument.value));
        place(&self.names.upstreams, name)
            .ok_or_else(|| unknown_name(argument, name, "upstream", &self.names.upstreams))
    }

    fn scope(&mut self) -> Result<String, LineError<'n>> {
        let argument = self.required("a limit")?;
        let names = Scope::ALL.map(Scope::name);
        if names.contains(&&*argument.value) {
            Ok(argument.value.clone())
        } else {
            Err(unknown(argument, "limit", &names))
        }
    }

    fn window(&mut self) -> Result<Duration, LineError<'n>> {
        let argument = self.required("a window")?;
        let window = units::duration(&argument.value).and_then(|window| {
            if window.is_zero() { Err("a window of zero holds nothing".to_owned()) } else { Ok(window) }
        });
        window.map_err(|message| LineError { message, help: Help::NONE, span: argument.span.clone() })
    }
}

fn place(names: &[&str], name: &str) -> Option<usize> {
    names.iter().position(|known| *known == name)
}

fn unquoted(name: &str) -> &str {
    name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name)
}

/// For one of the names of the format.
fn unknown(argument: &Part<String>, what: &'static str, names: &[&str]) -> LineError<'static> {
    let wrong = &argument.value;
    let help = way_out(wrong, names, || all(what, names));
    let message = format!("there is no {what} `{wrong}`");
    LineError { message, help: Help::Text(help), span: argument.span.clone() }
}

/// For one of the names of the file.
fn unknown_name<'n>(
    argument: &Part<String>,
    name: &str,
    what: &'static str,
    names: &'n [&'n str],
) -> LineError<'n> {
    let message = format!("there is no {what} `{name}`");
    let help = Help::Names { wrong: name.to_owned(), what, names };
    LineError { message, help, span: argument.span.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names<'static> {
        Names {
            populations: vec!["partner", "everyone-else"],
            routes: vec!["/orders", "/a:b(c), d"],
            upstreams: vec!["orders", "payments"],
        }
    }

    fn resolve(text: &str) -> Result<Expectation, LineError<'static>> {
        let owned = |error: LineError<'_>| LineError { help: Help::Text(error.help.tell()), ..error };
        parse(text)?.resolve(&names()).map_err(owned)
    }

    #[test]
    fn lines_say_what_they_say() {
        let ms = |ms| Bound::Duration(Duration::from_millis(ms));
        let p99 = Statistic::Percentile(99.0);
        for (text, measure, comparison, bound) in [
            (
                "offered >= 10",
                Measure::Offered(Selector::Everybody),
                Comparison::AtLeast,
                Bound::Number(10.0),
            ),
            ("served() == 100%", Measure::Served(Selector::Everybody), Comparison::Equal, Bound::Share(1.0)),
            (
                "v: latency( p99 , clients.everyone-else )<100ms",
                Measure::Latency(p99, Selector::Population(1)),
                Comparison::Less,
                ms(100),
            ),
            (
                "rejected(rate-limited, routes.\"/a:b(c), d\") > 0",
                Measure::Rejected(Outcome::RateLimited, Selector::Route(1)),
                Comparison::Greater,
                Bound::Number(0.0),
            ),
            (
                "token bucket : peak_admitted(per_key, 4s) <= 167",
                Measure::PeakAdmitted("per_key".into(), Duration::from_secs(4)),
                Comparison::AtMost,
                Bound::Number(167.0),
            ),
            (
                "wait(mean, upstreams.payments) <= 1m 30s",
                Measure::Wait(Statistic::Mean, StationId::Upstream(1)),
                Comparison::AtMost,
                ms(90_000),
            ),
            (
                "goodput(upstreams.orders) >= 100/s",
                Measure::Goodput(Selector::Upstream(0)),
                Comparison::AtLeast,
                Bound::RatePerS(100.0),
            ),
        ] {
            assert_eq!(resolve(text), Ok(Expectation { measure, comparison, bound }), "{text}");
        }
        assert_eq!(parse("token bucket : offered > 1").unwrap().variant.unwrap().value, "token bucket");
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
            ("admitted(per_kee) > 1", "there is no limit `per_kee`", "per_kee"),
            ("peak_admitted(per_key, 0s) > 1", "a window of zero holds nothing", "0s"),
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
