//! `TABLE t`, short for `SELECT * FROM t` wherever a query may stand.

use super::changes::Changes;
use sqlparser::keywords::{Keyword, RESERVED_FOR_COLUMN_ALIAS};
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Writes it out, for the grammar knows it only in part.
pub(super) fn write_out(tokens: &mut Vec<TokenWithSpan>) {
    let mut changes = Changes::default();
    let names_end = inserted_end(tokens);
    // What stands before the token that is looked at, spaces left out.
    let mut before = None;
    for (at, TokenWithSpan { token, span }) in tokens.iter().enumerate() {
        if matches!(token, Token::Whitespace(_)) {
            continue;
        }
        let is_table = keyword(token) == Some(Keyword::TABLE);
        if is_table && (begins_query(before) || at < names_end) && is_named(&tokens[at + 1..]) {
            let written = [
                Token::make_keyword("SELECT"),
                Token::Mul,
                Token::make_keyword("FROM"),
            ];
            let written = written.map(|token| TokenWithSpan { token, span: *span });
            changes.replace(at..at + 1, written);
        }
        before = Some(token);
    }
    changes.make(tokens);
}

fn keyword(token: &Token) -> Option<Keyword> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

/// Whether a relation is named next: `1 AS table, ..` is a label.
fn is_named(rest: &[TokenWithSpan]) -> bool {
    let mut rest = rest.iter().map(|token| &token.token);
    let next = rest.find(|token| !matches!(token, Token::Whitespace(_)));
    match next {
        Some(Token::Word(word)) if word.quote_style.is_some() => true,
        Some(Token::Word(word)) => !RESERVED_FOR_COLUMN_ALIAS.contains(&word.keyword),
        _ => false,
    }
}

/// Up to where nothing but names stands behind INSERT INTO.
fn inserted_end(tokens: &[TokenWithSpan]) -> usize {
    let mut words = tokens.iter().map(|token| &token.token);
    let mut next = || words.find(|token| !matches!(token, Token::Whitespace(_)));
    let words = [next(), next()].map(|token| token.and_then(keyword));
    if words != [Some(Keyword::INSERT), Some(Keyword::INTO)] {
        return 0;
    }
    let is_name = |token: &TokenWithSpan| {
        matches!(
            token.token,
            Token::Word(_) | Token::Period | Token::Whitespace(_)
        )
    };
    let end = tokens.iter().position(|token| !is_name(token));
    end.unwrap_or(tokens.len())
}

/// Whether a query may begin behind this.
fn begins_query(before: Option<&Token>) -> bool {
    use Keyword as K;
    match before {
        None | Some(Token::LParen | Token::RParen) => true,
        Some(token) => matches!(
            keyword(token),
            Some(K::UNION | K::EXCEPT | K::INTERSECT | K::ALL | K::EXPLAIN | K::AS)
        ),
    }
}
