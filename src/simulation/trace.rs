//! What happened, line by line: its hash tells two runs apart, its end is shown with a failure.

use std::collections::VecDeque;

/// Lines shown with a failure.
const SHOWN: usize = 40;

pub(super) struct Trace {
    hash: blake3::Hasher,
    lines: VecDeque<String>,
    whole: bool,
}

impl Trace {
    /// `whole`: every line is kept, not only the last ones.
    pub(super) fn new(whole: bool) -> Self {
        Self { hash: blake3::Hasher::new(), lines: VecDeque::new(), whole }
    }

    pub(super) fn line(&mut self, line: String) {
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
        if !self.whole && self.lines.len() >= SHOWN {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// Equal for equal traces.
    pub(super) fn hash(&self) -> String {
        self.hash.finalize().to_hex().chars().take(16).collect()
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}
