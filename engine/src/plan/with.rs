//! The parts of a statement: WITH queries that are run once, and changes in WITH.
//!
//! What a part gives is kept, and the statement itself and later parts read it. All of them see the database
//! as it was before the statement. A query runs as far as its rows are asked for; one that locks rows runs to its end
//! before those who read it, if anybody does. A change runs to its end, whether anybody asks for its rows or not: those
//! that the statement reads before it, the others after it, the last one first.

use super::logical::{Logical, Query};
use super::physical::PhysicalPlan;
use super::statement::Statement;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The parts of a statement.
#[derive(Clone, Debug)]
pub(crate) struct With {
    /// Each reads only those before it.
    pub parts: Vec<Part>,
    /// The numbers of those that the statement itself reads.
    pub reads: Vec<usize>,
    /// The part that is the statement that was written, which shows what is asked of its rows: the number of
    /// rows changed is that part's.
    pub counted: Option<usize>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Its number.
    pub id: usize,
    /// What it is called.
    pub name: String,
    /// What it does.
    pub source: PartSource,
    /// The numbers of the parts that it reads.
    pub reads: Vec<usize>,
}

/// What a part does.
#[derive(Clone, Debug)]
pub(crate) enum PartSource {
    /// A query.
    Query(Arc<PhysicalPlan>),
    /// One that locks rows.
    Locking(Box<PhysicalPlan>),
    /// INSERT, UPDATE, DELETE
    Change(Box<Statement>),
}

/// What is kept of a part's rows, in a logical plan.
#[derive(Clone, Debug)]
pub(crate) struct PartRows {
    /// Of which.
    pub id: usize,
    /// What it is called.
    pub name: String,
    /// Which of its columns: each one's number, and its position.
    pub columns: Vec<(usize, usize)>,
    /// The query that takes the place of these rows, unless it is run once; `None` where a change gives them.
    pub query: Option<Arc<Inlined>>,
}

/// A WITH query that the optimizer puts where it is named, unless the binder finds a second name and runs it once.
#[derive(Debug)]
pub(crate) struct Inlined {
    query: Query,
    runs_once: AtomicBool,
}

impl Inlined {
    pub(crate) fn new(query: Query, runs_once: bool) -> Self {
        let runs_once = AtomicBool::new(runs_once);
        Self { query, runs_once }
    }

    /// Makes it a query that is run once.
    pub(crate) fn run_once(&self) {
        self.runs_once.store(true, Relaxed);
    }

    pub(crate) fn is_run_once(&self) -> bool {
        self.runs_once.load(Relaxed)
    }

    /// The plan of the query.
    pub(crate) fn plan(&self) -> &Logical {
        &self.query.plan
    }

    /// The columns that the query shows.
    pub(crate) fn output(&self) -> impl Iterator<Item = usize> {
        self.query.output.iter().map(|(_, column)| *column)
    }

    /// The query, copied if it is named elsewhere.
    pub(crate) fn take(self: Arc<Self>) -> Query {
        Arc::try_unwrap(self).map_or_else(|query| query.query.clone(), |query| query.query)
    }
}

impl PartRows {
    /// The query that takes the place of these rows.
    ///
    /// # Errors
    /// The rows, if the query is run once.
    pub(crate) fn into_inlined(mut self) -> Result<Logical, Self> {
        match self.query.take_if(|query| !query.is_run_once()) {
            Some(query) => Ok(query.take().plan),
            None => Err(self),
        }
    }

    /// The plan of the query that takes the place of these rows. A query that is run once is none: whatever it is, its rows
    /// are kept, and it may be named by others that are named again and again.
    pub(crate) fn plan_here(&self) -> Option<&Logical> {
        let query = self.query.as_ref().filter(|query| !query.is_run_once());
        query.map(|query| query.plan())
    }

    /// Whether the rows were locked when they were chosen.
    pub(crate) fn are_locked(&self) -> bool {
        self.query.iter().any(|query| query.plan().locks_rows())
    }
}

impl With {
    /// Whether it changes the database.
    pub(crate) fn changes(&self) -> bool {
        (self.parts.iter()).any(|part| matches!(part.source, PartSource::Change(_)))
    }
}
