//! The transaction that a session is in: the block, its savepoints, and the tables that end with it.

pub(super) mod savepoints;
pub(super) mod temporary;
pub(super) mod transaction_block;
