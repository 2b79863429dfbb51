//! Activity: which session runs what, for those who ask from outside.
//!
//! ```text
//!   Activity ---- sessions      a SessionRecord each: block, statement, rows, interrupts
//!       |   |---- who           transaction id -> session, statement, start, the last 4,096
//!       |   \---- conflicts     the last 1,024
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

mod backoff;
mod clock;
mod conflicts;
mod interrupt;
mod plan_cache;
mod record;
mod relief;
mod texts;

pub(crate) use backoff::Backoff;
pub use backoff::RetryLimit;
pub(crate) use clock::about_now;
pub(crate) use conflicts::{Conflicts, Raised, Rival};
pub(crate) use interrupt::{Interrupt, Request};
pub(crate) use plan_cache::{PlanCacheCounts, PlanCacheUse};
pub(crate) use record::{Block, SessionRecord};
pub(crate) use relief::{Reliefs, relieved};
pub(crate) use texts::TEXT_BYTES_MAX;

use parking_lot::Mutex;
use remora_storage::disk::Disk;
use remora_storage::store::RecoveryReport;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

/// Transactions that are remembered.
const REMEMBERED: usize = 1 << 12;
/// Bits of a session's number, and of a statement's, in an entry of `who`.
const NUMBER_BITS: u32 = 24;
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;
/// Bits of a moment, which lasts until the year 2112.
const MOMENT_BITS: u32 = 52;
const MOMENT_MASK: u64 = (1 << MOMENT_BITS) - 1;

/// What goes on in one database.
#[derive(Debug)]
pub(crate) struct Activity {
    sessions: Mutex<Sessions>,
    /// By transaction id.
    who: Box<[Who]>,
    conflicts: Conflicts,
    /// Written by whoever holds the lock of the shared plans.
    shared_plans: PlanCacheUse,
    opening: OnceLock<Opening>,
}

/// How the database was opened.
#[derive(Debug)]
pub(crate) struct Opening {
    /// What that found and did.
    pub report: RecoveryReport,
    /// Where the database is; nothing in memory.
    pub disk: Option<Arc<dyn Disk>>,
}

/// A transaction. Both words begin with the bits of the id above the place.
#[derive(Debug, Default)]
struct Who {
    /// Session, statement.
    runs: AtomicU64,
    /// When it began, in microseconds since 1970.
    began: AtomicU64,
}

#[derive(Debug, Default)]
struct Sessions {
    last: u32,
    live: HashMap<u32, Weak<SessionRecord>>,
}

/// Who ran a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    /// The session.
    pub session: Arc<SessionRecord>,
    /// Its last statement in the transaction, if that is still known.
    pub statement: Option<Arc<str>>,
    /// When the transaction began, in microseconds since 1970, if that is still known.
    pub started: Option<i64>,
    /// The transaction block that it is, or was; `None` for a statement of its own.
    pub block: Option<Block>,
}

impl Activity {
    /// Of a new database.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            sessions: Mutex::default(),
            who: (0..REMEMBERED).map(|_| Who::default()).collect(),
            conflicts: Conflicts::default(),
            shared_plans: PlanCacheUse::default(),
            opening: OnceLock::new(),
        })
    }

    /// How the plans do that sessions leave for each other.
    pub(crate) fn shared_plans(&self) -> &PlanCacheUse {
        &self.shared_plans
    }

    /// Notes how the database was opened, once.
    pub(crate) fn note_opening(&self, opening: Opening) {
        // A second one would be of another database.
        let _ = self.opening.set(opening);
    }

    /// How the database was opened, if it was noted.
    pub(crate) fn opening(&self) -> Option<&Opening> {
        self.opening.get()
    }

    /// A new session.
    pub(crate) fn join(self: &Arc<Self>) -> Arc<SessionRecord> {
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
    pub(crate) fn sessions(&self) -> Vec<Arc<SessionRecord>> {
        let sessions = self.sessions.lock();
        // A session that is about to leave waits for the lock; it is not there any more.
        sessions.live.values().filter_map(Weak::upgrade).collect()
    }

    fn session(&self, number: u32) -> Option<Arc<SessionRecord>> {
        let sessions = self.sessions.lock();
        sessions.live.get(&number).and_then(Weak::upgrade)
    }

    /// The last conflicts.
    pub(crate) fn conflicts(&self) -> &Conflicts {
        &self.conflicts
    }

    fn who(&self, transaction: u64) -> &Who {
        &self.who[transaction as usize % REMEMBERED]
    }

    /// Notes what runs in a transaction now.
    #[inline]
    fn note(&self, transaction: u64, session: u32, statement: u32) {
        let entry = tag(transaction) << (2 * NUMBER_BITS)
            | u64::from(session) << NUMBER_BITS
            | u64::from(statement) & NUMBER_MASK;
        // Relaxed: an entry is a single word, and orders nothing.
        self.who(transaction).runs.store(entry, Ordering::Relaxed);
    }

    /// Notes when a transaction began. Those that only read need not: nobody loses against them.
    #[inline]
    fn note_start(&self, transaction: u64, micros: i64) {
        let entry = tag(transaction) << MOMENT_BITS | micros as u64 & MOMENT_MASK;
        // Relaxed: as above.
        self.who(transaction).began.store(entry, Ordering::Relaxed);
    }

    /// Who ran a transaction, unless that is long ago.
    pub(crate) fn runner(&self, transaction: u64) -> Option<Runner> {
        let entry = self.who(transaction).runs.load(Ordering::Relaxed);
        let number = (entry >> NUMBER_BITS & NUMBER_MASK) as u32;
        if entry >> (2 * NUMBER_BITS) == tag(transaction) && number != 0 {
            let session = self.session(number)?;
            return Some(Runner {
                statement: session.text((entry & NUMBER_MASK) as u32),
                started: self.started(transaction),
                block: session
                    .block()
                    .filter(|block| block.transaction == transaction),
                session,
            });
        }
        // Others have come since. It may still be open.
        self.sessions().into_iter().find_map(|session| {
            let block = session.block()?;
            let runs_it = block.is_open && block.transaction == transaction;
            runs_it.then(|| Runner {
                statement: session.last_statement(),
                started: block.started,
                block: Some(block),
                session,
            })
        })
    }

    /// When a transaction began, unless that is long ago; of one that changes something.
    fn started(&self, transaction: u64) -> Option<i64> {
        let entry = self.who(transaction).began.load(Ordering::Relaxed);
        let is_known = entry >> MOMENT_BITS == tag(transaction) & (u64::MAX >> MOMENT_BITS);
        let micros = entry & MOMENT_MASK;
        (is_known && micros != 0).then_some(micros as i64)
    }

    /// What is still known of a transaction that another one has met.
    pub(crate) fn rival(&self, transaction: u64) -> Rival {
        let runner = self.runner(transaction);
        Rival {
            // Known also where the session is gone.
            started: match &runner {
                Some(runner) => runner.started,
                None => self.started(transaction),
            },
            statement: runner.and_then(|runner| runner.statement),
        }
    }
}

/// What tells transactions apart that share a place in `who`.
fn tag(transaction: u64) -> u64 {
    (transaction / REMEMBERED as u64) & 0xFFFF
}

#[cfg(test)]
mod tests;
