//! Scroll: the rows of a query one after the other, as far as somebody goes, and back again.
//!
//! ```text
//!    before the first   row 1   row 2   ..   row n   behind the last
//!          at = 0         1       2            n         n + 1
//! ```
//!
//! The query runs as far as rows are asked for. Those that it has given are kept, so that one can go back; of
//! one that only goes forward, no more than the batch that the current row is in.

use super::cursor::Cursor;
use super::memory::Held;
use super::{ExecContext, batch};
use crate::error::{Error, Result, state};
use crate::plan::cursor::Movement;
use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use remora_storage::Value;
use remora_storage::value::ColumnBuilder;
use std::collections::VecDeque;

/// A query that can be gone through; owns what it needs.
#[derive(Debug)]
pub(crate) struct Scroll {
    /// `None` where it has come to its end.
    source: Option<Box<Cursor>>,
    /// Batches, each with the number of its first row.
    kept: VecDeque<(u64, RecordBatch)>,
    /// How many rows the query has given.
    given: u64,
    at: u64,
    goes_back: bool,
    context: ExecContext,
    held: Held,
}

impl Scroll {
    /// The rows of a query that runs.
    pub(crate) fn new(source: Option<Box<Cursor>>, goes_back: bool, context: &ExecContext) -> Self {
        Self {
            source,
            kept: VecDeque::new(),
            given: 0,
            at: 0,
            goes_back,
            context: context.reading(),
            held: Held::default(),
        }
    }

    /// Rows that are there already.
    ///
    /// # Errors
    /// 53200
    pub(crate) fn of_rows(
        rows: &[Vec<Value>],
        (columns, schema): (&[crate::plan::Field], &SchemaRef),
        goes_back: bool,
        context: &ExecContext,
    ) -> Result<Self> {
        let mut scroll = Self::new(None, goes_back, context);
        if rows.is_empty() {
            return Ok(scroll);
        }
        let arrays = columns.iter().enumerate().map(|(position, column)| {
            let mut builder = ColumnBuilder::new(column.data_type, rows.len());
            for row in rows {
                builder.push(row[position].as_ref());
            }
            builder.finish()
        });
        let arrays: Vec<_> = arrays.collect();
        let batch = batch::Batch::new(arrays, rows.len());
        scroll.keep(batch.record(schema)?)?;
        Ok(scroll)
    }

    /// Goes somewhere; gives the rows that it comes by, or comes to, in that order.
    ///
    /// # Errors
    /// 55000 where it would have to go back and does not; those of the query.
    pub(crate) fn go(&mut self, movement: Movement) -> Result<Vec<RecordBatch>> {
        use Movement::{Absolute, Backward, Forward, Relative};
        match movement {
            Forward(0) | Backward(0) | Relative(0) => self.current(),
            Forward(rows) if rows < 0 => self.backward(rows.unsigned_abs()),
            Backward(rows) if rows < 0 => self.forward(rows.unsigned_abs()),
            Forward(rows) => self.forward(rows.unsigned_abs()),
            Backward(rows) => self.backward(rows.unsigned_abs()),
            Absolute(row) if row > 0 => self.go_to(row.unsigned_abs()),
            Absolute(0) => {
                if self.at > 0 {
                    self.check_back()?;
                }
                self.at = 0;
                Ok(Vec::new())
            }
            Absolute(row) => {
                self.check_back()?;
                self.reach(u64::MAX)?;
                self.go_to((self.given + 1).saturating_sub(row.unsigned_abs()))
            }
            Relative(rows) if rows > 0 => {
                self.forward(rows.unsigned_abs() - 1)?;
                self.forward(1)
            }
            Relative(rows) => {
                self.backward(rows.unsigned_abs() - 1)?;
                self.backward(1)
            }
        }
    }

    /// Runs the query to its end, so that its transaction is needed no more.
    ///
    /// # Errors
    /// Those of the query.
    pub(crate) fn run_ahead(&mut self) -> Result<()> {
        self.reach(u64::MAX).map(drop)
    }

