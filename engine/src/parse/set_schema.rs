//! `ALTER TABLE t SET SCHEMA s` and its like, which the grammar's crate does not know.

use sqlparser::ast::{Ident, ObjectName};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};

/// ALTER .. SET SCHEMA
#[derive(Clone, Debug)]
pub(crate) struct SetSchema {
    pub name: ObjectName,
    pub if_exists: bool,
    pub schema: Ident,
    /// PostgreSQL's command tag.
    pub tag: &'static str,
}

/// The statement, if that comes next.
pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Option<SetSchema>, ParserError> {
    match parser.peek_keyword(Keyword::ALTER) {
        true => parser.maybe_parse(whole),
        false => Ok(None),
    }
}

fn whole(parser: &mut Parser<'_>) -> Result<SetSchema, ParserError> {
    parser.expect_keyword(Keyword::ALTER)?;
    let kinds = [
        Keyword::TABLE,
        Keyword::VIEW,
        Keyword::SEQUENCE,
        Keyword::MATERIALIZED,
    ];
    let tag = match parser.expect_one_of_keywords(&kinds)? {
        Keyword::TABLE => "ALTER TABLE",
        Keyword::VIEW => "ALTER VIEW",
        Keyword::MATERIALIZED => {
            parser.expect_keyword(Keyword::VIEW)?;
            "ALTER MATERIALIZED VIEW"
        }
        _ => "ALTER SEQUENCE",
    };
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let _ = parser.parse_keyword(Keyword::ONLY);
    let name = parser.parse_object_name(false)?;
    parser.expect_keyword(Keyword::SET)?;
    parser.expect_keyword(Keyword::SCHEMA)?;
    Ok(SetSchema {
        name,
        if_exists,
        schema: parser.parse_identifier()?,
        tag,
    })
}
