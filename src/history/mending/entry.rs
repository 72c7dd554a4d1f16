//! What history could never store is refused where it comes in, before anything follows from it.

use crate::core::{Event, Intent, Target};
use crate::history::HistoryError;
use crate::history::batch_check::{check_texts, refuse};
use crate::history::limits::KEY_BYTES;

/// Refuses an event of a caller that would make records which history cannot store, and which must not be stripped.
pub(crate) fn check_event(event: &Event) -> Result<(), HistoryError> {
    match event {
        Event::Push(push) => {
            let texts = [&push.set, &push.author, &push.source, &push.message];
            check_texts(|| "the push".to_owned(), texts.map(|text| Some(&**text)))?;
            push.upserts.iter().try_for_each(|intent| check_intent(intent))
        }
        Event::Forget(forget) => {
            check_texts(|| "the request to forget".to_owned(), [Some(&*forget.author), Some(&*forget.message)])
        }
        Event::Request(request) => {
            let names = request.scope.names.iter().flatten().map(|name| Some(&**name));
            let others = [Some(&*request.author), Some(&*request.message), request.scope.target.as_deref()];
            check_texts(|| "the request".to_owned(), others.into_iter().chain(names))
        }
        Event::DryRun(request) => {
            check_texts(|| "the dry run".to_owned(), [Some(&*request.author)])?;
            request.items.iter().try_for_each(|item| check_intent(&item.intent))
        }
        Event::TargetChanged(target) => check_target(target),
        _ => Ok(()),
    }
}

fn check_intent(intent: &Intent) -> Result<(), HistoryError> {
    let what = || format!("the intent of {:?}", intent.name);
    let texts = [&intent.name, &intent.kind, &intent.target, &intent.identity, &intent.attributes];
    check_texts(what, texts.into_iter().chain(&intent.requires).map(|text| Some(&**text)))?;
    check_key(what, &intent.name)
}

fn check_target(target: &Target) -> Result<(), HistoryError> {
    let what = || format!("target {:?}", target.name);
    check_texts(what, [&target.name, &target.pool, &target.connection].map(|text| Some(&**text)))?;
    check_key(what, &target.name)
}

/// A name is part of an index, whose entries are bounded.
fn check_key(what: impl Fn() -> String, name: &str) -> Result<(), HistoryError> {
    if name.len() > KEY_BYTES {
        return refuse(format!("{} has a name of {} bytes; at most {KEY_BYTES} can be kept", what(), name.len()));
    }
    Ok(())
}
