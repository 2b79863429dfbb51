//! Names: folded as PostgreSQL folds them, and guessed at when they are nearly right.

use crate::error::{Error, Position, Result, state};
use crate::function::RelationName;
use crate::parse::place;
use remora_storage::limits::IDENTIFIER_BYTES_MAX;
use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

/// Words that PostgreSQL reserves: unquoted they are never names. The grammar's crate accepts some
/// of them where a name may stand, so `FROM WHERE x` would otherwise look for a table "where".
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "from",
    "grant",
    "group",
    "having",
    "in",
    "initially",
    "intersect",
    "into",
    "lateral",
    "leading",
    "limit",
    "not",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "placing",
    "primary",
    "references",
    "returning",
    "select",
    "some",
    "symmetric",
    "table",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "using",
    "variadic",
    "when",
    "where",
    "window",
    "with",
];

/// The only database, as `current_database` calls it.
const DATABASE: &str = "remora";

/// The name that an identifier means: unquoted folded to lower case, at most 63 bytes long.
pub(super) fn fold(ident: &Ident) -> Result<String> {
    let name = fold_label(ident)?;
    if ident.quote_style.is_none() && RESERVED.binary_search(&name.as_str()).is_ok() {
        return Err(syntax_error(&ident.value, place(ident.span)));
    }
    Ok(name)
}

/// The name of an output column, which may be a reserved word: `SELECT 1 AS select`.
pub(super) fn fold_label(ident: &Ident) -> Result<String> {
    let name = match ident.quote_style {
        // The grammar's crate takes a string for an alias: `SELECT 'a' 'b'`.
        Some('\'') => {
            let text = format!("'{}'", ident.value);
            return Err(syntax_error(&text, place(ident.span)));
        }
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    };
    if name.is_empty() {
        return Err(sql_error!(
            SYNTAX_ERROR,
            "zero-length delimited identifier at or near \"\"\"\""
        )
        .at(place(ident.span)));
    }
    Ok(truncate(name))
}

/// Cuts a name at 63 bytes, between characters.
pub(super) fn truncate(mut name: String) -> String {
    if name.len() > IDENTIFIER_BYTES_MAX {
        let end = (0..=IDENTIFIER_BYTES_MAX)
            .rev()
            .find(|end| name.is_char_boundary(*end));
        name.truncate(end.unwrap_or(0));
    }
    name
}

/// PostgreSQL's complaint about a word that cannot stand where it does.
pub(super) fn syntax_error(near: &str, at: Option<Position>) -> Error {
    sql_error!(SYNTAX_ERROR, "syntax error at or near \"{near}\"").at(at)
}

/// The name of a relation, with the schema that it says, if it does.
pub(super) fn relation(name: &ObjectName) -> Result<RelationName> {
    let parts = parts(name)?;
    let (schema, name) = match parts.as_slice() {
        [name] => (None, name),
        [schema, name] => (Some(fold(schema)?), name),
        [database, schema, name] if fold(database)? == DATABASE => (Some(fold(schema)?), name),
        _ => {
            let written = parts.iter().map(|part| part.value.as_str());
            let message = match parts.len() {
                3 => "cross-database references are not implemented",
                _ => "improper qualified name (too many dotted names)",
            };
            let state = match parts.len() {
                3 => state::FEATURE_NOT_SUPPORTED,
                _ => state::SYNTAX_ERROR,
            };
            let message = format!("{message}: {}", written.collect::<Vec<_>>().join("."));
            return Err(Error::new(state, message).at(object_place(name)));
        }
    };
    let name = fold(name)?;
    Ok(RelationName { schema, name })
}

/// A name that says no schema.
pub(super) fn single(name: &ObjectName) -> Result<String> {
    match parts(name)?.as_slice() {
        [name] => fold(name),
        _ => Err(syntax_error(".", object_place(name))),
    }
}

/// The name of a function, which may be said to be one of the system's.
pub(super) fn function(name: &ObjectName) -> Result<String> {
    let parts = parts(name)?;
    match parts.as_slice() {
        [name] => Ok(truncate(match name.quote_style {
            Some(_) => name.value.clone(),
            None => name.value.to_lowercase(),
        })),
        [schema, name] if matches!(fold(schema)?.as_str(), "pg_catalog" | "public") => fold(name),
        [schema, ..] => Err(no_schema(&fold(schema)?).at(place(schema.span))),
        [] => Err(Error::unsupported("an empty name")),
    }
}

/// The schema that the name of a function says, if it does.
pub(super) fn function_schema(name: &ObjectName) -> Result<Option<String>> {
    match parts(name)?.as_slice() {
        [schema, _] => fold(schema).map(Some),
        _ => Ok(None),
    }
}

/// The identifiers of a dotted name.
pub(super) fn parts(name: &ObjectName) -> Result<Vec<&Ident>> {
    let mut idents = Vec::with_capacity(name.0.len());
    for part in &name.0 {
        match part {
            ObjectNamePart::Identifier(ident) => idents.push(ident),
            ObjectNamePart::Function(_) => return Err(Error::unsupported("a function as a name")),
        }
    }
    Ok(idents)
}

/// Where a dotted name begins.
pub(super) fn object_place(name: &ObjectName) -> Option<Position> {
    match name.0.first() {
        Some(ObjectNamePart::Identifier(ident)) => place(ident.span),
        _ => None,
    }
}

/// The candidate most like `name`, if one is like enough to be meant.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = 1 + name.chars().count() / 4;
    candidates
        .filter(|candidate| !candidate.is_empty())
        .map(|candidate| (strsim::levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

fn no_schema(name: &str) -> Error {
    sql_error!(INVALID_SCHEMA_NAME, "schema \"{name}\" does not exist")
        .with_hint("Functions are in \"pg_catalog\".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_words_are_sorted_for_the_search() {
        assert!(RESERVED.is_sorted());
    }

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["customer", "invoice", "id"];
        let nearest = |name| nearest(name, names.into_iter());
        assert_eq!(nearest("custmer"), Some("customer"));
        assert_eq!(nearest("invioce"), Some("invoice"));
        assert_eq!(nearest("ix"), Some("id"));
        assert_eq!(nearest("track"), None);
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(truncate("é".repeat(40)).len(), 62);
        assert_eq!(truncate("a".repeat(64)).len(), 63);
    }
}
