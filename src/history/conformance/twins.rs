//! The two stores are told the same, at random, right and wrong; they must answer the same and know the same after every step.

use super::scenario::*;
use crate::core::{
    AttemptId, DryRunId, Hash, Life, Name, Record, RequestId, RequestKind, RequestRecord, ResourceRow, Retention,
    Scope, Timestamp, VersionNumber,
};
use crate::history::memory::MemoryStore;
use crate::history::{Batch, Fence, HistoryError, Store, test_database};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const STEPS: u64 = 150;

/// Stable random numbers.
struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.thrown += 1;
        (Hash::fraction([self.seed, self.thrown]) * bound as f64) as u64
    }
}

/// What a random but mostly sensible owner keeps in mind.
struct World {
    dice: Dice,
    version: u64,
    attempt: u64,
    batch: u64,
    /// Resource → name, content and version of its newest intent.
    wanted: BTreeMap<u32, (String, String, u64)>,
}

impl World {
    fn batch(&mut self) -> Batch {
        let count = self.dice.below(8);
        let records = (0..count).map(|_| self.record()).collect();
        let mut rows = Vec::new();
        for (resource, wanted) in self.wanted.clone() {
            if self.dice.below(3) == 0 {
                rows.push(self.row(resource, wanted));
            }
        }
        let number = self.batch + self.dice.below(12).min(1) + u64::from(self.dice.below(40) == 0);
        Batch { number, records, rows }
    }

    fn record(&mut self) -> Record {
        let resource = self.dice.below(6) as u32;
        let called = format!("file-{}", self.dice.below(5));
        match self.dice.below(11) {
            0 | 1 => self.version_record(),
            2..=4 => {
                self.attempt += self.dice.below(20).min(1);
                grant(self.attempt, resource, &called)
            }
            5 | 6 => {
                let kinds = all_endings();
                let kind = kinds[self.dice.below(kinds.len() as u64) as usize].clone();
                self.attempt += u64::from(matches!(kind, crate::core::OutcomeKind::Skipped { .. }));
                ended(self.attempt - self.dice.below(3).min(self.attempt), resource, kind)
            }
            7 => {
                let (id, at) = (RequestId(self.dice.below(20)), Timestamp(self.dice.below(99) as i64));
                match self.dice.below(2) {
                    0 => Record::Request(RequestRecord {
                        id,
                        kind: RequestKind::Repair,
                        scope: Scope::default(),
                        author: "ana".into(),
                        at,
                        after: AttemptId(4),
                        message: "why".into(),
                        digest: None,
                    }),
                    _ => Record::RequestDone(id, at),
                }
            }
            8 => {
                let id = DryRunId(self.dice.below(20));
                match self.dice.below(2) {
                    0 => Record::DryRun { id, items: 1, author: "ana".into(), at: Timestamp(1) },
                    _ => Record::DryRunResult {
                        id: DryRunId(0),
                        name: format!("{}", self.dice.below(99)).into(),
                        result: "none",
                        detail: called.into(),
                    },
                }
            }
            9 => {
                let kinds = all_endings();
                let kind = kinds[self.dice.below(kinds.len() as u64) as usize].clone();
                late(self.attempt - self.dice.below(4).min(self.attempt), kind)
            }
            _ => Record::TargetRemoved(called.into()),
        }
    }

    fn version_record(&mut self) -> Record {
        self.version += self.dice.below(30).min(1);
        let count = self.dice.below(4) as u32;
        let first = self.dice.below(4) as u32;
        let mut intents = Vec::new();
        for resource in first..first + count {
            let (called, content) = (format!("file-{}", self.dice.below(5)), self.dice.below(99).to_string());
            if self.wanted.contains_key(&resource) && self.dice.below(4) == 0 {
                intents.push(removes(resource, &called));
            } else {
                intents.push(wants(resource, &called, &content));
                self.wanted.insert(resource, (called, content, self.version));
            }
        }
        version(self.version, intents)
    }

    fn row(&mut self, resource: u32, (called, content, version): (String, String, u64)) -> ResourceRow {
        let lives = [Life::Live, Life::Tombstone, Life::Orphan, Life::Deleted, Life::Unreleased];
        let life = lives[self.dice.below(5) as usize];
        let row = if self.dice.below(2) == 0 { new_row } else { full_row };
        ResourceRow { life, failures: self.dice.below(9) as u32, ..row(resource, intent(&called, &content), version) }
    }
}

