//! From SQL text to syntax trees.
//!
//! 1. `size` says how much memory a text will take, and `token` splits it into tokens and statements, and turns every `?` into a numbered
//!    placeholder, so that the rest of the engine knows `$n` only; `unicode` reads names and texts with
//!    characters written by their numbers.
//! 2. `chain` puts brackets into long chains of AND and OR, and `depth` bounds how deep a syntax tree can become,
//!    *before* there is one: a tree that is too deep cannot even be dropped without overflowing the stack.
//! 3. `transaction` and `sequence` take out what the grammar does not know of the words about a
//!    transaction and about numbers; `locking` writes clauses that lock rows as it knows them, and
//!    `table_command` writes `TABLE t` out, `spelling` what can be said in several ways, `quantified`
//!    the rows of `ANY (VALUES ..)`, and `column_action` what ALTER TABLE may do to a column,
//!    `inference` the keys of ON CONFLICT, `traversal` SEARCH and CYCLE.
//! 4. `create_as` knows what is said of tables that are made of a query, `definition` what else is
//!    said of tables and views. `cursor` knows what is said of cursors, `schema_elements` what CREATE
//!    SCHEMA may have with it.
//! 5. `calls` writes arguments and types as the grammar knows them, `star` what stands for all of a
//!    value, and `subscripts` takes out those behind names of columns that are written.
//! 6. `routine` knows what is said of functions, `block` finds the statements within statements.
//! 7. `trigger` knows what is said of triggers.
//! 8. What these files ask of a token's neighbours is in `around`; what they rewrite they note in `changes`.
//! 9. The grammar itself is the `sqlparser` crate's, in PostgreSQL's dialect; `error` turns what
//!    it says into PostgreSQL's words, SQLSTATE and place.
//!
//! Nothing here looks at a catalog: names are not resolved, types are not known.

mod around;
mod block;
mod calls;
mod chain;
mod changes;
mod column_action;
mod constraint;
mod create_as;
mod cursor;
mod definition;
mod depth;
mod encoded;
mod error;
mod extent;
mod from_item;
mod inference;
mod locking;
mod made_type;
mod prepared;
mod quantified;
mod rename;
pub(crate) mod routine;
mod schema_elements;
mod sequence;
mod set_schema;
mod size;
mod spelling;
mod star;
mod storage_parameter;
mod subscripts;
mod table_command;
mod token;
mod transaction;
mod traversal;
pub(crate) mod trigger;
mod unicode;
mod upkeep;
mod window;

use crate::stack::with_room;
pub(crate) use calls::VARIADIC;
pub(crate) use column_action::{ColumnAction, column_action};
pub(crate) use constraint::{AlterConstraint, SetConstraints, USING_HASH, set_columns_of};
pub(crate) use create_as::CreateTableAs;
pub(crate) use cursor::{CursorSyntax, Options as CursorOptions};
pub(crate) use definition::{CheckOption, Clauses, Like, NULLS_NOT_DISTINCT, like_of};
pub(crate) use depth::too_complex;
pub(crate) use error::{place, refuse};
pub(crate) use from_item::{SYMMETRIC, USING_ALIAS};
pub(crate) use inference::{inferred_condition, inferred_key};
pub(crate) use locking::request;
pub(crate) use made_type::{
    AlterDomain, AlterType, Attribute, CreateDomain, Label, Side, TypeSyntax,
};
pub(crate) use prepared::PreparedSyntax;
pub(crate) use rename::{Named, Replaced, rename, replace_at};
pub(crate) use sequence::{Aside, Overriding, SequenceOptions, SequenceSyntax};
pub(crate) use set_schema::SetSchema;
pub(crate) use size::memory;
pub(crate) use star::STAR;
pub(crate) use storage_parameter::{ParametersOf, SetParameters};
pub(crate) use subscripts::Subscripts;
pub(crate) use traversal::{Cycle, Search, Traversal, given, traversal};
pub(crate) use window::exclusion;

