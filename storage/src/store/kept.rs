//! A store and its checkpoints of earlier: which there are, and the return to one of them.

use super::durable::Durable;
use super::options::StoreOptions;
use super::{CheckpointReason, Store, existing, located};
use crate::checkpoint::kept::{self, KeptCheckpoints};
use crate::disk::Disk;
use crate::error::Result;
use crate::recovery::{self, Newer, RecoveryMode, RestoreReport};
use std::path::Path;
use std::sync::Arc;

impl Store {
    /// The checkpoints that are there, the newest first; none in memory.
    ///
    /// # Errors
    /// `Io`.
    pub fn checkpoints(&self) -> Result<KeptCheckpoints> {
        match &self.inner.durable {
            Some(durable) => kept::list(&**durable.disk()),
            None => Ok(KeptCheckpoints::default()),
        }
    }

    /// Where the files are; nothing in memory. To have it gives no right to the directory.
    pub fn disk(&self) -> Option<&Arc<dyn Disk>> {
        self.inner.durable.as_ref().map(Durable::disk)
    }

    /// The checkpoints of a database that need not be open, and may be.
    ///
    /// # Errors
    /// `NotADatabase`, `Io`.
    pub fn checkpoints_in(directory: &Path) -> Result<KeptCheckpoints> {
        let mut list = kept::list(&existing(directory)?);
        if let Ok(list) = &mut list {
            let damaged = std::mem::take(&mut list.damaged).into_iter();
            list.damaged = damaged.map(|error| located(error, directory)).collect();
        }
        list.map_err(|error| located(error, directory))
    }

    /// Makes an older checkpoint of a database, which must not be open, its current one. What was committed
    /// after it is not lost at once: it stays in the checkpoints that are kept, as long as they are; see
    /// [`Newer`] for what followed on the newest one.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let directory = directory.path().join("db");
    /// use remora_storage::store::Newer;
    /// use remora_storage::{Store, StoreOptions};
    /// let options = StoreOptions::default();
    /// let (store, _) = Store::open(&directory, options.clone())?;
    /// let number = store.checkpoint()?.number;
    /// store.close()?;
    /// drop(store);
    /// let report = Store::restore(&directory, number, options, Newer::Keep)?;
    /// assert_eq!((report.from, report.timeline), (number, 2));
    /// # Ok::<(), remora_storage::Error>(())
    /// ```
    ///
    /// # Errors
    /// `UndefinedCheckpoint`; `Corrupt` where it cannot be read, or what is to be kept; `Locked`,
    /// `NotADatabase`, `OutOfMemory`, `Io`, `DiskFull`. What was current is current still, unless the very
    /// last step failed.
    pub fn restore(
        directory: &Path,
        number: u64,
        options: StoreOptions,
        newer: Newer,
    ) -> Result<RestoreReport> {
        let disk = Arc::new(existing(directory)?);
        Self::restore_on(disk, number, options, newer).map_err(|error| located(error, directory))
    }

    /// As [`Self::restore`], on any disk.
    ///
    /// # Errors
    /// As for [`Self::restore`].
    pub fn restore_on(
        disk: Arc<dyn Disk>,
        number: u64,
        options: StoreOptions,
        newer: Newer,
    ) -> Result<RestoreReport> {
        kept::list(&*disk)?;
        kept::find(&*disk, number)?;
        if newer == Newer::Keep {
            keep_everything(&disk, &options)?;
        }
        recovery::rewind(&*disk, number, newer, super::pool(&options))
    }
}

/// Has everything that was committed be in a checkpoint, without forgetting any.
fn keep_everything(disk: &Arc<dyn Disk>, options: &StoreOptions) -> Result<()> {
    let options = StoreOptions {
        manual_maintenance: true,
        recovery: RecoveryMode::Strict,
        keep_checkpoints: Some(usize::MAX),
        ..options.clone()
    };
    let (store, _) = Store::open_on(Arc::clone(disk), options)?;
    if let Some(durable) = &store.inner.durable
        && durable.schedule().logged_since() > 0
    {
        durable.checkpoint(CheckpointReason::Restore)?;
    }
    store.close()
}
