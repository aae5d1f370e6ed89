//! The table of a comparison and the sentences around it, shared by the terminal, the page and the Markdown.

use std::fmt::Write as _;

use crate::compare::sides::requests::PairCount;
use crate::compare::sides::result::{
    ComparisonResult, DifferenceVerdict, MeasureComparison, Method, SettingDifference, VariantComparison,
};
use crate::compare::sides::show;
use crate::tell::differences::{Difference, told_once};
use crate::tell::setting::seeds;
use crate::words::format::{self, Dimension};
use crate::words::text;

/// A measure as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) meaning: String,
    pub(crate) a: String,
    pub(crate) b: String,
    pub(crate) difference: String,
    pub(crate) interval: Option<String>,
    pub(crate) verdict: DifferenceVerdict,
}

impl Row {
    fn of(measure: &MeasureComparison) -> Self {
        Self {
            name: text::line(&measure.name()),
            meaning: text::line(&measure.meaning),
            a: show::side(measure, &measure.a),
            b: show::side(measure, &measure.b),
            difference: show::signed(measure.unit, measure.difference),
            interval: show::interval(measure),
            verdict: measure.verdict,
        }
    }

    /// The word for how B stands to A, with a sign for those who do not see its colour.
    pub(crate) fn word(&self) -> String {
        let sign = match self.verdict {
            DifferenceVerdict::Better => "▲ ",
            DifferenceVerdict::Worse => "▼ ",
            _ => "",
        };
        format!("{sign}{}", self.verdict.word())
    }
}

/// The settings that differ; what is alike for several upstreams, clients or routes is told once.
pub(crate) fn settings(pair: &VariantComparison) -> Vec<SettingDifference> {
    let differences = pair.settings.iter().map(|setting| Difference {
        key: setting.key.clone(),
        values: vec![setting.a.clone(), setting.b.clone()],
    });
    // How many there are of each is not known here.
    let told = told_once(differences.collect(), |_| usize::MAX).into_iter();
    let setting = |Difference { key, values }: Difference| {
        let [a, b] = <[String; 2]>::try_from(values).ok()?;
        Some(SettingDifference { key, a, b })
    };
    told.filter_map(setting).collect()
}

/// What is measured of everybody.
pub(crate) fn headline(pair: &VariantComparison) -> Vec<Row> {
    pair.measures.iter().filter(|measure| measure.is_headline()).map(Row::of).collect()
}

/// What is measured of populations and routes.
pub(crate) fn parts(pair: &VariantComparison) -> Vec<Row> {
    pair.measures.iter().filter(|measure| !measure.is_headline()).map(Row::of).collect()
}

/// The two variants: `quickstart (A) → recommended (B)`; where both have one name, that.
pub(crate) fn title(pair: &VariantComparison) -> String {
    let (a, b) = (text::name(&pair.a), text::name(&pair.b));
    if a == b { format!("{a}, A → B") } else { format!("{a} (A) → {b} (B)") }
}

/// What the whole comparison is called.
pub(crate) fn heading(result: &ComparisonResult) -> String {
    let (a, b) = (text::name(&result.a.scenario), text::name(&result.b.scenario));
    if a == b { a } else { format!("{a} and {b}") }
}

/// Where A and B come from, where that says more than their variants do.
pub(crate) fn sides(result: &ComparisonResult) -> Vec<String> {
    if result.a.label == result.b.label {
        return Vec::new();
    }
    let told = [("A", &result.a), ("B", &result.b)];
    told.map(|(name, side)| format!("{name}: {}, {}", text::line(&side.label), seeds(&side.seeds))).to_vec()
}

/// How runs were set against each other: `20 seeds, 902 to 921, paired`.
pub(crate) fn how(pair: &VariantComparison) -> String {
    match pair.method {
        Method::PairedT => format!("{}, paired by seed", seeds(&pair.seeds)),
        Method::Single => match pair.seeds.as_slice() {
            [] => "one run each".to_owned(),
            of => seeds(of),
        },
        Method::Welch => {
            let runs = |side: fn(&MeasureComparison) -> usize| pair.measures.first().map_or(0, side);
            let (a, b) = (runs(|measure| measure.a.values.len()), runs(|measure| measure.b.values.len()));
            format!("{a} runs of A and {b} of B, not paired")
        }
    }
}

/// In which measures B is better and in which worse, everybody's and those of parts.
pub(crate) fn verdict(result: &ComparisonResult, pair: &VariantComparison) -> String {
    let b = if pair.a == pair.b { "B".to_owned() } else { text::name(&pair.b) };
    let of = |verdict: DifferenceVerdict, is_headline: bool| -> Vec<String> {
        let measures = pair.measures.iter().filter(|measure| measure.is_headline() == is_headline);
        measures
            .filter(|measure| measure.verdict == verdict)
            .map(|measure| {
                format!(
                    "{} ({})",
                    text::line(&measure.name()),
                    show::signed(measure.unit, measure.difference)
                )
            })
            .collect()
    };
    let (better, worse) = (of(DifferenceVerdict::Better, true), of(DifferenceVerdict::Worse, true));
    let told = match (better.is_empty(), worse.is_empty()) {
        (false, true) => format!("{b} is better in {}.", text::list(&better)),
        (true, false) => format!("{b} is worse in {}.", text::list(&worse)),
        (false, false) => {
            format!("{b} is better in {}, and worse in {}.", text::list(&better), text::list(&worse))
        }
        (true, true) => nothing_decided(result, pair, &b),
    };
    let parts = of(DifferenceVerdict::Worse, false);
    if parts.is_empty() || !worse.is_empty() {
        return told;
    }
    format!("{told} Of single populations and routes, it is worse in {}.", text::list_some(&parts, 3))
}

