//! Sqids: short texts for lists of numbers, which do not look like numbers that count up.
//!
//! The crate `sqids` does it. It reads more than it writes: texts that no numbers give, and some that it reads in part. So
//! a text that is read is written again, and refused where that is another one.
//!
//! An encoder has to shuffle its alphabet and to sort out which words to avoid. So a thread keeps the one it used last.

use crate::error::{Error, Result, state};
use crate::function::kernel::function;
use crate::function::native::out_of_range;
use crate::function::{GenericCall, Overload, Pattern};
use ::sqids::{DEFAULT_ALPHABET, Error as SqidsError, Sqids};
use remora_storage::value::ElementType;
use remora_storage::{DataType, Value, ValueRef};
use std::cell::RefCell;

const NUMBER: ElementType = match ElementType::new(DataType::BigInt) {
    Some(element) => element,
    None => panic!("an array may be of numbers"),
};
const NUMBERS: Pattern = Pattern::Is(NUMBER.array());
const INTEGER: Pattern = Pattern::Is(DataType::Integer);
const TEXT: Pattern = Pattern::Is(DataType::Text);

/// The most numbers in one text: longer ones take long to read, and nearly always have a word that is to be avoided.
const NUMBERS_MAX: usize = 100;
/// The most characters of an alphabet: all of ASCII.
const ALPHABET_MAX: usize = 128;
/// The most bytes of a text for so many numbers, whatever the alphabet: of three characters two are digits.
const TEXT_BYTES_MAX: usize = NUMBERS_MAX * 65 + 256;

pub(super) static FUNCTIONS: &[Overload] = &[
    function!(strict row "sqids_encode"(BigInt) -> Text, "A short text for numbers.",
        |arguments, _| encode(arguments.iter().copied(), &Choice::default()))
    .variadic(),
    function!(strict generic "variadic sqids_encode"(NUMBERS) -> TEXT,
        "The function, its last arguments as an array: sqids_encode(VARIADIC a).", encode_array),
    function!(strict generic "sqids_encode"(NUMBERS) -> TEXT, "A short text for numbers.",
        encode_array),
    function!(strict generic "sqids_encode"(NUMBERS, INTEGER) -> TEXT,
        "A short text for numbers, of some length at least.", encode_array),
    function!(strict generic "sqids_encode"(NUMBERS, INTEGER, TEXT) -> TEXT,
        "A short text for numbers, of some length at least and of the characters of an alphabet.",
        encode_array),
    function!(strict generic "sqids_decode"(TEXT) -> NUMBERS, "The numbers that a short text is for.",
        decode),
    function!(strict generic "sqids_decode"(TEXT, INTEGER) -> NUMBERS,
        "The numbers that a short text is for, which was given some length at least.", decode),
    function!(strict generic "sqids_decode"(TEXT, INTEGER, TEXT) -> NUMBERS,
        "The numbers that a short text is for, of some length at least and of an alphabet.", decode),
];

/// How texts are written.
#[derive(Clone, PartialEq, Eq)]
struct Choice {
    length_min: u8,
    alphabet: String,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            length_min: 0,
            alphabet: DEFAULT_ALPHABET.to_owned(),
        }
    }
}

