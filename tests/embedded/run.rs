//! The autonomous form: drift, failures and changed files are dealt with while nobody commands, until a signal ends it.

use crate::LOCAL;
use crate::house::{House, environment, eventually, file, of_barn, pipe, resource};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

/// Everything good is verified every second.
const RESTLESS: &str = "spec: {repair: {interval: 1s, jitter: 0s}, retry: {baseDelay: 100ms, maxDelay: 1s}}";

/// A `homeostat run` that goes on, and what it has said until now.
pub(crate) struct Running<'a> {
    house: &'a House,
    process: Child,
    said: Arc<Mutex<Vec<Value>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl<'a> Running<'a> {
    pub(crate) fn start(house: &'a House, options: &str) -> Self {
        Self::start_with(house, options, None)
    }

    /// With a variable in its environment.
    fn start_with(house: &'a House, options: &str, variable: Option<(&str, &str)>) -> Self {
        let mut process = house
            .command(&format!("run -o json {options}"))
            .envs(variable)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            for line in lines {
                heard.lock().unwrap().push(serde_json::from_str(&line.unwrap()).unwrap());
            }
        });
        Self { house, process, said, reader: Some(reader) }
    }

    /// What it has said of this kind, of any resource or of one.
    pub(crate) fn said(&self, event: &str, name: Option<&str>) -> Vec<Value> {
        let is_meant = |line: &&Value| line["event"] == event && name.is_none_or(|name| line["name"] == name);
        self.said.lock().unwrap().iter().filter(is_meant).cloned().collect()
    }

    pub(crate) fn eventually_says(&self, event: &str, name: Option<&str>) -> Value {
        eventually(&format!("{event} {name:?}, beside {:?}", self.said.lock().unwrap()), || {
            !self.said(event, name).is_empty()
        });
        self.said(event, name).remove(0)
    }

    fn id(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.id(), signal).unwrap();
    }

    /// Ends it in order; everything it has said.
    pub(crate) fn stop(self) -> Vec<Value> {
        self.signal(Signal::TERM);
        self.ends_well()
    }

    /// Waits for the end in order that a signal has asked for; everything it has said.
    fn ends_well(mut self) -> Vec<Value> {
        let status = self.process.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        let said = self.said.lock().unwrap().clone();
        assert_eq!(status.code(), Some(0), "{said:?}");
        let open = self.house.run("history --attempts --limit 1000 -o json");
        let document: Value = serde_json::from_str(&open.out).unwrap_or_default();
        let attempts = document["items"].as_array().cloned().unwrap_or_default();
        assert!(attempts.iter().all(|attempt| attempt["result"] != "open"), "{document}");
        said
    }

    /// Waits for its end; the exit code.
    fn ended(mut self) -> Option<i32> {
        let status = self.process.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        status.code()
    }

    /// Ends it at once, with everything it has started.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // After a failed assertion nothing of it may stay.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A house whose environment never rests.
fn restless(resources: &str) -> House {
    let house = House::with(LOCAL, resources);
    house.write("manifests/environment.yaml", &environment(LOCAL, 4).replacen("spec: {}", RESTLESS, 1));
    house
}

#[test]
fn k5_what_is_changed_by_hand_is_put_right_without_a_command_until_a_signal_ends_it() {
    let house = restless(&file("motd", "FOLDER/motd", "held", ""));
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("created", Some("motd"));
    assert_eq!(run.said("started", None)[0]["version"], 1);
    house.write("motd", "changed by hand");
    let repaired = run.eventually_says("repaired", Some("motd"));
    assert!(repaired["diff"].as_str().unwrap().contains("-changed by hand"), "{repaired}");
    assert_eq!(house.read("motd"), "held");
    let said = run.stop();
    let last = said.last().unwrap();
    assert_eq!((&last["event"], &last["message"]), (&"stopped".into(), &"1 of 1 compliant".into()));
    let deploy = house.run("deploy -o json").json();
    assert_eq!((&deploy["version"], &deploy["changed"]), (&1.into(), &0.into()), "{deploy}");
}

#[test]
fn k5_where_the_policy_is_to_report_what_is_changed_by_hand_is_told_and_left() {
    let house = House::with(LOCAL, &file("motd", "FOLDER/motd", "held", ""));
    let spec = "spec: {repair: {interval: 1s, jitter: 0s, action: Report}}";
    house.write("manifests/environment.yaml", &environment(LOCAL, 4).replacen("spec: {}", spec, 1));
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("created", Some("motd"));
    house.write("motd", "changed by hand");
    let drifted = run.eventually_says("drifted", Some("motd"));
    assert!(drifted["diff"].as_str().unwrap().contains("-changed by hand"), "{drifted}");
    run.stop();
    assert_eq!(house.read("motd"), "changed by hand");
    assert_eq!(house.run("status motd -o json").json()["items"][0]["state"], "Drifted");
    assert_eq!(house.run("deploy -q").code, 0, "a user's deploy corrects it all the same");
    assert_eq!(house.read("motd"), "held");
}

