//! `tuesday run`: runs scenarios, writes their results and says what came of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anstyle::AnsiColor;
use rayon::{ThreadPool, ThreadPoolBuilder};
use reports::{
    ExperimentResult, Legend, Standing, agreement, agreement_table, terminal_screen, terminal_summary,
    to_json,
};

use super::annotations::Annotations;
use super::check::MOST_EVENTS;
use super::error::{sentence, visible_lines};
use super::formats::StepSummary;
use super::shell::shell_word;
use super::sources::{self, Source};
use super::{
    EngineChoice, ExitCode, Failure, RunArgs, Speed, folders, formats, print, print_json_text, progress,
    remote, say, stored, terminal_width, visible,
};
use crate::watch::Watch;
use crate::{
    Drive, HighestSpeed, LivePlan, LogBook, Scenario, Stop, Variant, file, highest_speed,
    kill_external_gateway, run_experiment_logged, run_live_experiment,
};

/// Runs every scenario, writes its results, and says what came of it.
///
/// In virtual time Ctrl-C needs no handling: there is nothing to be told of half a run, and no file is ever half written
/// (see [`formats::write`]). So the signal does what it does to any command, and the shell sees 130. A live run takes
/// minutes, and what was seen of it is worth a report: there the signal ends the run, and a second one the process.
pub(super) fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    let annotations = Annotations::of(args.annotations);
    let mut sources = sources::read_all_noting(&args.scenarios, &annotations)?;
    keep_variants(&mut sources, &args.variant)?;
    remote::refuse(remote::of_runs(&sources), args.allow_remote)?;
    refuse_external(&sources, args)?;
    let folders = result_folders(&sources, args.out.as_deref().unwrap_or(stored::RESULTS.as_ref()))?;
    let pool = thread_pool(args.threads)?;
    if args.engine == EngineChoice::Virtual && args.speed != Speed::Times(1.0) {
        warn("--speed has no effect: virtual time takes as long as it takes; it is for `--engine live`");
    }

    let log = log_book(args)?;
    let stop = Stop::default();
    let engines = Engines { args, pool, log: log.clone(), watch: watch(args)?, stop: stop.clone() };
    let mut step_summary = StepSummary::open(args.summary.as_deref())?;

    if args.engine != EngineChoice::Virtual {
        stop_on_signals(&stop)?;
    }
    let (mut documents, mut invalid) = (Vec::new(), false);
    let (mut standings, mut compared) = (Vec::new(), Vec::new());
    let mut explained = BTreeSet::new();
    let mut parting = "";
    for (source, folder) in sources.iter().zip(&folders) {
        let first = args.seed.unwrap_or(source.scenario.seed);
        let seeds: Vec<u64> = (0..u64::from(args.seeds)).map(|place| first.wrapping_add(place)).collect();
        let speed = chosen_speed(source, args, first);
        let command = reproduce(source, args, first, speed);
        let (result, beside) = engines.observe(source, &seeds, speed)?;
        invalid |= beside.as_ref().is_some_and(is_invalid);
        if let Some(log) = &log {
            log.finish().map_err(|error| not_logged(&error))?;
        }
        let written = write(args, folder, &result, beside.as_ref(), &command)?;
        step_summary.append(&result)?;
        let notes = annotations.of_expectations(source, &result);
        standings.push((&*source.stem, result.worst()));
        let held = result.all_held();
        invalid |= is_invalid(&result);
        let disagrees = result.agreement.as_ref().is_some_and(|agreement| !agreement.agrees());
        if disagrees && args.json {
            warn(&format!("the engines do not agree on {}; see its `agreement`", source.stem));
        }
        if args.agreement {
            compared.extend(result.agreement.map(|agreement| (source.stem.clone(), agreement)));
        } else if args.json {
            documents.push(to_json(&result));
        } else if !(args.quiet && held && !disagrees) {
            // An empty line parts several; the last one would cost a screen its first line.
            print(&format!("{parting}{}", summary(&result, &written, told(args, &mut explained))))?;
            parting = "\n";
        }
        say(&notes);
        let report = written.iter().find(|path| path.extension().is_some_and(|ending| ending == "html"));
        if let (Some(watch), Some(report)) = (&engines.watch, report) {
            watch.finish(report);
        }
        if stop.is_asked() {
            break;
        }
    }
    if args.agreement {
        print(&agreement_table(&compared))?;
    }
    if args.json {
        // At the end and at once: if a later run fails, there is no half of a document.
        print_json_text(&array(&documents))?;
    } else if sources.len() > 1 && !(args.quiet && have_all_held(sources.len(), &standings)) {
        let left = sources.iter().skip(standings.len()).map(|source| &*source.stem).collect::<Vec<_>>();
        print(&format!("{parting}{}", verdict(&standings, &left)))?;
    }
    Ok(match () {
        () if stop.is_asked() => ExitCode::Interrupted,
        () if invalid => ExitCode::RunFailed,
        () if have_all_held(standings.len(), &standings) => ExitCode::Held,
        () => ExitCode::ExpectationFailed,
    })
}

