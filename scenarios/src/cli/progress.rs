//! Progress bars, for whoever waits at a terminal.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use super::visible;
use crate::LivePlan;
use crate::file::write_duration;

/// A bar of `total` steps on standard error, which is gone once it is dropped.
///
/// There is none where nobody would see it: if standard error is no terminal, or `quiet`. It has no colours.
pub(super) fn bar(total: usize, name: &str, message: &str, quiet: bool) -> ProgressBar {
    let bar = styled("{prefix} {bar:24} {pos}/{len}  {wide_msg}", total as u64, name, quiet);
    bar.set_message(visible(message).into_owned());
    // Shown at once, and not only when the first step is done.
    bar.tick();
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn styled(template: &str, total: u64, name: &str, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template);
    let style = style.expect("the template is in order").progress_chars("━╸─");
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    bar.with_style(style).with_prefix(visible(name).into_owned()).with_finish(ProgressFinish::AndClear)
}

/// What live runs are going to take: `3 live runs of 2m at 4 times real time, 1 of them a control without faults: about 2m`.
pub(super) fn announcement(plan: &LivePlan, duration: Duration, speed: f64) -> String {
    let LivePlan { runs, controls, .. } = *plan;
    let runs = if runs == 1 { "a live run".to_owned() } else { format!("{runs} live runs") };
    let at =
        if speed.total_cmp(&1.0).is_eq() { String::new() } else { format!(" at {speed} times real time") };
    let of_them = match controls {
        0 => String::new(),
        1 => ", 1 of them a control without faults".to_owned(),
        controls => format!(", {controls} of them controls without faults"),
    };
    let (each, total) = (write_duration(duration), write_duration(whole_seconds(plan.total())));
    format!("{runs} of {each}{at}{of_them}: about {total}")
}

fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs() + u64::from(time.subsec_nanos() > 0))
}

/// A bar that shows by the clock how much of all live runs of an experiment is over, where a terminal shows it.
pub(super) struct LiveBar {
    shown: Arc<Shown>,
    /// Dropped, it ends the thread that draws.
    over: Option<Sender<()>>,
    drawing: Option<JoinHandle<()>>,
}

struct Shown {
    bar: ProgressBar,
    plan: LivePlan,
    run: Mutex<Run>,
}

/// The run under way.
#[derive(Clone, Debug, Default)]
struct Run {
    /// Runs before it.
    before: u32,
    /// When it began, from the bar's beginning.
    began: Duration,
    name: String,
    is_begun: bool,
}

/// Between two looks at the clock.
const TICK: Duration = Duration::from_millis(250);

impl LiveBar {
    /// Nothing is under way yet.
    pub(super) fn start(plan: LivePlan, name: &str, quiet: bool) -> Self {
        let total = plan.total().as_millis() as u64;
        let bar = styled("{prefix} {bar:24} {wide_msg}", total, name, quiet);
        let shown = Arc::new(Shown { bar, plan, run: Mutex::default() });
        let (mut over, mut drawing) = (None, None);
        if !shown.bar.is_hidden() {
            let (sender, ended) = mpsc::channel();
            let drawn = Arc::clone(&shown);
            let draw = move || {
                while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    drawn.draw();
                }
            };
            // Without a thread, the bar moves with each run.
            drawing = thread::Builder::new().name("progress".to_owned()).spawn(draw).ok();
            over = Some(sender);
        }
        Self { shown, over, drawing }
    }

    /// The next run begins.
    pub(super) fn begin(&self, name: String) {
        {
            let mut run = self.shown.run.lock().unwrap_or_else(PoisonError::into_inner);
            let before = run.before + u32::from(run.is_begun);
            *run = Run { before, began: self.shown.bar.elapsed(), name, is_begun: true };
        }
        self.shown.draw();
    }
}

impl Shown {
    fn draw(&self) {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let done = done(&self.plan, &run, self.bar.elapsed());
        let (done_s, total_s) = (Duration::from_secs(done.as_secs()), whole_seconds(self.plan.total()));
        self.bar.set_position(done.as_millis() as u64);
        self.bar.set_message(format!(
            "{} of about {}  {}",
            write_duration(done_s),
            write_duration(total_s),
            visible(&run.name)
        ));
    }
}

/// How much of a plan is over: the runs before this one, and of this one as much as it has gone on, which is all of it at the
/// most while it waits for its last answers.
fn done(plan: &LivePlan, run: &Run, elapsed: Duration) -> Duration {
    plan.each * run.before + elapsed.saturating_sub(run.began).min(plan.each)
}

impl Drop for LiveBar {
    fn drop(&mut self) {
        self.over = None;
        if let Some(drawing) = self.drawing.take() {
            let _ = drawing.join();
        }
        self.shown.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_over_is_the_runs_before_and_the_time_of_this_one() {
        // Four runs of 30 s. The second began after 33 s, since the first waited 3 s for its last answers.
        let plan = LivePlan { runs: 4, controls: 2, each: s(30) };
        let run = |before, began| Run { before, began: s(began), name: String::new(), is_begun: true };
        assert_eq!(plan.total(), s(120));
        assert_eq!(done(&plan, &run(0, 0), s(12)), s(12));
        assert_eq!(done(&plan, &run(0, 0), s(32)), s(30));
        assert_eq!(done(&plan, &run(1, 33), s(33)), s(30));
        assert_eq!(done(&plan, &run(1, 33), s(43)), s(40));
        assert_eq!(done(&plan, &run(3, 100), s(500)), s(120));
    }

    #[test]
    fn a_run_is_announced_with_all_that_it_takes() {
        let plan = |runs, controls, each| LivePlan { runs, controls, each };
        let each = Duration::from_millis(1_300);
        assert_eq!(announcement(&plan(1, 0, each), s(1), 1.0), "a live run of 1s: about 2s");
        // 18 runs of 20.3 s are 365.4 s.
        let each = Duration::from_millis(20_300);
        assert_eq!(
            announcement(&plan(18, 9, each), s(120), 6.0),
            "18 live runs of 2m at 6 times real time, 9 of them controls without faults: about 6m 6s"
        );
        assert_eq!(
            announcement(&plan(3, 1, each), s(20), 1.0),
            "3 live runs of 20s, 1 of them a control without faults: about 1m 1s"
        );
    }
}
