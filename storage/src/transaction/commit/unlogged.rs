//! Rows of unlogged tables.
//!
//! They are not in the log, and in no checkpoint but the last one of a clean close. The next opening takes them from
//! there if nothing was logged behind it; else there are none, since nobody knows what had become of them:
//!
//! ```text
//!   close               open                 crash
//!   [ checkpoint ]|     rows are there       rows as when it was closed
//!   [ checkpoint ]|     [frame]  changes     no rows
//! ```
//!
//! So the first commit behind that checkpoint that changes some is logged although it has nothing to say: with the time, an
//! operation that changes nothing. It is as durable as any other: if a crash takes it, that commit and those that it was
//! to tell of are taken together.

use crate::error::{Error, Result};
use crate::transaction::Transaction;
use crate::transaction::core::AttachedLog;
use crate::wal::FrameBuilder;

impl Transaction {
    /// Whether rows of unlogged tables were changed.
    pub(in crate::transaction) fn changes_unlogged(&self) -> bool {
        let mut touched = self.set.touched().iter();
        touched.any(|touched| touched.rows && touched.entry.def.unlogged)
    }

    /// Prepares a commit that has nothing to log but may have changed rows of unlogged tables.
    ///
    /// # Errors
    /// `DiskFull`, `LogFailed`: what is behind commits that cannot become durable would not be seen.
    pub(in crate::transaction) fn log_unlogged(
        &self,
        attached: &AttachedLog,
        frame: &mut FrameBuilder,
    ) -> Result<()> {
        if self.changes_unlogged() {
            attached.log.check_takes(0)?;
            if attached.log.is_unlogged_kept() {
                frame.time(self.core.time.kept());
            }
        }
        Ok(())
    }

    /// Inside the commit section, that nothing was written to a checkpoint since, which does not have these changes.
    ///
    /// # Errors
    /// `Closed`: only closing writes such a checkpoint.
    pub(in crate::transaction) fn check_unlogged(&self, attached: &AttachedLog) -> Result<()> {
        match attached.log.is_unlogged_kept() && self.changes_unlogged() {
            true => Err(Error::Closed),
            false => Ok(()),
        }
    }
}
