//! Mark: of left rows for which a test is true of no right row, those of which it is NULL of one.
//!
//! `x NOT IN (SELECT y ..)` is NULL, and not true, where x is NULL and there is a y, and where some y is NULL. The
//! hash table finds where the test is true; what it can be NULL of are few rows:
//!
//! ```text
//!   left row              right rows that are looked at
//!   has a NULL key        all
//!   any other             those with a NULL key; and those of its own key, if keys are not all of the test
//!   the test has no key   those of its own key
//! ```
//!
//! Each left row is tried with its first such row, which mostly decides, before it is tried with all others.

use super::join_table::JoinTable;
use crate::error::Result;
use crate::exec::aggregate::key_table::MISSING;
use crate::exec::batch::Batch;
use crate::exec::eval::Evaluator;
use crate::exec::{BATCH_ROWS, ExecContext};
use crate::plan::physical::MarkTest;
use arrow_array::UInt32Array;

/// Tells NULL from false.
#[derive(Debug)]
pub(in crate::exec) struct NullTest {
    test: Evaluator,
    /// What has to be true besides.
    on: Option<Evaluator>,
    /// Whether keys are a part of the test, and whether they are all of it.
    has_keys: bool,
    has_rest: bool,
}

impl NullTest {
    /// `has_rest`: whether the test has parts that are no keys.
    pub(in crate::exec) fn new(test: MarkTest, has_rest: bool) -> Self {
        Self {
            has_keys: test.keys > 0,
            test: Evaluator::new(test.test),
            on: test.on.map(Evaluator::new),
            has_rest,
        }
    }

    /// Which of the left rows that are not `matched` the test is NULL of. `numbers` are their keys'; where a
    /// part of the key is NULL, `nulls` says so.
    pub(in crate::exec) fn unknown(
        &self,
        input: &Batch,
        table: &JoinTable,
        (numbers, nulls): (&[u32], &[bool]),
        matched: &[bool],
        context: &ExecContext,
    ) -> Result<Vec<bool>> {
        let mut unknown = vec![false; input.rows];
        let key = |row: usize| Some((*numbers.get(row)?, *nulls.get(row)?));
        let candidates = |row: usize| Candidates::of(self, table, key(row));
        let open = |row: &usize| !matched[*row];
        let first = (0..input.rows).filter(open);
        let mut pairs = Pairs::default();
        for row in first {
            if let Some(right) = candidates(row).get(0) {
                pairs.push(row, right);
            }
        }
        self.note(&mut pairs, input, table, &mut unknown, context)?;
        for row in (0..input.rows).filter(open) {
            let candidates = candidates(row);
            for at in 1..candidates.len() {
                if unknown[row] {
                    break;
                }
                if let Some(right) = candidates.get(at) {
                    pairs.push(row, right);
                }
                if pairs.left.len() == BATCH_ROWS {
                    context.check()?;
                    self.note(&mut pairs, input, table, &mut unknown, context)?;
                }
            }
        }
        self.note(&mut pairs, input, table, &mut unknown, context)?;
        Ok(unknown)
    }

    fn note(
        &self,
        pairs: &mut Pairs,
        input: &Batch,
        table: &JoinTable,
        unknown: &mut [bool],
        context: &ExecContext,
    ) -> Result<()> {
        let (left, right) = (
            std::mem::take(&mut pairs.left),
            std::mem::take(&mut pairs.right),
        );
        if left.is_empty() {
            return Ok(());
        }
        let left = UInt32Array::from(left);
        let mut columns = input.take(&left)?.columns;
        columns.extend(table.columns.take(&UInt32Array::from(right))?.columns);
        let batch = Batch::new(columns, left.len());
        let test = self.test.truth(&batch, context)?;
        let mut is_null = &!&test.yes & &!&test.no;
        if let Some(on) = &self.on {
            is_null = &is_null & &on.truth(&batch, context)?.yes;
        }
        for pair in is_null.set_indices() {
            unknown[left.value(pair) as usize] = true;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Pairs {
    left: Vec<u32>,
    right: Vec<u32>,
}

impl Pairs {
    fn push(&mut self, left: usize, right: u32) {
        self.left.push(left as u32);
        self.right.push(right);
    }
}

/// Right rows that a left row is tried with.
enum Candidates<'t> {
    All(usize),
    Some(&'t [u32], &'t [u32]),
}

impl<'t> Candidates<'t> {
    /// `key` is the left row's key, and whether a part of it is NULL.
    fn of(test: &NullTest, table: &'t JoinTable, key: Option<(u32, bool)>) -> Self {
        let (Some(lookup), Some((number, is_null))) = (&table.lookup, key) else {
            return Self::All(table.columns.rows);
        };
        if is_null && test.has_keys {
            return Self::All(table.columns.rows);
        }
        let own = match number {
            MISSING => &[][..],
            number => lookup.rows_of(number),
        };
        match (test.has_keys, test.has_rest) {
            (false, _) => Self::Some(own, &[]),
            (true, true) => Self::Some(own, &lookup.nulls),
            (true, false) => Self::Some(&[], &lookup.nulls),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::All(rows) => *rows,
            Self::Some(one, two) => one.len() + two.len(),
        }
    }

    fn get(&self, at: usize) -> Option<u32> {
        match self {
            Self::All(rows) => (at < *rows).then_some(at as u32),
            Self::Some(one, two) => one.iter().chain(*two).nth(at).copied(),
        }
    }
}
