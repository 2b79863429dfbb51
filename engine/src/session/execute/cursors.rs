//! Cursors of a session: DECLARE, FETCH, MOVE, CLOSE.
//!
//! DECLARE runs its query as a statement of the transaction, which gives no rows yet; FETCH goes on with it
//! ([`Scroll`]). So all that is fetched is of the moment of the DECLARE, whatever the transaction has changed
//! since.
//!
//! ```text
//!   DECLARE .. WITHOUT HOLD     until the transaction ends
//!   DECLARE .. WITH HOLD        until the session ends: COMMIT runs it to its end; ROLLBACK drops it
//!   ROLLBACK TO a savepoint     drops those that were declared since
//! ```

use super::core::Session;
use super::dispatch::{Done, Output};
use crate::error::{Error, Result, state};
use crate::exec::{Cursor, Scroll, arrow_schema};
use crate::function::CursorShown;
use crate::plan::Field;
use crate::plan::cursor::{Declare, Fetch};
use crate::session::plans::call::Call;
use crate::session::plans::prepared::Prepared;
use std::sync::Arc;

/// A session has no more of them at a time.
const CURSORS_MAX: usize = 1024;

/// The cursors of a session, the oldest first.
#[derive(Debug, Default)]
pub(in crate::session) struct Cursors {
    open: Vec<OpenCursor>,
    /// How many there have ever been.
    count: u64,
}

#[derive(Debug)]
struct OpenCursor {
    declared: Arc<Declare>,
    /// The text that declared it.
    text: Arc<str>,
    columns: Arc<[Field]>,
    rows: Scroll,
    /// When.
    micros: i64,
    /// Which one of all it is.
    number: u64,
    /// Whether it was declared by the transaction that is open.
    is_of_block: bool,
    /// Whether a step of it has failed: then it is good for nothing any more.
    failed: bool,
}

impl Cursors {
    /// How many there have ever been: those that come are above.
    pub(in crate::session) fn count(&self) -> u64 {
        self.count
    }

    /// Drops those that were declared since there were so many.
    pub(in crate::session) fn back_to(&mut self, count: u64) {
        self.open
            .retain(|cursor| !cursor.is_of_block || cursor.number <= count);
    }

    /// Makes those that are held need their transaction no more.
    pub(in crate::session) fn run_ahead(&mut self) -> Result<()> {
        let held = self.open.iter_mut();
        let mut held = held.filter(|cursor| cursor.is_of_block && cursor.declared.hold);
        held.try_for_each(|cursor| cursor.rows.run_ahead())
    }

    /// Drops those that go with their transaction, which was committed if they are `kept`.
    pub(in crate::session) fn end_block(&mut self, kept: bool) {
        self.open
            .retain(|cursor| !cursor.is_of_block || (kept && cursor.declared.hold));
        for cursor in &mut self.open {
            cursor.is_of_block = false;
        }
    }

    fn find(&mut self, name: &str) -> Result<&mut OpenCursor> {
        let mut open = self.open.iter_mut();
        let found = open.find(|cursor| cursor.declared.name == name);
        found.ok_or_else(|| {
            let message = format!("cursor \"{name}\" does not exist");
            Error::new(state::INVALID_CURSOR_NAME, message)
        })
    }

    /// What is shown of them.
    pub(in crate::session) fn shown(&self) -> Vec<CursorShown> {
        let shown = self.open.iter().map(|cursor| CursorShown {
            name: cursor.declared.name.clone(),
            statement: cursor.text.to_string(),
            is_holdable: cursor.declared.hold,
            is_scrollable: cursor.declared.scrolls,
            created: cursor.micros,
        });
        shown.collect()
    }
}

