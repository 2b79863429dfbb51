//! Where a range or multirange begins and ends, and whether there is something in it.

use super::{BOOLEAN, MULTIRANGE, RANGE, Ranges, SUBTYPE};
use crate::error::Result;
use crate::function::{GenericCall, Overload};
use remora_storage::value::RangeBound;
use remora_storage::{Value, ValueRef};

/// A function of a range, and of a multirange, which is asked for its first or last range.
macro_rules! of_both {
    ($($name:literal $returns:ident, $doc:literal, $kernel:expr;)*) => {
        &[$(
            Overload::generic($name, &[RANGE], $returns, $doc, $kernel),
            Overload::generic($name, &[MULTIRANGE], $returns, $doc, $kernel),
        )*]
    };
}

pub(super) static FUNCTIONS: &[Overload] = of_both!(
    "lower" SUBTYPE, "Where it begins; NULL without such a bound.", |call| bound(call, true);
    "upper" SUBTYPE, "Where it ends; NULL without such a bound.", |call| bound(call, false);
    "isempty" BOOLEAN, "Whether nothing is in it.",
        |call| Ok(Value::Boolean(Ranges::of(call.values[0]).ends().is_none()));
    "lower_inc" BOOLEAN, "Whether its lower bound belongs to it.",
        |call| is(call, true, |bound| bound.inclusive);
    "upper_inc" BOOLEAN, "Whether its upper bound belongs to it.",
        |call| is(call, false, |bound| bound.inclusive);
    "lower_inf" BOOLEAN, "Whether it has no lower bound.",
        |call| is(call, true, |bound| bound.value.is_none());
    "upper_inf" BOOLEAN, "Whether it has no upper bound.",
        |call| is(call, false, |bound| bound.value.is_none());
);

fn end<'a>(value: ValueRef<'a>, lower: bool) -> Option<RangeBound<'a>> {
    let (first, last) = Ranges::of(value).ends()?;
    Some(if lower { first } else { last })
}

fn bound(call: &GenericCall<'_>, lower: bool) -> Result<Value> {
    let value = end(call.values[0], lower).and_then(|bound| bound.value);
    Ok(value.map_or(Value::Null, ValueRef::to_owned))
}

fn is(call: &GenericCall<'_>, lower: bool, test: fn(RangeBound<'_>) -> bool) -> Result<Value> {
    Ok(Value::Boolean(end(call.values[0], lower).is_some_and(test)))
}
