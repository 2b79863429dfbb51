//! SetOperation: INTERSECT and EXCEPT. The right input's rows are numbered as keys; the left's stream
//! through and stay or go.
//!
//! | | a left row stays |
//! |---|---|
//! | `INTERSECT` | where the right has its key, for the first time |
//! | `INTERSECT ALL` | as often as the right has its key |
//! | `EXCEPT` | where neither the right nor a left row before it has its key |
//! | `EXCEPT ALL` | after it has come as often as the right has its key |

use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::aggregate::distinct::Seen;
use crate::exec::aggregate::key_table::MISSING;
use crate::exec::aggregate::keys::Keys;
use crate::exec::batch::Batch;
use crate::exec::memory::Held;
use crate::exec::pipeline::{Breaker, Operator, Sink, Step};
use crate::plan::Field;
use crate::plan::set_operation::SetOperator;
use arrow_array::BooleanArray;
use arrow_buffer::BooleanBuffer;
use remora_storage::DataType;

/// Numbers the keys of the right input, and counts each.
#[derive(Debug)]
pub(in crate::exec) struct RightRows {
    types: Vec<DataType>,
    seen: Seen,
    /// How often each key is there and was not yet met by a left row.
    counts: Vec<u64>,
    held: Held,
}

impl RightRows {
    pub(in crate::exec) fn new(schema: &[Field]) -> Self {
        let types: Vec<_> = schema.iter().map(|field| field.data_type).collect();
        Self {
            seen: Seen::new(&types),
            types,
            counts: Vec::new(),
            held: Held::default(),
        }
    }

    fn keys(&self, batch: &Batch) -> Keys {
        Keys::of(&batch.columns, &self.types, batch.rows)
    }
}

impl Sink for RightRows {
    type Output = Self;

    fn push(&mut self, batch: Batch, context: &ExecContext) -> Result<()> {
        let keys = self.keys(&batch);
        // Doubling holds both sizes meanwhile.
        let most = 3 * (self.counts.len() + keys.len());
        self.held.reach(most * size_of::<u64>(), context)?;
        let numbers = self.seen.numbers(&keys, context)?;
        for number in numbers {
            let number = *number as usize;
            if number == self.counts.len() {
                self.counts.push(0);
            }
            self.counts[number] += 1;
        }
        Ok(())
    }

    fn finish(self, _: &ExecContext) -> Result<Self> {
        Ok(self)
    }
}

/// Lets left rows through.
#[derive(Debug)]
pub(in crate::exec) struct SetOperation<'t> {
    operator: SetOperator,
    all: bool,
    right: Breaker<'t, RightRows>,
}

impl<'t> SetOperation<'t> {
    pub(in crate::exec) fn new(
        operator: SetOperator,
        all: bool,
        right: Breaker<'t, RightRows>,
    ) -> Self {
        Self {
            operator,
            all,
            right,
        }
    }
}

impl Operator for SetOperation<'_> {
    fn push(&mut self, input: &Batch, context: &ExecContext) -> Result<Step> {
        let Some(right) = self.right.output(context)? else {
            return Ok(Step::Last(input.slice(0, 0)));
        };
        if right.counts.is_empty() && self.operator == SetOperator::Intersect {
            return Ok(Step::Last(input.slice(0, 0)));
        }
        let keys = right.keys(input);
        let keep = match (self.operator, self.all) {
            (SetOperator::Except, false) => right.seen.new_rows(&keys, context)?,
            (operator, all) => {
                let numbers = right.seen.find(&keys)?;
                let counts = &mut right.counts;
                BooleanBuffer::collect_bool(keys.len(), |row| {
                    let is_met = match numbers[row] {
                        MISSING => false,
                        number => meet(&mut counts[number as usize], all),
                    };
                    is_met == (operator == SetOperator::Intersect)
                })
            }
        };
        input.filter(&BooleanArray::new(keep, None)).map(Step::Done)
    }
}

/// Whether a right row is left for a left one, which takes it, or takes all.
fn meet(count: &mut u64, all: bool) -> bool {
    let is_met = *count > 0;
    *count = if all { count.saturating_sub(1) } else { 0 };
    is_met
}
