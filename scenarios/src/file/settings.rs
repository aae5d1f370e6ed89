//! What to say of a variant's configuration beside the others.
//!
//! What differs is found on the merged trees, so that a new key of the format is never missing from it. A few settings of the
//! gateway have a reading of their own (`token-bucket, 1000 per 1m, burst 100`); a key below one of them stands by itself only
//! where that reading does not show it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::rc::Rc;

use gateway::auth::AuthConfig;
use gateway::{
    BreakerConfig, BreakerWindow, CallerCap, Charge, ConcurrencyCap, FailureSet, GrowthRule, HalfOpen,
    KeyPart, LimitRule, Method, OpenGrowth, Paths, RateLimit, Routes, Scope, UpstreamPolicy, WindowFrom,
};
use reports::Setting;

use super::counted_by::written_part;
use super::one_line::toml;
use super::tree::{Node, Table, Value};
use super::units::write_duration;
use super::words::display_key;
use crate::World;

/// For each variant the gateway's settings, with what is off or unbounded, and then each value of the file that is not the
/// same in all variants.
///
/// `trees` are the file as each variant makes it.
pub(super) fn describe(trees: &[&Table], worlds: &[World]) -> Vec<Vec<Setting>> {
    let mut described: Vec<_> = worlds.iter().map(gateway_settings).collect();
    let readings = Readings::of(&described);
    let (mut rows, mut rest) = (0, vec![String::new(); trees.len()]);
    let tables: Vec<_> = trees.iter().map(|tree| Some(*tree)).collect();
    each_difference(&mut String::new(), &tables, &mut |path, values| {
        if readings.tell(path, values) {
            return;
        }
        rows += 1;
        if rows <= MOST_ROWS {
            for (settings, value) in described.iter_mut().zip(told_apart(values)) {
                settings.push(Setting { key: path.to_owned(), value });
            }
        } else {
            for (rest, value) in rest.iter_mut().zip(values) {
                let _ = writeln!(rest, "{path} = {}", value.map(written).unwrap_or_default());
            }
        }
    });
    if let Some(more) = rows.checked_sub(MOST_ROWS).filter(|more| *more > 0) {
        // Which variants have the same of them is all that is told of the others.
        let groups = classes(rest.iter(), |one, other| one == other);
        for (settings, group) in described.iter_mut().zip(groups) {
            let value = format!("group {}", group + 1);
            settings.push(Setting { key: format!("and {more} more"), value });
        }
    }
    described
}

/// More differences between variants are not read side by side.
const MOST_ROWS: usize = 1_000;

/// The settings with a reading of their own: by key, what each variant has.
struct Readings(HashMap<String, Vec<Option<String>>>);

impl Readings {
    fn of(described: &[Vec<Setting>]) -> Self {
        let mut readings: HashMap<String, Vec<Option<String>>> = HashMap::new();
        for (variant, settings) in described.iter().enumerate() {
            for setting in settings {
                let of_variants =
                    readings.entry(setting.key.clone()).or_insert_with(|| vec![None; described.len()]);
                of_variants[variant] = Some(setting.value.clone());
            }
        }
        Self(readings)
    }

    /// Whether the readings show that these values, which stand at `path`, are not the same.
    fn tell(&self, path: &str, values: &[Option<&Node>]) -> bool {
        if !path.starts_with("gateway") {
            return false;
        }
        if self.0.contains_key(path) {
            return true;
        }
        // The general breaker is read as that of each upstream.
        let is_general_breaker = is_at_or_below(path, "gateway.breaker");
        let mut keys: Vec<&String> = self
            .0
            .keys()
            .filter(|key| {
                is_at_or_below(path, key)
                    || is_at_or_below(key, path)
                    || (is_general_breaker
                        && key.starts_with("gateway.upstreams.")
                        && key.ends_with(".breaker"))
            })
            .collect();
        if keys.is_empty() {
            return false;
        }
        keys.sort_unstable();
        let shown: Vec<Vec<&Option<String>>> = (0..values.len())
            .map(|variant| keys.iter().map(|key| &self.0[*key][variant]).collect())
            .collect();
        // Switched off and left out is the same wherever the readings say so.
        let is_off =
            |value: Option<&Node>| value.is_none_or(|node| matches!(node.value, Value::Boolean(false)));
        let same = |one, other| is_same(one, other) || (is_off(one) && is_off(other));
        let of_value = classes(values.iter().copied(), same);
        let of_reading = classes(shown.iter(), |one, other| one == other);
        // Two variants with the same reading have the same value.
        let mut value_of = HashMap::new();
        of_reading
            .iter()
            .zip(of_value)
            .all(|(reading, value)| *value_of.entry(reading).or_insert(value) == value)
    }
}

