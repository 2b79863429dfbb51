//! Types whose values are held as bytes that only they can read: arrays, documents, records.
//!
//! Rows, blocks, logs and dictionaries treat such a value as the bytes it is. What they must know beyond that is
//! here: the order of values, the key by which an index, a sort or a hash table knows them, and whether bytes
//! that come from a disk are a value at all.
//!
//! ```text
//!  DataType::Packed(PackedType)      what the bytes are
//!    Array(ElementType)              an array, see sql_array.rs
//!    Jsonb                           a document, whose bytes are its key: they compare as documents do
//!    Enum(TypeId)                    where a value stands in the order of its type, u32, most significant byte
//!                                    first; then its name
//!    Record, Composite               a record, see record.rs
//!    Bit, VarBit                     bits, each as the character 0 or 1
//!    Range(RangeType)                a range, see sql_range.rs
//!    Multirange(RangeType)           its ranges as an array
//!    TimeTz                          microseconds since midnight in Greenwich, i64, then seconds behind it,
//!                                    i32; both with their sign turned, most significant byte first
//! ```
//!
//! What a type that somebody made is called, and which values it has, is the catalog's affair. A value of an
//! enumeration brings along what is needed to order it and to show it: nobody looks into the catalog for that.
//!
//! Invariants
//! - A value has one form: values that nobody can tell apart are the same bytes.
//! - The keys of two values of a type compare as the values do, and none is a proper prefix of another.
//! - Reading never panics, whatever the bytes.

use super::any_type::AnyType;
use super::datatype::DataType;
use super::names::type_name;
use super::record::SqlRecord;
use super::record_type::RecordType;
use super::sql_array::SqlArray;
use super::sql_range::{self, RangeType, SqlRange};
use crate::ids::TypeId;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;

/// A type whose values are packed into bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PackedType {
    /// `type[]`, of any number of dimensions.
    Array(ElementType),
    /// `JSONB`
    Jsonb,
    /// `TIME WITH TIME ZONE`
    TimeTz,
    /// `BIT(n)`; 0 is any length.
    Bit(u32),
    /// `BIT VARYING(n)`; 0 is no limit.
    VarBit(u32),
    /// `CREATE TYPE .. AS ENUM`
    Enum(TypeId),
    /// A range: `INT4RANGE`, `CREATE TYPE .. AS RANGE`
    Range(RangeType),
    /// A multirange: any number of ranges, in order and apart.
    Multirange(RangeType),
    /// `ROW(..)`, PostgreSQL's `record`.
    Record(RecordType),
    /// `CREATE TYPE .. AS (..)`, or the rows of a table or view, whose id it is then.
    Composite(TypeId),
    /// What a parameter of a function is of that takes many types; nothing has values of it.
    Any(AnyType),
}

/// Bytes before the name in a value of an enumeration.
const PLACE_BYTES: usize = 4;

/// The bytes of a value of an enumeration that stands at a place.
///
/// ```
/// use remora_storage::value::{enum_label, enum_value};
/// assert!(enum_value(1, "sad") < enum_value(2, "happy"));
/// assert_eq!(enum_label(&enum_value(1, "sad")), Some("sad"));
/// ```
pub fn enum_value(place: u32, label: &str) -> Vec<u8> {
    [&place.to_be_bytes()[..], label.as_bytes()].concat()
}

/// The name of a value of an enumeration; `None` where the bytes are none.
pub fn enum_label(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes.get(PLACE_BYTES..)?).ok()
}

/// The type of an array's elements: any type but an array.
///
/// ```
/// use remora_storage::value::{DataType, ElementType};
/// let element = ElementType::new(DataType::Varchar(Some(3))).expect("no array");
/// assert_eq!(element.data_type(), DataType::Varchar(Some(3)));
/// assert_eq!(element.array().to_string(), "character varying(3)[]");
/// assert_eq!(ElementType::new(element.array()), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "DataType", into = "DataType")]
pub struct ElementType {
    code: u8,
    modifier: u32,
}

impl ElementType {
    /// The element type that is this type; `None` for an array.
    pub const fn new(data_type: DataType) -> Option<Self> {
        let (code, modifier) = data_type.code();
        let is_array = matches!(data_type, DataType::Packed(PackedType::Array(_)));
        if is_array {
            return None;
        }
        Some(Self { code, modifier })
    }

    /// The type that an element has by itself.
    pub fn data_type(self) -> DataType {
        DataType::from_code(self.code, self.modifier).expect("made of a type")
    }

    /// See [`DataType::code`].
    pub(super) const fn code(self) -> (u8, u32) {
        (self.code, self.modifier)
    }

