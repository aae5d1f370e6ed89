//! The recommendation in sentences: what to take, what it costs, how sure that is.

use std::fmt::Write as _;

use crate::measure::catalogue::{
    BLAST_RADIUS, CONTAINMENT_TIME, DIRECT_DAMAGE, GOODPUT, RECOVERY_TIME, UNAUTHORIZED_REACHED,
};
use crate::measure::gauge::Gauge;
use crate::result::expectation::NotJudged;
use crate::result::experiment::{ExperimentResult, Setting};
use crate::tell::differences::{Difference, entries, is_within_an_entry, told_once};
use crate::tell::recommendation::{
    Ranking, Recommendation, SetAside, Sureness, changes, is_level, setting_of_clients,
};
use crate::words::format::Dimension;
use crate::words::{format, text};

/// What the terminal, the page and the summary of a CI job say first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    /// Which configuration to take and what it costs.
    pub(crate) headline: String,
    /// How sure that is; `None` where nothing is named.
    pub(crate) sureness: Option<String>,
    /// What else bears on the choice: ties, trade-offs, what was set aside, other worlds.
    pub(crate) notes: Vec<String>,
}

impl Advice {
    /// What there is to say of a result.
    pub(crate) fn of(result: &ExperimentResult, recommendation: &Recommendation) -> Self {
        let teller = Teller { result, recommendation };
        let Some((first, others)) = recommendation.groups.split_first() else {
            return Self {
                headline: "The scenario has no variant.".to_owned(),
                sureness: None,
                notes: Vec::new(),
            };
        };
        let mut notes = teller.notes(first);
        notes.extend(teller.weights());
        notes.extend(others.iter().filter_map(|ranking| teller.of_another_world(ranking)));
        Self {
            headline: teller.headline(first, others.is_empty()),
            sureness: first.pick().filter(|_| first.ranked.len() > 1).map(|_| teller.sureness(first)),
            notes,
        }
    }
}

struct Teller<'a> {
    result: &'a ExperimentResult,
    recommendation: &'a Recommendation,
}

