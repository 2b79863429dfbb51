//! Bit strings: `BIT(n)` and `BIT VARYING(n)`, and PostgreSQL's functions of them.
//!
//! A value is held as the characters `0` and `1`, so that it compares, is cut and is put together as bytes are.

use super::check_size;
use super::kernel::function;
use super::native::{self, Integer, SqlType};
use super::string::Finder;
use super::{EvalContext, Overload, PIECE_BYTES, Work, joined, pieces};
use crate::error::{Error, Result};
use remora_storage::value::PackedType;
use remora_storage::{DataType, Value, ValueRef};

const ZERO: u8 = b'0';
const ONE: u8 = b'1';

/// Bit strings of any length, as a value.
pub(crate) fn owned(bits: Vec<u8>) -> Value {
    Value::Packed(PackedType::Bit(0), bits)
}

/// Reads `101`, `B101` or `X1F`.
///
/// # Errors
/// 22P02.
pub(crate) fn parse(text: &str, work: &Work<'_>) -> Result<Vec<u8>> {
    let refuse = |digit: char, kind: &str| {
        sql_error!(
            INVALID_TEXT_REPRESENTATION,
            "\"{digit}\" is not a valid {kind} digit"
        )
    };
    if let Some(digits) = text.strip_prefix(['x', 'X']) {
        check_size(digits.len().checked_mul(4))?;
        let mut bits = Vec::with_capacity(digits.len() * 4);
        for digit in digits.chars() {
            work.spend(4)?;
            let value = digit
                .to_digit(16)
                .ok_or_else(|| refuse(digit, "hexadecimal"))?;
            bits.extend((0..4).rev().map(|place| ZERO + (value >> place & 1) as u8));
        }
        return Ok(bits);
    }
    let digits = text.strip_prefix(['b', 'B']).unwrap_or(text);
    for piece in pieces(digits) {
        work.spend(piece.len())?;
        if let Some(digit) = piece.chars().find(|digit| !matches!(digit, '0' | '1')) {
            return Err(refuse(digit, "binary"));
        }
    }
    Ok(digits.as_bytes().to_vec())
}

/// Bits as a type holds them: cut or filled up with zeros at the end where the cast is explicit.
///
/// # Errors
/// 22026 and 22001 for another length where it is not.
pub(crate) fn fit(mut bits: Vec<u8>, to: PackedType, explicit: bool) -> Result<Vec<u8>> {
    match to {
        PackedType::Bit(0) | PackedType::VarBit(0) => Ok(bits),
        PackedType::Bit(length) => {
            let wanted = length as usize;
            if bits.len() != wanted && !explicit {
                return Err(sql_error!(
                    STRING_DATA_LENGTH_MISMATCH,
                    "bit string length {} does not match type bit({length})",
                    bits.len()
                ));
            }
            bits.resize(wanted, ZERO);
            Ok(bits)
        }
        PackedType::VarBit(limit) => {
            if bits.len() > limit as usize && !explicit {
                return Err(sql_error!(
                    STRING_DATA_RIGHT_TRUNCATION,
                    "bit string too long for type bit varying({limit})"
                ));
            }
            bits.truncate(limit as usize);
            Ok(bits)
        }
        _ => Ok(bits),
    }
}

/// The last bits of a number of `width` bits; of more than it has, those before are its sign. No length is one bit.
pub(crate) fn of_integer(value: i64, width: u32, length: u32) -> Vec<u8> {
    let bit = |place: u32| ZERO + (value >> place.min(width - 1) & 1) as u8;
    (0..length.max(1)).rev().map(bit).collect()
}

/// The number of up to `width` bits that bits are.
///
/// # Errors
/// 22003.
pub(crate) fn to_integer(bits: &[u8], to: DataType) -> Result<Value> {
    let width = if to == DataType::Integer { 32 } else { 64 };
    if bits.len() > width {
        return Err(native::out_of_range(&to.to_string()));
    }
    let number = bits
        .iter()
        .fold(0_u64, |sum, bit| sum << 1 | u64::from(*bit == ONE));
    Ok(match to {
        DataType::Integer => Value::Integer(number as u32 as i32),
        _ => Value::BigInt(number as i64),
    })
}

