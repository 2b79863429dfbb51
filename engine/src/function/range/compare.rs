//! Where ranges and multiranges lie to each other.

use super::{BOOLEAN, Bounds, MULTIRANGE, RANGE, Ranges, SUBTYPE, canonical, range_type};
use crate::error::Result;
use crate::function::kernel::function;
use crate::function::{GenericCall, Overload, Pattern, Work, comparison};
use remora_storage::value::{RangeBound, RangeType};
use remora_storage::{DataType, Value, ValueRef};

/// The work of looking for a range among many.
const SEARCH_WORK: usize = 512;

/// An operator between ranges and multiranges, and the functions that it is: of two ranges, two multiranges, a range
/// and a multirange, a multirange and a range.
macro_rules! between {
    ($name:literal, [$rr:literal, $mm:literal, $rm:literal, $mr:literal], $doc:literal, $kernel:expr) => {
        &[
            between!(@one $name, RANGE, RANGE, $doc, $kernel),
            between!(@one $name, MULTIRANGE, MULTIRANGE, $doc, $kernel),
            between!(@one $name, RANGE, MULTIRANGE, $doc, $kernel),
            between!(@one $name, MULTIRANGE, RANGE, $doc, $kernel),
            between!(@one $rr, RANGE, RANGE, $doc, $kernel),
            between!(@one $mm, MULTIRANGE, MULTIRANGE, $doc, $kernel),
            between!(@one $rm, RANGE, MULTIRANGE, $doc, $kernel),
            between!(@one $mr, MULTIRANGE, RANGE, $doc, $kernel),
        ]
    };
    (@one $name:literal, $a:ident, $b:ident, $doc:literal, $kernel:expr) => {
        Overload::generic($name, &[$a, $b], BOOLEAN, $doc, $kernel)
    };
}

pub(super) static CONTAINS: &[Overload] = between!(
    "@>",
    [
        "range_contains",
        "multirange_contains_multirange",
        "range_contains_multirange",
        "multirange_contains_range"
    ],
    "Whether all of the second is in the first.",
    |call| is(call, contains)
);

pub(super) static CONTAINED: &[Overload] = between!(
    "<@",
    [
        "range_contained_by",
        "multirange_contained_by_multirange",
        "range_contained_by_multirange",
        "multirange_contained_by_range"
    ],
    "Whether all of the first is in the second.",
    |call| is(call, |one, other, work| contains(other, one, work))
);

pub(super) static OVERLAPS: &[Overload] = between!(
    "&&",
    [
        "range_overlaps",
        "multirange_overlaps_multirange",
        "range_overlaps_multirange",
        "multirange_overlaps_range"
    ],
    "Whether a value is in both.",
    |call| is(call, overlap)
);

pub(super) static BEFORE: &[Overload] = between!(
    "<<",
    [
        "range_before",
        "multirange_before_multirange",
        "range_before_multirange",
        "multirange_before_range"
    ],
    "Whether the first ends before the second begins.",
    |call| ends(call, |one, other| one.1 < other.0)
);

pub(super) static AFTER: &[Overload] = between!(
    ">>",
    [
        "range_after",
        "multirange_after_multirange",
        "range_after_multirange",
        "multirange_after_range"
    ],
    "Whether the first begins after the second ends.",
    |call| ends(call, |one, other| one.0 > other.1)
);

pub(super) static OVERLEFT: &[Overload] = between!(
    "&<",
    [
        "range_overleft",
        "multirange_overleft_multirange",
        "range_overleft_multirange",
        "multirange_overleft_range"
    ],
    "Whether the first does not go on behind the end of the second.",
    |call| ends(call, |one, other| one.1 <= other.1)
);

pub(super) static OVERRIGHT: &[Overload] = between!(
    "&>",
    [
        "range_overright",
        "multirange_overright_multirange",
        "range_overright_multirange",
        "multirange_overright_range"
    ],
    "Whether the first does not begin before the second.",
    |call| ends(call, |one, other| one.0 >= other.0)
);

pub(super) static ADJACENT: &[Overload] = between!(
    "-|-",
    [
        "range_adjacent",
        "multirange_adjacent_multirange",
        "range_adjacent_multirange",
        "multirange_adjacent_range"
    ],
    "Whether one begins just where the other ends.",
    touches
);

/// Of a range or multirange and one value; `$whole` is the number of the argument that is the former.
macro_rules! elements {
    ($($name:literal $a:ident $b:ident $whole:literal $doc:literal;)*) => {
        &[$(function!(strict generic $name($a, $b) -> BOOLEAN, $doc, |call| {
            let ranges = Ranges::of(call.values[$whole]);
            Ok(Value::Boolean(has(ranges, call.values[1 - $whole])))
        })),*]
    };
}

pub(super) static ELEMENTS: &[Overload] = elements!(
    "@>" RANGE SUBTYPE 0 "Whether the value is in the first.";
    "@>" MULTIRANGE SUBTYPE 0 "Whether the value is in the first.";
    "range_contains_elem" RANGE SUBTYPE 0 "Whether the value is in the first.";
    "multirange_contains_elem" MULTIRANGE SUBTYPE 0 "Whether the value is in the first.";
    "<@" SUBTYPE RANGE 1 "Whether the value is in the second.";
    "<@" SUBTYPE MULTIRANGE 1 "Whether the value is in the second.";
    "elem_contained_by_range" SUBTYPE RANGE 1 "Whether the value is in the second.";
    "elem_contained_by_multirange" SUBTYPE MULTIRANGE 1 "Whether the value is in the second.";
);

