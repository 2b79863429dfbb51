//! Values: rows written out in the statement.

use crate::error::Result;
use crate::exec::batch::Batch;
use crate::exec::eval::{NoRow, eval_scalar};
use crate::exec::pipeline::Source;
use crate::exec::{BATCH_ROWS, ExecContext};
use crate::plan::{Expr, Schema};
use remora_storage::Value;
use remora_storage::value::ColumnBuilder;

/// The values of expressions without columns.
///
/// # Errors
/// Those of their functions.
pub(crate) fn constants(exprs: &[Expr], context: &ExecContext) -> Result<Vec<Value>> {
    let values = exprs.iter();
    let values = values.map(|expr| Ok(eval_scalar(expr, &NoRow, context)?.into_value()));
    values.collect()
}

/// Evaluates rows of expressions without columns, a batch at a time.
#[derive(Debug)]
pub(in crate::exec) struct Values {
    rows: std::vec::IntoIter<Vec<Expr>>,
    schema: Schema,
}

impl Values {
    pub(in crate::exec) fn new(rows: Vec<Vec<Expr>>, schema: Schema) -> Self {
        Self {
            rows: rows.into_iter(),
            schema,
        }
    }
}

impl Source for Values {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        let count = self.rows.len().min(BATCH_ROWS);
        if count == 0 {
            return Ok(None);
        }
        let mut builders: Vec<ColumnBuilder> = self
            .schema
            .iter()
            .map(|field| ColumnBuilder::new(field.data_type, count))
            .collect();
        for row in self.rows.by_ref().take(count) {
            for (builder, expr) in builders.iter_mut().zip(&row) {
                builder.push(eval_scalar(expr, &NoRow, context)?.as_ref());
            }
        }
        let columns = builders.iter_mut().map(ColumnBuilder::finish).collect();
        Ok(Some(Batch::new(columns, count)))
    }
}
