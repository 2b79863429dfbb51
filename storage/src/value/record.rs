//! Records of SQL as bytes: the values of rows, of any number of fields.
//!
//! ```text
//!  depth    u8, how many records lie within each other, itself too
//!  fields   u16
//!  heads    for each field the number and the modifier of its type, u8 and u32, and the end of its value, u32, from
//!           the first byte behind the heads; its highest bit is set for NULL
//!  values   of a type of fixed width as in an array, of any other the bytes
//! ```
//!
//! All numbers are little-endian. A record says of what types its fields are: nobody needs to know where it comes
//! from to compare it or to show it.
//!
//! Records are ordered as PostgreSQL orders them: field by field, NULL above all. Where it refuses to compare, fields of
//! different types and different numbers of fields, there is some order too.

use super::packed::PackedType;
use super::sql_array::{fixed, put_fixed, take, width};
use super::{DataType, ValueRef};
use std::cmp::Ordering;

/// The most fields of a record (PostgreSQL's `MaxTupleAttributeNumber`).
pub const RECORD_FIELDS_MAX: usize = 1664;

const HEADER_BYTES: usize = 3;
const HEAD_BYTES: usize = 9;
const NULL_BIT: u32 = 1 << 31;

/// A record, read where it stands.
///
/// ```
/// use remora_storage::value::{DataType, SqlRecord, ValueRef};
/// let fields = [(DataType::Integer, ValueRef::Integer(7)), (DataType::Text, ValueRef::Null)];
/// let bytes = SqlRecord::encode(fields);
/// let record = SqlRecord::new(&bytes).expect("a record");
/// assert_eq!((record.len(), record.depth()), (2, 1));
/// assert_eq!(record.get(0), ValueRef::Integer(7));
/// assert_eq!(record.field_type(1), Some(DataType::Text));
/// assert!(record.get(1).is_null());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SqlRecord<'a> {
    depth: u8,
    heads: &'a [u8],
    values: &'a [u8],
}

