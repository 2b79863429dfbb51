//! Dispatcher: from the outboxes of commits to the backlogs of listeners. One a database.

use super::listener::Listener;
use super::message::Message;
use super::outbox::{ListenChange, Outbox};
use parking_lot::Mutex;
use remora_storage::Timestamp;
use remora_storage::mvcc::Timeline;
use remora_storage::pool::Reservation;
use remora_storage::transaction::{Committing, Core, Transaction};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// Messages that are handed out before those get a turn who begin or end to listen.
const TURN_MESSAGES: usize = 256;

/// Sender of messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender<'s> {
    /// Number of its session, or 0.
    pub(crate) number: u32,
    /// Receiving side of its session, if that has ever listened.
    pub(crate) listener: Option<&'s Arc<Listener>>,
}

impl Sender<'_> {
    /// The database itself.
    pub(crate) const SYSTEM: Self = Self {
        number: 0,
        listener: None,
    };
}

/// The messages of all commits, and who listens to them.
#[derive(Debug, Default)]
pub(crate) struct Dispatcher {
    /// Since somebody has listened.
    clock: OnceLock<Arc<Timeline>>,
    /// How many subscriptions there are. Changed under the lock of `channels`, and raised within the commit section only: a
    /// sender who finds none there, or has left the section since, tells nobody anything that a listener could miss.
    subscriptions: AtomicUsize,
    queue: Mutex<Queue>,
    /// Held by the sender that hands out.
    turn: Mutex<()>,
    channels: Mutex<HashMap<Arc<str>, Vec<Subscription>>>,
    /// Listeners with messages that were not durable when they were looked at last.
    pending: Mutex<Vec<Arc<Listener>>>,
}

/// Committed messages that are not handed out.
#[derive(Debug, Default)]
struct Queue {
    /// Number that the next commit gets.
    next: u64,
    commits: VecDeque<CommittedMessages>,
}

#[derive(Debug)]
struct CommittedMessages {
    number: u64,
    commit: Timestamp,
    sender: u32,
    messages: Vec<Arc<Message>>,
    _memory: Option<Reservation>,
}

/// A listener of a channel.
#[derive(Debug)]
struct Subscription {
    listener: Arc<Listener>,
    /// Number of the first commit that it hears of.
    since: u64,
    _memory: Reservation,
}

impl Dispatcher {
    /// Whether a session listens to anything.
    pub(crate) fn has_listeners(&self) -> bool {
        self.subscriptions.load(Relaxed) > 0
    }

    /// Follows what the log says is durable. Called before the first listener is known.
    pub(crate) fn follow(self: &Arc<Self>, core: &Core) {
        self.clock.get_or_init(|| {
            let own = Arc::downgrade(self);
            core.on_durable(move || {
                if let Some(own) = own.upgrade() {
                    own.show_durable();
                }
            });
            Arc::clone(core.clock())
        });
    }

    /// Commits a transaction, and announces what is in its outbox. Waiting is left to the caller.
    ///
    /// # Errors
    /// Those of the commit; nothing is announced then.
    #[inline]
    pub(crate) fn commit(
        &self,
        tx: &mut Transaction,
        outbox: Outbox,
        sender: Sender<'_>,
    ) -> remora_storage::Result<Committing> {
        match outbox.is_empty() {
            true => tx.commit_in_place(),
            false => self.commit_announcing(tx, outbox, sender),
        }
    }

    #[cold]
    fn commit_announcing(
        &self,
        tx: &mut Transaction,
        mut outbox: Outbox,
        sender: Sender<'_>,
    ) -> remora_storage::Result<Committing> {
        let mut then = |commit| self.take_over(std::mem::take(&mut outbox), sender, commit);
        let core = Arc::clone(tx.core());
        let committing = tx.commit_in_place_then(Some(&mut then))?;
        match outbox.is_empty() {
            true => self.hand_out(),
            // Nothing was written.
            false => self.announce(outbox, sender, &core),
        }
        Ok(committing)
    }

