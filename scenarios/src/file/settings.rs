//! What to say of a variant's configuration beside the others.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::rc::Rc;

use gateway::auth::AuthConfig;
use gateway::{BreakerConfig, HalfOpen, KeyedBy, RateLimit, Scope};
use reports::Setting;

use super::reader::display_key;
use super::tree::{Node, Table, Value};
use super::units::write_duration;
use crate::World;

/// For each variant the gateway's settings, with what is off or unbounded, and then each value elsewhere in the
/// file that is not the same in all variants.
///
/// `patches` are the variants as they stand in the file, `trees` the file as each of them makes it.
pub(super) fn describe(
    text: &str,
    patches: &[&Table],
    trees: &[&Table],
    worlds: &[World],
) -> Vec<Vec<Setting>> {
    let mut described: Vec<_> = worlds.iter().map(gateway_settings).collect();
    let mut rows = 0;
    let _ = each_touched_path(patches, trees, |path| {
        let values: Vec<_> = trees.iter().map(|tree| find(tree, path)).collect();
        let same = values.windows(2).all(|pair| match (pair[0], pair[1]) {
            (Some(one), Some(other)) => one.value.same(&other.value),
            (None, None) => true,
            _ => false,
        });
        if same {
            return ControlFlow::Continue(());
        }
        rows += 1;
        let key = match rows {
            ..=MOST_ROWS => path.iter().map(|key| display_key(key)).collect::<Vec<_>>().join("."),
            _ => "and more".to_owned(),
        };
        for (settings, value) in described.iter_mut().zip(values) {
            let value = match (rows, value) {
                (..=MOST_ROWS, Some(node)) => as_written(text, node),
                _ => "–".to_owned(),
            };
            settings.push(Setting { key: key.clone(), value });
        }
        if rows <= MOST_ROWS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    described
}

/// More differences between variants are not read side by side.
const MOST_ROWS: usize = 200;

/// Hands over the paths of all values in the entries that some variant touches, such as all of `clients.shoppers`;
/// not those of the gateway, which [`gateway_settings`] tells.
fn each_touched_path(
    patches: &[&Table],
    trees: &[&Table],
    mut found: impl FnMut(&[Rc<str>]) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut touched = BTreeSet::new();
    for table in patches.iter().flat_map(|patch| patch.entries()).filter(|table| &*table.key != "gateway") {
        match table.node.as_table() {
            Some(entries) => touched
                .extend(entries.entries().iter().map(|entry| vec![table.key.clone(), entry.key.clone()])),
            // Such as `faults`, which is replaced whole.
            None => _ = touched.insert(vec![table.key.clone()]),
        }
    }
    let mut seen = BTreeSet::new();
    for tree in trees {
        for path in &touched {
            let mut path = path.clone();
            if let Some(node) = find(tree, &path) {
                each_path(&mut path, node, &mut |path| {
                    if seen.insert(path.to_vec()) { found(path) } else { ControlFlow::Continue(()) }
                })?;
            }
        }
    }
    ControlFlow::Continue(())
}

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
    settings.push(setting(
        "auth",
        gateway.auth.as_ref().map_or_else(|| "off".to_owned(), |auth| auth_text(auth, world)),
    ));
    for scope in Scope::ALL {
        let mut limit = gateway.limits.get(scope).map_or_else(|| "off".to_owned(), limit_text);
        if let (Scope::PerKey, Some(_), KeyedBy::Claim(claim)) =
            (scope, gateway.limits.per_key, &gateway.limits.per_key_by)
        {
            let _ = write!(limit, ", by the claim {claim}");
        }
        settings.push(setting(&format!("rate_limit.{}", scope.name()), limit));
    }
    for (upstream, policy) in world.upstreams.iter().zip(&gateway.upstreams) {
        let setting =
            |key: &str, value| setting(&format!("upstreams.{}.{key}", display_key(&upstream.name)), value);
        settings
            .push(setting("breaker", policy.breaker.as_ref().map_or_else(|| "off".to_owned(), breaker_text)));
        if let Some(most) = policy.max_in_flight {
            settings.push(setting("max_in_flight", most.to_string()));
        }
        if let Some(timeout) = policy.timeout {
            settings.push(setting("timeout", write_duration(timeout)));
        }
    }
    settings
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
    };
    let (share, window) = (breaker.error_threshold() * 100.0, write_duration(breaker.window()));
    let slow =
        breaker.slow_call().map(|slow| format!(", slow from {}", write_duration(slow))).unwrap_or_default();
    format!("{share}% of at least {} over {window}{slow}, {half_open}", breaker.min_requests())
}

fn unbounded(number: Option<u32>) -> String {
    number.map_or_else(|| "unbounded".to_owned(), |number| number.to_string())
}

/// Such as `token-bucket, 1000 per 1m, burst 100`.
fn limit_text(limit: &RateLimit) -> String {
    let mut text =
        format!("{}, {} per {}", limit.algorithm().name(), limit.limit(), write_duration(limit.window()));
    if let Some(burst) = limit.burst() {
        let _ = write!(text, ", burst {burst}");
    }
    if limit.count_rejected() {
        text += ", counting rejected";
    }
    text
}

/// Hands over the paths of all values below `node` that are no tables.
fn each_path(
    path: &mut Vec<Rc<str>>,
    node: &Node,
    found: &mut impl FnMut(&[Rc<str>]) -> ControlFlow<()>,
) -> ControlFlow<()> {
    match node.as_table() {
        Some(table) if !table.entries().is_empty() => {
            for entry in table.entries() {
                path.push(entry.key.clone());
                each_path(path, &entry.node, found)?;
                path.pop();
            }
            ControlFlow::Continue(())
        }
        _ => found(path),
    }
}

fn find<'t>(tree: &'t Table, path: &[Rc<str>]) -> Option<&'t Node> {
    let (last, tables) = path.split_last()?;
    let mut table = tree;
    for key in tables {
        table = table.get(key)?.node.as_table()?;
    }
    Some(&table.get(last)?.node)
}

/// The value as it stands in the file, on one line.
fn as_written(text: &str, node: &Node) -> String {
    let written = match &node.value {
        Value::Text(text) => text,
        _ => text.get(node.span.clone()).unwrap_or_default(),
    };
    let mut line = String::new();
    for word in written.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().take(LONGEST + 1));
        if line.chars().count() > LONGEST {
            return line.chars().take(LONGEST).chain(['…']).collect();
        }
    }
    line
}

/// Of a value in a table of settings, in characters.
const LONGEST: usize = 60;
