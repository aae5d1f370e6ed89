//! The table of a comparison and the sentences around it, shared by the terminal, the page and the Markdown.

use std::fmt::Write as _;

use crate::compare::sides::requests::PairCount;
use crate::compare::sides::result::{
    ComparisonResult, DifferenceVerdict, MeasureComparison, Method, SettingDifference, VariantComparison,
    side_letter,
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
        word(self.verdict)
    }
}

fn word(verdict: DifferenceVerdict) -> String {
    let sign = match verdict {
        DifferenceVerdict::Better => "▲ ",
        DifferenceVerdict::Worse => "▼ ",
        _ => "",
    };
    format!("{sign}{}", verdict.word())
}

/// All sides of one variant of A in one table, a column for each; there is none where two are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Overview {
    /// The variant of A.
    pub(crate) title: String,
    /// A, and each side that has a variant to compare, with its name where it has another one.
    pub(crate) heads: Vec<String>,
    /// What is measured of everybody.
    pub(crate) rows: Vec<OverviewRow>,
}

/// A measure of all sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OverviewRow {
    pub(crate) name: String,
    pub(crate) meaning: String,
    /// By side, as the heads have them.
    pub(crate) cells: Vec<OverviewCell>,
}

/// A measure of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OverviewCell {
    pub(crate) value: String,
    /// How the side stands to A; `None` of A.
    pub(crate) verdict: Option<DifferenceVerdict>,
}

impl OverviewCell {
    /// The value and the word for how it stands to A's.
    pub(crate) fn text(&self) -> String {
        self.verdict.map_or_else(|| self.value.clone(), |verdict| format!("{} {}", self.value, word(verdict)))
    }
}

/// The tables of a comparison of more than two sides.
pub(crate) fn overviews(result: &ComparisonResult) -> Vec<Overview> {
    let mut variants: Vec<&str> = Vec::new();
    for pair in result.pairs.iter().filter(|_| result.has_several()) {
        if !variants.contains(&&*pair.a) {
            variants.push(&pair.a);
        }
    }
    let overview = |variant: &str| {
        let pairs: Vec<&VariantComparison> = result.pairs.iter().filter(|pair| pair.a == variant).collect();
        let head = |pair: &&VariantComparison| {
            let letter = pair.letter();
            if pair.a == pair.b { letter } else { format!("{letter}: {}", text::name(&pair.b)) }
        };
        let mut names: Vec<String> = Vec::new();
        let headline =
            || pairs.iter().flat_map(|pair| &pair.measures).filter(|measure| measure.is_headline());
        for name in headline().map(MeasureComparison::name) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let row = |name: &String| {
            let find = |pair: &VariantComparison| {
                pair.measures.iter().find(|measure| measure.name() == *name).cloned()
            };
            let known = headline().find(|measure| measure.name() == *name);
            let cell = |pair: &&VariantComparison| {
                find(pair).map_or_else(
                    || OverviewCell { value: "–".to_owned(), verdict: None },
                    |measure| OverviewCell {
                        value: show::side(&measure, &measure.b),
                        verdict: Some(measure.verdict),
                    },
                )
            };
            let of_a = known.map_or_else(String::new, |measure| show::side(measure, &measure.a));
            let first = OverviewCell { value: of_a, verdict: None };
            OverviewRow {
                name: text::line(name),
                meaning: known.map_or_else(String::new, |measure| text::line(&measure.meaning)),
                cells: std::iter::once(first).chain(pairs.iter().map(cell)).collect(),
            }
        };
        Overview {
            title: text::name(variant),
            heads: std::iter::once("A".to_owned()).chain(pairs.iter().map(head)).collect(),
            rows: names.iter().map(row).collect(),
        }
    };
    variants.into_iter().map(overview).collect()
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
    let (a, b, letter) = (text::name(&pair.a), text::name(&pair.b), pair.letter());
    if a == b { format!("{a}, A → {letter}") } else { format!("{a} (A) → {b} ({letter})") }
}

/// What the whole comparison is called.
pub(crate) fn heading(result: &ComparisonResult) -> String {
    let mut names: Vec<String> = Vec::new();
    for name in result.sides().map(|side| text::name(&side.scenario)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    text::list(&names)
}

/// The sides in a phrase: `A and B`.
pub(crate) fn letters(result: &ComparisonResult) -> String {
    let letters: Vec<String> = result.sides().enumerate().map(|(place, _)| side_letter(place)).collect();
    text::list(&letters)
}

/// Where A and B come from, where that says more than their variants do.
pub(crate) fn sides(result: &ComparisonResult) -> Vec<String> {
    if result.sides().all(|side| side.label == result.a.label) {
        return Vec::new();
    }
    let told = result.sides().enumerate().map(|(place, side)| {
        format!("{}: {}, {}", side_letter(place), text::line(&side.label), seeds(&side.seeds))
    });
    told.collect()
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
            format!("{a} runs of A and {b} of {}, not paired", pair.letter())
        }
    }
}

/// In which measures B is better and in which worse, everybody's and those of parts.
pub(crate) fn verdict(result: &ComparisonResult, pair: &VariantComparison) -> String {
    let b = if pair.a == pair.b { pair.letter() } else { text::name(&pair.b) };
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
        return format!(
            "{b} does the same in every measure, within a point of a share and 2% of anything else."
        );
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
    let b = pair.letter();
    let mut told = format!(
        "Request by request: of {total}, {only_in_b} were served within the SLO by {b} and not by A, {only_in_a} by A and \
         not by {b}."
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
    let measures =
        result.pairs.iter().flat_map(|pair| pair.measures.iter().map(move |measure| (pair, measure)));
    for (pair, measure) in measures {
        for (name, side) in [("A".to_owned(), &measure.a), (pair.letter(), &measure.b)] {
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
            "Two are called the same where they differ, at 90%, by at most a point of a share or 2% of anything else. Better and \
             worse are said at {sure} for all measures together (Holm): where nothing differs, the chance of a single wrong one \
             is at most {level}. So a verdict can be open although its interval does not hold zero."
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
