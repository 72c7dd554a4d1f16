//! Huge pages for a process that schedules. Its tables are read all over: with small pages most reads of a large environment also walk through the
//! page tables, which in a virtual machine costs more than the read (`docs/performance.md` has the figures).
//!
//! The C library's allocator asks the kernel for huge pages where a tunable says so, and reads its tunables when a process starts, never after. So the
//! process starts once more, in its own place: same id, same arguments, same open files. Other C libraries know no such tunable and ignore it.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// The variable of the C library's tunables.
const TUNABLES: &str = "GLIBC_TUNABLES";
const HUGE_PAGES: &str = "glibc.malloc.hugetlb=1";

/// Starts this process once more with huge pages. Whoever has set tunables is not overruled; where it cannot be done it goes on without.
pub(crate) fn ask() {
    if cfg!(not(target_env = "gnu")) || std::env::var_os(TUNABLES).is_some() {
        return;
    }
    let Ok(ourselves) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut command = Command::new(ourselves);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let error = command.args(arguments).env(TUNABLES, HUGE_PAGES).exec();
    tracing::debug!(%error, "goes on without huge pages");
}

/// The variables that [`ask`] has set, which are none of a child's: its own children would inherit them.
pub(crate) fn variables() -> impl Iterator<Item = &'static str> {
    std::iter::once(TUNABLES).filter(|name| std::env::var_os(name).is_some_and(|value| value == HUGE_PAGES))
}
