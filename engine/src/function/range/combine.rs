//! Ranges and multiranges made of others: together, without, in both.

use super::compare::{meet, overlaps_range};
use super::{Bounds, MULTIRANGE, RANGE, Ranges, canonical, range_type, refused_range};
use crate::error::Result;
use crate::function::array::too_large;
use crate::function::kernel::function;
use crate::function::{GenericCall, Overload, Work, sorted};
use remora_storage::Value;
use remora_storage::limits::VALUE_BYTES_MAX;
use remora_storage::value::{PackedType, RangeType, SqlArrayBuilder, SqlRange};

/// The work of a range.
pub(in crate::function) const RANGE_WORK: usize = 64;

const TOGETHER: &str = "What is in either.";
const WITHOUT: &str = "What is in the first and not in the second.";
const IN_BOTH: &str = "What is in both.";
const MERGED: &str = "The least range that has all of it.";

pub(super) static FUNCTIONS: &[Overload] = &[
    function!(strict generic "+"(RANGE, RANGE) -> RANGE, TOGETHER, range_union),
    function!(strict generic "range_union"(RANGE, RANGE) -> RANGE, TOGETHER, range_union),
    function!(strict generic "+"(MULTIRANGE, MULTIRANGE) -> MULTIRANGE, TOGETHER, union),
    function!(strict generic "multirange_union"(MULTIRANGE, MULTIRANGE) -> MULTIRANGE, TOGETHER, union),
    function!(strict generic "-"(RANGE, RANGE) -> RANGE, WITHOUT, range_minus),
    function!(strict generic "range_minus"(RANGE, RANGE) -> RANGE, WITHOUT, range_minus),
    function!(strict generic "-"(MULTIRANGE, MULTIRANGE) -> MULTIRANGE, WITHOUT, minus),
    function!(strict generic "multirange_minus"(MULTIRANGE, MULTIRANGE) -> MULTIRANGE, WITHOUT, minus),
    function!(strict generic "*"(RANGE, RANGE) -> RANGE, IN_BOTH, range_intersect),
    function!(strict generic "range_intersect"(RANGE, RANGE) -> RANGE, IN_BOTH, range_intersect),
    function!(strict generic "*"(MULTIRANGE, MULTIRANGE) -> MULTIRANGE, IN_BOTH, multirange_intersect),
    function!(strict generic "multirange_intersect"(MULTIRANGE, MULTIRANGE) -> MULTIRANGE, IN_BOTH,
        multirange_intersect),
    function!(strict generic "range_merge"(RANGE, RANGE) -> RANGE, MERGED,
        |call| {
        let (of, [one, other]) = both(call);
        range(
            of,
            one.ends().map_or(other.ends(), |one| {
                Some(other.ends().map_or(one, |other| spanning(one, other)))
            }),
        )
    }),
    function!(strict generic "range_merge"(MULTIRANGE) -> RANGE, MERGED,
        |call| {
        let of = call.types.first().copied().and_then(range_type);
        range(of, Ranges::of(call.values[0]).ends())
    }),
];

/// The arguments of a call, and of what they are.
fn both<'a>(call: &GenericCall<'a>) -> (Option<RangeType>, [Ranges<'a>; 2]) {
    let of = call.types.first().copied().and_then(range_type);
    (of, [0, 1].map(|at| Ranges::of(call.values[at])))
}

/// The range between bounds, the empty one where there are none.
fn range(of: Option<RangeType>, bounds: Option<Bounds<'_>>) -> Result<Value> {
    let Some(of) = of else {
        return Ok(Value::Null);
    };
    let range = match bounds {
        Some((lower, upper)) => canonical(of, lower, upper)?,
        None => SqlRange::EMPTY,
    };
    Ok(range.value(of))
}

/// The multirange of ranges that are in order and apart.
///
/// # Errors
/// 54000 where it is too large, and those of [`Work::spend`].
pub(crate) fn multirange(of: RangeType, ranges: &[Bounds<'_>], work: &Work<'_>) -> Result<Value> {
    let mut builder = SqlArrayBuilder::new(of.element());
    for (lower, upper) in ranges {
        work.spend(RANGE_WORK)?;
        builder.push(SqlRange::new(*lower, *upper).value(of).as_ref());
        if builder.bytes() > VALUE_BYTES_MAX {
            return Err(too_large());
        }
    }
    Ok(match builder.finish_list() {
        Value::Packed(_, bytes) => Value::Packed(PackedType::Multirange(of), bytes),
        other => other,
    })
}

/// Ranges in order and apart: those that overlap or touch become one.
///
/// # Errors
/// Those of [`Work::spend`].
pub(crate) fn normal<'a>(
    of: RangeType,
    ranges: Vec<Bounds<'a>>,
    work: &Work<'_>,
) -> Result<Vec<Bounds<'a>>> {
    let ranges = sorted(ranges, Ord::cmp, work)?;
    let mut apart: Vec<Bounds<'a>> = Vec::with_capacity(ranges.len());
    for next in ranges {
        work.spend(RANGE_WORK)?;
        match apart.last_mut() {
            Some(last) if overlaps_range(last, &next) || meet(of, &last.1, &next.0) => {
                *last = spanning(*last, next);
            }
            _ => apart.push(next),
        }
    }
    Ok(apart)
}

