//! How a process that schedules has its memory allocated (`docs/performance.md` has the figures).
//!
//! From huge pages: its tables are read all over, and with small pages most reads of a large environment also walk through the page tables, which in a
//! virtual machine costs more than the read. And without the C library's fast bins: they keep what is freed in pieces, millions of them after a
//! million attempts, until somebody asks for much at once; joining them all then is the longest of all steps.
//!
//! The C library's allocator reads its tunables when a process starts, never after. So the process starts once more, in its own place: same id, same
//! arguments, same open files. Other C libraries know no such tunables and ignore them.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// The variable of the C library's tunables.
const VARIABLE: &str = "GLIBC_TUNABLES";
const TUNABLES: &str = "glibc.malloc.hugetlb=1:glibc.malloc.mxfast=0";

/// Starts this process once more with an allocator that is tuned for tables. Whoever has set tunables is not overruled; where it cannot be done it goes
/// on without.
pub(crate) fn tune() {
    if cfg!(not(target_env = "gnu")) || std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let Ok(ourselves) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut command = Command::new(ourselves);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let error = command.args(arguments).env(VARIABLE, TUNABLES).exec();
    tracing::debug!(%error, "goes on with the allocator as it is");
}

/// The variables that [`tune`] has set, which are none of a child's: its own children would inherit them.
pub(crate) fn variables() -> impl Iterator<Item = &'static str> {
    std::iter::once(VARIABLE).filter(|name| std::env::var_os(name).is_some_and(|value| value == TUNABLES))
}
