//! Ranges of SQL as bytes.
//!
//! ```text
//!  flags    u8: 1 empty, 2 the lower bound belongs to it, 4 the upper one does, 8 no lower bound, 16 no upper one
//!  lower    where there is one: a value of fixed width as so many bytes, any other as its length, u32, and bytes
//!  upper    where there is one: the rest
//! ```
//!
//! All numbers are little-endian, values are held as in arrays. A multirange is an array of one dimension of its
//! ranges, in order, none of them empty or next to the one before.
//!
//! Ranges are ordered as PostgreSQL orders them: the empty one first, then by lower bound, then by upper bound. A
//! bound is a place between values or at their ends: `(1` lies just behind 1, `1)` just before it.
//!
//! Ranges of whole numbers and days are held in one form, `[first,behind the last)`, where they are the system's
//! own; who makes a range sees to that.

use super::datatype::DataType;
use super::packed::{ElementType, PackedType};
use super::sql_array::{SqlArray, fixed, put_fixed, string, take, width};
use super::{Value, ValueRef};
use crate::ids::TypeId;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;

/// A type of ranges, and of multiranges with it: what the ranges are of, and who made it.
///
/// ```
/// use remora_storage::value::{DataType, RangeType};
/// let of = RangeType::new(DataType::Integer, None).expect("the system has one");
/// assert_eq!(of.subtype(), DataType::Integer);
/// assert_eq!(of.range().to_string(), "int4range");
/// assert_eq!(of.multirange().to_string(), "int4multirange");
/// assert_eq!(RangeType::new(DataType::Boolean, None), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "RangeParts", into = "RangeParts")]
pub struct RangeType {
    /// The number of the subtype, which has no modifier.
    subtype: u8,
    /// One above the id of one that somebody made; 0 is the system's.
    made: u32,
}

/// A [`RangeType`] as definitions have it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeParts {
    subtype: DataType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made: Option<TypeId>,
}

/// The bits of a number in which ids of types of ranges go.
const ID_BITS: u32 = 24;

/// The ranges that the system has: of what, and what they and their multiranges are called.
const SYSTEM: [(DataType, &str, &str); 6] = [
    (DataType::Integer, "int4range", "int4multirange"),
    (DataType::BigInt, "int8range", "int8multirange"),
    (DataType::Numeric(None), "numrange", "nummultirange"),
    (DataType::Date, "daterange", "datemultirange"),
    (DataType::Timestamp, "tsrange", "tsmultirange"),
    (DataType::TimestampTz, "tstzrange", "tstzmultirange"),
];

impl RangeType {
    /// The greatest id of a type of ranges that somebody made.
    pub const ID_MAX: u32 = (1 << ID_BITS) - 3;

    /// The type of ranges of a subtype, the system's or one that somebody made; `None` where there is none, or its
    /// values need more than the type's number to be read.
    pub fn new(subtype: DataType, made: Option<TypeId>) -> Option<Self> {
        let (code, modifier) = subtype.without_modifier().code();
        // The multirange's id is the next one.
        let made = made.map_or(0, |id| id.0.saturating_add(1));
        let fits = modifier == 0 && made < (1 << ID_BITS) - 1;
        Self::from_number(u32::from(code) << ID_BITS | made).filter(|_| fits)
    }

    /// The system's own of a subtype that has ranges there.
    pub const fn of_system(subtype: DataType) -> Self {
        let (subtype, _) = subtype.code();
        Self { subtype, made: 0 }
    }

    /// All that the system has.
    pub fn system() -> impl Iterator<Item = Self> {
        SYSTEM.iter().map(|(subtype, ..)| Self::of_system(*subtype))
    }

    pub(super) fn from_number(number: u32) -> Option<Self> {
        let (subtype, made) = ((number >> ID_BITS) as u8, number & ((1 << ID_BITS) - 1));
        let of = DataType::from_code(subtype, 0)?;
        let is_whole = !matches!(
            of,
            DataType::Char(_)
                | DataType::Json
                | DataType::Packed(PackedType::Enum(_) | PackedType::Jsonb)
        ) && of.made().is_none();
        let has = made > 0 || SYSTEM.iter().any(|(known, ..)| *known == of);
        (is_whole && has).then_some(Self { subtype, made })
    }