/// A file that `/proc` has of a process: the words of its command line, the variables of its environment.
fn started_with(process: &Path, what: &str) -> Vec<String> {
    let text = std::fs::read_to_string(process.join(what)).unwrap_or_default();
    text.split('\0').map(str::to_owned).collect()
}

/// Its tables are large, read all over and often emptied, its executor's are not. A user who has set the allocator's tunables knows better.
#[test]
#[cfg(target_env = "gnu")]
fn a_scheduler_tunes_the_allocator_for_itself_alone() {
    let house = restless(&file("motd", "FOLDER/motd", "held", ""));
    // The C library ends each value in place, as if the next one were a variable of its own.
    let tunables = |process: &Path| {
        let environ = started_with(process, "environ");
        let values = environ.iter().map(|set| set.trim_start_matches("GLIBC_TUNABLES="));
        let values: Vec<_> = values.filter(|value| value.starts_with("glibc.")).collect();
        (!values.is_empty()).then(|| values.join(":"))
    };
    let is_executor = |process: &PathBuf| {
        let verb = started_with(process, "cmdline").into_iter().nth(1);
        verb.is_some_and(|verb| verb == "executor")
            && std::fs::read_link(process.join("cwd")).is_ok_and(|folder| folder == house.folder())
    };
    let ours = "glibc.malloc.hugetlb=1:glibc.malloc.mxfast=0";
    for (set, scheduler) in [(None, ours), (Some("glibc.malloc.check=0"), "glibc.malloc.check=0")] {
        let run = Running::start_with(&house, "-f manifests", set.map(|value| ("GLIBC_TUNABLES", value)));
        run.eventually_says("started", None);
        assert_eq!(tunables(&Path::new("/proc").join(run.id().to_string())).as_deref(), Some(scheduler));
        let processes = || std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        eventually("an executor", || processes().any(|process| is_executor(&process)));
        let executors: Vec<_> = processes().filter(is_executor).map(|executor| tunables(&executor)).collect();
        assert_eq!(executors, [set.map(str::to_owned)]);
        run.stop();
    }
}

#[test]
fn what_fails_is_tried_again_until_it_recovers() {
    let house = restless(&file("low", "FOLDER/missing/low", "x", ""));
    let run = Running::start(&house, "-f manifests");
    let failed = run.eventually_says("failed", Some("low"));
    assert!(failed["message"].as_str().unwrap().contains("missing"), "{failed}");
    eventually("a retry", || run.said("failed", Some("low")).len() > 1);
    std::fs::create_dir(house.path("missing")).unwrap();
    let recovered = run.eventually_says("recovered", Some("low"));
    assert!(recovered["message"].as_str().unwrap().starts_with("created after "), "{recovered}");
    assert_eq!(house.read("missing/low"), "x");
    run.stop();
}

#[test]
fn a_failure_says_when_it_is_tried_again_and_a_deploy_need_not_wait_for_that() {
    let house = House::with(LOCAL, &file("low", "FOLDER/missing/low", "x", ""));
    let patient = environment(LOCAL, 1).replacen("spec: {}", "spec: {retry: {baseDelay: 1h, maxDelay: 1h}}", 1);
    house.write("manifests/environment.yaml", &patient);
    let run = Running::start(&house, "-f manifests");
    let failed = run.eventually_says("failed", Some("low"));
    assert!(failed["next"].as_str().unwrap() > failed["at"].as_str().unwrap(), "{failed}");
    let started = run.eventually_says("started", None);
    assert!(started["message"].as_str().unwrap().contains("nothing is verified by itself"), "{started}");
    std::fs::create_dir(house.path("missing")).unwrap();
    assert_eq!(house.run("deploy low").code, 0);
    assert_eq!(run.eventually_says("recovered", Some("low"))["message"], "created after 1 failed attempt");
    run.stop();
}

