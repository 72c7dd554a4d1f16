//! Reading history as a person with `psql` reads it.

use crate::cluster::{Cluster, command};
use crate::failure::{Failure, Outcome};
use serde_json::Value;

impl Cluster {
    /// The rows of a query over history's tables, as JSON objects. `:'name'` in it is replaced by the values given, quoted.
    pub async fn history(&self, query: &str, values: &[(&str, &str)]) -> Outcome<Vec<Value>> {
        let rows = format!("SELECT coalesce(json_agg(row), '[]') FROM ({query}) row");
        let script =
            tempfile::NamedTempFile::new().map_err(|source| Failure::Io { doing: "make a file".to_owned(), source })?;
        let path = script.path().to_string_lossy().into_owned();
        tokio::fs::write(script.path(), format!("SET search_path = homeostat;\n{rows};\n"))
            .await
            .map_err(|source| Failure::Io { doing: format!("write {path}"), source })?;
        let settings: Vec<String> = values.iter().map(|(name, value)| format!("--set={name}={value}")).collect();
        let mut arguments = vec!["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"];
        arguments.extend(settings.iter().map(String::as_str));
        arguments.extend(["--file", &path, self.postgres()]);
        let printed = command("psql", &arguments).await?;
        match serde_json::from_str(printed.trim()) {
            Ok(Value::Array(rows)) => Ok(rows),
            _ => Err(Failure::Wrong(format!("history answered {printed:?} to {query}"))),
        }
    }

    /// Every attempt of the environments of a namespace in the order of their numbers: resource, operation, how it ended.
    pub async fn attempts(&self, namespace: &str) -> Outcome<Vec<Value>> {
        let query = "
            SELECT g.attempt, i.name, g.operation, g.reason, g.epoch, o.kind, o.change, o.began_at_ms, o.finished_at_ms, o.message
            FROM environment e
            JOIN resource_grant g ON g.environment = e.id
            JOIN LATERAL (SELECT name FROM intent WHERE intent.environment = e.id AND intent.resource = g.resource LIMIT 1) i ON true
            LEFT JOIN outcome o ON o.environment = e.id AND o.attempt = g.attempt
            WHERE e.name LIKE :'prefix' ORDER BY e.id, g.attempt";
        self.history(query, &[("prefix", &format!("{namespace}/%"))]).await
    }
}
