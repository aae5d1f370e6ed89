//! The rate limits that a gateway is told to keep: which there are, in which order they are asked, and what each is called.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;

use crate::auth::Claims;
use crate::failure_set::FailureSet;
use crate::identity::KeyedBy;
use crate::method::{Method, MethodSet};
use crate::rate_limit::RateLimit;
use crate::route::RouteId;
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
    /// What it counts requests by, of what is known where its scope is asked: in front of the token only addresses are.
    pub by: KeyedBy,
    /// The status of the answer to what it rejects, 400 to 599.
    pub status: u16,
    /// The methods that it counts; those of others pass without being asked. `None` for all.
    pub methods: Option<MethodSet>,
    /// As how many requests one counts, by its route.
    pub costs: Costs,
    /// Other numbers for those who are named; the first tier that names somebody holds.
    pub tiers: Vec<Tier>,
    /// The ends of requests that count, once they are known; `None` for a limit that counts what it lets through, at once.
    pub count: Option<FailureSet>,
}

/// As how many requests a request counts, by its route.
///
/// The default is one each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Costs(Vec<u32>);

/// Somebody's own numbers in place of those of a limit: what usage plans and consumer groups are called elsewhere. Buckets of a
/// tier are its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// What it is called.
    pub name: LimitName,
    /// Who is in it.
    pub members: TierMembers,
    /// How many of their requests it lets through: of the algorithm of its limit.
    pub limit: RateLimit,
}

/// Who is in a tier: whoever has one of these keys, or makes all of these claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TierMembers {
    /// API keys.
    pub keys: Vec<TierKeys>,
    /// Claims of a verified token by their names, each with its value; none if it is empty.
    pub claims: Vec<(String, Value)>,
}

/// Some API keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TierKeys {
    /// This one.
    One(String),
    /// So many in a row: the text and a number from 0 on, such as `partner-0`.
    Numbered(String, u32),
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
    /// The same of its tiers, each with its name.
    pub tiers: Vec<(Box<str>, u32)>,
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
    /// A limit has more than [`LimitRule::MOST_TIERS`].
    #[error("a limit has at most {} tiers, found {found}", LimitRule::MOST_TIERS)]
    TooManyTiers {
        /// The place of the limit, from 0.
        place: usize,
        /// How many there are.
        found: usize,
    },
    /// A request on a route counts for more than ever passes at once.
    #[error("a cost of {cost} is more than the {allowance} that ever pass at once")]
    CostAboveAllowance {
        /// The place of the limit, from 0.
        place: usize,
        /// The route.
        route: RouteId,
        /// The cost.
        cost: u32,
        /// What passes at once after a rest, of the limit and of each tier.
        allowance: u32,
    },
    /// A limit counts by the ends of requests, and its algorithm has them wait or counts what it rejects.
    #[error("what counts when it has ended can neither wait for its turn nor be counted when it is rejected")]
    CountNotApplicable {
        /// The place of the limit, from 0.
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

    /// For whom a client's requests are counted, where that has to be one: by the first limit for each client. `None` where there
    /// is no such limit.
    pub fn per_key_by(&self) -> Option<&KeyedBy> {
        self.per_key.rules().first().map(|rule| &rule.by)
    }

    /// Whether any of them counts requests by their ends.
    pub fn count_ends(&self) -> bool {
        self.iter().any(|(_, rule)| rule.count.is_some())
    }

    /// What is shown of each.
    pub fn facts(&self) -> Arc<LimitFacts> {
        let fact = |(id, rule): (LimitId, &LimitRule)| LimitFact {
            id,
            label: self.label(id).into(),
            allowance: rule.limit.allowance(),
            tiers: rule
                .tiers
                .iter()
                .map(|tier| (tier.name.to_string().into(), tier.limit.allowance()))
                .collect(),
        };
        Arc::new(LimitFacts(self.iter().map(fact).collect()))
    }
}

