//! A folder with manifests and state, and the built binary run in it, as a user runs it.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic)]

pub(crate) mod pipe;

use regex::Regex;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take that is awaited.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// What a command did.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The document that `-o json` printed.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {}\n{}", self.out, self.err))
    }
}

/// A temporary folder, removed at the end.
pub(crate) struct House {
    folder: tempfile::TempDir,
}

impl House {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A house with an environment, a target with this connection, and resources.
    pub(crate) fn with(connection: &str, resources: &str) -> Self {
        let house = Self::new();
        house.write("manifests/environment.yaml", &environment(connection, 1));
        house.write("manifests/resources.yaml", resources);
        house
    }

    /// The same, and what failed is not tried again before somebody asks.
    pub(crate) fn patient(connection: &str, resources: &str) -> Self {
        let house = Self::with(connection, resources);
        let retries = environment(connection, 1).replace("spec: {}", "spec: {retry: {baseDelay: 1h, maxDelay: 1h}}");
        house.write("manifests/environment.yaml", &retries);
        house
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file; `FOLDER` in it stands for the house's folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.replace("FOLDER", self.folder.path().to_str().unwrap())).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The binary with these words (split at blanks, quotes kept together), ready to start.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
        let words = Regex::new(r#""([^"]*)"|(\S+)"#)
            .unwrap()
            .captures_iter(words)
            .map(|word| word.get(1).or_else(|| word.get(2)).unwrap().as_str().to_owned())
            .collect::<Vec<_>>();
        command.args(words).current_dir(self.folder.path()).stdin(Stdio::null());
        for variable in [
            "RUST_LOG",
            "HOMEOSTAT_DATA_DIR",
            "HOMEOSTAT_DATABASE_URL",
            "HOMEOSTAT_ENVIRONMENT",
            "HOMEOSTAT_LOG_FORMAT",
        ] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, words: &str) -> Ran {
        ran(&self.command(words).output().unwrap())
    }

    /// Runs it, and compares exit code and stdout (normalised, see [`House::normal`]) with what is expected.
    pub(crate) fn check(&self, words: &str, code: i32, expected: &str) {
        let ran = self.run(words);
        let found = self.normal(&ran.out);
        let expected = unindented(expected);
        assert!(
            ran.code == code && found == expected,
            "homeostat {words}\n--- expected, with code {code}\n{expected}\n--- found, with code {}\n{found}\n--- stderr\n{}",
            ran.code,
            ran.err
        );
    }

    /// Runs it, and compares exit code and stderr.
    pub(crate) fn refuses(&self, words: &str, code: i32, expected: &str) {
        let ran = self.run(words);
        let found = self.normal(&ran.err);
        assert_eq!((ran.code, found.as_str()), (code, unindented(expected).as_str()), "homeostat {words}\n{}", ran.out);
    }

    /// Takes out what differs from run to run: times, rates, authors, executors, the folder; and the padding of columns.
    pub(crate) fn normal(&self, text: &str) -> String {
        let rules = [
            (r"\d+(\.\d+)?(ms|s|m\d*s?)\b( ago)?", "TIME"),
            (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
            (r"\(\d+/s\)", "(RATE)"),
            (r"\S+@\S+", "AUTHOR"),
            (r"default-[0-9a-f]{16}", "EXECUTOR"),
            (r"\b[0-9a-f]{32}\b", "DIGEST"),
            (r"process \d+ \(`[^`]*`\) since \S+ \S+ UTC", "HOLDER"),
            (r"(\S) {2,}", "$1  "),
            (r"(?m)\s+$", ""),
        ];
        let text = text.replace(self.folder.path().to_str().unwrap(), "FOLDER");
        rules
            .iter()
            .fold(text, |text, (pattern, with)| Regex::new(pattern).unwrap().replace_all(&text, *with).into_owned())
    }
}

/// An environment `house` with a target `here`.
pub(crate) fn environment(connection: &str, concurrency: u32) -> String {
    format!(
        "apiVersion: homeostat.dev/v1alpha1
kind: Environment
metadata: {{name: house}}
spec: {{}}
---
apiVersion: homeostat.dev/v1alpha1
kind: Target
metadata: {{name: here}}
spec:
  environmentRef: {{name: house}}
  connection: {connection}
  concurrency: {concurrency}
"
    )
}

/// The manifest of a `host.File`.
pub(crate) fn file(name: &str, path: &str, content: &str, requires: &str) -> String {
    resource(name, "host.File", &format!("{{path: \"{path}\", content: \"{content}\"}}"), requires)
}

/// The same of one whose name is its file's, with a label.
pub(crate) fn labelled(name: &str, tier: &str, content: &str) -> String {
    file(name, &format!("FOLDER/{name}"), content, "")
        .replace(&format!("{{name: {name}}}"), &format!("{{name: {name}, labels: {{tier: {tier}}}}}"))
}

/// These manifests for another environment and another target: `barn` and `there`.
pub(crate) fn of_barn(manifests: &str) -> String {
    manifests.replace("name: house", "name: barn").replace("name: here", "name: there")
}

/// The manifest of any resource on the target `here`.
pub(crate) fn resource(name: &str, kind: &str, attributes: &str, requires: &str) -> String {
    format!(
        "---
apiVersion: homeostat.dev/v1alpha1
kind: Resource
metadata: {{name: {name}}}
spec:
  environmentRef: {{name: house}}
  type: {kind}
  targetRef: {{name: here}}
  requires: [{requires}]
  attributes: {attributes}
"
    )
}

pub(crate) fn ran(output: &Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Waits until a condition holds, and fails when it does not in time.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Whether a path is there.
pub(crate) fn exists(path: &Path) -> bool {
    path.exists()
}

/// Text as written in a test: without the first line break, the common indentation, and blanks at line ends.
fn unindented(text: &str) -> String {
    let lines: Vec<&str> = text.trim_start_matches('\n').lines().collect();
    let indent = lines
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    let lines: Vec<&str> = lines.iter().map(|line| line.get(indent..).unwrap_or("").trim_end()).collect();
    let text = lines.join("\n");
    Regex::new(r"(\S) {2,}").unwrap().replace_all(text.trim_end(), "$1  ").into_owned()
}
