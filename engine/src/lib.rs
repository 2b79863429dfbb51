//! Remora: an embedded, in-memory SQL database with durable, multi-version tables.
//!
//! ```
//! use remora::{Database, params};
//!
//! # fn main() -> remora::Result<()> {
//! // In memory; `Database::open("directory")` keeps rows in a log and checkpoints.
//! let db = Database::in_memory()?;
//! let mut conn = db.connect()?;
//! conn.execute_batch("CREATE TABLE account (id BIGINT PRIMARY KEY, owner TEXT, cents BIGINT)")?;
//! conn.execute("INSERT INTO account VALUES ($1, $2, $3)", params![1, "Ada", 5_000])?;
//! conn.execute("INSERT INTO account VALUES ($1, $2, $3)", params![2, "Ben", 1_000])?;
//!
//! // A transaction is undone where it is not committed, and begun again where it loses a conflict.
//! conn.transact(|tx| {
//!     tx.execute("UPDATE account SET cents = cents - 700 WHERE id = 1", [])?;
//!     tx.execute("UPDATE account SET cents = cents + 700 WHERE id = 2", [])?;
//!     Ok(())
//! })?;
//!
//! let mut owners = conn.prepare("SELECT owner FROM account WHERE cents >= $1 ORDER BY owner")?;
//! let owners = owners.query_map([1_500], |row| row.get(0))?;
//! assert_eq!(owners.collect::<remora::Result<Vec<String>>>()?, ["Ada", "Ben"]);
//! # Ok(())
//! # }
//! ```
//!
//! A [`Database`] is shared by cloning it; each thread has a [`Connection`] of its own. Names and shapes are those of
//! rusqlite where it has them; SQL has PostgreSQL's meaning, and an [`Error`] its codes ([`sqlstate`]).
//!
//! - Rows out: [`Statement::query_map`], [`Connection::query_row`], or as Arrow record batches
//!   ([`Connection::query_arrow`], [`arrow`]).
//! - Functions and tables of the program's own in SQL: [`Connection::create_scalar_function`],
//!   [`Connection::create_virtual_table`].
//! - Crash tests of the program's own: [`testing`].
//! - Memory, durability and recovery: [`Options`].
#![forbid(unsafe_code)]

// Floors, lowest first; a folder imports only from folders on lower floors (a test enforces it):
//
//  0  error config stack
//  1  notification LISTEN and NOTIFY: from commits to sessions
//  1  activity     who runs what; interrupts
//  1  limit        rate limits: what a key may take, and rows that say what it has
//  1  function     types, casts, scalar and aggregate kernels
//  2  system       tables that show the engine itself: columns and rows
//  2  plan         expressions, logical and physical plans: data only
//  3  exec         vectorised operators; point path
//  4  deparse      the catalog as SQL text
//  4  parse bind optimize
//  5  session      statements, transactions, connections
//  6  database     the public handle
//  7  kv           tables by key, without SQL
//  8  once         requests that are done once
//  8  queue        work queues, without SQL
//  7  arrow internal testing    what is offered of others

#[macro_use]
mod error;

mod activity;
pub mod arrow;
mod bind;
mod database;
mod deparse;
mod exec;
mod function;
#[doc(hidden)]
pub mod internal;
pub mod kv;
pub mod limit;
mod notification;
mod once;
mod optimize;
mod parse;
mod plan;
pub mod queue;
mod session;
mod stack;
mod system;
pub mod testing;

pub use database::{
    Checkpoints, Damage, Database, Limiter, MemoryLine, MemoryReport, Options, Verified,
};
pub use error::{Error, Position, Result, state as sqlstate};
pub use function::host_table::{
    ConstraintUsage, IndexConstraint, IndexConstraintOp, RowStream, VTab, VTabScan,
};
pub use notification::{Delivery, Notification};
pub use plan::Field;
pub use plan::statement::TransactionOptions;
pub use remora_storage::pool::{PressureChange, PressureLevel, PressureThresholds};
pub use remora_storage::store::{
    BackupReport, CheckReport, CheckpointInfo, CheckpointReason, CheckpointReport, Compacted,
    DurabilityStatus, KeptCheckpoint, LogStatus, Loss, Lost, Newer, RecoveryMode, RecoveryPhase,
    RecoveryProgress, RecoveryReport, RestoreReport,
};
pub use remora_storage::{DataType, Durability, Interval, Isolation, Numeric, Value, ValueRef};
pub use session::{
    AggregateFunction, Connection, DropBehavior, FromSql, FromSqlError, FromSqlResult,
    FunctionContext, FunctionFlags, IndexInfo, InterruptHandle, MappedRows, Notifications,
    OptionalExtension, Outcome, Params, ParamsFromIter, RetryLimit, Row, RowIndex, RowSet, Rows,
    Savepoint, Statement, ToSql, ToSqlOutput, Transaction, TransactionStatus, params_from_iter,
};
