//! `tuesday init`: a scenario file of the user's own.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::path::{Component, Path};
use std::time::Duration;

use super::error::sentence;
use super::shell::shell_word;
use super::{ExitCode, Failure, InitArgs, formats, print, say, sources, visible};
use crate::draft::{self, Draft, LATENCIES, LIMITS};
use crate::{Scenario, file, library};

pub(super) fn init(args: &InitArgs) -> Result<ExitCode, Failure> {
    let (folder, name) = place(&args.file, args.force)?;
    let text = match &args.from {
        None => asked(Draft::default())?.text(),
        Some(from) => begun_from(from)?,
    };
    let scenario = read(&args.file, &text)?;
    formats::write_new(folder, name, &text, args.force)?;
    let shown = args.file.to_string_lossy();
    print(&format!(
        "{}: in order, {}\n\nTo run it, and to see what comes of it:\n  tuesday run {}\n",
        visible(&shown),
        super::check::counted(&scenario),
        visible(&shell_word(&shown)),
    ))?;
    Ok(ExitCode::Held)
}

/// The folder and the name of the file to write, which is not there.
fn place(file: &Path, force: bool) -> Result<(&Path, &Path), Failure> {
    let shown = file.display();
    let name = match file.components().next_back() {
        Some(Component::Normal(name)) if !file.is_dir() => Path::new(name),
        _ => return Err(Failure::usage(format!("{shown} is a folder; name the file that is to be in it"))),
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(Failure::usage(format!(
            "{} is no folder; make it first, or name another",
            folder.display()
        )));
    }
    // A link to nowhere is there, too.
    if !force && file.symlink_metadata().is_ok() {
        return Err(formats::is_there(file));
    }
    Ok((folder, name))
}

/// The text that a shipped scenario or an OpenAPI document is the beginning of. A file goes before a shipped scenario of the
/// same name.
fn begun_from(from: &str) -> Result<String, Failure> {
    let path = Path::new(from);
    if !path.is_file()
        && let Some(shipped) = library::find(from)
    {
        return Ok(draft::of_shipped(shipped));
    }
    let failed = |reason| Failure::usage(format!("{from}: {reason}"));
    sources::find(from).map_err(failed)?;
    let text = file::load_up_to(path, draft::LARGEST_DOCUMENT).map_err(failed)?;
    let told = |problems: &[file::Problem]| file::render(problems, from, &text, true);
    let (paths, warnings) =
        draft::read_openapi(&text).map_err(|problems| Failure::scenarios(told(&problems)))?;
    say(&told(&warnings));
    let name = path.file_name().map_or_else(|| from.into(), |name| name.to_string_lossy());
    Ok(asked(Draft::of_openapi(&name, paths))?.text())
}

/// The draft as a scenario: what cannot be read is not written.
fn read(path: &Path, text: &str) -> Result<Scenario, Failure> {
    let reading = file::read(text, &|_| Err("a first scenario has no files beside it".to_owned()));
    let told = file::render(&reading.problems, &path.to_string_lossy(), text, true);
    reading.scenario.ok_or_else(|| Failure::scenarios(told))
}

/// The draft with what the user says of upstream, latency and limit, if there is a user: without a terminal at both ends,
/// nothing is asked.
fn asked(draft: Draft) -> Result<Draft, Failure> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Ok(draft);
    }
    let upstream = ask("Name of the upstream", &draft.upstream, name)?;
    let shown = file::write_duration(draft.latency);
    let latency = ask("Its latency, of half of the requests at most", &shown, latency)?;
    let limit = ask("Requests a minute that one client may send", &draft.limit.to_string(), limit)?;
    Ok(Draft {
        upstream: upstream.unwrap_or(draft.upstream),
        latency: latency.unwrap_or(draft.latency),
        limit: limit.unwrap_or(draft.limit),
        ..draft
    })
}

/// How often one question is asked.
const MOST_TRIES: usize = 3;

/// Longer answers are cut, in bytes.
const LONGEST_ANSWER: u64 = 1024;

/// What the user answers; nothing if the default is right.
fn ask<T>(question: &str, default: &str, read: fn(&str) -> Result<T, String>) -> Result<Option<T>, Failure> {
    for _ in 0..MOST_TRIES {
        print(&format!("{question} [{default}]: "))?;
        let mut answer = Vec::new();
        let line = io::stdin().lock().take(LONGEST_ANSWER).read_until(b'\n', &mut answer);
        line.map_err(|error| Failure::run(format!("cannot read the answer: {error}")))?;
        if !answer.ends_with(b"\n") {
            print("\n")?;
        }
        let answer = String::from_utf8_lossy(&answer);
        let answer = answer.trim();
        if answer.is_empty() {
            return Ok(None);
        }
        match read(answer) {
            Ok(value) => return Ok(Some(value)),
            Err(expected) => say(&sentence(format!("expected {expected}, found `{answer}`"))),
        }
    }
    Err(Failure::usage("nothing is written; `tuesday init < /dev/null` asks nothing"))
}

fn name(answer: &str) -> Result<String, String> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    // A measure's argument of that name is the gateway.
    let is_name = answer.len() <= 60 && answer.chars().all(is_plain) && answer != "gateway";
    let name = is_name.then(|| answer.to_owned());
    name.ok_or_else(|| "at most 60 letters, digits, `-` and `_`, other than `gateway`".to_owned())
}

fn latency(answer: &str) -> Result<Duration, String> {
    let latency = file::parse_duration(answer).ok().filter(|latency| LATENCIES.contains(latency));
    let [least, most] = [LATENCIES.start(), LATENCIES.end()].map(|end| file::write_duration(*end));
    latency.ok_or_else(|| format!("a duration from {least} to {most}"))
}

fn limit(answer: &str) -> Result<u32, String> {
    let limit = answer.parse().ok().filter(|limit| LIMITS.contains(limit));
    limit.ok_or_else(|| format!("a whole number from {} to {}", LIMITS.start(), LIMITS.end()))
}
