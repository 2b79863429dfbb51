//! The statement around a function: when it began, and what its functions may use and change.
//!
//! ```text
//!  statement_clock   when the statement began
//!  statement_scope   the part of the database that functions may use
//!  rate_limit        limits of what a key may take in time
//! ```

pub(super) mod rate_limit;
mod statement_clock;
mod statement_scope;

pub(crate) use statement_clock::{StatementClock, Times};
pub(crate) use statement_scope::StatementScope;
pub(super) use statement_scope::scope;
