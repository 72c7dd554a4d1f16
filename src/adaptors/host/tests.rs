//! Golden diffs, idempotence and safety of the host types, on a real file system.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::*;
use crate::adaptors::{Log, Work, WorkEnded, registry};
use serde_json::json;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use tempfile::TempDir;

/// Where attributes are wrong.
fn complaints(kind: &str, attributes: &Value) -> Vec<String> {
    let types = crate::api::Types::built_in().unwrap();
    types.complaints(kind, attributes).into_iter().map(|error| error.path.to_string()).collect()
}

pub(super) fn desired(kind: &str, attributes: Value) -> (Desired, WorkEnded) {
    assert_eq!(complaints(kind, &attributes), [""; 0], "the attributes must be valid");
    let (work, ended) = Work::new();
    let desired = Desired {
        environment: "default".into(),
        name: "r1".into(),
        kind: kind.into(),
        target: "here".into(),
        connection: json!({"type": "local"}),
        attributes,
        sensitive: Vec::new(),
        remote_identity: None,
        reload: false,
        attempt: 1,
        deadline: Duration::from_secs(10),
        work,
        log: Log::default(),
    };
    (desired, ended)
}

/// Reads, applies what differs, and asserts that nothing differs then. Returns the first difference.
pub(super) async fn deploy(kind: &str, attributes: Value) -> Result<(Change, String), AdaptorError> {
    let (desired, _ended) = desired(kind, attributes);
    let first = Host.difference(&desired, false).await?;
    if first.difference.change != Change::None {
        Host.apply(&desired, &first).await?;
    }
    let second = Host.difference(&desired, false).await?;
    assert_eq!(
        (second.difference.change, second.difference.diff.as_str()),
        (Change::None, ""),
        "apply is not idempotent"
    );
    Host.apply(&desired, &first).await?;
    assert_eq!(
        Host.difference(&desired, false).await?.difference.change,
        Change::None,
        "apply twice is not idempotent"
    );
    Ok((first.difference.change, first.difference.diff))
}

pub(super) async fn delete(kind: &str, attributes: Value) -> Result<(Change, String), AdaptorError> {
    let (desired, _ended) = desired(kind, attributes);
    let first = Host.difference(&desired, true).await?;
    if first.difference.change != Change::None {
        Host.apply(&desired, &first).await?;
        assert_eq!(Host.difference(&desired, true).await?.difference.change, Change::None);
    }
    Ok((first.difference.change, first.difference.diff))
}

fn mode_of(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

pub(super) fn message<T: std::fmt::Debug>(result: Result<T, AdaptorError>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test]
async fn a_file_is_created_updated_and_deleted_with_golden_diffs() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("motd");
    let file = |content: &str, mode: &str| json!({"path": path, "content": content, "mode": mode});
    let created = deploy("host.File", file("one\ntwo\nthree\n", "0640")).await.unwrap();
    assert_eq!(created, (Change::Create, "mode: 0640\ncontent:\n@@ -0,0 +1,3 @@\n+one\n+two\n+three\n".to_owned()));
    assert_eq!(mode_of(&path), 0o640);
    let updated = deploy("host.File", file("one\n2\nthree", "0600")).await.unwrap();
    let diff =
        "mode: 0640 -> 0600\ncontent:\n@@ -1,3 +1,3 @@\n one\n-two\n-three\n+2\n+three\n\\ No newline at end of file\n";
    assert_eq!(updated, (Change::Update, diff.to_owned()));
    assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), mode_of(&path)), ("one\n2\nthree", 0o600));
    let rights = deploy("host.File", file("one\n2\nthree", "0644")).await.unwrap();
    assert_eq!(rights, (Change::Update, "mode: 0600 -> 0644\n".to_owned()));
    assert_eq!(
        delete("host.File", file("", "0644")).await.unwrap(),
        (Change::Delete, "delete the file (11 bytes)\n".to_owned())
    );
    assert_eq!(delete("host.File", file("", "0644")).await.unwrap().0, Change::None);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left beside the file");
}

/// What an attempt that changes nothing learns of the thing; only what its type declares.
pub(super) async fn facts(kind: &str, attributes: Value) -> FactValues {
    let (desired, _ended) = desired(kind, attributes);
    let found = Host.difference(&desired, false).await.unwrap();
    let as_desired = found.difference.change == Change::None;
    let facts = Host.facts(&desired, &found, as_desired).await.unwrap();
    let documented: Vec<&str> = registry::schema(kind).unwrap().facts.iter().map(|(name, _)| *name).collect();
    assert!(facts.keys().all(|name| documented.contains(&name.as_str())), "{facts:?} and {documented:?}");
    facts
}

