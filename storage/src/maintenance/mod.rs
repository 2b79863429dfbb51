//! Garbage collection: what nobody can see any more is unlinked, and later freed.
//!
//! ```text
//!   commit ----> queue of write sets ----> unlink ----> retire queue ----> memory
//!                waits for the horizon                  waits for operations
//! ```
//!
//! 1. A committed write set waits until the horizon has passed its timestamp. Then, for each row in
//!    it: states older than the newest one that everybody sees are unlinked, index entries of keys
//!    that only they had are removed, the row is folded into its base.
//! 2. What was unlinked waits in the retire queue until every operation that was under way is over.
//! 3. What a rollback takes back goes to the same retire queue.
//! 4. While an old snapshot holds the horizon back, states that no snapshot sees are unlinked
//!    (`prune`).
//! 5. Where much of the pool's slabs is unused, version records and index nodes are moved out of sparse ones.
//!
//! One thread collects at a time, behind one lock: folding and moving rely on it. The work is cooperative
//! (each commit does a little, first of what its thread wrote, if the lock is free), and a background
//! thread does the rest, unless maintenance is manual.
//!
//! Under memory pressure (see [`crate::pool::Pressure`]) the background thread does more at a time, and
//! tells who wants to know ([`PressureListeners`]).
//!
//! Index entries. An entry may go when no state of the row that anybody can still reach has its
//! key. That is checked under the key's latch; a writer who gives the row this key again chains
//! its version first and adds the entry, under the latch, afterwards. So either the check sees the
//! version, or the writer adds the entry anew. An index that is being filled is not touched: what came
//! and went is noted, and looked at when it is filled (`fill`).

mod background;
mod backlog;
mod collector;
mod compact;
mod evacuation;
mod fill;
mod listeners;
mod pace;
mod prune;
mod queue;
mod snapshots;
mod undo;

pub use background::spawn;
pub use collector::Collector;
pub use compact::{Age, Compacted, Wish};
pub use evacuation::free_nodes;
pub use listeners::PressureListeners;
pub use pace::Pace;
#[cfg(test)]
pub use prune::ROWS_PRUNED;
pub use queue::GarbageQueue;
pub use snapshots::{Sightings, SnapshotUse, snapshot_uses};
