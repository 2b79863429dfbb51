//! Models of policies, exact and slow.

use std::collections::{BTreeSet, HashMap};

/// A cache that evicts the key with the lowest rank; a use changes the rank.
pub(super) struct Model {
    rows_max: usize,
    ranks: HashMap<u64, (u64, u64)>,
    order: BTreeSet<((u64, u64), u64)>,
    /// Whether the number of uses comes first, and else only the last of them.
    counts: bool,
    now: u64,
}

impl Model {
    /// Exact LRU.
    pub(super) fn lru(rows_max: usize) -> Self {
        Self {
            rows_max,
            ranks: HashMap::new(),
            order: BTreeSet::new(),
            counts: false,
            now: 0,
        }
    }

    /// LFU with counts that are kept as long as the row is; of two with the same count the older goes.
    pub(super) fn lfu(rows_max: usize) -> Self {
        Self {
            counts: true,
            ..Self::lru(rows_max)
        }
    }

    /// Asks for a key, and takes it in; returns whether it was there.
    pub(super) fn access(&mut self, key: u64) -> bool {
        self.now += 1;
        let old = self.ranks.get(&key).copied();
        let rank = match (old, self.counts) {
            (Some((count, _)), true) => (count + 1, self.now),
            (None, true) => (1, self.now),
            (_, false) => (0, self.now),
        };
        if let Some(old) = old {
            self.order.remove(&(old, key));
        } else if self.ranks.len() == self.rows_max
            && let Some((_, evicted)) = self.order.pop_first()
        {
            self.ranks.remove(&evicted);
        }
        self.ranks.insert(key, rank);
        self.order.insert((rank, key));
        old.is_some()
    }
}
