//! The measures of a line: what the names and arguments that are written stand for in a variant.

use std::time::Duration;

use gateway::{LimitId, RateLimits, Scope};
use reports::{
    Arguments, Bound, BreakerId, HostPlace, MEASURES, Measure, MeasureKind, Outcome, Parameter, Selector,
    StationId, Statistic, Unit,
};

use super::super::units;
use super::super::words::{all, display_key, list, nearest, way_out};
use super::line::{Help, Line, LineError, Part, Right, Term};

/// What the names in a line may stand for.
pub(super) struct Names<'n> {
    pub(super) populations: Vec<&'n str>,
    pub(super) routes: Vec<&'n str>,
    pub(super) upstreams: Vec<&'n str>,
    /// By upstream.
    pub(super) hosts: Vec<usize>,
    pub(super) limits: Vec<LimitNames>,
}

/// What a rate limit may be called.
pub(super) struct LimitNames {
    /// What it is called in results.
    label: String,
    /// By its place, such as `per_key[0]`.
    place: String,
    /// By its name, if it has one, such as `per_key.minute`.
    named: Option<String>,
}

impl LimitNames {
    pub(super) fn of(limits: &RateLimits, limit: LimitId) -> Self {
        let scope = limit.scope().name();
        let name = limits.get(limit).and_then(|rule| rule.name.as_ref());
        Self {
            label: limits.label(limit),
            place: format!("{scope}[{}]", limit.place()),
            named: name.map(|name| format!("{scope}.{name}")),
        }
    }
}

/// In what a measure is told, as a message says it; what can be compared is called alike.
const fn kind(unit: Unit) -> &'static str {
    match unit {
        Unit::Count | Unit::Requests => "a count",
        Unit::Number => "a ratio",
        Unit::Share => "a share",
        Unit::Duration | Unit::DurationOrNever => "a duration",
        Unit::Rate => "a rate",
    }
}

impl Line {
    /// That what stands on the two sides cannot be compared, if so.
    pub(super) fn mismatch(&self, left: &Measure, right: &Measure) -> Option<LineError<'static>> {
        let (ours, theirs) = (kind(left.unit()), kind(right.unit()));
        let Right::Term(term) = &self.right else { return None };
        (ours != theirs).then(|| LineError {
            message: format!("`{}` is {ours} and `{}` {theirs}", self.left.measure.value, term.measure.value),
            help: Help::Text("only what is told in the same unit can be compared".to_owned()),
            span: term.measure.span.clone(),
        })
    }
}

impl Term {
    /// What the term asks of a variant in which the names stand for these.
    pub(super) fn measure<'n>(&self, names: &'n Names<'n>) -> Result<Measure, LineError<'n>> {
        let kind = MeasureKind::named(&self.measure.value).ok_or_else(|| self.unknown_measure())?;
        let mut written = Written { term: self, kind, next: 0, names };
        let mut read = Arguments::default();
        for parameter in kind.parameters {
            match parameter {
                Parameter::Selector => read.selector = written.selector()?,
                Parameter::Upstream => (read.upstream, read.host) = written.upstream()?,
                Parameter::Outcome => read.outcome = written.outcome()?,
                Parameter::Statistic => read.statistic = written.statistic()?,
                Parameter::Station => read.station = written.station()?,
                Parameter::Breaker => read.breaker = written.breaker()?,
                Parameter::Limit => read.limit = written.limit()?,
                Parameter::Window => read.window = written.window()?,
            }
        }
        written.finish()?;
        Ok(kind.of(read))
    }

