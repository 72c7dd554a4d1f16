//! R1, R7, R10: each phase of the work, and in each of them the command, the library's owner, the executor or the database is killed with SIGKILL,
//! five times or more. The effect happens once, history is exact, and says how often work was lost.
//!
//! A kill counts for a phase only when that phase was seen: a commit of a grant or of a result is held on its way (`proxy.rs`), or the attempt
//! itself stands at a gate (`gate.rs`). `HOMEOSTAT_KILLS=500` is 21 kills of each victim in each phase.

use crate::audit::{self, History, LOST, SUCCEEDED};
use crate::proxy::{Held, Place, Proxy, Trapped};
use crate::server::Server;
use crate::town::{ENVIRONMENT, Town, push_of};
use crate::{eventually, gate, in_time, kills, server, this_program};
use futures::StreamExt as _;
use rustix::process::{Signal, kill_process};
use sqlx::postgres::PgConnectOptions;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

/// Tells this program to be the owner, and where: socket folder, database, own folder.
const BE_THE_OWNER: &str = "FAULTS_MAYOR";
/// How often each phase is hit at least.
const HITS: usize = 5;
/// Kills at once: most of their time is spent waiting.
const AT_ONCE: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// The grant is on its way to history.
    Granting,
    /// It is there, and the owner does not know.
    Granted,
    /// The executor works, and has done nothing.
    Begun,
    /// It has done all, and not said so.
    Effected,
    /// Its result is on its way to history.
    Answered,
    /// It is there, and the owner does not know.
    Recorded,
}

use Phase::{Answered, Begun, Effected, Granted, Granting, Recorded};

const PHASES: [Phase; 6] = [Granting, Granted, Begun, Effected, Answered, Recorded];

impl Phase {
    /// Catches the commit that this phase is about. To be called before the work can begin.
    fn trap(self, proxy: &Proxy) -> Option<oneshot::Receiver<Held>> {
        match self {
            Granting => Some(proxy.trap_of(Trapped::Grant, Place::Before)),
            Granted => Some(proxy.trap_of(Trapped::Grant, Place::After)),
            Begun | Effected => None,
            Answered => Some(proxy.trap_of(Trapped::Outcome, Place::Before)),
            Recorded => Some(proxy.trap_of(Trapped::Outcome, Place::After)),
        }
    }

    /// Goes on until the phase is seen. What is returned holds its commit.
    async fn reach(self, folder: &Path, trap: Option<oneshot::Receiver<Held>>) -> Option<Held> {
        if self >= Begun {
            gate::written(folder, "begun", 1).await;
        }
        if self >= Effected {
            gate::open(folder, "before").await;
            eventually("the effect", async || folder.join("done").exists().then_some(())).await;
        }
        if self >= Answered {
            gate::open(folder, "after").await;
        }
        let held = match trap {
            Some(trap) => Some(in_time("a commit", trap).await.unwrap()),
            None => None,
        };
        let effects = usize::from(self >= Effected);
        assert_eq!(gate::lines(folder, "effect"), effects, "{self:?} is where it stands");
        held
    }

    /// Lets the command go on from here to its end, should it run, or run `again`.
    async fn go_on(self, folder: &Path, again: bool) {
        if self == Begun && again {
            // By then what the dead one had begun has ended, and takes no key any more.
            gate::written(folder, "begun", 2).await;
        }
        if self < Effected {
            gate::open(folder, "before").await;
        }
        if self < Effected || (self == Effected && !again) {
            gate::open(folder, "after").await;
        }
    }

    /// What history must say when the one who worked, or who took the results, was killed in this phase.
    fn check(self, folder: &Path, history: &History, lost: usize) {
        assert_eq!(gate::lines(folder, "effect"), 1, "{self:?}: {history:?}");
        assert_eq!(history.count(SUCCEEDED), 1, "{self:?}: {history:?}");
        assert_eq!(history.count(LOST), lost, "{self:?}: {history:?}");
    }
}

