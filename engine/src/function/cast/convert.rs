//! One value from one type to another.

use crate::error::{Error, Result, state};
use crate::function::calendar::{self, DAY, TIMESTAMP_INFINITY, TIMESTAMP_NEG_INFINITY};
use crate::function::range::{Ranges, multirange};
use crate::function::text::Zone;
use crate::function::timetz::ZonedTime;
use crate::function::{EvalContext, Work, arithmetic, bits, decimal, json, made, native, text};
use remora_storage::value::{Dimension, ElementType, PackedType, SqlArrayBuilder, SqlRecord};
use remora_storage::{DataType, Interval, Numeric, Value, ValueRef};

/// Casts one value. `explicit` makes `CHAR(n)`/`VARCHAR(n)` cut instead of failing with 22001.
///
/// # Errors
/// 22P02, 22003, 22001, 22007, 22008 as in PostgreSQL.
pub(crate) fn cast_value(
    value: ValueRef<'_>,
    to: DataType,
    explicit: bool,
    context: &EvalContext,
) -> Result<Value> {
    use DataType as T;
    use ValueRef as V;
    match (value, to) {
        (V::Null, _) => Ok(Value::Null),
        (V::Text(s), _) if to.is_string() => {
            Ok(Value::Text(fit_string(s, to, explicit)?.to_owned()))
        }
        // Words like `today` ask for the time.
        (
            V::Text(s),
            DataType::Date | DataType::Time | DataType::Timestamp | DataType::TimestampTz,
        ) => text::parse_in(s, to, context.reading()),
        (V::Text(s), DataType::Packed(PackedType::Array(element))) => {
            text::parse_array(s, element, context)
        }
        (V::Text(s), T::Packed(PackedType::TimeTz)) => text::parse_in(s, to, context.reading()),
        (V::Text(s), T::Packed(packed @ (PackedType::Bit(_) | PackedType::VarBit(_)))) => {
            let bits = bits::fit(bits::parse(s, &Work::new(context))?, packed, explicit)?;
            Ok(Value::Packed(packed, bits))
        }
        (
            V::Packed(PackedType::Bit(_) | PackedType::VarBit(_), v),
            T::Packed(packed @ (PackedType::Bit(_) | PackedType::VarBit(_))),
        ) => Ok(Value::Packed(
            packed,
            bits::fit(v.to_vec(), packed, explicit)?,
        )),
        (V::Packed(PackedType::Bit(_), v), T::Integer | T::BigInt) => bits::to_integer(v, to),
        (V::Integer(v), T::Packed(packed @ PackedType::Bit(n))) => {
            Ok(Value::Packed(packed, bits::of_integer(v.into(), 32, n)))
        }
        (V::BigInt(v), T::Packed(packed @ PackedType::Bit(n))) => {
            Ok(Value::Packed(packed, bits::of_integer(v, 64, n)))
        }
        (V::Packed(PackedType::TimeTz, v), T::Time) => Ok(Value::Time(ZonedTime::of(v).micros)),
        (V::Time(v), T::Packed(PackedType::TimeTz)) => Ok(ZonedTime::today(v, context)?.value()),
        (V::TimestampTz(v), T::Packed(PackedType::TimeTz)) => {
            let time = ZonedTime::of_moment(v, context)?;
            Ok(time.map_or(Value::Null, ZonedTime::value))
        }
        (V::Text(s), T::Packed(PackedType::Range(of))) => text::parse_range(s, of, context),
        (V::Text(s), T::Packed(PackedType::Multirange(of))) => {
            text::parse_multirange(s, of, context)
        }
        (V::Packed(PackedType::Range(_), _), T::Packed(PackedType::Multirange(of))) => {
            let ranges: Vec<_> = Ranges::of(value).iter().collect();
            multirange(of, &ranges, &Work::new(context))
        }
        (V::Text(s), T::Interval) => text::parse_in(s, to, context.reading()),
        (V::Text(s), DataType::Packed(PackedType::Enum(id))) => made::parse_enum(s, id, context),
        (V::Text(s), T::Packed(PackedType::Composite(id))) => made::parse_composite(s, id, context),
        (
            V::Packed(PackedType::Record(_) | PackedType::Composite(_), v),
            T::Packed(packed @ PackedType::Record(of)),
        ) => {
            let Some(fields) = of.fields() else {
                return Ok(value.to_owned());
            };
            let record = SqlRecord::new(v).unwrap_or_default();
            let bytes = made::with_fields(record, &fields, "record", explicit, context)?;
            Ok(Value::Packed(packed, bytes))
        }
        (V::Packed(PackedType::Record(_), v), T::Packed(PackedType::Composite(id))) => {
            let record = SqlRecord::new(v).unwrap_or_default();
            made::to_composite(record, id, explicit, context)
        }
        (V::Text(s), T::Packed(packed @ PackedType::Record(of))) => {
            let fields = of.fields().ok_or_else(|| {
                let message = "input of anonymous composite types is not implemented";
                Error::new(state::FEATURE_NOT_SUPPORTED, message)
            })?;
            let bytes = text::parse_record(s, &fields, context)?;
            Ok(Value::Packed(packed, bytes))
        }
        (V::Text(s), _) => text::parse_in(s, to, context.reading()),
        (V::Boolean(v), _) if to.is_string() => {
            // The cast spells the word out, the output form does not.
            let word = if v { "true" } else { "false" };
            Ok(Value::Text(fit_string(word, to, explicit)?.to_owned()))
        }
        (_, _) if to.is_string() => {
            let mut out = String::new();
            let work = Work::new(context);
            text::write_counted(&mut out, value, to, context.style(), &work)?;
            Ok(Value::Text(fit_string(&out, to, explicit)?.to_owned()))
        }
        (V::Boolean(v), DataType::Integer) => Ok(Value::Integer(v.into())),
        (V::Integer(v), DataType::Boolean) => Ok(Value::Boolean(v != 0)),
        (V::SmallInt(v), _) if to.is_number() => from_integer(v.into(), to),
        (V::Integer(v), _) if to.is_number() => from_integer(v.into(), to),
        (V::BigInt(v), _) if to.is_number() => from_integer(v, to),
        (V::Real(v), DataType::Real) => Ok(Value::Real(v)),
        (V::Real(v), _) if to.is_number() => from_float(v.into(), 6, to),
        (V::Double(v), _) if to.is_number() => from_float(v, 15, to),
        (V::Numeric(v), _) if to.is_number() => from_numeric(v, to),
        (V::Packed(..), DataType::Packed(PackedType::Array(element))) => {
            cast_elements(value, element, explicit, context)
        }
        (V::Packed(PackedType::Jsonb, v), T::Json) => {
            let mut out = String::new();
            json::write_jsonb(&mut out, v, &Work::new(context))?;
            Ok(Value::Text(out))
        }
        (V::Packed(PackedType::Jsonb, v), _) if to.is_number() || to == T::Boolean => {
            cast_value(json::cast_jsonb(v, to)?.as_ref(), to, explicit, context)
        }
        _ => between_times(value, to, &context.style().zone),
    }
}

