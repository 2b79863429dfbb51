//! Sweeper: deletes rows that have expired, in the background.
//!
//! ```text
//!                    block 0            block 1            block 2
//!   changed at       41                 97                 12          the last commit that wrote to it: storage knows
//!   looked at        60                 60                 never
//!   earliest then    18:40              18:05
//!   at 18:10         nothing            look               look        at 97 something earlier may have come
//! ```
//!
//! Nobody sees a row whose time has come: until it is swept it only takes room. So there is no index by time that each write
//! would keep. A round, each second, looks at the blocks alone in which something is due: those with a row whose time has
//! come since they were looked at, and those that were changed and not looked at for a while. What it remembers of a block
//! is three words.
//!
//! It deletes a few hundred rows a transaction, which waits for nobody and takes no part in the validation of others: whoever
//! has relied on such a row was there before its time came. Where somebody else writes one of them, it is left for another
//! round. What refers to them is done with as foreign keys say, as by any other transaction; triggers fire where the table
//! wants that.
//!
//! A row stays as long as there is a transaction for which it has not expired, so that no transaction finds it deleted. That
//! costs nothing: the transaction's snapshot would keep the row anyway. When a transaction began is known from the rounds: one
//! that is seen for the first time began after the round before.
//!
//! Caches make room for what is written to them themselves. The sweeper trims those whose bounds were lowered.

use crate::error::Result;
use crate::exec::{self, ExecContext, Planner, Transaction};
use crate::function::{EvalContext, StatementClock, StatementScope};
use crate::notification::{Dispatcher, Outbox, Sender};
use parking_lot::Mutex;
use remora_storage::catalog::{Catalog, TableEntry};
use remora_storage::pool::Claim;
use remora_storage::table::RowCache;
use remora_storage::transaction::Core;
use remora_storage::{
    BlockNo, Durability, Isolation, RowId, Store, TableId, Timestamp, TransactionId,
    TransactionOptions, ValueRef,
};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// The pause between two rounds.
const PERIOD: Duration = Duration::from_secs(1);
/// A block that is changed again and again is looked at so often, in microseconds.
const LOOK_EVERY: i64 = 10_000_000;
/// Rows that are deleted by one transaction.
const BATCH_ROWS: usize = 500;

/// The sweeper of a database.
#[derive(Debug)]
pub(crate) struct Sweeper {
    /// Whether there is a thread for it, or shall be none.
    is_settled: AtomicBool,
    tables: Arc<Mutex<Tables>>,
}

/// The tables whose rows expire.
#[derive(Debug)]
struct Tables {
    looked: HashMap<TableId, Looked>,
    /// Transactions that run, with a time that is not later than theirs.
    running: HashMap<TransactionId, i64>,
    /// The time of the last round.
    last_round: i64,
    /// Of the actions of foreign keys.
    planner: Arc<dyn Planner>,
    /// For what triggers send.
    notifications: Arc<Dispatcher>,
}

/// The blocks of a table as they were when they were looked at.
#[derive(Debug, Default)]
struct Looked {
    /// Where they are: rows that are written anew are in others.
    layout: usize,
    blocks: Vec<LookedBlock>,
}

#[derive(Clone, Copy, Debug)]
struct LookedBlock {
    /// By a snapshot of this timestamp.
    snapshot: Timestamp,
    /// At this time.
    time: i64,
    /// The earliest moment of a row.
    earliest: i64,
}

impl LookedBlock {
    const NEVER: Self = Self {
        snapshot: Timestamp(0),
        time: i64::MIN,
        earliest: i64::MIN,
    };

    fn is_due(&self, changed: Timestamp, now: i64) -> bool {
        let is_stale = changed > self.snapshot && now.saturating_sub(self.time) >= LOOK_EVERY;
        self.earliest <= now || is_stale
    }
}

impl Sweeper {
    /// The sweeper of a database that has no background if `is_manual`.
    pub(super) fn new(
        is_manual: bool,
        planner: Arc<dyn Planner>,
        notifications: &Arc<Dispatcher>,
    ) -> Self {
        let tables = Tables {
            looked: HashMap::new(),
            running: HashMap::new(),
            last_round: i64::MIN,
            planner,
            notifications: Arc::clone(notifications),
        };
        Self {
            is_settled: AtomicBool::new(is_manual),
            tables: Arc::new(Mutex::new(tables)),
        }
    }

