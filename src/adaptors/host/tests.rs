//! Golden diffs, idempotence and safety of the host types, on a real file system.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::*;
use crate::adaptors::{Work, WorkEnded, registry};
use serde_json::json;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use tempfile::TempDir;

fn desired(kind: &str, attributes: Value) -> (Desired, WorkEnded) {
    let schema = registry::schema(kind).unwrap();
    assert_eq!(registry::complaints(schema, &attributes), [], "the attributes must be valid");
    let (work, ended) = Work::new();
    let desired = Desired {
        environment: "default".into(),
        name: "r1".into(),
        kind: kind.into(),
        target: "here".into(),
        connection: json!({"type": "local"}),
        attributes,
        remote_identity: None,
        reload: false,
        attempt: 1,
        deadline: Duration::from_secs(10),
        work,
    };
    (desired, ended)
}

/// Reads, applies what differs, and asserts that nothing differs then. Returns the first difference.
async fn deploy(kind: &str, attributes: Value) -> Result<(Change, String), AdaptorError> {
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

async fn delete(kind: &str, attributes: Value) -> Result<(Change, String), AdaptorError> {
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

fn message<T: std::fmt::Debug>(result: Result<T, AdaptorError>) -> String {
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
fn attributes_are_checked_with_pointers() {
    let found = |kind: &str, attributes: Value| {
        let complaints = registry::complaints(registry::schema(kind).unwrap(), &attributes);
        complaints.into_iter().map(|complaint| complaint.pointer).collect::<Vec<_>>()
    };
    assert_eq!(
        found("host.File", json!({"path": "etc/motd", "mode": "0999", "content": "", "contentBase64": "!"})),
        ["/path", "/mode", "/contentBase64", "/contentBase64"]
    );
    for path in ["/", "/a/../b", "/a//b", "/a/", "/./a", "/a\0"] {
        assert_eq!(found("host.Directory", json!({"path": path})), ["/path"], "{path:?}");
    }
    assert_eq!(found("host.File", json!({"path": "/a", "mode": 644, "conten": ""})), ["/conten", "/mode"]);
    assert_eq!(found("host.Command", json!({"argv": ["true"]})), [""]);
    assert_eq!(
        found("host.Command", json!({"argv": [""], "creates": "xy", "env": {"A": 1}})),
        ["/creates", "/argv/0", "/env/A"]
    );
    assert_eq!(registry::similar_kind("host.file"), Some("host.File".to_owned()));
}
