use std::fmt::Write as _;

use super::{ExitCode, Failure, ShowArgs, print};
use crate::{file, library};

pub(super) fn list() -> Result<ExitCode, Failure> {
    let mut text = String::new();
    let shipped = library::all();
    let width = shipped.iter().map(|shipped| shipped.name.len()).max().unwrap_or(0);
    for shipped in shipped {
        let scenario =
            file::read(shipped.text, &|_| Err("shipped scenarios have no files beside them".to_owned()));
        let title = scenario.scenario.map(|scenario| scenario.name).unwrap_or_default();
        let _ = writeln!(text, "{:width$}  {title}", shipped.name);
    }
    print(&text)?;
    Ok(ExitCode::Held)
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
