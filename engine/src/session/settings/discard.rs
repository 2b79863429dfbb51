//! DISCARD: a session gives up what it has, as if it had just begun.

use crate::error::Result;
use crate::plan::statement::Discarded;
use crate::session::execute::core::Session;
use crate::session::transaction::temporary;

impl Session {
    /// DISCARD. Plans are good as long as what they were made of stands, so that there is nothing to do for these.
    pub(in crate::session) fn discard(&mut self, what: Discarded) -> Result<()> {
        match what {
            Discarded::Plans => Ok(()),
            Discarded::Sequences => {
                self.sequences.forget();
                Ok(())
            }
            Discarded::Temporary => {
                self.refuse_in_block("DISCARD TEMP")?;
                temporary::clear(&self.store, &self.path)
            }
            Discarded::All => {
                self.refuse_in_block("DISCARD ALL")?;
                self.close_cursor(None)?;
                self.set("all", None, false)?;
                self.forget_statement(None)?;
                temporary::clear(&self.store, &self.path)?;
                self.sequences.forget();
                self.unlisten(None)
            }
        }
    }
}
