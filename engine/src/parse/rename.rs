//! Other names within a text that stays as it is otherwise.

use super::token;
use crate::error::Result;
use sqlparser::ast::Ident;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// What a word in an expression can be the name of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Named {
    /// A column: no function, type or table.
    Column,
    /// The table that a column is qualified with.
    Table,
}

/// The text of an expression with other names where `rename` gives one. A word that only looks like a name is
/// not told from one in every case: the caller compares what both texts mean.
///
/// # Errors
/// 42601 where the text is no SQL.
pub(crate) fn rename(
    sql: &str,
    named: Named,
    rename: impl Fn(&Ident) -> Option<Ident>,
) -> Result<String> {
    let tokens = token::tokenize(sql)?;
    let solid = |token: &&TokenWithSpan| !super::is_space(token);
    let mut text = String::with_capacity(sql.len());
    for (at, token) in tokens.iter().enumerate() {
        let before = tokens[..at]
            .iter()
            .rev()
            .find(solid)
            .map(|found| &found.token);
        let after = tokens[at + 1..]
            .iter()
            .find(solid)
            .map(|found| &found.token);
        let renamed = match &token.token {
            Token::Word(word) if stands_for(before, after) == Some(named) => {
                rename(&word.to_ident(token.span))
            }
            _ => None,
        };
        match renamed {
            Some(ident) => text.push_str(&ident.to_string()),
            None => text.push_str(&token.token.to_string()),
        }
    }
    Ok(text)
}

fn stands_for(before: Option<&Token>, after: Option<&Token>) -> Option<Named> {
    match (before, after) {
        (_, Some(Token::Period)) => Some(Named::Table),
        (Some(Token::DoubleColon), _) | (_, Some(Token::LParen)) => None,
        _ => Some(Named::Column),
    }
}
