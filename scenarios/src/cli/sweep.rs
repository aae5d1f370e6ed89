//! `tuesday sweep`: one variant over a grid of settings.

use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use reports::{
    AxisValue, Expectation, Goal, Good, SweepAxis, SweepResult, sweep_csv, sweep_html, sweep_json,
    sweep_markdown, sweep_summary,
};

use super::shell::shell_word;
use super::sources::{self, Source};
use super::{ExitCode, Failure, folders, formats, progress, run};
use crate::file::{self, LaidOver, Varied, Vary, parse_vary, read_laid_over};
use crate::{Scenario, SweepAim, run_sweep};

/// Shown below the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  tuesday sweep nine-oh-two --variant bulkhead --vary gateway.workers=64..2048
  tuesday sweep orders.toml --vary gateway.timeout=1s..30s \\
      --vary gateway.rate_limit.per_key.burst=10,100,1000
  tuesday sweep orders.toml --vary 'routes.\"/orders\".timeout=1s..5s:500ms' --seeds 20
  tuesday sweep orders.toml --vary gateway.timeout=1s..30s \\
      --maximize goodput --subject-to 'latency(p99) < 500ms'

Values are written as in the file. A range a..b has --points values, each the same
multiple of the one before; a..b:linear has them evenly spaced, a..b:STEP at every STEP.";

#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// A scenario file, or the name of a shipped scenario
    #[arg(value_name = "SCENARIO")]
    scenario: String,

    /// Vary this setting over a range or a list; several span a grid
    #[arg(long, required = true, value_name = "KEY=VALUES")]
    vary: Vec<String>,

    /// Lay the settings over this variant [default: the only one]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,

    /// So many values in a range
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u16).range(2..=200))]
    points: u16,

    /// Run under this seed instead of the scenario's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Recommend the point at which this measure is largest, such as `goodput` or `success_rate(clients.NAME)`
    #[arg(long, value_name = "MEASURE", conflicts_with = "minimize")]
    maximize: Option<String>,

    /// Recommend the point at which this measure is smallest, such as `latency(p99)` or `blast_radius`
    #[arg(long, value_name = "MEASURE")]
    minimize: Option<String>,

    /// Recommend only a point at which this line holds, as `expect.hold` has it, such as `latency(p99) < 500ms`; several may be
    /// given [default: the expectations of the file]
    #[arg(long, value_name = "LINE")]
    subject_to: Vec<String>,

    /// Run each point under K seeds, counting up from the first; every expectation must hold under each
    #[arg(long, value_name = "K", default_value_t = DEFAULT_SEEDS, value_parser = clap::value_parser!(u32).range(1..=1000))]
    seeds: u32,

    /// Refuse a grid of more runs than this
    #[arg(long, value_name = "N", default_value_t = MOST_RUNS, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_runs: u32,

    /// Run on this many threads; of no influence on the result [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroU32>,

    /// Write the sweep here, in a folder named after the scenario
    #[arg(long, value_name = "DIR", default_value = super::stored::RESULTS)]
    out: PathBuf,

    /// Write it in these formats
    #[arg(long, value_enum, value_name = "FORMAT", value_delimiter = ',', default_value = "html,json")]
    format: Vec<SweepFormat>,

    /// Print nothing, and no progress
    #[arg(short, long)]
    quiet: bool,

    /// Print the sweep as JSON, as its sweep.json has it, and no summary
    #[arg(long)]
    json: bool,
}

/// A value of `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum SweepFormat {
    /// sweep.html: the whole sweep in one file that opens offline
    Html,
    /// sweep.json: every number, the same bytes for the same version, scenario, grid and seeds
    Json,
    /// sweep.csv: a row for each point and measure
    Csv,
    /// sweep.md: as a CI system's step summary
    Md,
}

impl SweepFormat {
    fn file(self, result: &SweepResult, command: &str) -> Result<(&'static str, String), Failure> {
        Ok(match self {
            Self::Html => {
                let page = sweep_html(result, command);
                ("sweep.html", page.map_err(|error| Failure::run(format!("cannot draw the sweep: {error}")))?)
            }
            Self::Json => ("sweep.json", sweep_json(result)),
            Self::Csv => ("sweep.csv", sweep_csv(result)),
            Self::Md => ("sweep.md", sweep_markdown(result)),
        })
    }
}

