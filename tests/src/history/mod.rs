//! Histories: what many threads did at once, and whether it can be explained.
//!
//! Threads run random transactions on two small tables, through SQL, and write down every statement
//! with what it gave. What was committed is then explained, or not:
//!
//! 1. **What a transaction sees is its snapshot and its own changes** ([`replay`]). Each transaction is
//!    run again, alone, on a model of the rows as they were at its snapshot; each of its statements
//!    must give the same. That rules out dirty, torn and unrepeatable reads, lost index entries, and
//!    rows that come twice.
//! 2. **First writer wins** ([`replay`]). What it writes nobody else has written between its
//!    snapshot and its commit. That rules out lost updates.
//! 3. **The dependencies of transactions have no circle** ([`graph`]), as serializability is defined
//!    by Adya, "Weak Consistency: A Generalized Theory and Optimistic Implementations for
//!    Distributed Transactions", 1999. At level SNAPSHOT a circle must have two anti-dependencies
//!    one after the other, as Fekete et al. prove in "Making Snapshot Isolation Serializable",
//!    2005.
//!
//! Every value written is written once ever, so a row that was read tells who wrote it. Where a
//! transaction stands between the others the engine says itself ([`remora::Connection::snapshot`],
//! [`remora::Connection::last_commit`]): if it lied, reads and places would not fit together.
//!
//! Statements draw from a seed that is printed; how threads take turns is up to the machine.

pub mod graph;
pub mod replay;
pub mod workload;

use remora::{Database, Result};
use std::collections::BTreeMap;
use std::fmt;

/// Why a history could not be run, or not be explained.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Which tables there are.
pub const TABLES: [&str; 2] = ["a", "b"];
/// Keys of each table: few, so that transactions meet.
pub const KEYS: i64 = 12;
/// Values of the column with the ordered index.
pub const GROUPS: i64 = 4;

/// A row beside its key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Row {
    /// With an ordered index.
    pub g: i64,
    /// Written once ever; with a hash index.
    pub v: i64,
    /// Only appended to.
    pub list: String,
}

/// The rows of a table.
pub type Rows = BTreeMap<i64, Row>;

/// Which rows a statement is about.
#[derive(Clone, Copy, Debug)]
pub enum Filter {
    /// By primary key.
    Key(i64),
    /// By the ordered index.
    Group(i64),
    /// By the hash index.
    Value(i64),
    /// A range of the primary key, its end not included.
    Range(i64, i64),
    /// By no index: `v % 3 = ..`.
    Remainder(i64),
    /// All.
    All,
}

impl Filter {
    /// Whether a row is among them.
    pub fn has(&self, k: i64, row: &Row) -> bool {
        match *self {
            Self::Key(key) => k == key,
            Self::Group(g) => row.g == g,
            Self::Value(v) => row.v == v,
            Self::Range(low, high) => low <= k && k < high,
            Self::Remainder(rest) => row.v % 3 == rest,
            Self::All => true,
        }
    }
}

/// A statement. `v` is the first of the values that it writes: a row with key `k` gets `v + k`.
#[derive(Clone, Debug)]
pub enum Operation {
    /// SELECT of all columns.
    Read(Filter),
    /// SELECT .. WHERE k >= .. ORDER BY k LIMIT ..
    First(i64, i64),
    /// SELECT count(*), sum(v)
    Sum,
    /// INSERT
    Insert {
        /// The key.
        k: i64,
        /// Its group.
        g: i64,
        /// The value.
        v: i64,
    },
    /// UPDATE of value and group.
    Update(Filter, i64, i64),
    /// UPDATE that appends to the list.
    Append(Filter, i64),
    /// UPDATE of the key.
    Move(i64, i64, i64),
    /// DELETE
    Delete(Filter),
    /// SAVEPOINT
    Savepoint,
    /// ROLLBACK TO the last savepoint.
    RollbackTo,
    /// RELEASE of the last savepoint.
    Release,
}

/// What a statement gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Rows in the order of their keys.
    Rows(Vec<(i64, Row)>),
    /// Their number and the sum of `v`.
    Sum(i64, i64),
    /// Rows changed.
    Changed(usize),
    /// 23505; undone.
    Duplicate,
}

/// A statement that was run: on which table, and what it gave.
#[derive(Clone, Debug)]
pub struct Event {
    /// A place in [`TABLES`].
    pub table: usize,
    /// What it was.
    pub operation: Operation,
    /// What it gave.
    pub answer: Answer,
}

/// A transaction that has committed.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The last commit that it sees.
    pub snapshot: u64,
    /// Its own place among the commits; `None` where it changed nothing.
    pub commit: Option<u64>,
    /// What it did, in order.
    pub events: Vec<Event>,
}

/// A level of isolation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// SERIALIZABLE
    Serializable,
    /// SNAPSHOT
    Snapshot,
}

/// What a history came to.
#[derive(Clone, Copy, Default, Debug)]
pub struct Tally {
    /// Transactions that committed.
    pub committed: u64,
    /// Transactions that met a conflict.
    pub aborted: u64,
    /// Transactions that were rolled back on purpose.
    pub rolled_back: u64,
    /// Circles of dependencies, of the kind that the level allows.
    pub circles: u64,
}

impl Tally {
    /// Adds those of another history.
    pub fn add(&mut self, other: Self) {
        self.committed += other.committed;
        self.aborted += other.aborted;
        self.rolled_back += other.rolled_back;
        self.circles += other.circles;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} committed, {} aborted, {} rolled back; {} circles with two anti-dependencies in a row",
            self.committed, self.aborted, self.rolled_back, self.circles
        )
    }
}

/// Runs a history of so many transactions on a new database and explains it; the error tells what
/// cannot be.
pub fn run(level: Level, threads: usize, transactions: u64, seed: u64) -> Result<Tally, Failure> {
    let database = Database::in_memory()?;
    let (history, mut tally) = workload::run(&database, level, threads, transactions, seed)?;
    tally.circles = explain(&history, level)?;
    Ok(tally)
}

/// Explains what was committed at a level, or says why it cannot be. Returns how many circles there
/// are of the kind that the level allows.
pub fn explain(history: &[Committed], level: Level) -> Result<u64, String> {
    let versions = replay::explain(history)?;
    graph::explain(history, &versions, level)
}
