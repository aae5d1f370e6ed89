//! Progress bars, for whoever waits at a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

/// A bar of `total` steps on standard error, which is gone once it is dropped.
///
/// There is none where nobody would see it: if standard error is no terminal, or `quiet`. It has no colours.
pub(super) fn bar(total: usize, name: &str, message: String, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len}  {wide_msg}");
    let style = style.expect("the template is in order").progress_chars("━╸─");
    let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
    let bar = bar.with_style(style).with_prefix(name.to_owned()).with_message(message);
    let bar = bar.with_finish(ProgressFinish::AndClear);
    // Shown at once, and not only when the first step is done.
    bar.tick();
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
