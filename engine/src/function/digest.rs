//! Digests, and bytes looked at one by one: `md5`, `sha256`, `get_byte`, `set_bit`, `convert_from`, ..

use super::kernel::function;
use super::native::{BigInt, Bytea, Integer, SqlType};
use super::string::Finder;
use super::{EvalContext, Overload, PIECE_BYTES, Work, pieces, text};
use crate::error::{Error, Result};
use md5::{Digest, Md5};
use remora_storage::{Value, ValueRef};
use sha2::{Sha224, Sha256, Sha384, Sha512};

/// The digest of bytes of any number.
fn digest<D: Digest>(context: &EvalContext, bytes: &[u8]) -> Result<Vec<u8>> {
    let work = Work::new(context);
    let mut digest = D::new();
    for piece in bytes.chunks(PIECE_BYTES) {
        work.spend(piece.len())?;
        digest.update(piece);
    }
    Ok(digest.finalize().to_vec())
}

fn md5(context: &EvalContext, bytes: &[u8]) -> Result<String> {
    let mut out = String::with_capacity(32);
    let digest = digest::<Md5>(context, bytes)?;
    text::write_hex(&mut out, &digest, &Work::unasked())?;
    Ok(out)
}

/// The place of a byte or bit, if there is one.
fn place(index: i64, count: usize) -> Result<usize> {
    usize::try_from(index)
        .ok()
        .filter(|index| *index < count)
        .ok_or_else(|| {
            let last = count as i64 - 1;
            sql_error!(
                ARRAY_SUBSCRIPT_ERROR,
                "index {index} out of valid range, 0..{last}"
            )
        })
}

fn get_byte(bytes: &[u8], index: i32) -> Result<i32> {
    Ok(bytes[place(index.into(), bytes.len())?].into())
}

fn get_bit(bytes: &[u8], index: i64) -> Result<i32> {
    let at = place(index, bytes.len().saturating_mul(8))?;
    Ok((bytes[at / 8] >> (at % 8) & 1).into())
}

fn set_byte(bytes: &[u8], index: i32, new: i32) -> Result<Vec<u8>> {
    let at = place(index.into(), bytes.len())?;
    let mut out = bytes.to_vec();
    // Of a larger number the lowest byte counts, as in PostgreSQL.
    out[at] = new as u8;
    Ok(out)
}

fn set_bit(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    let bytes = Bytea::of(arguments[0]);
    let at = place(BigInt::of(arguments[1]), bytes.len().saturating_mul(8))?;
    let mask = 1 << (at % 8);
    let mut out = bytes.to_vec();
    match Integer::of(arguments[2]) {
        0 => out[at / 8] &= !mask,
        1 => out[at / 8] |= mask,
        _ => {
            return Err(sql_error!(
                INVALID_PARAMETER_VALUE,
                "new bit must be 0 or 1"
            ));
        }
    }
    Ok(Value::Bytea(out))
}

/// Letters and digits of the longest name of an encoding.
const NAME_LETTERS_MAX: usize = "iso88591".len();

/// An encoding that there is.
enum Encoding {
    Utf8,
    Latin1,
}

fn encoding(name: &str, role: &str) -> Result<Encoding> {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .take(NAME_LETTERS_MAX + 1)
        .collect();
    match plain.as_str() {
        "utf8" | "unicode" => Ok(Encoding::Utf8),
        "latin1" | "iso88591" => Ok(Encoding::Latin1),
        _ => Err(sql_error!(
            INVALID_PARAMETER_VALUE,
            "invalid {role} encoding name \"{name}\""
        )),
    }
}

fn convert_from(context: &EvalContext, bytes: &[u8], name: &str) -> Result<String> {
    let invalid = |at: usize| {
        let end = bytes.len().min(at + 4);
        let shown: Vec<String> = bytes[at..end]
            .iter()
            .take(1)
            .map(|b| format!("0x{b:02x}"))
            .collect();
        sql_error!(
            CHARACTER_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\": {}",
            shown.join(" ")
        )
    };
    if let Some(at) = bytes.iter().position(|b| *b == 0) {
        return Err(invalid(at));
    }
    match encoding(name, "source")? {
        Encoding::Utf8 => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(invalid(error.valid_up_to())),
        },
        Encoding::Latin1 => {
            let work = Work::new(context);
            let mut text = String::with_capacity(bytes.len());
            for piece in bytes.chunks(PIECE_BYTES) {
                work.spend(piece.len())?;
                text.extend(piece.iter().map(|byte| char::from(*byte)));
            }
            Ok(text)
        }
    }
}

