//! What cannot be used as a scenario or as a place for results, through the real command: exit code 2, a message
//! that names what was asked for, and nothing written.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tuesday::library;

use crate::common::command;

/// Runs and checks the scenario in an empty folder, once `prepare` has put there what it needs; returns what is
/// said, in which `[FOLDER]` stands for the folder.
fn refused(scenario: &str, prepare: impl Fn(&Path)) -> String {
    let told = ["check", "run"].map(|name| {
        let folder = TempDir::new().unwrap();
        prepare(folder.path());
        let before = entries(folder.path());
        let output = command(folder.path()).args([name, scenario]).output().unwrap();
        let told =
            String::from_utf8(output.stderr).unwrap().replace(folder.path().to_str().unwrap(), "[FOLDER]");
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(output.stdout.is_empty(), "{told}");
        assert!(!told.contains("panicked"), "{told}");
        assert_eq!(entries(folder.path()), before, "something was written");
        told
    });
    assert_eq!(told[0], told[1]);
    let [told, _] = told;
    told
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn file(name: &'static str, bytes: impl AsRef<[u8]>) -> impl Fn(&Path) {
    move |folder| fs::write(folder.join(name), &bytes).unwrap()
}

fn window_boundary() -> &'static str {
    library::find("window-boundary").unwrap().text
}

#[test]
fn a_fault_on_nobody_and_calls_in_a_circle() {
    let world = |more: &str| {
        format!(
            "name = 'Wrong'\nduration = '1m'\nslo.latency = '1s'\nupstreams.a.latency.constant = '1ms'\n\
             upstreams.b.latency.constant = '1ms'\nroutes.'/'.upstream = 'a'\n\
             clients.all = {{ send = '/', rate = '1/s' }}\n{more}"
        )
    };
    let told = |more: &str| {
        let text = world(more);
        refused("mine.toml", |folder| fs::write(folder.join("mine.toml"), &text).unwrap())
    };
    let nobody = told("faults = [{ at = '1s', for = '1s', upstreams = ['c'], hang = {} }]");
    assert!(nobody.contains("there is no upstream `c`") && nobody.contains("mine.toml:8:"), "{nobody}");
    let circle = told("upstreams.a.calls = [{ upstream = 'b' }]\nupstreams.b.calls = [{ upstream = 'a' }]");
    assert!(
        circle.contains("calls go in a circle: a → b → a") && circle.contains("mine.toml:9:"),
        "{circle}"
    );
}

#[test]
fn a_file_that_is_not_there() {
    insta::assert_snapshot!(refused("scenarios/mine.toml", |_| ()), @"error: scenarios/mine.toml: there is no such file, and no shipped scenario of that name (`tuesday list` shows them)");
}

#[test]
fn a_shipped_name_that_is_misspelt() {
    insta::assert_snapshot!(refused("window-boundry", |_| ()), @"error: window-boundry: there is no such file, and no shipped scenario of that name; did you mean `window-boundary`?");
    insta::assert_snapshot!(refused("window-boundary.toml", |_| ()), @"error: window-boundary.toml: there is no such file, and no shipped scenario of that name; did you mean `window-boundary`?");
}

#[test]
fn a_directory() {
    let told = refused("library", |folder| fs::create_dir(folder.join("library")).unwrap());
    insta::assert_snapshot!(told, @"error: library: it is a directory, expected a file");
}