impl Session {
    /// Fails where a cursor cannot be declared here and now.
    pub(in crate::session) fn check_declare(&mut self, declare: &Declare) -> Result<()> {
        if self.is_idle() && !declare.hold {
            return Err(outside_block("DECLARE CURSOR"));
        }
        if self.cursors.find(&declare.name).is_ok() {
            let message = format!("cursor \"{}\" already exists", declare.name);
            return Err(Error::new(state::DUPLICATE_CURSOR, message));
        }
        if self.cursors.open.len() >= CURSORS_MAX {
            let message = format!("a session has at most {CURSORS_MAX} open cursors");
            return Err(Error::new(state::PROGRAM_LIMIT_EXCEEDED, message));
        }
        Ok(())
    }

    /// Keeps the query of a DECLARE, which has begun.
    pub(in crate::session) fn declare(
        &mut self,
        prepared: &Prepared,
        declare: &Arc<Declare>,
        done: Done,
        call: &mut Call,
    ) -> Result<Done> {
        let columns = prepared.plan.planned.statement.schema();
        let columns: Arc<[Field]> = columns.unwrap_or_default().into();
        let goes_back = declare.scrolls;
        let own = (&*columns, &prepared.plan.arrow);
        let context = &call.context;
        let mut rows = match done.output {
            Output::Cursor(source) => Scroll::new(Some(source), goes_back, context),
            Output::List(rows) => Scroll::of_rows(&rows, own, goes_back, context)?,
            Output::Point(true) => {
                let row = [std::mem::take(&mut call.rows)];
                Scroll::of_rows(&row, own, goes_back, context)?
            }
            Output::None | Output::Point(false) => Scroll::new(None, goes_back, context),
        };
        if self.is_idle() {
            rows.run_ahead()?;
        }
        self.cursors.count += 1;
        self.cursors.open.push(OpenCursor {
            declared: Arc::clone(declare),
            text: Arc::clone(prepared.text()),
            columns,
            rows,
            micros: self.store.time().tell(),
            number: self.cursors.count,
            is_of_block: !self.is_idle(),
            failed: false,
        });
        Ok(Done::tagged("DECLARE CURSOR"))
    }

    /// The columns of a cursor.
    pub(in crate::session) fn cursor_columns(&mut self, name: &str) -> Result<Arc<[Field]>> {
        let cursor = self.cursors.find(name)?;
        Ok(Arc::clone(&cursor.columns))
    }

    /// FETCH and MOVE.
    pub(in crate::session) fn fetch(&mut self, fetch: &Fetch, call: &Call) -> Result<Done> {
        let cursor = self.cursors.find(&fetch.name)?;
        if fetch
            .schema
            .as_ref()
            .is_some_and(|shown| **shown != *cursor.columns)
        {
            let message = "the cursor has other columns than when the statement was prepared";
            return Err(Error::new(state::INVALID_CURSOR_STATE, message));
        }
        if cursor.failed {
            let message = format!("portal \"{}\" cannot be run", fetch.name);
            return Err(Error::new(state::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        }
        let rows = cursor.rows.go(fetch.movement);
        cursor.failed = rows.is_err();
        let rows = rows?;
        let many = rows.iter().map(|batch| batch.num_rows() as u64).sum();
        if fetch.schema.is_none() {
            return Ok(Done::changed(many));
        }
        let schema = arrow_schema(&cursor.columns);
        let rows = Cursor::of_fetched(rows, schema, &call.context)?;
        Ok(Done::output(Output::Cursor(Box::new(rows))))
    }

    /// CLOSE of one, or of all.
    pub(in crate::session) fn close_cursor(&mut self, name: Option<&str>) -> Result<()> {
        match name {
            None => self.cursors.open.clear(),
            Some(name) => {
                let number = self.cursors.find(name)?.number;
                self.cursors.open.retain(|cursor| cursor.number != number);
            }
        }
        Ok(())
    }
}

/// 25P01
pub(in crate::session) fn outside_block(what: &str) -> Error {
    let message = format!("{what} can only be used in transaction blocks");
    Error::new(state::NO_ACTIVE_SQL_TRANSACTION, message)
}