impl Choice {
    /// The choice that arguments behind the first make.
    ///
    /// # Errors
    /// 22023 for a length that is none.
    fn of(arguments: &[ValueRef<'_>]) -> Result<Self> {
        let mut choice = Self::default();
        if let Some(ValueRef::Integer(length)) = arguments.first() {
            choice.length_min = u8::try_from(*length).map_err(|_| {
                sql_error!(
                    INVALID_PARAMETER_VALUE,
                    "the least length {length} is out of range 0 .. {}",
                    u8::MAX
                )
            })?;
        }
        if let Some(ValueRef::Text(alphabet)) = arguments.get(1) {
            choice.alphabet = (*alphabet).to_owned();
        }
        Ok(choice)
    }

    /// Calls `f` with an encoder of this kind.
    ///
    /// # Errors
    /// 22023 for an alphabet that is none.
    fn with<T>(&self, f: impl FnOnce(&Sqids) -> Result<T>) -> Result<T> {
        thread_local! {
            static LAST: RefCell<Option<(Choice, Sqids)>> = const { RefCell::new(None) };
        }
        LAST.with_borrow_mut(|last| match last {
            Some((choice, sqids)) if choice == self => f(sqids),
            _ => {
                let sqids = self.build()?;
                let (_, sqids) = last.insert((self.clone(), sqids));
                f(sqids)
            }
        })
    }

    fn build(&self) -> Result<Sqids> {
        // One with more characters than there are in ASCII has one twice, or another one, among the first of them.
        let alphabet = self.alphabet.chars().take(ALPHABET_MAX + 1).collect();
        let builder = Sqids::builder()
            .alphabet(alphabet)
            .min_length(self.length_min);
        builder.build().map_err(|error| {
            sql_error!(
                INVALID_PARAMETER_VALUE,
                "invalid alphabet: \"{}\"",
                self.alphabet
            )
            .with_detail(match error {
                SqidsError::AlphabetMultibyteCharacters => {
                    "An alphabet may have characters of ASCII only."
                }
                SqidsError::AlphabetLength => "An alphabet needs three characters at least.",
                _ => "A character is in it twice.",
            })
        })
    }
}

fn encode_array(call: &GenericCall<'_>) -> Result<Value> {
    let choice = Choice::of(&call.values[1..])?;
    let numbers = call.values[0].as_array().unwrap_or_default();
    encode(numbers.iter(), &choice)
}

/// The text of some numbers.
///
/// # Errors
/// 22004 for a NULL, 22023 for a negative number, 54000 for too many, 22000 where all texts have words that are to be
/// avoided.
fn encode<'v>(numbers: impl Iterator<Item = ValueRef<'v>>, choice: &Choice) -> Result<Value> {
    let mut list = Vec::new();
    for number in numbers {
        let ValueRef::BigInt(number) = number else {
            let message = "a number to be encoded cannot be null";
            return Err(Error::new(state::NULL_VALUE_NOT_ALLOWED, message));
        };
        list.push(u64::try_from(number).map_err(|_| {
            sql_error!(
                INVALID_PARAMETER_VALUE,
                "a negative number cannot be encoded: {number}"
            )
        })?);
        if list.len() > NUMBERS_MAX {
            return Err(sql_error!(
                PROGRAM_LIMIT_EXCEEDED,
                "more than {NUMBERS_MAX} numbers cannot be encoded as one text"
            ));
        }
    }
    choice.with(|sqids| written(sqids, &list)).map(Value::Text)
}

fn written(sqids: &Sqids, numbers: &[u64]) -> Result<String> {
    let found = sqids.encode(numbers);
    found.map_err(|_| {
        sql_error!(
            DATA_EXCEPTION,
            "every text for these numbers has a word that is to be avoided"
        )
        .with_hint("Use an alphabet with more characters.")
    })
}

/// The numbers of a text.
///
/// # Errors
/// 22P02 for a text that no numbers give, 22003 where one is too large.
fn decode(call: &GenericCall<'_>) -> Result<Value> {
    let ValueRef::Text(text) = call.values[0] else {
        return Ok(Value::Null);
    };
    let choice = Choice::of(&call.values[1..])?;
    if text.len() > TEXT_BYTES_MAX {
        return Err(sql_error!(
            INVALID_TEXT_REPRESENTATION,
            "invalid input for sqids: a text of more than {TEXT_BYTES_MAX} bytes"
        ));
    }
    choice.with(|sqids| {
        let mut characters = text.chars().enumerate();
        if let Some((at, found)) = characters.find(|(_, c)| !choice.alphabet.contains(*c)) {
            return Err(super::unreadable("sqids", text, at + 1, found));
        }
        let numbers = sqids.decode(text);
        let is_ours = numbers.len() <= NUMBERS_MAX
            && written(sqids, &numbers).is_ok_and(|again| again == text);
        if !is_ours {
            return Err(sql_error!(
                INVALID_TEXT_REPRESENTATION,
                "invalid input for sqids: \"{text}\""
            )
            .with_detail("No numbers are encoded as this text."));
        }
        let numbers = numbers.into_iter().map(|number| {
            let number = i64::try_from(number);
            number.map_err(|_| out_of_range("bigint"))
        });
        let numbers = numbers.collect::<Result<Vec<i64>>>()?;
        let numbers = numbers.into_iter().map(ValueRef::BigInt);
        Ok(Value::array(NUMBER, numbers))
    })
}
