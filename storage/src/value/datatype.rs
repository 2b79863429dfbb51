//! The types of columns.

use super::any_type::AnyType;
use super::packed::{ElementType, PackedType};
use super::record_type::RecordType;
use super::sql_range::RangeType;
use crate::ids::TypeId;
use arrow_schema::{DataType as ArrowType, IntervalUnit, TimeUnit};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Precision and scale of a `NUMERIC(p,s)` column.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct NumericModifier {
    /// Significant digits, 1 to 38.
    pub precision: u8,
    /// Digits after the point, 0 to `precision`.
    pub scale: u8,
}

/// The type of a column, an expression or a parameter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DataType {
    /// `BOOLEAN`
    Boolean,
    /// `SMALLINT`
    SmallInt,
    /// `INTEGER`
    Integer,
    /// `BIGINT`
    BigInt,
    /// `REAL`
    Real,
    /// `DOUBLE PRECISION`
    Double,
    /// `NUMERIC`, with or without `(p,s)`.
    Numeric(Option<NumericModifier>),
    /// `TEXT`
    Text,
    /// `VARCHAR`, with or without a limit in characters.
    Varchar(Option<u32>),
    /// `CHAR(n)`, n in characters.
    Char(u32),
    /// `BYTEA`
    Bytea,
    /// `DATE`
    Date,
    /// `TIME`
    Time,
    /// `TIMESTAMP`
    Timestamp,
    /// `TIMESTAMPTZ`
    TimestampTz,
    /// `INTERVAL`
    Interval,
    /// `UUID`
    Uuid,
    /// `JSON`: text that was found to be JSON.
    Json,
    /// A type whose values are packed into bytes: an array, `JSONB`, a record.
    Packed(PackedType),
}

/// Set in the number of an array's type, beside that of its elements' type.
const ARRAY_CODE: u8 = 0x80;

impl DataType {
    /// The Arrow type of arrays of this type.
    pub fn arrow(self) -> ArrowType {
        match self {
            Self::Boolean => ArrowType::Boolean,
            Self::SmallInt => ArrowType::Int16,
            Self::Integer => ArrowType::Int32,
            Self::BigInt => ArrowType::Int64,
            Self::Real => ArrowType::Float32,
            Self::Double => ArrowType::Float64,
            Self::Numeric(Some(m)) => ArrowType::Decimal128(m.precision, m.scale as i8),
            Self::Numeric(None) => ArrowType::FixedSizeBinary(17),
            Self::Text | Self::Varchar(_) | Self::Char(_) | Self::Json => ArrowType::Utf8View,
            Self::Bytea | Self::Packed(_) => ArrowType::BinaryView,
            Self::Date => ArrowType::Date32,
            Self::Time => ArrowType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Interval => ArrowType::Interval(IntervalUnit::MonthDayNano),
            Self::Uuid => ArrowType::FixedSizeBinary(16),
        }
    }

    /// Whether values are strings of characters: the type is one of SQL's string types.
    pub fn is_string(self) -> bool {
        matches!(self, Self::Text | Self::Varchar(_) | Self::Char(_))
    }

    /// Whether values are held as text in UTF-8.
    pub fn is_text(self) -> bool {
        self.is_string() || self == Self::Json
    }

    /// Whether values are held as strings of bytes of any length, text among them.
    pub fn is_variable(self) -> bool {
        self.is_text() || matches!(self, Self::Bytea | Self::Packed(_))
    }

    /// Whether values are records.
    pub fn is_record(self) -> bool {
        matches!(self, Self::Packed(packed) if packed.is_record())
    }

    /// Whether values are numbers.
    pub fn is_number(self) -> bool {
        matches!(
            self,
            Self::SmallInt
                | Self::Integer
                | Self::BigInt
                | Self::Real
                | Self::Double
                | Self::Numeric(_)
        )
    }

    /// Whether values that are equal are the same in every way: a NUMERIC may be 1.0 and 1.00.
    pub fn has_one_form(self) -> bool {
        matches!(
            self,
            Self::Boolean
                | Self::SmallInt
                | Self::Integer
                | Self::BigInt
                | Self::Date
                | Self::Timestamp
                | Self::Text
                | Self::Varchar(_)
        )
    }

    /// Whether values that are held as strings compare as these strings do.
    pub(crate) fn compares_as_bytes(self) -> bool {
        match self {
            Self::Packed(packed) => {
                let is_list = matches!(
                    packed,
                    PackedType::Array(_) | PackedType::Range(_) | PackedType::Multirange(_)
                );
                !is_list && !packed.is_record()
            }
            other => other.is_variable(),
        }
    }

