//! The `tuesday` command: it finds scenarios, has them run, and says what came of it. No rule stands here.

mod check;
mod error;
mod library;
mod run;
mod sources;

use std::io::Write as _;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use self::error::{ExitCode, Failure};

/// Replays incidents against API gateway configurations, and says what each does to whom.
///
/// A scenario file holds clients, gateway, upstreams, and the configurations to compare. It is replayed in virtual
/// time for each of them: minutes of incident in a fraction of a second, and the same result for the same seed
/// on any machine.
#[derive(Debug, Parser)]
#[command(name = "tuesday", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    every expectation held
  1    an expectation failed
  2    the command line or a scenario cannot be used
  3    the run itself failed";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios: every variant, the verdict, and a report
    Run(RunArgs),
    /// Say what is wrong with scenarios, without running them
    Check(CheckArgs),
    /// List the scenarios that ship with this command
    List,
    /// Print a scenario that ships with this command
    Show(ShowArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Scenario files, or names of shipped scenarios
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<String>,

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

    /// Write the reports here, in a folder for each scenario
    #[arg(long, value_name = "DIR", default_value = "tuesday-results")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// Scenario files, or names of shipped scenarios
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<String>,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// Name of a shipped scenario
    #[arg(value_name = "NAME")]
    name: String,
}

/// Runs the command that the process was started with, and returns how it is to exit.
pub fn main() -> ExitCode {
    let Cli { command } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(asked) => {
            // Help and version are answers; everything else is bad usage.
            let code = if asked.use_stderr() { ExitCode::Usage } else { ExitCode::Held };
            return if asked.print().is_ok() { code } else { ExitCode::RunFailed };
        }
    };
    let outcome = match command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::List => library::list(),
        Command::Show(args) => library::show(&args),
    };
    outcome.unwrap_or_else(|failure| {
        // Whether anybody reads the message does not change the exit code.
        let _ = write!(anstream::stderr(), "{failure}");
        failure.exit_code()
    })
}

/// Prints to standard output; whoever closed it has read enough.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::run(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
