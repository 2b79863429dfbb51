//! Entries on their way from nodes that go to those that are built in their place.

use super::OrderedIndex;
use super::bucket::Bucket;
use super::build::{Item, build, fit_a_bucket};
use super::word::Word;
use crate::error::Error;

/// Entries taken out of nodes, in order, with their keys from some depth on.
#[derive(Default)]
pub(super) struct Gathered {
    bytes: Vec<u8>,
    pub(super) entries: Vec<(usize, usize, u64)>,
}

impl Gathered {
    pub(super) fn add(&mut self, key: &[u8], row: u64) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.entries.push((start, self.bytes.len(), row));
    }

    /// Adds the entries of a locked bucket, whose bytes come after `lead`.
    pub(super) fn add_bucket(&mut self, lead: &[u8], bucket: Bucket) {
        let entries = bucket.count();
        self.entries.reserve(entries + 1);
        for at in 0..entries {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(lead);
            self.bytes.extend_from_slice(bucket.prefix());
            bucket.rest_to(at, &mut self.bytes);
            self.entries.push((start, self.bytes.len(), bucket.row(at)));
        }
    }

    fn items(&self) -> Vec<Item<'_>> {
        let item = |&(start, end, row): &(usize, usize, u64)| Item {
            key: &self.bytes[start..end],
            row,
        };
        self.entries.iter().map(item).collect()
    }

    /// The depth at which these entries begin, within their own bytes: not at their beginning where
    /// the node's place is within the row id.
    fn depth(depth: usize, of: &Item<'_>) -> usize {
        depth.saturating_sub(of.key.len())
    }

    /// Nodes over these entries and one more.
    pub(super) fn build_with(
        &self,
        tree: &OrderedIndex,
        depth: usize,
        item: Item<'_>,
    ) -> Result<Word, Error> {
        let own = Item {
            key: item.rest(depth),
            row: item.row,
        };
        let mut items = self.items();
        let at = items.partition_point(|other| *other < own);
        items.insert(at, own);
        build(&tree.memory, &items, Self::depth(depth, &item))
    }

    pub(super) fn build(
        &self,
        tree: &OrderedIndex,
        depth: usize,
        of: &Item<'_>,
    ) -> Result<Word, Error> {
        build(&tree.memory, &self.items(), Self::depth(depth, of))
    }

    /// A single bucket, or row, of these entries; nothing where that cannot be.
    pub(super) fn build_one(
        &self,
        tree: &OrderedIndex,
        depth: usize,
        of: &Item<'_>,
    ) -> Option<Word> {
        let items = self.items();
        let depth = Self::depth(depth, of);
        if !fit_a_bucket(&items, depth) {
            return None;
        }
        build(&tree.memory, &items, depth).ok()
    }
}
