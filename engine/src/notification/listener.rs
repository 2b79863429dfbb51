//! Listener: what a session listens to, and what it has not taken yet.
//!
//! ```text
//!   commit     17    17    19    lost    23          durable up to 19
//!              a     b     c     4       d
//!              ^ taken next            ^ full here: counted, until some were taken and there was room again
//! ```
//!
//! Messages beyond [`BACKLOG_BYTES_MAX`], or that the ledger gives no memory for, are counted at the place where they are
//! missing. Neither the sender nor its commit is concerned.

use super::message::{Delivery, Message, Notification};
use crate::error::Result;
use parking_lot::{Condvar, Mutex, MutexGuard};
use remora_storage::Timestamp;
use remora_storage::mvcc::Timeline;
use remora_storage::pool::{Ledger, Owner, Reservation};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of messages that a session may have waiting.
pub(super) const BACKLOG_BYTES_MAX: u64 = 1 << 20;
/// Step in which the reservation of a backlog grows.
const RESERVE_STEP: u64 = 16 << 10;
/// Bytes of an entry beside its message: for itself, for a count of lost ones behind it, and for the list's spare room.
const ENTRY_BYTES: u64 = 4 * size_of::<Entry>() as u64;
/// Entries that an empty list keeps room for.
const SPARE_ENTRIES: usize = 64;
/// Time between two looks at the interrupt while a session waits.
const LOOK: Duration = Duration::from_millis(20);

/// A callback for arrivals.
pub(crate) type Callback = Arc<dyn Fn() + Send + Sync>;

/// Receiving side of a session.
pub(crate) struct Listener {
    clock: Arc<Timeline>,
    ledger: Arc<Ledger>,
    state: Mutex<State>,
    /// Where the session waits.
    arrived: Condvar,
    callback: Mutex<Option<Callback>>,
}

#[derive(Debug, Default)]
struct State {
    channels: BTreeSet<Arc<str>>,
    backlog: VecDeque<Entry>,
    /// Bytes of the backlog.
    bytes: u64,
    memory: Option<Reservation>,
    /// Whether the dispatcher looks at it when commits become durable.
    is_pending: bool,
    /// Whether the session was woken and has not looked since.
    is_woken: bool,
}

#[derive(Debug)]
struct Entry {
    /// Commit that it can be taken behind; of lost ones that of the first.
    commit: Timestamp,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Message(u32, Arc<Message>),
    Lost(u64),
}

