//! Refusals of intent in words: one line each, with what to do about it.

use crate::core::{Refusal, RefusalKind};

/// One line per refusal.
pub(crate) fn describe(refusals: &[Refusal]) -> String {
    refusals
        .iter()
        .map(|refusal| match &*refusal.name {
            "" => format!("  {}", reason(&refusal.kind)),
            name => format!("  {name}: {}", reason(&refusal.kind)),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn reason(kind: &RefusalKind) -> String {
    match kind {
        RefusalKind::Cycle(names) => {
            format!("it transitively requires itself ({}); remove one of these requires", names.join(" → "))
        }
        RefusalKind::StaleBase(newest) => {
            format!("the environment has become version {newest} meanwhile; look at it, and run the command again")
        }
        RefusalKind::StalePlan => {
            "what would be released is not what that dry run showed; look at a new one, and give its digest".to_owned()
        }
        RefusalKind::DuplicateName => "two manifests have this name; rename one".to_owned(),
        RefusalKind::DuplicateIdentity(other) => {
            format!("{other} already is this thing on the same target; change or remove one of them")
        }
        RefusalKind::Replaces => {
            "it would become another thing on its target, and policy.replace is Never; change that too, or use another name".to_owned()
        }
        RefusalKind::OtherSet(set) => {
            format!("it belongs to resource set {set}; push it there, or give it another name")
        }
        RefusalKind::TooLarge(what, bound) => format!("its {what} exceed the bound of {bound}; split it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_shown_with_its_path() {
        let cycle = Refusal { name: "a".into(), kind: RefusalKind::Cycle(vec!["a".into(), "b".into(), "a".into()]) };
        assert_eq!(
            describe(&[cycle]),
            "  a: it transitively requires itself (a → b → a); remove one of these requires"
        );
    }
}