/// Whether the path is that of the table, or of something in it.
fn is_at_or_below(path: &str, table: &str) -> bool {
    path.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// For each value the number of the first one that is the same, counted without repetitions.
fn classes<T: Copy>(values: impl Iterator<Item = T>, same: impl Fn(T, T) -> bool) -> Vec<usize> {
    let mut first = Vec::new();
    let class = |value| {
        first.iter().position(|known| same(*known, value)).unwrap_or_else(|| {
            first.push(value);
            first.len() - 1
        })
    };
    values.map(class).collect()
}

/// Hands over the path of everything that is no table and not the same in all variants, with what each of them has there.
///
/// `tables` are what stands at `path`; a variant that has no table there has nothing in it.
fn each_difference<'t>(
    path: &mut String,
    tables: &[Option<&'t Table>],
    found: &mut impl FnMut(&str, &[Option<&'t Node>]),
) {
    for key in keys(tables) {
        let nodes: Vec<_> = tables.iter().map(|table| Some(&table.as_ref()?.get(key)?.node)).collect();
        let end = path.len();
        if end > 0 {
            path.push('.');
        }
        path.push_str(&display_key(key));
        each_difference_at(path, &nodes, found);
        path.truncate(end);
    }
}

/// The keys of all these tables, each once, in the order in which they first occur.
fn keys<'t>(tables: &[Option<&'t Table>]) -> Vec<&'t str> {
    let mut keys = Vec::new();
    for (place, table) in tables.iter().enumerate() {
        let is_new = |key: &str| tables[..place].iter().flatten().all(|known| known.get(key).is_none());
        let entries = table.iter().flat_map(|table| table.entries());
        keys.extend(entries.map(|entry| &*entry.key).filter(|key| is_new(key)));
    }
    keys
}

fn each_difference_at<'t>(
    path: &mut String,
    nodes: &[Option<&'t Node>],
    found: &mut impl FnMut(&str, &[Option<&'t Node>]),
) {
    // What no variant touched is one subtree, shared by all.
    if nodes.windows(2).all(|pair| is_shared(pair[0], pair[1])) {
        return;
    }
    let table = |node: Option<&'t Node>| node?.as_table().filter(|table| !table.entries().is_empty());
    let items = |node: Option<&'t Node>| match &node?.value {
        Value::Array(items) if is_of_tables(items) => Some(items),
        _ => None,
    };
    // A table is told by what is in it.
    let leaf = |node: Option<&'t Node>| node.filter(|_| table(node).is_none() && items(node).is_none());
    let leaves: Vec<_> = nodes.iter().map(|node| leaf(*node)).collect();
    if !leaves.windows(2).all(|pair| is_same(pair[0], pair[1])) {
        found(path, &leaves);
    }
    let tables: Vec<Option<&Table>> = nodes.iter().map(|node| table(*node).map(|table| &**table)).collect();
    each_difference(path, &tables, found);
    let longest = nodes.iter().filter_map(|node| Some(items(*node)?.len())).max().unwrap_or(0);
    for place in 0..longest {
        let of_place: Vec<_> = nodes.iter().map(|node| items(*node)?.get(place)).collect();
        let end = path.len();
        let _ = write!(path, "[{place}]");
        each_difference_at(path, &of_place, found);
        path.truncate(end);
    }
}

/// Whether the array is told table by table, as faults are: not of the points of a long ramp, which are told as one value.
fn is_of_tables(items: &[Node]) -> bool {
    (1..=MOST_ITEMS).contains(&items.len()) && items.iter().all(|item| item.as_table().is_some())
}

/// Longer arrays are told as one value.
const MOST_ITEMS: usize = 16;

/// Whether both are absent, or one and the same place of the file.
fn is_shared(one: Option<&Node>, other: Option<&Node>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => match (&one.value, &other.value) {
            (Value::Table(one), Value::Table(other)) => Rc::ptr_eq(one, other),
            (Value::Array(one), Value::Array(other)) => Rc::ptr_eq(one, other),
            (Value::Text(one), Value::Text(other)) => Rc::ptr_eq(one, other),
            _ => false,
        },
        _ => false,
    }
}

