//! INTERSECT and EXCEPT, logically. (UNION ALL is a node of its own, and UNION is DISTINCT of that.)

use super::logical::Logical;

/// What becomes of a row on the left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SetOperator {
    /// It stays if the right has it.
    Intersect,
    /// It stays if the right does not have it.
    Except,
}

/// INTERSECT or EXCEPT of two queries. NULLs are alike.
#[derive(Clone, Debug)]
pub(crate) struct SetOperation {
    /// Which.
    pub operator: SetOperator,
    /// Whether a row counts as often as it is there: each one on the right stands for one on the left.
    /// Else the result has each row once.
    pub all: bool,
    /// Whose rows come out, and which of its columns are compared and make the result's.
    pub left: (Box<Logical>, Vec<usize>),
    /// What they are compared with, and which of its columns.
    pub right: (Box<Logical>, Vec<usize>),
    /// The result's columns.
    pub columns: Vec<usize>,
}

impl SetOperator {
    /// Its name, as SQL writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Intersect => "INTERSECT",
            Self::Except => "EXCEPT",
        }
    }
}
