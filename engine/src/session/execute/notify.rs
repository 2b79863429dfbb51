//! LISTEN, UNLISTEN, NOTIFY, and what becomes of them when the transaction ends ([`crate::notification`]).
//!
//! Outside of a block each is a transaction of its own, which needs no snapshot. In a block they wait in its outbox, and
//! so do the messages of statements that call `pg_notify` or fire triggers, once these have succeeded.

use super::core::Session;
use crate::error::Result;
use crate::exec::Transaction;
use crate::notification::{ListenChange, Listener, Message, Outbox, Sender};
use remora_storage::transaction::Committing;
use std::sync::Arc;

impl Session {
    /// LISTEN.
    pub(in crate::session) fn listen(&mut self, channel: &Arc<str>) -> Result<()> {
        self.sessions.notifications.follow(self.store.core());
        self.listener();
        let change = ListenChange::listen(channel, &self.ledger)?;
        self.change_listening(change)
    }

    /// UNLISTEN of a channel, or of all.
    pub(in crate::session) fn unlisten(&mut self, channel: Option<&Arc<str>>) -> Result<()> {
        if self.record.listener().is_none() {
            return Ok(());
        }
        let change = match channel {
            Some(channel) => ListenChange::Unlisten(Arc::clone(channel)),
            None => ListenChange::UnlistenAll,
        };
        self.change_listening(change)
    }

    fn change_listening(&mut self, change: ListenChange) -> Result<()> {
        self.block.outbox.change(change, &self.ledger)?;
        self.announce_if_idle();
        Ok(())
    }

    /// NOTIFY.
    pub(in crate::session) fn notify(&mut self, message: &Arc<Message>) -> Result<()> {
        if self.is_idle() && !self.sessions.notifications.has_listeners() {
            return Ok(());
        }
        let message = Arc::clone(message);
        self.block.outbox.send(message, &self.ledger)?;
        self.announce_if_idle();
        Ok(())
    }

    fn announce_if_idle(&mut self) {
        if self.is_idle() {
            let outbox = std::mem::take(&mut self.block.outbox);
            self.announce(outbox);
        }
    }

    /// The receiving side of the session; made here if there is none.
    pub(in crate::session) fn listener(&self) -> &Arc<Listener> {
        let clock = self.store.core().clock();
        let make = || Listener::new(clock, &self.ledger);
        self.record.listener_or(make)
    }

    /// Announces what a transaction without changes has in its outbox.
    #[inline(never)]
    pub(in crate::session) fn announce(&self, outbox: Outbox) {
        let notifications = &self.sessions.notifications;
        notifications.announce(outbox, self.sender(), self.store.core());
    }

    /// Commits a transaction with changes, and announces what is in its outbox. Waiting is left to the caller. Apart, so that
    /// commits that announce nothing are none of its business.
    #[inline(never)]
    pub(in crate::session) fn commit_with(
        &self,
        tx: &mut Transaction,
        outbox: Outbox,
    ) -> Result<Committing> {
        let notifications = &self.sessions.notifications;
        Ok(notifications.commit(tx, outbox, self.sender())?)
    }

    fn sender(&self) -> Sender<'_> {
        Sender {
            number: self.record.number(),
            listener: self.record.listener(),
        }
    }
}
