//! The `tuesday` command: it finds scenarios, has them run, and says what came of it. No rule stands here.

mod annotations;
mod check;
mod compare;
mod dashboards;
mod defects;
mod error;
mod folders;
mod formats;
mod gateway;
mod history;
mod init;
mod library;
mod progress;
mod reload;
mod remote;
mod report;
mod resolved;
mod run;
mod saved;
mod schema;
mod selftest;
mod serving;
mod setup;
mod shell;
mod sources;
mod stored;
mod sweep;
mod telemetry;
mod terminal;
mod thresholds;
mod upstreams;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::aot::Shell;
use reports::Detail;
use url::Url;

use self::annotations::AnnotationsChoice;
use self::error::exit_codes;
pub use self::error::{ExitCode, Failure};
use self::formats::Format;
use self::terminal::{print, print_json_text, say, visible};
use crate::file;

/// Replays incidents against API gateway configurations, and says what each does to whom.
///
/// A scenario file holds clients, gateway, upstreams, and the configurations to compare. It is replayed in virtual
/// time for each of them: minutes of incident in a fraction of a second, and the same result for the same seed
/// on any machine.
#[derive(Debug, Parser)]
#[command(name = "tuesday", version, after_help = exit_codes(), max_term_width = 80)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a first scenario of your own
    ///
    /// It has two routes to one upstream, a limit, a fault, two variants and expectations that hold, each with a comment. On a
    /// terminal it asks for the name of the upstream, its latency and the limit, each with a default; elsewhere it asks nothing.
    #[command(after_help = INIT_EXAMPLES)]
    Init(InitArgs),
    /// Run scenarios: every variant, the verdict, and a report
    #[command(after_help = exit_codes())]
    Run(RunArgs),
    /// Compare saved results, or variants of a scenario over several seeds, with the first: what is better, worse or the same
    ///
    /// Results, each a folder that `tuesday run` wrote or its result.json: their variants of the same name are compared,
    /// or those that --variant names, run by run under the seeds that both have. One scenario: two or more of its variants are
    /// run under the same seeds and compared request by request. Each is set against the first, A.
    #[command(after_help = compare::EXAMPLES)]
    Compare(compare::CompareArgs),
    /// Run one variant over a grid of settings: what each does, where it tips over, and the least that has to be changed
    ///
    /// The settings are laid over the variant as a variant is over its file, in virtual time. The value that the file has is
    /// always one of the points.
    #[command(after_help = sweep::EXAMPLES)]
    Sweep(sweep::SweepArgs),
    /// Draw a measure over the results that are kept of a scenario, and where its level changed
    ///
    /// `tuesday run` without `--out` keeps each result below tuesday-results. Those of the newest one's scenario file and engine
    /// are joined; invalid and interrupted runs are left out. A change point is found by E-divisive with a t-test.
    #[command(after_help = history::EXAMPLES)]
    History(history::HistoryArgs),
    /// Draw a saved result again
    ///
    /// Reads the result.json that `tuesday run` wrote, of this version or an earlier one, writes its reports anew, and prints where
    /// they are. Nothing is run. The report leaves out measures that an earlier version did not record.
    #[command(after_help = exit_codes())]
    Report(ReportArgs),
    /// Say what is wrong with scenarios, without running them
    Check(CheckArgs),
    /// List the scenarios that ship with this command
    List(ListArgs),
    /// Print a scenario that ships with this command, or every value that holds in a scenario
    ///
    /// With `--resolved`, the name may be that of a file. It prints a scenario file of one variant with everything that the file leaves
    /// out, and behind each value where it comes from: a line of the file, the variant, a preset, or a default.
    Show(ShowArgs),
    /// Print the JSON Schema of the scenario file, for editors
    Schema,
    /// Run the gateway of a scenario alone, as a real proxy
    ///
    /// It serves the routes of the file with the policies of one variant, by the clock on the wall, and prints where it
    /// listens. SIGINT (Ctrl-C) or SIGTERM let the requests under way finish, a second one ends it at once. SIGHUP has it read
    /// the file again and go by its limits, pool, timeouts, breakers and retries; SIGUSR1 has it open its log again.
    #[command(after_help = GATEWAY_EXAMPLE)]
    Gateway(GatewayArgs),
    /// Run the simulated upstreams of a scenario alone, for any client or gateway
    ///
    /// They listen where the file says (`listen`), or on any free port, and print where. The scenario's time begins at once,
    /// so that its faults come at their times; after its duration the upstreams go on without any. SIGINT (Ctrl-C) or SIGTERM
    /// end them.
    Upstreams(UpstreamsArgs),
    /// Print the dashboards of a gateway, for Grafana
    ///
    /// Two of them: how saturated the rate limits are, and what the circuit breakers did when. They read the metrics of
    /// `tuesday gateway --admin` from Prometheus.
    Dashboards(DashboardsArgs),
    /// Measure the simulator where the answers are known without it
    ///
    /// Runs textbook queues, whose answers stand in closed form, and rate limits, breakers and timeouts worked out by
    /// hand, each as a whole scenario, and compares. What is drawn at random may be off by five standard errors of its run; counts must
    /// be met exactly.
    Selftest(SelftestArgs),
    /// Print the completions for a shell
    ///
    /// For bash: tuesday completions bash > ~/.local/share/bash-completion/completions/tuesday
    Completions(CompletionsArgs),
    /// Print the manual page, of this command or of one of its own
    ///
    /// To read it at once: tuesday man run | man -l -
    Man(ManArgs),
}

