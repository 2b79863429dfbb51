//! JSONB with something written to a part of it: what `SET doc['a'][2] = '5'` makes of the document that was there.
//!
//! What the path wants and is not there is made: objects for names, arrays for numbers, whose gaps are null. A scalar
//! on the way is not replaced.

use super::change::{self, Change, array_index, change_array, change_object, splice};
use super::packed::{self, EMPTY_ARRAY, Members, View, embed, view};
use super::sql::{NULL, owned_jsonb};
use super::{get, invalid};
use crate::error::Result;
use crate::function::kernel::function;
use crate::function::native::{Jsonb, SqlType};
use crate::function::{EvalContext, Overload, Work, check_size};
use remora_storage::{Value, ValueRef};

/// All overloads of this file: the value before, whether the first step is a number, the new value, the steps.
pub(in crate::function) static FUNCTIONS: &[&[Overload]] = &[&[
    function!(row "jsonb_assign"(Jsonb, Boolean, Jsonb, Text) -> Jsonb,
        "A value with another one at a path that is made where it is not there.", assign)
    .variadic(),
]];

fn assign(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let work = &Work::new(context);
    let mut path = Vec::with_capacity(arguments.len());
    for step in &arguments[3..] {
        match step {
            ValueRef::Text(step) => path.push(*step),
            _ => {
                return Err(sql_error!(
                    NULL_VALUE_NOT_ALLOWED,
                    "jsonb subscript in assignment must not be null"
                ));
            }
        }
    }
    let new = match arguments[2] {
        ValueRef::Null => NULL,
        new => Jsonb::of(new),
    };
    let before = match arguments[0] {
        ValueRef::Null if matches!(arguments[1], ValueRef::Boolean(true)) => EMPTY_ARRAY.to_vec(),
        ValueRef::Null => packed::pack_object::<&str, &[u8]>(&[], work)?,
        before => Jsonb::of(before).to_vec(),
    };
    let changed = assigned(&before, &path, new, work)?;
    check_size(Some(changed.len()))?;
    packed::bounded(changed, work).map(owned_jsonb)
}

/// The value with another one at the end of a path.
fn assigned(value: &[u8], path: &[&str], new: &[u8], work: &Work<'_>) -> Result<Vec<u8>> {
    let whole = embed(value);
    let mut place = whole;
    for (level, step) in path.iter().enumerate() {
        let rest = &path[level + 1..];
        let next = match view(place)? {
            View::Scalar(..) => {
                return Err(invalid("cannot replace existing key").with_detail(
                    "The path assumes key is a composite object, but it is a scalar value.",
                ));
            }
            View::Object(members) => match get::from_member(members, step, work)? {
                Some(next) if !rest.is_empty() => next,
                _ => {
                    let made = made(rest, new, work)?;
                    let change = change_object(members, step, Change::Set(&made), work)?;
                    return splice(whole, place, &change, work);
                }
            },
            View::Array(members) => {
                let index = array_index(step, level)?;
                let count = members.left as i64;
                let at = if index < 0 { index + count } else { index };
                if at < 0 {
                    let level = level + 1;
                    return Err(invalid(format!(
                        "path element at position {level} is out of range: {index}"
                    )));
                }
                if at >= count {
                    let made = made(rest, new, work)?;
                    let new = lengthened(members, at, &made, work)?;
                    return splice(whole, place, &new, work);
                }
                match get::from_element(place, at, work)? {
                    Some(next) if !rest.is_empty() => next,
                    _ => {
                        let change = change_array(members, at, Change::Set(new), work)?;
                        return splice(whole, place, &change, work);
                    }
                }
            }
        };
        place = next;
    }
    Ok(new.to_vec())
}

/// The elements, as many nulls as it takes, and a new one at its place.
fn lengthened(members: Members<'_>, at: i64, new: &[u8], work: &Work<'_>) -> Result<Vec<u8>> {
    let mut elements = change::all_elements(members, work)?;
    let count = usize::try_from(at).ok();
    let count = check_size(count.map(|count| count.saturating_mul(size_of::<&[u8]>())))?
        / size_of::<&[u8]>();
    work.reach(count * size_of::<&[u8]>())?;
    elements.resize(count, NULL);
    elements.push(new);
    packed::pack_array(&elements, work)
}

/// A new value at the end of a path of which nothing is there.
fn made(path: &[&str], new: &[u8], work: &Work<'_>) -> Result<Vec<u8>> {
    let mut made = new.to_vec();
    for step in path.iter().rev() {
        made = match get::index(step) {
            Some(index) => {
                let View::Array(nothing) = view(EMPTY_ARRAY)? else {
                    return Ok(made);
                };
                lengthened(nothing, index.max(0), &made, work)?
            }
            None => packed::pack_object(&[(step, made)], work)?,
        };
        check_size(Some(made.len()))?;
    }
    Ok(made)
}
