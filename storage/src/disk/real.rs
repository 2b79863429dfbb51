//! A directory of the file system. (Stub.)
/// A directory of the file system.
#[derive(Debug)]
pub struct RealDisk {}
