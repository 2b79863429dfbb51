//! Arrays of SQL as bytes.
//!
//! ```text
//!  dimensions   u8, 0 (no elements) to 6
//!  shape        for each dimension its length, u32, and the subscript of its first element, i32
//!  nulls        u8, 1 where a bitmap follows: a bit for each element, least significant first, set for NULL
//!  elements     row by row. Of a type of fixed width: each so many bytes, zeros for NULL.
//!               Of any other: the end of each as u32, from the first byte behind the ends; then the bytes.
//! ```
//!
//! All numbers are little-endian. An element of fixed width is found by its number; arrays of floats are
//! slices of floats.
//!
//! Arrays are ordered as PostgreSQL orders them: element by element, NULL above all; then the shorter first; then by
//! dimensions, lengths and first subscripts.

use super::fixed::read_fixed;
use super::packed::{ElementType, PackedType};
use super::{DataType, Numeric, Value, ValueRef};
use std::cmp::Ordering;

/// The most dimensions of an array (PostgreSQL's `MAXDIM`).
pub const ARRAY_DIMENSIONS_MAX: usize = 6;
/// The most elements of an array (PostgreSQL's `MaxArraySize`).
pub const ARRAY_ELEMENTS_MAX: usize = 134_217_727;

/// One dimension of an array.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Dimension {
    /// Elements along it.
    pub length: u32,
    /// The subscript of the first of them.
    pub first: i32,
}

impl Dimension {
    /// A dimension that begins at subscript 1, as they do unless told otherwise.
    pub fn of(length: usize) -> Self {
        Self {
            length: length as u32,
            first: 1,
        }
    }

    /// The subscript of the last element along it.
    pub fn last(self) -> i32 {
        self.first.wrapping_add(self.length as i32).wrapping_sub(1)
    }
}

/// An array, read where it stands.
///
/// ```
/// use remora_storage::value::{Dimension, DataType, ElementType, SqlArray, ValueRef};
/// let element = ElementType::new(DataType::Integer).expect("no array");
/// let values = [ValueRef::Integer(7), ValueRef::Null];
/// let bytes = SqlArray::encode(element, &[Dimension::of(2)], values);
/// let array = SqlArray::new(element, &bytes).expect("an array");
/// assert_eq!(array.len(), 2);
/// assert_eq!(array.get(0), ValueRef::Integer(7));
/// assert!(array.get(1).is_null());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SqlArray<'a> {
    data_type: DataType,
    shape: &'a [u8],
    nulls: Option<&'a [u8]>,
    elements: &'a [u8],
    len: usize,
}

/// One without elements.
impl Default for SqlArray<'_> {
    fn default() -> Self {
        Self {
            data_type: DataType::Text,
            shape: &[],
            nulls: None,
            elements: &[],
            len: 0,
        }
    }
}

impl<'a> SqlArray<'a> {
    /// The array that bytes are; `None` where they are none.
    pub fn new(element: ElementType, bytes: &'a [u8]) -> Option<Self> {
        let (dimensions, rest) = bytes.split_first()?;
        let dimensions = usize::from(*dimensions);
        let (shape, rest) = rest.split_at_checked(dimensions * DIMENSION_BYTES)?;
        let mut array = Self {
            data_type: element.data_type(),
            shape,
            nulls: None,
            elements: &[],
            len: 0,
        };
        array.len = array.count(dimensions)?;
        let (has_nulls, mut rest) = rest.split_first()?;
        if *has_nulls == 1 {
            let (nulls, elements) = rest.split_at_checked(array.len.div_ceil(8))?;
            (array.nulls, rest) = (Some(nulls), elements);
        }
        array.elements = rest;
        let least = array.len * width(array.data_type).unwrap_or(END_BYTES);
        (*has_nulls <= 1 && least <= rest.len()).then_some(array)
    }

