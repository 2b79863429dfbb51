//! `x = ANY (array)` and `x < ALL (array)`: a test of a value and each element.
//!
//! There is a function for each operator that may stand there, named as it is written: `= ANY`. Its arguments have
//! the types of the operator's, which is found anew for each call.

use super::{ARRAY, BOOLEAN, ELEMENT, ELEMENT_WORK, array_at};
use crate::error::Result;
use crate::function::{CallTypes, GenericCall, Overload, Work, resolve};
use remora_storage::{Value, ValueRef};
use std::cmp::Ordering;

/// Whether one element is enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ArrayTest {
    /// Of any.
    Any,
    /// Of all.
    All,
}

/// The name of the function that tests an operator, if there is one.
pub(crate) fn quantified(operator: &str, test: ArrayTest) -> Option<&'static str> {
    let found = OPERATORS.iter().find(|(name, ..)| *name == operator);
    found.map(|(_, any, all)| match test {
        ArrayTest::Any => *any,
        ArrayTest::All => *all,
    })
}

macro_rules! operators {
    ($($name:literal)*) => {
        const OPERATORS: &[(&str, &str, &str)] = &[
            $(($name, concat!($name, " ANY"), concat!($name, " ALL"))),*
        ];

        pub(super) static FUNCTIONS: &[Overload] = &[
            $(
                Overload::generic(
                    concat!($name, " ANY"),
                    &[ELEMENT, ARRAY],
                    BOOLEAN,
                    "Whether it is true of the value and any element.",
                    |call| test($name, ArrayTest::Any, call),
                )
                .called_on_null(),
                Overload::generic(
                    concat!($name, " ALL"),
                    &[ELEMENT, ARRAY],
                    BOOLEAN,
                    "Whether it is true of the value and every element.",
                    |call| test($name, ArrayTest::All, call),
                )
                .called_on_null(),
            )*
        ];
    };
}

operators!("=" "<>" "<" "<=" ">" ">=" "~~" "!~~" "~~*" "!~~*" "~" "!~" "~*" "!~*");

fn test(operator: &'static str, test: ArrayTest, call: &GenericCall<'_>) -> Result<Value> {
    if call.values[1].is_null() {
        return Ok(Value::Null);
    }
    let array = array_at(call.values, 1);
    let decisive = test == ArrayTest::Any;
    let mut result = Value::Boolean(!decisive);
    let holds = holds(operator, call)?;
    let work = Work::new(call.context);
    for element in array.iter() {
        work.spend(ELEMENT_WORK)?;
        match holds(call.values[0], element)? {
            Some(found) if found == decisive => return Ok(Value::Boolean(found)),
            Some(_) => {}
            None => result = Value::Null,
        }
    }
    Ok(result)
}

type Holds<'c> = Box<dyn Fn(ValueRef<'_>, ValueRef<'_>) -> Result<Option<bool>> + 'c>;

/// What an operator says of two values; NULL where one is.
fn holds<'c>(operator: &'static str, call: &'c GenericCall<'_>) -> Result<Holds<'c>> {
    let wanted: Option<fn(Ordering) -> bool> = match operator {
        "=" => Some(Ordering::is_eq),
        "<>" => Some(Ordering::is_ne),
        "<" => Some(Ordering::is_lt),
        "<=" => Some(Ordering::is_le),
        ">" => Some(Ordering::is_gt),
        ">=" => Some(Ordering::is_ge),
        _ => None,
    };
    if let Some(wanted) = wanted {
        return Ok(Box::new(move |one, two| {
            let known = !one.is_null() && !two.is_null();
            Ok(one.compare(two).filter(|_| known).map(wanted))
        }));
    }
    let element = call.types[0];
    let found = resolve(operator, &[Some(element), Some(element)])?;
    Ok(Box::new(move |one, two| {
        if one.is_null() || two.is_null() {
            return Ok(None);
        }
        let types = || CallTypes::clone(&found.types);
        match found.overload.call(&[one, two], types, call.context)? {
            Value::Boolean(found) => Ok(Some(found)),
            _ => Ok(None),
        }
    }))
}
