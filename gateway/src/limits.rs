//! The rate limits that a gateway is told to keep: which there are, in which order they are asked, and what each is called.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::identity::KeyedBy;
use crate::rate_limit::RateLimit;
use crate::scope::Scope;

/// The rate limits of a gateway: for each scope none, one, or several that must all let a request through.
///
/// A second's, a minute's and an hour's limit at once are three limits of one scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// For each source address.
    pub per_ip: LimitList,
    /// For each client.
    pub per_key: LimitList,
    /// For each route.
    pub per_route: LimitList,
    /// For all requests together.
    pub global: LimitList,
    /// Which limits of a scope count a request that one of them rejects.
    pub charge: Charge,
}

/// The limits of one scope, in the order in which they are asked: at most [`LimitId::MOST_IN_SCOPE`], and no name twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitList(Vec<LimitRule>);

/// One limit of a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitRule {
    /// What tells it from the others of its scope; its place where it has no name.
    pub name: Option<LimitName>,
    /// How many requests it lets through.
    pub limit: RateLimit,
    /// What a limit for each client tells clients apart by; of no meaning to other scopes.
    pub by: KeyedBy,
    /// The status of the answer to what it rejects, 400 to 599.
    pub status: u16,
}

/// The name of a limit among those of its scope: a letter, then letters, digits, `-` and `_`, at most
/// [`LimitName::LONGEST`] in all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LimitName(Box<str>);

/// Which limits of one scope count a request that another of that scope rejects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charge {
    /// Those that were asked before: limit after limit is asked, and each counts what it lets through. So most products do
    /// it, and a client above its minute's limit spends its hour's, where that is asked first.
    #[default]
    Asked,
    /// None: all are asked, and count the request if all let it through.
    Admitted,
}

/// A rate limit of a gateway, by its scope and its place in the scope's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitId {
    scope: Scope,
    place: u8,
}

/// What is shown of each limit of a gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitFacts(Vec<LimitFact>);

/// What is shown of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitFact {
    /// Which it is.
    pub id: LimitId,
    /// What it is called, by [`RateLimits::label`].
    pub label: Box<str>,
    /// How many requests a bucket of it lets through at one instant after a rest.
    pub allowance: u32,
}

/// Why limits are no [`LimitList`], or a text no [`LimitName`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LimitListError {
    /// More than [`LimitId::MOST_IN_SCOPE`].
    #[error("a scope has at most {} limits, found {found}", LimitId::MOST_IN_SCOPE)]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// Two of one name.
    #[error("there are two limits `{name}`")]
    NameTwice {
        /// The name.
        name: LimitName,
        /// The place of the second one, from 0.
        place: usize,
    },
    /// A name with other characters, none, or too many.
    #[error("a name is a letter, then letters, digits, `-` and `_`, at most {} in all", LimitName::LONGEST)]
    BadName,
}

impl RateLimits {
    /// The limits of a scope.
    pub const fn list(&self, scope: Scope) -> &LimitList {
        match scope {
            Scope::PerIp => &self.per_ip,
            Scope::PerKey => &self.per_key,
            Scope::PerRoute => &self.per_route,
            Scope::Global => &self.global,
        }
    }

    /// All limits, in the order in which a request meets them.
    pub fn iter(&self) -> impl Iterator<Item = (LimitId, &LimitRule)> {
        Scope::ALL.into_iter().flat_map(|scope| {
            let rules = self.list(scope).rules().iter();
            rules.zip(0..).map(move |(rule, place)| (LimitId { scope, place }, rule))
        })
    }

    /// One of them; `None` if there is no such limit.
    pub fn get(&self, limit: LimitId) -> Option<&LimitRule> {
        self.list(limit.scope).rules().get(limit.place())
    }

    /// What a limit is called wherever it is shown: `per_key` if it is the only one of its scope, so that gateways with one limit
    /// and with several can be compared, and else `per_key.NAME`, or without a name `per_key[0]` by its place.
    pub fn label(&self, limit: LimitId) -> String {
        let (scope, rules) = (limit.scope.name(), self.list(limit.scope).rules());
        match rules.get(limit.place()).and_then(|rule| rule.name.as_ref()) {
            _ if rules.len() <= 1 => scope.to_owned(),
            Some(name) => format!("{scope}.{name}"),
            None => format!("{scope}[{}]", limit.place()),
        }
    }

    /// For whom a client's requests are counted, where that has to be one: by the first limit for each client.
    pub fn per_key_by(&self) -> &KeyedBy {
        self.per_key.rules().first().map_or(&KeyedBy::ApiKey, |rule| &rule.by)
    }

    /// What is shown of each.
    pub fn facts(&self) -> Arc<LimitFacts> {
        let fact = |(id, rule): (LimitId, &LimitRule)| LimitFact {
            id,
            label: self.label(id).into(),
            allowance: rule.limit.allowance(),
        };
        Arc::new(LimitFacts(self.iter().map(fact).collect()))
    }
}

impl LimitList {
    /// These limits, asked in this order.
    ///
    /// # Errors
    ///
    /// If there are more than [`LimitId::MOST_IN_SCOPE`], or two have one name.
    pub fn new(rules: Vec<LimitRule>) -> Result<Self, LimitListError> {
        if rules.len() > LimitId::MOST_IN_SCOPE {
            return Err(LimitListError::TooMany { found: rules.len() });
        }
        for (place, rule) in rules.iter().enumerate() {
            if let Some(name) = &rule.name
                && rules[..place].iter().any(|known| known.name.as_ref() == Some(name))
            {
                return Err(LimitListError::NameTwice { name: name.clone(), place });
            }
        }
        Ok(Self(rules))
    }

