//! What is told when a scenario failed: everything a person would ask for first. Best effort: what cannot be read is said, and the rest follows.

use crate::cluster::{KINDS, OPERATOR_NAMESPACE, kubectl};
use crate::conditions;
use crate::scenario::Scenario;

/// Tells conditions, pods, logs, Events and attempts of the scenario's namespace.
pub async fn tell(scenario: &Scenario) {
    let namespace = scenario.namespace.as_str();
    eprintln!("\n---- {namespace} failed; this is what is known ----");
    for kind in KINDS {
        match scenario.objects(kind).await {
            Ok(objects) => objects.values().for_each(|object| eprintln!("{kind} {}", conditions::line(object))),
            Err(failure) => eprintln!("{}", failure.told()),
        }
    }
    section("pods", kubectl(&["get", "pods", "-A", "-o", "wide"]).await);
    section("config maps", kubectl(&["get", "configmaps", "-n", namespace, "-o", "yaml"]).await);
    section("events", kubectl(&["get", "events", "-n", namespace, "--sort-by=.metadata.creationTimestamp"]).await);
    let selector = "app.kubernetes.io/name=homeostat-executor";
    section("executors", kubectl(&["logs", "-n", namespace, "-l", selector, "--tail=60", "--prefix"]).await);
    let selector = "app.kubernetes.io/name=homeostat";
    section("operator", kubectl(&["logs", "-n", OPERATOR_NAMESPACE, "-l", selector, "--tail=120"]).await);
    section(
        "operator before",
        kubectl(&["logs", "-n", OPERATOR_NAMESPACE, "-l", selector, "--tail=40", "--previous"]).await,
    );
    match scenario.cluster.attempts(namespace).await {
        Ok(attempts) => attempts.iter().rev().take(60).rev().for_each(|attempt| eprintln!("attempt {attempt}")),
        Err(failure) => eprintln!("{}", failure.told()),
    }
    eprintln!("---- end of what is known of {namespace} ----\n");
}

fn section(name: &str, answer: crate::Outcome<String>) {
    match answer {
        Ok(text) => eprintln!("-- {name}:\n{}", text.trim_end()),
        Err(failure) => eprintln!("-- {name}: {}", failure.told()),
    }
}
