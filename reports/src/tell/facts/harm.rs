//! What the faults did to whom, for how long, and what the circuit breakers made of it.
//!
//! All of it is measured against the run without faults, request by request, so here sentences may say what elsewhere
//! none may: that the faults did it.

use crate::record::harm::JUDGED_OVER;
use crate::result::experiment::{ExperimentResult, VariantResult};
use crate::result::harm::{HarmResult, RouteHarm};
use crate::result::run::{BreakerResult, RunResult};
use crate::result::spread::Spread;
use crate::tell::facts::{
    ENOUGH_FOR_A_SHARE, Group, WORTH_TELLING, descending, per_praised_variant, plain_names, short, told,
    under_each,
};
use crate::tell::side_by_side::runs;
use crate::words::format::{self, Clock, Dimension};
use crate::words::text;

/// How many breakers of a variant a sentence names one by one.
const BREAKERS_TOLD: usize = 3;

/// When anybody sent on routes that do not depend on what failed; the variant that hurt most of them first.
pub(super) fn who_else_was_hurt(result: &ExperimentResult) -> Option<String> {
    let groups =
        descending(&per_praised_variant(result, |run| run.harm.as_ref()?.collateral_tally().share()));
    let (worst, rest) = groups.split_first()?;
    let counted = |group: &Group, count: fn(&HarmResult) -> f64| {
        let counted = Spread::over(group.variants.first()?, |run| Some(count(run.harm.as_ref()?)));
        counted.map(|spread| Dimension::Count.show(spread.median))
    };
    let hurt =
        |group: &Group| counted(group, |harm| harm.collateral_tally().hurt().round()).unwrap_or_default();
    let total = counted(worst, |harm| harm.collateral_tally().total() as f64)?;
    if worst.value == 0.0 {
        return Some(format!(
            "Under {}, the faults hurt none of the {total} requests that do not depend on what failed.",
            plain_names(worst)
        ));
    }
    let mut parts = vec![format!(
        "Under {} the faults hurt {} of the requests that do not depend on what failed ({} of {total}){}",
        plain_names(worst),
        Dimension::Share.show(worst.value),
        hurt(worst),
        worst.variants.first().map_or_else(String::new, |variant| where_it_hurt(variant))
    )];
    parts.extend(told(rest).iter().map(|group| {
        if group.value == 0.0 {
            // Each by its name: this is what everybody else should do.
            let names: Vec<String> = group.variants.iter().map(|variant| short(&variant.name)).collect();
            format!("under {} nobody else was hurt", text::list(&names))
        } else {
            let names = plain_names(group);
            format!("under {names} it was {} ({})", Dimension::Share.show(group.value), hurt(group))
        }
    }));
    if told(rest).len() < rest.len() {
        parts.push("the others lie between".to_owned());
    }
    Some(parts.join("; ") + ".")
}

/// `, /account worst with 40%`; of a single route, that it was all there.
fn where_it_hurt(variant: &VariantResult) -> String {
    let harms = || variant.runs.iter().filter_map(|run| run.harm.as_ref());
    let of = |harm: &'_ HarmResult, name: &str| harm.routes.iter().position(|route| route.name == name);
    let collateral = |route: &&RouteHarm| !route.direct && route.tally().total() > 0;
    let routes: Vec<&RouteHarm> =
        harms().next().map_or_else(Vec::new, |harm| harm.routes.iter().filter(collateral).collect());
    if let [only] = routes.as_slice() {
        return format!(", all on {}", short(&only.name));
    }
    let share = |name: &str| {
        let share = |run: &RunResult| {
            let harm = run.harm.as_ref()?;
            let requests = harm.routes[of(harm, name)?].tally();
            requests.share().filter(|_| requests.total() >= ENOUGH_FOR_A_SHARE)
        };
        Spread::over(variant, share).map(|spread| spread.median)
    };
    let shares = routes.iter().filter_map(|route| Some((route.name.as_str(), share(&route.name)?)));
    // Of equals the first.
    let worst = shares.reduce(|worst, other| if other.1 > worst.1 { other } else { worst });
    worst.map_or_else(String::new, |(name, share)| {
        format!(", {} worst with {}", short(name), Dimension::Share.show(share))
    })
}

/// When anybody sent on routes that depend on what failed; compared where it differs by at least five points.
pub(super) fn direct_damage(result: &ExperimentResult) -> Option<String> {
    let mut groups =
        descending(&per_praised_variant(result, |run| run.harm.as_ref()?.direct_tally().share()));
    groups.reverse();
    let (least, rest) = groups.split_first()?;
    match rest.last() {
        Some(most) if most.value - least.value >= WORTH_TELLING => Some(format!(
            "Direct damage was least under {}: {} of the requests that depend on what failed were hurt; it was {}.",
            plain_names(least),
            Dimension::Share.show(least.value),
            under_each(rest, Dimension::Share),
        )),
        _ => Some(format!(
            "Of the requests that depend on what failed, the faults hurt {}.",
            under_each(&groups, Dimension::Share)
        )),
    }
}