fn nothing_decided(result: &ComparisonResult, pair: &VariantComparison, b: &str) -> String {
    let headline = || pair.measures.iter().filter(|measure| measure.is_headline());
    if headline().all(|measure| measure.verdict == DifferenceVerdict::Same) {
        return format!("{b} does the same: no run differs from its counterpart in any measure.");
    }
    if headline().all(|measure| measure.p.is_none()) {
        return format!("Whether {b} is better or worse cannot be told from one seed.");
    }
    let sure = show::confidence(result.confidence);
    format!("No measure of {b} is better or worse, as far as these runs tell at {sure}.")
}

/// What became of the same requests; `None` where they are not known one by one.
pub(crate) fn requests(pair: &VariantComparison) -> Option<String> {
    let requests = pair.requests.as_ref()?;
    let PairCount { total, only_in_a, only_in_b } = requests.all;
    if total == 0 {
        return None;
    }
    let [total, only_in_a, only_in_b] = [total, only_in_a, only_in_b].map(format::count);
    let mut told = format!(
        "Request by request: of {total}, {only_in_b} were served within the SLO by B and not by A, {only_in_a} by A and \
         not by B."
    );
    if !requests.unpaired.is_empty() {
        let names: Vec<String> = requests.unpaired.iter().map(|name| text::name(name)).collect();
        let names = text::list_some(&names, 4);
        // Writing to a string does not fail.
        let _ = write!(told, " Not among them: {names}, whose requests are not the same in both.");
    }
    Some(told)
}

/// Which latencies are lower bounds, and for what share of the requests.
fn lower_bounds(result: &ComparisonResult) -> Option<String> {
    let mut told: Vec<String> = Vec::new();
    for measure in result.pairs.iter().flat_map(|pair| &pair.measures) {
        for (name, side) in [("A", &measure.a), ("B", &measure.b)] {
            let Some(share) = side.lower_bound_share else { continue };
            let share = Dimension::Share.show(share);
            let sentence = format!("{} of {name}: {share}", text::line(&measure.name()));
            if !told.contains(&sentence) {
                told.push(sentence);
            }
        }
    }
    (!told.is_empty()).then(|| {
        format!(
            "{}a lower bound: requests that gave up or had not ended when the run did count with the time that they waited \
             ({}).",
            format::AT_LEAST,
            text::list_some(&told, 6)
        )
    })
}

/// What a reader has to know to read the numbers.
pub(crate) fn notes(result: &ComparisonResult) -> Vec<String> {
    explanations(result).into_iter().chain(remarks(result)).collect()
}

/// How the numbers of any comparison of this kind are meant.
pub(crate) fn explanations(result: &ComparisonResult) -> Vec<String> {
    let sure = show::confidence(result.confidence);
    let level = show::confidence(1.0 - result.confidence);
    let any = |method: Method| result.pairs.iter().any(|pair| pair.method == method);
    let mut notes = Vec::new();
    if any(Method::PairedT) {
        notes.push(format!(
            "Numbers are means over the seeds. The interval is Student's t interval of the differences of the same seeds, {sure} \
             for each measure alone."
        ));
    }
    if any(Method::Welch) {
        notes.push(format!(
            "Numbers are means over the seeds. The interval is Welch's, {sure} for each measure alone; no seeds are shared."
        ));
    }
    if any(Method::PairedT) || any(Method::Welch) {
        notes.push(format!(
            "Better and worse are said at {sure} for all measures together (Holm): where nothing differs, the chance of a single \
             wrong one is at most {level}. So a verdict can be open although its interval does not hold zero."
        ));
    }
    if result.pairs.iter().flat_map(|pair| &pair.measures).any(|measure| measure.by_requests) {
        notes.push(
            "Goodput is decided by McNemar's test over pairs of requests (mid-p), for this seed. Requests that meet one queue \
             fail together: it says that the two differ here, and nothing of other seeds."
                .to_owned(),
        );
    }
    notes.push("pp: percentage points. Hostile populations are left out.".to_owned());
    notes
}

/// What is to be said of the numbers of this one.
pub(crate) fn remarks(result: &ComparisonResult) -> Vec<String> {
    let never = |measure: &&MeasureComparison| measure.a.never + measure.b.never > 0;
    let never: Vec<String> = result
        .pairs
        .iter()
        .flat_map(|pair| &pair.measures)
        .filter(never)
        .filter(|measure| measure.verdict != DifferenceVerdict::Same)
        .map(|measure| text::line(&measure.name()))
        .fold(Vec::new(), |mut names, name| {
            if !names.contains(&name) {
                names.push(name);
            }
            names
        });
    let never = (!never.is_empty()).then(|| {
        format!(
            "{}: never counts as the time there was left to see it, so the difference is at least what is told.",
            text::list(&never)
        )
    });
    never.into_iter().chain(lower_bounds(result)).collect()
}
