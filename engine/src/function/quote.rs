//! Text as SQL writes it, and bytes as text: quoting, `encode` and `decode`.

use super::kernel::function;
use super::{EvalContext, Overload, text};
use crate::error::{Error, Result, state};
use remora_storage::{Value, ValueRef};

/// A text as SQL writes it.
pub(super) fn quote_literal(value: &str) -> Result<String> {
    let mut out = String::with_capacity(value.len() + 2);
    // Backslashes are doubled and the literal marked, so that it reads the same everywhere.
    if value.contains('\\') {
        out.push('E');
    }
    out.push('\'');
    for c in value.chars() {
        if matches!(c, '\'' | '\\') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('\'');
    Ok(out)
}

fn quote_nullable(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    match arguments[0] {
        ValueRef::Text(value) => quote_literal(value).map(Value::Text),
        _ => Ok(Value::Text("NULL".to_owned())),
    }
}

/// A name as SQL writes it.
pub(crate) fn quote_ident(name: &str) -> Result<String> {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !is_reserved(name);
    Ok(if plain {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    })
}

/// Whether the word may not stand for a name.
fn is_reserved(word: &str) -> bool {
    sqlparser::keywords::RESERVED_FOR_IDENTIFIER
        .iter()
        .chain(sqlparser::keywords::RESERVED_FOR_COLUMN_ALIAS)
        .any(|keyword| format!("{keyword:?}").eq_ignore_ascii_case(word))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// MIME's base64: lines of 76 characters.
fn encode_base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 4 / 3 + 4);
    for (i, group) in bytes.chunks(3).enumerate() {
        if i > 0 && i % 19 == 0 {
            out.push('\n');
        }
        let word = group
            .iter()
            .fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            if place <= group.len() {
                let index = word >> (18 - 6 * place) & 63;
                out.push(BASE64[index as usize].into());
            } else {
                out.push('=');
            }
        }
    }
    out
}

fn decode_base64(text: &str) -> Result<Vec<u8>> {
    let invalid = |message: String| Error::new(state::INVALID_PARAMETER_VALUE, message);
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut word, mut bits, mut padding) = (0_u32, 0, 0);
    for c in text.chars().filter(|c| !c.is_ascii_whitespace()) {
        if c == '=' {
            padding += 1;
            continue;
        }
        let index = u8::try_from(c)
            .ok()
            .and_then(|b| BASE64.iter().position(|known| *known == b));
        let Some(index) = index.filter(|_| padding == 0) else {
            return Err(invalid(format!(
                "invalid symbol \"{c}\" found while decoding base64 sequence"
            )));
        };
        word = word << 6 | index as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits) as u8);
        }
    }
    // Each character left over and each `=` filled one of four places.
    let expected = match bits {
        0 => 0,
        2 => 1,
        4 => 2,
        _ => 3,
    };
    if padding != expected {
        return Err(invalid("invalid base64 end sequence".to_owned())
            .with_hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
    }
    Ok(out)
}

fn encode_escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            0 | 0x80.. => out.push_str(&format!("\\{byte:03o}")),
            _ => out.push(byte.into()),
        }
    }
    out
}

fn unknown_encoding(name: &str) -> Error {
    Error::new(
        state::INVALID_PARAMETER_VALUE,
        format!("unrecognized encoding: \"{name}\""),
    )
}

fn encode(bytes: &[u8], format: &str) -> Result<String> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => {
            let mut out = String::new();
            text::write_hex(&mut out, bytes);
            Ok(out)
        }
        "base64" => Ok(encode_base64(bytes)),
        "escape" => Ok(encode_escape(bytes)),
        _ => Err(unknown_encoding(format)),
    }
}

fn decode(text: &str, format: &str) -> Result<Vec<u8>> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => text::parse_hex(text),
        "base64" => decode_base64(text),
        "escape" => text::parse_escaped(text),
        _ => Err(unknown_encoding(format)),
    }
}

static QUOTING: &[Overload] = &[
    function!("quote_literal"(Text) -> Text, "As a literal of SQL.", quote_literal),
    function!(row "quote_nullable"(Text) -> Text, "As a literal of SQL, or NULL.", quote_nullable),
    function!("quote_ident"(Text) -> Text, "As a name in SQL.", quote_ident),
    function!("encode"(Bytea, Text) -> Text, "As hex, base64 or escape.", encode),
    function!("decode"(Text, Text) -> Bytea, "From hex, base64 or escape.", decode),
    function!("to_hex"(Integer) -> Text, "In hexadecimal.", |n| Ok(format!("{n:x}"))),
    function!("to_hex"(BigInt) -> Text, "In hexadecimal.", |n| Ok(format!("{n:x}"))),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[QUOTING];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reserved_word_is_quoted() {
        assert_eq!(quote_ident("select").unwrap(), "\"select\"");
        assert_eq!(quote_ident("price").unwrap(), "price");
        assert_eq!(quote_ident("Price\"").unwrap(), "\"Price\"\"\"");
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            format in prop_oneof![Just("hex"), Just("base64"), Just("escape")],
        ) {
            prop_assert_eq!(decode(&encode(&bytes, format).unwrap(), format).unwrap(), bytes);
        }

        #[test]
        fn any_text_decodes_or_is_refused(text in ".*", format in "hex|base64|escape") {
            let _ = decode(&text, &format);
        }
    }
}