/// Writes a result to the folder that was asked for, or to one of its own below the scenario's, to which `latest` then leads.
/// That of the live engine goes beside it. Returns the files of the result, by the paths at which a reader looks.
fn write(
    args: &RunArgs,
    folder: &Path,
    result: &ExperimentResult,
    live: Option<&ExperimentResult>,
    command: &str,
) -> Result<Vec<PathBuf>, Failure> {
    let kept = args.out.is_none().then(|| stored::name(wall_clock(), &to_json(result)));
    let place = kept.as_ref().map_or_else(|| folder.to_owned(), |name| folder.join(name));
    let put = |place: &Path, result: &ExperimentResult| {
        formats::prepare(place)
            .map_err(|error| Failure::run(format!("cannot write to {}: {error}", place.display())))?;
        formats::write(place, &args.format, result, command, args.detail())
    };
    if let Some(live) = live {
        put(&place.join("live"), live)?;
    }
    let written = put(&place, result)?;
    let Some(name) = kept else { return Ok(written) };
    match stored::lead_to(folder, &name) {
        Ok(latest) => {
            Ok(written.iter().map(|path| latest.join(path.file_name().unwrap_or_default())).collect())
        }
        Err(error) => {
            warn(&format!(
                "{} cannot be made a link to {name}, in which the results are: {error}",
                folder.join(stored::LATEST).display()
            ));
            Ok(written)
        }
    }
}

/// When a result is kept.
fn wall_clock() -> jiff::Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the name of a folder, of no influence on what is in it")]
    let now = std::time::SystemTime::now();
    jiff::Timestamp::try_from(now).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

/// What runs scenarios, as the command line asks for.
struct Engines<'a> {
    args: &'a RunArgs,
    pool: ThreadPool,
    log: Option<Arc<LogBook>>,
    watch: Option<Arc<Watch>>,
    stop: Stop,
}

impl Engines<'_> {
    /// A scenario's result, and with `--engine both` that of the live engine beside it.
    fn observe(
        &self,
        source: &Source,
        seeds: &[u64],
        speed: f64,
    ) -> Result<(ExperimentResult, Option<ExperimentResult>), Failure> {
        match self.args.engine {
            EngineChoice::Virtual => Ok((self.simulate(source, seeds)?, None)),
            EngineChoice::Live => Ok((self.live(source, seeds, speed)?, None)),
            EngineChoice::Both => {
                let (mut simulated, mut live) =
                    (self.simulate(source, seeds)?, self.live(source, seeds, speed)?);
                let agreement = agreement(&simulated, &live);
                simulated.agreement = Some(agreement.beside(&live));
                live.agreement = Some(agreement.beside(&simulated));
                Ok((simulated, Some(live)))
            }
        }
    }

    fn simulate(&self, source: &Source, seeds: &[u64]) -> Result<ExperimentResult, Failure> {
        let variants: Vec<_> = source.scenario.variants.iter().map(|variant| &*variant.name).collect();
        let runs = variants.len() * seeds.len();
        let bar = progress::bar(runs, &source.stem, &variants.join(", "), self.args.quiet);
        let log = self.log.as_deref();
        self.pool
            .install(|| run_experiment_logged(&source.scenario, seeds, log, || bar.inc(1)))
            .map_err(|error| not_logged(&error))
    }

    fn live(&self, source: &Source, seeds: &[u64], speed: f64) -> Result<ExperimentResult, Failure> {
        let quiet = self.args.quiet;
        let plan = LivePlan::of(&source.scenario, seeds.len(), speed);
        if !quiet {
            let announced = progress::announcement(&plan, source.scenario.timeline.duration, speed);
            say(&format!("{}: {announced}\n", visible(&source.stem)));
        }
        if let Some(watch) = &self.watch {
            watch.begin(plan.runs);
        }
        let bar = progress::LiveBar::start(plan, &source.stem, quiet);
        let (log, watch) = (self.log.clone(), self.watch.clone());
        let drive = Drive { speed, stop: self.stop.clone(), log, watch, folder: source.folder.clone() };
        let on_run = |variant: &Variant, _, control| {
            let what = if control { " without faults" } else { "" };
            bar.begin(format!("{}{what}", variant.name));
        };
        run_live_experiment(&source.scenario, seeds, &drive, on_run)
            .map_err(|error| Failure::run(with_causes(&error)))
    }
}

