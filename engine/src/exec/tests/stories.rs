//! One story an operator.

use super::super::aggregate::Aggregation;
use super::super::join::JoinProbe;
use super::super::pipeline::{Breaker, Pipeline};
use super::super::sort::Sort;
use super::*;
use crate::exec::aggregate::distinct::Distinct;
use crate::exec::join::join_table::JoinBuild;
use crate::exec::scan::filter::Filter;
use crate::exec::set::project::Project;
use crate::exec::set::union_all::UnionAll;
use crate::function::aggregate;
use crate::function::aggregate::host::Callable;
use crate::plan::SortKey;
use crate::plan::physical::{AggregateCall, JoinKind};

fn pairs(rows: &[(i64, i64)]) -> Pipeline<'static> {
    let rows = rows.iter().map(|(a, b)| vec![Some(*a), Some(*b)]).collect();
    numbers(2, &rows)
}

/// Orders of customers; customer 3 has none, order 12 has no customer.
fn join(kind: JoinKind, filter: Option<Expr>) -> Numbers {
    let customers = numbers(1, &vec![vec![Some(1)], vec![Some(2)], vec![Some(3)]]);
    let orders = vec![
        vec![Some(10), Some(1)],
        vec![Some(11), Some(1)],
        vec![Some(12), None],
        vec![Some(13), Some(2)],
    ];
    let build = JoinBuild::new(join_keys([1], false), &schema(&[BIGINT, BIGINT]));
    let build = Breaker::new(numbers(2, &orders), build);
    let probe = JoinProbe::new(join_keys([0], false), build, kind, filter);
    run(customers.with(probe), &context()).expect("a join")
}

#[test]
fn a_filter_drops_false_and_null_and_a_projection_computes() {
    let rows = vec![vec![Some(1)], vec![None], vec![Some(5)]];
    let pipeline = numbers(1, &rows)
        .with(Filter::new(call(">", vec![column(0), number(2)])))
        .with(Project::new(vec![
            column(0),
            call("+", vec![column(0), number(1)]),
        ]));
    assert_eq!(run(pipeline, &context()).unwrap(), [[Some(5), Some(6)]]);
}

#[test]
fn an_inner_join_gives_matching_pairs() {
    let row = |a, b, c| vec![Some(a), Some(b), Some(c)];
    assert_eq!(
        join(JoinKind::Inner, None),
        [row(1, 10, 1), row(1, 11, 1), row(2, 13, 2)]
    );
}

#[test]
fn a_left_join_keeps_rows_whose_only_partners_fail_the_rest_of_the_condition() {
    let late = call(">", vec![column(1), number(11)]);
    assert_eq!(
        join(JoinKind::Left, Some(late)),
        [
            vec![Some(1), None, None],
            vec![Some(2), Some(13), Some(2)],
            vec![Some(3), None, None]
        ]
    );
}

#[test]
fn a_cross_join_larger_than_a_batch_comes_in_pieces() {
    let hundred: Numbers = (0..100).map(|n| vec![Some(n)]).collect();
    let build = JoinBuild::new(JoinKeys::default(), &schema(&[BIGINT]));
    let build = Breaker::new(numbers(1, &hundred), build);
    let probe = JoinProbe::new(JoinKeys::default(), build, JoinKind::Inner, None);
    let rows = run(numbers(1, &hundred).with(probe), &context()).unwrap();
    assert_eq!(rows.len(), 10_000);
    assert_eq!(rows[4100], [Some(41), Some(0)]);
}

fn aggregate(name: &str, distinct: bool, filter: Option<Expr>) -> AggregateCall {
    let aggregate = aggregate::resolve(name, &[Some(BIGINT)])
        .expect("a match")
        .expect("an aggregate");
    AggregateCall {
        aggregate: Callable::System(aggregate.aggregate),
        arguments: vec![column(1)],
        distinct,
        filter,
        order: Vec::new(),
        data_type: aggregate.types.returns,
    }
}

#[test]
fn groups_come_in_order_of_first_appearance_with_distinct_and_filter_applied() {
    let input = pairs(&[(7, 1), (3, 2), (7, 1), (7, 4)]);
    let calls = [
        aggregate("count", false, None),
        aggregate("count", true, None),
        aggregate("max", false, Some(call("<", vec![column(1), number(3)]))),
    ];
    let sink = Aggregation::new(&[column(0)], &calls);
    let rows = run(Pipeline::new(Breaker::new(input, sink)), &context()).unwrap();
    assert_eq!(
        rows,
        [
            [Some(7), Some(3), Some(2), Some(1)],
            [Some(3), Some(1), Some(1), Some(2)]
        ]
    );
}

#[test]
fn without_group_by_no_rows_make_one_group_and_with_it_none() {
    let count = || [aggregate("count", false, None)];
    let all = Breaker::new(pairs(&[]), Aggregation::new(&[], &count()));
    assert_eq!(run(Pipeline::new(all), &context()).unwrap(), [[Some(0)]]);
    let grouped = Breaker::new(pairs(&[]), Aggregation::new(&[column(0)], &count()));
    assert!(run(Pipeline::new(grouped), &context()).unwrap().is_empty());
}

#[test]
fn distinct_takes_nulls_alike() {
    let rows = vec![vec![None], vec![Some(1)], vec![None], vec![Some(1)]];
    let pipeline = numbers(1, &rows).with(Distinct::new(&schema(&[BIGINT]), vec![0]));
    assert_eq!(run(pipeline, &context()).unwrap(), [[None], [Some(1)]]);
}

#[test]
fn union_all_runs_its_inputs_in_turn() {
    let inputs = vec![pairs(&[(1, 1)]), pairs(&[]), pairs(&[(2, 2)])];
    let rows = run(Pipeline::new(UnionAll::new(inputs)), &context()).unwrap();
    assert_eq!(rows, [[Some(1), Some(1)], [Some(2), Some(2)]]);
}

#[test]
fn a_sort_puts_nulls_where_it_is_told_whatever_the_direction() {
    let rows = vec![vec![Some(1)], vec![None], vec![Some(2)]];
    let sorted = |descending, nulls_first| {
        let key = SortKey {
            expr: column(0),
            descending,
            nulls_first,
        };
        let sort = Breaker::new(numbers(1, &rows), Sort::new(&[key]));
        run(Pipeline::new(sort), &context()).unwrap().concat()
    };
    assert_eq!(sorted(false, false), [Some(1), Some(2), None]);
    assert_eq!(sorted(false, true), [None, Some(1), Some(2)]);
    assert_eq!(sorted(true, true), [None, Some(2), Some(1)]);
    assert_eq!(sorted(true, false), [Some(2), Some(1), None]);
}

#[test]
fn rows_without_columns_are_still_counted() {
    let count = aggregate::resolve("count", &[]).unwrap().expect("count(*)");
    let call = AggregateCall {
        aggregate: Callable::System(count.aggregate),
        arguments: Vec::new(),
        distinct: false,
        filter: None,
        order: Vec::new(),
        data_type: BIGINT,
    };
    let rows = vec![Vec::new(); 5000];
    let sink = Aggregation::new(&[], &[call]);
    let pipeline = Pipeline::new(Breaker::new(numbers(0, &rows), sink));
    assert_eq!(run(pipeline, &context()).unwrap(), [[Some(5000)]]);
}