/// Shown below the help.
const INIT_EXAMPLES: &str = "\
Examples:
  tuesday init                                  (writes scenario.toml)
  tuesday init shop.toml --from openapi.yaml
  tuesday init mine.toml --from nine-oh-two";

#[derive(Debug, Args)]
struct InitArgs {
    /// The file to write
    #[arg(value_name = "FILE", default_value = "scenario.toml")]
    file: PathBuf,

    /// Begin with the paths of an OpenAPI file (YAML or JSON), which become routes, or with a shipped scenario of this name
    #[arg(long, value_name = "FILE|NAME")]
    from: Option<String>,

    /// Overwrite the file if it is there
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
struct RunArgs {
    /// Scenario files, or names of shipped scenarios
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<String>,

    /// How to run them
    #[arg(long, value_enum, value_name = "ENGINE", default_value = "virtual")]
    engine: EngineChoice,

    /// Let the live engine's clock run N times as fast as real time, or as fast as this machine can be expected to keep
    /// up with (`max`)
    ///
    /// Shares, counts and breaker transitions are comparable at any speed; latency carries N times the machine's own
    /// overhead, and is comparable at 1.
    #[arg(long, value_name = "N|max", default_value = "1", value_parser = speed)]
    speed: Speed,

    /// Run only these variants
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    variant: Vec<String>,

    /// Run under this seed instead of the scenario's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Run under K seeds, counting up from the first; every expectation must hold under each
    #[arg(long, value_name = "K", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1000))]
    seeds: u32,

    /// Run on this many threads; of no influence on the result [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroU32>,

    /// Let load go beyond loopback: to an external gateway on another host, or upstreams that other hosts can reach
    ///
    /// Only against machines that are yours. Identities then have no addresses of their own to send from.
    #[arg(long)]
    allow_remote: bool,

    /// Write the reports here, in a folder for each scenario [default: keep each run's below tuesday-results]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Write the reports in these formats
    #[arg(long, value_enum, value_name = "FORMAT", value_delimiter = ',', default_value = "html,json")]
    format: Vec<Format>,

    /// Append the summaries to this file as Markdown, such as a CI system's step summary (`$GITHUB_STEP_SUMMARY`)
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,

    /// Note problems of the file, and expectations that do not hold, at their lines, for a CI system [default: github on GitHub's runners, where
    /// `GITHUB_ACTIONS` is true]
    #[arg(long, value_enum, value_name = "SYSTEM")]
    annotations: Option<AnnotationsChoice>,

    /// Log every request of every run to this file, one JSON object a line, run after run
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,

    /// Serve a page on loopback that shows the live runs as they go: how saturated the rate limits are, and what the
    /// circuit breakers do
    #[arg(long)]
    watch: bool,

    /// Write all of a large world: every lane of the page, and every series of series.csv
    #[arg(long)]
    full: bool,

    #[command(flatten)]
    length: SummaryLength,

