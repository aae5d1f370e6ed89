//! The report in a real browser: what it looks like to machines that stand in for people.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are tests too; clippy only knows what stands in a test"
)]

mod devtools;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use devtools::Browser;
use serde_json::Value;
use tempfile::TempDir;

/// An accessibility checker; see `axe.LICENSE`.
const AXE: &str = include_str!("axe.min.js");

/// The report of a shipped scenario and the numbers it was drawn from.
struct Report {
    _folder: TempDir,
    page: PathBuf,
    result: Value,
}

impl Report {
    fn of(scenario: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let ran = Command::new(cargo_bin("tuesday"))
            .args(["run", scenario, "--quiet", "--out"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(ran.success());
        let page = folder.path().join(scenario).join("report.html");
        let result = fs::read_to_string(page.with_file_name("result.json")).unwrap();
        Self { result: serde_json::from_str(&result).unwrap(), page, _folder: folder }
    }

    fn url(&self) -> String {
        format!("file://{}", self.page.display())
    }

    /// Of each variant, what its populations had together in a second.
    fn in_second(&self, second: usize, series: &str) -> Vec<u64> {
        let of = |variant: &Value| {
            let populations = variant["runs"][0]["populations"].as_array().unwrap().iter();
            let counted = populations
                .filter(|population| series != "good_per_s" || population["hostile"] == false)
                .map(|population| population[series][second].as_u64().unwrap());
            counted.sum()
        };
        self.result["variants"].as_array().unwrap().iter().map(of).collect()
    }
}

/// What all readings with that label say, without units.
fn read_out(browser: &mut Browser, label: &str) -> Vec<u64> {
    let script = format!(
        "Array.from(document.querySelectorAll('.lanes:not(details) .reading:has(.label)'))\
         .filter(reading => reading.querySelector('.label').textContent === '{label}')\
         .map(reading => Number(reading.querySelector('.value').textContent.replace(/[^0-9]/g, '')))"
    );
    browser.value(&script).as_array().unwrap().iter().map(|value| value.as_u64().unwrap()).collect()
}

/// What stands in the way of somebody who does not see, hear or point as others do, if it is serious.
fn barriers(browser: &mut Browser) -> Value {
    browser.value(AXE);
    browser.value(
        "axe.run().then(found => found.violations.concat(found.incomplete.filter(one => one.id !== 'color-contrast'))\
         .filter(one => ['serious', 'critical'].includes(one.impact))\
         .map(one => one.id + ': ' + one.nodes.length + ' such as ' + one.nodes[0].html + ' ' + one.nodes[0].failureSummary))",
    )
}

#[test]
fn the_report_opens_without_an_error_asks_for_nothing_and_fits_every_screen() {
    if !devtools::is_there() {
        return;
    }
    let mut browser = Browser::start();
    for scenario in ["nine-oh-two", "window-boundary", "credential-stuffing"] {
        let report = Report::of(scenario);
        let bytes = fs::metadata(&report.page).unwrap().len();
        assert!(bytes < 2_000_000, "{scenario}: {bytes} bytes");
        browser.look(380, "light");
        browser.open(&report.url());
        for scheme in ["light", "dark"] {
            for width in [380, 800, 1280, 2560] {
                browser.look(width, scheme);
                let wide = browser.value("document.documentElement.scrollWidth");
                assert!(wide.as_u64().unwrap() <= u64::from(width), "{scenario}: {wide} wide in {width}");
            }
            let paper = browser.value("getComputedStyle(document.body).backgroundColor");
            assert_eq!(paper == "rgb(255, 255, 255)", scheme == "light", "{scheme}: {paper}");
        }
        assert!(browser.errors().is_empty(), "{scenario}: {:?}", browser.errors());
        assert_eq!(browser.requests(), [report.url()], "{scenario}");
    }
}

#[test]
fn one_instant_is_read_in_all_timelines_by_mouse_and_by_keys() {
    if !devtools::is_there() {
        return;
    }
    let report = Report::of("nine-oh-two");
    let mut browser = Browser::start();
    browser.look(1280, "light");
    browser.open(&report.url());
    assert_eq!(browser.value("document.querySelector('.now').textContent"), "UTC");
    let resting = browser.value("document.querySelector('.lanes:has(#load) .value').textContent");
    // The middle of a second of the lane that is last, well before the faults and well within them.
    for second in [20_usize, 75] {
        let place = format!(
            "(() => {{ const plot = document.querySelector('.lanes:has(#load)').querySelectorAll('.plot')[2];\
             plot.scrollIntoView({{block: 'center'}}); const box = plot.getBoundingClientRect();\
             return [box.left + box.width * ({second} + 0.5) / 240, box.top + box.height / 2]; }})()"
        );
        let place = browser.value(&place);
        browser.point(place[0].as_f64().unwrap(), place[1].as_f64().unwrap());
        browser.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))");
        let time = format!("09:{:02}:{:02}", second / 60 + 1, second % 60);
        assert_eq!(browser.value("document.querySelector('.now').textContent"), time);
        for (label, series) in
            [("offered", "offered_per_s"), ("goodput", "good_per_s"), ("admitted", "admitted_per_s")]
        {
            assert_eq!(read_out(&mut browser, label), report.in_second(second, series), "{label} at {time}");
        }
    }
    // By keys one second at a time, from where the mouse left it.
    browser.value("document.getElementById('instant').focus()");
    browser.press("ArrowRight", 39);
    browser.press("ArrowRight", 39);
    browser.press("ArrowLeft", 37);
    assert_eq!(browser.value("document.querySelector('.now').textContent"), "09:02:16");
    assert_eq!(
        browser.value("document.getElementById('instant').getAttribute('aria-valuetext')"),
        "09:02:16"
    );
    assert_eq!(read_out(&mut browser, "goodput"), report.in_second(76, "good_per_s"));
    let hairs = browser.value(
        "new Set(Array.from(document.querySelectorAll('.lanes:not(details) .hair'))\
         .map(hair => Math.round(hair.getBoundingClientRect().left))).size",
    );
    assert_eq!(hairs, 1, "all lanes show the same instant");
    browser.press("Escape", 27);
    assert_eq!(browser.value("document.querySelector('.lanes:has(#load) .value').textContent"), resting);
    assert!(browser.errors().is_empty(), "{:?}", browser.errors());
}

