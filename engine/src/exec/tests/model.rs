//! Operators against models: the same with loops over vectors.

use super::super::join::JoinProbe;
use super::super::pipeline::{Breaker, Pipeline};
use super::super::sort::Sort;
use super::*;
use crate::exec::aggregate::distinct::Distinct;
use crate::exec::join::join_table::JoinBuild;
use crate::exec::sort::limit::{Limit, Stretch};
use crate::exec::sort::top_n::TopN;
use crate::plan::SortKey;
use crate::plan::physical::{JoinKind, MarkTest};
use proptest::collection::vec;
use proptest::prelude::*;

/// Few different values, so that keys meet.
fn cell() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![1 => Just(None), 6 => (-3..4_i64).prop_map(Some)]
}

fn table(rows: usize) -> impl Strategy<Value = Numbers> {
    vec(vec(cell(), 2), 0..rows)
}

fn key(position: usize, descending: bool, nulls_first: bool) -> SortKey {
    SortKey {
        expr: column(position),
        descending,
        nulls_first,
    }
}

/// Sorts as ORDER BY a DESC NULLS LAST, b would.
fn sort_model(rows: &mut Numbers) {
    let order = |row: &Vec<Option<i64>>| {
        let second = (row[1].is_none(), row[1]);
        (row[0].is_none(), row[0].map(std::cmp::Reverse), second)
    };
    rows.sort_by_key(order);
}

fn join_model(
    left: &Numbers,
    right: &Numbers,
    kind: JoinKind,
    keys: usize,
    nulls_match: bool,
) -> Numbers {
    let mut rows = Numbers::new();
    for l in left {
        let before = rows.len();
        for r in right {
            let equal = (0..keys).all(|key| (nulls_match || l[key].is_some()) && l[key] == r[key]);
            let rest = matches!((l[1], r[1]), (Some(l), Some(r)) if l <= r);
            if equal && rest {
                rows.push([l.clone(), r.clone()].concat());
            }
        }
        if rows.len() == before && kind == JoinKind::Left {
            rows.push([l.clone(), vec![None, None]].concat());
        }
    }
    rows
}

/// For each left row: true where some right row passes, NULL where the test of one is NULL.
fn mark_model(left: &Numbers, right: &Numbers, is_keyed: bool, is_equality: bool) -> Vec<Value> {
    let test = |l: Option<i64>, r: Option<i64>| match is_equality {
        true => Some(l? == r?),
        false => Some(l? <= r?),
    };
    let mark = |l: &Vec<Option<i64>>| {
        let on = |r: &&Vec<Option<i64>>| !is_keyed || (l[0].is_some() && l[0] == r[0]);
        let tests: Vec<_> = right.iter().filter(on).map(|r| test(l[1], r[1])).collect();
        match tests.contains(&Some(true)) {
            true => Value::Boolean(true),
            false if tests.contains(&None) => Value::Null,
            false => Value::Boolean(false),
        }
    };
    left.iter().map(mark).collect()
}