/// Whether so many scenarios were run, and the expectations of all held.
fn have_all_held(scenarios: usize, standings: &[(&str, Standing)]) -> bool {
    standings.len() == scenarios && standings.iter().all(|(_, standing)| *standing == Standing::Held)
}

/// So many threads, or one per core.
pub(super) fn thread_pool(threads: Option<NonZeroU32>) -> Result<ThreadPool, Failure> {
    let pool =
        ThreadPoolBuilder::new().num_threads(threads.map_or(0, |threads| threads.get() as usize)).build();
    pool.map_err(|error| Failure::run(format!("cannot start threads: {error}")))
}

/// How much of a result the terminal is told; columns that were explained are kept.
const fn told<'l>(args: &RunArgs, explained: &'l mut BTreeSet<String>) -> SummaryLength<'l> {
    match () {
        () if args.length.explain => SummaryLength::Whole(Legend::All),
        () if args.length.verbose => SummaryLength::Whole(Legend::New(explained)),
        () => SummaryLength::Screen,
    }
}

/// How much of a result the terminal is told.
pub(super) enum SummaryLength<'l> {
    /// One screen.
    Screen,
    /// All of it, with these columns explained.
    Whole(Legend<'l>),
}

/// A path as a message has it.
pub(super) fn shown_path(path: &Path) -> String {
    visible(&path.display().to_string()).into_owned()
}

/// A result for the terminal, and which files it was written to.
pub(super) fn summary(result: &ExperimentResult, written: &[PathBuf], told: SummaryLength<'_>) -> String {
    let mut text = match told {
        SummaryLength::Screen => terminal_screen(result, terminal_width()),
        SummaryLength::Whole(legend) => terminal_summary(result, terminal_width(), legend),
    };
    text += "\n";
    text += &files(written);
    text
}

/// Where the files of a result are, a line for each.
pub(super) fn files(written: &[PathBuf]) -> String {
    let mut text = String::new();
    for path in written {
        let is_report = path.extension().is_some_and(|ending| ending == "html");
        let _ = writeln!(text, "{}: {}", if is_report { "report" } else { "result" }, shown_path(path));
    }
    text
}

fn not_logged(error: &io::Error) -> Failure {
    Failure::run(format!("the log cannot be written: {error}"))
}

/// Where requests are logged, if that was asked for.
fn log_book(args: &RunArgs) -> Result<Option<Arc<LogBook>>, Failure> {
    let log = args.log.as_deref().map(LogBook::create).transpose();
    let log = log.map_err(|error| Failure::usage(format!("--log: cannot be written to: {error}")))?;
    Ok(log.map(Arc::new))
}

/// The page that shows live runs, if it was asked for; where it is goes to standard error, for results go to the other.
fn watch(args: &RunArgs) -> Result<Option<Arc<Watch>>, Failure> {
    if !args.watch {
        return Ok(None);
    }
    if args.engine == EngineChoice::Virtual {
        return Err(Failure::usage(
            "--watch shows live runs, and virtual time is over before anybody looks; add `--engine live`"
                .to_owned(),
        ));
    }
    let watch = Watch::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &[]);
    let watch = watch.map_err(|error| Failure::run(format!("--watch: cannot serve the page: {error}")))?;
    if let Some(address) = watch.address() {
        say(&format!("watch it at http://{address}/\n"));
    }
    Ok(Some(Arc::new(watch)))
}

