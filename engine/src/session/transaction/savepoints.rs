//! Savepoints: moments within a transaction block to which it can go back.
//!
//! ```text
//!   BEGIN .. SAVEPOINT a .. SAVEPOINT b .. SAVEPOINT a .. a statement fails
//!               mark 3         mark 5         mark 9      back to mark 9, the block is failed
//!
//!   RELEASE b        forgets b and the second a; what was done since stays
//!   ROLLBACK TO b    undoes what was done since b, forgets the second a, keeps b; the block is open
//! ```
//!
//! A stack, the innermost last, as deep as memory lets it be: nothing here is recursive. A name means
//! the innermost savepoint of that name. A mark is a number of writes, so that a savepoint costs what
//! its name takes, and going back costs what was done since.
//!
//! With the data come back: settings, what SET CONSTRAINTS said, notifications that were sent, and whether
//! the transaction is read only. What was read since stays read: others may have decided on it.

use super::transaction_block::TransactionStatus;
use crate::error::Result;
use crate::exec::Said;
use crate::notification::OutboxMark;
use crate::session::execute::core::Session;
use crate::session::settings::{Settings, SettingsHistory};
use remora_storage::pool::{Ledger, Owner, Reservation};
use remora_storage::transaction::Mark;
use std::sync::Arc;

/// Bytes of savepoints that every transaction may have without reserving them.
const FREE_BYTES: u64 = 4096;
/// What is reserved grows by this much.
const RESERVE_STEP: u64 = 64 << 10;

/// A savepoint, told from all others of its connection, also those of the same name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::session) struct SavepointId(u64);

#[derive(Debug)]
struct Savepoint {
    id: SavepointId,
    name: Box<str>,
    mark: Mark,
    outbox: OutboxMark,
    read_only: bool,
    /// How many cursors there had been.
    cursors: u64,
    /// The settings then, and those that were to last, where SET had changed them.
    settings: Option<Box<(Settings, SettingsHistory)>>,
    /// What was said of constraints.
    said: Option<Box<Said>>,
    /// What all savepoints up to this one take.
    bytes_up_to: u64,
}

/// The savepoints of a block.
#[derive(Debug, Default)]
pub(in crate::session) struct Savepoints {
    stack: Vec<Savepoint>,
    /// How many there have ever been.
    count: u64,
    memory: Option<Reservation>,
}

impl Savepoints {
    /// To where a statement that fails takes the transaction back; `None` for all the way.
    pub(in crate::session) fn innermost(&self) -> Option<Mark> {
        self.stack.last().map(|savepoint| savepoint.mark)
    }

    pub(in crate::session) fn is_empty(&self) -> bool {
        self.stack.is_empty()
    }

    /// Whether no going back makes a transaction that only reads write again. What was read only when
    /// the outermost was made has been so since.
    pub(in crate::session) fn only_read(&self) -> bool {
        self.stack
            .first()
            .is_none_or(|outermost| outermost.read_only)
    }

    pub(in crate::session) fn clear(&mut self) {
        if !self.stack.is_empty() {
            // Not the count: an id is good for one savepoint.
            self.stack = Vec::new();
            self.memory = None;
        }
    }

    fn push(&mut self, savepoint: Savepoint, ledger: &Arc<Ledger>) -> Result<()> {
        // Twice, as the stack may have room for as many again.
        let wanted = 2 * savepoint.bytes_up_to;
        if wanted > FREE_BYTES {
            let memory = match &mut self.memory {
                Some(memory) => memory,
                none => none.insert(ledger.reserve(Owner::Transaction, 0)?),
            };
            if wanted > memory.bytes() {
                memory.resize(wanted.next_multiple_of(RESERVE_STEP))?;
            }
        }
        self.stack.push(savepoint);
        Ok(())
    }

    fn named(&self, name: &str) -> Result<usize> {
        let found = self.stack.iter().rposition(|one| &*one.name == name);
        found.ok_or_else(|| {
            sql_error!(
                INVALID_SAVEPOINT_SPECIFICATION,
                "savepoint \"{name}\" does not exist"
            )
        })
    }

    fn numbered(&self, id: SavepointId) -> Result<usize> {
        // Ids are given in order.
        let found = self.stack.binary_search_by_key(&id.0, |one| one.id.0);
        found.map_err(|_| {
            sql_error!(
                INVALID_SAVEPOINT_SPECIFICATION,
                "the savepoint was released or rolled back already"
            )
        })
    }
}