    /// Print nothing of scenarios whose expectations all held, and no progress
    #[arg(short, long)]
    quiet: bool,

    /// Print the results as one JSON array, an element for each scenario as its result.json has it, and no summary
    #[arg(long)]
    json: bool,

    /// Print one table of how far the engines agree on each variant of each scenario, and no summaries (`just agree`)
    #[arg(long, hide = true, conflicts_with = "json")]
    agreement: bool,
}

impl RunArgs {
    /// How much is written of a large world.
    const fn detail(&self) -> Detail {
        detail(self.full)
    }
}

/// How much is written of a large world.
const fn detail(full: bool) -> Detail {
    if full { Detail::Full } else { Detail::Fitted }
}

/// A value of `--engine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EngineChoice {
    /// In virtual time: minutes in a fraction of a second, the same result anywhere
    Virtual,
    /// Over real sockets on loopback, in real time
    Live,
    /// Both, and how far they agree; the live run's reports go to the folder live beside the others
    Both,
}

/// A value of `--speed`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Speed {
    Times(f64),
    Max,
}

fn speed(text: &str) -> Result<Speed, String> {
    match times(text) {
        Ok(speed) => Ok(Speed::Times(speed)),
        Err(_) if text == "max" => Ok(Speed::Max),
        Err(expected) => Err(format!("{expected}, or max")),
    }
}

/// How many times as fast as real time a clock can run.
fn times(text: &str) -> Result<f64, String> {
    let speed = text.parse::<f64>().ok().filter(|speed| (0.01..=1000.0).contains(speed));
    speed.ok_or_else(|| "a number from 0.01 to 1000".to_owned())
}

/// How much of a result is printed: one screen, if neither is set.
#[derive(Debug, Args)]
struct SummaryLength {
    /// Print all of it, and say below the table what each of its columns means
    #[arg(long)]
    explain: bool,

    /// Print all of it: every column, what happened in sentences, and each expectation
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
}

#[derive(Debug, Args)]
struct ReportArgs {
    /// A result.json, or the folder that holds it
    #[arg(value_name = "RESULT")]
    result: PathBuf,

    /// Write the reports here [default: the folder of the result]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Write the reports in these formats
    #[arg(long, value_enum, value_name = "FORMAT", value_delimiter = ',', default_value = "html")]
    format: Vec<Format>,

    /// Append the summary to this file as Markdown, such as a CI system's step summary (`$GITHUB_STEP_SUMMARY`)
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,

    /// Write all of a large world: every lane of the page, and every series of series.csv
    #[arg(long)]
    full: bool,

    #[command(flatten)]
    length: SummaryLength,

    /// Print nothing but problems
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// Scenario files, or names of shipped scenarios
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<String>,

    /// Note problems of the file at their lines, for a CI system [default: github on GitHub's runners, where
    /// `GITHUB_ACTIONS` is true]
    #[arg(long, value_enum, value_name = "SYSTEM")]
    annotations: Option<AnnotationsChoice>,

    /// Print nothing of scenarios that are in order
    #[arg(short, long)]
    quiet: bool,

    /// Print a JSON array, an element for each scenario with its problems and their places
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Print a JSON array, an element for each scenario
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// Name of a shipped scenario; with `--resolved`, of a scenario file too
    #[arg(value_name = "NAME")]
    name: String,

    /// Print every value that holds, and where it comes from
    #[arg(long)]
    resolved: bool,

    /// Resolve this variant [default: the first]
    #[arg(long, value_name = "NAME", requires = "resolved")]
    variant: Option<String>,

    /// How to print the values
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "toml", requires = "resolved")]
    format: ResolvedFormat,
}

/// A value of `show --format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ResolvedFormat {
    /// A scenario file with comments
    Toml,
    /// An object for programs
    Json,
}

/// Shown below the help.
const GATEWAY_EXAMPLE: &str = "\
Example:
  tuesday upstreams orders.toml      (prints where each upstream listens)
  tuesday gateway orders.toml --upstream orders=127.0.0.1:40123";

#[derive(Debug, Args)]
struct GatewayArgs {
    /// A scenario file, or the name of a shipped scenario
    #[arg(value_name = "SCENARIO")]
    scenario: String,

