//! CREATE SCHEMA with what is to be in it: `CREATE SCHEMA s CREATE TABLE t (..) CREATE VIEW v AS ..`.
//!
//! Each element is a statement that begins with CREATE; it is parsed as if it stood alone. As in PostgreSQL they
//! are made in an order in which none needs a later one: sequences, tables, views, indexes, triggers.

use super::around::{is_space, keyword};
use super::{Parsed, Syntax, error, parse_statement};
use crate::error::Result;
use sqlparser::keywords::Keyword;
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Token, TokenWithSpan};
use std::sync::Arc;

/// What may be in a new schema, in the order in which it is made.
const KINDS: [Keyword; 5] = [
    Keyword::SEQUENCE,
    Keyword::TABLE,
    Keyword::VIEW,
    Keyword::INDEX,
    Keyword::TRIGGER,
];

/// Where the elements of a CREATE SCHEMA begin; `None` where it is something else, or has none.
pub(super) fn starts(tokens: &[TokenWithSpan]) -> Option<Vec<usize>> {
    let mut solid = (0..tokens.len()).filter(|at| !is_space(&tokens[*at]));
    let (create, schema) = (solid.next()?, solid.next()?);
    if [create, schema].map(|at| keyword(&tokens[at])) != [Keyword::CREATE, Keyword::SCHEMA] {
        return None;
    }
    let mut depth = 0_usize;
    let mut starts = Vec::new();
    for at in solid {
        match &tokens[at].token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ if depth == 0 && keyword(&tokens[at]) == Keyword::CREATE => starts.push(at),
            _ => {}
        }
    }
    Some(starts).filter(|starts| !starts.is_empty())
}

/// Parses one whose elements begin there.
///
/// # Errors
/// 42601
pub(super) fn parse(
    sql: &str,
    tokens: &[TokenWithSpan],
    starts: &[usize],
    text: &str,
) -> Result<Parsed> {
    let mut whole = parse_statement(sql, tokens[..starts[0]].to_vec(), text)?;
    let Syntax::Statement(schema) = whole.syntax else {
        return Ok(whole);
    };
    let ends = starts.iter().skip(1).copied().chain([tokens.len()]);
    let mut elements = Vec::with_capacity(starts.len());
    for (start, end) in starts.iter().zip(ends) {
        let part = &tokens[*start..end];
        let kind = part.iter().find_map(|token| {
            let found = KINDS.iter().position(|kind| keyword(token) == *kind);
            found.or_else(|| (token.token == Token::LParen).then_some(KINDS.len()))
        });
        let Some(kind) = kind.filter(|kind| *kind < KINDS.len()) else {
            let message = "Expected: an element of a schema, found: CREATE".to_owned();
            return Err(error::from_parser(
                ParserError::ParserError(message),
                sql,
                part,
            ));
        };
        let element = parse_statement(sql, part.to_vec(), text)?;
        whole.parameters = whole.parameters.max(element.parameters);
        elements.push((kind, Arc::new(element)));
    }
    elements.sort_by_key(|(kind, _)| *kind);
    let elements = elements.into_iter().map(|(_, element)| element);
    whole.syntax = Syntax::CreateSchema(schema, elements.collect());
    Ok(whole)
}
