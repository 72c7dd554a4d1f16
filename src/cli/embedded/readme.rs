//! The READMEs of a data folder and of each environment in it: what each file is, what may be deleted, and what that costs.

use super::EmbeddedError;
use crate::core::Name;
use crate::executor::process::environment_folder;
use std::path::{Path, PathBuf};

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
| `environments/NAME/` | what belongs to one environment alone; its own README.md says what | as that says |
| `executor-*.lock` | held by an executor process as long as it works | yes, while nothing runs; never while an executor does |
| `executors-*.sock` | where executors connect during a run | yes, while nothing runs |
| `socket/` | where the private database is reached while something works | yes, while nothing runs |
| `control.sock` | where other commands reach a `homeostat run` | yes, while nothing runs |
| `README.md` | this | yes; the next run writes it again |

To keep a copy: copy the whole folder while nothing runs. All values that stand in the manifests are in it, also those of a Secret that
is written in a `kubernetes.Manifest`, which no command prints. What comes from variables and files is not, and an attribute that is always secret is refused where it stands
in a manifest. Still only its owner can enter the folder.

One environment less: `homeostat delete environment NAME` deletes its resources on their targets first, `homeostat clear environment NAME` leaves
them. `homeostat check` says whether what is here still fits together.
";

/// What stands in the folder of an environment; `NAME` is its name.
const ENVIRONMENT_TEXT: &str = "\
# Environment NAME

What belongs to this environment alone, of all that the data folder above holds. Its versions, attempts and the state of its resources are in the
database there; nothing here is needed to read them. A version keeps its manifests as they are written, also the text of a Secret in a
`kubernetes.Manifest`; what comes from variables and files is not in it.

| file | what it is | may it be deleted? |
|---|---|---|
| `secrets.key` | with it executors tell that a secret has changed, without saying what it is; its owner alone may read it | \
yes, while nothing runs; then everything that takes a secret is deployed once more, after the next look at it |
| `README.md` | this | yes; the next run writes it again |

Who did what: `homeostat audit --environment NAME`. What is as declared, and since when that is proven: `homeostat compliance --environment NAME`.
How many versions and attempts are kept is said in `spec.history` of the Environment; what is older goes by itself.

To end the environment: `homeostat delete environment NAME` deletes its resources on their targets first, `homeostat clear environment NAME` leaves
them. Both drop its history, and this folder. Deleting this folder by hand does neither.
";

/// Writes it, where it is not there or says something else.
pub(super) fn write(folder: &Path) -> Result<(), EmbeddedError> {
    write_text(folder.join(NAME), TEXT)
}

/// Writes that of an environment.
pub(super) fn write_environment(folder: &Path, environment: &Name) -> Result<(), EmbeddedError> {
    let own = environment_folder(folder, environment);
    std::fs::create_dir_all(&own).map_err(|source| EmbeddedError::File { path: own.clone(), source })?;
    write_text(own.join(NAME), &ENVIRONMENT_TEXT.replace("NAME", environment))
}

/// Removes what is ours in the folder of an environment that has ended, and the folder where nothing else is in it.
pub(super) fn remove(folder: &Path, environment: &Name) -> Result<(), EmbeddedError> {
    let own = environment_folder(folder, environment);
    for name in [NAME, "secrets.key"] {
        let path = own.join(name);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(EmbeddedError::File { path, source });
            }
            _ => {}
        }
    }
    // What somebody else has put there is theirs.
    let _ = std::fs::remove_dir(own);
    Ok(())
}

fn write_text(path: PathBuf, text: &str) -> Result<(), EmbeddedError> {
    if std::fs::read_to_string(&path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    std::fs::write(&path, text).map_err(|source| EmbeddedError::File { path, source })
}
