//! How often keys were asked for that have no row: what a cache under `lfu` knows of rows before they come.
//!
//! ```text
//!   key -> hash    row 0   [ . 3 . . . . . . ]
//!                  row 1   [ . . . . 2 . . . ]    a counter a row; the least of them says how often, or more
//!                  row 2   [ . . . . . . 5 . ]
//!                  row 3   [ 2 . . . . . . . ]
//! ```
//!
//! A count-min sketch: Cormode and Muthukrishnan, "An improved data stream summary: the count-min sketch and its
//! applications" (2005). That a newcomer is compared with the rows that are there by it is W-TinyLFU: Einziger, Friedman and
//! Manes, "TinyLFU: a highly efficient cache admission policy" (2017). Counters are halved as the use marks of rows are, so
//! that what was in demand long ago counts less.

use crate::sync::atomic::AtomicU8;
use crate::sync::atomic::Ordering::Relaxed;

/// Counters of a key.
const ROWS: usize = 4;
/// A counter goes no higher.
pub(super) const FREQUENCY_MAX: u8 = 15;
/// Counters for each row of the cache, in all.
const COUNTERS_A_ROW: usize = 4;
/// Counters of the smallest sketch, in a row.
const WIDTH_MIN: usize = 64;

/// The sketch.
#[derive(Debug)]
pub(super) struct Frequency {
    counters: Box<[AtomicU8]>,
    /// Counters of a row, a power of two.
    width: usize,
}

impl Frequency {
    /// Counts the keys around so many rows.
    pub(super) fn new(rows: usize) -> Self {
        let width = (rows * COUNTERS_A_ROW / ROWS)
            .next_power_of_two()
            .max(WIDTH_MIN);
        Self {
            counters: (0..width * ROWS).map(|_| AtomicU8::new(0)).collect(),
            width,
        }
    }

    /// Bytes that a sketch for so many rows takes.
    pub(super) fn bytes(&self) -> u64 {
        self.counters.len() as u64
    }

    /// Whether it is too small for so many rows.
    pub(super) fn is_small_for(&self, rows: usize) -> bool {
        rows > 2 * self.width
    }

    fn counters(&self, hash: u64) -> impl Iterator<Item = &AtomicU8> {
        (0..ROWS).map(move |row| {
            // The bits of each row are others.
            let at = (hash >> (row * 16)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
            &self.counters[row * self.width + at as usize % self.width]
        })
    }

    /// How often the key was asked for, or a little more.
    pub(super) fn estimate(&self, hash: u64) -> u8 {
        let counts = self.counters(hash).map(|counter| counter.load(Relaxed));
        counts.min().unwrap_or(0)
    }

    /// Raises the count of a key to what is given. Counters that say more stay: they are of other keys as well.
    pub(super) fn raise(&self, hash: u64, count: u8) {
        for counter in self.counters(hash) {
            // Relaxed: a hint; an increase that is lost makes a key seem rarer.
            if counter.load(Relaxed) < count {
                counter.store(count, Relaxed);
            }
        }
    }

    /// Counts a key once more.
    pub(super) fn add(&self, hash: u64) {
        let count = self.estimate(hash);
        self.raise(hash, (count + 1).min(FREQUENCY_MAX));
    }

    /// Halves all counters.
    pub(super) fn halve(&self) {
        for counter in &self.counters {
            counter.store(counter.load(Relaxed) / 2, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: u64) -> u64 {
        key.wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(29)
            ^ key.wrapping_mul(0xA076_1D64_78BD_642F)
    }

    /// It never says less than was counted, and rarely more.
    #[test]
    fn keys_are_counted_nearly_apart() {
        let frequency = Frequency::new(4096);
        for key in 0..4096 {
            for _ in 0..key % 8 {
                frequency.add(hash(key));
            }
        }
        let least = |key: u64| (key % 8) as u8;
        assert!((0..4096).all(|key| frequency.estimate(hash(key)) >= least(key)));
        let more = (0..4096).filter(|key| frequency.estimate(hash(*key)) > least(*key));
        assert!(more.count() < 400);
        frequency.halve();
        assert!((0..4096).all(|key| frequency.estimate(hash(key)) >= least(key) / 2));
    }
}