    /// Has rows swept from now on, for as long as the database is there, if there is a table whose rows expire or are
    /// evicted.
    ///
    /// # Errors
    /// 58030 where the system has no thread for it.
    pub(crate) fn follow(&self, catalog: &Catalog, store: &Store) -> Result<()> {
        let is_wanted = || catalog.tables().any(|table| table.def.loses_rows());
        if self.is_settled.load(Relaxed) || !is_wanted() || self.is_settled.swap(true, Relaxed) {
            return Ok(());
        }
        let place = (Arc::downgrade(store.core()), Arc::downgrade(&self.tables));
        let thread = thread::Builder::new().name("remora-sweeper".to_owned());
        let started = thread.spawn(move || {
            loop {
                thread::sleep(PERIOD);
                let (Some(core), Some(tables)) = (place.0.upgrade(), place.1.upgrade()) else {
                    break;
                };
                // Where the database cannot be written now, it is for a later round.
                let _ = tables.lock().round(&core);
            }
        });
        started.map(drop).map_err(|error| {
            self.is_settled.store(false, Relaxed);
            sql_error!(IO_ERROR, "could not start the sweeper: {error}")
        })
    }

    /// Deletes rows that have expired; returns how many.
    ///
    /// # Errors
    /// 53300, 53100, 25006: what was deleted before stays so.
    pub(crate) fn sweep(&self, core: &Arc<Core>) -> Result<u64> {
        self.tables.lock().round(core)
    }
}

impl Tables {
    fn round(&mut self, core: &Arc<Core>) -> Result<u64> {
        let catalog = core.catalog();
        let expiring = || catalog.tables().filter(|table| table.def.expiry.is_some());
        let is_there = |id: TableId| expiring().any(|table| table.def.id == id);
        self.looked.retain(|id, _| is_there(*id));
        let now = self.expired_for_all(core);
        let mut swept = 0;
        for table in catalog
            .tables()
            .filter(|table| table.def.eviction.is_some())
        {
            core.trim_cache(table)?;
        }
        for table in expiring() {
            if table
                .def
                .expiry
                .as_ref()
                .is_some_and(|expiry| expiry.paused)
            {
                continue;
            }
            // The system has one transaction a table at a time.
            let _victims = table.rows.cache().map(RowCache::victims);
            let looked = self.looked.entry(table.def.id).or_default();
            let pass = Pass {
                core,
                table,
                planner: &self.planner,
                notifications: &self.notifications,
                now,
            };
            swept += looked.sweep(&pass)?;
        }
        Ok(swept)
    }
}

impl Tables {
    /// The time up to which rows have expired for all transactions that run.
    fn expired_for_all(&mut self, core: &Arc<Core>) -> i64 {
        // The time first: who is not among the running ones begins later.
        let now = core.time().settled();
        let held = core.clock().held();
        let last = std::mem::replace(&mut self.last_round, now);
        let running = held.iter().map(|held| {
            let known = self.running.get(&held.transaction).copied();
            (held.transaction, known.unwrap_or(last))
        });
        self.running = running.collect();
        self.running.values().copied().fold(now, i64::min)
    }
}

impl Looked {
    fn sweep(&mut self, pass: &Pass<'_>) -> Result<u64> {
        let (table, now) = (pass.table, pass.now);
        let layout = Arc::as_ptr(&table.rows) as usize;
        if self.layout != layout {
            (self.layout, self.blocks) = (layout, Vec::new());
        }
        let mut swept = 0;
        for block in table.rows.blocks() {
            let at = block.0 as usize;
            if self.blocks.len() <= at {
                self.blocks.resize(at + 1, LookedBlock::NEVER);
            }
            while self.blocks[at].is_due(table.rows.changed(block), now) {
                let (looked, more) = pass.sweep_block(block)?;
                self.blocks[at] = looked;
                table.rows.note_swept(more);
                swept += more;
                if more == 0 {
                    break;
                }
            }
        }
        Ok(swept)
    }
}

