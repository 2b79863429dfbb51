//! The rows of one key: one in place, more in a set.
//!
//! A set and not a vector: a key may have millions of rows, and they go in any order.

use crate::ids::RowId;
use std::collections::BTreeSet;

/// The rows of one key, never none once they are in an index.
#[derive(Debug)]
pub(super) enum Rows {
    One(RowId),
    #[allow(clippy::box_collection, reason = "keeps a lone row at two words")]
    Many(Box<BTreeSet<RowId>>),
}

/// What a removal left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Removed {
    /// The row was not there.
    Nothing,
    /// Other rows remain.
    Row,
    /// It was the last row: the key is to go.
    Last,
}

impl Rows {
    /// Upper bound of the heap bytes of a set of `rows` rows: a node of 11 rows takes 104 bytes,
    /// or 200 above other nodes, and is at least 5 rows full unless it is alone.
    fn set_bytes(rows: usize) -> u64 {
        160 + 32 * rows as u64
    }

    /// Heap bytes, as an upper bound.
    pub(super) fn heap_bytes(&self) -> u64 {
        match self {
            Self::One(_) => 0,
            Self::Many(set) => Self::set_bytes(set.len()),
        }
    }

    /// Heap bytes that adding `row` takes; `None` where it is there already.
    pub(super) fn cost_of(&self, row: RowId) -> Option<u64> {
        match self {
            Self::One(one) if *one == row => None,
            Self::One(_) => Some(Self::set_bytes(2)),
            Self::Many(set) if set.contains(&row) => None,
            Self::Many(set) => Some(Self::set_bytes(set.len() + 1) - Self::set_bytes(set.len())),
        }
    }

    /// Adds a row that is not there.
    pub(super) fn insert(&mut self, row: RowId) {
        match self {
            Self::One(one) => *self = Self::Many(Box::new(BTreeSet::from([*one, row]))),
            Self::Many(set) => {
                set.insert(row);
            }
        }
    }

    /// Removes a row, except the last one, whose key has to go as well.
    pub(super) fn remove(&mut self, row: RowId) -> Removed {
        match self {
            Self::One(one) if *one == row => return Removed::Last,
            Self::One(_) => return Removed::Nothing,
            Self::Many(set) => {
                if !set.remove(&row) {
                    return Removed::Nothing;
                }
                if set.len() == 1
                    && let Some(one) = set.first()
                {
                    *self = Self::One(*one);
                }
            }
        }
        Removed::Row
    }

    /// Appends all rows, ascending.
    pub(super) fn copy_to(&self, out: &mut Vec<RowId>) {
        match self {
            Self::One(one) => out.push(*one),
            Self::Many(set) => out.extend(set.iter()),
        }
    }
}