pub(crate) use upkeep::{Refresh, Reindex, Upkeep};

use crate::error::Result;
use around::{is_space, is_word};
use remora_storage::pool::Reservation;
use sqlparser::ast;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};
use std::sync::Arc;

/// One statement, parsed.
#[derive(Clone, Debug)]
pub(crate) struct Parsed {
    /// The statement's syntax tree.
    pub(crate) syntax: Syntax,
    /// What was taken out of the text before.
    pub(crate) aside: Aside,
    /// What it is called, where it runs outside of transaction blocks only.
    pub(crate) alone: Option<&'static str>,
    /// How many parameters it has (`?` are numbered from left to right; `$n` as written).
    pub parameters: usize,
    /// Its text, or the beginning of a long one.
    pub text: Arc<str>,
    /// Memory reserved for all that comes of the text, where that is much.
    pub memory: Option<Arc<Reservation>>,
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
    /// ALTER .. SET SCHEMA, which it does not.
    SetSchema(SetSchema),
    /// ALTER .. SET and RESET of parameters, of which it knows a part.
    SetParameters(SetParameters),
    /// CREATE TABLE .. AS and SELECT .. INTO.
    CreateTableAs(Box<CreateTableAs>),
    /// SET CONSTRAINTS
    SetConstraints(SetConstraints),
    /// ALTER TABLE .. ALTER CONSTRAINT
    AlterConstraint(AlterConstraint),
    /// PREPARE, EXECUTE, DEALLOCATE.
    Prepared(PreparedSyntax),
    /// ANALYZE and VACUUM.
    Upkeep(Upkeep),
    /// DECLARE, FETCH, MOVE, CLOSE.
    Cursor(CursorSyntax),
    /// CREATE SCHEMA with what is to be in it.
    CreateSchema(Box<ast::Statement>, Vec<Arc<Parsed>>),
    /// REINDEX
    Reindex(Reindex),
    /// CREATE FUNCTION, of which it knows a part.
    CreateFunction(Box<routine::CreateFunction>),
    /// DROP FUNCTION
    DropFunction(routine::DropFunction),
    /// CREATE, ALTER, DROP TRIGGER
    Trigger(trigger::TriggerSyntax),
    /// REFRESH MATERIALIZED VIEW
    Refresh(Refresh),
    /// About types.
    Type(TypeSyntax),
    /// COMPACT, of one table or of all, likewise.
    Compact(Option<ast::ObjectName>),
    /// CREATE SEQUENCE and ALTER SEQUENCE, of which it knows a part.
    Sequence(SequenceSyntax),
}

impl Parsed {
    /// Whether this is COMMIT, END, ROLLBACK (also TO) or ABORT: what a failed transaction accepts.
    pub(crate) fn gets_out_of_failure(&self) -> bool {
        matches!(&self.syntax, Syntax::Statement(statement)
            if matches!(**statement, ast::Statement::Commit { .. } | ast::Statement::Rollback { .. }))
    }
}

/// Parses a text of any number of statements; empty ones vanish.
///
/// # Errors
/// 42601 with place; 54001 where the text nests too deeply. No statement runs before all parse.
pub(crate) fn parse(sql: &str) -> Result<Vec<Parsed>> {
    with_room(sql.len(), || parse_all(sql))
}

fn parse_all(sql: &str) -> Result<Vec<Parsed>> {
    let mut tokens = token::tokenize(sql)?;
    let mut parsed = Vec::new();
    let mut extents = extent::Extents::new(sql);
    let statements = block::statements(&tokens);
    let is_single = statements.len() == 1;
    for statement in statements {
        if tokens[statement.clone()].iter().all(is_space) {
            continue;
        }
        let text = extents.of(&tokens[statement.clone()]);
        let statement = match is_single {
            true => {
                tokens.truncate(statement.end);
                std::mem::take(&mut tokens)
            }
            false => tokens[statement].to_vec(),
        };
        parsed.push(parse_statement(sql, statement, text)?);
    }
    Ok(parsed)
}

