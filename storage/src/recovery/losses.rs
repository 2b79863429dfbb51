//! What a salvage has found damaged so far.

use super::report::{Loss, Lost};
use crate::error::{Error, Result};
use parking_lot::Mutex;

/// The losses, noted by any thread.
#[derive(Default)]
pub(super) struct Losses(Mutex<Vec<Loss>>);

impl Losses {
    /// Notes the damage that an error tells of. What is no damage is returned.
    ///
    /// # Errors
    /// Everything but `Corrupt`, and `Io` where a file could not be read.
    pub(super) fn note(&self, error: Error, what: Lost) -> Result<()> {
        let (file, offset, because) = match error {
            Error::Corrupt {
                path,
                offset,
                expected,
                found,
            } => (path, offset, format!("expected {expected}, found {found}")),
            Error::Io {
                operation: "read" | "open" | "measure",
                path,
                source,
            } => (path, 0, source.to_string()),
            other => return Err(other),
        };
        self.0.lock().push(Loss {
            file: file.display().to_string(),
            offset,
            what,
            because,
        });
        Ok(())
    }

    /// Adds those of another.
    pub(super) fn append(&self, other: Self) {
        self.0.lock().append(&mut other.0.into_inner());
    }

    /// All of them, by file and place.
    pub(super) fn into_list(self) -> Vec<Loss> {
        let mut list = self.0.into_inner();
        list.sort_by(|a, b| (&a.file, a.offset).cmp(&(&b.file, b.offset)));
        list
    }
}
