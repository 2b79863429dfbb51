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

use super::around::{is_any, is_word, last_beside, next, next_open, next_word, previous};
use super::changes::Changes;
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

/// What an offset stands before.
const BOUNDS: [&str; 2] = ["PRECEDING", "FOLLOWING"];

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
    let mut changes = Changes::default();
    for (at, token) in tokens.iter().enumerate() {
        if is_word(token, "EXCLUDE") {
            move_exclusion(tokens, at, &mut changes);
        } else if is_any(token, &BOUNDS) {
            enclose_offset(tokens, at, &mut changes);
        } else if is_word(token, "WINDOW") {
            stand_behind_where(tokens, at, &mut changes);
        }
    }
    changes.make(tokens);
}

/// Puts `WHERE true` before windows that stand behind nothing but the select list.
fn stand_behind_where(tokens: &[TokenWithSpan], at: usize, changes: &mut Changes) {
    let name = next(tokens, at).filter(|at| matches!(tokens[*at].token, Token::Word(_)));
    let word = name.and_then(|name| next_word(tokens, name, "AS"));
    if word.and_then(|word| next_open(tokens, word)).is_none() {
        return;
    }
    let clauses = [
        "SELECT", "FROM", "WHERE", "GROUP", "HAVING", "UNION", "WINDOW",
    ];
    let before = last_beside(tokens, at, |token| is_any(token, &clauses));
    if before.is_some_and(|at| !is_word(&tokens[at], "SELECT")) {
        return;
    }
    let span = tokens[at].span;
    let clause = [Keyword::WHERE, Keyword::TRUE].map(|keyword| {
        let word = Token::make_keyword(&format!("{keyword:?}"));
        TokenWithSpan::new(word, span)
    });
    changes.insert(at, clause);
}

/// Moves an exclusion to the beginning of its window.
fn move_exclusion(tokens: &[TokenWithSpan], at: usize, changes: &mut Changes) {
    let found = EXCLUSIONS.into_iter().find_map(|(_, words)| {
        let mut words_at = words.iter();
        let last = words_at.try_fold(at, |at, word| next_word(tokens, at, word))?;
        let ends = next(tokens, last).is_some_and(|end| tokens[end].token == Token::RParen);
        ends.then_some((words, last))
    });
    let Some((words, last)) = found else {
        return;
    };
    let Some(open) = opening(tokens, at) else {
        return;
    };
    let first = next(tokens, open).unwrap_or(at);
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
    changes.replace(replaced, [mark]);
    changes.remove(at..last + 1);
}

/// Puts brackets around an offset that begins with a string.
fn enclose_offset(tokens: &[TokenWithSpan], end: usize, changes: &mut Changes) {
    let words = ["BETWEEN", "AND", "ROWS", "RANGE", "GROUPS"];
    let before = last_beside(tokens, end, |token| {
        is_any(token, &words) || is_any(token, &BOUNDS)
    });
    let before = before.filter(|at| is_any(&tokens[*at], &words));
    let Some(first) = before.and_then(|before| next(tokens, before)) else {
        return;
    };
    if matches!(tokens[first].token, Token::SingleQuotedString(_)) {
        let bracket = |token, at: usize| TokenWithSpan::new(token, tokens[at].span);
        changes.insert(first, [bracket(Token::LParen, first)]);
        changes.insert(end, [bracket(Token::RParen, end)]);
    }
}

/// The bracket that a window's definition begins with and that is open at `at`.
fn opening(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    let open = last_beside(tokens, at, |_| false)?;
    let before = previous(tokens, open)?;
    is_any(&tokens[before], &["OVER", "AS"]).then_some(open)
}
