//! Activity: which session runs what, for those who ask from outside.
//!
//! ```text
//!   Activity ---- sessions      a SessionRecord each: block, statement, rows, interrupts
//!       |   \---- who           transaction id -> session and statement, the last 4,096
//!       |
//!   remora_transactions, the detail of a conflict, interrupts and limits
//! ```
//!
//! A session writes to its own record only, and to the entry of its own transaction: plain stores to
//! memory that nobody else writes. Ids are given to threads in runs of 64, so that entries of `who` of
//! different sessions do not lie in one cache line. Whoever reads puts the pieces together, and takes
//! the work on himself.
//!
//! Invariants
//! - A session shares no counter and no lock with another while it runs statements.
//! - What is read of a session that goes on meanwhile is true word by word, not as a whole.
//! - A statement's text is copied once, when it is prepared, and clipped.

mod interrupt;
mod record;
mod texts;

pub use interrupt::{Interrupt, Request};
pub use record::{Block, SessionRecord};
pub use texts::TEXT_BYTES_MAX;

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Transactions that are remembered.
const REMEMBERED: usize = 1 << 12;
/// Bits of a session's number, and of a statement's, in an entry of `who`.
const NUMBER_BITS: u32 = 24;
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;

/// What goes on in one database.
#[derive(Debug)]
pub struct Activity {
    sessions: Mutex<Sessions>,
    /// By transaction id: the bits of the id above the place, session, statement.
    who: Box<[AtomicU64]>,
}

#[derive(Debug, Default)]
struct Sessions {
    last: u32,
    live: HashMap<u32, Weak<SessionRecord>>,
}

/// Who ran a transaction.
#[derive(Clone, Debug)]
pub struct Runner {
    /// The session.
    pub session: Arc<SessionRecord>,
    /// Its last statement in the transaction, if that is still known.
    pub statement: Option<Arc<str>>,
    /// The transaction block that it is, or was; `None` for a statement of its own.
    pub block: Option<Block>,
}

impl Activity {
    /// Of a new database.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            sessions: Mutex::default(),
            who: (0..REMEMBERED).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// A new session.
    pub fn join(self: &Arc<Self>) -> Arc<SessionRecord> {
        let mut sessions = self.sessions.lock();
        let number = loop {
            sessions.last = (sessions.last % NUMBER_MASK as u32) + 1;
            if !sessions.live.contains_key(&sessions.last) {
                break sessions.last;
            }
        };
        let record = Arc::new(SessionRecord::new(number, Arc::clone(self)));
        sessions.live.insert(number, Arc::downgrade(&record));
        record
    }

    fn leave(&self, number: u32) {
        self.sessions.lock().live.remove(&number);
    }

    /// All sessions.
    pub fn sessions(&self) -> Vec<Arc<SessionRecord>> {
        let sessions = self.sessions.lock();
        // A session that is about to leave waits for the lock; it is not there any more.
        sessions.live.values().filter_map(Weak::upgrade).collect()
    }

    fn session(&self, number: u32) -> Option<Arc<SessionRecord>> {
        let sessions = self.sessions.lock();
        sessions.live.get(&number).and_then(Weak::upgrade)
    }

    /// Notes what runs in a transaction now.
    #[inline]
    fn note(&self, transaction: u64, session: u32, statement: u32) {
        let entry = tag(transaction) << (2 * NUMBER_BITS)
            | u64::from(session) << NUMBER_BITS
            | u64::from(statement) & NUMBER_MASK;
        // Relaxed: an entry is a single word, and orders nothing.
        self.who[transaction as usize % REMEMBERED].store(entry, Ordering::Relaxed);
    }

    /// Who ran a transaction, unless that is long ago.
    pub fn runner(&self, transaction: u64) -> Option<Runner> {
        let entry = self.who[transaction as usize % REMEMBERED].load(Ordering::Relaxed);
        let number = (entry >> NUMBER_BITS & NUMBER_MASK) as u32;
        if entry >> (2 * NUMBER_BITS) == tag(transaction) && number != 0 {
            let session = self.session(number)?;
            return Some(Runner {
                statement: session.text((entry & NUMBER_MASK) as u32),
                block: session
                    .block()
                    .filter(|block| block.transaction == transaction),
                session,
            });
        }
        // Others have come since. It may still be open.
        self.sessions().into_iter().find_map(|session| {
            let block = session.block()?;
            (block.transaction == transaction).then(|| Runner {
                statement: session.last_statement(),
                block: Some(block),
                session,
            })
        })
    }
}

/// What tells transactions apart that share a place in `who`.
fn tag(transaction: u64) -> u64 {
    (transaction / REMEMBERED as u64) & 0xFFFF
}

#[cfg(test)]
mod tests;
