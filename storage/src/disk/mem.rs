//! A disk in memory. (Stub.)
/// A disk in memory.
#[derive(Debug, Default)]
pub struct MemDisk {}
