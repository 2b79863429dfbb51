//! Values from and to PostgreSQL's text form.
//!
//! One file a family: `number`, `datetime` (reading) and `show` (writing) for dates and
//! times, `interval` and `spans` for spans, `binary` for booleans, bytea and uuid; `style` is what
//! a session may choose. What is written reads back as the same value: a property test holds each
//! type to that.

mod array;
mod binary;
mod datetime;
mod decode;
mod fields;
mod interval;
mod iso_span;
mod number;
mod numbers;
mod range;
mod record;
mod scanner;
mod show;
mod span_parts;
mod spans;
pub(crate) mod style;
#[cfg(test)]
mod tests;
mod words;
mod zone;

pub(crate) use array::parse as parse_array;
pub(crate) use binary::{parse_escaped, parse_hex, write_hex};
pub(crate) use interval::Range as SpanRange;
pub(crate) use number::{parse_numeric, write_numeric};
pub(crate) use range::{parse as parse_range, parse_multirange};
pub(crate) use record::parse as parse_record;
pub(crate) use span_parts::Unit as SpanUnit;
pub(crate) use style::PLAIN;
pub use style::Style;
pub(crate) use zone::Zone;

use super::range::Ranges;
use super::timetz::ZonedTime;
use super::{EvalContext, PIECE_BYTES, Work, bits, cast, innermost, json, string};
use crate::error::{Error, Result};
use remora_storage::time::micros;
use remora_storage::value::{PackedType, SqlRange, enum_label};
use remora_storage::{DataType, Interval, Value, ValueRef};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// Reads a value of a type from text, as a quoted literal or a CSV field would be.
///
/// # Errors
/// 22P02, 22003, 22001, 22007, 22008 as in PostgreSQL.
pub fn parse(text: &str, data_type: DataType) -> Result<Value> {
    parse_in(text, data_type, Reading::of(&PLAIN))
}

/// What a text may leave open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'s> {
    /// What the words `now`, `today`, .. mean; without it, the clock says.
    pub now: Option<i64>,
    /// In which zone and order.
    pub style: &'s Style,
    /// Where a long text is told to end; `None` outside of a statement.
    pub context: Option<&'s EvalContext>,
}

impl<'s> Reading<'s> {
    /// Of a literal, which is read before any transaction has begun.
    pub(crate) fn of(style: &'s Style) -> Self {
        Self {
            now: None,
            style,
            context: None,
        }
    }

    /// Reads part by part, which takes a context.
    fn in_parts(self, read: impl FnOnce(&EvalContext) -> Result<Value>) -> Result<Value> {
        match self.context {
            Some(context) => read(context),
            None => read(&EvalContext {
                style: (*self.style != PLAIN).then(|| Arc::new(self.style.clone())),
                ..EvalContext::default()
            }),
        }
    }

    fn work(self) -> Work<'s> {
        self.context.map_or_else(Work::unasked, Work::new)
    }

    fn now(self) -> i64 {
        self.now.unwrap_or_else(|| micros(SystemTime::now()))
    }
}

/// The longest text that is read in one go, as a number, a moment or a span.
const READ_AT_ONCE_BYTES_MAX: usize = 2 << 20;

/// A text that is read in one go, a long one without the blanks around it.
///
/// # Errors
/// 54000 where it is too long, and those of [`Work::spend`].
pub(crate) fn read_at_once<'t>(
    text: &'t str,
    what: impl fmt::Display,
    work: &Work<'_>,
) -> Result<&'t str> {
    if text.len() <= READ_AT_ONCE_BYTES_MAX {
        return Ok(text);
    }
    let inner = without_blanks(text, work)?;
    match inner.len() <= READ_AT_ONCE_BYTES_MAX {
        true => Ok(inner),
        false => Err(sql_error!(
            PROGRAM_LIMIT_EXCEEDED,
            "text is too long for type {what}: {} bytes of at most {READ_AT_ONCE_BYTES_MAX}",
            inner.len()
        )),
    }
}

