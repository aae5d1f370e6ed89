//! `tuesday compare`: sides, run or saved, each against the first.

use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use reports::{
    Compared, ComparisonResult, Regression, RegressionError, Side, compare_with_first, comparison_html,
    comparison_json, comparison_markdown, comparison_summary,
};

use super::error::sentence;
use super::saved::{self, Saved};
use super::shell::shell_word;
use super::sources::{self, Source};
use super::thresholds::{self, Ask};
use super::{
    ExitCode, Failure, folders, formats, print, print_json_text, progress, run, say, terminal_width,
};
use crate::{Variant, file, run_comparison};

/// Shown below the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  tuesday compare nine-oh-two quickstart recommended --seeds 20
  tuesday compare before/nine-oh-two after/nine-oh-two --fail-on-regression
  tuesday compare v1/orders v2/orders v3/orders
  tuesday compare before/orders after/orders \\
      --fail-on-regression=goodput=2%,latency.p99=10%,blast_radius=1%";

#[derive(Clone, Debug, Args)]
pub(super) struct CompareArgs {
    /// Saved results, A, B and further ones; or one scenario file, shipped scenario or saved result, and after it two or more of
    /// its variants
    #[arg(required = true, num_args = 1.., value_name = "RESULT|SCENARIO|VARIANT")]
    what: Vec<String>,

    /// Compare these: one of each result in their order, or one of all [default: those of the same name, or the only two]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    variant: Vec<String>,

    /// Run a scenario under this seed and those after it, instead of its own
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Run a scenario under K seeds [default: 20]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=1000))]
    seeds: Option<u32>,

    /// Run on this many threads; of no influence on the result [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroU32>,

    /// How sure intervals and verdicts are
    #[arg(long, value_name = "PERCENT", default_value = "95%", value_parser = thresholds::confidence)]
    confidence: f64,

    /// Exit with 1 if B or a further one is worse than A: in any measure, or in those named by more than is said
    ///
    /// Such as `goodput=2%,latency.p99=50ms,blast_radius=1%`: of a share so many points, of any other measure so much of A's
    /// value, or an amount in its unit. A measure of one population or route is named as in the comparison:
    /// `goodput(clients.partner)=5%`. It counts as worse by more than that where its whole interval is.
    #[arg(
        long,
        value_name = "THRESHOLDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        value_parser = thresholds::ask
    )]
    fail_on_regression: Option<Ask>,

    /// Write the comparison here, in a folder for each scenario
    #[arg(long, value_name = "DIR", default_value = super::stored::RESULTS)]
    out: PathBuf,

    /// Write it in these formats
    #[arg(long, value_enum, value_name = "FORMAT", value_delimiter = ',', default_value = "html,json")]
    format: Vec<ComparisonFormat>,

    /// Say how the numbers are meant: intervals, verdicts and units
    #[arg(long)]
    explain: bool,

    /// Print nothing but regressions, and no progress
    #[arg(short, long)]
    quiet: bool,

    /// Print the comparison as JSON, as its comparison.json has it, and no summary
    #[arg(long)]
    json: bool,
}

/// A value of `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum ComparisonFormat {
    /// comparison.html: the whole comparison in one file that opens offline
    Html,
    /// comparison.json: every number
    Json,
    /// comparison.md: as a CI system's step summary
    Md,
}

impl ComparisonFormat {
    fn file(self, result: &ComparisonResult, command: &str) -> Result<(&'static str, String), Failure> {
        Ok(match self {
            Self::Html => {
                let page = comparison_html(result, command);
                let page =
                    page.map_err(|error| Failure::run(format!("cannot draw the comparison: {error}")))?;
                ("comparison.html", page)
            }
            Self::Json => ("comparison.json", comparison_json(result)),
            Self::Md => ("comparison.md", comparison_markdown(result)),
        })
    }
}

