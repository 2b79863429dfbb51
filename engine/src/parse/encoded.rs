//! `E'\xC3'`: bytes of characters, of which the grammar's crate reads those of ASCII only. It calls a string with others
//! unterminated; here it is found out what is wrong with it.

use super::refuse;
use crate::error::{Error, Position, state};
use std::iter::Peekable;
use std::str::Chars;

/// The complaint about an encoded string that begins at the start of a text; `None` where there is no other than
/// the crate's.
pub(super) fn complaint(text: &str, at: Option<Position>) -> Option<Error> {
    let mut rest = text
        .strip_prefix(['e', 'E'])?
        .strip_prefix('\'')?
        .chars()
        .peekable();
    let mut bytes = Vec::new();
    loop {
        match rest.next()? {
            '\'' if rest.next_if_eq(&'\'').is_some() => bytes.push(b'\''),
            '\'' => break,
            '\\' => push_escaped(&mut rest, &mut bytes)?,
            other => bytes.extend(other.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    let Err(error) = std::str::from_utf8(&bytes) else {
        let zero = bytes.contains(&0).then(|| invalid(&[0], at));
        return zero.or_else(|| refuse::<()>("a character written by its bytes", at).err());
    };
    let wrong = &bytes[error.valid_up_to()..];
    let length = match wrong.first() {
        Some(0xC0..=0xDF) => 2,
        Some(0xE0..=0xEF) => 3,
        Some(0xF0..=0xF7) => 4,
        _ => 1,
    };
    Some(invalid(&wrong[..length.min(wrong.len())], at))
}

/// The byte or character that a backslash begins; `None` for one that is no byte's.
fn push_escaped(rest: &mut Peekable<Chars<'_>>, bytes: &mut Vec<u8>) -> Option<()> {
    match *rest.peek()? {
        'x' => {
            rest.next();
            rest.peek().filter(|digit| digit.is_ascii_hexdigit())?;
            bytes.push(number(rest, 2, 16));
        }
        '0'..='7' => bytes.push(number(rest, 3, 8)),
        'u' | 'U' => return None,
        other => {
            rest.next();
            bytes.extend(other.encode_utf8(&mut [0; 4]).bytes());
        }
    }
    Some(())
}

/// A byte of at most so many digits; of a greater number its last eight bits.
fn number(rest: &mut Peekable<Chars<'_>>, digits: usize, radix: u32) -> u8 {
    let mut found = 0;
    for _ in 0..digits {
        let digit = rest.next_if(|digit| digit.is_digit(radix));
        let Some(digit) = digit.and_then(|digit| digit.to_digit(radix)) else {
            break;
        };
        found = found * radix + digit;
    }
    (found & 0xFF) as u8
}

fn invalid(bytes: &[u8], at: Option<Position>) -> Error {
    let shown: Vec<String> = bytes.iter().map(|byte| format!("{byte:#04x}")).collect();
    let shown = shown.join(" ");
    let message = format!("invalid byte sequence for encoding \"UTF8\": {shown}");
    Error::new(state::CHARACTER_NOT_IN_REPERTOIRE, message).at(at)
}
