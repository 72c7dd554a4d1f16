//! Dropping what is no longer kept, by the rules of `trim_environment` (`migrations/`).

use super::tables::Tables;
use crate::core::{AttemptId, Life, ResourceId, Retention, Timestamp, VersionNumber};
use std::collections::{BTreeMap, BTreeSet};

impl Tables {
    pub(super) fn oldest_version(&self) -> VersionNumber {
        self.versions.first().map(|version| version.number).unwrap_or_default()
    }

    /// Everything at once.
    pub(super) fn trim(&mut self, retention: Retention, now: Timestamp) -> u64 {
        let before = now.before_ms(retention.attempts_ms);
        let attempts = self.trim_attempts(before);
        let requests = self.trim_requests(before) + self.trim_dry_runs(before);
        attempts + requests + self.trim_versions(retention.versions.max(1))
    }

    /// In the order of their numbers, up to the first that is kept.
    fn trim_attempts(&mut self, before: Timestamp) -> u64 {
        let kept =
            self.outcomes.iter().find(|(_, (_, outcome))| outcome.finished_at >= before).map(|(&attempt, _)| attempt);
        let newest = self.outcomes.last_key_value().map(|(&attempt, _)| attempt);
        let bounds = [kept, newest, self.open.first().copied()];
        let Some(oldest) = bounds.into_iter().flatten().min() else { return 0 };
        let dropped: Vec<AttemptId> = self.outcomes.range(..oldest).map(|(&attempt, _)| attempt).collect();
        self.outcomes.retain(|&attempt, _| attempt >= oldest);
        self.late.retain(|&attempt, _| attempt >= oldest);
        self.grants.retain(|&attempt, _| attempt >= oldest);
        dropped.len() as u64
    }

    fn trim_requests(&mut self, before: Timestamp) -> u64 {
        let newest = self.requests.last_key_value().map(|(&id, _)| id);
        let old = old(&self.done, newest, before);
        for id in &old {
            self.requests.remove(id);
            self.done.remove(id);
        }
        old.len() as u64
    }

    fn trim_dry_runs(&mut self, before: Timestamp) -> u64 {
        let newest = self.dry_runs.last_key_value().map(|(&id, _)| id);
        let old = old(&self.dry_runs, newest, before);
        for id in &old {
            self.dry_runs.remove(id);
            self.dry_run_results.remove(id);
        }
        old.len() as u64
    }

    fn trim_versions(&mut self, kept: u32) -> u64 {
        let Some(newest) = self.versions.last().map(|version| version.number) else { return 0 };
        let oldest = VersionNumber((newest.0 + 1).saturating_sub(kept.into()));
        if self.oldest_version() >= oldest {
            return 0;
        }
        let stands: BTreeSet<(ResourceId, VersionNumber)> = self.stood_upon();
        let runs: BTreeSet<ResourceId> =
            self.open.iter().filter_map(|attempt| self.grants.get(attempt)?.1.resource).collect();
        let mut dropped = 0;
        for (resource, records) in &mut self.intents {
            let base = records.iter().map(|(version, _)| *version).filter(|version| *version <= oldest).max();
            let before = records.len();
            records.retain(|(version, _)| {
                Some(*version) >= base || stands.contains(&(*resource, *version)) || runs.contains(resource)
            });
            dropped += (before - records.len()) as u64;
        }
        let before = self.versions.len();
        self.versions.retain(|version| version.number >= oldest);
        dropped + (before - self.versions.len()) as u64
    }

    /// The records that hold the intents of current rows.
    fn stood_upon(&self) -> BTreeSet<(ResourceId, VersionNumber)> {
        let current = |life| matches!(life, Life::Live | Life::Tombstone | Life::Unreleased);
        let upon = self.rows.values().filter(|row| current(row.life)).flat_map(|row| {
            let pending = row.pending.as_ref().map(|pending| pending.version);
            [Some(row.version), pending].into_iter().flatten().map(|version| (row.resource, version))
        });
        let record = |(resource, version): (ResourceId, VersionNumber)| {
            let records = self.intents.get(&resource)?.iter().rev();
            let mut upserts = records.filter(|(number, record)| *number <= version && record.intent.is_some());
            upserts.next().map(|(number, _)| (resource, *number))
        };
        upon.filter_map(record).collect()
    }
}

/// Those that ended before, but for the newest number.
fn old<Id: Copy + Ord>(ended: &BTreeMap<Id, Timestamp>, newest: Option<Id>, before: Timestamp) -> Vec<Id> {
    ended.iter().filter(|&(id, at)| *at < before && Some(*id) < newest).map(|(&id, _)| id).collect()
}