/// The functions that are what `=`, `<` and the others of ranges are.
macro_rules! order {
    ($([$range:literal, $multirange:literal] $doc:literal, $is:ident;)*) => {
        &[
            $(
                order!(@one $range, RANGE, BOOLEAN, $doc, |order| Value::Boolean(order.$is())),
                order!(@one $multirange, MULTIRANGE, BOOLEAN, $doc, |order| Value::Boolean(order.$is())),
            )*
            order!(@one "range_cmp", RANGE, INTEGER, "-1, 0 or 1: less, equal, greater.",
                |order| Value::Integer(order as i32)),
            order!(@one "multirange_cmp", MULTIRANGE, INTEGER, "-1, 0 or 1: less, equal, greater.",
                |order| Value::Integer(order as i32)),
        ]
    };
    (@one $name:literal, $of:ident, $returns:ident, $doc:literal, |$order:ident| $value:expr) => {
        Overload::generic($name, &[$of, $of], $returns, $doc, |call| {
            let order = comparison::compare(call.values[0], call.values[1], call.context)?;
            Ok(order.map_or(Value::Null, |$order| $value))
        })
    };
}

const INTEGER: Pattern = Pattern::Is(DataType::Integer);

pub(super) static ORDER: &[Overload] = order!(
    ["range_eq", "multirange_eq"] "Equal.", is_eq;
    ["range_ne", "multirange_ne"] "Not equal.", is_ne;
    ["range_lt", "multirange_lt"] "Less.", is_lt;
    ["range_le", "multirange_le"] "Less or equal.", is_le;
    ["range_gt", "multirange_gt"] "Greater.", is_gt;
    ["range_ge", "multirange_ge"] "Greater or equal.", is_ge;
);

fn is(
    call: &GenericCall<'_>,
    test: fn(Ranges<'_>, Ranges<'_>, &Work<'_>) -> Result<bool>,
) -> Result<Value> {
    let [one, other] = [0, 1].map(|at| Ranges::of(call.values[at]));
    test(one, other, &Work::new(call.context)).map(Value::Boolean)
}

/// Something of where both begin and end; false where one of them has no values.
fn ends(call: &GenericCall<'_>, test: fn(Bounds<'_>, Bounds<'_>) -> bool) -> Result<Value> {
    let [one, other] = [0, 1].map(|at| Ranges::of(call.values[at]).ends());
    Ok(Value::Boolean(
        one.zip(other).is_some_and(|(one, other)| test(one, other)),
    ))
}

fn contains_range(whole: &Bounds<'_>, part: &Bounds<'_>) -> bool {
    whole.0 <= part.0 && part.1 <= whole.1
}

pub(super) fn overlaps_range(one: &Bounds<'_>, other: &Bounds<'_>) -> bool {
    one.0 <= other.1 && other.0 <= one.1
}

fn contains(whole: Ranges<'_>, part: Ranges<'_>, work: &Work<'_>) -> Result<bool> {
    for part in part.iter() {
        work.spend(SEARCH_WORK)?;
        let found = whole.reaching(&part.1);
        if !found.is_some_and(|found| contains_range(&found, &part)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn overlap(one: Ranges<'_>, other: Ranges<'_>, work: &Work<'_>) -> Result<bool> {
    let (few, many) = match one.len() <= other.len() {
        true => (one, other),
        false => (other, one),
    };
    for part in few.iter() {
        work.spend(SEARCH_WORK)?;
        let found = many.reaching(&part.0);
        if found.is_some_and(|found| overlaps_range(&found, &part)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has(ranges: Ranges<'_>, value: ValueRef<'_>) -> bool {
    let first = RangeBound::lower(Some(value), true);
    let found = ranges.reaching(&first);
    found.is_some_and(|(lower, upper)| lower <= first && first <= upper)
}

/// Whether nothing is between the end of one range and the beginning of another, and they do not overlap.
pub(super) fn meet(of: RangeType, upper: &RangeBound<'_>, lower: &RangeBound<'_>) -> bool {
    let order = upper.compare_values(lower);
    if order.is_eq() {
        return upper.inclusive != lower.inclusive;
    }
    let between = canonical(of, upper.turned(), lower.turned());
    order.is_lt() && of.is_discrete() && between.is_ok_and(|between| between.is_empty())
}

fn touches(call: &GenericCall<'_>) -> Result<Value> {
    let [one, other] = [0, 1].map(|at| Ranges::of(call.values[at]).ends());
    let of = call.types.first().copied().and_then(range_type);
    let touch = |of: RangeType| {
        let (one, other) = one.zip(other)?;
        Some(meet(of, &one.1, &other.0) || meet(of, &other.1, &one.0))
    };
    Ok(Value::Boolean(of.and_then(touch).unwrap_or(false)))
}
