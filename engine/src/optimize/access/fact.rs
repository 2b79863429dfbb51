//! Facts: what the parts of a filter say of single columns.
//!
//! A part counts that compares a column with something that no column is part of: `a = 1`, `a > $1`,
//! `a IN (1, 2)`, `a = ANY ($1)`. A column may stand within a cast that keeps order and loses nothing (INTEGER to BIGINT, VARCHAR
//! to TEXT): then the other side is brought to the column's type, if it has the same value there.
//!
//! Texts are compared by their bytes, so those that begin with a text follow each other in an index: `s LIKE 'ab%'`,
//! `s ^@ 'ab'`, `s ~ '^ab'`. Other collations are compared by computed keys, which are columns of their own.

use crate::function::cast::cast_value;
use crate::function::numbers::NARROWED;
use crate::function::{EvalContext, Work, element_of, like, only, regex, resolve};
use crate::plan::collation::said;
use crate::plan::logical::Scan;
use crate::plan::{Expr, ExprKind};
use remora_storage::{ColumnId, DataType, Value};
use std::ops::Bound;

/// What a part of a filter says of a column.
pub(in crate::optimize) enum Fact {
    /// It is one of these.
    OneOf(Vec<Expr>),
    /// It is one of the elements of this array.
    ElementOf(Expr),
    /// It is above this.
    Above(Bound<Expr>),
    /// It is below this.
    Below(Bound<Expr>),
    /// It is not NULL.
    NotNull,
    /// It is NULL.
    Null,
    /// It is a text that begins with this.
    Begins {
        text: Expr,
        /// Whether any such text will do.
        is_all: bool,
    },
}

/// What a part of a filter says of one column, if it says something an index can use.
pub(in crate::optimize) fn fact(part: &Expr, scan: &Scan) -> Option<(ColumnId, Fact)> {
    let column = |number| scan.column_id(number);
    match part.as_not_distinct() {
        Some((one, two)) => {
            not_distinct((one, two), scan).or_else(|| not_distinct((two, one), scan))
        }
        None => fact_of(part, &column),
    }
}

/// `a IS NOT DISTINCT FROM 1` is an equality where `a` is never NULL.
fn not_distinct((column, value): (&Expr, &Expr), scan: &Scan) -> Option<(ColumnId, Fact)> {
    let (column, data_type) = key_column(column, &|number| scan.column_id(number))?;
    let def = &scan.table.def;
    let is_filled = |at: usize| def.columns[at].not_null;
    let value = equal_key(value, data_type)?;
    (def.position(column).is_some_and(is_filled)).then_some((column, Fact::OneOf(vec![value])))
}

/// The same where `column_of` knows which column of its table a number stands for.
pub(in crate::optimize) fn fact_of<C: Copy + PartialEq>(
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
            if let Some(beginning) = Beginning::of(overload.name) {
                let (column, data_type) = key_column(left, column_of)?;
                return Some((column, begins(beginning, right, data_type)?));
            }
            if overload.name == "= ANY" {
                let (column, data_type) = key_column(left, column_of)?;
                return Some((column, Fact::ElementOf(array_of(right, data_type)?)));
            }
            let (column, value, name) = match key_column(left, column_of) {
                Some(column) => (column, right, overload.name),
                None => (key_column(right, column_of)?, left, mirrored(overload.name)),
            };
            if name == "=" {
                let value = equal_key(value, column.1)?;
                return Some((column.0, Fact::OneOf(vec![value])));
            }
            let value = key_value(value, column.1)?;
            let fact = match name {
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
            let values = list.iter().map(|value| equal_key(value, column.1));
            Some((column.0, Fact::OneOf(values.collect::<Option<_>>()?)))
        }
        ExprKind::Or(parts) => one_of_either(parts, column_of),
        ExprKind::IsNull(input) => Some((key_column(input, column_of)?.0, Fact::Null)),
        ExprKind::Not(part) => match &part.kind {
            ExprKind::IsNull(input) => Some((key_column(input, column_of)?.0, Fact::NotNull)),
            _ => None,
        },
        _ => None,
    }
}

/// `a = 1 OR a = 2 OR a IN (3, 4)` is one list.
fn one_of_either<C: Copy + PartialEq>(
    parts: &[Expr],
    column_of: &dyn Fn(usize) -> Option<C>,
) -> Option<(C, Fact)> {
    let mut parts = parts.iter().map(|part| fact_of(part, column_of));
    let (column, Fact::OneOf(mut values)) = parts.next()?? else {
        return None;
    };
    for part in parts {
        match part? {
            (same, Fact::OneOf(more)) if same == column => values.extend(more),
            _ => return None,
        }
    }
    Some((column, Fact::OneOf(values)))
}