    pub(super) const fn number(self) -> u32 {
        (self.subtype as u32) << ID_BITS | self.made
    }

    /// What the ranges are of.
    pub fn subtype(self) -> DataType {
        DataType::from_code(self.subtype, 0).expect("made of a type")
    }

    /// The type of the ranges, if somebody made it; that of the multiranges has the next id.
    pub fn made(self) -> Option<TypeId> {
        self.made.checked_sub(1).map(TypeId)
    }

    /// The type of the multiranges, if somebody made it.
    pub fn made_multirange(self) -> Option<TypeId> {
        self.made().map(|TypeId(id)| TypeId(id + 1))
    }

    /// Whether a value has a next one, so that a range has only one form.
    pub fn is_discrete(self) -> bool {
        let of = self.subtype();
        self.made == 0 && matches!(of, DataType::Integer | DataType::BigInt | DataType::Date)
    }

    /// The type of the ranges.
    pub const fn range(self) -> DataType {
        DataType::Packed(PackedType::Range(self))
    }

    /// The type of the multiranges.
    pub const fn multirange(self) -> DataType {
        DataType::Packed(PackedType::Multirange(self))
    }

    /// The type of the ranges as that of elements.
    pub const fn element(self) -> ElementType {
        ElementType::new(self.range()).expect("a range is no array")
    }

    /// The names of the ranges and multiranges, unless somebody made them.
    pub fn names(self) -> Option<(&'static str, &'static str)> {
        let of = self.subtype();
        let mut system = SYSTEM.iter().filter(|_| self.made == 0);
        let (_, range, multirange) = system.find(|(known, ..)| *known == of)?;
        Some((range, multirange))
    }
}

impl From<RangeType> for RangeParts {
    fn from(of: RangeType) -> Self {
        Self {
            subtype: of.subtype(),
            made: of.made(),
        }
    }
}

impl TryFrom<RangeParts> for RangeType {
    type Error = &'static str;

    fn try_from(parts: RangeParts) -> Result<Self, Self::Error> {
        Self::new(parts.subtype, parts.made).ok_or("there are no ranges of this type")
    }
}

/// One end of a range.
#[derive(Clone, Copy, Debug)]
pub struct RangeBound<'a> {
    /// Where it is; `None` is no bound.
    pub value: Option<ValueRef<'a>>,
    /// Whether the value belongs to the range. That of no bound does not.
    pub inclusive: bool,
    /// Whether it is the lower one.
    pub lower: bool,
}

impl<'a> RangeBound<'a> {
    /// The lower bound at a value, or none.
    pub fn lower(value: Option<ValueRef<'a>>, inclusive: bool) -> Self {
        Self {
            inclusive: inclusive && value.is_some(),
            value,
            lower: true,
        }
    }

    /// The upper bound at a value, or none.
    pub fn upper(value: Option<ValueRef<'a>>, inclusive: bool) -> Self {
        Self {
            lower: false,
            ..Self::lower(value, inclusive)
        }
    }

    /// The end of what lies on the other side of it.
    pub fn turned(self) -> Self {
        Self {
            value: self.value,
            inclusive: !self.inclusive,
            lower: !self.lower,
        }
    }

    /// The order of the values alone; none is outside of all.
    pub fn compare_values(&self, other: &Self) -> Ordering {
        match (self.value, other.value) {
            (Some(one), Some(other)) => one.compare(other).unwrap_or(Ordering::Equal),
            _ => self.outside().cmp(&other.outside()),
        }
    }

    fn outside(&self) -> i8 {
        match (self.value, self.lower) {
            (Some(_), _) => 0,
            (None, true) => -1,
            (None, false) => 1,
        }
    }

    /// Just before its value, at it, or just behind it.
    fn beside(&self) -> i8 {
        match (self.value, self.inclusive, self.lower) {
            (None, ..) | (_, true, _) => 0,
            (_, false, true) => 1,
            (_, false, false) => -1,
        }
    }
}

/// By where it is, whichever end of a range.
impl Ord for RangeBound<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare_values(other)
            .then_with(|| self.beside().cmp(&other.beside()))
    }
}

impl PartialOrd for RangeBound<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for RangeBound<'_> {}

impl PartialEq for RangeBound<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