    /// Take the gateway of this variant [default: the first]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,

    /// Listen here; port 0 is any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = serving::address)]
    listen: SocketAddr,

    /// Where an upstream is, or one host after the other of an upstream with several [default: its `listen` in the file]
    #[arg(long, value_name = "NAME=ADDRESS", value_parser = upstream_address)]
    upstream: Vec<UpstreamAddress>,

    /// Serve on this many threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<NonZeroUsize>,

    /// How long requests under way may take to finish once it is told to end
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = file::parse_duration)]
    grace: Duration,

    /// Log every request to this file, one JSON object a line, or to standard output (`-`)
    #[arg(long, value_name = "FILE|-")]
    log: Option<String>,

    /// Serve metrics for Prometheus at this address, below /metrics
    #[arg(long, value_name = "ADDRESS", value_parser = serving::address)]
    admin: Option<SocketAddr>,

    /// Answer at the address of `--admin` to this DNS name too, beside addresses and `localhost`; may be repeated
    #[arg(long, value_name = "NAME", value_parser = host_name, requires = "admin")]
    admin_host: Vec<String>,

    /// Serve a page that shows the gateway at work, at the address of `--admin` or on any free port of loopback
    #[arg(long)]
    watch: bool,

    /// Send spans and metrics to this collector over OTLP (HTTP, protobuf), such as `http://127.0.0.1:4318`
    #[arg(long, value_name = "URL", value_parser = collector)]
    otlp: Option<Url>,

    /// Listen and ask beyond loopback
    #[arg(long)]
    allow_remote: bool,
}

/// Where an upstream is.
#[derive(Clone, Debug)]
struct UpstreamAddress {
    name: String,
    address: SocketAddr,
}

/// `NAME=ADDRESS`; a name may have an equals sign, an address has none.
fn upstream_address(text: &str) -> Result<UpstreamAddress, String> {
    let parts = text.rsplit_once('=').filter(|(name, _)| !name.is_empty());
    let (name, address) = parts.ok_or_else(|| "such as orders=127.0.0.1:9101".to_owned())?;
    let address = serving::address(address)?;
    if address.port() == 0 {
        return Err("a port is from 1 to 65535".to_owned());
    }
    Ok(UpstreamAddress { name: name.to_owned(), address })
}

/// A DNS name, such as a `Host` field has before its port (RFC 1123 section 2.1, and underscores, which names in use have).
fn host_name(text: &str) -> Result<String, String> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if text.len() <= 253 && text.split('.').all(is_label) {
        Ok(text.to_owned())
    } else {
        Err("a DNS name without a port, such as gateway.example".to_owned())
    }
}

/// Where a collector is: what its signals have their paths below.
fn collector(text: &str) -> Result<Url, String> {
    let is_base = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.port() != Some(0)
            && url.query().is_none()
            && url.fragment().is_none()
    };
    let url = Url::parse(text).ok().filter(is_base);
    url.ok_or_else(|| "a URL such as http://127.0.0.1:4318".to_owned())
}

/// A number of threads that a machine can have.
fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let threads = text.parse::<NonZeroUsize>().ok().filter(|threads| threads.get() <= 1024);
    threads.ok_or_else(|| "a whole number from 1 to 1024".to_owned())
}

#[derive(Debug, Args)]
struct UpstreamsArgs {
    /// A scenario file, or the name of a shipped scenario
    #[arg(value_name = "SCENARIO")]
    scenario: String,

    /// Take the upstreams and faults of this variant [default: the first]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,

    /// Let the scenario's clock run N times as fast as real time
    #[arg(long, value_name = "N", default_value = "1", value_parser = times)]
    speed: f64,

    /// Draw service times and faults under this seed instead of the scenario's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Leave the faults out
    #[arg(long)]
    calm: bool,

    /// Listen beyond loopback, where the file says so
    #[arg(long)]
    allow_remote: bool,
}

#[derive(Debug, Args)]
struct DashboardsArgs {
    /// For whom
    #[arg(value_enum, value_name = "PRODUCT", default_value = "grafana")]
    product: ProductChoice,
}

/// For whom dashboards are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ProductChoice {
    /// A JSON array of two dashboards over Prometheus
    Grafana,
}

