//! Text as SQL writes it, and bytes as text: quoting, `encode` and `decode`.

use super::kernel::function;
use super::{EvalContext, Overload, PIECE_BYTES, Work, pieces, text};
use crate::error::{Error, Result, state};
use remora_storage::{Value, ValueRef};
use sqlparser::keywords::ALL_KEYWORDS;

/// A text as SQL writes it.
pub(super) fn quote_literal(context: &EvalContext, value: &str) -> Result<String> {
    let work = Work::new(context);
    let mut out = String::with_capacity(value.len() + 2);
    // Backslashes are doubled and the literal marked, so that it reads the same everywhere.
    if value.contains('\\') {
        out.push('E');
    }
    out.push('\'');
    for piece in pieces(value) {
        work.spend(piece.len())?;
        for c in piece.chars() {
            if matches!(c, '\'' | '\\') {
                out.push(c);
            }
            out.push(c);
        }
    }
    out.push('\'');
    Ok(out)
}

fn quote_nullable(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    match arguments[0] {
        ValueRef::Text(value) => quote_literal(context, value).map(Value::Text),
        _ => Ok(Value::Text("NULL".to_owned())),
    }
}

/// PostgreSQL's keywords that cannot be a name everywhere: those of `pg_get_keywords()` that are not unreserved.
const KEYWORDS: &str = "all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case \
    cast char character check coalesce collate collation column concurrently constraint create cross \
    current_catalog current_date current_role current_schema current_time current_timestamp current_user dec \
    decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign \
    freeze from full grant greatest group grouping having ilike in initially inner inout int integer intersect \
    interval into is isnull join lateral leading least left like limit localtime localtimestamp national natural \
    nchar none normalize not notnull null nullif numeric offset on only or order out outer overlaps overlay \
    placing position precision primary real references returning right row select session_user setof similar \
    smallint some substring symmetric table tablesample then time timestamp to trailing treat trim true union \
    unique user using values varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement \
    xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable";

/// Words that PostgreSQL accepts as names everywhere, and the grammar's crate does not.
const TAKEN: &str = "async begin directory double enum local replace set top trigger unnest";

/// Quotes a name where needed, so that it is read back wherever a name may stand.
pub(crate) fn quoted(name: &str) -> String {
    match is_plain(name) && !is_keyword(name) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// Like [`quoted`], for the name of a type: quotes all keywords of the grammar's crate, since many of them are types there.
pub(crate) fn quoted_type(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    match ALL_KEYWORDS.binary_search(&upper.as_str()) {
        Ok(_) => format!("\"{name}\""),
        Err(_) => quoted(name),
    }
}

/// Returns whether a name needs no quotes for its characters.
fn is_plain(name: &str) -> bool {
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    starts_well && name.bytes().all(is_plain_inner)
}

/// Returns whether a byte of a name needs no quotes behind its first.
fn is_plain_inner(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

/// Returns whether a word in lower case needs quotes as a name.
fn is_keyword(word: &str) -> bool {
    let all = [KEYWORDS, TAKEN].into_iter();
    all.flat_map(str::split_ascii_whitespace)
        .any(|keyword| keyword == word)
}

/// A name of any length, which in a statement a text may be.
pub(super) fn quote_ident(context: &EvalContext, name: &str) -> Result<String> {
    if name.len() <= PIECE_BYTES {
        return Ok(quoted(name));
    }
    let work = Work::new(context);
    let mut is_bare = name.starts_with(|c: char| !c.is_ascii_digit());
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for piece in pieces(name) {
        work.spend(piece.len())?;
        is_bare &= piece.bytes().all(is_plain_inner);
        quoted.push_str(&piece.replace('"', "\"\""));
    }
    quoted.push('"');
    // So long a name is no keyword.
    Ok(if is_bare { name.to_owned() } else { quoted })
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// MIME's base64: lines of 76 characters.
fn encode_base64(bytes: &[u8], work: &Work<'_>) -> Result<String> {
    let mut out = String::with_capacity(bytes.len() * 4 / 3 + 4);
    for (i, group) in bytes.chunks(3).enumerate() {
        work.spend(group.len())?;
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
    Ok(out)
}

fn decode_base64(text: &str, work: &Work<'_>) -> Result<Vec<u8>> {
    let invalid = |message: String| Error::new(state::INVALID_PARAMETER_VALUE, message);
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut word, mut bits, mut padding) = (0_u32, 0, 0);
    for c in text.chars() {
        work.spend(c.len_utf8())?;
        if c.is_ascii_whitespace() {
            continue;
        }
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

fn encode_escape(bytes: &[u8], work: &Work<'_>) -> Result<String> {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        work.spend(4)?;
        match byte {
            b'\\' => out.push_str("\\\\"),
            0 | 0x80.. => out.push_str(&format!("\\{byte:03o}")),
            _ => out.push(byte.into()),
        }
    }
    Ok(out)
}

fn unknown_encoding(name: &str) -> Error {
    sql_error!(INVALID_PARAMETER_VALUE, "unrecognized encoding: \"{name}\"")
}

fn encode(context: &EvalContext, bytes: &[u8], format: &str) -> Result<String> {
    let work = &Work::new(context);
    match format.to_ascii_lowercase().as_str() {
        "hex" => {
            let mut out = String::new();
            text::write_hex(&mut out, bytes, work)?;
            Ok(out)
        }
        "base64" => encode_base64(bytes, work),
        "escape" => encode_escape(bytes, work),
        _ => Err(unknown_encoding(format)),
    }
}

fn decode(context: &EvalContext, text: &str, format: &str) -> Result<Vec<u8>> {
    let work = &Work::new(context);
    match format.to_ascii_lowercase().as_str() {
        "hex" => text::parse_hex(text, work),
        "base64" => decode_base64(text, work),
        "escape" => text::parse_escaped(text, work),
        _ => Err(unknown_encoding(format)),
    }
}

static QUOTING: &[Overload] = &[
    function!(patient "quote_literal"(Text) -> Text, "As a literal of SQL.", quote_literal),
    function!(row "quote_nullable"(Text) -> Text, "As a literal of SQL, or NULL.", quote_nullable),
    function!(patient "quote_ident"(Text) -> Text, "As a name in SQL.", quote_ident),
    function!(patient "encode"(Bytea, Text) -> Text, "As hex, base64 or escape.", encode),
    function!(patient "decode"(Text, Text) -> Bytea, "From hex, base64 or escape.", decode),
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
        for word in ["select", "when", "between", "current_schema", "top", "int"] {
            assert_eq!(quoted(word), format!("\"{word}\""));
        }
        for word in ["price", "name", "text", "start", "view", "explain", "_1"] {
            assert_eq!(quoted(word), word);
        }
        assert_eq!(quoted("Price\""), "\"Price\"\"\"");
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(
            (quoted("datetime"), quoted_type("datetime")),
            ("datetime".into(), "\"datetime\"".into())
        );
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            format in prop_oneof![Just("hex"), Just("base64"), Just("escape")],
        ) {
            let context = EvalContext::default();
            let encoded = encode(&context, &bytes, format).unwrap();
            prop_assert_eq!(decode(&context, &encoded, format).unwrap(), bytes);
        }

        #[test]
        fn any_text_decodes_or_is_refused(text in ".*", format in "hex|base64|escape") {
            let _ = decode(&EvalContext::default(), &text, &format);
        }
    }
}
