//! A text of any number of statements.
//!
//! All of it is parsed before any of it runs. Several statements are one transaction unless they
//! say otherwise; each is planned when its turn comes, because those before it may have made the
//! tables that it names.

use super::core::Session;
use super::dispatch::Pipe;
use crate::error::Result;
use crate::parse::Parsed;
use crate::session::api::outcome::{self, Outcome};
use crate::session::plans::call::Call;
use crate::session::plans::planning::parsed;
use crate::session::plans::prepared::Prepared;

/// Runs a text; the result is that of its last statement.
pub(in crate::session) fn run(
    session: &mut Session,
    sql: &str,
    call: &mut Call,
) -> Result<Outcome> {
    if let Some(mut prepared) = session.find(sql, call) {
        let result = one(session, &mut prepared, call);
        return result.map_err(|error| match prepared.is_of_literals() {
            true => session.placed(error, sql),
            false => error,
        });
    }
    let mut parsed = parsed(sql, &session.ledger)?;
    if parsed.len() > 1 {
        return several(session, parsed, call);
    }
    let Some(parsed) = parsed.pop() else {
        return Ok(Outcome::default());
    };
    let mut prepared = session.prepare(parsed)?;
    session.keep(sql, &prepared);
    one(session, &mut prepared, call)
}

fn several(session: &mut Session, parsed: Vec<Parsed>, call: &mut Call) -> Result<Outcome> {
    if !call.context.parameters.is_empty() {
        return Err(sql_error!(
            SYNTAX_ERROR,
            "cannot insert multiple commands into a prepared statement"
        )
        .with_hint("Parameters need a text of a single statement."));
    }
    let mut outcome = Outcome::default();
    for parsed in parsed {
        session.ensure_block();
        let mut prepared = session.prepare(parsed)?;
        outcome = one(session, &mut prepared, call)?;
    }
    session.end_implicit()?;
    Ok(outcome)
}

fn one(session: &mut Session, prepared: &mut Prepared, call: &mut Call) -> Result<Outcome> {
    let done = session.step(prepared, call, &mut Pipe::None)?;
    outcome::collect(done, &prepared.plan, call)
}