impl LimitList {
    /// These limits, asked in this order.
    ///
    /// # Errors
    ///
    /// If there are more than [`LimitId::MOST_IN_SCOPE`], two have one name, or one of them contradicts itself
    /// ([`LimitRule::contradiction`]).
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
            if let Some(error) = rule.contradiction(place) {
                return Err(error);
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

/// A limit without a name, which counts by what its scope is named for and answers 429.
impl From<RateLimit> for LimitRule {
    fn from(limit: RateLimit) -> Self {
        Self {
            name: None,
            limit,
            by: KeyedBy::default(),
            status: Self::TOO_MANY_REQUESTS,
            methods: None,
            costs: Costs::default(),
            tiers: Vec::new(),
            count: None,
        }
    }
}

impl LimitRule {
    /// What a limit answers if it is told nothing else (RFC 6585, 4).
    pub const TOO_MANY_REQUESTS: u16 = 429;

    /// The most tiers of a limit.
    pub const MOST_TIERS: usize = 15;

    /// Whether it counts requests of that method.
    #[inline]
    pub fn counts(&self, method: Method) -> bool {
        self.methods.is_none_or(|methods| methods.includes(method))
    }

    /// Its own numbers for 0, and else those of a tier, counted from 1.
    pub fn of_tier(&self, tier: usize) -> &RateLimit {
        let tier = tier.checked_sub(1).and_then(|place| self.tiers.get(place));
        tier.map_or(&self.limit, |tier| &tier.limit)
    }

    /// The least that passes at once after a rest, of it and of its tiers.
    pub fn least_allowance(&self) -> u32 {
        let tiers = self.tiers.iter().map(|tier| tier.limit.allowance());
        tiers.chain([self.limit.allowance()]).min().unwrap_or(0)
    }

    /// What of it cannot work, if it stands at that place of its list.
    pub fn contradiction(&self, place: usize) -> Option<LimitListError> {
        if self.tiers.len() > Self::MOST_TIERS {
            return Some(LimitListError::TooManyTiers { place, found: self.tiers.len() });
        }
        if self.count.is_some() && (self.limit.algorithm().has_delay() || self.limit.count_rejected()) {
            return Some(LimitListError::CountNotApplicable { place });
        }
        let allowance = self.least_allowance();
        let (route, cost) = self.costs.iter().find(|(_, cost)| *cost > allowance)?;
        Some(LimitListError::CostAboveAllowance { place, route, cost, allowance })
    }
}

impl Costs {
    /// As how many requests one counts on each of these routes; one on any other. Zero is one.
    pub fn new(costs: impl IntoIterator<Item = (RouteId, u32)>) -> Self {
        let mut all = Vec::new();
        for (RouteId(route), cost) in costs {
            let place = route as usize;
            if all.len() <= place {
                all.resize(place + 1, 1);
            }
            all[place] = cost.max(1);
        }
        Self(all)
    }

    /// As how many requests one on that route counts. One that no route serves counts as one.
    #[inline]
    pub fn of(&self, route: Option<RouteId>) -> u32 {
        if self.0.is_empty() {
            return 1;
        }
        route.and_then(|RouteId(route)| self.0.get(route as usize)).copied().unwrap_or(1)
    }

    /// Those that are not one.
    pub fn iter(&self) -> impl Iterator<Item = (RouteId, u32)> {
        (0..).map(RouteId).zip(self.0.iter().copied()).filter(|(_, cost)| *cost != 1)
    }
}

impl TierMembers {
    /// Whether whoever makes these claims is a member by them.
    pub(crate) fn claimed_by(&self, claims: Option<&Claims>) -> bool {
        let Some(claims) = claims.filter(|_| !self.claims.is_empty()) else { return false };
        self.claims.iter().all(|(name, value)| claims.get(name) == Some(value))
    }

    /// The keys, one by one.
    pub(crate) fn each_key(&self) -> impl Iterator<Item = String> {
        self.keys.iter().flat_map(|keys| {
            let (text, count) = match keys {
                TierKeys::One(key) => (key, None),
                TierKeys::Numbered(text, count) => (text, Some(*count)),
            };
            (0..count.unwrap_or(1)).map(move |number| match count {
                Some(_) => format!("{text}{number}"),
                None => text.clone(),
            })
        })
    }
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

    /// How many requests a bucket lets through at one instant after a rest, of a limit's own for tier 0 and else of the tier,
    /// counted from 1; 0 for one that there is not.
    pub fn allowance(&self, limit: LimitId, tier: usize) -> u32 {
        self.0.iter().find(|fact| fact.id == limit).map_or(0, |fact| fact.allowance_of(tier))
    }

    /// What a limit is called; its scope's name for one that there is not.
    pub fn label(&self, limit: LimitId) -> &str {
        let known = self.0.iter().find(|fact| fact.id == limit);
        known.map_or_else(|| limit.scope.name(), |fact| &fact.label)
    }
}

impl LimitFact {
    /// How many requests a bucket lets through at one instant after a rest, of the limit's own for tier 0 and else of the tier,
    /// counted from 1.
    pub fn allowance_of(&self, tier: usize) -> u32 {
        let tier = tier.checked_sub(1).and_then(|place| self.tiers.get(place));
        tier.map_or(self.allowance, |(_, allowance)| *allowance)
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
    fn a_cost_passes_at_once_in_every_tier_or_is_refused() {
        let costs = Costs::new([(RouteId(2), 5), (RouteId(0), 0)]);
        let all = [Some(RouteId(0)), Some(RouteId(1)), Some(RouteId(2)), Some(RouteId(3)), None];
        assert_eq!(all.map(|route| costs.of(route)), [1, 1, 5, 1, 1]);
        assert_eq!(costs.iter().collect::<Vec<_>>(), [(RouteId(2), 5)]);
        let bucket = |burst| {
            let limit = RateLimit::new(Algorithm::TokenBucket, 60, Duration::from_secs(60)).unwrap();
            limit.with_burst(burst).unwrap()
        };
        let tier = |burst| Tier {
            name: LimitName::new("gold").unwrap(),
            members: TierMembers::default(),
            limit: bucket(burst),
        };
        let rule = |burst, tiers| LimitRule { costs: costs.clone(), tiers, ..bucket(burst).into() };
        assert!(LimitList::new(vec![rule(5, vec![tier(5)])]).is_ok());
        let beyond = |allowance| {
            let (place, route, cost) = (0, RouteId(2), 5);
            Err(LimitListError::CostAboveAllowance { place, route, cost, allowance })
        };
        assert_eq!(LimitList::new(vec![rule(4, vec![tier(9)])]), beyond(4));
        assert_eq!(LimitList::new(vec![rule(9, vec![tier(3)])]), beyond(3));
        let many = rule(5, vec![tier(5); 16]);
        assert_eq!(LimitList::new(vec![many]), Err(LimitListError::TooManyTiers { place: 0, found: 16 }));
        let count = Some(FailureSet::USUAL);
        let leaky = RateLimit::new(Algorithm::LeakyBucket, 1, Duration::from_secs(1)).unwrap();
        let counting = vec![bucket(1).into(), LimitRule { count, ..leaky.into() }];
        assert_eq!(LimitList::new(counting), Err(LimitListError::CountNotApplicable { place: 1 }));
    }

    #[test]
    fn members_are_named_by_their_keys_or_by_all_of_their_claims() {
        let members = TierMembers {
            keys: vec![TierKeys::One("acme".into()), TierKeys::Numbered("partner-".into(), 2)],
            claims: vec![("plan".into(), "gold".into()), ("beta".into(), true.into())],
        };
        assert_eq!(members.each_key().collect::<Vec<_>>(), ["acme", "partner-0", "partner-1"]);
        let claimed = |json: &str| members.claimed_by(Some(&Claims::parse(json.as_bytes()).unwrap()));
        assert!(claimed(r#"{"plan":"gold","beta":true,"sub":"a"}"#));
        assert!(!claimed(r#"{"plan":"gold"}"#) && !claimed(r#"{"plan":"gold","beta":"true"}"#));
        assert!(!members.claimed_by(None) && !TierMembers::default().claimed_by(None));
        let nobody = TierMembers::default();
        assert!(!nobody.claimed_by(Some(&Claims::parse(b"{}").unwrap())));
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
