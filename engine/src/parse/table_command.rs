//! `TABLE t`, short for `SELECT * FROM t` wherever a query may stand.

use sqlparser::keywords::Keyword;
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
        if keyword(&token) == Some(Keyword::TABLE) && begins_query(before.as_ref()) {
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
