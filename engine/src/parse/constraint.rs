//! Constraint syntax that the grammar's crate does not know: `SET CONSTRAINTS`, `ALTER CONSTRAINT`, the columns that a
//! referential action sets, and the index method of a key.
//!
//! ```text
//!   FOREIGN KEY (a, b) REFERENCES t ON DELETE SET NULL (b)     FOREIGN KEY "SET b" (a, b) REFERENCES t ON DELETE SET NULL
//!   PRIMARY KEY USING HASH (a)                                 PRIMARY KEY "USING HASH" USING HASH (a)
//!   a INT PRIMARY KEY USING HASH                               a INT PRIMARY KEY COLLATE "USING HASH"
//! ```
//!
//! What stands behind KEY is the name of an index to that grammar; this one has a blank and no quotes, so that
//! nobody could write it. [`set_columns_of`] reads it back.

use super::around::{is_space, is_word, keyword, next, next_open, previous};
use super::changes::Changes;
use sqlparser::ast::{self, Ident, ObjectName};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// SET CONSTRAINTS
#[derive(Clone, Debug)]
pub(crate) struct SetConstraints {
    /// Which; `None` for ALL.
    pub names: Option<Vec<ObjectName>>,
    pub deferred: bool,
}

/// ALTER TABLE .. ALTER CONSTRAINT
#[derive(Clone, Debug)]
pub(crate) struct AlterConstraint {
    pub table: ObjectName,
    pub if_exists: bool,
    pub name: Ident,
    pub characteristics: ast::ConstraintCharacteristics,
}

/// SET CONSTRAINTS, if that comes next.
pub(super) fn parse_set(parser: &mut Parser<'_>) -> Result<Option<SetConstraints>, ParserError> {
    let [first, second] = parser.peek_tokens_ref();
    if !is_word(first, "SET") || !is_word(second, "CONSTRAINTS") {
        return Ok(None);
    }
    parser.advance_token();
    parser.advance_token();
    let names = match parser.parse_keyword(Keyword::ALL) {
        true => None,
        false => Some(parser.parse_comma_separated(|parser| parser.parse_object_name(false))?),
    };
    let deferred = match parser.parse_one_of_keywords(&[Keyword::DEFERRED, Keyword::IMMEDIATE]) {
        Some(word) => word == Keyword::DEFERRED,
        None => {
            return parser.expected_ref("DEFERRED or IMMEDIATE", parser.peek_token_ref());
        }
    };
    Ok(Some(SetConstraints { names, deferred }))
}

/// ALTER TABLE .. ALTER CONSTRAINT, if that comes next.
pub(super) fn parse_alter(parser: &mut Parser<'_>) -> Result<Option<AlterConstraint>, ParserError> {
    match parser.peek_keyword(Keyword::ALTER) {
        true => parser.maybe_parse(alter),
        false => Ok(None),
    }
}

fn alter(parser: &mut Parser<'_>) -> Result<AlterConstraint, ParserError> {
    parser.expect_keywords(&[Keyword::ALTER, Keyword::TABLE])?;
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let _ = parser.parse_keyword(Keyword::ONLY);
    let table = parser.parse_object_name(false)?;
    parser.expect_keywords(&[Keyword::ALTER, Keyword::CONSTRAINT])?;
    let name = parser.parse_identifier()?;
    let said = parser.parse_constraint_characteristics()?;
    Ok(AlterConstraint {
        table,
        if_exists,
        name,
        characteristics: said.unwrap_or_default(),
    })
}

const SET: &str = "SET ";

/// The columns that an action of a foreign key names.
pub(crate) fn set_columns_of(syntax: &ast::ForeignKeyConstraint) -> Option<Vec<Ident>> {
    let mark = syntax.index_name.as_ref()?;
    let named = mark.value.strip_prefix(SET)?;
    if mark.quote_style.is_some() {
        return None;
    }
    let expr = super::parse_expression(&format!("ROW({named})")).ok()?;
    let ast::Expr::Function(call) = expr else {
        return tuple(expr);
    };
    let ast::FunctionArguments::List(list) = call.args else {
        return None;
    };
    let ident = |argument| match argument {
        ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(ast::Expr::Identifier(ident))) => {
            Some(ident)
        }
        _ => None,
    };
    list.args.into_iter().map(ident).collect()
}

