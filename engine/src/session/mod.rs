//! Sessions: connections, statements, transactions; from SQL text to rows of Rust values.
//!
//! ```text
//!  Connection --- prepare ---> Statement --- query ---> Rows ---> Row ---> FromSql
//!      |  |                        ^  parameters: Params, ToSql
//!      |  +--- transaction ---> Transaction ---> Savepoint (guards: they roll back on drop)
//!      v
//!   Session (core): transaction block, settings, plan cache
//!      |  prepared    a statement and its plan; planned again when the catalog changed
//!      |  script      a text of several statements
//!      |  dispatch    one statement within a storage transaction
//!      v
//!   exec, storage
//! ```
//!
//! Names and shapes are rusqlite's where it has them. A connection has interior mutability, as
//! there: statements share it; [`Connection::transaction`] alone takes it by `&mut`.
//!
//! Invariants
//! - Whatever is shown is as durable as the database's level asks.
//! - A statement that fails leaves no trace, and an explicit transaction in which one has failed
//!   does nothing more until it is rolled back, as a whole or to a savepoint; unless the connection
//!   was told otherwise (`on_error_rollback`).
//! - Settings made in a transaction, or since a savepoint, are undone with it.

mod admission;
mod advice;
mod analyze;
mod backoff;
mod checkpoint_settings;
mod comment_sql;
mod conflict;
mod connection;
mod copy;
mod core;
mod create_as;
mod cursors;
mod definition;
mod discard;
mod dispatch;
mod duration;
mod export;
mod export_order;
mod from_sql;
mod function_sql;
mod holders;
pub(crate) mod host;
mod housekeeper;
mod interrupt;
mod introspect;
mod limits;
mod lock_wait;
mod named;
mod outcome;
mod params;
mod plan_cache;
mod planning;
mod prepared;
mod rows;
mod savepoint;
mod savepoints;
mod schema_elements;
mod script;
mod sequences;
mod sessions;
mod set;
mod settings;
mod settings_scope;
mod shared_plans;
mod size;
mod statement;
mod template;
mod temporary;
#[cfg(test)]
mod tests;
mod to_sql;
mod transact;
mod transaction;
mod transaction_block;
mod trigger_sql;
mod type_sql;
mod upkeep;
mod view_sql;
mod with;

pub use backoff::RetryLimit;
pub use connection::Connection;
pub(crate) use sessions::{Limits, Sessions};
pub use transaction_block::TransactionStatus;

pub use from_sql::{FromSql, FromSqlError, FromSqlResult};
pub use host::{AggregateFunction, FunctionContext, FunctionFlags};
pub use interrupt::InterruptHandle;
pub use introspect::IndexInfo;
pub use outcome::{Outcome, RowSet};
pub use params::{Params, ParamsFromIter, params_from_iter};
pub use rows::{MappedRows, Row, RowIndex, Rows};
pub use savepoint::Savepoint;
pub use statement::{OptionalExtension, Statement};
pub use to_sql::{ToSql, ToSqlOutput};
pub use transaction::{DropBehavior, Transaction};
