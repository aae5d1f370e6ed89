//! What an installation puts beside the command: completions for the shell, and manual pages.

use clap::{Command, CommandFactory as _};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use super::{Cli, CompletionsArgs, ExitCode, Failure, ManArgs, print};
use crate::file;

pub(super) fn completions(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::aot::generate(args.shell, &mut Cli::command(), "tuesday", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::Held)
}

pub(super) fn man(args: &ManArgs) -> Result<ExitCode, Failure> {
    let mut command = Cli::command();
    command.build();
    if let Some(name) = &args.command {
        command = subcommand(&command, name)?.clone();
    }
    let page = page(command).map_err(|error| Failure::run(format!("cannot write the manual: {error}")))?;
    print(&page)?;
    Ok(ExitCode::Held)
}

fn subcommand<'c>(command: &'c Command, name: &str) -> Result<&'c Command, Failure> {
    command.find_subcommand(name).ok_or_else(|| {
        let way_out = match file::nearest(name, command.get_subcommands().map(Command::get_name)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`tuesday --help` shows all".to_owned(),
        };
        Failure::usage(format!("there is no command `tuesday {name}`; {way_out}"))
    })
}

/// The environment variables that matter, and how.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("NO_COLOR", "not empty: no colours"),
    ("CLICOLOR", "0: no colours"),
    ("CLICOLOR_FORCE", "not 0: colours even where the output is no terminal"),
];

/// A manual page as roff. Exit codes, which the help has as its last lines, are a section of their own here.
fn page(command: Command) -> std::io::Result<String> {
    let man = Man::new(command).source(concat!("tuesday ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    man.render_subcommands_section(&mut page)?;
    let exit_codes = ExitCode::ALL.map(|code| (code.number().to_string(), code.meaning()));
    let mut roff = Roff::new();
    list(&mut roff, "EXIT STATUS", exit_codes.iter().map(|(code, meaning)| (&**code, *meaning)));
    list(&mut roff, "ENVIRONMENT", ENVIRONMENT.into_iter());
    roff.to_writer(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

fn list<'a>(roff: &mut Roff, title: &str, entries: impl Iterator<Item = (&'a str, &'a str)>) {
    roff.control("SH", [title]);
    for (term, meaning) in entries {
        roff.control("TP", []);
        roff.text([bold(term)]);
        roff.text([roman(meaning)]);
    }
}