fn zip(
    a: &[u8],
    b: &[u8],
    what: &str,
    work: &Work<'_>,
    keeps: impl Fn(bool, bool) -> bool,
) -> Result<Vec<u8>> {
    if a.len() != b.len() {
        return Err(sql_error!(
            STRING_DATA_LENGTH_MISMATCH,
            "cannot {what} bit strings of different sizes"
        ));
    }
    let one = |(a, b): (&u8, &u8)| ZERO + u8::from(keeps(*a == ONE, *b == ONE));
    let mut bits = Vec::with_capacity(a.len());
    for (a, b) in a.chunks(PIECE_BYTES).zip(b.chunks(PIECE_BYTES)) {
        work.spend(a.len())?;
        bits.extend(a.iter().zip(b).map(one));
    }
    Ok(bits)
}

/// Bits that are 1 in both.
pub(super) fn and(a: &[u8], b: &[u8], work: &Work<'_>) -> Result<Vec<u8>> {
    zip(a, b, "AND", work, |a, b| a && b)
}

/// Bits that are 1 in either.
pub(super) fn or(a: &[u8], b: &[u8], work: &Work<'_>) -> Result<Vec<u8>> {
    zip(a, b, "OR", work, |a, b| a || b)
}

/// Bits that are 1 in one of both.
pub(super) fn xor(a: &[u8], b: &[u8], work: &Work<'_>) -> Result<Vec<u8>> {
    zip(a, b, "XOR", work, |a, b| a != b)
}

fn not(context: &EvalContext, bits: &[u8]) -> Result<Vec<u8>> {
    let mut turned = Vec::with_capacity(context.room(Some(bits.len()))?);
    let work = Work::new(context);
    for piece in bits.chunks(PIECE_BYTES) {
        work.spend(piece.len())?;
        turned.extend(piece.iter().map(|bit| bit ^ ZERO ^ ONE));
    }
    Ok(turned)
}

/// To the left, or to the right where the distance is negative.
fn shift(context: &EvalContext, bits: &[u8], distance: i64) -> Result<Vec<u8>> {
    let length = bits.len();
    let by = distance.unsigned_abs().min(length as u64) as usize;
    let zeros = vec![ZERO; by];
    match distance < 0 {
        true => join(context, &zeros, &bits[..length - by]),
        false => join(context, &bits[by..], &zeros),
    }
}

fn join(context: &EvalContext, a: &[u8], b: &[u8]) -> Result<Vec<u8>> {
    joined([a, b].into_iter(), context)
}

fn negative_length() -> Error {
    sql_error!(SUBSTRING_ERROR, "negative substring length not allowed")
}

/// The bits from one place up to another, counted from 1.
fn between(bits: &[u8], from: i64, to: i64) -> &[u8] {
    let end = (to - 1).clamp(0, bits.len() as i64) as usize;
    let start = (from - 1).clamp(0, end as i64) as usize;
    &bits[start..end]
}

fn part(bits: &[u8], start: i32, count: i32) -> Result<Vec<u8>> {
    if count < 0 {
        return Err(negative_length());
    }
    let start = i64::from(start);
    Ok(between(bits, start, start + i64::from(count)).to_vec())
}

fn position(context: &EvalContext, bits: &[u8], part: &[u8]) -> Result<i32> {
    if part.is_empty() {
        return Ok(i32::from(!bits.is_empty()));
    }
    let found = Finder::of(part).find(bits, 0, &Work::new(context))?;
    Ok(found.map_or(0, |at| at as i32 + 1))
}

fn overlay(
    context: &EvalContext,
    bits: &[u8],
    new: &[u8],
    start: i32,
    count: i64,
) -> Result<Vec<u8>> {
    if start <= 0 || count < 0 {
        return Err(negative_length());
    }
    let start = i64::from(start);
    let before = between(bits, 1, start);
    let after = between(bits, start.saturating_add(count), i64::MAX);
    joined([before, new, after].into_iter(), context)
}

/// `overlay` with the count, which is one argument more than [`function!`] unpacks.
fn overlay_for(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let (bits, new) = (native::Bit::of(arguments[0]), native::Bit::of(arguments[1]));
    let (start, count) = (Integer::of(arguments[2]), Integer::of(arguments[3]));
    overlay(context, bits, new, start, count.into()).map(owned)
}

