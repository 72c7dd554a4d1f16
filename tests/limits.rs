//! Every bound stands in a `limits.rs`, and no queue is without one. Read from the sources themselves: a new bound beside them fails here.
#![allow(clippy::unwrap_used, missing_docs)]

use regex::Regex;
use std::path::{Path, PathBuf};

/// Numbers that bound nothing: units, formats, defaults, marks of a file format.
const NO_BOUNDS: [&str; 19] = [
    "PORT",
    "SOCKET_NAME_BYTES",
    "NONE",
    "KEY_BYTES",
    "HOUR_MS",
    "MINUTE_MS",
    "SECOND_MS",
    "DAY_SECONDS",
    "MODE_BITS",
    "DEFAULT_MODE",
    "DEFAULT_LIST_AGE_SECONDS",
    "MOST_ID",
    "CONTEXT_LINES",
    "SAME_REQUEST_SECONDS",
    "OWNER_ID",
    "MUTANT_SEEDS",
    "EXIT_STUCK",
    "MARK_BYTES",
    "NAMED",
];
/// What is for developers, and what plays the world.
const NOT_THE_PRODUCT: [&str; 4] = ["/tests", "cli/bench", "/simulation/", "/conformance"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let text = path.to_str().unwrap().to_owned();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs")
            && !NOT_THE_PRODUCT.iter().any(|part| text.contains(part))
        {
            found.push(path);
        }
    }
}

/// The product's sources without their tests: path below `src/`, and text.
fn product() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    assert!(paths.len() > 100, "the sources are here");
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let product = text.split("mod tests {").next().unwrap().to_owned();
        (path.strip_prefix(&root).unwrap().display().to_string(), product)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn a_bound_stands_in_a_limits_file() {
    let bound = Regex::new(
        r"(?m)^\s*(?:pub(?:\([a-z]+\))? )?const ([A-Z][A-Z0-9_]*): \(?(?:usize|u32|u64|i64|Duration|Rest)\b",
    )
    .unwrap();
    let mut elsewhere = Vec::new();
    for (path, text) in product().iter().filter(|(path, _)| !path.ends_with("limits.rs")) {
        let names = bound.captures_iter(text).map(|found| found[1].to_owned());
        elsewhere
            .extend(names.filter(|name| !NO_BOUNDS.contains(&name.as_str())).map(|name| format!("{path}: {name}")));
    }
    assert!(elsewhere.is_empty(), "bounds outside of limits.rs: {elsewhere:#?}");
}

/// How long something may take, and how long it is waited: bounds too, where they are written down in the midst of the code.
#[test]
fn a_time_to_wait_has_a_name() {
    assert_eq!(
        unnamed_times("sleep(PAUSE + Duration::from_millis(u64::from(chance() / 4))); timeout(f(WAIT), 4)").len(),
        1
    );
    assert_eq!(unnamed_times("sleep_until(Instant::now() + std::time::Duration::from_secs(5))").len(), 1);
    assert!(unnamed_times("sleep(Duration::from_millis(limits::GRACE_MS))").is_empty());
    let elsewhere: Vec<_> = product()
        .iter()
        .flat_map(|(path, text)| unnamed_times(text).into_iter().map(move |found| format!("{path}: {found}")))
        .collect();
    assert!(elsewhere.is_empty(), "times without a name: {elsewhere:#?}");
}

/// The waits of a source whose argument makes, wherever in it, a duration of a number.
fn unnamed_times(text: &str) -> Vec<&str> {
    let wait = Regex::new(r"(?:sleep|timeout|interval|keep_alive)\w*\(").unwrap();
    let duration = Regex::new(r"Duration::from_\w+\(").unwrap();
    let number = Regex::new(r"\b[0-9]").unwrap();
    let has_number = |found: regex::Match, text| number.is_match(argument(text, found.end()));
    let waits = wait.find_iter(text).map(|found| argument(text, found.end()));
    waits.filter(|waits| duration.find_iter(waits).any(|found| has_number(found, waits))).collect()
}

/// What stands from here to the end of the parentheses that are open here.
fn argument(text: &str, from: usize) -> &str {
    let mut open = 1;
    let ends = |character: char| {
        open += i32::from(character == '(') - i32::from(character == ')');
        open == 0
    };
    text[from..].split(ends).next().unwrap_or_default()
}

#[test]
fn a_limit_says_what_it_is_and_why() {
    let silent = Regex::new(r"(?m)^(?:[^/\n][^\n]*)?\n(?:pub(?:\([a-z]+\))? )?const ([A-Z][A-Z0-9_]*)").unwrap();
    for (path, text) in product().iter().filter(|(path, _)| path.ends_with("limits.rs")) {
        let found: Vec<_> = silent.captures_iter(text).map(|found| found[1].to_owned()).collect();
        assert!(found.is_empty(), "{path}: without a word: {found:?}");
    }
}

#[test]
fn no_queue_is_without_a_bound() {
    let queue = Regex::new(r"(unbounded_channel|FuturesUnordered::new|mpsc::channel\(\))").unwrap();
    for (path, text) in product() {
        let found: Vec<_> = queue.find_iter(&text).map(|found| found.as_str()).collect();
        assert!(found.is_empty(), "{path}: {found:?}");
    }
}