/// From the lower of both beginnings to the upper of both ends.
fn spanning<'a>(one: Bounds<'a>, other: Bounds<'a>) -> Bounds<'a> {
    (one.0.min(other.0), one.1.max(other.1))
}

fn common<'a>(one: &Bounds<'a>, other: &Bounds<'a>) -> Option<Bounds<'a>> {
    overlaps_range(one, other).then(|| (one.0.max(other.0), one.1.min(other.1)))
}

fn range_union(call: &GenericCall<'_>) -> Result<Value> {
    let (of, [one, other]) = both(call);
    let joined = match (one.ends(), other.ends()) {
        (Some(one), Some(other)) => {
            let touches = |of| meet(of, &one.1, &other.0) || meet(of, &other.1, &one.0);
            if !overlaps_range(&one, &other) && !of.is_some_and(touches) {
                return Err(refused_range("union"));
            }
            Some(spanning(one, other))
        }
        (one, other) => one.or(other),
    };
    range(of, joined)
}

fn union(call: &GenericCall<'_>) -> Result<Value> {
    let (of, [one, other]) = both(call);
    let Some(of) = of else {
        return Ok(Value::Null);
    };
    let work = &Work::new(call.context);
    let all = listed(one.iter().chain(other.iter()), work)?;
    multirange(of, &normal(of, all, work)?, work)
}

/// What is left of a range before and behind another.
fn left_of<'a>(whole: &Bounds<'a>, taken: &Bounds<'a>) -> (Option<Bounds<'a>>, Option<Bounds<'a>>) {
    let before = (whole.0 < taken.0).then(|| (whole.0, taken.0.turned()));
    let behind = (taken.1 < whole.1).then(|| (taken.1.turned(), whole.1));
    (before, behind)
}

fn range_minus(call: &GenericCall<'_>) -> Result<Value> {
    let (of, [one, other]) = both(call);
    let (whole, taken) = (one.ends(), other.ends());
    let left = match (whole, taken) {
        (Some(whole), Some(taken)) if overlaps_range(&whole, &taken) => {
            match left_of(&whole, &taken) {
                (Some(_), Some(_)) => return Err(refused_range("difference")),
                (before, behind) => before.or(behind),
            }
        }
        (whole, _) => whole,
    };
    range(of, left)
}

fn minus(call: &GenericCall<'_>) -> Result<Value> {
    let (of, [one, other]) = both(call);
    let Some(of) = of else {
        return Ok(Value::Null);
    };
    let work = &Work::new(call.context);
    let mut taken = other.iter().peekable();
    let mut left = Vec::new();
    for whole in one.iter() {
        let mut rest = Some(whole);
        work.spend(RANGE_WORK)?;
        while let (Some(now), Some(next)) = (rest, taken.peek()) {
            work.spend(RANGE_WORK)?;
            if next.1 < now.0 {
                taken.next();
            } else if now.1 < next.0 {
                break;
            } else {
                let (before, behind) = left_of(&now, next);
                left.extend(before);
                rest = behind;
            }
        }
        left.extend(rest);
    }
    multirange(of, &left, work)
}

fn range_intersect(call: &GenericCall<'_>) -> Result<Value> {
    let (of, [one, other]) = both(call);
    let ends = one.ends().zip(other.ends());
    range(of, ends.and_then(|(one, other)| common(&one, &other)))
}

fn multirange_intersect(call: &GenericCall<'_>) -> Result<Value> {
    let (of, [one, other]) = both(call);
    let work = &Work::new(call.context);
    match of {
        Some(of) => multirange(of, &in_both(one, other, work)?, work),
        None => Ok(Value::Null),
    }
}

/// What is in both, range by range.
fn in_both<'a>(one: Ranges<'a>, other: Ranges<'a>, work: &Work<'_>) -> Result<Vec<Bounds<'a>>> {
    let mut found = Vec::new();
    let (mut ones, mut others) = (one.iter().peekable(), other.iter().peekable());
    while let (Some(one), Some(other)) = (ones.peek(), others.peek()) {
        work.spend(RANGE_WORK)?;
        found.extend(common(one, other));
        match one.1 <= other.1 {
            true => ones.next(),
            false => others.next(),
        };
    }
    Ok(found)
}

/// Bounds one after the other.
fn listed<'a>(
    ranges: impl Iterator<Item = Bounds<'a>>,
    work: &Work<'_>,
) -> Result<Vec<Bounds<'a>>> {
    let ranges = ranges.map(|bounds| work.spend(RANGE_WORK).map(|()| bounds));
    ranges.collect()
}

/// What is in both, a range or a multirange as the first is.
///
/// # Errors
/// Those of [`multirange`].
pub(crate) fn intersect(
    of: RangeType,
    one: Ranges<'_>,
    other: Ranges<'_>,
    work: &Work<'_>,
) -> Result<Value> {
    let found = in_both(one, other, work)?;
    match one {
        Ranges::One(_) => range(Some(of), found.first().copied()),
        Ranges::Many(_) => multirange(of, &found, work),
    }
}
