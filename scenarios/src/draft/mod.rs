//! The first scenario of somebody's own: a text to change, which holds as it stands.
//!
//! The numbers of the text follow from few: the load from the limit, and workers, timeouts and what counts as served well from
//! the latency. So the expectations hold for whatever is asked, and fail when the user changes something that matters.
//!
//! There is no IO here.

mod openapi;

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::time::Duration;

use reports::acts_when_shown;

pub(crate) use self::openapi::{LARGEST_DOCUMENT, Paths, read_openapi};
use crate::file::{display_key, write_duration};
use crate::library::Shipped;

/// Latencies of an upstream that a draft can be made of.
pub(crate) const LATENCIES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(1);

/// Limits that a draft can be made of, in requests a minute of one client: below it, what clients send by chance meets the
/// limit; above it, a draft takes long to run.
pub(crate) const LIMITS: RangeInclusive<u32> = 10..=10_000;

/// What a draft is made of.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// What the scenario is called.
    pub(crate) title: String,
    /// Lines of comment at its head, without `#`.
    pub(crate) origin: Vec<String>,
    /// The name of the one upstream.
    pub(crate) upstream: String,
    /// Half of its answers take less. One of [`LATENCIES`].
    pub(crate) latency: Duration,
    /// Requests a minute that one client may send. One of [`LIMITS`].
    pub(crate) limit: u32,
    /// Paths of routes, all to the upstream; at least one.
    pub(crate) routes: Vec<String>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            title: "A first scenario".to_owned(),
            origin: Vec::new(),
            upstream: "service".to_owned(),
            latency: Duration::from_millis(40),
            limit: 600,
            routes: vec!["/orders".to_owned(), "/catalog".to_owned()],
        }
    }
}

impl Draft {
    /// A draft with the routes of an OpenAPI document, which is in the file of that name.
    pub(crate) fn of_openapi(file: &str, paths: Paths) -> Self {
        let mut origin = vec![format!("The routes are the paths of {}.", in_a_line(file))];
        if let Some(segments) = paths.cut {
            origin.push(format!(
                "They are many, and cut after {segments} segment{}.",
                if segments == 1 { "" } else { "s" }
            ));
        }
        if !paths.servers.is_empty() {
            origin.push(format!("Its servers are asked nothing: {}.", paths.servers.join(", ")));
        }
        let title = paths.title.unwrap_or_else(|| format!("A first scenario of {}", in_a_line(file)));
        Self { title, origin, routes: paths.routes, ..Self::default() }
    }

    /// The text of the scenario file.
    pub(crate) fn text(&self) -> String {
        self.head() + &self.world() + &self.load() + &self.policies() + &self.expectations()
    }

    fn head(&self) -> String {
        let mut text =
            "# Written by `tuesday init`: the numbers are examples, put yours in their place.\n".to_owned();
        for line in &self.origin {
            let _ = writeln!(text, "# {line}");
        }
        let (title, slo) = (quoted(&self.title), quoted(&write_duration(self.slo())));
        let upstream = &self.upstream;
        let _ = write!(
            text,
            r#"#
# `tuesday check` says what is wrong with this file, `tuesday run` replays it for each of its variants, and `tuesday schema`
# prints the JSON Schema of all that such a file can say.

name     = {title}
story    = """
A partner sends twice its limit within twenty seconds. Half a minute later {upstream} answers 503 for twenty seconds, and
the customers try again. Does the limit hold, and what does a breaker spare the upstream?
"""
starts   = 2026-06-02T09:00:00Z      # windows, logs and chart axes follow this clock
duration = "2m"
seed     = 1                         # the same file and seed give the same result, byte for byte

[slo]
latency = {slo:<27}# served well = 2xx within this
"#
        );
        text
    }

    fn world(&self) -> String {
        let upstream = display_key(&self.upstream);
        let (median, p99) = (write_duration(self.latency), write_duration(self.latency * 5));
        let workers = self.workers();
        let mut text = format!(
            r#"
[upstreams.{upstream}]
workers = {workers:<27}# requests that it serves at a time
queue   = {queue:<27}# requests that wait for a worker; the next is answered 503
latency = {{ log-normal = {{ median = "{median}", p99 = "{p99}" }} }}

[routes]                             # a path serves what is below it, too: /orders serves /orders/42
"#,
            queue = workers * 4,
        );
        for route in &self.routes {
            let _ = writeln!(text, "{} = {{ upstream = {} }}", quoted(route), quoted(&self.upstream));
        }
        text
    }

    fn load(&self) -> String {
        let upstream = quoted(&self.upstream);
        let (rate, timeout) = (quoted(&format!("{}/s", self.rate())), write_duration(self.slo() * 10));
        // A quarter of the limit each.
        let identities = (self.rate() * 240).div_ceil(self.limit);
        let first = self.routes.first().map_or_else(|| quoted("/"), |route| quoted(route));
        let mut text = format!(
            r#"
[clients.customers]
identities = {identities:<24}# each with a key and an address of its own
rate       = {rate:<24}# whatever the answers are
arrivals   = "poisson"
timeout    = "{timeout}"
retry      = {{ retries = 2, backoff = "exponential", base = "100ms", max = "2s", jitter = "full" }}

[clients.customers.send]             # paths and their weights
"#
        );
        for route in &self.routes {
            let _ = writeln!(text, "{} = 1", quoted(route));
        }
        let _ = write!(
            text,
            r#"
[clients.partner]                    # one client, with one key
send    = {first}
bursts  = [{{ from = "10s", to = "30s", count = {count} }}]
timeout = "{timeout}"

[[faults]]
at        = "1m"
for       = "20s"
upstreams = [{upstream}]
error     = {{ status = 503 }}          # or slow = {{ latency = "10s" }}, hang = true, refuse = true, …
"#,
            count = self.limit * 2,
        );
        text
    }

