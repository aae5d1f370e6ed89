//! The report in a real browser: what it looks like to machines that stand in for people.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are tests too; clippy only knows what stands in a test"
)]

mod devtools;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

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

/// Runs the command, which must succeed, with what it writes in that folder.
fn tuesday(folder: &Path, args: &[&str]) {
    let ran = Command::new(cargo_bin("tuesday"))
        .args(args)
        .args(["--quiet", "--out"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(ran.success(), "{args:?}");
}

impl Report {
    fn of(scenario: &str) -> Self {
        let folder = TempDir::new().unwrap();
        tuesday(folder.path(), &["run", scenario]);
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
        // Charts do not shrink with the screen beyond what can be read; they scroll in their box.
        browser.look(380, "light");
        let lowest = "Math.min(...Array.from(document.querySelectorAll('.chart text'))\
                      .map(words => words.getBoundingClientRect().height))";
        let lowest = browser.value(lowest).as_f64().unwrap();
        assert!(lowest >= 10.0, "{scenario}: words of charts are {lowest} px high");
        assert!(browser.errors().is_empty(), "{scenario}: {:?}", browser.errors());
        assert_eq!(browser.requests(), [report.url()], "{scenario}");
    }
}

#[test]
fn the_first_screen_says_which_variant_to_take_and_shows_why() {
    if !devtools::is_there() {
        return;
    }
    let mut browser = Browser::start();
    let report = Report::of("nine-oh-two");
    for (width, height) in [(1280, 800.0), (390, 844.0)] {
        browser.look(width, "light");
        browser.open(&report.url());
        let mut bottom = |selector: &str| {
            let script = format!("document.querySelector('{selector}').getBoundingClientRect().bottom");
            browser.value(&script).as_f64().unwrap()
        };
        assert!(bottom(".headline") < bottom(".ranking thead"), "{width}");
        // All rows of the picture on a desk, and on a phone as well.
        let last = bottom(".ranking tbody tr:last-child");
        assert!(last <= height, "{width}: the last variant ends at {last}");
        let said = browser.value("document.querySelector('.headline').textContent");
        let said = said.as_str().unwrap().to_owned();
        assert!(said.starts_with("Take timeout+retry-budget: nobody else was hurt, "), "{said}");
        let first = browser.value("document.querySelector('.ranking tbody th').textContent");
        assert_eq!(first, "timeout+retry-budget");
    }
    // On a desk the head of the whole table too.
    browser.look(1280, "light");
    let head = browser.value(
        "document.querySelector('section[aria-labelledby=comparison] thead').getBoundingClientRect().bottom",
    );
    assert!(head.as_f64().unwrap() <= 800.0, "{head}");
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
    let label = browser.value("JSON.stringify(document.querySelector('.point').getAttribute('aria-label'))");
    assert_eq!(told, label);
    // To whoever points at it, and no longer.
    browser.value("document.activeElement.blur()");
    assert_eq!(browser.value(shown), "none");
    let place = browser.value(
        "(() => { const point = document.querySelector('.point'); point.scrollIntoView({block: 'center'});\
         const box = point.getBoundingClientRect(); return [box.left + box.width / 2, box.top + box.height / 2]; })()",
    );
    let (x, y) = (place[0].as_f64().unwrap(), place[1].as_f64().unwrap());
    browser.point(x, y);
    assert_eq!(browser.value(shown), label);
    browser.point(x, y + 300.0);
    assert_eq!(browser.value(shown), "none");
    assert!(browser.errors().is_empty(), "{:?}", browser.errors());
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
    let cube = "sweep window-boundary --variant fixed-window --vary gateway.workers=64,256 --vary gateway.queue=16,64 --vary gateway.timeout=1s,5s";
    for (command, page) in [
        ("compare nine-oh-two --variant quickstart,recommended --seeds 3", "nine-oh-two/comparison.html"),
        (
            "sweep nine-oh-two --variant timeout --vary gateway.workers=128..1024 --points 4",
            "nine-oh-two/sweep.html",
        ),
        (grid, "nine-oh-two/sweep.html"),
        (cube, "window-boundary/sweep.html"),
    ] {
        let folder = TempDir::new().unwrap();
        tuesday(folder.path(), &command.split(' ').collect::<Vec<_>>());
        let url = format!("file://{}", folder.path().join(page).display());
        for (scheme, width) in [("light", 1280), ("dark", 380)] {
            browser.look(width, scheme);
            browser.open(&url);
            let wide = browser.value("document.documentElement.scrollWidth");
            assert!(wide.as_u64().unwrap() <= u64::from(width), "{command}: {wide} wide in {width}");
            let found = barriers(&mut browser);
            assert_eq!(found, Value::Array(Vec::new()), "{command}, {scheme}, {width}: {found:#}");
            assert!(browser.errors().is_empty(), "{command}: {:?}", browser.errors());
            assert_eq!(browser.requests(), [&*url], "{command}");
        }
        assert_eq!(too_wide_for_paper(&mut browser), [""; 0], "{command}");
    }
}

/// What does not fit on a sheet of A4 with margins of a centimetre, 718 px, of the page that is open.
fn too_wide_for_paper(browser: &mut Browser) -> Vec<String> {
    browser.print(718);
    let wide = browser.value(
        "Array.from(document.querySelectorAll('html, .scroll, pre, .row, .plot, figure, details'))\
         .filter(part => part.scrollWidth > part.clientWidth + 1 || part.getBoundingClientRect().right > 719)\
         .map(part => [part.tagName, part.className, part.getAttribute('aria-labelledby') || part.getAttribute('aria-label'),\
                       part.scrollWidth, part.clientWidth, part.getBoundingClientRect().right].join(' '))",
    );
    wide.as_array().unwrap().iter().map(|part| part.as_str().unwrap().to_owned()).collect()
}

#[test]
fn on_paper_everything_is_seen_and_nothing_is_cut_off() {
    if !devtools::is_there() {
        return;
    }
    let mut browser = Browser::start();
    for scenario in ["nine-oh-two", "window-boundary", "credential-stuffing"] {
        let report = Report::of(scenario);
        browser.look(1280, "dark");
        browser.open(&report.url());
        assert_eq!(too_wide_for_paper(&mut browser), [""; 0], "{scenario}");
        // White paper, with the colours of lanes and matrices, and with what was folded away.
        assert_eq!(browser.value("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)");
        for (asked, answer) in [
            ("getComputedStyle(document.querySelector('table')).printColorAdjust", "exact"),
            ("getComputedStyle(document.querySelector('.lanes .row')).breakInside", "avoid"),
            (
                "getComputedStyle(document.querySelector('details'), '::details-content').contentVisibility",
                "visible",
            ),
        ] {
            assert_eq!(browser.value(asked), answer, "{scenario}: {asked}");
        }
    }
}

/// The texts of a column of a table, of the rows that are seen, from the top.
fn column(browser: &mut Browser, table: &str, column: usize) -> Vec<String> {
    let script = format!(
        "Array.from(document.querySelectorAll('table[data-table={table}] tbody tr')).filter(row => row.getClientRects().length)\
         .map(row => row.cells[{column}].firstChild.textContent.trim())"
    );
    browser.value(&script).as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The head of a column.
fn head(table: &str, column: usize) -> String {
    format!("document.querySelectorAll('table[data-table={table}] thead th')[{column}]")
}

#[test]
fn every_table_sorts_by_mouse_and_by_keys_and_says_so() {
    if !devtools::is_there() {
        return;
    }
    let report = Report::of("nine-oh-two");
    let mut browser = Browser::start();
    browser.look(1280, "light");
    browser.open(&report.url());
    let bare = "Array.from(document.querySelectorAll('main table')).filter(table => table.rows.length > 2)\
                .filter(table => !table.querySelector('thead button.sort')).length";
    assert_eq!(browser.value(bare), 0, "a table does not sort");
    let as_written = column(&mut browser, "comparison", 0);
    assert_eq!(as_written[0], "quickstart");
    // Numbers from the top, first: with seconds and milliseconds, and lower bounds among them.
    let p99 = head("comparison", 4);
    browser.value(&format!("{p99}.querySelector('button').click()"));
    assert_eq!(browser.value(&format!("{p99}.getAttribute('aria-sort')")), "descending");
    let slowest = column(&mut browser, "comparison", 0);
    assert_eq!(slowest[0], "breaker");
    let values = column(&mut browser, "comparison", 4);
    assert!(values[0].starts_with('≥') && values.last().unwrap().ends_with("ms"), "{values:?}");
    // By keys the other way, and then as it was.
    browser.value(&format!("{p99}.querySelector('button').focus()"));
    browser.press_enter();
    assert_eq!(browser.value(&format!("{p99}.getAttribute('aria-sort')")), "ascending");
    assert_eq!(column(&mut browser, "comparison", 4), values.iter().rev().cloned().collect::<Vec<_>>());
    browser.press_enter();
    assert_eq!(browser.value(&format!("{p99}.hasAttribute('aria-sort')")), false);
    assert_eq!(column(&mut browser, "comparison", 0), as_written);
    // Names from the front; a name that stands above is told quietly wherever rows end up.
    browser.value(&format!("{}.querySelector('button').click()", head("populations", 1)));
    let variants = column(&mut browser, "populations", 1);
    assert!(variants.is_sorted() && variants.len() == 27, "{variants:?}");
    let quiet = "document.querySelectorAll('table[data-table=populations] th.again').length";
    assert_eq!(browser.value(quiet), 0);
    assert!(browser.errors().is_empty(), "{:?}", browser.errors());
}

#[test]
fn what_a_reader_folds_away_compares_and_sorts_stands_in_the_link() {
    if !devtools::is_there() {
        return;
    }
    let report = Report::of("nine-oh-two");
    let mut browser = Browser::start();
    browser.look(1280, "light");
    browser.open(&report.url());
    let seen = "new Set(Array.from(document.querySelectorAll('[data-variants]')).filter(part => part.getClientRects().length)\
                .flatMap(part => part.dataset.variants.split(' '))).size";
    assert_eq!(browser.value(seen), 9);
    // Without the third and the fifth.
    browser.value("document.querySelector('.chooser').open = true");
    for box_number in [2, 4] {
        browser.value(&format!("document.querySelectorAll('.chooser input')[{box_number}].click()"));
    }
    browser.value(&format!("{}.querySelector('button').click()", head("routes", 2)));
    assert_eq!(browser.value("location.hash"), "#;hide=2.4;sort=routes:2:down");
    assert_eq!(browser.value(seen), 7);
    assert_eq!(browser.value("document.querySelector('.chosen').textContent"), "7 of 9");
    assert!(!column(&mut browser, "comparison", 0).contains(&"breaker".to_owned()));
    let lanes = "Array.from(document.querySelectorAll('.lanes:has(#load) .row')).filter(row => row.getClientRects().length).length";
    assert_eq!(browser.value(lanes), 7);
    // A link within the page keeps all of that.
    browser.value(
        "new Promise(done => { addEventListener('hashchange', () => done(), { once: true });\
         document.querySelector('nav a[href=\"#causes\"]').click(); })",
    );
    assert_eq!(browser.value("location.hash"), "#causes;hide=2.4;sort=routes:2:down");
    let routes = column(&mut browser, "routes", 2);
    let link = format!("{}{}", report.url(), browser.value("location.hash").as_str().unwrap());
    // Somebody else opens the link and sees the same, at the same place.
    browser.open("about:blank");
    browser.open(&link);
    assert_eq!(browser.value(seen), 7);
    assert_eq!(column(&mut browser, "routes", 2), routes);
    let top =
        browser.value("document.getElementById('causes').getBoundingClientRect().top").as_f64().unwrap();
    assert!((-5.0..100.0).contains(&top), "{top}");
    // Two alone, beside one another.
    for (side, number) in [("one", 0), ("other", 7)] {
        browser.value(&format!(
            "(() => {{ const side = document.querySelector('.chooser .{side}'); side.value = '{number}';\
             side.dispatchEvent(new Event('change')); }})()"
        ));
    }
    assert_eq!(browser.value("location.hash"), "#causes;hide=2.4;compare=0.7;sort=routes:2:down");
    assert_eq!(column(&mut browser, "comparison", 0), ["quickstart", "timeout+retry-budget"]);
    let heads =
        "Array.from(document.querySelectorAll('#pair thead th')).map(head => head.textContent).join('|')";
    assert_eq!(browser.value(heads), "measure|quickstart|timeout+retry-budget");
    let goodput = "document.querySelector('#pair tbody tr').textContent";
    let goodput = browser.value(goodput).as_str().unwrap().to_owned();
    assert!(goodput.starts_with("goodput") && goodput.ends_with("▲ better"), "{goodput}");
    browser.value("document.querySelector('.everything').click()");
    assert_eq!(browser.value(seen), 9);
    assert_eq!(browser.value("document.querySelector('#pair').hidden"), true);
    // What makes no sense is not obeyed.
    for odd in [
        "#;hide=0.1.2.3.4.5.6.7.8",
        "#;compare=1",
        "#;compare=1.99",
        "#x;hide=-1,%3Cb%3E;sort=a:b:c,routes:99:up;;=",
        "#;sort=__proto__:1:up",
    ] {
        browser.open("about:blank");
        browser.open(&format!("{}{odd}", report.url()));
        assert_eq!(browser.value(seen), 9, "{odd}");
        assert!(browser.errors().is_empty(), "{odd}: {:?}", browser.errors());
    }
}

#[test]
fn without_a_script_the_page_shows_all() {
    if !devtools::is_there() {
        return;
    }
    let report = Report::of("nine-oh-two");
    let mut browser = Browser::start();
    browser.look(1280, "light");
    browser.call("Emulation.setScriptExecutionDisabled", &serde_json::json!({"value": true}));
    browser.open(&format!("{}#;hide=0.1", report.url()));
    browser.call("Emulation.setScriptExecutionDisabled", &serde_json::json!({"value": false}));
    let away = "Array.from(document.querySelectorAll('[data-variants]')).filter(part => !part.getClientRects().length)\
                .filter(part => !part.closest('details')).length";
    assert_eq!(browser.value(away), 0);
    assert_eq!(browser.value("getComputedStyle(document.querySelector('.chooser')).display"), "none");
    assert_eq!(browser.value("document.querySelectorAll('.sort').length"), 0);
}

/// A process that is ended with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A live run of a few seconds.
const WATCHED: &str = r#"
    name = "Watched"
    duration = "6s"
    slo.latency = "1s"
    upstreams.orders.latency = "2ms"
    routes."/orders".upstream = "orders"
    clients.everybody = { send = "/orders", rate = "40/s" }
    [variants.one]
    [variants.other]
    gateway.queue = 5
"#;

#[test]
fn at_the_end_of_a_watched_run_a_link_opens_the_report() {
    if !devtools::is_there() {
        return;
    }
    let mut browser = Browser::start();
    browser.look(1280, "light");
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("watched.toml"), WATCHED).unwrap();
    let run = Command::new(cargo_bin("tuesday"))
        .current_dir(folder.path())
        .args(["run", "watched.toml", "--engine", "live", "--watch", "--out", "results"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut run = Running(run.unwrap());
    let mut said = BufReader::new(run.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let page = said.find_map(|line| Some(line.split_once("watch it at ")?.1.trim().to_owned())).unwrap();
    browser.open(&page);
    // The page takes the report with it: the link leads there after the command has ended.
    let link = browser.value(
        "new Promise(done => { const look = () => { const link = document.querySelector('#reports a');\
         link ? done(link.textContent + ': ' + document.querySelector('#reports p').textContent) : setTimeout(look, 50); };\
         look(); })",
    );
    assert_eq!(link, "Open the report: results/watched/report.html");
    said.for_each(drop);
    let _ = run.0.wait();
    browser.follow("#reports a");
    assert_eq!(browser.value("document.title"), "Watched – Tuesday");
    let headline = browser.value("document.querySelector('.headline').textContent");
    assert!(headline.as_str().unwrap().ends_with('.'), "{headline}");
    // With its style sheet and its script, which the policies of both pages allow.
    assert_eq!(browser.value("getComputedStyle(document.querySelector('.headline')).fontWeight"), "600");
    assert!(browser.value("document.querySelectorAll('.sort').length").as_u64().unwrap() > 10);
    assert!(browser.errors().is_empty(), "{:?}", browser.errors());
}

/// Every page sorts its tables, by one script.
#[test]
fn tables_of_sweeps_and_comparisons_sort() {
    if !devtools::is_there() {
        return;
    }
    let mut browser = Browser::start();
    browser.look(1280, "light");
    let open = |browser: &mut Browser, folder: &Path, command: &str, page: &str| {
        tuesday(folder, &command.split(' ').collect::<Vec<_>>());
        browser.open(&format!("file://{}", folder.join(page).display()));
        let bare = "Array.from(document.querySelectorAll('main table')).filter(table => table.rows.length > 2)\
                    .filter(table => !table.querySelector('thead button.sort')).length";
        assert_eq!(browser.value(bare), 0, "a table does not sort: {command}");
    };
    let folder = TempDir::new().unwrap();
    let timeouts = "sweep nine-oh-two --variant timeout --vary gateway.timeout=500ms,10s,2s";
    open(&mut browser, folder.path(), timeouts, "nine-oh-two/sweep.html");
    // The values of a setting are quantities, and no names: half a second is less than two.
    browser.value(&format!("{}.querySelector('button').click()", head("points", 0)));
    let first = |text: &String| text.split_whitespace().next().unwrap().to_owned();
    assert_eq!(
        column(&mut browser, "points", 0).iter().map(first).collect::<Vec<_>>()[..3],
        ["10s", "5s", "2s"]
    );
    assert_eq!(browser.value("location.hash"), "#;sort=points:0:down");
    let folder = TempDir::new().unwrap();
    let two = "compare window-boundary fixed-window token-bucket sliding-window-log --seeds 2";
    open(&mut browser, folder.path(), two, "window-boundary/comparison.html");
    let as_written = column(&mut browser, "measures-1", 0);
    browser.value(&format!("{}.querySelector('button').click()", head("measures-1", 0)));
    let sorted = column(&mut browser, "measures-1", 0);
    assert!(sorted.is_sorted() && sorted != as_written, "{sorted:?}");
    assert!(browser.errors().is_empty(), "{:?}", browser.errors());
}

#[test]
fn words_of_names_are_whole_on_a_phone() {
    if !devtools::is_there() {
        return;
    }
    let report = Report::of("nine-oh-two");
    let mut browser = Browser::start();
    browser.look(390, "light");
    browser.open(&report.url());
    // A word that is parted has boxes on two lines.
    let torn = "Array.from(document.querySelectorAll('th bdi, .who bdi')).flatMap(name => {\
                const text = name.firstChild, found = [];\
                if (!text) { return found; }\
                for (const word of text.nodeValue.matchAll(/[^\\s-]+/g)) {\
                  const range = document.createRange();\
                  range.setStart(text, word.index); range.setEnd(text, word.index + word[0].length);\
                  if (new Set(Array.from(range.getClientRects()).map(box => Math.round(box.top))).size > 1) { found.push(text.nodeValue); }\
                }\
                return found; })";
    assert_eq!(browser.value(torn), serde_json::json!([]));
    // What is wider than the screen scrolls in a box of its own.
    let lost = "Array.from(document.querySelectorAll('main table, main svg.chart')).filter(part => !part.closest('.away, [hidden]'))\
                .filter(part => part.getBoundingClientRect().right > 391).filter(part => !part.closest('.scroll')).length";
    assert_eq!(browser.value(lost), 0);
}

/// What somebody may call a thing who means no good by it, each ten thousand characters long and unlike the others.
fn hostile_name(number: usize) -> String {
    let name = match number % 5 {
        0 => String::new(),
        1 => "<script>document.title = 'obeyed'</script>".to_owned(),
        2 => "\"' onfocus='document.title = 1' autofocus><img src=http://127.0.0.1:9/x.png>".to_owned(),
        3 => "\u{202e}שלום עולם مرحبا".to_owned(),
        _ => "</style></svg>]]>-->".to_owned(),
    };
    let filling = if number % 5 == 3 { "ש" } else { "W" };
    let missing = 10_000_usize.saturating_sub(name.chars().count());
    format!("{name}{}{number}", filling.repeat(missing))
}

/// Gives everything in a saved result that has a name a hostile one.
fn rename(value: &mut Value, names: &[(String, String)]) {
    match value {
        Value::String(text) => {
            let renamed = |part: &str| {
                names
                    .iter()
                    .find(|(from, _)| from == part)
                    .map_or_else(|| part.to_owned(), |(_, to)| to.clone())
            };
            *text = text.split('→').map(renamed).collect::<Vec<_>>().join("→");
        }
        Value::Array(values) => values.iter_mut().for_each(|value| rename(value, names)),
        Value::Object(fields) => {
            // Words of the format itself stay what they are.
            let fields = fields
                .iter_mut()
                .filter(|(key, _)| !["kind", "ending", "engine", "to"].contains(&key.as_str()));
            fields.for_each(|(_, value)| rename(value, names));
        }
        _ => {}
    }
}

#[test]
fn whatever_things_are_called_pages_fit_and_stay_what_they_are() {
    if !devtools::is_there() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    tuesday(folder.path(), &["run", "nine-oh-two", "--variant", "breaker,recommended", "--format", "json"]);
    let result = fs::read_to_string(path("nine-oh-two/result.json")).unwrap();
    let mut result: Value = serde_json::from_str(&result).unwrap();
    let run = &result["variants"][0]["runs"][0];
    let things = [&result["variants"], &run["populations"], &run["routes"], &run["upstreams"]];
    let things = things.into_iter().flat_map(|things| things.as_array().unwrap());
    let names = things.map(|thing| thing["name"].as_str().unwrap().to_owned());
    let names: Vec<_> = names.enumerate().map(|(place, name)| (name, hostile_name(place))).collect();
    assert!(names.len() >= 12, "{names:?}");
    rename(&mut result, &names);
    for (place, field) in ["name", "story", "source"].into_iter().enumerate() {
        result["scenario"][field] = Value::String(hostile_name(place));
    }
    for (place, expectation) in result["expectations"].as_array_mut().unwrap().iter_mut().enumerate() {
        expectation["text"] = Value::String(hostile_name(place));
    }
    for settings in
        result["variants"].as_array_mut().unwrap().iter_mut().map(|variant| &mut variant["settings"])
    {
        settings[0] = serde_json::json!({"key": hostile_name(1), "value": hostile_name(2)});
    }
    for side in ["a", "b"] {
        fs::create_dir(path(side)).unwrap();
        fs::write(path(side).join("result.json"), result.to_string()).unwrap();
    }
    tuesday(&path("report"), &["report", path("a").to_str().unwrap()]);
    tuesday(&path("comparison"), &["compare", path("a").to_str().unwrap(), path("b").to_str().unwrap()]);
    let mut browser = Browser::start();
    for (page, scripts) in [("report/report.html", 1), ("comparison/b/comparison.html", 1)] {
        let url = format!("file://{}", path(page).display());
        browser.look(380, "light");
        browser.open(&url);
        let wide = browser.value("document.documentElement.scrollWidth");
        assert!(wide.as_u64().unwrap() <= 380, "{page} is {wide} wide");
        assert!(browser.errors().is_empty(), "{page}: {:?}", browser.errors());
        assert_eq!(browser.requests(), [url], "{page}");
        assert_eq!(browser.value("document.scripts.length"), scripts, "{page}");
        assert_eq!(browser.value("document.querySelectorAll('img, [onfocus]').length"), 0, "{page}");
        assert_eq!(browser.value("document.title.endsWith('Tuesday')"), true, "{page}");
    }
}
