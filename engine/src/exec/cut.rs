//! Batches are cut by bytes as well as by rows: what functions make of one batch stays small, however long its values.
//!
//! How long results will be is known when they are made, not before. So an evaluation over a batch is an *attempt*
//! under a cap ([`crate::function::MemoryTracker::capped`]): where the values take more, it is given up, and made
//! again over half of the rows. One row has no cap but the budget.
//!
//! ```text
//!   4,096 rows       capped: given up         a row of the first hundred was 200 KiB
//!   2,048, .., 16    given up
//!   8                done, and so are the next that many; after some in a row twice as many are tried
//! ```
//!
//! - A result that is short (a filter, a number) is put together again: nobody above sees the cut ([`whole`]).
//! - One that may be long leaves the operator in pieces: the pipeline keeps the rest of its input ([`Cut`]).
//!
//! Invariant: an attempt changes nothing but by its result, and calls no volatile function. Where one is called, the
//! batch is not cut, and the budget alone bounds it.

use super::ExecContext;
use super::batch::Batch;
use crate::error::Result;
use crate::plan::{Expr, ExprKind};

/// Pieces that were small enough in a row before larger ones are tried.
const STREAK: u32 = 16;

/// Whether a batch is cut for it: it makes values that may be long, and to evaluate it again does no harm.
pub(super) fn is_cut_for(expr: &Expr) -> bool {
    expr.any(&mut makes_long) && expr.is_stable()
}

fn makes_long(part: &Expr) -> bool {
    let makes = matches!(
        part.kind,
        ExprKind::Call { .. } | ExprKind::Host { .. } | ExprKind::Cast { .. }
    );
    makes && part.data_type.is_variable()
}

/// A batch on its way through an evaluation, in as many pieces as it takes.
#[derive(Debug)]
pub(super) struct Pieces {
    /// The last is next.
    left: Vec<Batch>,
    is_cut: bool,
    level: u64,
}

impl Pieces {
    /// Of a batch that is cut where it has to be, if it may be.
    pub(super) fn of(batch: Batch, is_cut: bool, context: &ExecContext) -> Self {
        Self {
            left: vec![batch],
            is_cut,
            level: context.eval.memory.level(),
        }
    }

    /// So many bytes that were counted since the last piece was given stay.
    pub(super) fn keep(&mut self, bytes: u64) {
        self.level += bytes;
    }

    /// The next piece and what comes of it. What came of the one before is gone by then, or [kept](Self::keep).
    ///
    /// # Errors
    /// Those of the attempt; 57014.
    pub(super) fn next<T>(
        &mut self,
        context: &ExecContext,
        attempt: impl Fn(&Batch) -> Result<T>,
    ) -> Result<Option<(Batch, T)>> {
        let memory = &context.eval.memory;
        memory.back_to(self.level);
        while let Some(batch) = self.left.pop() {
            if !self.is_cut || batch.rows < 2 {
                let result = memory.uncapped(|| attempt(&batch))?;
                return Ok(Some((batch, result)));
            }
            match memory.capped(|| attempt(&batch)) {
                Err(_) if memory.take_cut() => {
                    memory.back_to(self.level);
                    context.check()?;
                    let half = batch.rows / 2;
                    self.left.push(batch.slice(half, batch.rows - half));
                    self.left.push(batch.slice(0, half));
                }
                result => return Ok(Some((batch, result?))),
            }
        }
        Ok(None)
    }
}

/// All pieces of a batch evaluated, and their results put together.
pub(super) fn whole<T>(
    batch: &Batch,
    context: &ExecContext,
    attempt: impl Fn(&Batch) -> Result<T>,
    join: impl FnOnce(Vec<T>) -> Result<T>,
) -> Result<T> {
    let mut pieces = Pieces::of(batch.clone(), true, context);
    let mut results = Vec::new();
    while let Some((_, result)) = pieces.next(context, &attempt)? {
        results.push(result);
    }
    match results.len() {
        1 => Ok(results.swap_remove(0)),
        _ => join(results),
    }
}

/// How large the pieces are that one operator is given.
#[derive(Debug)]
pub(super) struct Cut {
    rows: usize,
    streak: u32,
}

impl Default for Cut {
    fn default() -> Self {
        Self {
            rows: usize::MAX,
            streak: 0,
        }
    }
}

impl Cut {
    /// How many are tried at a time.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// A piece was too large.
    pub(super) fn failed(&mut self, rows: usize) {
        (self.rows, self.streak) = ((rows / 2).max(1), 0);
    }

    /// A piece was small enough.
    #[inline]
    pub(super) fn succeeded(&mut self) {
        if self.rows == usize::MAX {
            return;
        }
        self.streak += 1;
        if self.streak == STREAK {
            (self.rows, self.streak) = (self.rows.saturating_mul(2), 0);
        }
    }
}
