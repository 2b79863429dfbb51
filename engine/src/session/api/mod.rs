//! The calls of a program: connections, statements and their rows, transactions and savepoints, values in both directions.
//! Names and shapes are rusqlite's where it has them.

mod call_guard;
pub(super) mod connection;
pub(super) mod export;
pub(super) mod from_sql;
pub(super) mod given;
pub(super) mod interrupt;
pub(super) mod introspect;
pub(super) mod notifications;
pub(super) mod outcome;
pub(super) mod params;
pub(super) mod rows;
pub(super) mod savepoint;
pub(super) mod statement;
pub(super) mod to_sql;
pub(super) mod transact;
pub(super) mod transaction;
mod turn;