/// SAVEPOINT, RELEASE, ROLLBACK TO.
impl Session {
    /// SAVEPOINT.
    pub(in crate::session) fn savepoint(&mut self, name: &str) -> Result<SavepointId> {
        self.require_block("SAVEPOINT")?;
        self.check_not_failed(false)?;
        let block = &mut self.block;
        let settings = block.settings.as_deref().map(|history| {
            let then = (self.settings.clone(), history.clone());
            Box::new(then)
        });
        let lists = settings.as_deref().map_or(0, |(now, history)| {
            size_of::<(Settings, SettingsHistory)>() as u64 + now.bytes() + history.bytes()
        });
        let said = block.tx.as_ref().and_then(Said::of);
        let lists = lists + said.as_ref().map_or(0, |said| said.bytes());
        let own = (size_of::<Savepoint>() + name.len()) as u64 + lists;
        let below = block.savepoints.stack.last();
        let bytes_up_to = below.map_or(0, |below| below.bytes_up_to) + own;
        block.savepoints.count += 1;
        let id = SavepointId(block.savepoints.count);
        let savepoint = Savepoint {
            id,
            name: name.into(),
            // Before the first statement that needs a transaction nothing is written.
            mark: block.tx.as_mut().map_or(Mark(0), |tx| tx.begin_command()),
            outbox: block.outbox.mark(),
            read_only: block.read_only,
            cursors: self.cursors.count(),
            settings,
            said,
            bytes_up_to,
        };
        block.savepoints.push(savepoint, &self.ledger)?;
        Ok(id)
    }

    /// RELEASE SAVEPOINT.
    pub(in crate::session) fn release(&mut self, name: &str) -> Result<()> {
        self.require_block("RELEASE SAVEPOINT")?;
        self.check_not_failed(false)?;
        let at = self.block.savepoints.named(name)?;
        self.block.savepoints.stack.truncate(at);
        Ok(())
    }

    /// ROLLBACK TO SAVEPOINT; a failed block is open again.
    pub(in crate::session) fn rollback_to(&mut self, name: &str) -> Result<()> {
        self.require_block("ROLLBACK TO SAVEPOINT")?;
        let at = self.block.savepoints.named(name)?;
        self.go_back_to(at);
        Ok(())
    }

    /// Keeps what was done since a savepoint, and forgets the savepoint. Where a statement has failed
    /// since, everything since is undone instead.
    pub(in crate::session) fn commit_savepoint(&mut self, id: SavepointId) -> Result<()> {
        let at = self.block.savepoints.numbered(id)?;
        let failed = self.block.status == TransactionStatus::Failed;
        if failed {
            self.go_back_to(at);
        }
        self.block.savepoints.stack.truncate(at);
        if failed {
            return Err(sql_error!(
                IN_FAILED_SQL_TRANSACTION,
                "the savepoint was rolled back, because a statement since had failed"
            ));
        }
        Ok(())
    }

    /// Undoes what was done since a savepoint; it stays.
    pub(in crate::session) fn rollback_to_savepoint(&mut self, id: SavepointId) -> Result<()> {
        let at = self.block.savepoints.numbered(id)?;
        self.go_back_to(at);
        Ok(())
    }

    /// Undoes what was done since a savepoint, and forgets the savepoint.
    pub(in crate::session) fn drop_savepoint(&mut self, id: SavepointId) -> Result<()> {
        let at = self.block.savepoints.numbered(id)?;
        self.go_back_to(at);
        self.block.savepoints.stack.truncate(at);
        Ok(())
    }

    fn go_back_to(&mut self, at: usize) {
        let block = &mut self.block;
        block.savepoints.stack.truncate(at + 1);
        let savepoint = &block.savepoints.stack[at];
        if let Some(tx) = &mut block.tx {
            tx.rollback_to(savepoint.mark);
            Said::say_again(savepoint.said.as_deref(), tx);
        }
        block.outbox.cut_back(savepoint.outbox);
        block.status = TransactionStatus::Open;
        block.read_only = savepoint.read_only;
        self.cursors.back_to(savepoint.cursors);
        match (block.settings.take(), &savepoint.settings) {
            (Some(history), None) => self.settings = history.before,
            (_, Some(then)) => {
                let (settings, history) = &**then;
                self.settings = settings.clone();
                block.settings = Some(Box::new(history.clone()));
            }
            (None, None) => {}
        }
        self.follow_path();
    }

    fn require_block(&self, what: &str) -> Result<()> {
        if self.block.status != TransactionStatus::Idle && !self.block.implicit {
            return Ok(());
        }
        Err(sql_error!(
            NO_ACTIVE_SQL_TRANSACTION,
            "{what} can only be used in transaction blocks"
        ))
    }
}
