//! Base 62: short texts for numbers, of the digits `0-9 a-z A-Z`.
//!
//! Our own: the crates for it know other alphabets, and do not say which character they could not read.

use super::unreadable;
use crate::error::Result;
use crate::function::Overload;
use crate::function::kernel::function;
use crate::function::native::out_of_range;

const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const BASE: i64 = DIGITS.len() as i64;
/// A longer text is no number, whatever zeros it begins with.
const TEXT_BYTES_MAX: usize = 64 << 10;

pub(super) static FUNCTIONS: &[Overload] = &[
    function!("base62_encode"(BigInt) -> Text, "A number that is not negative, in base 62.", encode),
    function!("base62_decode"(Text) -> BigInt, "The number that a text in base 62 is.", decode),
];

fn encode(number: i64) -> Result<String> {
    if number < 0 {
        return Err(sql_error!(
            INVALID_PARAMETER_VALUE,
            "a negative number cannot be written in base 62"
        ));
    }
    let mut digits = Vec::new();
    let mut rest = number;
    loop {
        digits.push(char::from(DIGITS[(rest % BASE) as usize]));
        rest /= BASE;
        if rest == 0 {
            return Ok(digits.into_iter().rev().collect());
        }
    }
}

fn decode(text: &str) -> Result<i64> {
    if text.is_empty() {
        return Err(sql_error!(
            INVALID_TEXT_REPRESENTATION,
            "invalid input for base 62: \"\""
        ));
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(out_of_range("bigint"));
    }
    let mut number: Option<i64> = Some(0);
    for (at, found) in text.chars().enumerate() {
        let digit = DIGITS.iter().position(|digit| char::from(*digit) == found);
        let digit = digit.ok_or_else(|| unreadable("base 62", text, at + 1, found))?;
        let shifted = number.and_then(|number| number.checked_mul(BASE));
        number = shifted.and_then(|number| number.checked_add(digit as i64));
    }
    number.ok_or_else(|| out_of_range("bigint"))
}
