//! Copies of a store: to a directory, from a directory into memory, to bytes and from bytes.

use super::archive::Archive;
use super::options::{StoreOptions, system_time};
use super::{RecoveryReport, Store, apply, existing, located, pool};
use crate::checkpoint::backup::{self, BackupReport};
use crate::disk::{Disk, RealDisk};
use crate::error::{Error, Result};
use crate::recovery;
use std::path::Path;
use std::sync::Arc;

impl Store {
    /// Copies the store as it is at one moment into a directory, which must be missing or empty; what an
    /// earlier attempt has left there is overwritten. The copy is a database of its own. Readers and
    /// writers go on meanwhile.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let directory = directory.path().join("copy");
    /// use remora_storage::{Store, StoreOptions};
    /// let store = Store::in_memory(StoreOptions::default())?;
    /// assert_eq!(store.backup_to(&directory)?.rows, 0);
    /// let (copy, report) = Store::open(&directory, StoreOptions::default())?;
    /// assert!(report.clean && !report.created);
    /// # Ok::<(), remora_storage::Error>(())
    /// ```
    ///
    /// # Errors
    /// `NotEmpty`; `Locked`, `Closed`, `Io`, `DiskFull`, `OutOfMemory`; `SnapshotNotDurable` where the log has come
    /// to be full meanwhile, or failed: there is no copy then, unless only its last step failed.
    pub fn backup_to(&self, directory: &Path) -> Result<BackupReport> {
        self.backup_on(&RealDisk::new(directory))
            .map_err(|error| located(error, directory))
    }

    /// As [`Self::backup_to`], on any disk.
    ///
    /// # Errors
    /// As for [`Self::backup_to`].
    pub fn backup_on(&self, disk: &dyn Disk) -> Result<BackupReport> {
        if self.inner.is_closed() {
            return Err(Error::Closed);
        }
        let _lock = recovery::take_for_copy(disk)?;
        backup::write(&self.inner.core, disk, |timestamp| {
            // Numbers of sequences are no commits; where the log takes none, the copy goes without the last ones.
            match self.wait_logged() {
                Err(Error::DiskFull { .. } | Error::LogFailed { .. }) => self.wait_shown(timestamp),
                waited => waited,
            }
        })
    }

    /// Loads the database of a directory into a store in memory. The directory stays as it is, and nobody
    /// may have it open meanwhile.
    ///
    /// # Errors
    /// As for [`Self::open`]; `NotADatabase` where the directory is empty, too.
    pub fn load(directory: &Path, options: StoreOptions) -> Result<(Self, RecoveryReport)> {
        let disk = existing(directory)?;
        Self::load_on(&disk, options).map_err(|error| located(error, directory))
    }

    /// As [`Self::load`], from any disk.
    ///
    /// # Errors
    /// As for [`Self::load`].
    pub fn load_on(disk: &dyn Disk, options: StoreOptions) -> Result<(Self, RecoveryReport)> {
        let pool = pool(&options);
        let ledger = Arc::clone(pool.ledger());
        let (core, report) = recovery::load_copy(disk, &options.recovery(pool, system_time()))?;
        apply(&core, &options);
        Ok((Self::new(core, ledger, None, &options), report))
    }

    /// Copies the store as it is at one moment into bytes, from which [`Self::deserialize`] makes a store
    /// again. The memory budget must have room for them meanwhile.
    ///
    /// ```
    /// use remora_storage::{Store, StoreOptions};
    /// let bytes = Store::in_memory(StoreOptions::default())?.serialize()?;
    /// assert!(Store::deserialize(&bytes, StoreOptions::default()).is_ok());
    /// assert!(Store::deserialize(&bytes[1..], StoreOptions::default()).is_err());
    /// # Ok::<(), remora_storage::Error>(())
    /// ```
    ///
    /// # Errors
    /// `OutOfMemory`, `Closed`, `SnapshotNotDurable`.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        let archive = Archive::empty(self.ledger());
        self.backup_on(&archive)?;
        // The caller's from here on, and not in the account.
        archive.into_bytes().map(|(bytes, _)| bytes)
    }

    /// A store in memory that holds what [`Self::serialize`] was called on.
    ///
    /// # Errors
    /// `Corrupt`, `UnsupportedFormat`, `UnsupportedFeatures` where the bytes are not what was written;
    /// `OutOfMemory`.
    pub fn deserialize(bytes: &[u8], options: StoreOptions) -> Result<Self> {
        let pool = pool(&options);
        let ledger = Arc::clone(pool.ledger());
        let archive = Archive::of(bytes, &ledger)?;
        let (core, _) = recovery::load_copy(&archive, &options.recovery(pool, system_time()))?;
        apply(&core, &options);
        Ok(Self::new(core, ledger, None, &options))
    }
}