/// The speed of the live engine's clock. Whoever asks for more than the machine can be expected to keep up with is told.
fn chosen_speed(source: &Source, args: &RunArgs, seed: u64) -> f64 {
    if args.engine == EngineChoice::Virtual {
        return 1.0;
    }
    let bar = progress::bar(100, &source.stem, "rehearsed in virtual time", args.quiet);
    let most_events = if matches!(args.speed, Speed::Max) { MOST_EVENTS_FOR_MAX } else { MOST_EVENTS };
    let HighestSpeed { speed: highest, seen } =
        highest_speed(&source.scenario, seed, most_events, |percent| bar.set_position(percent));
    drop(bar);
    match args.speed {
        Speed::Max => {
            if let Some(seen) = seen {
                warn(&format!(
                    "`--speed max` is {highest}: what this machine can be expected to hold in the first {} of {}; where it \
                     does not hold that later, the run will be marked invalid",
                    file::write_duration(Duration::from_secs(seen.as_secs().max(1))),
                    source.stem
                ));
            }
            highest
        }
        Speed::Times(speed) => {
            if speed > highest {
                warn(&format!(
                    "this machine can be expected to keep up with {} at a speed of {highest}, not of {speed}; where it \
                     does not, the run will be marked invalid",
                    source.stem
                ));
            }
            speed
        }
    }
}

/// Events of the virtual engine that a rehearsal goes through at most before `--speed max` is chosen by it: half a minute.
const MOST_EVENTS_FOR_MAX: u64 = 200_000_000;

/// Says something on standard error. Whether anybody reads it does not change the run.
pub(super) fn warn(what: &str) {
    let style = AnsiColor::Yellow.on_default().bold();
    say(&format!("{style}warning{style:#}: {}\n", visible_lines(what)));
}

/// Whether the harness spoilt any run.
fn is_invalid(result: &ExperimentResult) -> bool {
    let runs = result.variants.iter().flat_map(|variant| &variant.runs);
    runs.filter_map(|run| run.harness.as_ref()).any(|harness| !harness.invalid.is_empty())
}

/// Lets Ctrl-C and SIGTERM end the run, and a second one the process.
fn stop_on_signals(stop: &Stop) -> Result<(), Failure> {
    let stop = stop.clone();
    let handler = move || {
        if stop.is_asked() {
            kill_external_gateway();
            std::process::exit(ExitCode::Interrupted.number().into());
        }
        stop.ask();
    };
    ctrlc::set_handler(handler).map_err(|error| Failure::run(format!("cannot watch for Ctrl-C: {error}")))
}

/// An error and what is behind it.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

/// One JSON array of documents, each as it stands in its own file.
fn array(documents: &[String]) -> String {
    let documents: Vec<_> = documents.iter().map(|document| document.trim_end()).collect();
    format!("[\n{}\n]\n", documents.join(",\n"))
}

/// The last word on several scenarios, of which some may have been left out because the one before them was interrupted.
fn verdict(standings: &[(&str, Standing)], left: &[&str]) -> String {
    let scenarios = standings.len() + left.len();
    if have_all_held(scenarios, standings) {
        return format!("All {scenarios} scenarios held.\n");
    }
    let of =
        |wanted| standings.iter().filter(move |(_, standing)| *standing == wanted).map(|(stem, _)| *stem);
    let groups = [
        ("FAILED", of(Standing::Failed).collect::<Vec<_>>()),
        ("NOT JUDGED", of(Standing::NotJudged).collect()),
        ("NOT RUN", left.to_vec()),
    ];
    let mut text = String::new();
    for (word, stems) in groups.into_iter().filter(|(_, stems)| !stems.is_empty()) {
        let _ = writeln!(text, "{} of {scenarios} scenarios {word}:", stems.len());
        for stem in stems {
            let _ = writeln!(text, "  {}", visible(stem));
        }
    }
    text
}