fn without_blanks<'t>(text: &'t str, work: &Work<'_>) -> Result<&'t str> {
    string::trimmed(text, " \t\n\r\u{b}\u{c}", work)
}

/// Whether values of a type are read in one go.
#[cold]
fn is_read_at_once(data_type: DataType) -> bool {
    match data_type {
        DataType::Text | DataType::Varchar(_) | DataType::Char(_) => false,
        DataType::Bytea | DataType::Json => false,
        DataType::Packed(packed) => packed == PackedType::TimeTz,
        _ => true,
    }
}

/// [`parse`], in a session's style.
pub(crate) fn parse_in(text: &str, data_type: DataType, reading: Reading<'_>) -> Result<Value> {
    let text = match text.len() > READ_AT_ONCE_BYTES_MAX && is_read_at_once(data_type) {
        true => read_at_once(text, data_type, &reading.work())?,
        false => text,
    };
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
        DataType::Bytea => Value::Bytea(binary::parse_bytea(text, &reading.work())?),
        DataType::Date => Value::Date(datetime::parse_date(text, reading)?),
        DataType::Time => Value::Time(datetime::parse_time(text, reading)?),
        DataType::Timestamp => Value::Timestamp(datetime::parse_timestamp(text, reading)?),
        DataType::TimestampTz => Value::TimestampTz(datetime::parse_timestamptz(text, reading)?),
        DataType::Interval => Value::Interval(interval::parse(
            text,
            reading.style.intervals,
            SpanRange::default(),
        )?),
        DataType::Uuid => Value::Uuid(binary::parse_uuid(text)?),
        DataType::Packed(PackedType::Array(element)) => {
            reading.in_parts(|context| parse_array(text, element, context))?
        }
        DataType::Packed(PackedType::Range(of)) => {
            reading.in_parts(|context| parse_range(text, of, context))?
        }
        DataType::Packed(PackedType::Multirange(of)) => {
            reading.in_parts(|context| parse_multirange(text, of, context))?
        }
        DataType::Json => {
            json::parse_json(text, &reading.work())?;
            Value::Text(text.to_owned())
        }
        DataType::Packed(PackedType::TimeTz) => {
            let (micros, ahead) = datetime::parse_timetz(text, reading)?;
            ZonedTime { micros, ahead }.value()
        }
        DataType::Packed(packed @ (PackedType::Bit(_) | PackedType::VarBit(_))) => {
            let bits = bits::parse(text, &reading.work())?;
            Value::Packed(packed, bits::fit(bits, packed, false)?)
        }
        DataType::Packed(packed @ PackedType::Jsonb) => {
            Value::Packed(packed, json::parse_jsonb(text, &reading.work())?)
        }
        other => {
            return Err(Error::unsupported(format_args!(
                "reading type {other} from text"
            )));
        }
    })
}

/// Reads an INTERVAL of a literal that says what its last number is.
pub(crate) fn parse_span(text: &str, style: &Style, range: SpanRange) -> Result<Interval> {
    interval::parse(text, style.intervals, range)
}

/// Whether a text may name a moment by where the clock stands: `now`, `today`, and a time of day in a zone that
/// has a summer time.
pub(crate) fn asks_clock(text: &str, data_type: DataType) -> bool {
    let words = ["now", "today", "tomorrow", "yesterday"];
    let is_dated = matches!(
        innermost(data_type),
        DataType::Date
            | DataType::Time
            | DataType::Timestamp
            | DataType::TimestampTz
            | DataType::Packed(PackedType::TimeTz)
    );
    is_dated && {
        let lower = text.to_ascii_lowercase();
        words.iter().any(|word| lower.contains(word))
    }
}

/// Appends a value's text form in the plain style (nothing for NULL): TIMESTAMPTZ is shown in UTC.
pub fn write(out: &mut String, value: ValueRef<'_>, data_type: DataType) {
    write_in(out, value, data_type, &PLAIN);
}

