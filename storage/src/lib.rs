//! The storage floor of Remora: rows, versions, indexes, log, checkpoints, recovery.
//!
//! It knows nothing of SQL. A caller opens a [`Store`], begins a [`Transaction`], and reads and
//! writes rows of typed values by [`RowId`] or by index key. The engine crate builds SQL on top.
//!
//! Floors, lowest first; a folder imports only from folders on lower floors (a test enforces it):
//!
//! ```text
//!  0  ids error limits stop sort parallel sync time value codec disk sabotage
//!  1  pool  format
//!  2  succinct
//!  3  mvcc
//!  4  block  index
//!  5  table  catalog
//!  6  wal  write_set
//!  7  maintenance  transaction
//!  8  checkpoint
//!  9  recovery  store
//! ```

pub mod block;
pub mod catalog;
pub mod checkpoint;
pub mod codec;
pub mod disk;
pub mod error;
pub mod format;
pub mod ids;
pub mod index;
pub mod limits;
pub mod maintenance;
pub mod mvcc;
pub mod parallel;
pub mod pool;
pub mod recovery;
#[cfg(any(test, feature = "sabotage"))]
pub mod sabotage;
pub mod sort;
pub mod stop;
pub mod store;
pub mod succinct;
pub mod sync;
pub mod table;
pub mod time;
pub mod transaction;
pub mod value;
pub mod wal;
pub mod write_set;

pub use error::{Conflict, Error, Result};
pub use ids::{
    BlockNo, ColumnId, IndexId, Lsn, RowId, SchemaId, SequenceId, Slot, TableId, Timestamp,
    TransactionId, TypeId,
};
pub use stop::Stop;
pub use store::{Store, StoreOptions};
pub use transaction::{Durability, Isolation, ReadView, Transaction, TransactionOptions};
pub use value::{DataType, Interval, Numeric, Value, ValueRef};
