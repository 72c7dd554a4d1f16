//! The executors of a trace, and what is true where they look: how large things are, and which secrets stand where.
//!
//! Deliberately absent: decisions. An executor does what an action says.

use super::super::super::{
    AttemptId, Change, Event, ExecutorName, Facts, Finding, Grant, Hash, InputSource, Message, Name, Operation,
    Outcome, OutcomeKind, SessionNumber,
};
use super::world::{POOLS, World};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rounds of a calm: nothing generated is deeper.
const CALM: usize = 8;

/// How an executor ends what it has begun.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Same,
    Changed,
    Identified,
    Failed,
    FailedHalfway,
    Lost,
}

/// One attempt in an executor's hands, as the executor sees it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    grant: Arc<Grant>,
    pub begun: bool,
    asked_back: bool,
}

/// An executor process.
#[derive(Clone, Debug)]
pub(super) struct Member {
    name: ExecutorName,
    pool: Name,
    pub connected: bool,
    pub held: Vec<Held>,
    /// Asked back, and never heard of.
    unheard: Vec<AttemptId>,
    last_outcome: Option<Outcome>,
    /// How often it was started.
    lives: u32,
}

impl Member {
    pub(super) fn new(n: usize) -> Self {
        Self {
            name: format!("e{n}").into(),
            pool: POOLS[n % 2].into(),
            connected: false,
            held: Vec::new(),
            unheard: Vec::new(),
            last_outcome: None,
            lives: 0,
        }
    }

    /// Its owner is gone; a dry run is nobody's then.
    pub(super) fn hangs_up(&mut self) {
        self.connected = false;
        self.held.retain(|held| held.grant.resource.is_some());
    }
}

/// What is so, whoever looks.
#[derive(Debug, Default)]
pub(super) struct Truth {
    /// How often a thing has grown, by its identity. Some sizes cannot be told.
    grown: BTreeMap<Name, usize>,
    /// How often the secret of each place was rotated.
    rotated: BTreeMap<Name, u8>,
}

impl Truth {
    pub(super) fn grow(&mut self, identity: Name) {
        *self.grown.entry(identity).or_default() += 1;
    }

    pub(super) fn rotate(&mut self, place: Name) {
        *self.rotated.entry(place).or_default() += 1;
    }

    fn facts(&self, grant: &Grant) -> Facts {
        let grown = self.grown.get(&grant.intent.identity).copied().unwrap_or_default();
        let size = (grown % 8 != 7).then(|| ("size", (grown % 3).to_string()));
        let owner = grant.intent.identity.ends_with(['1', '3', '5', '7', '9']);
        Facts::new(size.into_iter().chain(owner.then(|| ("owner", "1".into()))))
    }

    fn digest(&self, grant: &Grant) -> Option<Hash> {
        let sources = grant.intent.inputs.iter().flat_map(|input| input.values.values());
        let mut secrets = sources.filter_map(|source| match source {
            InputSource::EnvironmentVariable { name } => Some(self.rotated.get(name).copied().unwrap_or_default()),
            _ => None,
        });
        secrets.next().map(|times| Hash([times; 16]))
    }

    /// What an executor says at the end: with other secrets than it is to verify "it leaves the target as it is".
    fn told(&self, grant: &Grant, kind: OutcomeKind) -> OutcomeKind {
        let digest = self.digest(grant).filter(|_| grant.operation != Operation::Delete);
        match kind {
            OutcomeKind::Succeeded(_) if grant.secret_digest.is_some() && digest != grant.secret_digest => {
                OutcomeKind::Succeeded(Finding { secret_digest: digest, ..Finding::same() })
            }
            OutcomeKind::Succeeded(finding) => {
                OutcomeKind::Succeeded(Finding { facts: self.facts(grant), secret_digest: digest, ..finding })
            }
            OutcomeKind::Failed { message, finding: Some(finding) } => {
                OutcomeKind::Failed { message, finding: Some(Finding { facts: self.facts(grant), ..finding }) }
            }
            other => other,
        }
    }
}

