//! From SQL text to syntax trees.
//!
//! 1. `token` splits the text into tokens and statements, and turns every `?` into a numbered
//!    placeholder, so that the rest of the engine knows `$n` only.
//! 2. `depth` bounds how deep a syntax tree can become, *before* there is one: a tree that is too
//!    deep cannot even be dropped without overflowing the stack.
//! 3. `transaction` and `sequence` take out what the grammar does not know of the words about a
//!    transaction and about numbers; `locking` writes clauses that lock rows as it knows them, and
//!    `table_command` writes `TABLE t` out.
//! 4. `create_as` knows what is said of tables that are made of a query.
//! 5. The grammar itself is the `sqlparser` crate's, in PostgreSQL's dialect; `error` turns what
//!    it says into PostgreSQL's words, SQLSTATE and place.
//!
//! Nothing here looks at a catalog: names are not resolved, types are not known.

mod create_as;
mod depth;
mod error;
mod extent;
mod locking;
mod prepared;
mod rename;
mod sequence;
mod table_command;
mod token;
mod transaction;
mod upkeep;
mod window;

pub(crate) use create_as::CreateTableAs;
pub(crate) use depth::too_complex;
pub(crate) use error::{place, refuse};
pub(crate) use locking::request;
pub(crate) use prepared::PreparedSyntax;
pub(crate) use rename::{Named, rename};
pub(crate) use sequence::{Aside, Overriding, SequenceOptions, SequenceSyntax};
pub(crate) use window::exclusion;

pub(crate) use upkeep::Upkeep;

use crate::error::Result;
use sqlparser::ast;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};
use std::sync::Arc;

/// One statement, parsed.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The statement's syntax tree.
    pub(crate) syntax: Syntax,
    /// What was taken out of the text before.
    pub(crate) aside: Aside,
    /// How many parameters it has (`?` are numbered from left to right; `$n` as written).
    pub parameters: usize,
    /// Its text, or the beginning of a long one.
    pub text: Arc<str>,
}

/// A statement's syntax tree.
#[derive(Clone, Debug)]
pub(crate) enum Syntax {
    /// One that the grammar knows.
    Statement(Box<ast::Statement>),
    /// CHECKPOINT, which it does not.
    Checkpoint,
    /// ALTER VIEW, whose grammar is that of ALTER TABLE.
    AlterView(Box<ast::AlterTable>),
    /// CREATE TABLE .. AS and SELECT .. INTO.
    CreateTableAs(Box<CreateTableAs>),
    /// PREPARE, EXECUTE, DEALLOCATE.
    Prepared(PreparedSyntax),
    /// ANALYZE and VACUUM.
    Upkeep(Upkeep),
    /// COMPACT, of one table or of all, likewise.
    Compact(Option<ast::ObjectName>),
    /// CREATE SEQUENCE and ALTER SEQUENCE, of which it knows a part.
    Sequence(SequenceSyntax),
}

impl Parsed {
    /// Whether this is COMMIT, END, ROLLBACK (also TO) or ABORT: what a failed transaction accepts.
    pub fn gets_out_of_failure(&self) -> bool {
        matches!(&self.syntax, Syntax::Statement(statement)
            if matches!(**statement, ast::Statement::Commit { .. } | ast::Statement::Rollback { .. }))
    }
}

/// Parses a text of any number of statements; empty ones vanish.
///
/// # Errors
/// 42601 with place; 54001 where the text nests too deeply. No statement runs before all parse.
pub fn parse(sql: &str) -> Result<Vec<Parsed>> {
    let tokens = token::tokenize(sql)?;
    let mut parsed = Vec::new();
    let mut extents = extent::Extents::new(sql);
    for statement in tokens.split(|token| token.token == Token::SemiColon) {
        if statement.iter().any(|token| !is_space(token)) {
            parsed.push(parse_statement(sql, statement, extents.of(statement))?);
        }
    }
    Ok(parsed)
}