/// An array whose elements are of another type.
fn cast_elements(
    value: ValueRef<'_>,
    to: ElementType,
    explicit: bool,
    context: &EvalContext,
) -> Result<Value> {
    let array = value.as_array().unwrap_or_default();
    let mut builder = SqlArrayBuilder::new(to);
    for element in array.iter() {
        context.check()?;
        builder.push(cast_value(element, to.data_type(), explicit, context)?.as_ref());
    }
    let dimensions: Vec<Dimension> = array.dimensions().collect();
    let packed = PackedType::Array(to);
    Ok(Value::Packed(packed, builder.finish(&dimensions)))
}

/// A string as a string type holds it: CHAR without trailing blanks, neither type longer than its
/// modifier. What is cut silently is blanks, and anything where the cast is explicit.
pub(crate) fn fit_string(text: &str, to: DataType, explicit: bool) -> Result<&str> {
    let (text, limit, type_name) = match to {
        DataType::Varchar(Some(limit)) => (text, limit, "character varying"),
        DataType::Char(limit) => (text.trim_end_matches(' '), limit, "character"),
        _ => return Ok(text),
    };
    // A text has at most as many characters as bytes.
    if text.len() <= limit as usize {
        return Ok(text);
    }
    match text.char_indices().nth(limit as usize) {
        None => Ok(text),
        Some((end, _)) if explicit || text[end..].bytes().all(|b| b == b' ') => {
            let cut = &text[..end];
            Ok(if matches!(to, DataType::Char(_)) {
                cut.trim_end_matches(' ')
            } else {
                cut
            })
        }
        Some(_) => Err(sql_error!(
            STRING_DATA_RIGHT_TRUNCATION,
            "value too long for type {type_name}({limit})"
        )),
    }
}

fn out_of_range(to: DataType) -> Error {
    native::out_of_range(&to.to_string())
}

/// `None` is a number that the type cannot hold.
fn integer(value: Option<i128>, to: DataType) -> Result<Value> {
    let narrowed = value.and_then(|v| match to {
        DataType::SmallInt => i16::try_from(v).ok().map(Value::SmallInt),
        DataType::Integer => i32::try_from(v).ok().map(Value::Integer),
        _ => i64::try_from(v).ok().map(Value::BigInt),
    });
    narrowed.ok_or_else(|| out_of_range(to))
}

fn from_integer(value: i64, to: DataType) -> Result<Value> {
    match to {
        DataType::Real => Ok(Value::Real(value as f32)),
        DataType::Double => Ok(Value::Double(value as f64)),
        DataType::Numeric(_) => numeric(Numeric::from(value), to),
        _ => integer(Some(value.into()), to),
    }
}