    fn unknown_measure(&self) -> LineError<'static> {
        let Part { value: unknown, span } = &self.measure;
        let signatures = MEASURES.map(MeasureKind::signature);
        let near = nearest(unknown, MEASURES.map(|kind| kind.name)).and_then(MeasureKind::named);
        let help = match near {
            Some(near) => format!("did you mean `{}`?", near.signature()),
            None => format!("the measures are {}", list(&signatures.each_ref().map(String::as_str))),
        };
        let message = format!("there is no measure `{unknown}`");
        LineError { message, help: Help::Text(help), span: span.clone() }
    }

    /// What `value` says as a bound of that measure, which is this term's.
    pub(super) fn bound(&self, measure: &Measure, value: &Part<String>) -> Result<Bound, LineError<'static>> {
        let (unit, text) = (measure.unit(), &*value.value);
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
                _ if text.contains(',') => units::COMMA.to_owned(),
                Unit::Share | Unit::Requests if text.ends_with('%') => {
                    units::share(text).err().unwrap_or_default()
                }
                _ => String::new(),
            };
            LineError {
                message: format!("`{}` is compared with {wanted}, found `{text}`", self.measure.value),
                help: Help::Text(reason),
                span: value.span.clone(),
            }
        })
    }
}

/// The arguments of a measure as they are written, taken one after the other.
struct Written<'a, 'n> {
    term: &'a Term,
    kind: &'static MeasureKind,
    next: usize,
    names: &'n Names<'n>,
}

impl<'a, 'n> Written<'a, 'n> {
    fn optional(&mut self) -> Option<&'a Part<String>> {
        let argument = self.term.arguments.get(self.next)?;
        self.next += 1;
        Some(argument)
    }

    fn required(&mut self, what: &str) -> Result<&'a Part<String>, LineError<'n>> {
        let measure = &self.term.measure;
        let missing = || LineError {
            message: format!("`{}` needs {what}", measure.value),
            help: Help::Text(self.signature()),
            span: measure.span.clone(),
        };
        let missing = missing();
        self.optional().ok_or(missing)
    }

    fn finish(self) -> Result<(), LineError<'n>> {
        match self.term.arguments.get(self.next) {
            None => Ok(()),
            Some(extra) => Err(LineError {
                message: format!("`{}` takes no further argument", self.term.measure.value),
                help: Help::Text(self.signature()),
                span: extra.span.clone(),
            }),
        }
    }

    fn signature(&self) -> String {
        format!("it is written `{}`", self.kind.signature())
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
            None => match of_status(&argument.value) {
                "" => Err(unknown(argument, "outcome", &names)),
                told => Err(LineError {
                    message: format!("there is no outcome `{}`", argument.value),
                    help: Help::Text(told.to_owned()),
                    span: argument.span.clone(),
                }),
            },
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
                help: Help::Text(match meant_statistic(text) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "a statistic is `mean`, `max` or a percentile such as `p50`, `p99` or `p99.9`"
                        .to_owned(),
                }),
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

    fn upstream(&mut self) -> Result<(Option<usize>, Option<u32>), LineError<'n>> {
        let Some(argument) = self.optional() else { return Ok((None, None)) };
        let (upstream, host) = self.host_of(argument)?;
        Ok((Some(upstream), host))
    }

    /// An upstream, or with `.hosts[N]` behind the name one of its hosts.
    fn host_of(&self, argument: &Part<String>) -> Result<(usize, Option<u32>), LineError<'n>> {
        let Some((name, number)) =
            argument.value.strip_suffix(']').and_then(|text| text.rsplit_once(".hosts["))
        else {
            return Ok((self.upstream_of(argument)?, None));
        };
        let refuse = |message: String, help: String| {
            Err(LineError { message, help: Help::Text(help), span: argument.span.clone() })
        };
        let upstream = self.upstream_of(&Part { value: name.to_owned(), span: argument.span.clone() })?;
        if !self.kind.of_hosts {
            let message = format!("`{}` is told of a whole upstream", self.kind.name);
            return refuse(message, format!("leave out `.hosts[{number}]`"));
        }
        // An array without hosts is refused where it stands.
        let count = self.names.hosts.get(upstream).copied().unwrap_or(1).max(1);
        match number.parse::<u32>() {
            // Of an upstream with one host, that is all of it.
            Ok(0) if count == 1 => Ok((upstream, None)),
            Ok(host) if (host as usize) < count => Ok((upstream, Some(host))),
            _ => {
                let name = unquoted(name.strip_prefix("upstreams.").unwrap_or(name));
                let message = format!("`{}` has no host {number}", display_key(name));
                refuse(
                    message,
                    if count == 1 {
                        "it has one host".to_owned()
                    } else {
                        format!("its hosts are 0 to {}", count - 1)
                    },
                )
            }
        }
    }

    fn station(&mut self) -> Result<StationId, LineError<'n>> {
        let argument = self.required("`gateway` or an upstream")?;
        match &*argument.value {
            "gateway" => Ok(StationId::Gateway),
            _ => Ok(match self.host_of(argument)? {
                (upstream, None) => StationId::Upstream(upstream),
                (upstream, Some(host)) => {
                    StationId::Host(HostPlace { upstream: u32::try_from(upstream).unwrap_or(u32::MAX), host })
                }
            }),
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

    /// `per_key` for all limits of the scope, `per_key[0]` or `per_key.minute` for one of several.
    fn limit(&mut self) -> Result<String, LineError<'n>> {
        let argument = self.required("a limit")?;
        let written = &*argument.value;
        let limits = &self.names.limits;
        if Scope::ALL.map(Scope::name).contains(&written) {
            return Ok(written.to_owned());
        }
        let is_meant =
            |limit: &&LimitNames| limit.place == written || limit.named.as_deref() == Some(written);
        if let Some(meant) = limits.iter().find(is_meant) {
            return Ok(meant.label.clone());
        }
        let mut names: Vec<&str> = Scope::ALL.map(Scope::name).into();
        names.extend(
            limits
                .iter()
                .map(|limit| &*limit.label)
                .filter(|label| !names.contains(label))
                .collect::<Vec<_>>(),
        );
        Err(unknown(argument, "limit", &names))
    }

    fn window(&mut self) -> Result<Duration, LineError<'n>> {
        let argument = self.required("a window")?;
        let window = units::duration(&argument.value).and_then(|window| {
            if window.is_zero() { Err("a window of zero holds nothing".to_owned()) } else { Ok(window) }
        });
        window.map_err(|message| LineError { message, help: Help::NONE, span: argument.span.clone() })
    }
}

