//! WithTies: the first rows of an order, and those after them that are no different in that order.

use super::limit::Stretch;
use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::aggregate::keys::{ByteKeys, encode};
use crate::exec::batch::Batch;
use crate::exec::eval::Evaluator;
use crate::exec::pipeline::{Operator, Step};
use crate::plan::Expr;
use remora_storage::DataType;
use remora_storage::index::KeyColumn;

/// Passes over some rows, lets some through, and then those whose key is the last one's. The rows come in
/// the order of the keys.
#[derive(Debug)]
pub(in crate::exec) struct WithTies {
    keys: Vec<Evaluator>,
    types: Vec<DataType>,
    skip: u64,
    left: u64,
    /// The key of the last row that counts.
    last: Vec<u8>,
}

impl WithTies {
    pub(in crate::exec) fn new(keys: Vec<Expr>, stretch: Stretch) -> Self {
        Self {
            types: keys.iter().map(|key| key.data_type).collect(),
            keys: keys.into_iter().map(Evaluator::new).collect(),
            skip: stretch.offset,
            left: stretch.limit.unwrap_or(u64::MAX),
            last: Vec::new(),
        }
    }

    fn keys_of(&self, rows: &Batch, context: &ExecContext) -> Result<ByteKeys> {
        let columns = Evaluator::arrays(&self.keys, rows, context)?;
        let order = vec![KeyColumn::default(); columns.len()];
        let mut keys = ByteKeys::default();
        encode(&columns, &self.types, &order, rows.rows, &mut keys);
        Ok(keys)
    }
}

impl Operator for WithTies {
    fn push(&mut self, input: &Batch, context: &ExecContext) -> Result<Step> {
        let skipped = self.skip.min(input.rows as u64) as usize;
        let rows = input.slice(skipped, input.rows - skipped);
        self.skip -= skipped as u64;
        if rows.rows == 0 || self.left > rows.rows as u64 {
            self.left -= rows.rows as u64;
            return Ok(Step::Done(rows));
        }
        let keys = self.keys_of(&rows, context)?;
        let counted = self.left as usize;
        if let Some(last) = counted.checked_sub(1) {
            self.last = keys.get(last).to_vec();
            self.left = 0;
        }
        let ties = (counted..rows.rows).take_while(|row| keys.get(*row) == self.last);
        let given = counted + ties.count();
        Ok(match given < rows.rows {
            true => Step::Last(rows.slice(0, given)),
            false => Step::Done(rows),
        })
    }
}
