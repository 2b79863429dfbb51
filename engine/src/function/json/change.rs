//! JSONB with something changed: `||`, `-`, `#-`, `jsonb_set`, `jsonb_insert`.
//!
//! A path is followed down to the one container that changes. Its members are put together anew, and what stands
//! before and behind it is copied as it is: no byte outside depends on it.

use super::get::{self, as_string};
use super::packed::{self, Members, View, compare_keys, embed, is_scalar, view};
use crate::error::{Error, Result, state};
use crate::function::Work;
use hashbrown::HashSet;

fn refused(message: impl Into<String>) -> Error {
    Error::new(state::INVALID_PARAMETER_VALUE, message)
}

/// Two values in one: pairs of both (the second's where both have a key), or elements of both.
pub(super) fn concatenate(a: &[u8], b: &[u8], work: &Work<'_>) -> Result<Vec<u8>> {
    if let (View::Object(a), View::Object(b)) = (view(a)?, view(b)?) {
        let mut pairs = all_pairs(a, work)?;
        pairs.extend(all_pairs(b, work)?);
        return packed::pack_object(&pairs, work);
    }
    let mut elements = elements_or_itself(a, work)?;
    elements.extend(elements_or_itself(b, work)?);
    packed::pack_array(&elements, work)
}

/// The elements of an array; anything else is one.
fn elements_or_itself<'a>(value: &'a [u8], work: &Work<'_>) -> Result<Vec<&'a [u8]>> {
    match view(value)? {
        View::Array(members) => all_elements(members, work),
        _ => Ok(vec![value]),
    }
}

pub(super) fn all_elements<'a>(mut members: Members<'a>, work: &Work<'_>) -> Result<Vec<&'a [u8]>> {
    work.reach(members.left * size_of::<&[u8]>())?;
    let mut elements = Vec::with_capacity(members.left);
    while let Some(element) = members.element(work)? {
        elements.push(element);
    }
    Ok(elements)
}

pub(super) fn all_pairs<'a>(
    mut members: Members<'a>,
    work: &Work<'_>,
) -> Result<Vec<(&'a str, &'a [u8])>> {
    work.reach(members.left * size_of::<(&str, &[u8])>())?;
    let mut pairs = Vec::with_capacity(members.left);
    while let Some(pair) = members.pair(work)? {
        pairs.push(pair);
    }
    Ok(pairs)
}

/// Names that are looked at one after the other.
const FEW: usize = 8;

