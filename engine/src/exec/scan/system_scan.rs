//! SystemScan: rows about the engine itself, made when they are first asked for.

use crate::error::Result;
use crate::exec::batch::Batch;
use crate::exec::pipeline::Source;
use crate::exec::{BATCH_ROWS, ExecContext};
use crate::system::SystemTable;
use remora_storage::value::ColumnBuilder;
use remora_storage::{ReadView, Value};

/// Reads a system table.
#[derive(Debug)]
pub(in crate::exec) struct SystemScan {
    table: SystemTable,
    /// Which of its columns, by position.
    columns: Vec<usize>,
    view: ReadView,
    /// `None` before the first batch.
    rows: Option<std::vec::IntoIter<Vec<Value>>>,
}

impl SystemScan {
    pub(in crate::exec) fn new(table: SystemTable, columns: &[usize], view: &ReadView) -> Self {
        Self {
            table,
            columns: columns.to_vec(),
            view: view.clone(),
            rows: None,
        }
    }
}

impl Source for SystemScan {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        let (table, view) = (self.table, &self.view);
        let rows = match &mut self.rows {
            Some(rows) => rows,
            none => none.insert(table.rows(view, &context.eval)?.into_iter()),
        };
        let rows: Vec<_> = rows.take(BATCH_ROWS).collect();
        if rows.is_empty() {
            return Ok(None);
        }
        let columns = self.columns.iter().map(|position| {
            let (_, data_type) = self.table.columns()[*position];
            let mut builder = ColumnBuilder::new(data_type, rows.len());
            for row in &rows {
                builder.push(row[*position].as_ref());
            }
            builder.finish()
        });
        Ok(Some(Batch::new(columns.collect(), rows.len())))
    }
}
