//! `ANY (VALUES ..)`, and `ALL` and `SOME` likewise, and `(VALUES (1))` as a value: rows written out where a
//! query may stand.

use super::around::{closing, keyword, next, next_open, previous};
use super::changes::Changes;
use crate::error::{Error, Result, state};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Writes the rows as a query in FROM, for the grammar takes VALUES there for a function.
pub(super) fn write_out(tokens: &mut Vec<TokenWithSpan>) {
    let mut changes = Changes::default();
    for at in 0..tokens.len() {
        if keyword(&tokens[at]) == Keyword::VALUES
            && let Some(open) = previous(tokens, at)
            && tokens[open].token == Token::LParen
            && previous(tokens, open).is_some_and(|before| is_before_value(&tokens[before]))
            && let Some(close) = closing(tokens, open)
        {
            let span = tokens[open].span;
            let with = |token| TokenWithSpan { token, span };
            let tail = [
                Token::RParen,
                Token::make_keyword("AS"),
                Token::make_word("rows", None),
            ];
            let head = ["SELECT", "*", "FROM", "("].map(|word| match word {
                "*" => Token::Mul,
                "(" => Token::LParen,
                word => Token::make_keyword(word),
            });
            changes.insert(open + 1, head.map(with));
            changes.insert(close, tail.map(with));
        }
    }
    changes.make(tokens);
}

/// Whether a bracket behind it holds a value, or the query that gives it.
fn is_before_value(token: &TokenWithSpan) -> bool {
    let words = [
        Keyword::ANY,
        Keyword::ALL,
        Keyword::SOME,
        Keyword::SELECT,
        Keyword::WHERE,
        Keyword::AND,
        Keyword::OR,
        Keyword::NOT,
        Keyword::WHEN,
        Keyword::THEN,
        Keyword::ELSE,
    ];
    let operators = [
        Token::Eq,
        Token::Neq,
        Token::Lt,
        Token::Gt,
        Token::LtEq,
        Token::GtEq,
        Token::Plus,
        Token::Minus,
        Token::Mul,
        Token::Div,
        Token::StringConcat,
    ];
    words.contains(&keyword(token)) || operators.contains(&token.token)
}

/// Refuses `x * ANY (..)`: what is asked of all has to be true or false.
///
/// # Errors
/// 42809, and 42804 of a query.
pub(super) fn refuse_calculations(tokens: &[TokenWithSpan]) -> Result<()> {
    let words = [Keyword::ANY, Keyword::ALL, Keyword::SOME];
    for (at, token) in tokens.iter().enumerate() {
        let calculates = matches!(
            token.token,
            Token::Plus | Token::Mul | Token::Div | Token::Mod | Token::Caret | Token::StringConcat
        );
        if calculates
            && let Some(word) = next(tokens, at)
            && words.contains(&keyword(&tokens[word]))
            && let Some(open) = next_open(tokens, word)
        {
            let inner = next(tokens, open);
            let queries = [Keyword::SELECT, Keyword::VALUES, Keyword::WITH];
            let (state, message) =
                match inner.is_some_and(|at| queries.contains(&keyword(&tokens[at]))) {
                    true => (
                        state::DATATYPE_MISMATCH,
                        "row comparison operator must yield type boolean",
                    ),
                    false => (
                        state::WRONG_OBJECT_TYPE,
                        "op ANY/ALL (array) requires operator to yield boolean",
                    ),
                };
            return Err(Error::new(state, message).at(super::place(token.span)));
        }
    }
    Ok(())
}
