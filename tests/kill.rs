//! A deploy of slow files on its private database, killed with SIGKILL again and again, at random positions: the files end right, and every grant is
//! accounted for. `HOMEOSTAT_KILLS` says how many kills there are (20 where nobody says), with six files for each.
//!
//! Two phases of a life are hit, each five times or more: before anything begins, while its database recovers from the kill before and its state is
//! loaded; and while attempts are in progress. Which it was is what the executor itself says: it logs when an attempt begins and how it ends,
//! outlives its owner by a moment, and cancels what is in progress when the stream breaks. The phases of one attempt, hit exactly, are in
//! `tests/faults/steps.rs`. `KILL_SEED` repeats a run's random positions.
#![cfg(feature = "full")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod house;

use house::{House, environment, file};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

/// Kills where nobody says how many.
const KILLS: usize = 20;
const FILES_PER_KILL: usize = 6;
/// How often each phase is hit at least.
const HITS: usize = 5;
/// Of so many kills one comes before anything can have begun.
const EARLY: usize = 3;
/// Such a kill comes within so many milliseconds after the start.
const EARLY_MS: u64 = 150;
/// Attempts in flight at most: what is lost in five hundred kills is read at once in the end.
const IN_FLIGHT: usize = 64;
/// Lines of what a process said that are shown where it ended for another reason.
const LAST_WORDS: usize = 40;
/// Attempts that begin in one life before it is killed, at most: all lives together must not finish all files.
const MOST_BEGUN: usize = 9;

/// What the executor said of an attempt in one life.
#[derive(Default)]
struct Life {
    begun: BTreeMap<u64, String>,
    ended: BTreeMap<u64, String>,
}

impl Life {
    /// Takes in a line of the executor's log; says whether an attempt began.
    fn take(&mut self, line: &str) -> bool {
        let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { return false };
        let fields = &line["fields"];
        let Some(attempt) = fields["attempt"].as_u64() else { return false };
        let text = |field: &str| fields[field].as_str().unwrap_or_default().to_owned();
        match fields["message"].as_str() {
            Some("begins") => self.begun.insert(attempt, text("name")).is_none(),
            Some("ended") => {
                self.ended.insert(attempt, text("error"));
                false
            }
            _ => false,
        }
    }

    /// Attempts that had begun and not ended when the owner was killed, with what they were doing.
    fn unfinished(&self) -> BTreeMap<u64, String> {
        let phase = |attempt: &u64| match self.ended.get(attempt) {
            None => Some("in progress".to_owned()),
            Some(error) => {
                error.strip_prefix("cancelled while ").and_then(|rest| rest.split(':').next()).map(str::to_owned)
            }
        };
        self.begun
            .iter()
            .filter_map(|(attempt, name)| Some((*attempt, format!("{name}, {}", phase(attempt)?))))
            .collect()
    }
}

/// Starts a deploy, kills it when `position` attempts have begun and `delay` has passed, and waits until its executor has ended too. Position 0 is
/// its start.
fn live_and_die(house: &House, position: usize, delay: Duration) -> Life {
    let mut command = house.command("deploy -f manifests");
    command.env("RUST_LOG", "homeostat=debug").env("HOMEOSTAT_LOG_FORMAT", "json");
    let mut deploy = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut life = Life::default();
    let (mut begun, mut said) = (0, Vec::new());
    if position == 0 {
        std::thread::park_timeout(delay);
        deploy.kill().unwrap();
    }
    // Ends when the last process that can write has ended: the deploy, the executor, and the private server with it.
    for line in BufReader::new(deploy.stderr.take().unwrap()).lines() {
        said.push(line.unwrap());
        begun += usize::from(life.take(&said[said.len() - 1]));
        if begun == position {
            begun += 1; // once
            std::thread::park_timeout(delay);
            deploy.kill().unwrap();
        }
    }
    let status = deploy.wait().unwrap();
    let last = || said[said.len().saturating_sub(LAST_WORDS)..].join("\n");
    assert_eq!(status.signal(), Some(9), "it ended by itself ({status}), and not by our kill:\n{}", last());
    life
}

#[test]
fn l8_kills_lose_nothing() {
    let seed = std::env::var("KILL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random::<u64>);
    println!("KILL_SEED={seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let house = House::new();
    let kills = std::env::var("HOMEOSTAT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let files = kills * FILES_PER_KILL;
    let names: Vec<String> = (0..files).map(|number| format!("file-{number:03}")).collect();
    let manifest = |name: &String| file(name, &format!("FOLDER/files/{name}"), name, "");
    let limited = format!("spec: {{deploy: {{maxInFlight: {IN_FLIGHT}}}}}");
    let declared = environment("{type: local, delayMs: 20}", 2).replace("spec: {}", &limited);
    house.write("manifests/environment.yaml", &declared);
    house.write("manifests/resources.yaml", &names.iter().map(manifest).collect::<String>());
    std::fs::create_dir(house.path("files")).unwrap();

    let (mut lost, mut early, mut in_progress) = (BTreeSet::new(), 0, 0);
    for kill in 1..=kills {
        let (position, delay) = match kill % EARLY {
            0 => (0, random.random_range(0..EARLY_MS)),
            _ => (random.random_range(1..=MOST_BEGUN), random.random_range(0..20)),
        };
        let life = live_and_die(&house, position, Duration::from_millis(delay));
        let unfinished = life.unfinished();
        let shown: Vec<String> =
            unfinished.iter().map(|(attempt, phase)| format!("attempt {attempt} ({phase})")).collect();
        println!(
            "kill {kill:2}, {delay:2} ms after begin {position}: {}",
            if shown.is_empty() { "nothing in progress".into() } else { shown.join("; ") }
        );
        early += usize::from(life.begun.is_empty());
        in_progress += usize::from(!unfinished.is_empty());
        lost.extend(unfinished.into_keys());
    }
    println!("{kills} kills: {early} before anything began, {in_progress} with an attempt begun and unfinished");
    assert!(early >= HITS.min(kills / EARLY), "too few kills came before the work: {early}");
    assert!(in_progress >= HITS && in_progress * 2 >= kills, "too few kills hit an attempt: {in_progress}");

    let last = house.run("deploy -f manifests");
    assert_eq!(last.code, 0, "{}{}", last.out, last.err);
    println!("{}", last.out);
    for name in &names {
        assert_eq!(house.read(&format!("files/{name}")), *name);
    }
    assert_eq!(std::fs::read_dir(house.path("files")).unwrap().count(), files, "nothing else is left behind");
    account_for(&house, &lost);
}

/// Every attempt has exactly one outcome, and those that a kill cut short are recorded as lost.
fn account_for(house: &House, lost: &BTreeSet<u64>) {
    let history = house.run("history --attempts --limit 100000 -o json").json();
    let attempts = history["items"].as_array().unwrap();
    let mut results: BTreeMap<u64, &str> = BTreeMap::new();
    for attempt in attempts {
        let earlier = results.insert(attempt["attempt"].as_u64().unwrap(), attempt["result"].as_str().unwrap());
        assert_eq!(earlier, None, "an attempt is listed once: {attempt}");
    }
    let count = |result: &str| results.values().filter(|found| **found == result).count();
    println!(
        "{} grants: {} created, {} unchanged, {} lost, {} revoked",
        results.len(),
        count("created"),
        count("unchanged"),
        count("lost"),
        count("revoked")
    );
    assert_eq!(count("open"), 0, "every grant has an outcome");
    for attempt in lost {
        assert_eq!(results.get(attempt), Some(&"lost"), "attempt {attempt} was cut short");
    }
}
