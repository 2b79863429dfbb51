//! Remora: an embedded, in-memory SQL database with durable, multi-version tables.
//!
//! Floors, lowest first; a folder imports only from folders on lower floors (a test enforces it):
//!
//! ```text
//!  0  error config
//!  1  function     types, casts, scalar and aggregate kernels
//!  2  plan         expressions, logical and physical plans: data only
//!  3  parse bind optimize
//!  4  exec         vectorised operators; point path
//!  5  session      statements, transactions, connections
//!  6  database     the public handle
//! ```
#![forbid(unsafe_code)]

pub mod error;
pub mod exec;
pub mod function;
pub mod optimize;
pub mod parse;
pub mod plan;

pub use error::{Error, Position, Result};
pub use remora_storage::{DataType, Interval, Numeric, Value, ValueRef};
