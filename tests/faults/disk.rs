//! A small file system of a server's own, in a mount namespace that a process holds: it can be full without anybody else's noticing.

use crate::eventually;
use crate::server::{Process, run, spawn};
use rustix::process::{Signal, kill_process};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Room for the data of an empty server, its journal, and a little more.
const SIZE: &str = "128m";

pub(crate) struct SmallDisk {
    holder: Process,
    place: PathBuf,
}

impl SmallDisk {
    /// Mounts one at `place`, as those see it who are [`Self::inside`]. `None` where it is not allowed to.
    pub(crate) async fn mount(place: &Path, log: &Path) -> Option<Self> {
        std::fs::create_dir(place).unwrap();
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--mount", "--", "setpriv", "--pdeathsig", "KILL", "--", "sh", "-c"]);
        command.arg(r#"mount -t tmpfs -o size="$1" tmpfs "$2" && echo mounted && exec sleep infinity"#);
        command.args(["sh", SIZE]).arg(place);
        let mut holder = spawn(command, log);
        let mounted = eventually("a disk", async || {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            let ended = holder.ended.try_recv().is_ok();
            (ended || said.contains("mounted")).then_some(!ended)
        });
        mounted.await.then(|| Self { holder, place: place.to_owned() })
    }

    /// The same command, for those who see the disk.
    pub(crate) fn inside(&self, command: &Command) -> Command {
        let mut entering = Command::new("nsenter");
        entering.arg("--target").arg(self.holder.pid.as_raw_nonzero().to_string()).arg("--mount");
        if !rustix::process::geteuid().is_root() {
            entering.args(["--user", "--preserve-credentials"]);
        }
        entering.arg("--").arg(command.get_program()).args(command.get_args());
        entering.stdin(Stdio::null()).process_group(0).current_dir("/");
        entering.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        entering
    }

    /// Runs a program there.
    pub(crate) fn run(&self, words: &[&str]) {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        run(self.inside(&command));
    }

    /// Takes all the room that is left.
    pub(crate) fn fill(&self) {
        let filler = self.place.join("filler");
        self.run(&["sh", "-c", r#"cat /dev/zero > "$1" 2> /dev/null || test -s "$1""#, "sh", filler.to_str().unwrap()]);
    }

    /// Gives it back.
    pub(crate) fn free(&self) {
        self.run(&["rm", self.place.join("filler").to_str().unwrap()]);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // With the last process in it, the namespace and the disk are gone.
        let _ = kill_process(self.holder.pid, Signal::KILL);
    }
}
