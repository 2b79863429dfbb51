//! Tokens: PostgreSQL's, except that `?` is a placeholder and never part of an operator.
//!
//! PostgreSQL itself has no `?` placeholders, and its operator characters include the question
//! mark, so that `a>?` would read as one operator. Here the drivers' habit wins over the JSON
//! operators. `?` takes the number after the largest so far, as in SQLite.

use crate::error::{Error, Position, Result, state};
use sqlparser::dialect::{Dialect, PostgreSqlDialect};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use std::any::TypeId;

/// As many parameters as PostgreSQL's protocol can carry.
const PARAMETERS_MAX: usize = 65_535;

/// PostgreSQL's lexical rules without the question mark's.
#[derive(Debug)]
struct Lexical(PostgreSqlDialect);

impl Dialect for Lexical {
    fn dialect(&self) -> TypeId {
        self.0.dialect()
    }
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.0.is_delimited_identifier_start(ch)
    }
    fn is_identifier_start(&self, ch: char) -> bool {
        // An unquoted identifier takes letters of any script, but no other strange characters:
        // an invisible blank in a name helps nobody.
        ch.is_alphabetic() || ch == '_'
    }
    fn is_identifier_part(&self, ch: char) -> bool {
        self.is_identifier_start(ch) || ch.is_alphanumeric() || ch == '$'
    }
    fn is_custom_operator_part(&self, ch: char) -> bool {
        ch != '?' && self.0.is_custom_operator_part(ch)
    }
    fn supports_unicode_string_literal(&self) -> bool {
        true
    }
    fn supports_string_escape_constant(&self) -> bool {
        true
    }
    fn supports_nested_comments(&self) -> bool {
        true
    }
    fn supports_numeric_literal_underscores(&self) -> bool {
        true
    }
}

/// Splits a text into tokens with their places, blanks and comments included.
pub(super) fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>> {
    let dialect = Lexical(PostgreSqlDialect {});
    Tokenizer::new(&dialect, sql)
        .tokenize_with_location()
        .map_err(|error| {
            Error::new(state::SYNTAX_ERROR, lower_first(&error.message))
                .at(position(error.location))
        })
}

/// Rewrites a statement's placeholders to `$n` and counts them.
pub(super) fn number_placeholders(tokens: &[TokenWithSpan]) -> Result<(Vec<TokenWithSpan>, usize)> {
    let mut tokens = tokens.to_vec();
    let mut largest = 0;
    for token in &mut tokens {
        let Token::Placeholder(name) = &token.token else {
            continue;
        };
        let number = match name.get(1..) {
            None | Some("") if name == "?" => Some(largest + 1),
            None => None,
            Some(digits) => digits.parse().ok(),
        };
        let number = number
            .filter(|number| (1..=PARAMETERS_MAX).contains(number))
            .ok_or_else(|| {
                Error::new(
                    state::UNDEFINED_PARAMETER,
                    format!("there is no parameter {name}"),
                )
                .at(position(token.span.start))
            })?;
        largest = largest.max(number);
        token.token = Token::Placeholder(format!("${number}"));
    }
    Ok((tokens, largest))
}

/// A place as the error type has it; `None` for sqlparser's "nowhere".
pub(super) fn position(location: Location) -> Option<Position> {
    let line = u32::try_from(location.line).ok().filter(|line| *line > 0)?;
    let column = u32::try_from(location.column).ok()?;
    Some(Position { line, column })
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}