/// A range, read where it stands; `None` for its bounds is the empty one.
///
/// ```
/// use remora_storage::value::{DataType, RangeBound, RangeType, SqlRange, ValueRef};
/// let of = RangeType::new(DataType::Integer, None).expect("int4range");
/// let range = SqlRange::new(
///     RangeBound::lower(Some(ValueRef::Integer(1)), true),
///     RangeBound::upper(None, false),
/// );
/// let bytes = range.encode(of);
/// assert_eq!(SqlRange::read(of, &bytes), Some(range));
/// assert!(SqlRange::EMPTY < range);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SqlRange<'a> {
    bounds: Option<(RangeBound<'a>, RangeBound<'a>)>,
}

mod flag {
    pub(super) const EMPTY: u8 = 1;
    pub(super) const LOWER_INCLUSIVE: u8 = 2;
    pub(super) const UPPER_INCLUSIVE: u8 = 4;
    pub(super) const LOWER_INFINITE: u8 = 8;
    pub(super) const UPPER_INFINITE: u8 = 16;
    pub(super) const ALL: u8 = 31;
}

/// Bytes of the length of a lower bound.
const LENGTH_BYTES: usize = 4;

impl<'a> SqlRange<'a> {
    /// The range without values.
    pub const EMPTY: Self = Self { bounds: None };

    /// The range between two bounds, of which the lower one lies before the upper one.
    pub fn new(lower: RangeBound<'a>, upper: RangeBound<'a>) -> Self {
        Self {
            bounds: Some((lower, upper)),
        }
    }

    /// The bounds; `None` where it is empty.
    pub fn bounds(&self) -> Option<(RangeBound<'a>, RangeBound<'a>)> {
        self.bounds
    }

    /// Whether there is no value in it.
    pub fn is_empty(&self) -> bool {
        self.bounds.is_none()
    }

    /// The range that bytes are; `None` where they are none.
    pub fn read(of: RangeType, bytes: &'a [u8]) -> Option<Self> {
        let (flags, rest) = bytes.split_first()?;
        let has = |flag: u8| flags & flag != 0;
        if has(flag::EMPTY) || flags & !flag::ALL != 0 {
            return (*flags == flag::EMPTY && rest.is_empty()).then_some(Self::EMPTY);
        }
        let subtype = of.subtype();
        let (lower, rest) = match has(flag::LOWER_INFINITE) {
            true => (None, rest),
            false => {
                let (length, rest) = match width(subtype) {
                    Some(width) => (width, rest),
                    None => {
                        let (length, rest) = rest.split_at_checked(LENGTH_BYTES)?;
                        (u32::from_le_bytes(take(length)) as usize, rest)
                    }
                };
                let (bytes, rest) = rest.split_at_checked(length)?;
                (Some(bound(subtype, bytes)?), rest)
            }
        };
        let upper = match has(flag::UPPER_INFINITE) {
            true => rest.is_empty().then_some(None)?,
            false => Some(bound(subtype, rest)?),
        };
        let lower_flag = has(flag::LOWER_INCLUSIVE);
        Some(Self::new(
            RangeBound::lower(lower, lower_flag),
            RangeBound::upper(upper, has(flag::UPPER_INCLUSIVE)),
        ))
    }

    /// The bytes of it.
    ///
    /// # Panics
    /// When a bound is of another type.
    pub fn encode(&self, of: RangeType) -> Vec<u8> {
        let Some((lower, upper)) = self.bounds else {
            return vec![flag::EMPTY];
        };
        let mut out = vec![0];
        let mut flags = 0;
        let (subtype, put) = (of.subtype(), |flags: &mut u8, is: bool, flag: u8| {
            *flags |= if is { flag } else { 0 };
        });
        put(&mut flags, lower.inclusive, flag::LOWER_INCLUSIVE);
        put(&mut flags, upper.inclusive, flag::UPPER_INCLUSIVE);
        put(&mut flags, lower.value.is_none(), flag::LOWER_INFINITE);
        put(&mut flags, upper.value.is_none(), flag::UPPER_INFINITE);
        out[0] = flags;
        for bound in [lower, upper] {
            let Some(value) = bound.value else { continue };
            match width(subtype) {
                Some(width) => put_fixed(&mut out, &value, width),
                None => {
                    let bytes = value.bytes();
                    let bytes = bytes.unwrap_or_else(|| panic!("a range of {subtype}: {value:?}"));
                    if bound.lower {
                        out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
                    }
                    out.extend_from_slice(bytes);
                }
            }
        }
        out
    }

