//! Tables of which very many rows are written at once: one array per column, one statement whatever the number of rows.

use super::commit::Bound;

/// What is written of a row, beside its environment.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Names and types, in the order in which they are bound.
    pub(super) columns: &'static [(&'static str, &'static str)],
    /// The key after the environment, where a row takes the place of the one before it.
    pub(super) replaced_by: Option<&'static str>,
}

impl Table {
    /// The statement, its arrays bound from parameter `first` on. `environment` is what gives the environment's number, and `from` where that is
    /// read: nothing is written where it gives no row.
    pub(super) fn statement(&self, first: usize, environment: &str, from: &str) -> String {
        let Self { name, columns, replaced_by } = self;
        let arrays: Vec<String> =
            (first..).zip(*columns).map(|(parameter, (_, kind))| format!("${parameter}::{kind}[]")).collect();
        let (columns, arrays) = (self.listed(""), arrays.join(", "));
        let replaced = replaced_by.map_or_else(String::new, |key| {
            format!(
                " ON CONFLICT (environment, {key}) DO UPDATE SET ({columns}) = ({excluded})",
                excluded = self.listed("EXCLUDED.")
            )
        });
        format!(
            "INSERT INTO {name} (environment, {columns}) SELECT {environment}, rows.* FROM {from}UNNEST({arrays}) AS rows{replaced}"
        )
    }

    /// Its columns, in the order in which they are bound and read.
    pub(super) fn listed(&self, prefix: &str) -> String {
        let names: Vec<String> = self.columns.iter().map(|(column, _)| format!("{prefix}{column}")).collect();
        names.join(", ")
    }
}

/// Binds a column of all rows.
pub(super) fn column<'a, R, T>(query: Bound, rows: &'a [R], value: impl Fn(&'a R) -> T) -> Bound
where
    T: 'a,
    Vec<T>: sqlx::Encode<'a, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    query.bind(rows.iter().map(value).collect::<Vec<T>>())
}
