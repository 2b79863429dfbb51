//! ANALYZE and VACUUM, all that PostgreSQL's grammar says of them: there is nothing to do, but whoever says so should not
//! hear of an error.

use sqlparser::ast::{self, ObjectName};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{IsOptional, Parser, ParserError};
use sqlparser::tokenizer::Token;

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
