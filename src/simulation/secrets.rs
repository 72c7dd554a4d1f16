//! Secrets of the world: what fills attributes and nobody but executors may know. What an executor says goes through the real redaction
//! (`executor/secrets.rs`); what reaches history is searched for every value that there ever was.

use super::random::Random;
use crate::core::{Hash, InputSource, Intent, Name, OutcomeKind, Record};
use crate::executor::secrets::Secrets;
use crate::history::Batch;
use base64::Engine as _;
use std::collections::BTreeMap;

/// Variables in which secrets are.
const VARIABLES: usize = 3;

#[derive(Default)]
pub(super) struct Vault {
    values: BTreeMap<Name, String>,
    /// Everything that must not be seen anywhere: values, as they are and in base64.
    ever: Vec<String>,
}

pub(super) fn some_variable(random: &mut Random) -> Name {
    format!("V{}", random.below(VARIABLES)).into()
}

pub(super) fn in_base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(text)
}

impl Vault {
    pub(super) fn new(random: &mut Random) -> Self {
        let mut vault = Self::default();
        for number in 0..VARIABLES {
            vault.put(format!("V{number}").into(), random);
        }
        vault
    }

    /// A secret becomes another one.
    pub(super) fn rotate(&mut self, random: &mut Random) {
        let name = some_variable(random);
        self.put(name, random);
    }

    fn put(&mut self, name: Name, random: &mut Random) {
        let value = format!("canary-{:016x}", random.between(1 << 40, u64::MAX - 1));
        self.ever.push(value.clone());
        // Its end depends on what follows it.
        self.ever.push(in_base64(&value).chars().take(20).collect());
        self.values.insert(name, value);
    }

    /// What an executor finds in a variable.
    pub(super) fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    fn taken<'a>(&'a self, intent: &'a Intent) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
        intent.inputs.iter().flat_map(|input| {
            input.values.iter().filter_map(|(name, source)| match source {
                InputSource::EnvironmentVariable { name: variable } => {
                    Some((&*input.path, &**name, self.value(variable)))
                }
                _ => None,
            })
        })
    }

    /// What takes them out of the texts of an attempt.
    pub(super) fn redactor(&self, intent: &Intent) -> Secrets {
        let mut secrets = Secrets::default();
        for (path, name, value) in self.taken(intent) {
            secrets.add(path, name, value);
        }
        secrets
    }

    /// What an executor says of the secrets that an intent takes: a digest, keyed in the real world.
    pub(super) fn digest(&self, intent: &Intent) -> Option<Hash> {
        let parts: Vec<&[u8]> = self
            .taken(intent)
            .flat_map(|(path, name, value)| [path.as_bytes(), name.as_bytes(), value.as_bytes()])
            .collect();
        (!parts.is_empty()).then(|| Hash::of(&parts))
    }

    /// A secret that a batch would write into history, by the text that it is in.
    pub(super) fn leaked_by<'a>(&self, batch: &'a Batch) -> Option<&'a str> {
        let records = batch.records.iter().flat_map(texts_of);
        let rows = batch.rows.iter().flat_map(|row| {
            let texts = [&row.error, &row.drift, &row.remote_identity];
            texts.into_iter().flatten().map(|text| &**text).chain(row.facts.text())
        });
        records.chain(rows).find(|text| self.ever.iter().any(|secret| text.contains(secret.as_str())))
    }
}

fn texts_of(record: &Record) -> Vec<&str> {
    let (message, finding) = match record {
        Record::DryRunResult { detail, .. } => return vec![detail],
        Record::Outcome { outcome, .. } => match &outcome.kind {
            OutcomeKind::Succeeded(finding) => (None, Some(finding)),
            OutcomeKind::Failed { message, finding } => (Some(message), finding.as_ref()),
            _ => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    let of_finding = finding.into_iter().flat_map(|finding| {
        let identity = finding.remote_identity.as_deref();
        [Some(&*finding.diff), identity, finding.facts.text()].into_iter().flatten()
    });
    message.map(|text| &**text).into_iter().chain(of_finding).collect()
}
