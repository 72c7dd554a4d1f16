//! Every verb beside a `homeostat run` that holds the data folder: what the user sees is the same.

use crate::house::{House, environment, eventually, file, of_barn, resource};
use crate::run::Running;
use crate::{LOCAL, small};
use regex::Regex;
use rustix::process::{Pid, Signal};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

/// Runs a verb, and compares what it prints with what is expected, where `N` stands for the numbers of attempts: what else the process attempts
/// counts too.
fn check(house: &House, words: &str, code: i32, expected: &str) {
    let ran = house.run(words);
    let text = house.normal(&ran.out);
    let text = Regex::new(r"attempt \d+").unwrap().replace_all(&text, "attempt N").into_owned();
    let text = Regex::new(r"(?m)^(\w+  \w+)  \d+  ").unwrap().replace_all(&text, "$1  N  ").into_owned();
    let expected: Vec<&str> = expected.trim().lines().map(str::trim_start).collect();
    let found: Vec<&str> = text.trim().lines().map(str::trim_start).collect();
    assert_eq!((ran.code, found), (code, expected), "homeostat {words}\n{}", ran.err);
}

/// A house, and a process that runs it.
fn running(house: &House) -> Running<'_> {
    let run = Running::start(house, "-f manifests");
    run.eventually_says("started", None);
    eventually("all is as declared", || house.run("status").code == 0);
    run
}

#[test]
fn verbs_work_beside_a_process_that_runs_the_environment() {
    let house = House::with(LOCAL, &small("held"));
    let run = running(&house);
    check(&house, "deploy -f manifests", 0, "nothing to do: 3 of 3 resources compliant (version 1)");
    house.write("made/motd", "changed by hand\n");
    check(
        &house,
        "dry-run",
        2,
        "
        update motd  (drift: `homeostat repair` corrects it)
            content:
            @@ -1 +1 @@
            -changed by hand
            +held
            \\ No newline at end of file
        1 of 3 resources would change: 2 none, 1 update (on version 1)",
    );
    check(
        &house,
        "repair --report",
        2,
        "
        differs motd (attempt N)
            content:
            @@ -1 +1 @@
            -changed by hand
            +held
            \\ No newline at end of file
        version 1: 0 changed, 2 unchanged, 0 failed, 0 skipped; 3 attempts in TIME (RATE)
          motd differs and was left as it is: `homeostat repair` corrects it",
    );
    check(
        &house,
        "repair motd",
        0,
        "
        updated motd (attempt N)
            content:
            @@ -1 +1 @@
            -changed by hand
            +held
            \\ No newline at end of file
        version 1: 1 changed, 2 unchanged, 0 failed, 0 skipped; 1 attempt in TIME (RATE)",
    );
    house.write("elsewhere/all.yaml", &(environment(LOCAL, 1) + &small("held again")));
    check(
        &house,
        "deploy -f elsewhere -m second",
        0,
        "
        RESULT  NAME  ATTEMPT  TOOK  ERROR
        updated  motd  N  TIME  -
        version 2: 1 changed, 2 unchanged, 0 failed, 0 skipped; 1 attempt in TIME (RATE)",
    );
    check(
        &house,
        "rollback --to-version 1",
        0,
        "
        RESULT  NAME  ATTEMPT  TOOK  ERROR
        updated  motd  N  TIME  -
        version 3: 1 changed, 2 unchanged, 0 failed, 0 skipped; 1 attempt in TIME (RATE)",
    );
    assert_eq!(house.read("made/motd"), "held");
    house.refuses(
        "deploy indx",
        64,
        "
        error: there is no resource named indx; did you mean index?
          `homeostat status` lists them all",
    );
    let cycle = small("held").replace("requires: []", "requires: [index]");
    house.write("elsewhere/all.yaml", &(environment(LOCAL, 1) + &cycle));
    assert_eq!(house.run("deploy -f elsewhere").code, 3);
    check(
        &house,
        "delete index --yes",
        0,
        "
        RESULT  NAME  ATTEMPT  TOOK  ERROR
        deleted  index  N  TIME  -
        version 4: 1 changed, 2 unchanged, 0 failed, 0 skipped; 1 attempt in TIME (RATE)",
    );
    assert!(!house.path("made/index").exists());
    check(
        &house,
        "forget motd --yes",
        0,
        "
        forgot 1 resource (version 5); what is on its target stays there
          what the manifests still declare comes back with the next `homeostat deploy -f`",
    );
    assert!(house.run("history").out.contains("second"));
    assert_eq!(house.run("check").code, 0);
    run.stop();
}

