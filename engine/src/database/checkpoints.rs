//! The checkpoints of a directory, and the return to an older one.

use super::{Database, Options};
use crate::error::{Error, Result};
use remora_storage::Store;
use remora_storage::store::{KeptCheckpoint, KeptCheckpoints, Newer, RestoreReport};
use std::path::Path;

/// The checkpoints of a database.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Checkpoints {
    /// Those that can be read, the newest first.
    pub list: Vec<KeptCheckpoint>,
    /// What is wrong with those that cannot.
    pub damaged: Vec<Error>,
}

impl From<KeptCheckpoints> for Checkpoints {
    fn from(kept: KeptCheckpoints) -> Self {
        Self {
            list: kept.checkpoints,
            damaged: kept.damaged.into_iter().map(Error::from).collect(),
        }
    }
}

impl Database {
    /// The checkpoints that are kept; none in memory.
    ///
    /// # Errors
    /// 58030 of the disk.
    pub fn checkpoints(&self) -> Result<Checkpoints> {
        Ok(self.store.checkpoints()?.into())
    }

    /// The checkpoints that are kept in a directory, whether the database is open or not.
    ///
    /// # Errors
    /// 58P01 where there is no database, 58030 of the disk.
    pub fn checkpoints_in(directory: impl AsRef<Path>) -> Result<Checkpoints> {
        Ok(Store::checkpoints_in(directory.as_ref())?.into())
    }

    /// Makes an older checkpoint of a database, which must not be open, its current one: the database is
    /// what it was then. What was there before is put into a checkpoint, too, and stays as long as that is
    /// kept: with [`Options::keep_checkpoints`] at 2, until the second checkpoint from then on.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().expect("a temporary directory");
    /// use remora::Database;
    ///
    /// let db = Database::open(directory.path())?;
    /// db.connect()?.execute_batch("CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (42)")?;
    /// let before = db.checkpoint()?.number;
    /// db.connect()?.execute("DELETE FROM t", [])?;
    /// db.close()?;
    ///
    /// let report = Database::restore_checkpoint(directory.path(), before)?;
    /// let db = Database::open(directory.path())?;
    /// let n: i64 = db.connect()?.query_row("SELECT n FROM t", [], |row| row.get(0))?;
    /// assert_eq!(n, 42);
    /// assert!(report.before.is_some(), "the empty table is kept, too");
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// 42704 where there is no such checkpoint, 55006 where the database is open, XX001 where the checkpoint
    /// is damaged or what is to be kept, 58P01, 53200, 53100, 58030.
    pub fn restore_checkpoint(directory: impl AsRef<Path>, number: u64) -> Result<RestoreReport> {
        Self::restore_checkpoint_with(directory, number, Options::default(), Newer::Keep)
    }

    /// As [`Database::restore_checkpoint`], with options, and a choice: with [`Newer::Abandon`], what was
    /// committed after the newest checkpoint is given up, and need not be readable.
    ///
    /// # Errors
    /// As for [`Database::restore_checkpoint`].
    pub fn restore_checkpoint_with(
        directory: impl AsRef<Path>,
        number: u64,
        options: Options,
        newer: Newer,
    ) -> Result<RestoreReport> {
        Ok(Store::restore(
            directory.as_ref(),
            number,
            options.into(),
            newer,
        )?)
    }
}
