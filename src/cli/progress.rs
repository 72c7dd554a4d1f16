//! Progress on stderr: a bar on a terminal, otherwise a plain line now and then, so that a log stays readable.

use super::output::{Output, tell, time};
use crate::cli::limits::LINE_INTERVAL;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Instant;

/// Counts attempts that end.
pub(crate) struct Progress {
    bar: ProgressBar,
    plain: bool,
    began: Instant,
    last_line: Instant,
    /// Whether it was told what is waited for.
    told: bool,
}

impl Progress {
    /// Draws a bar where `output` allows it.
    pub(crate) fn new(output: Output) -> Self {
        let target =
            if output.draws_progress() { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let template = "{spinner} {bar:30} {pos}/{len} {msg} ({per_sec}, {elapsed})";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        let now = Instant::now();
        Self { bar, plain: !output.draws_progress() && !output.is_quiet(), began: now, last_line: now, told: false }
    }

    /// `done` attempts have ended, `left` are queued or running, `failed` of those that ended failed; and where none has ended for a while, why.
    pub(crate) fn show(&mut self, done: u64, left: u64, failed: u64, waits_for: Option<&str>) {
        self.bar.set_length(done + left);
        self.bar.set_position(done);
        let failures = if failed == 0 { String::new() } else { format!("{failed} failed") };
        self.bar.set_message([&*failures, waits_for.unwrap_or_default()].join("  ").trim().to_owned());
        let is_news = waits_for.is_some() && !self.told;
        self.told = waits_for.is_some();
        if self.plain && (is_news || self.last_line.elapsed() >= LINE_INTERVAL) {
            self.last_line = Instant::now();
            let elapsed = self.began.elapsed();
            let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
            let (all, took) = (done + left, time::took(elapsed.as_millis() as u64));
            let waits_for = waits_for.map_or_else(String::new, |waits_for| format!("; {waits_for}"));
            tell(format_args!("{done} of {all} attempts done, {failed} failed, {rate:.0}/s, {took}{waits_for}"));
        }
    }

    /// Says something above the bar.
    pub(crate) fn note(&self, text: &str) {
        if self.bar.is_hidden() {
            tell(text);
        } else {
            self.bar.println(text);
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
