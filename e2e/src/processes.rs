//! Killing what runs in a pod, as a crash would: the process itself, from the node, by KILL.
//!
//! The scenarios run in the cluster's network only; processes and cgroups are the machine's, where the kubelet's pods are found by their UID.

use crate::cluster::command;
use crate::failure::{Failure, Outcome};

/// The name of our program, as the kernel shows it.
const PROGRAM: &str = "homeostat";

/// Kills our process in the pod with this UID. Returns its number.
pub async fn kill(pod_uid: &str) -> Outcome<u32> {
    let process = find(pod_uid)?;
    command("kill", &["-KILL", &process.to_string()]).await?;
    Ok(process)
}

fn find(pod_uid: &str) -> Outcome<u32> {
    let failed = |source| Failure::Io { doing: "list the processes in /proc".to_owned(), source };
    for entry in std::fs::read_dir("/proc").map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(process) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end while it is looked at.
        let groups = std::fs::read_to_string(path.join("cgroup")).unwrap_or_default();
        let name = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
        if groups.contains(pod_uid) && name.trim() == PROGRAM {
            return Ok(process);
        }
    }
    Err(Failure::Wrong(format!("no process of {PROGRAM} belongs to pod {pod_uid}")))
}