#[tokio::test]
async fn facts_are_of_what_is_there_as_declared_or_not() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("motd");
    let file = |content: &str| json!({"path": path, "content": content, "mode": "0640"});
    assert!(facts("host.File", file("held")).await.is_empty(), "nothing is there");
    deploy("host.File", file("held")).await.unwrap();
    let known = facts("host.File", file("held")).await;
    assert_eq!((&known["size"], &known["mode"]), (&json!(4), &json!("0640")));
    let of_held = "c20dea4d876b5b8fb0a1814b43017030cea6d4ac30b2d9ae71b404d2faba49b5";
    assert_eq!(known["sha256"], json!(of_held));
    assert_eq!(facts("host.File", file("other")).await, known, "what is there, not what is declared");
    let user = rustix::process::geteuid().as_raw();
    assert_eq!(known["uid"], json!(user));
    let made = facts("host.Directory", json!({"path": folder.path()})).await;
    assert_eq!(made["uid"], json!(user));
    let root = facts("host.User", json!({"name": "root"})).await;
    assert_eq!((&root["uid"], &root["gid"]), (&json!(0), &json!(0)));
    assert_eq!(facts("host.Group", json!({"name": "root"})).await["gid"], json!(0));
    assert!(facts("host.Group", json!({"name": "nobody-of-homeostat", "ensure": "absent"})).await.is_empty());
}

#[tokio::test]
async fn binary_content_is_not_shown() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("blob");
    let first = deploy("host.File", json!({"path": path, "contentBase64": "AAEC\nAwQ="})).await.unwrap();
    assert_eq!(first.1, "content: text, 0 bytes -> binary, 5 bytes\n");
    assert_eq!(std::fs::read(&path).unwrap(), [0, 1, 2, 3, 4]);
    let second = deploy("host.File", json!({"path": path, "content": "text"})).await.unwrap();
    assert_eq!(second.1, "content: binary, 5 bytes -> text, 4 bytes\n");
}

#[tokio::test]
async fn what_is_not_named_is_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("kept");
    std::fs::write(&path, "by someone").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o604)).unwrap();
    assert_eq!(deploy("host.File", json!({"path": path})).await.unwrap().0, Change::None);
    deploy("host.File", json!({"path": path, "content": "new"})).await.unwrap();
    assert_eq!(mode_of(&path), 0o604);
    deploy("host.File", json!({"path": path, "mode": "600"})).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
}

#[tokio::test]
async fn an_absent_file_is_deleted_and_its_removal_does_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gone");
    std::fs::write(&path, "x").unwrap();
    let absent = json!({"path": path, "ensure": "absent"});
    assert_eq!(deploy("host.File", absent.clone()).await.unwrap().0, Change::Delete);
    std::fs::write(&path, "someone else's").unwrap();
    assert_eq!(delete("host.File", absent).await.unwrap().0, Change::None);
    assert!(path.exists());
}

#[tokio::test]
async fn a_symbolic_link_is_replaced_and_never_written_through() {
    let folder = TempDir::new().unwrap();
    let (victim, path) = (folder.path().join("victim"), folder.path().join("link"));
    std::fs::write(&victim, "secret").unwrap();
    symlink(&victim, &path).unwrap();
    let (change, diff) = deploy("host.File", json!({"path": path, "content": "mine", "mode": "0644"})).await.unwrap();
    assert_eq!(change, Change::Replace);
    assert!(diff.starts_with(&format!("symbolic link to {} -> file\n", victim.display())), "{diff}");
    assert!(!diff.contains("secret"));
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "secret");
    assert!(!path.symlink_metadata().unwrap().is_symlink());
    // Also what an attacker laid in the way of the temporary file is not followed.
    let temporary = folder.path().join(format!(".homeostat-{}", crate::core::Hash::of(&[b"link"])));
    symlink(&victim, &temporary).unwrap();
    deploy("host.File", json!({"path": path, "content": "again"})).await.unwrap();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "secret");
}

#[tokio::test]
async fn a_file_never_replaces_a_folder_or_a_pipe() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sub");
    std::fs::create_dir(&path).unwrap();
    let file = json!({"path": path, "content": "x"});
    assert!(message(deploy("host.File", file.clone()).await).contains("is a folder"));
    assert!(message(delete("host.File", file).await).contains("is a folder"));
    let pipe = folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    assert!(message(deploy("host.File", json!({"path": pipe, "content": "x"})).await).contains("is a pipe"));
}

