//! How a statement is run, and run again where it lost a conflict.

pub(super) mod analyze;
pub(super) mod attempt;
pub(super) mod conflict;
pub(super) mod copy;
pub(super) mod core;
pub(super) mod create_as;
pub(super) mod cursors;
pub(super) mod dispatch;
pub(super) mod lock_wait;
pub(super) mod notify;
pub(super) mod read_by_key;
pub(super) mod retry;
pub(super) mod schema_elements;
pub(super) mod script;
pub(super) mod sequences;
pub(super) mod upkeep;
pub(super) mod with;
