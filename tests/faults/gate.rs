//! A resource that is attempted step by step: its command waits at a gate before its effect, and at another one after it.

use crate::town::{ENVIRONMENT, resource};
use crate::{eventually, pipe};
use homeostat::core::{Intent, Policy};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// A command that tells the log where it is, and waits at two gates: before its effect, and after it.
pub(crate) fn command(folder: &Path) -> Arc<Intent> {
    resource("gated", "local", "host.Command", &attributes(folder), Policy::default())
}

/// The same as a user declares it, with all that it needs.
pub(crate) fn manifests(folder: &Path) -> String {
    let head = "apiVersion: homeostat.dev/v1alpha1";
    let attributes = attributes(folder);
    format!(
        "{head}
kind: Environment
metadata: {{name: {ENVIRONMENT}}}
spec: {{retry: {{baseDelay: 1s, maxDelay: 1s}}}}
---
{head}
kind: Target
metadata: {{name: local}}
spec: {{environmentRef: {{name: {ENVIRONMENT}}}, connection: {{type: local}}}}
---
{head}
kind: Resource
metadata: {{name: gated}}
spec:
  environmentRef: {{name: {ENVIRONMENT}}}
  type: host.Command
  targetRef: {{name: local}}
  attributes: {attributes}
"
    )
}

fn attributes(folder: &Path) -> Value {
    for gate in ["before", "after"] {
        pipe::make(&folder.join(gate));
    }
    let script = "echo begun >> log; read _ < before; echo effect >> log; touch done; read _ < after";
    json!({"argv": ["sh", "-c", script], "cwd": folder.to_str().unwrap(), "creates": folder.join("done")})
}

pub(crate) fn lines(folder: &Path, line: &str) -> usize {
    let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    log.lines().filter(|found| *found == line).count()
}

/// Waits until the command has written this, so often.
pub(crate) async fn written(folder: &Path, line: &str, times: usize) {
    eventually(line, async || (lines(folder, line) >= times).then_some(())).await;
}

/// Lets whoever stands at this gate through, now or when he comes; one at a time.
pub(crate) async fn open(folder: &Path, gate: &str) {
    let path = folder.join(gate);
    eventually("somebody at the gate", async || pipe::pass(&path).then_some(())).await;
}
