//! A saved result: whatever is read can be written, read again, drawn and compared, and says nothing that acts on a terminal.

use reports::{
    Compared, Detail, ExperimentResult, Legend, Side, acts_when_shown, agreement, agreement_table,
    breakers_csv, causes_csv, compare, comparison_html, comparison_json, comparison_markdown,
    comparison_summary, expectations_csv, from_json, html_report_of, junit_xml, markdown_summary,
    saturation_csv, series_csv_fitted, summary_csv, terminal_summary, to_json,
};

pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(result) = from_json(text) else { return };
    let written = to_json(&result);
    let again = from_json(&written).expect("what was written is read");
    assert_eq!(to_json(&again), written, "and is the same");
    draw(&result);
    let variants = result.variants.iter().take(2).map(|variant| Compared {
        a: variant.name.clone(),
        b: variant.name.clone(),
        requests: None,
        worlds: None,
    });
    let [a, b] = ["a", "b"].map(|label| Side { label, result: &result });
    let compared = compare(a, b, variants.collect(), 0.95);
    let _ = comparison_json(&compared);
    let _ = comparison_markdown(&compared);
    comparison_html(&compared, "tuesday compare a b").expect("a comparison can be drawn");
    is_seen(&comparison_summary(&compared, 80, true));
    let of_engines = agreement(&result, &result);
    let _ = agreement_table(&[("a".to_owned(), of_engines)]);
}

fn draw(result: &ExperimentResult) {
    html_report_of(result, "tuesday run a.toml", Detail::Fitted).expect("a result can be drawn");
    for render in
        [junit_xml, markdown_summary, summary_csv, expectations_csv, breakers_csv, saturation_csv, causes_csv]
    {
        let _ = render(result);
    }
    let _ = series_csv_fitted(result);
    for width in [20, 80] {
        is_seen(&terminal_summary(result, width, Legend::All));
    }
}

/// Colours are ours; nothing else acts.
fn is_seen(text: &str) {
    let acts = |character: char| character != '\n' && character != '\u{1b}' && acts_when_shown(character);
    assert!(!text.contains(acts), "what acts on a terminal is not shown: {text:?}");
    assert!(text.split('\u{1b}').skip(1).all(|after| after.starts_with('[')), "{text:?}");
}
