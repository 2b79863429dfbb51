//! The condition of the log: open, full or failed; what each means for readers, writers and waiters.
//!
//! ```text
//!               a write finds no room              a sync fails, or a write for another reason
//!     open ---------------------------> full ------------------------------------> failed
//!      ^  \                              |                                           ^
//!      |   '-----------------------------|-------------------------------------------'
//!      '---- all that is queued was written again, and a sync has returned
//! ```
//!
//! | | open | full | failed |
//! |---|---|---|---|
//! | durable | all that a sync has covered | the same, and each frame that still found room | what it was |
//! | queued, in memory | frames for the next batch | every frame that is not durable | nothing: it is lost |
//! | begin | the latest commit | the last durable commit | the last durable commit |
//! | read | at `sync`, its snapshot is durable before anything is shown | as it begins; 40001 where the snapshot is older than the condition and not durable | as when full |
//! | write, before it is queued | goes on | 53100, after another try to write what is queued | 25006 |
//! | commit at `sync`, queued | returns when it is durable | 08007; it stays queued | 08007 |
//! | commit at `buffered`, queued | has returned; durable within the loss window | has returned; at risk until there is room | has returned; lost |
//! | checkpoint | rotates; without room for a segment goes on in the one that there is | 53100 | 25006 |
//! | close | syncs, writes the closing mark | another try; then 53100, and what is queued is lost | 25006 |
//!
//! Full is a state of the medium, so it ends with it: whoever wants to write, waits for a commit, asks for a
//! checkpoint or closes tries first whether there is room, and so does the flusher, again and again. Failed is
//! for good: after a failed sync nothing is known about the bytes that were on their way, even if a later sync
//! succeeds. The database has to be opened again, which reads them.
//!
//! The order of effects
//! 1. *Nothing that was acknowledged is lost.* At `sync` a commit is acknowledged when a sync that covers it has
//!    returned. Full changes nothing about that.
//! 2. *A frame has one position.* It is given in the commit section and stays. A batch that found no room in the
//!    middle goes back to the front of the queue, without the frames that a sync covers by then. It is written
//!    again from the end of what is durable, over whatever the first attempt has left, to the same places. So
//!    the log is at all times what one attempt would have written, with a torn tail; a crash in the second
//!    attempt leaves of each frame the one or the other version, which differ in the durable position and the
//!    checksum only, or a mixture, whose checksum is wrong.
//! 3. *53100 is certain.* It is told before the frame is queued ([`Log::reserve`](super::Log::reserve)): nothing
//!    has happened. Once it is queued, others build on it in memory, and it cannot be taken back: its committer
//!    is told 08007, and may wait on ([`Log::wait_durable`](super::Log::wait_durable)).
//! 4. *Nothing is shown that could be lost.* The condition is set, and with it the snapshots of transactions that
//!    begin from then on ([`crate::mvcc::Timeline::show_durable_only`]), before any waiter is told. The states
//!    that these snapshots see are there: the horizon never passes what is durable. Older snapshots are asked
//!    about before they show anything ([`Log::check_shown`](super::Log::check_shown)).
//! 5. *The loss window.* Who does not wait is refused as soon as the log is known to be full. So all that a
//!    crash takes had returned within one window, as ever; but that it is durable when the window has passed
//!    does not hold, and `remora_durability` says so.
//! 6. *What waits is bounded.* Frames hold the memory that was reserved for them, and no more come than had
//!    passed the gate when the condition was set.
//!
//! If we crash: what is queued is gone, as it would be without the condition.

use crate::error::Error;

/// The condition of the log.
#[derive(Clone, Debug, Default)]
pub enum LogCondition {
    /// The log takes frames, and writes them.
    #[default]
    Open,
    /// The medium has no room for what is queued: it is written as soon as there is.
    Full(Error),
    /// The log takes nothing until the database is opened again, for this reason.
    Failed(String),
}

impl LogCondition {
    /// The condition in a word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Full(_) => "full",
            Self::Failed(_) => "failed",
        }
    }

    /// Why the log takes no frames, if it takes none.
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::Open => None,
            Self::Full(error) => Some(error.to_string()),
            Self::Failed(cause) => Some(cause.clone()),
        }
    }

    /// The error of a write that has not begun, and would bring so many bytes besides those that wait.
    pub(super) fn refusal(&self, waiting: u64) -> Option<Error> {
        match self {
            Self::Open => None,
            Self::Full(Error::DiskFull { path, wanted }) => Some(Error::DiskFull {
                path: path.clone(),
                wanted: waiting.max(*wanted),
            }),
            Self::Full(error) => Some(error.clone()),
            Self::Failed(cause) => Some(Error::LogFailed {
                cause: cause.clone(),
            }),
        }
    }
}
