//! Parts of JSONB: `->`, `#>`, and what is asked of keys.

use super::packed::{Members, Reader, Tag, View, compare_keys, view};
use crate::error::{Error, Result};
use crate::function::Work;
use hashbrown::HashSet;
use std::cmp::Ordering;

/// The work of a name in a table.
const NAME_WORK: usize = 64;

/// The value of a key, if this is an object that has it. Not yet lifted.
pub(super) fn field<'a>(value: &'a [u8], name: &str, work: &Work<'_>) -> Result<Option<&'a [u8]>> {
    let View::Object(members) = view(value)? else {
        return Ok(None);
    };
    member(members, name, work)
}

/// The value of a key among the members of an object.
pub(super) fn member<'a>(
    mut members: Members<'a>,
    name: &str,
    work: &Work<'_>,
) -> Result<Option<&'a [u8]>> {
    next_member(&mut members, name, work)
}

/// The value of a key that is not before the members that are left; these are then those behind it.
pub(super) fn next_member<'a>(
    members: &mut Members<'a>,
    name: &str,
    work: &Work<'_>,
) -> Result<Option<&'a [u8]>> {
    match go_to(members, name, work)? {
        true => members.reader.value(work).map(Some),
        false => Ok(None),
    }
}

/// The first of the values that bytes begin with.
pub(super) fn only<'a>(bytes: &'a [u8], work: &Work<'_>) -> Result<&'a [u8]> {
    Reader::new(bytes).value(work)
}

/// The bytes from the value of a key on. Nobody has looked yet where it ends, which takes as long as it is: who
/// goes down a long path looks at its last value alone.
pub(super) fn from_member<'a>(
    mut members: Members<'a>,
    name: &str,
    work: &Work<'_>,
) -> Result<Option<&'a [u8]>> {
    let is_there = go_to(&mut members, name, work)?;
    Ok(is_there.then(|| members.reader.rest()))
}

/// Goes to where the value of a key begins; false where it is not there.
fn go_to(members: &mut Members<'_>, name: &str, work: &Work<'_>) -> Result<bool> {
    while members.left > 0 {
        members.left -= 1;
        let key = members.reader.key()?;
        match compare_keys(key, name.as_bytes()) {
            Ordering::Less => drop(members.reader.value(work)?),
            Ordering::Equal => return Ok(true),
            // Keys are in order: behind a greater one it is not.
            Ordering::Greater => break,
        }
    }
    Ok(false)
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
        members.element(work)?;
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
            while let Some(element) = members.element(work)? {
                if is_string(element, name) {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        View::Scalar(..) => Ok(is_string(value, name)),
    }
}

/// The strings for which [`exists`] is true.
pub(super) fn names<'a>(value: &'a [u8], work: &Work<'_>) -> Result<HashSet<&'a [u8]>> {
    let mut names = HashSet::new();
    let mut add = |name: &'a [u8]| {
        work.spend(NAME_WORK + name.len())?;
        work.reach(2 * (names.len() + 1) * size_of::<&[u8]>())?;
        names.insert(name);
        Ok::<_, Error>(())
    };
    match view(value)? {
        View::Object(mut members) => {
            while let Some((key, _)) = members.pair(work)? {
                add(key.as_bytes())?;
            }
        }
        View::Array(mut members) => {
            while let Some(element) = members.element(work)? {
                as_string(element).map_or(Ok(()), &mut add)?;
            }
        }
        View::Scalar(..) => as_string(value).map_or(Ok(()), add)?,
    }
    Ok(names)
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
