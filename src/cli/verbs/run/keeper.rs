//! One environment, held for as long as the process lives: a session after the other, where one cannot go on.

use super::environments::Shared;
use super::happening::{Chronicle, Happening, What};
use crate::cli::embedded::away;
use crate::cli::embedded::control::Registered;
use crate::cli::embedded::{EmbeddedError, Opening, Session, has_ended, push_of};
use crate::cli::limits::{ENDING_GRACE, ENDING_LOOK, SESSION_AGAIN, SESSION_AGAIN_AT_MOST, SESSION_WELL};
use crate::cli::manifests::Declared;
use crate::cli::{CliError, SET, refusal};
use crate::core::{Counts, EnvironmentState, Event, Name, Push, RepairSchedule};
use crate::scheduler::{Committed, Scheduler, SchedulerError};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{broadcast, watch};

/// What an environment is held to.
#[derive(Clone, Debug)]
pub(super) enum Want {
    /// What was accepted last: its files cannot be read.
    AsAccepted,
    /// What its files say.
    Declared {
        declared: Arc<Declared>,
        /// Also that nothing else is there.
        prune: bool,
    },
    /// Nothing: it is no longer run.
    Nothing,
}

/// Holds one environment.
#[derive(Clone)]
pub(super) struct Keeper {
    shared: Shared,
    environment: Name,
    wants: watch::Receiver<Want>,
}

/// Why a session ended without an error.
enum Told {
    /// It was told to.
    ToEnd,
}

impl Keeper {
    pub(super) fn new(shared: Shared, environment: Name, wants: watch::Receiver<Want>) -> Self {
        Self { shared, environment, wants }
    }

    /// Holds it until it is told to end. Whatever else ends a session, a panic too, is told, and another one is opened.
    ///
    /// # Errors
    /// It was told to end, and could not do so in order: it may still be recorded as ours.
    pub(super) async fn keep(mut self) -> Result<(), CliError> {
        let registered = Arc::new(self.shared.registry.register(self.environment.clone()));
        let mut pause = SESSION_AGAIN;
        loop {
            let began = Instant::now();
            let (keeper, held) = (self.clone(), Arc::clone(&registered));
            let trouble = match tokio::spawn(async move { keeper.session(&held).await }).await {
                Ok(Ok(Told::ToEnd)) => return Ok(()),
                Ok(Err(error)) if self.is_told_to_end().await => return Err(error),
                Ok(Err(error)) => error.report(),
                Err(error) => format!("a defect in homeostat, please report it: {error}"),
            };
            registered.begun();
            pause = if began.elapsed() > SESSION_WELL { SESSION_AGAIN } else { pause };
            let again =
                format!("{trouble}\ntried again in {}", crate::cli::output::time::took(pause.as_millis() as u64));
            self.tell(Happening::of(What::Trouble).saying(again));
            tokio::select! {
                () = self.told_to_end() => return Ok(()),
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(SESSION_AGAIN_AT_MOST),
            }
        }
    }

    fn tell(&self, happening: Happening) {
        self.shared.teller.tell(happening.in_environment(&self.environment));
    }

    /// Waits for a signal, or until the environment is no longer declared.
    async fn told_to_end(&mut self) {
        let nothing = self.wants.wait_for(|want| matches!(want, Want::Nothing));
        tokio::select! {
            () = self.shared.signals.first() => {}
            // An error says that nobody is there any more who could want something.
            _ = nothing => {}
        }
    }

