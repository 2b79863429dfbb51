//! What stands around a token: what the files that rewrite a statement ask of it again and again.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Whether a token is a blank, a comment, or the end.
pub(super) fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_) | Token::EOF)
}

/// An unquoted word; empty for anything else.
pub(super) fn word(token: &TokenWithSpan) -> &str {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => &word.value,
        _ => "",
    }
}

/// Whether a token is this word, unquoted.
pub(super) fn is_word(token: &TokenWithSpan, wanted: &str) -> bool {
    word(token).eq_ignore_ascii_case(wanted)
}

/// Whether a token is one of these words, unquoted.
pub(super) fn is_any(token: &TokenWithSpan, wanted: &[&str]) -> bool {
    wanted.iter().any(|wanted| is_word(token, wanted))
}

/// The keyword that a token is, unquoted.
pub(super) fn keyword(token: &TokenWithSpan) -> Keyword {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => word.keyword,
        _ => Keyword::NoKeyword,
    }
}

/// The place of the first token that is no blank.
pub(super) fn first(tokens: &[TokenWithSpan]) -> Option<usize> {
    (0..tokens.len()).find(|at| !is_space(&tokens[*at]))
}

/// The place of the next token that is no blank.
pub(super) fn next(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    (at + 1..tokens.len()).find(|at| !is_space(&tokens[*at]))
}

/// The place of the next token that is no blank, if it is this word.
pub(super) fn next_word(tokens: &[TokenWithSpan], at: usize, wanted: &str) -> Option<usize> {
    next(tokens, at).filter(|at| is_word(&tokens[*at], wanted))
}

/// The place of the next token that is no blank, if it is a bracket that opens.
pub(super) fn next_open(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    next(tokens, at).filter(|at| tokens[*at].token == Token::LParen)
}

/// The place of the last token before this one that is no blank.
pub(super) fn previous(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    (0..at).rev().find(|at| !is_space(&tokens[*at]))
}

/// Where the bracket ends that begins here.
pub(super) fn closing(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    (open..tokens.len()).find(|at| {
        match tokens[*at].token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })
}

/// Where the bracket begins that ends here.
pub(super) fn opening(tokens: &[TokenWithSpan], close: usize) -> Option<usize> {
    let mut depth = 0_usize;
    (0..=close).rev().find(|at| {
        match tokens[*at].token {
            Token::RParen => depth += 1,
            Token::LParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })
}

/// The place of the last token before this one that is wanted and in the same brackets, or of the bracket that
/// both are in.
pub(super) fn last_beside(
    tokens: &[TokenWithSpan],
    at: usize,
    wanted: impl Fn(&TokenWithSpan) -> bool,
) -> Option<usize> {
    let mut depth = 0_usize;
    (0..at).rev().find(|at| {
        match &tokens[*at].token {
            Token::RParen => depth += 1,
            Token::LParen if depth == 0 => return true,
            Token::LParen => depth -= 1,
            _ => return depth == 0 && wanted(&tokens[*at]),
        }
        false
    })
}
