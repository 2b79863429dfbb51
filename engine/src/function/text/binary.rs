//! BOOLEAN, BYTEA and UUID from and to text.

use super::super::{PIECE_BYTES, Work};
use super::invalid;
use super::number::trim;
use crate::error::{Result, state};
use std::fmt::Write;

/// Reads a BOOLEAN: any unambiguous prefix of true, false, yes, no, on, off; 1 and 0.
pub(super) fn parse_boolean(text: &str) -> Result<bool> {
    let word = trim(text).to_ascii_lowercase();
    let prefix = |full: &str, least: usize| word.len() >= least && full.starts_with(&word);
    if word == "1" || prefix("true", 1) || prefix("yes", 1) || prefix("on", 2) {
        Ok(true)
    } else if word == "0" || prefix("false", 1) || prefix("no", 1) || prefix("off", 2) {
        Ok(false)
    } else {
        Err(invalid(state::INVALID_TEXT_REPRESENTATION, "boolean", text))
    }
}

/// Appends two hexadecimal digits a byte.
pub(crate) fn write_hex(out: &mut String, bytes: &[u8], work: &Work<'_>) -> Result<()> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for piece in bytes.chunks(PIECE_BYTES) {
        work.spend(piece.len())?;
        for byte in piece {
            out.push(DIGITS[usize::from(byte >> 4)].into());
            out.push(DIGITS[usize::from(byte & 15)].into());
        }
    }
    Ok(())
}

/// Reads a BYTEA: `\x` and hexadecimal digits, or text with octal escapes.
pub(crate) fn parse_bytea(text: &str, work: &Work<'_>) -> Result<Vec<u8>> {
    match text
        .strip_prefix("\\x")
        .or_else(|| text.strip_prefix("\\X"))
    {
        Some(hex) => parse_hex(hex, work),
        None => parse_escaped(text, work),
    }
}

/// Reads pairs of hexadecimal digits; white space may stand between pairs.
pub(crate) fn parse_hex(text: &str, work: &Work<'_>) -> Result<Vec<u8>> {
    let digit = |c: char| {
        c.to_digit(16).map(|d| d as u8).ok_or_else(|| {
            sql_error!(
                INVALID_PARAMETER_VALUE,
                "invalid hexadecimal digit: \"{c}\""
            )
        })
    };
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut chars = text
        .chars()
        .filter(|c| !matches!(c, ' ' | '\n' | '\t' | '\r'));
    while let Some(high) = chars.next() {
        let high = digit(high)?;
        let low = chars.next().ok_or_else(|| {
            sql_error!(
                INVALID_PARAMETER_VALUE,
                "invalid hexadecimal data: odd number of digits"
            )
        })?;
        out.push(high << 4 | digit(low)?);
        work.spend(2)?;
    }
    Ok(out)
}

/// Reads BYTEA's escape form: `\\` is a backslash, `\ooo` a byte in octal.
pub(crate) fn parse_escaped(text: &str, work: &Work<'_>) -> Result<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        work.spend(1)?;
        if byte != b'\\' {
            out.push(byte);
            at += 1;
            continue;
        }
        match bytes.get(at + 1..) {
            Some([b'\\', ..]) => {
                out.push(b'\\');
                at += 2;
            }
            Some([a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                at += 4;
            }
            _ => {
                return Err(sql_error!(
                    INVALID_TEXT_REPRESENTATION,
                    "invalid input syntax for type bytea"
                ));
            }
        }
    }
    Ok(out)
}

/// Writes BYTEA's escape form.
pub(super) fn write_escaped(out: &mut String, bytes: &[u8], work: &Work<'_>) -> Result<()> {
    for &byte in bytes {
        work.spend(4)?;
        match byte {
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(byte.into()),
            _ => {
                let _ = write!(out, "\\{byte:03o}");
            }
        }
    }
    Ok(())
}

/// Reads a UUID: 32 hexadecimal digits, a hyphen allowed after each four, braces around.
pub(super) fn parse_uuid(text: &str) -> Result<[u8; 16]> {
    let error = || invalid(state::INVALID_TEXT_REPRESENTATION, "uuid", text);
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').ok_or_else(error)?,
        None => text,
    };
    let mut out = [0; 16];
    let mut digits = 0;
    for (at, c) in inner.chars().enumerate() {
        if c == '-' && digits % 4 == 0 && digits > 0 && digits < 32 {
            // Not two in a row.
            if inner.as_bytes().get(at + 1) == Some(&b'-') {
                return Err(error());
            }
            continue;
        }
        let value = c.to_digit(16).filter(|_| digits < 32).ok_or_else(error)? as u8;
        out[digits / 2] = out[digits / 2] << 4 | value;
        digits += 1;
    }
    if digits == 32 { Ok(out) } else { Err(error()) }
}

/// Writes a UUID.
pub(super) fn write_uuid(out: &mut String, bytes: [u8; 16]) {
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        let _ = write!(out, "{byte:02x}");
    }
}
