//! Stars behind values: `(r).*`, `t.*::text`, `t.* IN (..)`.
//!
//! The grammar's crate knows stars behind names, as items of lists. Others are written as a field with a name
//! that no other has ([`STAR`]), which stands for the value by itself.

use super::around::is_space;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// The name of the field that stands for all of a value.
pub(crate) const STAR: &str = "all fields";

/// Writes them so.
pub(super) fn rewrite(tokens: &mut [TokenWithSpan]) {
    for at in 2..tokens.len() {
        if tokens[at].token != Token::Mul || tokens[at - 1].token != Token::Period {
            continue;
        }
        let is_value = matches!(tokens[at - 2].token, Token::RParen | Token::RBracket);
        let after = tokens[at + 1..].iter().find(|token| !is_space(token));
        if is_value || after.is_some_and(goes_on) {
            tokens[at].token = Token::make_word(STAR, Some('"'));
        }
    }
}

/// Whether an expression goes on with a token that stands behind no item of a list.
fn goes_on(token: &TokenWithSpan) -> bool {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => matches!(
            word.keyword,
            Keyword::IS | Keyword::IN | Keyword::NOT | Keyword::BETWEEN
        ),
        other => matches!(
            other,
            Token::DoubleColon
                | Token::Eq
                | Token::Neq
                | Token::Lt
                | Token::LtEq
                | Token::Gt
                | Token::GtEq
        ),
    }
}
