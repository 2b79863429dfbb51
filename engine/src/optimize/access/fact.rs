//! Facts: what the parts of a filter say of single columns.
//!
//! A part counts that compares a column with something that no column is part of: `a = 1`, `a > $1`,
//! `a IN (1, 2)`. A column may stand within a cast that keeps order and loses nothing (INTEGER to BIGINT, VARCHAR
//! to TEXT): then the other side is brought to the column's type, if it has the same value there.

use crate::function::EvalContext;
use crate::function::cast::cast_value;
use crate::plan::logical::Scan;
use crate::plan::{Expr, ExprKind};
use remora_storage::{ColumnId, DataType, Value};
use std::ops::Bound;

/// What a part of a filter says of a column.
pub(in crate::optimize) enum Fact {
    /// It is one of these.
    OneOf(Vec<Expr>),
    /// It is above this.
    Above(Bound<Expr>),
    /// It is below this.
    Below(Bound<Expr>),
}

/// What a part of a filter says of one column, if it says something an index can use.
pub(in crate::optimize) fn fact(part: &Expr, scan: &Scan) -> Option<(ColumnId, Fact)> {
    fact_of(part, &|number| scan.column_id(number))
}

/// The same where `column_of` knows which column of its table a number stands for.
pub(in crate::optimize) fn fact_of<C: Copy>(
    part: &Expr,
    column_of: &dyn Fn(usize) -> Option<C>,
) -> Option<(C, Fact)> {
    match &part.kind {
        ExprKind::Call {
            overload,
            arguments,
        } => {
            let [left, right] = arguments.as_slice() else {
                return None;
            };
            let (column, value, name) = match key_column(left, column_of) {
                Some(column) => (column, right, overload.name),
                None => (key_column(right, column_of)?, left, mirrored(overload.name)),
            };
            let value = key_value(value, column.1)?;
            let fact = match name {
                "=" => Fact::OneOf(vec![value]),
                ">" => Fact::Above(Bound::Excluded(value)),
                ">=" => Fact::Above(Bound::Included(value)),
                "<" => Fact::Below(Bound::Excluded(value)),
                "<=" => Fact::Below(Bound::Included(value)),
                _ => return None,
            };
            Some((column.0, fact))
        }
        ExprKind::InList { input, list } => {
            let column = key_column(input, column_of)?;
            let values = list.iter().map(|value| key_value(value, column.1));
            Some((column.0, Fact::OneOf(values.collect::<Option<_>>()?)))
        }
        _ => None,
    }
}

fn mirrored(name: &str) -> &str {
    match name {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        other => other,
    }
}

/// The scan's column that an expression is, casts that keep order and values aside.
fn key_column<C>(expr: &Expr, column: &dyn Fn(usize) -> Option<C>) -> Option<(C, DataType)> {
    match &expr.kind {
        ExprKind::Column(number) => Some((column(*number)?, expr.data_type)),
        ExprKind::Cast { input, .. } if keeps_order(input.data_type, expr.data_type) => {
            key_column(input, column)
        }
        _ => None,
    }
}

fn keeps_order(from: DataType, to: DataType) -> bool {
    use DataType as T;
    matches!(
        (from, to),
        (T::SmallInt, T::Integer | T::BigInt)
            | (T::Integer, T::BigInt)
            | (T::SmallInt | T::Integer | T::BigInt, T::Numeric(None))
            | (T::Numeric(_), T::Numeric(None))
            | (T::Date, T::Timestamp)
            | (T::Text | T::Varchar(_), T::Text | T::Varchar(None))
            | (T::Char(_), T::Char(_))
    )
}

/// A value as one of the key column's type; `None` where it has columns, or no equal there.
fn key_value(value: &Expr, to: DataType) -> Option<Expr> {
    if !value.is_column_free() || !value.is_stable() {
        return None;
    }
    let is_text = |t: DataType| matches!(t, DataType::Text | DataType::Varchar(_));
    if value.data_type == to || (is_text(value.data_type) && is_text(to)) {
        return Some(value.clone());
    }
    let ExprKind::Literal(literal) = &value.kind else {
        return None;
    };
    if matches!(literal, Value::Null) {
        return None;
    }
    let context = EvalContext::default();
    let narrowed = cast_value(literal.as_ref(), to, true, &context).ok()?;
    let back = cast_value(narrowed.as_ref(), value.data_type, true, &context).ok()?;
    (back == *literal).then(|| Expr::literal(narrowed, to))
}
