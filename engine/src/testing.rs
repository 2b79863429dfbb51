//! Crash tests: a disk in memory that tells all that a crash may leave.
//!
//! A program opens its database on a [`SimDisk`] ([`Database::open_on`](crate::Database::open_on)), works, and asks the disk
//! for what could be there if the power went at any moment. On each such state it opens the database again and looks
//! whether what was acknowledged is there. `SimDisk` has an example.

pub use remora_storage::disk::{
    Decay, Disk, DiskFile, Event, Fault, FileId, Image, Loose, Medium, SimDisk, Tear,
};
