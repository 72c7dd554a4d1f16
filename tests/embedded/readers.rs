//! R14: nobody reads what a `homeostat run` says, or what it logs, or what it answers: the work goes on, and what is not told is counted.

use crate::LOCAL;
use crate::house::{House, environment, eventually, file};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

/// Resources that fail again and again: each time is a line.
const FAILING: usize = 100;
/// More lines than wait for a reader, and than a pipe holds.
const MUCH: u64 = 7_000;

/// A house of failures, and one file that is as declared.
fn talkative() -> House {
    let failing = |number| file(&format!("failing-{number}"), &format!("FOLDER/nowhere/{number}"), "never", "");
    let house = House::with(LOCAL, &(0..FAILING).map(failing).collect::<String>());
    let restless = "spec: {retry: {baseDelay: 100ms, maxDelay: 100ms}}";
    house.write("manifests/environment.yaml", &environment(LOCAL, 8).replacen("spec: {}", restless, 1));
    house.write("manifests/motd.yaml", &file("motd", "FOLDER/motd", "0", ""));
    house
}

/// The number of the newest attempt; 0 before the first one.
fn newest_attempt(house: &House) -> u64 {
    let history = house.run("history --attempts --limit 1 -o json");
    let document: Value = serde_json::from_str(&history.out).unwrap_or_default();
    document["items"][0]["attempt"].as_u64().unwrap_or_default()
}

/// Waits until so many attempts more were made, and then for a change of a file to be made good.
fn works(house: &House, attempts: u64, content: &str) {
    let before = newest_attempt(house);
    eventually("attempts", || newest_attempt(house) >= before + attempts);
    house.write("manifests/motd.yaml", &file("motd", "FOLDER/motd", content, ""));
    eventually("the next content", || std::fs::read_to_string(house.path("motd")).is_ok_and(|found| found == content));
}

fn end(process: &mut Child) {
    kill_process(Pid::from_child(process), Signal::TERM).unwrap();
    eventually("the end of a run", || process.try_wait().unwrap().is_some());
    assert_eq!(process.wait().unwrap().code(), Some(0));
}

fn unread(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn r14_where_nobody_reads_what_happens_the_work_goes_on_and_ends_in_order() {
    let house = talkative();
    let mut run = unread(house.command("run -o json -f manifests"));
    works(&house, MUCH, "1");
    end(&mut run);
}

#[test]
fn r14_lines_that_nobody_read_in_time_are_counted() {
    let house = talkative();
    let mut run = unread(house.command("run -o json -f manifests"));
    works(&house, MUCH, "1");
    let (mut told, mut missed, mut asked_to_end) = (0, 0, false);
    for line in BufReader::new(run.stdout.take().unwrap()).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        told += u64::from(line["event"] == "failed");
        if line["event"] == "missed" {
            let words = line["message"].as_str().unwrap();
            missed += words.split(' ').next().unwrap().parse::<u64>().unwrap();
            if !std::mem::replace(&mut asked_to_end, true) {
                kill_process(Pid::from_child(&run), Signal::TERM).unwrap();
            }
        }
    }
    assert_eq!(run.wait().unwrap().code(), Some(0));
    let history = house.run("history --attempts --limit 100000 -o json").json();
    let attempts = history["items"].as_array().unwrap();
    let failed = attempts.iter().filter(|attempt| attempt["result"] == "failed").count() as u64;
    assert!(missed > 0 && told > 0, "{told} told, {missed} missed");
    // Some other lines may be among those that were missed.
    assert!((failed..failed + 10).contains(&(told + missed)), "{failed} failed, {told} told, {missed} missed");
}

#[test]
fn r14_where_nobody_reads_the_log_the_work_goes_on_and_lines_are_counted() {
    let house = talkative();
    let mut command = house.command("run -f manifests");
    command.env("RUST_LOG", "trace").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut run = command.spawn().unwrap();
    works(&house, 1_000, "1");
    let mut log = BufReader::new(run.stderr.take().unwrap());
    let (mut line, mut counted) = (Vec::new(), false);
    while !counted {
        line.clear();
        assert!(log.read_until(b'\n', &mut line).unwrap() > 0, "the log ends");
        counted = String::from_utf8_lossy(&line).contains("lines of this log could not be written in time");
    }
    // What it still has to say is read.
    let reading = std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    end(&mut run);
    reading.join().unwrap().unwrap();
}

/// They ask to be told of something that does not end, and do not listen.
#[test]
fn r14_commands_that_do_not_read_their_answers_hold_up_nobody() {
    let house = talkative();
    let mut run = house.command("run -f manifests").stdout(Stdio::null()).spawn().unwrap();
    works(&house, 1, "1");
    let order = b"{\"order\":\"wait\",\"environment\":\"house\",\"requests\":[]}\n";
    let mut deaf: Vec<UnixStream> =
        (0..20).map(|_| UnixStream::connect(house.path("data/deploy/control.sock")).unwrap()).collect();
    for stream in &mut deaf {
        stream.write_all(order).unwrap();
    }
    works(&house, 500, "2");
    assert_eq!(house.run("why motd").code, 0);
    let mut told = [0; 64];
    for stream in &mut deaf {
        stream.read_exact(&mut told).unwrap();
        // How it goes; or that it is over, where it was asked while all that failed waited for its retry.
        assert!(told.starts_with(b"{\"answer\":\""), "{}", String::from_utf8_lossy(&told));
    }
    drop(deaf);
    end(&mut run);
}