impl<'a> SqlRecord<'a> {
    /// The record that bytes are; `None` where they are none.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
        let fields = usize::from(u16::from_le_bytes(take(&header[1..])));
        let (heads, values) = rest.split_at_checked(fields * HEAD_BYTES)?;
        Some(Self {
            depth: header[0],
            heads,
            values,
        })
    }

    /// The bytes of a record of these fields.
    ///
    /// # Panics
    /// When a value is neither NULL nor of its field's type, or there are more than [`RECORD_FIELDS_MAX`].
    pub fn encode<'v>(fields: impl IntoIterator<Item = (DataType, ValueRef<'v>)>) -> Vec<u8> {
        let (mut heads, mut values) = (Vec::new(), Vec::new());
        let mut depth = 0;
        for (data_type, value) in fields {
            let (code, modifier) = data_type.code();
            heads.push(code);
            heads.extend_from_slice(&modifier.to_le_bytes());
            match (width(data_type), value.bytes()) {
                _ if value.is_null() => {}
                (Some(width), _) => put_fixed(&mut values, &value, width),
                (None, Some(bytes)) => values.extend_from_slice(bytes),
                (None, None) => panic!("a field of type {data_type} was given {value:?}"),
            }
            depth = depth.max(depth_of(value));
            let null = if value.is_null() { NULL_BIT } else { 0 };
            heads.extend_from_slice(&(values.len() as u32 | null).to_le_bytes());
        }
        let fields = heads.len() / HEAD_BYTES;
        assert!(fields <= RECORD_FIELDS_MAX, "a record of {fields} fields");
        let mut out = Vec::with_capacity(HEADER_BYTES + heads.len() + values.len());
        out.push(depth.saturating_add(1));
        out.extend_from_slice(&(fields as u16).to_le_bytes());
        out.append(&mut heads);
        out.append(&mut values);
        out
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.heads.len() / HEAD_BYTES
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// How many records lie within each other, up to 255.
    pub fn depth(&self) -> u8 {
        self.depth
    }

    fn head(&self, at: usize) -> Option<&'a [u8]> {
        let begin = at.checked_mul(HEAD_BYTES)?;
        self.heads.get(begin..begin.checked_add(HEAD_BYTES)?)
    }

    fn end(&self, at: usize) -> Option<u32> {
        self.head(at)
            .map(|head| u32::from_le_bytes(take(&head[5..])))
    }

    /// The type of a field; `None` where there is none.
    pub fn field_type(&self, at: usize) -> Option<DataType> {
        let head = self.head(at)?;
        DataType::from_code(head[0], u32::from_le_bytes(take(&head[1..5])))
    }

    /// A field, counted from 0; NULL where there is none.
    pub fn get(&self, at: usize) -> ValueRef<'a> {
        self.field(at).unwrap_or(ValueRef::Null)
    }

    fn field(&self, at: usize) -> Option<ValueRef<'a>> {
        let end = self.end(at)?;
        if end & NULL_BIT != 0 {
            return None;
        }
        let start = match at {
            0 => 0,
            _ => self.end(at - 1)? & !NULL_BIT,
        };
        let bytes = self.values.get(start as usize..end as usize)?;
        let data_type = self.field_type(at)?;
        match (width(data_type), data_type) {
            (Some(width), _) if bytes.len() != width => None,
            (Some(_), _) => fixed(data_type, bytes),
            (None, DataType::Bytea) => Some(ValueRef::Bytea(bytes)),
            (None, DataType::Packed(packed)) => Some(ValueRef::Packed(packed, bytes)),
            (None, _) => std::str::from_utf8(bytes).ok().map(ValueRef::Text),
        }
    }

    /// The types and the values of the fields.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (DataType, ValueRef<'a>)> + use<'a> {
        let record = *self;
        (0..self.len()).map(move |at| {
            let data_type = record.field_type(at).unwrap_or(DataType::Text);
            (data_type, record.get(at))
        })
    }

    /// The values of the fields.
    pub fn values(&self) -> impl ExactSizeIterator<Item = ValueRef<'a>> + use<'a> {
        self.iter().map(|(_, value)| value)
    }

    /// Whether every field can be read and no byte is left over.
    pub fn is_valid(&self) -> bool {
        let last = self.len().checked_sub(1).and_then(|at| self.end(at));
        let last = last.map_or(0, |end| end & !NULL_BIT);
        let mut deepest = 0;
        let all = (0..self.len()).all(|at| {
            let is_null = self.end(at).is_some_and(|end| end & NULL_BIT != 0);
            let Some(value) = self.field(at) else {
                return is_null && self.field_type(at).is_some();
            };
            let depth = depth_of(value);
            deepest = deepest.max(depth);
            let is_value = match value {
                // One that says that it is as deep as this one is not looked into.
                ValueRef::Packed(packed, bytes) => depth < self.depth && packed.is_valid(bytes),
                _ => true,
            };
            !is_null && is_value
        });
        all && last as usize == self.values.len() && self.depth == deepest.saturating_add(1)
    }
}

/// How many records lie within each other in a value.
fn depth_of(value: ValueRef<'_>) -> u8 {
    match value {
        ValueRef::Packed(PackedType::Record(_) | PackedType::Composite(_), bytes) => {
            bytes.first().copied().unwrap_or(0)
        }
        ValueRef::Packed(PackedType::Array(element), _) if element.data_type().is_record() => {
            let array = value.as_array().unwrap_or_default();
            array.iter().map(depth_of).max().unwrap_or(0)
        }
        _ => 0,
    }
}

impl Ord for SqlRecord<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let order =
            |((of, one), (than, two)): ((DataType, ValueRef<'_>), (DataType, ValueRef<'_>))| {
                let order = one.compare(two);
                order.unwrap_or_else(|| of.code().cmp(&than.code()))
            };
        let mut pairs = self.iter().zip(other.iter()).map(order);
        let first = pairs.find(|order| order.is_ne());
        first.unwrap_or_else(|| self.len().cmp(&other.len()))
    }
}

