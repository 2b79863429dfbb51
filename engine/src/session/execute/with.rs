//! Statements with parts: the changes in WITH, and the statement that they are a part of.
//!
//! What the statement reads of changes has to be there before it: those run first, each after those that it reads
//! itself. Then the statement runs, to its end if there is any change; then the other changes, the last one
//! first, as in PostgreSQL; then foreign keys are asked.

use super::dispatch::{self, Done, Output, Pipe, Running};
use crate::error::Result;
use crate::exec::Transaction;
use crate::exec::{Changing, OwnedParts, Parts};
use crate::plan::with::With;
use crate::session::plans::call::Call;

/// Runs a statement and its parts. On error the caller undoes.
#[cold]
pub(in crate::session) fn run(
    running: &Running<'_>,
    with: &With,
    tx: &mut Transaction,
    call: &mut Call,
    pipe: &mut Pipe<'_>,
) -> Result<Done> {
    let parts = OwnedParts::from(Parts::new(Some(with), tx.view()));
    call.context.with = Some(parts.shared());
    let mut changing = Changing::new(with, &parts);
    let done = run_all(&mut changing, running, with, (tx, call, pipe));
    call.context.with = None;
    let mut done = done?;
    if let Output::Cursor(cursor) = &mut done.output {
        cursor.own(parts);
    }
    Ok(done)
}

fn run_all(
    changing: &mut Changing<'_>,
    running: &Running<'_>,
    with: &With,
    (tx, call, pipe): (&mut Transaction, &mut Call, &mut Pipe<'_>),
) -> Result<Done> {
    changing.before(tx, &call.context)?;
    let mut done = dispatch::run_alone(running, tx, call, pipe)?;
    if !with.changes() {
        // A change that reads parts, none of which changes anything, has noted what follows from it.
        changing.after(tx, &call.context)?;
        return Ok(done);
    }
    if let Output::Cursor(cursor) = &mut done.output {
        cursor.run_ahead()?;
    }
    changing.after(tx, &call.context)?;
    if let Some(count) = changing.counted() {
        done.changes = count;
    }
    Ok(done)
}
