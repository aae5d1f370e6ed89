//! The GitHub Action and the GitLab template, their scripts run as they stand.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use granit_parser::{Event, Parser, StrInput};
use serde_json::{Map, Value};
use tuesday::cli::ExitCode;

use super::{Desk, Said, scenario, skipped};

/// The folder of the whole project.
fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file of YAML below the project, of which every scalar is a text.
fn yaml(file: &str) -> Value {
    let text = fs::read_to_string(project().join(file)).unwrap();
    let mut events = Parser::new_from_str(&text);
    let mut value = Value::Null;
    while let Some(event) = events.next_event() {
        match event.unwrap().0 {
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd | Event::StreamEnd => {}
            event => value = node(event, &mut events),
        }
    }
    value
}

fn node<'i>(event: Event<'i>, events: &mut Parser<'i, StrInput<'i>>) -> Value {
    fn next<'i>(events: &mut Parser<'i, StrInput<'i>>) -> Event<'i> {
        events.next_event().unwrap().unwrap().0
    }
    match event {
        Event::Scalar(text, ..) => Value::String(text.into_owned()),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match next(events) {
                    Event::SequenceEnd => return Value::Array(items),
                    item => items.push(node(item, events)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut entries = Map::new();
            loop {
                let Event::Scalar(key, ..) = next(events) else { return Value::Object(entries) };
                let value = next(events);
                let value = node(value, events);
                assert_eq!(entries.insert(key.clone().into_owned(), value), None, "{key} twice");
            }
        }
        other => panic!("{other:?}"),
    }
}

/// A text with each `${{ … }}` replaced by what it stands for.
fn evaluated(text: &str, values: &BTreeMap<&str, String>) -> String {
    let mut whole = text.to_owned();
    while let Some((before, rest)) = whole.split_once("${{") {
        let (expression, after) = rest.split_once("}}").unwrap();
        let value = values.get(expression.trim()).unwrap_or_else(|| panic!("what is {expression}?"));
        whole = format!("{before}{value}{after}");
    }
    whole
}

/// A workflow's job that uses the Action.
struct Job {
    desk: Desk,
    action: Value,
    inputs: BTreeMap<&'static str, String>,
}

impl Job {
    /// With these inputs, and the others' defaults.
    fn new(inputs: &[(&str, &str)]) -> Self {
        let action = yaml(".ci/action/action.yml");
        let desk = Desk::new();
        let declared = action["inputs"].as_object().unwrap();
        let mut values = BTreeMap::new();
        for (name, input) in declared {
            let given = inputs.iter().find(|(given, _)| given == name).map(|(_, value)| *value);
            let default = input["default"].as_str();
            assert_eq!(default.is_none(), input["required"] == "true", "{name}");
            let key: &str = format!("inputs.{name}").leak();
            values.insert(key, given.or(default).unwrap().to_owned());
        }
        assert!(inputs.iter().all(|(name, _)| declared.contains_key(*name)), "{inputs:?}");
        values.insert("github.action_path", project().join(".ci/action").display().to_string());
        Self { desk, action, inputs: values }
    }

    fn step(&self, name: &str) -> &Value {
        let steps = self.action["runs"]["steps"].as_array().unwrap();
        steps.iter().find(|step| step["name"] == name).unwrap()
    }

    /// Runs the script of a step as GitHub's runner does.
    fn run(&self, name: &str) -> Said {
        let step = self.step(name);
        let script = step["run"].as_str().unwrap();
        assert!(!script.contains("${{"), "an input would be code: {script}");
        assert_eq!(step["shell"], "bash");
        self.desk.write("runner/step.sh", script);
        let mut bash = bash_in(&self.desk);
        bash.args(["--noprofile", "--norc", "-e", "-o", "pipefail"]).arg(self.desk.path("runner/step.sh"));
        for (variable, value) in step["env"].as_object().into_iter().flatten() {
            bash.env(variable, evaluated(value.as_str().unwrap(), &self.inputs));
        }
        bash.env("GITHUB_STEP_SUMMARY", self.desk.path("runner/summary"));
        bash.env("GITHUB_OUTPUT", self.desk.path("runner/output"));
        bash.env("RUNNER_TEMP", self.desk.path("runner"));
        Said::of(&bash.output().unwrap())
    }

    /// What the steps set as outputs.
    fn outputs(&self) -> String {
        self.desk.read("runner/output")
    }
}

/// A shell in the checked-out repository, with what stands in `tools` before all else.
fn bash_in(desk: &Desk) -> Command {
    fs::create_dir_all(desk.path("repository")).unwrap();
    let mut bash = Command::new("bash");
    let path = std::env::var("PATH").unwrap();
    bash.current_dir(desk.path("repository")).stdin(Stdio::null());
    bash.env("PATH", format!("{}:{path}", desk.path("tools").display())).env_remove("NO_COLOR");
    bash
}

fn has_bash() -> bool {
    let has = Command::new("bash").arg("--version").output().is_ok();
    if !has {
        skipped("there is no bash, which both run scripts with");
    }
    has
}

/// Puts a tool in the place of another one.
fn tool(desk: &Desk, name: &str, script: &str) {
    desk.write(&format!("tools/{name}"), &format!("#!/bin/sh\nset -e\n{script}"));
    fs::set_permissions(desk.path(&format!("tools/{name}")), fs::Permissions::from_mode(0o755)).unwrap();
}

/// A `cargo` that says what it was asked for, and installs the command that is tested.
fn cargo(desk: &Desk) {
    let tuesday = cargo_bin("tuesday");
    let install = "echo cargo \"$@\"; test -f \"$4/Cargo.toml\"; mkdir -p \"$6/bin\"";
    tool(desk, "cargo", &format!("{install}; ln -s {} \"$6/bin/tuesday\"\n", tuesday.display()));
}

/// What is kept of the results of a scenario.
fn assert_results(desk: &Desk, folder: &str) {
    for file in ["report.html", "result.json", "junit.xml"] {
        assert!(desk.path(&format!("{folder}/{file}")).exists(), "no {file} in {:?}", desk.files());
    }
}

#[test]
fn the_action_runs_scenarios_and_keeps_what_came_of_them() {
    if !has_bash() {
        return;
    }
    let tuesday = cargo_bin("tuesday").display().to_string();
    let job = Job::new(&[
        ("scenarios", "sc en/*.toml\nwindow-boundary\n"),
        ("arguments", "--seeds\n2\n"),
        ("command", &tuesday),
    ]);
    job.desk.write("repository/sc en/good.toml", &scenario("Good", r#""served == 10""#));
    job.desk.write("repository/sc en/$(touch hurt).toml", &scenario("Odd", r#""served == 10""#));
    job.run("Run the scenarios").exits(ExitCode::Held, &["All 3 scenarios held."]);
    assert_eq!(job.outputs(), "exit-code=0\n");
    for name in ["good", "$(touch hurt)", "window-boundary"] {
        assert_results(&job.desk, &format!("repository/tuesday-results/{name}"));
    }
    assert!(!job.desk.path("repository/hurt").exists());
    let summary = job.desk.read("runner/summary");
    assert!(summary.contains("Good") && summary.contains("Window-boundary burst"), "{summary}");
    assert!(summary.contains("2 seeds"), "{summary}");
    // What runs after a step that failed, and with what.
    let keep = job.step("Keep the results");
    assert_eq!(keep["if"], "${{ !cancelled() && inputs.artifact != '' }}");
    assert_eq!(evaluated(keep["with"]["path"].as_str().unwrap(), &job.inputs), "tuesday-results");
    assert_eq!(job.action["outputs"]["exit-code"]["value"], "${{ steps.run.outputs.exit-code }}");
    assert_eq!(job.step("Run the scenarios")["id"], "run");
}

#[test]
fn the_action_fails_as_the_command_does() {
    if !has_bash() {
        return;
    }
    let tuesday = cargo_bin("tuesday").display().to_string();
    let job = Job::new(&[("scenarios", "*.toml"), ("results", "out put"), ("command", &tuesday)]);
    // A pattern that nothing matches is a file that is not there.
    job.run("Run the scenarios").exits(ExitCode::Usage, &["*.toml: there is no such file"]);
    job.desk.write("repository/bad.toml", &scenario("Bad", r#""served == 11""#));
    job.run("Run the scenarios").exits(ExitCode::ExpectationFailed, &["FAILED"]);
    assert_eq!(job.outputs(), "exit-code=2\nexit-code=1\n");
    assert_results(&job.desk, "repository/out put/bad");
    assert!(job.desk.read("runner/summary").contains("served == 11"));
}

#[test]
fn the_action_builds_the_command_that_it_runs() {
    if !has_bash() {
        return;
    }
    let job = Job::new(&[("scenarios", "a.toml")]);
    job.desk.write("repository/a.toml", &scenario("A", r#""served == 10""#));
    cargo(&job.desk);
    assert_eq!(job.step("Build Tuesday")["if"], "${{ inputs.command == '' }}");
    job.run("Build Tuesday").exits(ExitCode::Held, &["cargo install --locked --path"]);
    job.run("Run the scenarios").exits(ExitCode::Held, &["The expectation held."]);
}

#[test]
fn the_gitlab_template_runs_scenarios_with_a_command_of_the_image_or_its_own() {
    if !has_bash() {
        return;
    }
    let job = &yaml(".ci/gitlab.yml")[".tuesday"];
    let lines: Vec<_> = job["script"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let run = |desk: &Desk, variables: &[(&str, &str)]| {
        // GitLab's runner has a shell read all lines, and stops at the first that fails.
        let mut bash = bash_in(desk);
        for (name, default) in job["variables"].as_object().unwrap() {
            bash.env(name, default.as_str().unwrap());
        }
        Said::of(
            &bash
                .args(["-e", "-o", "pipefail", "-c"])
                .arg(lines.join("\n"))
                .envs(variables.iter().copied())
                .output()
                .unwrap(),
        )
    };
    let desk = Desk::new();
    desk.write("repository/good one.toml", &scenario("Good", r#""served == 10""#));
    let refused = run(&desk, &[]);
    assert!(refused.code != Some(0) && refused.err.contains("TUESDAY_SOURCE: is not set"), "{refused:#?}");
    // Built from its source.
    cargo(&desk);
    let source =
        "mkdir -p tuesday-source/scenarios; touch tuesday-source/scenarios/Cargo.toml; echo git \"$@\"";
    tool(&desk, "git", source);
    let variables = [("TUESDAY_SOURCE", "https://example.com/tuesday.git"), ("TUESDAY_REF", "v1")];
    let said = run(&desk, &variables)
        .exits(ExitCode::Held, &["fetch --quiet --depth 1 https://example.com/tuesday.git v1"]);
    assert!(said.out.contains("cargo install --locked --path tuesday-source/scenarios"), "{said:#?}");
    assert_results(&desk, "repository/tuesday-results/good one");
    // Of the image.
    desk.write("repository/bad.toml", &scenario("Bad", r#""served == 11""#));
    let tuesday = cargo_bin("tuesday");
    tool(&desk, "tuesday", &format!("exec {} \"$@\"\n", tuesday.display()));
    fs::remove_file(desk.path("tools/cargo")).unwrap();
    let said = run(&desk, &[("TUESDAY_ARGUMENTS", "--seeds\n2")])
        .exits(ExitCode::ExpectationFailed, &["1 of 2 scenarios FAILED"]);
    assert!(!said.out.contains("git "), "{said:#?}");
    assert!(desk.read("repository/tuesday-results/summary.md").contains("2 seeds"));
    let artifacts = &job["artifacts"];
    assert_eq!(artifacts["when"], "always");
    assert_eq!(artifacts["paths"][0], "tuesday-results/");
    assert_eq!(artifacts["reports"]["junit"], "tuesday-results/*/junit.xml");
}

#[test]
fn the_example_workflow_uses_the_inputs_that_there_are() {
    let page = fs::read_to_string(project().join("docs/how-to/ci.md")).unwrap();
    let (_, example) = page.split_once("```yaml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let desk = Desk::new();
    desk.write("workflow.yml", example);
    let workflow = yaml(desk.path("workflow.yml").to_str().unwrap());
    let steps = workflow["jobs"]["scenarios"]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["uses"].as_str().unwrap().contains(".ci/action@")).unwrap();
    let inputs: Vec<_> = step["with"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (&**name, value.as_str().unwrap()))
        .collect();
    Job::new(&inputs);
}
