//! LockRows: `FOR UPDATE` and its like, for the rows that come out of everything but LIMIT.
//!
//! A row that is to be kept from others is locked, one that is to be relied on is shared; what each means is
//! storage's affair. A row of several tables passes where all its locks do; those that were taken before one
//! was refused are kept.
//!
//! | | a rival has the row | it was changed since the snapshot |
//! |---|---|---|
//! | nothing said | 40001, or waits (`lock_timeout`) | 40001 |
//! | `NOWAIT` | 55P03 | 40001 |
//! | `SKIP LOCKED` | left out | left out |
//!
//! All other operators only read, and own what they need. This one borrows the transaction, and so does the
//! pipeline that it is part of ([`Locker`]).

use crate::error::{Error, Result, state};
use crate::exec::Transaction;
use crate::exec::batch::Batch;
use crate::exec::memory::Held;
use crate::exec::pipeline::{Operator, Source, Step};
use crate::exec::{BATCH_ROWS, ExecContext};
use crate::plan::lock::{LockStrength, LockWait, RowLock};
use arrow_array::BooleanArray;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use parking_lot::Mutex;
use remora_storage::RowId;
use remora_storage::catalog::TableEntry;
use remora_storage::transaction::Columns;
use std::collections::VecDeque;
use std::fmt::Debug;

/// Rows between two looks at the interrupt.
const CHECK_ROWS: usize = 128;

/// Who locks rows.
pub(in crate::exec) trait RowLocker: Debug + Sync {
    /// Locks or shares a row; whether it passes.
    fn hold(&self, lock: &RowLock, row: RowId) -> Result<bool>;
}

/// A transaction that is used by turns.
#[derive(Debug)]
pub(in crate::exec) struct Locker<'t>(Mutex<&'t mut Transaction>);

impl<'t> Locker<'t> {
    pub(in crate::exec) fn new(tx: &'t mut Transaction) -> Self {
        Self(Mutex::new(tx))
    }
}

impl RowLocker for Locker<'_> {
    fn hold(&self, lock: &RowLock, row: RowId) -> Result<bool> {
        hold(&mut self.0.lock(), lock, row)
    }
}

/// Locks or shares a row; whether it passes.
pub(in crate::exec) fn hold(tx: &mut Transaction, lock: &RowLock, row: RowId) -> Result<bool> {
    let table = &lock.table;
    let columns = match lock.strength {
        LockStrength::KeyShare => keys(table),
        _ => Columns::ALL,
    };
    let held = match (lock.strength, lock.wait) {
        (LockStrength::KeyShare | LockStrength::Share, LockWait::Skip) => {
            return Ok(tx.share_if_free(table, row, columns));
        }
        (LockStrength::KeyShare | LockStrength::Share, _) => {
            tx.share_seen(table, row, columns).map(|()| true)
        }
        (_, LockWait::Skip) => return Ok(tx.lock_if_free(table, row)?),
        (_, _) => tx.lock(table, row),
    };
    held.map_err(|error| match &error {
        remora_storage::Error::Conflict(conflict)
            if lock.wait == LockWait::NoWait && !conflict.has_committed =>
        {
            not_available(table, conflict.detail())
        }
        _ => error.into(),
    })
}

/// The columns that others can refer to.
fn keys(table: &TableEntry) -> Columns {
    let unique = table.indexes.iter().filter(|index| index.def.unique);
    let columns = unique.flat_map(|index| index.def.columns.iter());
    Columns::of(columns.map(|column| column.column))
}

fn not_available(table: &TableEntry, detail: String) -> Error {
    let message = format!(
        "could not obtain lock on row in relation \"{}\"",
        table.def.name
    );
    Error::new(state::LOCK_NOT_AVAILABLE, message).with_detail(detail)
}

/// Passes on the rows that it could lock.
#[derive(Debug)]
pub(in crate::exec) struct LockRows<'t> {
    locks: Vec<RowLock>,
    locker: &'t dyn RowLocker,
    /// How many are still wanted.
    left: u64,
}

impl<'t> LockRows<'t> {
    /// `wanted` rows at most; all if none is said.
    pub(in crate::exec) fn new(
        locks: &[RowLock],
        locker: &'t dyn RowLocker,
        wanted: Option<u64>,
    ) -> Self {
        Self {
            locks: locks.to_vec(),
            locker,
            left: wanted.unwrap_or(u64::MAX),
        }
    }

    fn hold_all(&self, input: &Batch, row: usize) -> Result<bool> {
        for lock in &self.locks {
            let ids = input.columns[lock.row].as_primitive::<Int64Type>();
            if !self.locker.hold(lock, RowId(ids.value(row) as u64))? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Operator for LockRows<'_> {
    fn push(&mut self, input: &Batch, context: &ExecContext) -> Result<Step> {
        let mut passed = Vec::with_capacity(input.rows.min(BATCH_ROWS));
        for row in 0..input.rows {
            if row.is_multiple_of(CHECK_ROWS) {
                context.check()?;
            }
            let passes = self.left > 0 && self.hold_all(input, row)?;
            self.left -= u64::from(passes);
            passed.push(passes);
        }
        let passed = BooleanArray::from(passed);
        let output = match passed.true_count() == input.rows {
            true => input.clone(),
            false => input.filter(&passed)?,
        };
        Ok(match self.left {
            0 => Step::Last(output),
            _ => Step::Done(output),
        })
    }
}

/// Rows that are kept until they are asked for.
#[derive(Debug, Default)]
pub(in crate::exec) struct Kept {
    batches: VecDeque<Batch>,
    held: Held,
}

impl Kept {
    pub(in crate::exec) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Keeps a batch.
    pub(in crate::exec) fn push(&mut self, batch: Batch, context: &ExecContext) -> Result<()> {
        let batch = batch.compact();
        self.held.grow(batch.bytes(), context)?;
        self.batches.push_back(batch);
        Ok(())
    }

    /// Forgets rows: their numbers in the order in which they came, ascending.
    pub(in crate::exec) fn leave_out(&mut self, rows: &[usize]) -> Result<()> {
        let mut first = 0;
        for batch in &mut self.batches {
            let before = rows.partition_point(|row| *row < first);
            let up_to = rows.partition_point(|row| *row < first + batch.rows);
            let mut stays = vec![true; batch.rows];
            for row in &rows[before..up_to] {
                stays[row - first] = false;
            }
            first += batch.rows;
            if before < up_to {
                *batch = batch.filter(&BooleanArray::from(stays))?;
            }
        }
        self.batches.retain(|batch| batch.rows > 0);
        Ok(())
    }
}

impl Source for Kept {
    fn next(&mut self, _: &ExecContext) -> Result<Option<Batch>> {
        Ok(self.batches.pop_front())
    }
}