impl Teller<'_> {
    fn headline(&self, ranking: &Ranking, is_only_world: bool) -> String {
        let Some(pick) = ranking.pick() else { return self.nobody(ranking) };
        let (name, came_to) = (self.name(pick), self.came_to(pick));
        if ranking.ranked.len() == 1 {
            let why = match (ranking.set_aside.is_empty(), is_only_world) {
                (true, true) => format!("There is only one configuration, {name}"),
                (true, false) => format!("No other variant has the upstreams, faults and load of {name}"),
                (false, _) => format!("Every configuration but {name} was set aside"),
            };
            return sentence(&why, &came_to);
        }
        let changes = self.changes(pick);
        let verb = if changes.is_none() { "Keep" } else { "Take" };
        let mut headline = sentence(&format!("{verb} {name}"), &came_to);
        if let Some(changes) = changes {
            headline.truncate(headline.len() - 1);
            let _ = write!(headline, "; it needs {changes}.");
        }
        if let Some(other) = ranking.without_clients {
            let _ = write!(
                headline,
                " With the gateway alone: {}{}.",
                self.name(other),
                self.beside(other, pick)
            );
        }
        headline
    }

    fn nobody(&self, ranking: &Ranking) -> String {
        let reasons: Vec<String> = ranking
            .set_aside
            .iter()
            .map(|(place, why)| format!("{} ({})", self.name(*place), reason(*why)))
            .collect();
        format!("No configuration can be named: {} set aside.", was(&reasons))
    }

    /// What the variant came to, in the measures of the objective.
    fn came_to(&self, variant: usize) -> Vec<String> {
        let mut parts: Vec<String> = Vec::new();
        let mut said_hurt = false;
        for objective in &self.recommendation.objective {
            let Some(value) = self.value(variant, objective) else { continue };
            let is_weighed = self.recommendation.weighs(objective);
            let is = |kind| objective.is(kind);
            let part = match () {
                () if is(&BLAST_RADIUS) && value <= 0.0 => "nobody else was hurt".to_owned(),
                () if is(&BLAST_RADIUS) => {
                    format!(
                        "{} of the requests that needed nothing failed were hurt",
                        Dimension::Share.show(value)
                    )
                }
                () if is(&DIRECT_DAMAGE) => {
                    let verb = if said_hurt { "were" } else { "were hurt" };
                    format!(
                        "{} of the requests that needed the failed services {verb}",
                        Dimension::Share.show(value)
                    )
                }
                () if is(&RECOVERY_TIME) && value.is_infinite() => "goodput never came back".to_owned(),
                () if is(&CONTAINMENT_TIME) && value.is_infinite() => {
                    "the harm was never contained".to_owned()
                }
                () if is(&UNAUTHORIZED_REACHED) && value <= 0.0 => {
                    "nobody without a valid identity reached an application".to_owned()
                }
                () if is(&UNAUTHORIZED_REACHED) => {
                    format!(
                        "{} attempts without a valid identity reached an application",
                        objective.unit.show(value)
                    )
                }
                () if is(&GOODPUT) && parts.is_empty() && !is_weighed => {
                    let slo = format::latency_us(self.result.scenario.slo_latency_us);
                    format!("{} were served within the SLO of {slo}", per_s(value))
                }
                // A time and a rate that are no problem are in the table.
                () if is(&RECOVERY_TIME) || is(&CONTAINMENT_TIME) || (is(&GOODPUT) && !parts.is_empty()) => {
                    continue;
                }
                () => format!("the {} was {}", self.words(objective), show(objective, value)),
            };
            said_hurt |= is(&BLAST_RADIUS);
            parts.push(part);
        }
        parts
    }

    /// `, 22.8%`: the first measure of the objective in which two variants differ by more than its margin.
    fn beside(&self, variant: usize, pick: usize) -> String {
        let differs = self.recommendation.objective.iter().find_map(|objective| {
            let (one, other) = (self.value(variant, objective)?, self.value(pick, objective)?);
            (!is_level(objective, one, other))
                .then(|| format!(", {} {}", self.words(objective), show(objective, one)))
        });
        differs.unwrap_or_else(|| ", which does the same".to_owned())
    }

    fn notes(&self, ranking: &Ranking) -> Vec<String> {
        let mut notes = Vec::new();
        if let [first, second, ..] = ranking.tied.as_slice() {
            let names: Vec<String> = ranking.tied.iter().map(|place| self.name(*place)).collect();
            let [one, other] = [first, second].map(|place| changes(self.result, *place).count());
            let why = if one < other { "changes the fewest settings" } else { "stands first in the file" };
            notes.push(format!(
                "{} do the same within the margins; {} {why}.",
                text::list(&names),
                self.name(*first)
            ));
        }
        for trade_off in ranking.trade_offs.iter().take(MOST_NOTES) {
            let objective = &self.recommendation.objective[trade_off.measure];
            notes.push(format!(
                "{} is better in {}: {} in the place of {}.",
                self.name(trade_off.variant),
                self.words(objective),
                show(objective, trade_off.value),
                show(objective, trade_off.of_pick)
            ));
        }
        let aside: Vec<String> = ranking
            .set_aside
            .iter()
            .map(|(place, why)| format!("{} ({})", self.name(*place), reason(*why)))
            .collect();
        if !aside.is_empty() && ranking.pick().is_some() {
            notes.push(format!("{} set aside.", was(&aside)));
        }
        notes
    }

    /// What to take in a world that is not the first variant's.
    fn of_another_world(&self, ranking: &Ranking) -> Option<String> {
        let pick = ranking.pick()?;
        let others: Vec<String> = ranking.ranked.iter().skip(1).map(|place| self.name(*place)).collect();
        if others.is_empty() {
            return None;
        }
        let instead =
            if others.len() > MOST_NAMES { format!("{} others", others.len()) } else { text::list(&others) };
        let subject = format!("With other upstreams, faults or load, {} before {instead}", self.name(pick));
        Some(sentence(&subject, &self.came_to(pick)))
    }

    fn sureness(&self, ranking: &Ranking) -> String {
        if let Some(Sureness { agree, seeds, at_least }) = ranking.sureness {
            return format!("Picked on {agree} of {seeds} mornings (at least {}).", whole_percent(at_least));
        }
        let seed = self.result.scenario.seeds.first().copied().unwrap_or_default();
        format!("One morning (seed {seed}): --seeds 20 tells how sure this is.")
    }

    /// What the variant changes of the first, in a phrase; `None` where it changes nothing.
    fn changes(&self, variant: usize) -> Option<String> {
        let (of_clients, others): (Vec<&Setting>, Vec<_>) =
            changes(self.result, variant).partition(|change| setting_of_clients(&change.key).is_some());
        // What is alike for all upstreams is one change to whoever makes it.
        let mut whole: Vec<Difference> = Vec::new();
        for change in others {
            let key = self.without(variant, change).unwrap_or(&change.key);
            let told = Difference { key: text::line(key), values: vec![change.value.clone()] };
            if !whole.contains(&told) {
                whole.push(told);
            }
        }
        let others = told_once(whole, entries(self.result)).into_iter();
        let mut parts: Vec<String> = others
            .map(|change| assigned(&change.key, change.values.first().map_or("", |value| value)))
            .collect();
        for change in of_clients {
            let part = phrase(change);
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        let more = parts.len().saturating_sub(MOST_CHANGES);
        if more > 1 {
            parts.truncate(MOST_CHANGES);
            parts.push(format!("{more} more changes"));
        }
        (!parts.is_empty()).then(|| text::list(&parts))
    }

    /// The widest table of an upstream, a client or a route that a variant has nothing of, if a setting is gone with that table:
    /// `upstreams.orders.auth` for `upstreams.orders.auth.required_claims.role`.
    fn without<'s>(&self, variant: usize, change: &'s Setting) -> Option<&'s str> {
        if change.value != NOT_SET {
            return None;
        }
        let settings = &self.result.variants[variant].settings;
        let is_gone = |table: &&str| {
            let within = |key: &str| key.strip_prefix(*table).is_some_and(|rest| rest.starts_with('.'));
            let mut of_table = settings.iter().filter(|setting| within(&setting.key));
            is_within_an_entry(table) && of_table.all(|setting| setting.value == NOT_SET)
        };
        let mut tables = change.key.match_indices('.').map(|(end, _)| &change.key[..end]);
        tables.find(is_gone)
    }

    fn value(&self, variant: usize, objective: &Gauge) -> Option<f64> {
        self.recommendation.value(objective, &self.result.variants[variant])
    }

    fn words(&self, objective: &Gauge) -> String {
        self.recommendation.words(objective)
    }

    /// Which requests count more or less than others; `None` where all count alike in what was asked.
    fn weights(&self) -> Option<String> {
        self.recommendation.objective.iter().find(|objective| self.recommendation.weighs(objective))?;
        let weights = self.result.scenario.weights.iter();
        let told = weights.map(|weight| format!("{} by {}", text::name(&weight.route), weight.weight));
        let told = text::list_some(&told.collect::<Vec<_>>(), MOST_NAMES);
        Some(format!("These figures weigh requests by their route: {told}, any other by 1."))
    }

    fn name(&self, variant: usize) -> String {
        text::name(&self.result.variants[variant].name)
    }
}

