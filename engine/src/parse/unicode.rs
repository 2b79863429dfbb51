//! `U&'..'` and `U&".."`, texts and names with characters written by their numbers, and the mark that may take
//! the backslash's place: `U&'d!0061ta' UESCAPE '!'`.
//!
//! Both come as a word, an operator and what is quoted.

use super::around::{is_word, next, next_word};
use super::changes::Changes;
use super::place;
use crate::error::{Error, Result, state};
use crate::function::{Notation, unescape};
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Puts what is meant in the place of what is written.
///
/// # Errors
/// 42601 where a number is none of a character, or the mark none.
pub(super) fn rewrite(tokens: &mut Vec<TokenWithSpan>) -> Result<()> {
    let mut changes = Changes::default();
    for at in 0..tokens.len() {
        if begins(tokens, at) {
            let mark = take_mark(tokens, at + 2, &mut changes)?;
            let notation = Notation::Literal(mark.unwrap_or('\\'));
            let mut quoted = tokens[at + 2].clone();
            let read = |text: &str| {
                unescape(text, notation).map_err(|error| error.at(place(tokens[at].span)))
            };
            match &mut quoted.token {
                Token::Word(name) => name.value = read(&name.value)?,
                Token::SingleQuotedString(text) => *text = read(text)?,
                _ => {}
            }
            quoted.span.start = tokens[at].span.start;
            changes.replace(at..at + 3, [quoted]);
        }
    }
    changes.make(tokens);
    Ok(())
}

/// Whether one begins here.
fn begins(tokens: &[TokenWithSpan], at: usize) -> bool {
    let Some([first, and, quoted]) = tokens.get(at..at + 3) else {
        return false;
    };
    let adjacent = first.span.end == and.span.start && and.span.end == quoted.span.start;
    let is_quoted = match &quoted.token {
        Token::Word(name) => name.quote_style == Some('"'),
        Token::SingleQuotedString(_) => true,
        _ => false,
    };
    adjacent && is_quoted && and.token == Token::Ampersand && is_word(first, "u")
}

/// Takes out `UESCAPE '!'` behind a token.
fn take_mark(tokens: &[TokenWithSpan], at: usize, changes: &mut Changes) -> Result<Option<char>> {
    let Some(word) = next_word(tokens, at, "UESCAPE") else {
        return Ok(None);
    };
    let literal = next(tokens, word).map(|at| (at, &tokens[at]));
    let Some((
        literal,
        TokenWithSpan {
            token: Token::SingleQuotedString(text),
            ..
        },
    )) = literal
    else {
        let message = "UESCAPE must be followed by a simple string literal";
        return Err(near(message, literal.map(|(_, token)| token)));
    };
    let mut characters = text.chars();
    let mark = match (characters.next(), characters.next()) {
        (Some(mark), None) => Some(mark),
        _ => None,
    };
    let is_mark = |mark: &char| {
        !mark.is_ascii_hexdigit() && !matches!(mark, '+' | '\'' | '"') && !mark.is_whitespace()
    };
    let mark = mark.filter(is_mark);
    let mark =
        mark.ok_or_else(|| near("invalid Unicode escape character", Some(&tokens[literal])))?;
    changes.remove(word..literal + 1);
    Ok(Some(mark))
}

/// A complaint about a token, or the lack of one.
fn near(message: &str, token: Option<&TokenWithSpan>) -> Error {
    let whole = match token.filter(|token| token.token != Token::EOF) {
        Some(token) => format!("{message} at or near \"{token}\""),
        None => format!("{message} at end of input"),
    };
    Error::new(state::SYNTAX_ERROR, whole).at(token.and_then(|token| place(token.span)))
}
