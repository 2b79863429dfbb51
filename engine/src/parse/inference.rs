//! What ON CONFLICT says of the indexes that it means, of which the grammar's crate knows columns only.
//!
//! An expression, and the condition of a partial index, become identifiers with a blank and without quotes, which
//! nobody could write; collations and operator classes are left out, of which there is one each:
//!
//! ```text
//!   ON CONFLICT (lower(name), k) WHERE k > 0 DO ..     ON CONFLICT ("KEY lower(name)", k, "WHERE k > 0") DO ..
//! ```
//!
//! [`inferred_key`] and [`inferred_condition`] read them back.

use super::around::{
    closing, first, is_any, is_space, is_word, next, next_open, next_word, previous,
};
use super::changes::Changes;
use super::token::spaced;
use sqlparser::ast::Ident;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

const KEY: &str = "KEY ";
const CONDITION: &str = "WHERE ";

/// The expression that an identifier stands for.
pub(crate) fn inferred_key(ident: &Ident) -> Option<&str> {
    ident
        .value
        .strip_prefix(KEY)
        .filter(|_| ident.quote_style.is_none())
}

/// The condition that an identifier stands for.
pub(crate) fn inferred_condition(ident: &Ident) -> Option<&str> {
    ident
        .value
        .strip_prefix(CONDITION)
        .filter(|_| ident.quote_style.is_none())
}

/// Rewrites what is said behind each ON CONFLICT of a statement.
pub(super) fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    if defines_index(tokens) {
        // On a table of that name.
        return;
    }
    let mut changes = Changes::default();
    for at in 0..tokens.len() {
        if is_word(&tokens[at], "CONFLICT") {
            rewrite_target(tokens, at, &mut changes);
        }
    }
    changes.make(tokens);
}

fn defines_index(tokens: &[TokenWithSpan]) -> bool {
    let create = first(tokens).filter(|at| is_word(&tokens[*at], "CREATE"));
    let word = create.and_then(|at| next(tokens, at));
    let unique = word.filter(|at| is_word(&tokens[*at], "UNIQUE"));
    let index = unique.map_or(word, |at| next(tokens, at));
    index.is_some_and(|at| is_word(&tokens[at], "INDEX"))
}

fn rewrite_target(tokens: &[TokenWithSpan], conflict: usize, changes: &mut Changes) {
    let before = previous(tokens, conflict).filter(|at| is_word(&tokens[*at], "ON"));
    let Some(open) = before.and_then(|_| next_open(tokens, conflict)) else {
        return;
    };
    let Some(close) = closing(tokens, open) else {
        return;
    };
    let mut end = close + 1;
    let mut written = Vec::new();
    for item in split(&tokens[open + 1..close]) {
        let Some(first) = item.iter().find(|token| !is_space(token)) else {
            return;
        };
        let item = without_class(item);
        written.push(match item.as_slice() {
            [name] if matches!(name.token, Token::Word(_)) => (*name).clone(),
            _ => mark(KEY, &item, first),
        });
    }
    if let Some(begin) = next_word(tokens, close, "WHERE") {
        let ends = |at: &usize| is_any(&tokens[*at], &["DO", "CONFLICT"]);
        let action = (begin..tokens.len()).find(ends);
        let Some(action) = action.filter(|at| is_word(&tokens[*at], "DO")) else {
            return;
        };
        let condition: Vec<&TokenWithSpan> = tokens[begin + 1..action].iter().collect();
        written.push(mark(CONDITION, &condition, &tokens[begin]));
        end = action;
    }
    let span = tokens[open].span;
    let with = |token| TokenWithSpan { token, span };
    let mut target = vec![with(Token::LParen)];
    for (number, item) in written.into_iter().enumerate() {
        if number > 0 {
            target.push(with(Token::Comma));
        }
        target.push(item);
    }
    target.push(with(Token::RParen));
    target.push(with(Token::Whitespace(
        sqlparser::tokenizer::Whitespace::Space,
    )));
    changes.replace(open..end, target);
}

/// The parts between commas that are in no bracket.
fn split(tokens: &[TokenWithSpan]) -> Vec<&[TokenWithSpan]> {
    let mut depth = 0_usize;
    tokens
        .split(|token| {
            match token.token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && token.token == Token::Comma
        })
        .collect()
}

/// A key without its collation and operator class, and without spaces if it is but a name.
fn without_class(item: &[TokenWithSpan]) -> Vec<&TokenWithSpan> {
    let solid: Vec<&TokenWithSpan> = item.iter().filter(|token| !is_space(token)).collect();
    let is_name = |token: &TokenWithSpan| matches!(token.token, Token::Word(_));
    let ends_key = |token: &TokenWithSpan| is_name(token) || token.token == Token::RParen;
    match solid.as_slice() {
        [name] if is_name(name) => vec![name],
        [name, rest @ ..] if is_name(name) && rest.iter().all(|token| is_name(token)) => vec![name],
        [key @ .., class] if is_name(class) && key.last().is_some_and(|last| ends_key(last)) => {
            let ends = key.iter().position(|token| is_word(token, "COLLATE"));
            key[..ends.unwrap_or(key.len())].to_vec()
        }
        _ => item.iter().collect(),
    }
}

/// An identifier that nobody could write, with the text of some tokens.
fn mark(what: &str, tokens: &[&TokenWithSpan], place: &TokenWithSpan) -> TokenWithSpan {
    let word = Word {
        value: format!("{what}{}", spaced(tokens.iter().copied())),
        quote_style: None,
        keyword: Keyword::NoKeyword,
    };
    TokenWithSpan::new(Token::Word(word), place.span)
}
