//! Type names: PostgreSQL's and their aliases.

use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::function::text::{SpanRange, SpanUnit};
use remora_storage::DataType;
use remora_storage::catalog::{TypeDef, TypeKind};
use remora_storage::limits::NUMERIC_DIGITS_MAX;
use remora_storage::value::{ElementType, NumericModifier, PackedType, RangeType};
use sqlparser::ast::{self, ArrayElemTypeDef, CharacterLength, ExactNumberInfo, TimezoneInfo};

/// Characters of a CHAR or VARCHAR, as in PostgreSQL.
const CHARACTERS_MAX: u64 = 10_485_760;

/// Bits of a BIT or BIT VARYING, as in PostgreSQL.
const BITS_MAX: u64 = 83_886_080;

/// The type NAME is a string of so many.
const NAME_CHARACTERS_MAX: u32 = 63;

/// The type that a syntax tree names.
///
/// # Errors
/// 42704 for unknown names, 22023 for modifiers out of range, 0A000 for types not supported.
pub(super) fn data_type(syntax: &ast::DataType, at: Option<Position>) -> Result<DataType> {
    use ast::DataType as S;
    Ok(match syntax {
        S::Bool | S::Boolean => DataType::Boolean,
        S::SmallInt(None) | S::Int2(None) => DataType::SmallInt,
        S::Int(None) | S::Integer(None) | S::Int4(None) => DataType::Integer,
        S::BigInt(None) | S::Int8(None) => DataType::BigInt,
        S::Real | S::Float4 => DataType::Real,
        S::DoublePrecision | S::Float8 => DataType::Double,
        S::Float(info) => float(info, at)?,
        S::Numeric(info) | S::Decimal(info) | S::Dec(info) => numeric(info, at)?,
        S::Text => DataType::Text,
        S::Varchar(length) | S::CharacterVarying(length) | S::CharVarying(length) => {
            DataType::Varchar(characters(*length, "varchar", at)?)
        }
        S::Char(length) | S::Character(length) => {
            DataType::Char(characters(*length, "char", at)?.unwrap_or(1))
        }
        S::Bytea => DataType::Bytea,
        S::Date => DataType::Date,
        S::Time(precision, zone) => {
            microseconds(*precision, at)?;
            match zone {
                TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => DataType::Time,
                _ => DataType::Packed(PackedType::TimeTz),
            }
        }
        S::Timestamp(precision, zone) => {
            microseconds(*precision, at)?;
            match zone {
                TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => DataType::Timestamp,
                TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => DataType::TimestampTz,
            }
        }
        S::Interval {
            fields: None,
            precision,
        } => {
            microseconds(*precision, at)?;
            DataType::Interval
        }
        S::Uuid => DataType::Uuid,
        S::JSON => DataType::Json,
        S::JSONB => DataType::Packed(PackedType::Jsonb),
        S::Custom(name, modifiers) => custom(name, modifiers, at)?,
        S::Array(ArrayElemTypeDef::SquareBracket(element, _)) => array(element, at)?,
        S::Bit(length) => DataType::Packed(PackedType::Bit(bits(*length, "bit", at)?.unwrap_or(1))),
        S::BitVarying(limit) | S::VarBit(limit) => {
            DataType::Packed(PackedType::VarBit(bits(*limit, "varbit", at)?.unwrap_or(0)))
        }
        S::Array(_) | S::Interval { .. } => {
            return Err(Error::unsupported(format!("type {}", lower(syntax))).at(at));
        }
        _ => return Err(unknown(&lower(syntax)).at(at)),
    })
}

impl Binder<'_> {
    /// The type that a syntax tree names: one of the system's, or one that somebody made.
    ///
    /// # Errors
    /// As [`data_type`].
    pub(super) fn data_type(
        &self,
        syntax: &ast::DataType,
        at: Option<Position>,
    ) -> Result<DataType> {
        use ast::DataType as S;
        match syntax {
            S::Custom(name, modifiers) if modifiers.is_empty() => match self.made_type(name)? {
                Some(def) => Ok(type_of(&def)),
                None => data_type(syntax, at),
            },
            S::Array(ArrayElemTypeDef::SquareBracket(element, _)) => {
                if self.domain_of(element)?.is_some() {
                    return Err(Error::unsupported("an array of a domain").at(at));
                }
                let element = self.data_type(element, at)?;
                Ok(ElementType::new(element).map_or(element, ElementType::array))
            }
            other => data_type(other, at),
        }
    }
}

