//! Selectors by label, as `kubectl -l` reads them.

use crate::core::Name;
use kube::core::{Expression, Selector, SelectorExt};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// All of its terms must apply.
#[derive(Clone, Debug)]
pub(crate) struct LabelSelector(Selector);

/// Why a text is not a selector.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{0:?} is not a label selector; write key=value, key!=value, key, !key, key in (a,b) or key notin (a,b), with commas between"
)]
pub(crate) struct LabelSelectorError(String);

impl LabelSelector {
    /// Whether these labels are meant.
    pub(crate) fn matches(&self, labels: &BTreeMap<Name, Name>) -> bool {
        let labels = labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        self.0.matches(&labels)
    }
}

impl FromStr for LabelSelector {
    type Err = LabelSelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        terms(text)
            .map(|term| expression(term.trim()).ok_or_else(|| LabelSelectorError(term.trim().to_owned())))
            .collect::<Result<Selector, _>>()
            .map(Self)
    }
}

/// Cut at the commas outside parentheses.
fn terms(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.split(move |letter| {
        inside = letter == '(' || (inside && letter != ')');
        letter == ',' && !inside
    })
}

fn expression(term: &str) -> Option<Expression> {
    if let Some(list) = term.strip_suffix(')') {
        let (before, list) = list.split_once('(')?;
        let mut words = before.split_whitespace();
        let (key, operator, None) = (words.next()?, words.next()?, words.next()) else { return None };
        let values: BTreeSet<String> = list.split(',').map(|value| value.trim().to_owned()).collect();
        return match operator {
            "in" => Some(Expression::In(word(key)?, values)),
            "notin" => Some(Expression::NotIn(word(key)?, values)),
            _ => None,
        };
    }
    if let Some((key, value)) = term.split_once("!=") {
        return Some(Expression::NotEqual(word(key)?, value.trim().to_owned()));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return Some(Expression::Equal(word(key)?, value.trim().to_owned()));
    }
    match term.strip_prefix('!') {
        Some(key) => Some(Expression::DoesNotExist(word(key)?)),
        None => Some(Expression::Exists(word(term)?)),
    }
}

fn word(text: &str) -> Option<String> {
    let text = text.trim();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    (!text.is_empty() && text.chars().all(plain)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn is_meant(selector: &str) -> bool {
        let labels = [("app", "web"), ("example.org/tier", "front")];
        let labels = labels.map(|(key, value)| (key.into(), value.into())).into();
        selector.parse::<LabelSelector>().unwrap().matches(&labels)
    }

    #[test]
    fn selectors_are_those_of_kubectl() {
        for meant in [
            "app=web",
            "app==web",
            "app!=db",
            "other!=x",
            "app",
            "!other",
            "app in (db, web)",
            "app notin (db)",
            "app=web,example.org/tier = front",
        ] {
            assert!(is_meant(meant), "{meant}");
        }
        for not in
            ["app=db", "app!=web", "other", "!app", "app in (db,cache)", "app notin (web,db),app", "app=web,other"]
        {
            assert!(!is_meant(not), "{not}");
        }
    }

    #[test]
    fn what_is_no_selector_is_named() {
        for wrong in ["", "=web", "app in web", "app like (web)", "a b", "app=web,,x"] {
            assert!(wrong.parse::<LabelSelector>().is_err(), "{wrong:?}");
        }
        let error = "app=web,app like (x)".parse::<LabelSelector>().unwrap_err();
        assert!(error.to_string().starts_with("\"app like (x)\" is not a label selector"), "{error}");
    }
}
