//! What attempts said, and what they say while somebody else works.

use crate::house::{House, eventually, file, resource};
use crate::run::Running;
use crate::{LOCAL, small};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

#[test]
fn attempts_are_told_newest_last_with_what_differed_and_what_failed() {
    let house = House::with(LOCAL, &small("held"));
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    house.write("manifests/resources.yaml", &(small("held again") + &file("lost", "FOLDER/missing/lost", "x", "")));
    assert_eq!(house.run("deploy -f manifests -q").code, 1);
    house.check(
        "logs motd",
        0,
        "
        TIME motd created (attempt 2, UserDeploy, TIME, +1 -0)
        TIME motd updated (attempt 4, UserDeploy, TIME, +1 -1)",
    );
    let all = house.run("logs --limit 2 -o json").out;
    let last: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(last.iter().map(|line| line["name"].as_str().unwrap()).collect::<Vec<_>>(), ["motd", "lost"]);
    let failed = house.run("logs lost").out;
    assert!(
        house.normal(&failed).contains("lost failed (attempt 5, UserDeploy, TIME, +1 -0): the folder "),
        "{failed}"
    );
    assert!(house.run("logs motd -o wide").out.contains("+held again"));
    house.refuses(
        "logs mot",
        64,
        "
        error: there is no resource named mot; did you mean motd?
          `homeostat status` lists them all",
    );
}

#[test]
fn what_programs_print_is_told_under_their_attempt() {
    let ran = |script: &str| {
        let unless = "echo looks; test -e FOLDER/done";
        let attributes = format!("{{argv: [sh, -c, \"{script}; touch FOLDER/done\"], unless: [sh, -c, \"{unless}\"]}}");
        resource("ran", "host.Command", &attributes, "")
    };
    let broken = "{argv: [sh, -c, \"echo tries; exit 3\"], creates: FOLDER/never}";
    let broken = resource("broken", "host.Command", broken, "");
    let house = House::with(LOCAL, &(ran("seq 500") + &broken));
    assert_eq!(house.run("deploy -f manifests -q").code, 1);
    let told = house.run("logs ran").out;
    let lines: Vec<&str> = told.lines().skip(1).collect();
    assert_eq!((lines.len(), lines[0], lines[199]), (200, "    | … (302 lines before)", "    | 500"), "{told}");
    house.check(
        "logs broken",
        0,
        "
        TIME broken failed (attempt 1, UserDeploy, TIME): [\"sh\",\"-c\",\"echo tries; exit 3\"] exited with code 3: tries
            | tries",
    );
    let shown = house.run("show broken -o json").json();
    assert_eq!(shown["attempts"][0]["log"], "tries\n");

    // Nothing to do, nothing to tell; and what a terminal would obey is spelled out.
    house.run("repair ran -q");
    let verified = house.run("history ran -o json").json()["items"][0].clone();
    assert_eq!((verified["reason"].as_str(), verified.get("log")), (Some("UserRepair"), None), "{verified}");
    house.write("manifests/resources.yaml", &ran("echo unpacking; printf 'col\\\\tumn \\\\033[2J' >&2"));
    std::fs::remove_file(house.path("done")).unwrap();
    assert_eq!(house.run("deploy -f manifests -q --prune --yes").code, 0);
    let log = house.run("history ran -o json").json()["items"][0]["log"].clone();
    let mut lines: Vec<&str> = log.as_str().unwrap().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["col\tumn \\u{1b}[2J", "looks", "unpacking"]);
}

/// `homeostat logs -f`, and what it has said until now.
struct Following {
    process: Child,
    said: Arc<Mutex<Vec<Value>>>,
}

impl Following {
    fn start(house: &House, selector: &str) -> Self {
        let mut process = house.command(&format!("logs -f -o json {selector}")).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                heard.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { process, said }
    }

    fn eventually_says(&self, name: &str, result: &str) {
        let is_meant = |line: &Value| line["name"] == name && line["result"] == result;
        eventually(&format!("{name} {result}"), || self.said.lock().unwrap().iter().any(is_meant));
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It never ends by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn what_other_processes_do_is_followed_from_one_to_the_next() {
    let house = House::with(LOCAL, &small("held"));
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("created", Some("index"));
    let logs = Following::start(&house, "");
    logs.eventually_says("index", "created");
    house.write("made/motd", "changed by hand");
    assert_eq!(house.run("repair").code, 0);
    logs.eventually_says("motd", "updated");
    run.stop();
    // A command that ends at once may not be seen at work; what it did is read after it.
    assert_eq!(house.run("delete index --yes").code, 0, "nobody is kept out of the folder");
    logs.eventually_says("index", "deleted");
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("started", None);
    run.stop();
    let told = logs.said.lock().unwrap().clone();
    let ended = told.iter().filter(|line| line["result"] != "open");
    let mut numbers: Vec<u64> = ended.map(|line| line["attempt"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    let all = numbers.len();
    numbers.dedup();
    assert_eq!(numbers.len(), all, "each attempt once: {told:?}");
}

#[test]
fn what_lasts_is_told_when_it_is_open_and_who_joins_a_selection_is_followed() {
    let waits =
        "{argv: [sh, -c, \"until [ -e FOLDER/go ]; do sleep 0.1; done; touch FOLDER/done\"], creates: FOLDER/done}";
    let house = House::with(LOCAL, &(small("held") + &resource("ran", "host.Command", waits, "index")));
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("created", Some("index"));
    let logs = Following::start(&house, "--type host.Command");
    logs.eventually_says("ran", "open");
    let newest = house.run("logs --limit 1").out;
    assert!(newest.contains(" index created "), "what is open takes nobody's place: {newest}");
    let again = resource("again", "host.Command", "{argv: [touch, FOLDER/again], creates: FOLDER/again}", "ran");
    house.write("manifests/again.yaml", &again);
    run.eventually_says("accepted", None);
    house.write("go", "");
    logs.eventually_says("ran", "created");
    logs.eventually_says("again", "created");
    run.stop();
    let told = logs.said.lock().unwrap().clone();
    assert!(told.iter().all(|line| line["name"] == "ran" || line["name"] == "again"), "{told:?}");
    assert_eq!(told.iter().filter(|line| line["name"] == "ran").count(), 2, "{told:?}");
}
