//! Execution: vectorised push pipelines for sets of rows, and the point path for rows by key.
//!
//! A physical plan is cut into *pipelines*. Batches flow from a source through operators that
//! keep none of them; where a node has to see all of its input before it gives anything (sort,
//! aggregate, top-n, the build side of a join), one pipeline ends and its result is the source
//! of the next:
//!
//! ```text
//!   scan b > filter > | join build |
//!   scan a > filter > | join probe > project > | aggregate | > project > limit > Cursor::next
//!            pipeline 2                                        pipeline 3, driven by the reader
//! ```
//!
//! 1. `compile` turns the plan into pipelines and evaluates limits and keys of point look-ups.
//! 2. [`Cursor::next`] asks the last pipeline for one batch. That pushes one morsel of its
//!    source through its operators; a pipeline that feeds it runs to its end at the first need.
//! 3. Expressions are evaluated over whole batches (`eval`); NULLs, errors and laziness are
//!    those of PostgreSQL, row for row the same as in the scalar evaluator.
//! 4. The point path (`point`, `dml`) never makes a batch: key, row and result are scalars.
//! 5. Nor do aggregates of plain columns over all rows of a scan (`fold`): storage shows them its rows
//!    where they are, encoded columns included.
//!
//! **Towards morsel-driven parallelism.** What workers would share is apart from what each would
//! own. Shared, and immutable once its pipeline has ended: the join table (`Arc<JoinTable>`),
//! the sorted buffer, the finished groups. Owned by one worker: an operator's place in its current
//! batch, key and selection scratch. A second worker gets operators of its own over the same shared
//! state and draws morsels from one source; a sink becomes one a worker plus a merge before
//! `finish`. Operators that count rows across batches (limit, distinct) would need to share
//! their count or set.
//!
//! Invariants
//! - Memory: what an operator holds across batches is reserved from the ledger before it is
//!   kept; a refusal ends the statement with 53200 and everything is given back on drop.
//! - Interruption: every pipeline step and every loop over more than a batch asks
//!   `ExecContext::check`; 57014 ends the statement.
//! - No batch between operators is empty, and none has much more than `BATCH_ROWS` rows. Where functions make
//!   long values, batches are cut by bytes, too (`cut`).

mod aggregate;
mod batch;
mod compile;
mod copy;
mod cursor;
mod cut;
mod ddl;
mod dml;
mod eval;
mod join;
mod memory;
mod meter;
mod pipeline;
mod planner;
mod point;
mod point_read;
mod referential;
mod scan;
mod scroll;
mod set;
mod sort;
mod transaction;
mod trigger;
mod window;

#[cfg(test)]
mod tests;

pub(crate) use aggregate::fold::fold_row;
pub(crate) use batch::column_bytes;
pub(crate) use copy::{copy_from, copy_to};
pub(crate) use cursor::{Cursor, arrow_schema};
pub(crate) use ddl::alter::{alter_table, before_index, structure};
pub(crate) use ddl::sequence::alter_sequence;
pub(crate) use dml::{Changes, Shown, delete, empty, insert, merge, sweep, truncate, update};
pub(crate) use memory::Held;
pub(crate) use meter::Profiling;
pub(crate) use planner::{Planner, TableRules};
pub(crate) use point::{PointRows, lock_point, point_select};
pub(crate) use point_read::{Also, PointRead};
pub(crate) use referential::{Said, check_deferred, set_constraints};
pub(crate) use scan::values::constants;
pub(crate) use scroll::Scroll;
pub(crate) use set::with::{Changing, OwnedParts, Parts};
pub(crate) use transaction::Transaction;

use crate::error::{Error, Result};
use crate::function::{EvalContext, MemoryTracker};
use remora_storage::Value;
use remora_storage::pool::{Claim, Ledger};
use std::sync::Arc;

/// Rows of a batch as sources cut them: enough to amortise a kernel call, few enough that a
/// batch of some columns stays in the second-level cache.
pub(crate) const BATCH_ROWS: usize = 4096;

/// What a running statement needs beside its plan.
#[derive(Clone, Debug)]
pub(crate) struct ExecContext {
    /// For functions; knows whether the statement is to stop.
    pub eval: EvalContext,
    /// Parameter values, of the inferred types.
    pub parameters: Arc<[Value]>,
    /// Where memory is reserved.
    pub ledger: Arc<Ledger>,
    /// How far the first memory of each operator may reach into the budget.
    pub claim: Claim,
    /// The parts of the statement, if it has any.
    pub with: Option<Arc<Parts>>,
    /// Where it counts what it does, if that is asked for.
    pub profiling: Option<Arc<Profiling>>,
    /// Plans triggers and rules of tables that the statement turns out to need.
    pub planner: Arc<dyn Planner>,
    /// How many triggers it is run by, one within the other.
    pub trigger_depth: usize,
}

impl ExecContext {
    /// The same for a statement, or a part of it, that only reads.
    pub(crate) fn reading(&self) -> Self {
        Self {
            claim: Claim::Small,
            ..self.clone()
        }
    }

    /// Itself with an account of its own of the values that functions make.
    fn with_own_memory(mut self) -> Self {
        self.eval.memory = MemoryTracker::new(&self.ledger);
        self
    }

    /// The same for what a trigger does.
    fn within_trigger(&self) -> Self {
        Self {
            with: None,
            profiling: None,
            trigger_depth: self.trigger_depth + 1,
            ..self.clone()
        }
    }

    /// The error of storage's, or what the statement was asked to stop with.
    pub(crate) fn stopped(&self, error: remora_storage::Error) -> Error {
        match (&error, self.check()) {
            (remora_storage::Error::Interrupted, Err(asked)) => asked,
            _ => error.into(),
        }
    }

    /// Fails where the statement was asked to stop, with 57014 mostly.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        self.eval.check()
    }
}