/// Parses one expression, such as a DEFAULT or a CHECK that a catalog holds as text.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_expression(sql: &str) -> Result<ast::Expr> {
    parse_whole(sql, rewritten(sql)?, Parser::parse_expr)
}

/// Parses the name of a type.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_data_type(name: &str) -> Result<ast::DataType> {
    parse_whole(name, rewritten(name)?, Parser::parse_data_type)
}

/// Parses a query that a catalog holds as text.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_query(sql: &str) -> Result<Box<ast::Query>> {
    let mut tokens = bounded(token::tokenize(sql)?)?;
    window::rewrite(&mut tokens);
    quantified::write_out(&mut tokens);
    spelling::rewrite(&mut tokens);
    from_item::rewrite(&mut tokens);
    star::rewrite(&mut tokens);
    calls::rewrite(&mut tokens);
    parse_whole(sql, tokens, Parser::parse_query)
}

/// The tokens of an expression or a type.
fn rewritten(sql: &str) -> Result<Vec<TokenWithSpan>> {
    let mut tokens = bounded(token::tokenize(sql)?)?;
    star::rewrite(&mut tokens);
    calls::rewrite(&mut tokens);
    Ok(tokens)
}

/// Parses all tokens of a text as one thing.
fn parse_whole<T>(
    sql: &str,
    tokens: Vec<TokenWithSpan>,
    parse: impl Fn(&mut Parser<'static>) -> Result<T, ParserError>,
) -> Result<T> {
    let mut parser = parser(tokens);
    let mut whole = || {
        let found = parse(&mut parser)?;
        parser.expect_token(&Token::EOF).map(|_| found)
    };
    let found = with_room(sql.len(), &mut whole);
    found.map_err(|error| error::from_parser(error, sql, &parser.into_tokens()))
}

/// Tokens of which no tree is too deep.
///
/// # Errors
/// 54001
fn bounded(mut tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    chain::put_brackets(&mut tokens);
    depth::check(&tokens)?;
    Ok(tokens)
}

fn parse_statement(sql: &str, mut tokens: Vec<TokenWithSpan>, text: &str) -> Result<Parsed> {
    if let Some(starts) = schema_elements::starts(&tokens) {
        return schema_elements::parse(sql, &tokens, &starts, text);
    }
    let alone = upkeep::runs_alone(&tokens);
    let block = block::take(&mut tokens);
    depth::check(block.as_deref().unwrap_or_default())?;
    let (mut tokens, mut parameters) = token::number_placeholders(bounded(tokens)?)?;
    transaction::take_deferrable(&mut tokens);
    traversal::rewrite(&mut tokens);
    locking::rewrite(&mut tokens)?;
    inference::rewrite(&mut tokens);
    constraint::rewrite(&mut tokens);
    window::rewrite(&mut tokens);
    from_item::rewrite(&mut tokens);
    table_command::write_out(&mut tokens);
    column_action::rewrite(&mut tokens);
    quantified::refuse_calculations(&tokens)?;
    quantified::write_out(&mut tokens);
    spelling::rewrite(&mut tokens);
    star::rewrite(&mut tokens);
    calls::rewrite(&mut tokens);
    let subscripts =
        subscripts::take(&mut tokens).map_err(|error| error::from_parser(error, sql, &tokens))?;
    let mut aside = sequence::take_aside(&mut tokens)
        .map_err(|error| error::from_parser(error, sql, &tokens))?;
    aside.subscripts = subscripts;
    aside.definition =
        definition::take(&mut tokens).map_err(|error| error::from_parser(error, sql, &tokens))?;
    let mut parser = parser(tokens);
    let text = text.into();
    let mut whole = || {
        let syntax = match cursor::parse(&mut parser)? {
            Some(found) => cursor::finish(found, &mut aside, &mut parameters, &text),
            None => parse_syntax(&mut parser, block.as_deref().map(token::text))?,
        };
        match &parser.peek_token_ref().token {
            Token::EOF => Ok(syntax),
            _ => parser.expected_ref("end of statement", parser.peek_token_ref()),
        }
    };
    let syntax = match whole() {
        Ok(syntax) => syntax,
        Err(error) => return Err(error::from_parser(error, sql, &parser.into_tokens())),
    };
    let syntax = match syntax {
        Syntax::Statement(statement) => {
            prepared::syntax(*statement, &mut aside, &mut parameters, &text)
        }
        create @ Syntax::CreateFunction(_) => {
            // Those in its body are its own.
            parameters = 0;
            create
        }
        other => other,
    };
    Ok(Parsed {
        syntax,
        aside,
        alone,
        parameters,
        text,
        memory: None,
    })
}

/// A parser of statements that it recognises by how they begin.
type Known<'k> = dyn Fn(&mut Parser<'_>) -> Result<Option<Syntax>, ParserError> + 'k;