/// Kills in every phase, [`HITS`] times or more, some at once; prints and checks how often each was hit.
async fn in_every_phase(victim: &str, kill: impl AsyncFn(Phase)) {
    let rounds = kills().div_ceil(4 * PHASES.len()).max(HITS);
    let all = (0..rounds).flat_map(|_| PHASES);
    let kill = &kill;
    let hit = futures::stream::iter(all).map(|phase| async move {
        kill(phase).await;
        phase
    });
    let mut hits: BTreeMap<Phase, usize> = BTreeMap::new();
    let mut hit = std::pin::pin!(hit.buffer_unordered(AT_ONCE));
    while let Some(phase) = hit.next().await {
        *hits.entry(phase).or_default() += 1;
    }
    println!("{victim} was killed: {hits:?}");
    assert!(PHASES.iter().all(|phase| hits.get(phase).is_some_and(|hits| *hits >= HITS)), "{victim}: {hits:?}");
}

/// As a power cut would: its processes end at once, and it recovers from its journal.
#[tokio::test(flavor = "multi_thread")]
async fn r7_a_database_killed_in_each_phase_of_the_work_changes_nothing_about_it() {
    in_every_phase("the database", async |phase| {
        let mut server = Server::start().await;
        let town = Town::on(server.options(), &server.socket()).await;
        town.add_local_target().await;
        town.connected_executor().await;
        let command = gate::command(town.folder());
        let trap = phase.trap(&town.proxy);
        let scheduler = town.scheduler.clone();
        let pushed = tokio::spawn(async move { scheduler.push(push_of(vec![command], "1")).await });
        let held = phase.reach(town.folder(), trap).await;
        server.end(Signal::KILL).await;
        drop(held);
        server.restart().await;
        phase.go_on(town.folder(), false).await;
        in_time("the push", pushed).await.unwrap().unwrap();
        town.settle().await;
        let history = town.history().await;
        phase.check(town.folder(), &history, 0);
        assert_eq!(history.grants.len(), 1, "{phase:?}: {history:?}");
        town.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_an_executor_killed_in_each_phase_of_the_work_leaves_one_effect() {
    in_every_phase("the executor", async |phase| {
        let town = Town::start().await;
        town.add_local_target().await;
        let executor = town.connected_executor().await;
        let command = gate::command(town.folder());
        let trap = phase.trap(&town.proxy);
        let scheduler = town.scheduler.clone();
        let pushed = tokio::spawn(async move { scheduler.push(push_of(vec![command], "1")).await });
        let held = phase.reach(town.folder(), trap).await;
        kill_process(executor, Signal::KILL).unwrap();
        eventually("another executor", async || (town.executor().await != executor).then_some(())).await;
        if let Some(held) = held {
            held.release();
        }
        in_time("the push", pushed).await.unwrap().unwrap();
        phase.go_on(town.folder(), true).await;
        town.settle().await;
        phase.check(town.folder(), &town.history().await, usize::from(phase < Answered));
        town.stop().await;
    })
    .await;
}

/// A database of the shared server behind a proxy of its own, and a folder: what outlives the process that is killed.
struct Ground {
    folder: TempDir,
    database: PgConnectOptions,
    proxy: Proxy,
}

impl Ground {
    async fn new() -> Self {
        let database = server::shared_database().await;
        let proxy = Proxy::to(&database.get_socket().unwrap().join(".s.PGSQL.5432"));
        Self { folder: TempDir::new().unwrap(), database, proxy }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the proxy's socket lies, and the name of the database.
    fn way(&self) -> (String, String) {
        let through = self.proxy.options(&self.database);
        (through.get_socket().unwrap().display().to_string(), through.get_database().unwrap().to_owned())
    }
}

/// What the owner's process does: it says when it is ready, pushes when it is told to, and is killed. Without the variable that makes it one, this
/// is no test.
#[tokio::test(flavor = "multi_thread")]
async fn the_owner_in_its_own_process() {
    let Ok(place) = std::env::var(BE_THE_OWNER) else { return };
    let [socket, database, folder] = place.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let (socket, folder) = (Path::new(socket), Path::new(folder));
    let database = server::options(socket).database(database);
    let town = Town::in_folder(database, &socket.join(".s.PGSQL.5432"), folder, "mayor", &[]).await;
    town.add_local_target().await;
    town.connected_executor().await;
    println!("ready");
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await.unwrap().unwrap();
    town.push(vec![gate::command(folder)], "1").await;
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_an_owner_killed_in_each_phase_of_the_work_leaves_one_effect() {
    in_every_phase("the owner", async |phase| {
        let ground = Ground::new().await;
        let folder = ground.folder();
        let (way, name) = ground.way();
        let place = format!("{way} {name} {}", folder.display());
        let mut owner = this_program("steps::the_owner_in_its_own_process", BE_THE_OWNER, &place);
        let mut said = BufReader::new(owner.stdout.take().unwrap()).lines();
        while in_time("a word", said.next_line()).await.unwrap().unwrap() != "ready" {}
        let trap = phase.trap(&ground.proxy);
        owner.stdin.take().unwrap().write_all(b"go\n").await.unwrap();
        let held = phase.reach(folder, trap).await;
        end(owner).await;
        drop(held);

        let socket = ground.database.get_socket().unwrap().join(".s.PGSQL.5432");
        let town = Town::in_folder(ground.database.clone(), &socket, folder, "next", &["mayor".into()]).await;
        if phase == Granting {
            assert_eq!(audit::history(&town.database, ENVIRONMENT, true).await.messages.len(), 0);
            town.push(vec![gate::command(folder)], "1").await;
        }
        phase.go_on(folder, true).await;
        town.settle().await;
        phase.check(folder, &town.history().await, usize::from(!matches!(phase, Granting | Recorded)));
        town.stop().await;
    })
    .await;
}

/// The command as a user runs it, on a database that outlives it; and once more, to the end.
#[tokio::test(flavor = "multi_thread")]
async fn l8_a_command_killed_in_each_phase_of_the_work_leaves_one_effect() {
    in_every_phase("the command", async |phase| {
        let ground = Ground::new().await;
        let folder = ground.folder();
        std::fs::create_dir(folder.join("manifests")).unwrap();
        std::fs::write(folder.join("manifests/all.yaml"), gate::manifests(folder)).unwrap();
        let trap = phase.trap(&ground.proxy);
        let command = deploy(&ground);
        let held = phase.reach(folder, trap).await;
        end(command).await;
        drop(held);
        let again = deploy(&ground).wait_with_output();
        // Should it end with an error, nobody comes to the gates.
        let done = in_time("the end of a deploy", async {
            let mut again = std::pin::pin!(again);
            tokio::select! {
                done = &mut again => done,
                () = phase.go_on(folder, true) => again.await,
            }
        });
        let done = done.await.unwrap();
        assert!(done.status.success(), "{phase:?}: {}", String::from_utf8_lossy(&done.stderr));
        let history = audit::history(&ground.database, ENVIRONMENT, true).await;
        phase.check(folder, &history, usize::from(!matches!(phase, Granting | Recorded)));
    })
    .await;
}

/// `homeostat deploy` in the folder of this ground.
fn deploy(ground: &Ground) -> Child {
    let (way, name) = ground.way();
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    command.args(["deploy", "-f", "manifests", "--data-dir", "data"]).current_dir(ground.folder());
    command.args(["--database-url", &format!("postgres://homeostat@localhost:5432/{name}?host={way}")]);
    for variable in ["RUST_LOG", "HOMEOSTAT_DATA_DIR", "HOMEOSTAT_ENVIRONMENT", "HOMEOSTAT_LOG_FORMAT"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

/// SIGKILL, which nothing else may have been faster than.
async fn end(mut process: Child) {
    process.start_kill().unwrap();
    let status = in_time("the end of a process", process.wait()).await.unwrap();
    assert_eq!(status.signal(), Some(9), "it ended by itself, and not by our kill");
}
