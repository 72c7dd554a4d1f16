//! R1, R7: each step of an attempt, and at each of them the database or the owner's process is killed. The effect happens once, and history says so.

use crate::audit::{History, LOST, SUCCEEDED};
use crate::proxy::{Held, Place, Proxy};
use crate::server::Server;
use crate::town::{ENVIRONMENT, Town, push_of};
use crate::{audit, eventually, gate, in_time, rounds, server, this_program};
use rustix::process::Signal;
use std::path::Path;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::oneshot;

/// Tells this program to be the owner, and where: socket folder, database, own folder.
const BE_THE_OWNER: &str = "FAULTS_MAYOR";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// Version and grant are on their way to history.
    Granting,
    /// They are there, and the owner does not know.
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

const STEPS: [Step; 6] = [Step::Granting, Step::Granted, Step::Begun, Step::Effected, Step::Answered, Step::Recorded];

impl Step {
    /// Catches the commit that this step is about. To be called before the push.
    fn trap(self, proxy: &Proxy) -> Option<oneshot::Receiver<Held>> {
        match self {
            Self::Granting => Some(proxy.trap(Place::Before, 0)),
            Self::Granted => Some(proxy.trap(Place::After, 0)),
            Self::Begun | Self::Effected => None,
            Self::Answered => Some(proxy.trap(Place::Before, 1)),
            Self::Recorded => Some(proxy.trap(Place::After, 1)),
        }
    }

    /// Goes on from the push until the step is reached. What is returned holds its commit.
    async fn reach(self, folder: &Path, trap: Option<oneshot::Receiver<Held>>) -> Option<Held> {
        if matches!(self, Self::Begun | Self::Effected | Self::Answered | Self::Recorded) {
            gate::written(folder, "begun", 1).await;
        }
        if matches!(self, Self::Effected | Self::Answered | Self::Recorded) {
            gate::open(folder, "before").await;
            eventually("the effect", async || folder.join("done").exists().then_some(())).await;
        }
        if matches!(self, Self::Answered | Self::Recorded) {
            gate::open(folder, "after").await;
        }
        match trap {
            Some(trap) => Some(in_time("a commit", trap).await.unwrap()),
            None => None,
        }
    }

    /// Lets the command go on from here to its end, should it run, or run again.
    async fn go_on(self, folder: &Path, again: bool) {
        let effected = !matches!(self, Self::Granting | Self::Granted | Self::Begun);
        if !effected {
            gate::open(folder, "before").await;
        }
        if !effected || (self == Self::Effected && !again) {
            gate::open(folder, "after").await;
        }
    }
}

fn check(step: Step, folder: &Path, history: &History) {
    assert_eq!(gate::lines(folder, "effect"), 1, "{step:?}: {history:?}");
    assert_eq!(history.count(SUCCEEDED), 1, "{step:?}: {history:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r7_a_database_killed_at_each_step_of_an_attempt_changes_nothing_about_it() {
    for _ in 0..rounds(1) {
        for step in STEPS {
            let mut server = Server::start().await;
            let town = Town::on(server.options(), &server.socket()).await;
            town.add_local_target().await;
            town.connected_executor().await;
            let command = gate::command(town.folder());
            let trap = step.trap(&town.proxy);
            let scheduler = town.scheduler.clone();
            let pushed = tokio::spawn(async move { scheduler.push(push_of(vec![command], "1")).await });
            let held = step.reach(town.folder(), trap).await;
            server.end(Signal::KILL).await;
            drop(held);
            server.restart().await;
            step.go_on(town.folder(), false).await;
            in_time("the push", pushed).await.unwrap().unwrap();
            town.settle().await;
            let history = town.history().await;
            check(step, town.folder(), &history);
            assert_eq!(history.grants.len(), 1, "{step:?}: {history:?}");
            town.stop().await;
        }
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
async fn r1_an_owner_killed_at_each_step_of_an_attempt_leaves_one_effect() {
    for _ in 0..rounds(1) {
        for step in STEPS {
            let folder = TempDir::new().unwrap();
            let folder = folder.path();
            let database = server::shared_database().await;
            let socket = database.get_socket().unwrap().join(".s.PGSQL.5432");
            let proxy = Proxy::to(&socket);
            let through = proxy.options(&database);
            let way = through.get_socket().unwrap().display().to_string();
            let place = format!("{way} {} {}", database.get_database().unwrap(), folder.display());
            let mut owner = this_program("steps::the_owner_in_its_own_process", BE_THE_OWNER, &place);
            let mut said = BufReader::new(owner.stdout.take().unwrap()).lines();
            while in_time("a word", said.next_line()).await.unwrap().unwrap() != "ready" {}
            let trap = step.trap(&proxy);
            owner.stdin.take().unwrap().write_all(b"go\n").await.unwrap();
            let held = step.reach(folder, trap).await;
            owner.kill().await.unwrap();
            drop(held);

            let town = Town::in_folder(database, &socket, folder, "next", &["mayor".into()]).await;
            if step == Step::Granting {
                assert_eq!(audit::history(&town.database, ENVIRONMENT, true).await.messages.len(), 0);
                town.push(vec![gate::command(folder)], "1").await;
            }
            step.go_on(folder, true).await;
            town.settle().await;
            let history = town.history().await;
            println!("{step:?}: {:?}", history.told());
            check(step, folder, &history);
            let lost = usize::from(!matches!(step, Step::Granting | Step::Recorded));
            assert_eq!(history.count(LOST), lost, "{step:?}: {history:?}");
            town.stop().await;
        }
    }
}
