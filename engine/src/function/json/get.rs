//! Parts of JSONB: `->`, `#>`, and what is asked of keys.

use super::packed::{Members, Reader, Tag, View, compare_keys, view};
use crate::error::Result;
use crate::function::Work;
use std::cmp::Ordering;

/// The work of a member beside that over its bytes.
const MEMBER_WORK: usize = 16;

/// The value of a key, if this is an object that has it. Not yet lifted.
pub(super) fn field<'a>(value: &'a [u8], name: &str, work: &Work<'_>) -> Result<Option<&'a [u8]>> {
    let View::Object(members) = view(value)? else {
        return Ok(None);
    };
    member(members, name, work)
}

/// The value of a key among the members of an object.
pub(super) fn member<'a>(
    members: Members<'a>,
    name: &str,
    work: &Work<'_>,
) -> Result<Option<&'a [u8]>> {
    let found = from_member(members, name, work)?;
    found.map(|found| only(found, work)).transpose()
}

/// The first of the values that bytes begin with.
pub(super) fn only<'a>(bytes: &'a [u8], work: &Work<'_>) -> Result<&'a [u8]> {
    Reader::new(bytes).value_asking(|| work.spend(MEMBER_WORK))
}

/// The bytes from the value of a key on. Nobody has looked yet where it ends, which takes as long as it is: who
/// goes down a long path looks at its last value alone.
pub(super) fn from_member<'a>(
    mut members: Members<'a>,
    name: &str,
    work: &Work<'_>,
) -> Result<Option<&'a [u8]>> {
    while members.left > 0 {
        members.left -= 1;
        let before = members.reader.rest().len();
        let key = members.reader.key()?;
        match compare_keys(key, name.as_bytes()) {
            Ordering::Less => {
                members.reader.value()?;
                work.spend(MEMBER_WORK + before - members.reader.rest().len())?;
            }
            Ordering::Equal => return Ok(Some(members.reader.rest())),
            // Keys are in order: behind a greater one it is not.
            Ordering::Greater => break,
        }
    }
    Ok(None)
}

/// An element of an array; negative numbers count from the end. Not yet lifted.
pub(super) fn element<'a>(
    value: &'a [u8],
    index: i64,
    work: &Work<'_>,
) -> Result<Option<&'a [u8]>> {
    let found = from_element(value, index, work)?;
    found.map(|found| only(found, work)).transpose()
}

/// The bytes from an element on, as [`from_member`].
pub(super) fn from_element<'a>(
    value: &'a [u8],
    index: i64,
    work: &Work<'_>,
) -> Result<Option<&'a [u8]>> {
    let mut members = match view(value)? {
        View::Array(members) => members,
        // A scalar by itself is an array of itself to PostgreSQL's `-> 0`.
        View::Scalar(..) if matches!(index, 0 | -1) => return Ok(Some(value)),
        _ => return Ok(None),
    };
    let count = members.left as i64;
    let index = if index < 0 { index + count } else { index };
    if !(0..count).contains(&index) {
        return Ok(None);
    }
    for _ in 0..index {
        let passed = members.element()?.map_or(0, <[u8]>::len);
        work.spend(MEMBER_WORK + passed)?;
    }
    Ok(Some(members.reader.rest()))
}

/// A step of a path as the place in an array: a whole number of 32 bits, blanks before it allowed.
pub(super) fn index(step: &str) -> Option<i64> {
    let digits = step.trim_start_matches([' ', '\t', '\n', '\r', '\x0B', '\x0C']);
    digits.parse::<i32>().ok().map(i64::from)
}

/// The value that a path leads to. Not yet lifted.
pub(super) fn at_path<'a>(
    value: &'a [u8],
    path: &[&str],
    work: &Work<'_>,
) -> Result<Option<&'a [u8]>> {
    let mut found = value;
    for step in path {
        let next = match view(found)? {
            View::Object(members) => from_member(members, step, work)?,
            View::Array(_) => match index(step) {
                Some(index) => from_element(found, index, work)?,
                None => None,
            },
            View::Scalar(..) => None,
        };
        match next {
            Some(next) => found = next,
            None => return Ok(None),
        }
    }
    only(found, work).map(Some)
}

/// Whether a string is a key of an object, an element of an array, or the value itself: `?`.
pub(super) fn exists(value: &[u8], name: &str, work: &Work<'_>) -> Result<bool> {
    match view(value)? {
        View::Object(members) => Ok(member(members, name, work)?.is_some()),
        View::Array(mut members) => {
            while let Some(element) = members.element()? {
                work.spend(MEMBER_WORK + element.len())?;
                if is_string(element, name) {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        View::Scalar(..) => Ok(is_string(value, name)),
    }
}

/// Whether a value is this string.
fn is_string(value: &[u8], text: &str) -> bool {
    as_string(value) == Some(text.as_bytes())
}

/// The bytes of a value that is a string.
pub(super) fn as_string(value: &[u8]) -> Option<&[u8]> {
    match value {
        [tag, string @ .., 0] if *tag == Tag::String as u8 => Some(string),
        _ => None,
    }
}