/// When goodput took any time to come back, or did not in the ten seconds or more that the run went on after the last
/// fault; of a shorter run nobody can tell.
pub(super) fn recovery(result: &ExperimentResult) -> Option<String> {
    let last_fault_end_us = runs(result).find_map(|run| run.harm.as_ref())?.last_fault_end_us;
    let went_on_us = result.scenario.duration_s * 1e6 - last_fault_end_us as f64;
    if went_on_us < JUDGED_OVER as f64 * 1e6 {
        return None;
    }
    let (never, times) = by_time(result, |run| run.harm.as_ref()?.recovered_after_us());
    let took_time = times.iter().any(|group| group.value > 0.0);
    let outlived = never.map(|never| {
        format!(
            "Under {} the outage outlived its cause (metastable): in the {} from the last fault's end to the end of the \
             run, goodput never came back to 99% of that without faults.",
            plain_names(&never),
            format::span(went_on_us)
        )
    });
    let came_back = (!times.is_empty() && (took_time || outlived.is_some())).then(|| {
        format!(
            "From the last fault's end, goodput took {} to come back to 99% of that without faults.",
            under_each(&times, Dimension::UntilUs)
        )
    });
    sentences([outlived, came_back])
}

/// When collateral harm took any time to end, or did not end.
pub(super) fn containment(result: &ExperimentResult) -> Option<String> {
    let (never, mut times) = by_time(result, |run| {
        let harm = run.harm.as_ref()?;
        harm.contained_after_us().filter(|_| harm.collateral.hurt > 0)
    });
    times.retain(|group| group.value > 0.0);
    let contained = (!times.is_empty()).then(|| {
        format!(
            "From the first fault, it took {} until at most 1% of the requests that do not depend on what failed were hurt \
             in any later ten seconds.",
            under_each(&times, Dimension::UntilUs)
        )
    });
    let uncontained = never.map(|never| {
        format!(
            "Under {} the harm to requests that do not depend on what failed was not contained before the run ended.",
            plain_names(&never)
        )
    });
    sentences([contained, uncontained])
}

/// When circuit breakers opened under the variant; the first to open first.
pub(super) fn breakers(result: &ExperimentResult) -> Vec<String> {
    let mut told: Vec<(String, Vec<&VariantResult>)> = Vec::new();
    for variant in &result.variants {
        let Some(text) = breakers_of(result, variant) else { continue };
        match told.iter_mut().find(|(known, _)| *known == text) {
            Some((_, variants)) => variants.push(variant),
            None => told.push((text, vec![variant])),
        }
    }
    let sentence = |(text, variants): (String, Vec<&VariantResult>)| {
        format!("Under {}, {text}.", plain_names(&Group { value: 0.0, variants }))
    };
    told.into_iter().map(sentence).collect()
}

/// `the breaker of checkout opened 17.5 s after the first fault and closed at 09:03:57; that of …`.
fn breakers_of(result: &ExperimentResult, variant: &VariantResult) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for breaker in variant.runs.iter().flat_map(|run| &run.breakers) {
        if !names.contains(&breaker.name.as_str()) {
            names.push(&breaker.name);
        }
    }
    let mut opened: Vec<Opened> = names.into_iter().filter_map(|name| Opened::of(variant, name)).collect();
    opened.sort_by(|a, b| a.first_us.total_cmp(&b.first_us));
    let clock = result.scenario.clock();
    let first_fault_us =
        runs(result).find_map(|run| run.harm.as_ref()).map(|harm| harm.first_fault_us as f64);
    let mut parts: Vec<String> = Vec::new();
    for breaker in opened.iter().take(BREAKERS_TOLD) {
        let whose = if parts.is_empty() { "the breaker of" } else { "that of" };
        parts.push(format!("{whose} {} {}", short(breaker.name), breaker.told(clock, first_fault_us)));
    }
    match opened.len().saturating_sub(BREAKERS_TOLD) {
        0 => {}
        1 => parts.push("one more opened later".to_owned()),
        more => parts.push(format!("{more} more opened later")),
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// What a breaker that opened did.
struct Opened<'a> {
    name: &'a str,
    first_us: f64,
    times: f64,
    /// Infinite where it was not closed in the end.
    closed_us: f64,
}

