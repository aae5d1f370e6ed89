//! The `tuesday` command as its users meet it: the real binary, its output, its files and its exit codes.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are tests too; clippy only knows what stands in a test"
)]

mod annotations;
mod check;
#[cfg(unix)]
mod ci;
mod folders;
mod history;
mod init;
mod odd_names;
mod report;

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;
use tempfile::TempDir;
use tuesday::cli::ExitCode;

/// A folder of its own to run the command in.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// The command, in this folder and without the caller's wishes about colours.
    fn tuesday(&self) -> Command {
        let mut command = Command::new(cargo_bin("tuesday"));
        command.current_dir(self.0.path()).stdin(Stdio::null());
        for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI", "GITHUB_ACTIONS", "GITHUB_WORKSPACE"]
        {
            command.env_remove(variable);
        }
        command
    }

    fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Said {
        Said::of(&self.tuesday().args(args).output().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The folder that keeps the only result of a scenario.
    fn kept(&self, scenario: &str) -> String {
        let entries = fs::read_dir(self.path("tuesday-results").join(scenario)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let kept: Vec<String> = names.filter(|name| name != "latest").collect();
        assert_eq!(kept.len(), 1, "{kept:?}");
        kept[0].clone()
    }

    /// Names of everything below the folder, sorted.
    fn files(&self) -> Vec<String> {
        fn walk(folder: &Path, below: &Path, names: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, below, names);
                } else {
                    names.push(path.strip_prefix(below).unwrap().display().to_string());
                }
            }
        }
        let mut names = Vec::new();
        walk(self.0.path(), self.0.path(), &mut names);
        names.sort();
        names
    }
}