/// Conditions that say what a text begins with.
#[derive(Clone, Copy)]
enum Beginning {
    Like,
    Regex,
    Text,
}

impl Beginning {
    fn of(operator: &str) -> Option<Self> {
        match operator {
            "~~" => Some(Self::Like),
            "~" => Some(Self::Regex),
            "^@" | "starts_with" => Some(Self::Text),
            _ => None,
        }
    }
}

/// What such a condition says of a column of this type.
fn begins(beginning: Beginning, of: &Expr, column: DataType) -> Option<Fact> {
    let is_text = |t: DataType| matches!(t, DataType::Text | DataType::Varchar(_));
    if !is_text(column) || !is_text(of.data_type) || !of.is_column_free() || !of.is_stable() {
        return None;
    }
    let known = match &of.kind {
        ExprKind::Literal(Value::Text(text)) => Some(text.as_str()),
        ExprKind::Literal(_) => return None,
        _ => None,
    };
    let text = |text: String| Expr::literal(Value::Text(text), DataType::Text);
    let (prefix, is_all) = match (beginning, known) {
        (Beginning::Text, _) => {
            return Some(Fact::Begins {
                text: of.clone(),
                is_all: true,
            });
        }
        (Beginning::Like, Some(pattern)) => {
            let prefix = like::prefix(pattern, &Work::unasked()).ok()?;
            match prefix.rest {
                "" => return Some(Fact::OneOf(vec![text(prefix.text)])),
                rest => (prefix.text, rest == "%"),
            }
        }
        (Beginning::Like, None) => {
            return Some(Fact::Begins {
                text: prefix_of(of.clone()),
                is_all: false,
            });
        }
        (Beginning::Regex, Some(pattern)) => (regex::prefix(pattern)?, false),
        (Beginning::Regex, None) => return None,
    };
    (!prefix.is_empty()).then(|| Fact::Begins {
        text: text(prefix),
        is_all,
    })
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

/// What texts begin with that match a pattern which is not known yet.
fn prefix_of(pattern: Expr) -> Expr {
    let overload = only(like::LIKE_PREFIX).expect("it is one of ours");
    Expr::call(overload, vec![pattern], DataType::Text)
}

/// The column that an expression is, and its type; what names a collation, and casts that keep order and values, aside.
pub(in crate::optimize) fn key_column<C>(
    expr: &Expr,
    column: &dyn Fn(usize) -> Option<C>,
) -> Option<(C, DataType)> {
    match &expr.kind {
        ExprKind::Column(number) => Some((column(*number)?, expr.data_type)),
        ExprKind::Cast { input, .. } if keeps_order(input.data_type, expr.data_type) => {
            key_column(input, column)
        }
        _ => key_column(said(expr)?.0, column),
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

/// A value as one of the key column's type to which it is equal: NULL where there is none, as with a BIGINT that an INTEGER
/// has no room for.
fn equal_key(value: &Expr, to: DataType) -> Option<Expr> {
    use DataType as T;
    let [int2, int4] = NARROWED;
    key_value(value, to).or_else(|| {
        let narrowed = match (value.data_type, to) {
            (T::Integer | T::BigInt, T::SmallInt) => int2,
            (T::BigInt, T::Integer) => int4,
            _ => return None,
        };
        if !value.is_column_free() || !value.is_stable() {
            return None;
        }
        let overload = resolve(narrowed, &[Some(value.data_type)]).ok()?.overload;
        let call = ExprKind::Call {
            overload,
            arguments: vec![value.clone()],
        };
        Some(Expr::new(call, to))
    })
}

/// An array whose elements are keys of this type, as they are.
fn array_of(array: &Expr, of: DataType) -> Option<Expr> {
    let is_text = |t: DataType| matches!(t, DataType::Text | DataType::Varchar(_));
    let element = element_of(array.data_type)?;
    let fits = element == of || is_text(element) && is_text(of);
    // Of CHAR, trailing blanks do not count in a comparison.
    let fits = fits && !matches!(of, DataType::Char(_));
    (fits && array.is_column_free() && array.is_stable()).then(|| array.clone())
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
