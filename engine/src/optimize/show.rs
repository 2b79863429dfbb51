//! Expressions as text, for EXPLAIN: as PostgreSQL would write them, brackets and all.

use crate::function::{KEY, text};
use crate::plan::{Expr, ExprKind, Field};
use remora_storage::{DataType, Value};

/// An expression over columns that are called as in `schema`.
pub(super) fn show(expr: &Expr, schema: &[Field]) -> String {
    let inner = |expr: &Expr| show(expr, schema);
    let list =
        |all: &[Expr], between: &str| all.iter().map(inner).collect::<Vec<_>>().join(between);
    match &expr.kind {
        ExprKind::Literal(value) => literal(value, expr.data_type),
        ExprKind::Parameter(number) => format!("${}", number + 1),
        ExprKind::Column(position) => match schema.get(*position) {
            Some(field) => field.name.clone(),
            None => format!("#{position}"),
        },
        ExprKind::Call {
            overload,
            arguments,
        } if overload.name == KEY => format!("{} COLLATE nocase", list(arguments, ", ")),
        ExprKind::Call {
            overload,
            arguments,
        } => match (is_operator(overload.name), arguments.as_slice()) {
            (true, [one]) => format!("({} {})", overload.name, inner(one)),
            (true, [one, two]) => format!("({} {} {})", inner(one), overload.name, inner(two)),
            _ => format!("{}({})", overload.name, list(arguments, ", ")),
        },
        ExprKind::Host {
            function,
            arguments,
        } => format!("{}({})", function.name, list(arguments, ", ")),
        ExprKind::Cast { input, .. } => format!("({})::{}", inner(input), expr.data_type),
        ExprKind::And(parts) => format!("({})", list(parts, " AND ")),
        ExprKind::Or(parts) => format!("({})", list(parts, " OR ")),
        ExprKind::Not(input) => match &input.kind {
            ExprKind::IsNull(input) => format!("({} IS NOT NULL)", inner(input)),
            _ => format!("(NOT {})", inner(input)),
        },
        ExprKind::IsNull(input) => format!("({} IS NULL)", inner(input)),
        ExprKind::Case {
            branches,
            otherwise,
        } => {
            let mut text = String::from("CASE");
            for (when, then) in branches {
                text.push_str(&format!(" WHEN {} THEN {}", inner(when), inner(then)));
            }
            if let Some(otherwise) = otherwise {
                text.push_str(&format!(" ELSE {}", inner(otherwise)));
            }
            text + " END"
        }
        ExprKind::Coalesce(parts) => format!("COALESCE({})", list(parts, ", ")),
        ExprKind::InList {
            input,
            list: values,
        } => {
            format!("({} IN ({}))", inner(input), list(values, ", "))
        }
        ExprKind::Subquery(_) => "(SELECT ..)".to_owned(),
    }
}

fn literal(value: &Value, data_type: DataType) -> String {
    let Some(text) = text::format(value.as_ref(), data_type) else {
        return "NULL".to_owned();
    };
    match value {
        Value::Boolean(truth) => truth.to_string(),
        _ if data_type.is_number() => text,
        _ => format!("'{}'::{data_type}", text.replace('\'', "''")),
    }
}

fn is_operator(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Expressions, one beside the other.
pub(super) fn list(exprs: &[Expr], schema: &[Field]) -> String {
    let exprs = exprs.iter().map(|expr| show(expr, schema));
    exprs.collect::<Vec<_>>().join(", ")
}
