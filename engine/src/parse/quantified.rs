//! `ANY (VALUES ..)`, and `ALL` and `SOME` likewise, and `(VALUES (1))` as a value: rows written out where a
//! query may stand.

use crate::error::{Error, Result, state};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Writes the rows as a query in FROM, for the grammar takes VALUES there for a function.
pub(super) fn write_out(tokens: &mut Vec<TokenWithSpan>) {
    let mut at = 0;
    while at < tokens.len() {
        if is_before_value(&tokens[at])
            && let Some(open) = next(tokens, at)
            && tokens[open].token == Token::LParen
            && next(tokens, open).is_some_and(|at| is_keyword(&tokens[at], &[Keyword::VALUES]))
            && let Some(close) = closing(tokens, open)
        {
            let span = tokens[open].span;
            let with = |token| TokenWithSpan { token, span };
            tokens.splice(
                close..close,
                [
                    Token::RParen,
                    Token::make_keyword("AS"),
                    Token::make_word("rows", None),
                ]
                .map(with),
            );
            let head = ["SELECT", "*", "FROM", "("].map(|word| match word {
                "*" => Token::Mul,
                "(" => Token::LParen,
                word => Token::make_keyword(word),
            });
            tokens.splice(open + 1..open + 1, head.map(with));
        }
        at += 1;
    }
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
    is_keyword(token, &words) || operators.contains(&token.token)
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
            && is_keyword(&tokens[word], &words)
            && let Some(open) = next(tokens, word)
            && tokens[open].token == Token::LParen
        {
            let inner = next(tokens, open);
            let queries = [Keyword::SELECT, Keyword::VALUES, Keyword::WITH];
            let (state, message) = match inner.is_some_and(|at| is_keyword(&tokens[at], &queries)) {
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

fn is_keyword(token: &TokenWithSpan, keywords: &[Keyword]) -> bool {
    matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && keywords.contains(&word.keyword))
}

/// Where the next token is that is not a space.
fn next(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    let is_space = |at: &usize| matches!(tokens[*at].token, Token::Whitespace(_));
    (at + 1..tokens.len()).find(|at| !is_space(at))
}

/// Where the bracket ends that begins here.
fn closing(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0;
    (open..tokens.len()).find(|at| {
        match tokens[*at].token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}
