use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rayon::ThreadPoolBuilder;
use reports::{html_report, terminal_summary, to_json};
use tempfile::NamedTempFile;

use super::sources::{self, Source};
use super::{ExitCode, Failure, RunArgs, print};
use crate::{Scenario, file, run_experiment};

pub(super) fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    let mut sources = sources::read_all(&args.scenarios)?;
    for source in &mut sources {
        keep_variants(source, &args.variant)?;
    }
    let folders = result_folders(&sources, &args.out)?;
    let threads = args.threads.map_or(0, |threads| threads.get() as usize);
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| Failure::run(format!("cannot start threads: {error}")))?;

    let mut all_held = true;
    for (source, folder) in sources.iter().zip(&folders) {
        let first = args.seed.unwrap_or(source.scenario.seed);
        let seeds: Vec<u64> = (0..u64::from(args.seeds)).map(|place| first.wrapping_add(place)).collect();
        let result = pool.install(|| run_experiment(&source.scenario, &seeds, || {}));
        let report = folder.join("report.html");
        let html = html_report(&result, &reproduce(source, args, first));
        let html = html.map_err(|error| Failure::run(format!("cannot draw the report: {error}")))?;
        write(&report, &html)?;
        write(&folder.join("result.json"), &to_json(&result))?;
        all_held &= result.expectations.iter().all(|expectation| expectation.held);
        let mut text = terminal_summary(&result);
        let _ = writeln!(text, "\nreport: {}\n", report.display());
        print(&text)?;
    }
    Ok(if all_held { ExitCode::Held } else { ExitCode::ExpectationFailed })
}

/// Drops the variants that were not asked for, if any were.
fn keep_variants(source: &mut Source, asked: &[String]) -> Result<(), Failure> {
    let Scenario { variants, .. } = &mut source.scenario;
    for name in asked {
        if !variants.iter().any(|variant| variant.name == *name) {
            let names: Vec<_> = variants.iter().map(|variant| &*variant.name).collect();
            let way_out = match file::nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it has {}", names.join(", ")),
            };
            return Err(Failure::usage(format!("{} has no variant `{name}`; {way_out}", source.argument)));
        }
    }
    if !asked.is_empty() {
        variants.retain(|variant| asked.contains(&variant.name));
    }
    Ok(())
}

/// A folder for each scenario's results, made before anything is run: what cannot be written is known at once.
fn result_folders(sources: &[Source], out: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for source in sources {
        let folder = out.join(&source.stem);
        if folders.contains(&folder) {
            let message = format!("two scenarios would write to {}; run them one by one", folder.display());
            return Err(Failure::usage(message));
        }
        folders.push(folder);
    }
    for folder in &folders {
        let unusable = |error| Failure::usage(format!("cannot write to {}: {error}", folder.display()));
        fs::create_dir_all(folder).map_err(unusable)?;
        NamedTempFile::new_in(folder).map_err(unusable)?;
    }
    Ok(folders)
}

/// Writes a file whole or not at all.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error| Failure::run(format!("cannot write {}: {error}", path.display()));
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    // A temporary file is its owner's alone; a report is to be passed around.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).map_err(failed)?;
    }
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// The command that runs this scenario again.
fn reproduce(source: &Source, args: &RunArgs, first_seed: u64) -> String {
    let mut command = format!("tuesday run {} --seed {first_seed}", source.argument);
    if args.seeds > 1 {
        let _ = write!(command, " --seeds {}", args.seeds);
    }
    for variant in &args.variant {
        let _ = write!(command, " --variant {variant}");
    }
    command
}
