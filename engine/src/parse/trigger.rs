//! CREATE, ALTER and DROP TRIGGER.
//!
//! A trigger's body is SQL between BEGIN and END, which `block` has taken out before, as its semicolons end no
//! statement. Beside statements that the grammar knows there is `SET NEW.a = .., NEW.b = ..`, which is read here
//! as a query of what is assigned.

use super::around::{is_any, is_space, is_word, keyword};
use super::{Parsed, block, bounded, error, parser, take_word, token};
use crate::error::Result;
use remora_storage::catalog::{TriggerEvent, TriggerTiming};
use sqlparser::ast::{Expr, Ident, ObjectName};
use sqlparser::keywords::Keyword as K;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// What is said of triggers.
#[derive(Clone, Debug)]
pub(crate) enum TriggerSyntax {
    Create(Box<CreateTrigger>),
    Drop(DropTrigger),
    Rename {
        name: Ident,
        table: ObjectName,
        to: Ident,
    },
}

/// CREATE TRIGGER
#[derive(Clone, Debug)]
pub(crate) struct CreateTrigger {
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub name: Ident,
    pub timing: TriggerTiming,
    pub events: Vec<TriggerEvent>,
    /// The columns of UPDATE OF.
    pub of: Vec<Ident>,
    pub table: ObjectName,
    pub old_table: Option<Ident>,
    pub new_table: Option<Ident>,
    /// `None` where nothing is said, which means STATEMENT.
    pub for_each_row: Option<bool>,
    pub condition: Option<Expr>,
    /// What is between BEGIN and END.
    pub body: String,
}

/// DROP TRIGGER
#[derive(Clone, Debug)]
pub(crate) struct DropTrigger {
    pub if_exists: bool,
    pub name: Ident,
    pub table: ObjectName,
}

/// A statement of a trigger's body.
#[derive(Debug)]
pub(crate) enum BodyStatement {
    Statement(Parsed),
    /// SET: columns of the new row, and a query that gives their values.
    Set(Vec<Ident>, Parsed),
}

/// A statement about triggers, if one comes next.
pub(super) fn parse(
    parser: &mut Parser<'_>,
    block: Option<String>,
) -> Result<Option<TriggerSyntax>, ParserError> {
    if parser.parse_keywords(&[K::DROP, K::TRIGGER]) {
        return drop_trigger(parser).map(|drop| Some(TriggerSyntax::Drop(drop)));
    }
    if parser.parse_keywords(&[K::ALTER, K::TRIGGER]) {
        let name = parser.parse_identifier()?;
        parser.expect_keyword(K::ON)?;
        let table = parser.parse_object_name(false)?;
        parser.expect_keywords(&[K::RENAME, K::TO])?;
        let to = parser.parse_identifier()?;
        return Ok(Some(TriggerSyntax::Rename { name, table, to }));
    }
    let or_replace = parser.parse_keywords(&[K::CREATE, K::OR, K::REPLACE, K::TRIGGER]);
    if !or_replace && !parser.parse_keywords(&[K::CREATE, K::TRIGGER]) {
        return Ok(None);
    }
    create(parser, or_replace, block).map(|create| Some(TriggerSyntax::Create(Box::new(create))))
}

fn drop_trigger(parser: &mut Parser<'_>) -> Result<DropTrigger, ParserError> {
    let if_exists = parser.parse_keywords(&[K::IF, K::EXISTS]);
    let name = parser.parse_identifier()?;
    parser.expect_keyword(K::ON)?;
    let table = parser.parse_object_name(false)?;
    // Nothing depends on a trigger.
    let _ = parser.parse_one_of_keywords(&[K::CASCADE, K::RESTRICT]);
    Ok(DropTrigger {
        if_exists,
        name,
        table,
    })
}

fn create(
    parser: &mut Parser<'_>,
    or_replace: bool,
    block: Option<String>,
) -> Result<CreateTrigger, ParserError> {
    let if_not_exists = parser.parse_keywords(&[K::IF, K::NOT, K::EXISTS]);
    let name = parser.parse_identifier()?;
    let timing = timing(parser)?;
    let (mut events, mut of) = (Vec::new(), Vec::new());
    loop {
        events.push(event(parser, &mut of)?);
        if !parser.parse_keyword(K::OR) {
            break;
        }
    }
    parser.expect_keyword(K::ON)?;
    let table = parser.parse_object_name(false)?;
    let (mut old_table, mut new_table) = (None, None);
    if parser.parse_keyword(K::REFERENCING) {
        loop {
            let place = match parser.parse_one_of_keywords(&[K::OLD, K::NEW]) {
                Some(K::OLD) => &mut old_table,
                Some(_) => &mut new_table,
                None => break,
            };
            parser.expect_keyword(K::TABLE)?;
            let _ = parser.parse_keyword(K::AS);
            *place = Some(parser.parse_identifier()?);
        }
    }
    let mut for_each_row = None;
    if parser.parse_keyword(K::FOR) {
        let _ = parser.parse_keyword(K::EACH);
        for_each_row = Some(
            match parser.parse_one_of_keywords(&[K::ROW, K::STATEMENT]) {
                Some(K::ROW) => true,
                Some(_) => false,
                None => return parser.expected_ref("ROW or STATEMENT", parser.peek_token_ref()),
            },
        );
    }
    let condition = match parser.parse_keyword(K::WHEN) {
        true => Some(without_brackets(parser.parse_expr()?)),
        false => None,
    };
    let Some(body) = block else {
        return parser.expected_ref("BEGIN .. END", parser.peek_token_ref());
    };
    Ok(CreateTrigger {
        or_replace,
        if_not_exists,
        name,
        timing,
        events,
        of,
        table,
        old_table,
        new_table,
        for_each_row,
        condition,
        body: without_atomic(body),
    })
}

