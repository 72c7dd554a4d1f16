//! One file per verb. Reading verbs look at history without owning the environment; the others run a session (see `embedded`).

pub(crate) mod audit;
pub(crate) mod cancel;
pub(crate) mod check;
pub(crate) mod compliance;
pub(crate) mod delete;
pub(crate) mod deploy;
pub(crate) mod diff;
pub(crate) mod dry_run;
pub(crate) mod environment;
pub(crate) mod environments;
pub(crate) mod facts;
pub(crate) mod forget;
pub(crate) mod history;
pub(crate) mod logs;
pub(crate) mod repair;
pub(crate) mod rollback;
pub(crate) mod run;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod suspend;
pub(crate) mod why;

mod confirm;
mod summary;

pub(crate) use summary::HeldDocument;
pub(crate) use why::WhyDocument;