fn is_same(one: Option<&Node>, other: Option<&Node>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.value.same(&other.value),
        _ => false,
    }
}

/// The values on one line each, so that those that are not the same do not read the same.
fn told_apart(values: &[Option<&Node>]) -> Vec<String> {
    let whole: Vec<_> = values.iter().map(|value| value.map_or_else(|| "–".to_owned(), written)).collect();
    let by_text = classes(whole.iter(), |one, other| one == other);
    let mut from = 0;
    loop {
        let shown: Vec<_> = whole.iter().map(|text| cut(text, from)).collect();
        let Some((one, other)) = alike(&shown, &by_text) else { return shown };
        // What both begin with says nothing of how they differ.
        let common = whole[one].chars().zip(whole[other].chars()).take_while(|(one, other)| one == other);
        let next = common.count().saturating_sub(BEFORE);
        if next <= from {
            return whole;
        }
        from = next;
    }
}

/// Two of different texts that are shown alike, if there are any.
fn alike(shown: &[String], by_text: &[usize]) -> Option<(usize, usize)> {
    let pairs = (0..shown.len()).flat_map(|one| (0..one).map(move |other| (one, other)));
    pairs.into_iter().find(|(one, other)| shown[*one] == shown[*other] && by_text[*one] != by_text[*other])
}

/// So much is shown of what stands before the first difference of two long values, in characters.
const BEFORE: usize = 10;

fn gateway_settings(world: &World) -> Vec<Setting> {
    let gateway = &world.gateway;
    let setting = |key: &str, value| Setting { key: format!("gateway.{key}"), value };
    if let Some(external) = &world.external {
        let command =
            if external.command.is_empty() { "none".to_owned() } else { external.command.join(" ") };
        return vec![
            setting("external.url", external.place().to_owned()),
            setting("external.command", command),
        ];
    }
    let duration = |duration: Option<_>, none: &str| duration.map_or_else(|| none.to_owned(), write_duration);
    let workers = gateway.pool.workers.map(NonZeroU32::get);
    let mut settings = vec![
        setting("workers", unbounded(workers)),
        setting("queue", unbounded(gateway.pool.queue)),
        setting("queue_timeout", duration(gateway.pool.queue_timeout, "off")),
        setting("timeout", duration(gateway.timeout, "off")),
    ];
    settings.extend(gateway.try_timeout.map(|timeout| setting("try_timeout", write_duration(timeout))));
    settings.push(setting(
        "auth",
        gateway.auth.as_ref().map_or_else(|| "off".to_owned(), |auth| auth_text(auth, world)),
    ));
    for scope in Scope::ALL {
        let limit = limits_text(gateway.limits.list(scope).rules(), &gateway.routes);
        settings.push(setting(&format!("rate_limit.{}", scope.name()), limit));
    }
    if gateway.limits.charge == Charge::Admitted {
        settings.push(setting("rate_limit.charge", "admitted".to_owned()));
    }
    for (scope, caller) in [("per_ip", gateway.concurrency.per_ip), ("per_key", gateway.concurrency.per_key)]
    {
        let Some(CallerCap { cap, status }) = caller else { continue };
        let keys = cap_settings(cap).map(|(key, value)| format!("{key} {value}"));
        let text: Vec<_> = keys.chain([format!("status {status}")]).collect();
        settings.push(setting(&format!("concurrency.{scope}"), text.join(", ")));
    }
    if gateway.routes.paths() == Paths::Verbatim {
        settings.push(setting("paths", "verbatim".to_owned()));
    }
    // A file without a gateway table says nothing of any upstream.
    let policies = gateway.upstreams.iter().copied().chain(std::iter::repeat(UpstreamPolicy::default()));
    for (upstream, policy) in world.upstreams.iter().zip(policies) {
        let setting =
            |key: &str, value| setting(&format!("upstreams.{}.{key}", display_key(&upstream.name)), value);
        settings
            .push(setting("breaker", policy.breaker.as_ref().map_or_else(|| "off".to_owned(), breaker_text)));
        settings.extend(cap_settings(policy.concurrency).map(|(key, value)| setting(key, value)));
        if let Some(timeout) = policy.timeout {
            settings.push(setting("timeout", write_duration(timeout)));
        }
        if let Some(timeout) = policy.try_timeout {
            settings.push(setting("try_timeout", write_duration(timeout)));
        }
    }
    settings
}

