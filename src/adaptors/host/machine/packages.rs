//! `host.Package` with the real apt and dpkg, and packages of our own from a folder.

use super::super::tests::{delete, deploy, desired, facts, message};
use super::machine_test;
use crate::adaptors::Adaptor;
use crate::adaptors::host::Host;
use crate::core::Change;
use rustix::fs::{FlockOperation, fcntl_lock};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

const KIND: &str = "host.Package";
const REPOSITORY: &str = "/srv/repository";
const LISTS: &str = "/var/lib/apt/lists";

/// Makes the folder the only source of packages there is.
fn only_source() {
    let _ = fs::remove_file("/etc/apt/sources.list");
    fs::remove_dir_all("/etc/apt/sources.list.d").unwrap();
    fs::write("/etc/apt/sources.list", format!("deb [trusted=yes] file:{REPOSITORY} ./\n")).unwrap();
    fs::create_dir_all(REPOSITORY).unwrap();
    fs::write(format!("{REPOSITORY}/Packages"), "").unwrap();
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Builds a package, with a configuration file and more lines of control, and offers it.
fn offer(name: &str, version: &str, more: &str, postinst: Option<&str>) {
    let folder = tempfile::TempDir::new().unwrap();
    let (root, debian) = (folder.path(), folder.path().join("DEBIAN"));
    fs::set_permissions(root, PermissionsExt::from_mode(0o755)).unwrap();
    fs::create_dir(&debian).unwrap();
    fs::create_dir(root.join("etc")).unwrap();
    fs::write(root.join(format!("etc/{name}.conf")), format!("version {version}\n")).unwrap();
    fs::write(debian.join("conffiles"), format!("/etc/{name}.conf\n")).unwrap();
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: test\n{more}"
    );
    fs::write(debian.join("control"), &control).unwrap();
    if let Some(script) = postinst {
        fs::write(debian.join("postinst"), script).unwrap();
        fs::set_permissions(debian.join("postinst"), PermissionsExt::from_mode(0o755)).unwrap();
    }
    let file = format!("{name}_{version}.deb");
    let path = format!("{REPOSITORY}/{file}");
    output("dpkg-deb", &["--build", "-Znone", root.to_str().unwrap(), &path]);
    let sum = output("sha256sum", &[&path]);
    let sum = sum.split(' ').next().unwrap();
    let mut packages = fs::read_to_string(format!("{REPOSITORY}/Packages")).unwrap();
    let size = fs::metadata(&path).unwrap().len();
    write!(packages, "{control}Filename: ./{file}\nSize: {size}\nSHA256: {sum}\n\n").unwrap();
    fs::write(format!("{REPOSITORY}/Packages"), packages).unwrap();
}

fn make_lists_old() {
    fs::File::open(LISTS).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
}

machine_test!("plain", a_package_is_installed_brought_up_to_date_pinned_and_removed, {
    only_source();
    offer("homeostat-a", "1.0", "", None);
    let known = async || Value::Object(facts(KIND, json!({"name": "homeostat-a"})).await);
    assert_eq!(known().await, json!({}), "it is not there");
    let created = deploy(KIND, json!({"name": "homeostat-a"})).await.unwrap();
    assert_eq!(created, (Change::Create, "version: not yet known\n".to_owned()), "the lists did not know it");
    assert_eq!(known().await, json!({"version": "1.0"}));
    fs::write("/etc/homeostat-a.conf", "by someone\n").unwrap();
    offer("homeostat-a", "2.0", "", None);
    let latest = json!({"name": "homeostat-a", "ensure": "latest"});
    assert_eq!(deploy(KIND, latest.clone()).await.unwrap().0, Change::None, "no list knows the new version");
    make_lists_old();
    assert_eq!(deploy(KIND, json!({"name": "homeostat-a"})).await.unwrap().0, Change::None, "any version will do");
    let updated = deploy(KIND, latest).await.unwrap();
    assert_eq!(updated, (Change::Update, "package lists: too old -> up to date\n".to_owned()));
    assert_eq!(output("dpkg-query", &["-f", "${Version}", "-W", "homeostat-a"]), "2.0");
    assert_eq!(
        Value::Object(facts(KIND, json!({"name": "homeostat-a", "version": "1.0"})).await),
        json!({"version": "2.0"}),
        "what is there, not what is declared"
    );
    let pinned = deploy(KIND, json!({"name": "homeostat-a", "version": "1.0"})).await.unwrap();
    assert_eq!(pinned, (Change::Update, "version: 2.0 -> 1.0\n".to_owned()));
    assert_eq!(fs::read_to_string("/etc/homeostat-a.conf").unwrap(), "by someone\n", "nobody was asked");
    let error = message(deploy(KIND, json!({"name": "homeostat-a", "version": "3.0"})).await);
    assert_eq!(error, "no source of packages has version 3.0 of homeostat-a; there are 2.0, 1.0");
    let removed = delete(KIND, json!({"name": "homeostat-a"})).await.unwrap();
    assert_eq!(removed, (Change::Delete, "delete the package, version 1.0\n".to_owned()));
    assert_eq!(known().await, json!({}), "configuration files alone are no version");
    assert!(Path::new("/etc/homeostat-a.conf").exists(), "configuration stays");
    let absent = json!({"name": "homeostat-a", "ensure": "absent", "purge": true});
    assert_eq!(deploy(KIND, absent).await.unwrap().1, "delete the configuration files\n");
    assert!(!Path::new("/etc/homeostat-a.conf").exists());
    let error = message(deploy(KIND, json!({"name": "homeostat-z"})).await);
    assert_eq!(error, "no source of packages has homeostat-z; add one to /etc/apt, or mend the name");
});

