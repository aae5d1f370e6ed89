//! Every scenario that ships runs, and does what its story says.

use crate::common::{assert_held, run};
use reports::{ExperimentResult, HarmResult};
use tuesday::library;

#[test]
fn every_expectation_of_every_shipped_scenario_holds() {
    let shipped = library::all();
    assert!(!shipped.is_empty());
    for shipped in shipped {
        let result = run(shipped.text);
        assert_held(&result);
        assert!(!result.scenario.story.is_empty(), "{} has no story", shipped.name);
    }
}

/// The harm under a variant.
fn harm<'r>(result: &'r ExperimentResult, variant: &str) -> &'r HarmResult {
    let variant = result.variants.iter().find(|known| known.name == variant);
    variant.and_then(|variant| variant.runs[0].harm.as_ref()).expect("a variant compared with its control")
}

#[test]
fn the_examples_of_the_format_run_as_they_stand() {
    assert_held(&run(include_str!("../examples/example-window-boundary.toml")));
    let result = run(include_str!("../examples/example-nine-oh-two.toml"));
    assert_held(&result);
    // Nobody is kept waiting for longer than 5 s by the one at 28: the timeout alone keeps the account pages whole, with
    // less damage to the others than a breaker that lets nobody through to a service that answers late.
    let [timeout, breaker] = ["timeout", "breaker"].map(|variant| harm(&result, variant));
    assert_eq!(timeout.collateral.hurt, 0);
    assert!(timeout.collateral.total > 5_000, "{:?}", timeout.collateral);
    assert!(timeout.direct.hurt < breaker.direct.hurt, "{:?}, {:?}", timeout.direct, breaker.direct);
}

/// Without an objective of its own the story would be decided by a tie: no outage of the provider hurts anybody under either of two
/// variants, of which one lets guests read other people's bills.
#[test]
fn the_verdict_on_identity_names_the_variant_that_lets_nobody_through() {
    let shipped = library::find("auth-chain").unwrap();
    let screen = reports::terminal_screen(&run(shipped.text), 80);
    // Without the styles of the lines and their breaks.
    let plain = screen.split('\u{1b}').map(|part| {
        part.strip_prefix('[').map_or(part, |part| part.split_once('m').map_or(part, |(_, text)| text))
    });
    let plain: String = plain.collect();
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = "Take at-the-gateway: nobody without a valid identity reached an application, and nobody else was hurt; it needs ";
    assert!(words.contains(said), "{screen}");
    // Services without checks of their own are told as such, and not key by key.
    assert!(words.contains(", … and no upstreams.{orders, billing, profile}.auth."), "{screen}");
}

#[test]
fn the_report_says_which_configurations_hold_and_why() {
    let told = |name: &str| {
        let facts = reports::facts(&run(library::find(name).unwrap().text));
        // Those that the terminal has room for.
        facts[..6].join("\n")
    };
    let expect = |name: &str, sentences: &[&str]| {
        let told = told(name);
        for sentence in sentences {
            assert!(told.contains(sentence), "{name} does not say {sentence:?}:\n{told}");
        }
    };
    expect(
        "death-spiral",
        &[
            "under timeout, timeout+breaker, +bulkhead, rush+bulkhead and retrying+bulkhead nobody else was hurt",
            "Nobody waited for a worker of the gateway under timeout (at most 190 of 256 in use), timeout+breaker (at",
            "+bulkhead (at most 75 of 256 in use; its bulkhead turned 355 away)",
            "all were in use from 09:01:03 on under rush-timeout and rush-timeout+breaker and from 09:01:09 on under \
             nothing, breaker and retrying-timeout+breaker",
        ],
    );
    expect(
        "retry-storm",
        &[
            "Under immediate, exponential and full-jitter the outage outlived its cause (metastable)",
            "where the outage outlived its cause, 3.98 under immediate, exponential and full-jitter; where it did not, \
             1.02 under retry-budget",
        ],
    );
    expect(
        "nine-oh-two",
        &["under bulkhead, timeout+retry-budget and recommended+bulkhead nobody else was hurt"],
    );
    expect("breaker-placement", &["all were in use from 09:01:02 on under none, service, gateway and both"]);
}
