//! One value, owned or borrowed.

use super::{DataType, Interval, Numeric, PackedType};
use std::cmp::Ordering;

/// The largest string whose place in memory is used again for another.
pub(crate) const REUSED_BYTES_MAX: usize = 1 << 16;

/// One value, owned. Units are those of the module's table.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Value {
    /// No value, of any type.
    #[default]
    Null,
    /// `BOOLEAN`
    Boolean(bool),
    /// `SMALLINT`
    SmallInt(i16),
    /// `INTEGER`
    Integer(i32),
    /// `BIGINT`
    BigInt(i64),
    /// `REAL`
    Real(f32),
    /// `DOUBLE PRECISION`
    Double(f64),
    /// `NUMERIC`
    Numeric(Numeric),
    /// `TEXT`, `VARCHAR`, `CHAR`
    Text(String),
    /// `BYTEA`
    Bytea(Vec<u8>),
    /// `DATE`: days since 1970-01-01; `i32::MAX` and `i32::MIN` are the infinities.
    Date(i32),
    /// `TIME`: microseconds since midnight, up to 24:00:00 inclusive.
    Time(i64),
    /// `TIMESTAMP`: microseconds since 1970-01-01; `i64::MAX` and `i64::MIN` are the infinities.
    Timestamp(i64),
    /// `TIMESTAMPTZ`: microseconds since 1970-01-01 UTC, infinities as for `TIMESTAMP`.
    TimestampTz(i64),
    /// `INTERVAL`
    Interval(Interval),
    /// `UUID`
    Uuid([u8; 16]),
    /// A value of a type that is packed into bytes: an array, a `JSONB`.
    Packed(PackedType, Vec<u8>),
}

