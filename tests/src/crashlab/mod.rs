//! The crash lab: databases are crashed at every operation on a simulated disk, with every choice of what
//! the disk had kept by then, and what is recovered is compared with what was promised.
//!
//! ```text
//!   script ----> twin in memory      what is there after each step
//!          ----> SimDisk             events, and which steps were acknowledged before which event
//!                   |                (a process may die, a disk fail: the next process goes on)
//!                   v
//!   explore:  crash --> images --> examine --> recovery's own events --> crash --> images --> examine
//! ```
//!
//! What is promised, and checked of every image
//! - It can be opened, without a panic.
//! - It holds what the twin held after some number of the steps, in order: at least those acknowledged as
//!   durable, at most those begun. Nothing in part, nothing else.
//! - Every index agrees with its table, and the account of memory with a recount.
//! - Opened again it has the same contents and the same bytes.
//! - A crash of its recovery, recovered from, comes to the same contents as that.
//! - It goes on: what is committed then is kept, too.
//!
//! What is assumed of the disk is no more than [`remora::testing`] says. One run of a script is enough: the
//! engine does without threads of its own ([`remora::Options::manual_maintenance`]), and the disk's events
//! are followed afterwards.

pub mod choice;
pub mod course;
pub mod examine;
pub mod explore;
pub mod oracle;
pub mod random_script;
pub mod saboteur;
pub mod script;
pub mod shrink;
pub mod trial;
pub mod workloads;
