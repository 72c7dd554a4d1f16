//! Whether an executor is who it says it is: its token is asked about at the API server, and the pod it names must be one that we made for that pool.
//!
//! Deliberately absent: trust in anything the executor says. The claim is only compared with what the token and our own pods say.

use super::client::Cluster;
use super::error::Class;
use super::pods::AUDIENCE;
use crate::executor::{Authenticate, Claim, Denied};
use async_trait::async_trait;
use k8s_openapi::api::authentication::v1::TokenReviewStatus;
use std::sync::Arc;

/// In the token's extra claims: the UID of the pod that it is bound to.
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";

/// Knows for which environment and pool we made a pod.
pub trait KnownPods: Send + Sync + 'static {
    /// Environment in history and pool of the pod with this UID; `None` for a pod that is not ours, or has ended.
    fn made_for(&self, uid: &str) -> Option<(Arc<str>, Arc<str>)>;
}

/// Lets executor pods in by `TokenReview`.
pub struct PodIdentity<P> {
    /// The API server.
    pub cluster: Cluster,
    /// Our pods.
    pub pods: P,
}

#[async_trait]
impl<P: KnownPods> Authenticate for PodIdentity<P> {
    async fn authenticate(&self, claim: &Claim, token: Option<&str>) -> Result<(), Denied> {
        let token = token.ok_or_else(|| Denied::Unauthenticated("there is no token".to_owned()))?;
        let reviewed = self.cluster.review_token(token, AUDIENCE).await.map_err(|error| match error.class() {
            Class::WaitForChange => {
                Denied::Unavailable(format!("the operator may not ask who a token belongs to: {error}"))
            }
            _ => Denied::Unavailable(error.to_string()),
        })?;
        let uid = pod_of(&reviewed)?;
        let made_for = self.pods.made_for(uid);
        allowed(claim, uid, made_for)
    }
}

/// The pod that the token is bound to, if the token is good and meant for us.
fn pod_of(reviewed: &TokenReviewStatus) -> Result<&str, Denied> {
    if reviewed.authenticated != Some(true) {
        let why = reviewed.error.clone().unwrap_or_else(|| "the token is not valid".to_owned());
        return Err(Denied::Unauthenticated(why));
    }
    let meant = reviewed.audiences.iter().flatten().any(|audience| audience == AUDIENCE);
    if !meant {
        return Err(Denied::Unauthenticated(format!("the token is not meant for {AUDIENCE}")));
    }
    let extra = reviewed.user.as_ref().and_then(|user| user.extra.as_ref());
    let uids = extra.and_then(|extra| extra.get(POD_UID)).map(Vec::as_slice).unwrap_or_default();
    match uids {
        [uid] if !uid.is_empty() => Ok(uid),
        _ => Err(Denied::Forbidden("the token is not bound to a pod".to_owned())),
    }
}

fn allowed(claim: &Claim, uid: &str, made_for: Option<(Arc<str>, Arc<str>)>) -> Result<(), Denied> {
    if *claim.executor != *uid {
        return Err(Denied::Forbidden(format!("the token belongs to pod {uid}, not to {}", claim.executor)));
    }
    let Some((environment, pool)) = made_for else {
        // Its pod may be so new that we have not seen it ourselves.
        return Err(Denied::Unavailable(format!("pod {uid} is not one that this operator made, or not yet known")));
    };
    if environment != claim.environment || pool != claim.pool {
        return Err(Denied::Forbidden(format!("pod {uid} was made for pool {pool} of environment {environment}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::unnecessary_wraps)]
    use super::{allowed, pod_of};
    use crate::executor::{Claim, Denied};
    use serde_json::json;
    use std::sync::Arc;

    fn claim() -> Claim {
        Claim { environment: "infra/lab".into(), pool: "main".into(), executor: "u1".into() }
    }

    fn made(environment: &str, pool: &str) -> Option<(Arc<str>, Arc<str>)> {
        Some((environment.into(), pool.into()))
    }

    #[test]
    fn only_a_valid_token_for_us_and_bound_to_a_pod_names_one() {
        let good = json!({"authenticated": true, "audiences": ["homeostat-executors"],
            "user": {"username": "u", "extra": {"authentication.kubernetes.io/pod-uid": ["u1"]}}});
        let check = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut status = good.clone();
            change(&mut status);
            let status = serde_json::from_value(status).unwrap();
            pod_of(&status).map(str::to_owned)
        };
        assert_eq!(check(&|_| {}).unwrap(), "u1");
        assert!(matches!(check(&|s| s["authenticated"] = json!(false)), Err(Denied::Unauthenticated(_))));
        assert!(matches!(
            check(&|s| s["audiences"] = json!(["https://kubernetes.default.svc"])),
            Err(Denied::Unauthenticated(_))
        ));
        assert!(matches!(check(&|s| s["audiences"] = json!(null)), Err(Denied::Unauthenticated(_))));
        assert!(matches!(check(&|s| s["user"]["extra"] = json!({})), Err(Denied::Forbidden(_))));
    }

    #[test]
    fn the_pod_must_be_the_one_that_is_claimed_and_ours() {
        assert!(allowed(&claim(), "u1", made("infra/lab", "main")).is_ok());
        assert!(matches!(allowed(&claim(), "u2", made("infra/lab", "main")), Err(Denied::Forbidden(_))));
        assert!(matches!(allowed(&claim(), "u1", made("infra/lab", "other")), Err(Denied::Forbidden(_))));
        assert!(matches!(allowed(&claim(), "u1", made("infra/prod", "main")), Err(Denied::Forbidden(_))));
        assert!(matches!(allowed(&claim(), "u1", None), Err(Denied::Unavailable(_))));
    }
}