/// The brackets that a condition has to stand in are none of its own.
fn without_brackets(condition: Expr) -> Expr {
    match condition {
        Expr::Nested(inner) => *inner,
        other => other,
    }
}

/// The standard's `BEGIN ATOMIC` says no more than BEGIN.
fn without_atomic(block: String) -> String {
    match block.get(..6) {
        Some(word) if word.eq_ignore_ascii_case("atomic") => {
            let rest = &block[6..];
            match rest.starts_with(char::is_whitespace) {
                true => rest.trim_start().to_owned(),
                false => block,
            }
        }
        _ => block,
    }
}

fn timing(parser: &mut Parser<'_>) -> Result<TriggerTiming, ParserError> {
    if parser.parse_keyword(K::BEFORE) {
        return Ok(TriggerTiming::Before);
    }
    if parser.parse_keyword(K::AFTER) {
        return Ok(TriggerTiming::After);
    }
    match parser.parse_keyword(K::INSTEAD) && parser.parse_keyword(K::OF) {
        true => Ok(TriggerTiming::InsteadOf),
        false => parser.expected_ref("BEFORE, AFTER or INSTEAD OF", parser.peek_token_ref()),
    }
}

fn event(parser: &mut Parser<'_>, of: &mut Vec<Ident>) -> Result<TriggerEvent, ParserError> {
    let words = [K::INSERT, K::UPDATE, K::DELETE, K::TRUNCATE];
    Ok(match parser.parse_one_of_keywords(&words) {
        Some(K::INSERT) => TriggerEvent::Insert,
        Some(K::DELETE) => TriggerEvent::Delete,
        Some(K::TRUNCATE) => TriggerEvent::Truncate,
        Some(_) => {
            if parser.parse_keyword(K::OF) {
                of.extend(parser.parse_comma_separated(Parser::parse_identifier)?);
            }
            TriggerEvent::Update
        }
        None => {
            let wanted = "INSERT, UPDATE, DELETE or TRUNCATE";
            return parser.expected_ref(wanted, parser.peek_token_ref());
        }
    })
}

/// The statements of a trigger's body.
///
/// # Errors
/// As [`super::parse`].
pub(crate) fn parse_body(sql: &str) -> Result<Vec<BodyStatement>> {
    let tokens = token::tokenize(sql)?;
    let mut found = Vec::new();
    for statement in block::statements(&tokens) {
        let statement = &tokens[statement];
        if statement.iter().all(is_space) {
            continue;
        }
        found.push(match sets_new(statement) {
            true => assignments(sql, statement)?,
            false => BodyStatement::Statement(super::parse_statement(
                sql,
                statement.to_vec(),
                &token::text(statement),
            )?),
        });
    }
    Ok(found)
}

/// Whether a statement begins with `SET NEW.`
fn sets_new(tokens: &[TokenWithSpan]) -> bool {
    let mut words = tokens.iter().filter(|token| !is_space(token));
    let is_set = words.next().is_some_and(|token| keyword(token) == K::SET);
    let is_new = words.next().is_some_and(|token| is_word(token, "new"));
    let period = words.next().map(|token| &token.token);
    is_set && is_new && period == Some(&Token::Period)
}

fn assignments(sql: &str, tokens: &[TokenWithSpan]) -> Result<BodyStatement> {
    let mut tokens = bounded(tokens.to_vec())?;
    super::quantified::write_out(&mut tokens);
    super::spelling::rewrite(&mut tokens);
    let mut parser = parser(tokens.clone());
    let found = assigned(&mut parser).map_err(|error| error::from_parser(error, sql, &tokens));
    let (columns, values) = found?.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    let query = format!("SELECT {}", values.join(", "));
    match super::parse(&query)?.pop() {
        Some(query) => Ok(BodyStatement::Set(columns, query)),
        None => Err(super::too_complex(None)),
    }
}

fn assigned(parser: &mut Parser<'_>) -> Result<Vec<(Ident, Expr)>, ParserError> {
    parser.expect_keyword(K::SET)?;
    let found = parser.parse_comma_separated(|parser| {
        if !take_word(parser, "new") {
            return parser.expected_ref("NEW", parser.peek_token_ref());
        }
        parser.expect_token(&Token::Period)?;
        let column = parser.parse_identifier()?;
        parser.expect_token(&Token::Eq)?;
        Ok((column, parser.parse_expr()?))
    })?;
    match parser.peek_token_ref().token {
        Token::EOF => Ok(found),
        _ => parser.expected_ref("end of statement", parser.peek_token_ref()),
    }
}

/// A trigger's text in which columns of NEW and OLD have other names: from, to.
pub(crate) fn with_columns(
    text: &str,
    renamed: &[(&str, &str)],
    quoted: impl Fn(&str) -> String,
) -> String {
    let Ok(mut tokens) = token::tokenize(text) else {
        return text.to_owned();
    };
    if renamed.is_empty() {
        return text.to_owned();
    }
    let is_row = |token: &TokenWithSpan| is_any(token, &["new", "old"]);
    for at in 2..tokens.len() {
        let qualified = is_row(&tokens[at - 2]) && tokens[at - 1].token == Token::Period;
        if let (true, Token::Word(word)) = (qualified, &mut tokens[at].token) {
            let name = match word.quote_style {
                Some(_) => word.value.clone(),
                None => word.value.to_lowercase(),
            };
            if let Some((_, to)) = renamed.iter().find(|(from, _)| *from == name) {
                // It is written as it is to be read.
                (word.value, word.quote_style) = (quoted(to), None);
            }
        }
    }
    token::text(&tokens)
}