    /// How many elements the shape says that there are.
    fn count(&self, dimensions: usize) -> Option<usize> {
        if dimensions == 0 {
            return Some(0);
        }
        let product = self
            .dimensions()
            .try_fold(1_usize, |all, one| all.checked_mul(one.length as usize));
        product.filter(|all| {
            dimensions <= ARRAY_DIMENSIONS_MAX && (1..=ARRAY_ELEMENTS_MAX).contains(all)
        })
    }

    /// The bytes of an array of these dimensions.
    ///
    /// # Panics
    /// When there are not as many values as the dimensions say, or one is of another type.
    pub fn encode<'v>(
        element: ElementType,
        dimensions: &[Dimension],
        values: impl IntoIterator<Item = ValueRef<'v>>,
    ) -> Vec<u8> {
        let mut builder = SqlArrayBuilder::new(element);
        values.into_iter().for_each(|value| builder.push(value));
        builder.finish(dimensions)
    }

    /// The type of the elements.
    pub fn element_type(&self) -> DataType {
        self.data_type
    }

    /// How many elements there are in all dimensions.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The dimensions, outermost first.
    pub fn dimensions(&self) -> impl ExactSizeIterator<Item = Dimension> + use<'a> {
        self.shape.chunks_exact(DIMENSION_BYTES).map(|bytes| {
            let (length, first) = bytes.split_at(4);
            Dimension {
                length: u32::from_le_bytes(take(length)),
                first: i32::from_le_bytes(take(first)),
            }
        })
    }

    /// Whether an element is NULL.
    pub fn is_null(&self, at: usize) -> bool {
        self.nulls
            .and_then(|nulls| nulls.get(at / 8))
            .is_some_and(|byte| byte >> (at % 8) & 1 != 0)
    }

    /// An element, counted row by row from 0; NULL where there is none.
    pub fn get(&self, at: usize) -> ValueRef<'a> {
        if at >= self.len || self.is_null(at) {
            return ValueRef::Null;
        }
        let value = match width(self.data_type) {
            Some(width) => self
                .elements
                .get(at * width..(at + 1) * width)
                .and_then(|bytes| fixed(self.data_type, bytes)),
            None => self
                .string(at)
                .and_then(|bytes| string(self.data_type, bytes)),
        };
        value.unwrap_or(ValueRef::Null)
    }

    /// The elements, row by row.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ValueRef<'a>> + use<'a> {
        let array = *self;
        (0..self.len).map(move |at| array.get(at))
    }

    /// The order of two arrays whose elements are equal as far as both have them: by how many there are, then by
    /// their dimensions.
    pub fn compare_shapes(&self, other: &Self) -> Ordering {
        let lengths = |array: &Self| array.dimensions().map(|one| one.length);
        let firsts = |array: &Self| array.dimensions().map(|one| one.first);
        self.len
            .cmp(&other.len)
            .then_with(|| self.shape.len().cmp(&other.shape.len()))
            .then_with(|| lengths(self).cmp(lengths(other)))
            .then_with(|| firsts(self).cmp(firsts(other)))
    }

    /// Whether every element can be read and no byte is left over.
    pub fn is_valid(&self) -> bool {
        let all = match width(self.data_type) {
            Some(width) => Some(self.len * width),
            None => match self.len {
                0 => Some(0),
                len => self.end(len - 1).map(|end| len * END_BYTES + end),
            },
        };
        all == Some(self.elements.len())
            && (0..self.len).all(|at| {
                let is_element = match self.get(at) {
                    ValueRef::Null => false,
                    // See string().
                    ValueRef::Packed(packed, bytes) => packed.is_valid(bytes),
                    _ => true,
                };
                self.is_null(at) || is_element
            })
    }

    fn end(&self, at: usize) -> Option<usize> {
        let bytes = self.elements.get(at * END_BYTES..(at + 1) * END_BYTES)?;
        Some(u32::from_le_bytes(take(bytes)) as usize)
    }

    fn string(&self, at: usize) -> Option<&'a [u8]> {
        let start = match at {
            0 => 0,
            _ => self.end(at - 1)?,
        };
        let strings = self.elements.get(self.len * END_BYTES..)?;
        strings.get(start..self.end(at)?)
    }
}

