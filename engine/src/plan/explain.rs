//! EXPLAIN: what is told of a plan, and what is measured of one that runs.

use super::physical::PhysicalPlan;
use super::statement::Statement;
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What EXPLAIN is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ExplainOptions {
    /// Whether the statement runs, and it is told what came of each node.
    pub analyze: bool,
    /// Whether times are told.
    pub timing: bool,
    /// Whether it is told how long planning and running took.
    pub summary: bool,
    /// Whether it is told what each node gives.
    pub verbose: bool,
    /// How it is written.
    pub format: ExplainFormat,
}

/// How a plan is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ExplainFormat {
    /// Lines, indented.
    Text,
    /// One JSON text.
    Json,
}

/// EXPLAIN ANALYZE
#[derive(Clone, Debug)]
pub(crate) struct Analyze {
    /// What runs.
    pub statement: Statement,
    /// What is told.
    pub options: ExplainOptions,
    /// How long it took to plan.
    pub planning: Duration,
}

/// What is measured of a statement, by the addresses of its plan's nodes: the plan stays where it is.
#[derive(Debug, Default)]
pub(crate) struct Profile(Mutex<HashMap<usize, Arc<NodeProfile>>>);

/// What is measured of a node. One thread counts, and the numbers are read when it is done, so that no order
/// is needed among them.
#[derive(Debug, Default)]
pub(crate) struct NodeProfile {
    rows: AtomicU64,
    loops: AtomicU64,
    /// Nanoseconds until the first rows, and until the last ones, of all loops together.
    first: AtomicU64,
    total: AtomicU64,
    /// The most bytes that it, or a part of it, has held.
    memory: AtomicU64,
    /// Blocks of a table that a scan came to, and those that it had to look into.
    blocks: AtomicU64,
    scanned: AtomicU64,
    /// Whether the node above it does its work.
    is_folded: AtomicBool,
}

/// The numbers of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Rows it gave, of all loops together.
    pub rows: u64,
    /// How often it was run.
    pub loops: u64,
    /// How long it took until the first rows came, of all loops together.
    pub first: Duration,
    /// How long it took in all.
    pub total: Duration,
    /// The most bytes that it has held.
    pub memory: u64,
    /// Blocks that it came to, of all loops together; 0 where it scans no table.
    pub blocks: u64,
    /// Those of them that it had to look into. Of the others a zone map, a bloom filter or a dictionary says enough.
    pub scanned: u64,
    /// Whether the node above it does its work.
    pub is_folded: bool,
}

impl Profile {
    /// Where the numbers of a node are gathered.
    pub(crate) fn node(&self, plan: &PhysicalPlan) -> Arc<NodeProfile> {
        let address = std::ptr::from_ref(plan) as usize;
        Arc::clone(self.0.lock().entry(address).or_default())
    }

    /// The numbers of a node; `None` where it has not run.
    pub(crate) fn measured(&self, plan: &PhysicalPlan) -> Option<Measured> {
        let address = std::ptr::from_ref(plan) as usize;
        self.0.lock().get(&address).map(|node| node.measured())
    }
}

impl NodeProfile {
    /// It begins to run.
    pub(crate) fn begin(&self) {
        self.loops.fetch_add(1, Ordering::Relaxed);
    }

    /// It was run for so many rows of another one, and gave so many.
    pub(crate) fn looked_up(&self, loops: usize, rows: usize, took: Duration) {
        self.loops.fetch_add(loops as u64, Ordering::Relaxed);
        self.gave(rows, took, true);
    }

    /// It has given so many rows, after so long.
    pub(crate) fn gave(&self, rows: usize, took: Duration, is_first: bool) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.total.fetch_add(nanos, Ordering::Relaxed);
        if is_first {
            self.first.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    /// It holds so many bytes.
    pub(crate) fn holds(&self, bytes: usize) {
        self.memory.fetch_max(bytes as u64, Ordering::Relaxed);
    }

    /// It has come to so many blocks more, and has looked into so many.
    pub(crate) fn passed(&self, (blocks, scanned): (u64, u64)) {
        self.blocks.fetch_add(blocks, Ordering::Relaxed);
        self.scanned.fetch_add(scanned, Ordering::Relaxed);
    }

    /// The node above it does its work.
    pub(crate) fn fold(&self) {
        self.is_folded.store(true, Ordering::Relaxed);
    }

    fn measured(&self) -> Measured {
        let duration = |nanos: &AtomicU64| Duration::from_nanos(nanos.load(Ordering::Relaxed));
        Measured {
            rows: self.rows.load(Ordering::Relaxed),
            loops: self.loops.load(Ordering::Relaxed),
            first: duration(&self.first),
            total: duration(&self.total),
            memory: self.memory.load(Ordering::Relaxed),
            blocks: self.blocks.load(Ordering::Relaxed),
            scanned: self.scanned.load(Ordering::Relaxed),
            is_folded: self.is_folded.load(Ordering::Relaxed),
        }
    }
}
