//! Sessions: connections, statements, transactions; from SQL text to rows of Rust values.
//!
//! ```text
//!  api          Connection --- prepare ---> Statement --- query ---> Rows ---> Row ---> FromSql
//!      |           |                           ^  parameters: Params, ToSql
//!      |           +--- transaction ---> Transaction ---> Savepoint (guards: they roll back on drop)
//!      v
//!  plans        from a text to its plan; kept, shared, and made again when the catalog changed
//!  execute      one statement within a storage transaction (dispatch), a text of several (script), and again after a conflict
//!  transaction  the block, its savepoints, temporary tables
//!  settings     SET, SHOW, RESET          limits   admission and time limits
//!  host         functions and tables of the program
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

mod api;
mod execute;
pub(crate) mod host;
mod limits;
mod plans;
mod sessions;
mod settings;
mod single_flight;
mod sweeper;
#[cfg(test)]
mod tests;
mod transaction;

pub use crate::activity::RetryLimit;
pub use api::connection::Connection;
pub(crate) use sessions::{Limits, Sessions};
pub use transaction::transaction_block::TransactionStatus;

pub use api::from_sql::{FromSql, FromSqlError, FromSqlResult};
pub use api::interrupt::InterruptHandle;
pub use api::introspect::IndexInfo;
pub use api::notifications::Notifications;
pub use api::outcome::{Outcome, RowSet};
pub use api::params::{Params, ParamsFromIter, params_from_iter};
pub use api::rows::{MappedRows, Row, RowIndex, Rows};
pub use api::savepoint::Savepoint;
pub use api::statement::{OptionalExtension, Statement};
pub use api::to_sql::{ToSql, ToSqlOutput};
pub use api::transaction::{DropBehavior, Transaction};
pub use host::{AggregateFunction, FunctionContext, FunctionFlags};
