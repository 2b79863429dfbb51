//! The types of columns.

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
}

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
            Self::Text | Self::Varchar(_) | Self::Char(_) => ArrowType::Utf8View,
            Self::Bytea => ArrowType::BinaryView,
            Self::Date => ArrowType::Date32,
            Self::Time => ArrowType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Interval => ArrowType::Interval(IntervalUnit::MonthDayNano),
            Self::Uuid => ArrowType::FixedSizeBinary(16),
        }
    }

    /// Whether values are held as text.
    pub fn is_string(self) -> bool {
        matches!(self, Self::Text | Self::Varchar(_) | Self::Char(_))
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

    /// The type without its modifier: `VARCHAR(3)` gives `VARCHAR`, `NUMERIC(5,2)` gives `NUMERIC`.
    pub fn without_modifier(self) -> Self {
        match self {
            Self::Numeric(_) => Self::Numeric(None),
            Self::Varchar(_) => Self::Varchar(None),
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
        }
    }
}
