//! Drawn arguments: made before a turn, so that drawing is not timed, and equal for all engines of a round.

use super::work::{Distribution, Operation, Row};
use remora_tests::random::Random;
use remora_tests::users::{User, user};

/// Keys of a list.
pub(super) const LIST_KEYS: usize = 100;
/// Percent of inserts in YCSB E.
const INSERTS_PERCENT: u64 = 5;
/// Rows of a scan in YCSB E, at most.
const SCAN_ROWS_MAX: u64 = 100;
/// Draws of a turn, which begins again when they are used up. With a million rows, this many keys
/// do not stay in a processor's cache.
const DRAWS: usize = 1 << 17;
/// Draws that own memory.
const LARGE_DRAWS: usize = 1 << 15;
/// Draws of lists, with a hundred keys each.
const LIST_DRAWS: usize = 1 << 11;

/// The arguments of one operation.
#[derive(Debug)]
pub(super) enum Draw {
    Key(i64),
    Text(String),
    Keys(Vec<i64>),
    Scan { from: i64, rows: i64 },
    Row(Box<User>),
    Insert,
}

/// The part of the keys that one of several threads draws from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) thread: u64,
    pub(super) threads: u64,
}

impl Share {
    /// All keys, for one thread.
    pub(super) const ALL: Self = Self {
        thread: 0,
        threads: 1,
    };

    /// The first key that this thread inserts into a table of so many rows. Threads are far apart.
    pub(super) fn first_fresh(self, rows: i64) -> i64 {
        rows + ((self.thread as i64) << 40)
    }

    /// The key of this share next to `key`.
    fn nearest(self, key: u64, rows: u64) -> u64 {
        let own = key - key % self.threads + self.thread;
        if own < rows { own } else { self.thread }
    }
}

/// Keys of a table, drawn with a distribution.
///
/// The Zipfian distribution has YCSB's exponent 0.99. A rank is found in the table of cumulated
/// weights, and hashed to a key, so that keys that are drawn often do not lie together.
#[derive(Debug)]
pub(super) struct Keys {
    rows: u64,
    /// The cumulated weights of the ranks; empty for the uniform distribution.
    weights: Vec<f64>,
}

impl Keys {
    /// Prepares drawing from a table of `rows` rows, at least one.
    pub(super) fn new(distribution: Distribution, rows: i64) -> Self {
        let rows = rows.max(1) as u64;
        let mut sum = 0.0;
        let weight = |rank: u64| {
            sum += (rank as f64).powf(-0.99);
            sum
        };
        let weights = match distribution {
            Distribution::Uniform => Vec::new(),
            Distribution::Zipfian => (1..=rows).map(weight).collect(),
        };
        Self { rows, weights }
    }

    fn draw(&self, random: &mut Random) -> u64 {
        let Some(sum) = self.weights.last() else {
            return random.below(self.rows);
        };
        let drawn = (random.bits() >> 11) as f64 / (1_u64 << 53) as f64 * sum;
        let rank = self.weights.partition_point(|weight| *weight <= drawn);
        Random::new(rank as u64).below(self.rows)
    }
}

/// Draws the arguments of a turn.
pub(super) fn draws(row: &Row, keys: &Keys, share: Share, random: &mut Random) -> Vec<Draw> {
    let count = match row.operation {
        Operation::ReadText | Operation::ReadEmail | Operation::Replace => LARGE_DRAWS,
        Operation::ListIn | Operation::ListAny => LIST_DRAWS,
        _ => DRAWS,
    };
    some(row, keys, share, random, count)
}

/// Draws the arguments of so many operations.
pub(super) fn some(
    row: &Row,
    keys: &Keys,
    share: Share,
    random: &mut Random,
    count: usize,
) -> Vec<Draw> {
    (0..count).map(|_| one(row, keys, share, random)).collect()
}

fn one(row: &Row, keys: &Keys, share: Share, random: &mut Random) -> Draw {
    let mut key = keys.draw(random);
    if row.operation.writes() {
        key = share.nearest(key, keys.rows);
    }
    let key = key as i64;
    match row.operation {
        Operation::ReadText => Draw::Text(format!("SELECT name FROM users WHERE id = {key}")),
        Operation::ReadEmail => Draw::Text(user(key).email),
        Operation::ListIn | Operation::ListAny => {
            let list = (0..LIST_KEYS).map(|_| keys.draw(random) as i64);
            Draw::Keys(list.collect())
        }
        Operation::ScanOrInsert if random.chance(INSERTS_PERCENT) => Draw::Insert,
        Operation::ScanOrInsert => Draw::Scan {
            from: key,
            rows: 1 + random.below(SCAN_ROWS_MAX) as i64,
        },
        Operation::Insert => Draw::Insert,
        Operation::Replace => Draw::Row(Box::new(user(key))),
        _ => Draw::Key(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipfian_keys_are_skewed_and_spread() {
        let keys = Keys::new(Distribution::Zipfian, 1000);
        let mut random = Random::new(7);
        let mut counts = vec![0; 1000];
        for _ in 0..100_000 {
            counts[keys.draw(&mut random) as usize] += 1;
        }
        let hottest = counts.iter().max().copied().unwrap_or_default();
        // The first of 1,000 ranks has one part in about 7.7.
        assert!((11_000..20_000).contains(&hottest), "{hottest}");
        counts.sort_unstable();
        assert!(counts[500] < 100, "{}", counts[500]);
    }

    #[test]
    fn threads_draw_keys_of_their_own() {
        for rows in [1000, 1001] {
            for key in 0..rows {
                for thread in 0..2 {
                    let own = Share { thread, threads: 2 }.nearest(key, rows);
                    assert!(own < rows && own % 2 == thread, "{key} of {rows}: {own}");
                }
            }
        }
    }
}
