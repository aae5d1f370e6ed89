//! Names and contents of files that would do something on a terminal if they were printed as they are.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use tuesday::cli::ExitCode;

use super::{Desk, on_a_terminal, scenario};

/// Clears the screen and recolours it, in both ranges of control characters; a bell; turns the line around; and ends it.
const ODD: &str = "\u{1b}[2J\u{1b}[45m\u{9b}2J\u{9b}45m\u{7}\u{7f}\u{202e}";

/// What of a text would act on a terminal, the line's end apart.
fn acting(text: &str) -> Vec<char> {
    let is_override = |character| matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .filter(|character| *character != '\n' && (character.is_control() || is_override(*character)))
        .collect()
}

/// Whether nothing acts but colours, and no colour is the user's: none of ours is a background.
#[track_caller]
fn assert_harmless(args: &[&OsStr], told: &str) {
    assert!(!told.contains("\u{1b}[45m") && !told.contains("\u{1b}[2J"), "{args:?}: {told:?}");
    let mut plain = String::new();
    let mut rest = told;
    while let Some((before, colour)) = rest.split_once("\u{1b}[") {
        let (parameters, after) = colour.split_once('m').unwrap_or((colour, ""));
        assert!(parameters.bytes().all(|byte| byte.is_ascii_digit() || byte == b';'), "{args:?}: {told:?}");
        plain += before;
        rest = after;
    }
    plain += rest;
    assert!(acting(&plain).is_empty(), "{args:?}: {told:?}");
}

#[test]
fn no_text_of_the_users_acts_on_a_terminal() {
    let desk = Desk::new();
    let (file, wrong, other) = (format!("a{ODD}.toml"), format!("b{ODD}.toml"), format!("c{ODD}"));
    desk.write(&file, &(scenario("Odd", "\"served == 9\"") + "variants = { \"a\\u202e\" = {}, b = {} }\n"));
    // In a comment, in a string, and where a key should be.
    desk.write(
        &wrong,
        &format!("# {ODD}\nname = '{}' \nx{ODD} = 1\n", ODD.replace(['\u{1b}', '\u{7}', '\u{7f}'], "")),
    );
    desk.write("lines.toml", "name = '\u{9b}31m\u{202e}' # \u{9b}31m\nslo = 3 # \u{9d}0;\u{9c}\u{2028}\n");
    desk.write("odd.yaml", "info: { title: \"\\u009b31m\\u202e\" }\npaths: { \"/\\u009b31m\\u202e\": 0, \"/\\\\\\u009b31m\": 0 }\n");
    desk.write("saved/result.json", &format!("{{ \"version\": \"{}\" }}", "\\u009b31m\\u202e"));
    desk.write("broken/result.json", &format!("{{ {ODD}"));
    let wide = format!("--{other}");
    for args in [
        &["check", &file][..],
        &["check", "--json", &file],
        &["check", &wrong],
        &["check", "--json", &wrong],
        &["check", "lines.toml"],
        &["check", "--json", "lines.toml"],
        &["check", &other],
        &["check", &wide],
        &["run", &file],
        &["run", "--json", &file],
        &["run", &file, &format!("./{file}")],
        &["run", "--variant", &other, &file],
        &["run", "--out", &file, &file],
        &["run", "--engine", &other, &file],
        &["run", "--speed", &other, &file],
        &["run", "--seed", &other, &file],
        &["run", "--log", "/dev/null/\u{9b}", &file],
        &["run", "--summary", "/dev/null/\u{9b}", &file],
        &["compare", "--seeds", "2", &file, "a\u{202e}", "b"],
        &["compare", "--json", "--seeds", "2", &file, "a\u{202e}", "b"],
        &["compare", &file, &other, "b"],
        &["compare", &other, &file],
        &["sweep", &file, "--variant", &other, "--vary", "gateway.workers=1"],
        &["sweep", &file, "--variant", "b", "--seeds", "1", "--vary", "gateway.workers=1..2"],
        &["sweep", &file, "--variant", "b", "--vary", &other],
        &["sweep", &file, "--variant", "b", "--vary", &format!("gateway.workers={other}")],
        &["sweep", &file, "--variant", "b", "--vary", "gateway.workers=1", "--maximize", &other],
        &["report", &other],
        &["report", "saved"],
        &["report", "broken"],
        &["init", &file],
        &["init", "--from", &other],
        &["init", "--from", &wrong],
        &["init", "--force", &format!("d{file}"), "--from", "odd.yaml"],
        &["show", &other],
        &["man", &other],
        &["completions", &other],
        &["gateway", &file],
        &["gateway", &file, "--upstream", &format!("{other}=127.0.0.1:1")],
        &["gateway", &file, "--upstream", &other],
        &["gateway", &file, "--otlp", &format!("http://192.0.2.1/{other}")],
        &["upstreams", &other],
        &[&other],
        &[&wide],
    ] {
        let args: Vec<_> = args.iter().map(OsStr::new).collect();
        for colours in ["0", "1"] {
            let output = desk.tuesday().args(&args).env("CLICOLOR_FORCE", colours).output().unwrap();
            for said in [&output.stdout, &output.stderr] {
                assert_harmless(&args, &String::from_utf8(said.clone()).unwrap());
            }
            assert!(output.status.code().is_some_and(|code| code <= 2), "{args:?}: {output:?}");
        }
    }
    // And it is told all the same which file is meant.
    let named = "a\\u{1b}[2J\\u{1b}[45m\\u{9b}2J\\u{9b}45m\\u{7}\\u{7f}\\u{202e}.toml";
    desk.run(["check", &file]).exits(ExitCode::Held, &[named, "in order"]);
    let said = desk.run(["check", "--json", &file]);
    assert_eq!(said.json()[0]["scenario"], *file, "a program reads the name as it is");
}

#[test]
fn a_file_whose_name_is_no_text_is_harmless_too() {
    let desk = Desk::new();
    let name = OsStr::from_bytes(b"a\x9b31m\xff.toml");
    fs::write(desk.path("").join(name), scenario("Odd", "")).unwrap();
    let output = desk.tuesday().args([OsStr::new("report"), name]).output().unwrap();
    assert_harmless(&[name], &String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn progress_is_shown_with_a_name_that_can_be_seen() {
    let desk = Desk::new();
    desk.write("a\u{9b}31mb.toml", &scenario("Odd", ""));
    let Some(shown) = on_a_terminal(&desk, "run 'a\u{9b}31mb.toml'", &[]) else { return };
    assert!(shown.contains("a\\u{9b}31mb ") && !shown.contains('\u{9b}'), "{shown:?}");
}
