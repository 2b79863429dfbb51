//! Cursors: queries with a name, whose rows are fetched by and by.

use super::Schema;

/// DECLARE
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Declare {
    /// The cursor's name.
    pub name: String,
    /// Whether it also goes backward.
    pub scrolls: bool,
    /// Whether it stays when its transaction has committed.
    pub hold: bool,
}

/// FETCH and MOVE
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Fetch {
    /// Of which cursor.
    pub name: String,
    /// Which way.
    pub movement: Movement,
    /// The columns that are shown; none of a MOVE, and none before the session has said which.
    pub schema: Option<Schema>,
}

/// Which way a cursor goes, and how far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Movement {
    /// So many rows onward; backward if it is less than nothing.
    Forward(i64),
    /// So many rows backward.
    Backward(i64),
    /// To the row of this number; from the end if it is less than nothing.
    Absolute(i64),
    /// To the row so many further.
    Relative(i64),
}

impl Movement {
    /// To the end.
    pub(crate) const ALL: i64 = i64::MAX;
}