/// Drops the variants that were not asked for, if any were. Each scenario must have all that are asked for.
fn keep_variants(sources: &mut [Source], asked: &[String]) -> Result<(), Failure> {
    let mut unknown = String::new();
    for Source { argument, scenario: Scenario { variants, .. }, .. } in &mut *sources {
        let names: Vec<_> = variants.iter().map(|variant| &*variant.name).collect();
        let problems = asked.iter().filter_map(|name| unknown_variant(argument, &names, name));
        unknown.extend(problems.map(sentence));
    }
    if !unknown.is_empty() {
        return Err(Failure::scenarios(unknown));
    }
    if !asked.is_empty() {
        for Source { scenario, .. } in sources {
            scenario.variants.retain(|variant| asked.contains(&variant.name));
        }
    }
    Ok(())
}

/// What is wrong with asking for a variant of that name, and the way out; nothing where it is one of the names.
pub(super) fn unknown_variant(argument: &str, names: &[&str], name: &str) -> Option<String> {
    if names.contains(&name) {
        return None;
    }
    let way_out = match file::nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it has {}", names.join(", ")),
    };
    Some(format!("{argument} has no variant `{name}`; {way_out}"))
}

/// Refuses external gateways where there is no real socket to ask them over, or no real time.
fn refuse_external(sources: &[Source], args: &RunArgs) -> Result<(), Failure> {
    let mut refused = String::new();
    for Source { argument, scenario, .. } in sources {
        let is_external = |variant: &&Variant| variant.world.external.is_some();
        let (external, ours): (Vec<_>, Vec<_>) = scenario.variants.iter().partition(is_external);
        let Some(first) = external.first() else { continue };
        let names: Vec<_> = ours.iter().map(|variant| &*variant.name).collect();
        let or_leave_out = match names.as_slice() {
            [] => String::new(),
            names => format!(", or leave it out with `--variant {}`", names.join(",")),
        };
        let name = &first.name;
        if args.engine != EngineChoice::Live {
            refused += &sentence(format!(
                "{argument}: the gateway of the variant `{name}` is external, and only real sockets lead to it; run it \
                 with `--engine live`{or_leave_out}"
            ));
        } else if args.speed != Speed::Times(1.0) {
            refused += &sentence(format!(
                "{argument}: the gateway of the variant `{name}` is external, and its clock is real time; run it \
                 without `--speed`{or_leave_out}"
            ));
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(Failure::scenarios(refused)) }
}

/// A folder for each scenario's results, made before anything is run: what cannot be written is known at once.
fn result_folders(sources: &[Source], out: &Path) -> Result<Vec<PathBuf>, Failure> {
    let names: Vec<_> = sources.iter().map(|source| (&*source.stem, &*source.argument)).collect();
    folders::prepare_each(out, &names)
}

/// The command that runs this scenario again.
fn reproduce(source: &Source, args: &RunArgs, first_seed: u64, speed: f64) -> String {
    let mut command = format!("tuesday run {} --seed {first_seed}", shell_word(&source.argument));
    match args.engine {
        EngineChoice::Virtual => {}
        EngineChoice::Live => _ = write!(command, " --engine live --speed {speed}"),
        EngineChoice::Both => _ = write!(command, " --engine both --speed {speed}"),
    }
    if args.seeds > 1 {
        let _ = write!(command, " --seeds {}", args.seeds);
    }
    for variant in &args.variant {
        let _ = write!(command, " --variant {}", shell_word(variant));
    }
    if args.allow_remote {
        command += " --allow-remote";
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_no_praise_of_what_was_not_judged() {
        let (held, failed, open) = (Standing::Held, Standing::Failed, Standing::NotJudged);
        assert_eq!(verdict(&[("a", held), ("b", held)], &[]), "All 2 scenarios held.\n");
        assert_eq!(verdict(&[("a", held), ("b", failed)], &[]), "1 of 2 scenarios FAILED:\n  b\n");
        assert_eq!(
            verdict(&[("a", held), ("b", open)], &["c"]),
            "1 of 3 scenarios NOT JUDGED:\n  b\n1 of 3 scenarios NOT RUN:\n  c\n"
        );
    }
}
