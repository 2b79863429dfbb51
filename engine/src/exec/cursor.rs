//! Cursor: a query in progress. Each call drives the last pipeline by one morsel.

use super::ExecContext;
use super::batch::Batch;
use super::compile::{compile, compile_locking};
use super::memory::Held;
use super::pipeline::Pipeline;
use super::scan::lock_rows::{Kept, Locker};
use super::set::with::OwnedParts;
use crate::error::{Error, Result};
use crate::exec::Transaction;
use crate::plan::{self, physical::PhysicalPlan};
use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use remora_storage::ReadView;
use std::sync::Arc;

/// The columns of a result, as Arrow has them.
pub(crate) fn arrow_schema(columns: &[plan::Field]) -> SchemaRef {
    let fields = columns.iter().map(|column| {
        let nullable = true;
        Field::new(&column.name, column.data_type.arrow(), nullable)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A query in progress; owns what it needs. Batches come as they are made.
#[derive(Debug)]
pub(crate) struct Cursor {
    pipeline: Pipeline<'static>,
    context: ExecContext,
    schema: SchemaRef,
    /// The batch that was given last: its reader is likely to hold it still.
    held: Held,
    /// Where it is recorded what is read, so that a commit can ask whether that is still so.
    recording: Option<ReadView>,
    /// Where it is the statement's: the parts that it reads.
    parts: Option<OwnedParts>,
}

impl Cursor {
    /// Starts a query, whose columns are those of `schema`. Nothing is read before the first
    /// [`Cursor::next`].
    ///
    /// # Errors
    /// Those of evaluating LIMIT and OFFSET.
    pub(crate) fn new(
        plan: &PhysicalPlan,
        schema: SchemaRef,
        view: ReadView,
        context: &ExecContext,
    ) -> Result<Self> {
        let context = context.reading().with_own_memory();
        Ok(Self {
            recording: view.is_recording().then(|| view.clone()),
            pipeline: compile(plan, &view, &context)?,
            schema,
            context,
            held: Held::default(),
            parts: None,
        })
    }

    /// The rows of a query that locks them, all of which has been run: no transaction is as patient as the
    /// readers of its rows.
    ///
    /// # Errors
    /// 40001, 55P03, 53200, and those of the query's functions. The caller rolls back to its mark.
    pub(crate) fn locking(
        plan: &PhysicalPlan,
        schema: SchemaRef,
        tx: &mut Transaction,
        context: &ExecContext,
    ) -> Result<Self> {
        let view = tx.view();
        let locker = Locker::new(tx);
        let mut rows = compile_locking(plan, &view, context, &locker)?;
        Ok(Self {
            pipeline: kept(&mut rows, context)?,
            schema,
            context: context.reading().with_own_memory(),
            held: Held::default(),
            // All has been read.
            recording: None,
            parts: None,
        })
    }

    /// Rows that are there already.
    pub(super) fn of_kept(rows: Kept, schema: SchemaRef, context: &ExecContext) -> Self {
        Self {
            pipeline: Pipeline::new(rows),
            schema,
            context: context.reading().with_own_memory(),
            held: Held::default(),
            recording: None,
            parts: None,
        }
    }

    /// Rows of a cursor that were fetched.
    ///
    /// # Errors
    /// 53200
    pub(crate) fn of_fetched(
        rows: Vec<RecordBatch>,
        schema: SchemaRef,
        context: &ExecContext,
    ) -> Result<Self> {
        let mut kept = Kept::default();
        for batch in rows {
            let many = batch.num_rows();
            kept.push(Batch::new(batch.columns().to_vec(), many), context)?;
        }
        Ok(Self::of_kept(kept, schema, context))
    }

    /// Has the parts of the statement whose rows it gives, until it goes.
    pub(crate) fn own(&mut self, parts: OwnedParts) {
        self.parts = Some(parts);
    }

    /// Runs the query to its end and keeps what it gives: what it does beside that is done then, however
    /// many of its rows are asked for.
    ///
    /// # Errors
    /// As for [`Self::next`].
    pub(crate) fn run_ahead(&mut self) -> Result<()> {
        self.pipeline = kept(&mut self.pipeline, &self.context)?;
        self.recording = None;
        Ok(())
    }

    /// The next batch, never empty; `None` at the end.
    ///
    /// # Errors
    /// Those of the query's functions, 53200, 57014; 24000 where its transaction has committed changes, and
    /// the next rows take a look at something that the commit could not ask about. The cursor is of no
    /// use after an error.
    #[allow(
        clippy::should_implement_trait,
        reason = "fallible, and named as in rusqlite"
    )]
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>> {
        let rows = self.pipeline.next(&self.context)?;
        if self.recording.as_ref().is_some_and(ReadView::has_read_late) {
            return Err(too_late());
        }
        let Some(rows) = rows else {
            self.held.shrink(0);
            self.recording = None;
            return Ok(None);
        };
        self.held.reach(rows.bytes(), &self.context)?;
        rows.record(&self.schema).map(Some)
    }
}

/// All that a pipeline gives, to be given again.
fn kept(rows: &mut Pipeline<'_>, context: &ExecContext) -> Result<Pipeline<'static>> {
    let mut kept = Kept::default();
    while let Some(batch) = rows.next(context)? {
        kept.push(batch, context)?;
    }
    Ok(Pipeline::new(kept))
}

/// Rows that were read after the commit might not go with what the commit has asked about.
#[cold]
fn too_late() -> Error {
    sql_error!(
        INVALID_CURSOR_STATE,
        "the rest of the result cannot be read: its transaction has committed"
    )
    .with_detail("Whether rows that are read now were still so at the commit has not been checked.")
    .with_hint(
        "Read all rows before COMMIT, or in a transaction that is READ ONLY or at level SNAPSHOT.",
    )
}
