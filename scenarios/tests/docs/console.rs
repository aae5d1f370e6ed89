//! Examples that a reader types: each is run, and its output is the one that the page shows.
//!
//! Info strings of blocks:
//!
//! | info | meaning |
//! |---|---|
//! | `console` | each line that begins with `$ ` is run by a shell, with `tuesday` in its path; the lines below are its output |
//! | `sh,not-run` | commands without output, which no test can run: they need sockets, time, or programs of others |
//! | `LANGUAGE,file=NAME` | the text of the file NAME, which the commands below it find |
//! | `LANGUAGE,file=NAME,append` | more lines at the end of that file |
//!
//! A page has one folder for all of its blocks. At first, the folder holds the TOML files that the page links to. If a file of a
//! block stands beside its page too, all blocks of the file add up to it.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::pages::{book, fences, prose, read, root};

/// The pages whose examples are run.
fn examples() -> Vec<PathBuf> {
    let mut pages = book();
    pages.push(root().join("README.md"));
    pages
}

/// What a reader sees on a terminal of eighty columns after a command, without colours.
fn output_of(command: &str, folder: &Path) -> String {
    let binary = assert_cmd::cargo::cargo_bin("tuesday");
    let path = format!("{}:{}", binary.parent().unwrap().display(), env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", &format!("{{ {command}\n}} 2>&1")])
        .current_dir(folder)
        .env("PATH", path)
        .env("LC_ALL", "C")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("GITHUB_ACTIONS")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut shown = String::new();
    for line in text.lines() {
        writeln!(shown, "{}", undated(line.trim_end())).unwrap();
    }
    let shown = shown.trim_matches('\n');
    if shown.is_empty() { String::new() } else { format!("{shown}\n") }
}

/// The line with `DATE` for the minute in the names of folders such as `2026-11-29T1130-0a1b2c3d`.
fn undated(line: &str) -> String {
    const FORM: &str = "0000-00-00T0000-";
    let is_date = |text: &str| {
        text.len() == FORM.len()
            && text.chars().zip(FORM.chars()).all(|(letter, form)| match form {
                '0' => letter.is_ascii_digit(),
                _ => letter == form,
            })
    };
    let place =
        line.char_indices().map(|(at, _)| at).find(|at| line.get(*at..*at + FORM.len()).is_some_and(is_date));
    match place {
        Some(at) => format!("{}DATE-{}", &line[..at], undated(&line[at + FORM.len()..])),
        None => line.to_owned(),
    }
}

/// The commands of a block: lines that begin with `$ `, with the lines that they are continued on.
fn commands(body: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut lines = body.lines();
    while let Some(line) = lines.next() {
        let Some(first) = line.strip_prefix("$ ") else { continue };
        let mut command = first.to_owned();
        while command.ends_with('\\') {
            command.push('\n');
            command.push_str(lines.next().expect("a line after a backslash"));
        }
        commands.push(command);
    }
    commands
}

/// The page with the output that its commands have now. `beside` is the folder of the page.
fn replayed(page: &str, beside: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let text = prose(page);
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = links.map(|link| beside.join(link));
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "toml")) {
        fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    let mut new = String::new();
    let mut copied = 0;
    for fence in fences(page) {
        let body = &page[fence.body.clone()];
        if let Some(name) = fence.file() {
            assert!(!name.contains('/'), "{name} is no name of a file");
            let path = folder.path().join(name);
            let before = if fence.is("append") { read(&path) } else { String::new() };
            fs::write(path, before + body).unwrap();
        }
        if fence.language() != "console" {
            continue;
        }
        new.push_str(&page[copied..fence.body.start]);
        let commands = commands(body);
        assert!(body.starts_with("$ "), "a block of the console begins with a command: {body}");
        for command in commands {
            assert!(command.lines().all(|line| line.chars().count() <= WIDEST), "break this line: {command}");
            write!(new, "$ {command}\n{}", output_of(&command, folder.path())).unwrap();
        }
        copied = fence.body.end;
    }
    new + &page[copied..]
}

#[test]
fn every_example_prints_what_its_page_shows() {
    let stale: Vec<String> = thread::scope(|scope| {
        let replays: Vec<_> = examples()
            .into_iter()
            .map(|path| {
                scope.spawn(move || {
                    let page = read(&path);
                    let new = replayed(&page, path.parent().unwrap());
                    if new == page {
                        return None;
                    }
                    if env::var_os("UPDATE_DOCS").is_some() {
                        fs::write(&path, &new).unwrap();
                        return None;
                    }
                    let (shown, printed) = page
                        .lines()
                        .zip(new.lines())
                        .find(|(shown, printed)| shown != printed)
                        .unwrap_or(("the end", "the end"));
                    Some(format!("{}\n  shows   {shown}\n  printed {printed}", path.display()))
                })
            })
            .collect();
        replays.into_iter().filter_map(|replay| replay.join().unwrap()).collect()
    });
    assert!(
        stale.is_empty(),
        "{}\nTo write the pages anew: UPDATE_DOCS=1 cargo test -p tuesday --test docs",
        stale.join("\n")
    );
}

