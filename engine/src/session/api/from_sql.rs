//! Columns of a result as Rust values.

use crate::function::text;
use remora_storage::value::{NumericKind, PackedType, enum_label};
use remora_storage::{DataType, Interval, Numeric, Value, ValueRef};

/// Why a value of a result is not the Rust value that was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FromSqlError {
    /// The Rust type does not stand for the SQL type.
    #[error("the value is of another type")]
    InvalidType,
    /// The value is NULL, and the Rust type is no `Option`.
    #[error("the value is NULL")]
    Null,
    /// The number does not fit.
    #[error("{0} is out of range")]
    OutOfRange(i64),
    /// What a type outside this crate has to say.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

/// The result of [`FromSql::column_result`].
pub type FromSqlResult<T> = Result<T, FromSqlError>;

/// A type that a column of a result can be read as.
///
/// Whole numbers are read from any integer type, and from a NUMERIC without fraction, as long as
/// they fit; `f64` also from REAL and NUMERIC (rounded). Dates and times are read as the number
/// that [`Value`] holds for them. `Option<T>` takes NULL, [`Value`] takes everything.
pub trait FromSql: Sized {
    /// Converts the value.
    ///
    /// # Errors
    /// See [`FromSqlError`].
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self>;

    /// As [`Self::column_result`], of a value that is kept as one.
    #[doc(hidden)]
    #[inline]
    fn kept_result(value: &Value) -> FromSqlResult<Self> {
        Self::column_result(value.as_ref())
    }
}

/// A value that is not of the kind that most are.
#[inline(never)]
fn of_other<T: FromSql>(value: &Value) -> FromSqlResult<T> {
    T::column_result(value.as_ref())
}

/// Any whole number, and dates and times as what they are counted in.
#[inline]
fn whole(value: ValueRef<'_>) -> FromSqlResult<i64> {
    match value {
        ValueRef::Numeric(v) => whole_numeric(v),
        ValueRef::SmallInt(v) => Ok(v.into()),
        ValueRef::Integer(v) | ValueRef::Date(v) => Ok(v.into()),
        ValueRef::BigInt(v)
        | ValueRef::Time(v)
        | ValueRef::Timestamp(v)
        | ValueRef::TimestampTz(v) => Ok(v),
        other => Err(mismatch(other)),
    }
}

/// A NUMERIC without a fraction, e.g. the `sum` of a BIGINT column.
fn whole_numeric(value: Numeric) -> FromSqlResult<i64> {
    let value = value.normalized();
    if !value.is_finite() || value.scale() != 0 {
        return Err(FromSqlError::InvalidType);
    }
    i64::try_from(value.mantissa()).map_err(|_| FromSqlError::InvalidType)
}

/// The nearest double of a NUMERIC.
fn nearest_double(value: Numeric) -> f64 {
    match value.kind() {
        NumericKind::NaN => f64::NAN,
        NumericKind::Infinity => f64::INFINITY,
        NumericKind::NegativeInfinity => f64::NEG_INFINITY,
        // Through text, because a division of rounded parts would round twice.
        NumericKind::Finite => format!("{}e-{}", value.mantissa(), value.scale())
            .parse()
            .unwrap_or(f64::NAN),
    }
}

fn mismatch(value: ValueRef<'_>) -> FromSqlError {
    if value.is_null() {
        FromSqlError::Null
    } else {
        FromSqlError::InvalidType
    }
}

macro_rules! from_whole {
    ($($type:ty),+) => {$(
        impl FromSql for $type {
            #[inline]
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let value = whole(value)?;
                Self::try_from(value).map_err(|_| FromSqlError::OutOfRange(value))
            }

            #[inline]
            fn kept_result(value: &Value) -> FromSqlResult<Self> {
                let value = match value {
                    Value::BigInt(value) => *value,
                    Value::Integer(value) => i64::from(*value),
                    other => return of_other(other),
                };
                Self::try_from(value).map_err(|_| FromSqlError::OutOfRange(value))
            }
        }
    )+};
}

from_whole!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

const RECORD: DataType =
    DataType::Packed(PackedType::Record(remora_storage::value::RecordType::ANY));
const JSONB: DataType = DataType::Packed(PackedType::Jsonb);

macro_rules! from_variant {
    ($($type:ty: $($pattern:pat => $result:expr),+;)+) => {$(
        impl FromSql for $type {
            #[inline]
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                match value {
                    $($pattern => Ok($result),)+
                    other => Err(mismatch(other)),
                }
            }
        }
    )+};
}

from_variant! {
    bool: ValueRef::Boolean(v) => v;
    f32: ValueRef::Real(v) => v;
    f64: ValueRef::Double(v) => v, ValueRef::Real(v) => v.into(),
        ValueRef::Numeric(v) => nearest_double(v);
    Box<str>: ValueRef::Text(v) => v.into();
    Vec<u8>: ValueRef::Bytea(v) => v.to_owned();
    [u8; 16]: ValueRef::Uuid(v) => v;
    Numeric: ValueRef::Numeric(v) => v, ValueRef::SmallInt(v) => i64::from(v).into(),
        ValueRef::Integer(v) => i64::from(v).into(), ValueRef::BigInt(v) => v.into();
    Interval: ValueRef::Interval(v) => v;
}

impl FromSql for String {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Text(text) => Ok(text.to_owned()),
            ValueRef::Packed(PackedType::Jsonb, _) => {
                Ok(text::format(value, JSONB).unwrap_or_default())
            }
            ValueRef::Packed(PackedType::Record(_) | PackedType::Composite(_), _) => {
                Ok(text::format(value, RECORD).unwrap_or_default())
            }
            ValueRef::Packed(PackedType::Enum(_), label) => {
                Ok(enum_label(label).unwrap_or_default().to_owned())
            }
            other => Err(mismatch(other)),
        }
    }

    #[inline]
    fn kept_result(value: &Value) -> FromSqlResult<Self> {
        match value {
            Value::Text(text) => Ok(text.clone()),
            other => of_other(other),
        }
    }
}

impl FromSql for Value {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(value.to_owned())
    }
}

/// The elements of an array, row by row where it has several dimensions.
macro_rules! from_array {
    ($($type:ty),+ $(,)?) => {$(
        impl FromSql for Vec<$type> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let array = value.as_array().ok_or_else(|| mismatch(value))?;
                array.iter().map(<$type>::column_result).collect()
            }
        }

        impl FromSql for Vec<Option<$type>> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let array = value.as_array().ok_or_else(|| mismatch(value))?;
                array.iter().map(Option::<$type>::column_result).collect()
            }
        }
    )+};
}

from_array!(
    bool,
    i16,
    i32,
    i64,
    f32,
    f64,
    String,
    Vec<u8>,
    [u8; 16],
    Numeric,
    Interval,
    Value
);

impl<T: FromSql> FromSql for Option<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        if value.is_null() {
            Ok(None)
        } else {
            T::column_result(value).map(Some)
        }
    }

    #[inline]
    fn kept_result(value: &Value) -> FromSqlResult<Self> {
        match value {
            Value::Null => Ok(None),
            other => T::kept_result(other).map(Some),
        }
    }
}