impl World {
    pub(super) fn connect(&mut self, n: usize, credits: u32) -> Result<(), String> {
        let member = &mut self.fleet[n];
        if member.connected {
            return Ok(());
        }
        member.connected = true;
        member.unheard.clear();
        let holds = member.held.iter().map(|held| held.grant.attempt).collect();
        let (executor, pool) = (member.name.clone(), member.pool.clone());
        member.held.iter_mut().for_each(|held| held.asked_back = false);
        let begun: Vec<_> = member.held.iter().filter(|held| held.begun).map(|held| held.grant.attempt).collect();
        self.step(&Event::ExecutorConnected {
            executor: executor.clone(),
            pool,
            session: SessionNumber(1),
            credits,
            holds,
        })?;
        if begun.is_empty() { Ok(()) } else { self.step(&Event::Begun(executor, begun)) }
    }

    pub(super) fn disconnect(&mut self, n: usize) -> Result<(), String> {
        let member = &mut self.fleet[n];
        if !std::mem::take(&mut member.connected) {
            return Ok(());
        }
        let name = member.name.clone();
        self.step(&Event::ExecutorDisconnected(name))
    }

    /// Its process was started again on its host: it has its name, and nothing of its work.
    pub(super) fn forgets(&mut self, n: usize, credits: u32) -> Result<(), String> {
        let member = &mut self.fleet[n];
        member.connected = false;
        member.held.clear();
        member.last_outcome = None;
        self.connect(n, credits)
    }

    /// Everything that executors have succeeds, and what follows from it, for some rounds.
    pub(super) fn calm(&mut self) -> Result<(), String> {
        for _ in 0..CALM {
            for n in 0..self.fleet.len() {
                self.answer(n)?;
                self.deliver();
                while self.fleet[n].connected && self.fleet[n].held.iter().any(|held| !held.begun) {
                    self.begin(n, 0)?;
                }
                while self.fleet[n].connected && self.fleet[n].held.iter().any(|held| held.begun) {
                    self.finish(n, 0, End::Same, true)?;
                }
                self.deliver();
            }
        }
        Ok(())
    }

    /// It ended; its pod's successor has another name.
    pub(super) fn lose(&mut self, n: usize) -> Result<(), String> {
        let member = &mut self.fleet[n];
        let lives = member.lives + 1;
        let gone = std::mem::replace(&mut member.name, format!("e{n}.{lives}").into());
        (member.connected, member.lives) = (false, lives);
        member.held.clear();
        member.unheard.clear();
        member.last_outcome = None;
        self.step(&Event::ExecutorLost(gone))
    }

    /// "An executor *begins* granted work in order within its targets' concurrency."
    pub(super) fn begin(&mut self, n: usize, pick: usize) -> Result<(), String> {
        let member = &mut self.fleet[n];
        let waiting: Vec<usize> = (0..member.held.len()).filter(|at| !member.held[*at].begun).collect();
        if waiting.is_empty() || !member.connected {
            return Ok(());
        }
        let held = &mut member.held[waiting[pick % waiting.len()]];
        held.begun = true;
        let (name, attempt) = (member.name.clone(), held.grant.attempt);
        self.step(&Event::Begun(name, vec![attempt]))
    }

    pub(super) fn finish(&mut self, n: usize, pick: usize, end: End, begun: bool) -> Result<(), String> {
        let member = &mut self.fleet[n];
        let ready: Vec<usize> = (0..member.held.len()).filter(|at| member.held[*at].begun == begun).collect();
        if ready.is_empty() || !member.connected {
            return Ok(());
        }
        let held = member.held.remove(ready[pick % ready.len()]);
        let outcome = Outcome {
            attempt: held.grant.attempt,
            began_at: Some(self.model.now),
            finished_at: self.model.now,
            kind: self.truth.told(&held.grant, ending(end, held.grant.operation)),
            log: None,
        };
        member.last_outcome = Some(outcome.clone());
        let name = member.name.clone();
        self.step(&Event::Finished(name, outcome))
    }

