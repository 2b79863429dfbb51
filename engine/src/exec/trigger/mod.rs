//! Triggers: what follows from changes of rows because a table says so.
//!
//! ```text
//!   BEFORE statement > for each row: BEFORE row > write > .. > foreign keys > AFTER row, each > AFTER statement
//!   [begin]            [Firing::before_row]      [tracked]    [actions]       [fire_after]
//! ```
//!
//! 1. Whoever changes rows asks for the triggers of that change first ([`begin`]); a table without any costs one
//!    look at its definition. Those BEFORE the statement are run at once.
//! 2. BEFORE each row the trigger may set columns of the new row, or skip it. What follows from the values
//!    (generated columns, NOT NULL, CHECK) comes after that, so such rows go one by one (`dml::before_triggers`).
//! 3. The writer of a change notes the rows, old and new, as far as a trigger AFTER it wants them. They are fired
//!    when the statement is done and its foreign keys are settled: row by row in the order of the changes, and
//!    then once for the statement. What foreign keys have done to other tables fires theirs behind that.
//! 4. A body is planned when it fires first, and cached while the catalog is the same
//!    ([`Planner`](super::planner::Planner)). Rows come as parameters ([`body`]).
//!
//! Each statement of a body is a command of its own: it sees what was changed before it. Triggers that fire
//! triggers are run within each other, up to [`DEPTH_MAX`] deep.
//!
//! A row that a trigger BEFORE it has changed or removed itself cannot be what the statement has seen any more:
//! that is 27000, as in PostgreSQL.
//!
//! If anything fails, the statement fails, and the caller rolls back to its mark: what triggers did goes with it.

mod body;
mod firing;

pub(super) use firing::{Firing, begin, fire_after};

/// How deep triggers may fire each other.
pub(super) const DEPTH_MAX: usize = 200;
