//! The settings in which variants differ.

use std::collections::BTreeSet;

use crate::result::experiment::{ExperimentResult, VariantResult};
use crate::result::run::RunResult;
use crate::words::text;

/// A setting in which the variants differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) key: String,
    /// One per variant.
    pub(crate) values: Vec<String>,
}

/// The settings that are not the same under all variants, in the order in which they first occur. What is alike for several
/// upstreams, clients or routes is told once, as `gateway.upstreams.*.breaker`.
pub(crate) fn differences(result: &ExperimentResult) -> Vec<Difference> {
    let differences = differences_of(&result.variants.iter().collect::<Vec<_>>());
    told_once(differences, entries(result))
}

/// How many entries each table has in a result.
pub(crate) fn entries(result: &ExperimentResult) -> impl Fn(Named) -> usize {
    move |table| {
        let named = |run: &'_ RunResult| -> Vec<String> {
            match table {
                Named::Upstreams => run.upstreams.iter().map(|upstream| upstream.name.clone()).collect(),
                Named::Clients => run.populations.iter().map(|population| population.name.clone()).collect(),
                Named::Routes => run.routes.iter().map(|route| route.name.clone()).collect(),
            }
        };
        let runs = result.variants.iter().flat_map(|variant| &variant.runs);
        runs.flat_map(named).collect::<BTreeSet<_>>().len()
    }
}

/// The settings that are not the same under these variants, in the order in which they first occur.
pub(crate) fn differences_of(variants: &[&VariantResult]) -> Vec<Difference> {
    let value = |variant: &VariantResult, key: &str| {
        let setting = variant.settings.iter().find(|setting| setting.key == key);
        setting.map_or_else(|| "–".to_owned(), |setting| text::line(&setting.value))
    };
    let mut keys: Vec<&str> = Vec::new();
    for setting in variants.iter().flat_map(|variant| &variant.settings) {
        if !keys.contains(&setting.key.as_str()) {
            keys.push(&setting.key);
        }
    }
    keys.into_iter()
        .map(|key| Difference {
            key: text::line(key),
            values: variants.iter().map(|variant| value(variant, key)).collect(),
        })
        .filter(|difference| difference.values.windows(2).any(|pair| pair[0] != pair[1]))
        .collect()
}

/// A table of the file whose entries have names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Upstreams,
    Clients,
    Routes,
}

/// Where the names of entries stand in a setting's path.
const TABLES: [(&str, Named); 4] = [
    ("gateway.upstreams.", Named::Upstreams),
    ("upstreams.", Named::Upstreams),
    ("clients.", Named::Clients),
    ("routes.", Named::Routes),
];

/// So many names are told one by one.
const NAMES: usize = 4;

/// The rows that differ in nothing but the name of an entry as one; `entries` is how many the table has.
pub(crate) fn told_once(differences: Vec<Difference>, entries: impl Fn(Named) -> usize) -> Vec<Difference> {
    let mut told: Vec<(Difference, Vec<String>)> = Vec::new();
    for difference in differences {
        let alike = told.iter_mut().find(|(known, names)| {
            known.values == difference.values
                && !names.is_empty()
                && parts(&known.key).zip(parts(&difference.key)).is_some_and(|(known, other)| {
                    (known.prefix, known.setting) == (other.prefix, other.setting)
                })
        });
        let name = parts(&difference.key).map(|parts| parts.name.to_owned());
        match (alike, name) {
            (Some((_, names)), Some(name)) => names.push(name),
            (_, name) => told.push((difference, Vec::from_iter(name))),
        }
    }
    let one = |(difference, names): (Difference, Vec<String>)| match parts(&difference.key) {
        Some(Parts { prefix, table, setting, .. }) if names.len() > 1 => {
            let whose = match names.len() {
                all if all == entries(table) => "*".to_owned(),
                ..=NAMES => format!("{{{}}}", names.join(", ")),
                more => format!("{{{} and {} more}}", names[..NAMES - 1].join(", "), more + 1 - NAMES),
            };
            Difference { key: format!("{prefix}{whose}{setting}"), ..difference }
        }
        _ => difference,
    };
    told.into_iter().map(one).collect()
}

/// A path around the name of an entry: `clients.`, `buyers`, `.retry.max`.
struct Parts<'k> {
    prefix: &'static str,
    table: Named,
    name: &'k str,
    setting: &'k str,
}

fn parts(key: &str) -> Option<Parts<'_>> {
    let (prefix, table) = TABLES.into_iter().find(|(prefix, _)| key.starts_with(prefix))?;
    let rest = &key[prefix.len()..];
    let end = match rest.strip_prefix('"') {
        Some(quoted) => quoted.find('"')? + 2,
        None => rest.find('.')?,
    };
    let (name, setting) = rest.split_at(end);
    setting.starts_with('.').then_some(Parts { prefix, table, name, setting })
}

/// Whether a key is that of something within an entry of a table: `upstreams.orders.auth`, and not `upstreams.orders`.
pub(crate) fn is_within_an_entry(key: &str) -> bool {
    parts(key).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn only_settings_that_differ_are_shown() {
        let differences = differences(&testing::window_boundary());
        let keys: Vec<&str> = differences.iter().map(|difference| difference.key.as_str()).collect();
        assert_eq!(keys, ["gateway.rate_limit.per_key"]);
        assert_eq!(differences[0].values[1], "token-bucket, 1000 per 1m, burst 100");
    }

    #[test]
    fn what_is_alike_for_several_is_told_once() {
        let difference = |key: &str, value: &str| Difference {
            key: key.to_owned(),
            values: vec!["off".to_owned(), value.to_owned()],
        };
        let all = vec![
            difference("gateway.timeout", "5s"),
            difference("gateway.upstreams.a.breaker", "50%"),
            difference("gateway.upstreams.b.breaker", "50%"),
            difference("gateway.upstreams.b.timeout", "1s"),
            difference("gateway.upstreams.\"c.d\".breaker", "50%"),
            difference("clients.x.retry.max", "2s"),
            difference("clients.y.retry.max", "2s"),
            difference("clients.z.retry.max", "3s"),
            difference("clients.x.retry.base", "2s"),
            difference("routes", "1"),
        ];
        let told = told_once(all, |table| if table == Named::Upstreams { 3 } else { 4 });
        let keys: Vec<&str> = told.iter().map(|difference| difference.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "gateway.timeout",
                "gateway.upstreams.*.breaker",
                "gateway.upstreams.b.timeout",
                "clients.{x, y}.retry.max",
                "clients.z.retry.max",
                "clients.x.retry.base",
                "routes",
            ]
        );
    }
}