/// The type of the values of one that somebody made.
pub(super) fn type_of(def: &TypeDef) -> DataType {
    match def.kind {
        TypeKind::Enum(_) => DataType::Packed(PackedType::Enum(def.id)),
        TypeKind::Domain(ref domain) => domain.base,
        TypeKind::Range(of) => of.range(),
        TypeKind::Multirange(of) => of.multirange(),
        TypeKind::Composite(_) => DataType::Packed(PackedType::Composite(def.id)),
    }
}

/// `int[]`, and `int[3][3]`, which means the same: PostgreSQL does not hold an array to it either.
fn array(element: &ast::DataType, at: Option<Position>) -> Result<DataType> {
    let element = data_type(element, at)?;
    Ok(ElementType::new(element).map_or(element, ElementType::array))
}

fn bits(length: Option<u64>, what: &str, at: Option<Position>) -> Result<Option<u32>> {
    let complaint = match length {
        None => return Ok(None),
        Some(0) => format!("length for type {what} must be at least 1"),
        Some(1..=BITS_MAX) => return Ok(length.and_then(|n| u32::try_from(n).ok())),
        Some(_) => format!("length for type {what} cannot exceed {BITS_MAX}"),
    };
    Err(invalid(complaint).at(at))
}

/// Types whose names the grammar's crate has no word for.
fn custom(name: &ast::ObjectName, modifiers: &[String], at: Option<Position>) -> Result<DataType> {
    let name = name::function(name)?;
    if !modifiers.is_empty() {
        return Err(unknown(&name).at(at));
    }
    named(&name).ok_or_else(|| unknown(&name).at(at))
}

/// The type of a name that is one word, by PostgreSQL's own names.
pub(super) fn named(name: &str) -> Option<DataType> {
    if let Some(element) = name.strip_prefix('_') {
        return ElementType::new(named(element)?).map(ElementType::array);
    }
    Some(match name {
        "bool" => DataType::Boolean,
        "int2" => DataType::SmallInt,
        "int4" => DataType::Integer,
        "int8" => DataType::BigInt,
        "float4" => DataType::Real,
        "float8" => DataType::Double,
        "numeric" => DataType::Numeric(None),
        "text" => DataType::Text,
        "varchar" => DataType::Varchar(None),
        // What a name in the catalog may be long.
        "name" => DataType::Varchar(Some(NAME_CHARACTERS_MAX)),
        "bpchar" => DataType::Char(1),
        "timestamptz" => DataType::TimestampTz,
        "timetz" => DataType::Packed(PackedType::TimeTz),
        "varbit" => DataType::Packed(PackedType::VarBit(0)),
        "bit" => DataType::Packed(PackedType::Bit(1)),
        "timestamp" => DataType::Timestamp,
        "time" => DataType::Time,
        "interval" => DataType::Interval,
        "date" => DataType::Date,
        "uuid" => DataType::Uuid,
        "bytea" => DataType::Bytea,
        "json" => DataType::Json,
        "jsonb" => DataType::Packed(PackedType::Jsonb),
        "oid" => DataType::BigInt,
        other => return range_named(other),
    })
}

/// A range or multirange that the system has.
fn range_named(name: &str) -> Option<DataType> {
    RangeType::system().find_map(|of| match of.names()? {
        (range, _) if range == name => Some(of.range()),
        (_, multirange) if multirange == name => Some(of.multirange()),
        _ => None,
    })
}

/// The name by which PostgreSQL names the column of a cast: `SELECT 1::integer` gives `int4`.
pub(super) fn internal_name(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "bool",
        DataType::SmallInt => "int2",
        DataType::Integer => "int4",
        DataType::BigInt => "int8",
        DataType::Real => "float4",
        DataType::Double => "float8",
        DataType::Numeric(_) => "numeric",
        DataType::Text => "text",
        DataType::Varchar(_) => "varchar",
        DataType::Char(_) => "bpchar",
        DataType::Bytea => "bytea",
        DataType::Date => "date",
        DataType::Time => "time",
        DataType::Timestamp => "timestamp",
        DataType::TimestampTz => "timestamptz",
        DataType::Interval => "interval",
        DataType::Uuid => "uuid",
        DataType::Json => "json",
        DataType::Packed(PackedType::Jsonb) => "jsonb",
        DataType::Packed(PackedType::TimeTz) => "timetz",
        DataType::Packed(PackedType::Bit(_)) => "bit",
        DataType::Packed(PackedType::VarBit(_)) => "varbit",
        DataType::Packed(PackedType::Range(of)) => of.names().map_or("?column?", |names| names.0),
        DataType::Packed(PackedType::Multirange(of)) => {
            of.names().map_or("?column?", |names| names.1)
        }
        // That of the elements.
        DataType::Packed(PackedType::Array(element)) => internal_name(element.data_type()),
        _ => "?column?",
    }
}

