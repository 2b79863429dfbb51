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
/// A counter goes no higher: there are two in a byte.
pub(super) const FREQUENCY_MAX: u8 = 15;
/// Counters of a row of the sketch for each row of the cache.
const COUNTERS_A_ROW: usize = 3;
/// Counters of the smallest sketch, in a row.
const WIDTH_MIN: usize = 128;

/// The sketch.
#[derive(Debug)]
pub(super) struct Frequency {
    /// Two counters each.
    counters: Box<[AtomicU8]>,
    /// Counters of a row.
    width: usize,
}

impl Frequency {
    /// Counts the keys around so many rows.
    pub(super) fn new(rows: usize) -> Self {
        let bytes = 0..Self::bytes_for(rows);
        Self {
            counters: bytes.map(|_| AtomicU8::new(0)).collect(),
            width: Self::width_for(rows),
        }
    }

    fn width_for(rows: usize) -> usize {
        (rows * COUNTERS_A_ROW).next_multiple_of(2).max(WIDTH_MIN)
    }

    /// Bytes of the counters for so many rows.
    pub(super) fn bytes_for(rows: usize) -> u64 {
        (Self::width_for(rows) * ROWS / 2) as u64
    }

    /// Whether it is too small for so many rows.
    pub(super) fn is_small_for(&self, rows: usize) -> bool {
        rows * COUNTERS_A_ROW > self.width + self.width / 2
    }

    /// The counters of a key: the byte, and the bits from which it is.
    fn counters(&self, hash: u64) -> impl Iterator<Item = (&AtomicU8, u32)> {
        (0..ROWS).map(move |row| {
            // Each row mixes the hash otherwise.
            let mixed = (hash.rotate_left(row as u32 * 16) ^ row as u64)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let at = (((mixed >> 32) * self.width as u64) >> 32) as usize + row * self.width;
            (&self.counters[at / 2], at as u32 % 2 * 4)
        })
    }

    /// How often the key was asked for, or a little more.
    pub(super) fn estimate(&self, hash: u64) -> u8 {
        let counts = self
            .counters(hash)
            .map(|(byte, from)| byte.load(Relaxed) >> from & FREQUENCY_MAX);
        counts.min().unwrap_or(0)
    }

    /// Raises the count of a key to what is given. Counters that say more stay: they are of other keys as well.
    pub(super) fn raise(&self, hash: u64, count: u8) {
        let count = count.min(FREQUENCY_MAX);
        for (byte, from) in self.counters(hash) {
            // Relaxed: a hint; an increase that is lost makes a key seem rarer.
            let old = byte.load(Relaxed);
            if old >> from & FREQUENCY_MAX < count {
                byte.store(old & !(FREQUENCY_MAX << from) | count << from, Relaxed);
            }
        }
    }

    /// Counts a key once more.
    pub(super) fn add(&self, hash: u64) {
        self.raise(hash, self.estimate(hash) + 1);
    }

    /// Halves all counters.
    pub(super) fn halve(&self) {
        for byte in &self.counters {
            byte.store(byte.load(Relaxed) >> 1 & 0x77, Relaxed);
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
