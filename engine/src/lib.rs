//! Remora: an embedded, in-memory SQL database with durable, multi-version tables.
//!
//! Floors, lowest first; a folder imports only from folders on lower floors (a test enforces it):
//!
//! ```text
//!  0  error config
//!  1  activity     who runs what; interrupts
//!  1  function     types, casts, scalar and aggregate kernels
//!  2  plan         expressions, logical and physical plans: data only
//!  3  parse bind optimize
//!  4  exec         vectorised operators; point path
//!  5  session      statements, transactions, connections
//!  6  database     the public handle
//! ```
#![forbid(unsafe_code)]

pub mod activity;
mod bind;
pub mod database;
pub mod error;
pub mod exec;
pub mod function;
pub mod optimize;
pub mod parse;
pub mod plan;
pub mod session;

pub use database::{Checkpoints, Damage, Database, MemoryLine, MemoryReport, Options, Verified};
pub use error::{Error, Position, Result};
pub use function::host_table::{
    ConstraintUsage, IndexConstraint, IndexConstraintOp, RowStream, VTab, VTabScan,
};
pub use plan::Field;
pub use plan::statement::TransactionOptions;
pub use remora_storage::disk;
pub use remora_storage::pool::{PressureChange, PressureLevel, PressureThresholds};
pub use remora_storage::store::{
    BackupReport, CheckReport, CheckpointInfo, CheckpointReason, CheckpointReport, Compacted,
    DurabilityStatus, KeptCheckpoint, LogStatus, Loss, Lost, Newer, RecoveryMode, RecoveryPhase,
    RecoveryProgress, RecoveryReport, RestoreReport,
};
pub use remora_storage::{DataType, Durability, Interval, Isolation, Numeric, Value, ValueRef};
pub use session::{
    AggregateFunction, Connection, DropBehavior, FromSql, FromSqlError, FromSqlResult,
    FunctionContext, FunctionFlags, IndexInfo, InterruptHandle, MappedRows, OptionalExtension,
    Outcome, Params, ParamsFromIter, RetryLimit, Row, RowIndex, RowSet, Rows, Savepoint, Statement,
    ToSql, ToSqlOutput, Transaction, TransactionStatus, params_from_iter,
};
