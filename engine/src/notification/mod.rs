//! Notifications: messages that a transaction sends to the sessions that listen, once its commit is durable.
//!
//! ```text
//!   NOTIFY, pg_notify   Outbox       of the transaction: equal messages once, taken back with what is undone
//!        | COMMIT, in the commit section
//!   Dispatcher          queue        in the order of commits, with the timestamp of each
//!        | outside of it, by the sender
//!   Listener            backlog      of a session: up to a mebibyte; what does not fit is counted
//!        | once the log says that the timestamp is durable
//!   Connection::notifications
//! ```
//!
//! 1. A transaction collects its messages, and its LISTEN and UNLISTEN, in an [`Outbox`]. A statement that fails and
//!    ROLLBACK TO cut it back to a mark.
//! 2. In the commit section the [`Dispatcher`] makes LISTEN and UNLISTEN hold, and queues the messages. A commit
//!    without an outbox looks at one word. A transaction that has written nothing enters the section for this alone, and
//!    counts as the commit before it; where nobody listens, it does not enter it.
//! 3. Behind it the sender hands out what is queued, to all that listened at that commit. Senders
//!    take turns, so each backlog is in the order of commits.
//! 4. A message can be taken from a backlog once the clock of the transactions says that its commit is durable. The log
//!    tells the dispatcher when it has made commits durable, at whatever level they were made, and listeners whose first
//!    message has become so are woken. In memory a commit is durable when it is made.
//!
//! *LISTEN and snapshots.* LISTEN and the commits of senders are in one order, that of the commit section. So a session
//! that has listened and then looks sees each change, or is told of it.
//!
//! Invariants
//! - A backlog never goes back in the order of commits, and no message in it is shown before its commit is durable.
//! - A message is in the backlog of each session that listened at its commit, or is counted there as lost.
//! - Senders wait for no listener: the locks of a backlog are held for a push or a pop.
//!
//! Locks, in order: the commit section, `turn`, `channels`, then one of `queue`, `pending` and a listener's `state`; `state`
//! also within `pending`. Callbacks of listeners are called without any.
//!
//! If we crash: nothing of this is on disk. Sessions are gone, and those that come listen anew.

mod dispatcher;
mod listener;
mod message;
mod outbox;
#[cfg(test)]
mod tests;

pub(crate) use dispatcher::{Dispatcher, Sender};
pub(crate) use listener::Listener;
pub(crate) use message::Message;
pub use message::{Delivery, Notification};
pub(crate) use outbox::{ListenChange, Outbox, OutboxMark};