    async fn is_told_to_end(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.told_to_end() => true,
            () = std::future::ready(()) => false,
        }
    }

    /// Waits until the process of the private database has ended: then nothing that is left can be recorded.
    async fn database_ended(&self) {
        while !self.shared.server.is_some_and(has_ended) {
            tokio::time::sleep(ENDING_LOOK).await;
        }
    }

    async fn session(self, registered: &Registered) -> Result<Told, CliError> {
        let shared = self.shared.clone();
        let opening = Opening {
            store: Arc::clone(&shared.store),
            folder: &shared.folder,
            server: shared.server,
            environment: self.environment.clone(),
            owner: shared.owner.clone(),
            ended: &shared.ended,
            output: shared.output,
            report_only: false,
            signals: Some(shared.signals.clone()),
        };
        Session::within(opening, async |session| {
            let scheduler = session.scheduler.clone();
            tokio::select! {
                told = self.hold(session, registered) => told,
                () = self.tell_away(&scheduler) => Err(CliError::Scheduler(scheduler.ended().await)),
            }
        })
        .await
    }

    /// Tells when history cannot be written, and when it can again. Never ends.
    async fn tell_away(&self, scheduler: &Scheduler) {
        let mut history = scheduler.away();
        loop {
            let reason = away::until_away(&mut history).await;
            self.tell(Happening::of(What::Trouble).saying(away::told(&reason, false)));
            away::until_back(&mut history).await;
            self.tell(Happening::of(What::Mended).saying("history is written again"));
        }
    }

    async fn hold(&self, session: &mut Session, registered: &Registered) -> Result<Told, CliError> {
        let mut ear = self.clone();
        let scheduler = session.scheduler.clone();
        let _open = registered.open(scheduler.clone());
        let mut commits = scheduler.subscribe();
        let mut chronicle = scheduler.read(Chronicle::of).await?;
        let mut wants = self.wants.clone();
        wants.mark_changed();
        let (mut first, mut refused) = (true, false);
        loop {
            tokio::select! {
                biased;
                () = ear.told_to_end() => return self.end(&scheduler, &mut commits, &mut chronicle).await,
                Ok(()) = wants.changed() => {
                    let want = wants.borrow_and_update().clone();
                    tokio::select! {
                        () = ear.told_to_end() => {}
                        accepted = self.apply(session, want) => {
                            let was_refused = std::mem::replace(&mut refused, !accepted?);
                            if was_refused && !refused {
                                let text = "what the manifests want is accepted again";
                                self.tell(Happening::of(What::Mended).saying(text));
                            }
                        }
                    }
                    if std::mem::take(&mut first) {
                        registered.begun();
                        while let Ok(committed) = commits.try_recv() {
                            self.chronicle(&scheduler, &mut chronicle, &committed).await?;
                        }
                        self.tell(scheduler.read(started).await?);
                    }
                }
                failed = session.executors_failed() => {
                    let (pool, message) = failed;
                    return Err(EmbeddedError::Executors { pool, message }.into());
                }
                committed = commits.recv() => match committed {
                    Ok(committed) => self.chronicle(&scheduler, &mut chronicle, &committed).await?,
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        chronicle = scheduler.read(Chronicle::of).await?;
                        self.tell(Happening::of(What::Missed).saying("more happened than could be told: `homeostat history --attempts`"));
                    }
                    Err(broadcast::error::RecvError::Closed) => return Err(CliError::Scheduler(scheduler.ended().await)),
                },
                reason = scheduler.ended() => return Err(CliError::Scheduler(reason)),
            }
        }
    }

    /// Tells what a commit made true.
    async fn chronicle(
        &self,
        scheduler: &Scheduler,
        chronicle: &mut Chronicle,
        committed: &Arc<Committed>,
    ) -> Result<(), CliError> {
        if !Chronicle::concerns(committed) {
            return Ok(());
        }
        let mut taken = std::mem::take(chronicle);
        let committed = Arc::clone(committed);
        let (taken, happenings) = scheduler
            .read(move |state| {
                let happenings = taken.take(&committed, state);
                (taken, happenings)
            })
            .await?;
        *chronicle = taken;
        for happening in happenings {
            self.tell(happening);
        }
        Ok(())
    }

    /// Makes what the files say the environment's settings, targets and newest version. Where it is refused (`false`), what was accepted before goes on.
    async fn apply(&self, session: &Session, want: Want) -> Result<bool, CliError> {
        let Want::Declared { declared, prune } = want else { return Ok(true) };
        session.configure(&declared).await?;
        let upserts = declared.intents.clone();
        let push = Push { upserts, prune, ..push_of(SET.into(), "manifests", "") };
        match session.scheduler.push(push).await {
            Ok(_) => Ok(true),
            Err(SchedulerError::Refused(refusals)) => {
                let text = format!("what was accepted before goes on\n{}", refusal::describe(&refusals));
                self.tell(Happening::of(What::Refused).saying(text));
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Starts nothing new, waits for what runs, and tells what came of it.
    async fn end(
        &self,
        scheduler: &Scheduler,
        commits: &mut broadcast::Receiver<Arc<Committed>>,
        chronicle: &mut Chronicle,
    ) -> Result<Told, CliError> {
        let ended = async {
            scheduler.send(Event::Stop).await?;
            loop {
                let counts = scheduler.read(EnvironmentState::counts).await?;
                if counts.running == 0 {
                    // An event is answered when everything before it is committed.
                    scheduler.send(Event::Tick).await?;
                    return Ok::<Counts, CliError>(counts);
                }
                // Whether something came, or the time is over: the state says what there is.
                if let Ok(Ok(committed)) = tokio::time::timeout(ENDING_LOOK, commits.recv()).await {
                    self.chronicle(scheduler, chronicle, &committed).await?;
                }
            }
        };
        let ended = tokio::select! {
            ended = tokio::time::timeout(ENDING_GRACE, ended) => ended,
            () = self.database_ended() => return Err(CliError::Scheduler("its database has ended".to_owned())),
        };
        while let Ok(committed) = commits.try_recv() {
            self.chronicle(scheduler, chronicle, &committed).await?;
        }
        let text = match ended {
            Ok(counts) => compliance(&counts?),
            Err(_) => "what still runs is closed as lost, and made good by the next run".to_owned(),
        };
        self.tell(Happening::of(What::Stopped).saying(text));
        Ok(Told::ToEnd)
    }
}

fn started(state: &EnvironmentState) -> Happening {
    let verified = match state.settings().repair.schedule {
        RepairSchedule::Off => "; nothing is verified by itself, since its Environment has no spec.repair",
        RepairSchedule::EveryMs(_) | RepairSchedule::Cron(_) => "",
    };
    Happening::of(What::Started).at_version(state.version()).saying(compliance(&state.counts()) + verified)
}

/// `2 of 3 compliant`.
fn compliance(counts: &Counts) -> String {
    format!("{} of {} compliant", counts.compliant, counts.total)
}
