//! How a database is opened.

use remora_storage::pool::PressureThresholds;
use remora_storage::{Durability, StoreOptions};
use std::time::Duration;

/// How a database is opened; made by [`Options::new`] and changed by its methods.
///
/// ```
/// use remora::{Database, Durability, Options};
///
/// let options = Options::new().max_memory(256 << 20).durability(Durability::Buffered);
/// let db = Database::in_memory_with(options)?;
/// assert_eq!(db.memory().budget, 256 << 20);
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Options {
    store: StoreOptions,
}

impl Options {
    /// The defaults: durability `sync`, 80 % of the memory that machine or container grants.
    pub fn new() -> Self {
        Self::default()
    }

    /// When a commit returns.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.store.durability = durability;
        self
    }

    /// How many bytes of memory the database may take in all. A statement that would pass it
    /// fails with 53200 and changes nothing.
    #[must_use]
    pub fn max_memory(mut self, bytes: u64) -> Self {
        self.store.max_memory = Some(bytes);
        self
    }

    /// How long nobody must have changed a block of rows for the background to encode it, so that it
    /// takes less memory; 10 seconds by default, `Duration::MAX` for never.
    #[must_use]
    pub fn freeze_after(mut self, quiet: Duration) -> Self {
        self.store.freeze_after = Some(quiet);
        self
    }

    /// Whether the memory of rows, strings and versions is cleared as soon as it is free, so that
    /// deleted values do not stay in the process; off unless asked for. It does not reach what
    /// indexes, statements and the log's buffers held, nor the files of a directory.
    ///
    /// ```
    /// use remora::{Database, Options};
    ///
    /// let db = Database::in_memory_with(Options::new().secure_delete(true))?;
    /// # Ok::<(), remora::Error>(())
    /// ```
    #[must_use]
    pub fn secure_delete(mut self, secure: bool) -> Self {
        self.store.secure_delete = secure;
        self
    }
}

impl Options {
    /// Where the levels of memory pressure begin, in percent of what ordinary statements may take:
    /// caches are given up, garbage is collected without pause, blocks are compacted, commits that
    /// make the database larger are slowed down. 70, 80, 90 and 95 unless said otherwise.
    ///
    /// ```
    /// use remora::{Database, Options, PressureThresholds};
    ///
    /// let thresholds = PressureThresholds::new([50, 60, 70, 80])?;
    /// let db = Database::in_memory_with(Options::new().pressure_thresholds(thresholds))?;
    /// # Ok::<(), remora::Error>(())
    /// ```
    #[must_use]
    pub fn pressure_thresholds(mut self, thresholds: PressureThresholds) -> Self {
        self.store.pressure_thresholds = thresholds;
        self
    }
}

impl From<Options> for StoreOptions {
    fn from(options: Options) -> Self {
        options.store
    }
}