    fn policies(&self) -> String {
        let (workers, timeout) = (self.workers() * 4, quoted(&write_duration(self.slo() * 4)));
        format!(
            r#"
[gateway]
workers = {workers:<27}# requests under way at a time
queue   = {queue:<27}# requests that wait for a worker; the next is answered 503
timeout = {timeout:<27}# later answers are 504

[gateway.rate_limit.per_key]         # each client's
algorithm = "token-bucket"
limit     = {limit}
window    = "1m"

[variants.as-it-is]                  # the file as it stands

[variants.breaker.gateway.breaker]   # a variant is laid over the file: here, a breaker in front of each upstream
window             = "10s"
error_threshold    = "50%"
min_requests       = 20
probe_interval     = "2s"
successes_to_close = 2
"#,
            queue = workers * 4,
            limit = self.limit,
        )
    }

    fn expectations(&self) -> String {
        let upstream = display_key(&self.upstream);
        format!(
            r#"
[expect]                             # a line that does not hold makes `tuesday run` exit with 1
hold = [
  # A bucket of {limit} that gains {limit} a minute never lets more than {twice} through in one.
  "peak_admitted(per_key, 1m) <= {twice}",
  # Twice the limit in twenty seconds, of which the bucket has one and gains a third of one.
  "rejected(rate-limited, clients.partner) > 25%",
  "rejected(rate-limited, clients.customers) < 1%",
  "breaker: breaker_opened_at({upstream}) < 1m 20s",
  "breaker: breaker_closed_at({upstream}) < 2m",
  "breaker: attempts({upstream}) < as-it-is: attempts({upstream})",
  "recovery_time < 30s",
]
"#,
            limit = self.limit,
            twice = self.limit * 2,
        )
    }

    /// Requests a second of all customers: each of twenty sends a quarter of its limit, and there are more of them where that
    /// would be too little for a breaker to judge by.
    fn rate(&self) -> u32 {
        (self.limit / 12).max(5)
    }

    /// Twice as many as work at a time while the partner sends. Of a log-normal time, the mean is 1.27 of the median where the
    /// p99 is 5 of it.
    fn workers(&self) -> u32 {
        let peak = f64::from(self.rate()) + f64::from(self.limit) / 10.0;
        ((2.0 * 1.27 * self.latency.as_secs_f64() * peak).ceil() as u32).max(4)
    }

    /// Twice the p99.
    fn slo(&self) -> Duration {
        (self.latency * 10).max(Duration::from_millis(500))
    }
}

/// A shipped scenario as the beginning of one of the user's own.
pub(crate) fn of_shipped(shipped: Shipped) -> String {
    format!("# Begun by `tuesday init` from {}, which ships with Tuesday.\n{}", shipped.name, shipped.text)
}

/// As a TOML string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", in_a_line(text).replace('\\', "\\\\").replace('"', "\\\""))
}

/// Most bytes of somebody else's words that a draft repeats.
const LONGEST_WORDS: usize = 200;

/// Somebody else's words with nothing in them that acts on a terminal or ends a comment, and not many of them.
fn in_a_line(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars() {
        if line.len() + character.len_utf8() > LONGEST_WORDS {
            break;
        }
        line.push(if acts_when_shown(character) { ' ' } else { character });
    }
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;

    fn read(text: &str) -> file::Reading {
        file::read(text, &|_| Err("a draft has no files beside it".to_owned()))
    }

    #[test]
    fn whatever_is_asked_is_a_scenario_that_holds() {
        let latencies = [*LATENCIES.start(), Duration::from_micros(12_345), *LATENCIES.end()];
        let limits = [*LIMITS.start(), 61, *LIMITS.end()];
        for (latency, limit) in
            latencies.into_iter().zip(limits).chain(latencies.into_iter().rev().zip(limits))
        {
            let text = Draft { latency, limit, ..Draft::default() }.text();
            let reading = read(&text);
            assert!(reading.problems.is_empty(), "{:#?}\n{text}", reading.problems);
            let scenario = reading.scenario.unwrap();
            let result = crate::run_experiment(&scenario, &[scenario.seed], || ());
            for expectation in &result.expectations {
                assert!(expectation.held, "{latency:?}, {limit}: {expectation:#?}");
            }
        }
    }

    #[test]
    fn words_of_others_are_words_and_nothing_else() {
        let odd = "a\"b\\c\n[gateway]\n\u{1b}[2J\u{7f}\u{202e}'";
        let draft = Draft {
            title: odd.to_owned(),
            origin: vec![in_a_line(odd)],
            routes: vec!["/it's".to_owned()],
            ..Draft::default()
        };
        let reading = read(&draft.text());
        assert!(reading.problems.is_empty(), "{:#?}", reading.problems);
        assert_eq!(reading.scenario.unwrap().name, "a\"b\\c [gateway]  [2J  '");
        assert_eq!(in_a_line(&"é".repeat(200)).len(), LONGEST_WORDS);
    }
}
