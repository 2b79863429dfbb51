//! Cursors: the query that DECLARE names, FETCH, MOVE and CLOSE.
//!
//! Which cursors there are the session knows: it looks for them, and says which columns a FETCH shows.

use super::name;
use super::statement::Tagged;
use super::statement::changes;
use crate::error::{Error, Position, Result, state};
use crate::parse::{CursorSyntax, Parsed, Syntax, place, refuse};
use crate::plan::Statement;
use crate::plan::cursor::{Declare, Fetch};
use crate::plan::logical::LogicalStatement;
use sqlparser::ast;

/// Binds what is about a cursor, but for DECLARE: there the query is what is planned.
pub(super) fn cursor(syntax: &CursorSyntax) -> Result<Tagged> {
    let (statement, tag) = match syntax {
        CursorSyntax::Declare(..) => return refuse("DECLARE in this place", None),
        CursorSyntax::Fetch {
            name,
            movement,
            is_move,
        } => {
            let fetch = Fetch {
                name: name::fold(name)?,
                movement: *movement,
                schema: (!is_move).then(Vec::new),
            };
            let tag = if *is_move { "MOVE" } else { "FETCH" };
            (Statement::Fetch(fetch), tag)
        }
        CursorSyntax::Close(name) => {
            let name = name.as_ref().map(name::fold).transpose()?;
            let tag = if name.is_none() {
                "CLOSE CURSOR ALL"
            } else {
                "CLOSE CURSOR"
            };
            (Statement::Close(name), tag)
        }
    };
    Ok((LogicalStatement::Done(statement), tag))
}

/// What a DECLARE declares, and its query.
///
/// # Errors
/// 42P11 and 0A000 for words that do not go together.
pub(crate) fn declaration(syntax: &CursorSyntax) -> Result<Option<(Declare, &Parsed)>> {
    let CursorSyntax::Declare(name, options, query) = syntax else {
        return Ok(None);
    };
    let at = place(name.span);
    let clash = |one: &str, two: &str| {
        let message = format!("cannot specify both {one} and {two}");
        Err(Error::new(state::INVALID_CURSOR_DEFINITION, message).at(at))
    };
    if options.scroll && options.no_scroll {
        return clash("SCROLL", "NO SCROLL");
    }
    if options.insensitive && options.asensitive {
        return clash("INSENSITIVE", "ASENSITIVE");
    }
    let Syntax::Statement(statement) = &query.syntax else {
        return refuse("DECLARE of this statement", at);
    };
    let ast::Statement::Query(select) = &**statement else {
        return refuse("DECLARE of this statement", at);
    };
    if changes(select).is_some() || has_changing_part(select) {
        let message = "DECLARE CURSOR must not contain data-modifying statements in WITH";
        return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message).at(at));
    }
    let locks = !select.locks.is_empty();
    if locks {
        check_locking(*options, at)?;
    }
    let declare = options.declare(name::fold(name)?, locks);
    Ok(Some((declare, query)))
}

fn has_changing_part(query: &ast::Query) -> bool {
    let parts = query.with.iter().flat_map(|with| &with.cte_tables);
    parts.into_iter().any(|part| changes(&part.query).is_some())
}

/// A cursor that locks rows does so when it is declared, in this transaction.
fn check_locking(options: crate::parse::CursorOptions, at: Option<Position>) -> Result<()> {
    let (what, detail, sqlstate) = if options.hold {
        (
            "DECLARE CURSOR WITH HOLD ... FOR UPDATE is not supported",
            "Holdable cursors must be READ ONLY.",
            state::FEATURE_NOT_SUPPORTED,
        )
    } else if options.scroll {
        (
            "DECLARE SCROLL CURSOR ... FOR UPDATE is not supported",
            "Scrollable cursors must be READ ONLY.",
            state::FEATURE_NOT_SUPPORTED,
        )
    } else if options.insensitive {
        (
            "DECLARE INSENSITIVE CURSOR ... FOR UPDATE is not valid",
            "Insensitive cursors must be READ ONLY.",
            state::INVALID_CURSOR_DEFINITION,
        )
    } else {
        return Ok(());
    };
    Err(Error::new(sqlstate, what).with_detail(detail).at(at))
}