    /// Announces what a transaction without changes has in its outbox, as if it were a part of the commit before.
    pub(crate) fn announce(&self, outbox: Outbox, sender: Sender<'_>, core: &Core) {
        // A session that begins to listen at this moment need not hear of it: it sees what was committed before.
        if outbox.is_empty() || !(outbox.has_changes() || self.has_listeners()) {
            return;
        }
        core.commit_section(|latest| self.take_over(outbox, sender, latest));
        self.hand_out();
    }

    /// Takes over the outbox of a commit. Called in the commit section, once its changes are visible.
    fn take_over(&self, mut outbox: Outbox, sender: Sender<'_>, commit: Timestamp) {
        for change in std::mem::take(&mut outbox.changes) {
            self.change(change, sender.listener);
        }
        let (messages, memory) = outbox.into_messages();
        if messages.is_empty() || !self.has_listeners() {
            return;
        }
        let mut queue = self.queue.lock();
        let number = queue.next;
        queue.next += 1;
        queue.commits.push_back(CommittedMessages {
            number,
            commit,
            sender: sender.number,
            messages,
            _memory: memory,
        });
    }

    fn change(&self, change: ListenChange, listener: Option<&Arc<Listener>>) {
        let Some(listener) = listener else {
            return;
        };
        match change {
            ListenChange::Listen(channel, memory) => {
                let mut channels = self.channels.lock();
                if !listener.add(&channel) {
                    return;
                }
                self.subscriptions.fetch_add(1, Relaxed);
                let since = self.queue.lock().next;
                channels.entry(channel).or_default().push(Subscription {
                    listener: Arc::clone(listener),
                    since,
                    _memory: memory,
                });
            }
            ListenChange::Unlisten(channel) => {
                self.unsubscribe(&channel, listener);
                listener.remove(&channel);
            }
            ListenChange::UnlistenAll => self.leave(listener),
        }
    }

    fn unsubscribe(&self, channel: &str, listener: &Arc<Listener>) {
        let mut channels = self.channels.lock();
        let Some(subscriptions) = channels.get_mut(channel) else {
            return;
        };
        let before = subscriptions.len();
        subscriptions.retain(|one| !Arc::ptr_eq(&one.listener, listener));
        let removed = before - subscriptions.len();
        self.subscriptions.fetch_sub(removed, Relaxed);
        if subscriptions.is_empty() {
            channels.remove(channel);
        }
    }

    /// Ends to listen: UNLISTEN *, or the end of the session.
    pub(crate) fn leave(&self, listener: &Arc<Listener>) {
        for channel in listener.channels() {
            self.unsubscribe(&channel, listener);
        }
        listener.clear();
    }

    /// Hands out what was committed, up to now at least. Called by a sender outside of the commit section.
    fn hand_out(&self) {
        {
            let _turn = self.turn.lock();
            while let Some(committed) = self.next_committed() {
                self.hand_out_one(&committed);
            }
        }
        self.show_durable();
    }

    fn next_committed(&self) -> Option<CommittedMessages> {
        self.queue.lock().commits.pop_front()
    }

    fn hand_out_one(&self, committed: &CommittedMessages) {
        for messages in committed.messages.chunks(TURN_MESSAGES) {
            let channels = self.channels.lock();
            for message in messages {
                let subscriptions = channels.get(&*message.channel).into_iter().flatten();
                for one in subscriptions.filter(|one| one.since <= committed.number) {
                    let listener = &one.listener;
                    if listener.receive(committed.commit, committed.sender, message) {
                        self.pending.lock().push(Arc::clone(listener));
                    }
                }
            }
        }
    }

    /// Wakes the listeners whose messages have become durable.
    fn show_durable(&self) {
        let Some(clock) = self.clock.get() else {
            return;
        };
        let mut woken = Vec::new();
        {
            let mut pending = self.pending.lock();
            // Under the lock: a listener that is added later is looked at by the one who adds it, with this clock or a
            // later one.
            let durable = clock.durable();
            pending.retain(|listener| {
                let shown = listener.show(durable);
                if shown.wakes {
                    woken.push(Arc::clone(listener));
                }
                shown.is_pending
            });
        }
        for listener in woken {
            listener.wake();
        }
    }
}