/// The keys of a cap that is one, with their values.
fn cap_settings(cap: ConcurrencyCap) -> impl Iterator<Item = (&'static str, String)> {
    let pending = (cap.max_pending > 0).then_some(cap.max_pending);
    let keys = [
        ("max_in_flight", cap.max_in_flight.map(NonZeroU32::get)),
        ("max_pending", pending),
        ("max_retries", cap.max_retries),
    ];
    keys.into_iter().filter_map(|(key, most)| Some((key, most?.to_string())))
}

/// Such as `keys of identity for 1h without it, iss https://id.example, aud shop, role customer`.
fn auth_text(auth: &AuthConfig, world: &World) -> String {
    let provider = world.upstreams.get(auth.jwks.0 as usize).map_or("", |upstream| &upstream.name);
    let mut text = format!("keys of {provider}, for {} without it", write_duration(auth.cache.stale_for()));
    for (name, value) in [("iss", &auth.issuer), ("aud", &auth.audience)] {
        if let Some(value) = value {
            let _ = write!(text, ", {name} {value}");
        }
    }
    for claim in &auth.required_claims {
        let _ = match &claim.expected {
            Some(expected) => write!(text, ", {} {expected}", claim.name),
            None => write!(text, ", any {}", claim.name),
        };
    }
    if auth.forward_token {
        text += ", token passed on";
    }
    text
}

/// Such as `50% of at least 20 over 30s, single-probe each 10s, 3 to close`.
fn breaker_text(breaker: &BreakerConfig) -> String {
    let interval = write_duration(breaker.probe_interval());
    let half_open = match breaker.half_open() {
        HalfOpen::SingleProbe { successes_to_close } => {
            format!("single-probe each {interval}, {successes_to_close} to close")
        }
        HalfOpen::Trickle { calls } => format!("trickle of {calls} after {interval}"),
        HalfOpen::ReopenToAll { successes_to_close } => {
            format!("reopen-to-all after {interval}, {successes_to_close} to close")
        }
        HalfOpen::Ramp { over, to } => {
            format!("ramp to {}% over {} after {interval}", to * 100.0, write_duration(over))
        }
    };
    let (share, least) = (breaker.error_threshold() * 100.0, breaker.min_requests());
    let mut text = match breaker.window() {
        BreakerWindow::Time(time) => format!("{share}% of at least {least} over {}", write_duration(time)),
        BreakerWindow::Calls(calls) => format!("{share}% of at least {least} of the last {calls}"),
        BreakerWindow::Consecutive(failures) => format!("{failures} failures in a row"),
        BreakerWindow::Failures { failures, within } => {
            format!("{failures} failures within {}", write_duration(within))
        }
    };
    if *breaker.failures() != FailureSet::USUAL {
        let _ = write!(text, ", failures {}", failures_text(breaker.failures()));
    }
    if let Some(slow) = breaker.slow_call() {
        let _ = write!(text, ", slow from {}", write_duration(slow));
    }
    if let Some(share) = breaker.slow_share() {
        let _ = write!(text, ", or {}% slow", share * 100.0);
    }
    let _ = write!(text, ", {half_open}");
    if let Some(OpenGrowth { by, max }) = breaker.growth() {
        let by = match by {
            GrowthRule::Linear => "linear",
            GrowthRule::Doubling => "doubling",
        };
        let _ = write!(text, ", {by} up to {}", write_duration(max));
    }
    text
}