impl PartialOrd for SqlRecord<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for SqlRecord<'_> {}

impl PartialEq for SqlRecord<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<'a> ValueRef<'a> {
    /// The record that the value is, if it is one.
    pub fn as_record(self) -> Option<SqlRecord<'a>> {
        match self {
            Self::Packed(PackedType::Record(_) | PackedType::Composite(_), bytes) => {
                SqlRecord::new(bytes)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::strategy::{TYPES, any_value_of};
    use crate::value::{RecordType, Value};
    use proptest::prelude::*;

    fn any_fields() -> impl Strategy<Value = Vec<(DataType, Value)>> {
        let field = prop::sample::select(TYPES.as_slice())
            .prop_flat_map(|data_type| (Just(data_type), any_value_of(data_type)));
        prop::collection::vec(field, 0..5)
    }

    fn encode(fields: &[(DataType, Value)]) -> Vec<u8> {
        SqlRecord::encode(fields.iter().map(|(of, value)| (*of, value.as_ref())))
    }

    proptest! {
        #[test]
        fn a_record_gives_back_what_it_was_made_of(fields in any_fields()) {
            let bytes = encode(&fields);
            let record = SqlRecord::new(&bytes).expect("a record");
            prop_assert!(record.is_valid());
            prop_assert_eq!(record.len(), fields.len());
            for (at, (data_type, value)) in fields.iter().enumerate() {
                prop_assert_eq!(record.field_type(at), Some(*data_type));
                prop_assert!(record.get(at).is_identical(value.as_ref()));
            }
        }

        #[test]
        fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(record) = SqlRecord::new(&bytes) {
                let _ = (record.is_valid(), record.values().count(), record == record);
            }
        }

        #[test]
        fn keys_of_records_compare_as_records_do(one in any_fields(), other in any_fields()) {
            use crate::index::{KeyColumn, encode_column};
            let (one, other) = (encode(&one), encode(&other));
            let of = |bytes: &[u8]| {
                let mut key = Vec::new();
                let value = Value::Packed(PackedType::Record(RecordType::ANY), bytes.to_vec());
                encode_column(&mut key, KeyColumn::default(), &value.as_ref());
                key
            };
            let (a, b) = (SqlRecord::new(&one), SqlRecord::new(&other));
            let types = |record: Option<SqlRecord<'_>>| {
                record.unwrap_or_default().iter().map(|(of, _)| of).collect::<Vec<_>>()
            };
            // Others are not compared.
            if types(a) == types(b) {
                prop_assert_eq!(of(&one).cmp(&of(&other)), a.cmp(&b));
            }
        }
    }

    #[test]
    fn the_order_is_field_by_field_and_null_is_above_all() {
        let of = |values: &[Option<i32>]| {
            let value = |v: &Option<i32>| v.map_or(ValueRef::Null, ValueRef::Integer);
            SqlRecord::encode(values.iter().map(|v| (DataType::Integer, value(v))))
        };
        let ascending = [
            of(&[Some(1), Some(2)]),
            of(&[Some(1), Some(3)]),
            of(&[Some(1), None]),
            of(&[Some(2), Some(0)]),
            of(&[None, Some(0)]),
        ];
        let records = ascending.each_ref().map(|bytes| SqlRecord::new(bytes));
        assert!(records.is_sorted_by(|one, two| one < two));
    }

    #[test]
    fn a_record_knows_how_deep_it_is() {
        let mut bytes = SqlRecord::encode([]);
        for depth in 1..=300_u32 {
            let record = SqlRecord::new(&bytes).expect("a record");
            assert_eq!(u32::from(record.depth()), depth.min(255));
            let any = PackedType::Record(RecordType::ANY);
            let outer = [(DataType::Packed(any), ValueRef::Packed(any, &bytes))];
            bytes = SqlRecord::encode(outer);
        }
    }
}
