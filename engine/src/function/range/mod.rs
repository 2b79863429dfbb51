//! Functions and operators of ranges and multiranges.
//!
//! All are generic: they take ranges of any subtype. How a range is held, `remora_storage::value::SqlRange` says.
//!
//! ```text
//!  canonical  the one form that a range has: bounds in order, [a,b) of whole numbers and days
//!  build      int4range(1, 5, '[]'), int4multirange(..), multirange(r)
//!  ask        lower, upper, isempty, lower_inc ..
//!  compare    @> <@ && << >> &< &> -|-
//!  combine    + * -, range_merge
//! ```
//!
//! To most of them a range is a multirange of one range, or of none where it is empty: [`Ranges`] is both. What is
//! compared is bounds, as places ([`remora_storage::value::RangeBound`]).

mod ask;
mod build;
mod canonical;
mod combine;
mod compare;

pub(crate) use canonical::{canonical, refused as refused_range};
pub(super) use combine::RANGE_WORK;
pub(crate) use combine::{intersect, multirange, normal};

use super::{Overload, Pattern};
use remora_storage::value::{PackedType, RangeBound, RangeType, SqlArray, SqlRange};
use remora_storage::{DataType, ValueRef};

const RANGE: Pattern = Pattern::Range;
const MULTIRANGE: Pattern = Pattern::Multirange;
const SUBTYPE: Pattern = Pattern::Subtype;
const BOOLEAN: Pattern = Pattern::Is(DataType::Boolean);

/// All overloads of this folder.
pub(super) static FUNCTIONS: &[&[Overload]] = &[
    build::RANGES,
    build::MULTIRANGES,
    build::MADE,
    build::CANONICAL,
    build::DIFFERENCES,
    ask::FUNCTIONS,
    compare::CONTAINS,
    compare::CONTAINED,
    compare::OVERLAPS,
    compare::BEFORE,
    compare::AFTER,
    compare::OVERLEFT,
    compare::OVERRIGHT,
    compare::ADJACENT,
    compare::ELEMENTS,
    compare::ORDER,
    combine::FUNCTIONS,
];

/// Both ends of a range.
pub(crate) type Bounds<'a> = (RangeBound<'a>, RangeBound<'a>);

/// The type of the ranges that a type is of: a range's own, a multirange's, and nobody else's.
pub(crate) fn range_type(data_type: DataType) -> Option<RangeType> {
    match data_type {
        DataType::Packed(PackedType::Range(of) | PackedType::Multirange(of)) => Some(of),
        _ => None,
    }
}

/// The ranges of a range or a multirange, in order, none of them empty and none next to another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ranges<'a> {
    /// A range.
    One(SqlRange<'a>),
    /// A multirange.
    Many(SqlArray<'a>),
}

impl<'a> Ranges<'a> {
    /// Those of a value; none where bytes of a disk are none.
    pub(crate) fn of(value: ValueRef<'a>) -> Self {
        match value.as_ranges() {
            Some(ranges) => Self::Many(ranges),
            None => Self::One(value.as_range().unwrap_or(SqlRange::EMPTY)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::One(range) => usize::from(!range.is_empty()),
            Self::Many(ranges) => ranges.len(),
        }
    }

    /// The bounds of the range of a number.
    fn bounds(&self, at: usize) -> Option<Bounds<'a>> {
        match self {
            Self::One(range) => range.bounds().filter(|_| at == 0),
            Self::Many(ranges) => ranges.get(at).as_range()?.bounds(),
        }
    }

    /// The bounds of each.
    pub(crate) fn iter(self) -> impl Iterator<Item = Bounds<'a>> {
        (0..self.len()).filter_map(move |at| self.bounds(at))
    }

    /// Where all of it begins and ends; `None` where there is nothing.
    fn ends(&self) -> Option<Bounds<'a>> {
        let (first, _) = self.bounds(0)?;
        let (_, last) = self.bounds(self.len() - 1)?;
        Some((first, last))
    }

    /// The range that ends first of those that do not end before a bound.
    fn reaching(&self, bound: &RangeBound<'_>) -> Option<Bounds<'a>> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.bounds(middle) {
                Some((_, upper)) if upper < *bound => low = middle + 1,
                _ => high = middle,
            }
        }
        self.bounds(low)
    }
}
