//! Values from and to PostgreSQL's text form.
//!
//! One file a family: `number`, `datetime` (reading) and `show` (writing) for dates and
//! times, `interval`, `binary` for booleans, bytea and uuid. What is written reads back as the
//! same value: a property test holds each type to that.

mod binary;
mod datetime;
mod fields;
mod interval;
mod number;
mod show;
#[cfg(test)]
mod tests;
mod zone;

pub(crate) use binary::{parse_escaped, parse_hex, write_hex};
pub(crate) use number::{parse_numeric, write_numeric};
pub(crate) use zone::Zone;

use super::cast;
use crate::error::{Error, Result, state};
use remora_storage::{DataType, Value, ValueRef};

/// Reads a value of a type from text, as a quoted literal or a CSV field would be.
///
/// # Errors
/// 22P02, 22003, 22001, 22007, 22008 as in PostgreSQL.
pub fn parse(text: &str, data_type: DataType) -> Result<Value> {
    parse_at(text, data_type, None)
}

/// [`parse`], where `now` is what the words `now`, `today`, .. mean; without it, the clock says.
pub(crate) fn parse_at(text: &str, data_type: DataType, now: Option<i64>) -> Result<Value> {
    Ok(match data_type {
        DataType::Boolean => Value::Boolean(binary::parse_boolean(text)?),
        DataType::SmallInt => Value::SmallInt(number::parse_integer(text, "smallint")?),
        DataType::Integer => Value::Integer(number::parse_integer(text, "integer")?),
        DataType::BigInt => Value::BigInt(number::parse_integer(text, "bigint")?),
        DataType::Real => Value::Real(number::parse_real(text)?),
        DataType::Double => Value::Double(number::parse_double(text)?),
        DataType::Numeric(modifier) => {
            let value = parse_numeric(text)?;
            Value::Numeric(match modifier {
                Some(modifier) => super::decimal::apply_modifier(value, modifier)?,
                None => value,
            })
        }
        DataType::Text => Value::Text(text.to_owned()),
        DataType::Varchar(_) | DataType::Char(_) => {
            Value::Text(cast::fit_string(text, data_type, false)?.to_owned())
        }
        DataType::Bytea => Value::Bytea(binary::parse_bytea(text)?),
        DataType::Date => Value::Date(datetime::parse_date(text, now)?),
        DataType::Time => Value::Time(datetime::parse_time(text, now)?),
        DataType::Timestamp => Value::Timestamp(datetime::parse_timestamp(text, now)?),
        DataType::TimestampTz => Value::TimestampTz(datetime::parse_timestamptz(text, now)?),
        DataType::Interval => Value::Interval(interval::parse(text)?),
        DataType::Uuid => Value::Uuid(binary::parse_uuid(text)?),
        other => {
            return Err(Error::unsupported(format_args!(
                "reading type {other} from text"
            )));
        }
    })
}

/// Appends a value's text form (nothing for NULL). TIMESTAMPTZ is shown in UTC.
pub fn write(out: &mut String, value: ValueRef<'_>, data_type: DataType) {
    match value {
        ValueRef::Boolean(v) => out.push(if v { 't' } else { 'f' }),
        ValueRef::SmallInt(v) => number::write_integer(out, v.into()),
        ValueRef::Integer(v) => number::write_integer(out, v.into()),
        ValueRef::BigInt(v) => number::write_integer(out, v),
        ValueRef::Real(v) => number::write_real(out, v),
        ValueRef::Double(v) => number::write_double(out, v),
        ValueRef::Numeric(v) => write_numeric(out, v),
        ValueRef::Text(v) => write_string(out, v, data_type),
        ValueRef::Bytea(v) => {
            out.push_str("\\x");
            write_hex(out, v);
        }
        ValueRef::Date(v) => show::date(out, v),
        ValueRef::Time(v) => show::time(out, v),
        ValueRef::Timestamp(v) => show::timestamp(out, v, ""),
        ValueRef::TimestampTz(v) => show::timestamp(out, v, "+00"),
        ValueRef::Interval(v) => interval::write(out, v),
        ValueRef::Uuid(v) => binary::write_uuid(out, v),
        // NULL has no text form.
        _ => {}
    }
}

/// The text form of a value; `None` for NULL.
pub fn format(value: ValueRef<'_>, data_type: DataType) -> Option<String> {
    if value.is_null() {
        return None;
    }
    let mut out = String::new();
    write(&mut out, value, data_type);
    Some(out)
}

/// CHAR(n) is held without trailing blanks and shown with them.
fn write_string(out: &mut String, text: &str, data_type: DataType) {
    out.push_str(text);
    if let DataType::Char(n) = data_type
        && n != u32::MAX
    {
        let missing = (n as usize).saturating_sub(text.chars().count());
        out.extend(std::iter::repeat_n(' ', missing));
    }
}

/// `invalid input syntax for type ..`
fn invalid(sqlstate: &'static str, type_name: &str, text: &str) -> Error {
    Error::new(
        sqlstate,
        format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}

/// 22003 with PostgreSQL's words for numbers.
fn out_of_range(text: &str, type_name: &str) -> Error {
    Error::new(
        state::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("value \"{text}\" is out of range for type {type_name}"),
    )
}