#[tokio::test]
async fn a_missing_folder_is_a_create_that_says_what_to_do() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("no/file");
    let (desired, _ended) = desired("host.File", json!({"path": path, "content": "x"}));
    let found = Host.difference(&desired, false).await.unwrap();
    assert_eq!(found.difference.change, Change::Create);
    let error = message(Host.apply(&desired, &found).await);
    assert!(error.contains("does not exist; declare it as a host.Directory"), "{error}");
    assert_eq!(delete("host.File", json!({"path": path})).await.unwrap().0, Change::None);
}

#[tokio::test]
async fn unknown_owners_and_connections_are_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("f");
    let error = message(deploy("host.File", json!({"path": path, "owner": "nobody-here"})).await);
    assert_eq!(error, "there is no user \"nobody-here\" in /etc/passwd; create it first, or give its number");
    let uid = rustix::process::getuid().as_raw().to_string();
    assert_eq!(deploy("host.File", json!({"path": path, "owner": uid})).await.unwrap().0, Change::Create);
    for (connection, expected) in [
        (json!({"type": "ssh"}), "target here has a connection of type \"ssh\""),
        (json!({}), "has no type"),
        (json!({"type": "local", "delayMs": 10_001}), "more than 10000 ms"),
        (json!({"type": "local", "port": 1}), "unknown field `port`"),
    ] {
        let (mut desired, _ended) = desired("host.File", json!({"path": path}));
        desired.connection = connection;
        let error = message(Host.difference(&desired, false).await.map(|_| ()));
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_directory_is_made_changed_and_deleted_only_when_empty() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("dir");
    let directory = |mode: &str| json!({"path": path, "mode": mode});
    let created = deploy("host.Directory", directory("0750")).await.unwrap();
    assert_eq!(created, (Change::Create, "a folder\nmode: 0750\n".to_owned()));
    let updated = deploy("host.Directory", directory("0700")).await.unwrap();
    assert_eq!(updated, (Change::Update, "mode: 0750 -> 0700\n".to_owned()));
    std::fs::write(path.join("someone's"), "").unwrap();
    let error = message(delete("host.Directory", directory("0700")).await);
    assert!(error.contains("is not empty (someone's)") && error.contains("deletionPolicy: Orphan"), "{error}");
    std::fs::remove_file(path.join("someone's")).unwrap();
    assert_eq!(delete("host.Directory", directory("0700")).await.unwrap().0, Change::Delete);
    std::fs::write(&path, "").unwrap();
    assert!(message(deploy("host.Directory", directory("0700")).await).contains("is a file"));
}

#[tokio::test]
async fn a_command_runs_until_it_shows_that_it_has() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("made");
    let command = json!({"argv": ["touch", path], "creates": path});
    let first = deploy("host.Command", command.clone()).await.unwrap();
    assert_eq!(first, (Change::Create, format!("run [\"touch\",{}]\n", json!(path))));
    assert_eq!(deploy("host.Command", command.clone()).await.unwrap().0, Change::None);
    assert_eq!(delete("host.Command", command).await.unwrap().0, Change::None);
    let unless = json!({"argv": ["rm", "-f", path], "unless": ["test", "!", "-e", path], "cwd": folder.path(), "env": {"A": "b"}});
    assert_eq!(deploy("host.Command", unless).await.unwrap().0, Change::Update);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_failing_command_shows_the_end_of_its_output() {
    let folder = TempDir::new().unwrap();
    let creates = folder.path().join("never");
    let run = |argv: Value| json!({"argv": argv, "creates": creates});
    let error = message(deploy("host.Command", run(json!(["ls", "/no/such/path"]))).await);
    assert!(error.starts_with("[\"ls\",\"/no/such/path\"] exited with code 2: ls: "), "{error}");
    let error = message(
        deploy("host.Command", run(json!(["sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x >&2; exit 3"]))).await,
    );
    assert!(error.contains("exited with code 3: …xxx") && error.len() < 3_000, "{error}");
    let error = message(deploy("host.Command", run(json!(["true"]))).await);
    assert!(error.contains("succeeded, but") && error.contains("is `creates` what it creates?"), "{error}");
    let error = message(deploy("host.Command", run(json!(["/no/such/program"]))).await);
    assert!(error.contains("cannot run \"/no/such/program\"") && error.contains("is it installed"), "{error}");
}