#[test]
fn orders_take_effect_at_once_and_why_knows_what_only_the_process_knows() {
    let house = House::with(LOCAL, &small("held"));
    let limited = environment(LOCAL, 1) + "  rateLimit: {attempts: 2, period: 1h}\n";
    house.write("manifests/environment.yaml", &limited);
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("created", Some("motd"));
    house.check(
        "why index",
        1,
        "
        index is Updating
          the rate limit of target here is used up; the next may start in TIME",
    );
    let holds = house.run("show index -o json").json()["holds"].clone();
    assert_eq!((&holds[0]["hold"], &holds[1]), (&"rate".into(), &serde_json::Value::Null));

    house.check(
        "suspend -m \"a new disk\"",
        0,
        "
        environment house is suspended: nothing new starts, and versions are accepted
          `homeostat resume` lifts it",
    );
    let why = house.run("why index").out;
    assert!(why.contains("suspended the environment") && why.contains("`homeostat resume` lifts it"), "{why}");
    let deploy = house.run("deploy");
    assert_eq!(deploy.code, 1);
    assert!(deploy.out.contains("index does not run: "), "{}", deploy.out);
    house.check(
        "resume",
        0,
        "
        environment house is resumed
          AUTHOR suspended the environment TIME: a new disk
          1 resource waits; the process that runs the environment goes on with it",
    );

    let mut waiting = house.command("deploy").stdout(Stdio::piped()).spawn().unwrap();
    eventually("the request", || run.said("requested", None).len() == 4);
    rustix::process::kill_process(Pid::from_child(&waiting), Signal::INT).unwrap();
    let mut out = String::new();
    waiting.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!(waiting.wait().unwrap().code(), Some(130), "{out}");
    assert!(out.contains("no longer waited for; process "), "{out}");

    let cancelled = house.run("cancel -o json").json();
    assert_eq!(cancelled["cancelled"], serde_json::json!(["index"]));
    house.check(
        "deploy motd",
        1,
        "
        version 1: 0 changed, 2 unchanged, 0 failed, 0 skipped, 1 left; 0 attempts in TIME (RATE)
          1 other resource is not as declared: `homeostat status`",
    );
    run.stop();
}

#[test]
fn what_the_process_does_not_run_or_cannot_give_away_is_refused() {
    let house = House::with(LOCAL, &small("held"));
    let barn = environment(LOCAL, 1) + &file("hay", "FOLDER/hay", "dry", "");
    house.write("barn.yaml", &of_barn(&barn));
    assert_eq!(house.run("deploy -f barn.yaml -q").code, 0);
    let run = running_house(&house);
    let refused = house.run("deploy --environment barn");
    assert_eq!(refused.code, 4, "{}", refused.err);
    assert!(refused.err.contains("does not run environment barn; it runs: house"), "{}", refused.err);
    assert_eq!(house.run("why hay --environment barn").code, 0, "history knows");
    let delete = house.run("delete environment barn --yes");
    assert_eq!(delete.code, 4, "nobody runs executors for it: {}", delete.err);
    let gone = "nothing is known of environment barn any more; 1 resource stays on its target";
    house.check("clear environment barn --yes", 0, gone);
    assert!(house.path("hay").exists());
    assert_eq!(house.run("status").code, 0, "the other one is all there is");
    assert!(house.path("made/motd").exists());
    run.stop();
}

#[test]
fn an_environment_ends_while_it_is_run_and_begins_anew_when_its_files_change() {
    let house = House::with(LOCAL, &small("held"));
    let run = running(&house);
    assert_eq!(house.run("clear environment house").code, 64, "nobody has confirmed it");
    let cleared = house.run("clear environment house --yes");
    assert_eq!(cleared.code, 0, "{}", cleared.err);
    assert!(cleared.out.contains("nothing is known of environment house any more; 3 resources stay on their targets"));
    assert!(cleared.err.contains("still declare house: take it out of them"), "{}", cleared.err);
    run.eventually_says("ended", None);
    assert_eq!(house.run("status").code, 64, "nothing is known");
    assert!(!house.path("data/deploy/environments/house").exists());
    assert!(house.path("made/motd").exists());
    let refused = house.run("deploy -f manifests");
    assert_eq!(refused.code, 4, "{}", refused.err);
    assert!(refused.err.contains("environment house was ended"), "{}", refused.err);

    house.write("manifests/resources.yaml", &small("held again"));
    run.eventually_says("updated", Some("motd"));
    eventually("all is as declared", || house.run("status").code == 0);
    assert_eq!(house.run("status -o json").json()["version"], 1);
    let deleted = house.run("delete environment house --yes");
    assert_eq!(deleted.code, 0, "{}{}", deleted.out, deleted.err);
    assert!(deleted.err.contains("environment house has ended"), "{}", deleted.err);
    assert!(deleted.err.contains("still declare house"), "{}", deleted.err);
    assert!(!house.path("made").exists());

    let barn = environment(LOCAL, 1) + &file("hay", "FOLDER/hay", "dry", "");
    house.write("manifests/barn.yaml", &of_barn(&barn));
    run.eventually_says("created", Some("hay"));
    assert!(!house.path("made").exists(), "its files say what they said");
    run.stop();
}

