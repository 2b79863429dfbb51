//! Arguments that JSON and JSONB take alike: paths and lists of texts.

use super::invalid;
use crate::error::{Error, Result, state};
use crate::function::Work;
use remora_storage::ValueRef;

/// The work of a text beside that over its bytes.
const NAME_WORK: usize = 32;

/// The steps of a path; `None` where one is NULL, which leads nowhere.
pub(super) fn path<'a>(value: ValueRef<'a>, work: &Work<'_>) -> Result<Option<Vec<&'a str>>> {
    Ok(names(value, work)?.into_iter().collect())
}

/// The elements of an array of texts, whatever its shape.
pub(super) fn names<'a>(value: ValueRef<'a>, work: &Work<'_>) -> Result<Vec<Option<&'a str>>> {
    let array = value.as_array().unwrap_or_default();
    let texts = array.iter().map(|element| match element {
        ValueRef::Text(text) => {
            work.spend(NAME_WORK)?;
            Ok(Some(text))
        }
        _ => Ok(None),
    });
    texts.collect()
}

/// The lengths of an array along its dimensions.
pub(super) fn dimensions(value: ValueRef<'_>) -> Vec<u32> {
    let array = value.as_array().unwrap_or_default();
    array
        .dimensions()
        .map(|dimension| dimension.length)
        .collect()
}

/// The complaint about a key without a value.
pub(super) fn odd(function: &str) -> Error {
    invalid("argument list must have even number of elements").with_hint(format!(
        "The arguments of {function}() must consist of alternating keys and values."
    ))
}

fn array_error(message: &str) -> Error {
    Error::new(state::ARRAY_SUBSCRIPT_ERROR, message)
}

/// Pairs of a key and a value.
pub(super) type TextPairs<'a> = Vec<(&'a str, Option<&'a str>)>;

/// The pairs of `json_object`: one array of keys and values in turn, or of pairs, or two arrays.
pub(super) fn text_pairs<'a>(arguments: &[ValueRef<'a>], work: &Work<'_>) -> Result<TextPairs<'a>> {
    let first = names(arguments[0], work)?;
    let shape = dimensions(arguments[0]);
    let (keys, values): (Vec<_>, Vec<_>) = match arguments.get(1) {
        Some(second) => {
            let other = dimensions(*second);
            if shape.len() > 1 || other.len() > 1 {
                return Err(array_error("wrong number of array subscripts"));
            }
            if shape != other {
                return Err(array_error("mismatched array dimensions"));
            }
            (first, names(*second, work)?)
        }
        None => {
            match shape[..] {
                [] => {}
                [count] if count % 2 == 0 => {}
                [_] => return Err(array_error("array must have even number of elements")),
                [_, 2] => {}
                [_, _] => return Err(array_error("array must have two columns")),
                _ => return Err(array_error("wrong number of array subscripts")),
            }
            let pairs = first.chunks_exact(2);
            pairs.map(|pair| (pair[0], pair[1])).unzip()
        }
    };
    let pairs = keys.into_iter().zip(values).map(|(key, value)| {
        work.spend(size_of_val(&(key, value)))?;
        match key {
            Some(key) => Ok((key, value)),
            None => Err(sql_error!(
                NULL_VALUE_NOT_ALLOWED,
                "null value not allowed for object key"
            )),
        }
    });
    pairs.collect()
}