impl<'a> Opened<'a> {
    fn of(variant: &VariantResult, name: &'a str) -> Option<Self> {
        let over = |measure: &dyn Fn(&BreakerResult) -> Option<f64>| {
            let find = |run: &RunResult| measure(run.breakers.iter().find(|breaker| breaker.name == name)?);
            Spread::over(variant, find).map(|spread| spread.median)
        };
        let first_us = over(&|breaker| {
            breaker.changes.iter().find(|change| change.to == "open").map(|change| change.at_us as f64)
        })?;
        let times =
            over(
                &|breaker| Some(breaker.changes.iter().filter(|change| change.to == "open").count() as f64),
            )?;
        let closed_us = over(&|breaker| {
            let last = breaker.changes.last()?;
            Some(if last.to == "closed" { last.at_us as f64 } else { f64::INFINITY })
        })?;
        Some(Self { name, first_us, times, closed_us })
    }

    fn told(&self, clock: Clock, first_fault_us: Option<f64>) -> String {
        let opened = match first_fault_us {
            Some(fault_us) if self.first_us >= fault_us => {
                format!("opened {} after the first fault", format::latency(self.first_us - fault_us))
            }
            Some(_) => format!("opened at {}, before the first fault", clock.at_s(self.first_us / 1e6)),
            None => format!("opened at {}", clock.at_s(self.first_us / 1e6)),
        };
        let often = self.times >= 2.0;
        let times = match Dimension::Count.show(self.times) {
            _ if !often => String::new(),
            twice if twice == "2" => ", twice in all,".to_owned(),
            times => format!(", {times} times in all,"),
        };
        let closed = if self.closed_us.is_finite() {
            let last = if often { " last" } else { "" };
            format!("closed{last} at {}", clock.at_s(self.closed_us / 1e6))
        } else {
            "had not closed when the run ended".to_owned()
        };
        format!("{opened}{times} and {closed}")
    }
}

/// The variants for which it never came about, and the others from the shortest time up.
fn by_time(
    result: &ExperimentResult,
    measure: impl Fn(&RunResult) -> Option<f64>,
) -> (Option<Group<'_>>, Vec<Group<'_>>) {
    let mut groups = descending(&per_praised_variant(result, measure));
    groups.reverse();
    let never = groups.pop_if(|last| last.value.is_infinite());
    (never, groups)
}

