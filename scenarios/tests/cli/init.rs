//! `tuesday init`: a scenario of the user's own, which `check` accepts and whose expectations hold.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use serde_json::{Value, json};
use tuesday::cli::ExitCode;

use super::{Desk, Said, skipped};

/// A shop in YAML: paths with parameters, below one another, and one that no gateway can tell from another.
const SHOP: &str = r#"# The shop
openapi: 3.1.0
info:
  title: "Shop: the \"old\" one"
  version: "1"
servers:
  - url: https://shop.example/v1
  - {url: "https://test.example\u0007"}
x-defaults: &common {get: {responses: {}}}
paths:
  x-internal: {"/hidden": 1}
  /orders:
    get: {responses: {"200": {description: ok}}}
  /orders/{id}: *common
  /orders/{id}/items: {}
  "/stock/level-{depot}":
    parameters: [{name: depot, in: path}]
  /stock/: {}
  /a\b: {}
  /{tenant}/bills: {}
components:
  schemas:
    paths: {type: object}
"#;

/// The routes of a file and their upstreams, as a TOML parser reads them.
fn routes(text: &str) -> Vec<(String, String)> {
    let file: toml::Table = text.parse().unwrap();
    let upstream = |route: &toml::Value| route["upstream"].as_str().unwrap().to_owned();
    file["routes"].as_table().unwrap().iter().map(|(path, route)| (path.clone(), upstream(route))).collect()
}

fn paths(text: &str) -> Vec<String> {
    routes(text).into_iter().map(|(path, _)| path).collect()
}

/// Panics unless `check` accepts the file without a warning, and `run` finds that all of its expectations hold.
#[track_caller]
fn makes_sense(desk: &Desk, file: &str) -> Value {
    let checked = desk.run(["check", file]).exits(ExitCode::Held, &[": in order, "]);
    assert_eq!(checked.err, "");
    let results = desk.run(["run", "--json", file]).exits(ExitCode::Held, &[]).json();
    let result = results[0].clone();
    assert!(result["expectations"].as_array().unwrap().len() >= 6, "{}", result["expectations"]);
    result
}

#[test]
fn a_first_scenario_is_in_order_and_holds() {
    let desk = Desk::new();
    let said = desk
        .run(["init"])
        .exits(ExitCode::Held, &["scenario.toml: in order, 2 variants and ", "tuesday run scenario.toml"]);
    assert_eq!(said.err, "");
    assert_eq!(desk.files(), ["scenario.toml"]);
    let text = desk.read("scenario.toml");
    assert_eq!(paths(&text), ["/orders", "/catalog"]);
    let result = makes_sense(&desk, "scenario.toml");
    assert_eq!(result["variants"].as_array().unwrap().len(), 2);
    // No luck of the seed.
    desk.run(["run", "scenario.toml", "--seeds", "20", "--quiet"]).exits(ExitCode::Held, &[]);
    // What stands in the file is explained in the file.
    let comments = text.lines().filter(|line| line.contains('#')).count();
    assert!(comments >= 20, "{comments} comments in {text}");
}

#[test]
fn an_openapi_file_becomes_routes() {
    let desk = Desk::new();
    desk.write("shop.yaml", SHOP);
    let said = desk
        .run(["init", "mine.toml", "--from", "shop.yaml"])
        .exits(ExitCode::Held, &["mine.toml: in order"]);
    // The one path that the gateway would refuse is named with its line.
    assert!(said.err.contains("warning: no route for `/a\\b`: the path has a backslash"), "{}", said.err);
    assert!(said.err.contains("shop.yaml:19:3"), "{}", said.err);
    let text = desk.read("mine.toml");
    // Parameters are cut at `{`; what a route serves anyway is no route of its own.
    assert_eq!(paths(&text), ["/orders", "/stock", "/"]);
    let title = text.parse::<toml::Table>().unwrap()["name"].as_str().unwrap().to_owned();
    assert_eq!(title, "Shop: the \"old\" one");
    assert!(text.contains("https://shop.example/v1, https://test.example"), "{text}");
    assert!(!text.contains('\u{7}'), "nothing that acts on a terminal");
    makes_sense(&desk, "mine.toml");
}

#[test]
fn openapi_as_json_is_read_as_well() {
    let desk = Desk::new();
    let long = "a description of more than a thousand characters ".repeat(40);
    let document = json!({
        "swagger": "2.0",
        "host": "shop.example", "basePath": "/v1",
        "info": { "title": "J\u{1f3b5}", "description": long },
        "paths": { "/orders/{id}": {}, "/catalog": { "get": { "description": long } } },
    });
    // As Python's json.dumps writes it, and as a tab lover does.
    let escaped = document.to_string().replace('\u{1f3b5}', "\\ud83c\\udfb5");
    let tabs = serde_json::to_string_pretty(&document).unwrap().replace("  ", "\t");
    for (name, text) in [("escaped.json", escaped), ("tabs.json", tabs)] {
        desk.write(name, &text);
        desk.run(["init", "--from", name, "--force"]).exits(ExitCode::Held, &[]);
        let text = desk.read("scenario.toml");
        let mut paths = paths(&text);
        paths.sort();
        assert_eq!(paths, ["/catalog", "/orders"], "{name}");
        assert!(text.contains("name     = \"J\u{1f3b5}\""), "{text}");
        assert!(text.contains("shop.example/v1"), "{text}");
        makes_sense(&desk, "scenario.toml");
    }
}

