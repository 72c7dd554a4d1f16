//! The end of an environment: everything that is known of it is dropped, its history too. Its targets are not touched.

use super::session::owner_of;
use super::{EmbeddedError, Owners, Place, peek, readme};
use crate::cli::CliError;
use crate::cli::output::time;
use crate::core::{Counts, Name};
use crate::executor::process;
use crate::history::Store;
use std::path::Path;

/// Drops it. The caller holds the data folder, and nobody runs the environment.
///
/// # Errors
/// With `empty`, something of it is left.
pub(crate) async fn end(
    store: &dyn Store,
    folder: &Path,
    owner: (Name, &[Name]),
    environment: &Name,
    empty: bool,
) -> Result<(), CliError> {
    let Some(state) = peek(store, environment, time::now()).await? else {
        // Somebody was faster.
        return Ok(());
    };
    if empty && !is_empty(&state.counts()) {
        let text = format!("environment {environment} goes on: something of it was declared again meanwhile");
        return Err(CliError::NotDone(text));
    }
    let fence = store.take(environment, &owner_of(owner.0), owner.1).await?;
    store.forget_environment(&fence).await?;
    process::remove_locks(folder, environment).map_err(EmbeddedError::from)?;
    Ok(readme::remove(folder, environment)?)
}

/// The same, where this process holds the folder and runs nothing.
pub(super) async fn end_in(place: &Place, owners: &Owners, environment: &Name, empty: bool) -> Result<(), CliError> {
    // An executor of a run that was killed may still be at work; when it has ended, nothing happens any more that nobody records.
    process::await_earlier(&place.folder).await.map_err(EmbeddedError::from)?;
    end(&*place.store, &place.folder, (owners.own(), owners.ended()), environment, empty).await
}

/// Nothing is left of what it declared, not even something to delete.
pub(crate) const fn is_empty(counts: &Counts) -> bool {
    counts.total == 0 && counts.tombstones == 0
}
