//! Outbox: the messages of a transaction that has not committed, and its LISTEN and UNLISTEN.
//!
//! A savepoint, or a statement, keeps a mark: two lengths. What was added since is cut off when it is undone. Of equal
//! messages the first stays.

use super::message::Message;
use crate::error::Result;
use remora_storage::pool::{Ledger, Owner, Reservation};
use std::collections::HashSet;
use std::sync::Arc;

/// Messages that are compared one by one; more are found by their hash.
const COMPARED_MAX: usize = 16;
/// Bytes that every transaction may have without reserving them.
const FREE_BYTES: u64 = 4096;
/// Step in which the reservation grows.
const RESERVE_STEP: u64 = 64 << 10;
/// Bytes of a channel that is listened to, beside its name.
const CHANNEL_BYTES: u64 = 256;

/// A change of what the session listens to.
#[derive(Debug)]
pub(crate) enum ListenChange {
    /// LISTEN, with the memory of the entry to come.
    Listen(Arc<str>, Reservation),
    /// UNLISTEN of a channel.
    Unlisten(Arc<str>),
    /// UNLISTEN *
    UnlistenAll,
}

impl ListenChange {
    /// LISTEN.
    ///
    /// # Errors
    /// 53200
    pub(crate) fn listen(channel: &Arc<str>, ledger: &Arc<Ledger>) -> Result<Self> {
        let bytes = CHANNEL_BYTES + channel.len() as u64;
        let memory = ledger.reserve(Owner::Query, bytes)?;
        Ok(Self::Listen(Arc::clone(channel), memory))
    }
}

/// Place in an outbox, to which it can be cut back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct OutboxMark {
    messages: usize,
    changes: usize,
}

/// Messages and changes of a transaction, in order. An empty one allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    messages: Vec<Arc<Message>>,
    /// All of the messages, where there are more than [`COMPARED_MAX`]; else none.
    known: HashSet<Arc<Message>>,
    pub(super) changes: Vec<ListenChange>,
    bytes: u64,
    memory: Option<Reservation>,
}

impl Outbox {
    /// Whether nothing is to be told, and nothing changed.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.changes.is_empty()
    }

    /// Whether it changes what the session listens to.
    pub(super) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Adds a message, unless there is an equal one.
    ///
    /// # Errors
    /// 53200; nothing was added then.
    pub(crate) fn send(&mut self, message: Arc<Message>, ledger: &Arc<Ledger>) -> Result<()> {
        if self.has(&message) {
            return Ok(());
        }
        let bytes = self.bytes + cost(&message);
        self.reserve(bytes, ledger)?;
        self.bytes = bytes;
        if self.messages.len() == COMPARED_MAX {
            self.known.extend(self.messages.iter().cloned());
        }
        if self.messages.len() >= COMPARED_MAX {
            self.known.insert(Arc::clone(&message));
        }
        self.messages.push(message);
        Ok(())
    }

    /// Adds a change of what the session listens to.
    ///
    /// # Errors
    /// 53200; nothing was added then.
    pub(crate) fn change(&mut self, change: ListenChange, ledger: &Arc<Ledger>) -> Result<()> {
        let bytes = self.bytes + CHANNEL_BYTES;
        self.reserve(bytes, ledger)?;
        self.bytes = bytes;
        self.changes.push(change);
        Ok(())
    }

    /// Adds the messages of a statement.
    ///
    /// # Errors
    /// 53200; nothing was added then.
    pub(crate) fn append(&mut self, statement: Self, ledger: &Arc<Ledger>) -> Result<()> {
        if self.is_empty() {
            *self = statement;
            return Ok(());
        }
        let mark = self.mark();
        let mut messages = statement.messages.into_iter();
        let added = messages.try_for_each(|message| self.send(message, ledger));
        if added.is_err() {
            self.cut_back(mark);
        }
        added
    }

    /// Where it is now.
    pub(crate) fn mark(&self) -> OutboxMark {
        OutboxMark {
            messages: self.messages.len(),
            changes: self.changes.len(),
        }
    }

    /// Takes back what was added since.
    pub(crate) fn cut_back(&mut self, mark: OutboxMark) {
        for message in self.messages.drain(mark.messages..) {
            self.bytes -= cost(&message);
            self.known.remove(&message);
        }
        if self.messages.len() <= COMPARED_MAX {
            self.known.clear();
        }
        let changes = self.changes.drain(mark.changes..).len() as u64;
        self.bytes -= changes * CHANNEL_BYTES;
    }

    /// The messages, and the memory that they hold.
    pub(super) fn into_messages(self) -> (Vec<Arc<Message>>, Option<Reservation>) {
        (self.messages, self.memory)
    }

    fn has(&self, message: &Arc<Message>) -> bool {
        match self.messages.len() > COMPARED_MAX {
            true => self.known.contains(message),
            false => self.messages.contains(message),
        }
    }

    fn reserve(&mut self, bytes: u64, ledger: &Arc<Ledger>) -> Result<()> {
        if bytes <= FREE_BYTES {
            return Ok(());
        }
        let memory = match &mut self.memory {
            Some(memory) => memory,
            none => none.insert(ledger.reserve(Owner::Transaction, 0)?),
        };
        if bytes > memory.bytes() {
            memory.resize(bytes.next_multiple_of(RESERVE_STEP))?;
        }
        Ok(())
    }
}

/// Bytes of a message, and of its places in a list and in a set that may have room for as many again.
fn cost(message: &Message) -> u64 {
    message.bytes() + 64
}