#[test]
fn a_shipped_scenario_is_a_start() {
    let desk = Desk::new();
    desk.run(["init", "mine.toml", "--from", "window-boundary"]).exits(ExitCode::Held, &["4 variants and 5"]);
    let shipped = desk.run(["show", "window-boundary"]).out;
    assert!(desk.read("mine.toml").ends_with(&shipped));
    desk.run(["run", "mine.toml", "--quiet"]).exits(ExitCode::Held, &[]);
    // A file goes before a shipped scenario of that name, as everywhere.
    desk.write("nine-oh-two", "paths: {/here: {}}");
    desk.run(["init", "other.toml", "--from", "nine-oh-two"]).exits(ExitCode::Held, &[]);
    assert_eq!(paths(&desk.read("other.toml")), ["/here"]);
}

#[test]
fn nothing_is_overwritten_unless_forced() {
    let desk = Desk::new();
    desk.write("scenario.toml", "mine");
    let refused = desk.run(["init"]).exits(ExitCode::Usage, &["scenario.toml is there already", "--force"]);
    assert_eq!(refused.out, "");
    assert_eq!(desk.read("scenario.toml"), "mine");
    desk.run(["init", "--force"]).exits(ExitCode::Held, &[]);
    assert!(desk.read("scenario.toml").contains("[gateway]"));
    assert_eq!(desk.files(), ["scenario.toml"], "nothing temporary is left");
}

#[cfg(unix)]
#[test]
fn a_link_to_nowhere_is_something_that_is_there() {
    let desk = Desk::new();
    std::os::unix::fs::symlink(desk.path("elsewhere.toml"), desk.path("scenario.toml")).unwrap();
    desk.run(["init"]).exits(ExitCode::Usage, &["scenario.toml is there already"]);
    assert!(!desk.path("elsewhere.toml").exists());
}

#[test]
fn what_no_scenario_can_come_of_is_told_with_its_place() {
    let desk = Desk::new();
    desk.write("folder/a", "").write("binary", "paths: \u{0}{}");
    let nested = "[".repeat(100_000);
    let many: Vec<_> = (0..20_001).map(|number| format!(" /a{number}: 0")).collect();
    let laughs = "a: &a [x,x]\nb: &b [*a,*a]\npaths: *b\n";
    let documents = [
        ("open.yaml", "openapi: 3.0.0\npaths:\n  /a: {get: [}\n", "open.yaml:3:"),
        ("list.yaml", "- a\n- b\n", "expected a mapping"),
        ("empty.yaml", "# nothing\n", "it is empty"),
        ("none.yaml", "openapi: 3.1.0\nwebhooks: {}\n", "no `paths`"),
        ("other.toml", "name = \"x\"\n", "expected a mapping"),
        ("no-paths.yaml", "paths: {}\n", "`paths` has no path"),
        ("only-odd.yaml", "paths: {'/%': {}}\n", "the path has a % that encodes nothing"),
        ("text.yaml", "paths: none\n", "text.yaml:1:8"),
        ("relative.yaml", "paths:\n  /a: {}\n  b: {}\n", "relative.yaml:3:3"),
        ("parts.yaml", "paths:\n  $ref: paths.yaml\n", "bundle"),
        ("list-key.yaml", "paths:\n  ? [a]\n  : b\n", "list-key.yaml:2:5"),
        ("laughs.yaml", laughs, "laughs.yaml:3:8"),
        ("cut.json", "{\"paths\": {\"/a\": {", "cut.json:1:"),
        ("nested.json", &format!("{{\"a\": {nested}"), "nested.json:1:"),
        ("many.yaml", &format!("paths:\n{}", many.join("\n")), "many.yaml:20002:2"),
        ("binary", "paths: \u{0}{}", "binary:1:"),
    ];
    for (name, text, told) in documents {
        desk.write(name, text);
        let said = desk.run(["init", "out.toml", "--from", name]).exits(ExitCode::Usage, &[told, name]);
        assert_eq!(said.out, "", "{name}");
        assert!(said.err.len() < 2000, "{name}: {}", said.err.len());
    }
    for (args, told) in [
        (&["--from", "nowhere.yaml"][..], "no such file"),
        (&["--from", "window-boundry"], "did you mean `window-boundary`?"),
        (&["--from", "folder"], "it is a directory"),
        (&["nowhere/out.toml"], "nowhere is no folder"),
        (&["folder", "--force"], "folder is a folder"),
        (&[".."], "is a folder"),
        (&[""], "a value is required for '[FILE]'"),
    ] {
        let said = desk.run(["init"].iter().chain(args)).exits(ExitCode::Usage, &[told]);
        assert_eq!(said.out, "", "{args:?}");
    }
    let out = desk.files().into_iter().find(|name| name.contains("out.toml") || name.starts_with('.'));
    assert_eq!(out, None);
}

