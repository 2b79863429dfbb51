//! Expressions and what PostgreSQL 15 answers: `golden.txt`, one `expression => answer` a line.
//!
//! The answer is the value's text form, `NULL`, or `!` and a SQLSTATE. All were produced by
//! PostgreSQL 15.18 with `TimeZone = UTC`; where this engine means to differ, the line has its
//! answer, and PostgreSQL's with the reason after `  -- `. The expressions are evaluated here without a
//! binder, through `resolve`, casts and scalar kernels, and every call also through the vector kernel, which
//! must agree.

use crate::error::{Error, Result};
use crate::function::cast::{cast_context, cast_value};
use crate::function::{EvalContext, Operand, Resolved, resolve, text};
use remora_storage::value::{NumericModifier, value_at};
use remora_storage::{DataType, Value};
use sqlparser::ast::{self, Expr};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

/// A value and its type, which an untyped literal has none of.
type Typed = (Value, Option<DataType>);

fn unsupported(what: impl std::fmt::Debug) -> Error {
    Error::unsupported(format!("{what:?}"))
}

fn data_type(syntax: &ast::DataType) -> Result<DataType> {
    let name = syntax.to_string().to_lowercase();
    let (base, modifiers) = match name.split_once('(') {
        Some((base, rest)) => (base, rest.trim_end_matches(')')),
        None => (name.as_str(), ""),
    };
    let mut numbers = modifiers
        .split(',')
        .filter_map(|n| n.trim().parse::<u32>().ok());
    let first = numbers.next();
    let second = numbers.next().unwrap_or(0);
    Ok(match base {
        "boolean" | "bool" => DataType::Boolean,
        "smallint" | "int2" => DataType::SmallInt,
        "int" | "integer" | "int4" => DataType::Integer,
        "bigint" | "int8" => DataType::BigInt,
        "real" | "float4" => DataType::Real,
        "double precision" | "float8" => DataType::Double,
        "numeric" => DataType::Numeric(first.map(|precision| NumericModifier {
            precision: precision as u8,
            scale: second as u8,
        })),
        "text" => DataType::Text,
        "varchar" => DataType::Varchar(first),
        "char" => DataType::Char(first.unwrap_or(1)),
        "bytea" => DataType::Bytea,
        "date" => DataType::Date,
        "time" => DataType::Time,
        "timestamp" => DataType::Timestamp,
        "timestamptz" => DataType::TimestampTz,
        "interval" => DataType::Interval,
        "uuid" => DataType::Uuid,
        _ => return Err(unsupported(syntax)),
    })
}

fn literal(value: &ast::Value) -> Result<Typed> {
    Ok(match value {
        ast::Value::Null => (Value::Null, None),
        ast::Value::Boolean(v) => (Value::Boolean(*v), Some(DataType::Boolean)),
        ast::Value::SingleQuotedString(s) | ast::Value::EscapedStringLiteral(s) => {
            (Value::Text(s.clone()), None)
        }
        ast::Value::Number(digits, _) => {
            let types = [DataType::Integer, DataType::BigInt, DataType::Numeric(None)];
            let fitting = types
                .iter()
                .find_map(|t| Some((text::parse(digits, *t).ok()?, Some(*t))));
            fitting.ok_or_else(|| unsupported(digits))?
        }
        other => return Err(unsupported(other)),
    })
}

fn cast(value: Typed, to: DataType, explicit: bool) -> Result<Value> {
    match value {
        (Value::Text(s), None) if !explicit || !to.is_string() => text::parse(&s, to),
        (_, Some(from)) if cast_context(from, to).is_none() => Err(Error::new(
            "42846",
            format!("cannot cast type {from} to {to}"),
        )),
        (value, _) => cast_value(value.as_ref(), to, explicit, &EvalContext::default()),
    }
}

fn call(name: &str, arguments: Vec<Typed>) -> Result<Typed> {
    let types: Vec<_> = arguments.iter().map(|(_, t)| *t).collect();
    let Resolved {
        overload,
        types: call_types,
    } = resolve(name, &types)?;
    let mut values = Vec::new();
    for (argument, to) in arguments.into_iter().zip(&call_types.arguments) {
        values.push(cast(argument, *to, false)?);
    }
    let context = EvalContext::default();
    let result = if overload.strict && values.iter().any(Value::is_null) {
        Ok(Value::Null)
    } else {
        let refs: Vec<_> = values.iter().map(Value::as_ref).collect();
        overload.call(&refs, || call_types.clone(), &context)
    };
    let operands: Vec<Operand> = values.into_iter().map(Operand::Scalar).collect();
    let array = overload.call_over(&operands, || call_types.clone(), 1, &context);
    match (&result, &array) {
        (Ok(value), Ok(array)) => {
            let other = value_at(array.as_ref(), call_types.returns, 0).to_owned();
            let show = |v: &Value| text::format(v.as_ref(), call_types.returns);
            if overload.volatility == crate::function::Volatility::Immutable {
                assert_eq!(show(value), show(&other), "both kernels of {overload:?}");
            }
        }
        (Err(a), Err(b)) => assert_eq!(a.message(), b.message(), "both kernels of {overload:?}"),
        _ => panic!("the kernels of {overload:?} disagree: {result:?} and {array:?}"),
    }
    Ok((result?, Some(call_types.returns)))
}

