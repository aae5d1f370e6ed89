//! Who turns good requests away without any fault, so that there is little left for a fault to hurt.

use crate::record::harm::HarmTally;
use crate::result::experiment::{ExperimentResult, VariantResult};
use crate::result::praise::Strict;
use crate::result::run::RunResult;
use crate::result::spread::Spread;
use crate::tell::facts::short;
use crate::tell::side_by_side::faulted;
use crate::words::format::Dimension;

/// When something failed and the control of a variant is clearly worse than the best variant's: by how much, and what the
/// harm comes to against that control.
pub(super) fn who_is_strict(result: &ExperimentResult) -> Vec<String> {
    if !faulted(result) {
        return Vec::new();
    }
    let strict = result.variants.iter().filter_map(|variant| Some((variant, variant.strict()?)));
    strict.map(|(variant, strict)| told(variant, &strict)).collect()
}

fn told(variant: &VariantResult, Strict { lost, best }: &Strict) -> String {
    let (name, best) = (short(&variant.name), short(best));
    let share = |tally: fn(&RunResult) -> Option<HarmTally>| {
        Spread::over(variant, |run| tally(run)?.share()).map(|spread| Dimension::Share.show(spread.median))
    };
    let collateral = share(|run| Some(run.strictness.as_ref()?.harm?.collateral_tally()));
    let direct = share(|run| Some(run.strictness.as_ref()?.harm?.direct_tally()));
    let against: Vec<String> = [("blast radius", collateral), ("direct damage", direct)]
        .into_iter()
        .filter_map(|(what, share)| Some(format!("a {what} of {}", share?)))
        .collect();
    let against = if against.is_empty() {
        String::new()
    } else {
        format!(" Against the control of {best} there is {}.", against.join(" and "))
    };
    format!(
        "{name} turns away {} of the good requests even without a fault (those that {best} serves well), so that there is \
         less for a fault to hurt: nothing is said for it.{against}",
        Dimension::Share.show(*lost)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::harm::HarmCount;
    use crate::result::strictness::{CommonHarm, StrictnessResult};
    use crate::tell::facts::facts;
    use crate::tell::side_by_side::SideBySide;
    use crate::testing;

    /// The last of four variants serves 2% of what the others serve well, and is hurt by nothing.
    pub(crate) fn deny_all() -> ExperimentResult {
        let mut result = testing::incident();
        for (place, variant) in result.variants.iter_mut().enumerate() {
            let lost = if place == 3 { 9_800 } else { 100 };
            let run = &mut variant.runs[0];
            let collateral = HarmCount { hurt: 8_727, total: 8_905 };
            let harm =
                CommonHarm { collateral, direct: HarmCount { hurt: 29_000, total: 30_193 }, unpaired: None };
            run.strictness = Some(StrictnessResult {
                best: "quickstart".to_owned(),
                control: HarmCount { hurt: lost, total: 10_000 },
                unpaired: None,
                harm: Some(harm),
            });
        }
        let harm = result.variants[3].runs[0].harm.as_mut().unwrap();
        (harm.collateral.hurt, harm.direct.hurt, harm.recovery_us) = (0, 0, Some(0));
        result
    }

    #[test]
    fn whoever_turns_everybody_away_is_told_so_and_praised_for_nothing() {
        let result = deny_all();
        let told = who_is_strict(&result);
        assert_eq!(
            told,
            [
                "recommended turns away 98% of the good requests even without a fault (those that quickstart serves well), so \
                 that there is less for a fault to hurt: nothing is said for it. Against the control of quickstart there is a \
                 blast radius of 98% and a direct damage of 96%."
            ]
        );
        let facts = facts(&result);
        assert_eq!(facts[0], told[0]);
        // Nobody says that it hurt nobody, had the least damage, or was back at once.
        let praised =
            facts[1..].iter().find(|fact| fact.contains("recommended") && !fact.contains("breaker"));
        assert_eq!(praised, None, "{facts:#?}");
        let table = SideBySide::of(&result);
        for column in &table.columns {
            let mark = column.cells[3].as_ref().and_then(|cell| cell.mark);
            assert_ne!(mark, Some(crate::tell::side_by_side::Extreme::Best), "{}", column.title());
        }
        let titles: Vec<String> =
            table.columns.iter().map(crate::tell::side_by_side::Column::title).collect();
        assert!(titles.iter().any(|title| title == "blast radius vs best control"), "{titles:?}");
    }

    #[test]
    fn two_percent_is_not_strict() {
        let mut result = deny_all();
        result.variants[3].runs[0].strictness.as_mut().unwrap().control.hurt = 200;
        assert!(who_is_strict(&result).is_empty());
        result.variants[3].runs[0].strictness.as_mut().unwrap().control.hurt = 201;
        assert_eq!(who_is_strict(&result).len(), 1);
    }
}