    /// The row that it is at, once more.
    fn current(&mut self) -> Result<Vec<RecordBatch>> {
        if self.at == 0 || self.at > self.given {
            return Ok(Vec::new());
        }
        self.check_back()?;
        self.at -= 1;
        self.forward(1)
    }

    /// To a row by its number; 0 is before the first.
    fn go_to(&mut self, row: u64) -> Result<Vec<RecordBatch>> {
        if row <= self.at {
            self.check_back()?;
            self.at = row.saturating_sub(1);
        }
        if row == 0 {
            return Ok(Vec::new());
        }
        self.forward(row - 1 - self.at)?;
        self.forward(1)
    }

    fn forward(&mut self, rows: u64) -> Result<Vec<RecordBatch>> {
        let mut passed = Vec::new();
        let mut left = rows;
        while left > 0 {
            if !self.reach(self.at + 1)? {
                self.at = self.given + 1;
                break;
            }
            let (batch, offset) = self.place(self.at + 1);
            let many = (batch.num_rows() - offset).min(usize::try_from(left).unwrap_or(usize::MAX));
            passed.push(batch.slice(offset, many));
            self.at += many as u64;
            left -= many as u64;
            self.forget();
        }
        Ok(passed)
    }

    fn backward(&mut self, rows: u64) -> Result<Vec<RecordBatch>> {
        self.check_back()?;
        let mut passed = Vec::new();
        let mut left = rows;
        while left > 0 {
            self.context.check()?;
            if self.at <= 1 {
                self.at = 0;
                break;
            }
            let (batch, last) = self.place(self.at - 1);
            let many = (last + 1).min(usize::try_from(left).unwrap_or(usize::MAX));
            let order = (last + 1 - many..=last).rev().map(|row| row as u32);
            let order = UInt32Array::from_iter_values(order);
            let turned = arrow_select::take::take_record_batch(batch, &order);
            passed.push(turned.map_err(batch::internal)?);
            self.at -= many as u64;
            left -= many as u64;
        }
        Ok(passed)
    }

    fn check_back(&self) -> Result<()> {
        if self.goes_back {
            return Ok(());
        }
        let message = "cursor can only scan forward";
        Err(Error::new(state::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
            .with_hint("Declare it with SCROLL option to enable backward scan."))
    }

    /// Runs the query until it has given so many rows; whether it has.
    fn reach(&mut self, rows: u64) -> Result<bool> {
        while self.given < rows {
            let Some(source) = &mut self.source else {
                return Ok(false);
            };
            match source.next()? {
                Some(batch) => self.keep(batch)?,
                None => self.source = None,
            }
        }
        Ok(true)
    }

    fn keep(&mut self, batch: RecordBatch) -> Result<()> {
        self.held.grow(bytes(&batch), &self.context)?;
        let rows = batch.num_rows() as u64;
        self.kept.push_back((self.given + 1, batch));
        self.given += rows;
        Ok(())
    }

    /// Where a row is that is kept.
    fn place(&self, row: u64) -> (&RecordBatch, usize) {
        let behind = self.kept.partition_point(|(first, _)| *first <= row);
        let (first, batch) = &self.kept[behind - 1];
        (batch, (row - first) as usize)
    }

    /// Nobody comes back to what lies before, if there is no going back.
    fn forget(&mut self) {
        while !self.goes_back
            && let Some((first, batch)) = self.kept.front()
            && first + (batch.num_rows() as u64) <= self.at
        {
            self.kept.pop_front();
            let left = self.kept.iter().map(|(_, batch)| bytes(batch)).sum();
            self.held.shrink(left);
        }
    }
}

/// Bytes that the rows of a batch stand for.
fn bytes(batch: &RecordBatch) -> usize {
    batch::column_bytes(batch.columns())
}
