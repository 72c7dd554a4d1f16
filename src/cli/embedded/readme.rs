//! The README of a data folder: what each file in it is, what may be deleted, and what that costs.

use super::EmbeddedError;
use std::path::Path;

/// Its name in the folder.
const NAME: &str = "README.md";

const TEXT: &str = "\
# A data folder of Homeostat

`homeostat` keeps here what it knows of the environments that are run from this folder (`--data-dir`). No process needs it between two commands.
Nothing of it may be deleted while one runs; `lock` says which.

| file | what it is | may it be deleted? |
|---|---|---|
| `postgres/` | the private database: versions, attempts with their differences, the state of every resource; absent with `--database-url` | \
only with everything else here. All history is gone, and what was deployed is no longer known: it stays on the targets. A later \
`homeostat deploy -f DIR` finds it there again and changes what differs; what the manifests no longer declare is never deleted any more |
| `postgres.log` | what the private database said | yes; it costs nothing |
| `lock` | held by the process at work, and says which it is | yes, while nothing runs; it is made again |
| `owner` | the ids of processes that were killed and have not given their environments up | \
yes, while nothing runs; then the next run waits up to half a minute for the lease of such a process |
| `secrets-*.key` | with it executors tell that a secret has changed, without saying what it is; its owner alone may read it | \
yes, while nothing runs; then everything that takes a secret is deployed once more |
| `executor-*.lock` | held by an executor process as long as it works | yes, while nothing runs; never while an executor does |
| `executors-*.sock` | where executors connect during a run | yes, while nothing runs |
| `control.sock` | where other commands reach a `homeostat run` | yes, while nothing runs |
| `README.md` | this | yes; the next run writes it again |

To keep a copy: copy the whole folder while nothing runs. Values that the manifests give to resources are in it, sensitive ones too: only its owner
can enter it, and a copy should be kept as well.

One environment less: `homeostat delete environment NAME` deletes its resources on their targets first, `homeostat clear environment NAME` leaves
them. `homeostat check` says whether what is here still fits together.
";

/// Writes it, where it is not there or says something else.
pub(super) fn write(folder: &Path) -> Result<(), EmbeddedError> {
    let path = folder.join(NAME);
    if std::fs::read_to_string(&path).is_ok_and(|found| found == TEXT) {
        return Ok(());
    }
    std::fs::write(&path, TEXT).map_err(|source| EmbeddedError::File { path, source })
}