fn sentences(sentences: [Option<String>; 2]) -> Option<String> {
    let told: Vec<String> = sentences.into_iter().flatten().collect();
    (!told.is_empty()).then(|| told.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::harm::HarmCount;
    use crate::tell::facts::facts;
    use crate::testing;

    fn harm(result: &mut ExperimentResult, variant: usize) -> &mut HarmResult {
        result.variants[variant].runs[0].harm.as_mut().unwrap()
    }

    #[test]
    fn an_incident_is_told_first_and_in_full() {
        let result = testing::incident();
        insta::assert_snapshot!(facts(&result)[..5].join("\n"));
        assert!(!facts(&result).iter().any(|fact| fact.starts_with("Within")), "no limit was near");
    }

    #[test]
    fn without_faults_nothing_is_told_of_them() {
        let result = testing::window_boundary();
        assert_eq!(who_else_was_hurt(&result), None);
        assert_eq!(direct_damage(&result), None);
        assert_eq!(recovery(&result), None);
        assert_eq!(containment(&result), None);
        assert!(breakers(&result).is_empty());
    }

    #[test]
    fn the_worst_of_several_routes_is_named_and_a_handful_of_requests_is_no_route() {
        let mut result = testing::incident();
        result.variants.truncate(1);
        let route = |name: &str, hurt, total| RouteHarm {
            name: name.to_owned(),
            direct: false,
            requests: HarmCount { hurt, total },
            unpaired: None,
        };
        harm(&mut result, 0).routes =
            vec![route("/pages", 1, 4000), route("/account", 1675, 4186), route("/odd", 19, 19)];
        assert_eq!(
            who_else_was_hurt(&result).unwrap(),
            "Under quickstart the faults hurt 18.8% of the requests that do not depend on what failed (1,676 of 8,905), \
             /account worst with 40%."
        );
        harm(&mut result, 0).routes = vec![route("/pages", 1, 19), route("/odd", 19, 19)];
        assert!(who_else_was_hurt(&result).unwrap().ends_with("(1,676 of 8,905)."));
    }

    #[test]
    fn where_nobody_else_was_hurt_that_is_told_and_where_nobody_was_it_is_not() {
        let mut result = testing::incident();
        for variant in 0..4 {
            harm(&mut result, variant).collateral.hurt = 0;
        }
        assert_eq!(
            who_else_was_hurt(&result).unwrap(),
            "Under quickstart, timeout, breaker and recommended, the faults hurt none of the 8,905 requests that do not \
             depend on what failed."
        );
        assert_eq!(containment(&result), None);
        for variant in 0..4 {
            harm(&mut result, variant).collateral.total = 0;
        }
        assert_eq!(who_else_was_hurt(&result), None);
    }

    #[test]
    fn direct_damage_is_compared_from_five_points_on() {
        let told = |hurt: u64| {
            let mut result = testing::incident();
            result.variants.truncate(2);
            for (variant, hurt) in [300, hurt].into_iter().enumerate() {
                harm(&mut result, variant).direct = HarmCount { hurt, total: 1000 };
            }
            direct_damage(&result).unwrap()
        };
        assert_eq!(
            told(240),
            "Direct damage was least under timeout: 24% of the requests that depend on what failed were hurt; it was 30% \
             under quickstart."
        );
        assert_eq!(
            told(251),
            "Of the requests that depend on what failed, the faults hurt 25.1% under timeout and 30% under quickstart."
        );
    }

    #[test]
    fn an_outage_outlived_its_cause_only_where_the_run_went_on_long_enough_to_tell() {
        let mut result = testing::incident();
        assert!(recovery(&result).unwrap().starts_with("Under quickstart the outage outlived its cause"));
        result.scenario.duration_s = 69.9;
        assert_eq!(recovery(&result), None);
        result.scenario.duration_s = 70.0;
        result.variants.truncate(2);
        harm(&mut result, 1).recovery_us = Some(0);
        assert_eq!(
            recovery(&result).unwrap(),
            "Under quickstart the outage outlived its cause (metastable): in the 10 s from the last fault's end to the end \
             of the run, goodput never came back to 99% of that without faults. From the last fault's end, goodput took 0 s under \
             timeout to come back to 99% of that without faults."
        );
        harm(&mut result, 0).recovery_us = Some(0);
        assert_eq!(recovery(&result), None, "nothing to recover from");
        let quickstart = harm(&mut result, 0);
        (quickstart.recovery_us, quickstart.recovery_observed) = (None, false);
        assert_eq!(recovery(&result), None, "what nobody could see did not stay away");
    }

    #[test]
    fn containment_is_told_of_those_under_which_others_were_hurt() {
        let mut result = testing::incident();
        assert_eq!(
            containment(&result).unwrap(),
            "From the first fault, it took 36 s under quickstart and 37 s under breaker until at most 1% of the requests \
             that do not depend on what failed were hurt in any later ten seconds."
        );
        harm(&mut result, 0).containment_us = None;
        assert!(containment(&result).unwrap().ends_with(
            "in any later ten seconds. Under quickstart the harm to requests that do not depend on what failed was not \
             contained before the run ended."
        ));
        harm(&mut result, 2).containment_us = Some(0);
        assert_eq!(
            containment(&result).unwrap(),
            "Under quickstart the harm to requests that do not depend on what failed was not contained before the run ended."
        );
    }

    #[test]
    fn breakers_are_told_by_their_first_opening_and_their_last_change() {
        let mut result = testing::incident();
        let told = breakers(&result);
        assert_eq!(
            told,
            [
                "Under breaker, the breaker of catalog opened 6.06 s after the first fault and closed at 09:01:16; that of \
                 checkout opened 17.5 s after the first fault, twice in all, and closed last at 09:01:33.",
                "Under recommended, the breaker of checkout→payments opened 9.44 s after the first fault and had not closed \
                 when the run ended.",
            ]
        );
        let recommended = result.variants[3].runs[0].breakers.clone();
        result.variants[0].runs[0].breakers.clone_from(&recommended);
        result.variants[2].runs[0].breakers.clear();
        assert!(breakers(&result)[0].starts_with("Under quickstart and recommended, the breaker of"));
        for breaker in &mut result.variants[0].runs[0].breakers {
            breaker.changes[0].at_us = 29_000_000;
        }
        assert!(breakers(&result)[0].contains("opened at 09:00:29, before the first fault and"));
        let numbered = |number| BreakerResult { name: format!("stock-{number}"), ..recommended[0].clone() };
        let five: Vec<BreakerResult> = (0..5).map(numbered).collect();
        for variant in &mut result.variants {
            variant.runs[0].harm = None;
            variant.runs[0].breakers = five.clone();
        }
        assert_eq!(
            breakers(&result),
            [
                "Under quickstart, timeout, breaker and recommended, the breaker of stock-0 opened at 09:00:39 \
              and had not closed when the run ended; that of stock-1 opened at 09:00:39 and had not closed when \
              the run ended; that of stock-2 opened at 09:00:39 and had not closed when the run ended; 2 more \
              opened later."
            ]
        );
    }
}