    /// The value that it is.
    pub fn value(&self, of: RangeType) -> Value {
        Value::Packed(PackedType::Range(of), self.encode(of))
    }

    /// Whether the bounds are in order.
    pub(super) fn is_valid(&self) -> bool {
        self.bounds.is_none_or(|(lower, upper)| lower <= upper)
    }
}

fn bound(subtype: DataType, bytes: &[u8]) -> Option<ValueRef<'_>> {
    match (width(subtype), subtype) {
        (Some(width), _) => fixed(subtype, bytes).filter(|_| bytes.len() == width),
        (None, DataType::Packed(packed @ PackedType::Array(_))) => packed
            .is_valid(bytes)
            .then_some(ValueRef::Packed(packed, bytes)),
        (None, _) => string(subtype, bytes),
    }
}

impl<'a> ValueRef<'a> {
    /// The range that the value is, if it is one.
    pub fn as_range(self) -> Option<SqlRange<'a>> {
        match self {
            Self::Packed(PackedType::Range(of), bytes) => SqlRange::read(of, bytes),
            _ => None,
        }
    }

    /// The ranges of the multirange that the value is, if it is one.
    pub fn as_ranges(self) -> Option<SqlArray<'a>> {
        match self {
            Self::Packed(PackedType::Multirange(of), bytes) => SqlArray::new(of.element(), bytes),
            _ => None,
        }
    }
}

/// Whether bytes are a multirange.
pub(super) fn is_multirange(of: RangeType, bytes: &[u8]) -> bool {
    SqlArray::new(of.element(), bytes).is_some_and(|ranges| {
        let lists = ranges.dimensions().all(|one| one.first == 1) && ranges.dimensions().len() < 2;
        let range = |value: ValueRef<'_>| value.as_range().is_some_and(|range| !range.is_empty());
        lists && ranges.is_valid() && ranges.iter().all(range)
    })
}

/// The name of a type that the system has, or of one that somebody made.
pub(super) fn write_name(
    of: RangeType,
    is_multirange: bool,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let (names, made) = (of.names(), [of.made(), of.made_multirange()]);
    match (names, made[usize::from(is_multirange)]) {
        (Some((_, name)), _) if is_multirange => f.write_str(name),
        (Some((name, _)), _) => f.write_str(name),
        (None, id) => super::names::type_name(id.unwrap_or_default(), f),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_of_ranges_is_its_number_and_its_definition() {
        let made = RangeType::new(DataType::Text, Some(TypeId(7))).expect("of texts");
        for of in RangeType::system().chain([made]) {
            assert_eq!(RangeType::from_number(of.number()), Some(of));
            let (code, modifier) = of.multirange().code();
            assert_eq!(DataType::from_code(code, modifier), Some(of.multirange()));
            let json = serde_json::to_string(&of.range()).expect("plain data");
            assert_eq!(
                serde_json::from_str::<DataType>(&json).ok(),
                Some(of.range())
            );
        }
        assert_eq!(made.made_multirange(), Some(TypeId(8)));
        assert_eq!(RangeType::new(DataType::Text, None), None);
        assert_eq!(RangeType::new(DataType::Json, Some(TypeId(7))), None);
        assert_eq!(
            RangeType::new(made.range(), Some(TypeId(9))),
            None,
            "of a made type"
        );
        assert_eq!(
            RangeType::new(DataType::Text, Some(TypeId(1 << ID_BITS))),
            None
        );
    }

    #[test]
    fn bytes_that_are_no_range_are_told() {
        let of = RangeType::of_system(DataType::Integer);
        let bad: [&[u8]; 7] = [
            &[],
            &[1, 0],
            &[32],
            &[0, 1, 0, 0, 0],
            &[24, 0],
            &[8, 1, 0, 0, 0, 0],
            &[0, 9, 0, 0, 0, 1, 0, 0, 0],
        ];
        for bytes in bad {
            assert!(!PackedType::Range(of).is_valid(bytes), "{bytes:?}");
        }
        assert!(PackedType::Range(of).is_valid(&[24]));
    }
}