fn numeric(value: Numeric, to: DataType) -> Result<Value> {
    match to {
        DataType::Numeric(Some(modifier)) => {
            decimal::apply_modifier(value, modifier).map(Value::Numeric)
        }
        _ => Ok(Value::Numeric(value)),
    }
}

/// A float's `digits` significant digits count where it becomes a NUMERIC.
fn from_float(value: f64, digits: usize, to: DataType) -> Result<Value> {
    match to {
        DataType::Double => Ok(Value::Double(value)),
        DataType::Real => {
            let narrow = value as f32;
            if narrow.is_infinite() && value.is_finite() {
                return Err(arithmetic::float::overflow());
            }
            if narrow == 0.0 && value != 0.0 {
                return Err(arithmetic::float::underflow());
            }
            Ok(Value::Real(narrow))
        }
        DataType::Numeric(_) => numeric(decimal::from_float(value, digits)?, to),
        _ => {
            // Halves go to the even neighbour, as the machine's rounding does.
            let rounded = value.round_ties_even();
            let whole = (rounded.abs() < 1e30).then_some(rounded as i128);
            integer(whole, to)
        }
    }
}

fn from_numeric(value: Numeric, to: DataType) -> Result<Value> {
    match to {
        DataType::Numeric(_) => numeric(value, to),
        DataType::Double => Ok(Value::Double(decimal::to_f64(value))),
        DataType::Real => {
            let wide = decimal::to_f64(value);
            Ok(Value::Real(wide as f32))
        }
        _ => match decimal::to_i128(value) {
            Some(whole) => integer(Some(whole), to),
            None => Err(sql_error!(
                FEATURE_NOT_SUPPORTED,
                "cannot convert {} to {to}",
                special_name(value)
            )),
        },
    }
}

fn special_name(value: Numeric) -> &'static str {
    if value.kind() == remora_storage::value::NumericKind::NaN {
        "NaN"
    } else {
        "infinity"
    }
}

fn between_times(value: ValueRef<'_>, to: DataType, zone: &Zone) -> Result<Value> {
    use DataType as T;
    use ValueRef as V;
    Ok(match (value, to) {
        (V::Date(v), T::Timestamp) => Value::Timestamp(date_to_timestamp(v)?),
        (V::Date(v), T::TimestampTz) => Value::TimestampTz(zone.meant(date_to_timestamp(v)?)?),
        (V::Timestamp(v), T::TimestampTz) => Value::TimestampTz(zone.meant(v)?),
        (V::TimestampTz(v), T::Timestamp) => Value::Timestamp(zone.shown(v)?),
        (V::TimestampTz(v), T::Date | T::Time) => {
            between_times(V::Timestamp(zone.shown(v)?), to, zone)?
        }
        (V::Timestamp(v), T::Date) => Value::Date(timestamp_to_date(v)),
        (V::Timestamp(v), T::Time) => match v {
            // An infinite moment has no time of day.
            TIMESTAMP_INFINITY | TIMESTAMP_NEG_INFINITY => Value::Null,
            _ => Value::Time(calendar::split(v).1),
        },
        (V::Time(v), T::Interval) => Value::Interval(Interval {
            months: 0,
            days: 0,
            micros: v,
        }),
        (V::Interval(v), T::Time) => Value::Time(v.micros.rem_euclid(DAY)),
        // The rest has the type already.
        (v, to) if same_type(v, to) => v.to_owned(),
        (v, to) => {
            return Err(sql_error!(CANNOT_COERCE, "cannot cast {v:?} to {to}"));
        }
    })
}

fn same_type(value: ValueRef<'_>, to: DataType) -> bool {
    use DataType as T;
    use ValueRef as V;
    matches!(
        (value, to),
        (V::Boolean(_), T::Boolean)
            | (V::Bytea(_), T::Bytea)
            | (V::Date(_), T::Date)
            | (V::Time(_), T::Time)
            | (V::Timestamp(_), T::Timestamp)
            | (V::TimestampTz(_), T::TimestampTz)
            | (V::Interval(_), T::Interval)
            | (V::Uuid(_), T::Uuid)
            | (V::Packed(..), T::Packed(_))
    )
}

/// Midnight of a day.
pub(crate) fn date_to_timestamp(days: i32) -> Result<i64> {
    match days {
        calendar::DATE_INFINITY => Ok(TIMESTAMP_INFINITY),
        calendar::DATE_NEG_INFINITY => Ok(TIMESTAMP_NEG_INFINITY),
        _ => calendar::join(days.into(), 0)
            .ok_or_else(|| sql_error!(DATETIME_FIELD_OVERFLOW, "date out of range for timestamp")),
    }
}

/// The day of a moment.
pub(crate) fn timestamp_to_date(value: i64) -> i32 {
    match value {
        TIMESTAMP_INFINITY => calendar::DATE_INFINITY,
        TIMESTAMP_NEG_INFINITY => calendar::DATE_NEG_INFINITY,
        // Every timestamp's day is a date: 64 bits of microseconds end in the year 294,247.
        _ => calendar::split(value).0 as i32,
    }
}