#[test]
fn noise() {
    let noise: Vec<u8> = (0..2000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    insta::assert_snapshot!(refused("noise.toml", file("noise.toml", noise)), @"error: noise.toml: it is not UTF-8 text: the first stray byte is number 2 of the file, in line 1");
    let latin1 = b"name = \"x\"\nstory = \"caf\xe9\"\n";
    insta::assert_snapshot!(refused("latin1.toml", file("latin1.toml", latin1)), @"error: latin1.toml: it is not UTF-8 text: the first stray byte is number 24 of the file, in line 2");
}

#[test]
fn a_file_without_end() {
    let long = format!("name = \"{}\"\n", "x".repeat(10_000_000));
    insta::assert_snapshot!(refused("long.toml", file("long.toml", long)), @"error: long.toml: it is larger than 4 MiB, the most that is read");
}

/// Permissions do not keep root out, the memory of a process at address zero does.
#[test]
#[cfg(target_os = "linux")]
fn a_file_that_cannot_be_read() {
    insta::assert_snapshot!(refused("/proc/self/mem", |_| ()), @"error: /proc/self/mem: it cannot be read: Input/output error (os error 5)");
}

#[test]
fn a_wrong_scenario() {
    let wrong = window_boundary().replacen("\"100/s\"", "\"fast\"", 1);
    insta::assert_snapshot!(refused("wrong.toml", file("wrong.toml", wrong)), @r#"
        error: `clients.everyone-else.rate`: expected a rate such as "200/s", "16.7/s" or "1000/m"
          --> wrong.toml:33:14
           |
        33 | rate       = "fast"
           |              ^^^^^^
        "#);
}

#[test]
fn a_file_that_the_scenario_names_is_none() {
    let with = |named: &str| {
        let text = window_boundary().replacen("log-normal = { median = \"12ms\", p99 = \"60ms\" }", named, 1);
        assert_ne!(text, window_boundary());
        file("wrong.toml", text)
    };
    let folder = with("empirical = { file = \".\" }");
    insta::assert_snapshot!(refused("wrong.toml", folder), @r#"
        error: `upstreams.orders.latency.empirical.file`: cannot use ".": it is no file
          --> wrong.toml:16:34
           |
        16 | latency = { empirical = { file = "." } }
           |                                  ^^^
        "#);
    let missing = with("empirical = { file = \"missing.txt\" }");
    insta::assert_snapshot!(refused("wrong.toml", missing), @r#"
        error: `upstreams.orders.latency.empirical.file`: cannot use "missing.txt": there is no such file in the folder of the scenario
          --> wrong.toml:16:34
           |
        16 | latency = { empirical = { file = "missing.txt" } }
           |                                  ^^^^^^^^^^^^^
        "#);
}

#[test]
fn all_problems_of_all_scenarios_are_told() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("empty.toml"), "").unwrap();
    let output =
        command(folder.path()).args(["check", "empty.toml", "window-boundary", "mine"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @r#"
        error: there is no scenario in this file
        --> empty.toml
         = help: `tuesday show window-boundary` prints one to begin with

        error: mine: there is no such file, and no shipped scenario of that name (`tuesday list` shows them)
        "#);
}

#[test]
fn a_place_for_results_that_cannot_be_written() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("results"), "a file in the way").unwrap();
    let output =
        command(folder.path()).args(["run", "window-boundary", "--out", "results"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"error: cannot write to results/window-boundary: Not a directory (os error 20)");
    assert_eq!(entries(folder.path()), ["results"]);
    assert_eq!(fs::read_to_string(folder.path().join("results")).unwrap(), "a file in the way");
}

#[test]
fn a_scenario_in_order_is_accepted() {
    let folder = TempDir::new().unwrap();
    // A mark of Windows at the beginning, and its ends of lines.
    let text = format!("\u{feff}{}", window_boundary().replace('\n', "\r\n"));
    fs::write(folder.path().join("mine.toml"), text).unwrap();
    let output = command(folder.path()).args(["check", "mine.toml"]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let (verdict, speed) = printed.trim_end().split_once('\n').unwrap();
    assert_eq!(verdict, "mine.toml: in order, 4 variants and 5 expectations");
    // How fast depends on the machine.
    assert!(
        speed.starts_with("  over real sockets, this machine can be expected to hold `--speed "),
        "{speed}"
    );
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

/// A scenario whose latencies stand in a file.
fn with_latencies() -> String {
    "name = 'Forms'\nduration = '1m'\nslo.latency = '1s'\nupstreams.a.latency.empirical.file = 'l.txt'\n\
     routes.'/'.upstream = 'a'\nclients.all = { send = '/', rate = '1/s' }\n\
     expect.hold = ['latency(max) < 11ms', 'offered == 60']\n"
        .to_owned()
}

#[test]
fn a_byte_order_mark_and_any_end_of_a_line_are_read() {
    const MARK: &str = "\u{feff}";
    for (mark, end) in [("", "\n"), (MARK, "\n"), (MARK, "\r\n"), ("", "\r\n"), ("", "\r"), (MARK, "\r")] {
        let folder = TempDir::new().unwrap();
        let written = |text: &str| format!("{mark}{}", text.replace('\n', end));
        fs::write(folder.path().join("mine.toml"), written(&with_latencies())).unwrap();
        // A mark would be taken for a part of the first number, and ends of lines for none: two latencies in one.
        fs::write(folder.path().join("l.txt"), written("10ms\n# the other\n\n10ms\n")).unwrap();
        let output = command(folder.path()).args(["run", "mine.toml", "--quiet"]).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), told.as_str()), (Some(0), ""), "{mark:?} {end:?}");
    }
}

#[test]
fn what_no_number_is_written_in_is_refused_with_its_place() {
    let utf16 = |text: &str| -> Vec<u8> {
        [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    let told = |latencies: Vec<u8>| {
        refused("mine.toml", |folder| {
            fs::write(folder.join("mine.toml"), with_latencies()).unwrap();
            fs::write(folder.join("l.txt"), &latencies).unwrap();
        })
    };
    let told_utf16 = told(utf16("10ms\n"));
    assert!(told_utf16.contains("it is UTF-16 and not UTF-8 text") && told_utf16.contains("mine.toml:4:"));
    assert!(told(b"10ms\n1\x000ms\n".to_vec()).contains("line 2: expected a duration"));
    assert!(told("10ms\n１０ms\n".into()).contains("line 2: expected a duration"), "full-width digits");
    assert!(told(b"10ms\n10,5ms\n".to_vec()).contains("line 2: a number has no comma"));
    let told = |bytes: Vec<u8>| refused("mine.toml", file("mine.toml", bytes));
    assert!(told(utf16(&with_latencies())).contains("it is UTF-16 and not UTF-8 text"));
    let nul = told(with_latencies().replace("'1m'", "'1m'\0").into());
    assert!(nul.contains("mine.toml:2:16"), "{nul}");
    let wide = told(with_latencies().replace("1/s", "１/s").into());
    assert!(wide.contains("expected a rate") && wide.contains("mine.toml:6:"), "{wide}");
}
