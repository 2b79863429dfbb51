//! SortBuffer: rows with their sort keys, for [`crate::exec::sort`] and [`super::top_n`].
//!
//! ```text
//!   batches   [ b0: rows 0..4096 ][ b1: rows 4096.. ] ..    as they came
//!   keys      one byte string a row: ORDER BY's order is the order of the bytes
//!   order     (first 9 key bytes, row number) a row: what is sorted
//! ```
//!
//! Most comparisons are decided by the nine bytes beside the row number (a mark for NULL and eight
//! bytes of value: all of a BIGINT), without touching the keys. Equal keys are ordered by row number, so the
//! sort is stable. Sorting asks for interrupts on its way: a sort of many millions of rows can be cancelled.

use crate::error::Result;
use crate::exec::aggregate::key_table::{MISSING, too_many};
use crate::exec::aggregate::keys::{ByteKeys, encode};
use crate::exec::batch::{Batch, internal};
use crate::exec::eval::Evaluator;
use crate::exec::memory::Held;
use crate::exec::{BATCH_ROWS, ExecContext};
use crate::plan::SortKey;
use arrow_array::Array;
use remora_storage::DataType;
use remora_storage::index::KeyColumn;
use remora_storage::sort::sort_by;

/// Rows between interrupt checks.
const CHECK_ROWS: usize = 1 << 14;

/// What sorting moves: the key's first bytes and the row's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Item {
    mark: u8,
    prefix: u64,
    row: u32,
}

impl Item {
    fn new(key: &[u8], row: u32) -> Self {
        let (mark, rest) = key.split_first().unwrap_or((&0, &[]));
        let mut prefix = [0; 8];
        let length = rest.len().min(8);
        prefix[..length].copy_from_slice(&rest[..length]);
        Self {
            mark: *mark,
            prefix: u64::from_be_bytes(prefix),
            row,
        }
    }
}

/// Rows and keys.
#[derive(Debug)]
pub(in crate::exec) struct SortBuffer {
    exprs: Vec<Evaluator>,
    types: Vec<DataType>,
    columns: Vec<KeyColumn>,
    batches: Vec<Batch>,
    /// The number of each batch's first row.
    starts: Vec<usize>,
    rows: usize,
    batch_bytes: usize,
    keys: ByteKeys,
    held: Held,
}

impl SortBuffer {
    /// An empty buffer for rows ordered by `keys`.
    pub(in crate::exec) fn new(keys: &[SortKey]) -> Self {
        let column = |key: &SortKey| KeyColumn {
            descending: key.descending,
            nulls_first: key.nulls_first,
        };
        Self {
            exprs: keys
                .iter()
                .map(|key| Evaluator::new(key.expr.clone()))
                .collect(),
            types: keys.iter().map(|key| key.expr.data_type).collect(),
            columns: keys.iter().map(column).collect(),
            batches: Vec::new(),
            starts: Vec::new(),
            rows: 0,
            batch_bytes: 0,
            keys: ByteKeys::default(),
            held: Held::default(),
        }
    }

    /// Rows in it.
    pub(in crate::exec) fn rows(&self) -> usize {
        self.rows
    }

    /// The key bytes of each row of a batch.
    pub(in crate::exec) fn keys_of(
        &self,
        batch: &Batch,
        context: &ExecContext,
    ) -> Result<ByteKeys> {
        let columns = Evaluator::arrays(&self.exprs, batch, context)?;
        let mut keys = ByteKeys::default();
        encode(&columns, &self.types, &self.columns, batch.rows, &mut keys);
        Ok(keys)
    }

    /// The key bytes of a row in the buffer.
    pub(in crate::exec) fn key(&self, row: u32) -> &[u8] {
        self.keys.get(row as usize)
    }

    /// Adds a batch with its keys.
    pub(in crate::exec) fn push(
        &mut self,
        batch: Batch,
        keys: &ByteKeys,
        context: &ExecContext,
    ) -> Result<()> {
        if self.rows + batch.rows >= MISSING as usize {
            return Err(too_many());
        }
        let batch = batch.compact();
        self.batch_bytes += batch.bytes();
        let order = size_of::<Item>() * (self.rows + batch.rows);
        let growth = self.keys.bytes() + self.keys.growth(keys);
        self.held
            .reach(self.batch_bytes + order + growth, context)?;
        for position in 0..keys.len() {
            self.keys.push(keys.get(position));
        }
        self.starts.push(self.rows);
        self.rows += batch.rows;
        self.batches.push(batch);
        Ok(())
    }

    /// The row numbers in order.
    pub(in crate::exec) fn sorted(&self, context: &ExecContext) -> Result<Vec<u32>> {
        let mut items: Vec<Item> = Vec::with_capacity(self.rows);
        let rows = self.rows as u32;
        for from in (0..rows).step_by(CHECK_ROWS) {
            context.check()?;
            let to = from.saturating_add(CHECK_ROWS as u32).min(rows);
            items.extend((from..to).map(|row| Item::new(self.key(row), row)));
        }
        let order = |a: &Item, b: &Item| {
            (a.mark, a.prefix)
                .cmp(&(b.mark, b.prefix))
                .then_with(|| self.key(a.row).cmp(self.key(b.row)))
                .then(a.row.cmp(&b.row))
        };
        sort_by(&mut items, &order, &mut || context.check())?;
        Ok(items.into_iter().map(|item| item.row).collect())
    }

    /// The rows numbered `rows`, in that order.
    pub(in crate::exec) fn gather(&self, rows: &[u32]) -> Result<Batch> {
        let picks: Vec<(usize, usize)> = rows
            .iter()
            .map(|row| {
                let row = *row as usize;
                let batch = self.starts.partition_point(|start| *start <= row) - 1;
                (batch, row - self.starts[batch])
            })
            .collect();
        let width = self.batches.first().map_or(0, |batch| batch.columns.len());
        let column = |position: usize| {
            let parts: Vec<&dyn Array> = self
                .batches
                .iter()
                .map(|batch| batch.columns[position].as_ref())
                .collect();
            arrow_select::interleave::interleave(&parts, &picks).map_err(internal)
        };
        let columns = (0..width).map(column).collect::<Result<_>>()?;
        Ok(Batch::new(columns, rows.len()))
    }

    /// Keeps only the rows numbered `rows`, in that order, as rows from 0 on.
    pub(in crate::exec) fn keep(&mut self, rows: &[u32]) -> Result<()> {
        let mut kept = Vec::new();
        for rows in rows.chunks(BATCH_ROWS) {
            kept.push(self.gather(rows)?.compact());
        }
        let mut keys = ByteKeys::default();
        for row in rows {
            keys.push(self.key(*row));
        }
        self.keys = keys;
        self.starts = (0..kept.len()).map(|batch| batch * BATCH_ROWS).collect();
        self.rows = rows.len();
        self.batch_bytes = kept.iter().map(Batch::bytes).sum();
        self.batches = kept;
        let order = size_of::<Item>() * self.rows;
        self.held
            .shrink(self.batch_bytes + order + self.keys.bytes());
        Ok(())
    }

    /// Gives back the memory of the keys, once the order is known.
    pub(in crate::exec) fn drop_keys(&mut self) {
        self.keys = ByteKeys::default();
        self.held
            .shrink(self.batch_bytes + size_of::<u32>() * self.rows);
    }
}
