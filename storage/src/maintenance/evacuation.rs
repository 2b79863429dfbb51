//! Evacuation: version records and nodes of indexes are moved out of sparse slabs of the pool.
//!
//! ```text
//!   resting --> moving: all tables, then all indexes, some a round --> draining --> resting
//!      |  much of the pool's slabs is unused                              |
//!      +-- looked at now and then, or on request                          +-- emptied, or in vain
//! ```
//!
//! 1. *Resting*: now and then the nodes that wait in indexes for their readers are freed, as far as
//!    these are gone. Where that much can be won, the sparsest slabs are closed.
//! 2. *Moving*: the rows that are not settled are walked through, and committed records that lie in
//!    such a slab are copied elsewhere (`block`). Then the indexes are, and their nodes
//!    (`index::evacuate`).
//! 3. *Draining*: the old records and nodes wait for their readers, as all that was unlinked does. A slab that is
//!    not empty a second later holds records that are not committed. It serves again. Where nothing was won the
//!    next attempt waits twice as long.
//!
//! The work is bounded by a look at each row that is not settled and at each node of an index: some 10 ms for
//! 100 MiB of them. On request it is done at once, by the thread that asks ([`Collector::evacuate_soon`]).

use super::collector::Collector;
use crate::catalog::Catalog;
use crate::ids::{IndexId, RowId, TableId};
use crate::index::Pass;
use crate::mvcc::Grace;
use crate::pool::Pool;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The share of the pool that must be to win for the background to begin, in percent.
const WIN_PERCENT: u64 = 5;
/// What must be to win at least, in bytes.
const WIN_BYTES_MIN: u64 = 1 << 20;
/// Slabs of which at most so much is used are sparse for the background, in percent.
const SPARSE_PERCENT: u32 = 50;
/// The same where memory is short: whatever finds room elsewhere is moved there.
const SPARSE_PERCENT_SHORT: u32 = 95;
/// Slots looked at in a round, for which the collector is held: about a millisecond.
const ROUND_SLOTS: usize = 16 << 10;
/// Nodes of an index with others below them, or buckets, that are looked at in a round: as long.
const ROUND_NODES: usize = 1 << 10;
/// How long it rests, after it has won something and at most.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How long readers are waited for.
const DRAIN: Duration = Duration::from_secs(5);
/// How long what was not moved is waited for when they are gone: uncommitted records, and what was
/// unlinked since.
const DRAIN_REST: Duration = Duration::from_secs(1);

/// What the collector is at.
#[derive(Debug)]
enum Phase {
    /// Until then the pool is not looked at.
    Resting(Instant),
    /// All tables and rows before this one were walked through.
    Moving(TableId, RowId),
    /// All indexes before this one were walked through, and this one so far.
    MovingNodes(IndexId, Pass),
    /// Whoever may look at what was moved is waited for, unless they are gone already, and then
    /// what holds an extent yet; until then at most.
    Draining(Option<Grace>, Instant),
}

/// How far evacuation is.
#[derive(Debug)]
pub(super) struct Evacuation {
    pool: Arc<Pool>,
    phase: Phase,
    /// Slabs that were closed.
    begun: usize,
    /// Whether memory is short, so that the smallest win counts.
    is_short: bool,
    /// How long it rests next, unless something is won.
    pause: Duration,
}

impl Evacuation {
    pub(super) fn new(pool: &Arc<Pool>) -> Self {
        Self {
            pool: Arc::clone(pool),
            phase: Phase::Resting(Instant::now() + PAUSE),
            begun: 0,
            is_short: false,
            pause: PAUSE,
        }
    }

    /// Closes sparse slabs, if there is enough to win.
    fn begin(&mut self) -> bool {
        let percent = match std::mem::take(&mut self.is_short) {
            true => Some(SPARSE_PERCENT_SHORT),
            false => self.is_worth_it().then_some(SPARSE_PERCENT),
        };
        if let Some(percent) = percent {
            self.pool.begin_evacuation(percent);
        }
        self.begun = self.pool.evacuating();
        match self.begun {
            0 => self.rest(true),
            _ => self.phase = Phase::Moving(TableId(0), RowId(0)),
        }
        self.begun > 0
    }

    /// Whether much of the pool can be won.
    fn is_worth_it(&self) -> bool {
        let least = self.pool.bytes() * WIN_PERCENT / 100;
        self.pool.evacuable_bytes(SPARSE_PERCENT) >= least.max(WIN_BYTES_MIN)
    }

    /// What is not empty serves again.
    fn end(&mut self) {
        let left = self.pool.end_evacuation();
        self.rest(left < self.begun);
    }

    fn rest(&mut self, won: bool) {
        self.pause = match won {
            true => PAUSE,
            false => PAUSE_MAX.min(self.pause * 2),
        };
        self.phase = Phase::Resting(Instant::now() + self.pause);
    }
}