/// Compares, writes the comparison, and says what came of it.
pub(super) fn compare(args: &CompareArgs) -> Result<ExitCode, Failure> {
    let args = &with_named_variants(args)?;
    let (result, stem) = match args.what.as_slice() {
        [one] if !saved::is_saved(one) => of_scenario(args, one)?,
        what => of_results(args, what)?,
    };
    let regressions = regressions(args, &result)?;
    let folder = folders::prepare(&args.out, &stem, &args.what[args.what.len() - 1])?;
    let command = reproduce(args);
    let written = formats::write_each(&folder, &args.format, |format| format.file(&result, &command))?;
    if args.json {
        print_json_text(&comparison_json(&result))?;
        for regression in &regressions {
            say(&sentence(&regression.sentence));
        }
    } else if !args.quiet || !regressions.is_empty() {
        print(&summary(args, &result, &written, &regressions))?;
    }
    Ok(if regressions.is_empty() { ExitCode::Held } else { ExitCode::ExpectationFailed })
}

/// Takes the names behind the first for its variants, unless one of them is a result.
fn with_named_variants(args: &CompareArgs) -> Result<CompareArgs, Failure> {
    let mut args = args.clone();
    if let [_, variants @ ..] = args.what.as_slice()
        && variants.len() >= 2
        && !variants.iter().any(|name| saved::is_saved(name))
    {
        if !args.variant.is_empty() {
            let named = variants.join(" and ");
            return Err(Failure::usage(format!("the variants are named twice, {named} and by `--variant`")));
        }
        args.variant = variants.to_vec();
        args.what.truncate(1);
    }
    Ok(args)
}

/// Saved results, or variants of one.
fn of_results(args: &CompareArgs, what: &[String]) -> Result<(ComparisonResult, String), Failure> {
    if args.seeds.is_some() || args.seed.is_some() {
        return Err(Failure::usage(
            "a saved result has its seeds; leave `--seed` and `--seeds` out, or compare variants of a scenario".to_owned(),
        ));
    }
    let (mut read, mut errors) = (Vec::new(), String::new());
    for argument in what {
        match if saved::is_saved(argument) {
            saved::read(argument.as_ref())
        } else {
            Err(no_result(argument))
        } {
            Ok(saved) => read.push(saved),
            Err(error) => errors += &sentence(error),
        }
    }
    let (Some((a, others)), true) = (read.split_first(), errors.is_empty()) else {
        return Err(Failure::scenarios(errors));
    };
    let mut sides: Vec<(Side<'_>, Vec<Compared>)> = Vec::new();
    match (others, args.variant.as_slice()) {
        // Several variants of one result.
        ([], [first, more @ ..]) if more.len() >= 2 => {
            for other in more {
                let asked = [first.clone(), other.clone()];
                sides.push((side(a), variants_of_results(&asked, a, a)?));
            }
        }
        ([], asked) => sides.push((side(a), variants_of_results(asked, a, a)?)),
        // One of each.
        (others, [first, more @ ..]) if !more.is_empty() => {
            if more.len() != others.len() {
                let (results, named) = (others.len() + 1, more.len() + 1);
                return Err(Failure::usage(format!(
                    "there are {results} results, and `--variant` names {named}; name one for all of them, or one of each"
                )));
            }
            for (saved, other) in others.iter().zip(more) {
                sides.push((side(saved), variants_of_results(&[first.clone(), other.clone()], a, saved)?));
            }
        }
        (others, asked) => {
            for saved in others {
                sides.push((side(saved), variants_of_results(asked, a, saved)?));
            }
        }
    }
    let stem = others.last().unwrap_or(a).stem.clone();
    Ok((compared(side(a), sides, args.confidence), stem))
}

fn side(saved: &Saved) -> Side<'_> {
    Side { label: &saved.argument, result: &saved.result }
}

/// Each side against the first; there is at least one.
fn compared(a: Side<'_>, mut others: Vec<(Side<'_>, Vec<Compared>)>, confidence: f64) -> ComparisonResult {
    let b = others.remove(0);
    compare_with_first(a, b, others, confidence)
}