/// Parses one expression, such as a DEFAULT or a CHECK that a catalog holds as text.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_expression(sql: &str) -> Result<ast::Expr> {
    let tokens = token::tokenize(sql)?;
    depth::check(&tokens)?;
    let mut parser = parser(tokens.clone());
    let found = parser
        .parse_expr()
        .and_then(|expr| parser.expect_token(&Token::EOF).map(|_| expr));
    found.map_err(|error| error::from_parser(error, sql, &tokens))
}

/// Parses a query that a catalog holds as text.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_query(sql: &str) -> Result<Box<ast::Query>> {
    let tokens = token::tokenize(sql)?;
    depth::check(&tokens)?;
    let mut tokens = tokens;
    window::rewrite(&mut tokens);
    let mut parser = parser(tokens.clone());
    let found = parser
        .parse_query()
        .and_then(|query| parser.expect_token(&Token::EOF).map(|_| query));
    found.map_err(|error| error::from_parser(error, sql, &tokens))
}

fn parse_statement(sql: &str, tokens: &[TokenWithSpan], text: &str) -> Result<Parsed> {
    depth::check(tokens)?;
    let (mut tokens, mut parameters) = token::number_placeholders(tokens)?;
    transaction::take_deferrable(&mut tokens);
    locking::rewrite(&mut tokens)?;
    window::rewrite(&mut tokens);
    table_command::write_out(&mut tokens);
    let mut aside = sequence::take_aside(&mut tokens)
        .map_err(|error| error::from_parser(error, sql, &tokens))?;
    let mut parser = parser(tokens.clone());
    let syntax = parse_syntax(&mut parser)
        .and_then(|syntax| match &parser.peek_token_ref().token {
            Token::EOF => Ok(syntax),
            _ => parser.expected_ref("end of statement", parser.peek_token_ref()),
        })
        .map_err(|error| error::from_parser(error, sql, &tokens))?;
    let text = text.into();
    let syntax = match syntax {
        Syntax::Statement(statement) => {
            prepared::syntax(*statement, &mut aside, &mut parameters, &text)
        }
        other => other,
    };
    Ok(Parsed {
        syntax,
        aside,
        parameters,
        text,
    })
}

fn parse_syntax(parser: &mut Parser<'_>) -> Result<Syntax, ParserError> {
    if take_word(parser, "checkpoint") {
        return Ok(Syntax::Checkpoint);
    }
    if take_word(parser, "compact") {
        let table = match parser.parse_keyword(Keyword::TABLE) {
            true => Some(parser.parse_object_name(false)?),
            false => None,
        };
        return Ok(Syntax::Compact(table));
    }
    if let Some(upkeep) = upkeep::parse(parser)? {
        return Ok(Syntax::Upkeep(upkeep));
    }
    if let Some(create) = create_as::parse(parser)? {
        return Ok(Syntax::CreateTableAs(Box::new(create)));
    }
    if let Some(syntax) = sequence::parse(parser)? {
        return Ok(Syntax::Sequence(syntax));
    }
    if parser.parse_keywords(&[Keyword::ALTER, Keyword::VIEW]) {
        return match parser.parse_alter_table(false)? {
            ast::Statement::AlterTable(alter) => Ok(Syntax::AlterView(Box::new(alter))),
            _ => parser.expected_ref("an action of ALTER VIEW", parser.peek_token_ref()),
        };
    }
    let mut statement = parser.parse_statement()?;
    Ok(match create_as::of_select(&mut statement) {
        Some(create) => Syntax::CreateTableAs(Box::new(create)),
        None => Syntax::Statement(Box::new(statement)),
    })
}

/// Steps over a word that the grammar's crate has no keyword for, if it comes next.
fn take_word(parser: &mut Parser<'_>, wanted: &str) -> bool {
    let found = matches!(&parser.peek_token_ref().token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted));
    if found {
        parser.advance_token();
    }
    found
}

fn parser(tokens: Vec<TokenWithSpan>) -> Parser<'static> {
    Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(depth::NESTING_MAX)
        .with_tokens_with_locations(tokens)
}

fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_) | Token::EOF)
}

#[cfg(test)]
mod tests;
