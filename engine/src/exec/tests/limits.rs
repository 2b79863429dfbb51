//! LIMIT stops the source; memory and interrupts end a statement cleanly.

use super::super::batch::Batch;
use super::super::pipeline::{Breaker, Pipeline, Source};
use super::super::sort::Sort;
use super::*;
use crate::activity::{Activity, Request};
use crate::error::state;
use crate::exec::aggregate::distinct::Distinct;
use crate::exec::sort::limit::{Limit, Stretch};
use crate::plan::SortKey;
use arrow_array::Int64Array;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Gives batches of 1000 ascending numbers without end, and counts them.
#[derive(Debug, Default)]
struct Endless {
    given: Arc<AtomicUsize>,
}

impl Source for Endless {
    fn next(&mut self, _: &ExecContext) -> Result<Option<Batch>> {
        let start = 1000 * self.given.fetch_add(1, Ordering::Relaxed) as i64;
        let numbers = Int64Array::from_iter_values(start..start + 1000);
        Ok(Some(Batch::new(vec![Arc::new(numbers)], 1000)))
    }
}

fn stretch(limit: Option<i64>, offset: Option<i64>) -> Result<Stretch> {
    Stretch::new(Some(&number(limit)), Some(&number(offset)), &context())
}

#[test]
fn a_limit_stops_the_source() {
    let source = Endless::default();
    let given = source.given.clone();
    let limit = Limit::new(stretch(Some(3), Some(1999)).unwrap());
    let rows = run(boxed(source, limit), &context()).unwrap();
    assert_eq!(rows, [[Some(1999)], [Some(2000)], [Some(2001)]]);
    assert_eq!(given.load(Ordering::Relaxed), 3);
}

#[test]
fn null_limits_nothing_and_less_than_none_is_refused() {
    let all = stretch(None, None).unwrap();
    assert_eq!((all.offset, all.limit), (0, None));
    let refusal = |limit, offset| {
        let error = stretch(limit, offset).unwrap_err();
        (error.sqlstate(), error.message().to_owned())
    };
    assert_eq!(
        refusal(Some(-1), None),
        ("2201W", "LIMIT must not be negative".to_owned())
    );
    assert_eq!(
        refusal(None, Some(-1)),
        ("2201X", "OFFSET must not be negative".to_owned())
    );
}

fn by_first() -> SortKey {
    SortKey {
        expr: column(0),
        descending: true,
        nulls_first: true,
    }
}

#[test]
fn a_sort_beyond_the_budget_fails_and_gives_everything_back() {
    let mut context = context();
    context.ledger = Ledger::new(8 << 20);
    let before = context.ledger.used();
    let endless = Pipeline::new(Endless::default());
    let sort = Pipeline::new(Breaker::new(endless, Sort::new(&[by_first()])));
    assert_eq!(
        run(sort, &context).unwrap_err().sqlstate(),
        state::OUT_OF_MEMORY
    );
    assert_eq!(context.ledger.used(), before);
}

#[test]
fn a_set_of_distinct_rows_beyond_the_budget_fails() {
    let mut context = context();
    context.ledger = Ledger::new(8 << 20);
    let distinct = boxed(
        Endless::default(),
        Distinct::new(&schema(&[BIGINT]), vec![0]),
    );
    let error = run(distinct, &context).unwrap_err();
    assert_eq!(error.sqlstate(), state::OUT_OF_MEMORY);
}

#[test]
fn an_interrupt_ends_a_query_that_gives_no_rows() {
    let mut context = context();
    let session = Activity::new().join();
    session.interrupt().request(Request::Cancel);
    context.eval.session = Some(session);
    let endless = Pipeline::new(Endless::default());
    let sort = Pipeline::new(Breaker::new(endless, Sort::new(&[by_first()])));
    let error = run(sort, &context).unwrap_err();
    assert_eq!(error.sqlstate(), state::QUERY_CANCELED);
    assert_eq!(error.message(), "canceling statement due to user request");
}
