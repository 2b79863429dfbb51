//! Rust values as parameters.

use crate::error::Result;
use remora_storage::value::{ElementType, SqlArrayBuilder};
use remora_storage::{DataType, Interval, Numeric, Value, ValueRef};

/// A value on its way into a statement: borrowed where that is possible.
#[derive(Clone, Debug)]
pub enum ToSqlOutput<'a> {
    /// Borrowed from the caller.
    Borrowed(ValueRef<'a>),
    /// Made for the call.
    Owned(Value),
}

/// A type whose values can be parameters.
///
/// A value is cast to the type that the statement gives the parameter, as by an assignment; text
/// is read as a quoted literal would be. What does not fit is an error (22P02, 22003, ..).
///
/// ```
/// use remora::{Result, ToSql, ToSqlOutput, Value};
///
/// struct Celsius(f64);
///
/// impl ToSql for Celsius {
///     fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
///         Ok(ToSqlOutput::Owned(Value::Double(self.0 + 273.15)))
///     }
/// }
/// ```
pub trait ToSql {
    /// The value.
    ///
    /// # Errors
    /// 22003 where SQL has no such number.
    fn to_sql(&self) -> Result<ToSqlOutput<'_>>;
}

macro_rules! borrowed {
    ($($type:ty => |$value:ident| $expression:expr),+ $(,)?) => {$(
        impl ToSql for $type {
            #[inline]
            fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
                let $value = self;
                Ok(ToSqlOutput::Borrowed($expression))
            }
        }
    )+};
}

borrowed! {
    bool => |v| ValueRef::Boolean(*v),
    i8 => |v| ValueRef::SmallInt((*v).into()),
    i16 => |v| ValueRef::SmallInt(*v),
    i32 => |v| ValueRef::Integer(*v),
    i64 => |v| ValueRef::BigInt(*v),
    u8 => |v| ValueRef::SmallInt((*v).into()),
    u16 => |v| ValueRef::Integer((*v).into()),
    u32 => |v| ValueRef::BigInt((*v).into()),
    f32 => |v| ValueRef::Real(*v),
    f64 => |v| ValueRef::Double(*v),
    str => |v| ValueRef::Text(v),
    String => |v| ValueRef::Text(v),
    [u8] => |v| ValueRef::Bytea(v),
    Vec<u8> => |v| ValueRef::Bytea(v),
    [u8; 16] => |v| ValueRef::Uuid(*v),
    Numeric => |v| ValueRef::Numeric(*v),
    Interval => |v| ValueRef::Interval(*v),
    Value => |v| v.as_ref(),
    ValueRef<'_> => |v| *v,
}

macro_rules! narrowed {
    ($($type:ty),+) => {$(
        impl ToSql for $type {
            #[inline]
            fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
                let value = i64::try_from(*self).map_err(|_| {
                    sql_error!(NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range")
                })?;
                Ok(ToSqlOutput::Borrowed(ValueRef::BigInt(value)))
            }
        }
    )+};
}

narrowed!(u64, usize, isize);

/// Lists become arrays: `WHERE id = ANY ($1)`.
macro_rules! arrays {
    ($($type:ty => $element:expr),+ $(,)?) => {$(
        impl ToSql for [$type] {
            fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
                array($element, self)
            }
        }

        impl ToSql for Vec<$type> {
            fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
                self.as_slice().to_sql()
            }
        }

        impl ToSql for Vec<Option<$type>> {
            fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
                array($element, self)
            }
        }
    )+};
}

arrays! {
    bool => DataType::Boolean,
    i16 => DataType::SmallInt,
    i32 => DataType::Integer,
    i64 => DataType::BigInt,
    f32 => DataType::Real,
    f64 => DataType::Double,
    String => DataType::Text,
    &str => DataType::Text,
    Vec<u8> => DataType::Bytea,
    [u8; 16] => DataType::Uuid,
    Numeric => DataType::Numeric(None),
    Interval => DataType::Interval,
}

fn array<'a, T: ToSql>(element: DataType, values: &[T]) -> Result<ToSqlOutput<'a>> {
    let element = ElementType::new(element).expect("no array");
    let mut builder = SqlArrayBuilder::new(element);
    for value in values {
        match value.to_sql()? {
            ToSqlOutput::Borrowed(value) => builder.push(value),
            ToSqlOutput::Owned(value) => builder.push(value.as_ref()),
        }
    }
    Ok(ToSqlOutput::Owned(builder.finish_list()))
}

impl<T: ToSql> ToSql for Option<T> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        match self {
            Some(value) => value.to_sql(),
            None => Ok(ToSqlOutput::Borrowed(ValueRef::Null)),
        }
    }
}

impl<T: ToSql + ?Sized> ToSql for &T {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        (**self).to_sql()
    }
}

impl<T: ToSql + ?Sized> ToSql for Box<T> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        (**self).to_sql()
    }
}

impl ToSqlOutput<'_> {
    /// The value, owned.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Borrowed(value) => value.to_owned(),
            Self::Owned(value) => value,
        }
    }
}
