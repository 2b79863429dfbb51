//! `[NOT] DEFERRABLE`, which PostgreSQL has among the modes of a transaction and the grammar's crate has
//! not.
//!
//! There it lets a serializable transaction that only reads wait until it cannot fail. Here such a
//! transaction never fails and never waits: both words are true of it as it is, and are taken out.

use super::around::{is_any, is_space, is_word, next, previous};
use super::changes::Changes;
use sqlparser::tokenizer::{Token, TokenWithSpan};
use std::ops::Range;

/// Takes the words out of BEGIN, START TRANSACTION, SET TRANSACTION and SET SESSION CHARACTERISTICS.
pub(super) fn take_deferrable(tokens: &mut Vec<TokenWithSpan>) {
    let mut words = tokens.iter().filter(|token| !is_space(token));
    let is_of_transaction = words.next().is_some_and(|first| {
        let sets = |second| is_any(second, &["TRANSACTION", "SESSION"]);
        is_any(first, &["BEGIN", "START"])
            || is_word(first, "SET") && words.next().is_some_and(sets)
    });
    if !is_of_transaction {
        return;
    }
    let mut changes = Changes::default();
    let mut taken = 0;
    for at in 0..tokens.len() {
        if is_word(&tokens[at], "DEFERRABLE") {
            let mode = mode_at(tokens, at, taken);
            taken = mode.end;
            changes.remove(mode);
        }
    }
    changes.make(tokens);
}

/// Where a mode lies, with the comma that parts it from another; what is taken already is not of it.
fn mode_at(tokens: &[TokenWithSpan], at: usize, taken: usize) -> Range<usize> {
    let before = |at: usize| previous(tokens, at).filter(|found| *found >= taken);
    let start = before(at).filter(|not| is_word(&tokens[*not], "NOT"));
    let start = start.unwrap_or(at);
    let is_comma = |at: &usize| tokens[*at].token == Token::Comma;
    match (
        before(start).filter(is_comma),
        next(tokens, at).filter(is_comma),
    ) {
        (Some(comma), _) => comma..at + 1,
        (None, Some(comma)) => start..comma + 1,
        (None, None) => start..at + 1,
    }
}

#[cfg(test)]
mod tests {
    use crate::parse::parse;

    #[test]
    fn deferrable_is_taken_wherever_a_mode_may_stand() {
        for text in [
            "BEGIN DEFERRABLE",
            "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE",
            "START TRANSACTION NOT DEFERRABLE, READ ONLY",
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, NOT DEFERRABLE, READ ONLY",
            "set session characteristics as transaction read only, deferrable",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in [
            "SELECT 1 DEFERRABLE, 2 FROM",
            "BEGIN READ ONLY NOT",
            "COMMIT DEFERRABLE",
            "BEGIN \"deferrable\"",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