#[test]
fn a_changed_file_becomes_a_version_and_a_broken_one_changes_nothing() {
    let house = restless(&[file("a", "FOLDER/a", "one", ""), file("b", "FOLDER/b", "one", "")].concat());
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("created", Some("b"));

    house.write("manifests/resources.yaml", &file("a", "FOLDER/a", "two", ""));
    run.eventually_says("updated", Some("a"));
    assert_eq!(house.read("a"), "two");
    assert_eq!(run.said("accepted", None).len(), 2);

    house.write("manifests/resources.yaml", &file("a", "FOLDER/a", "three", "").replace("content", "contents"));
    let refused = run.eventually_says("refused", None);
    let text = refused["message"].as_str().unwrap();
    assert!(text.contains("manifests/resources.yaml:10:") && text.contains("contents"), "{text}");
    house.write("a", "changed by hand");
    run.eventually_says("repaired", Some("a"));
    assert_eq!(house.read("a"), "two", "what was accepted before is held");

    house.write("manifests/resources.yaml", &file("a", "FOLDER/a", "four", ""));
    eventually("the mended file", || house.read("a") == "four");
    assert!(run.eventually_says("mended", None)["message"].as_str().unwrap().contains("nothing is wrong"));
    let said = run.stop();
    assert_eq!(said.iter().filter(|line| line["event"] == "refused").count(), 1, "{said:?}");
    assert!(house.path("b").exists(), "what is no longer declared is not deleted");
    assert_eq!(house.run("status -o json").json()["counts"]["total"], 2);
}

#[test]
fn what_is_released_by_hand_waits_for_a_deploy_from_a_second_terminal() {
    let house = restless(&file("a", "FOLDER/a", "one", ""));
    let manual = environment(LOCAL, 1).replacen("spec: {}", "spec: {deploy: {onChange: Manual}}", 1);
    house.write("manifests/environment.yaml", &manual);
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("accepted", None);
    assert_eq!(house.run("why a").code, 1);
    assert!(!house.path("a").exists());
    assert_eq!(house.run("deploy").code, 0);
    assert_eq!(house.read("a"), "one");
    house.write("manifests/resources.yaml", &file("a", "FOLDER/a", "two", ""));
    eventually("a second version", || run.said("accepted", None).len() == 2);
    assert_eq!(house.read("a"), "one");
    assert!(house.run("why a").out.contains("waits for release"));
    assert_eq!(house.run("deploy -m now").code, 0);
    assert_eq!(house.read("a"), "two");
    run.stop();
}

#[test]
fn a_prune_that_was_confirmed_in_advance_deletes_what_is_no_longer_declared() {
    let house = restless(&[file("a", "FOLDER/a", "one", ""), file("b", "FOLDER/b", "one", "")].concat());
    house.refuses(
        "run -f manifests --prune",
        64,
        "
        error: run --prune deletes on its own what the manifests no longer declare, and asks nobody
          add --yes to confirm that in advance",
    );
    let run = Running::start(&house, "-f manifests --prune --yes");
    run.eventually_says("created", Some("b"));
    house.write("manifests/resources.yaml", &file("a", "FOLDER/a", "one", ""));
    run.eventually_says("deleted", Some("b"));
    assert!(!house.path("b").exists() && house.path("a").exists());
    run.stop();
}

#[test]
fn environments_live_side_by_side_and_what_is_broken_in_one_does_not_touch_the_other() {
    let house = restless(&file("motd", "FOLDER/motd", "held", ""));
    let barn = environment(LOCAL, 4).replacen("spec: {}", RESTLESS, 1) + &file("hay", "FOLDER/hay", "dry", "");
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("created", Some("motd"));
    house.write("manifests/barn.yaml", &of_barn(&barn));
    run.eventually_says("created", Some("hay"));

    house.write("manifests/barn.yaml", &of_barn(&barn.replace("content", "contents")));
    run.eventually_says("refused", None);
    house.write("manifests/resources.yaml", &file("motd", "FOLDER/motd", "held again", ""));
    run.eventually_says("updated", Some("motd"));
    for (name, wanted) in [("motd", "held again"), ("hay", "dry")] {
        house.write(name, "changed by hand");
        run.eventually_says("repaired", Some(name));
        assert_eq!(house.read(name), wanted);
    }

    std::fs::remove_file(house.path("manifests/barn.yaml")).unwrap();
    let left = run.eventually_says("notRun", None);
    assert_eq!(left["environment"], "barn");
    assert!(house.path("hay").exists(), "nothing is deleted because its files have gone");
    house.write("motd", "changed again");
    eventually("the other one goes on", || house.read("motd") == "held again");
    run.stop();
}

#[test]
fn a6_without_its_database_it_ends_and_the_next_one_goes_on() {
    let house = restless(&file("motd", "FOLDER/motd", "held", ""));
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("created", Some("motd"));
    let server = house.read("data/deploy/postgres/postmaster.pid");
    let server = server.lines().next().unwrap().parse().unwrap();
    rustix::process::kill_process(Pid::from_raw(server).unwrap(), Signal::KILL).unwrap();
    assert_eq!(run.ended(), Some(5));
    let run = Running::start(&house, "-f manifests");
    house.write("motd", "changed by hand");
    run.eventually_says("repaired", Some("motd"));
    assert!(run.said("trouble", None).is_empty(), "nobody waits for the lease of a process that has ended");
    run.stop();
}

