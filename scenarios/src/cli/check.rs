use std::fmt::Write as _;

use super::{CheckArgs, ExitCode, Failure, print, sources};

pub(super) fn check(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let mut text = String::new();
    for source in sources::read_all(&args.scenarios)? {
        let (variants, expectations) = (source.scenario.variants.len(), source.scenario.expectations.len());
        let _ = writeln!(
            text,
            "{}: in order, {variants} variant{} and {expectations} expectation{}",
            source.argument,
            plural(variants),
            plural(expectations),
        );
    }
    print(&text)?;
    Ok(ExitCode::Held)
}

const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