/// Why something cannot be a side of a comparison.
fn no_result(argument: &str) -> String {
    if argument.contains('=') && !Path::new(argument).exists() {
        return format!(
            "{argument}: there is no such result; a threshold is joined with an equals sign: `--fail-on-regression={argument}`"
        );
    }
    format!(
        "{argument}: there is no result.json in it; `tuesday run` writes one, and two variants of one scenario are compared \
         by `tuesday compare SCENARIO A B`"
    )
}

/// Which variants of two results are compared: those named, else the only ones, else those of the same name.
fn variants_of_results(asked: &[String], a: &Saved, b: &Saved) -> Result<Vec<Compared>, Failure> {
    let names = |saved: &Saved| -> Vec<String> {
        saved.result.variants.iter().map(|variant| variant.name.clone()).collect()
    };
    let (of_a, of_b) = (names(a), names(b));
    let of_one = a.argument == b.argument;
    let pairs: Vec<(String, String)> = match asked {
        [] if of_one => match of_a.as_slice() {
            [one, other] => vec![(one.clone(), other.clone())],
            _ => return Err(choose_two(&a.argument, &of_a)),
        },
        [] => match (of_a.as_slice(), of_b.as_slice()) {
            ([one], [other]) => vec![(one.clone(), other.clone())],
            _ => of_a
                .iter()
                .filter(|name| of_b.contains(name))
                .map(|name| (name.clone(), name.clone()))
                .collect(),
        },
        [one] if !of_one => vec![(one.clone(), one.clone())],
        [one, other] => vec![(one.clone(), other.clone())],
        _ => return Err(choose_two(&a.argument, &of_a)),
    };
    if pairs.is_empty() {
        return Err(Failure::usage(format!(
            "the results have no variant of the same name; choose one of each: `--variant {},{}`",
            of_a.first().map_or("A", String::as_str),
            of_b.first().map_or("B", String::as_str),
        )));
    }
    let mut unknown = String::new();
    for (one, other) in &pairs {
        for (saved, names, name) in [(a, &of_a, one), (b, &of_b, other)] {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            unknown += &run::unknown_variant(&saved.argument, &names, name).map(sentence).unwrap_or_default();
        }
    }
    if !unknown.is_empty() {
        return Err(Failure::scenarios(unknown));
    }
    let compared = pairs.into_iter().map(|(one, other)| {
        let sources = [a, b].map(|saved| &*saved.result.scenario.source);
        let worlds = file::differing_worlds((sources[0], &one), (sources[1], &other));
        let worlds = worlds.map(|parts| parts.into_iter().map(str::to_owned).collect());
        Compared { a: one, b: other, requests: None, worlds }
    });
    Ok(compared.collect())
}

fn choose_two(argument: &str, names: &[String]) -> Failure {
    let names = names.join(", ");
    let shown = shell_word(argument);
    Failure::usage(format!(
        "{argument}: choose two variants, as in `tuesday compare {shown} A B`; it has {names}"
    ))
}