machine_test!("plain", no_other_package_is_removed, {
    only_source();
    offer("homeostat-a", "1.0", "", None);
    offer("homeostat-b", "1.0", "Depends: homeostat-a\n", None);
    offer("homeostat-c", "1.0", "Conflicts: homeostat-a\n", None);
    deploy(KIND, json!({"name": "homeostat-b"})).await.unwrap();
    let error = message(delete(KIND, json!({"name": "homeostat-a"})).await);
    assert!(error.starts_with("homeostat-a is needed by 1 installed packages (homeostat-b); declare"), "{error}");
    let error = message(deploy(KIND, json!({"name": "homeostat-c"})).await);
    assert!(error.contains("need to be removed but remove is disabled"), "{error}");
    // A name that apt would take for a pattern, or for the opposite, is nobody's name.
    let error = message(deploy(KIND, json!({"name": "homeostat-."})).await);
    assert!(error.starts_with("no source of packages has homeostat-."), "{error}");
    delete(KIND, json!({"name": "homeostat-b"})).await.unwrap();
    assert_eq!(delete(KIND, json!({"name": "homeostat-a"})).await.unwrap().0, Change::Delete);
});

machine_test!("plain", what_a_killed_dpkg_left_is_completed, {
    only_source();
    let script = "#!/bin/sh\nset -e\n[ -e /run/once ] && exit 0\ntouch /run/once\nkill -9 $PPID\n";
    offer("homeostat-d", "1.0", "", Some(script));
    let error = message(deploy(KIND, json!({"name": "homeostat-d"})).await);
    assert!(error.contains("exited with code 100") && !error.contains("apt-utils"), "{error}");
    let completed = deploy(KIND, json!({"name": "homeostat-d"})).await.unwrap();
    assert_eq!(completed, (Change::Update, "state: half-configured -> installed\n".to_owned()));
});

machine_test!("plain", a_lock_is_waited_for_until_the_deadline, {
    only_source();
    offer("homeostat-a", "1.0", "", None);
    output("apt-get", &["update"]);
    let path = "/var/lib/dpkg/lock-frontend";
    let lock = fs::OpenOptions::new().write(true).create(true).truncate(false).open(path).unwrap();
    fcntl_lock(&lock, FlockOperation::LockExclusive).unwrap();
    let (mut package, _ended) = desired(KIND, json!({"name": "homeostat-a"}));
    let found = Host.difference(&package, false).await.unwrap();
    package.deadline = Duration::from_secs(1);
    let error = message(Host.apply(&package, &found).await);
    assert!(error.contains("/var/lib/dpkg/lock-frontend"), "{error}");
    package.deadline = Duration::from_mins(5);
    let waiting = tokio::spawn(async move { Host.apply(&package, &found).await });
    while !somebody_else_has_open(Path::new(path)) {
        assert!(!waiting.is_finished(), "it did not wait");
        tokio::task::yield_now().await;
    }
    fcntl_lock(&lock, FlockOperation::Unlock).unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(deploy(KIND, json!({"name": "homeostat-a"})).await.unwrap().0, Change::None);
});

fn somebody_else_has_open(path: &Path) -> bool {
    let ourselves = std::process::id().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten().filter(|entry| entry.file_name() != *ourselves);
    let files = processes.filter_map(|process| fs::read_dir(process.path().join("fd")).ok()).flatten().flatten();
    files.into_iter().any(|file| fs::read_link(file.path()).is_ok_and(|open| open == path))
}
