//! A control plane of its own for the tests of one process: an API server without nodes, for what needs no pod to run.
//!
//! `cluster/control-plane` holds the components and ends when the pipe to it closes, which the kernel does however this process ends.

use std::io::{BufRead, BufReader, Error, ErrorKind};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// A running control plane.
pub struct ControlPlane {
    state: PathBuf,
    /// Its open standard input keeps it alive.
    _keeper: Child,
}

impl ControlPlane {
    /// A kubeconfig that may do everything.
    pub fn admin(&self) -> PathBuf {
        self.state.join("admin.conf")
    }

    /// A kubeconfig that is known and may do nothing.
    pub fn guest(&self) -> PathBuf {
        self.state.join("guest.conf")
    }
}

/// The control plane of this process, started by the first who asks.
///
/// # Panics
/// Where it does not start: only tests call it, and no test can go on.
pub fn control_plane() -> &'static ControlPlane {
    static RUNNING: OnceLock<Result<ControlPlane, Error>> = OnceLock::new();
    match RUNNING.get_or_init(start) {
        Ok(running) => running,
        #[allow(clippy::panic, reason = "said above")]
        Err(error) => panic!("the control plane does not start: {error}"),
    }
}

fn start() -> Result<ControlPlane, Error> {
    let state = std::env::temp_dir().join(format!("homeostat-control-plane-{}", std::process::id()));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/control-plane");
    let mut command = Command::new(script);
    command.arg(&state).args(free_ports()?).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut keeper = command.spawn()?;
    let output = keeper.stdout.take().ok_or_else(|| Error::from(ErrorKind::BrokenPipe))?;
    let ready = BufReader::new(output).lines().map_while(Result::ok).any(|line| line == "ready");
    if ready { Ok(ControlPlane { state, _keeper: keeper }) } else { Err(Error::other("see above for what it said")) }
}

/// Four ports that were free a moment ago.
fn free_ports() -> Result<Vec<String>, Error> {
    let listeners = (0..4).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<Vec<_>, _>>()?;
    listeners.iter().map(|listener| listener.local_addr().map(|address| address.port().to_string())).collect()
}