/// Runs the grid, writes what it came to, and says so.
pub(super) fn sweep(args: &SweepArgs) -> Result<ExitCode, Failure> {
    let source = sources::read_all(std::slice::from_ref(&args.scenario))?.remove(0);
    let variant = variant(&source, args.variant.as_deref())?;
    let varies = varies(args, &source, &variant)?;
    let points: usize = varies.iter().map(|vary| vary.values.len()).product();
    refuse_many(args, &varies, points)?;
    let grid = read_grid(&source, &variant, &varies)?;
    let aim = aim(args, &grid)?;
    let folder = folders::prepare(&args.out, &source.stem, &source.argument)?;
    let first = args.seed.unwrap_or(source.scenario.seed);
    let seeds: Vec<u64> = (0..u64::from(args.seeds)).map(|place| first.wrapping_add(place)).collect();
    let pool = run::thread_pool(args.threads)?;
    let bar = progress::bar(points * seeds.len(), &source.stem, &variant, args.quiet);
    let axes = varies.iter().map(axis).collect();
    let result = pool.install(|| run_sweep(axes, &grid, &seeds, aim.as_ref(), || bar.inc(1)));
    drop(bar);
    let command = reproduce(args);
    let written = formats::write_each(&folder, &args.format, |format| format.file(&result, &command))?;
    let document = || sweep_json(&result);
    let summary = || sweep_summary(&result, super::terminal_width());
    formats::print_made(args.json, args.quiet, document, summary, "sweep", &written)?;
    Ok(ExitCode::Held)
}

fn axis(vary: &Vary) -> SweepAxis {
    let value = |value: &Varied| AxisValue {
        text: value.text.clone(),
        number: value.number,
        is_of_file: value.is_of_file,
        in_force: value.in_force.clone(),
    };
    SweepAxis { key: vary.key.clone(), values: vary.values.iter().map(value).collect(), scale: vary.scale }
}

/// What the sweep is to recommend a point for, if anything.
fn aim(args: &SweepArgs, grid: &[Scenario]) -> Result<Option<SweepAim>, Failure> {
    let (flag, text, asked) = match (&args.maximize, &args.minimize) {
        (Some(text), _) => ("--maximize", text, Good::High),
        (None, Some(text)) => ("--minimize", text, Good::Low),
        (None, None) if args.subject_to.is_empty() => return Ok(None),
        (None, None) => {
            return Err(Failure::usage(
                "--subject-to names the conditions of a goal; name that too, such as `--maximize goodput`"
                    .to_owned(),
            ));
        }
    };
    // All points have the same populations, routes and upstreams: a setting that is varied is none of them.
    let Some(world) = grid.first().and_then(|point| Some(&point.variants.first()?.world)) else {
        return Ok(None);
    };
    let told = |flag: &str| {
        let flag = flag.to_owned();
        move |problem: String| Failure::usage(format!("{flag}: {problem}"))
    };
    let measure = file::read_measure(world, text).map_err(told(flag))?;
    let conditions: Result<Vec<Expectation>, Failure> = args
        .subject_to
        .iter()
        .map(|line| file::read_condition(world, line).map_err(told("--subject-to")))
        .collect();
    let unit = measure.unit().told_in();
    let goal = Goal { measure: text.clone(), wanted: asked, unit, subject_to: args.subject_to.clone() };
    Ok(Some(SweepAim { goal, measure, conditions: conditions? }))
}

/// The variant that is asked for, or the only one.
fn variant(source: &Source, asked: Option<&str>) -> Result<String, Failure> {
    let Source { argument, scenario, .. } = source;
    let names: Vec<&str> = scenario.variants.iter().map(|variant| &*variant.name).collect();
    let name = match (asked, names.as_slice()) {
        (Some(asked), _) => asked,
        (None, [only]) => only,
        (None, _) => {
            return Err(Failure::usage(format!(
                "{argument} has several variants; say which is to be varied: `--variant NAME`, of {}",
                names.join(", ")
            )));
        }
    };
    if let Some(problem) = run::unknown_variant(argument, &names, name) {
        return Err(Failure::usage(problem));
    }
    let external =
        scenario.variants.iter().any(|variant| variant.name == name && variant.world.external.is_some());
    if external {
        return Err(Failure::usage(format!(
            "{argument}: the gateway of the variant `{name}` is external, and a sweep runs in virtual time; choose another"
        )));
    }
    Ok(name.to_owned())
}