#[derive(Debug, Args)]
struct SelftestArgs {
    /// Run under this seed
    #[arg(long, value_name = "N", default_value = "902")]
    seed: u64,

    /// Print only what fails, and no progress
    #[arg(short, long)]
    quiet: bool,

    /// Print the lines as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

#[derive(Debug, Args)]
struct ManArgs {
    /// A command of this one, such as run
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

/// Runs the command that the process was started with, and returns how it is to exit.
pub fn main() -> ExitCode {
    let Cli { command } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(mut asked) => {
            suggest_command(&mut asked);
            suggest_scenario(&mut asked);
            // Help and version are answers; everything else is bad usage.
            let code = if asked.use_stderr() { ExitCode::Usage } else { ExitCode::Held };
            return match terminal::print_usage(&mut asked) {
                Err(error) if error.kind() != ErrorKind::BrokenPipe => ExitCode::RunFailed,
                _ => code,
            };
        }
    };
    let outcome = match command {
        Command::Init(args) => init::init(&args),
        Command::Run(args) => run::run(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Sweep(args) => sweep::sweep(&args),
        Command::History(args) => history::history(&args),
        Command::Report(args) => report::report(&args),
        Command::Check(args) => check::check(&args),
        Command::List(args) => library::list(&args),
        Command::Show(args) if args.resolved => resolved::show(&args),
        Command::Show(args) => library::show(&args),
        Command::Schema => schema::schema(),
        Command::Gateway(args) => gateway::gateway(&args),
        Command::Upstreams(args) => upstreams::upstreams(&args),
        Command::Dashboards(args) => dashboards::dashboards(&args),
        Command::Selftest(args) => selftest::selftest(&args),
        Command::Completions(args) => setup::completions(&args),
        Command::Man(args) => setup::man(&args),
    };
    outcome.unwrap_or_else(|failure| {
        say(&failure.to_string());
        failure.exit_code()
    })
}

/// Names the command that was most likely meant by one that is not there: clap finds none for `rnu`.
fn suggest_command(error: &mut clap::Error) {
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidSubcommand) else { return };
    let known = Cli::command();
    let near = file::nearest(wrong, known.get_subcommands().map(clap::Command::get_name)).map(str::to_owned);
    if let (Some(near), None) = (near, error.get(ContextKind::SuggestedSubcommand)) {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![near]));
    }
}

/// Says what to type where a command is left without its scenario.
fn suggest_scenario(error: &mut clap::Error) {
    let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else { return };
    let is_missing = |what: &str| missing.iter().any(|argument| argument.contains(what));
    if error.kind() != clap::error::ErrorKind::MissingRequiredArgument {
        return;
    }
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let command = usage.split_whitespace().skip_while(|word| *word != "tuesday").nth(1).unwrap_or("run");
    // Others take more than a scenario, and have examples in their help.
    let tips = match command {
        _ if is_missing("<SCENARIO>") && command != "sweep" => vec![
            format!(
                "`tuesday {command} window-boundary` takes a scenario that ships; `tuesday list` shows all"
            ),
            format!("`tuesday init` writes one of your own; then `tuesday {command} scenario.toml`"),
        ],
        _ if is_missing("SCENARIO") => vec![
            "`tuesday list` shows the scenarios that ship; `tuesday init` writes one of your own".to_owned(),
        ],
        "show" => vec!["`tuesday list` shows the names".to_owned()],
        _ => return,
    };
    error
        .insert(ContextKind::Suggested, ContextValue::StyledStrs(tips.into_iter().map(Into::into).collect()));
}

/// How many columns there are to print on: those of the terminal, and eighty where it is none.
fn terminal_width() -> usize {
    let size = terminal_size::terminal_size_of(std::io::stdout());
    let columns = size.map(|(terminal_size::Width(columns), _)| usize::from(columns));
    // Some terminals do not know how wide they are.
    columns.filter(|columns| *columns > 0).unwrap_or(reports::TERMINAL_WIDTH)
}

/// Prints a JSON document, for programs.
fn print_json(document: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(document);
    print_json_text(&(text.map_err(|error| Failure::run(format!("cannot write JSON: {error}")))? + "\n"))
}