/// Which outcomes have a status, where one is written in the place of an outcome.
fn of_status(written: &str) -> &'static str {
    match written.to_ascii_lowercase().as_str() {
        "200" | "2xx" => "how many were served is the measure `served([selector])`",
        "401" => "the gateway's 401 is `unauthenticated`, an upstream's is `upstream-error`",
        "403" => "the gateway's 403 is `forbidden`, an upstream's is `upstream-error`",
        "404" => "the gateway's 404 is `no-route`, an upstream's is `upstream-error`",
        "429" => "the gateway's 429 is `rate-limited`, an upstream's is `upstream-error`",
        "503" => {
            "the gateway's 503 is `short-circuited` where its breaker was open, and else `shed`; an upstream's is \
             `upstream-error`"
        }
        "504" => "the gateway's 504 is `timed-out`, an upstream's is `upstream-error`",
        "500" | "502" | "5xx" | "4xx" => "what an upstream answers with 400 or above is `upstream-error`",
        _ => "",
    }
}

/// The statistic that is commonly called so.
fn meant_statistic(written: &str) -> Option<String> {
    let lower = written.to_ascii_lowercase();
    let percentile = |digits: &str| match digits {
        // Such as p999, which others write for p99.9.
        _ if digits.len() > 2 && digits.starts_with("99") && !digits.contains('.') => {
            Some(format!("p{}.{}", &digits[..2], &digits[2..]))
        }
        _ => units::number(digits).filter(|p| *p > 0.0 && *p < 100.0).map(|_| format!("p{digits}")),
    };
    match lower.as_str() {
        "avg" | "average" | "arithmetic-mean" => Some("mean".to_owned()),
        "median" => Some("p50".to_owned()),
        "maximum" | "worst" | "p100" | "100" => Some("max".to_owned()),
        text => {
            let digits = text.trim_start_matches(['p', 'q']).trim_end_matches(['%', 't', 'h']);
            percentile(digits).or_else(|| nearest(text, ["mean", "max"]).map(str::to_owned))
        }
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
