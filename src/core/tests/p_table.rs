//! P12: the whole table. What is removed in every state, under every policy, and declared again before its delete begins, while it runs, and after it.
//!
//! A cell tells what is sent for `a` from its removal on, until all is at rest; `=` where what the target calls it is kept, `!` where it is not
//! known any more, and what becomes of it where it is not good in the end. What each cell follows from stands beside the table.

use super::world::World;
use std::fmt::Write as _;

const STATES: [&str; 7] = ["new", "good", "failed", "skipped", "undefined", "running", "granted"];
const POLICIES: [&str; 4] = ["", "orphan", "observe", "protected"];
const TIMES: [&str; 3] = ["before", "during", "after"];

/// `a` requires `root`, or where it is undefined a `ghost`.
struct Cell {
    world: World,
    line: String,
}

impl Cell {
    fn new(state: &str, policy: &str) -> Self {
        let mut world = World::new(["t1", "t2"]);
        world.push("root");
        world.succeed("root");
        world.change_target("t2", |target| target.suspend = state == "new");
        let mut line = format!("a@t2 {policy} <- root");
        world.push(&line);
        match state {
            "failed" => world.fail("a", "no"),
            "running" => world.begin("a"),
            "new" | "granted" => {}
            _ => world.succeed_changed("a"),
        }
        if state == "skipped" {
            world.change("root");
            world.push(&line.replace("@t2", "@t2=2"));
            world.fail("root", "no");
            line = line.replace("@t2", "@t2=2");
        }
        if state == "undefined" {
            line = line.replace("root", "ghost");
            world.push(&line);
        }
        let word = match (state, policy) {
            ("good", "observe") => "drifted",
            ("new", _) => "queued",
            _ => state,
        };
        world.expect([("a", word)]);
        world.keep_answers();
        world.forget_grants();
        Self { world, line }
    }

    fn play(mut self, time: &str) -> String {
        let world = &mut self.world;
        let ends = |world: &mut World| {
            world.answer_at_once();
            if world.word("a") == "running" {
                world.succeed_changed("a");
            }
        };
        if time == "before" {
            world.change_target("t2", |target| target.suspend = true);
        }
        world.remove(["a"]);
        if time != "before" {
            world.change_target("t2", |target| target.suspend = false);
        }
        if time != "before" {
            ends(world);
            if world.word("a") == "granted" {
                world.begin("a");
            }
        }
        if time == "after" {
            world.run_all();
        }
        let then = if time == "after" { format!("{} | ", world.word("a")) } else { String::new() };
        world.push(&self.line);
        ends(world);
        world.change_target("t2", |target| target.suspend = false);
        world.push("ghost");
        for _ in 0..3 {
            world.run_all();
            world.advance(60_000);
        }
        let word =
            Some(world.word("a")).filter(|word| *word != "good").map_or_else(String::new, |word| format!(" → {word}"));
        let known = world.row_of("a").remote_identity.is_some();
        let sent = world.granted_of("a").join(", ");
        format!("{then}{sent} {}{word}", if known { '=' } else { '!' })
    }
}

/// Why:
///
/// * What was never attempted (new; granted, and the grant came back) is an orphan at once, under every policy (P3), and comes back as new.
/// * What was attempted, with success or without, may exist: under `delete` it is deleted (P1, P4). Before that begins, coming back cancels it and
///   the thing keeps its identity (P5); while it runs, coming back waits for its end (P6) and makes the thing anew.
/// * Being skipped or undefined says nothing of the target: what had been deployed before is deleted or kept like what is good.
/// * A run that is under way at the removal goes on and counts for nothing (B17): what it learned is kept where a delete or a successor needs it.
/// * `orphan` and `observe` send nothing (P3); what comes back is new, and its first attempt finds the thing on the target.
/// * `protected` sends nothing either, and stays as a tombstone (P11) that coming back ends, with its identity.
const GOLDEN: &str = "\
new       delete     a ! ; a ! ; orphan | a !
new       orphan     a ! ; a ! ; orphan | a !
new       observe    observe a ! ; observe a ! ; orphan | observe a !
new       protected  a ! ; a ! ; orphan | a !
good      delete     a = ; delete a, a ! ; deleted | delete a, a !
good      orphan     a ! ; a ! ; orphan | a !
good      observe    observe a ! ; observe a ! ; orphan | observe a !
good      protected  a = ; a = ; tombstone | a =
failed    delete     a ! ; delete a, a ! ; deleted | delete a, a !
failed    orphan     a ! ; a ! ; orphan | a !
failed    observe    observe a ! ; observe a ! ; orphan | observe a !
failed    protected  a ! ; a ! ; tombstone | a !
skipped   delete     a = ; delete a, a ! ; deleted | delete a, a !
skipped   orphan     a ! ; a ! ; orphan | a !
skipped   protected  a = ; a = ; tombstone | a =
undefined delete     a = ; delete a, a ! ; deleted | delete a, a !
undefined orphan     a ! ; a ! ; orphan | a !
undefined observe    observe a ! ; observe a ! ; orphan | observe a !
undefined protected  a = ; a = ; tombstone | a =
running   delete     a = ; delete a, a ! ; deleted | delete a, a !
running   orphan     a = ; a ! ; orphan | a !
running   observe    observe a ! ; observe a ! ; orphan | observe a !
running   protected  a = ; a = ; tombstone | a =
granted   delete     a ! ; a ! ; orphan | a !
granted   orphan     a ! ; a ! ; orphan | a !
granted   observe    observe a ! ; observe a ! ; orphan | observe a !
granted   protected  a ! ; a ! ; orphan | a !
";

#[test]
fn p12_every_state_under_every_policy_and_added_again_at_every_time() {
    let mut table = String::new();
    for state in STATES {
        // Observing ignores the result of what it requires: nothing observed is ever skipped.
        for policy in POLICIES.into_iter().filter(|policy| (state, *policy) != ("skipped", "observe")) {
            let cells = TIMES.map(|time| Cell::new(state, policy).play(time));
            let policy = if policy.is_empty() { "delete" } else { policy };
            let _ = writeln!(table, "{state:<9} {policy:<10} {}", cells.join(" ; "));
        }
    }
    assert_eq!(table, GOLDEN);
}
