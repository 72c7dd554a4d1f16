//! `host.Service` with a real systemd.

use super::super::tests::{delete, deploy, desired, facts, message};
use super::machine_test;
use crate::adaptors::Adaptor;
use crate::adaptors::host::Host;
use crate::core::Change;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

const KIND: &str = "host.Service";

/// A unit that nothing of the machine is needed for.
fn unit(name: &str, service: &str) {
    let text = format!("[Unit]\nDefaultDependencies=no\n[Service]\n{service}\n[Install]\nWantedBy=multi-user.target\n");
    fs::write(format!("/etc/systemd/system/{name}.service"), text).unwrap();
}

fn property(name: &str, property: &str) -> String {
    let output =
        Command::new("systemctl").args(["show", "--value", "--property", property, "--", name]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What an attempt that is told to reload finds and does.
async fn reload(attributes: Value) -> (Change, String) {
    let (mut desired, _ended) = desired(KIND, attributes);
    desired.reload = true;
    let found = Host.difference(&desired, false).await.unwrap();
    if found.difference.change != Change::None {
        Host.apply(&desired, &found).await.unwrap();
    }
    (found.difference.change, found.difference.diff)
}

machine_test!("systemd", a_service_is_started_enabled_masked_and_deleted, {
    unit("homeostat-s", "ExecStart=/usr/bin/sleep infinity");
    let service = |state: &str, startup: &str| json!({"name": "homeostat-s", "state": state, "startup": startup});
    let known = async |attributes: Value| Value::Object(facts(KIND, attributes).await);
    let there = json!({"name": "homeostat-s"});
    assert_eq!(known(there.clone()).await, json!({"state": "stopped", "startup": "disabled"}));
    assert_eq!(known(json!({"name": "homeostat-gone"})).await, json!({}), "it is not there");
    let started = deploy(KIND, service("running", "enabled")).await.unwrap();
    let diff = "startup: disabled -> enabled\nstate: inactive (dead) -> running\n";
    assert_eq!(started, (Change::Update, diff.to_owned()));
    assert!(Path::new("/etc/systemd/system/multi-user.target.wants/homeostat-s.service").is_symlink());
    assert_eq!(deploy(KIND, json!({"name": "homeostat-s.service"})).await.unwrap().0, Change::None);
    let enabled = json!({"state": "running", "startup": "enabled"});
    assert_eq!(known(there.clone()).await, enabled);
    assert_eq!(known(service("stopped", "disabled")).await, enabled, "what is there, not what is declared");
    let stopped = deploy(KIND, service("stopped", "disabled")).await.unwrap();
    let diff = "startup: enabled -> disabled\nstate: active (running) -> stopped\n";
    assert_eq!(stopped, (Change::Update, diff.to_owned()));
    deploy(KIND, json!({"name": "homeostat-s", "state": "running"})).await.unwrap();
    assert_eq!(delete(KIND, service("running", "enabled")).await.unwrap().1, "state: active (running) -> stopped\n");

    fs::rename("/etc/systemd/system/homeostat-s.service", "/usr/lib/systemd/system/homeostat-s.service").unwrap();
    assert!(Command::new("systemctl").arg("daemon-reload").status().unwrap().success());
    let masked = service("stopped", "masked");
    assert_eq!(deploy(KIND, masked.clone()).await.unwrap().1, "startup: disabled -> masked\n");
    assert_eq!(known(there).await, json!({"state": "stopped", "startup": "masked"}));
    let error = message(deploy(KIND, json!({"name": "homeostat-s", "state": "running"})).await);
    assert!(error.contains("masked"), "{error}");
    let unmasked = deploy(KIND, service("running", "enabled")).await.unwrap();
    assert_eq!(unmasked.1, "startup: masked -> enabled\nstate: inactive (dead) -> running\n");
    deploy(KIND, masked.clone()).await.unwrap();
    assert_eq!(delete(KIND, masked).await.unwrap().1, "startup: masked -> disabled\n");
    assert_eq!(delete(KIND, json!({"name": "homeostat-gone", "state": "running"})).await.unwrap().0, Change::None);
});

machine_test!("systemd", a_service_takes_up_what_has_changed, {
    unit("homeostat-r", "ExecStart=/usr/bin/sleep infinity\nExecReload=/usr/bin/touch /run/reloaded");
    let service = |on_reload: &str| json!({"name": "homeostat-r", "state": "running", "onReload": on_reload});
    deploy(KIND, service("restart")).await.unwrap();
    let first = property("homeostat-r", "MainPID");
    let reloaded = reload(service("reload")).await;
    assert_eq!(reloaded, (Change::Update, "reload: what it requires has changed\n".to_owned()));
    assert!(Path::new("/run/reloaded").exists());
    assert_eq!(property("homeostat-r", "MainPID"), first, "reloaded, not restarted");
    // Its file has changed: systemd is told to read it again.
    unit("homeostat-r", "ExecStart=/usr/bin/sleep infinity\nEnvironment=NEW=1");
    let restarted = reload(service("restart")).await;
    assert_eq!(restarted, (Change::Update, "restart: what it requires has changed\n".to_owned()));
    assert_ne!(property("homeostat-r", "MainPID"), first);
    assert_eq!(property("homeostat-r", "Environment"), "NEW=1");
    deploy(KIND, json!({"name": "homeostat-r", "state": "stopped"})).await.unwrap();
    assert_eq!(
        reload(json!({"name": "homeostat-r"})).await.0,
        Change::None,
        "what does not run has nothing to take up"
    );
});

machine_test!("systemd", what_cannot_run_or_be_enabled_says_why, {
    unit("homeostat-once", "Type=oneshot\nExecStart=/usr/bin/true");
    unit("homeostat-bad", "Type=oneshot\nExecStart=/usr/bin/false");
    fs::write("/etc/systemd/system/homeostat-static.service", "[Service]\nExecStart=/usr/bin/true\n").unwrap();
    let running = |name: &str| json!({"name": name, "state": "running"});
    let error = message(deploy(KIND, running("homeostat-once")).await);
    assert!(error.contains("was started and is inactive (dead) now (success)"), "{error}");
    let error = message(deploy(KIND, running("homeostat-bad")).await);
    assert!(error.contains("start -- homeostat-bad.service: exited with code 1"), "{error}");
    unit("homeostat-slow", "Type=notify\nExecStart=/usr/bin/sleep infinity\nTimeoutStartSec=1");
    let error = message(deploy(KIND, running("homeostat-slow")).await);
    assert!(error.contains("homeostat-slow.service is failed (failed) now (timeout): look at"), "{error}");
    unit("homeostat-short", "ExecStart=/usr/bin/sh -c \"exit 7\"");
    let error = message(deploy(KIND, running("homeostat-short")).await);
    assert!(error.contains("(exit-code)") && !error.contains("oneshot"), "{error}");
    let error = message(deploy(KIND, running("homeostat-none")).await);
    assert!(error.contains("Unit homeostat-none.service not found"), "{error}");
    let error = message(deploy(KIND, json!({"name": "homeostat-none", "startup": "enabled"})).await);
    assert!(error.starts_with("there is no unit homeostat-none.service; declare the package"), "{error}");
    let error = message(deploy(KIND, json!({"name": "homeostat-static", "startup": "enabled"})).await);
    assert!(error.contains("was to be enabled, and is static; a unit without an [Install] section"), "{error}");
});
