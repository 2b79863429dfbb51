//! What the collation `nocase` is made of.
//!
//! Texts are compared by their bytes, everywhere. Where the binder finds that they are to be compared by `nocase`, it
//! has their keys compared instead: what they are in lower case. What gives one of several texts back (`min`,
//! `greatest`) is asked for a *pair* of key and text, in which the key decides, and the text is taken out of the answer.
//! A collation that an expression says itself is a call, too, which gives what it is given: so it is known to whoever
//! reads the expression.

use super::generic::Pattern;
use super::kernel::function;
use super::{GenericCall, Overload};
use crate::error::Result;
use remora_storage::value::ElementType;
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
const SEPARATOR: char = '\0';

fn key(text: &str) -> String {
    text.to_lowercase()
}

fn keys(call: &GenericCall<'_>) -> Result<Value> {
    let Some(array) = call.values[0].as_array() else {
        return Ok(Value::Null);
    };
    let keys = array.iter().map(|element| match element {
        ValueRef::Text(text) => Value::Text(key(text)),
        other => other.to_owned(),
    });
    let keys: Vec<Value> = keys.collect();
    let keys = keys.iter().map(Value::as_ref);
    let element = ElementType::new(array.element_type());
    Ok(element.map_or(Value::Null, |element| Value::array(element, keys)))
}

fn pair(text: &str) -> String {
    format!("{}{SEPARATOR}{text}", key(text))
}

fn of_pair(pair: &str) -> String {
    let mut texts = pair.match_indices(SEPARATOR).map(|(at, _)| &pair[at + 1..]);
    let whole = |text: &&str| key(text).len() + 1 + text.len() == pair.len();
    texts.find(whole).unwrap_or_default().to_owned()
}

static FOLDS: &[Overload] = &[
    function!("nocase_key"(Text) -> Text, "What the collation nocase compares.", |s: &str| Ok(key(s))),
    function!("nocase_pair"(Text) -> Text, "What the collation nocase compares, and the text.",
        |s: &str| Ok(pair(s))),
    function!("nocase_of_pair"(Text) -> Text, "The text of such a pair.", |s: &str| Ok(of_pair(s))),
    function!(strict generic KEYS(Pattern::Array) -> Pattern::Array,
        "What the collation nocase compares, of each element.", keys),
    function!(strict generic COLLATE(Pattern::Element, Pattern::Is(DataType::Text)) -> Pattern::Element,
        "The first: the second names its collation.", |call| Ok(call.values[0].to_owned())),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[FOLDS];

#[cfg(test)]
mod tests {
    use super::{key, of_pair, pair};

    #[test]
    fn pairs_are_ordered_by_their_keys_and_give_their_texts_back() {
        let texts = ["", "a", "A", "ab", "Ab\u{130}", "b", "B c", "É", "ß"];
        for one in texts {
            assert_eq!(of_pair(&pair(one)), one);
            for other in texts {
                let by_key = key(one).cmp(&key(other));
                assert!(by_key.is_eq() || by_key == pair(one).cmp(&pair(other)));
            }
        }
    }
}