    /// The type of arrays of such elements.
    pub const fn array(self) -> DataType {
        DataType::Packed(PackedType::Array(self))
    }
}

impl From<ElementType> for DataType {
    fn from(element: ElementType) -> Self {
        element.data_type()
    }
}

impl TryFrom<DataType> for ElementType {
    type Error = &'static str;

    fn try_from(data_type: DataType) -> Result<Self, Self::Error> {
        Self::new(data_type).ok_or("an array's elements are no arrays")
    }
}

/// Bytes of a time with its zone.
const TIMETZ_BYTES: usize = 12;

fn are_bits(bytes: &[u8]) -> bool {
    bytes.iter().all(|bit| matches!(bit, b'0' | b'1'))
}

impl PackedType {
    /// The type that somebody made which it is, or of which it is an array.
    pub fn made(self) -> Option<TypeId> {
        match self {
            Self::Array(element) => element.data_type().made(),
            Self::Enum(id) | Self::Composite(id) => Some(id),
            Self::Range(of) => of.made(),
            Self::Multirange(of) => of.made_multirange(),
            Self::Jsonb
            | Self::TimeTz
            | Self::Bit(_)
            | Self::VarBit(_)
            | Self::Record(_)
            | Self::Any(_) => None,
        }
    }

    /// Whether values are records: these compare, whatever type they are said to be of.
    pub(super) fn is_record(self) -> bool {
        matches!(self, Self::Record(_) | Self::Composite(_))
    }

    /// The type without the modifier of its elements.
    pub fn without_modifier(self) -> Self {
        match self {
            Self::Array(element) => {
                ElementType::new(element.data_type().without_modifier()).map_or(self, Self::Array)
            }
            Self::Bit(_) => Self::Bit(0),
            Self::VarBit(_) => Self::VarBit(0),
            Self::Record(_) => Self::Record(RecordType::ANY),
            other => other,
        }
    }

    /// Whether bytes are a value of the type.
    pub fn is_valid(self, bytes: &[u8]) -> bool {
        match self {
            Self::Array(element) => {
                SqlArray::new(element, bytes).is_some_and(|array| array.is_valid())
            }
            Self::Jsonb => true,
            Self::Enum(_) => enum_label(bytes).is_some(),
            Self::Record(_) | Self::Composite(_) => {
                SqlRecord::new(bytes).is_some_and(|record| record.is_valid())
            }
            Self::TimeTz => bytes.len() == TIMETZ_BYTES,
            Self::Range(of) => SqlRange::read(of, bytes).is_some_and(|range| range.is_valid()),
            Self::Multirange(of) => sql_range::is_multirange(of, bytes),
            Self::Any(_) => false,
            Self::Bit(0) | Self::VarBit(0) => are_bits(bytes),
            Self::Bit(length) => are_bits(bytes) && bytes.len() == length as usize,
            Self::VarBit(limit) => are_bits(bytes) && bytes.len() <= limit as usize,
        }
    }

    /// The order of two values of the type.
    pub fn compare(self, one: &[u8], other: &[u8]) -> Ordering {
        match self {
            Self::Array(element) => {
                let one = SqlArray::new(element, one);
                one.cmp(&SqlArray::new(element, other))
            }
            Self::Range(of) => SqlRange::read(of, one).cmp(&SqlRange::read(of, other)),
            Self::Multirange(of) => {
                let one = SqlArray::new(of.element(), one);
                one.cmp(&SqlArray::new(of.element(), other))
            }
            Self::Record(_) | Self::Composite(_) => {
                let one = SqlRecord::new(one);
                one.cmp(&SqlRecord::new(other))
            }
            Self::Jsonb
            | Self::Enum(_)
            | Self::TimeTz
            | Self::Bit(_)
            | Self::VarBit(_)
            | Self::Any(_) => one.cmp(other),
        }
    }
}

/// PostgreSQL's name for the type.
impl fmt::Display for PackedType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Array(element) => write!(f, "{}[]", element.data_type()),
            Self::Jsonb => f.write_str("jsonb"),
            Self::Enum(id) | Self::Composite(id) => type_name(*id, f),
            Self::Record(_) => f.write_str("record"),
            Self::Range(of) => sql_range::write_name(*of, false, f),
            Self::Multirange(of) => sql_range::write_name(*of, true, f),
            Self::Any(any) => any.fmt(f),
            Self::TimeTz => f.write_str("time with time zone"),
            Self::Bit(0) => f.write_str("bit"),
            Self::Bit(length) => write!(f, "bit({length})"),
            Self::VarBit(0) => f.write_str("bit varying"),
            Self::VarBit(limit) => write!(f, "bit varying({limit})"),
        }
    }
}
