//! What happened to a simulated disk, as data.

use std::sync::Arc;

/// A file, whatever it is called now.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileId(pub(super) usize);

/// An operation that changed something or made it durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Names came, changed or went, all of these at once: a rename is two of them.
    Names(Vec<(String, Option<FileId>)>),
    /// Bytes were written.
    Write {
        /// To this file.
        file: FileId,
        /// From here on.
        offset: u64,
        /// These.
        bytes: Arc<[u8]>,
    },
    /// A file was cut, or extended by zeros.
    Resize {
        /// This file.
        file: FileId,
        /// To this length in bytes.
        len: u64,
    },
    /// A file was made durable.
    Sync(FileId),
    /// It was to be, and that failed: its bytes count as written now, and may never be.
    LostSync(FileId),
    /// A folder was made; it is durable at once, as [`super::Disk::create_folder`] promises.
    Folder(String),
    /// The names in a folder were made durable.
    SyncNames(String),
}

/// The folder in which a path stands.
pub(super) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