fn verdict(result: &Result<(), HistoryError>) -> &'static str {
    match result {
        Ok(()) => "committed",
        Err(HistoryError::Refused { .. }) => "refused",
        Err(HistoryError::Lost { .. }) => "lost",
        Err(HistoryError::Fenced { .. }) => "fenced",
        Err(error) => panic!("{error}"),
    }
}

/// Everything that can be read.
async fn knowledge(store: &dyn Store, fence: &Fence) -> String {
    let snapshot = store.load(fence).await.unwrap();
    let mut known = format!("{snapshot:#?}\n{:?}\n", store.versions("prod", None, 7).await.unwrap());
    for number in snapshot.version.0.saturating_sub(4)..=snapshot.version.0 + 1 {
        let intents = store.intents_at("prod", VersionNumber(number)).await.unwrap();
        writeln!(known, "{number} {intents:?}").unwrap();
    }
    let many: Vec<Name> = (2..100).map(|number| format!("file-{number}").into()).collect();
    for names in [None, Some(&["file-0".into()][..]), Some(&["file-3".into(), "file-1".into()][..]), Some(&many[..])] {
        for before in [None, Some(AttemptId(snapshot.last_attempt.0 / 2))] {
            let attempts = store.attempts("prod", names, before, 5).await.unwrap();
            writeln!(known, "{names:?} {before:?} {attempts:?}").unwrap();
        }
    }
    writeln!(known, "{:?}", store.requests("prod", Some(RequestId(15)), 9).await.unwrap()).unwrap();
    writeln!(known, "oldest {}", store.oldest_version("prod").await.unwrap()).unwrap();
    known + &format!("{:?}", store.dry_run("prod", DryRunId(0)).await.unwrap())
}

/// Until nothing is left to drop.
async fn trim(store: &dyn Store, fence: &Fence, retention: Retention, now: Timestamp) -> u64 {
    let mut dropped = 0;
    loop {
        match store.trim(fence, retention, now).await.unwrap() {
            0 => return dropped,
            some => dropped += some,
        }
    }
}

async fn take_both(one: &dyn Store, other: &dyn Store) -> (Fence, Fence) {
    let owner = owner("first", LONG_MS);
    (one.take("prod", &owner, &[]).await.unwrap(), other.take("prod", &owner, &[]).await.unwrap())
}

#[tokio::test]
async fn the_twins_agree_on_whatever_they_are_told() {
    let mut verdicts = BTreeMap::new();
    for seed in 0..3 {
        let (memory, postgres) = (MemoryStore::default(), test_database::store().await);
        let mut fences = take_both(&memory, &postgres).await;
        let mut world =
            World { dice: Dice { seed, thrown: 0 }, version: 0, attempt: 0, batch: 0, wanted: BTreeMap::new() };
        for step in 0..STEPS {
            if world.dice.below(25) == 0 {
                fences = take_both(&memory, &postgres).await;
                world.batch = 0;
            }
            let before = (world.version, world.wanted.clone());
            let batch = world.batch();
            let said = (memory.commit(&fences.0, &batch).await, postgres.commit(&fences.1, &batch).await);
            assert_eq!(verdict(&said.0), verdict(&said.1), "seed {seed}, step {step}: {said:?}\n{batch:#?}");
            *verdicts.entry(verdict(&said.0)).or_insert(0) += 1;
            if said.0.is_ok() && batch.number == world.batch + 1 {
                world.batch += 1;
            } else {
                (world.version, world.wanted) = before;
            }
            if world.dice.below(8) == 0 {
                let retention = Retention { versions: 1 + world.dice.below(4) as u32, attempts_ms: 0 };
                let now = Timestamp(world.dice.below(10 * world.attempt + 20) as i64);
                let dropped =
                    (trim(&memory, &fences.0, retention, now).await, trim(&postgres, &fences.1, retention, now).await);
                assert_eq!(dropped.0, dropped.1, "seed {seed}, step {step}: {retention:?} {now:?}");
                // A row of what is wanted no more would stand on nothing.
                let wanted = memory.intents_at("prod", VersionNumber(world.version)).await.unwrap().unwrap();
                let is_wanted = |resource: &u32| wanted.iter().any(|record| record.resource.0 == *resource);
                world.wanted.retain(|resource, _| is_wanted(resource));
            }
            let known = (knowledge(&memory, &fences.0).await, knowledge(&postgres, &fences.1).await);
            for (one, other) in known.0.lines().zip(known.1.lines()) {
                assert_eq!(one, other, "seed {seed}, step {step}: {batch:#?}");
            }
        }
    }
    let count = |verdict| verdicts.get(verdict).copied().unwrap_or(0);
    assert!(count("committed") > STEPS / 2 && count("refused") > STEPS / 10, "{verdicts:?}");
}
