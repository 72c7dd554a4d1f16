//! Q8: something that this database will never store, for a reason of its own. It is found in its batch and marked; all else goes on, and the
//! poisoned resource too when it has something else to say.

use crate::audit::SUCCEEDED;
use crate::in_time;
use crate::server::Server;
use crate::town::{Town, resource, thing};
use homeostat::core::Policy;
use homeostat::history::Store as _;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn q8_a_result_that_the_database_will_never_store_stops_nothing() {
    let server = Server::start().await;
    let town = Town::on(server.options(), &server.socket()).await;
    let dislike = "ALTER TABLE homeostat.outcome ADD CONSTRAINT manners CHECK (message !~ 'blast')";
    server.execute(&[dislike]).await;
    let fails_once = json!({"key": "a", "value": "1", "script": [{"result": "fail", "message": "blast it"}]});
    let poisoned = resource("a", "here", "test.Thing", &fails_once, Policy::default());
    let others = (0..20).map(|number| thing(&format!("b{number}"), "1"));
    let pushed = town.push([poisoned].into_iter().chain(others).collect(), "1");
    assert_eq!(in_time("the push", pushed).await, 1);
    town.settle().await;
    assert_eq!(town.push(vec![thing("c", "1")], "2").await, 2);
    town.settle().await;
    let history = town.history().await;
    assert_eq!(history.count(SUCCEEDED), 22, "{history:?}");
    let attempts = town.store.attempts(crate::town::ENVIRONMENT, Some(&["a".into()]), None, 10).await.unwrap();
    let said: Vec<String> = attempts.iter().map(|attempt| format!("{:?}", attempt.outcome)).collect();
    assert!(said.iter().any(|said| said.contains("history cannot store") && said.contains("manners")), "{said:?}");
    assert!(!said.iter().any(|said| said.contains("blast")), "{said:?}");
    assert!(server.has_said("violates check constraint \"manners\"") >= 1, "it was tried as it was");
    town.stop().await;
}
