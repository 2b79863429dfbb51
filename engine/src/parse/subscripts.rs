//! Parts of values that statements write: `SET a[1] = 5`, `INSERT INTO t (a[1], a[2])`.
//!
//! The grammar's crate has names alone there. So what stands in the brackets is taken out of the tokens,
//! and kept by the place of the name before them.

use super::around::{is_space, keyword, next};
use super::changes::Changes;
use sqlparser::ast::{self, AccessExpr};
use sqlparser::keywords::Keyword;
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

/// What stands in brackets behind names of columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscripts(Vec<(Location, Vec<AccessExpr>)>);

impl Subscripts {
    /// Of a statement without any.
    pub(crate) const NONE: Self = Self(Vec::new());

    /// What stands behind this name; nothing behind most.
    pub(crate) fn of(&self, name: &ast::Ident) -> &[AccessExpr] {
        let mut found = self.0.iter();
        let found = found.find(|(place, _)| *place == name.span.start);
        found.map_or(&[], |(_, chain)| chain)
    }
}

/// Where names of columns stand.
#[derive(Clone, Copy, PartialEq, Eq)]
struct List {
    /// How many brackets are open around it.
    depth: usize,
    /// Whether it is that of SET, where values stand too.
    is_set: bool,
}

/// Takes the brackets out.
pub(super) fn take(tokens: &mut Vec<TokenWithSpan>) -> Result<Subscripts, ParserError> {
    let mut found = Subscripts::default();
    let mut changes = Changes::default();
    if !tokens.iter().any(|token| token.token == Token::LBracket) {
        return Ok(found);
    }
    let (mut lists, mut depth): (Vec<List>, usize) = (Vec::new(), 0);
    // Whether a name of a column may come next, whether one stands before, and whether the columns of an INSERT may
    // come.
    let (mut is_due, mut was_name, mut is_insert) = (false, false, false);
    let mut before = Keyword::NoKeyword;
    let mut at = 0;
    while at < tokens.len() {
        if is_space(&tokens[at]) {
            at += 1;
            continue;
        }
        let was_due = std::mem::take(&mut is_due);
        let is_field = std::mem::take(&mut was_name) && tokens[at].token == Token::Period;
        let keyword = keyword(&tokens[at]);
        match &tokens[at].token {
            Token::LParen | Token::LBracket => {
                depth += 1;
                let is_columns = is_insert && !is_query(tokens, at);
                if tokens[at].token == Token::LParen && (is_columns || was_due) {
                    is_due = true;
                    lists.push(List {
                        depth,
                        is_set: false,
                    });
                }
                is_insert = false;
            }
            Token::RParen | Token::RBracket => {
                lists.retain(|list| list.depth < depth);
                depth = depth.saturating_sub(1);
            }
            Token::Comma => is_due = lists.last().is_some_and(|list| list.depth == depth),
            Token::Period => is_due = is_field,
            Token::Word(_) if was_due && !is_open(tokens, at) => was_name = true,
            Token::Word(_) if was_due => {
                let place = tokens[at].span.start;
                let end = groups(tokens, at);
                let chain = super::parse_chain(&tokens[at + 1..end])?;
                found.0.push((place, chain));
                changes.remove(at + 1..end);
                was_name = true;
                at = end - 1;
            }
            _ => match keyword {
                Keyword::SET => {
                    lists.retain(|list| list.depth < depth);
                    lists.push(List {
                        depth,
                        is_set: true,
                    });
                    is_due = true;
                }
                Keyword::FROM if before == Keyword::DISTINCT => {}
                Keyword::WHERE | Keyword::FROM | Keyword::RETURNING => {
                    lists.retain(|list| list.depth != depth || !list.is_set);
                }
                Keyword::INSERT => is_insert = true,
                Keyword::SELECT | Keyword::VALUES | Keyword::DEFAULT | Keyword::WITH => {
                    is_insert = false;
                }
                _ => {}
            },
        }
        before = keyword;
        at += 1;
    }
    changes.make(tokens);
    Ok(found)
}

fn is_open(tokens: &[TokenWithSpan], at: usize) -> bool {
    next(tokens, at).is_some_and(|at| tokens[at].token == Token::LBracket)
}

/// Whether a query stands in the bracket that is opened here.
fn is_query(tokens: &[TokenWithSpan], open: usize) -> bool {
    next(tokens, open).is_some_and(|at| {
        tokens[at].token == Token::LParen
            || matches!(
                keyword(&tokens[at]),
                Keyword::SELECT | Keyword::VALUES | Keyword::WITH | Keyword::TABLE
            )
    })
}

/// Behind the last of the brackets that follow a name.
fn groups(tokens: &[TokenWithSpan], name: usize) -> usize {
    let mut end = name + 1;
    let mut at = name;
    while let Some(open) = next(tokens, at).filter(|at| tokens[*at].token == Token::LBracket) {
        let mut depth = 0_usize;
        let close = (open..tokens.len()).find(|at| {
            match tokens[*at].token {
                Token::LBracket => depth += 1,
                Token::RBracket => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        let Some(close) = close else {
            return tokens.len();
        };
        (at, end) = (close, close + 1);
    }
    end
}
