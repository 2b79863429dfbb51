//! Moving what an index holds out of extents that are evacuated (`pool::evacuation`).
//!
//! ```text
//!   ordered   node by node, in the order of the bytes that lead there: a copy elsewhere is put in
//!             the slot above, and the old node is retired like any that is replaced
//!   hash      bucket by bucket: the chained lines of a bucket are written anew elsewhere
//! ```
//!
//! Readers and writers go on: a node moves as one that grows does. A pass goes a few nodes at a
//! time and notes how far it is by the way to the last node, which stays what it is whatever
//! happens to the tree in between. New nodes are not in such an extent, because nothing is taken from
//! there any more. A few old ones can get behind the pass where an index shrinks meanwhile: lines of
//! a bucket that go to another one, buckets of a node that is put together with the one above.
//! They keep their extent until the next pass.
//!
//! What a hash index has in chunks of buckets stays where it is: a chunk is half a slab, and goes
//! when the index shrinks.

use super::Index;
use crate::error::Result;

/// How far a pass through an index is; the default is its beginning.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pass {
    /// Buckets of a hash index that are done.
    pub(super) buckets: usize,
    /// The bytes that lead to the last inner node that is done; those that lead to others come
    /// after it in order.
    pub(super) path: Option<Vec<u8>>,
}

impl Index {
    /// Moves nodes out of extents that are evacuated, looking at about `nodes` of them from where
    /// the pass is. Returns whether there are more. Where it fails for want of memory, nothing is
    /// lost and no entry changed.
    pub fn leave_evacuated(&self, pass: &mut Pass, nodes: usize) -> Result<bool> {
        match self {
            Self::Ordered(index) => index.leave_evacuated(&mut pass.path, nodes),
            Self::Hash(index) => index.leave_evacuated(pass, nodes),
        }
    }

    /// Moves all nodes, wherever they are.
    #[cfg(test)]
    pub(super) fn move_all(&self, nodes: usize) -> Result<()> {
        self.let_all_leave(true);
        let mut pass = Pass::default();
        let mut result = Ok(true);
        while let Ok(true) = result {
            result = self.leave_evacuated(&mut pass, nodes);
        }
        self.let_all_leave(false);
        result.map(drop)
    }

    #[cfg(test)]
    pub(super) fn let_all_leave(&self, leave: bool) {
        match self {
            Self::Ordered(index) => index.let_all_leave(leave),
            Self::Hash(index) => index.let_all_leave(leave),
        }
    }

    /// Frees what was taken out of the index, as far as readers allow; otherwise that is done when
    /// more has come.
    pub fn free_retired(&self) {
        match self {
            Self::Ordered(index) => index.free_retired(),
            Self::Hash(index) => index.free_retired(),
        }
    }
}
