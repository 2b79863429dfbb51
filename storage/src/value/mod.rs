//! Values and their types: what a column can hold, as a scalar and as an Arrow array.
//!
//! ```text
//!  DataType        SQL's name          scalar               Arrow array
//!  Boolean         BOOLEAN             bool                 Boolean
//!  SmallInt ..     SMALLINT ..         i16 i32 i64          Int16 Int32 Int64
//!  Real, Double    REAL, DOUBLE ..     f32 f64              Float32 Float64
//!  Numeric(p,s)    NUMERIC(p,s)        Numeric              Decimal128(p, s)
//!  Numeric         NUMERIC             Numeric              FixedSizeBinary(17), see numeric.rs
//!  Text, Varchar,  TEXT, VARCHAR(n),   str                  Utf8View
//!  Char            CHAR(n)
//!  Bytea           BYTEA               bytes                BinaryView
//!  Date            DATE                days since 1970      Date32
//!  Time            TIME                µs since midnight    Time64(µs)
//!  Timestamp[Tz]   TIMESTAMP[TZ]       µs since 1970 (UTC)  Timestamp(µs, none or "UTC")
//!  Interval        INTERVAL            months, days, µs     Interval(MonthDayNano), with µs for ns
//!  Uuid            UUID                16 bytes             FixedSizeBinary(16)
//!  Json            JSON                 str                  Utf8View
//!  Packed          type[], JSONB, ROW,  bytes, see packed.rs BinaryView
//!                  made
//! ```
//!
//! Floats order and compare as in PostgreSQL: NaN equals itself and is above everything, `-0`
//! equals `0`. CHAR(n) values are held without their trailing blanks. Nanoseconds in 64 bits are no more than 292 years:
//! arrays of intervals count microseconds there, and are converted where they come from other programs or go to them.

mod any_type;
mod array;
mod bounds;
mod datatype;
mod fixed;
mod interval;
mod names;
mod numeric;
mod packed;
mod record;
mod record_type;
mod scalar;
mod sql_array;
mod sql_range;
#[cfg(test)]
mod strategy;
#[cfg(test)]
mod tests;

pub use any_type::AnyType;
pub use array::{ColumnBuilder, append_owned, value_at};
pub use bounds::ColumnBounds;
pub use datatype::{DataType, NumericModifier};
pub(crate) use fixed::{read_fixed, take, write_fixed};
pub use interval::Interval;
pub use names::{TypeNames, with_type_names};
pub use numeric::{Numeric, NumericKind};
pub use packed::{ElementType, PackedType, enum_label, enum_value};
pub use record::{RECORD_FIELDS_MAX, SqlRecord};
pub use record_type::{RECORD_TYPES_MAX, RecordField, RecordType};
pub(crate) use scalar::REUSED_BYTES_MAX;
pub use scalar::{Value, ValueRef};
pub use sql_array::{
    ARRAY_DIMENSIONS_MAX, ARRAY_ELEMENTS_MAX, Dimension, SqlArray, SqlArrayBuilder,
};
pub use sql_range::{RangeBound, RangeType, SqlRange};
#[cfg(test)]
pub(crate) use strategy::{TYPES, any_numeric, any_value, any_value_of};