    /// The number and the modifier that stand for the type where it is written as bytes. A number that was ever
    /// written keeps its meaning.
    pub(crate) const fn code(self) -> (u8, u32) {
        match self {
            Self::Boolean => (0, 0),
            Self::SmallInt => (1, 0),
            Self::Integer => (2, 0),
            Self::BigInt => (3, 0),
            Self::Real => (4, 0),
            Self::Double => (5, 0),
            Self::Numeric(None) => (6, 0),
            Self::Numeric(Some(m)) => (7, (m.precision as u32) << 8 | m.scale as u32),
            Self::Text => (8, 0),
            Self::Varchar(None) => (9, 0),
            Self::Varchar(Some(n)) => (10, n),
            Self::Char(n) => (11, n),
            Self::Bytea => (12, 0),
            Self::Date => (13, 0),
            Self::Time => (14, 0),
            Self::Timestamp => (15, 0),
            Self::TimestampTz => (16, 0),
            Self::Interval => (17, 0),
            Self::Uuid => (18, 0),
            Self::Json => (19, 0),
            Self::Packed(PackedType::Jsonb) => (20, 0),
            Self::Packed(PackedType::Enum(id)) => (60, id.0),
            Self::Packed(PackedType::TimeTz) => (61, 0),
            Self::Packed(PackedType::Bit(length)) => (62, length),
            Self::Packed(PackedType::VarBit(limit)) => (63, limit),
            Self::Packed(PackedType::Record(of)) => (70, of.number()),
            Self::Packed(PackedType::Composite(id)) => (71, id.0),
            Self::Packed(PackedType::Range(of)) => (80, of.number()),
            Self::Packed(PackedType::Multirange(of)) => (81, of.number()),
            Self::Packed(PackedType::Any(any)) => (82, any.number()),
            Self::Packed(PackedType::Array(element)) => {
                let (code, modifier) = element.code();
                (ARRAY_CODE | code, modifier)
            }
        }
    }

    /// The type that [`Self::code`] gave the number and modifier of.
    pub(crate) fn from_code(code: u8, modifier: u32) -> Option<Self> {
        let numeric = NumericModifier {
            precision: (modifier >> 8) as u8,
            scale: modifier as u8,
        };
        let fits = numeric.precision <= 38 && numeric.scale <= numeric.precision;
        Some(match (code, modifier) {
            (0, 0) => Self::Boolean,
            (1, 0) => Self::SmallInt,
            (2, 0) => Self::Integer,
            (3, 0) => Self::BigInt,
            (4, 0) => Self::Real,
            (5, 0) => Self::Double,
            (6, 0) => Self::Numeric(None),
            (7, 256..=0xFFFF) if fits => Self::Numeric(Some(numeric)),
            (8, 0) => Self::Text,
            (9, 0) => Self::Varchar(None),
            (10, n) => Self::Varchar(Some(n)),
            (11, n) => Self::Char(n),
            (12, 0) => Self::Bytea,
            (13, 0) => Self::Date,
            (14, 0) => Self::Time,
            (15, 0) => Self::Timestamp,
            (16, 0) => Self::TimestampTz,
            (17, 0) => Self::Interval,
            (18, 0) => Self::Uuid,
            (19, 0) => Self::Json,
            (20, 0) => Self::Packed(PackedType::Jsonb),
            (60, id) => Self::Packed(PackedType::Enum(TypeId(id))),
            (61, 0) => Self::Packed(PackedType::TimeTz),
            (62, length) => Self::Packed(PackedType::Bit(length)),
            (63, limit) => Self::Packed(PackedType::VarBit(limit)),
            (70, of) => Self::Packed(PackedType::Record(RecordType::numbered(of))),
            (71, id) => Self::Packed(PackedType::Composite(TypeId(id))),
            (80, number) => Self::Packed(PackedType::Range(RangeType::from_number(number)?)),
            (82, number) => Self::Packed(PackedType::Any(AnyType::from_number(number)?)),
            (81, number) => Self::Packed(PackedType::Multirange(RangeType::from_number(number)?)),
            (code, modifier) if code & ARRAY_CODE != 0 => {
                let element = Self::from_code(code & !ARRAY_CODE, modifier)?;
                ElementType::new(element)?.array()
            }
            _ => return None,
        })
    }

    /// The type that somebody made which it is, or of which it is an array.
    pub fn made(self) -> Option<TypeId> {
        match self {
            Self::Packed(packed) => packed.made(),
            _ => None,
        }
    }

    /// The type without its modifier: `VARCHAR(3)` gives `VARCHAR`, `NUMERIC(5,2)` gives `NUMERIC`.
    pub fn without_modifier(self) -> Self {
        match self {
            Self::Numeric(_) => Self::Numeric(None),
            Self::Varchar(_) => Self::Varchar(None),
            Self::Packed(packed) => Self::Packed(packed.without_modifier()),
            other => other,
        }
    }
}

/// PostgreSQL's name for the type (`format_type`).
impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Integer => f.write_str("integer"),
            Self::BigInt => f.write_str("bigint"),
            Self::Real => f.write_str("real"),
            Self::Double => f.write_str("double precision"),
            Self::Numeric(None) => f.write_str("numeric"),
            Self::Numeric(Some(m)) => write!(f, "numeric({},{})", m.precision, m.scale),
            Self::Text => f.write_str("text"),
            Self::Varchar(None) => f.write_str("character varying"),
            Self::Varchar(Some(n)) => write!(f, "character varying({n})"),
            Self::Char(n) => write!(f, "character({n})"),
            Self::Bytea => f.write_str("bytea"),
            Self::Date => f.write_str("date"),
            Self::Time => f.write_str("time without time zone"),
            Self::Timestamp => f.write_str("timestamp without time zone"),
            Self::TimestampTz => f.write_str("timestamp with time zone"),
            Self::Interval => f.write_str("interval"),
            Self::Uuid => f.write_str("uuid"),
            Self::Json => f.write_str("json"),
            Self::Packed(packed) => packed.fmt(f),
        }
    }
}