fn parse_syntax(parser: &mut Parser<'_>, block: Option<String>) -> Result<Syntax, ParserError> {
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
    let known: [&Known<'_>; 13] = [
        &|parser| Ok(upkeep::parse(parser)?.map(Syntax::Upkeep)),
        &|parser| Ok(upkeep::reindex(parser)?.map(Syntax::Reindex)),
        &|parser| Ok(trigger::parse(parser, block.clone())?.map(Syntax::Trigger)),
        &|parser| {
            let create = routine::parse_create(parser, block.clone())?;
            Ok(create.map(|create| Syntax::CreateFunction(Box::new(create))))
        },
        &|parser| Ok(routine::parse_drop(parser)?.map(Syntax::DropFunction)),
        &|parser| Ok(made_type::parse(parser)?.map(Syntax::Type)),
        &|parser| Ok(upkeep::refresh(parser)?.map(Syntax::Refresh)),
        &|parser| Ok(storage_parameter::parse(parser)?.map(Syntax::SetParameters)),
        &|parser| Ok(set_schema::parse(parser)?.map(Syntax::SetSchema)),
        &|parser| {
            let view = [Keyword::ALTER, Keyword::MATERIALIZED, Keyword::VIEW];
            let is_view = parser.parse_keywords(&view);
            let alter = is_view
                .then(|| parser.parse_alter_table(false))
                .transpose()?;
            Ok(alter.map(|alter| Syntax::Statement(Box::new(alter))))
        },
        &|parser| Ok(create_as::parse(parser)?.map(|it| Syntax::CreateTableAs(Box::new(it)))),
        &|parser| Ok(constraint::parse_set(parser)?.map(Syntax::SetConstraints)),
        &|parser| Ok(constraint::parse_alter(parser)?.map(Syntax::AlterConstraint)),
    ];
    for parse in known {
        if let Some(found) = parse(parser)? {
            return Ok(found);
        }
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
    let found = is_word(parser.peek_token_ref(), wanted);
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

/// What stands in brackets behind a name.
fn parse_chain(brackets: &[TokenWithSpan]) -> Result<Vec<ast::AccessExpr>, ParserError> {
    let name = brackets.first().map(|first| TokenWithSpan {
        token: Token::make_word("value", Some('"')),
        span: first.span,
    });
    let tokens = name.into_iter().chain(brackets.iter().cloned()).collect();
    let mut parser = parser(tokens);
    match parser.parse_expr()? {
        ast::Expr::CompoundFieldAccess { access_chain, .. }
            if parser.peek_token_ref().token == Token::EOF =>
        {
            Ok(access_chain)
        }
        _ => parser.expected_ref("subscripts", parser.peek_token_ref()),
    }
}

#[cfg(test)]
mod tests;
