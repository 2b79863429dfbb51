//! Statements with statements inside: `BEGIN .. END` within a CREATE FUNCTION or CREATE TRIGGER.
//!
//! A semicolon ends a statement, but for those between such a BEGIN and its END; a CASE has an END of its own.

use super::around::is_space;
use sqlparser::keywords::Keyword as K;
use sqlparser::tokenizer::{Token, TokenWithSpan};
use std::ops::Range;

/// The statements of a text, without the semicolons between them.
pub(super) fn statements(tokens: &[TokenWithSpan]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut begin = 0;
    while begin < tokens.len() {
        let end = begin + length(&tokens[begin..]);
        found.push(begin..end);
        begin = end + 1;
    }
    found
}

/// How many tokens there are before the semicolon that ends the first statement.
fn length(tokens: &[TokenWithSpan]) -> usize {
    let has_block = is_container(tokens);
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match &token.token {
            Token::SemiColon if depth == 0 => return at,
            Token::Word(word) if has_block => depth = deeper(depth, word.keyword),
            _ => {}
        }
    }
    tokens.len()
}

fn deeper(depth: usize, word: K) -> usize {
    match word {
        K::BEGIN if depth == 0 => 1,
        K::CASE if depth > 0 => depth + 1,
        K::END => depth.saturating_sub(1),
        _ => depth,
    }
}

/// Whether a statement is one that can have a block.
fn is_container(tokens: &[TokenWithSpan]) -> bool {
    let mut words = tokens.iter().filter(|token| !is_space(token));
    let mut next = || match words.next().map(|token| &token.token) {
        Some(Token::Word(word)) => word.keyword,
        _ => K::NoKeyword,
    };
    if next() != K::CREATE {
        return false;
    }
    let mut word = next();
    if word == K::OR {
        next();
        word = next();
    }
    while matches!(word, K::CONSTRAINT | K::TEMP | K::TEMPORARY) {
        word = next();
    }
    matches!(word, K::FUNCTION | K::PROCEDURE | K::TRIGGER)
}

/// Takes a statement's block off; what is between the block's BEGIN and END.
pub(super) fn take(tokens: &mut Vec<TokenWithSpan>) -> Option<Vec<TokenWithSpan>> {
    if !is_container(tokens) {
        return None;
    }
    let word_at = |wanted: K, from_end: bool| {
        let is_wanted =
            |token: &TokenWithSpan| matches!(&token.token, Token::Word(w) if w.keyword == wanted);
        match from_end {
            false => tokens.iter().position(is_wanted),
            true => tokens.iter().rposition(is_wanted),
        }
    };
    let (begin, end) = (word_at(K::BEGIN, false)?, word_at(K::END, true)?);
    let rest = tokens.get(end + 1..).unwrap_or_default();
    if begin >= end || !rest.iter().all(is_space) {
        return None;
    }
    let block = tokens[begin + 1..end].to_vec();
    tokens.truncate(begin);
    Some(block)
}