/// An array that is being made, element by element.
#[derive(Clone, Debug)]
pub struct SqlArrayBuilder {
    element: ElementType,
    width: Option<usize>,
    len: usize,
    /// A bit for each element up to the last that is NULL.
    nulls: Vec<u8>,
    /// Of strings.
    ends: Vec<u8>,
    elements: Vec<u8>,
}

impl SqlArrayBuilder {
    /// Of elements of a type.
    pub fn new(element: ElementType) -> Self {
        Self {
            element,
            width: width(element.data_type()),
            len: 0,
            nulls: Vec::new(),
            ends: Vec::new(),
            elements: Vec::new(),
        }
    }

    /// The type of the elements.
    pub fn element_type(&self) -> ElementType {
        self.element
    }

    /// Appends an element.
    ///
    /// # Panics
    /// When it is neither NULL nor of the type.
    pub fn push(&mut self, value: ValueRef<'_>) {
        if value.is_null() {
            self.nulls.resize(self.len / 8 + 1, 0);
            self.nulls[self.len / 8] |= 1 << (self.len % 8);
        }
        self.len += 1;
        match self.width {
            Some(width) => put_fixed(&mut self.elements, &value, width),
            None => {
                let bytes = value.bytes().or(value.is_null().then_some(&[][..]));
                let bytes = bytes.unwrap_or_else(|| {
                    panic!(
                        "an array of {} was given {value:?}",
                        self.element.data_type()
                    )
                });
                self.elements.extend_from_slice(bytes);
                let end = self.elements.len() as u32;
                self.ends.extend_from_slice(&end.to_le_bytes());
            }
        }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that the array takes, or a few more.
    pub fn bytes(&self) -> usize {
        let shape = 2 + ARRAY_DIMENSIONS_MAX * DIMENSION_BYTES;
        shape + self.len / 8 + self.ends.len() + self.elements.len()
    }

    /// The array's bytes. No elements: no dimensions.
    ///
    /// # Panics
    /// When there are not as many elements as the dimensions say.
    pub fn finish(mut self, dimensions: &[Dimension]) -> Vec<u8> {
        let dimensions = if self.is_empty() { &[] } else { dimensions };
        let product: usize = dimensions.iter().map(|one| one.length as usize).product();
        let expected = if dimensions.is_empty() { 0 } else { product };
        assert_eq!(self.len, expected, "an array of {dimensions:?}");
        let mut head = Vec::with_capacity(2 + dimensions.len() * DIMENSION_BYTES);
        head.push(dimensions.len() as u8);
        for dimension in dimensions {
            head.extend_from_slice(&dimension.length.to_le_bytes());
            head.extend_from_slice(&dimension.first.to_le_bytes());
        }
        let has_nulls = !self.nulls.is_empty();
        head.push(has_nulls.into());
        if has_nulls {
            self.nulls.resize(self.len.div_ceil(8), 0);
        }
        // The elements make way for what stands before them: they are not in memory twice.
        let mut out = self.elements;
        let before = [&head, &self.nulls, &self.ends];
        let length = out.len();
        let start: usize = before.iter().map(|part| part.len()).sum();
        out.resize(start + length, 0);
        out.copy_within(..length, start);
        let mut at = 0;
        for part in before {
            out[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        out
    }

    /// The array of one dimension.
    pub fn finish_list(self) -> Value {
        let (element, dimension) = (self.element, Dimension::of(self.len));
        Value::Packed(PackedType::Array(element), self.finish(&[dimension]))
    }
}

impl Ord for SqlArray<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = |(one, other): (ValueRef<'_>, ValueRef<'_>)| {
            one.compare(other).filter(|order| order.is_ne())
        };
        let mut pairs = self.iter().zip(other.iter());
        pairs
            .find_map(order)
            .unwrap_or_else(|| self.compare_shapes(other))
    }
}

impl PartialOrd for SqlArray<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for SqlArray<'_> {}

impl PartialEq for SqlArray<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

const DIMENSION_BYTES: usize = 8;
const END_BYTES: usize = 4;

/// Bytes of an element of a type of fixed width.
pub(super) fn width(data_type: DataType) -> Option<usize> {
    match data_type {
        DataType::Boolean => Some(1),
        DataType::SmallInt => Some(2),
        DataType::Integer | DataType::Real | DataType::Date => Some(4),
        DataType::BigInt
        | DataType::Double
        | DataType::Time
        | DataType::Timestamp
        | DataType::TimestampTz => Some(8),
        DataType::Numeric(_) => Some(Numeric::BYTES),
        DataType::Interval | DataType::Uuid => Some(16),
        DataType::Text
        | DataType::Varchar(_)
        | DataType::Char(_)
        | DataType::Bytea
        | DataType::Json
        | DataType::Packed(_) => None,
    }
}

pub(super) fn put_fixed(out: &mut Vec<u8>, value: &ValueRef<'_>, width: usize) {
    match *value {
        ValueRef::Null => out.resize(out.len() + width, 0),
        ValueRef::Boolean(v) => out.push(v.into()),
        ValueRef::SmallInt(v) => out.extend_from_slice(&v.to_le_bytes()),
        ValueRef::Integer(v) | ValueRef::Date(v) => out.extend_from_slice(&v.to_le_bytes()),
        ValueRef::BigInt(v)
        | ValueRef::Time(v)
        | ValueRef::Timestamp(v)
        | ValueRef::TimestampTz(v) => out.extend_from_slice(&v.to_le_bytes()),
        ValueRef::Real(v) => out.extend_from_slice(&v.to_le_bytes()),
        ValueRef::Double(v) => out.extend_from_slice(&v.to_le_bytes()),
        ValueRef::Numeric(v) => out.extend_from_slice(&v.to_bytes()),
        ValueRef::Interval(v) => {
            out.extend_from_slice(&v.months.to_le_bytes());
            out.extend_from_slice(&v.days.to_le_bytes());
            out.extend_from_slice(&v.micros.to_le_bytes());
        }
        ValueRef::Uuid(v) => out.extend_from_slice(&v),
        ValueRef::Text(_) | ValueRef::Bytea(_) | ValueRef::Packed(..) => {
            panic!("an array of elements of {width} bytes was given {value:?}")
        }
    }
}

pub(super) fn fixed(data_type: DataType, bytes: &[u8]) -> Option<ValueRef<'static>> {
    if width(data_type).is_none_or(|width| bytes.len() < width) {
        return None;
    }
    if let DataType::Numeric(_) = data_type {
        return Numeric::from_bytes(bytes).map(ValueRef::Numeric);
    }
    Some(read_fixed(bytes, data_type))
}

