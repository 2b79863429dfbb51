//! What the collation `nocase` is made of.
//!
//! Texts are compared by their bytes, everywhere. Where the binder finds that they are to be compared by `nocase`, it
//! has their keys compared instead: what they are in lower case. What gives one of several texts back (`min`,
//! `greatest`) is asked for a *pair* of key and text, in which the key decides, and the text is taken out of the answer.
//! A collation that an expression says itself is a call, too, which gives what it is given: so it is known to whoever
//! reads the expression.

use super::array::{builder_of, push};
use super::generic::Pattern;
use super::kernel::function;
use super::string::lower;
use super::{EvalContext, GenericCall, Overload, Work, joined_texts};
use crate::error::Result;
use remora_storage::{DataType, Value, ValueRef};

/// What two texts are compared by.
pub(crate) const KEY: &str = "nocase_key";
/// Key and text.
pub(crate) const PAIR: &str = "nocase_pair";
/// The text of a pair.
pub(crate) const OF_PAIR: &str = "nocase_of_pair";
/// The keys of the elements of an array.
pub(crate) const KEYS: &str = "nocase_keys";
/// `expr COLLATE name`
pub(crate) const COLLATE: &str = "collate";

/// Between key and text: below all that a text can have.
const SEPARATOR: &str = "\0";

fn keys(call: &GenericCall<'_>) -> Result<Value> {
    let Some(array) = call.values[0].as_array() else {
        return Ok(Value::Null);
    };
    let mut keys = builder_of(call.returns)?;
    let work = Work::new(call.context);
    for element in array.iter() {
        match element {
            ValueRef::Text(text) => {
                let key = lower(call.context, text)?;
                push(&mut keys, ValueRef::Text(&key), &work)?;
            }
            other => push(&mut keys, other, &work)?,
        }
    }
    Ok(keys.finish_list())
}

fn pair(context: &EvalContext, text: &str) -> Result<String> {
    let key = lower(context, text)?;
    joined_texts([&key, SEPARATOR, text].into_iter(), context)
}

fn of_pair(context: &EvalContext, pair: &str) -> Result<String> {
    for (at, _) in pair.match_indices(SEPARATOR) {
        let (key, text) = (&pair[..at], &pair[at + 1..]);
        if lower(context, text)?.len() == key.len() {
            return Ok(text.to_owned());
        }
    }
    Ok(String::new())
}

static FOLDS: &[Overload] = &[
    function!(patient "nocase_key"(Text) -> Text, "What the collation nocase compares.", lower),
    function!(patient "nocase_pair"(Text) -> Text, "What the collation nocase compares, and the text.", pair),
    function!(patient "nocase_of_pair"(Text) -> Text, "The text of such a pair.", of_pair),
    function!(strict generic KEYS(Pattern::Array) -> Pattern::Array,
        "What the collation nocase compares, of each element.", keys),
    function!(strict generic COLLATE(Pattern::Element, Pattern::Is(DataType::Text)) -> Pattern::Element,
        "The first: the second names its collation.", |call| Ok(call.values[0].to_owned())),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[FOLDS];

#[cfg(test)]
mod tests {
    use super::{EvalContext, lower, of_pair};

    #[test]
    fn pairs_are_ordered_by_their_keys_and_give_their_texts_back() {
        let context = EvalContext::default();
        let key = |text: &str| lower(&context, text).expect("a key");
        let pair = |text: &str| super::pair(&context, text).expect("a pair");
        let texts = ["", "a", "A", "ab", "Ab\u{130}", "b", "B c", "É", "ß"];
        for one in texts {
            assert_eq!(of_pair(&context, &pair(one)).expect("a text"), one);
            for other in texts {
                let by_key = key(one).cmp(&key(other));
                assert!(by_key.is_eq() || by_key == pair(one).cmp(&pair(other)));
            }
        }
    }
}
