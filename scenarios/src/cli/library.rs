//! `tuesday list` and `tuesday show`: the scenarios that ship.

use std::fmt::Write as _;

use serde::Serialize;

use super::{ExitCode, Failure, ListArgs, ShowArgs, print, print_json};
use crate::{Scenario, file, library};

/// A shipped scenario, for programs.
#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    title: &'a str,
    story: &'a str,
    variants: Vec<&'a str>,
    /// Lines of `expect.hold`.
    expectations: Vec<&'a str>,
}

pub(super) fn list(args: &ListArgs) -> Result<ExitCode, Failure> {
    let shipped: Vec<_> = library::all()
        .into_iter()
        .filter_map(|shipped| {
            let no_files = |_: &str| Err("shipped scenarios have no files beside them".to_owned());
            // The tests run every one: none is left out.
            Some((shipped.name, file::read(shipped.text, &no_files).scenario?))
        })
        .collect();
    if args.json {
        print_json(&shipped.iter().map(|(name, scenario)| Entry::of(name, scenario)).collect::<Vec<_>>())?;
        return Ok(ExitCode::Held);
    }
    let mut text = String::new();
    let width = shipped.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, scenario) in &shipped {
        let _ = writeln!(text, "{name:width$}  {}", scenario.name);
    }
    print(&text)?;
    Ok(ExitCode::Held)
}

impl<'a> Entry<'a> {
    fn of(name: &'a str, scenario: &'a Scenario) -> Self {
        Self {
            name,
            title: &scenario.name,
            story: &scenario.story,
            variants: scenario.variants.iter().map(|variant| &*variant.name).collect(),
            expectations: scenario.expectations.iter().map(|line| &*line.text).collect(),
        }
    }
}

pub(super) fn show(args: &ShowArgs) -> Result<ExitCode, Failure> {
    let Some(shipped) = library::find(&args.name) else {
        let names: Vec<_> = library::all().iter().map(|shipped| shipped.name).collect();
        let way_out = match file::nearest(&args.name, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`tuesday list` shows those that do".to_owned(),
        };
        return Err(Failure::usage(format!(
            "no scenario `{}` ships with this command; {way_out}",
            args.name
        )));
    };
    print(shipped.text)?;
    Ok(ExitCode::Held)
}
