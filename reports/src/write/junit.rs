//! The expectations as `JUnit` XML, which every CI system shows without being told how.
//!
//! One file per scenario; in it a suite for each variant, and in that a case for each expectation and seed. Systems
//! differ in what they group by: some show suites, others (Jenkins, GitLab) the class name alone; so the class name
//! repeats scenario and variant. A case is called what the file calls it, with the seed where there are several: the
//! same in every run, so that a history of it can be kept.
//!
//! There is no time and no date in it: the bytes depend on the result alone.

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use crate::result::expectation::{ExpectationCheck, ExpectationResult, NotJudged};
use crate::result::experiment::ExperimentResult;
use crate::result::run::RunResult;
use crate::tell::verdict::{engine_beside, not_judged};
use crate::words::text;
use crate::words::value::Value;

/// The expectations of an experiment as the text of a `JUnit` XML file.
///
/// A variant against which nothing was held has no suite.
/// What held says what was measured in its output; what did not is a failure with the measured value and how to see it
/// again. What was not judged is no success: it is an error where the run was spoilt or cut short, and skipped where the run was
/// not made; a run that was spoilt or cut short is an error although no expectation speaks of it. An expectation that was held
/// against no variant (`--variant` left its own out), and a scenario that states
/// none, are cases that were skipped: many systems take a file without cases for a broken one. Where both engines ran,
/// the other one has suites of its own.
#[expect(clippy::missing_panics_doc, reason = "only a writer could fail, and this one writes to memory")]
pub fn junit_xml(result: &ExperimentResult) -> String {
    let scenario = text::name(&result.scenario.name);
    let mut report = Report::new(scenario.as_str());
    let variants = variants(result);
    for beside in [false, true] {
        let suites = variants.iter().map(|variant| suite(result, &scenario, variant, beside));
        report.add_test_suites(suites.filter(|suite| suite.tests > 0));
    }
    let unchecked = result.expectations.iter().filter(|expectation| expectation.checks.is_empty());
    let mut others: Vec<TestCase> =
        unchecked.map(|expectation| case_without_checks(&scenario, expectation)).collect();
    if result.expectations.is_empty() {
        others.push(case(
            "expectations".to_owned(),
            &scenario,
            skipped("the scenario states no expectations"),
        ));
    }
    if !others.is_empty() {
        let mut suite = TestSuite::new(scenario.as_str());
        suite.add_test_cases(others);
        report.add_test_suite(suite);
    }
    without_skipped_in_all(report.to_string().expect("writing to memory does not fail"))
}

/// The text without the number of skipped cases that the writer puts at the root: the schema of Jenkins' xUnit plugin
/// (junit-10.xsd) has it at each suite and not there, and refuses the file. A quote within a name is escaped, so the first that
/// stands before ` skipped=` ends an attribute of the root.
fn without_skipped_in_all(mut xml: String) -> String {
    const BEFORE: &str = "\" skipped=\"";
    if let Some(from) = xml.find(BEFORE).map(|place| place + 1)
        && let Some(length) = xml[from + BEFORE.len() - 1..].find('"')
    {
        xml.replace_range(from..from + BEFORE.len() + length, "");
    }
    xml
}

/// The variants that were run, and then those that were to be and against which something was to be held.
fn variants(result: &ExperimentResult) -> Vec<&str> {
    let checks =
        result.expectations.iter().chain(result.beside()).flat_map(|expectation| &expectation.checks);
    let all = result.variants.iter().map(|variant| &*variant.name).chain(checks.map(|check| &*check.variant));
    let mut names: Vec<&str> = Vec::new();
    for name in all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// What was held against a variant, or what the other engine made of it.
fn suite(result: &ExperimentResult, scenario: &str, variant: &str, beside: bool) -> TestSuite {
    let name = text::name(variant);
    let name = if beside { format!("{name} ({} engine)", engine_beside(result.engine)) } else { name };
    let mut suite = TestSuite::new(format!("{scenario}: {name}"));
    suite.add_property(Property::new("tuesday", text::line(&result.tuesday)));
    let of_variant = result.variants.iter().find(|known| known.name == variant);
    for setting in of_variant.iter().flat_map(|variant| &variant.settings) {
        suite.add_property(Property::new(text::line(&setting.key), text::line(&setting.value)));
    }
    let class = format!("{scenario}.{name}");
    let seeds_told = result.scenario.seeds.len() > 1;
    let expectations = if beside { result.beside() } else { &result.expectations };
    for expectation in expectations {
        let checks = expectation.checks.iter().filter(|check| check.variant == variant);
        suite.add_test_cases(checks.map(|check| {
            let why = if beside { result.why_not_judged_beside(check) } else { result.why_not_judged(check) };
            let told =
                SuiteContext { class: &class, seeds: seeds_told, details: details(result, check, beside) };
            checked(expectation, check, why, told)
        }));
    }
    if !beside {
        // What nobody speaks of can be spoilt as well.
        let spoken_of = |run: &RunResult| {
            let mut checks = result.expectations.iter().flat_map(|expectation| &expectation.checks);
            checks.any(|check| check.variant == variant && check.seed == run.seed)
        };
        let runs = of_variant.iter().flat_map(|variant| &variant.runs).filter(|run| !spoken_of(run));
        suite.add_test_cases(runs.filter_map(|run| {
            let name = if seeds_told { format!("the run (seed {})", run.seed) } else { "the run".to_owned() };
            Some(case(name, &class, spoilt(run.not_judged()?, &reasons(run))))
        }));
    }
    suite
}

/// What is the same for the cases of a suite, and what is known of the run of one.
struct SuiteContext<'c> {
    class: &'c str,
    /// Whether names have seeds in them.
    seeds: bool,
    details: String,
}

