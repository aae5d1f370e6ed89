//! Where results go, and where they never do.

use std::fs;

use tuesday::cli::ExitCode;

use super::{Desk, scenario};

#[test]
fn results_stay_below_the_folder_that_is_asked_for() {
    let desk = Desk::new();
    let text = scenario("Named oddly", "") + "variants = { fixed = {}, bucket = {} }\n";
    // Their names without the ending are `..` and `.`.
    for name in ["...toml", "..toml"] {
        desk.write(name, &text);
        for command in [
            &["run", "--quiet"][..],
            &["sweep", "--quiet", "--seeds", "1", "--vary", "gateway.workers=1..2", "--variant", "fixed"],
            &["compare", "--quiet", "--seeds", "2", "--variant", "fixed,bucket"],
        ] {
            let before = desk.files();
            let args = command.iter().copied().chain([name, "--out", "deep/out"]);
            desk.run(args).exits(ExitCode::Usage, &[name, "is no name of a folder", "another name"]);
            assert_eq!(desk.files(), before, "{command:?}");
        }
        // Nothing is written, and so nothing is wrong.
        desk.run(["check", name]).exits(ExitCode::Held, &[name, "in order"]);
    }
    // Odd, and a name all the same.
    for (name, folder) in [(".toml", ".toml"), ("....toml", "..."), ("a b.toml", "a b")] {
        desk.write(name, &text);
        desk.run(["run", "--quiet", "--format", "json", "--out", "deep/out", name])
            .exits(ExitCode::Held, &[]);
        assert!(desk.path(&format!("deep/out/{folder}/result.json")).is_file(), "{name}");
    }
}

#[test]
fn two_results_never_share_a_folder() {
    let desk = Desk::new();
    let text = scenario("Twice", "");
    desk.write("a.toml", &text).write("b.toml", &text).write("below/a.toml", &text);
    let run = |files: [&str; 2]| desk.run(["run", "--quiet", "--out", "out"].into_iter().chain(files));
    run(["a.toml", "below/a.toml"]).exits(ExitCode::Usage, &["two scenarios would write to out/a;"]);
    assert!(!desk.path("out").exists());
    // Nor under two names for one.
    fs::create_dir_all(desk.path("out/a")).unwrap();
    std::os::unix::fs::symlink("a", desk.path("out/b")).unwrap();
    run(["a.toml", "b.toml"]).exits(ExitCode::Usage, &["two scenarios would write to out/b;"]);
    assert!(!desk.path("out/a/result.json").exists());
}
