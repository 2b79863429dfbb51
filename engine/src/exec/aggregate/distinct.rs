//! Distinct: each row once, as it first appears, or the first row of each value of some columns. Streams: only
//! keys are kept, not rows.

use super::key_table::KeyTable;
use super::keys::Keys;
use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::batch::Batch;
use crate::exec::memory::Held;
use crate::exec::pipeline::{Operator, Step};
use crate::plan::Field;
use arrow_array::BooleanArray;
use arrow_buffer::BooleanBuffer;
use remora_storage::DataType;

/// Lets a row through if it has not been seen.
#[derive(Debug)]
pub(in crate::exec) struct Distinct {
    /// The columns that count.
    columns: Vec<usize>,
    types: Vec<DataType>,
    seen: Seen,
}

impl Distinct {
    /// `columns` are those that count.
    pub(in crate::exec) fn new(schema: &[Field], columns: Vec<usize>) -> Self {
        let types = columns.iter().map(|column| schema[*column].data_type);
        let types: Vec<_> = types.collect();
        Self {
            seen: Seen::new(&types),
            columns,
            types,
        }
    }
}

impl Operator for Distinct {
    fn push(&mut self, input: &Batch, context: &ExecContext) -> Result<Step> {
        let columns = self.columns.iter();
        let columns: Vec<_> = columns
            .map(|column| input.columns[*column].clone())
            .collect();
        let keys = Keys::of(&columns, &self.types, input.rows);
        let new = self.seen.new_rows(&keys, context)?;
        input.filter(&BooleanArray::new(new, None)).map(Step::Done)
    }
}

/// A set of keys: tells which rows bring a new one.
#[derive(Debug)]
pub(in crate::exec) struct Seen {
    table: KeyTable,
    numbers: Vec<u32>,
    held: Held,
}

impl Seen {
    pub(in crate::exec) fn new(types: &[DataType]) -> Self {
        Self {
            table: KeyTable::new(types),
            numbers: Vec::new(),
            held: Held::default(),
        }
    }

    /// How much memory the keys take.
    pub(in crate::exec) fn bytes(&self) -> usize {
        self.table.bytes()
    }

    /// Adds the keys; gives the number of each, in order of first appearance.
    pub(in crate::exec) fn numbers(
        &mut self,
        keys: &Keys,
        context: &ExecContext,
    ) -> Result<&[u32]> {
        let bytes = self.table.bytes() + self.table.growth(keys);
        self.held.reach(bytes, context)?;
        self.table.insert(keys, &mut self.numbers)?;
        Ok(&self.numbers)
    }

    /// The number of each key; `MISSING` where it has not been added.
    pub(in crate::exec) fn find(&mut self, keys: &Keys) -> Result<&[u32]> {
        self.table.find(keys, &mut self.numbers)?;
        Ok(&self.numbers)
    }

    /// Adds the keys; a bit is set where the key had not been there.
    pub(in crate::exec) fn new_rows(
        &mut self,
        keys: &Keys,
        context: &ExecContext,
    ) -> Result<BooleanBuffer> {
        let mut next = self.table.len() as u32;
        let numbers = self.numbers(keys, context)?;
        Ok(BooleanBuffer::collect_bool(keys.len(), |row| {
            // New keys are numbered in order of appearance.
            let new = numbers[row] == next;
            next += u32::from(new);
            new
        }))
    }
}