fn checked(
    expectation: &ExpectationResult,
    check: &ExpectationCheck,
    why_not: Option<NotJudged>,
    SuiteContext { class, seeds, details }: SuiteContext<'_>,
) -> TestCase {
    let line = text::line(&expectation.text);
    let name = if seeds { format!("{line} (seed {})", check.seed) } else { line.clone() };
    if let Some(reason) = why_not {
        let status = match reason {
            NotJudged::NotRun => skipped(&not_judged(reason)),
            NotJudged::Invalid | NotJudged::Interrupted => spoilt(reason, &details),
        };
        return case(name, class, status);
    }
    let measured = measured(check, &expectation.text);
    if check.held {
        let mut case = case(name, class, TestCaseStatus::success());
        case.set_system_out(measured);
        return case;
    }
    let variant = text::name(&check.variant);
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type("expectation");
    status.set_message(format!("{measured} under {variant} with seed {}", check.seed));
    let seed = check.seed;
    // What is copied into a shell must be a word there.
    let is_word =
        variant.chars().all(|character| character.is_ascii_alphanumeric() || "-_.".contains(character));
    let only = if is_word { format!(" --variant {variant}") } else { String::new() };
    status.set_description(format!(
        "Expected: {line}\nBut under {variant} with seed {seed}, {measured}.\n\
         To see it again, run the scenario with --seed {seed}{only}"
    ));
    case(name, class, status)
}

/// What is to be said of the run that a check stands for.
fn details(result: &ExperimentResult, check: &ExpectationCheck, beside: bool) -> String {
    let variant = result.variants.iter().find(|variant| variant.name == check.variant && !beside);
    let run = variant.and_then(|variant| variant.runs.iter().find(|run| run.seed == check.seed));
    run.map(reasons).unwrap_or_default()
}

/// Why the harness says that the run is spoilt.
fn reasons(run: &RunResult) -> String {
    let reasons = run.harness.as_ref().map(|harness| harness.invalid.join("; "));
    text::line(&reasons.unwrap_or_default())
}

fn spoilt(reason: NotJudged, details: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type(reason.name());
    let message = match details {
        "" => not_judged(reason),
        details => format!("{}: {details}", not_judged(reason)),
    };
    status.set_description(message.as_str());
    status.set_message(message);
    status
}

/// `GitLab` shows what an element holds, and not its attributes.
fn skipped(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(message);
    status.set_description(message);
    status
}

/// What was measured, as a clause.
fn measured(check: &ExpectationCheck, line: &str) -> String {
    let against = check.standard.or_else(|| check.measured.bound_of(line));
    let why = check.not_observed.as_deref().map(|why| format!(": {}", text::line(why))).unwrap_or_default();
    let measured = match check.measured {
        Value::Never => "it never happened".to_owned(),
        Value::NotObserved => format!("there was nothing to measure it on{why}"),
        value => format!("{} was measured", value.told(check.held, against)),
    };
    match check.standard {
        None => measured,
        Some(standard) => {
            format!("{measured}, to compare with {}", standard.told(check.held, Some(check.measured)))
        }
    }
}

fn case_without_checks(scenario: &str, expectation: &ExpectationResult) -> TestCase {
    let message = "no variant that was run is named by it";
    let status = if expectation.held {
        skipped(message)
    } else {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(message);
        status.set_description(message);
        status
    };
    case(text::line(&expectation.text), scenario, status)
}

