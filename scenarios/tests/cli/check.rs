//! `tuesday check` says what there is to say in a time that no file decides over.

use tuesday::cli::ExitCode;

use super::{Desk, on_a_terminal, scenario};

/// Of 180 bytes, and two thousand million requests.
const LONG: &str = r#"
name = "Long"
duration = "160h"
slo.latency = "1s"
upstreams.a.latency.constant = "5ms"
routes."/".upstream = "a"
clients.c = { send = "/", rate = "3000/s" }
"#;

#[test]
fn a_scenario_without_end_is_checked_as_far_as_that_is_sensible() {
    let desk = Desk::new();
    desk.write("long.toml", LONG).write("short.toml", &scenario("Short", ""));
    let said = desk.run(["check", "long.toml", "short.toml"]);
    let said = said.exits(ExitCode::Held, &["long.toml: in order", "short.toml: in order"]);
    let speeds: Vec<_> = said.out.lines().filter(|line| line.contains("`--speed ")).collect();
    let [long, short] = speeds[..] else { panic!("{said:#?}") };
    // Of each request several events, so that there were less than ten million requests, and more than a million.
    let (_, told) = long.split_once(" in its first ").unwrap();
    let (minutes, told) = told.split_once('m').unwrap();
    assert!((6..55).contains(&minutes.parse::<u32>().unwrap()), "{long}");
    assert!(told.ends_with("; what comes later was not tried"), "{long}");
    assert!(!short.contains("in its first"), "{short}");
    assert!(said.err.is_empty(), "no progress where nobody looks: {}", said.err);
}

#[test]
fn whoever_waits_for_a_check_at_a_terminal_sees_how_far_it_is() {
    let desk = Desk::new();
    desk.write("long.toml", LONG);
    let Some(shown) = on_a_terminal(&desk, "check long.toml", &[]) else { return };
    assert!(shown.contains("long ━") && shown.contains("/100  over real sockets"), "{shown}");
}
