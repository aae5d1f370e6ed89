//! Notes for a CI system: what `run` and `check` say at the lines of a file.

use std::process::Command;

use tuesday::cli::ExitCode;

use super::{Desk, Said, scenario};

/// On a runner of GitHub that has checked this folder out.
fn on_github(desk: &Desk) -> Command {
    let mut command = desk.tuesday();
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_WORKSPACE", desk.path("."));
    command
}

/// The lines that GitHub's runner takes for notes.
fn notes(said: &Said) -> Vec<&str> {
    said.err.lines().filter(|line| line.starts_with("::")).collect()
}

/// Two of its expectations do not hold, one of them with what has to be escaped.
fn failing() -> String {
    let lines = "\n  \"served == 10\",\n  \"served == 11\",\n  'success_rate(routes.\"/\") < 50%',\n";
    scenario("Too much to ask", lines)
}

const FAILED: [&str; 2] = [
    "::error file=gates/a.toml,line=10,title=a%3A expectation failed::served == 11%0Abase: 10",
    "::error file=gates/a.toml,line=11,title=a%3A expectation failed::success_rate(routes.\"/\") < 50%25%0Abase: 100%25",
];

#[test]
fn an_expectation_that_does_not_hold_is_noted_at_its_line() {
    let desk = Desk::new();
    desk.write("gates/a.toml", &failing());
    let asked = desk.run(["run", "gates/a.toml", "--annotations", "github"]);
    assert_eq!(notes(&asked.exits(ExitCode::ExpectationFailed, &["FAILED"])), FAILED);
    // On a runner, they are written unasked, silent or not, and beside a document of JSON.
    for more in [&[][..], &["--quiet"], &["--json"]] {
        let said = on_github(&desk).args(["run", "gates/a.toml"]).args(more).output().unwrap();
        let said = Said::of(&said).exits(ExitCode::ExpectationFailed, &[]);
        assert_eq!(notes(&said), FAILED, "{more:?}");
        assert!(!said.out.contains("::error"), "{}", said.out);
        if more == ["--json"] {
            said.json();
        }
    }
    // Paths are those of the checkout, wherever the command runs.
    let mut below = on_github(&desk);
    below.current_dir(desk.path("gates"));
    let said = Said::of(&below.args(["run", "../gates/./a.toml"]).output().unwrap());
    assert_eq!(notes(&said), FAILED);
}

#[test]
fn nothing_is_noted_where_nobody_asks() {
    let desk = Desk::new();
    desk.write("gates/a.toml", &failing());
    let plain = desk.run(["run", "gates/a.toml"]);
    assert_eq!(plain.err, "");
    let refused = on_github(&desk).args(["run", "gates/a.toml", "--annotations", "none"]).output().unwrap();
    assert_eq!(Said::of(&refused).err, "");
    let other = desk.tuesday().args(["run", "gates/a.toml"]).env("GITHUB_ACTIONS", "false").output().unwrap();
    assert_eq!(Said::of(&other).err, "");
    desk.write("good.toml", &scenario("Good", r#""served == 10""#));
    let held = Said::of(&on_github(&desk).args(["run", "good.toml"]).output().unwrap());
    assert_eq!(held.exits(ExitCode::Held, &[]).err, "");
}

#[test]
fn a_shipped_scenario_has_no_file_to_be_noted_in() {
    let desk = Desk::new();
    desk.write("mine.toml", &scenario("Mine", ""));
    let said = desk.run(["check", "window-boundry", "mine.toml", "--annotations", "github"]);
    let said = said.exits(ExitCode::Usage, &["did you mean `window-boundary`?"]);
    let told = "::error title=window-boundry::there is no such file, and no shipped scenario of that name; did you mean \
                `window-boundary`?";
    assert_eq!(notes(&said), [told]);
}

#[test]
fn problems_of_a_file_are_noted_as_errors_and_warnings() {
    let desk = Desk::new();
    desk.write("wrong.toml", &scenario("Wrong", "").replace("10s", "ten"));
    // Workers without a bound leave the queue nothing to do.
    desk.write("odd.toml", &format!("{}[gateway]\nqueue = 5\n", scenario("Odd", "")));
    let wrong = "::error file=wrong.toml,line=3,col=12,title=wrong.toml::`duration`: ";
    let odd = "::warning file=odd.toml,line=10,col=1,title=odd.toml::`gateway.queue` has no effect: workers are unbounded, \
               nobody waits for one%0Ahelp: `workers` bounds them";
    for command in [&["check"][..], &["run"], &["check", "--json"]] {
        let args = [command, &["wrong.toml", "odd.toml", "--annotations", "github"]].concat();
        let said = desk.run(&args);
        let notes = notes(&said);
        assert_eq!(notes.len(), 2, "{said:#?}");
        assert!(notes[0].starts_with(wrong), "{}", notes[0]);
        assert_eq!(notes[1], odd);
    }
    let said = desk.run(["run", "odd.toml", "--annotations", "github"]).exits(ExitCode::Held, &[]);
    assert_eq!(notes(&said), [odd]);
}
