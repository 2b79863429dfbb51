//! Literals and parameters.

use super::coerce::cut_to;
use super::{Binder, Bound, Unknown, name};
use crate::error::{Position, Result};
use crate::function::{cut_to as cut_value, text};
use crate::parse::{place, refuse};
use crate::plan::Expr;
use remora_storage::limits::NUMERIC_DIGITS_MAX;
use remora_storage::value::PackedType;
use remora_storage::{DataType, Numeric, Value};
use sqlparser::ast::{self, DateTimeField, UnaryOperator};

impl Binder<'_> {
    /// A literal or a parameter.
    pub(super) fn value(&mut self, value: &ast::ValueWithSpan) -> Result<Bound> {
        use ast::Value as V;
        let at = place(value.span);
        Ok(match &value.value {
            V::Number(digits, false) => Bound::Typed(number(digits).map_err(|e| e.at(at))?),
            V::Boolean(truth) => {
                Bound::Typed(Expr::literal(Value::Boolean(*truth), DataType::Boolean))
            }
            V::Null => Bound::Unknown(Unknown::Null),
            V::Placeholder(name) => self.placeholder(name, at)?,
            V::SingleQuotedByteStringLiteral(digits) => bits('b', digits).map_err(|e| e.at(at))?,
            V::HexStringLiteral(digits) => bits('x', digits).map_err(|e| e.at(at))?,
            other => match string(other) {
                Some(text) if text.contains('\0') => {
                    return Err(sql_error!(
                        CHARACTER_NOT_IN_REPERTOIRE,
                        "invalid byte sequence for encoding \"UTF8\": 0x00"
                    )
                    .at(at));
                }
                Some(text) => Bound::Unknown(Unknown::Text(text.to_owned(), at)),
                None => return refuse("this kind of literal", at),
            },
        })
    }

    fn placeholder(&mut self, name: &str, at: Option<Position>) -> Result<Bound> {
        let number = name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok());
        let index = number.and_then(|number| number.checked_sub(1));
        if let Some(bound) = index.and_then(|index| self.body_parameter(index, at)) {
            return Ok(bound);
        }
        let known = index.and_then(|index| self.parameters.get(index).copied());
        match (index, known) {
            (Some(index), Some(None)) => Ok(Bound::Unknown(Unknown::Parameter(index))),
            (Some(index), Some(Some(data_type))) => {
                Ok(Bound::Typed(Expr::parameter(index, data_type)))
            }
            _ => Err(sql_error!(UNDEFINED_PARAMETER, "there is no parameter {name}").at(at)),
        }
    }

    /// `DATE '2024-01-01'` and the like.
    pub(super) fn typed_string(&mut self, typed: &ast::TypedString) -> Result<Bound> {
        let at = place(typed.value.span);
        if super::regclass::is_jsonpath(&typed.data_type) {
            let text = self.value(&typed.value)?;
            return self.call("jsonpath", vec![text], at);
        }
        let whole = super::data_type::without_precision(&typed.data_type);
        let to = match whole {
            // Here it is of any length.
            ast::DataType::Bit(None) => DataType::Packed(PackedType::Bit(0)),
            whole => self.data_type(&whole, at)?,
        };
        let literal = self.value(&typed.value)?;
        let modifier = super::data_type::time_modifier(&typed.data_type);
        let cast = match self.span_within(&literal, to, modifier)? {
            Some(span) => span,
            None => self.cast_explicitly(literal, to, at)?,
        };
        Ok(Bound::Typed(match modifier {
            None => cast,
            Some(modifier) => cut_to(cast, modifier, at)?,
        }))
    }

    /// `INTERVAL '1' DAY`, `INTERVAL '1 day'`.
    pub(super) fn interval(&mut self, interval: &ast::Interval) -> Result<Bound> {
        let (value, _) = interval_value(interval, self.path.style())?;
        Ok(Bound::Typed(Expr::literal(value, DataType::Interval)))
    }
}

/// `B'101'` and `X'1F'`.
fn bits(base: char, digits: &str) -> Result<Bound> {
    let bits = DataType::Packed(PackedType::Bit(0));
    let value = text::parse(&format!("{base}{digits}"), bits)?;
    Ok(Bound::Typed(Expr::literal(value, bits)))
}

/// The value of a literal of INTERVAL, and its place.
pub(super) fn interval_value(
    interval: &ast::Interval,
    style: &text::Style,
) -> Result<(Value, Option<Position>)> {
    let ast::Expr::Value(value) = &*interval.value else {
        return refuse("an INTERVAL of something other than a literal", None);
    };
    let at = place(value.span);
    let Some(literal) = string(&value.value) else {
        return Err(name::syntax_error(&value.to_string(), at));
    };
    let whole = text::parse_span(literal, style, range(interval)).map_err(|error| error.at(at))?;
    let value = match modifier(interval) {
        None => Value::Interval(whole),
        Some(modifier) => {
            cut_value(Value::Interval(whole), modifier).map_err(|error| error.at(at))?
        }
    };
    Ok((value, at))
}

/// The text of a quoted literal, however it is quoted.
pub(super) fn string(value: &ast::Value) -> Option<&str> {
    use ast::Value as V;
    match value {
        V::SingleQuotedString(text)
        | V::EscapedStringLiteral(text)
        | V::NationalStringLiteral(text) => Some(text),
        V::DollarQuotedString(quoted) => Some(&quoted.value),
        _ => None,
    }
}

