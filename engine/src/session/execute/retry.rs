//! Statements that are run again after they have failed: nothing of the attempt was shown.
//!
//! | the attempt failed | in a transaction of its own | in a block |
//! |---|---|---|
//! | for want of memory | again, once some was given back | again, once some was given back |
//! | by a rival that runs | again, when that has ended, with `lock_timeout`; else after a pause | again, when that has ended, with `lock_timeout` |
//! | for want of room in a table that says so | again, when there is some, until `lock_timeout` or for ever | likewise; with a new snapshot if it is the block's first statement |
//! | by a rival that has committed | again, after a pause | again, with `lock_timeout`, if it is the block's first statement: the snapshot was not used |
//!
//! A statement that reads from or writes to the caller's pipe is run again only where the pipe was not touched.

use super::core::Session;
use super::dispatch::{Done, Pipe};
use super::lock_wait::Patience;
use crate::activity::{Backoff, Reliefs};
use crate::error::{Error, Result};
use crate::session::plans::call::Call;
use crate::session::plans::prepared::Prepared;
use remora_storage::transaction::ReadMark;

/// The patience of one statement with those who keep it from succeeding.
#[derive(Default)]
struct Retries {
    reliefs: Reliefs,
    patience: Patience,
    backoff: Backoff,
}

/// The state of a block before an attempt.
struct Before {
    /// No statement has used the block's snapshot.
    is_first: bool,
    reads: Option<ReadMark>,
}

impl Session {
    /// Runs a statement, as often as it takes.
    pub(in crate::session) fn run(
        &mut self,
        prepared: &mut Prepared,
        call: &mut Call,
        pipe: &mut Pipe<'_>,
    ) -> Result<Done> {
        self.begin_conflicts();
        let mut retries = Retries::default();
        loop {
            let before = self.before_attempt();
            let result = self.attempt(prepared, call, pipe);
            let again = match &result {
                Ok(_) => false,
                Err(error) => match before {
                    None => self.is_run_again(error, pipe, &mut retries)?,
                    Some(before) => {
                        self.is_run_again_in_block(error, pipe, &mut retries, before)?
                    }
                },
            };
            if !again {
                return result;
            }
        }
    }

    /// `None` outside of blocks.
    fn before_attempt(&self) -> Option<Before> {
        let waits = self.settings.lock_timeout().is_some();
        let tx = self.block.tx.as_ref();
        (!self.is_idle()).then(|| Before {
            is_first: tx.is_none() && self.block.savepoints.is_empty(),
            reads: tx.filter(|_| waits).map(|tx| tx.read_mark()),
        })
    }

    /// Whether to run a statement again that has failed in a transaction of its own.
    #[cold]
    fn is_run_again(
        &mut self,
        error: &Error,
        pipe: &Pipe<'_>,
        retries: &mut Retries,
    ) -> Result<bool> {
        if matches!(pipe, Pipe::None) {
            if self.is_relieved(error, &mut retries.reliefs) {
                return Ok(true);
            }
            if let Some(table) = error.wanted_room() {
                return self.wait_for_room(table, error, None, &mut retries.patience);
            }
            if self.may_wait(error) {
                return self.wait_for_rival(error, None, &mut retries.patience);
            }
        }
        match error.is_retryable() && pipe.is_untouched_after(error) {
            true => self.give_way(error, &mut retries.backoff),
            false => Ok(false),
        }
    }

    /// Whether to run a statement again that has failed in a block.
    #[cold]
    fn is_run_again_in_block(
        &mut self,
        error: &Error,
        pipe: &Pipe<'_>,
        retries: &mut Retries,
        before: Before,
    ) -> Result<bool> {
        if !matches!(pipe, Pipe::None) {
            return Ok(false);
        }
        if self.is_relieved(error, &mut retries.reliefs) {
            return Ok(true);
        }
        let room = error.wanted_room();
        let waits = self.settings.lock_timeout().is_some() && error.is_retryable();
        if room.is_none() && !waits {
            return Ok(false);
        }
        if before.is_first {
            self.block.tx = None;
        }
        let own = self.block.tx.as_ref().map(|tx| tx.id());
        if let Some(table) = room {
            return self.wait_for_room(table, error, own, &mut retries.patience);
        }
        let again = match error.running_rival() {
            Some(_) => self.wait_for_rival(error, own, &mut retries.patience)?,
            None if before.is_first => self.wait_for_snapshot(error, &mut retries.patience)?,
            None => false,
        };
        // The rows that this attempt has read were shown to nobody.
        if let (true, Some(tx), Some(reads)) = (again, &self.block.tx, before.reads) {
            tx.forget_reads(reads);
        }
        Ok(again)
    }

    /// Frees memory for a statement that was refused some. Returns whether it may succeed if it runs again.
    fn is_relieved(&mut self, error: &Error, reliefs: &mut Reliefs) -> bool {
        let Some((wanted, available)) = error.refused_bytes() else {
            return false;
        };
        self.cache.clear();
        self.sessions.plans.clear();
        let relieve = |wanted| self.store.relieve(wanted, available);
        reliefs.free(self.store.ledger(), wanted, relieve)
    }

    /// Pauses after a lost conflict, while others may have its turn. Returns whether to try again.
    ///
    /// # Errors
    /// The session was asked to stop meanwhile.
    pub(in crate::session) fn give_way(
        &mut self,
        error: &Error,
        backoff: &mut Backoff,
    ) -> Result<bool> {
        self.note_conflict(error);
        self.permit = None;
        let again = backoff.pause(self.record.interrupt());
        self.record.interrupt().check()?;
        if again {
            self.forget_conflict();
            self.admit()?;
        }
        Ok(again)
    }
}
