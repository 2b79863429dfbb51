//! Entries on their way from nodes that go to those that are built in their place.

use super::bucket::Bucket;
use super::build::{Item, build, fit_a_bucket};
use super::word::Word;
use crate::error::Error;
use crate::index::memory::Supply;

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

    /// Nodes over these entries and one more, for a place to which so many bytes of a row's number lead.
    pub(super) fn build_with(
        &self,
        supply: Supply<'_>,
        row_bytes: usize,
        item: Item<'_>,
    ) -> Result<Word, Error> {
        let mut items = self.items();
        let at = items.partition_point(|other| *other < item);
        items.insert(at, item);
        build(supply, &items, row_bytes)
    }

    pub(super) fn build(&self, supply: Supply<'_>, row_bytes: usize) -> Result<Word, Error> {
        build(supply, &self.items(), row_bytes)
    }

    /// A single bucket, or row, of these entries; nothing where that cannot be.
    pub(super) fn build_one(&self, supply: Supply<'_>, row_bytes: usize) -> Option<Word> {
        let items = self.items();
        match fit_a_bucket(&items, row_bytes) {
            true => build(supply, &items, row_bytes).ok(),
            false => None,
        }
    }
}
