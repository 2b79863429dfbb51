//! `TABLE t`, short for `SELECT * FROM t` wherever a query may stand.

use sqlparser::keywords::{Keyword, RESERVED_FOR_COLUMN_ALIAS};
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Writes it out, for the grammar knows it only in part.
pub(super) fn write_out(tokens: &mut Vec<TokenWithSpan>) {
    let mut at = 0;
    // What stands before the token that is looked at, spaces left out.
    let mut before = None;
    while at < tokens.len() {
        let token = tokens[at].token.clone();
        if matches!(token, Token::Whitespace(_)) {
            at += 1;
            continue;
        }
        let is_table = keyword(&token) == Some(Keyword::TABLE);
        if is_table
            && (begins_query(before.as_ref()) || is_inserted(&tokens[..at]))
            && is_named(&tokens[at + 1..])
        {
            let written = [
                Token::make_keyword("SELECT"),
                Token::Mul,
                Token::make_keyword("FROM"),
            ];
            let span = tokens[at].span;
            let written = written.map(|token| TokenWithSpan { token, span });
            tokens.splice(at..=at, written);
            at += 2;
        }
        before = Some(token);
        at += 1;
    }
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

/// Whether INSERT INTO and a name stand before.
fn is_inserted(before: &[TokenWithSpan]) -> bool {
    let mut words = before.iter().map(|token| &token.token);
    let mut next = || words.find(|token| !matches!(token, Token::Whitespace(_)));
    let begins = next().and_then(keyword) == Some(Keyword::INSERT);
    begins
        && next().and_then(keyword) == Some(Keyword::INTO)
        && words.all(|token| matches!(token, Token::Word(_) | Token::Period | Token::Whitespace(_)))
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
