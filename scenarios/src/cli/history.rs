//! A measure over the results that are kept of a scenario.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use reports::{
    HISTORY_MOST, HistoryResult, Stored, history_html, history_json, history_measures, history_summary,
};

use super::error::sentence;
use super::saved::Saved;
use super::shell::shell_word;
use super::{ExitCode, Failure, folders, formats, run, saved, stored, terminal_width};
use crate::file;

/// Shown below the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  tuesday history nine-oh-two
  tuesday history nine-oh-two --measure blast_radius --variant recommended";

#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// The scenario: the name of the folder that keeps its results
    #[arg(value_name = "NAME")]
    name: String,

    /// Tell of this measure, named as in comparisons, such as `latency.p99` or `goodput(clients.partner)`
    #[arg(long, value_name = "MEASURE", default_value = "goodput")]
    measure: String,

    /// Tell of this variant alone
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,

    /// Read the results that are kept here, and write the history beside them
    #[arg(long, value_name = "DIR", default_value = stored::RESULTS)]
    results: PathBuf,

    /// Write it in these formats
    #[arg(long, value_enum, value_name = "FORMAT", value_delimiter = ',', default_value = "html")]
    format: Vec<HistoryFormat>,

    /// Print nothing but problems
    #[arg(short, long)]
    quiet: bool,

    /// Print the history as JSON, as its history.json has it, and no summary
    #[arg(long)]
    json: bool,
}

/// A value of `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum HistoryFormat {
    /// history.html: the whole history in one file that opens offline
    Html,
    /// history.json: every number
    Json,
}

impl HistoryFormat {
    fn file(self, result: &HistoryResult, command: &str) -> Result<(&'static str, String), Failure> {
        Ok(match self {
            Self::Html => {
                let page = history_html(result, command);
                let page = page.map_err(|error| Failure::run(format!("cannot draw the history: {error}")))?;
                ("history.html", page)
            }
            Self::Json => ("history.json", history_json(result)),
        })
    }
}

/// Reads the results that are kept, writes the history, and says what came of it.
pub(super) fn history(args: &HistoryArgs) -> Result<ExitCode, Failure> {
    let folder = folders::below(&args.results, &args.name, &args.name)?;
    let result = joined(args, kept(args, &folder)?)?;
    let command = reproduce(args);
    let written = formats::write_each(&folder, &args.format, |format| format.file(&result, &command))?;
    let document = || history_json(&result);
    let summary = || history_summary(&result, terminal_width());
    formats::print_made(args.json, args.quiet, document, summary, "history", &written)?;
    Ok(ExitCode::Held)
}

/// The folders that keep results, the oldest first, with the time and hash of each.
fn kept(args: &HistoryArgs, folder: &std::path::Path) -> Result<Vec<(stored::Name, PathBuf)>, Failure> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let named = entries.filter_map(|entry| Some((stored::read(entry.file_name().to_str()?)?, entry.path())));
    let mut kept: Vec<_> = named.filter(|(_, path)| saved::is_saved(&path.to_string_lossy())).collect();
    kept.sort();
    if kept.is_empty() {
        let name = shell_word(&args.name);
        return Err(Failure::usage(format!(
            "there is no result in a folder such as {}; `tuesday run {name}` without `--out` keeps one",
            run::shown_path(&folder.join("2026-11-29T1130-0123abcd"))
        )));
    }
    Ok(kept)
}

/// Reads the results and joins them to the history that was asked for.
fn joined(args: &HistoryArgs, mut kept: Vec<(stored::Name, PathBuf)>) -> Result<HistoryResult, Failure> {
    let older = kept.len().saturating_sub(HISTORY_MOST);
    kept.drain(..older);
    let (mut read, mut errors) = (Vec::new(), String::new());
    let (mut measures, mut variants) = (Vec::new(), Vec::new());
    for (name, path) in kept {
        match saved::read(&path) {
            Ok(Saved { result, .. }) => {
                measures = history_measures(&result);
                variants = result.variants.iter().map(|variant| variant.name.clone()).collect();
                read.push(Stored::of(name.at_unix_s, &name.hash, &result, &args.measure));
            }
            Err(error) => errors += &sentence(format!("{error}; remove its folder to leave it out")),
        }
    }
    if !errors.is_empty() {
        return Err(Failure::scenarios(errors));
    }
    let Some(mut result) = reports::history(read, older) else {
        let way_out = match file::nearest(&args.measure, measures.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", measures.join(", ")),
        };
        return Err(Failure::usage(format!("--measure: the results have no `{}`; {way_out}", args.measure)));
    };
    if let Some(variant) = &args.variant
        && !result.keep_variant(variant)
    {
        let names: Vec<&str> = variants.iter().map(String::as_str).collect();
        return Err(Failure::usage(run::unknown_variant(&args.name, &names, variant).unwrap_or_default()));
    }
    Ok(result)
}

/// The command that reads the history again.
fn reproduce(args: &HistoryArgs) -> String {
    let mut command =
        format!("tuesday history {} --measure {}", shell_word(&args.name), shell_word(&args.measure));
    if let Some(variant) = &args.variant {
        // Writing to a string does not fail.
        let _ = write!(command, " --variant {}", shell_word(variant));
    }
    if args.results != std::path::Path::new(stored::RESULTS) {
        let _ = write!(command, " --results {}", shell_word(&args.results.display().to_string()));
    }
    command
}
