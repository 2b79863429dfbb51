//! Verifying a directory that nobody has open.

use super::{Store, StoreOptions, existing, located, pool};
use crate::disk::Disk;
use crate::error::Result;
use crate::recovery::{self, Verification};
use std::path::Path;

impl Store {
    /// Reads everything in a directory, which nobody must have open, and tells what is not what was
    /// written. Of the options the memory budget counts: one block at a time is in memory.
    ///
    /// # Errors
    /// `NotADatabase` where there is no database, `Locked` where somebody has it open, `Io`. Damage is no
    /// error here: it is reported.
    pub fn verify(directory: &Path, options: StoreOptions) -> Result<Verification> {
        let disk = existing(directory)?;
        let verified = Self::verify_on(&disk, options);
        let mut verified = verified.map_err(|error| located(error, directory))?;
        for damage in &mut verified.damages {
            damage.error = located(damage.error.clone(), directory);
        }
        Ok(verified)
    }

    /// The same on any disk; paths are relative to it.
    ///
    /// # Errors
    /// As for [`Self::verify`].
    pub fn verify_on(disk: &dyn Disk, options: StoreOptions) -> Result<Verification> {
        recovery::verify(disk, &pool(&options))
    }
}