/// Variants of a scenario, run now, each with the first.
fn of_scenario(args: &CompareArgs, argument: &str) -> Result<(ComparisonResult, String), Failure> {
    let source = sources::read_all(std::slice::from_ref(&args.what[0]))?.remove(0);
    let Source { scenario, stem, .. } = &source;
    let names: Vec<&str> = scenario.variants.iter().map(|variant| &*variant.name).collect();
    let (a, others): (&str, Vec<&str>) = match args.variant.as_slice() {
        [] if names.len() == 2 => (names[0], vec![names[1]]),
        [a, others @ ..] if !others.is_empty() => (a, others.iter().map(String::as_str).collect()),
        _ => {
            return Err(choose_two(
                argument,
                &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
            ));
        }
    };
    let find = |name: &str| -> Result<&Variant, Failure> {
        let found = scenario.variants.iter().find(|variant| variant.name == name);
        found.ok_or_else(|| Failure::usage(run::unknown_variant(argument, &names, name).unwrap_or_default()))
    };
    let first_variant = find(a)?;
    let other_variants = others.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
    for variant in std::iter::once(&first_variant).chain(&other_variants) {
        if variant.world.external.is_some() {
            return Err(Failure::usage(format!(
                "{argument}: the gateway of the variant `{}` is external; run each with `tuesday run --engine live --out DIR` \
                 and compare the saved results",
                variant.name
            )));
        }
    }
    // What cannot be written is known before anything is run.
    folders::prepare(&args.out, stem, argument)?;
    let first = args.seed.unwrap_or(scenario.seed);
    let seeds: Vec<u64> =
        (0..u64::from(args.seeds.unwrap_or(SEEDS))).map(|place| first.wrapping_add(place)).collect();
    let pool = run::thread_pool(args.threads)?;
    let what = format!("{a}, {}", others.join(", "));
    let bar = progress::bar(2 * others.len() * seeds.len(), stem, &what, args.quiet);
    // Requests are counted pair by pair, so the first variant runs beside each of the others.
    let run = |other: &Variant| {
        pool.install(|| run_comparison(scenario, [first_variant, other], &seeds, || bar.inc(1)))
    };
    let runs: Vec<_> = other_variants.into_iter().map(run).collect();
    drop(bar);
    let sides = runs.iter().zip(&others).map(|((result, requests), other)| {
        let (a, b) = (a.to_owned(), (*other).to_owned());
        let requests = Some(requests.clone());
        (Side { label: argument, result }, vec![Compared { a, b, requests, worlds: Some(Vec::new()) }])
    });
    let first_side = Side { label: argument, result: &runs[0].0 };
    Ok((compared(first_side, sides.collect(), args.confidence), stem.clone()))
}

/// Seeds of a comparison unless another number is asked for.
const SEEDS: u32 = 20;

/// How sure it is unless another number is asked for: the 95% of the argument's default.
const CONFIDENCE: f64 = 0.95;

/// What is worse than allowed, if that was asked.
fn regressions(args: &CompareArgs, result: &ComparisonResult) -> Result<Vec<Regression>, Failure> {
    let Some(Ask(allowed)) = &args.fail_on_regression else { return Ok(Vec::new()) };
    result.regressions(allowed).map_err(|error| match error {
        RegressionError::OneSeed => Failure::usage(format!("--fail-on-regression: {error}")),
        RegressionError::Unknown { ref name, ref known } => {
            let near = file::nearest(name, known.iter().map(String::as_str));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            Failure::usage(format!("--fail-on-regression: {error}{near}"))
        }
    })
}

fn summary(
    args: &CompareArgs,
    result: &ComparisonResult,
    written: &[PathBuf],
    regressions: &[Regression],
) -> String {
    let mut text = comparison_summary(result, terminal_width(), args.explain);
    if args.fail_on_regression.is_some() {
        text += "\n";
        if regressions.is_empty() {
            text += "No regression.\n";
        }
        for Regression { sentence, parts } in regressions {
            let _ = writeln!(text, "REGRESSION: {sentence}");
            if let Some(parts) = parts {
                let _ = writeln!(text, "            worse too: {parts}");
            }
        }
    }
    text + "\n" + &formats::listed("comparison", written)
}

/// The command that compares again.
fn reproduce(args: &CompareArgs) -> String {
    let mut command = "tuesday compare".to_owned();
    for what in &args.what {
        let _ = write!(command, " {}", shell_word(what));
    }
    if !args.variant.is_empty() {
        let _ = write!(command, " --variant {}", shell_word(&args.variant.join(",")));
    }
    if let Some(seed) = args.seed {
        let _ = write!(command, " --seed {seed}");
    }
    if let Some(seeds) = args.seeds {
        let _ = write!(command, " --seeds {seeds}");
    }
    if (args.confidence - CONFIDENCE).abs() > 1e-9 {
        // Read as a percentage, and written as the one that was read.
        let _ = write!(command, " --confidence {}%", (args.confidence * 1e8).round() / 1e6);
    }
    command
}
