//! The expectations as `JUnit` XML, which every CI system shows without being told how.
//!
//! One file per scenario; in it a suite for each variant, and in that a case for each expectation and seed. Systems
//! differ in what they group by: some show suites, others (Jenkins, GitLab) the class name alone; so the class name
//! repeats scenario and variant. A case is called what the file calls it, with the seed where there are several: the
//! same in every run, so that a history of it can be kept.
//!
//! There is no time and no date in it: the bytes depend on the result alone.

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use crate::{
    ExpectationCheck, ExpectationResult, ExperimentResult, Value, VariantResult, format, text,
    verdict::engine_beside,
};

/// The expectations of an experiment as the text of a `JUnit` XML file.
///
/// A variant against which nothing was held has no suite.
/// What held says what was measured in its output; what did not is a failure with the measured value and how to see it
/// again. An expectation that was held against no variant (`--variant` left its own out), and a scenario that states
/// none, are cases that were skipped: many systems take a file without cases for a broken one. Where both engines ran,
/// the other one has suites of its own.
#[expect(clippy::missing_panics_doc, reason = "only a writer could fail, and this one writes to memory")]
pub fn junit_xml(result: &ExperimentResult) -> String {
    let scenario = text::name(&result.scenario.name);
    let mut report = Report::new(scenario.as_str());
    let suites = result.variants.iter().map(|variant| suite(result, &scenario, variant, None));
    report.add_test_suites(suites.filter(|suite| suite.tests > 0));
    let beside = result.agreement.as_ref().map_or(&[][..], |agreement| &agreement.expectations);
    let suites = result.variants.iter().map(|variant| suite(result, &scenario, variant, Some(beside)));
    report.add_test_suites(suites.filter(|suite| suite.tests > 0));
    let known =
        |check: &ExpectationCheck| result.variants.iter().any(|variant| variant.name == check.variant);
    let unchecked = result.expectations.iter().filter(|expectation| !expectation.checks.iter().any(known));
    let mut others: Vec<TestCase> =
        unchecked.map(|expectation| case_without_checks(&scenario, expectation)).collect();
    if result.expectations.is_empty() {
        let mut status = TestCaseStatus::skipped();
        status.set_message("the scenario states no expectations");
        others.push(case("expectations".to_owned(), &scenario, status));
    }
    if !others.is_empty() {
        let mut suite = TestSuite::new(scenario.as_str());
        suite.add_test_cases(others);
        report.add_test_suite(suite);
    }
    report.to_string().expect("writing to memory does not fail")
}

/// What was held against a variant, or what the other engine made of it.
fn suite(
    result: &ExperimentResult,
    scenario: &str,
    variant: &VariantResult,
    beside: Option<&[ExpectationResult]>,
) -> TestSuite {
    let name = text::name(&variant.name);
    let name = match beside {
        Some(_) => format!("{name} ({} engine)", engine_beside(result.engine)),
        None => name,
    };
    let mut suite = TestSuite::new(format!("{scenario}: {name}"));
    suite.add_property(Property::new("tuesday", text::line(&result.tuesday)));
    for setting in &variant.settings {
        suite.add_property(Property::new(text::line(&setting.key), text::line(&setting.value)));
    }
    let class = format!("{scenario}.{name}");
    let seeds_told = result.scenario.seeds.len() > 1;
    for expectation in beside.unwrap_or(&result.expectations) {
        let checks = expectation.checks.iter().filter(|check| check.variant == variant.name);
        suite.add_test_cases(checks.map(|check| checked(expectation, check, &class, seeds_told)));
    }
    suite
}

fn checked(
    expectation: &ExpectationResult,
    check: &ExpectationCheck,
    class: &str,
    seed_told: bool,
) -> TestCase {
    let line = text::line(&expectation.text);
    let name = if seed_told { format!("{line} (seed {})", check.seed) } else { line.clone() };
    let measured = measured(check);
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

/// What was measured, as a clause.
fn measured(check: &ExpectationCheck) -> String {
    let measured = match check.measured {
        Value::Never => "it never happened".to_owned(),
        Value::NotObserved => "there was nothing to measure it on".to_owned(),
        value => format!("{} was measured", format::measured(value, check.held)),
    };
    match check.standard {
        None => measured,
        Some(standard) => format!("{measured}, to compare with {}", format::measured(standard, check.held)),
    }
}

fn case_without_checks(scenario: &str, expectation: &ExpectationResult) -> TestCase {
    let message = "no variant that was run is named by it";
    let mut status = if expectation.held {
        TestCaseStatus::skipped()
    } else {
        TestCaseStatus::non_success(NonSuccessKind::Failure)
    };
    status.set_message(message);
    case(text::line(&expectation.text), scenario, status)
}

fn case(name: String, class: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    case
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// The counts of the root and of its suites agree with the cases; returns tests, failures and skipped.
    fn counted(xml: &str) -> [usize; 3] {
        let document = roxmltree::Document::parse(xml).unwrap();
        let root = document.root_element();
        let told = |node: roxmltree::Node| {
            ["tests", "failures", "skipped"]
                .map(|name| node.attribute(name).unwrap().parse::<usize>().unwrap())
        };
        let found = |node: roxmltree::Node| {
            ["testcase", "failure", "skipped"]
                .map(|name| node.descendants().filter(|child| child.has_tag_name(name)).count())
        };
        assert_eq!(root.tag_name().name(), "testsuites");
        for suite in root.children().filter(|node| node.has_tag_name("testsuite")) {
            assert_eq!(told(suite), found(suite));
        }
        assert_eq!(told(root), found(root));
        assert!(![" time=", " timestamp="].iter().any(|time| xml.contains(time)), "{xml}");
        told(root)
    }

    #[test]
    fn three_seeds_of_which_one_failed() {
        let xml = junit_xml(&testing::three_seeds());
        assert_eq!(counted(&xml), [15, 1, 0]);
        insta::assert_snapshot!(xml);
    }

    #[test]
    fn one_seed_is_not_told_in_the_name() {
        let xml = junit_xml(&testing::window_boundary());
        assert_eq!(counted(&xml), [5, 0, 0]);
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
        result.expectations.truncate(3);
        result.expectations[2].held = false;
        let xml = junit_xml(&result);
        assert_eq!(counted(&xml), [3, 1, 1]);
        assert!(xml.contains("no variant that was run is named by it"));
        result.expectations.clear();
        assert_eq!(counted(&junit_xml(&result)), [1, 0, 1]);
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
