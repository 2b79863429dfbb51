//! Copies of a database: to a directory, from a directory into memory, to bytes and from bytes.

use super::{Database, Options};
use crate::error::Result;
use crate::session::Sessions;
use remora_storage::disk::Disk;
use remora_storage::store::{BackupReport, RecoveryReport};
use remora_storage::{Durability, Store};
use std::path::Path;

impl Database {
    /// Copies the database as it is at one moment into a directory, which must be missing or empty. The copy
    /// is a database of its own. Others read and write meanwhile. So a database in memory can be kept, too.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().expect("a temporary directory");
    /// # let directory = folder.path().join("copy");
    /// use remora::Database;
    ///
    /// let db = Database::in_memory()?;
    /// db.connect()?.execute_batch("CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (42)")?;
    /// db.backup_to(&directory)?;
    ///
    /// for copy in [Database::load(&directory)?, Database::open(&directory)?] {
    ///     let n: i64 = copy.connect()?.query_row("SELECT n FROM t", [], |row| row.get(0))?;
    ///     assert_eq!(n, 42);
    /// }
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// 58P02 where the directory is not empty; 53100, 58030 of the disk, 53200: there is no copy then, and it
    /// can be made again.
    pub fn backup_to(&self, directory: impl AsRef<Path>) -> Result<BackupReport> {
        Ok(self.store.backup_to(directory.as_ref())?)
    }

    /// As [`Database::backup_to`], on any disk.
    ///
    /// # Errors
    /// As for [`Database::backup_to`].
    pub fn backup_on(&self, disk: &dyn Disk) -> Result<BackupReport> {
        Ok(self.store.backup_on(disk)?)
    }

    /// Loads the database of a directory into memory. The directory stays as it is; nobody may have it open
    /// meanwhile.
    ///
    /// # Errors
    /// As for [`Database::open`]; 58P01 where the directory is empty, too.
    pub fn load(directory: impl AsRef<Path>) -> Result<Self> {
        Self::load_with(directory, Options::default())
    }

    /// As [`Database::load`], with options.
    ///
    /// # Errors
    /// As for [`Database::load`].
    pub fn load_with(directory: impl AsRef<Path>, options: Options) -> Result<Self> {
        let sessions = Sessions::new(&options.limits, Durability::Memory);
        let options = options.durability(Durability::Memory);
        let (store, recovery) = Store::load(directory.as_ref(), options.into())?;
        Self::new(store, None, recovery, sessions)
    }

    /// Copies the database as it is at one moment into bytes. The memory budget must have room for them
    /// while they are made; then they are the caller's.
    ///
    /// ```
    /// use remora::Database;
    ///
    /// let db = Database::in_memory()?;
    /// db.connect()?.execute_batch("CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (42)")?;
    /// let bytes = db.serialize()?;
    /// let copy = Database::deserialize(&bytes)?;
    /// let n: i64 = copy.connect()?.query_row("SELECT n FROM t", [], |row| row.get(0))?;
    /// assert_eq!(n, 42);
    /// assert_eq!(Database::deserialize(b"something else").unwrap_err().sqlstate(), "XX001");
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// 53200.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        Ok(self.store.serialize()?)
    }

    /// A database in memory that is what [`Database::serialize`] was called on.
    ///
    /// # Errors
    /// XX001 where the bytes are not that, 58P01 where a newer format wrote them, 53200.
    pub fn deserialize(bytes: &[u8]) -> Result<Self> {
        Self::deserialize_with(bytes, Options::default())
    }

    /// As [`Database::deserialize`], with options.
    ///
    /// # Errors
    /// As for [`Database::deserialize`].
    pub fn deserialize_with(bytes: &[u8], options: Options) -> Result<Self> {
        let sessions = Sessions::new(&options.limits, Durability::Memory);
        let options = options.durability(Durability::Memory);
        let store = Store::deserialize(bytes, options.into())?;
        Self::new(store, None, RecoveryReport::default(), sessions)
    }
}
