//! The crates of Arrow whose types [`Connection::query_arrow`](crate::Connection::query_arrow) gives, in the version that
//! this crate is built with.
//!
//! ```
//! use remora::arrow::array::{Array, Int32Array};
//! let conn = remora::Database::in_memory()?.connect()?;
//! let batches = conn.query_arrow("SELECT n FROM generate_series(1, 4) AS g(n)", [])?;
//! let numbers = batches[0].column(0).as_any().downcast_ref::<Int32Array>();
//! assert_eq!(numbers.map(|numbers| numbers.values().iter().sum()), Some(10));
//! # Ok::<(), remora::Error>(())
//! ```

pub use arrow_array as array;
pub use arrow_schema as schema;

pub use arrow_array::RecordBatch;
