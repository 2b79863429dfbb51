//! From an address to the extent that it is in.
//!
//! ```text
//!  address  | 9 bits | 9 bits | 9 bits | 21 bits within the extent |
//!              root     table     leaf --> extent
//! ```
//!
//! The bookkeeping of an extent is not in its memory: two blocks of 1 MiB must fill it, and the
//! headers of all extents would compete for the same few lines of the cache. Tables are made when
//! their first extent comes and stay until the pool goes: each is 4 KiB, and a leaf serves 1 GiB.
//!
//! Who looks up an address that it has memory at finds what was set before the memory was handed
//! out, and takes no latch.

use super::extent::{EXTENT_BYTES, Extent};
use crate::sync::atomic::AtomicPtr;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::ptr;

const LEVEL_BITS: u32 = 9;
const WIDTH: usize = 1 << LEVEL_BITS;
/// Addresses of programs are below this on the systems of today, unless one asks for more.
const ADDRESS_BITS: u32 = EXTENT_BYTES.trailing_zeros() + 3 * LEVEL_BITS;

struct Table<T>([AtomicPtr<T>; WIDTH]);

type Leaf = Table<Extent>;

impl<T> Table<T> {
    fn new() -> Box<Self> {
        Box::new(Self([const { AtomicPtr::new(ptr::null_mut()) }; WIDTH]))
    }
}

impl<T> Table<Table<T>> {
    fn get(&self, index: usize) -> Option<&Table<T>> {
        // SAFETY: entries come from `get_or_make` and live as long as this table.
        unsafe { self.0[index].load(Acquire).as_ref() }
    }

    fn get_or_make(&self, index: usize) -> &Table<T> {
        if let Some(table) = self.get(index) {
            return table;
        }
        let new = Box::into_raw(Table::new());
        match self.0[index].compare_exchange(ptr::null_mut(), new, AcqRel, Acquire) {
            // SAFETY: it is in the table now, and lives as long.
            Ok(_) => unsafe { &*new },
            Err(other) => {
                // SAFETY: nobody has seen the new table; the other one is in this table.
                unsafe {
                    drop(Box::from_raw(new));
                    &*other
                }
            }
        }
    }

    fn take_all(&mut self) -> impl Iterator<Item = Box<Table<T>>> {
        let entries = self
            .0
            .iter_mut()
            .map(|entry| std::mem::take(entry.get_mut()));
        let entries = entries.filter(|entry| !entry.is_null());
        // SAFETY: each entry came from a box, and was taken out of the table.
        entries.map(|entry| unsafe { Box::from_raw(entry) })
    }
}

/// All extents of a pool by address.
pub(super) struct ExtentMap(Box<Table<Table<Leaf>>>);

impl ExtentMap {
    pub(super) fn new() -> Self {
        Self(Table::new())
    }

    /// Whether extents at such an address can be found again.
    pub(super) fn reaches(address: usize) -> bool {
        (address as u64) >> ADDRESS_BITS == 0
    }

    /// The extent at the address; null where there is none.
    pub(super) fn get(&self, address: usize) -> *mut Extent {
        let [root, table, leaf] = indices(address);
        let leaves = self.0.get(root).and_then(|table_of| table_of.get(table));
        // Acquire: with the extent comes what it was filled with.
        leaves.map_or(ptr::null_mut(), |leaves| leaves.0[leaf].load(Acquire))
    }

    /// Says which extent is at the address; null when it is gone.
    pub(super) fn set(&self, address: usize, extent: *mut Extent) {
        let [root, table, leaf] = indices(address);
        let leaves = self.0.get_or_make(root).get_or_make(table);
        leaves.0[leaf].store(extent, Release);
    }
}

impl Drop for ExtentMap {
    fn drop(&mut self) {
        for mut table in self.0.take_all() {
            table.take_all().for_each(drop);
        }
    }
}

fn indices(address: usize) -> [usize; 3] {
    let number = address / EXTENT_BYTES;
    [2, 1, 0].map(|level| (number >> (level * LEVEL_BITS)) % WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extent_is_found_from_any_address_in_it_and_from_no_other() {
        let map = ExtentMap::new();
        let mut places = [0, 7, WIDTH, WIDTH * WIDTH * 5 + 3].map(|n| n * EXTENT_BYTES);
        places.sort_unstable();
        for (n, place) in places.iter().enumerate() {
            assert!(ExtentMap::reaches(*place));
            // The map does not look at what it is given.
            map.set(*place, ptr::without_provenance_mut(64 * (n + 1)));
        }
        for (n, place) in places.iter().enumerate() {
            for offset in [0, 1, EXTENT_BYTES - 1] {
                assert_eq!(map.get(place + offset).addr(), 64 * (n + 1));
            }
            assert!(map.get(place + EXTENT_BYTES).is_null());
        }
        map.set(places[1], ptr::null_mut());
        assert!(map.get(places[1]).is_null());
        assert!(!ExtentMap::reaches(1 << 60));
    }
}
