//! Cases about who may write.

use super::scenario::*;
use crate::core::{Epoch, VersionNumber};
use crate::history::{Batch, Fence, HistoryError, Owner};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

pub(super) async fn a_held_environment_is_refused_and_names_its_holder(store: AnyStore) {
    let fence = store.take("prod", &owner("first", LONG_MS), &[]).await.unwrap();
    assert_eq!(fence.epoch, Epoch(1));
    let error = store.take("prod", &owner("second", LONG_MS), &[name("somebody else")]).await.unwrap_err();
    let HistoryError::Held { environment, holder, remaining_ms } = &error else { panic!("{error}") };
    assert_eq!((&**environment, &**holder), ("prod", "first on a host"));
    assert!((1..=LONG_MS).contains(remaining_ms), "{remaining_ms}");
    // Held is not written: the holder goes on, and another environment is free.
    store.load(&fence).await.unwrap();
    store.take("prod-2", &owner("second", LONG_MS), &[]).await.unwrap();
}

pub(super) async fn an_owner_is_known_as_long_as_its_lease_runs(store: AnyStore) {
    assert_eq!(store.owner("prod").await.unwrap(), None, "there is no such environment");
    let fence = store.take("prod", &owner("first", LONG_MS), &[]).await.unwrap();
    assert_eq!(store.owner("prod").await.unwrap().as_deref(), Some("first on a host"));
    store.release(&fence).await.unwrap();
    assert_eq!(store.owner("prod").await.unwrap(), None, "it was given up");
    store.take("prod", &owner("second", 0), &[]).await.unwrap();
    assert_eq!(store.owner("prod").await.unwrap(), None, "its lease has ended");
}

pub(super) async fn an_ended_owner_is_replaced_at_once(store: AnyStore) {
    let first = store.take("prod", &owner("first", LONG_MS), &[]).await.unwrap();
    let second = store.take("prod", &owner("second", LONG_MS), &[name("another"), name("first")]).await.unwrap();
    assert_eq!(second.epoch, Epoch(2));
    assert!(is_fenced(&store.load(&first).await));
}

/// Takes as soon as the lease allows it.
async fn take_when_free(store: &AnyStore, environment: &str, owner: &Owner) -> Fence {
    let taken = async {
        loop {
            match store.take(environment, owner, &[]).await {
                Ok(fence) => return fence,
                Err(HistoryError::Held { remaining_ms, .. }) => {
                    tokio::time::sleep(Duration::from_millis(remaining_ms)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    timeout(Duration::from_secs(30), taken).await.unwrap()
}

pub(super) async fn an_expired_lease_is_taken(store: AnyStore) {
    let first = store.take("prod", &owner("first", 60), &[]).await.unwrap();
    let second = take_when_free(&store, "prod", &owner("second", LONG_MS)).await;
    assert_eq!(second.epoch, Epoch(2));
    // Awake too late: renewing the process's lease gives the environment back to nobody.
    store.renew(&owner("first", LONG_MS)).await.unwrap();
    assert!(is_fenced(&store.load(&first).await));
}

pub(super) async fn a_renewed_lease_holds_and_one_lease_holds_all_environments(store: AnyStore) {
    for environment in ["one", "two"] {
        store.take(environment, &owner("first", 60), &[]).await.unwrap();
    }
    store.renew(&owner("first", LONG_MS)).await.unwrap();
    for environment in ["one", "two"] {
        let error = store.take(environment, &owner("second", LONG_MS), &[]).await.unwrap_err();
        assert!(matches!(error, HistoryError::Held { remaining_ms: 1_000.., .. }), "{error}");
    }
}

pub(super) async fn the_same_owner_takes_again_with_a_higher_epoch(store: AnyStore) {
    let before = Owned::take(&store, "prod").await;
    let after = Owned::take(&store, "prod").await;
    assert_eq!((before.fence.epoch, after.fence.epoch), (Epoch(1), Epoch(2)));
    assert!(is_fenced(&store.load(&before.fence).await));
}

pub(super) async fn a_taken_over_owner_writes_nothing(store: AnyStore) {
    let mut first = Owned::take(&store, "prod").await;
    first.record(vec![version(1, vec![wants(0, "a", "1")])]).await;
    let second = store.take("prod", &owner("second", LONG_MS), &[name("first")]).await.unwrap();
    let before = format!("{:?}", store.load(&second).await.unwrap());

    assert!(is_fenced(&first.commit(vec![version(2, vec![])], vec![]).await));
    // Not even one that it had committed is acknowledged again: the answer would say that it is still the owner.
    assert!(is_fenced(&store.commit(&first.fence, &Batch { number: 1, ..Batch::default() }).await));
    let attempt = Batch { number: 1, records: vec![grant(1, 0, "a")], rows: vec![] };
    assert!(is_fenced(&store.commit(&first.fence, &attempt).await));
    assert!(is_fenced(&store.release(&first.fence).await));
    assert!(is_fenced(&store.forget_environment(&first.fence).await));
    assert_eq!(format!("{:?}", store.load(&second).await.unwrap()), before);
}

pub(super) async fn a_released_environment_is_free_and_its_fence_worthless(store: AnyStore) {
    let mut first = Owned::take(&store, "prod").await;
    store.release(&first.fence).await.unwrap();
    assert!(is_fenced(&first.commit(vec![version(1, vec![])], vec![]).await));
    assert!(is_fenced(&store.release(&first.fence).await));
    let second = store.take("prod", &owner("second", LONG_MS), &[]).await.unwrap();
    assert!(second.epoch > first.fence.epoch);
}

pub(super) async fn of_two_takers_exactly_one_wins(store: AnyStore) {
    for environment in (0..10).map(|number| format!("env-{number}")) {
        let takers = ["first", "second", "third"].map(|id| {
            let (store, environment) = (Arc::clone(&store), environment.clone());
            tokio::spawn(async move { store.take(&environment, &owner(id, LONG_MS), &[]).await })
        });
        let mut won = 0;
        for taker in takers {
            match taker.await.unwrap() {
                Ok(_) => won += 1,
                Err(error) => assert!(matches!(error, HistoryError::Held { .. }), "{error}"),
            }
        }
        assert_eq!(won, 1, "{environment}");
    }
}

pub(super) async fn a_forgotten_environment_is_gone_and_may_come_back(store: AnyStore) {
    let (mut gone, mut kept) = (Owned::take(&store, "gone").await, Owned::take(&store, "kept").await);
    for environment in [&mut gone, &mut kept] {
        let rows = vec![new_row(0, intent("a", "1"), 1)];
        environment
            .commit(vec![version(1, vec![wants(0, "a", "1")]), grant(1, 0, "a"), succeeded(1, 0)], rows)
            .await
            .unwrap();
    }
    store.forget_environment(&gone.fence).await.unwrap();

    assert_eq!(store.environments().await.unwrap(), [name("kept")]);
    assert!(is_fenced(&store.load(&gone.fence).await));
    assert!(store.peek("gone").await.unwrap().is_none());
    assert_eq!(store.attempts("kept", None, None, 9).await.unwrap().len(), 1);

    let again = Owned::take(&store, "gone").await;
    assert_ne!(again.fence, gone.fence);
    let snapshot = store.load(&again.fence).await.unwrap();
    assert_eq!((snapshot.version, snapshot.resources.len()), (VersionNumber(0), 0));
    assert!(store.attempts("gone", None, None, 9).await.unwrap().is_empty());
}
