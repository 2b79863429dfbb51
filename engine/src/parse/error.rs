//! What the grammar's crate says, in PostgreSQL's words: `syntax error at or near "x"`.

use super::around::is_space;
use super::sequence::{NOT_HERE, REDUNDANT};
use super::token::position;
use crate::error::{Error, Position, Result, state};
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Turns a parser's error into ours; the token at its place is the one that is named.
pub(super) fn from_parser(error: ParserError, sql: &str, tokens: &[TokenWithSpan]) -> Error {
    let message = match error {
        ParserError::RecursionLimitExceeded => return super::depth::too_complex(None),
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => message,
    };
    if message == REDUNDANT || message.starts_with(NOT_HERE) {
        return Error::new(state::SYNTAX_ERROR, message);
    }
    let (what, place) = split_place(&message);
    let detail = what
        .split_once(", found: ")
        .map_or(what, |(expected, _)| expected);
    let near = place.and_then(|place| token_at(tokens, place));
    let error = match near {
        Some(token) => {
            sql_error!(SYNTAX_ERROR, "syntax error at or near \"{}\"", token.token).at(place)
        }
        None => sql_error!(SYNTAX_ERROR, "syntax error at end of input")
            .at(place.or_else(|| end_of(sql, tokens))),
    };
    error.with_detail(format!("{detail}."))
}

/// Splits `Expected: x, found: y at Line: 1, Column: 8`.
fn split_place(message: &str) -> (&str, Option<Position>) {
    let parse = || -> Option<(&str, Position)> {
        let (what, place) = message.rsplit_once(" at Line: ")?;
        let (line, column) = place.split_once(", Column: ")?;
        let (line, column) = (line.trim().parse().ok()?, column.trim().parse().ok()?);
        Some((what, Position { line, column }))
    };
    match parse() {
        Some((what, place)) => (what, Some(place)),
        None => (message, None),
    }
}

fn token_at(tokens: &[TokenWithSpan], place: Position) -> Option<&TokenWithSpan> {
    tokens
        .iter()
        .find(|token| position(token.span.start) == Some(place) && token.token != Token::EOF)
}

/// Just behind the last token: where something is missing.
fn end_of(sql: &str, tokens: &[TokenWithSpan]) -> Option<Position> {
    let last = tokens
        .iter()
        .rev()
        .find(|token| !is_space(token))
        .and_then(|token| position(token.span.end));
    last.or_else(|| (!sql.is_empty()).then_some(Position { line: 1, column: 1 }))
}

/// The place of a syntax tree's part, as an error wants it.
pub(crate) fn place(span: sqlparser::tokenizer::Span) -> Option<Position> {
    position(span.start)
}

/// Refuses what the grammar knows and the engine does not.
pub(crate) fn refuse<T>(what: &str, place: Option<Position>) -> Result<T> {
    Err(Error::unsupported(what).at(place))
}
