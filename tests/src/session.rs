//! A statement's result as text, for the harnesses that compare text.

use remora::internal::text;
use remora::{Connection, Error};

/// What a statement came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    /// Rows changed.
    pub changes: u64,
    /// Names of the columns' types.
    pub types: Vec<String>,
    /// Rows as PostgreSQL's text forms, `None` for NULL; `None` where the statement gives no rows.
    pub rows: Option<Vec<Vec<Option<String>>>>,
}

/// What a statement came to, or why it failed.
pub type Outcome = Result<Output, Error>;

/// Runs one statement.
pub fn run(connection: &Connection, sql: &str) -> Outcome {
    let outcome = connection.run(sql, [])?;
    let Some(set) = &outcome.rows else {
        return Ok(Output {
            changes: outcome.changes,
            types: Vec::new(),
            rows: None,
        });
    };
    let (columns, style) = (set.columns(), connection.style()?);
    let row = |row: remora::Row<'_>| -> Vec<Option<String>> {
        row.values()
            .zip(columns)
            .map(|(value, column)| text::format_in(value, column.data_type, &style))
            .collect()
    };
    Ok(Output {
        changes: outcome.changes,
        types: columns
            .iter()
            .map(|column| column.data_type.to_string())
            .collect(),
        rows: Some(set.iter().map(row).collect()),
    })
}