/// Binds a number with a minus before it; `None` for any other operand. Each minus before a number is part of it, within
/// brackets too: `-(-9223372036854775808)` is 9223372036854775808, a NUMERIC.
pub(super) fn negated(operand: &ast::Expr) -> Option<Result<Bound>> {
    let (digits, at) = digits(operand)?;
    let negative = match digits.strip_prefix('-') {
        Some(positive) => number(positive),
        None => number(&format!("-{digits}")),
    };
    Some(negative.map(Bound::Typed).map_err(|error| error.at(at)))
}

/// Returns the digits of a number with its sign, and its place; `None` for an expression that is no number.
fn digits(syntax: &ast::Expr) -> Option<(String, Option<Position>)> {
    let (mut syntax, mut is_negative) = (syntax, false);
    loop {
        match syntax {
            ast::Expr::Nested(inner) => syntax = inner,
            ast::Expr::UnaryOp {
                op: UnaryOperator::Minus,
                expr,
            } => (syntax, is_negative) = (expr, !is_negative),
            ast::Expr::Value(value) => {
                let ast::Value::Number(digits, false) = &value.value else {
                    return None;
                };
                let sign = if is_negative { "-" } else { "" };
                let digits = format!("{sign}{}", digits.replace('_', ""));
                return Some((digits, place(value.span)));
            }
            _ => return None,
        }
    }
}

/// Returns a NUMERIC of the size of a number that is out of its range: infinity for `1e400`, zero for `1e-400`. `None` for a
/// number within the range, and for any other expression.
pub(super) fn beyond_numeric(syntax: &ast::Expr) -> Option<Numeric> {
    let (digits, _) = digits(syntax)?;
    if matches!(numeric(&digits), Ok(Some(_))) {
        return None;
    }
    let size: f64 = digits.parse().ok()?;
    Some(match size {
        _ if size.abs() < 1.0 => Numeric::ZERO,
        _ if size < 0.0 => Numeric::NEG_INFINITY,
        _ => Numeric::INFINITY,
    })
}

/// An integer of the smallest type that holds it, else a NUMERIC; one with an exponent that takes
/// it out of NUMERIC's 38 digits (`1e300`, `1e-300`) is a DOUBLE PRECISION, or it would be lost.
fn number(digits: &str) -> Result<Expr> {
    let digits: String = digits.chars().filter(|c| *c != '_').collect();
    let unsigned = digits.strip_prefix('-').unwrap_or(&digits);
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        if let Ok(n) = digits.parse::<i32>() {
            return Ok(Expr::literal(Value::Integer(n), DataType::Integer));
        }
        if let Ok(n) = digits.parse::<i64>() {
            return Ok(Expr::literal(Value::BigInt(n), DataType::BigInt));
        }
    }
    match numeric(&digits)? {
        Some(value) => Ok(Expr::literal(value, DataType::Numeric(None))),
        None => {
            let double = text::parse(&digits, DataType::Double)?;
            Ok(Expr::literal(double, DataType::Double))
        }
    }
}

/// Parses digits as a NUMERIC; `None` where an exponent takes them out of its range.
///
/// # Errors
/// 22003 where there are too many digits without an exponent.
fn numeric(digits: &str) -> Result<Option<Value>> {
    let parsed = text::parse(digits, DataType::Numeric(None));
    match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) if parsed.is_err() || !holds(mantissa, exponent) => Ok(None),
        _ => parsed.map(Some),
    }
}

/// Whether NUMERIC has a place for the last digit after the point.
fn holds(mantissa: &str, exponent: &str) -> bool {
    let fraction = mantissa
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len());
    let exponent: i64 = exponent.parse().unwrap_or(i64::MIN);
    (fraction as i64).saturating_sub(exponent) <= i64::from(NUMERIC_DIGITS_MAX)
}

/// What a number without a unit is by the fields behind the literal.
fn range(interval: &ast::Interval) -> text::SpanRange {
    use DateTimeField as F;
    use text::SpanUnit as U;
    let (first, last) = (&interval.leading_field, &interval.last_field);
    let unit = match last.as_ref().or(first.as_ref()) {
        Some(F::Year | F::Years) => U::Year,
        Some(F::Month | F::Months) => U::Month,
        Some(F::Week(_) | F::Weeks) => U::Week,
        Some(F::Day | F::Days) => U::Day,
        Some(F::Hour | F::Hours) => U::Hour,
        Some(F::Minute | F::Minutes) => U::Minute,
        _ => U::Second,
    };
    text::SpanRange {
        last: unit,
        minutes_first: matches!(first, Some(F::Minute | F::Minutes)) && last.is_some(),
    }
}

/// Returns the modifier of an INTERVAL literal for [`cut_value`]: its least field and the digits of its seconds. `SECOND(2)`
/// has its precision as the leading one, `DAY TO SECOND(2)` as that of seconds.
fn modifier(interval: &ast::Interval) -> Option<i32> {
    use DateTimeField as F;
    let least = match interval
        .last_field
        .as_ref()
        .or(interval.leading_field.as_ref())?
    {
        F::Year | F::Years => 1,
        F::Month | F::Months => 2,
        F::Day | F::Days => 3,
        F::Hour | F::Hours => 4,
        F::Minute | F::Minutes => 5,
        _ => 6,
    };
    let digits = interval.fractional_seconds_precision;
    let digits = digits.or(interval.leading_precision).unwrap_or(6);
    Some(digits.min(6) as i32 | least << 8)
}