#[test]
fn l8_nothing_is_lost_when_it_is_killed() {
    let resources: String =
        (0..40).map(|number| file(&format!("file-{number}"), &format!("FOLDER/file-{number}"), "x", "")).collect();
    let house = House::with("{type: local, delayMs: 20}", &resources);
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("created", Some("file-3"));
    run.kill();
    let run = Running::start(&house, "-f manifests");
    eventually("every file", || (0..40).all(|number| house.path(&format!("file-{number}")).exists()));
    run.stop();
    house.check("deploy", 0, "nothing to do: 40 of 40 resources compliant (version 1)");
}

#[test]
fn what_cannot_be_run_is_refused_and_what_was_accepted_before_is_held_even_then() {
    let house = restless(&file("motd", "FOLDER/motd", "held", ""));
    house.refuses(
        "run -f -",
        64,
        "
        error: run reads its manifests again when they change, and standard input cannot be read twice
          write them to a file, and name that with -f",
    );
    house.write("manifests/resources.yaml", &file("motd", "FOLDER/motd", "held", "").replace("content", "contents"));
    let broken = house.run("run -f manifests");
    assert_eq!(broken.code, 3, "{}", broken.err);
    assert!(broken.err.contains("manifests/resources.yaml:10:"), "{}", broken.err);
    house.write("manifests/resources.yaml", &file("motd", "FOLDER/motd", "held", ""));
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    house.write("manifests/broken.yaml", "{");
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("refused", None);
    house.write("motd", "changed by hand");
    run.eventually_says("repaired", Some("motd"));
    run.stop();
    std::fs::remove_file(house.path("manifests/broken.yaml")).unwrap();
    let run = Running::start(&house, "-f manifests -f manifests/resources.yaml");
    run.eventually_says("started", None);
    house.refuses(
        "run -f manifests",
        4,
        "error: data/deploy is in use by HOLDER; wait until it has ended, stop it, or use another folder with --data-dir",
    );
    run.stop();
}

/// The program has begun when it has opened the one pipe, and ends when somebody opens the other.
#[test]
fn a_signal_lets_what_has_begun_end_and_starts_nothing_more() {
    let script = "read x <FOLDER/begun; read x <FOLDER/gate; touch FOLDER/done";
    let slow = resource("slow", "host.Command", &format!("{{argv: [sh, -c, \"{script}\"], creates: FOLDER/done}}"), "");
    let house = House::with(LOCAL, &[slow, file("next", "FOLDER/next", "x", "slow")].concat());
    let pipes = [house.path("begun"), house.path("gate")];
    for path in &pipes {
        pipe::make(path);
    }
    let run = Running::start(&house, "-f manifests");
    let pass = |path: &Path| eventually("somebody who reads the pipe", || pipe::pass(path));
    pass(&pipes[0]);
    run.signal(Signal::TERM);
    eventually("it has heard the signal", || house.run("why next").out.contains("the scheduler is stopping"));
    assert!(!house.path("done").exists() && run.said("stopped", None).is_empty(), "it waits for the attempt");
    pass(&pipes[1]);
    let said = run.ends_well();
    assert!(house.path("done").exists() && !house.path("next").exists());
    let told: Vec<_> =
        said.iter().map(|line| (line["event"].as_str(), line["name"].as_str(), line["message"].as_str())).collect();
    assert_eq!(
        told[told.len() - 2..],
        [(Some("created"), Some("slow"), None), (Some("stopped"), None, Some("1 of 2 compliant"))],
        "{said:?}"
    );
}

/// Nobody waits for a new year here: what it says of its next look is the cron's own time.
#[test]
fn a_cron_says_when_what_is_good_is_verified_again() {
    let house = House::with(LOCAL, &file("motd", "FOLDER/motd", "held", ""));
    let yearly = |cron: &str| {
        let spec = format!("spec: {{repair: {{schedule: \"{cron}\"}}}}");
        house.write("manifests/environment.yaml", &environment(LOCAL, 1).replacen("spec: {}", &spec, 1));
    };
    yearly("0 0 1 13 *");
    let refused = house.run("run -f manifests");
    assert!(refused.code == 3 && refused.err.contains("spec.repair.schedule: "), "{}", refused.err);
    yearly("30 4 1 1 *");
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("created", Some("motd"));
    let started = run.eventually_says("started", None);
    assert_eq!(started["message"], "0 of 1 compliant", "it is verified by itself");
    let why = house.run("why motd -o json").json();
    let next = why["items"][0]["holds"][0]["nextRepair"].as_str().unwrap().to_owned();
    assert!(next.ends_with("-01-01T04:30:00.000Z"), "{why}");
    assert!(house.run("why motd").out.contains("nothing to do; verified again in "), "{why}");
    run.stop();
}