fn place(bits: &[u8], at: i32) -> Result<usize> {
    let found = usize::try_from(at).ok().filter(|at| *at < bits.len());
    found.ok_or_else(|| {
        sql_error!(
            ARRAY_SUBSCRIPT_ERROR,
            "bit index {at} out of valid range (0..{})",
            bits.len() as i64 - 1
        )
    })
}

fn set_bit(bits: &[u8], at: i32, bit: i32) -> Result<Vec<u8>> {
    let at = place(bits, at)?;
    if !matches!(bit, 0 | 1) {
        return Err(sql_error!(
            INVALID_PARAMETER_VALUE,
            "new bit must be 0 or 1"
        ));
    }
    let mut changed = bits.to_vec();
    changed[at] = ZERO + bit as u8;
    Ok(changed)
}

static OPERATORS: &[Overload] = &[
    function!(patient "&"(Bit, Bit) -> Bit, "Bits that are 1 in both.",
        |context, a, b| and(a, b, &Work::new(context))),
    function!(patient "|"(Bit, Bit) -> Bit, "Bits that are 1 in either.",
        |context, a, b| or(a, b, &Work::new(context))),
    function!(patient "#"(Bit, Bit) -> Bit, "Bits that are 1 in one of both.",
        |context, a, b| xor(a, b, &Work::new(context))),
    function!(patient "~"(Bit) -> Bit, "Each bit turned.", not),
    function!(patient "<<"(Bit, Integer) -> Bit, "Bits moved to the left.",
        |context, bits, by| shift(context, bits, i64::from(by))),
    function!(patient ">>"(Bit, Integer) -> Bit, "Bits moved to the right.",
        |context, bits, by| shift(context, bits, -i64::from(by))),
    function!(patient "||"(VarBit, VarBit) -> VarBit, "One after the other.", join),
];

static PARTS: &[Overload] = &[
    function!("length"(Bit) -> Integer, "Bits.", |bits: &[u8]| Ok(bits.len() as i32)),
    function!("bit_length"(Bit) -> Integer, "Bits.", |bits: &[u8]| Ok(bits.len() as i32)),
    function!("octet_length"(Bit) -> Integer, "Bytes that the bits fill.",
        |bits: &[u8]| Ok(bits.len().div_ceil(8) as i32)),
    function!("bit_count"(Bit) -> BigInt, "How many bits are 1.",
        |bits: &[u8]| Ok(bits.iter().filter(|bit| **bit == ONE).count() as i64)),
    function!("substring"(Bit, Integer) -> Bit, "From a position on.",
        |bits: &[u8], start| Ok(between(bits, i64::from(start), i64::MAX).to_vec())),
    function!("substring"(Bit, Integer, Integer) -> Bit, "So many from a position on.", part),
    function!(patient "position"(Bit, Bit) -> Integer, "Where the second begins in the first.", position),
    function!(patient "overlay"(Bit, Bit, Integer) -> Bit, "A part replaced.",
        |context, bits: &[u8], new: &[u8], start| overlay(context, bits, new, start, new.len() as i64)),
    function!(strict row "overlay"(Bit, Bit, Integer, Integer) -> Bit, "A part replaced.",
        overlay_for),
    function!("get_bit"(Bit, Integer) -> Integer, "The bit at a place, from 0.",
        |bits: &[u8], at| Ok(i32::from(bits[place(bits, at)?] == ONE))),
    function!("set_bit"(Bit, Integer, Integer) -> Bit, "With another bit at a place.", set_bit),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[OPERATORS, PARTS];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_bits_are_each_other() {
        for number in [0, 1, -1, 44, i64::from(i32::MIN)] {
            let bits = of_integer(number, 64, 64);
            assert_eq!(
                to_integer(&bits, DataType::BigInt).unwrap(),
                Value::BigInt(number)
            );
        }
        assert_eq!(of_integer(44, 32, 3), b"100");
        assert_eq!(of_integer(-1, 32, 66), [ONE; 66]);
        assert_eq!(
            to_integer(&[ONE; 33], DataType::Integer)
                .unwrap_err()
                .sqlstate(),
            "22003"
        );
    }

    #[test]
    fn what_is_no_digit_is_refused() {
        let read = |text| parse(text, &Work::unasked());
        assert_eq!(read("x1F").unwrap(), b"00011111");
        assert_eq!(read("102").unwrap_err().sqlstate(), "22P02");
        assert_eq!(read("xG").unwrap_err().sqlstate(), "22P02");
    }
}
