//! The parts of a statement: WITH queries that are run once, and changes in WITH.
//!
//! What a part gives is kept, and the statement itself and later parts read it. All of them see the database
//! as it was before the statement. A query runs as far as its rows are asked for; a change runs to its end,
//! whether anybody asks for its rows or not: those that the statement reads before it, the others after it,
//! the last one first.

use super::physical::PhysicalPlan;
use super::statement::Statement;
use std::sync::Arc;

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
}

impl With {
    /// Whether it changes the database.
    pub(crate) fn changes(&self) -> bool {
        (self.parts.iter()).any(|part| matches!(part.source, PartSource::Change(_)))
    }
}