#[test]
fn a_large_document_is_cut_to_a_hundred_routes() {
    let desk = Desk::new();
    let mut text = "paths:\n".to_owned();
    for area in 0..60 {
        for thing in 0..50 {
            let _ = writeln!(text, "  /v1/area{area}/thing{thing}/{{id}}/history: {{}}");
        }
    }
    desk.write("large.yaml", &text);
    desk.run(["init", "--from", "large.yaml"]).exits(ExitCode::Held, &[]);
    let text = desk.read("scenario.toml");
    let paths = paths(&text);
    assert_eq!((paths.len(), &*paths[0]), (60, "/v1/area0"));
    assert!(text.contains("cut after 2 segments"), "{text}");
    makes_sense(&desk, "scenario.toml");
}

/// What the command prints when it is run on a terminal on which these lines are typed; `None` where there is none to have.
#[cfg(unix)]
fn typed(desk: &Desk, args: &str, lines: &str) -> Option<Said> {
    let version = Command::new("script").arg("--version").output().ok()?;
    if !String::from_utf8_lossy(&version.stdout).contains("util-linux") {
        return None;
    }
    let command = format!("{} {args}", cargo_bin("tuesday").display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
    script.current_dir(desk.path("")).env("TERM", "xterm").env("NO_COLOR", "1");
    let mut child =
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    Some(Said::of(&child.wait_with_output().unwrap()))
}

#[cfg(unix)]
#[test]
fn on_a_terminal_it_asks_and_takes_enter_for_the_default() {
    let desk = Desk::new();
    let Some(said) = typed(&desk, "init", "payments\nsoon\n80ms\n\n") else {
        skipped("no `script` of util-linux, which runs a command on a terminal");
        return;
    };
    assert_eq!(said.code, Some(0), "{said:#?}");
    for told in ["[service]", "[40ms]", "[600]", "a duration from 1ms to 1s"] {
        assert!(said.out.contains(told), "no `{told}` in {said:#?}");
    }
    let text = desk.read("scenario.toml");
    assert!(routes(&text).iter().all(|(_, upstream)| upstream == "payments"), "{text}");
    let file: toml::Table = text.parse().unwrap();
    assert_eq!(file["upstreams"]["payments"]["latency"]["log-normal"]["median"].as_str(), Some("80ms"));
    assert_eq!(file["gateway"]["rate_limit"]["per_key"]["limit"].as_integer(), Some(600));
    makes_sense(&desk, "scenario.toml");
    // Who says three times what cannot be used is not asked a fourth time; and of a file that is there, nothing is asked.
    let said = typed(&desk, "init other.toml", "gateway\na b\n\"\n\n\n").unwrap();
    assert_eq!(said.code, Some(2), "{said:#?}");
    assert!(!desk.path("other.toml").exists());
    let said = typed(&desk, "init", "").unwrap();
    assert_eq!((said.code, said.out.contains("[service]")), (Some(2), false), "{said:#?}");
    fs::remove_file(desk.path("scenario.toml")).unwrap();
    // The end of what is typed is the default of the rest.
    let said = typed(&desk, "init", "payments\n\u{4}").unwrap();
    assert_eq!(said.code, Some(0), "{said:#?}");
    assert!(desk.read("scenario.toml").contains("[upstreams.payments]"));
}

#[test]
fn a_command_without_its_scenario_says_what_to_type() {
    let desk = Desk::new();
    for command in ["run", "check", "gateway", "upstreams", "sweep", "compare"] {
        let ships = format!("`tuesday {command} window-boundary`");
        let own = format!("`tuesday {command} scenario.toml`");
        let said = desk.run([command]).exits(ExitCode::Usage, &["tuesday list", "tuesday init"]);
        assert!(said.err.contains("SCENARIO"), "{}", said.err);
        // A sweep and a comparison take more than a scenario: their help has examples.
        let takes_more = matches!(command, "sweep" | "compare");
        assert_eq!(said.err.contains(&ships) && said.err.contains(&own), !takes_more, "{}", said.err);
    }
    let said = desk.run(["show"]).exits(ExitCode::Usage, &["<NAME>", "tuesday list"]);
    assert!(!said.err.contains("tuesday init"), "{}", said.err);
}
