//! Names of relations within texts, as in `nextval('public."Odd name"')`.

use crate::error::{Error, Result};
use std::fmt;

/// The longest text that may be a name: one is looked at character by character, which nothing interrupts.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// The name of a relation; shown so that it is read back as the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RelationName {
    /// The schema, if it is said.
    pub schema: Option<String>,
    /// Its name there.
    pub name: String,
}

impl RelationName {
    /// Reads a name, folded where it is not quoted, with or without a schema.
    ///
    /// # Errors
    /// 42602 where the text is no name, 0A000 for more parts.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let invalid = || sql_error!(INVALID_NAME, "invalid name syntax");
        if text.len() > TEXT_BYTES_MAX {
            return Err(invalid().with_detail("It is too long for a name."));
        }
        let mut parts = Vec::new();
        let mut rest = text.trim();
        loop {
            let (part, behind) = part(rest).ok_or_else(invalid)?;
            parts.push(part);
            let behind = behind.trim_start();
            match behind.strip_prefix('.') {
                Some(next) => rest = next.trim_start(),
                None if behind.is_empty() => break,
                None => return Err(invalid()),
            }
        }
        let name = parts.pop().unwrap_or_default();
        let schema = parts.pop();
        match parts.is_empty() {
            true => Ok(Self { schema, name }),
            false => Err(Error::unsupported("a name of more than two parts")),
        }
    }
}

/// The first part of a dotted name, and what is behind it.
fn part(text: &str) -> Option<(String, &str)> {
    if let Some(mut rest) = text.strip_prefix('"') {
        let mut name = String::new();
        loop {
            let end = rest.find('"')?;
            name.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            match rest.strip_prefix('"') {
                Some(behind) => rest = behind,
                None => return (!name.is_empty()).then_some((name, rest)),
            }
            name.push('"');
        }
    }
    let (name, rest) = text.split_at(plain_bytes(text));
    let starts_well = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let folded = || match name.is_ascii() {
        true => name.to_ascii_lowercase(),
        false => name.to_lowercase(),
    };
    starts_well.then(|| (folded(), rest))
}

/// How many bytes at the start of a text may stand in a name without quotes.
fn plain_bytes(text: &str) -> usize {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$');
    let end = text.bytes().position(|byte| !is_plain(&byte));
    let end = end.unwrap_or(text.len());
    // Nearly all names are of ASCII: a default looks its sequence up for each row.
    match text.as_bytes().get(end) {
        Some(byte) if !byte.is_ascii() => {
            let is_inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
            text.find(|c: char| !is_inside(c)).unwrap_or(text.len())
        }
        _ => end,
    }
}

impl fmt::Display for RelationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", shown(schema))?;
        }
        f.write_str(&shown(&self.name))
    }
}

fn shown(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    match starts_well && name.chars().all(plain) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_unless_quoted_and_shown_as_they_are_read() {
        for (text, schema, name) in [
            ("s", None, "s"),
            (" Seq_1 ", None, "seq_1"),
            ("public.S", Some("public"), "s"),
            ("\"Odd \"\"name\"", None, "Odd \"name"),
            ("PUBLIC . \"s\"", Some("public"), "s"),
            ("größe", None, "größe"),
            ("\"Other one\".s", Some("Other one"), "s"),
        ] {
            let parsed = RelationName::parse(text).expect(text);
            assert_eq!((parsed.schema.as_deref(), &*parsed.name), (schema, name));
            assert_eq!(
                RelationName::parse(&parsed.to_string()).expect(text),
                parsed
            );
        }
        for (text, state) in [
            ("", "42602"),
            ("1s", "42602"),
            ("s.", "42602"),
            ("\"", "42602"),
            ("\"\"", "42602"),
            ("a b", "42602"),
            ("a.b.s", "0A000"),
        ] {
            assert_eq!(RelationName::parse(text).expect_err(text).sqlstate(), state);
        }
    }
}
