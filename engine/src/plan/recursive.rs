//! WITH RECURSIVE, logically: a query whose rows are fed to another one, round by round.
//!
//! ```text
//!   base  ->  rows 0
//!   step  of rows 0  ->  rows 1        step reads its input from a working table, by the recursion's number
//!   step  of rows 1  ->  rows 2
//!   ..                                 until a round gives none
//! ```
//!
//! The result is all of them. With UNION, a row that has come before counts as none.

use super::logical::Logical;

/// A query and its rounds.
#[derive(Clone, Debug)]
pub(crate) struct Recursive {
    /// Its number.
    pub id: usize,
    /// What gives the first rows, and which of its columns make the result's.
    pub base: (Box<Logical>, Vec<usize>),
    /// What gives the rows of the next round, and which of its columns.
    pub step: (Box<Logical>, Vec<usize>),
    /// Whether each row counts once only.
    pub distinct: bool,
    /// The result's columns.
    pub columns: Vec<usize>,
}

/// The rows of the last round.
#[derive(Clone, Debug)]
pub(crate) struct WorkingTable {
    /// Of which recursion.
    pub id: usize,
    /// Which of the result's columns: each one's number, and its position.
    pub columns: Vec<(usize, usize)>,
}
