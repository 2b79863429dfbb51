//! Samples: about how many entries a key has.
//!
//! Where there are few keys, all are visited, each found behind the one before: entries by keys is the answer. Where
//! there are more, a few are looked at, the first ones behind places that divide the stretch from the first key to the
//! last evenly. A place finds a key by the room before it, whatever entries that has: keys with many are not favoured.

use super::batch::head;
use super::key::{Key, prefix_end};
use super::{Cursor, Entries, Index};
use std::ops::Bound;

/// Keys that are visited one by one.
const VISITED_MAX: usize = 64;
/// Places where one is looked at, and entries that are counted of each.
const PLACES: u64 = 16;
const COUNTED_MAX: usize = 1024;

impl Index {
    /// About how many entries a key has, where `len` gives how many first bytes of an entry's key count. `None` where
    /// there are no entries, where it is not known how many bytes count, and of a hash index.
    pub(crate) fn entries_of_key(&self, len: impl Fn(&[u8]) -> Option<usize>) -> Option<u64> {
        if !self.is_ordered() {
            return None;
        }
        let prefix = |mut key: Key| -> Option<Key> {
            key.truncate(len(&key)?);
            Some(key)
        };
        let mut last = prefix(self.end(Bound::Unbounded, true)?)?;
        let mut at = Key::new();
        for keys in 1..=VISITED_MAX {
            let found = prefix(self.end(Bound::Included(&at), false)?)?;
            match prefix_end(&found) {
                Some(behind) if found != last => at = behind,
                _ => return Some(self.len().div_ceil(keys) as u64),
            }
        }
        let first = prefix(self.end(Bound::Unbounded, false)?)?;
        let common = first.iter().zip(&last).take_while(|(a, b)| a == b).count();
        let (low, high) = (head(&first[common..]), head(&last[common..]));
        let step = high.saturating_sub(low) / PLACES;
        let (mut sampled, mut counted) = (0, 0);
        last.clear();
        for place in 0..PLACES {
            at.clear();
            at.extend_from_slice(&first[..common]);
            at.extend_from_slice(&(low + place * step).to_be_bytes());
            let Some(found) = self.end(Bound::Included(&at), false) else {
                break;
            };
            let found = prefix(found)?;
            if found != last {
                sampled += 1;
                counted += self.count(&found);
                last = found;
            }
        }
        Some(counted.div_ceil(sampled.max(1)))
    }

    /// The first key behind a bound, or the last of all.
    fn end(&self, low: Bound<&[u8]>, reverse: bool) -> Option<Key> {
        let mut cursor = Cursor::new(low, Bound::Unbounded, reverse);
        let mut entries = Entries::new();
        self.scan(&mut cursor, 1, &mut entries);
        entries.last().map(|(key, _)| Key::from_slice(key))
    }

    /// How many entries begin so, as far as it is counted.
    fn count(&self, prefix: &[u8]) -> u64 {
        let end = prefix_end(prefix);
        let high = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut cursor = Cursor::new(Bound::Included(prefix), high, false);
        let mut entries = Entries::new();
        self.scan(&mut cursor, COUNTED_MAX, &mut entries);
        entries.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RowId;
    use crate::pool::{Ledger, Pool};

    /// An index of keys of so many entries, in turn, each key a number and each entry's one more byte.
    fn index(keys: u64, entries: impl Fn(u64) -> u64) -> Index {
        let pool = Pool::new(Ledger::new(64 << 20));
        let index = Index::ordered(&pool).unwrap();
        for key in 0..keys {
            for entry in 0..entries(key) {
                let bytes = [&(key * 977).to_be_bytes()[..], &[entry as u8]].concat();
                index.insert(&bytes, RowId(key << 20 | entry)).unwrap();
            }
        }
        index
    }

    fn of_number(index: &Index) -> Option<u64> {
        index.entries_of_key(|key| (key.len() >= 8).then_some(8))
    }

    #[test]
    fn few_keys_are_counted_and_many_are_sampled() {
        assert_eq!(of_number(&index(0, |_| 1)), None, "there is none");
        assert_eq!(of_number(&index(1, |_| 7)), Some(7));
        assert_eq!(of_number(&index(64, |key| key % 3 + 1)), Some(2));
        assert_eq!(of_number(&index(65, |_| 3)), Some(3));
        assert_eq!(of_number(&index(5_000, |_| 5)), Some(5));
        let all = index(5_000, |_| 5);
        assert_eq!(all.entries_of_key(|key| Some(key.len())), Some(1));
        assert_eq!(all.entries_of_key(|_| Some(0)), Some(25_000));
        assert_eq!(all.entries_of_key(|_| None), None);
    }

    #[test]
    fn keys_of_different_sizes_are_about_their_mean() {
        // A seventh of the keys have 134 entries, the others one: 20 on average.
        let mixed = index(3_000, |key| if key % 7 == 0 { 134 } else { 1 });
        let found = of_number(&mixed).unwrap();
        assert!((5..=60).contains(&found), "{found}");
    }

    #[test]
    fn a_key_with_nearly_all_entries_does_not_hide_the_others() {
        let skewed = index(1_000, |key| if key == 500 { 20_000 } else { 2 });
        assert!(of_number(&skewed).unwrap() < 500);
    }
}
