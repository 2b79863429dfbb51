//! Both evaluators against each other, and stories about laziness.

use super::super::batch::Batch;
use super::super::tests::{BIGINT, big, boolean, call, column, context, number};
use super::{Evaluator, eval_scalar};
use crate::error::{Result, state};
use crate::plan::{Expr, ExprKind};
use proptest::collection::vec;
use proptest::prelude::*;
use remora_storage::value::{ColumnBuilder, value_at};
use remora_storage::{DataType, Value};

type Rows = Vec<Vec<Value>>;

fn batch(rows: &Rows, width: usize) -> Batch {
    let column = |position: usize| {
        let mut builder = ColumnBuilder::new(BIGINT, rows.len());
        rows.iter()
            .for_each(|row| builder.push(row[position].as_ref()));
        builder.finish()
    };
    Batch::new((0..width).map(column).collect(), rows.len())
}

fn over_batch(expr: &Expr, rows: &Rows) -> Result<Vec<Value>> {
    let array = Evaluator::new(expr.clone()).array(&batch(rows, 2), &context())?;
    let value = |row| value_at(&array, expr.data_type, row).to_owned();
    Ok((0..rows.len()).map(value).collect())
}

fn row_by_row(expr: &Expr, rows: &Rows) -> Result<Vec<Value>> {
    let context = context();
    let value = |row: &Vec<Value>| Ok(eval_scalar(expr, row.as_slice(), &context)?.into_value());
    rows.iter().map(value).collect()
}

fn case(data_type: DataType, branches: Vec<(Expr, Expr)>, otherwise: Option<Expr>) -> Expr {
    Expr {
        kind: ExprKind::Case {
            branches,
            otherwise: otherwise.map(Box::new),
        },
        data_type,
    }
}

/// Small numbers, so that zero divisors, equal values and NULLs are frequent.
fn small() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![1 => Just(None), 5 => (-2..3_i64).prop_map(Some)]
}

fn bigint(depth: u32) -> BoxedStrategy<Expr> {
    let leaf = prop_oneof![small().prop_map(number), (0..2_usize).prop_map(column)];
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = || bigint(depth - 1);
    let operator = prop_oneof![Just("+"), Just("-"), Just("*"), Just("/"), Just("%")];
    prop_oneof![
        leaf,
        (operator, inner(), inner()).prop_map(|(name, a, b)| call(name, vec![a, b])),
        vec(inner(), 1..4).prop_map(|items| Expr {
            kind: ExprKind::Coalesce(items),
            data_type: BIGINT,
        }),
        (
            vec((truth(depth - 1), inner()), 1..3),
            proptest::option::of(inner())
        )
            .prop_map(|(branches, otherwise)| case(BIGINT, branches, otherwise)),
    ]
    .boxed()
}

fn truth(depth: u32) -> BoxedStrategy<Expr> {
    let comparison = prop_oneof![Just("="), Just("<>"), Just("<"), Just(">=")];
    let compare = (comparison, bigint(depth.saturating_sub(1)), bigint(0))
        .prop_map(|(name, a, b)| call(name, vec![a, b]));
    if depth == 0 {
        return compare.boxed();
    }
    let inner = || truth(depth - 1);
    let number = || bigint(depth - 1);
    prop_oneof![
        compare,
        vec(inner(), 2..4).prop_map(|items| boolean(ExprKind::And(items))),
        vec(inner(), 2..4).prop_map(|items| boolean(ExprKind::Or(items))),
        inner().prop_map(|input| boolean(ExprKind::Not(Box::new(input)))),
        number().prop_map(|input| boolean(ExprKind::IsNull(Box::new(input)))),
        (number(), vec(number(), 1..4)).prop_map(|(input, list)| {
            let input = Box::new(input);
            boolean(ExprKind::InList { input, list })
        }),
        (
            number(),
            vec(small().prop_map(super::super::tests::number), 1..12)
        )
            .prop_map(|(input, list)| {
                let input = Box::new(input);
                boolean(ExprKind::InList { input, list })
            }),
    ]
    .boxed()
}

fn table() -> impl Strategy<Value = Rows> {
    vec(vec(small().prop_map(big), 2), 0..40)
}

fn agree(expr: &Expr, rows: &Rows) -> Result<(), TestCaseError> {
    match (over_batch(expr, rows), row_by_row(expr, rows)) {
        (Ok(vector), Ok(scalar)) => prop_assert_eq!(vector, scalar),
        (Err(vector), Err(scalar)) => prop_assert_eq!(vector.sqlstate(), scalar.sqlstate()),
        (vector, scalar) => prop_assert!(false, "{vector:?} but row by row {scalar:?}"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn numbers_agree_with_row_by_row(expr in bigint(3), rows in table()) {
        agree(&expr, &rows)?;
    }

    #[test]
    fn truths_agree_with_row_by_row(expr in truth(4), rows in table()) {
        agree(&expr, &rows)?;
    }
}

fn rows(values: &[i64]) -> Rows {
    values
        .iter()
        .map(|value| vec![big(*value), big(None)])
        .collect()
}

#[test]
fn a_guard_keeps_and_from_dividing_by_zero() {
    let guard = call("<>", vec![column(0), number(0)]);
    let large = call(">", vec![call("/", vec![number(6), column(0)]), number(2)]);
    let guarded = boolean(ExprKind::And(vec![guard, large.clone()]));
    let found = over_batch(&guarded, &rows(&[0, 2, 6])).unwrap();
    assert_eq!(
        found,
        [false, true, false].map(Value::Boolean),
        "zero is decided by the guard"
    );
    let error = over_batch(&large, &rows(&[0, 2, 6])).unwrap_err();
    assert_eq!(error.sqlstate(), state::DIVISION_BY_ZERO);
}

#[test]
fn a_branch_of_case_that_no_row_reaches_is_not_evaluated() {
    let zero = call("=", vec![column(0), number(0)]);
    let inverse = call("/", vec![number(6), column(0)]);
    let expr = case(BIGINT, vec![(zero, number(-1))], Some(inverse));
    assert_eq!(
        over_batch(&expr, &rows(&[3, 0, 1])).unwrap(),
        [big(2), big(-1), big(6)]
    );
    let never = call("/", vec![number(1), number(0)]);
    let unreached = case(
        BIGINT,
        vec![(call(">=", vec![column(0), number(0)]), column(0))],
        Some(never),
    );
    assert_eq!(over_batch(&unreached, &rows(&[1])).unwrap(), [big(1)]);
}

#[test]
fn ten_thousand_operands_of_or_need_no_stack() {
    let equals = |value| call("=", vec![column(0), number(value)]);
    let any = boolean(ExprKind::Or((0..10_000).map(equals).collect()));
    let found = over_batch(&any, &rows(&[9_999, -1])).unwrap();
    assert_eq!(found, [true, false].map(Value::Boolean));
}

#[test]
fn no_rows_raise_no_errors() {
    let never = call("/", vec![number(1), number(0)]);
    assert!(over_batch(&never, &Rows::new()).unwrap().is_empty());
}