#[test]
fn why_a_breaker_changed_is_shown_to_whoever_moves_to_it() {
    if !devtools::is_there() {
        return;
    }
    let report = Report::of("nine-oh-two");
    let mut browser = Browser::start();
    browser.look(1280, "light");
    browser.open(&report.url());
    let shown = "getComputedStyle(document.querySelector('.point'), '::after').content";
    assert_eq!(browser.value(shown), "none");
    browser.value("document.querySelector('.point').focus()");
    let told = browser.value(shown);
    assert!(told.as_str().unwrap().contains(" failed: "), "{told}");
    assert_eq!(
        told,
        browser.value("JSON.stringify(document.querySelector('.point').getAttribute('aria-label'))")
    );
}

#[test]
fn nothing_serious_is_in_the_way_of_anybody() {
    if !devtools::is_there() {
        return;
    }
    let mut browser = Browser::start();
    for (scenario, looks) in [
        ("nine-oh-two", [("light", 1280), ("dark", 380)]),
        ("window-boundary", [("dark", 1280), ("light", 380)]),
    ] {
        let report = Report::of(scenario);
        for (scheme, width) in looks {
            browser.look(width, scheme);
            browser.open(&report.url());
            let found = barriers(&mut browser);
            assert_eq!(found, Value::Array(Vec::new()), "{scenario}, {scheme}, {width}: {found:#}");
            assert!(browser.errors().is_empty(), "{:?}", browser.errors());
        }
    }
}

#[test]
fn comparisons_and_sweeps_fit_every_screen_and_everybody() {
    if !devtools::is_there() {
        return;
    }
    let mut browser = Browser::start();
    let grid = "sweep nine-oh-two --variant timeout --points 4 --vary gateway.workers=128..1024 --vary gateway.timeout=2s,5s";
    for (command, page) in [
        ("compare nine-oh-two --variant quickstart,recommended --seeds 3", "comparison.html"),
        ("sweep nine-oh-two --variant timeout --vary gateway.workers=128..1024 --points 4", "sweep.html"),
        (grid, "sweep.html"),
    ] {
        let folder = TempDir::new().unwrap();
        let ran = Command::new(cargo_bin("tuesday"))
            .args(command.split(' '))
            .args(["--quiet", "--out"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(ran.success(), "{command}");
        let url = format!("file://{}", folder.path().join("nine-oh-two").join(page).display());
        for (scheme, width) in [("light", 1280), ("dark", 380)] {
            browser.look(width, scheme);
            browser.open(&url);
            let wide = browser.value("document.documentElement.scrollWidth");
            assert!(wide.as_u64().unwrap() <= u64::from(width), "{command}: {wide} wide in {width}");
            let found = barriers(&mut browser);
            assert_eq!(found, Value::Array(Vec::new()), "{command}, {scheme}, {width}: {found:#}");
            assert!(browser.errors().is_empty(), "{command}: {:?}", browser.errors());
        }
    }
}
