//! Calls and types that the grammar's crate knows in another way, or not:
//!
//! ```text
//!   f(a, VARIADIC b)                 f(a, "variadic array" => b)
//!   int ARRAY, int ARRAY[3]          int[]
//! ```

use super::around::{is_any, is_space, keyword, next, previous};
use super::changes::Changes;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// The name that an argument has which is an array of arguments.
pub(crate) const VARIADIC: &str = "variadic array";

/// Writes a statement as the crate knows it.
pub(super) fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    let defines = defines_function(tokens);
    let mut changes = Changes::default();
    for at in 0..tokens.len() {
        match keyword(&tokens[at]) {
            Keyword::VARIADIC if !defines && begins_argument(tokens, at) => {
                let span = tokens[at].span;
                tokens[at].token = Token::make_word(VARIADIC, Some('"'));
                let arrow = TokenWithSpan {
                    token: Token::RArrow,
                    span,
                };
                changes.insert(at + 1, [arrow]);
            }
            Keyword::ARRAY => array_type(tokens, at, &mut changes),
            _ => {}
        }
    }
    changes.make(tokens);
}

/// Whether the statement says what arguments a function has.
fn defines_function(tokens: &[TokenWithSpan]) -> bool {
    let words = tokens.iter().filter(|token| !is_space(token));
    let words: Vec<Keyword> = words.take(4).map(keyword).collect();
    match words.first() {
        Some(Keyword::CREATE) => words.iter().any(|word| {
            matches!(
                word,
                Keyword::FUNCTION | Keyword::PROCEDURE | Keyword::AGGREGATE
            )
        }),
        Some(first) => matches!(first, Keyword::DROP | Keyword::ALTER | Keyword::COMMENT),
        None => false,
    }
}

fn begins_argument(tokens: &[TokenWithSpan], at: usize) -> bool {
    previous(tokens, at)
        .is_some_and(|before| matches!(tokens[before].token, Token::LParen | Token::Comma))
}

/// A word behind a type that makes it one of arrays.
fn array_type(tokens: &[TokenWithSpan], array: usize, changes: &mut Changes) {
    let Some(before) = previous(tokens, array) else {
        return;
    };
    let named = match tokens[before].token {
        // Behind a modifier: `varchar(3) ARRAY`.
        Token::RParen => (0..before)
            .rev()
            .find(|at| tokens[*at].token == Token::LParen)
            .and_then(|open| previous(tokens, open)),
        _ => Some(before),
    };
    if !named.is_some_and(|at| is_any(&tokens[at], &TYPES)) {
        return;
    }
    let span = tokens[array].span;
    let with = |token| TokenWithSpan { token, span };
    let length = next(tokens, array).filter(|at| tokens[*at].token == Token::LBracket);
    let number = length.and_then(|open| next(tokens, open));
    let number = number.filter(|at| matches!(tokens[*at].token, Token::Number(..)));
    let close = number.and_then(|number| next(tokens, number));
    match close.filter(|at| tokens[*at].token == Token::RBracket) {
        Some(_) => changes.remove(array..array + 1),
        None => {
            let brackets = [Token::LBracket, Token::RBracket];
            changes.replace(array..array + 1, brackets.map(with));
        }
    }
}

/// Types that are named by one word, or end in one.
const TYPES: [&str; 30] = [
    "bool",
    "boolean",
    "smallint",
    "int2",
    "int",
    "integer",
    "int4",
    "bigint",
    "int8",
    "real",
    "float",
    "float4",
    "float8",
    "precision",
    "numeric",
    "decimal",
    "text",
    "varchar",
    "char",
    "character",
    "varying",
    "bpchar",
    "bytea",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "interval",
    "uuid",
    "jsonb",
];
