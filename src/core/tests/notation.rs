//! Intents in one line: `name[@target][=attributes][#identity] [takes:resource.fact|secret:NAME …] [observe] [orphan] [send] [deaf] [protected] [create-first] [never] [approve] [<- requirement …]`.
//!
//! What is left out is `@t1`, `=1` and the name as identity. Several intents stand side by side, separated by `;`.

use crate::core::{
    DeletionPolicy, FactRef, Input, InputSource, Intent, IntentParts, Mode, Name, Notify, Policy, Replace,
};
use std::collections::BTreeSet;

/// An intent as a test wrote it, so that a later line can change one thing of it.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) target: String,
    pub(super) attributes: String,
    pub(super) identity: String,
    pub(super) mode: Mode,
    pub(super) deletion_policy: DeletionPolicy,
    pub(super) protected: bool,
    pub(super) replace: Replace,
    pub(super) notify: Notify,
    pub(super) requires: BTreeSet<String>,
    pub(super) takes: Vec<String>,
}

impl Declared {
    pub(super) fn parse(line: &str) -> Self {
        let (head, requires) = line.split_once("<-").unwrap_or((line, ""));
        let mut words = head.split_whitespace();
        let (rest, identity) = cut(words.next().unwrap_or_else(|| panic!("no name in {line:?}")), '#');
        let (rest, attributes) = cut(rest, '=');
        let (name, target) = cut(rest, '@');
        let (takes, flags): (Vec<&str>, Vec<&str>) =
            words.partition(|word| word.starts_with("takes:") || word.starts_with("secret:"));
        assert!(
            flags.iter().all(|flag| [
                "observe",
                "orphan",
                "send",
                "deaf",
                "protected",
                "create-first",
                "never",
                "approve"
            ]
            .contains(flag)),
            "unknown word in {line:?}"
        );
        Self {
            name: name.to_owned(),
            target: target.unwrap_or("t1").to_owned(),
            attributes: attributes.unwrap_or("1").to_owned(),
            identity: identity.unwrap_or(name).to_owned(),
            mode: if flags.contains(&"observe") { Mode::Observe } else { Mode::Enforce },
            deletion_policy: if flags.contains(&"orphan") { DeletionPolicy::Orphan } else { DeletionPolicy::Delete },
            replace: match (flags.contains(&"create-first"), flags.contains(&"never")) {
                (true, _) => Replace::CreateFirst,
                (_, true) => Replace::Never,
                _ if flags.contains(&"approve") => Replace::Approve,
                _ => Replace::DeleteFirst,
            },
            protected: flags.contains(&"protected"),
            notify: Notify { send: flags.contains(&"send"), receive: !flags.contains(&"deaf") },
            requires: requires.split_whitespace().map(str::to_owned).collect(),
            takes: takes.into_iter().map(str::to_owned).collect(),
        }
    }

    pub(super) fn parse_all(lines: &str) -> Vec<Self> {
        lines.split(';').filter(|line| !line.trim().is_empty()).map(Self::parse).collect()
    }

    pub(super) fn intent(&self) -> Intent {
        Intent::new(IntentParts {
            name: self.name.as_str().into(),
            kind: "test.Thing".into(),
            target: self.target.as_str().into(),
            identity: self.identity.as_str().into(),
            attributes: self.attributes.as_str().into(),
            requires: self.requires.iter().map(|name| Name::from(name.as_str())).collect(),
            inputs: self.takes.iter().map(|taken| input(taken)).collect(),
            labels: std::collections::BTreeMap::new(),
            policy: Policy {
                mode: self.mode,
                deletion_policy: self.deletion_policy,
                protected: self.protected,
                replace: self.replace,
                notify: self.notify,
                ..Policy::default()
            },
        })
    }
}

/// `takes:resource.fact` and `secret:NAME` fill the attribute of that name.
fn input(word: &str) -> Input {
    if let Some(name) = word.strip_prefix("secret:") {
        return Input::of(format!("/{name}").into(), InputSource::EnvironmentVariable { name: name.into() });
    }
    let taken = word.strip_prefix("takes:").unwrap_or(word);
    let (name, fact) = taken.split_once('.').unwrap_or_else(|| panic!("no fact in {taken:?}"));
    let source = InputSource::Fact(FactRef { name: name.into(), fact: fact.into() });
    Input::of(format!("/{name}/{fact}").into(), source)
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}