/// As [`running`], where the data folder holds another environment too.
fn running_house(house: &House) -> Running<'_> {
    let run = Running::start(house, "-f manifests");
    run.eventually_says("started", None);
    eventually("all is as declared", || house.run("status --environment house").code == 0);
    run
}

/// Says something to the control socket, and hears what is answered until the end.
fn say(house: &House, text: &[u8]) -> String {
    let mut stream = UnixStream::connect(house.path("data/deploy/control.sock")).unwrap();
    // The other side may have closed it already.
    let _ = stream.write_all(text);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn what_is_said_to_the_socket_cannot_hurt_the_process() {
    let house =
        House::with(LOCAL, &[small("held"), resource("last", "host.Directory", "{path: FOLDER/last}", "")].concat());
    let run = running(&house);
    let deep = format!("{}\n", "[".repeat(100_000));
    let nowhere = br#"{"order":"why","environment":"nowhere","name":"x"}"#;
    for (text, answered) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "this is no order"),
        (b"\xff\x00\n", "this is no order"),
        (deep.as_bytes(), "this is no order"),
        (br#"{"order":"push"}"#, "an order ends before its line does"),
        (b"{\"order\":\"hello\",\"more\":1}\n", "this is no order"),
        (&[nowhere, &b"\n"[..]].concat(), "does not run environment"),
        (&vec![b'x'; 65 * 1024 * 1024], "longer than"),
        (b"", ""),
    ] {
        let answer = say(&house, text);
        assert!(answer.contains(answered), "{answered}: {answer}");
    }
    let silent: Vec<UnixStream> =
        (0..40).map(|_| UnixStream::connect(house.path("data/deploy/control.sock")).unwrap()).collect();
    let mut line = String::new();
    BufReader::new(silent.last().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("too many commands are connected at once"), "{line}");
    drop(silent);
    eventually("the places are free again", || house.run("deploy -f manifests").code == 0);
    house.write("made/motd", "changed by hand");
    assert_eq!(house.run("repair").code, 0);
    assert_eq!(house.read("made/motd"), "held");
    run.kill();
    assert!(house.path("data/deploy/control.sock").exists(), "nobody is behind it any more");
    house.check("deploy", 0, "nothing to do: 4 of 4 resources compliant (version 1)");
}

/// It is stopped between its lock and its socket: the verb says for whom it waits, and is done when that goes on.
#[test]
fn a_verb_that_comes_while_a_process_opens_the_folder_waits_for_it() {
    let house = House::with(LOCAL, &small("held"));
    let mut opening = house.command("run -f manifests").stdout(Stdio::null()).spawn().unwrap();
    let lock = house.path("data/deploy/lock");
    let is_locked = || std::fs::read_to_string(&lock).is_ok_and(|text| text.contains("opens") && text.ends_with('\n'));
    eventually("a process that opens the folder", is_locked);
    let process = Pid::from_child(&opening);
    rustix::process::kill_process(process, Signal::STOP).unwrap();
    let mut verb = house.command("suspend").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut said, mut stderr) = (String::new(), BufReader::new(verb.stderr.take().unwrap()));
    stderr.read_line(&mut said).unwrap();
    assert!(said.contains("waiting for process") && said.contains("just opening"), "{said}");
    rustix::process::kill_process(process, Signal::CONT).unwrap();
    let mut errors = String::new();
    stderr.read_to_string(&mut errors).unwrap();
    assert!(verb.wait().unwrap().success(), "{errors}");
    rustix::process::kill_process(process, Signal::TERM).unwrap();
    assert_eq!(opening.wait().unwrap().code(), Some(0));
}

#[test]
fn a_verb_does_its_work_and_ends_as_it_should_where_nobody_reads_what_it_says() {
    let house = House::with(LOCAL, &small("held"));
    let deaf = |words: &str| {
        let mut verb = house.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop((verb.stdout.take(), verb.stderr.take()));
        verb.wait().unwrap().code()
    };
    assert_eq!(deaf("deploy -f manifests"), Some(0));
    assert_eq!(house.read("made/motd"), "held");
    assert_eq!(deaf("deploy -f nowhere"), Some(house.run("deploy -f nowhere").code));
}
