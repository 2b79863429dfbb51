//! Names of relations within texts, as in `nextval('public."Odd name"')`.

use crate::error::{Error, Result, state};
use std::fmt;

/// The name of a relation; shown so that it is read back as the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SequenceName(pub String);

impl SequenceName {
    /// Reads a name, folded where it is not quoted, with or without the one schema there is.
    ///
    /// # Errors
    /// 42602 where the text is no name, 3F000 where it names another schema, 0A000 for more parts.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let invalid = || Error::new(state::INVALID_NAME, "invalid name syntax");
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
        match parts.as_slice() {
            [] => Ok(Self(name)),
            [schema] if schema == "public" => Ok(Self(name)),
            [schema] => Err(Error::new(
                state::INVALID_SCHEMA_NAME,
                format!("schema \"{schema}\" does not exist"),
            )),
            _ => Err(Error::unsupported("a name of more than two parts")),
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
    let is_inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    let end = text.find(|c: char| !is_inside(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let starts_well = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    starts_well.then(|| (name.to_lowercase(), rest))
}

impl fmt::Display for SequenceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let starts_well = self
            .0
            .starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        match starts_well && self.0.chars().all(plain) {
            true => f.write_str(&self.0),
            false => write!(f, "\"{}\"", self.0.replace('"', "\"\"")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_unless_quoted_and_shown_as_they_are_read() {
        for (text, name) in [
            ("s", "s"),
            (" Seq_1 ", "seq_1"),
            ("public.S", "s"),
            ("\"Odd \"\"name\"", "Odd \"name"),
            ("PUBLIC . \"s\"", "s"),
            ("größe", "größe"),
        ] {
            let parsed = SequenceName::parse(text).expect(text);
            assert_eq!(parsed.0, name);
            assert_eq!(
                SequenceName::parse(&parsed.to_string()).expect(text),
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
            ("other.s", "3F000"),
            ("a.b.s", "0A000"),
        ] {
            assert_eq!(SequenceName::parse(text).expect_err(text).sqlstate(), state);
        }
    }
}