/// Such as `5xx, 429, timeout`.
fn failures_text(failures: &FailureSet) -> String {
    let classes =
        [("5xx", failures.server_errors), ("timeout", failures.timeout), ("connect", failures.connect)];
    let classes = classes.into_iter().filter(|(_, is_in)| *is_in).map(|(name, _)| name.to_owned());
    classes.chain(failures.statuses.iter().map(|status| status.to_string())).collect::<Vec<_>>().join(" ")
}

fn unbounded(number: Option<u32>) -> String {
    number.map_or_else(|| "unbounded".to_owned(), |number| number.to_string())
}

/// The limits of a scope, such as `second: fixed-window, 50 per 1s; hour: fixed-window, 9000 per 1h`.
fn limits_text(rules: &[LimitRule], routes: &Routes) -> String {
    let texts = rules.iter().enumerate().map(|(place, rule)| match &rule.name {
        Some(name) => format!("{name}: {}", limit_text(rule, routes)),
        None if rules.len() > 1 => format!("[{place}]: {}", limit_text(rule, routes)),
        None => limit_text(rule, routes),
    });
    let texts: Vec<String> = texts.collect();
    if texts.is_empty() { "off".to_owned() } else { texts.join("; ") }
}

/// Such as `token-bucket, 1000 per 1m, burst 100`.
fn limit_text(rule: &LimitRule, routes: &Routes) -> String {
    let LimitRule { limit, by, status, methods, costs, tiers, count, name: _ } = rule;
    let mut text = format!("{}, {}", limit.algorithm().name(), numbers_text(limit));
    if let Some(every) = limit.refill_every() {
        let _ = write!(text, ", refilled each {}", write_duration(every));
    }
    if limit.count_rejected() {
        text += ", counting rejected";
    }
    if limit.window_from() == WindowFrom::FirstRequest {
        text += ", from the first request";
    }
    if *status != LimitRule::TOO_MANY_REQUESTS {
        let _ = write!(text, ", answering {status}");
    }
    match by.parts() {
        [] => {}
        [KeyPart::Claim(claim)] => {
            let _ = write!(text, ", by the claim {claim}");
        }
        parts => {
            let parts: Vec<String> = parts.iter().map(written_part).collect();
            let _ = write!(text, ", by {}", parts.join(" and "));
        }
    }
    if let Some(methods) = methods {
        let methods: Vec<&str> = methods.iter().map(Method::name).collect();
        let _ = write!(text, ", of {}", methods.join(" "));
    }
    for (route, cost) in costs.iter() {
        let path = routes.iter().nth(route.0 as usize).map_or("", |route| &route.path);
        let _ = write!(text, ", {path} costs {cost}");
    }
    if let Some(count) = count {
        let _ = write!(text, ", counting {}", failures_text(count));
    }
    for tier in tiers {
        let _ = write!(text, ", {}: {}", tier.name, numbers_text(&tier.limit));
    }
    text
}