/// Outcome of a look at a listener whose messages may have become durable.
pub(super) struct Shown {
    /// Whether some are not.
    pub(super) is_pending: bool,
    /// Whether it has to be woken.
    pub(super) wakes: bool,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

impl Listener {
    /// One that listens to nothing.
    pub(crate) fn new(clock: &Arc<Timeline>, ledger: &Arc<Ledger>) -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::clone(clock),
            ledger: Arc::clone(ledger),
            state: Mutex::default(),
            arrived: Condvar::new(),
            callback: Mutex::default(),
        })
    }

    /// Names of the channels that it listens to.
    pub(crate) fn channels(&self) -> Vec<Arc<str>> {
        self.state.lock().channels.iter().cloned().collect()
    }

    /// Notes a channel; returns whether it is a new one.
    pub(super) fn add(&self, channel: &Arc<str>) -> bool {
        self.state.lock().channels.insert(Arc::clone(channel))
    }

    /// Forgets a channel, with the messages on it.
    pub(super) fn remove(&self, channel: &str) {
        let mut state = self.state.lock();
        if state.channels.remove(channel) {
            state.retain(|content| {
                !matches!(content, Content::Message(_, message) if &*message.channel == channel)
            });
        }
    }

    /// Forgets all, lost ones too.
    pub(super) fn clear(&self) {
        let mut state = self.state.lock();
        state.channels.clear();
        state.retain(|_| false);
    }

    /// Takes a message into the backlog, or counts it as lost. Returns whether the dispatcher has to look after this
    /// listener from now on.
    pub(super) fn receive(&self, commit: Timestamp, sender: u32, message: &Arc<Message>) -> bool {
        let mut state = self.state.lock();
        let bytes = state.bytes + cost(message);
        match bytes <= BACKLOG_BYTES_MAX && state.reserve(bytes, &self.ledger) {
            true => {
                state.bytes = bytes;
                let content = Content::Message(sender, Arc::clone(message));
                state.backlog.push_back(Entry { commit, content });
            }
            false => state.lose(commit),
        }
        !std::mem::replace(&mut state.is_pending, true)
    }

    /// Looks which messages are durable; called by the dispatcher.
    pub(super) fn show(&self, durable: Timestamp) -> Shown {
        let mut state = self.state.lock();
        let is_durable = |entry: Option<&Entry>| entry.is_none_or(|entry| entry.commit <= durable);
        state.is_pending = !is_durable(state.backlog.back());
        let shows = !state.backlog.is_empty() && is_durable(state.backlog.front());
        Shown {
            is_pending: state.is_pending,
            wakes: shows && !std::mem::replace(&mut state.is_woken, shows),
        }
    }

    /// Wakes the session, and calls back. A panic of the callback is contained.
    pub(super) fn wake(&self) {
        self.arrived.notify_all();
        let callback = self.callback.lock().clone();
        if let Some(callback) = callback {
            let _ = catch_unwind(AssertUnwindSafe(|| callback()));
        }
    }

    /// From now on `callback` is called when the session is woken; at once where there is something already.
    pub(crate) fn on_arrival(&self, callback: Callback) {
        *self.callback.lock() = Some(Arc::clone(&callback));
        let durable = self.clock.durable();
        let mut state = self.state.lock();
        state.is_woken = false;
        let first = state.backlog.front().map(|entry| entry.commit);
        drop(state);
        if first.is_some_and(|commit| commit <= durable) {
            callback();
        }
    }

    /// Takes what comes next, if that is durable.
    pub(crate) fn try_next(&self) -> Option<Delivery> {
        let mut state = self.state.lock();
        self.take(&mut state)
    }

    /// Takes what comes next, and waits for it until `deadline` if need be, for ever without one. `check` is asked again
    /// and again whether to go on.
    ///
    /// # Errors
    /// Those of `check`.
    pub(crate) fn next(
        &self,
        deadline: Option<Instant>,
        check: impl Fn() -> Result<()>,
    ) -> Result<Option<Delivery>> {
        let mut state = self.state.lock();
        loop {
            check()?;
            if let Some(found) = self.take(&mut state) {
                return Ok(Some(found));
            }
            let now = Instant::now();
            let look = now + LOOK;
            match deadline {
                Some(deadline) if deadline <= now => return Ok(None),
                Some(deadline) => self.arrived.wait_until(&mut state, look.min(deadline)),
                None => self.arrived.wait_until(&mut state, look),
            };
        }
    }

    fn take(&self, state: &mut MutexGuard<'_, State>) -> Option<Delivery> {
        let durable = self.clock.durable();
        let is_durable = |entry: &Entry| entry.commit <= durable;
        if !state.backlog.front().is_some_and(is_durable) {
            state.is_woken = false;
            return None;
        }
        let entry = state.backlog.pop_front()?;
        state.bytes -= entry.bytes();
        state.give_back();
        Some(match entry.content {
            Content::Lost(count) => Delivery::Lost(count),
            Content::Message(process_id, message) => {
                let Message { channel, payload } = Arc::unwrap_or_clone(message);
                Delivery::Notification(Notification {
                    channel: channel.into(),
                    payload: payload.into(),
                    process_id,
                })
            }
        })
    }
}

impl State {
    /// Counts a message that is missing here.
    fn lose(&mut self, commit: Timestamp) {
        match self.backlog.back_mut() {
            Some(Entry {
                content: Content::Lost(count),
                ..
            }) => *count += 1,
            _ => self.backlog.push_back(Entry {
                commit,
                content: Content::Lost(1),
            }),
        }
    }

    /// Makes the reservation large enough; `false` where the ledger refuses.
    fn reserve(&mut self, bytes: u64, ledger: &Arc<Ledger>) -> bool {
        let wanted = bytes.next_multiple_of(RESERVE_STEP);
        match &mut self.memory {
            Some(memory) => bytes <= memory.bytes() || memory.resize(wanted).is_ok(),
            none => {
                *none = ledger.reserve(Owner::Query, wanted).ok();
                none.is_some()
            }
        }
    }

    fn retain(&mut self, keeps: impl Fn(&Content) -> bool) {
        self.backlog.retain(|entry| keeps(&entry.content));
        self.bytes = self.backlog.iter().map(Entry::bytes).sum();
        self.give_back();
    }

    /// Gives the memory of an empty backlog back.
    fn give_back(&mut self) {
        if self.backlog.is_empty() {
            self.backlog.shrink_to(SPARE_ENTRIES);
            self.memory = None;
        }
    }
}

impl Entry {
    /// Bytes that are reserved for it; a count has its room in the entry before it.
    fn bytes(&self) -> u64 {
        match &self.content {
            Content::Message(_, message) => cost(message),
            Content::Lost(_) => 0,
        }
    }
}

fn cost(message: &Message) -> u64 {
    ENTRY_BYTES + message.bytes()
}
