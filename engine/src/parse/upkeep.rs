//! What is done to tables now and then: REFRESH of materialized views, and ANALYZE, VACUUM
//! and REINDEX, all that PostgreSQL's grammar says of them: there is nothing to do, but whoever says so should not
//! hear of an error.

use super::around::{is_space, is_word};
use sqlparser::ast::{self, ObjectName};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{IsOptional, Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// REFRESH MATERIALIZED VIEW
#[derive(Clone, Debug)]
pub(crate) struct Refresh {
    pub name: ObjectName,
    pub concurrently: bool,
    pub with_data: bool,
}

/// REFRESH MATERIALIZED VIEW, if that comes next.
pub(super) fn refresh(parser: &mut Parser<'_>) -> Result<Option<Refresh>, ParserError> {
    if !super::take_word(parser, "refresh") {
        return Ok(None);
    }
    parser.expect_keywords(&[Keyword::MATERIALIZED, Keyword::VIEW])?;
    let concurrently = parser.parse_keyword(Keyword::CONCURRENTLY);
    let name = parser.parse_object_name(false)?;
    let without = parser.parse_keywords(&[Keyword::WITH, Keyword::NO, Keyword::DATA]);
    let _ = !without && parser.parse_keywords(&[Keyword::WITH, Keyword::DATA]);
    Ok(Some(Refresh {
        name,
        concurrently,
        with_data: !without,
    }))
}

/// REINDEX
#[derive(Clone, Debug)]
pub(crate) struct Reindex {
    /// INDEX or TABLE, and its name; nothing for more than that.
    pub what: Option<(Keyword, ObjectName)>,
    pub concurrently: bool,
}

/// REINDEX, if that comes next.
pub(super) fn reindex(parser: &mut Parser<'_>) -> Result<Option<Reindex>, ParserError> {
    if !super::take_word(parser, "reindex") {
        return Ok(None);
    }
    let mut concurrently = false;
    if parser.consume_token(&Token::LParen) {
        loop {
            match parser.next_token().token {
                Token::RParen => break,
                Token::Word(word) if word.keyword == Keyword::CONCURRENTLY => concurrently = true,
                Token::EOF => return parser.expected_ref(")", parser.peek_token_ref()),
                _ => {}
            }
        }
    }
    let kinds = [
        Keyword::INDEX,
        Keyword::TABLE,
        Keyword::SCHEMA,
        Keyword::DATABASE,
    ];
    let kind = parser.parse_one_of_keywords(&kinds);
    let is_system = kind.is_none() && super::take_word(parser, "system");
    let Some(kind) = kind.or(is_system.then_some(Keyword::DATABASE)) else {
        return parser.expected_ref("INDEX, TABLE, SCHEMA or DATABASE", parser.peek_token_ref());
    };
    concurrently |= parser.parse_keyword(Keyword::CONCURRENTLY);
    let name = match kind == Keyword::DATABASE && parser.peek_token_ref().token == Token::EOF {
        true => None,
        false => Some(parser.parse_object_name(false)?),
    };
    let is_one = matches!(kind, Keyword::INDEX | Keyword::TABLE);
    Ok(Some(Reindex {
        what: name.filter(|_| is_one).map(|name| (kind, name)),
        concurrently,
    }))
}

/// One of the two.
#[derive(Clone, Debug)]
pub(crate) struct Upkeep {
    pub vacuum: bool,
    /// Of which tables and columns; none for all.
    pub tables: Vec<(ObjectName, Vec<ast::Ident>)>,
}

/// Options, by their words.
const OPTIONS: &[Keyword] = &[
    Keyword::FULL,
    Keyword::FREEZE,
    Keyword::VERBOSE,
    Keyword::ANALYZE,
];

/// ANALYZE or VACUUM, if that comes next.
pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Option<Upkeep>, ParserError> {
    let words = [Keyword::ANALYZE, Keyword::VACUUM];
    let Some(word) = parser.parse_one_of_keywords(&words) else {
        return Ok(None);
    };
    if parser.consume_token(&Token::LParen) {
        // Names with values, of which none makes a difference.
        let mut depth = 1;
        while depth > 0 {
            match parser.next_token().token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                Token::EOF => return parser.expected_ref(")", parser.peek_token_ref()),
                _ => {}
            }
        }
    }
    while parser.parse_one_of_keywords(OPTIONS).is_some() {}
    let mut tables = Vec::new();
    while parser.peek_token_ref().token != Token::EOF {
        let name = parser.parse_object_name(false)?;
        let columns = parser.parse_parenthesized_column_list(IsOptional::Optional, false)?;
        tables.push((name, columns));
        if !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    Ok(Some(Upkeep {
        vacuum: word == Keyword::VACUUM,
        tables,
    }))
}

/// What a statement is called that does not run in a transaction block: one that would let others go on beside
/// it, or that is about more than one table.
pub(super) fn runs_alone(tokens: &[TokenWithSpan]) -> Option<&'static str> {
    let mut words = tokens.iter().filter(|token| !is_space(token));
    let mut next = |wanted: &[&str]| {
        let found = words.next()?;
        wanted.iter().position(|wanted| is_word(found, wanted))
    };
    match next(&["CREATE", "DROP", "REINDEX"])? {
        0 => {
            if next(&["UNIQUE", "INDEX"])? == 0 {
                next(&["INDEX"])?;
            }
            next(&["CONCURRENTLY"]).map(|_| "CREATE INDEX CONCURRENTLY")
        }
        1 => {
            next(&["INDEX"])?;
            next(&["CONCURRENTLY"]).map(|_| "DROP INDEX CONCURRENTLY")
        }
        _ => match next(&["SCHEMA", "DATABASE", "SYSTEM", "TABLE", "INDEX"])? {
            0 => Some("REINDEX SCHEMA"),
            1 => Some("REINDEX DATABASE"),
            2 => Some("REINDEX SYSTEM"),
            _ => next(&["CONCURRENTLY"]).map(|_| "REINDEX CONCURRENTLY"),
        },
    }
}
