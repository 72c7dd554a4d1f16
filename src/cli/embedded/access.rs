//! What a verb works with: an environment that this process owns, or one of a process that runs beside it. The verb cannot tell which.

use super::control::Control;
use super::{Beside, Finished, Place, Session, end};
use crate::cli::CliError;
use crate::cli::arguments::StateOptions;
use crate::cli::manifests::Declared;
use crate::cli::output::Output;
use crate::core::{Name, Push, Request, VersionNumber};

/// An environment, and somebody who owns it.
pub(crate) enum Access<'a> {
    /// This process.
    Own(&'a mut Session),
    /// Another one.
    Beside(&'a mut Beside),
}

/// What an environment is worked on for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It is known, and whatever is due or was left over goes on.
    Work,
    /// The same; it is declared, and may be the first in a new data folder.
    Begin,
    /// It is known, and nothing but what is asked for starts: reports, and looks at facts.
    Report,
}

impl Access<'_> {
    /// Lets `prepare` choose the environment and check what can be checked before anything is owned, and does `work` on it: in a session, or through
    /// the process that holds the data folder and takes orders.
    pub(crate) async fn run<P, T>(
        purpose: Purpose,
        options: &StateOptions,
        output: Output,
        prepare: impl AsyncFnOnce(&Place) -> Result<(Name, P), CliError>,
        work: impl AsyncFnOnce(&mut Access<'_>, P) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        if let Some(control) = Control::reach(options, output).await? {
            let work = async |beside: &mut Beside, prepared| work(&mut Access::Beside(beside), prepared).await;
            return Beside::run(control, options, output, prepare, work).await;
        }
        if purpose != Purpose::Begin {
            Place::expect_known(options)?;
        }
        let work = async |session: &mut Session, prepared| work(&mut Access::Own(session), prepared).await;
        Session::run_as(purpose == Purpose::Report, options, output, prepare, work).await
    }

    /// Ends the environment that `prepare` chooses, without a look at its targets. Whether the files of the process that ran it still declare it.
    pub(crate) async fn clear(
        options: &StateOptions,
        output: Output,
        prepare: impl AsyncFnOnce(&Place) -> Result<Name, CliError>,
    ) -> Result<(Name, bool), CliError> {
        let Some(control) = Control::reach(options, output).await? else {
            Place::expect_known(options)?;
            return Place::owned(options, output, async |place, owners| {
                let environment = prepare(place).await?;
                end::end_in(place, owners, &environment, false).await?;
                Ok((environment, false))
            })
            .await;
        };
        let place = Place::beside(options).await?;
        let environment = prepare(&place).await;
        place.close().await?;
        let environment = environment?;
        let declared = control.end(&environment, false).await?;
        Ok((environment, declared))
    }

    /// Does `work` on an environment as [`Access::run`] does, and ends it after that, where nothing of it is left. `None`: something is; else
    /// whether the files of the process that ran it still declare it.
    pub(crate) async fn run_and_end<P>(
        options: &StateOptions,
        output: Output,
        prepare: impl AsyncFnOnce(&Place) -> Result<(Name, P), CliError>,
        work: impl AsyncFnOnce(&mut Access<'_>, P) -> Result<Finished, CliError>,
    ) -> Result<(Finished, Option<bool>), CliError> {
        let is_gone = |finished: &Finished| !finished.interrupted && end::is_empty(&finished.counts);
        if let Some(control) = Control::reach(options, output).await? {
            return Beside::run(control, options, output, prepare, async |beside, prepared| {
                let finished = work(&mut Access::Beside(beside), prepared).await?;
                let declared = if is_gone(&finished) { Some(beside.end().await?) } else { None };
                Ok((finished, declared))
            })
            .await;
        }
        Place::expect_known(options)?;
        Place::owned(options, output, async |place, owners| {
            let work = async |session: &mut Session, prepared| work(&mut Access::Own(session), prepared).await;
            let finished = Session::on(place, owners, false, output, prepare, work).await?;
            if !is_gone(&finished) {
                return Ok((finished, None));
            }
            end::end_in(place, owners, &finished.environment, true).await?;
            Ok((finished, Some(false)))
        })
        .await
    }

    /// Makes the declared settings and targets those of the environment, where they differ.
    pub(crate) async fn configure(&self, declared: &Declared) -> Result<(), CliError> {
        match self {
            Self::Own(session) => session.configure(declared).await,
            Self::Beside(beside) => beside.configure(declared).await,
        }
    }

    /// Pushes intent as a whole.
    pub(crate) async fn push(&self, push: Push) -> Result<VersionNumber, CliError> {
        match self {
            Self::Own(session) => session.push(push).await,
            Self::Beside(beside) => beside.push(push).await,
        }
    }

    /// Asks for something; returns how many resources it covers.
    pub(crate) async fn request(&mut self, request: Request) -> Result<usize, CliError> {
        match self {
            Self::Own(session) => session.request(request).await,
            Self::Beside(beside) => beside.request(request).await,
        }
    }

    /// Waits until nothing of it is left to do, or a signal ends the wait.
    pub(crate) async fn wait(&mut self) -> Result<Finished, CliError> {
        match self {
            Self::Own(session) => session.wait().await,
            Self::Beside(beside) => beside.wait().await,
        }
    }
}