    /// Answers what was asked back: given back, or refused because it has begun.
    pub(super) fn answer(&mut self, n: usize) -> Result<(), String> {
        if self.fleet[n].connected {
            for attempt in std::mem::take(&mut self.fleet[n].unheard) {
                let (name, now) = (self.fleet[n].name.clone(), self.model.now);
                let outcome =
                    Outcome { attempt, began_at: None, finished_at: now, kind: OutcomeKind::Revoked, log: None };
                self.step(&Event::Finished(name, outcome))?;
            }
        }
        while let Some(at) = self.fleet[n].held.iter().position(|held| held.asked_back) {
            let member = &mut self.fleet[n];
            if !member.connected {
                return Ok(());
            }
            let name = member.name.clone();
            if member.held[at].begun {
                member.held[at].asked_back = false;
                let attempt = member.held[at].grant.attempt;
                self.step(&Event::RevokeRefused(name, vec![attempt]))?;
            } else {
                let attempt = member.held.remove(at).grant.attempt;
                let now = self.model.now;
                let outcome =
                    Outcome { attempt, began_at: None, finished_at: now, kind: OutcomeKind::Revoked, log: None };
                self.step(&Event::Finished(name, outcome))?;
            }
            self.deliver();
        }
        Ok(())
    }

    pub(super) fn duplicate(&mut self, n: usize) -> Result<(), String> {
        let member = &self.fleet[n];
        match &member.last_outcome {
            Some(outcome) if member.connected => {
                let (name, outcome) = (member.name.clone(), outcome.clone());
                self.step(&Event::Finished(name, outcome))
            }
            _ => Ok(()),
        }
    }

    /// A result for an attempt that this executor does not have.
    pub(super) fn forge(&mut self, n: usize, attempt: u64) -> Result<(), String> {
        let member = &self.fleet[n];
        let attempt = AttemptId(attempt % (self.model.last_attempt.0 + 3));
        if member.held.iter().any(|held| held.grant.attempt == attempt) {
            return Ok(());
        }
        let name = member.name.clone();
        let kind = OutcomeKind::Succeeded(Finding::same());
        let outcome = Outcome { attempt, began_at: Some(self.model.now), finished_at: self.model.now, kind, log: None };
        self.step(&Event::Begun(name.clone(), vec![attempt]))?;
        self.step(&Event::Finished(name, outcome))
    }

    pub(super) fn deliver(&mut self) {
        for message in std::mem::take(&mut self.unsent) {
            match message {
                Message::Grant(to, _, grant) => {
                    if let Some(member) = self.fleet.iter_mut().find(|member| member.name == to && member.connected) {
                        member.held.push(Held { grant, begun: false, asked_back: false });
                    }
                }
                Message::Revoke(to, attempt) => {
                    let Some(member) = self.fleet.iter_mut().find(|member| member.name == to && member.connected)
                    else {
                        continue;
                    };
                    match member.held.iter_mut().find(|held| held.grant.attempt == attempt) {
                        Some(held) => held.asked_back = true,
                        None => member.unheard.push(attempt),
                    }
                }
                _ => {}
            }
        }
    }
}

fn ending(end: End, operation: Operation) -> OutcomeKind {
    let change = match operation {
        Operation::Delete => Change::Delete,
        Operation::Observe | Operation::DryRun | Operation::Enforce => Change::Update,
    };
    let finding = |change, identity: Option<&str>| {
        let diff = if change == Change::None { "" } else { "a difference" };
        Finding { change, diff: diff.into(), remote_identity: identity.map(Name::from), ..Finding::same() }
    };
    match end {
        End::Same => OutcomeKind::Succeeded(Finding::same()),
        End::Changed => OutcomeKind::Succeeded(finding(change, None)),
        End::Identified => OutcomeKind::Succeeded(finding(change, Some("an identity"))),
        End::Failed => OutcomeKind::Failed { message: "it failed".into(), finding: None },
        End::FailedHalfway => {
            OutcomeKind::Failed { message: "halfway".into(), finding: Some(finding(change, Some("half an identity"))) }
        }
        End::Lost => OutcomeKind::Lost,
    }
}
