//! Batches that are cut: operators that take few rows at a time, and give each piece several times, lose none of the rest.

use super::super::batch::Batch;
use super::super::pipeline::Step;
use super::*;
use crate::function::BATCH_BYTES_MAX;
use proptest::prelude::*;

/// Gives each batch so many times; of a batch with more rows than it takes, it wants a piece.
#[derive(Debug)]
struct Repeated {
    times: usize,
    rows_max: usize,
    given: usize,
}

impl Repeated {
    fn of((times, rows_max): (usize, usize)) -> Self {
        Self {
            times,
            rows_max,
            given: 0,
        }
    }
}

impl Operator for Repeated {
    fn push(&mut self, input: &Batch, context: &ExecContext) -> Result<Step> {
        let memory = &context.eval.memory;
        if self.given == 0 && input.rows > self.rows_max {
            memory.capped(|| memory.take(BATCH_BYTES_MAX as usize + 1))?;
        }
        self.given = (self.given + 1) % self.times;
        Ok(match self.given {
            0 => Step::Done(input.clone()),
            _ => Step::More(input.clone()),
        })
    }
}

proptest! {
    #[test]
    fn all_rows_of_a_batch_come_whatever_it_is_cut_for(
        rows in 1_i64..200,
        operators in prop::collection::vec((1_usize..4, 1_usize..80), 1..4),
    ) {
        let context = context().with_own_memory();
        let before: Numbers = (0..rows).map(|n| vec![Some(n)]).collect();
        let times: usize = operators.iter().map(|(times, _)| times).product();
        let pipeline = operators
            .into_iter()
            .map(Repeated::of)
            .fold(numbers(1, &before), Pipeline::with);
        let mut found = run(pipeline, &context).unwrap();
        found.sort();
        let expected: Numbers = before.into_iter().flat_map(|row| vec![row; times]).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(context.eval.memory.level(), 0);
    }
}