    /// In the order in which they are asked.
    pub fn rules(&self) -> &[LimitRule] {
        &self.0
    }

    /// Whether the scope is not limited.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<LimitRule> for LimitList {
    fn from(rule: LimitRule) -> Self {
        Self(vec![rule])
    }
}

impl From<RateLimit> for LimitList {
    fn from(limit: RateLimit) -> Self {
        LimitRule::from(limit).into()
    }
}

impl From<Option<RateLimit>> for LimitList {
    fn from(limit: Option<RateLimit>) -> Self {
        limit.map(Self::from).unwrap_or_default()
    }
}

/// A limit without a name, which tells clients apart by their keys and answers 429.
impl From<RateLimit> for LimitRule {
    fn from(limit: RateLimit) -> Self {
        Self { name: None, limit, by: KeyedBy::ApiKey, status: Self::TOO_MANY_REQUESTS }
    }
}

impl LimitRule {
    /// What a limit answers if it is told nothing else (RFC 6585, 4).
    pub const TOO_MANY_REQUESTS: u16 = 429;
}

impl LimitName {
    /// The most characters of a name.
    pub const LONGEST: usize = 32;

    /// A name.
    ///
    /// # Errors
    ///
    /// [`LimitListError::BadName`].
    pub fn new(name: &str) -> Result<Self, LimitListError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_name = name.len() <= Self::LONGEST
            && name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
            && name.bytes().all(is_plain);
        if is_name { Ok(Self(name.into())) } else { Err(LimitListError::BadName) }
    }
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl LimitId {
    /// The most limits of a scope. Products have a window from a second to a year each, which are six.
    pub const MOST_IN_SCOPE: usize = 8;

    /// The most limits of a gateway.
    pub const MOST: usize = Self::MOST_IN_SCOPE * Scope::ALL.len();

    /// The limit of a scope at a place in its list, from 0; `None` beyond [`LimitId::MOST_IN_SCOPE`].
    pub const fn new(scope: Scope, place: usize) -> Option<Self> {
        if place < Self::MOST_IN_SCOPE { Some(Self { scope, place: place as u8 }) } else { None }
    }

    /// The first limit of a scope.
    pub const fn first(scope: Scope) -> Self {
        Self { scope, place: 0 }
    }

    /// The scope.
    pub const fn scope(self) -> Scope {
        self.scope
    }

    /// The place in the scope's list, from 0.
    pub const fn place(self) -> usize {
        self.place as usize
    }

    /// Below [`LimitId::MOST`], and ascending in the order in which a request meets the limits.
    pub(crate) const fn slot(self) -> usize {
        self.scope as usize * Self::MOST_IN_SCOPE + self.place as usize
    }

    pub(crate) const fn of_slot(slot: usize) -> Self {
        let scope = Scope::ALL[slot / Self::MOST_IN_SCOPE % Scope::ALL.len()];
        Self { scope, place: (slot % Self::MOST_IN_SCOPE) as u8 }
    }
}

impl LimitFacts {
    /// What is shown of each, in the order in which a request meets them.
    pub fn iter(&self) -> impl Iterator<Item = &LimitFact> {
        self.0.iter()
    }

    /// What a limit is called; its scope's name for one that there is not.
    pub fn label(&self, limit: LimitId) -> &str {
        let known = self.0.iter().find(|fact| fact.id == limit);
        known.map_or_else(|| limit.scope.name(), |fact| &fact.label)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rate_limit::Algorithm;

    fn rule(name: Option<&str>) -> LimitRule {
        let limit = RateLimit::new(Algorithm::FixedWindow, 1, Duration::from_secs(60)).unwrap();
        LimitRule { name: name.map(|name| LimitName::new(name).unwrap()), ..limit.into() }
    }

    #[test]
    fn a_limit_is_called_by_its_scope_its_name_or_its_place() {
        let list =
            |names: &[Option<&str>]| LimitList::new(names.iter().map(|name| rule(*name)).collect()).unwrap();
        let limits = RateLimits {
            per_ip: list(&[None]),
            per_key: list(&[None, Some("minute"), None]),
            global: list(&[Some("all")]),
            ..RateLimits::default()
        };
        let labels: Vec<String> = limits.iter().map(|(id, _)| limits.label(id)).collect();
        assert_eq!(labels, ["per_ip", "per_key[0]", "per_key.minute", "per_key[2]", "global"]);
        let facts = limits.facts();
        assert_eq!(facts.iter().map(|fact| &*fact.label).collect::<Vec<_>>(), labels);
    }

    #[test]
    fn a_list_is_short_and_has_no_name_twice() {
        let rules = |count| (0..count).map(|_| rule(None)).collect();
        assert!(LimitList::new(rules(8)).is_ok());
        assert_eq!(LimitList::new(rules(9)), Err(LimitListError::TooMany { found: 9 }));
        let name = LimitName::new("a").unwrap();
        let twice = LimitList::new(vec![rule(Some("a")), rule(None), rule(Some("a"))]);
        assert_eq!(twice, Err(LimitListError::NameTwice { name, place: 2 }));
        for bad in ["", "1", "a b", "-a", "ä", &"a".repeat(33)] {
            assert_eq!(LimitName::new(bad), Err(LimitListError::BadName), "{bad}");
        }
        assert!(LimitName::new(&"a".repeat(32)).is_ok() && LimitName::new("per-second_2").is_ok());
    }

    #[test]
    fn slots_and_ids_are_the_same_thing() {
        for slot in 0..LimitId::MOST {
            assert_eq!(LimitId::of_slot(slot).slot(), slot);
        }
        assert_eq!(LimitId::new(Scope::Global, 7).unwrap().slot(), LimitId::MOST - 1);
        assert_eq!(LimitId::new(Scope::Global, 8), None);
    }
}
