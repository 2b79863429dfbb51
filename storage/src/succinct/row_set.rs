//! Row sets: many rows of one table, a [`SlotSet`] for each block that has some.

use super::SlotSet;
use crate::ids::{BlockNo, RowId};
use std::collections::BTreeMap;

/// What a block's entry takes in the tree, roughly.
const ENTRY_BYTES: usize = 2 * (size_of::<BlockNo>() + size_of::<SlotSet>());

/// Rows of one table, each once.
#[derive(Clone, Debug, Default)]
pub struct RowSet {
    blocks: BTreeMap<BlockNo, SlotSet>,
    len: usize,
    /// Bytes of the slot sets beside the tree.
    slot_bytes: usize,
}

impl RowSet {
    /// Adds a row. Returns whether it was not there.
    pub fn insert(&mut self, row: RowId) -> bool {
        let slots = match self.blocks.last_entry() {
            // Rows come in order, mostly.
            Some(last) if *last.key() == row.block() => last.into_mut(),
            _ => self.blocks.entry(row.block()).or_default(),
        };
        let before = slots.heap_bytes();
        let is_new = slots.insert(row.slot());
        self.slot_bytes += slots.heap_bytes() - before;
        self.len += usize::from(is_new);
        is_new
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The rows, in order.
    pub fn iter(&self) -> impl Iterator<Item = RowId> {
        let blocks = self.blocks.iter();
        blocks.flat_map(|(block, slots)| slots.iter().map(|slot| RowId::new(*block, slot)))
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.blocks.len() * ENTRY_BYTES + self.slot_bytes
    }
}

impl FromIterator<RowId> for RowSet {
    fn from_iter<T: IntoIterator<Item = RowId>>(rows: T) -> Self {
        let mut set = Self::default();
        for row in rows {
            set.insert(row);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_is_like_a_tree_of_rows(rows in prop::collection::vec(0..100_000_u64, 0..3000)) {
            let (mut set, mut model) = (RowSet::default(), BTreeSet::new());
            for row in rows {
                prop_assert_eq!(set.insert(RowId(row)), model.insert(RowId(row)));
            }
            prop_assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
            prop_assert!(set.iter().eq(model));
        }
    }

    #[test]
    fn all_rows_of_a_large_table_take_little() {
        let rows = 1_000_000;
        let set: RowSet = (0..rows).map(RowId).collect();
        assert_eq!(set.len() as u64, rows);
        assert!(set.bytes() < 200_000, "{}", set.bytes());
    }
}
