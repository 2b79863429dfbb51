//! Crash tests of a program's own: a disk in memory that fails where it is told to, and knows all that a power loss may
//! leave.
//!
//! A program opens its database on a [`SimDisk`] ([`Database::open_on`](crate::Database::open_on)) and works until the
//! power fails, at each operation of the disk in turn. Then it opens what is left, and looks whether its promises are
//! kept:
//!
//! ```
//! use remora::testing::{Fault, SimDisk};
//! use remora::{Connection, Database, Options, Result};
//! use std::sync::Arc;
//!
//! fn open(disk: SimDisk) -> Result<(Database, Connection)> {
//!     // Nothing runs in the background, so that each run does the same.
//!     let options = Options::new().manual_maintenance(true);
//!     let db = Database::open_on(Arc::new(disk), options)?;
//!     let conn = db.connect()?;
//!     conn.execute("CREATE TABLE IF NOT EXISTS orders (id BIGINT PRIMARY KEY)", [])?;
//!     Ok((db, conn))
//! }
//!
//! // The program: it takes orders, and confirms those that are kept.
//! fn take_orders(disk: SimDisk, confirmed: &mut Vec<i64>) -> Result<()> {
//!     let (db, conn) = open(disk)?;
//!     for id in 1..=3 {
//!         conn.execute("INSERT INTO orders VALUES ($1)", [id])?;
//!         confirmed.push(id);
//!     }
//!     db.checkpoint()?;
//!     db.close()
//! }
//!
//! for operation in 0.. {
//!     let disk = SimDisk::new();
//!     disk.fail(operation, Fault::PowerLoss);
//!     let mut confirmed = Vec::new();
//!     let ran = take_orders(disk.clone(), &mut confirmed);
//!     // Of what was not synced nothing is left, or the beginning of each write.
//!     for left in [disk.crashed(), disk.torn()] {
//!         let (_db, conn) = open(left)?;
//!         let mut orders = conn.prepare("SELECT id FROM orders ORDER BY id")?;
//!         let found = orders.query_map([], |row| row.get(0))?.collect::<Result<Vec<i64>>>()?;
//!         assert!(found.starts_with(&confirmed), "{confirmed:?} were confirmed, {found:?} are there");
//!         assert!(found.len() <= confirmed.len() + 1, "an order that nobody placed");
//!     }
//!     if !disk.has_failed() {
//!         ran?;
//!         break;
//!     }
//! }
//! # Ok::<(), remora::Error>(())
//! ```
//!
//! Time goes on when the test says so ([`Options::time_source`](crate::Options::time_source)):
//!
//! ```
//! use remora::testing::ManualTime;
//! use remora::{Database, Options};
//! use std::sync::Arc;
//! use std::time::{Duration, UNIX_EPOCH};
//!
//! let time = ManualTime::at(UNIX_EPOCH);
//! let db = Database::in_memory_with(Options::new().time_source(Arc::new(time.clone())))?;
//! let conn = db.connect()?;
//! time.advance(Duration::from_secs(90));
//! let seconds = "SELECT extract(epoch FROM now())::INT";
//! assert_eq!(conn.query_row(seconds, [], |row| row.get::<_, i32>(0))?, 90);
//! # Ok::<(), remora::Error>(())
//! ```
//!
//! Every state that a crash may leave, and not two of them, is what [`Medium`] gives: it follows the events of a disk that
//! records ([`SimDisk::recording`]), tells what is [`Loose`] at each, and makes an [`Image`] of any choice of that.

pub use remora_storage::disk::{
    Decay, Disk, DiskFile, Event, Fault, FileId, Image, Loose, Medium, SimDisk, Tear,
};
pub use remora_storage::time::{ManualTime, TimeSource};