/// The most letters of a line that a reader sees whole in the book.
const WIDEST: usize = 100;

/// The words that a line of commands may begin with.
const PROGRAMS: [&str; 17] = [
    "apt-get", "cargo", "cd", "curl", "export", "git", "jq", "just", "kill", "man", "mdbook", "mv", "pip",
    "podman", "tar", "tuesday", "valgrind",
];

#[test]
fn what_is_not_run_shows_no_output() {
    let mut seen = 0;
    for path in examples() {
        let page = read(&path);
        for fence in fences(&page) {
            let body = &page[fence.body.clone()];
            let place = path.display();
            assert!(!fence.info[0].is_empty() || !body.contains("tuesday "), "{place}: no language: {body}");
            if !["sh", "bash"].contains(&fence.language()) {
                continue;
            }
            for line in body.lines() {
                assert!(line.chars().count() <= WIDEST, "{place}: break this line: {line}");
            }
            assert!(fence.is("not-run"), "{place}: run it as `console`, or mark it `sh,not-run`: {body}");
            let mut continued = false;
            for line in body.lines().filter(|line| !line.is_empty()) {
                let first = line.split_whitespace().next().unwrap_or("");
                let variable = first.split_once('=').map_or("", |(name, _)| name);
                let is_command = continued
                    || line.starts_with(' ')
                    || (!variable.is_empty()
                        && variable.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'))
                    || first.starts_with('#')
                    || first.starts_with('.')
                    || first.starts_with("target/")
                    || first.starts_with("/usr/bin/")
                    || PROGRAMS.contains(&first);
                assert!(is_command, "{place}: {line} is no command, and what is not run shows no output");
                continued = line.ends_with('\\');
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "commands are not read: {seen}");
}

#[test]
fn what_is_not_run_has_commands_and_options_that_exist() {
    let mut helps = BTreeMap::<String, String>::new();
    for path in examples() {
        let page = read(&path);
        for fence in fences(&page).into_iter().filter(|fence| fence.is("not-run")) {
            for line in page[fence.body].lines().filter_map(|line| line.strip_prefix("tuesday ")) {
                let line = line.split(" #").next().unwrap().split(" |").next().unwrap();
                let mut words = line.split_whitespace();
                let command = words.next().unwrap();
                let help = helps
                    .entry(command.to_owned())
                    .or_insert_with(|| output_of(&format!("tuesday {command} --help"), Path::new(".")));
                assert!(help.contains("Usage: "), "{}: there is no tuesday {command}", path.display());
                for option in words.filter(|word| word.starts_with("--")) {
                    let option = option.split('=').next().unwrap();
                    let known =
                        help.split_whitespace().any(|word| word.split(['[', '=']).next() == Some(option));
                    assert!(known, "{}: tuesday {command} has no {option}", path.display());
                }
            }
        }
    }
    assert!(helps.len() > 4, "commands are not read: {:?}", helps.keys());
}

#[test]
fn a_folder_with_a_date_is_shown_without_it() {
    assert_eq!(undated("a/2026-11-29T1130-0a1b2c3d/b"), "a/DATE-0a1b2c3d/b");
    assert_eq!(undated("from 2026-06-02T09:00:00Z"), "from 2026-06-02T09:00:00Z");
}

#[test]
fn a_page_is_written_anew_with_what_its_commands_print() {
    let page = "Save this:\n\n```toml,file=a.toml\nx = 1\n```\n\n```console\n$ cat a.toml\nstale\n$ echo two \\\n  three\n```\nend\n";
    let new = page.replace("stale", "x = 1").replace("  three\n", "  three\ntwo three\n");
    assert_eq!(replayed(page, Path::new("")), new);
}

#[test]
fn blocks_of_a_file_add_up_to_the_file_beside_their_page() {
    let mut seen = 0;
    for path in examples() {
        let page = read(&path);
        let mut files = BTreeMap::<&str, String>::new();
        for fence in fences(&page) {
            let Some(name) = fence.file() else { continue };
            let file = files.entry(name).or_default();
            if !fence.is("append") {
                file.clear();
            }
            file.push_str(&page[fence.body.clone()]);
        }
        for (name, text) in files {
            let file = path.with_file_name(name);
            if !file.exists() {
                continue;
            }
            if env::var_os("UPDATE_DOCS").is_some() {
                fs::write(&file, &text).unwrap();
            }
            assert!(read(&file) == text, "{}: the blocks of {name} are another file", path.display());
            seen += 1;
        }
    }
    assert!(seen > 0, "no file is compared");
}
