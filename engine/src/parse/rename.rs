//! Other names within a text that stays as it is otherwise.

use super::around::is_space;
use super::extent::Extents;
use super::token;
use crate::error::{Position, Result};
use sqlparser::ast::Ident;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan};

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
    let solid = |token: &&TokenWithSpan| !is_space(token);
    let mut text = Rewritten::new(sql);
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
        if let Some(ident) = renamed {
            text.replace(token.span, &ident.to_string());
        }
    }
    Ok(text.finish())
}

/// What comes to stand at a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Replaced {
    /// Another name, as it has to be written, for one that may have a schema before it.
    Name(String),
    /// Another string literal for one of this text.
    Literal(String, String),
}

/// The text with something else at these places; `None` where something else than was expected stands there.
///
/// # Errors
/// 42601 where the text is no SQL.
pub(crate) fn replace_at(
    sql: &str,
    mut others: Vec<(Position, Replaced)>,
) -> Result<Option<String>> {
    let tokens = token::tokenize(sql)?;
    let tokens: Vec<_> = tokens.iter().filter(|t| !is_space(t)).collect();
    let mut text = Rewritten::new(sql);
    for (at, token) in tokens.iter().enumerate() {
        let place = super::place(token.span);
        let Some(found) = others.iter().position(|(at, _)| Some(*at) == place) else {
            continue;
        };
        match (&token.token, others.swap_remove(found).1) {
            (Token::Word(_), Replaced::Name(name)) => {
                let rest = tokens.get(at + 1).zip(tokens.get(at + 2));
                let last = rest.filter(|(dot, _)| dot.token == Token::Period);
                let end = last.map_or(token.span, |(_, last)| last.span).end;
                text.replace(Span::new(token.span.start, end), &name);
            }
            (Token::SingleQuotedString(old), Replaced::Literal(wanted, new)) if *old == wanted => {
                text.replace(token.span, &format!("'{}'", new.replace('\'', "''")));
            }
            _ => return Ok(None),
        }
    }
    Ok(others.is_empty().then(|| text.finish()))
}

/// A text of which parts are written anew, from its beginning to its end.
struct Rewritten<'a> {
    sql: &'a str,
    places: Extents<'a>,
    /// How far it has come.
    at: usize,
    text: String,
}

impl<'a> Rewritten<'a> {
    fn new(sql: &'a str) -> Self {
        Self {
            sql,
            places: Extents::new(sql),
            at: 0,
            text: String::with_capacity(sql.len()),
        }
    }

    /// Has something else stand where a token is.
    fn replace(&mut self, span: Span, other: &str) {
        let start = self.places.offset(span.start);
        let end = self.places.offset(span.end);
        self.text.push_str(&self.sql[self.at..start]);
        self.text.push_str(other);
        self.at = end;
    }

    fn finish(mut self) -> String {
        self.text.push_str(&self.sql[self.at..]);
        self.text
    }
}

fn stands_for(before: Option<&Token>, after: Option<&Token>) -> Option<Named> {
    match (before, after) {
        (_, Some(Token::Period)) => Some(Named::Table),
        (Some(Token::DoubleColon), _) | (_, Some(Token::LParen)) => None,
        _ => Some(Named::Column),
    }
}