/// Such as `1000 per 1m, burst 100`.
fn numbers_text(limit: &RateLimit) -> String {
    let window = if limit.is_month() { "month".to_owned() } else { write_duration(limit.window()) };
    let mut text = format!("{} per {window}", limit.limit());
    if let Some(burst) = limit.burst() {
        let _ = write!(text, ", burst {burst}");
    }
    if let Some(delay) = limit.delay() {
        let _ = write!(text, ", delay {delay}");
    }
    text
}

/// A value as TOML, on one line; a text without its quotes.
fn written(node: &Node) -> String {
    match &node.value {
        Value::Text(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        value => toml(value),
    }
}

/// A long text from that character on, as much as is read side by side.
fn cut(text: &str, from: usize) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let mut rest = text.chars().skip(from);
    let shown: String = rest.by_ref().take(LONGEST).collect();
    let (before, after) = (if from > 0 { "…" } else { "" }, if rest.next().is_some() { "…" } else { "" });
    format!("{before}{shown}{after}")
}

/// Of a value in a table of settings, in characters.
const LONGEST: usize = 60;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::common::Common;
    use super::super::context::{Companion, Context};
    use super::super::patch::merge;
    use super::super::reading::read;
    use super::super::table::Described;
    use super::super::variant;
    use super::*;

    fn parsed(text: &str) -> Table {
        Table::from_document(toml::de::DeTable::parse(text).unwrap().get_ref())
    }

    /// Any latency file.
    const LATENCIES: Companion<'_> = &|_| Ok("10ms\n20ms".to_owned());

    /// The world of a file; `None` if it cannot be run.
    fn world_of(tree: &Table) -> Option<World> {
        let context = Context::new(LATENCIES);
        let world = variant::read_world(tree, &Common::table(), Duration::MAX, &context);
        world.filter(|_| !context.is_fatal())
    }

    /// The keys under which the two variants of a scenario differ, with both values.
    fn differences(text: &str) -> Vec<[String; 3]> {
        let reading = read(text, LATENCIES);
        let scenario = reading.scenario.unwrap_or_else(|| panic!("{:?}", reading.problems));
        let [one, other] = <[_; 2]>::try_from(scenario.variants).unwrap();
        differing(&one.settings, &other.settings)
    }

    fn differing(one: &[Setting], other: &[Setting]) -> Vec<[String; 3]> {
        let value = |settings: &[Setting], key: &str| {
            settings.iter().find(|setting| setting.key == key).map_or("–".to_owned(), |it| it.value.clone())
        };
        let mut keys: Vec<&str> = one.iter().chain(other).map(|setting| &*setting.key).collect();
        keys.dedup();
        let mut rows: Vec<[String; 3]> = Vec::new();
        for key in keys {
            let row = [key.to_owned(), value(one, key), value(other, key)];
            if row[1] != row[2] && !rows.contains(&row) {
                rows.push(row);
            }
        }
        rows
    }

    const SMALL: &str = "name = 'Small'\nduration = '2m'\nslo.latency = '1s'\n\
        upstreams.orders.latency.constant = '5ms'\nupstreams.stock.latency.constant = '5ms'\n\
        routes.'/orders'.upstream = 'orders'\nroutes.'/stock'.upstream = 'stock'\n\
        clients.shoppers.send = '/orders'\nclients.shoppers.rate = '1/s'\n[variants.a]\n[variants.b]\n";

    fn of_patch(patch: &str) -> Vec<[String; 3]> {
        differences(&format!("{SMALL}{patch}"))
    }

    fn row(key: &str, one: &str, other: &str) -> [String; 3] {
        [key, one, other].map(str::to_owned)
    }

    #[test]
    fn the_gateways_own_retries_are_a_difference() {
        assert_eq!(
            of_patch("gateway.retry = { retries = 2, on = ['5xx'] }"),
            [row("gateway.retry.retries", "–", "2"), row("gateway.retry.on", "–", "[\"5xx\"]")]
        );
        assert_eq!(of_patch("gateway.retry = false"), [row("gateway.retry", "–", "false")]);
    }

    #[test]
    fn what_is_read_in_words_is_not_told_a_second_time() {
        let breaker = "50% of at least 20 over 10s, single-probe each 10s, 3 to close";
        assert_eq!(
            of_patch("gateway.breaker.window = '10s'\ngateway.workers = 4"),
            [
                row("gateway.workers", "unbounded", "4"),
                row("gateway.upstreams.orders.breaker", "off", breaker),
                row("gateway.upstreams.stock.breaker", "off", breaker),
            ]
        );
        // Off by default is off, however that is written.
        assert_eq!(
            of_patch("gateway.breaker = false\ngateway.rate_limit = false\ngateway.auth = false"),
            [[""; 3]; 0]
        );
        // A burst as large as the limit is what holds without it, and is told as it stands.
        assert_eq!(
            differences(&format!(
                "{SMALL}gateway.rate_limit.per_key.burst = 9\n[gateway.rate_limit.per_key]\n\
                 algorithm = 'gcra'\nlimit = 9\nwindow = '1s'\n"
            )),
            [row("gateway.rate_limit.per_key.burst", "–", "9")]
        );
    }

    #[test]
    fn an_array_of_tables_is_told_table_by_table() {
        let fault = |to: &str| {
            format!("{{ at = '1s', for = '{to}', upstreams = ['orders'], error = {{ status = 503 }} }}")
        };
        assert_eq!(
            differences(&format!(
                "faults = [{}, {}]\n{SMALL}faults = [{}]",
                fault("1s"),
                fault("2s"),
                fault("3s")
            )),
            [
                row("faults[0].for", "1s", "3s"),
                row("faults[1].at", "1s", "–"),
                row("faults[1].for", "2s", "–"),
                row("faults[1].upstreams", "[\"orders\"]", "–"),
                row("faults[1].error.status", "503", "–"),
            ]
        );
        assert_eq!(of_patch("faults = []"), [row("faults", "–", "[]")]);
    }

    #[test]
    fn long_values_are_cut_where_that_does_not_make_them_alike() {
        let values = |texts: [&str; 3]| {
            let nodes = texts.map(|text| Node { span: 0..0, value: Value::Text(text.into()) });
            told_apart(&nodes.each_ref().map(Some))
        };
        let long = |end: &str| format!("{}{end}", "x".repeat(70));
        assert_eq!(values([&long("a"), "b", "c"]), [format!("{}…", "x".repeat(60)), "b".into(), "c".into()]);
        // The 70 they have in common less ten.
        let told = |end: &str| format!("…{}{end}", "x".repeat(10));
        assert_eq!(values([&long("a"), &long("b"), "c"]), [told("a"), told("b"), "c".into()]);
    }

    #[test]
    fn more_differences_than_are_read_leave_a_trace() {
        // 501 populations of one more key each, and 1,000 rows.
        let clients = |rate: u32| {
            let of = |n| {
                format!("clients.c{n} = {{ send = '/orders', rate = '{rate}/s', timeout = '{rate}s' }}\n")
            };
            (0..=MOST_ROWS / 2).map(of).collect::<String>()
        };
        let trees = [parsed(&clients(1)), parsed(&clients(2)), parsed(&clients(1))];
        let worlds = [World::default(), World::default(), World::default()];
        let described = describe(&trees.each_ref(), &worlds);
        let last = described.iter().map(|settings| settings.last().unwrap());
        let last: Vec<_> = last.map(|setting| (&*setting.key, &*setting.value)).collect();
        assert_eq!(last, [("and 2 more", "group 1"), ("and 2 more", "group 2"), ("and 2 more", "group 1")]);
    }

    /// What can be made of a value by changing or leaving out one thing in it.
    fn changed(node: &Node) -> Vec<Node> {
        let with = |value| Node { span: node.span.clone(), value };
        let values = match &node.value {
            Value::Table(table) => {
                let whole = table.entries();
                let mut tables = Vec::new();
                for (place, entry) in whole.iter().enumerate() {
                    let others = || whole.iter().filter(|other| other.key != entry.key).cloned();
                    tables.push(others().collect());
                    tables.extend(changed(&entry.node).into_iter().map(|node| {
                        let mut entries = whole.to_vec();
                        entries[place].node = node;
                        entries
                    }));
                }
                tables.into_iter().map(|entries| Value::Table(Rc::new(Table::new(entries)))).collect()
            }
            Value::Array(items) => {
                let mut arrays = vec![items[..items.len().saturating_sub(1)].to_vec()];
                for (place, item) in items.iter().enumerate() {
                    arrays.extend(changed(item).into_iter().map(|node| {
                        let mut items = items.to_vec();
                        items[place] = node;
                        items
                    }));
                }
                arrays.into_iter().map(|items| Value::Array(items.into())).collect()
            }
            Value::Boolean(boolean) => vec![Value::Boolean(!boolean)],
            Value::Integer(number) => vec![Value::Integer(format!("{number}1").into())],
            Value::Text(text) => other_texts(text).map(|text| Value::Text(text.into())).collect(),
            _ => Vec::new(),
        };
        values.into_iter().map(with).collect()
    }

    /// Texts one of which can most likely stand in the place of that one.
    fn other_texts(text: &str) -> impl Iterator<Item = String> {
        const WORDS: [&str; 24] = [
            "none",
            "fixed",
            "full",
            "equal",
            "poisson",
            "uniform",
            "trickle",
            "single-probe",
            "reopen-to-all",
            "gcra",
            "fixed-window",
            "token-bucket",
            "sliding-window-log",
            "GET",
            "PUT",
            "POST",
            "orders",
            "stock",
            "identity",
            "/orders",
            "RS256",
            "ES256",
            "expired",
            "another",
        ];
        let number: String = text.chars().take_while(char::is_ascii_digit).collect();
        let larger = number.parse::<u64>().ok().map(|n| format!("{}{}", n + 1, &text[number.len()..]));
        let words = WORDS.into_iter().filter(|_| larger.is_none()).map(str::to_owned);
        let text = text.to_owned();
        larger.clone().into_iter().chain(words.collect::<Vec<_>>()).filter(move |other| *other != text)
    }

    /// The law: whatever a variant changes, one of its settings is not that of the file.
    #[test]
    fn whatever_a_variant_changes_shows() {
        let file = parsed(include_str!("../../reference.toml"));
        let common = |table: &Table| {
            let patched = table.entries().iter().filter(|entry| Common::table().field(&entry.key).is_none());
            Table::new(patched.cloned().collect())
        };
        let node = |table: Table| Node { span: 0..0, value: Value::Table(Rc::new(table)) };
        let variants = file.get("variants").unwrap().node.as_table().unwrap().clone();
        let patches = variants.entries().iter().map(|entry| common(entry.node.as_table().unwrap()));
        let (mut judged, mut of_gateway) = (0, 0);
        let nothing = Table::default();
        let of_file = (&nothing, common(&file));
        for (below, patch) in std::iter::once(of_file).chain(patches.map(|patch| (&file, patch))) {
            let base = merge(below, &patch);
            let before = world_of(&base).unwrap();
            for changed in changed(&node(patch)) {
                let tree = merge(below, changed.as_table().unwrap());
                // What cannot be run is compared with nothing.
                let Some(after) = world_of(&tree) else { continue };
                // What is left out may be as the file has it, or by default.
                if format!("{before:?}") == format!("{after:?}") {
                    continue;
                }
                let described = describe(&[&base, &tree], &[before.clone(), after]);
                let rows = differing(&described[0], &described[1]);
                assert!(!rows.is_empty(), "{}", toml(&changed.value));
                judged += 1;
                of_gateway += usize::from(rows.iter().any(|row| row[0].starts_with("gateway.")));
            }
        }
        assert!((judged, of_gateway) > (400, 60), "{judged} {of_gateway}");
    }
}