/// A round over a table.
struct Pass<'p> {
    core: &'p Arc<Core>,
    table: &'p Arc<TableEntry>,
    planner: &'p Arc<dyn Planner>,
    notifications: &'p Dispatcher,
    now: i64,
}

impl Pass<'_> {
    /// Deletes some rows of a block that have expired; returns what was seen of the others, and how many were deleted.
    fn sweep_block(&self, block: BlockNo) -> Result<(LookedBlock, u64)> {
        let tx = self.begin()?;
        let (due, looked) = self.look(block, &tx);
        if due.is_empty() {
            return Ok((looked, 0));
        }
        if let Ok(swept) = self.delete(&due, tx) {
            return Ok((looked, swept));
        }
        // One of them is being written: the others go one by one.
        let each = due.iter().filter_map(|row| {
            let tx = self.begin().ok()?;
            self.delete(std::slice::from_ref(row), tx).ok()
        });
        let swept: u64 = each.sum();
        // Those that are left are due still; where all are, not at once: a trigger may refuse them for ever.
        let earliest = match swept {
            0 => self.now.saturating_add(LOOK_EVERY),
            _ => self.now,
        };
        Ok((LookedBlock { earliest, ..looked }, swept))
    }

    fn begin(&self) -> Result<Transaction> {
        let options = TransactionOptions {
            isolation: Isolation::Snapshot,
            durability: Some(Durability::Buffered),
            sweeps: Some(self.table.def.id),
            ..TransactionOptions::default()
        };
        let mut tx = Transaction::begin_on(self.core, options)?;
        tx.set_time(self.now);
        tx.begin_command();
        Ok(tx)
    }

    /// Rows whose time has come, not too many, and the earliest moment of the others.
    fn look(&self, block: BlockNo, tx: &Transaction) -> (Vec<RowId>, LookedBlock) {
        let (mut due, mut earliest) = (Vec::new(), i64::MAX);
        let Some(expiry) = &self.table.def.expiry else {
            return (due, LookedBlock::NEVER);
        };
        let view = tx.view().unrecorded();
        let Ok(()) = view.for_each_row_of(self.table, block, |row, values| {
            if let ValueRef::TimestampTz(moment) = values.get(expiry.column) {
                match moment <= self.now && due.len() < BATCH_ROWS {
                    true => due.push(row),
                    false => earliest = earliest.min(moment),
                }
            }
            Ok::<(), Infallible>(())
        });
        let looked = LookedBlock {
            snapshot: tx.snapshot(),
            time: self.now,
            earliest,
        };
        (due, looked)
    }

    /// Deletes rows, and commits; returns how many there were.
    fn delete(&self, rows: &[RowId], mut tx: Transaction) -> Result<u64> {
        let context = self.context(&tx);
        let swept = exec::sweep(self.table, rows, &mut tx, &context)?;
        if tx.has_deferred() {
            exec::check_deferred(&mut tx, &context)?;
        }
        let outbox = match &context.eval.statement {
            Some(scope) => {
                scope.write_limits(&mut tx)?;
                scope.take_outbox()
            }
            None => Outbox::default(),
        };
        let committing = self.notifications.commit(&mut tx, outbox, Sender::SYSTEM)?;
        drop(tx);
        committing.wait()?;
        Ok(swept)
    }

    /// A context of no session, for actions of foreign keys and triggers.
    fn context(&self, tx: &Transaction) -> ExecContext {
        let core = Arc::clone(self.core);
        let catalog = core.catalog();
        let types = Some(Arc::clone(catalog.type_space()));
        let names = (catalog, Arc::default());
        let scope = StatementScope::new(names, core, false, false, &Arc::default());
        scope.show(tx.id(), tx.view());
        ExecContext {
            eval: EvalContext {
                clock: StatementClock::at(self.now),
                statement: Some(scope),
                types,
                ..EvalContext::default()
            },
            parameters: Arc::from([]),
            ledger: Arc::clone(self.core.ledger()),
            claim: Claim::Small,
            with: None,
            profiling: None,
            planner: Arc::clone(self.planner),
            trigger_depth: 0,
        }
    }
}
