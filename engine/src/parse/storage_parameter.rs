//! `ALTER TABLE | INDEX | VIEW | MATERIALIZED VIEW name SET | RESET (parameters)`, of which the grammar's crate knows a
//! part.

use sqlparser::ast::{ObjectName, SqlOption};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// ALTER .. SET | RESET (..)
#[derive(Clone, Debug)]
pub(crate) struct SetParameters {
    pub of: ParametersOf,
    pub name: ObjectName,
    pub if_exists: bool,
    /// Whether they get their defaults back.
    pub resets: bool,
    pub parameters: Vec<SqlOption>,
}

/// Of what the parameters are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ParametersOf {
    Table,
    Index,
    View,
    Materialized,
}

impl ParametersOf {
    /// PostgreSQL's command tag.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::Table => "ALTER TABLE",
            Self::Index => "ALTER INDEX",
            Self::View => "ALTER VIEW",
            Self::Materialized => "ALTER MATERIALIZED VIEW",
        }
    }
}

/// The statement, if that comes next.
pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Option<SetParameters>, ParserError> {
    match parser.peek_keyword(Keyword::ALTER) {
        true => parser.maybe_parse(whole),
        false => Ok(None),
    }
}

fn whole(parser: &mut Parser<'_>) -> Result<SetParameters, ParserError> {
    parser.expect_keyword(Keyword::ALTER)?;
    let kinds = [
        Keyword::TABLE,
        Keyword::INDEX,
        Keyword::VIEW,
        Keyword::MATERIALIZED,
    ];
    let of = match parser.expect_one_of_keywords(&kinds)? {
        Keyword::TABLE => ParametersOf::Table,
        Keyword::INDEX => ParametersOf::Index,
        Keyword::VIEW => ParametersOf::View,
        _ => {
            parser.expect_keyword(Keyword::VIEW)?;
            ParametersOf::Materialized
        }
    };
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    if of == ParametersOf::Table {
        let _ = parser.parse_keyword(Keyword::ONLY);
    }
    let name = parser.parse_object_name(false)?;
    let resets = parser.expect_one_of_keywords(&[Keyword::SET, Keyword::RESET])? == Keyword::RESET;
    parser.expect_token(&Token::LParen)?;
    let parameters = parser.parse_comma_separated(parameter)?;
    parser.expect_token(&Token::RParen)?;
    parser.expect_token(&Token::EOF)?;
    Ok(SetParameters {
        of,
        name,
        if_exists,
        resets,
        parameters,
    })
}

fn parameter(parser: &mut Parser<'_>) -> Result<SqlOption, ParserError> {
    let key = parser.parse_identifier()?;
    Ok(match parser.consume_token(&Token::Eq) {
        true => SqlOption::KeyValue {
            key,
            value: parser.parse_expr()?,
        },
        false => SqlOption::Ident(key),
    })
}