pub(super) fn string(data_type: DataType, bytes: &[u8]) -> Option<ValueRef<'_>> {
    match data_type {
        DataType::Bytea => Some(ValueRef::Bytea(bytes)),
        DataType::Packed(PackedType::Array(_)) => None,
        // It may hold arrays of records in turn: each level would look at all below it once more.
        DataType::Packed(packed) if data_type.is_record() => Some(ValueRef::Packed(packed, bytes)),
        DataType::Packed(packed) => packed
            .is_valid(bytes)
            .then_some(ValueRef::Packed(packed, bytes)),
        _ => std::str::from_utf8(bytes).ok().map(ValueRef::Text),
    }
}

/// So many bytes, zeros where there are fewer.
pub(super) fn take<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

impl Value {
    /// The array of one dimension with these elements.
    pub fn array<'v>(element: ElementType, values: impl IntoIterator<Item = ValueRef<'v>>) -> Self {
        let mut builder = SqlArrayBuilder::new(element);
        values.into_iter().for_each(|value| builder.push(value));
        builder.finish_list()
    }
}

impl<'a> ValueRef<'a> {
    /// The array that the value is, if it is one.
    pub fn as_array(self) -> Option<SqlArray<'a>> {
        match self {
            Self::Packed(PackedType::Array(element), bytes) => SqlArray::new(element, bytes),
            _ => None,
        }
    }
}