/// What the command said, and how it ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Panics unless it exited so, having said each of these on standard output (held) or standard error (else).
    #[track_caller]
    fn exits(self, code: ExitCode, said: &[&str]) -> Self {
        assert_eq!(self.code, Some(i32::from(code.number())), "{self:#?}");
        let text = if code == ExitCode::Usage || code == ExitCode::RunFailed { &self.err } else { &self.out };
        for expected in said {
            assert!(text.contains(expected), "no `{expected}` in {self:#?}");
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Says that a test was skipped, straight to standard error: what a test that passes prints by a macro is shown to nobody.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// A request a second for ten seconds, all of them served.
fn scenario(name: &str, expect: &str) -> String {
    format!(
        r#"
name = "{name}"
duration = "10s"
slo.latency = "1s"
upstreams.api.latency = {{ exponential = {{ mean = "20ms" }} }}
routes."/".upstream = "api"
clients.one = {{ send = "/", rate = "1/s" }}
expect.hold = [{expect}]
"#
    )
}

#[test]
fn a_run_says_what_each_limit_let_through_and_where_the_report_is() {
    let desk = Desk::new();
    let said = desk.run(["run", "window-boundary"]).exits(
        ExitCode::Held,
        &[
            "Window-boundary burst",
            "Take token-bucket: 100/s were served within the SLO of 500 ms",
            "One morning (seed 902)",
            "5 of 5 expectations held.",
            "report: tuesday-results/window-boundary/latest/report.html",
            "result: tuesday-results/window-boundary/latest/result.json",
        ],
    );
    // Piped: neither colours nor a progress bar, and it fits a terminal of any width.
    assert_eq!(said.err, "");
    assert!(!said.out.contains('\x1b'), "{}", said.out);
    for line in said.out.lines() {
        assert!(line.chars().count() <= 80, "wider than 80 columns: {line}");
    }
    let kept = desk.kept("window-boundary");
    let written = ["latest", &kept].map(|folder| {
        ["report.html", "result.json"].map(|file| format!("tuesday-results/window-boundary/{folder}/{file}"))
    });
    assert_eq!(desk.files(), {
        let mut files = written.concat();
        files.sort();
        files
    });
    assert!(
        desk.read("tuesday-results/window-boundary/latest/report.html").contains("Window-boundary burst")
    );
}

#[test]
fn a_run_fits_on_one_screen_unless_all_of_it_is_asked_for() {
    let desk = Desk::new();
    let said = desk.run(["run", "nine-oh-two"]).exits(
        ExitCode::Held,
        &[
            "Take timeout+retry-budget: nobody else was hurt, and 20.6% of the requests that",
            "With the gateway alone: bulkhead, direct damage 22.8%.",
            "26 of 26 expectations held.",
        ],
    );
    assert!(said.out.lines().count() <= 24, "{}", said.out);
    for asked in ["-v", "--explain"] {
        let told = ["✓ held", "• Under breaker the faults hurt 54.2% of the requests"];
        let said = desk.run(["run", "nine-oh-two", asked]).exits(ExitCode::Held, &told);
        assert!(said.out.lines().count() > 60, "{}", said.out);
    }
    let whole = desk.run(["report", "tuesday-results/nine-oh-two", "-v"]).exits(ExitCode::Held, &["✓ held"]);
    assert!(whole.out.lines().count() > 60, "{}", whole.out);
}

#[test]
fn an_expectation_that_fails_is_exit_code_1() {
    let desk = Desk::new();
    desk.write("a.toml", &scenario("Too much to ask", r#""served == 11", "served == 10""#));
    let said = desk.run(["run", "a.toml"]).exits(
        ExitCode::ExpectationFailed,
        &["✗ FAILED  served == 11", "1 of 2 expectations FAILED.", "report: "],
    );
    assert_eq!(said.err, "");
    // The report of what failed is what one wants to read.
    assert!(desk.path("tuesday-results/a/latest/report.html").exists());
}

#[test]
fn several_scenarios_have_the_last_word_together() {
    let desk = Desk::new();
    desk.write("good.toml", &scenario("Good", r#""served == 10""#));
    desk.write("bad.toml", &scenario("Bad", r#""served == 11""#));
    desk.write("fair.toml", &scenario("Fair", r#""served > 1""#));
    desk.run(["run", "good.toml", "bad.toml", "fair.toml"]).exits(
        ExitCode::ExpectationFailed,
        &["Good\n", "Bad\n", "Fair\n", "\n1 of 3 scenarios FAILED:\n  bad\n"],
    );
    desk.run(["run", "good.toml", "fair.toml"]).exits(ExitCode::Held, &["\nAll 2 scenarios held.\n"]);
}

#[test]
fn quiet_is_silent_about_what_holds() {
    let desk = Desk::new();
    desk.write("good.toml", &scenario("Good", r#""served == 10""#));
    desk.write("bad.toml", &scenario("Bad", r#""served == 11""#));
    for args in [&["run", "-q", "good.toml"], &["check", "--quiet", "good.toml"]] {
        let said = desk.run(args).exits(ExitCode::Held, &[]);
        assert_eq!((&*said.out, &*said.err), ("", ""));
    }
    assert!(desk.path("tuesday-results/good/latest/report.html").exists());
    let said = desk.run(["run", "--quiet", "good.toml", "bad.toml"]).exits(
        ExitCode::ExpectationFailed,
        &[
            "✗ FAILED  served == 11",
            "1 of 2 scenarios FAILED:\n  bad\n",
            "report: tuesday-results/bad/latest/report.html",
        ],
    );
    assert!(!said.out.contains("Good"), "{}", said.out);
}

#[test]
fn bad_usage_is_exit_code_2_with_a_way_out() {
    let desk = Desk::new();
    desk.write("a.toml", &scenario("A", "")).write("b/a.toml", &scenario("A", ""));
    let usage: [(&[&str], &[&str]); 14] = [
        (&[], &["Usage: tuesday <COMMAND>"]),
        (&["run"], &["<SCENARIO>"]),
        (&["slftest"], &["unrecognized subcommand 'slftest'", "similar subcommand exists: 'selftest'"]),
        (&["run", "a.toml", "--sede", "1"], &["unexpected argument '--sede'", "--seed"]),
        (&["run", "a.toml", "--seed", "-1"], &["-1"]),
        (&["run", "a.toml", "--seeds", "0"], &["0 is not in 1..=1000"]),
        (&["run", "a.toml", "--threads", "0"], &["--threads"]),
        (&["run", "a.toml", "--format", "pdf"], &["invalid value 'pdf'", "[possible values: html, json"]),
        (&["run", "window-boundary", "--variant", "fixed-windo"], &["did you mean `fixed-window`?"]),
        (&["run", "a.toml", "--variant", "other"], &["a.toml has no variant `other`; it has base"]),
        (&["run", "window-boundry"], &["did you mean `window-boundary`?"]),
        (&["show", "window-boundry"], &["did you mean `window-boundary`?"]),
        (
            &["run", "a.toml", "b/a.toml"],
            &["two scenarios would write to tuesday-results/a; run them one by one"],
        ),
        (&["man", "chek"], &["there is no command `tuesday chek`; did you mean `check`?"]),
    ];
    for (args, said) in usage {
        let said = desk.run(args).exits(ExitCode::Usage, said);
        assert_eq!(said.out, "", "{args:?}");
    }
    assert_eq!(desk.files(), ["a.toml", "b/a.toml"], "nothing is written");
}

#[test]
fn the_problems_of_all_scenarios_are_told_together() {
    let desk = Desk::new();
    desk.write("good.toml", &scenario("Good", ""));
    desk.write("one.toml", &scenario("One", "").replace("10s", "ten"));
    desk.write("two.toml", &scenario("Two", "").replace("upstream =", "upsteam ="));
    desk.write("three.toml", &scenario("Three", "").replace(".upstream", ".upsteam"));
    let args = ["good.toml", "one.toml", "nowhere.toml", "three.toml", "."];
    let problems = [
        "one.toml:3:12",
        "nowhere.toml: there is no such file",
        "three.toml:6:",
        "upsteam",
        ".: it is a directory",
    ];
    for command in ["run", "check"] {
        let said = desk.run([command].iter().chain(&args)).exits(ExitCode::Usage, &problems);
        assert_eq!(said.out, "", "what is in order is not run while something is not");
    }
    assert!(!desk.path("tuesday-results").exists());
    let unknown = desk.run(["run", "good.toml", "window-boundary", "--variant", "x,y"]);
    let each = [
        "good.toml has no variant `x`",
        "good.toml has no variant `y`",
        "window-boundary has no variant `y`",
    ];
    unknown.exits(ExitCode::Usage, &each);
}

#[test]
fn what_cannot_be_written_is_known_before_anything_runs() {
    let desk = Desk::new();
    desk.write("a.toml", &scenario("A", "")).write("out", "a file in the way");
    let said =
        desk.run(["run", "a.toml", "--out", "out"]).exits(ExitCode::Usage, &["cannot write to out/a: "]);
    assert_eq!(said.out, "");
    desk.write("there/a", "another");
    desk.run(["run", "a.toml", "--out", "there"]).exits(ExitCode::Usage, &["cannot write to there/a: "]);
    assert_eq!(desk.files(), ["a.toml", "out", "there/a"]);
    assert_eq!(desk.read("out") + &desk.read("there/a"), "a file in the wayanother");
}

#[test]
fn what_cannot_be_written_after_all_is_exit_code_3_and_nothing_half_written() {
    // A folder in the place of the file, which shows only when the file is to be put there.
    let desk = Desk::new();
    desk.write("a.toml", &scenario("A", "")).write("out/a/result.json/in-the-way", "");
    desk.run(["run", "a.toml", "--format", "json", "--out", "out"])
        .exits(ExitCode::RunFailed, &["cannot write out/a/result.json: "]);
    assert_eq!(desk.files(), ["a.toml", "out/a/result.json/in-the-way"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_exit_code_3() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Desk::new().tuesday().arg("list").stdout(full).output().unwrap();
    Said::of(&output).exits(ExitCode::RunFailed, &["error: cannot write to standard output: "]);
}

#[test]
fn whoever_closed_the_output_has_read_enough() {
    let desk = Desk::new();
    desk.write("a.toml", &scenario("A", ""));
    let all: [&[&str]; 6] = [
        &["show", "window-boundary"],
        &["list"],
        &["run", "a.toml"],
        &["--help"],
        &["man"],
        &["completions", "bash"],
    ];
    for args in all {
        // As with `tuesday show … | head -c 1`, but closed from the start and so without a race.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let said = Said::of(&desk.tuesday().args(args).stdout(writer).output().unwrap());
        assert_eq!(said.exits(ExitCode::Held, &[]).err, "", "{args:?}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_nothing_half_written() {
    use std::os::unix::process::ExitStatusExt as _;

    let desk = Desk::new();
    // Days of a high rate: it does not end by itself before it is interrupted.
    let long = scenario("Long", "").replace("10s", "160h").replace("1/s", "5000/s");
    desk.write("long.toml", &long);
    let mut child = desk
        .tuesday()
        .args(["run", "long.toml"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !desk.path("tuesday-results/long").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().signal(), Some(2), "which a shell calls 130");
    // If anything was left, it was the file that tries whether the folder can be written to.
    let visible: Vec<_> = desk.files().into_iter().filter(|name| !name.contains("/.tuesday-")).collect();
    assert_eq!(visible, ["long.toml"]);
}

#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_ends_a_live_run_and_what_was_seen_is_reported() {
    let desk = Desk::new();
    desk.write("long.toml", &scenario("Long", "").replace("10s", "160h").replace("1/s", "20/s"));
    let mut child = desk
        .tuesday()
        .args(["run", "long.toml", "--engine", "live"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Once it paces, it listens for signals.
    let tasks = format!("/proc/{}/task", child.id());
    let paces = || {
        let tasks = fs::read_dir(&tasks).unwrap();
        let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
        names.into_iter().any(|name| name.trim() == "pacer")
    };
    while !paces() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = Said::of(&output).exits(ExitCode::Interrupted, &["The run was interrupted"]);
    assert_eq!(said.err, "");
    let result: Value = serde_json::from_str(&desk.read("tuesday-results/long/latest/result.json")).unwrap();
    let run = &result["variants"][0]["runs"][0];
    assert_eq!(
        (&result["engine"], &run["harness"]["interrupted"]),
        (&Value::from("live"), &Value::from(true))
    );
    assert!(desk.read("tuesday-results/long/latest/report.html").contains("The run was interrupted"));
}

#[test]
fn a_speed_that_nothing_runs_at_is_bad_usage() {
    let desk = Desk::new();
    desk.write("a.toml", &scenario("A", ""));
    for speed in ["0", "1e9", "NaN", "fast"] {
        let args = ["run", "a.toml", "--engine", "live", "--speed", speed];
        desk.run(args).exits(ExitCode::Usage, &["a number from 0.01 to 1000, or max"]);
    }
}

#[test]
fn what_is_misspelt_or_has_no_effect_is_told() {
    let desk = Desk::new();
    desk.write("a.toml", &scenario("A", ""));
    desk.run(["rnu", "a.toml"]).exits(ExitCode::Usage, &["a similar subcommand exists: 'run'"]);
    let told = "a range is written `64..512`";
    desk.run(["sweep", "a.toml", "--vary", "gateway.workers=64-512"]).exits(ExitCode::Usage, &[told]);
    let said = desk.run(["run", "a.toml", "--speed", "10"]).exits(ExitCode::Held, &[]);
    assert!(said.err.contains("--speed has no effect"), "{}", said.err);
    // Of a small world, there is no more to be written.
    let page = desk.read("tuesday-results/a/latest/report.html");
    desk.run(["run", "a.toml", "--full"]).exits(ExitCode::Held, &[]);
    assert_eq!(desk.read("tuesday-results/a/latest/report.html"), page);
    assert_eq!(desk.run(["run", "a.toml"]).exits(ExitCode::Held, &[]).err, "");
}

#[test]
fn the_shipped_scenarios_can_be_listed_shown_and_checked() {
    let desk = Desk::new();
    desk.run(["list"]).exits(ExitCode::Held, &["window-boundary", "Window-boundary burst"]);
    let shown = desk.run(["show", "window-boundary"]).exits(ExitCode::Held, &["[clients.partner]"]);
    desk.write("mine.toml", &shown.out);
    desk.run(["check", "mine.toml", "window-boundary"]).exits(
        ExitCode::Held,
        &[
            "mine.toml: in order, 4 variants and 5 expectations\n",
            "window-boundary: in order, ",
            "this machine can be expected to hold `--speed ",
        ],
    );
    let listed = desk.run(["list", "--json"]).exits(ExitCode::Held, &[]).json();
    let entry = listed.as_array().unwrap().iter().find(|entry| entry["name"] == "window-boundary").unwrap();
    assert_eq!(entry["title"], "Window-boundary burst");
    assert_eq!(entry["variants"][1], "token-bucket");
    assert_eq!(entry["expectations"].as_array().unwrap().len(), 5);
}

#[test]
fn check_tells_programs_where_the_problems_are() {
    let desk = Desk::new();
    desk.write("good.toml", &scenario("Good", ""));
    desk.write("bad.toml", &scenario("Ünd", "").replace("10s", "ten").replace("\"1s\"", "\"1s\" # ü"));
    let checked = desk.run(["check", "--json", "good.toml", "bad.toml", "nowhere.toml"]);
    assert_eq!((checked.code, &*checked.err), (Some(2), ""));
    let checked = checked.json();
    assert_eq!((&checked[0]["scenario"], &checked[0]["in_order"]), (&"good.toml".into(), &true.into()));
    let problem = &checked[1]["problems"][0];
    assert_eq!((&problem["severity"], &problem["line"]), (&"error".into(), &3.into()));
    assert_eq!(problem["column"], 12);
    assert_eq!(checked[2]["in_order"], false);
    assert_eq!(checked[2]["problems"][0]["line"], Value::Null);
    desk.run(["check", "--json", "good.toml"]).exits(ExitCode::Held, &[]);
}

#[test]
fn several_seeds_count_up_from_the_first() {
    let desk = Desk::new();
    desk.run(["run", "window-boundary", "--seeds", "3", "--variant", "token-bucket"])
        .exits(ExitCode::Held, &["seeds 902, 903 and 904", "Numbers are medians over 3 seeds."]);
    let result: Value =
        serde_json::from_str(&desk.read("tuesday-results/window-boundary/latest/result.json")).unwrap();
    assert_eq!(result["scenario"]["seeds"], serde_json::json!([902, 903, 904]));
    assert_eq!(result["variants"].as_array().unwrap().len(), 1);
}

#[test]
fn json_is_one_array_of_the_results() {
    let desk = Desk::new();
    desk.write("a.toml", &scenario("A", r#""served == 10""#))
        .write("b.toml", &scenario("B", r#""served == 11""#));
    let said = desk.run(["run", "--json", "a.toml", "b.toml"]);
    assert_eq!((said.code, &*said.err), (Some(1), ""));
    let results = said.json();
    let names: Vec<_> =
        results.as_array().unwrap().iter().map(|result| &result["scenario"]["name"]).collect();
    assert_eq!(names, ["A", "B"]);
    assert_eq!(results[1]["expectations"][0]["held"], false);
    // Each as its own file has it.
    let file: Value = serde_json::from_str(&desk.read("tuesday-results/b/latest/result.json")).unwrap();
    assert_eq!(results[1], file);
    let one = desk.run(["run", "--json", "a.toml"]).exits(ExitCode::Held, &[]).json();
    assert_eq!(one.as_array().map(Vec::len), Some(1), "one scenario is an array too");
}

#[test]
fn only_the_formats_that_are_asked_for_are_written() {
    let desk = Desk::new();
    desk.write("a.toml", &scenario("A", ""));
    let said = desk.run(["run", "a.toml", "--format", "json,json"]).exits(ExitCode::Held, &["result: "]);
    assert!(!said.out.contains("report:"));
    let kept = desk.kept("a");
    let results = [&*kept, "latest"].map(|folder| format!("tuesday-results/a/{folder}/result.json"));
    assert_eq!(desk.files()[1..], results);
    desk.run(["run", "a.toml", "--format", "html", "--out", "other"])
        .exits(ExitCode::Held, &["other/a/report.html"]);
    assert!(!desk.path("other/a/result.json").exists());
}

#[test]
fn the_same_bytes_on_one_thread_and_on_two() {
    let desk = Desk::new();
    for threads in ["1", "2"] {
        desk.run(["run", "window-boundary", "--seeds", "2", "--threads", threads, "--out", threads])
            .exits(ExitCode::Held, &[]);
    }
    for file in ["result.json", "report.html"] {
        let [one, two] = ["1", "2"].map(|out| desk.read(&format!("{out}/window-boundary/{file}")));
        assert!(one == two, "{file} differs");
    }
}

#[test]
fn colours_are_forced_and_refused_by_the_usual_variables() {
    let desk = Desk::new();
    desk.write("a.toml", &scenario("A", r#""served == 10""#)).write("bad.toml", "name = 1");
    desk.write(
        "two.toml",
        &(scenario("Two", "") + "[variants.a]\n[variants.b]\ngateway.timeout = \"1ms\"\n"),
    );
    let colours = |args: &[&str], variables: &[(&str, &str)]| {
        let output = desk.tuesday().args(args).envs(variables.iter().copied()).output().unwrap();
        let said = Said::of(&output);
        (said.out + &said.err).contains('\x1b')
    };
    for args in [
        &["run", "a.toml"][..],
        &["compare", "two.toml", "--seeds", "3"],
        &["sweep", "a.toml", "--vary", "gateway.timeout=1ms,1s"],
        &["check", "bad.toml"],
        &["nothing"],
    ] {
        assert!(!colours(args, &[]), "{args:?}");
        assert!(colours(args, &[("CLICOLOR_FORCE", "1")]), "{args:?}");
        assert!(!colours(args, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), "{args:?}");
    }
}

/// What a command prints on a terminal, standard output and error together; `None` where there is no way to have one.
#[cfg(unix)]
fn on_a_terminal(desk: &Desk, args: &str, variables: &[(&str, &str)]) -> Option<String> {
    let version = Command::new("script").arg("--version").output().ok()?;
    if !String::from_utf8_lossy(&version.stdout).contains("util-linux") {
        return None;
    }
    let command = format!("{} {args}", cargo_bin("tuesday").display());
    let tuesday = desk.tuesday();
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]).stdin(Stdio::null());
    script.current_dir(tuesday.get_current_dir().unwrap()).env("TERM", "xterm");
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        script.env_remove(variable);
    }
    let output = script.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[cfg(unix)]
#[test]
fn on_a_terminal_there_are_colours_and_progress() {
    const GREEN: &str = "\x1b[1m\x1b[32m";
    let desk = Desk::new();
    desk.write("a.toml", &scenario("A", r#""served == 10""#));
    let Some(plain) = on_a_terminal(&desk, "run a.toml", &[]) else {
        skipped("no `script` of util-linux, which runs a command on a terminal");
        return;
    };
    assert!(plain.contains(GREEN), "{plain:?}");
    assert!(plain.contains("0/1  base"), "no progress in {plain:?}");
    for variable in [("NO_COLOR", "1"), ("CLICOLOR", "0")] {
        let refused = on_a_terminal(&desk, "run a.toml", &[variable]).unwrap();
        assert!(!refused.contains(GREEN), "{variable:?}: {refused:?}");
    }
    assert_eq!(on_a_terminal(&desk, "run --quiet a.toml", &[]).as_deref(), Some(""));
}

#[test]
fn every_exit_code_is_documented_wherever_one_looks() {
    let desk = Desk::new();
    let help = desk.run(["--help"]).exits(ExitCode::Held, &["Exit codes:"]).out;
    let run_help = desk.run(["run", "--help"]).exits(ExitCode::Held, &["Exit codes:"]).out;
    let man = desk.run(["man"]).exits(ExitCode::Held, &[".SH \"EXIT STATUS\"", ".SH ENVIRONMENT"]).out;
    let docs = include_str!("../../../docs/reference/exit-codes.md");
    for code in ExitCode::ALL {
        let (number, meaning) = (code.number(), code.meaning());
        for help in [&help, &run_help] {
            assert!(help.contains(&format!("\n  {number:<4} {meaning}\n")), "{number} in {help}");
        }
        assert!(man.contains(&format!("\\fB{number}\\fR\n{meaning}\n")), "{number} in {man}");
        assert!(
            docs.contains(&format!("| {number} | {meaning} |\n")),
            "{number} in docs/reference/exit-codes.md"
        );
    }
    for line in help.lines().chain(run_help.lines()) {
        assert!(line.chars().count() <= 80, "wider than 80 columns: {line}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let desk = Desk::new();
    let root = desk.run(["man"]).exits(ExitCode::Held, &[".TH tuesday 1"]).out;
    for command in [
        "run",
        "report",
        "check",
        "init",
        "list",
        "show",
        "schema",
        "gateway",
        "upstreams",
        "selftest",
        "completions",
        "man",
    ] {
        assert!(root.contains(&format!("tuesday\\-{command}(1)")), "{command} is not in {root}");
        desk.run(["man", command])
            .exits(ExitCode::Held, &[&format!(".TH tuesday-{command} 1"), ".SH SYNOPSIS"]);
    }
    desk.run(["man", "run"]).exits(ExitCode::Held, &["\\fB\\-\\-seeds\\fR", "tuesday run"]);
}

#[test]
fn completions_load_in_bash() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        desk.run(["completions", shell]).exits(ExitCode::Held, &["tuesday"]);
    }
    if Command::new("bash").arg("--version").output().is_err() {
        skipped("there is no bash to load them in");
        return;
    }
    desk.write("tuesday.bash", &desk.run(["completions", "bash"]).out);
    let bash = |args: &[&str]| {
        let output = Command::new("bash").args(args).current_dir(desk.0.path()).output().unwrap();
        Said::of(&output).exits(ExitCode::Held, &[])
    };
    assert_eq!(bash(&["-n", "tuesday.bash"]).err, "");
    // What bash would offer after `tuesday run --fo`, and after `tuesday se`.
    let complete = r#"
        set -e
        source ./tuesday.bash
        complete -p tuesday
        offer() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _tuesday tuesday "${@: -1}" "${@: -2:1}"; echo "${COMPREPLY[@]}"; }
        offer tuesday run --fo
        offer tuesday se
    "#;
    let said = bash(&["--norc", "-c", complete]);
    let offered: Vec<_> = said.out.lines().skip(1).collect();
    assert_eq!((offered, &*said.err), (vec!["--format", "selftest"], ""));
}

#[test]
fn the_selftest_holds_and_says_so_to_programs() {
    let desk = Desk::new();
    let said = desk.run(["selftest", "--json", "--seed", "7"]).exits(ExitCode::Held, &[]);
    let document = said.json();
    assert_eq!((&document["seed"], &document["held"]), (&7.into(), &true.into()));
    let lines = document["lines"].as_array().unwrap();
    let line = lines.iter().find(|line| line["what"] == "mean sojourn").unwrap();
    assert_eq!((&line["unit"], &line["held"]), (&"seconds".into(), &true.into()));
    assert!((line["measured"].as_f64().unwrap() - line["expected"].as_f64().unwrap()).abs() < 0.01);
    assert_eq!(said.err, "");
}