fn tuple(expr: ast::Expr) -> Option<Vec<Ident>> {
    let ident = |expr| match expr {
        ast::Expr::Identifier(ident) => Some(ident),
        _ => None,
    };
    match expr {
        ast::Expr::Tuple(parts) => parts.into_iter().map(ident).collect(),
        other => ident(other).map(|ident| vec![ident]),
    }
}

/// The words that stand for USING HASH behind a column's PRIMARY KEY or UNIQUE, as a collation.
pub(crate) const USING_HASH: &str = "USING HASH";

/// Moves the columns of actions to the beginning of their foreign keys, and marks the indexes of keys.
pub(super) fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    let mut changes = Changes::default();
    for at in 0..tokens.len() {
        match keyword(&tokens[at]) {
            Keyword::FOREIGN => move_columns(tokens, at, &mut changes),
            Keyword::USING if is_of_key(tokens, at) => mark_index(tokens, at, &mut changes),
            _ => {}
        }
    }
    changes.make(tokens);
}

/// Whether what comes here is said of a key.
fn is_of_key(tokens: &[TokenWithSpan], at: usize) -> bool {
    let before = previous(tokens, at);
    let second = before.and_then(|before| previous(tokens, before));
    let word = |at: Option<usize>| at.map_or(Keyword::NoKeyword, |at| keyword(&tokens[at]));
    match word(before) {
        Keyword::UNIQUE => true,
        Keyword::KEY => word(second) == Keyword::PRIMARY,
        Keyword::DISTINCT => matches!(word(second), Keyword::NULLS | Keyword::NOT),
        _ => false,
    }
}

/// Before a list of columns the grammar reads the index behind its name, behind a column not at all.
fn mark_index(tokens: &[TokenWithSpan], using: usize, changes: &mut Changes) {
    let Some(method) = next(tokens, using) else {
        return;
    };
    let is_hash = is_word(&tokens[method], "HASH");
    if !is_hash && !is_word(&tokens[method], "BTREE") {
        return;
    }
    let like = |token| TokenWithSpan {
        token,
        span: tokens[using].span,
    };
    let mark = like(Token::Word(Word {
        value: USING_HASH.to_owned(),
        quote_style: None,
        keyword: Keyword::NoKeyword,
    }));
    if next_open(tokens, method).is_some() {
        return changes.insert(using, [mark]);
    }
    let written = match is_hash {
        true => vec![like(Token::make_keyword("COLLATE")), mark],
        false => Vec::new(),
    };
    changes.replace(using..method + 1, written);
}

fn move_columns(tokens: &[TokenWithSpan], foreign: usize, changes: &mut Changes) {
    // Its own action: before the next one begins.
    let others = (foreign + 1..tokens.len()).filter(|at| !is_space(&tokens[*at]));
    let own = others.take_while(|at| !is_word(&tokens[*at], "FOREIGN"));
    let solid: Vec<usize> = std::iter::once(foreign).chain(own).collect();
    let is = |number: usize, word: &str| {
        let at = solid.get(number);
        at.is_some_and(|at| is_word(&tokens[*at], word))
    };
    if !is(1, "KEY") {
        return;
    }
    let sets = |number: &usize| {
        is(*number, "DELETE")
            && is(number + 1, "SET")
            && (is(number + 2, "NULL") || is(number + 2, "DEFAULT"))
    };
    let action = (2..solid.len()).find(sets);
    let open = action.and_then(|action| solid.get(action + 3).copied());
    let Some(open) = open.filter(|at| tokens[*at].token == Token::LParen) else {
        return;
    };
    let Some(close) = (open..tokens.len()).find(|at| tokens[*at].token == Token::RParen) else {
        return;
    };
    let named: String = tokens[open + 1..close]
        .iter()
        .map(|token| token.token.to_string())
        .collect();
    let word = Word {
        value: format!("{SET}{}", named.trim()),
        quote_style: None,
        keyword: Keyword::NoKeyword,
    };
    let mark = TokenWithSpan::new(Token::Word(word), tokens[open].span);
    changes.insert(solid[1] + 1, [mark]);
    changes.remove(open..close + 1);
}
