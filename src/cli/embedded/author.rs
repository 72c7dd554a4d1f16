//! Who makes a version, for the history: `user@host`.

use crate::core::Name;

/// The user of this process at this machine, as far as they are known.
pub(crate) fn author() -> Name {
    let user = whoami::username().unwrap_or_else(|_| format!("uid-{}", rustix::process::getuid().as_raw()));
    let host = whoami::hostname().unwrap_or_else(|_| "localhost".to_owned());
    format!("{user}@{host}").into()
}
