//! `[NOT] DEFERRABLE`, which PostgreSQL has among the modes of a transaction and the grammar's crate has
//! not.
//!
//! There it lets a serializable transaction that only reads wait until it cannot fail. Here such a
//! transaction never fails and never waits: both words are true of it as it is, and are taken out.

use super::is_space;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Takes the words out of BEGIN, START TRANSACTION, SET TRANSACTION and SET SESSION CHARACTERISTICS.
pub(super) fn take_deferrable(tokens: &mut Vec<TokenWithSpan>) {
    let mut words = tokens.iter().filter(|token| !is_space(token));
    let [first, second] = [words.next(), words.next()].map(|token| token.map_or("", word));
    let is_of_transaction = match first.to_ascii_uppercase().as_str() {
        "BEGIN" | "START" => true,
        "SET" => ["TRANSACTION", "SESSION"]
            .iter()
            .any(|word| second.eq_ignore_ascii_case(word)),
        _ => false,
    };
    while is_of_transaction && take_one(tokens) {}
}

/// Takes out one mode with the comma that parts it from another; whether there was one.
fn take_one(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let is = |token: &TokenWithSpan, wanted: &str| word(token).eq_ignore_ascii_case(wanted);
    let is_solid = |at: &usize| !is_space(&tokens[*at]);
    let Some(at) = tokens.iter().position(|token| is(token, "DEFERRABLE")) else {
        return false;
    };
    let (mut from, mut to) = (at, at + 1);
    let mut before = (0..from).rev().find(is_solid);
    if let Some(not) = before
        && is(&tokens[not], "NOT")
    {
        from = not;
        before = (0..from).rev().find(is_solid);
    }
    let after = (to..tokens.len()).find(is_solid);
    let is_comma = |at: &usize| tokens[*at].token == Token::Comma;
    match (before.filter(is_comma), after.filter(is_comma)) {
        (Some(comma), _) => from = comma,
        (None, Some(comma)) => to = comma + 1,
        (None, None) => {}
    }
    tokens.drain(from..to);
    true
}

/// An unquoted word; empty for anything else.
fn word(token: &TokenWithSpan) -> &str {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => &word.value,
        _ => "",
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