fn convert_to(context: &EvalContext, text: &str, name: &str) -> Result<Vec<u8>> {
    match encoding(name, "destination")? {
        Encoding::Utf8 => Ok(text.as_bytes().to_vec()),
        Encoding::Latin1 => {
            let work = Work::new(context);
            let mut bytes = Vec::with_capacity(text.len());
            for piece in pieces(text) {
                work.spend(piece.len())?;
                for c in piece.chars() {
                    bytes.push(u8::try_from(c).map_err(|_| untranslatable(c))?);
                }
            }
            Ok(bytes)
        }
    }
}

fn untranslatable(c: char) -> Error {
    let bytes = c.to_string().into_bytes();
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("0x{byte:02x}")).collect();
    sql_error!(
        UNTRANSLATABLE_CHARACTER,
        "character with byte sequence {} in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"",
        bytes.join(" ")
    )
}

fn byte_position(context: &EvalContext, whole: &[u8], part: &[u8]) -> Result<i32> {
    let found = Finder::of(part).find(whole, 0, &Work::new(context))?;
    Ok(found.map_or(0, |at| at as i32 + 1))
}

/// The bytes without those of a set at their ends, or at one of them.
fn byte_trim(
    context: &EvalContext,
    bytes: &[u8],
    set: &[u8],
    (start, end): (bool, bool),
) -> Result<Vec<u8>> {
    let work = Work::new(context);
    let mut left = bytes;
    while let [first, rest @ ..] = left
        && start
        && set.contains(first)
    {
        work.spend(1 + set.len())?;
        left = rest;
    }
    while let [rest @ .., last] = left
        && end
        && set.contains(last)
    {
        work.spend(1 + set.len())?;
        left = rest;
    }
    Ok(left.to_vec())
}

static DIGESTS: &[Overload] = &[
    function!(patient "md5"(Text) -> Text, "The MD5 digest in hexadecimal.",
        |context, s: &str| md5(context, s.as_bytes())),
    function!(patient "md5"(Bytea) -> Text, "The MD5 digest in hexadecimal.", md5),
    function!(patient "sha224"(Bytea) -> Bytea, "The SHA-224 digest.", digest::<Sha224>),
    function!(patient "sha256"(Bytea) -> Bytea, "The SHA-256 digest.", digest::<Sha256>),
    function!(patient "sha384"(Bytea) -> Bytea, "The SHA-384 digest.", digest::<Sha384>),
    function!(patient "sha512"(Bytea) -> Bytea, "The SHA-512 digest.", digest::<Sha512>),
];

static BYTES: &[Overload] = &[
    function!("get_byte"(Bytea, Integer) -> Integer, "The byte at a place, from 0.", get_byte),
    function!("set_byte"(Bytea, Integer, Integer) -> Bytea, "With another byte at a place.", set_byte),
    function!("get_bit"(Bytea, BigInt) -> Integer, "The bit at a place, from 0.", get_bit),
    function!(strict row "set_bit"(Bytea, BigInt, Integer) -> Bytea, "With another bit at a place.",
        set_bit),
    function!("bit_count"(Bytea) -> BigInt, "How many bits are 1.",
        |b: &[u8]| Ok(b.iter().map(|byte| i64::from(byte.count_ones())).sum())),
    function!(patient "position"(Bytea, Bytea) -> Integer, "Where the second begins in the first.",
        byte_position),
    function!(patient "btrim"(Bytea, Bytea) -> Bytea, "Without these bytes at both ends.",
        |context, b, set| byte_trim(context, b, set, (true, true))),
    function!(patient "ltrim"(Bytea, Bytea) -> Bytea, "Without these bytes at the start.",
        |context, b, set| byte_trim(context, b, set, (true, false))),
    function!(patient "rtrim"(Bytea, Bytea) -> Bytea, "Without these bytes at the end.",
        |context, b, set| byte_trim(context, b, set, (false, true))),
    function!(patient "convert_from"(Bytea, Text) -> Text, "Bytes in an encoding as text.",
        convert_from),
    function!(patient "convert_to"(Text, Text) -> Bytea, "Text as bytes in an encoding.",
        convert_to),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[DIGESTS, BYTES];