/// A value of a measure of the objective, with its unit.
pub(crate) fn show(objective: &Gauge, value: f64) -> String {
    if value.is_infinite() { "never".to_owned() } else { objective.unit.show(value) }
}

/// More are told by their number.
const MOST_NAMES: usize = 3;
const MOST_CHANGES: usize = 3;
/// So many trade-offs are told.
const MOST_NOTES: usize = 3;

/// `SUBJECT: one, two and three.`
fn sentence(subject: &str, parts: &[String]) -> String {
    match parts {
        [] => format!("{subject}."),
        [init @ .., last] if !init.is_empty() => format!("{subject}: {}, and {last}.", init.join(", ")),
        [only, ..] => format!("{subject}: {only}."),
    }
}

/// `a (why) and b (why) were`.
fn was(names: &[String]) -> String {
    format!("{} {}", text::list(names), if names.len() == 1 { "was" } else { "were" })
}

fn reason(why: SetAside) -> String {
    match why {
        SetAside::NotJudged(NotJudged::Invalid) => "the harness could not keep up".to_owned(),
        SetAside::NotJudged(NotJudged::Interrupted) => "the run was interrupted".to_owned(),
        SetAside::NotJudged(NotJudged::NotRun) => "it was not run".to_owned(),
        SetAside::Strict(share) => {
            format!("it turns {} of the good requests away without any fault", Dimension::Share.show(share))
        }
    }
}

/// `the clients' retries changed` or `clients.shoppers.rate = 5/s`.
fn phrase(change: &Setting) -> String {
    match setting_of_clients(&change.key) {
        Some(setting) if setting.starts_with("retry") => "the clients' retries changed".to_owned(),
        Some(setting) if setting.starts_with("timeout") => "the clients' timeout changed".to_owned(),
        _ => assigned(&text::line(&change.key), &change.value),
    }
}

/// `gateway.timeout = 5s`; a short value is not torn from its setting. `no gateway.timeout` of a setting that is gone.
fn assigned(key: &str, value: &str) -> String {
    if value == NOT_SET {
        return format!("no\u{a0}{key}");
    }
    let value = text::line(value);
    let shown = text::cut(&value, WIDEST_VALUE);
    // Between two parts rather than within a word: `50% of at least 20 over 30s, …`.
    let shown = match shown.rfind(", ") {
        Some(end) if *shown != *value => format!("{}, …", &shown[..end]),
        _ => shown.into_owned(),
    };
    // A long run without a break would be torn within a word where there is little room.
    let before = if shown.contains(' ') || key.len() + shown.len() > LONGEST_RUN { ' ' } else { '\u{a0}' };
    format!("{key}\u{a0}={before}{shown}")
}

/// How a setting that a variant does not have reads.
const NOT_SET: &str = "–";

/// A setting and its value stay together on a line up to so many characters.
const LONGEST_RUN: usize = 24;

/// A longer value is cut.
const WIDEST_VALUE: usize = 40;

fn per_s(value: f64) -> String {
    if value >= 10.0 {
        format!("{}/s", format::count(value.round() as u64))
    } else {
        format!("{}/s", format::rate(value))
    }
}

/// Rounded down: what is certain to 86.09% is at least 86%.
fn whole_percent(share: f64) -> String {
    format!("{}%", (share * 100.0).floor() as u64)
}
