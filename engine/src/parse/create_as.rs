//! Tables that are made of a query's rows: `CREATE TABLE .. AS`, of which the grammar's crate knows no names
//! of columns without types and no `WITH DATA`, and `SELECT .. INTO`, which means the same.

use sqlparser::ast::{self, ObjectName, SetExpr};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{IsOptional, Parser, ParserError};

/// CREATE TABLE .. AS
#[derive(Clone, Debug)]
pub(crate) struct CreateTableAs {
    pub name: ObjectName,
    /// Names for the first columns.
    pub columns: Vec<ast::Ident>,
    pub if_not_exists: bool,
    pub temporary: bool,
    pub unlogged: bool,
    /// Its storage parameters.
    pub options: Vec<ast::SqlOption>,
    /// What becomes of it at the end of a transaction.
    pub on_commit: Option<ast::OnCommit>,
    /// Whether the table gets the query's rows, and not its columns alone.
    pub with_data: bool,
    pub query: Box<ast::Query>,
}

/// CREATE TABLE .. AS, if that comes next.
pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Option<CreateTableAs>, ParserError> {
    if !parser.peek_keyword(Keyword::CREATE) {
        return Ok(None);
    }
    let Some(head) = parser.maybe_parse(head)? else {
        return Ok(None);
    };
    let query = parser.parse_query()?;
    let without = parser.parse_keywords(&[Keyword::WITH, Keyword::NO, Keyword::DATA]);
    let _ = !without && parser.parse_keywords(&[Keyword::WITH, Keyword::DATA]);
    Ok(Some(CreateTableAs {
        query,
        with_data: !without,
        ..head
    }))
}

/// All before the query.
fn head(parser: &mut Parser<'_>) -> Result<CreateTableAs, ParserError> {
    parser.expect_keyword(Keyword::CREATE)?;
    let _ = parser.parse_one_of_keywords(&[Keyword::GLOBAL, Keyword::LOCAL]);
    let temporary = [Keyword::TEMP, Keyword::TEMPORARY];
    let temporary = parser.parse_one_of_keywords(&temporary).is_some();
    let unlogged = !temporary && parser.parse_keyword(Keyword::UNLOGGED);
    parser.expect_keyword(Keyword::TABLE)?;
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let name = parser.parse_object_name(false)?;
    let columns = parser.parse_parenthesized_column_list(IsOptional::Optional, false)?;
    let options = parser.parse_options(Keyword::WITH)?;
    let on_commit = on_commit(parser)?;
    parser.expect_keyword(Keyword::AS)?;
    Ok(CreateTableAs {
        name,
        columns,
        if_not_exists,
        temporary,
        unlogged,
        options,
        on_commit,
        with_data: true,
        query: nothing(),
    })
}

fn on_commit(parser: &mut Parser<'_>) -> Result<Option<ast::OnCommit>, ParserError> {
    if !parser.parse_keywords(&[Keyword::ON, Keyword::COMMIT]) {
        return Ok(None);
    }
    let kinds: [(&[Keyword], ast::OnCommit); 3] = [
        (
            &[Keyword::PRESERVE, Keyword::ROWS],
            ast::OnCommit::PreserveRows,
        ),
        (&[Keyword::DELETE, Keyword::ROWS], ast::OnCommit::DeleteRows),
        (&[Keyword::DROP], ast::OnCommit::Drop),
    ];
    for (words, kind) in kinds {
        if parser.parse_keywords(words) {
            return Ok(Some(kind));
        }
    }
    parser.expected_ref(
        "PRESERVE ROWS, DELETE ROWS or DROP",
        parser.peek_token_ref(),
    )
}

/// What SELECT .. INTO makes, if the statement is one. In a chain of set operations the first SELECT says so.
pub(super) fn of_select(statement: &mut ast::Statement) -> Option<CreateTableAs> {
    let ast::Statement::Query(query) = statement else {
        return None;
    };
    let into = first_select(&mut query.body)?
        .into
        .take_if(|into| into.targets.len() == 1 && name_of(&into.targets[0]).is_some())?;
    Some(CreateTableAs {
        name: name_of(&into.targets[0])?,
        columns: Vec::new(),
        if_not_exists: false,
        temporary: into.temporary,
        unlogged: into.unlogged,
        options: Vec::new(),
        on_commit: None,
        with_data: true,
        query: std::mem::replace(query, nothing()),
    })
}

fn first_select(mut body: &mut SetExpr) -> Option<&mut ast::Select> {
    loop {
        match body {
            SetExpr::Select(select) => return Some(select),
            SetExpr::SetOperation { left, .. } => body = left,
            _ => return None,
        }
    }
}

fn name_of(target: &ast::Expr) -> Option<ObjectName> {
    match target {
        ast::Expr::Identifier(ident) => Some(ObjectName::from(vec![ident.clone()])),
        ast::Expr::CompoundIdentifier(idents) => Some(ObjectName::from(idents.clone())),
        _ => None,
    }
}

/// A query in the place of another one.
fn nothing() -> Box<ast::Query> {
    Box::new(ast::Query {
        with: None,
        body: Box::new(SetExpr::Values(ast::Values {
            explicit_row: false,
            value_keyword: false,
            rows: Vec::new(),
        })),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    })
}
