//! The whole result of a text of SQL, for programs that show results: shells and bridges.

use super::rows::Row;
use crate::error::Result;
use crate::exec::{Held, column_bytes};
use crate::plan::Field;
use crate::session::execute::dispatch::{Done, Output};
use crate::session::plans::call::Call;
use crate::session::plans::prepared::Plan;
use arrow_array::RecordBatch;
use remora_storage::Value;
use std::sync::Arc;

/// What a text of SQL came to: the result of its last statement.
#[derive(Debug, Default)]
pub struct Outcome {
    /// PostgreSQL's command tag with its counts, e.g. `SELECT 2`, `INSERT 0 1`; empty where the
    /// text had no statement.
    pub tag: String,
    /// Rows changed, or copied.
    pub changes: u64,
    /// Its rows; `None` where it is no query.
    pub rows: Option<RowSet>,
    /// Warnings, also those of earlier statements of the text.
    pub notices: Vec<String>,
}

/// The rows of a finished query.
#[derive(Debug)]
pub struct RowSet {
    columns: Arc<[Field]>,
    chunks: Vec<Chunk>,
    len: usize,
    /// The memory that the rows take, given back when they are dropped.
    _memory: Held,
}

#[derive(Debug)]
enum Chunk {
    Batch(RecordBatch),
    Rows(Vec<Vec<Value>>),
}

impl RowSet {
    /// Names and types of the columns.
    pub fn columns(&self) -> &[Field] {
        &self.columns
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The rows, in order.
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// let conn = db.connect()?;
    /// let outcome = conn.run("VALUES (1), (2)", [])?;
    /// let rows = outcome.rows.expect("a query has rows");
    /// assert_eq!(outcome.tag, "SELECT 2");
    /// assert_eq!(rows.columns()[0].name, "column1");
    /// let second = rows.iter().nth(1).expect("two rows");
    /// assert_eq!(second.get::<_, i32>(0)?, 2);
    /// # Ok::<(), remora::Error>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.chunks.iter().flat_map(move |chunk| {
            (0..chunk.len()).map(move |at| match chunk {
                Chunk::Batch(batch) => Row::of_batch(&self.columns, batch, at),
                Chunk::Rows(rows) => Row::of_values(&self.columns, &rows[at]),
            })
        })
    }
}

/// Runs a statement's query to its end and keeps the rows.
pub(in crate::session) fn collect(done: Done, plan: &Plan, call: &mut Call) -> Result<Outcome> {
    let context = call.context.reading();
    let mut memory = Held::default();
    let chunks = match done.output {
        Output::Cursor(mut cursor) => {
            let mut chunks = Vec::new();
            while let Some(batch) = cursor.next()? {
                memory.grow(column_bytes(batch.columns()), &context)?;
                chunks.push(Chunk::Batch(batch));
            }
            chunks
        }
        Output::Point(true) => vec![Chunk::Rows(vec![std::mem::take(&mut call.rows)])],
        Output::List(rows) => vec![Chunk::Rows(rows)],
        Output::None | Output::Point(false) => Vec::new(),
    };
    let rows = plan.columns.as_ref().map(|columns| RowSet {
        columns: Arc::clone(columns),
        len: chunks.iter().map(Chunk::len).sum(),
        chunks,
        _memory: memory,
    });
    let count = rows.as_ref().map_or(done.changes, |rows| rows.len as u64);
    Ok(Outcome {
        tag: tag(done.tag.unwrap_or(plan.planned.tag), count),
        changes: done.changes,
        rows,
        notices: Vec::new(),
    })
}

impl Chunk {
    fn len(&self) -> usize {
        match self {
            Self::Batch(batch) => batch.num_rows(),
            Self::Rows(rows) => rows.len(),
        }
    }
}

/// The tag with its count, where PostgreSQL gives one.
fn tag(name: &str, count: u64) -> String {
    match name {
        // The 0 was once the row's OID.
        "INSERT" => format!("INSERT 0 {count}"),
        "SELECT" | "UPDATE" | "DELETE" | "MERGE" | "COPY" | "FETCH" | "MOVE" => {
            format!("{name} {count}")
        }
        _ => name.to_owned(),
    }
}
