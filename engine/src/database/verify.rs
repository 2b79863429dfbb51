//! Whether a directory holds what was written to it.

use super::{Database, Options};
use crate::error::{Error, Result};
use remora_storage::store::{Store, Verification};
use std::path::Path;

/// What verifying a directory found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Verified {
    /// The number of the current checkpoint; nothing where its manifest is damaged.
    pub checkpoint: Option<u64>,
    /// The root over its definitions and images, in hexadecimal: databases with the same root hold the same
    /// as of their checkpoints. Nothing before the first checkpoint.
    pub root: Option<String>,
    /// Rows in it.
    pub rows: u64,
    /// Images that were read, of all checkpoints that are kept, and their bytes.
    pub images: (u64, u64),
    /// Frames of the log that were read, and their bytes.
    pub frames: (u64, u64),
    /// What follows on the last whole frame, which a crash can leave: opening drops it.
    pub torn_tail: Option<String>,
    /// Everything that is not what was written.
    pub damages: Vec<Damage>,
}

/// Something that is not what was written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Damage {
    /// What is wrong, with file and offset.
    pub error: Error,
    /// The table that it is of, if it is of one.
    pub table: Option<String>,
    /// The block of that table.
    pub block: Option<u32>,
    /// How many rows the block had.
    pub rows: Option<u64>,
}

impl From<Verification> for Verified {
    fn from(found: Verification) -> Self {
        let damage = |damage: remora_storage::store::Damage| Damage {
            error: damage.error.into(),
            table: damage.table,
            block: damage.block.map(|block| block.0),
            rows: damage.rows,
        };
        Self {
            checkpoint: found.checkpoint,
            root: found.root,
            rows: found.rows,
            images: (found.images, found.image_bytes),
            frames: (found.frames, found.log_bytes),
            torn_tail: found.torn_tail,
            damages: found.damages.into_iter().map(damage).collect(),
        }
    }
}

impl Database {
    /// Reads everything in a directory, which nobody must have open, and tells what is not what was
    /// written: the checkpoints that are kept with all their images, and the log.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().expect("a temporary directory");
    /// use remora::Database;
    ///
    /// let db = Database::open(directory.path())?;
    /// db.connect()?.execute_batch("CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (42)")?;
    /// db.checkpoint()?;
    /// db.close()?;
    /// let verified = Database::verify(directory.path())?;
    /// assert!(verified.damages.is_empty());
    /// assert_eq!(verified.rows, 1);
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// 58P01 where there is no database, 55006 where it is open, 58030 of the disk. Damage is no error
    /// here.
    pub fn verify(directory: impl AsRef<Path>) -> Result<Verified> {
        Self::verify_with(directory, Options::default())
    }

    /// As [`Database::verify`], with options, of which the memory budget counts.
    ///
    /// # Errors
    /// As for [`Database::verify`].
    pub fn verify_with(directory: impl AsRef<Path>, options: Options) -> Result<Verified> {
        Ok(Store::verify(directory.as_ref(), options.into())?.into())
    }
}
