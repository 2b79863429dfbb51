//! Least and greatest: `min` and `max` of a table are the first and the last key of an index.
//!
//! ```text
//!  Aggregate min(k), max(k)        Nested Loop
//!    Scan t                   ->     Aggregate min(k)
//!                                      Limit 1
//!                                        Index Scan using t_k on t: k IS NOT NULL
//!                                    Aggregate max(k)
//!                                      Limit 1
//!                                        Index Scan Backward using t_k on t: k IS NOT NULL
//! ```
//!
//! The aggregate stays: it gives NULL where there is no row. The rule is applied where each of the aggregates has its
//! index, so that what else is asked of the rows is asked of few of them (see [`access`](super::access)).

use super::index_order::ordered;
use crate::plan::logical::{Access, Columns, Join, Logical, Scan};
use crate::plan::physical::{AggregateCall, JoinKind};
use crate::plan::{Expr, ExprKind, SortKey};
use remora_storage::{DataType, Value};

/// Applies the rule to a plan.
pub(super) fn use_ends(plan: Logical, columns: &mut Columns) -> Logical {
    let plan = plan.map_inputs(&mut |input| use_ends(input, columns));
    ends(&plan, columns).unwrap_or(plan)
}

/// The aggregates of ends of indexes, if the plan is one of such.
fn ends(plan: &Logical, columns: &mut Columns) -> Option<Logical> {
    let Logical::Aggregate {
        input,
        groups,
        aggregates,
        sets: None,
        ..
    } = plan
    else {
        return None;
    };
    if !groups.is_empty() || aggregates.is_empty() {
        return None;
    }
    let mut arguments: Vec<Expr> = aggregates
        .iter()
        .map(|(_, call)| argument(call).cloned())
        .collect::<Option<_>>()?;
    let scan = scan_of(input, &mut arguments)?;
    let each = aggregates.iter().zip(arguments);
    let each = each.map(|((number, call), argument)| {
        let (scan, argument) = copy(scan, argument, columns);
        let input = end(scan, &argument, call.aggregate.name() == "max")?;
        let call = AggregateCall {
            arguments: vec![argument],
            ..call.clone()
        };
        Some(Logical::Aggregate {
            input: Box::new(input),
            groups: Vec::new(),
            aggregates: vec![(*number, call)],
            sets: None,
            in_order: false,
        })
    });
    let each: Vec<Logical> = each.collect::<Option<_>>()?;
    let beside = |left, right| Logical::Join(Join::new(left, right, JoinKind::Inner, Vec::new()));
    each.into_iter().reduce(beside)
}

/// What a call takes the least or the greatest of.
fn argument(call: &AggregateCall) -> Option<&Expr> {
    let is_end = matches!(call.aggregate.name(), "min" | "max");
    match call.arguments.as_slice() {
        [argument] if is_end && call.filter.is_none() => Some(argument),
        _ => None,
    }
}

/// The scan that a plan projects, and the expressions over it.
fn scan_of<'p>(plan: &'p Logical, exprs: &mut [Expr]) -> Option<&'p Scan> {
    match plan {
        Logical::Scan(scan) if matches!(scan.access, Access::Table { .. }) => Some(scan),
        Logical::Project { input, exprs: made } => {
            for expr in exprs.iter_mut() {
                expr.change(|expr| expr.substitute(made));
            }
            scan_of(input, exprs)
        }
        _ => None,
    }
}

/// The same scan, and an expression over it, with columns of its own.
fn copy(scan: &Scan, expr: Expr, columns: &mut Columns) -> (Scan, Expr) {
    let mut like = |number: usize| {
        let field = columns.field(number).clone();
        columns.add_like(field.name, field.data_type, number)
    };
    let numbers: Vec<(usize, usize)> = (scan.numbers())
        .map(|number| (number, like(number)))
        .collect();
    let new = |number: usize| {
        let found = numbers.iter().find(|(old, _)| *old == number);
        found.map_or(number, |(_, new)| *new)
    };
    let moved = |expr: Expr| {
        expr.replace_columns(&mut |number, data_type| Some(Expr::column(new(number), data_type)))
    };
    let computed = scan.computed.iter();
    let scan = Scan {
        columns: (scan.columns.iter().map(|(number, id)| (new(*number), *id))).collect(),
        computed: computed
            .map(|(number, expr)| (new(*number), moved(expr.clone())))
            .collect(),
        row_id: scan.row_id.map(new),
        filter: scan.filter.iter().cloned().map(moved).collect(),
        ..scan.clone()
    };
    (scan, moved(expr))
}

/// The row with the least or the greatest value, if an index gives it.
fn end(mut scan: Scan, of: &Expr, is_greatest: bool) -> Option<Logical> {
    let boolean = |kind| Expr::new(kind, DataType::Boolean);
    let is_null = boolean(ExprKind::IsNull(Box::new(of.clone())));
    scan.filter.push(boolean(ExprKind::Not(Box::new(is_null))));
    let key = SortKey {
        expr: of.clone(),
        descending: is_greatest,
        nulls_first: false,
    };
    let (input, is_ordered) = ordered(Logical::Scan(scan), &[key], true);
    is_ordered.then(|| Logical::Limit {
        input: Box::new(input),
        limit: Some(Expr::literal(Value::BigInt(1), DataType::BigInt)),
        offset: None,
    })
}