/// [`write()`] in a session's style.
pub(crate) fn write_in(out: &mut String, value: ValueRef<'_>, data_type: DataType, style: &Style) {
    // Writing fails only by an interrupt, and there is none: it asks for no memory.
    let _ = write_counted(out, value, data_type, style, &Work::unasked());
}

/// Like [`write_in`], for a value of any length in a statement.
///
/// # Errors
/// Those of [`Work::spend`].
pub(crate) fn write_counted(
    out: &mut String,
    value: ValueRef<'_>,
    data_type: DataType,
    style: &Style,
    work: &Work<'_>,
) -> Result<()> {
    match value {
        ValueRef::Boolean(v) => out.push(if v { 't' } else { 'f' }),
        ValueRef::SmallInt(v) => number::write_integer(out, v.into()),
        ValueRef::Integer(v) => number::write_integer(out, v.into()),
        ValueRef::BigInt(v) => number::write_integer(out, v),
        ValueRef::Real(v) => number::write_real(out, v, style.float_digits),
        ValueRef::Double(v) => number::write_double(out, v, style.float_digits),
        ValueRef::Numeric(v) => write_numeric(out, v),
        ValueRef::Text(v) => write_string(out, v, data_type),
        ValueRef::Bytea(v) if style.escapes_bytes => binary::write_escaped(out, v, work)?,
        ValueRef::Bytea(v) => {
            out.push_str("\\x");
            write_hex(out, v, work)?;
        }
        ValueRef::Date(v) => show::date(out, v, style),
        ValueRef::Time(v) => show::time(out, v),
        ValueRef::Timestamp(v) => show::timestamp(out, v, style),
        ValueRef::TimestampTz(v) => show::timestamptz(out, v, style),
        ValueRef::Interval(v) => spans::write(out, v, style.intervals),
        ValueRef::Uuid(v) => binary::write_uuid(out, v),
        ValueRef::Packed(PackedType::Array(_), _) => {
            array::write_array(out, &value.as_array().unwrap_or_default(), style, work)?;
        }
        ValueRef::Packed(PackedType::Range(of), _) => {
            let range = value.as_range().unwrap_or(SqlRange::EMPTY);
            range::write_range(out, range, of, style, work)?;
        }
        ValueRef::Packed(PackedType::Multirange(of), _) => {
            range::write_multirange(out, Ranges::of(value), of, style, work)?;
        }
        ValueRef::Packed(PackedType::TimeTz, v) => show::timetz(out, ZonedTime::of(v)),
        ValueRef::Packed(PackedType::Bit(_) | PackedType::VarBit(_), v) => {
            for piece in v.chunks(PIECE_BYTES) {
                work.spend(piece.len())?;
                out.extend(piece.iter().copied().map(char::from));
            }
        }
        ValueRef::Packed(PackedType::Jsonb, v) => json::write_jsonb(out, v, work)?,
        ValueRef::Packed(PackedType::Record(_) | PackedType::Composite(_), _) => {
            record::write_record(out, &value.as_record().unwrap_or_default(), style, work)?;
        }
        ValueRef::Packed(PackedType::Enum(_), v) => out.push_str(enum_label(v).unwrap_or_default()),
        // NULL has no text form.
        _ => {}
    }
    Ok(())
}

/// The text form of a value in the plain style; `None` for NULL.
pub fn format(value: ValueRef<'_>, data_type: DataType) -> Option<String> {
    format_in(value, data_type, &PLAIN)
}

/// [`format()`] in a session's style.
pub fn format_in(value: ValueRef<'_>, data_type: DataType, style: &Style) -> Option<String> {
    if value.is_null() {
        return None;
    }
    let mut out = String::new();
    write_in(&mut out, value, data_type, style);
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
    sql_error!(
        NUMERIC_VALUE_OUT_OF_RANGE,
        "value \"{text}\" is out of range for type {type_name}"
    )
}