proptest! {
    #[test]
    fn a_mark_join_tells_unknown_from_false(
        left in table(40),
        right in table(40),
        is_keyed in any::<bool>(),
        is_equality in any::<bool>(),
    ) {
        let keys = || {
            let columns = [is_keyed.then_some(0), is_equality.then_some(1)];
            join_keys(columns.into_iter().flatten(), false)
        };
        let build = JoinBuild::new(keys(), &schema(&[BIGINT, BIGINT]));
        let build = Breaker::new(numbers(2, &right), build);
        let operator = if is_equality { "=" } else { "<=" };
        let test = call(operator, vec![column(1), column(3)]);
        let rest = (!is_equality).then(|| test.clone());
        let probe = JoinProbe::new(keys(), build, JoinKind::Mark, rest).with_test(Some(MarkTest {
            test,
            keys: usize::from(is_equality),
            on: is_keyed.then(|| call("=", vec![column(0), column(2)])),
        }));
        let found = run_typed(numbers(2, &left).with(probe), &context()).unwrap();
        let found: Vec<Value> = found.into_iter().map(|mut row| row.remove(2)).collect();
        prop_assert_eq!(found, mark_model(&left, &right, is_keyed, is_equality));
    }

    #[test]
    fn semi_and_anti_joins_part_the_left_rows(
        left in table(60),
        right in table(60),
        keys in 0..3_usize,
        has_rest in any::<bool>(),
    ) {
        let half = |kind| {
            let build = JoinBuild::new(join_keys(0..keys, false), &schema(&[BIGINT, BIGINT]));
            let build = Breaker::new(numbers(2, &right), build);
            let rest = has_rest.then(|| call("<=", vec![column(1), column(3)]));
            let probe = JoinProbe::new(join_keys(0..keys, false), build, kind, rest);
            run(numbers(2, &left).with(probe), &context()).unwrap()
        };
        let passes = |l: &&Vec<Option<i64>>| right.iter().any(|r| {
            let equal = (0..keys).all(|key| l[key].is_some() && l[key] == r[key]);
            equal && (!has_rest || matches!((l[1], r[1]), (Some(l), Some(r)) if l <= r))
        });
        let (with, without): (Numbers, Numbers) = left.iter().cloned().partition(|l| passes(&l));
        prop_assert_eq!(half(JoinKind::Semi), with);
        prop_assert_eq!(half(JoinKind::Anti), without);
    }

    #[test]
    fn joins_are_as_nested_loops(
        left in table(60),
        right in table(60),
        keys in 0..3_usize,
        outer in any::<bool>(),
        nulls_match in any::<bool>(),
    ) {
        let kind = if outer { JoinKind::Left } else { JoinKind::Inner };
        let build = JoinBuild::new(join_keys(0..keys, nulls_match), &schema(&[BIGINT, BIGINT]));
        let build = Breaker::new(numbers(2, &right), build);
        let rest = call("<=", vec![column(1), column(3)]);
        let probe = JoinProbe::new(join_keys(0..keys, nulls_match), build, kind, Some(rest));
        let mut found = run(numbers(2, &left).with(probe), &context()).unwrap();
        let mut expected = join_model(&left, &right, kind, keys, nulls_match);
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn sorting_is_stable_and_top_n_is_its_beginning(
        rows in table(200),
        limit in 0..50_i64,
        offset in 0..50_i64,
    ) {
        // A third column tells equal rows apart.
        let numbered: Numbers = rows
            .iter()
            .enumerate()
            .map(|(number, row)| vec![row[0], row[1], Some(number as i64)])
            .collect();
        let keys = [key(0, true, false), key(1, false, false)];
        let sort = Breaker::new(numbers(3, &numbered), Sort::new(&keys));
        let sorted = run(Pipeline::new(sort), &context()).unwrap();
        let mut expected = numbered.clone();
        sort_model(&mut expected);
        prop_assert_eq!(&sorted, &expected);

        let stretch =
            Stretch::new(Some(&number(limit)), Some(&number(offset)), &context()).unwrap();
        let top = Breaker::new(numbers(3, &numbered), TopN::new(&keys, stretch.end()));
        let top = run(Pipeline::new(top).with(Limit::new(stretch)), &context()).unwrap();
        let wanted: Numbers = expected
            .into_iter()
            .skip(offset as usize)
            .take(limit as usize)
            .collect();
        prop_assert_eq!(top, wanted);
    }

    #[test]
    fn distinct_keeps_first_appearances(rows in table(200)) {
        let pipeline = numbers(2, &rows).with(Distinct::new(&schema(&[BIGINT, BIGINT]), vec![0, 1]));
        let mut expected = Numbers::new();
        for row in &rows {
            if !expected.contains(row) {
                expected.push(row.clone());
            }
        }
        prop_assert_eq!(run(pipeline, &context()).unwrap(), expected);
    }
}

/// Many rows: several batches, several sorted runs, a top-n that cuts its buffer.
#[test]
fn a_hundred_thousand_rows_are_sorted_and_topped() {
    let rows: Numbers = (0..100_000_i64)
        .map(|n| vec![Some(n * 7_919 % 100_003)])
        .collect();
    let keys = [key(0, false, false)];
    let mut expected: Vec<_> = rows.concat();
    expected.sort();
    let sort = Breaker::new(numbers(1, &rows), Sort::new(&keys));
    let sorted = run(Pipeline::new(sort), &context()).unwrap();
    assert_eq!(sorted.concat(), expected);
    let top = Breaker::new(numbers(1, &rows), TopN::new(&keys, Some(10)));
    let top = run(Pipeline::new(top), &context()).unwrap();
    assert_eq!(top.concat(), expected[..10]);
}
