//! Frames of windows, of which the grammar's crate does not know EXCLUDE, nor that an offset may begin with
//! a string and be no interval.
//!
//! What it does not know is written such that it does, before it looks. What is left out goes into the
//! name of the window that the definition begins with, quoted, so that a view's text keeps it:
//!
//! ```text
//!   OVER (ORDER BY x ROWS 1 PRECEDING EXCLUDE TIES)     OVER ("EXCLUDE TIES:" ORDER BY x ROWS 1 PRECEDING)
//!   OVER (w RANGE '1 day'::interval PRECEDING)          OVER (w RANGE ('1 day'::interval) PRECEDING)
//!   SELECT f() OVER w WINDOW w AS (..)                  SELECT f() OVER w WHERE true WINDOW w AS (..)
//! ```
//!
//! [`exclusion`] reads it back.

use super::is_space;
use crate::plan::window::Exclude;
use sqlparser::ast::Ident;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// What may be left out, with its words.
const EXCLUSIONS: [(Exclude, &[&str]); 4] = [
    (Exclude::CurrentRow, &["CURRENT", "ROW"]),
    (Exclude::Group, &["GROUP"]),
    (Exclude::Ties, &["TIES"]),
    (Exclude::NoOthers, &["NO", "OTHERS"]),
];

/// What the name that a window begins with says of its frame, and the name that was written, folded.
pub(crate) fn exclusion(name: &Ident) -> Option<(Exclude, Option<&str>)> {
    name.quote_style?;
    let (words, name) = name.value.strip_prefix("EXCLUDE ")?.split_once(':')?;
    let (exclude, _) = EXCLUSIONS
        .into_iter()
        .find(|(_, all)| all.join(" ") == words)?;
    Some((exclude, Some(name).filter(|name| !name.is_empty())))
}

/// Rewrites the frames of a statement.
pub(super) fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    if !tokens
        .iter()
        .any(|token| is_any(token, &["OVER", "WINDOW"]))
    {
        return;
    }
    // From the end: what lies before stays where it is.
    for at in (0..tokens.len()).rev() {
        if is_any(&tokens[at], &["EXCLUDE"]) {
            move_exclusion(tokens, at);
        } else if is_any(&tokens[at], &["PRECEDING", "FOLLOWING"]) {
            enclose_offset(tokens, at);
        } else if is_any(&tokens[at], &["WINDOW"]) {
            stand_behind_where(tokens, at);
        }
    }
}

/// Puts `WHERE true` before windows that stand behind nothing but the select list.
fn stand_behind_where(tokens: &mut Vec<TokenWithSpan>, at: usize) {
    let mut words = (at + 1..tokens.len()).filter(|at| !is_space(&tokens[*at]));
    let is_clause = words
        .next()
        .is_some_and(|name| matches!(tokens[name].token, Token::Word(_)))
        && words
            .next()
            .is_some_and(|word| is_any(&tokens[word], &["AS"]))
        && words
            .next()
            .is_some_and(|open| tokens[open].token == Token::LParen);
    if !is_clause {
        return;
    }
    let mut depth = 0_usize;
    for before in (0..at).rev() {
        match &tokens[before].token {
            Token::RParen => depth += 1,
            Token::LParen if depth == 0 => return,
            Token::LParen => depth -= 1,
            _ if depth > 0 => {}
            _ if is_any(
                &tokens[before],
                &["FROM", "WHERE", "GROUP", "HAVING", "UNION", "WINDOW"],
            ) =>
            {
                return;
            }
            _ if is_any(&tokens[before], &["SELECT"]) => break,
            _ => {}
        }
    }
    let span = tokens[at].span;
    let clause = [Keyword::WHERE, Keyword::TRUE].map(|keyword| {
        let word = Token::make_keyword(&format!("{keyword:?}"));
        TokenWithSpan::new(word, span)
    });
    tokens.splice(at..at, clause);
}

/// Moves an exclusion to the beginning of its window.
fn move_exclusion(tokens: &mut Vec<TokenWithSpan>, at: usize) {
    let next = |at: usize| (at + 1..tokens.len()).find(|at| !is_space(&tokens[*at]));
    let found = EXCLUSIONS.into_iter().find_map(|(_, words)| {
        let last = words.iter().try_fold(at, |at, word| {
            next(at).filter(|at| is_any(&tokens[*at], &[word]))
        })?;
        let ends = next(last).is_some_and(|end| tokens[end].token == Token::RParen);
        ends.then_some((words, last))
    });
    let Some((words, last)) = found else {
        return;
    };
    let Some(open) = opening(tokens, at) else {
        return;
    };
    let first = next(open).unwrap_or(at);
    let begins = ["PARTITION", "ORDER", "ROWS", "RANGE", "GROUPS"];
    let (name, replaced) = match &tokens[first].token {
        Token::Word(word) if !is_any(&tokens[first], &begins) => match word.quote_style {
            Some(_) => (word.value.clone(), first..first + 1),
            None => (word.value.to_lowercase(), first..first + 1),
        },
        _ => (String::new(), first..first),
    };
    let mark = Token::Word(Word {
        value: format!("EXCLUDE {}:{name}", words.join(" ")),
        quote_style: Some('"'),
        keyword: Keyword::NoKeyword,
    });
    let mark = TokenWithSpan::new(mark, tokens[first].span);
    tokens.drain(at..=last);
    tokens.splice(replaced, [mark]);
}

/// Puts brackets around an offset that begins with a string.
fn enclose_offset(tokens: &mut Vec<TokenWithSpan>, end: usize) {
    let mut depth = 0_usize;
    let mut before = None;
    for at in (0..end).rev() {
        match &tokens[at].token {
            Token::RParen => depth += 1,
            Token::LParen if depth == 0 => return,
            Token::LParen => depth -= 1,
            _ if depth == 0
                && is_any(&tokens[at], &["BETWEEN", "AND", "ROWS", "RANGE", "GROUPS"]) =>
            {
                before = Some(at);
                break;
            }
            _ => {}
        }
    }
    let Some(before) = before else {
        return;
    };
    let first = (before + 1..end).find(|at| !is_space(&tokens[*at]));
    let Some(first) = first else {
        return;
    };
    if matches!(tokens[first].token, Token::SingleQuotedString(_)) {
        let bracket = |token, at: &TokenWithSpan| TokenWithSpan::new(token, at.span);
        let close = bracket(Token::RParen, &tokens[end]);
        let open = bracket(Token::LParen, &tokens[first]);
        tokens.insert(end, close);
        tokens.insert(first, open);
    }
}

/// The bracket that a window's definition begins with and that is open at `at`.
fn opening(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let open = (0..at).rev().find(|at| match tokens[*at].token {
        Token::RParen => {
            depth += 1;
            false
        }
        Token::LParen if depth == 0 => true,
        Token::LParen => {
            depth -= 1;
            false
        }
        _ => false,
    })?;
    let before = (0..open).rev().find(|at| !is_space(&tokens[*at]))?;
    is_any(&tokens[before], &["OVER", "AS"]).then_some(open)
}

/// Whether a token is one of these words, unquoted.
fn is_any(token: &TokenWithSpan, wanted: &[&str]) -> bool {
    matches!(&token.token, Token::Word(word) if word.quote_style.is_none()
        && wanted.iter().any(|wanted| word.value.eq_ignore_ascii_case(wanted)))
}