fn arguments(function: &ast::Function) -> Result<Vec<Typed>> {
    let ast::FunctionArguments::List(list) = &function.args else {
        return Ok(Vec::new());
    };
    let of = |argument: &ast::FunctionArg| match argument {
        ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) => evaluate(expr),
        other => Err(unsupported(other)),
    };
    list.args.iter().map(of).collect()
}

fn is_number(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, ast::Value::Number(..)))
}

fn evaluate(expr: &Expr) -> Result<Typed> {
    let text = |s: &str| (Value::Text(s.to_owned()), None);
    match expr {
        Expr::Value(value) => literal(&value.value),
        Expr::Nested(inner) => evaluate(inner),
        Expr::TypedString(typed) => {
            let to = data_type(&typed.data_type)?;
            let ast::Value::SingleQuotedString(s) = &typed.value.value else {
                return Err(unsupported(expr));
            };
            Ok((cast(text(s), to, true)?, Some(to)))
        }
        Expr::Interval(interval) => Ok((
            cast(evaluate(&interval.value)?, DataType::Interval, true)?,
            Some(DataType::Interval),
        )),
        Expr::Cast {
            expr,
            data_type: to,
            ..
        } => {
            let to = data_type(to)?;
            Ok((cast(evaluate(expr)?, to, true)?, Some(to)))
        }
        // PostgreSQL's parser takes the sign into the number, and only then chooses its type.
        Expr::UnaryOp {
            op: ast::UnaryOperator::Minus,
            expr: inner,
        } if is_number(inner) => {
            let Expr::Value(value) = &**inner else {
                return Err(unsupported(expr));
            };
            let digits = format!("-{}", value.value);
            literal(&ast::Value::Number(digits, false))
        }
        Expr::UnaryOp { op, expr } => {
            let inner = evaluate(expr)?;
            call(&op.to_string().to_lowercase(), vec![inner])
        }
        Expr::BinaryOp { left, op, right } => {
            call(&op.to_string(), vec![evaluate(left)?, evaluate(right)?])
        }
        Expr::Function(function) => call(
            &function.name.to_string().to_lowercase(),
            arguments(function)?,
        ),
        Expr::Extract { field, expr, .. } => {
            call("extract", vec![text(&field.to_string()), evaluate(expr)?])
        }
        Expr::Ceil { expr, .. } => call("ceil", vec![evaluate(expr)?]),
        Expr::Floor { expr, .. } => call("floor", vec![evaluate(expr)?]),
        Expr::Substring {
            expr,
            substring_from,
            substring_for,
            ..
        } => {
            let parts = [Some(expr), substring_from.as_ref(), substring_for.as_ref()];
            let values = parts.into_iter().flatten().map(|e| evaluate(e));
            call("substring", values.collect::<Result<_>>()?)
        }
        Expr::Trim { expr, .. } => call("btrim", vec![evaluate(expr)?]),
        Expr::Like {
            negated,
            expr,
            pattern,
            ..
        } => {
            let name = if *negated { "!~~" } else { "~~" };
            call(name, vec![evaluate(expr)?, evaluate(pattern)?])
        }
        Expr::ILike { expr, pattern, .. } => call("~~*", vec![evaluate(expr)?, evaluate(pattern)?]),
        Expr::IsDistinctFrom(a, b) => call("is_distinct_from", vec![evaluate(a)?, evaluate(b)?]),
        Expr::AtTimeZone {
            timestamp,
            time_zone,
        } => call("timezone", vec![evaluate(time_zone)?, evaluate(timestamp)?]),
        other => Err(unsupported(other)),
    }
}

fn answer(expression: &str) -> String {
    let parsed = Parser::new(&PostgreSqlDialect {})
        .try_with_sql(expression)
        .and_then(|mut parser| parser.parse_expr())
        .expect("an expression");
    match evaluate(&parsed) {
        Err(error) => format!("!{}", error.sqlstate()),
        Ok((value, data_type)) => text::format(value.as_ref(), data_type.unwrap_or(DataType::Text))
            .unwrap_or_else(|| "NULL".to_owned()),
    }
}

#[test]
fn every_expression_answers_as_postgresql_does() {
    let mut wrong = Vec::new();
    for line in include_str!("golden.txt").lines() {
        let line = line.split("  -- ").next().unwrap_or(line);
        let Some((expression, expected)) = line.split_once(" => ") else {
            continue;
        };
        if line.starts_with('#') {
            continue;
        }
        let found = answer(expression);
        if found != expected {
            wrong.push(format!("{expression} => {found}, not {expected}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
