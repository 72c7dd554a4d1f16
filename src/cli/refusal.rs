//! Refusals of intent in words: one line each, with what to do about it.

use crate::cli::limits::LISTED_REFUSALS;
use crate::core::{Refusal, RefusalKind, cycle_in_words};

/// One line per refusal, and how many more there are.
pub(crate) fn describe(refusals: &[Refusal]) -> String {
    let line = |refusal: &Refusal| match &*refusal.name {
        "" => format!("  {}", reason(&refusal.kind)),
        name => format!("  {name}: {}", reason(&refusal.kind)),
    };
    listed(refusals.iter().map(line))
}

/// The first of these lines, and how many more there are.
pub(crate) fn listed(mut lines: impl ExactSizeIterator<Item = String>) -> String {
    let mut listed: Vec<String> = lines.by_ref().take(LISTED_REFUSALS).collect();
    if lines.len() > 0 {
        listed.push(format!("  … and {} more", lines.len()));
    }
    listed.join("\n")
}

fn reason(kind: &RefusalKind) -> String {
    match kind {
        RefusalKind::Cycle(names) => {
            format!("it transitively requires itself ({}); remove one of these requires", cycle_in_words(names))
        }
        RefusalKind::StaleBase(newest) => {
            format!("the environment has become version {newest} meanwhile; look at it, and run the command again")
        }
        RefusalKind::StalePlan => {
            "what would be released is not what that dry run showed; look at a new one, and give its digest".to_owned()
        }
        RefusalKind::TooManyRequests(open) => {
            format!("{open} requests wait to be dealt with already; wait for them, or `homeostat cancel` what does not end")
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
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::Name;

    #[test]
    fn a_cycle_is_shown_with_its_path() {
        let cycle = Refusal { name: "a".into(), kind: RefusalKind::Cycle(["a", "b", "a"].map(Into::into).into()) };
        assert_eq!(
            describe(&[cycle]),
            "  a: it transitively requires itself (a → b → a); remove one of these requires"
        );
    }

    #[test]
    fn many_refusals_and_a_long_way_around_are_told_in_short() {
        let path: Vec<Name> = (0..1_000).chain([0]).map(|number| format!("r{number}").into()).collect();
        let kind = RefusalKind::Cycle(path.as_slice().into());
        let refusals: Vec<_> =
            path.iter().take(1_000).map(|name| Refusal { name: name.clone(), kind: kind.clone() }).collect();
        let told = describe(&refusals);
        assert!(told.len() < 30_000, "{}", told.len());
        let first = told.lines().next().unwrap();
        assert!(first.contains("(r0 → r1 → ") && first.contains(" → r17 → … 981 more … → r999 → r0)"), "{first}");
        assert!(told.ends_with("\n  … and 900 more"), "{told}");
    }
}
