//! Memo: answers of a plan that is run for each row, by the values it was run with, so that it is not run again for
//! equal values.
//!
//! Values are of types that have one form for each value, and a plan gives equal rows for equal values. A memo keeps up to
//! [`BYTES_MAX`], and short answers only; where hardly any value comes twice, it is given up.

use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::aggregate::distinct::Seen;
use crate::exec::aggregate::keys::Keys;
use crate::exec::batch::Batch;
use crate::exec::memory::Held;
use arrow_array::ArrayRef;
use remora_storage::DataType;

/// Bytes of the answers that are kept.
const BYTES_MAX: usize = 1 << 20;
/// Rows of an answer that is kept.
const ROWS_MAX: usize = 64;
/// Rows after which it is known whether values come again, and one in how many of them must have.
const TRIED_ROWS: usize = 1024;
const HITS_MIN: usize = 8;

/// Answers by the values that they are for.
#[derive(Debug)]
pub(in crate::exec) struct Memo {
    types: Vec<DataType>,
    seen: Seen,
    /// By the number of their values.
    answers: Vec<Option<Answer>>,
    bytes: usize,
    held: Held,
    asked: usize,
    hits: usize,
}

/// An answer of a plan.
#[derive(Clone, Debug)]
pub(in crate::exec) enum Answer {
    /// All of its rows.
    Rows(Batch),
    /// Whether there is one, or what a test says of all.
    Mark(Option<bool>),
}

impl Memo {
    /// For values of these types; `None` where equal ones may be told apart.
    pub(in crate::exec) fn new(types: Vec<DataType>) -> Option<Self> {
        let has_one_form = types.iter().all(|data_type| data_type.has_one_form());
        (has_one_form && !types.is_empty()).then(|| Self {
            seen: Seen::new(&types),
            types,
            answers: Vec::new(),
            bytes: 0,
            held: Held::default(),
            asked: 0,
            hits: 0,
        })
    }

    /// Numbers for the values of each row.
    pub(in crate::exec) fn numbers(
        &mut self,
        values: &[ArrayRef],
        rows: usize,
        context: &ExecContext,
    ) -> Result<Vec<u32>> {
        let keys = Keys::of(values, &self.types, rows);
        Ok(self.seen.numbers(&keys, context)?.to_vec())
    }

    /// Returns the answer for values with this number.
    pub(in crate::exec) fn get(&mut self, number: u32) -> Option<Answer> {
        self.asked += 1;
        let answer = self.answers.get(number as usize).cloned().flatten();
        self.hits += usize::from(answer.is_some());
        answer
    }

    /// Whether values come again often enough.
    pub(in crate::exec) fn pays(&self) -> bool {
        let is_small = self.seen.bytes() < BYTES_MAX;
        is_small && (self.asked < TRIED_ROWS || self.hits * HITS_MIN >= self.asked)
    }

    /// Keeps an answer, if there is room for it.
    pub(in crate::exec) fn keep(
        &mut self,
        number: u32,
        answer: Answer,
        context: &ExecContext,
    ) -> Result<()> {
        let number = number as usize;
        let places = (number + 1).saturating_sub(self.answers.len());
        let rows = match &answer {
            Answer::Rows(batch) if batch.rows > ROWS_MAX => return Ok(()),
            Answer::Rows(batch) => batch.bytes(),
            Answer::Mark(_) => 0,
        };
        let bytes = self.bytes + rows + places * size_of::<Option<Answer>>();
        if bytes > BYTES_MAX {
            return Ok(());
        }
        self.held.reach(bytes, context)?;
        self.bytes = bytes;
        if places > 0 {
            self.answers.resize(number + 1, None);
        }
        self.answers[number] = Some(answer);
        Ok(())
    }
}
