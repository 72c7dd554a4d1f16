//! `examples/cluster`, as the README tells a user to apply it: Ready from nothing, applied again without a change, and gone without a rest.

use e2e::cluster::{Cluster, kubectl};
use e2e::failure::ensure;
use e2e::{Outcome, conditions, watch};
use std::time::Duration;

const FOLDER: &str = "../examples/cluster";
const NAMESPACE: &str = "homeostat-demo";

async fn whole_life() -> Outcome {
    let cluster = Cluster::connect().await?;
    kubectl(&["apply", "-f", FOLDER]).await?;
    let wait = ["wait", "--for=condition=Ready", "environment/demo", "--namespace", NAMESPACE, "--timeout=60s"];
    kubectl(&wait).await?;
    let all = |objects: &watch::Objects| match objects.values().find(|object| !conditions::is_ready(object)) {
        Some(object) => Err(conditions::line(object)),
        None => Ok(()),
    };
    watch::until(cluster.api(NAMESPACE, "Resource"), "Ready: every Resource", Duration::from_secs(30), all).await?;
    let again = kubectl(&["apply", "-f", FOLDER]).await?;
    ensure(again.lines().all(|line| line.ends_with(" unchanged")), || format!("applied again, it changed: {again}"))?;
    kubectl(&["delete", "-f", FOLDER, "--timeout=90s"]).await.map(drop)
}

#[tokio::test]
async fn the_example_becomes_ready_from_an_empty_cluster_and_goes_without_a_rest() {
    if let Err(failure) = whole_life().await {
        for arguments in [
            &["get", "homeostat", "--namespace", NAMESPACE, "-o", "wide"][..],
            &[
                "logs",
                "--namespace",
                e2e::cluster::OPERATOR_NAMESPACE,
                "-l",
                "app.kubernetes.io/name=homeostat",
                "--tail=100",
            ][..],
        ] {
            eprintln!("{}", kubectl(arguments).await.unwrap_or_else(|failure| failure.told()));
        }
        e2e::scenario::fail("example", &failure);
    }
}
