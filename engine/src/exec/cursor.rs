//! Cursor: a query in progress. Each call drives the last pipeline by one morsel.

use super::compile::compile;
use super::memory::Held;
use super::pipeline::Pipeline;
use super::{ExecContext, batch};
use crate::error::Result;
use crate::plan::physical::PhysicalPlan;
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema, SchemaRef};
use remora_storage::ReadView;
use std::sync::Arc;

/// A query in progress; owns what it needs. Batches come as they are made.
#[derive(Debug)]
pub struct Cursor {
    pipeline: Pipeline,
    context: ExecContext,
    schema: SchemaRef,
    /// The batch that was given last: its reader is likely to hold it still.
    held: Held,
}

impl Cursor {
    /// Starts a query. Nothing is read before the first [`Cursor::next`].
    ///
    /// # Errors
    /// Those of evaluating LIMIT and OFFSET.
    pub fn new(plan: &PhysicalPlan, view: ReadView, context: ExecContext) -> Result<Self> {
        let fields = plan.schema.iter().map(|field| {
            let nullable = true;
            Field::new(&field.name, field.data_type.arrow(), nullable)
        });
        Ok(Self {
            pipeline: compile(plan, &view, &context)?,
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            context,
            held: Held::default(),
        })
    }

    /// The next batch, never empty; `None` at the end.
    ///
    /// # Errors
    /// Those of the query's functions, 53200, 57014. The cursor is of no use after an error.
    #[allow(
        clippy::should_implement_trait,
        reason = "fallible, and named as in rusqlite"
    )]
    pub fn next(&mut self) -> Result<Option<RecordBatch>> {
        let Some(rows) = self.pipeline.next(&self.context)? else {
            self.held.shrink(0);
            return Ok(None);
        };
        self.held.reach(rows.bytes(), &self.context)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.rows));
        let schema = self.schema.clone();
        RecordBatch::try_new_with_options(schema, rows.columns, &options)
            .map(Some)
            .map_err(batch::internal)
    }
}