fn varies(args: &SweepArgs, source: &Source, variant: &str) -> Result<Vec<Vary>, Failure> {
    let mut varies: Vec<Vary> = Vec::new();
    for text in &args.vary {
        let mut vary = parse_vary(text, args.points.into())
            .map_err(|problem| Failure::usage(format!("--vary: {problem}")))?;
        if varies.iter().any(|known| known.is_of_the_key_of(&vary)) {
            return Err(Failure::usage(format!(
                "--vary: `{}` is varied twice; name all its values at once",
                vary.key
            )));
        }
        vary.add_value_of_file(&source.scenario.source, variant);
        varies.push(vary);
    }
    Ok(varies)
}

fn refuse_many(args: &SweepArgs, varies: &[Vary], points: usize) -> Result<(), Failure> {
    let runs = points as u64 * u64::from(args.seeds);
    if runs <= args.max_runs.into() {
        return Ok(());
    }
    let counts: Vec<String> = varies.iter().map(|vary| vary.values.len().to_string()).collect();
    Err(Failure::usage(format!(
        "the grid has {} = {points} points, each under {} seeds: {runs} runs, of at most {}; take fewer values (`--points`) or \
         seeds, or allow them with `--max-runs {runs}`",
        counts.join(" × "),
        args.seeds,
        args.max_runs
    )))
}

/// The scenario of every point, the last setting changing fastest. All that is wrong with any is told at once.
fn read_grid(source: &Source, variant: &str, varies: &[Vary]) -> Result<Vec<Scenario>, Failure> {
    let text = &*source.scenario.source;
    let companion = |name: &str| sources::companion(&source.folder, name);
    let mut points: Vec<Vec<(&Vary, &Varied)>> = vec![Vec::new()];
    for vary in varies {
        let with = |point: &Vec<_>, value| point.iter().copied().chain([(vary, value)]).collect();
        points =
            points.iter().flat_map(|point| vary.values.iter().map(move |value| with(point, value))).collect();
    }
    let (mut grid, mut told, mut messages) = (Vec::new(), String::new(), Vec::new());
    for point in &points {
        let LaidOver { scenario, in_file, in_settings, settings } =
            read_laid_over(text, variant, point, &companion);
        if let Some(scenario) = scenario {
            grid.push(scenario);
            continue;
        }
        let named = [(in_settings, "--vary", &*settings), (in_file, &*source.argument, text)];
        for (problems, path, text) in named {
            let errors: Vec<_> = problems
                .into_iter()
                .filter(|problem| problem.severity == file::Severity::Error)
                // What is wrong at one point is wrong at all with the same value.
                .filter(|problem| {
                    let place = text.get(problem.span.clone()).unwrap_or_default();
                    let message = (problem.message.clone(), place.to_owned());
                    let is_new = messages.len() < MOST_PROBLEMS && !messages.contains(&message);
                    if is_new {
                        messages.push(message);
                    }
                    is_new
                })
                .collect();
            told += &file::render(&errors, path, text, true);
        }
    }
    if grid.len() == points.len() { Ok(grid) } else { Err(Failure::scenarios(told)) }
}

/// Seeds of each point: enough to tell a difference of five against five from luck.
const DEFAULT_SEEDS: u32 = 5;

/// Runs of a grid unless more are allowed.
const MOST_RUNS: u32 = 2000;

/// More problems of settings are not read.
const MOST_PROBLEMS: usize = 20;

/// The command that runs it again.
fn reproduce(args: &SweepArgs) -> String {
    let mut command = format!("tuesday sweep {}", shell_word(&args.scenario));
    for vary in &args.vary {
        let _ = write!(command, " --vary {}", shell_word(vary));
    }
    if let Some(variant) = &args.variant {
        let _ = write!(command, " --variant {}", shell_word(variant));
    }
    for (flag, measure) in [("maximize", &args.maximize), ("minimize", &args.minimize)] {
        if let Some(measure) = measure {
            let _ = write!(command, " --{flag} {}", shell_word(measure));
        }
    }
    for line in &args.subject_to {
        let _ = write!(command, " --subject-to {}", shell_word(line));
    }
    let _ = write!(command, " --points {}", args.points);
    if let Some(seed) = args.seed {
        let _ = write!(command, " --seed {seed}");
    }
    if args.seeds != DEFAULT_SEEDS {
        let _ = write!(command, " --seeds {}", args.seeds);
    }
    if args.max_runs != MOST_RUNS {
        let _ = write!(command, " --max-runs {}", args.max_runs);
    }
    command
}