/// Reads a pipe until `text` arrived or its writers are gone.
async fn read_until_closed(mut pipe: tokio::net::unix::pipe::Receiver) -> String {
    let mut text = String::new();
    let read = tokio::io::AsyncReadExt::read_to_string(&mut pipe, &mut text);
    tokio::time::timeout(Duration::from_secs(20), read).await.expect("the process group still holds the pipe").unwrap();
    text
}

#[tokio::test]
async fn a_cancelled_command_is_killed_with_its_whole_group() {
    let folder = TempDir::new().unwrap();
    let fifo = folder.path().join("alive");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    // The pipe is open for writing in the shell and in its child, and closes when both are gone.
    let script = format!("exec 3>'{}'; echo started >&3; sleep 1000 & sleep 1000; wait", fifo.display());
    let (desired, ended) = desired("host.Command", json!({"argv": ["sh", "-c", script], "creates": "/no/such/thing"}));
    let pipe = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&fifo).unwrap();
    let running = tokio::spawn(async move { command::apply(&desired).await });
    tokio::time::timeout(Duration::from_secs(20), pipe.readable()).await.unwrap().unwrap();
    running.abort();
    assert_eq!(read_until_closed(pipe).await, "started\n");
    tokio::time::timeout(Duration::from_secs(20), ended.wait()).await.expect("the work is given back");
}

#[test]
fn the_examples_of_every_type_are_valid() {
    for schema in Host.types() {
        let examples = schema.attributes["examples"].as_array().unwrap_or_else(|| panic!("{} has none", schema.kind));
        for example in examples {
            assert_eq!(complaints(schema.kind, example), [""; 0], "{example}");
        }
    }
}

#[tokio::test]
async fn a_link_is_made_led_elsewhere_and_deleted() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("link");
    let link = |target: &str| json!({"path": path, "target": target});
    let kind = "host.Symlink";
    assert_eq!(deploy(kind, link("a")).await.unwrap(), (Change::Create, "target: a\n".to_owned()));
    assert_eq!(deploy(kind, link("/no/b")).await.unwrap(), (Change::Update, "target: a -> /no/b\n".to_owned()));
    assert_eq!(std::fs::read_link(&path).unwrap(), Path::new("/no/b"));
    assert_eq!(
        delete(kind, link("a")).await.unwrap(),
        (Change::Delete, "delete the symbolic link to /no/b\n".to_owned())
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left beside the link");
    std::fs::write(&path, "someone's").unwrap();
    for error in [message(deploy(kind, link("a")).await), message(delete(kind, link("a")).await)] {
        assert!(error.contains("is a file; a host.Symlink never replaces or deletes that"), "{error}");
    }
}

#[tokio::test]
async fn a_line_is_held_in_a_file_that_keeps_its_mode_and_its_other_lines() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sshd_config");
    std::fs::write(&path, "Port 22\n#PermitRootLogin yes\nSecret hunter2").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    let kind = "host.LineInFile";
    let line = |line: &str| json!({"path": path, "match": "^#?PermitRootLogin ", "line": line});
    assert_eq!(
        deploy(kind, line("PermitRootLogin no")).await.unwrap(),
        (Change::Update, "content:\n@@ -2 +2 @@\n-#PermitRootLogin yes\n+PermitRootLogin no\n".to_owned())
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "Port 22\nPermitRootLogin no\nSecret hunter2");
    assert_eq!(mode_of(&path), 0o640);
    deploy(kind, json!({"path": path, "line": "Port 23", "insertAfter": "^Port"})).await.unwrap();
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("Port 22\nPort 23\nPermit"));
    deploy(kind, json!({"path": path, "ensure": "absent", "match": "^Port"})).await.unwrap();
    assert_eq!(delete(kind, line("PermitRootLogin no")).await.unwrap().0, Change::Delete);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "Secret hunter2");
    assert_eq!(mode_of(&path), 0o640);
    let missing = folder.path().join("missing");
    let error = message(deploy(kind, json!({"path": missing, "line": "a"})).await);
    assert!(error.contains("does not exist; say `create: true`"), "{error}");
    let made = deploy(kind, json!({"path": missing, "line": "a", "create": true})).await.unwrap();
    assert_eq!((made.0, std::fs::read_to_string(&missing).unwrap().as_str()), (Change::Create, "a\n"));
    let link = folder.path().join("link");
    symlink(&missing, &link).unwrap();
    let error = message(deploy(kind, json!({"path": link, "line": "b"})).await);
    assert!(error.contains("is a symbolic link to"), "{error}");
}

