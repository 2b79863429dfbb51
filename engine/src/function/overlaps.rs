//! `(a, b) OVERLAPS (c, d)`: whether two stretches of time have a moment in common. Each includes its beginning and
//! not its end, unless they are the same; the ends come in any order.

use super::kernel::function;
use super::{EvalContext, Overload};
use crate::error::Result;
use remora_storage::{Value, ValueRef};
use std::cmp::Ordering;

fn overlaps(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    let one = stretch(arguments[0], arguments[1]);
    let two = stretch(arguments[2], arguments[3]);
    let ((start, end), (other_start, other_end)) = match (one, two) {
        (Some(one), Some(two)) => (one, two),
        _ => return Ok(Value::Null),
    };
    // Whether the later one begins before the other one ends; an end that is not known may be anywhere.
    let begins_within = |start: ValueRef<'_>, end: Option<ValueRef<'_>>| {
        end.and_then(|end| start.compare(end)).map(Ordering::is_lt)
    };
    let found = match start.compare(other_start) {
        Some(Ordering::Greater) => begins_within(start, other_end),
        Some(Ordering::Less) => begins_within(other_start, end),
        // They have the beginning in common, unless one is not known to have another.
        _ => (end.is_some() && other_end.is_some()).then_some(true),
    };
    Ok(found.map_or(Value::Null, Value::Boolean))
}

/// The earlier one, and the later one if both are known.
fn stretch<'a>(
    one: ValueRef<'a>,
    two: ValueRef<'a>,
) -> Option<(ValueRef<'a>, Option<ValueRef<'a>>)> {
    match (one.is_null(), two.is_null()) {
        (true, true) => None,
        (true, false) => Some((two, None)),
        (false, true) => Some((one, None)),
        (false, false) => match one.compare(two) {
            Some(Ordering::Greater) => Some((two, Some(one))),
            _ => Some((one, Some(two))),
        },
    }
}

static OVERLAPS: &[Overload] = &[
    function!(row "overlaps"(Timestamp, Timestamp, Timestamp, Timestamp) -> Boolean,
        "Whether two stretches of time overlap.", overlaps),
    function!(row "overlaps"(TimestampTz, TimestampTz, TimestampTz, TimestampTz) -> Boolean,
        "Whether two stretches of time overlap.", overlaps),
    function!(row "overlaps"(Time, Time, Time, Time) -> Boolean,
        "Whether two stretches of time overlap.", overlaps),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[OVERLAPS];
