//! Tests that change a machine, on a copy of this one that nothing is left of (see `machine/machine.sh`).
//!
//! A test runs itself again inside. So what it tests is the adaptor as it is, and needs no way around it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod accounts;
mod packages;
mod services;

use std::process::{Command, Stdio};

/// Says that this process is inside.
const INSIDE: &str = "HOMEOSTAT_TEST_MACHINE";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/adaptors/host/machine/machine.sh");

/// `kind`: `plain`, or `systemd` where the machine is to be booted. `test`: the whole name of the calling test.
fn on_a_disposable_machine(kind: &str, test: &str, body: impl Future<Output = ()>) {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        return runtime.block_on(body);
    }
    if !rustix::process::geteuid().is_root() {
        // Said by `make test` in its last line too.
        eprintln!("left out, because it takes root: {test}");
        return;
    }
    let printed = tempfile::NamedTempFile::new().unwrap();
    let test = test.strip_prefix("homeostat::").unwrap();
    let output = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "sh", SCRIPT, kind])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .env("HOMEOSTAT_MACHINE_SCRIPT", SCRIPT)
        .env("HOMEOSTAT_MACHINE_OUTPUT", printed.path())
        .env("HOMEOSTAT_MACHINE_ENVIRONMENT", format!("{INSIDE}=1"))
        .env_remove("TMPDIR")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr, std::fs::read(printed.path()).unwrap()].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success() && text.contains("1 passed"), "{} inside:\n{text}", output.status);
}

/// A test on a disposable machine.
macro_rules! machine_test {
    ($kind:literal, $name:ident, $body:block) => {
        #[test]
        fn $name() {
            let name = concat!(module_path!(), "::", stringify!($name));
            crate::adaptors::host::machine::on_a_disposable_machine($kind, name, async $body);
        }
    };
}
use machine_test;