#[test]
fn a_line_that_a_pattern_finds_stays_the_same_resource_when_it_changes() {
    let identity =
        |attributes: Value| registry::identity(registry::schema("host.LineInFile").unwrap(), "r1", &attributes);
    let matched = |line: &str| identity(json!({"path": "/a", "match": "^x=", "line": line}));
    assert_eq!(matched("x=1"), matched("x=2"));
    assert_ne!(identity(json!({"path": "/a", "line": "x"})), identity(json!({"path": "/a", "line": "y"})));
    let unit = |name: &str| registry::identity(registry::schema("host.Service").unwrap(), "r1", &json!({"name": name}));
    assert_eq!(unit("cron"), unit("cron.service"));
    assert_ne!(unit("cron"), unit("cron.timer"));
}

#[tokio::test]
async fn a_command_that_is_told_to_reload_runs_again() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("made");
    let (mut desired, _ended) = desired("host.Command", json!({"argv": ["mkdir", "-p", path], "creates": path}));
    desired.reload = true;
    let first = Host.difference(&desired, false).await.unwrap();
    assert_eq!(first.difference.change, Change::Create);
    Host.apply(&desired, &first).await.unwrap();
    let again = Host.difference(&desired, false).await.unwrap();
    let diff = format!("run [\"mkdir\",\"-p\",{}] again: what it requires has changed\n", json!(path));
    assert_eq!((again.difference.change, again.difference.diff.clone()), (Change::Update, diff));
    Host.apply(&desired, &again).await.unwrap();
}

#[test]
fn attributes_are_checked_with_pointers() {
    let found = |kind: &str, attributes: Value| complaints(kind, &attributes);
    assert_eq!(
        found("host.File", json!({"path": "etc/motd", "mode": "0999", "content": "", "contentBase64": "!"})),
        ["path", "mode", "contentBase64", "contentBase64"]
    );
    for path in ["/", "/a/../b", "/a//b", "/a/", "/./a", "/a\0"] {
        assert_eq!(found("host.Directory", json!({"path": path})), ["path"], "{path:?}");
    }
    assert_eq!(found("host.File", json!({"path": "/a", "mode": 644, "conten": ""})), ["conten", "mode"]);
    assert_eq!(found("host.Command", json!({"argv": ["true"]})), [""]);
    assert_eq!(
        found("host.Command", json!({"argv": [""], "creates": "xy", "env": {"A": 1}})),
        ["creates", "argv[0]", "env.A"]
    );
    let user = json!({"name": "-x", "group": "a:b", "groups": ["ok", "-G"], "shell": "sh", "comment": "a:b", "passwordHash": "plain"});
    assert_eq!(found("host.User", user), ["name", "group", "groups[1]", "shell", "comment", "passwordHash"]);
    for name in ["x-", "-x", "x=1", "x;y", "Xx", "x1/stable", "x1*", "x1:-"] {
        assert_eq!(found("host.Package", json!({"name": name})), ["name"], "{name:?}");
    }
    for name in ["-x", "a*", "a b", "a/b"] {
        assert_eq!(found("host.Service", json!({"name": name})), ["name"], "{name:?}");
    }
    let line = |more: Value| {
        let mut line = json!({"path": "/etc/x"});
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        found("host.LineInFile", line)
    };
    assert_eq!(
        line(json!({"line": "a", "match": "^b", "insertAfter": "(", "insertBefore": "c"})),
        ["match", "insertAfter", "insertAfter"]
    );
    assert_eq!((line(json!({})), line(json!({"line": "a\nb"}))), (vec![String::new()], vec!["line".to_owned()]));
}

/// What two programs print, of which the first one leaves another behind that never ends.
#[tokio::test]
async fn what_programs_print_is_in_the_log_of_their_attempt() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("made");
    let script = format!(
        "echo begins; printf ends >&2; touch '{}'; sleep 100000 & echo $! > '{}.pid'",
        path.display(),
        path.display()
    );
    let (desired, _ended) =
        desired("host.Command", json!({"argv": ["sh", "-c", script], "unless": ["sh", "-c", "echo looks; exit 1"]}));
    let found = Host.difference(&desired, false).await.unwrap();
    assert_eq!(desired.log.text(), ("looks\n".to_owned(), 0));
    Host.apply(&desired, &found).await.unwrap();
    let (text, _) = desired.log.text();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["begins", "ends", "looks"]);
    let left = std::fs::read_to_string(format!("{}.pid", path.display())).unwrap().trim().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(left).unwrap(), rustix::process::Signal::KILL)
        .unwrap();
}