/// Tells whether a text is one of these names.
fn is_one_of<'n>(names: &'n [&'n str]) -> impl Fn(&[u8]) -> bool + 'n {
    let many = if names.len() > FEW { names } else { &[] };
    let known: HashSet<&[u8]> = many.iter().map(|name| name.as_bytes()).collect();
    move |text| match many {
        [] => names.iter().any(|name| name.as_bytes() == text),
        _ => known.contains(text),
    }
}

/// Without these keys, or elements that are these strings.
pub(super) fn delete_names(value: &[u8], names: &[&str], work: &Work<'_>) -> Result<Vec<u8>> {
    match view(value)? {
        View::Scalar(..) => Err(refused("cannot delete from scalar")),
        View::Object(members) => {
            let mut pairs = all_pairs(members, work)?;
            let is_deleted = is_one_of(names);
            pairs.retain(|(key, _)| !is_deleted(key.as_bytes()));
            packed::pack_object(&pairs, work)
        }
        View::Array(members) => {
            let mut elements = all_elements(members, work)?;
            let is_deleted = is_one_of(names);
            elements.retain(|element| !as_string(element).is_some_and(&is_deleted));
            packed::pack_array(&elements, work)
        }
    }
}

/// Without the element of this number.
pub(super) fn delete_element(value: &[u8], index: i64, work: &Work<'_>) -> Result<Vec<u8>> {
    match view(value)? {
        View::Scalar(..) => Err(refused("cannot delete from scalar")),
        View::Object(_) => Err(refused("cannot delete from object using integer index")),
        View::Array(members) => {
            let mut elements = all_elements(members, work)?;
            let count = elements.len() as i64;
            let at = if index < 0 { index + count } else { index };
            if (0..count).contains(&at) {
                elements.remove(at as usize);
            }
            packed::pack_array(&elements, work)
        }
    }
}

/// What is done where a path ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change<'a> {
    Delete,
    /// The new value in place of the old.
    Replace(&'a [u8]),
    /// The same, or the new value where there is none.
    Set(&'a [u8]),
    /// A new element before that of the path, or a new pair.
    InsertBefore(&'a [u8]),
    /// A new element behind that of the path, or a new pair.
    InsertAfter(&'a [u8]),
}

impl<'a> Change<'a> {
    /// What comes where nothing is.
    fn creates(self) -> Option<&'a [u8]> {
        match self {
            Self::Set(new) | Self::InsertBefore(new) | Self::InsertAfter(new) => Some(new),
            Self::Delete | Self::Replace(_) => None,
        }
    }
}

/// The value with a change at the end of a path; the value as it is where the path leads nowhere.
pub(super) fn change_at(
    value: &[u8],
    path: &[Option<&str>],
    change: Change<'_>,
    work: &Work<'_>,
) -> Result<Vec<u8>> {
    if is_scalar(value) {
        return Err(refused(match change {
            Change::Delete => "cannot delete path in scalar",
            _ => "cannot set path in scalar",
        }));
    }
    let whole = embed(value);
    let is_empty =
        matches!(view(whole)?, View::Array(members) | View::Object(members) if members.left == 0);
    if is_empty && change.creates().is_none() {
        return Ok(value.to_vec());
    }
    // From here on, and no more is known of where it ends.
    let mut place = whole;
    for (level, step) in path.iter().enumerate() {
        let step = step.ok_or_else(|| {
            let message = format!("path element at position {} is null", level + 1);
            Error::new(state::NULL_VALUE_NOT_ALLOWED, message)
        })?;
        let is_last = level + 1 == path.len();
        let next = match view(place)? {
            View::Scalar(..) => None,
            View::Object(members) if is_last => {
                let new = change_object(members, step, change, work)?;
                return splice(whole, place, &new, work);
            }
            View::Object(members) => get::from_member(members, step, work)?,
            View::Array(members) => {
                let index = array_index(step, level)?;
                if is_last {
                    let new = change_array(members, index, change, work)?;
                    return splice(whole, place, &new, work);
                }
                get::from_element(place, index, work)?
            }
        };
        match next {
            Some(next) => place = next,
            None => break,
        }
    }
    Ok(value.to_vec())
}

pub(super) fn array_index(step: &str, level: usize) -> Result<i64> {
    get::index(step).ok_or_else(|| {
        sql_error!(
            INVALID_TEXT_REPRESENTATION,
            "path element at position {} is not an integer: \"{step}\"",
            level + 1
        )
    })
}

/// The whole with new bytes for the part that begins where `part` does.
pub(super) fn splice(whole: &[u8], part: &[u8], new: &[u8], work: &Work<'_>) -> Result<Vec<u8>> {
    let part = get::only(part, work)?;
    // The part is a slice of the whole: its place is the distance of their beginnings.
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    let mut out = Vec::with_capacity(whole.len() - part.len() + new.len() + 1);
    out.extend_from_slice(&whole[..start]);
    out.extend_from_slice(if start == 0 { new } else { embed(new) });
    out.extend_from_slice(&whole[start + part.len()..]);
    Ok(packed::lifted(out))
}

pub(super) fn change_object(
    members: Members<'_>,
    key: &str,
    change: Change<'_>,
    work: &Work<'_>,
) -> Result<Vec<u8>> {
    let mut pairs = all_pairs(members, work)?;
    let place = pairs.binary_search_by(|(k, _)| compare_keys(k.as_bytes(), key.as_bytes()));
    match (place, change) {
        (Ok(at), Change::Delete) => drop(pairs.remove(at)),
        (Ok(at), Change::Replace(new) | Change::Set(new)) => pairs[at].1 = new,
        (Ok(_), Change::InsertBefore(_) | Change::InsertAfter(_)) => {
            return Err(refused("cannot replace existing key")
                .with_hint("Try using the function jsonb_set to replace key value."));
        }
        (Err(at), _) => {
            if let Some(new) = change.creates() {
                pairs.insert(at, (key, new));
            }
        }
    }
    packed::pack_object(&pairs, work)
}

pub(super) fn change_array(
    members: Members<'_>,
    index: i64,
    change: Change<'_>,
    work: &Work<'_>,
) -> Result<Vec<u8>> {
    let mut elements = all_elements(members, work)?;
    let count = elements.len() as i64;
    let at = if index < 0 { index + count } else { index };
    match (usize::try_from(at), change) {
        (Ok(at), _) if at < elements.len() => match change {
            Change::Delete => drop(elements.remove(at)),
            Change::Replace(new) | Change::Set(new) => elements[at] = new,
            Change::InsertBefore(new) => elements.insert(at, new),
            Change::InsertAfter(new) => elements.insert(at + 1, new),
        },
        // Beyond either end, a new element becomes the first or the last.
        (place, _) => {
            if let Some(new) = change.creates() {
                let end = if place.is_ok() { elements.len() } else { 0 };
                elements.insert(end, new);
            }
        }
    }
    packed::pack_array(&elements, work)
}