impl Collector {
    /// Goes on with emptying sparse extents, for a round. Returns whether there is more to do at
    /// once.
    pub fn evacuate(&mut self, catalog: &Catalog) -> bool {
        match self.evacuation.phase {
            Phase::Resting(until) if Instant::now() < until => false,
            Phase::Resting(_) => {
                free_nodes(catalog);
                self.evacuation.begin()
            }
            // All was emptied, or was needed for something else.
            _ if self.evacuation.pool.evacuating() == 0 => {
                self.evacuation.rest(true);
                false
            }
            Phase::Moving(table, from) => self.move_versions(catalog, table, from),
            Phase::MovingNodes(index, ref pass) => {
                let pass = pass.clone();
                self.move_nodes(catalog, index, pass)
            }
            Phase::Draining(ref readers, until) => {
                let is_freed = readers.as_ref().is_some_and(Grace::is_over);
                self.drain_evacuated(catalog, is_freed, until);
                false
            }
        }
    }

    /// Lets the next [`Self::evacuate`] begin, however little there is to win.
    pub fn evacuate_soon(&mut self) {
        if let Phase::Resting(until) = &mut self.evacuation.phase {
            *until = Instant::now();
            self.evacuation.is_short = true;
        }
    }

    /// Whether readers keep what was moved from being freed.
    pub fn is_waiting_for_readers(&self) -> bool {
        matches!(self.evacuation.phase, Phase::Draining(Some(_), _))
    }

    /// Gives up on what could not be emptied so far.
    pub fn end_evacuation(&mut self) {
        if !matches!(self.evacuation.phase, Phase::Resting(_)) {
            self.evacuation.end();
        }
    }

    fn begin_draining(&mut self, catalog: &Catalog) {
        free_nodes(catalog);
        self.retired.begin_grace();
        self.evacuation.phase = Phase::Draining(Some(Grace::begin()), Instant::now() + DRAIN);
    }

    /// `is_freed` says that the readers went since it was asked last.
    fn drain_evacuated(&mut self, catalog: &Catalog, is_freed: bool, until: Instant) {
        let now = Instant::now();
        self.free_all();
        free_nodes(catalog);
        if now >= until {
            self.evacuation.end();
        } else if is_freed {
            // What holds an extent much longer will hold it on.
            self.evacuation.phase = Phase::Draining(None, until.min(now + DRAIN_REST));
        }
    }

    fn move_versions(&mut self, catalog: &Catalog, table: TableId, from: RowId) -> bool {
        let next = catalog.tables().filter(|entry| entry.def.id >= table);
        let Some(entry) = next.min_by_key(|entry| entry.def.id) else {
            self.evacuation.phase = Phase::MovingNodes(IndexId(0), Pass::default());
            return true;
        };
        // Without a free slot it is done another time.
        let Ok(registration) = self.timeline.register() else {
            return false;
        };
        let proof = registration.enter();
        let id = entry.def.id;
        let from = if id == table { from } else { RowId(0) };
        let retired = &mut self.retired;
        let mut retire = |garbage| retired.retire(garbage);
        let moved = entry
            .rows
            .leave_evacuated(from, ROUND_SLOTS, &proof, &mut retire);
        self.retired.begin_grace();
        match moved {
            Ok(Some(next)) => self.evacuation.phase = Phase::Moving(id, next),
            Ok(None) => {
                self.evacuation.phase = match id.0.checked_add(1) {
                    Some(after) => Phase::Moving(TableId(after), RowId(0)),
                    None => Phase::MovingNodes(IndexId(0), Pass::default()),
                };
            }
            // There is no room for copies: then what is set apart is needed as it is.
            Err(_) => self.evacuation.end(),
        }
        true
    }

    fn move_nodes(&mut self, catalog: &Catalog, index: IndexId, mut pass: Pass) -> bool {
        let indexes = catalog.tables().flat_map(|entry| &entry.indexes);
        let next = indexes.filter(|entry| entry.def.id >= index);
        let Some(entry) = next.min_by_key(|entry| entry.def.id) else {
            self.begin_draining(catalog);
            return false;
        };
        let id = entry.def.id;
        if id != index {
            pass = Pass::default();
        }
        match entry.index.leave_evacuated(&mut pass, ROUND_NODES) {
            Ok(true) => self.evacuation.phase = Phase::MovingNodes(id, pass),
            Ok(false) => match id.0.checked_add(1) {
                Some(after) => {
                    self.evacuation.phase = Phase::MovingNodes(IndexId(after), Pass::default());
                }
                None => self.begin_draining(catalog),
            },
            Err(_) => self.evacuation.end(),
        }
        true
    }
}

/// Frees the nodes that went out of indexes, as far as readers allow.
pub fn free_nodes(catalog: &Catalog) {
    let indexes = catalog.tables().flat_map(|entry| &entry.indexes);
    for entry in indexes {
        entry.index.free_retired();
    }
}