fn case(name: String, class: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    case
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::harness::{HarnessRecord, HarnessResult};
    use crate::testing;

    /// The counts of the root and of its suites agree with the cases, and every reader takes it; returns tests, failures,
    /// errors and skipped.
    fn counted(xml: &str) -> [usize; 4] {
        const COUNTS: [(&str, &str); 4] =
            [("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")];
        let document = roxmltree::Document::parse(xml).unwrap();
        let root = document.root_element();
        let told = |node: roxmltree::Node, counts: &[(&str, &str)]| -> Vec<usize> {
            counts.iter().map(|(name, _)| node.attribute(*name).unwrap().parse().unwrap()).collect()
        };
        let found = |node: roxmltree::Node, counts: &[(&str, &str)]| -> Vec<usize> {
            let count = |tag| node.descendants().filter(|child| child.has_tag_name(tag)).count();
            counts.iter().map(|(_, tag)| count(*tag)).collect()
        };
        assert_eq!(root.tag_name().name(), "testsuites");
        for suite in root.children().filter(|node| node.has_tag_name("testsuite")) {
            assert_eq!(told(suite, &COUNTS), found(suite, &COUNTS));
        }
        assert_eq!(told(root, &COUNTS[..3]), found(root, &COUNTS[..3]));
        assert!(![" time=", " timestamp="].iter().any(|time| xml.contains(time)), "{xml}");
        jenkins_takes(root);
        gitlab_takes(root);
        found(root, &COUNTS).try_into().unwrap()
    }

    /// What the schema of Jenkins' xUnit plugin, junit-10.xsd, has of the elements that are written here: the attributes that
    /// must be there, those that may be, the elements that may be in it, and whether text may.
    fn rules(tag: &str) -> ([&'static [&'static str]; 3], bool) {
        match tag {
            "testsuites" => ([&[], &["name", "time", "tests", "failures", "errors"], &["testsuite"]], false),
            "testsuite" => (
                [
                    &["name", "tests", "failures", "errors"],
                    &[
                        "group",
                        "time",
                        "skipped",
                        "timestamp",
                        "hostname",
                        "id",
                        "package",
                        "file",
                        "log",
                        "url",
                    ],
                    &["testsuite", "properties", "testcase", "system-out", "system-err"],
                ],
                false,
            ),
            "testcase" => (
                [
                    &["name"],
                    &["time", "classname", "group"],
                    &["skipped", "error", "failure", "system-out", "system-err"],
                ],
                false,
            ),
            "skipped" | "error" | "failure" => ([&[], &["type", "message"], &[]], true),
            "properties" => ([&[], &[], &["property"]], false),
            "property" => ([&["name", "value"], &[], &[]], false),
            "system-out" | "system-err" => ([&[], &[], &[]], true),
            unknown => panic!("the schema has no {unknown}"),
        }
    }

    fn jenkins_takes(node: roxmltree::Node) {
        let tag = node.tag_name().name();
        let ([required, optional, children], has_text) = rules(tag);
        for name in required {
            assert!(node.has_attribute(*name), "{tag} without {name}");
        }
        for attribute in node.attributes() {
            let name = attribute.name();
            assert!(required.contains(&name) || optional.contains(&name), "{tag} has no {name}");
        }
        for child in node.children() {
            if child.is_element() {
                let name = child.tag_name().name();
                assert!(children.contains(&name), "{tag} holds no {name}");
                jenkins_takes(child);
            } else {
                let text = child.text().unwrap_or_default();
                assert!(has_text || text.trim().is_empty(), "{tag} holds no text: {text}");
            }
        }
    }

    /// GitLab takes the cases of suites, calls them by suite, class and name, and shows the text of the first of failure,
    /// error and skipped. It reads the file as Rails does, which makes other things of elements with some values of `type`.
    fn gitlab_takes(root: roxmltree::Node) {
        const CAST: [&str; 16] = [
            "symbol",
            "yaml",
            "date",
            "datetime",
            "dateTime",
            "duration",
            "integer",
            "float",
            "decimal",
            "double",
            "boolean",
            "string",
            "base64Binary",
            "file",
            "array",
            "hash",
        ];
        for case in root.descendants().filter(|node| node.has_tag_name("testcase")) {
            let suite = case.parent().unwrap();
            assert!(suite.has_tag_name("testsuite"));
            let names = (suite.attribute("name"), case.attribute("classname"), case.attribute("name"));
            assert!(!names.2.unwrap().is_empty());
            let endings = case
                .children()
                .filter(|child| ["failure", "error", "skipped"].iter().any(|tag| child.has_tag_name(*tag)));
            let endings: Vec<_> = endings.collect();
            assert!(endings.len() <= 1);
            for ending in endings {
                assert!(
                    ending.text().is_some_and(|text| !text.trim().is_empty()),
                    "{names:?} is not explained"
                );
            }
        }
        for node in root.descendants() {
            assert!(node.attribute("type").is_none_or(|word| !CAST.contains(&word)));
        }
    }

    #[test]
    fn only_the_count_of_the_root_is_taken_away() {
        let mut result = testing::window_boundary();
        result.scenario.name = "=1\" skipped=\"9".to_owned();
        let xml = junit_xml(&result);
        assert_eq!(counted(&xml), [5, 0, 0, 0]);
        let root = xml.lines().nth(1).unwrap();
        assert_eq!(
            root,
            "<testsuites name=\"=1&quot; skipped=&quot;9\" tests=\"5\" failures=\"0\" errors=\"0\">"
        );
    }

    #[test]
    fn a_run_that_is_spoilt_is_an_error_and_one_that_was_not_made_is_skipped() {
        let mut result = testing::three_seeds();
        let mut record = HarnessRecord::new(20.0, 100, 20_000);
        record.exhausted = 7;
        let invalid = record.result(Duration::from_millis(500));
        // Two lines speak of fixed-window, the first of which failed under seed 903.
        result.variants[0].runs[0].harness = Some(invalid.clone());
        // Two of token-bucket, and the second seed was the last that was begun.
        let interrupted = HarnessResult { invalid: Vec::new(), interrupted: true, ..invalid };
        result.variants[1].runs[1].harness = Some(interrupted);
        result.variants[1].runs.truncate(2);
        for check in result.expectations.iter_mut().flat_map(|line| &mut line.checks) {
            if check.variant == "token-bucket" && check.seed == 904 {
                (check.held, check.not_judged) = (false, Some(NotJudged::NotRun));
            }
        }
        // One line speaks of sliding-window-log, which was not run at all.
        result.variants.truncate(2);
        let xml = junit_xml(&result);
        // Of 15, errors are 2 × seed 902 and 2 × seed 903; skipped 2 × seed 904 and 3.
        assert_eq!(counted(&xml), [15, 1, 4, 5], "{xml}");
        let message = "not judged: the run is invalid: 7 connections could not be had";
        assert!(xml.contains(&format!("<error message=\"{message}")), "{xml}");
        assert!(xml.contains("type=\"interrupted\">not judged: the run was interrupted</error>"), "{xml}");
        // Without a line that speaks of it, a spoilt run is one all the same.
        result.expectations.clear();
        assert_eq!(counted(&junit_xml(&result)), [3, 0, 2, 1]);
    }

    #[test]
    fn three_seeds_of_which_one_failed() {
        let xml = junit_xml(&testing::three_seeds());
        assert_eq!(counted(&xml), [15, 1, 0, 0]);
        insta::assert_snapshot!(xml);
    }

    #[test]
    fn one_seed_is_not_told_in_the_name() {
        let xml = junit_xml(&testing::window_boundary());
        assert_eq!(counted(&xml), [5, 0, 0, 0]);
        assert!(!xml.contains("(seed"));
    }

    #[test]
    fn every_result_gives_well_formed_xml_with_cases() {
        let mut results = testing::odd();
        results.extend([testing::hostile(), testing::nothing_happened()]);
        for result in results {
            assert!(counted(&junit_xml(&result))[0] > 0);
        }
    }

    #[test]
    fn hostile_names_stay_names() {
        let mut result = testing::window_boundary();
        let name = "]]><x a=\"1\" b='2'>&amp;\u{0}\u{1b}[31m\r\n\u{fffe}".to_owned() + &"ü".repeat(10_000);
        result.scenario.name.clone_from(&name);
        result.variants[0].name.clone_from(&name);
        result.expectations[0].text.clone_from(&name);
        result.expectations[0].checks[0].variant.clone_from(&name);
        result.expectations[0].checks[0].held = false;
        result.expectations[0].held = false;
        let xml = junit_xml(&result);
        let document = roxmltree::Document::parse(&xml).unwrap();
        let case = document.descendants().find(|node| node.has_tag_name("testcase")).unwrap();
        assert_eq!(case.attribute("name"), Some(text::line(&name).as_str()));
    }

    #[test]
    fn what_was_not_checked_is_skipped_unless_it_failed() {
        let mut result = testing::window_boundary();
        result.variants.truncate(1);
        result.expectations.truncate(4);
        result.expectations[2].checks.clear();
        result.expectations[3].checks.clear();
        result.expectations[3].held = false;
        // The second line speaks of a variant that was not run.
        let xml = junit_xml(&result);
        assert_eq!(counted(&xml), [4, 1, 0, 2]);
        assert!(xml.contains("no variant that was run is named by it"));
        result.expectations.clear();
        assert_eq!(counted(&junit_xml(&result)), [1, 0, 0, 1]);
    }

    #[test]
    fn what_did_not_happen_is_said() {
        let mut result = testing::window_boundary();
        for (expectation, value) in result.expectations.iter_mut().zip([Value::Never, Value::NotObserved]) {
            expectation.checks[0].measured = value;
            expectation.checks[0].held = false;
        }
        let xml = junit_xml(&result);
        assert!(xml.contains("message=\"it never happened under fixed-window with seed 902\""), "{xml}");
        assert!(
            xml.contains("message=\"there was nothing to measure it on under token-bucket with seed 902\"")
        );
    }
}
