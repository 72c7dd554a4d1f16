//! One measured figure: what it is called, what it should reach, and beside what it stands.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A row of the table, and of `--json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figure {
    /// Stable: what a script compares between two runs.
    pub(super) key: String,
    pub(super) value: f64,
    /// What it should reach; `None`: it is only reported.
    pub(super) reach: Option<Reach>,
    /// What bounds it, measured in the same run, and the share of it that was reached or needed.
    pub(super) beside: Option<Beside>,
}

/// A bound of a figure.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Reach {
    AtLeast(f64),
    AtMost(f64),
}

/// A floor or a peer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Beside {
    pub(super) what: String,
    pub(super) value: f64,
    /// The figure, divided by it.
    pub(super) ratio: f64,
    /// The ratio that is to be reached, where one is.
    pub(super) at_least: Option<f64>,
}

impl Figure {
    pub(super) fn new(key: impl Into<String>, value: f64) -> Self {
        Self { key: key.into(), value, reach: None, beside: None }
    }

    pub(super) fn at_least(self, bound: f64) -> Self {
        Self { reach: Some(Reach::AtLeast(bound)), ..self }
    }

    pub(super) fn at_most(self, bound: f64) -> Self {
        Self { reach: Some(Reach::AtMost(bound)), ..self }
    }

    /// Names what was measured beside it.
    pub(super) fn beside(self, what: impl Into<String>, value: f64) -> Self {
        let ratio = self.value / value.max(f64::MIN_POSITIVE);
        Self { beside: Some(Beside { what: what.into(), value, ratio, at_least: None }), ..self }
    }

    /// The same, where the share matters.
    pub(super) fn share_of(self, what: impl Into<String>, value: f64, at_least: f64) -> Self {
        let mut figure = self.beside(what, value);
        if let Some(beside) = &mut figure.beside {
            beside.at_least = Some(at_least);
        }
        figure
    }

    /// Whether it reaches what it should; `None` where nothing is to be reached.
    pub(super) fn reached(&self) -> Option<bool> {
        let share = self.beside.as_ref().and_then(|beside| Some(beside.ratio >= beside.at_least?));
        let bound = self.reach.map(|reach| match reach {
            Reach::AtLeast(bound) => self.value >= bound,
            Reach::AtMost(bound) => self.value <= bound,
        });
        match (share, bound) {
            (None, None) => None,
            (share, bound) => Some(share.unwrap_or(true) && bound.unwrap_or(true)),
        }
    }
}

/// So many per second.
pub(super) fn rate(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64().max(1e-9)
}

/// The one in the middle, of an odd number of them.
pub(super) fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

/// The value below which so large a share of the samples lies.
pub(super) fn percentile(mut samples: Vec<Duration>, share: f64) -> Duration {
    samples.sort_unstable();
    let last = samples.len().saturating_sub(1);
    samples.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}
