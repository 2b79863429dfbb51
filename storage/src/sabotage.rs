//! Mistakes that the storage floor makes when it is told to: the crash lab must notice each of them.
//!
//! Only with the feature `sabotage`, which nothing but that test enables; without it, nothing of this is
//! compiled.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// A mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Mistake {
    /// The checksum of a frame covers its header only.
    ShortChecksum = 1,
    /// A commit returns before its frame is written.
    AcknowledgeBeforeLog,
}

/// What is done wrongly now, in the whole process; relaxed, because it is set while nothing runs.
static CURRENT: AtomicU8 = AtomicU8::new(0);

/// From now on this mistake is made, or none.
pub fn make(mistake: Option<Mistake>) {
    CURRENT.store(mistake.map_or(0, |mistake| mistake as u8), Relaxed);
}

/// Whether a mistake is to be made.
pub(crate) fn is_made(mistake: Mistake) -> bool {
    CURRENT.load(Relaxed) == mistake as u8
}