fn float(info: &ExactNumberInfo, at: Option<Position>) -> Result<DataType> {
    match info {
        ExactNumberInfo::None | ExactNumberInfo::Precision(25..=53) => Ok(DataType::Double),
        ExactNumberInfo::Precision(1..=24) => Ok(DataType::Real),
        _ => Err(invalid("precision for type float must be between 1 and 53 bits").at(at)),
    }
}

fn numeric(info: &ExactNumberInfo, at: Option<Position>) -> Result<DataType> {
    let (precision, scale) = match *info {
        ExactNumberInfo::None => return Ok(DataType::Numeric(None)),
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
    };
    let digits = (1..=u64::from(NUMERIC_DIGITS_MAX)).contains(&precision);
    let precision = u8::try_from(precision).ok().filter(|_| digits);
    let precision = precision.ok_or_else(|| {
        invalid(format!(
            "NUMERIC precision must be between 1 and {NUMERIC_DIGITS_MAX}"
        ))
        .at(at)
    })?;
    let scale = u8::try_from(scale).ok().filter(|scale| *scale <= precision);
    let scale = scale.ok_or_else(|| {
        invalid(format!(
            "NUMERIC scale must be between 0 and precision {precision}"
        ))
        .at(at)
    })?;
    Ok(DataType::Numeric(Some(NumericModifier {
        precision,
        scale,
    })))
}

fn characters(
    length: Option<CharacterLength>,
    what: &str,
    at: Option<Position>,
) -> Result<Option<u32>> {
    let length = match length {
        None => return Ok(None),
        Some(CharacterLength::IntegerLength { length, .. }) => length,
        Some(CharacterLength::Max) => return Err(name::syntax_error("max", at)),
    };
    let complaint = match length {
        0 => format!("length for type {what} must be at least 1"),
        1..=CHARACTERS_MAX => return Ok(u32::try_from(length).ok()),
        _ => format!("length for type {what} cannot exceed {CHARACTERS_MAX}"),
    };
    Err(invalid(complaint).at(at))
}

/// The type without how many digits of its seconds it has, and which fields of a span: what a value is cast to
/// before it is cut to these.
pub(super) fn without_precision(syntax: &ast::DataType) -> ast::DataType {
    use ast::DataType as S;
    match syntax {
        S::Time(_, zone) => S::Time(None, *zone),
        S::Timestamp(_, zone) => S::Timestamp(None, *zone),
        S::Interval { .. } => S::Interval {
            fields: None,
            precision: None,
        },
        other => other.clone(),
    }
}

/// What [`without_precision`] leaves out, as the functions take it that cut a value to it; `None` where that is
/// nothing.
pub(super) fn time_modifier(syntax: &ast::DataType) -> Option<i32> {
    use ast::DataType as S;
    let digits = |digits: u64| digits.min(6) as i32;
    match syntax {
        S::Time(precision, _) | S::Timestamp(precision, _) => precision.map(digits),
        S::Interval { fields, precision } => {
            let all = precision.map_or(6, digits);
            match (fields, precision) {
                (None, None) => None,
                (None, Some(_)) => Some(all),
                (Some(fields), _) => Some(all | least(fields) << 8),
            }
        }
        _ => None,
    }
}

/// The least field of a span that has only some, from 1 for years to 6 for seconds.
fn least(fields: &ast::IntervalFields) -> i32 {
    use ast::IntervalFields as F;
    match fields {
        F::Year => 1,
        F::Month | F::YearToMonth => 2,
        F::Day => 3,
        F::Hour | F::DayToHour => 4,
        F::Minute | F::DayToMinute | F::HourToMinute => 5,
        F::Second | F::DayToSecond | F::HourToSecond | F::MinuteToSecond => 6,
    }
}

/// What a number without a unit is in a text that is cast to a span, by its modifier.
pub(super) fn span_range(modifier: i32) -> SpanRange {
    use SpanUnit as U;
    let last = match modifier >> 8 {
        1 => U::Year,
        2 => U::Month,
        3 => U::Day,
        4 => U::Hour,
        5 => U::Minute,
        _ => U::Second,
    };
    SpanRange {
        last,
        minutes_first: false,
    }
}

/// Only the full precision is kept; a lower one would have to round.
fn microseconds(precision: Option<u64>, at: Option<Position>) -> Result<()> {
    match precision {
        None | Some(6) => Ok(()),
        Some(_) => Err(Error::unsupported("a precision of seconds other than 6").at(at)),
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(state::INVALID_PARAMETER_VALUE, message)
}

fn unknown(name: &str) -> Error {
    sql_error!(UNDEFINED_OBJECT, "type \"{name}\" does not exist")
}

fn lower(syntax: &ast::DataType) -> String {
    syntax.to_string().to_lowercase()
}
