//! Execution: vectorised push pipelines for sets of rows, and the point path for rows by key.
//!
//! (Stub: signatures only.)

use crate::error::Result;
use crate::function::EvalContext;
use crate::plan::physical::PhysicalPlan;
use crate::plan::statement::{Delete, Insert, PointSelect, Update};
use arrow_array::RecordBatch;
use remora_storage::pool::Ledger;
use remora_storage::{ReadView, Transaction, Value};
use std::sync::Arc;

/// What a running statement needs beside its plan.
#[derive(Clone, Debug)]
pub struct ExecContext {
    /// For functions; carries the interrupt flag, checked once a batch.
    pub eval: EvalContext,
    /// Parameter values, of the inferred types.
    pub parameters: Arc<[Value]>,
    /// Where memory is reserved.
    pub ledger: Arc<Ledger>,
}

/// A query in progress; owns what it needs. Batches come as they are made.
#[derive(Debug)]
pub struct Cursor {}

impl Cursor {
    /// Starts a query. Nothing runs before the first [`Cursor::next`].
    pub fn new(_plan: &PhysicalPlan, _view: ReadView, _context: ExecContext) -> Result<Self> {
        todo!()
    }

    /// The next batch, never empty; `None` at the end.
    #[allow(
        clippy::should_implement_trait,
        reason = "fallible, and named as in rusqlite"
    )]
    pub fn next(&mut self) -> Result<Option<RecordBatch>> {
        todo!()
    }
}

/// Runs the point path's SELECT; leaves the row's values in `row`, or returns `false`.
pub fn point_select(
    _plan: &PointSelect,
    _view: &ReadView,
    _context: &ExecContext,
    _row: &mut Vec<Value>,
) -> Result<bool> {
    todo!()
}

/// Runs an INSERT; returns the number of rows.
pub fn insert(_plan: &Insert, _tx: &mut Transaction, _context: &ExecContext) -> Result<u64> {
    todo!()
}

/// Runs an UPDATE; returns the number of rows.
pub fn update(_plan: &Update, _tx: &mut Transaction, _context: &ExecContext) -> Result<u64> {
    todo!()
}

/// Runs a DELETE; returns the number of rows.
pub fn delete(_plan: &Delete, _tx: &mut Transaction, _context: &ExecContext) -> Result<u64> {
    todo!()
}

/// Runs a COPY against `reader`; returns the number of rows.
pub fn copy_from(
    _plan: &crate::plan::statement::Copy,
    _reader: &mut dyn std::io::Read,
    _tx: &mut Transaction,
    _context: &ExecContext,
) -> Result<u64> {
    todo!()
}

/// Runs a COPY into `writer`; returns the number of rows.
pub fn copy_to(
    _plan: &crate::plan::statement::Copy,
    _writer: &mut dyn std::io::Write,
    _view: ReadView,
    _context: &ExecContext,
) -> Result<u64> {
    todo!()
}