/// One value, borrowed from a row, an array or a [`Value`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the variants are those of Value")]
pub enum ValueRef<'a> {
    #[default]
    Null,
    Boolean(bool),
    SmallInt(i16),
    Integer(i32),
    BigInt(i64),
    Real(f32),
    Double(f64),
    Numeric(Numeric),
    Text(&'a str),
    Bytea(&'a [u8]),
    Date(i32),
    Time(i64),
    Timestamp(i64),
    TimestampTz(i64),
    Interval(Interval),
    Uuid([u8; 16]),
    Packed(PackedType, &'a [u8]),
}

impl Value {
    /// The value, borrowed.
    #[inline]
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Boolean(v) => ValueRef::Boolean(*v),
            Self::SmallInt(v) => ValueRef::SmallInt(*v),
            Self::Integer(v) => ValueRef::Integer(*v),
            Self::BigInt(v) => ValueRef::BigInt(*v),
            Self::Real(v) => ValueRef::Real(*v),
            Self::Double(v) => ValueRef::Double(*v),
            Self::Numeric(v) => ValueRef::Numeric(*v),
            Self::Text(v) => ValueRef::Text(v),
            Self::Bytea(v) => ValueRef::Bytea(v),
            Self::Date(v) => ValueRef::Date(*v),
            Self::Time(v) => ValueRef::Time(*v),
            Self::Timestamp(v) => ValueRef::Timestamp(*v),
            Self::TimestampTz(v) => ValueRef::TimestampTz(*v),
            Self::Interval(v) => ValueRef::Interval(*v),
            Self::Uuid(v) => ValueRef::Uuid(*v),
            Self::Packed(packed, v) => ValueRef::Packed(*packed, v),
        }
    }

    /// How many bytes it has that lie elsewhere: those of a string.
    #[inline]
    pub(crate) fn string_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytea(bytes) | Self::Packed(_, bytes) => bytes.len(),
            _ => 0,
        }
    }

    /// Forgets a string that is so large that its place in memory is not used again.
    #[inline]
    pub fn forget_large(&mut self) {
        let capacity = match self {
            Self::Text(text) => text.capacity(),
            Self::Bytea(bytes) | Self::Packed(_, bytes) => bytes.capacity(),
            _ => 0,
        };
        if capacity > REUSED_BYTES_MAX {
            *self = Self::Null;
        }
    }

    /// Takes another value: a string's place in memory is used again, unless it is large; others need not be dropped.
    #[inline(always)]
    pub fn assign(&mut self, value: ValueRef<'_>) {
        match (self, value) {
            (Self::Integer(old), ValueRef::Integer(new)) => *old = new,
            (Self::BigInt(old), ValueRef::BigInt(new)) => *old = new,
            (Self::Double(old), ValueRef::Double(new)) => *old = new,
            (Self::Text(old), ValueRef::Text(new)) if old.capacity() <= REUSED_BYTES_MAX => {
                old.clear();
                old.push_str(new);
            }
            (Self::Bytea(old), ValueRef::Bytea(new)) if old.capacity() <= REUSED_BYTES_MAX => {
                old.clear();
                old.extend_from_slice(new);
            }
            (this, value) => *this = value.to_owned(),
        }
    }

    /// Whether a value is of the type as it stands. A modifier is the statement's own business: it
    /// casts to the column's type where it stores.
    #[inline]
    pub fn is_of(&self, data_type: DataType) -> bool {
        match self {
            Self::Null => true,
            Self::Boolean(_) => data_type == DataType::Boolean,
            Self::SmallInt(_) => data_type == DataType::SmallInt,
            Self::Integer(_) => data_type == DataType::Integer,
            Self::BigInt(_) => data_type == DataType::BigInt,
            Self::Real(_) => data_type == DataType::Real,
            Self::Double(_) => data_type == DataType::Double,
            Self::Numeric(_) => data_type == DataType::Numeric(None),
            Self::Text(_) => matches!(data_type, DataType::Text | DataType::Varchar(None)),
            Self::Bytea(_) => data_type == DataType::Bytea,
            Self::Date(_) => data_type == DataType::Date,
            Self::Time(_) => data_type == DataType::Time,
            Self::Timestamp(_) => data_type == DataType::Timestamp,
            Self::TimestampTz(_) => data_type == DataType::TimestampTz,
            Self::Interval(_) => data_type == DataType::Interval,
            Self::Uuid(_) => data_type == DataType::Uuid,
            Self::Packed(packed, _) => data_type == DataType::Packed(*packed),
        }
    }

    /// Whether this is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl<'a> ValueRef<'a> {
    /// The value, owned.
    pub fn to_owned(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Boolean(v) => Value::Boolean(v),
            Self::SmallInt(v) => Value::SmallInt(v),
            Self::Integer(v) => Value::Integer(v),
            Self::BigInt(v) => Value::BigInt(v),
            Self::Real(v) => Value::Real(v),
            Self::Double(v) => Value::Double(v),
            Self::Numeric(v) => Value::Numeric(v),
            Self::Text(v) => Value::Text(v.to_owned()),
            Self::Bytea(v) => Value::Bytea(v.to_owned()),
            Self::Date(v) => Value::Date(v),
            Self::Time(v) => Value::Time(v),
            Self::Timestamp(v) => Value::Timestamp(v),
            Self::TimestampTz(v) => Value::TimestampTz(v),
            Self::Interval(v) => Value::Interval(v),
            Self::Uuid(v) => Value::Uuid(v),
            Self::Packed(packed, v) => Value::Packed(packed, v.to_owned()),
        }
    }

    /// Whether this is NULL.
    #[inline]
    pub fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }

    /// The bytes of a value that is held as a string of them.
    #[inline]
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Text(text) => Some(text.as_bytes()),
            Self::Bytea(bytes) | Self::Packed(_, bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Whether nobody can tell the two apart, which can be where they are equal: `-0` and `0`, `1.0` and
    /// `1.00`, a month and 30 days.
    pub fn is_identical(self, other: ValueRef<'_>) -> bool {
        use ValueRef as V;
        match (self, other) {
            (V::Real(a), V::Real(b)) => a.to_bits() == b.to_bits(),
            (V::Double(a), V::Double(b)) => a.to_bits() == b.to_bits(),
            (V::Numeric(a), V::Numeric(b)) => a == b && a.scale() == b.scale(),
            (V::Interval(a), V::Interval(b)) => {
                (a.months, a.days, a.micros) == (b.months, b.days, b.micros)
            }
            (V::Packed(a, one), V::Packed(b, two)) => a == b && one == two,
            _ => self == other,
        }
    }

    /// The order of two values of one type, NULL above everything (PostgreSQL's default).
    /// `None` where the types differ.
    pub fn compare(self, other: ValueRef<'_>) -> Option<Ordering> {
        use ValueRef as V;
        Some(match (self, other) {
            (V::Null, V::Null) => Ordering::Equal,
            (V::Null, _) => Ordering::Greater,
            (_, V::Null) => Ordering::Less,
            (V::Boolean(a), V::Boolean(b)) => a.cmp(&b),
            (V::SmallInt(a), V::SmallInt(b)) => a.cmp(&b),
            (V::Integer(a), V::Integer(b)) => a.cmp(&b),
            (V::BigInt(a), V::BigInt(b)) => a.cmp(&b),
            (V::Real(a), V::Real(b)) => compare_floats(a.into(), b.into()),
            (V::Double(a), V::Double(b)) => compare_floats(a, b),
            (V::Numeric(a), V::Numeric(b)) => a.cmp(&b),
            (V::Text(a), V::Text(b)) => a.cmp(b),
            (V::Bytea(a), V::Bytea(b)) => a.cmp(b),
            (V::Date(a), V::Date(b)) => a.cmp(&b),
            (V::Time(a), V::Time(b)) => a.cmp(&b),
            (V::Timestamp(a), V::Timestamp(b)) | (V::TimestampTz(a), V::TimestampTz(b)) => {
                a.cmp(&b)
            }
            (V::Interval(a), V::Interval(b)) => a.cmp(&b),
            (V::Uuid(a), V::Uuid(b)) => a.cmp(&b),
            (V::Packed(a, one), V::Packed(b, two))
                if a.without_modifier() == b.without_modifier()
                    || a.is_record() && b.is_record() =>
            {
                a.compare(one, two)
            }
            _ => return None,
        })
    }
}

/// PostgreSQL's order of floats: NaN equals itself and is above everything, `-0` equals `0`.
fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Same type and same value; NULL equals NULL.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl PartialEq for ValueRef<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            // What keys mostly are.
            (Self::BigInt(a), Self::BigInt(b)) => a == b,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            _ => self.compare(*other) == Some(Ordering::Equal),
        }
    }
}
